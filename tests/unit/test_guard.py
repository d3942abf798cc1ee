"""The guard in front of every change: each way to a device is enumerated, and each guard proven by taking it out."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from incident_kit import PRIMARYS, SECONDARYS, SHA, Incident
from site_kit import site_with
from source_trees import nodes_of, tree_of

import runbook_lib
from runbook_lib.decisions import Approval, ChangeKind, Deletion, Plan, PlannedChange, PlanRow
from runbook_lib.device.prime import WhoAnswers
from runbook_lib.errors import (
    ApprovalMissing,
    CertificateMoved,
    DecisionNeeded,
    DeletionRefused,
    PlanStale,
    ReadinessFailed,
    RepairFailed,
    RunbookError,
    SafetyStop,
    SiteLocked,
    StageOutOfOrder,
    VersionUnsupported,
)
from runbook_lib.models import HaStatus, Inventory, Outcome, ProductVersion, Stage, TofuStore, Verdict
from runbook_lib.observations import Diagnosis, HaPage, ListedIseServer, ReadinessItem
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import About, Kind
from runbook_lib.repair import deletion, guard
from runbook_lib.repair import ha as ha_removal
from runbook_lib.repair import ha as register_ha
from runbook_lib.repair import ise as readd_ise
from runbook_lib.repair.context import Context
from runbook_lib.repair.ha_state import REGISTRATION
from runbook_lib.repair.inventory import DIAGNOSIS_FACTS as DIAGNOSIS
from runbook_lib.repair.inventory import recorded_inventory, take_inventory
from runbook_lib.repair.plan import plan_of
from runbook_lib.repair.planned_changes import adding, removing

STEPS = Path(runbook_lib.__file__).parent / "repair"
VERBS = {"delete_tofu", "remove_ha", "register", "check_readiness", "add_ise", "remove_ise"}
"""What changes a device, or types a secret for a change: every verb of the layers below that does."""
INTENDING = {"intend", "begin"}
BROKEN = ("Primary Lost Secondary", "Secondary Lost Primary")


@dataclass
class Devices:
    """Both command lines and the pages; ``sent`` is what arrived that changes something.

    ``intended``: the intents that were on disk when the last of it arrived.
    """

    incident: Incident
    sent: list[str] = field(default_factory=list)
    intended: list[str] = field(default_factory=list)
    states: tuple[str, str] = BROKEN
    releases: dict[str, tuple[int, ...]] = field(default_factory=dict)
    host_names: dict[str, str] = field(default_factory=dict)

    def prime(self, server: str) -> Any:
        async def list_tofu() -> TofuStore:
            store = self.incident.record.read_facts(Stage.LIST, "inventory", Inventory).store(server)
            return replace(store, read_utc=datetime.now(UTC))

        async def ha_status() -> HaStatus:
            state = self.states[("primary", "secondary").index(server)]
            return HaStatus(server=server, role="", state=state, read_utc=datetime.now(UTC))

        async def removed() -> None:
            self.states = ("HA not Configured", "HA not Configured")
            self._arrived("remove")

        async def version() -> ProductVersion:
            base, release = (3, 10), self.releases.get(server, (3, 10))
            return ProductVersion(server=server, base=base, release=release, line="3.10")

        async def delete_tofu(key: str) -> Any:
            self._arrived(f"delete {key}")
            return SimpleNamespace(text="")

        async def who_answers() -> WhoAnswers:
            return WhoAnswers(self.host_names.get(server, f"prime-{server}"), "ssh-ed25519", "SHA256:of one image")

        return SimpleNamespace(
            list_tofu=list_tofu,
            ha_status=ha_status,
            remove_ha=removed,
            version=version,
            delete_tofu=delete_tofu,
            who_answers=who_answers,
        )

    async def nothing(self) -> None: ...

    async def opened(self, page: Any) -> Any:
        return page

    async def press(self, what: str, *_given: object) -> tuple[()]:
        self._arrived(what)
        return ()

    def _arrived(self, what: str) -> None:
        self.sent.append(what)
        self.intended = intents_of(self.incident)


@dataclass
class Case:
    """A change that is about to be sent, by a plan that somebody approved."""

    incident: Incident
    devices: Devices
    context: Context
    plan: Plan

    def change(self, kind: ChangeKind | None, target: str) -> PlanRow | PlannedChange:
        found = (c for c in self.plan.changes if (c.kind, c.target) == (kind, target))
        return next(found) if kind else self.plan.deletions[0]


async def _delete(case: Case) -> None:
    await deletion._delete_one(case.context, case.plan, case.plan.deletions[0], 0.0)


async def _remove(case: Case) -> None:
    await ha_removal.remove_ha(case.context)


async def _register(case: Case) -> None:
    page = SimpleNamespace(register=partial(case.devices.press, "register"))
    await register_ha._register_once(case.context, cast("Any", page), None)


ADDING = adding("ise")


async def _readd(case: Case, words: About = ADDING) -> None:
    await readd_ise._change(case.context, "ise", words, partial(case.devices.press, str(words)))


async def _readiness(case: Case) -> None:
    pressed = partial(case.devices.press, "check readiness")
    page = SimpleNamespace(open_ha_configuration=case.devices.nothing, check_readiness=pressed)
    pages = SimpleNamespace(open=partial(case.devices.opened, page))
    await register_ha.check_readiness(case.context, cast("Any", pages))


Send = Callable[[Case], Awaitable[None]]
CHANGES: dict[str, tuple[Send, ChangeKind | None, str]] = {
    "delete": (_delete, None, ""),
    "remove HA": (_remove, ChangeKind.REMOVE_HA, "secondary"),
    "register HA": (_register, ChangeKind.REGISTER_HA, "secondary"),
    "check readiness": (_readiness, ChangeKind.REGISTER_HA, "secondary"),
    "add ISE": (_readd, ChangeKind.READD_ISE, "ise"),
    "replace ISE": (partial(_readd, words=removing("ise")), ChangeKind.READD_ISE, "ise"),
}
WORDS = {
    "delete": PRIMARYS[1],
    "remove HA": "ncs ha remove",
    "register HA": str(REGISTRATION),
    "add ISE": str(ADDING),
    "replace ISE": str(removing("ise")),
}


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Case]]:
    """``make(name)``: the change may be sent: planned, approved, nothing moved, the lock held, the host confirmed.

    For what comes after the deletions, those are done.
    """
    monkeypatch.setenv("KEY", "a-key-of-tests")
    monkeypatch.setattr(ha_removal, "wait_until", lambda _context, look, _waited: look())
    with ExitStack() as locks:

        def made(name: str, *, locked: bool = True) -> Case:
            incident = Incident(tmp_path, site=site_with(policy={"remove_broken_ha": True}), listed=False)
            deletes = name == "delete"
            entries = {} if deletes else {"primary": PRIMARYS[:1], "secondary": SECONDARYS[:1]}
            incident.list({}, ha=BROKEN, **entries)
            incident.record.write_facts(Stage.DIAGNOSE, DIAGNOSIS, Diagnosis(mismatches=()))
            plan = incident.write_plan()
            incident.approve(plan)
            devices = Devices(incident)
            context = replace(incident.context, devices=cast("Any", devices), stage=Stage.REGISTER)
            if deletes:
                context = replace(context, stage=Stage.DELETE)
            if locked:
                locks.enter_context(context.lock("a test"))
            confirm(monkeypatch, incident)
            return Case(incident, devices, context, plan)

        yield made


def confirm(monkeypatch: pytest.MonkeyPatch, incident: Incident, **shown: tuple[str, Verdict]) -> None:
    """Every host shows the certificate of the plan, but for those that are named."""

    async def look(_context: Context, name: str) -> Any:
        judgement = incident.record.read_facts(Stage.LIST, "inventory", Inventory).judgement(name)
        sha256, verdict = shown.get(name, (SHA[name], Verdict.CONFIRMED_KEY))
        assert judgement.facts
        return replace(judgement, facts=replace(judgement.facts, sha256=sha256), verdict=verdict)

    monkeypatch.setattr(guard, "require_confirmed", look)
    monkeypatch.setattr(guard, "require_unmoved", look)


def intents(case: Case) -> list[str]:
    return intents_of(case.incident)


def intents_of(incident: Incident) -> list[str]:
    return [line.text for line in incident.record.journal.read().lines if line.kind is Kind.INTENT]


# -- what may be sent is sent ------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHANGES)
def test_an_approved_change_is_sent_once_its_intent_is_on_disk(make: Callable[..., Case], name: str) -> None:
    """It never sends a change before its intent is on disk.

    Each of the changes of the product arrives once; a readiness check leaves no intent, since it changes nothing.
    """
    case = make(name)
    asyncio.run(cast("Any", CHANGES[name][0](case)))
    assert len(case.devices.sent) == 1
    assert case.devices.intended == intents(case) == ([] if name == "check readiness" else [WORDS[name]])


@pytest.mark.parametrize("name", WORDS)
def test_of_two_runs_whose_locks_do_not_meet_one_sends(
    make: Callable[..., Case], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never sends a change twice on one approval.

    Two machines share the records: what the other one wrote after the guard was asked is met as ours is written.
    """
    case = make(name)
    record = case.incident.record

    async def other_run(context: Context, _request: object) -> None:
        Record.open(record.root, record.incident).intend(context.stage, "primary", WORDS[name])

    monkeypatch.setattr(guard, "CHECKS", (*guard.CHECKS, other_run))
    with pytest.raises(PlanStale, match="already sent"):
        asyncio.run(cast("Any", CHANGES[name][0](case)))
    assert (case.devices.sent, intents(case)) == ([], [WORDS[name]])


