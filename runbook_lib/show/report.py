"""From a record's folder to the post-mortem, and writing it: into the record, or elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runbook_lib import paths
from runbook_lib.decisions import UNPROVEN, Override
from runbook_lib.errors import BrowserMissing
from runbook_lib.i18n.language import duration, utc_time
from runbook_lib.models import Inventory, Stage, StageState
from runbook_lib.observations import Check, Diagnosis
from runbook_lib.paths import find_browser
from runbook_lib.record.artifacts import numbered, write_numbered
from runbook_lib.record.files import gate_text
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind, Line
from runbook_lib.record.signing import Trusted, trusted_in
from runbook_lib.record.stages import alarms_after
from runbook_lib.record.verification import NOT_PROVEN, verify_record
from runbook_lib.show import report_reading
from runbook_lib.show.document import NO_REF, Ref
from runbook_lib.show.report_model import OWN_STAGE, ChangeRow, PostMortem
from runbook_lib.show.report_page import print_pdf, render_html, render_markdown
from runbook_lib.show.report_sections import ACTIONS, FACTORS
from runbook_lib.show.report_timeline import alarms_of, headline_of, impacts_of, moments_of, summary_of

# -- What remains unproven, and what can be undone -------------------------------------------------

_BACK = "a snapshot or backup of that server from before, which brings the old entry back, and the mismatch with it"
_HA_AGAIN = (
    "High availability can be removed again, on the primary's page or with ncs ha remove. What replication wrote over"
    " on the secondary comes back only from its snapshot or backup."
)
UNDO = {
    Stage.DELETE.value: ("no", f"The product cannot put an entry back; the next connection adds one. Only {_BACK}."),
    Stage.REGISTER.value: ("yes, at a cost", _HA_AGAIN),
    Stage.READD_ISE.value: ("yes", "The ISE server can be deleted on its page and added again with its credentials."),
}
_SNAPSHOT = (
    "A snapshot or backup of both servers is the only way back to a whole earlier state. Going back makes the servers"
    " store the old certificates again, so the mismatch returns. Whether one was taken is not recorded."
)
NOT_SHOWN = "The product shows no fingerprint of what it stores: which certificate an entry holds is not known."
SNAPSHOT = ("any other state of a server", "only with a snapshot", _SNAPSHOT)


def unproven_of(pm: PostMortem, unread: Iterable[str]) -> Iterator[str]:
    """Yield what a record leaves open, the gravest first; ``unread`` are its files that could not be read."""
    yield from (f"{problem.path}: {problem.what}" for problem in pm.verified.problems)
    # The last look may have met nobody else, and nothing else tells of it.
    for host, line in alarms_after([each.line for each in pm.lines]).items():
        yield f"Who answered as {host} at {utc_time(line.utc)} UTC, which may be somebody else: {line.seen}"
    not_known = (change for change in pm.changes if not change.is_known)
    yield from (f"Result not known: {change.what} on the {change.server}" for change in not_known)
    yield from (f"Check failed: {check.name}: {check.actual}" for check in pm.checks if check.ok is False)
    yield from (f"Check not run: {check.name}: {check.actual}" for check in pm.checks if check.ok is None)
    if not pm.checks:
        yield "Whether it works: no checks of stage 60 are in this record."
    for row in pm.stages:
        if row.last and row.state is not StageState.DONE and row.stage != OWN_STAGE:
            yield f"Stage {row.stage} is {row.state}" + (f": {row.why}" if row.why else "")
    for judgement in pm.judgements:
        if not judgement.verdict.accepted:
            yield f"The certificate of {judgement.target} is {judgement.verdict}: {judgement.reason}"
        for vantage, why in judgement.not_available:
            yield f"What {judgement.target} shows at vantage {vantage}: not available, {why}"
    for before, line in pairwise(each.line for each in pm.lines):
        if (back := before.utc - line.utc) > timedelta(seconds=1):
            yield f"How long anything took: the clock was set back by {duration(back)} before line {line.n}"
    if pm.diagnosis is None:
        yield "What the logs say: none was diagnosed."
    for what in dict.fromkeys(what for impact in pm.impacts for what in impact.not_known):
        yield f"{' · '.join(impact.what for impact in pm.impacts if what in impact.not_known)}: {what}"
    yield UNPROVEN if pm.checks and all(check.ok for check in pm.checks) else NOT_SHOWN
    yield from (f"Not read: {path}" for path in unread)
    if not pm.verified.key:
        yield "Who wrote this record: no signature was checked for this report."
    yield from (f"Even a signed record does not prove {limit}" for limit in NOT_PROVEN)


def undo_of(changes: tuple[ChangeRow, ...]) -> tuple[tuple[str, str, str], ...]:
    """Return which changes can be undone and how, those of one kind together; at the end what a snapshot is for."""
    ways: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        way = UNDO.get(change.stage, ("not known", ""))
        ways.setdefault(way, []).append(f"{change.number}. {change.what} ({change.server})")
    return (*(("\n".join(each), *way) for way, each in ways.items()), SNAPSHOT)


# -- From a record's folder to the post-mortem: everything that it says is read here, and nothing is written


def post_mortem(folder: Path, trusted: Trusted | None = None, *, sealed_next: bool = False) -> PostMortem:
    """Read a record, whole or not, and return what its report says.

    ``sealed_next``: the report goes into the record, and the seal that follows covers what came after the last one.
    ``trusted`` is what may vouch for it; None: what is trusted here, where the record was signed at all. Raises
    ParameterRefused where the folder holds no record.
    """
    if trusted is None:  # in a record that nobody has signed yet only contradictions are looked for
        trusted = trusted_in(paths.key_dir()) if any(folder.glob("seal*/envelope.json")) else Trusted()
    verified = verify_record(folder, trusted.keys, trusted.certificates)
    if sealed_next:  # what came after the last seal, and the notebook that writes this, are under the next one
        own = f"notebooks/{OWN_STAGE}.running.ipynb"
        verified = replace(verified, later=(), running=[path for path in verified.running if path != own])
    record = report_reading.read_folder(folder)
    lines = record.lines
    diagnosis = record.newest(Stage.DIAGNOSE, "diagnosis", Diagnosis)
    inventory = record.newest(Stage.DELETE, "inventory", Inventory) or record.newest(Stage.LIST, "inventory", Inventory)
    checks = record.newest(Stage.VERIFY, "checks", tuple[Check, ...])
    plan, overrides = report_reading.kept_plan(record), record.newest(Stage.LIST, "overrides", tuple[Override, ...])
    changes = report_reading.change_rows(lines)
    stages = report_reading.stages_of(lines, changes)
    about = opening_of(record)
    pm = PostMortem(
        incident=about.get("incident", folder.name),
        site=about.get("site", ""),
        kind=kind_of(record),
        by=about.get("by", ""),
        opened_utc=lines[0].utc if lines else None,
        last_utc=lines[-1].utc if lines else None,
        head=lines[-1].hash if lines else "",
        verified=verified,
        headline=headline_of(lines, stages, verifies=not verified.problems),
        impacts=impacts_of(record),
        stages=stages,
        moments=moments_of(lines, changes, stages, diagnosis),
        diagnosis=diagnosis.value if diagnosis else None,
        changes=changes,
        stores=report_reading.stores_of(record, changes),
        inventory=inventory.value if inventory else None,
        judged=ref_of(inventory),
        checks=checks.value if checks else (),
        checked=ref_of(checks),
        plan=plan.value if plan else None,
        planned=ref_of(plan),
        approvals=tuple(report_reading.kept_approvals(record)),
        overrides=overrides.value if overrides else (),
        overridden=ref_of(overrides),
        screenshots=tuple(report_reading.screenshots_of(record)),
        undo=undo_of(changes),
        lines=report_reading.journal_of(record),
    )
    alarms, summary, unproven = alarms_of(pm), summary_of(pm), unproven_of(pm, record.unread)
    return replace(pm, alarms=tuple(alarms), summary=tuple(summary), unproven=tuple(unproven))


def ref_of(fact: report_reading.Found[Any] | None) -> Ref:
    """Return where something that was found stands in the record."""
    return report_reading.ref(fact.line) if fact else NO_REF


def opening_of(record: report_reading.RecordFolder) -> dict[str, str]:
    """Return what the incident's opening says, as far as it can be read."""
    for line in record.of_kind(Kind.INCIDENT_OPENED)[:1]:
        return {"site": line.expected} | _texts(record, line)
    return {}


