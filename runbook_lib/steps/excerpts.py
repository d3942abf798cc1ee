"""What the record keeps of the logs: the lines that were found, with those around them, as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from runbook_lib.errors import printable
from runbook_lib.logs.around import AFTER, BEFORE, lines_around
from runbook_lib.models import Diagnosis, LogLine, Stage
from runbook_lib.params import Site
from runbook_lib.record import Record
from runbook_lib.record.vault import slug

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
    found = list(_excerpts(diagnosis))
    kept = found[:MOST_EXCERPTS]
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
    if len(found) > len(kept):
        context = f"{len(found) - len(kept)} more findings were not excerpted; the diagnosis names their lines"
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
        head.append("The log could not be read a second time: the lines around are missing.")
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
