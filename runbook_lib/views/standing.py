"""Tables of how things stand: checks, stages, high availability and the ISE servers. No decisions are made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runbook_lib.models import Check, HaPage, HaStatus, IseServer, ReadinessItem, StageState
from runbook_lib.views.rows import BAD, DOUBT, GOOD, PLAIN, Row, Table
from runbook_lib.views.table import View
from runbook_lib.words import AsIs

STATE_MARKS = {
    StageState.DONE: GOOD,
    StageState.FAILED: BAD,
    StageState.STOPPED: DOUBT,
    StageState.INTERRUPTED: DOUBT,
    StageState.UNKNOWN: BAD,
}


def checks(value: tuple[Check, ...], title: str, note: str = "") -> View[tuple[Check, ...]]:
    marks = {True: GOOD, False: BAD, None: DOUBT}
    words = {True: "yes", False: "no", None: "not known"}
    table = Table(
        title=title,
        headers=("what", "expected", "actual", "as expected", "note"),
        rows=tuple(Row(cells=(c.name, c.expected, c.actual, words[c.ok], c.note), mark=marks[c.ok]) for c in value),
        note=note,
    )
    return View(value, (table,))


def stages(
    value: Mapping[str, StageState],
    title: str = "Stages of this incident",
    before: Mapping[str, Sequence[StageState]] | None = None,
) -> Table:
    """``before``: how earlier attempts at a stage ended, where there were any."""
    rows = [Row(cells=(stage, state), mark=STATE_MARKS.get(state, PLAIN)) for stage, state in value.items()]
    if not before:
        return Table(title=title, headers=("stage", "state"), rows=tuple(rows))
    ended = [", ".join(before.get(stage, ())) or "-" for stage in value]
    return Table(
        title=title,
        headers=("stage", "state", "attempts before"),
        rows=tuple(replace(row, cells=(*row.cells, how)) for row, how in zip(rows, ended, strict=True)),
    )


def ha_states(states: Sequence[HaStatus]) -> Table:
    return Table(
        title="High availability, on each server's own word",
        headers=("server", "role", "state", "failover"),
        rows=tuple(Row(cells=(s.server, AsIs(s.role), AsIs(s.state), AsIs(s.failover))) for s in states),
    )


def readiness(
    value: tuple[ReadinessItem, ...], accepted: Sequence[str], why_none: str
) -> View[tuple[ReadinessItem, ...]]:
    """``why_none`` stands in the place of the items where there are none."""
    table = Table(
        title="Check Readiness, as the page says it",
        headers=("item", "result", "detail"),
        rows=tuple(
            Row(
                cells=(AsIs(item.name), _readiness_word(item, accepted), AsIs(item.detail)),
                mark=GOOD if item.passed else DOUBT,
            )
            for item in value
        ),
        empty=why_none,
    )
    return View(value, (table,))


def _readiness_word(item: ReadinessItem, accepted: Sequence[str]) -> str:
    if item.passed:
        return "passed"
    return "failed, accepted by the site's file" if item.name in accepted else "failed"


def ha_page(value: HaPage | None) -> View[HaPage | None]:
    rows = (
        ()
        if value is None
        else (
            Row(cells=("Configuration Mode", AsIs(value.configuration_mode))),
            *(
                Row(cells=(m.name, f"{m.percent} %" + (" failed" if m.failed else "")), mark=BAD if m.failed else PLAIN)
                for m in value.milestones
            ),
            *((Row(cells=("message", AsIs(value.message)), mark=DOUBT),) if value.message else ()),
        )
    )
    table = Table(title="High Availability page", headers=("what", "value"), rows=rows, empty="not opened")
    return View(value, (table,))


def ise_servers(value: tuple[IseServer, ...]) -> View[tuple[IseServer, ...]]:
    words = {True: "answers", False: "does not answer", None: "not known"}
    marks = {True: GOOD, False: BAD, None: DOUBT}
    table = Table(
        title="ISE Servers page",
        headers=("address", "status", "meaning"),
        rows=tuple(
            Row(cells=(AsIs(s.address), AsIs(s.status), words[s.answers]), mark=marks[s.answers]) for s in value
        ),
        empty="no ISE server is listed",
    )
    return View(value, (table,))


def steps(title: str, why: str, value: Sequence[tuple[str, str]]) -> Table:
    """What a person is to do, in order."""
    rows = tuple(Row(cells=(str(number), what, text)) for number, (what, text) in enumerate(value, 1))
    return Table(title=title, headers=("step", "do", "value"), rows=rows, note=why)