# -- what may not be sent is not, and each guard is what keeps it from being -------------------------


def no_approval(case: Case, _name: str, _patch: pytest.MonkeyPatch) -> None:
    """A newer plan, which nobody approved."""
    record, host = case.incident.record, "secondary"
    inventory = record.read_facts(Stage.LIST, "inventory", Inventory)
    case.incident.list({"ise2": Verdict.UNCONFIRMED}, ha=BROKEN, **_stores(inventory), sha={host: SHA[host]})
    case.plan = case.incident.write_plan()


def _stores(inventory: Inventory) -> dict[str, tuple[str, ...]]:
    return {store.server: tuple(entry.key for entry in store.entries) for store in inventory.stores}


def another_incident(case: Case, _name: str, _patch: pytest.MonkeyPatch) -> None:
    """The approved plan is of another incident: this one has its own, without an approval."""
    inventory = case.incident.record.read_facts(Stage.LIST, "inventory", Inventory)
    other = Incident(case.incident.record.root.parent, site=case.incident.context.site, listed=False)
    other.list({}, ha=BROKEN, **_stores(inventory))
    other.record.write_facts(Stage.DIAGNOSE, DIAGNOSIS, Diagnosis(mismatches=()))
    case.plan = other.write_plan()
    case.incident, case.context = other, replace(case.context, record=other.record)


