"""Stage 30 where a store shows a deletion late, or never: whose effect it is, and what the logs say before it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from incident_kit import Incident

from runbook_lib.decisions import Deletion, DeletionResult, PlanRow
from runbook_lib.device.prime import PrimeServer
from runbook_lib.errors import (
    CommandRefused,
    ConnectionLost,
    DecisionNeeded,
    DeviceError,
    DeviceSilent,
    DeviceUnreachable,
    HostKeyChanged,
    LoginQuestion,
    LoginRefused,
    OutcomeUnknown,
    RecordNotWritable,
    RepairFailed,
    VersionUnsupported,
)
from runbook_lib.models import Inventory, Stage, TofuStore
from runbook_lib.observations import Diagnosis
from runbook_lib.params.model import Deadlines
from runbook_lib.record.journal import About, Kind
from runbook_lib.repair import context, deletion
from runbook_lib.repair.guard import ChangeRequest
from runbook_lib.repair.planned_changes import require_deletions, results_of
from runbook_lib.repair.sent_changes import recorded_deletions


@dataclass
class Stores:
    """Command lines on which nothing goes but what is in ``gone``; ``sent`` are the deletions that arrived."""

    incident: Incident
    arrived: Callable[[Stores, str, str], None]
    sent: list[tuple[str, str]] = field(default_factory=list)
    gone: set[tuple[str, str]] = field(default_factory=set)
    says: str = ""
    away: list[DeviceError] = field(default_factory=list)  # raised in turn by reads behind the first deletion
    behind: list[str] = field(default_factory=list)  # what stands behind the subjects of a read, in turn

    def prime(self, server: str) -> Any:
        async def list_tofu() -> TofuStore:
            if self.sent and self.away:
                raise self.away.pop(0)
            store = self.incident.record.read_facts(Stage.LIST, "inventory", Inventory).store(server)
            more = self.behind.pop(0) if self.behind else ""
            left = tuple(
                replace(entry, subject=entry.subject + more, line=entry.line + more)
                for entry in store.entries
                if (server, entry.key) not in self.gone
            )
            return replace(store, entries=left, read_utc=datetime.now(UTC))

        async def delete_tofu(key: str) -> Any:
            self.sent.append((server, key))
            self.arrived(self, server, key)
            return SimpleNamespace(text=self.says, server=server, command=f"deletecert host {key}")

        return SimpleNamespace(list_tofu=list_tofu, delete_tofu=delete_tofu)


CarryOut = Callable[..., tuple[DeletionResult, ...]]


@pytest.fixture
def incident(tmp_path: Path) -> Incident:
    return Incident(tmp_path)


@pytest.fixture
def carry_out(incident: Incident, monkeypatch: pytest.MonkeyPatch) -> CarryOut:
    """``carry_out(arrived, logs)``: an approved plan is carried out; ``logs``: what is read in them behind it."""

    async def held(*_given: object) -> None: ...

    async def permit(_context: object, row: PlanRow, what: About) -> ChangeRequest:
        return ChangeRequest(plan=plan, change=row, what=what, approval=approval)

    async def watched(_context: object, results: tuple[DeletionResult, ...]) -> bool:
        return any(result.result is Deletion.NOT_DELETED_OR_CAME_BACK for result in results)

    plan = incident.write_plan()
    approval = incident.approve(plan)
    for name in ("require_release", "try_login", "_refuse_if_moved"):
        monkeypatch.setattr(deletion, name, held)
    monkeypatch.setattr(deletion, "require_means", lambda *_given: None)
    monkeypatch.setattr(deletion, "permit", permit)
    monkeypatch.setattr(deletion, "watch_logs", watched)

    def carry_out(
        arrived: Callable[[Stores, str, str], None], logs: Diagnosis, says: str = "", behind: tuple[str, ...] = ()
    ) -> tuple[DeletionResult, ...]:
        monkeypatch.setattr(deletion, "recorded_diagnosis", lambda _context: logs)
        stores = Stores(incident, arrived, says=says, behind=list(behind))
        context = replace(incident.context, devices=cast("Any", stores), stage=Stage.DELETE)
        results = asyncio.run(deletion.delete_stale(context, plan, cast("Any", None)))
        assert stores.sent == [(row.server, row.key) for row in plan.deletions]
        return results

    return carry_out


@pytest.mark.parametrize("stays", [False, True])
def test_a_message_to_all_users_behind_an_entry_is_no_change_of_it(
    incident: Incident, carry_out: CarryOut, stays: bool
) -> None:
    """The list is read once more, before a deletion and after it; what the second answer holds as well is a change."""
    heard = "Broadcast message from root@prime-pri (pts/1): backup begins"

    def taken(stores: Stores, server: str, key: str) -> None:
        stores.gone.add((server, key))

    logs = incident.diagnosis(datetime.now(UTC) - timedelta(hours=1))
    if stays:
        with pytest.raises(RepairFailed, match="no longer listed"):
            carry_out(taken, logs, behind=("", heard, heard))
    else:
        results = carry_out(taken, logs, behind=(heard, "", heard, ""))
        assert {result.result for result in results} == {Deletion.GONE}


def test_a_deletion_that_is_refused_is_not_told_as_if_it_had_been_sent(
    incident: Incident, carry_out: CarryOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was told last stands above the refusal: a command there reads as if it had gone out."""

    async def refuse(*_given: object) -> None:
        raise DecisionNeeded("This changes the production site")

    told: list[str] = []
    monkeypatch.setattr(deletion, "permit", refuse)
    monkeypatch.setattr(incident, "context", replace(incident.context, progress=lambda words, *_: told.append(words)))
    with pytest.raises(DecisionNeeded):
        carry_out(lambda *_: None, Diagnosis(mismatches=()))
    assert told
    assert not [words for words in told if "deletecert" in words]


