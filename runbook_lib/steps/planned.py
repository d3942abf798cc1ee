"""What stages 40 and 50 may change, planned before anything is deleted. Pure; nothing is contacted.

Whether high availability comes back by itself, and what the ISE Servers page says, is known only after the
deletions. So a change is planned with the condition under which it is made: what turns out not to be needed is
not done, and what is needed and does not stand here is not done either, but planned anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from runbook_lib.models import (
    ChangeKind,
    Decision,
    HaStatus,
    Inventory,
    Judgement,
    Override,
    PlannedChange,
    PlanRow,
    Verdict,
)
from runbook_lib.params import IseServer, Site
from runbook_lib.parse.ha import StateKind
from runbook_lib.prime import REMOVE_HA
from runbook_lib.steps.ha_form import form_rows
from runbook_lib.steps.ha_state import in_words, kinds_of, served_by_secondary
from runbook_lib.steps.history import Past
from runbook_lib.steps.overriding import accepted_of
from runbook_lib.steps.targets import PI_SERVERS

REGISTRATION = "register HA"
REMOVAL_MEANS = (
    "removing it ends replication: the secondary then holds no copy, nobody takes over when the primary fails,"
    " and the whole database is replicated anew, half an hour to hours"
)
_REGISTERING_MEANS = (
    "the primary goes on serving; its whole database is replicated to the secondary, half an hour to hours, and"
    " replaces what the secondary holds"
)
_ADDING_MEANS = "nothing that works: Prime Infrastructure gets on with this ISE server only once it answers"
_REGISTER_IF = "where both servers do not report high availability as healthy after the deletions"
_REMOVE_IF = "where the registration stays broken after the deletions, and the secondary does not serve"
_READD_IF = "added where the page does not list it, replaced where it is listed and does not answer, else left alone"
_WHY_REGISTER = {
    "not registered": "high availability is not registered",
    "registered and not healthy": "the pair does not work now; it may recover once the stale entries are gone",
    "healthy": "a stale entry of a peer is deleted; the pair may not come back by itself",
    "sent already": "a registration was sent and its end was not seen: it is watched; this is for when it is over",
    "not known": "what the servers say of high availability is not understood",
}


def adding(name: str) -> str:
    """Return what the journal calls adding this ISE server."""
    return f"add ISE server {name}"


def removing(name: str) -> str:
    """Return what the journal calls removing this ISE server from the list, so that it can be added again."""
    return f"remove ISE server {name}"


def words_of(change: PlannedChange) -> str:
    """Return what the journal calls the change when it is sent; this is what its attempts are counted by."""
    if change.kind is ChangeKind.READD_ISE:
        return adding(change.target)
    return REMOVE_HA if change.kind is ChangeKind.REMOVE_HA else REGISTRATION


def changes_of(
    site: Site, inventory: Inventory, rows: Sequence[PlanRow], past: Past, overrides: tuple[Override, ...]
) -> tuple[PlannedChange, ...]:
    """Return what may be changed after the deletions of ``rows``, in the order in which it is."""
    deleted = {row.target for row in rows if row.decision is Decision.DELETE}
    accepted = {target: accepted_of(site, overrides, target) for target in ("secondary", *(s.name for s in site.ise))}

    def confirmed(target: str) -> str:
        return _confirmed(inventory.judgement(target), accepted[target])

    ha = _ha_changes(site, inventory.ha, deleted, past, confirmed("secondary"))
    return (*ha, *(_readd(server, rows, past, confirmed(server.name)) for server in site.ise))


def settings_of(site: Site, kind: ChangeKind, target: str) -> tuple[tuple[str, str], ...]:
    """Return the fields that this change types as the site's file has them now, secrets by their references."""
    if kind is ChangeKind.REGISTER_HA:
        return form_rows(site)
    if kind is ChangeKind.REMOVE_HA:
        return ()
    return _ise_settings(next(each for each in site.ise if each.name == target))


def _ise_settings(server: IseServer) -> tuple[tuple[str, str], ...]:
    return (("Server Address", server.address), ("User Name", server.user), ("Password", server.password.source))


def attempt(past: Past, words: str) -> int:
    """Return which attempt the next sending of a change is: each one needs a plan, and so an approval, of its own."""
    return 1 + past.sent_changes.get(words, 0)


def _confirmed(judgement: Judgement, accepted: frozenset[str]) -> str:
    """Return the certificate that the host must still show; nothing where the plan confirms none."""
    if judgement.facts is None:
        return ""
    sha256, verdict = judgement.facts.sha256, judgement.verdict
    good = verdict.confirmed or verdict is Verdict.UNCHANGED
    return sha256 if good or (verdict is Verdict.UNCONFIRMED and sha256 in accepted) else ""


def _ha_changes(
    site: Site, states: Sequence[HaStatus], deleted: set[str], past: Past, confirmed: str
) -> tuple[PlannedChange, ...]:
    state = "sent already" if REGISTRATION in past.pending_changes else _state(site, states)
    if served_by_secondary(states) or (state == "healthy" and not deleted & set(PI_SERVERS)):
        return ()
    register = PlannedChange(
        kind=ChangeKind.REGISTER_HA,
        server="primary",
        target="secondary",
        condition=_REGISTER_IF,
        rests_on=state,
        reason=_WHY_REGISTER[state],
        interrupts=_REGISTERING_MEANS,
        settings=settings_of(site, ChangeKind.REGISTER_HA, "secondary"),
        confirmed_sha256=confirmed,
        attempt=attempt(past, REGISTRATION),
        expected=state == "not registered",
        seen=in_words(states),
    )
    if not site.policy.remove_broken_ha or state == "not registered":
        return (register,)
    remove = PlannedChange(
        kind=ChangeKind.REMOVE_HA,
        server="primary",
        target="secondary",
        condition=_REMOVE_IF,
        rests_on=state,
        reason="the site's file allows it (policy: remove_broken_ha)",
        interrupts=REMOVAL_MEANS,
        confirmed_sha256=confirmed,
        attempt=attempt(past, REMOVE_HA),
        seen=in_words(states),
    )
    return (remove, register)


def _state(site: Site, states: Sequence[HaStatus]) -> str:
    """Return the states by their meaning, as far as the plan depends on them: a flapping pair is one that is broken."""
    kinds = kinds_of(site, states)
    if len(kinds) < len(PI_SERVERS) or StateKind.UNKNOWN in kinds:
        return "not known"
    if set(kinds) == {StateKind.HEALTHY}:
        return "healthy"
    return "not registered" if kinds[0] is StateKind.NOT_CONFIGURED else "registered and not healthy"


def _readd(server: IseServer, rows: Sequence[PlanRow], past: Past, confirmed: str) -> PlannedChange:
    decisions = {row.decision for row in rows if row.target == server.name}
    if Decision.DELETE in decisions:
        rests_on, reason = "its entry is deleted", "once its stale entry is gone, it may answer again by itself"
    elif decisions:
        rests_on, reason = "its entry stays", "nothing says that it does not work; its page is read in stage 50"
    else:
        rests_on, reason = "no entry of it", "the primary holds no certificate of it; its page is read in stage 50"
    return PlannedChange(
        kind=ChangeKind.READD_ISE,
        server="primary",
        target=server.name,
        condition=_READD_IF,
        rests_on=rests_on,
        reason=reason,
        interrupts=_ADDING_MEANS,
        settings=_ise_settings(server),
        confirmed_sha256=confirmed,
        attempt=attempt(past, adding(server.name)),
    )