def blocked(case: Case, _name: str, _patch: pytest.MonkeyPatch) -> None:
    """Somebody seemed to answer as another host: the plan of then, approved as it is, is blocked."""
    interception(case, _name, _patch)
    case.plan = case.incident.write_plan()
    case.incident.approve(case.plan)
    inventory = case.incident.record.read_facts(Stage.LIST, "inventory", Inventory)
    case.incident.list({}, ha=BROKEN, **_stores(inventory))


def sent_before(case: Case, name: str, _patch: pytest.MonkeyPatch) -> None:
    """It was about to be sent once, and nobody knows what became of it."""
    case.incident.record.intend(case.context.stage, "primary", WORDS[name])


def edited(case: Case, name: str, _patch: pytest.MonkeyPatch) -> None:
    """The site's file has been edited since: other values would be typed."""
    site = case.context.site
    ha = site.ha.model_copy(update={"failover": "automatic"})
    ise = tuple(server.model_copy(update={"user": "another"}) for server in site.ise)
    case.context = replace(case.context, site=site.model_copy(update={"ha": ha, "ise": ise}))


def other_servers(case: Case, _name: str, _patch: pytest.MonkeyPatch) -> None:
    """The site's file calls another server its primary since: whatever is sent to it was planned for the one before."""
    site = case.context.site
    primary = site.primary.model_copy(update={"address": "192.0.2.99"})
    case.context = replace(case.context, site=site.model_copy(update={"primary": primary}))


def new_mismatch(case: Case, _name: str, _patch: pytest.MonkeyPatch) -> None:
    """Stage 20 has looked again since, and something is stale; its plan is not the one that is carried out."""
    plan = case.plan
    case.incident.list({}, ha=BROKEN)
    late = datetime.now(UTC) + timedelta(hours=1)
    stale = case.incident.plan(last_utc=late)
    assert stale.deletions
    case.incident.record.write_facts(Stage.DIAGNOSE, DIAGNOSIS, case.incident.diagnosis(late))
    assert case.incident.record.read_plan() == plan


def interception(case: Case, _name: str, _patch: pytest.MonkeyPatch) -> None:
    """Stage 20 has looked again since, and somebody may be answering as another host; nobody has planned anew."""
    inventory = case.incident.record.read_facts(Stage.LIST, "inventory", Inventory)
    case.incident.list({"ise2": Verdict.CONTRADICTED}, ha=BROKEN, **_stores(inventory))


def by_hand(case: Case, _name: str, _patch: pytest.MonkeyPatch) -> None:
    """A person is at a real site, and has not said that this is meant."""
    real = case.context.site.model_copy(update={"kind": "production"})
    case.context = replace(case.context, site=real, attended=True)


def unequal(case: Case, _name: str, _patch: pytest.MonkeyPatch) -> None:
    """Somebody has installed a fix on one server since."""
    case.devices.releases["secondary"] = (3, 10, 4)


def one_server(case: Case, _name: str, _patch: pytest.MonkeyPatch) -> None:
    """The secondary's address leads to the primary by now, whose host key is the same: both come from one image."""
    case.devices.host_names["secondary"] = "PRIME-primary"


def unlocked(case: Case, _name: str, patch: pytest.MonkeyPatch) -> None:
    """Nobody holds the lock."""
    patch.setenv("RUNBOOK_LOCK_TOKEN", "")


def impostor(case: Case, _name: str, patch: pytest.MonkeyPatch) -> None:
    """Every host shows a certificate that is a confirmed one, and not the one of the plan."""
    confirm(patch, case.incident, **dict.fromkeys(SHA, ("9" * 64, Verdict.CONFIRMED_CHAIN)))


