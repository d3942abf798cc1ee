"""What the report shows as it is in the record: approvals, overrides, screenshots, versions, the journal's lines."""

from __future__ import annotations

from collections.abc import Iterator

from runbook_lib.models import Approval, Override, Plan, Stage
from runbook_lib.record.lines import Kind
from runbook_lib.record.templates import Drift
from runbook_lib.report.changes import ref
from runbook_lib.report.reading import Found, RecordFolder
from runbook_lib.report.values import JournalLine, Ref, Screenshot, Version
from runbook_lib.report.words import NOT_RECORDED

PNG = b"\x89PNG\r\n\x1a\n"
MOST_PICTURES = 24 * 1024 * 1024
"""Bytes of screenshots that a report holds at most; of further ones the file is named."""


def plan_of(record: RecordFolder) -> Found[Plan] | None:
    """Return the newest plan."""
    for line in reversed(record.of_kind(Kind.DECIDED)):
        plan = record.value(line, Plan) if line.artifact else None
        if plan:
            return Found(plan, line)
    return None


def approvals_of(record: RecordFolder) -> Iterator[tuple[Approval, Ref]]:
    for line in record.of_kind(Kind.APPROVED):
        approval = record.value(line, Approval)
        if approval:
            yield approval, ref(line)


def overrides_of(record: RecordFolder) -> Found[tuple[Override, ...]] | None:
    return record.newest(Stage.LIST, "overrides", tuple[Override, ...])


def screenshots_of(record: RecordFolder) -> Iterator[Screenshot]:
    """Yield the pictures of the web pages, each once, as they were masked when they were kept."""
    seen, room = set[str](), MOST_PICTURES
    for line in record.of_kind(Kind.KEPT):
        path = line.artifact.path if line.artifact else ""
        if not path.startswith("screenshots/") or path.endswith(".json") or path in seen:
            continue
        seen.add(path)
        data = record.data(line) or b""
        png = data if data.startswith(PNG) and len(data) <= room else b""
        room -= len(png)
        yield Screenshot(path=path, line=line.n, utc=line.utc, stage=line.stage, name=line.text, png=png)


def versions_of(found: tuple[Drift, ...]) -> tuple[Version, ...]:
    """Return every version of each notebook that ran, and where the one that is here now differs from it."""
    ran = {drift.version.stage for drift in found}
    missing = (Version(what=stage.value, sha256="", drift=NOT_RECORDED, line=0) for stage in Stage)
    return (*(_version(drift) for drift in found), *(each for each in missing if each.what not in ran))


def _version(drift: Drift) -> Version:
    since = "; ".join(drift.cells) if drift.cells else "the same here now"
    told = since if drift.known else "whether it has changed since is not known"
    by_hand = "run by hand, as on disk then; " if drift.version.by_hand else ""
    ran = drift.version
    return Version(what=ran.stage, sha256=ran.sha256, drift=f"{by_hand}{told}", line=ran.line)


def journal_of(record: RecordFolder) -> Iterator[JournalLine]:
    for line, raw in zip(record.lines, record.raw, strict=True):
        about = [part for part in (line.text, line.seen, line.expected and f"expected: {line.expected}") if part]
        yield JournalLine(
            n=line.n,
            utc=line.utc,
            kind=line.kind.value,
            stage=line.stage,
            server=line.server,
            said=" · ".join(about),
            path=line.artifact.path if line.artifact else "",
            raw=raw.decode("ascii", "replace"),
        )
