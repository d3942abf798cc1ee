"""``runbook report``: the post-mortem of a record, whole or not, as HTML, PDF and Markdown."""

from __future__ import annotations

from pathlib import Path

from runbook_lib import places
from runbook_lib.cli.sealing import record_folder
from runbook_lib.cli.terminal import out
from runbook_lib.errors import RecordDamaged, RunbookError
from runbook_lib.record import Record
from runbook_lib.record.trusted import trusted_in
from runbook_lib.report import PostMortem, Written, post_mortem, write_beside, write_into
from runbook_lib.report.writing import FORMS


def report_command(record: str, *, forms: tuple[str, ...] = (), folder: str = "") -> int:
    """Write the report and say where; return 5 where the record does not verify, else 0.

    Without ``folder`` it goes into the record as long as that is not sealed and verifies, else into the folder
    ``<incident>-report`` where the command was called. ``forms`` empty: all.
    """
    source = record_folder(record)
    found = post_mortem(source, trusted_in(places.key_dir()))
    inside = None if folder else _unsealed(source, found)
    if inside is not None:
        written = write_into(inside, found, forms=forms or FORMS)
    else:
        target = Path(folder).expanduser() if folder else Path.cwd() / f"{found.incident}-report"
        written = write_beside(target, found, record=source, forms=forms or FORMS)
    for line in told(found, written, sealed=inside is None and not folder):
        out(line)
    return RecordDamaged.exit_code if found.standing.problems else 0


def _unsealed(folder: Path, found: PostMortem) -> Record | None:
    """The record, if a report may still go into it."""
    if found.standing.seal or found.standing.problems:
        return None
    try:
        return Record.open(folder.parent, folder.name)
    except RunbookError:
        return None  # a copy under another name is no record that goes on


def told(found: PostMortem, written: Written, *, sealed: bool) -> list[str]:
    """What was written, one line each."""
    lines = [f"outcome: {found.headline.outcome or 'none'}: {found.headline.words}"]
    lines += [f"PROBLEM  {path}: {what}" for path, what in found.standing.problems]
    lines += [f"report:  {path}" for path in written.files]
    lines += [f"note:    {path} was there and is left as it was" for path in written.kept]
    lines += [f"note:    taken over from the Markdown there: {key}" for key in written.taken_over]
    lines += [f"note:    {written.missing}"] if written.missing else []
    if sealed and found.standing.seal:
        lines.append("note:    the record is sealed, so nothing was written into it")
    return lines