def impostor_elsewhere(case: Case, name: str, patch: pytest.MonkeyPatch) -> None:
    """Another host than that of the change is contradicted by now."""
    own = case.change(*CHANGES[name][1:]).target
    others = dict.fromkeys(SHA.keys() - {own}, ("9" * 64, Verdict.CONTRADICTED))
    confirm(patch, case.incident, **others)


def out(check: Callable[..., Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """Take one check out of the guard."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        assert check in guard.CHECKS
        monkeypatch.setattr(guard, "CHECKS", tuple(each for each in guard.CHECKS if each is not check))

    return patch


def anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    approval = Approval(digest="", by="nobody", at_utc=datetime.now(UTC), how="a guard taken out")
    monkeypatch.setattr(guard, "approval_naming", lambda *_given: approval)


def sendable_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out the check, and the one that is made as the intent is written."""
    out(guard.not_sent_before)(monkeypatch)
    monkeypatch.setattr(guard, "sent_since", lambda *_: set())


def unblocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "require_not_blocked", lambda *_: None)


def ended(case: Case, _name: str, _patch: pytest.MonkeyPatch) -> None:
    """The incident was closed by somebody else while a notebook stood open."""
    case.incident.record.close(Outcome.STOPPED, by="Eva Novak", reason="another way")


def reopened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Record, "require_open", lambda _: None)


Spoil = Callable[[Case, str, pytest.MonkeyPatch], None]
AFTER_DELETIONS = tuple(name for name in CHANGES if name != "delete")
ABOUT_HA = ("remove HA", "register HA", "check readiness")
GUARDS: dict[str, tuple[Spoil, type[RunbookError], Callable[[pytest.MonkeyPatch], None], tuple[str, ...]]] = {
    "not approved": (no_approval, ApprovalMissing, anybody, tuple(CHANGES)),
    "approved in another incident": (another_incident, ApprovalMissing, anybody, tuple(CHANGES)),
    "closed": (ended, StageOutOfOrder, reopened, tuple(CHANGES)),
    "blocked": (blocked, DeletionRefused, unblocked, tuple(CHANGES)),
    "production not named": (by_hand, DecisionNeeded, out(guard.production_is_named), tuple(CHANGES)),
    "sent before": (sent_before, PlanStale, sendable_again, tuple(WORDS)),
    "edited": (edited, PlanStale, out(guard.nothing_moved), tuple(n for n in AFTER_DELETIONS if n != "remove HA")),
    "other servers": (other_servers, PlanStale, out(guard.nothing_moved), tuple(CHANGES)),
    "mismatch open": (new_mismatch, StageOutOfOrder, out(guard.no_mismatch_is_open), AFTER_DELETIONS),
    "interception": (interception, StageOutOfOrder, out(guard.no_mismatch_is_open), AFTER_DELETIONS),
    "releases differ": (unequal, VersionUnsupported, out(guard.releases_are_equal), ABOUT_HA),
    "one server": (one_server, DecisionNeeded, out(guard.servers_are_two), ("delete", "remove HA")),
    "not locked": (unlocked, SiteLocked, out(guard.lock_is_held), tuple(n for n in CHANGES if n != "check readiness")),
    "host moved": (impostor, CertificateMoved, out(guard.host_is_confirmed), tuple(CHANGES)),
    "another host": (impostor_elsewhere, CertificateMoved, out(guard.host_is_confirmed), tuple(CHANGES)),
}
EACH = [(why, name) for why, about in GUARDS.items() for name in about[3]]


@pytest.mark.parametrize(("why", "name"), EACH)
def test_a_change_is_refused_before_anything_is_sent(
    make: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, why: str, name: str
) -> None:
    """It never changes anything that was not in an approved plan. It never changes anything when something that the
    change rests on has moved since the plan was made. It never sends a change twice on one approval.

    Nor where its host is not the confirmed one, or the lock is not held: exit 3, nothing sent, no intent.
    """
    case = make(name)
    spoil, error, _, _ = GUARDS[why]
    spoil(case, name, monkeypatch)
    before = intents(case)
    with pytest.raises(error) as refused:
        asyncio.run(cast("Any", CHANGES[name][0](case)))
    assert refused.value.exit_code == SafetyStop.exit_code
    assert case.devices.sent == []
    assert intents(case) == before


@pytest.mark.parametrize(("why", "name"), EACH)
def test_without_its_guard_the_same_change_would_be_sent(
    make: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, why: str, name: str
) -> None:
    """The proof that the test before can fail: with the one guard taken out, the change arrives."""
    case = make(name)
    spoil, _, take_out, _ = GUARDS[why]
    spoil(case, name, monkeypatch)
    take_out(monkeypatch)
    asyncio.run(cast("Any", CHANGES[name][0](case)))
    assert len(case.devices.sent) == 1


