"""Writing a post-mortem: into the record that it is of, before the seal, or into a folder elsewhere.

Nothing that is there is ever overwritten: a file of that name stays, and the new one gets a number. What a person
wrote into the newest Markdown there is taken over.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import quote

from runbook_lib.browsers import find_browser
from runbook_lib.errors import BrowserMissing
from runbook_lib.record import Record
from runbook_lib.record.files import write_new, writing
from runbook_lib.record.redaction import gate_text
from runbook_lib.report.markdown import render_markdown
from runbook_lib.report.page import render_html
from runbook_lib.report.sections import ACTIONS, FACTORS
from runbook_lib.report.values import PostMortem
from runbook_lib.report.written import read_written

NAME = "post-mortem"
FORMS = ("html", "pdf", "md")


@dataclass(frozen=True, kw_only=True)
class Written:
    """The files that were written, the names that were there already and were left, and why a form is missing."""

    files: tuple[Path, ...]
    kept: tuple[Path, ...] = ()
    missing: str = ""
    taken_over: tuple[str, ...] = ()


def write_into(
    record: Record, pm: PostMortem, *, stage: str = "", forms: Iterable[str] = FORMS, browser: str = ""
) -> Written:
    """Keep the report among the record's files, under ``report/``; each is named in the journal."""
    folder = record.folder / "report"
    theirs = _theirs(folder)
    made, missing = _make(pm, tuple(forms), "../", theirs, browser)
    kept = []
    for form, data in made.items():
        # Each text went through the gate; a PDF is compressed, and printed from the page that did.
        kept.append(record.keep_gated(f"report/{NAME}.{form}", data, stage=stage, text=f"post-mortem, {form}"))
    files = tuple(record.folder / artifact.path for artifact in kept)
    there = tuple(path for form in made if (path := folder / f"{NAME}.{form}") not in files)
    return Written(files=files, kept=there, missing=missing, taken_over=tuple(theirs))


def write_beside(
    folder: Path, pm: PostMortem, *, record: Path, forms: Iterable[str] = FORMS, browser: str = ""
) -> Written:
    """Write the report into a folder of the user's; its links lead to the files of the record from there."""
    theirs = _theirs(folder)
    files = quote(os.path.relpath(record.resolve(), folder.resolve())) + "/"
    made, missing = _make(pm, tuple(forms), files, theirs, browser)
    written, there = [], []
    for form, data in made.items():
        first = folder / f"{NAME}.{form}"
        path = _write(first, data)
        written.append(path)
        there += [first] if path != first else []
    return Written(files=tuple(written), kept=tuple(there), missing=missing, taken_over=tuple(theirs))


def report_in(record: Record) -> Path | None:
    """Return the newest report's page among the record's files, or None."""
    for line in reversed(record.journal.read().lines):
        if line.artifact and line.artifact.path.startswith("report/") and line.artifact.path.endswith(".html"):
            return record.folder / line.artifact.path
    return None


def _make(
    pm: PostMortem, forms: tuple[str, ...], files: str, theirs: Mapping[str, str], browser: str
) -> tuple[dict[str, bytes], str]:
    """Return the forms as bytes, and why the PDF is not among them, if it is not."""
    made: dict[str, bytes] = {}
    missing = ""
    if "html" in forms:
        made["html"] = gate_text(render_html(pm, files=files, written=theirs)).encode("utf-8", "replace")
    if "md" in forms:
        made["md"] = gate_text(render_markdown(pm, files=files, written=theirs)).encode("utf-8", "replace")
    if "pdf" in forms:
        from runbook_lib.report.pdf import print_pdf  # and with it Playwright

        page = gate_text(render_html(pm, files=None, written=theirs))
        try:
            made["pdf"] = print_pdf(page, find_browser(browser), title=f"Post-mortem {pm.incident}")
        except BrowserMissing as error:
            missing = f"no PDF: {error.what}; {error.next_step}"
    return made, missing


def _theirs(folder: Path) -> dict[str, str]:
    """Return what a person wrote into the newest Markdown of a folder."""
    newest = ""
    for path in _numbered(folder / f"{NAME}.md"):
        if not path.is_file():
            break
        newest = path.read_text(encoding="utf-8", errors="replace")
    return read_written(newest, (FACTORS, ACTIONS))


def _write(first: Path, data: bytes) -> Path:
    """Write under the first free name; the same content again is not written twice."""
    for path in _numbered(first):
        with writing(path):
            if write_new(path, data) or path.read_bytes() == data:
                return path
    raise AssertionError("numbers do not end")


def _numbered(first: Path) -> Iterable[Path]:
    yield first
    for number in count(2):
        yield first.with_name(f"{first.stem}-{number}{first.suffix}")