def test_a_clock_that_is_set_back_behind_the_plan_hides_no_deletion(incident: Incident, carry_out: CarryOut) -> None:
    """What the plan has sent is told by the journal's order: nothing is called unsent, or somebody else's change."""
    plan = incident.record.read_plan()
    incident.context = replace(incident.context, now=lambda: datetime.now(UTC) - timedelta(hours=25))
    incident.approve(plan, at_utc=datetime.now(UTC) - timedelta(hours=25))

    def taken(stores: Stores, server: str, key: str) -> None:
        stores.gone.add((server, key))

    results = carry_out(taken, incident.diagnosis(datetime.now(UTC) - timedelta(hours=48)))
    assert [result.result for result in results] == [Deletion.GONE] * 3
    assert all(result.sent_utc < plan.made_utc for result in results)
    require_deletions(incident.context, plan)
    assert results_of(incident.context, incident.write_plan()) == ()  # a new plan has sent nothing yet


@pytest.mark.parametrize("later", [True, False])
def test_an_entry_that_stays_is_called_the_old_one_where_newer_lines_say_so(
    incident: Incident, carry_out: CarryOut, later: bool
) -> None:
    """Stage 30 ends red then, with what the server answered, which may name a restart, and offers a new plan.

    Where no line is newer it is told as not known.
    """

    def nothing(_stores: Stores, _server: str, _key: str) -> None: ...

    logs = incident.diagnosis(datetime.now(UTC) + timedelta(hours=1 if later else -1))
    if later:
        with pytest.raises(RepairFailed, match="did not happen") as failed:
            carry_out(nothing, logs, "Marked for deletion.\nRestart the services.\n")
        assert "answer of the primary: Marked for deletion. Restart the services." in failed.value.found
        assert "or the certificate has changed again" in failed.value.what  # a log names subjects only
        assert "20_list_certificates" in failed.value.next_step
    else:
        assert {result.result for result in carry_out(nothing, logs)} == {Deletion.NOT_DELETED_OR_CAME_BACK}