@pytest.mark.parametrize(
    ("name", "shown", "verdict", "override", "sent"),
    [
        ("delete", SHA["ise"], Verdict.CONFIRMED_KEY, "", True),
        ("delete", SHA["ise"], Verdict.UNCHANGED, "", False),
        ("delete", SHA["ise"], Verdict.UNCONFIRMED, "", False),
        ("delete", SHA["ise"], Verdict.UNCONFIRMED, "Eva Novak", True),
        ("delete", "9" * 64, Verdict.UNCONFIRMED, "Eva Novak", False),
        ("add ISE", SHA["ise"], Verdict.UNCHANGED, "", True),
        ("add ISE", "", Verdict.UNREACHABLE, "", False),
    ],
)
def test_what_the_host_shows_decides(
    make: Callable[..., Case],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    shown: str,
    verdict: Verdict,
    override: str,
    sent: bool,
) -> None:
    """A deletion needs a confirmed certificate, or a person's word for this very one; no change goes by none at all.

    Where the plan confirmed none and the host shows none, the two are equal, and that is no proof.
    """
    case = make(name)
    planned = replace(case.change(*CHANGES[name][1:]), confirmed_sha256=SHA["ise"] if shown else "")
    change = replace(planned, override=override) if isinstance(planned, PlanRow) else planned
    judgement = SimpleNamespace(facts=SimpleNamespace(sha256=shown) if shown else None, verdict=verdict)

    async def look(_context: Context, _name: str) -> Any:
        return judgement

    monkeypatch.setattr(guard, "require_confirmed", look)
    approval = Approval(digest="", by="nobody", at_utc=datetime.now(UTC), how="a test")
    request = guard.ChangeRequest(plan=case.plan, change=change, what=About(name=name), approval=approval)
    with nullcontext() if sent else pytest.raises(CertificateMoved, match="the plan confirmed"):
        asyncio.run(guard.host_is_confirmed(case.context, request))