def kind_of(record: report_reading.RecordFolder) -> str:
    """Return ``lab`` or ``production`` as the site's file said, empty where a record of an older release has neither.

    The file is kept when an incident ends; before that its opening tells.
    """
    for line in reversed(record.of_kind(Kind.KEPT)):
        if line.path.startswith("site"):
            return _texts(record, line).get("kind", "")
    return opening_of(record).get("kind", "")


def _texts(record: report_reading.RecordFolder, line: Line) -> dict[str, str]:
    """Return the texts of the JSON object that a line names, by key; none where it cannot be read."""
    try:
        value = json.loads(record.data(line) or b"{}")
    except (ValueError, RecursionError):
        return {}
    return {key: item for key, item in value.items() if isinstance(item, str)} if isinstance(value, dict) else {}


# -- Writing a post-mortem: into the record that it is of, before the seal, or into a folder elsewhere.
#
# Nothing that is there is ever overwritten: a file of that name stays, and the new one gets a number. What a person
# wrote into the newest Markdown there is taken over.

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


def write_beside(folder: Path, pm: PostMortem, *, record: Path, forms: Iterable[str] = FORMS) -> Written:
    """Write the report into a folder of the user's; its links lead to the files of the record from there."""
    theirs = _theirs(folder)
    files = quote(os.path.relpath(record.resolve(), folder.resolve())) + "/"
    made, missing = _make(pm, tuple(forms), files, theirs, "")
    first = {folder / f"{NAME}.{form}": data for form, data in made.items()}
    written = {path: write_numbered(path, data) for path, data in first.items()}
    there = tuple(path for path, free in written.items() if path != free)
    return Written(files=tuple(written.values()), kept=there, missing=missing, taken_over=tuple(theirs))


