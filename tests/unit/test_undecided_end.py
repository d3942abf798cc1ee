"""Stage 60 on a deletion that nobody saw happen: what followed proves it, or the outcome is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from incident_kit import PRIMARYS, SECONDARYS, Incident

from runbook_lib.batch.runner import StageReport, _exit_code
from runbook_lib.decisions import Deletion
from runbook_lib.models import Inventory, Outcome, Stage, StageState
from runbook_lib.notebook.closing_stages import Verify
from runbook_lib.observations import Check, CheckKind, Diagnosis
from runbook_lib.record.journal import Kind
from runbook_lib.repair import proof
from runbook_lib.repair.context import Context
from runbook_lib.repair.sent_changes import INVENTORY_FACTS, about_deletion, unseen_changes

HEALTHY = ("Primary Active", "Secondary Syncing")
PAIR, ISE = ("primary", PRIMARYS[2]), ("primary", PRIMARYS[1])


@pytest.mark.parametrize(
    ("place", "late", "ha", "answers", "ok", "outcome"),
    [
        (PAIR, False, HEALTHY, None, True, Outcome.REPAIRED),
        (PAIR, True, ("Primary Active", "Secondary Alone"), None, False, Outcome.FAILED),
        (PAIR, False, ("Primary Active", "Secondary Alone"), True, None, Outcome.UNKNOWN),
        (ISE, False, HEALTHY, None, None, Outcome.UNKNOWN),
        (ISE, False, HEALTHY, False, None, Outcome.UNKNOWN),
        (ISE, False, HEALTHY, True, True, Outcome.REPAIRED),
        (ISE, True, HEALTHY, True, False, Outcome.FAILED),
    ],
)
def test_nothing_ends_repaired_on_a_deletion_that_nobody_saw_happen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[str, str],
    late: bool,
    ha: tuple[str, str],
    answers: bool | None,
    ok: bool | None,
    outcome: Outcome,
) -> None:
    """It is repaired where peer or page prove it, failed where the mismatches go on, and else unknown."""
    incident = Incident(tmp_path)
    incident.sent(*place, Deletion.NOT_DELETED_OR_CAME_BACK)
    checks = _verified(incident, monkeypatch, late=late, ha=ha, answers=answers)
    said = tuple(check for name, check in checks.items() if name == f"deletion of {place[1]} on the primary")
    assert [check.ok for check in said] == ([] if ok else [ok])
    assert proof.outcome_of(incident.context, said) is outcome


@pytest.mark.parametrize("listed", [True, False])
def test_a_deletion_that_was_seen_needs_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool) -> None:
    """One that is gone, or was seen gone, has no check of its own."""
    incident = Incident(tmp_path)
    incident.sent(*PAIR, Deletion.GONE if listed else Deletion.NOT_DELETED_OR_CAME_BACK)
    primary = PRIMARYS if listed else PRIMARYS[:2]
    assert not [n for n in _verified(incident, monkeypatch, primary=primary) if n.startswith("deletion of")]


def test_what_ended_repaired_left_no_deletion_whose_end_nobody_saw(tmp_path: Path) -> None:
    """The checks of a repair settle a deletion whose entry was back at once; one that is sent later is open again."""
    incident = Incident(tmp_path)
    left = [(PAIR[0], about_deletion(PAIR[1]))]
    for outcome, before, after in ((Outcome.REPAIRED_UNVERIFIED, left, left), (Outcome.REPAIRED, left, [])):
        incident.sent(*PAIR, Deletion.NOT_DELETED_OR_CAME_BACK)
        assert unseen_changes(incident.record) == before
        incident.record.set_outcome(outcome)
        assert unseen_changes(incident.record) == after
    incident.sent(*PAIR, Deletion.NOT_DELETED_OR_CAME_BACK)
    assert unseen_changes(incident.record) == left


def test_a_pair_that_talks_since_the_last_mismatch_proves_a_late_deletion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mismatches that came in behind the look at the store, and ended before both servers called themselves healthy."""
    incident = Incident(tmp_path)
    incident.sent(*PAIR, Deletion.NOT_DELETED_OR_CAME_BACK)
    between = datetime.now(UTC)
    checks = _verified(incident, monkeypatch, at_utc=between)
    assert not [name for name in checks if name.startswith("deletion of")]
    checks = _verified(incident, monkeypatch, at_utc=between, ha=("Primary Active", "Secondary Alone"))
    assert checks[f"deletion of {PAIR[1]} on the primary"].ok is False


