"""A diagnosis as text, as excerpts and as JSON (``docs/diagnosis.schema.json``). What comes from logs is escaped."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from runbook_lib.errors import cut, one_line, printable
from runbook_lib.i18n.language import stamp, utc_time
from runbook_lib.logs import conclusions
from runbook_lib.logs.rules import LIST_FIRST, place_named
from runbook_lib.logs.sources import AFTER, BEFORE
from runbook_lib.observations import Diagnosis, LogLine, LookAlike, Mismatch, NextStep

SCHEMA_VERSION = 1
SHOWN_LINES = 8
MOST_FILES = 8
_WIDEST, _LONGEST = 200, 20_000
NARROWEST = 40
_LABEL = re.compile(r" {2,6}(?:[a-z ]{4,11}: +|\d+\. |\d+: |- )?|[A-Z-]+ +")
"""What stands at the beginning of a line, below which the rest of it goes on."""
_BREAKS = re.compile(r"(\s+|(?<=/)(?=[^\s/]))")
"""Where a line may be broken: at blanks, and behind a slash, so that a file's name stays whole."""


@dataclass(frozen=True)
class Report:
    """A diagnosis and what it is shown with: how many lists were at hand, and what is known for the next steps."""

    diagnosis: Diagnosis
    stores: int = 0
    known: Mapping[str, str] | None = None

    @property
    def steps(self) -> tuple[NextStep, ...]:
        """What to do next, in the order of urgency."""
        return conclusions.next_steps(self.diagnosis, self.known or {})


# -- text -----------------------------------------------------------------------------------------


def as_text(report: Report, width: int = 0) -> str:
    """Return the report for a terminal of ``width`` columns (0: lines of any length): nothing in it can control one."""
    return "\n".join(piece for line in _lines(report) for piece in _wrapped(one_line(line, _LONGEST), width)) + "\n"


