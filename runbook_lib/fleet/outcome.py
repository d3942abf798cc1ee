"""How a round stands: what became of every site, kept in the round and sealed, so that a signature covers it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runbook_lib.errors import RecordDamaged, RunbookError
from runbook_lib.fleet.round import Round
from runbook_lib.fleet.task import FAILURES, FINISHED, SiteResult, SiteState
from runbook_lib.models import Outcome
from runbook_lib.record import Kind, Record, Seal, seal_record
from runbook_lib.record.facts import to_json_value

TEXT = "outcome of the round"


@dataclass(frozen=True, kw_only=True)
class SiteOutcome:
    """One line of the signed roll-up. ``lines`` and ``head`` bind it to its incident's journal as it was then."""

    site: str
    incident: str
    state: SiteState
    why: str
    seconds: float
    lines: int
    head: str


@dataclass(frozen=True, kw_only=True)
class RoundOutcome:
    """The signed roll-up. ``rollup`` is the digest that was approved, empty where the stages only read."""

    fleet: str
    round: str
    rollup: str
    made_utc: datetime
    stopped: str
    sites: tuple[SiteOutcome, ...]

    @property
    def counts(self) -> dict[SiteState, int]:
        found = Counter(each.state for each in self.sites)
        return {state: found[state] for state in SiteState if found[state]}


def keep_outcome(round_: Round, rollup: str, results: Iterable[SiteResult], stopped: str) -> tuple[RoundOutcome, Seal]:
    """Keep what became of every site, say how the round ended, and seal it; raises ``RecordNotWritable``."""
    found = RoundOutcome(
        fleet=round_.site,
        round=round_.incident,
        rollup=rollup,
        made_utc=datetime.now(UTC),
        stopped=stopped,
        sites=tuple(_of_site(round_, result) for result in results),
    )
    value: Any = to_json_value(found)
    value["counts"] = {state.value: number for state, number in found.counts.items()}
    round_.keep_json("outcomes/outcome.json", value, seen=_in_words(found), text=TEXT)
    if SiteState.DONE not in found.counts:  # what was only read has no outcome
        round_.set_outcome(whole(found), _in_words(found))
    described = {each.site: each.incident for each in found.sites}
    return found, seal_record(round_, {"fleet": round_.site, "sites": described})


def whole(found: RoundOutcome) -> Outcome:
    """Return the worst that became of a site, as the outcome of the round; not started is stopped."""
    states = set(found.counts)
    for outcome in (Outcome.UNKNOWN, Outcome.FAILED, Outcome.STOPPED, Outcome.REPAIRED_UNVERIFIED, Outcome.REPAIRED):
        if outcome.value in {state.value for state in states}:
            return outcome
        if outcome is Outcome.STOPPED and SiteState.NOT_STARTED in states:
            return outcome
    return Outcome.NOTHING_TO_DO


def exit_code(found: RoundOutcome) -> int:
    """Return the exit code of a run, by the table of exit codes: the worst that became of a site."""
    states = set(found.counts)
    if SiteState.UNKNOWN in states:
        return 6
    if states & FAILURES:
        return 1
    return 3 if states - FINISHED else 0


def newest_outcome(round_: Round) -> RoundOutcome | None:
    """Return what a round came to when it was run last, or None; raises ``RecordDamaged`` where the file says none."""
    for line in reversed(round_.journal.read().lines):
        if line.kind is Kind.KEPT and line.artifact and line.text == TEXT:
            return _read(round_, line.artifact)
    return None


def _read(round_: Round, artifact: Any) -> RoundOutcome:
    from pydantic import TypeAdapter

    data = round_.read_bytes(artifact)
    try:  # ``counts`` is for readers of the file; here it follows from the sites.
        return TypeAdapter(RoundOutcome).validate_json(data)
    except ValueError:
        raise RecordDamaged("the file holds no outcome of a round", where=artifact.path) from None


def _of_site(round_: Round, result: SiteResult) -> SiteOutcome:
    lines, head = 0, ""
    if result.incident:
        try:
            journal = Record.open(round_.root, result.incident).journal.read()
            lines, head = len(journal.lines), journal.head
        except RunbookError:
            pass  # it lies elsewhere, or is damaged: nothing is claimed of it
    return SiteOutcome(
        site=result.site,
        incident=result.incident,
        state=result.state,
        why=result.why,
        seconds=result.seconds,
        lines=lines,
        head=head,
    )


def _in_words(found: RoundOutcome) -> str:
    return ", ".join(f"{number} {state.value}" for state, number in found.counts.items()) or "no sites"
