"""What remains unproven, and what can be undone."""

from __future__ import annotations

from collections.abc import Iterator

from runbook_lib.models import Check, Diagnosis, Judgement, Stage, StageState, Verdict
from runbook_lib.record.verify import NOT_PROVEN
from runbook_lib.report.values import OWN_STAGE, Change, Impact, StageRow, Standing
from runbook_lib.steps.verify import UNPROVEN

_BACK = "a snapshot or backup of that server from before, which brings the old entry back, and the mismatch with it"
_HA_AGAIN = (
    "High availability can be removed again, on the primary's page or with ncs ha remove. What replication wrote over"
    " on the secondary comes back only from its snapshot or backup."
)
UNDO = {
    Stage.DELETE.value: ("no", f"The product cannot put an entry back; the next connection adds one. Only {_BACK}."),
    Stage.REGISTER.value: ("yes, at a price", _HA_AGAIN),
    Stage.READD_ISE.value: ("yes", "The ISE server can be deleted on its page and added again with its credentials."),
}
_SNAPSHOT = (
    "A snapshot or backup of both servers is the only way back to a whole earlier state. Going back makes the servers"
    " store the old certificates again, so the mismatch returns. Whether one was taken is not recorded."
)
NOT_SHOWN = "The product shows no fingerprint of what it stores: which certificate an entry holds is not known."
SNAPSHOT = ("any other state of a server", "only with a snapshot", _SNAPSHOT)


def unproven_of(
    standing: Standing,
    diagnosis: Diagnosis | None,
    judgements: tuple[Judgement, ...],
    checks: tuple[Check, ...],
    changes: tuple[Change, ...],
    stages: tuple[StageRow, ...],
    impacts: tuple[Impact, ...],
    unread: list[str],
) -> Iterator[str]:
    """Yield what this record leaves open, the gravest first."""
    yield from (f"{path}: {what}" for path, what in standing.problems)
    yield from (f"Result not known: {change.what} on the {change.server}" for change in changes if not change.result)
    yield from (f"Check not held: {check.name}: {check.actual}" for check in checks if check.ok is False)
    yield from (f"Check not made: {check.name}: {check.actual}" for check in checks if check.ok is None)
    if not checks:
        yield "Whether it works: no checks of stage 60 are in this record."
    yield from _last_states(stages)
    for judgement in judgements:
        if not judgement.verdict.confirmed and judgement.verdict is not Verdict.UNCHANGED:
            yield f"The certificate of {judgement.target} is {judgement.verdict}: {judgement.reason}"
        for vantage, why in judgement.not_available:
            yield f"What {judgement.target} shows at vantage {vantage}: not available, {why}"
    if diagnosis is None:
        yield "What the logs say: none was diagnosed."
    for impact in impacts:
        yield from (f"{impact.what}: {what}" for what in impact.not_known)
    yield UNPROVEN if checks and all(check.ok for check in checks) else NOT_SHOWN
    yield from (f"Not read: {path}" for path in unread)
    if not standing.key:
        yield "Who wrote this record: no signature was checked for this report."
    yield from (f"Even a signed record does not prove {limit}" for limit in NOT_PROVEN)


def _last_states(stages: tuple[StageRow, ...]) -> Iterator[str]:
    for row in stages:
        if row.last and row.state is not StageState.DONE and row.stage != OWN_STAGE:
            yield f"Stage {row.stage} is {row.state}" + (f": {row.why}" if row.why else "")


def undo_of(changes: tuple[Change, ...]) -> tuple[tuple[str, str, str], ...]:
    """Return per change: what, whether it can be undone, how; at the end what a snapshot is for."""
    rows = [
        (f"{change.number}. {change.what} ({change.server})", *UNDO.get(change.stage, ("not known", "")))
        for change in changes
    ]
    return (*rows, SNAPSHOT)