def test_an_impostor_of_a_host_without_an_entry_stops_the_first_deletion(
    make: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row of the plan is about it, and none has moved: whoever stands in one host's way may stand in another's."""
    case = make("delete")
    record = case.incident.record
    record.write_facts(Stage.DIAGNOSE, DIAGNOSIS, case.incident.diagnosis(datetime.now(UTC)))
    plan = case.incident.write_plan()
    seen = record.read_facts(Stage.LIST, "inventory", Inventory)
    assert "ise2" not in [row.target for row in plan.rows]
    for verdict, stops in ((Verdict.UNREACHABLE, False), (Verdict.CONTRADICTED, True)):
        judged = tuple(replace(each, verdict=verdict) if each.target == "ise2" else each for each in seen.judgements)
        inventory = replace(seen, judgements=judged)

        async def look(_context: Context, found: Inventory = inventory) -> Inventory:
            return found

        monkeypatch.setattr(deletion, "take_inventory", look)
        with pytest.raises(PlanStale, match="Somebody else may be answering") if stops else nullcontext():
            asyncio.run(deletion._refuse_if_moved(case.context, plan))


def test_one_server_that_answers_for_both_is_met_before_its_list_is_read(
    make: Callable[..., Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own entry stands in its list, and in the secondary's list that would be the primary's, to be deleted."""
    case = make("delete")
    one_server(case, "", monkeypatch)
    with pytest.raises(DecisionNeeded, match="Both command lines lead to one server"):
        asyncio.run(take_inventory(case.context))


@pytest.mark.parametrize(
    ("one", "other", "is_also"),
    [
        (("prime", "ssh-ed25519", "A"), ("PRIME", "ssh-ed25519", "A"), True),
        (("prime", "ssh-ed25519", "A"), ("prime", "ssh-rsa", "B"), True),  # a server has a key of each kind
        (("prime", "ssh-ed25519", "A"), ("prime", "ssh-ed25519", "B"), False),
        (("prime-pri", "ssh-ed25519", "A"), ("prime-sec", "ssh-ed25519", "A"), False),
        (("", "ssh-ed25519", "A"), ("", "ssh-ed25519", "A"), False),  # prompts without a name say nothing
    ],
)
def test_one_server_has_one_name_and_no_two_keys_of_a_kind(
    one: tuple[str, str, str], other: tuple[str, str, str], is_also: bool
) -> None:
    """Two servers that somebody gave one name are told apart by their keys, and two of one image by their names."""
    assert WhoAnswers(*one).is_also(WhoAnswers(*other)) is is_also
    assert WhoAnswers(*other).is_also(WhoAnswers(*one)) is is_also


@pytest.mark.parametrize(("release", "accepted"), [((3, 10, 0), False), ((3, 10, 4), True)])
def test_a_pair_is_registered_where_its_releases_are_one_or_the_site_accepts_two(
    make: Callable[..., Case], release: tuple[int, ...], accepted: bool
) -> None:
    """3.10 and 3.10.0 are one release; ``allow_unequal_releases`` is the operator's word that two may be paired."""
    case = make("register HA")
    case.devices.releases["secondary"] = release
    policy = case.context.site.policy.model_copy(update={"allow_unequal_releases": accepted})
    case.context = replace(case.context, site=case.context.site.model_copy(update={"policy": policy}))
    asyncio.run(_register(case))
    assert case.devices.sent == ["register"]


def test_a_pair_matches_in_what_was_installed_and_in_what_runs() -> None:
    """Both count: the same fixes over another base are another release, as the product says of HA peers."""
    one = ProductVersion(server="primary", base=(3, 10), release=(3, 10, 4), line="")
    for base, release, same in (((3, 10, 0), (3, 10, 4), True), ((3, 9), (3, 10, 4), False), ((3, 10), (3, 10), False)):
        other = replace(one, server="secondary", base=base, release=release)
        assert (guard.equal_releases((one, other)) == ()) is same


def test_what_the_plan_does_not_hold_is_not_done(make: Callable[..., Case]) -> None:
    """A healthy pair is neither registered nor removed by a plan that was made of it, however it is now."""
    case = make("register HA")
    case.incident.list({}, primary=PRIMARYS[:1], secondary=SECONDARYS[:1], ha=("Primary Active", "Secondary Syncing"))
    case.incident.approve(case.incident.write_plan())
    for name in ("register HA", "remove HA", "check readiness"):
        with pytest.raises(PlanStale, match="is not in the plan"):
            asyncio.run(cast("Any", CHANGES[name][0](case)))
    assert case.devices.sent == []


@pytest.mark.parametrize("name", AFTER_DELETIONS)
def test_without_a_diagnosis_or_a_plan_nothing_is_done(tmp_path: Path, make: Callable[..., Case], name: str) -> None:
    """A stage that is run first and alone ends with the stage that is missing."""
    case = make(name)
    other = Incident(tmp_path, site=case.context.site, listed=False)
    case.context = replace(case.context, record=other.record)
    with pytest.raises(StageOutOfOrder, match="no plan yet"):
        asyncio.run(cast("Any", CHANGES[name][0](case)))
    other.list({}, primary=PRIMARYS[:1], secondary=SECONDARYS[:1], ha=BROKEN)
    other.approve(other.write_plan())
    with pytest.raises(StageOutOfOrder, match="no diagnosis yet"):
        asyncio.run(cast("Any", CHANGES[name][0](case)))
    assert case.devices.sent == []


def test_a_refusal_of_the_page_uses_the_approval_up_and_a_connection_that_failed_does_not(
    make: Callable[..., Case],
) -> None:
    """What is known not to have left may be sent on the same approval; what the server refused needs a new one."""
    case = make("register HA")
    record = case.incident.record
    record.intend(Stage.REGISTER, "primary", REGISTRATION).not_sent("no such button")
    asyncio.run(_register(case))
    assert case.devices.sent == ["register"]
    record.pending_changes()[0].result("refused: wrong key")
    with pytest.raises(PlanStale, match="does not allow it twice"):
        asyncio.run(_register(case))
    again = case.incident.write_plan()
    assert again.digest != case.plan.digest
    (registration,) = (c for c in again.changes if c.kind is ChangeKind.REGISTER_HA)
    assert registration.attempt == 2
    with pytest.raises(ApprovalMissing):
        asyncio.run(_register(case))
    case.incident.approve(again)
    asyncio.run(_register(case))
    assert case.devices.sent == ["register", "register"]


@pytest.mark.parametrize("denied", [True, False])
def test_nothing_follows_a_deletion_that_new_lines_of_the_logs_deny(
    make: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, denied: bool
) -> None:
    """Where nobody saw a deletion happen the logs are read anew; what they do not decide keeps nothing waiting."""
    case = make("register HA")
    incident = case.incident
    incident.list({}, ha=BROKEN, primary=PRIMARYS, secondary=SECONDARYS[:1])
    incident.sent("primary", PRIMARYS[2], Deletion.NOT_DELETED_OR_CAME_BACK)
    plan = plan_of(case.context, Diagnosis(mismatches=()), recorded_inventory(case.context))
    incident.record.write_plan(plan)
    incident.approve(plan)
    now = incident.diagnosis(datetime.now(UTC) + timedelta(hours=1)) if denied else Diagnosis(mismatches=())
    monkeypatch.setattr(guard, "read_logs", lambda _context: now)
    with pytest.raises(RepairFailed, match="did not happen") if denied else nullcontext():
        asyncio.run(_register(case))
    assert case.devices.sent == ([] if denied else ["register"])


@pytest.mark.parametrize("name", ["delete", "register HA"])
def test_an_approval_is_not_renewed_by_giving_the_same_digest_again(make: Callable[..., Case], name: str) -> None:
    """It never sends a change twice on one approval.

    Whoever runs the stage again with the same parameter approve approves what was sent already, and that is over.
    """
    case, send = make(name), cast("Any", CHANGES[name][0])
    asyncio.run(send(case))
    if name == "delete":  # its stage keeps what the store said
        case.incident.sent(case.plan.deletions[0].server, case.plan.deletions[0].key)
    case.incident.approve(case.plan)
    with pytest.raises(PlanStale, match="does not allow it twice"):
        asyncio.run(send(case))
    assert len(case.devices.sent) == 1


def test_a_deletion_that_only_an_older_plan_holds_is_not_sent(make: Callable[..., Case]) -> None:
    """That plan was approved and begun, so its approval covers what is left; the newest plan says what that is."""
    case = make("delete")
    first, second = case.plan.deletions[:2]
    case.incident.sent(second.server, second.key)
    case.incident.list({first.target: Verdict.UNCHANGED}, ha=BROKEN, sha={first.target: SHA[first.target]})
    assert first.key not in [row.key for row in case.incident.write_plan().deletions]
    with pytest.raises(PlanStale, match="is not in the plan"):
        asyncio.run(_delete(case))
    assert case.devices.sent == []


@pytest.mark.parametrize(
    ("now", "sent"), [(False, ["remove ISE server ise", "add ISE server ise"]), (True, []), (None, [])]
)
def test_an_ise_server_that_answers_by_now_is_not_removed(
    make: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, now: bool | None, sent: list[str]
) -> None:
    """What was decided may be hours old, with a person who looked in the evening: the page is read again first."""
    monkeypatch.setenv("ISE", "a-password-of-tests")
    case = make("replace ISE")
    row = ListedIseServer(address=case.context.site.ise[0].address, answers=False)
    decision = readd_ise._decide(case.context.site.ise[0], (row,))
    assert decision.action is readd_ise.IseAction.REPLACE

    async def listed(*, anew: bool = True) -> tuple[ListedIseServer, ...]:
        return (replace(row, answers=now),)

    pressed = {f"{verb}_ise": partial(case.devices.press, f"{verb} ISE server ise") for verb in ("add", "remove")}
    page = cast("Any", SimpleNamespace(ise_servers=listed, **pressed))
    asyncio.run(readd_ise._drive(case.context, page, [decision]))
    assert case.devices.sent == sent


@pytest.mark.parametrize("passed", [True, False])
def test_a_form_that_asks_for_its_own_check_is_registered_only_where_that_passes(
    make: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, passed: bool
) -> None:
    """A form that was opened anew offers Register once its own check has passed: an earlier table opens no door."""
    case = make("register HA")
    monkeypatch.setattr(register_ha, "require_confirmed", guard.require_confirmed)
    item = ReadinessItem(name="Database Port 1522", passed=passed, detail="closed")

    async def check(_form: object) -> tuple[ReadinessItem, ...]:
        await case.devices.press("check readiness")
        return (item,)

    async def first() -> bool:
        return True

    async def done(_context: Context, _page: object, _before: object) -> HaPage:
        return HaPage(configuration_mode="Primary Active", milestones=(), message="", read_utc=datetime.now(UTC))

    monkeypatch.setattr(register_ha, "watch_registration", done)
    verbs = {"register": partial(case.devices.press, "register"), "check_readiness": check, "checks_first": first}
    page = SimpleNamespace(open_ha_configuration=case.devices.nothing, **verbs)
    pages = cast("Any", SimpleNamespace(open=partial(case.devices.opened, page)))
    good = (replace(item, passed=True),)
    with nullcontext() if passed else pytest.raises(ReadinessFailed):
        asyncio.run(register_ha._drive(case.context, pages, register_ha.HaAction.REGISTER, good))
    assert case.devices.sent == ["check readiness", *(["register"] if passed else [])]
    assert case.context.record.read_facts(Stage.REGISTER, "readiness", tuple[ReadinessItem, ...]) == (item,)


@pytest.mark.parametrize("stopped", [ReadinessFailed, VersionUnsupported, DeletionRefused])
def test_the_form_is_not_even_opened_where_register_could_not_be_pressed(
    make: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, stopped: type[RunbookError]
) -> None:
    """A check that failed, a release that is too old, and a primary of which nobody knows who answers there."""
    case = make("register HA")

    async def confirmed(_context: Context, name: str) -> None:
        assert name == "primary"
        if stopped is DeletionRefused:
            raise DeletionRefused("the primary is not confirmed")

    monkeypatch.setattr(register_ha, "require_confirmed", confirmed)
    item = ReadinessItem(name="Database Port 1522", passed=stopped is not ReadinessFailed, detail="closed")
    if stopped is VersionUnsupported:
        case.devices.releases = {"primary": (3, 4), "secondary": (3, 4)}
    form = partial(case.devices.press, "the form")
    page = SimpleNamespace(open_ha_configuration=form, register=form)
    pages = cast("Any", SimpleNamespace(open=partial(case.devices.opened, page)))
    with pytest.raises(stopped):
        asyncio.run(register_ha._drive(case.context, pages, register_ha.HaAction.REGISTER, (item,)))
    assert case.devices.sent == []


@pytest.mark.parametrize("moved", ["primary", "secondary"])
def test_no_steps_are_shown_while_it_is_not_known_who_answers(
    make: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    """A person would type the key and the password by hand, into whatever answers there."""
    case = make("register HA")

    async def confirmed(_context: Context, name: str) -> None:
        if name == moved:
            raise DeletionRefused(f"{name} is not confirmed")

    async def fingerprint(_context: Context) -> str:
        return "a" * 64

    monkeypatch.setattr(register_ha, "require_confirmed", confirmed)
    monkeypatch.setattr(register_ha, "web_fingerprint", fingerprint)
    with pytest.raises(DeletionRefused, match=moved):
        asyncio.run(register_ha.guide_of(case.context, cast("Any", SimpleNamespace(trouble=None))))


@pytest.mark.parametrize("words", [register_ha.BY_HAND, readd_ise.BY_HAND])
def test_a_person_is_not_told_to_do_what_nobody_approved(
    make: Callable[..., Case], monkeypatch: pytest.MonkeyPatch, words: About
) -> None:
    """Guided mode needs the approved plan as well: without it no step is shown, with it they are."""
    case = make("register HA")
    told: list[str] = []
    pages = cast("Any", SimpleNamespace(guided=True, trouble=None))

    async def guide(*_given: object) -> Any:
        return SimpleNamespace(text=lambda: "the steps")

    monkeypatch.setattr(register_ha, "guide_of", guide)
    monkeypatch.setattr(readd_ise, "ise_steps", guide)
    case.context = replace(case.context, progress=cast("Any", told.append))

    def act() -> Awaitable[None]:
        if words == register_ha.BY_HAND:
            return register_ha._by_hand(case.context, pages)
        return readd_ise._by_hand(case.context, pages, ["ise"])

    with pytest.raises(DecisionNeeded, match="The web pages need a person"):
        asyncio.run(cast("Any", act()))
    no_approval(case, "", monkeypatch)
    with pytest.raises(ApprovalMissing):
        asyncio.run(cast("Any", act()))
    assert told == []


# -- every way to a device goes through it -----------------------------------------------------------


@dataclass(frozen=True)
class Function:
    """One function of the steps: which calls stand in it, in their order."""

    name: str
    calls: tuple[str, ...]
    passed: tuple[str, ...]


def functions() -> Iterator[Function]:
    for path in sorted(STEPS.glob("*.py")):
        for node in nodes_of(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
                calls.sort(key=lambda call: (call.lineno, call.col_offset))
                names = tuple(_name(call.func) for call in calls)
                arguments = [argument for call in calls for argument in call.args]
                yield Function(f"{path.stem}.{node.name}", names, tuple(map(_name, arguments)))


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_the_verbs_that_change_a_device_are_all_known() -> None:
    """Whatever a layer below sends once, or types a secret for, is one of those whose callers are looked at here."""
    web = tree_of(STEPS.parent / "web" / "pages.py")
    prime = tree_of(STEPS.parent / "device" / "prime.py")
    once = {f.name for f in ast.walk(web) if isinstance(f, ast.AsyncFunctionDef) if "_once" in _calls(f)} - {"_once"}
    typed = {f.name for f in ast.walk(web) if isinstance(f, ast.AsyncFunctionDef) if "form" in _arguments(f)}
    sent = {f.name for f in ast.walk(prime) if isinstance(f, ast.AsyncFunctionDef) if "replies" in _calls(f)}
    assert once | typed | sent == VERBS


def _calls(node: ast.AST) -> set[str]:
    return {_name(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)}


def _arguments(node: ast.AsyncFunctionDef) -> set[str]:
    return {argument.arg for argument in node.args.args}


def test_no_change_is_sent_but_by_a_function_that_has_just_asked_the_guard() -> None:
    """Every intent is written after the guard was asked, and every verb stands in such a function or one it calls."""
    intending = [each for each in functions() if INTENDING & {*each.calls} and each.name != "guard.begin"]
    assert {each.name for each in intending} == {
        "deletion._delete_one",
        "ha.remove_ha",
        "ha._register_once",
        "ha._by_hand",
        "ise._change",
        "ise._by_hand",
    }
    for each in intending:
        (intent,) = INTENDING & {*each.calls}
        assert "permit" in each.calls[: each.calls.index(intent)], each.name
    sending = {each.name for each in functions() if VERBS & {*each.calls, *each.passed}}
    guarded = {each.name for each in intending} | {"ha._checked"}
    by_them = {"deletion._send", "ise._drive", "ha.register"}
    assert sending <= guarded | by_them, "a new way to a device: ask the guard in it, and name it here"


def test_nobody_but_the_steps_reaches_a_verb_or_writes_an_intent() -> None:
    """The layers above the steps call steps; only these modules may send or intend."""
    above = ("notebook", "cli", "batch", "show")
    for path in (p for folder in above for p in (STEPS.parent / folder).rglob("*.py")):
        used = _calls(tree_of(path))
        assert not used & {*INTENDING, "delete_tofu", "remove_ha", "add_ise", "remove_ise"}, path
