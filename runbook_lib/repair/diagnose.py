"""What the servers' logs report, what the record keeps of them, and what they gained meanwhile."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from runbook_lib.errors import RunbookError, printable
from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.logs.jobs import Settings
from runbook_lib.logs.rules import RULES, load_rules
from runbook_lib.logs.sources import AFTER, BEFORE, lines_around, size_to_read
from runbook_lib.models import Stage
from runbook_lib.observations import Diagnosis, LogLine, Mismatch
from runbook_lib.params.model import Site
from runbook_lib.record.artifacts import slug
from runbook_lib.record.incident import Record
from runbook_lib.repair.context import Context, ProgressCallback, no_progress

# -- What the record keeps of the logs: the lines that were found, with those around them, as text for people

MOST_EXCERPTS = 40
MOST_LINES = 24
"""Lines of evidence that one excerpt keeps: the first and the last ones."""


class Excerpt(NamedTuple):
    """What was found in one log of one server: of what, and the lines of evidence by their number."""

    server: str
    source: str
    about: str
    lines: dict[int, str]


def keep_excerpts(record: Record, site: Site, diagnosis: Diagnosis) -> None:
    """Keep one file per finding and log under ``excerpts/``, through the gate, at most MOST_EXCERPTS in all."""
    excerpts = list(_excerpts(diagnosis))
    kept = excerpts[:MOST_EXCERPTS]
    wanted: dict[str, set[int]] = {}
    for excerpt in kept:
        wanted.setdefault(excerpt.source, set()).update(excerpt.lines)
    around = lines_around([*site.primary.logs, *site.secondary.logs], wanted) if wanted else {}
    for number, excerpt in enumerate(kept, start=1):
        name = slug(PurePosixPath(excerpt.source).name, 40)
        record.keep_bytes(
            f"excerpts/{number:02d}-{slug(excerpt.server, 20)}-{name}.txt",
            _page(excerpt, around.get(excerpt.source, {})).encode("utf-8", "replace"),
            stage=Stage.DIAGNOSE.value,
            server=excerpt.server,
            seen=excerpt.about,
            text=f"log excerpt: {excerpt.source}",
        )
    if len(excerpts) > len(kept):
        context = f"{len(excerpts) - len(kept)} more findings were not excerpted; the diagnosis names their lines"
        record.keep_bytes("excerpts/more.txt", context.encode(), stage=Stage.DIAGNOSE.value, text=context)


def _excerpts(diagnosis: Diagnosis) -> Iterator[Excerpt]:
    for mismatch in diagnosis.mismatches:
        yield from _by_log(mismatch.server, f"mismatch: {mismatch.subject}", mismatch.evidence)
    for look_alike in diagnosis.look_alikes:
        yield from _by_log(look_alike.server, look_alike.rule, look_alike.evidence)


def _by_log(server: str, about: str, evidence: tuple[LogLine, ...]) -> Iterator[Excerpt]:
    ends = evidence if len(evidence) <= MOST_LINES else (*evidence[: MOST_LINES // 2], *evidence[-MOST_LINES // 2 :])
    for source in dict.fromkeys(line.source for line in ends):
        yield Excerpt(server, source, about, {line.number: line.text for line in ends if line.source == source})


def _page(excerpt: Excerpt, around: dict[int, str]) -> str:
    """The lines with their numbers; ``>`` before those of the evidence. Control characters are shown, not kept."""
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


# -- Which of the three places reports a mismatch, of whom, since when. Reads log files; contacts nothing

FACTS = "diagnosis"
SHOW_EVERY_S = 1.0


def diagnose(context: Context) -> Diagnosis:
    """Read the logs that the site's file names and keep what they say in the record.

    Raises UsageError where a named file or folder is not there.
    """
    diagnosis = read_logs(context)
    context.record.write_facts(Stage.DIAGNOSE, FACTS, diagnosis)
    keep_excerpts(context.record, context.site, diagnosis)
    return diagnosis


def read_logs(context: Context) -> Diagnosis:
    """Read the logs and keep nothing: for a step that compares them with an earlier reading."""
    return read_site_logs(context.site, context.progress)


def read_site_logs(site: Site, progress: ProgressCallback = no_progress) -> Diagnosis:
    """The same without an incident, telling ``progress`` how far it is."""
    sources = {key: server.logs for key, server in site.servers.items()}
    zones = {key: server.log_zone for key, server in site.servers.items() if server.log_zone}
    progress("Reading the logs")
    rules = (*RULES, *load_rules(site.rules)) if site.rules else RULES
    shown_at = time.monotonic()
    total = size_to_read([path for paths in sources.values() for path in paths])

    def on_read(name: str, size: int) -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at > SHOW_EVERY_S:
            shown_at = time.monotonic()
            share = min(size / total, 1.0) if total else None
            progress(f"Reading the logs: {size >> 20:,} MB so far, now {Path(name).name}", share, steady=True)

    diagnosis = diagnose_sources(sources, Settings(rules, zones), {"site": site.name}, on_read)
    return replace(diagnosis, read_utc=datetime.now(UTC))


def recorded_diagnosis(context: Context) -> Diagnosis:
    """Return what stage 10 left in the record; raises StageOutOfOrder if it has not run."""
    return context.record.read_facts(Stage.DIAGNOSE, FACTS, Diagnosis)


# -- Which mismatches the servers' logs gained while something was tried in the web pages ----------

_LINES = 3


def logs_now(context: Context) -> Diagnosis | None:
    """Read the logs that the site's file names; None where there are none, or they cannot be read."""
    if not any(server.logs for server in context.site.servers.values()):
        return None
    with suppress(RunbookError):  # what is being told is another failure, and stage 10 names this one
        return read_logs(context)
    return None


def log_growth(before: Diagnosis | None, after: Diagnosis | None) -> str:
    """Return the mismatches that grew between two readings with their newest lines, or nothing."""
    if before is None or after is None:
        return ""
    sentences = []
    for mismatch in grown_mismatches(before, after):
        lines = "\n".join(f"{line.place}: {line.text}" for line in mismatch.evidence[-_LINES:])
        sentences.append(f"meanwhile in the {mismatch.server}'s logs, a mismatch of {mismatch.subject}:\n{lines}")
    return "\n".join(sentences)


def grown_mismatches(before: Diagnosis, after: Diagnosis) -> list[Mismatch]:
    """Return the mismatches of which more lines were read than before."""
    counts = Counter[tuple[str, str]]()
    for mismatch in before.mismatches:
        counts[mismatch.server, mismatch.subject] += mismatch.count
    return [each for each in after.mismatches if each.count > counts[each.server, each.subject]]