def _wrapped(line: str, width: int) -> list[str]:
    """Return a line in pieces of ``width``, what goes on below what it says; 0: as it is."""
    if not width or len(line) <= width:
        return [line]
    hung = _LABEL.match(line)
    indent = " " * min(hung.end() if hung else 0, width // 3)
    wrapper = textwrap.TextWrapper(max(width, NARROWEST), subsequent_indent=indent, break_on_hyphens=False)
    wrapper.wordsep_simple_re = _BREAKS
    return wrapper.wrap(line)


def _lines(report: Report) -> Iterator[str]:
    diagnosis = report.diagnosis
    yield conclusions.verdict(diagnosis)
    shared = _shared(report)
    for mismatch in diagnosis.mismatches:
        yield ""
        yield f"MISMATCH   {mismatch.subject}"
        yield from (_fact(fact) for fact in _facts(mismatch, report.stores) if fact not in shared)
        yield from (f"    {line}" for line in _evidence(mismatch.evidence))
    if shared:
        yield from ("", f"ALL {len(diagnosis.mismatches)} MISMATCHES", *map(_fact, shared))
    for alike in diagnosis.look_alikes:
        yield ""
        yield f"LOOK-ALIKE {alike.rule} ({_server(alike)}, {alike.count:,} times, {alike.confidence})"
        yield f"  {alike.meaning}"
        yield from (f"    {line}" for line in _evidence(alike.evidence))
    if moments := conclusions.timeline(diagnosis):
        yield from ("", "TIMELINE")
        yield from (f"  {moment_in_words(moment):<27} {moment.server:<10} {moment.what}" for moment in moments)
    if diagnosis.damaged:
        yield from ("", "NOT READ WHOLE")
        yield from (f"  {damage.source}: {damage.problem}" for damage in diagnosis.damaged)
    if diagnosis.not_logs:
        yield from ("", "NOT A LOG")
        yield from (f"  {line}" for line in _no_logs(diagnosis))
    if report.steps:
        yield from ("", "NEXT")
        yield from (f"  {line}" for number, step in enumerate(_steps(report), 1) for line in _numbered(number, step))
    yield ""
    yield f"{diagnosis.lines_read:,} lines read ({diagnosis.bytes_read:,} bytes)."


def _no_logs(diagnosis: Diagnosis) -> Iterator[str]:
    for other in diagnosis.not_logs[:MOST_FILES]:
        yield f"{other.source}: {other.looks_like}"
    if (more := diagnosis.files_read - diagnosis.recognised_files - len(diagnosis.not_logs[:MOST_FILES])) > 0:
        yield f"… and {more:,} more"


def _steps(report: Report) -> list[tuple[str, list[str], str]]:
    """Return the next steps: what to do, where (empty: one place, named with it), and the command.

    What every mismatch asks for is said once, with all places in which to do it.
    """
    places: dict[str, list[str]] = {}
    for step in report.steps:
        if step.place:
            places.setdefault(conclusions.command_of(step), []).append(place_named(step.place).where)
    steps: list[tuple[str, list[str], str]] = []
    for step in report.steps:
        command = conclusions.command_of(step)
        folded = step.place and len(places[command]) > 1
        new = (f"{LIST_FIRST}:", places[command], command) if folded else (step.advice, [], command)
        steps += [new] if new not in steps else []
    return steps


def _numbered(number: int, step: tuple[str, list[str], str]) -> Iterator[str]:
    advice, places, command = step
    arrow = f" → {command}" if command else ""
    yield f"{number}. {advice}{'' if places else arrow}"
    yield from (f"   - {place}" for place in places)
    if places and command:
        yield f"  {arrow}"


def _shared(report: Report) -> tuple[tuple[str, str], ...]:
    """Return what holds for every mismatch, where there are several, and tells none from another."""
    first, *others = [list(_facts(mismatch, report.stores)) for mismatch in report.diagnosis.mismatches] or [[]]
    alike = (fact for fact in first if others and all(fact in other for other in others))
    return tuple(fact for fact in alike if fact[0] in ("entry", "not known"))


def _fact(fact: tuple[str, str]) -> str:
    return f"  {fact[0] + ':':<12}{fact[1]}"


def _server(reported: Mismatch | LookAlike) -> str:
    return f"{reported.server}, guessed" if reported.guessed else reported.server


def _facts(mismatch: Mismatch, stores: int) -> Iterator[tuple[str, str]]:
    yield "where", f"{mismatch.place} ({place_named(mismatch.place).meaning})"
    server = f"{mismatch.server}, guessed from what the logs beside it show" if mismatch.guessed else mismatch.server
    yield "server", server
    yield "thread", ", ".join(mismatch.threads) or "not in the log"
    yield "count", f"{mismatch.count:,}"
    yield "first seen", logged_moment(mismatch.first_utc, mismatch.first_said, mismatch.zone_known)
    yield "last seen", logged_moment(mismatch.last_utc, mismatch.last_said, mismatch.zone_known)
    yield "entry", conclusions.entry_note(mismatch, stores)
    for note in mismatch.notes:
        yield "not known", note


def moment_in_words(moment: conclusions.LogMoment) -> str:
    """Return a moment as people read it, and what is not known of it."""
    return logged_moment(moment.utc, moment.said, moment.zone_known)


def logged_moment(utc: datetime | None, said: str, zone_known: bool) -> str:
    """Return a time as people read it: in UTC, or as the log says it, and what is not known of it."""
    if utc is not None:
        return stamp(utc) if zone_known else f"{utc_time(utc)} (zone?)"
    return f"{said} (no date)" if said else "not in the log"


def _evidence(lines: Sequence[LogLine]) -> Iterator[str]:
    """Yield the lines below the name of their log; one that only says again what stands above is a number."""
    source, said = "", ""
    again: list[int] = []
    for line in lines[:SHOWN_LINES]:
        if line.source != source:
            yield from _again(again)
            source, said, again = line.source, "", []
            yield source
        if any(line.text.strip() + end in said for end in "\n,"):
            again.append(line.number)
            continue
        yield from _again(again)
        again = []
        said += f"{line.text}\n"
        yield f"  {line.number}: {cut(line.text, _WIDEST)}"
    yield from _again(again)
    if len(lines) > SHOWN_LINES:
        last = lines[-1]
        where = f"{last.number}" if last.source == source else last.place
        yield f"  … the last line of evidence is {where}"


def _again(numbers: Sequence[int]) -> Iterator[str]:
    if numbers:
        yield f"  {', '.join(map(str, numbers))}: the same words again"


# -- Excerpts: the lines that were found in one log, with those around them, as the record keeps them

MOST_LINES = 24
"""Lines of evidence that one excerpt keeps: the first and the last ones."""


class Excerpt(NamedTuple):
    """What was found in one log of one server: of what, and the lines of evidence by their number."""

    server: str
    source: str
    about: str
    lines: dict[int, str]


def excerpts_of(diagnosis: Diagnosis) -> Iterator[Excerpt]:
    """Yield an excerpt for each finding and each log that reports it."""
    for mismatch in diagnosis.mismatches:
        yield from _by_log(mismatch.server, f"mismatch: {mismatch.subject}", mismatch.evidence)
    for look_alike in diagnosis.look_alikes:
        yield from _by_log(look_alike.server, look_alike.rule, look_alike.evidence)


def _by_log(server: str, about: str, evidence: tuple[LogLine, ...]) -> Iterator[Excerpt]:
    ends = evidence if len(evidence) <= MOST_LINES else (*evidence[: MOST_LINES // 2], *evidence[-MOST_LINES // 2 :])
    for source in dict.fromkeys(line.source for line in ends):
        yield Excerpt(server, source, about, {line.number: line.text for line in ends if line.source == source})


def excerpt_as_text(excerpt: Excerpt, around: dict[int, str]) -> str:
    """Return the lines with their numbers, ``>`` before those of the evidence. Control characters are shown, not kept.

    ``around`` are the lines of the log that were read with those of the evidence; none where it cannot be read.
    """
    wanted = _near(excerpt.lines, around)
    head = [f"log:    {excerpt.source}", f"server: {excerpt.server}", f"found:  {excerpt.about}"]
    if not around:
        head.append("The log could not be read a second time: the surrounding lines are missing.")
    body: list[str] = []
    before = 0
    for number in sorted(wanted):
        if number != before + 1:
            body.append("")
        sign = ">" if number in excerpt.lines else " "
        body.append(f"{sign} {number}: {wanted[number]}")
        before = number
    return "\n".join(printable(line, 2000) for line in (*head, *body)) + "\n"


def _near(lines: dict[int, str], around: dict[int, str]) -> dict[int, str]:
    """The evidence and what stands around it, not around another finding's of the same log."""
    near = {at for number in lines for at in range(number - BEFORE, number + AFTER + 1)}
    return {at: around[at] for at in near if at in around} | lines


# -- JSON -----------------------------------------------------------------------------------------


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as plain values, as ``docs/diagnosis.schema.json`` describes them."""
    diagnosis = report.diagnosis
    return {
        "version": SCHEMA_VERSION,
        "verdict": conclusions.verdict(diagnosis),
        "exit_code": conclusions.exit_code(diagnosis),
        **_plain(diagnosis, "read_utc"),
        "mismatches": [_mismatch(mismatch, report) for mismatch in diagnosis.mismatches],
        "look_alikes": [_look_alike(alike) for alike in diagnosis.look_alikes],
        "timeline": [_plain(moment, "mismatch") for moment in conclusions.timeline(diagnosis)],
        "next_steps": [_step(step) for step in report.steps],
    }


def _mismatch(mismatch: Mismatch, report: Report) -> dict[str, Any]:
    place = place_named(mismatch.place)
    return {
        **_plain(mismatch, "notes"),
        "meaning": place.meaning,
        "confidence": "likely" if mismatch.guessed else place.confidence,
        "not_known": list(mismatch.notes),
        "entry_note": conclusions.entry_note(mismatch, report.stores),
    }


def _look_alike(alike: LookAlike) -> dict[str, Any]:
    return {**_plain(alike, "advice"), "next_step": _step(alike.next_step) if alike.next_step else None}


def _step(step: NextStep) -> dict[str, Any]:
    return {**_plain(step, "place"), "command": conclusions.command_of(step)}


def _plain(value: Any, but: str = "") -> Any:
    """Return an observed value and all that is in it as JSON knows values, times in UTC, without its field ``but``."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    names = [each.name for each in fields(value) if each.name != but] if is_dataclass(value) else None
    return value if names is None else {name: _plain(getattr(value, name)) for name in names}