@pytest.mark.parametrize(
    ("keys", "left", "outcome"),
    [
        (PRIMARYS, PRIMARYS, Outcome.REPAIRED),
        (PRIMARYS, PRIMARYS[1:], Outcome.REPAIRED_UNVERIFIED),
        ((*PRIMARYS, "192.0.2.99_443"), (*PRIMARYS, "192.0.2.99_443"), Outcome.REPAIRED_UNVERIFIED),
        ((*PRIMARYS, "192.0.2.99_443"), PRIMARYS, Outcome.REPAIRED_UNVERIFIED),
    ],
)
def test_nothing_ends_repaired_where_a_deletion_took_a_strangers_entry_with_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keys: tuple[str, ...],
    left: tuple[str, ...],
    outcome: Outcome,
) -> None:
    """Whoever answers next is trusted in its place; only own entries and hosts that are looked at are good again."""
    incident = Incident(tmp_path)
    incident.sent(*PAIR, Deletion.COLLATERAL, before=keys)
    checks = _verified(incident, monkeypatch, primary=left)
    lost = tuple(check for name, check in checks.items() if check.expected == "as it was")
    assert len(lost) == (outcome is not Outcome.REPAIRED)
    assert proof.outcome_of(incident.context, lost) is outcome


@pytest.mark.parametrize(
    ("changes", "late", "outcome"),
    [
        (True, False, Outcome.UNKNOWN),
        (True, True, Outcome.FAILED),
        (False, True, Outcome.FAILED),
        (False, False, Outcome.UNKNOWN),
    ],
)
def test_a_deletion_of_an_earlier_incident_that_nobody_saw_happen_is_judged_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: bool, late: bool, outcome: Outcome
) -> None:
    """Whether this incident changed something or nothing: it ends neither repaired nor with nothing to do."""
    Incident(tmp_path).sent(*ISE, Deletion.NOT_DELETED_OR_CAME_BACK)
    incident = Incident(tmp_path)
    if changes:
        incident.sent(*PAIR, Deletion.GONE)
    checks = _verified(incident, monkeypatch, late=late)
    said = checks[f"deletion of {ISE[1]} on the primary"]
    assert said.ok is (False if late else None)
    assert proof.outcome_of(incident.context, (said,)) is outcome


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.UNKNOWN, 6), (Outcome.REPAIRED, 0)])
def test_a_run_of_which_the_outcome_is_unknown_does_not_end_0(tmp_path: Path, outcome: Outcome, code: int) -> None:
    """Though each of its stages is done."""
    last = StageReport(stage=Stage.POST_MORTEM, state=StageState.DONE, seconds=1.0)
    assert _exit_code(Incident(tmp_path).record, last, outcome) == code


def test_the_record_says_of_which_deletion_nobody_knows(tmp_path: Path) -> None:
    """Stage 60 writes the outcome with the entry's name, and the incident stays open."""
    incident = Incident(tmp_path)
    stage = Verify(replace(incident.context, stage=Stage.VERIFY))
    name, kind = f"deletion of {ISE[1]} on the primary", CheckKind.DELETION
    stage._checks = (Check(name=name, expected="", actual="not known", ok=None, kind=kind),)
    stage._seal()
    assert incident.record.outcome() is Outcome.UNKNOWN
    (line,) = [line for line in incident.record.journal.read().lines if line.kind is Kind.OUTCOME]
    assert ISE[1] in line.text


def _verified(
    incident: Incident,
    monkeypatch: pytest.MonkeyPatch,
    *,
    late: bool = False,
    ha: tuple[str, str] = HEALTHY,
    answers: bool | None = None,
    primary: tuple[str, ...] = PRIMARYS,
    at_utc: datetime | None = None,
) -> dict[str, Check]:
    """Stage 60 on what the servers show now; ``late``: mismatches are newer than the deletions."""
    at_utc = at_utc or datetime.now(UTC) + timedelta(hours=1 if late else -1)

    async def prove(*_given: object) -> tuple[Check, ...]:
        ise = incident.context.site.ise[0].name
        return (Check(name="", expected="", actual="", ok=answers, kind=CheckKind.ISE_PAGE, target=ise),)

    incident.list({}, ha=ha, primary=primary, secondary=SECONDARYS)
    context = stage_60(incident, monkeypatch, read=lambda _: incident.diagnosis(at_utc), prove=prove)
    return {check.name: check for check in asyncio.run(proof.verify(context, cast("Any", None)))}


def stage_60(
    incident: Incident,
    monkeypatch: pytest.MonkeyPatch,
    *,
    read: Callable[[Context], Diagnosis],
    prove: Callable[..., Awaitable[tuple[Check, ...]]],
    quiet_s: float = 0.0,
) -> Context:
    """Stage 60's context over servers that are as the record says: ``read`` reads the logs, ``prove`` the ISE page."""
    seen = incident.record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory)

    def prime(server: str) -> Any:
        async def list_tofu() -> Any:
            return seen.store(server)

        return SimpleNamespace(list_tofu=list_tofu)

    async def observe(_context: object, **_more: object) -> Any:
        return seen.ha

    async def look(*_given: object) -> Any:
        return (), seen.judgements

    for name, instead in (("read_logs", read), ("observe_ha", observe), ("look_at_all", look), ("prove_ise", prove)):
        monkeypatch.setattr(proof, name, instead)
    deadlines = incident.context.site.deadlines.model_copy(update={"quiet_s": quiet_s})
    site = incident.context.site.model_copy(update={"deadlines": deadlines})
    devices = cast("Any", SimpleNamespace(prime=prime))
    return replace(incident.context, site=site, stage=Stage.VERIFY, devices=devices)