def test_a_deletion_asks_for_the_release_first(
    incident: Incident, carry_out: CarryOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way stage 30 was reached: a server of a release that nobody has tried is not changed."""

    async def old(*_given: object) -> None:
        raise VersionUnsupported("3.4")

    def taken(_stores: Stores, _server: str, _key: str) -> None:
        raise AssertionError("sent")

    monkeypatch.setattr(deletion, "require_release", old)
    with pytest.raises(VersionUnsupported):
        carry_out(taken, incident.diagnosis(datetime.now(UTC)))
    assert recorded_deletions(incident.record) == ()


def test_lines_of_a_clock_that_is_ahead_of_ours_are_newer_than_nothing(incident: Incident, carry_out: CarryOut) -> None:
    """Where the log ends in the future its times do not say what came after a look; nothing is called the old entry."""
    now = datetime.now(UTC)
    late = now + timedelta(hours=1)
    ends = {"log_end_utc": dict.fromkeys(("primary", "secondary"), late), "read_utc": now}
    results = carry_out(lambda *_: None, replace(incident.diagnosis(late), **ends))
    assert {result.result for result in results} == {Deletion.NOT_DELETED_OR_CAME_BACK}


@pytest.mark.parametrize("newer", [True, False])
def test_lines_that_were_read_before_the_deletion_are_newer_than_nothing(
    incident: Incident, carry_out: CarryOut, newer: bool
) -> None:
    """A server's clock is ahead by less than its log is old, so that the end of the log does not show it."""
    late = datetime.now(UTC) + timedelta(hours=1)
    incident.record.write_facts(Stage.DIAGNOSE, "diagnosis", incident.diagnosis(late))
    now = incident.diagnosis(late + timedelta(seconds=newer))
    if newer:
        with pytest.raises(RepairFailed, match="did not happen"):
            carry_out(lambda *_: None, now)
    else:
        seen = {result.result for result in carry_out(lambda *_: None, now)}
        assert seen == {Deletion.NOT_DELETED_OR_CAME_BACK}


def test_a_deletion_whose_answer_cannot_be_kept_was_sent(
    incident: Incident, carry_out: CarryOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full right behind it: it is not called one that never left, and nothing further is sent."""
    sent: list[str] = []

    def full(*_given: object) -> None:
        raise RecordNotWritable("no space", next_step="nothing that needed this was sent to a device")

    async def run(command: str, **_given: object) -> Any:
        sent.append(command)

    async def console(_server: PrimeServer) -> Any:
        return SimpleNamespace(run=run, unfinished=None)

    def arrived(stores: Stores, server: str, key: str) -> None:
        stores.gone.add((server, key))
        prime = PrimeServer(server, incident.context.site.primary, Deadlines(), full)
        with ThreadPoolExecutor(1) as other:
            other.submit(asyncio.run, prime.delete_tofu(key)).result()

    monkeypatch.setattr(PrimeServer, "console", console)
    with pytest.raises(RecordNotWritable, match="it was sent") as failed:
        carry_out(arrived, Diagnosis(mismatches=()))
    assert "was sent to a device" not in failed.value.next_step
    (result,) = recorded_deletions(incident.record)
    assert (result.result, len(sent)) == (Deletion.GONE, 1)
    assert [line.seen for line in incident.record.journal.read().lines if line.kind is Kind.RESULT] == [Deletion.GONE]


@pytest.mark.parametrize(
    ("says", "error"),
    [
        ("% Permission denied\n", CommandRefused),
        ("ERROR : Please enter Yes or No\n", LoginQuestion),
        ("no usable answer: nothing but a question in words that nobody knows", DeviceSilent),
    ],
)
def test_a_deletion_that_is_refused_is_the_last_that_is_sent(
    incident: Incident, carry_out: CarryOut, says: str, error: type[DeviceError]
) -> None:
    """What this user may not do on one server is not tried on the next; the record holds what the server said.

    Nor is a server left at a second question that nobody understands.
    """
    _wait_at_most(incident, command_s=0.02)

    def arrived(*_: object) -> None:
        if error is DeviceSilent:
            silent = DeviceSilent(says.removeprefix("no usable answer: "))
            silent.sent = True
            raise silent

    with pytest.raises(error):
        carry_out(arrived, Diagnosis(mismatches=()), says)
    (result,) = recorded_deletions(incident.record)
    assert (result.result, result.said) == (Deletion.NOT_DELETED_OR_CAME_BACK, says)


def _wait_at_most(incident: Incident, **seconds: float) -> None:
    site = incident.context.site
    deadlines = site.deadlines.model_copy(update=seconds)
    incident.context = replace(incident.context, site=site.model_copy(update={"deadlines": deadlines}))


def test_the_store_of_a_server_that_is_away_is_read_when_it_is_back(
    incident: Incident, carry_out: CarryOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its SSH service starts again behind the deletion; the deletions themselves are sent once each."""
    monkeypatch.setattr(context, "POLL_S", 0.0)
    still = DeviceSilent("no login was completed")

    def arrived(stores: Stores, server: str, key: str) -> None:
        stores.gone.add((server, key))
        if len(stores.sent) == 1:
            stores.away = [ConnectionLost("gone"), *[DeviceUnreachable("refused")] * 3, still]

    assert {result.result for result in carry_out(arrived, Diagnosis(mismatches=()))} == {Deletion.GONE}


@pytest.mark.parametrize("error", [DeviceUnreachable("refused"), HostKeyChanged("another key"), LoginRefused("no")])
def test_a_store_that_cannot_be_read_leaves_the_deletion_unknown(
    incident: Incident, carry_out: CarryOut, monkeypatch: pytest.MonkeyPatch, error: DeviceError
) -> None:
    """A server that stays away is given up at the site's deadline; one with another host key is not asked again."""
    monkeypatch.setattr(context, "POLL_S", 0.0)
    _wait_at_most(incident, settle_s=0.02)

    def arrived(stores: Stores, _server: str, _key: str) -> None:
        stores.away = [error] * (1 if isinstance(error, HostKeyChanged | LoginRefused) else 10**6)

    with pytest.raises(OutcomeUnknown):
        carry_out(arrived, Diagnosis(mismatches=()))
    assert not recorded_deletions(incident.record)


@pytest.mark.parametrize("somebody_elses", [True, False])
def test_a_late_effect_of_an_own_deletion_is_no_change_of_another_entry(
    incident: Incident, carry_out: CarryOut, somebody_elses: bool
) -> None:
    """The first goes while the second is under way: known as that. An entry that was never sent is not: exit 1."""
    first, second = [row for row in incident.plan().deletions if row.server == "primary"]
    store = incident.record.read_facts(Stage.LIST, "inventory", Inventory).store("primary")
    (another,) = {entry.key for entry in store.entries} - {first.key, second.key}

    def late(stores: Stores, server: str, key: str) -> None:
        if (server, key) != ("primary", first.key):
            stores.gone |= {(server, key), ("primary", first.key)}
        if somebody_elses and key == second.key:
            stores.gone.add(("primary", another))

    logs = incident.diagnosis(datetime.now(UTC) - timedelta(hours=1))
    if somebody_elses:
        with pytest.raises(RepairFailed, match="no longer listed") as failed:
            carry_out(late, logs)
        assert another in failed.value.found
        assert second.key not in failed.value.found
    else:
        seen = [result.result for result in carry_out(late, logs)]
        assert seen == [Deletion.NOT_DELETED_OR_CAME_BACK, Deletion.GONE, Deletion.GONE]