def _make(
    pm: PostMortem, forms: tuple[str, ...], files: str, theirs: Mapping[str, str], browser: str
) -> tuple[dict[str, bytes], str]:
    """Return the forms as bytes, and why the PDF is not among them, if it is not."""
    made: dict[str, bytes] = {}
    missing = ""
    if "html" in forms:
        made["html"] = gate_text(render_html(pm, files=files, written=theirs)).encode("utf-8", "replace")
    if "md" in forms:
        made["md"] = gate_text(render_markdown(pm, written=theirs)).encode("utf-8", "replace")
    if "pdf" in forms:
        page = gate_text(render_html(pm, files=None, written=theirs))
        journal = gate_text("".join(f"{line.raw}\n" for line in pm.lines)).encode("utf-8", "replace")
        try:
            made["pdf"] = print_pdf(page, find_browser(browser), title=f"Post-mortem {pm.incident}", journal=journal)
        except BrowserMissing as error:
            missing = f"no PDF: {error.what}; {error.next_step}"
    return made, missing


def _theirs(folder: Path) -> dict[str, str]:
    """Return what a person wrote into the newest Markdown of a folder."""
    newest = ""
    for path in numbered(folder / f"{NAME}.md"):
        if not path.is_file():
            break
        newest = path.read_text(encoding="utf-8", errors="replace")
    return report_reading.read_written(newest, (FACTORS, ACTIONS))
