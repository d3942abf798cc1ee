"""From a record's folder to the post-mortem: everything that it says is read here, and nothing is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from runbook_lib import places
from runbook_lib.models import Check, Diagnosis, Inventory, Stage
from runbook_lib.record.lines import Kind
from runbook_lib.record.stages import named_in_words
from runbook_lib.record.trusted import Trusted, trusted_in
from runbook_lib.record.verification import Verification
from runbook_lib.record.verify import verify_record
from runbook_lib.report.changes import changes_of, ref, stages_of
from runbook_lib.report.ending import alarms_of, headline_of, summary_of
from runbook_lib.report.exhibits import (
    approvals_of,
    journal_of,
    overrides_of,
    plan_of,
    screenshots_of,
    versions_of,
)
from runbook_lib.report.impact import impacts_of
from runbook_lib.report.limits import undo_of, unproven_of
from runbook_lib.report.moments import moments_of
from runbook_lib.report.reading import Found, RecordFolder, read_folder
from runbook_lib.report.stores import stores_of
from runbook_lib.report.values import PostMortem, Ref, Standing
from runbook_lib.report.words import stamp

T = TypeVar("T")


def post_mortem(folder: Path, trusted: Trusted | None = None, *, sealed_next: bool = False) -> PostMortem:
    """Read a record, whole or not, and return what its report says.

    ``sealed_next``: the report goes into the record, and the seal that follows covers what came after the last one.
    ``trusted`` is what may vouch for it; None: what is trusted here, where the record was signed at all. Raises
    ParameterRefused where the folder holds no record.
    """
    trusted = _trusted_here(folder) if trusted is None else trusted
    verification = verify_record(folder, trusted.keys, trusted.certificates)
    standing = standing_of(verification)
    if sealed_next:
        standing = replace(standing, later=())
    record = read_folder(folder)
    lines = record.lines
    diagnosis = record.newest(Stage.DIAGNOSE, "diagnosis", Diagnosis)
    inventory = record.newest(Stage.DELETE, "inventory", Inventory) or record.newest(Stage.LIST, "inventory", Inventory)
    checks = record.newest(Stage.VERIFY, "checks", tuple[Check, ...])
    plan, overrides = plan_of(record), overrides_of(record)
    approvals = tuple(approvals_of(record))
    changes, impacts = changes_of(lines), impacts_of(record)
    stages = stages_of(lines, changes)
    judgements = inventory.value.judgements if inventory else ()
    made = checks.value if checks else ()
    said = diagnosis.value if diagnosis else None
    stores = stores_of(record, changes)
    about = opening_of(record)
    return PostMortem(
        incident=about.get("incident", folder.name),
        site=about.get("site", ""),
        kind=kind_of(record),
        what=about.get("what", ""),
        by=about.get("by", ""),
        opened_utc=lines[0].utc if lines else None,
        last_utc=lines[-1].utc if lines else None,
        head=lines[-1].hash if lines else "",
        standing=standing,
        headline=headline_of(lines, stages, standing),
        alarms=tuple(alarms_of(judgements, standing)),
        summary=tuple(
            summary_of(
                said,
                plan.value if plan else None,
                tuple(each for each, _ in approvals),
                changes,
                impacts,
                made,
            )
        ),
        impacts=impacts,
        stages=stages,
        moments=moments_of(lines, changes, stages, diagnosis),
        diagnosis=said,
        changes=changes,
        stores=stores,
        inventory=inventory.value if inventory else None,
        judged=place(inventory),
        checks=made,
        checked=place(checks),
        plan=plan.value if plan else None,
        planned=place(plan),
        approvals=approvals,
        overrides=overrides.value if overrides else (),
        overridden=place(overrides),
        screenshots=tuple(screenshots_of(record)),
        versions=versions_of(verification.notebooks),
        undo=undo_of(changes),
        unproven=tuple(unproven_of(standing, said, judgements, made, changes, stages, impacts, record.unread)),
        lines=tuple(journal_of(record)),
    )


def place(found: Found[T] | None) -> Ref:
    return ref(found.line) if found else Ref()


def _trusted_here(folder: Path) -> Trusted:
    """What is trusted here; nothing for a record that nobody has signed yet: only contradictions are looked for."""
    return trusted_in(places.key_dir()) if any(folder.glob("seal*/envelope.json")) else Trusted()


def standing_of(found: Verification) -> Standing:
    """Return what checking the record found, in words."""
    return Standing(
        problems=tuple((problem.path, problem.what) for problem in found.problems),
        notes=tuple(found.notes),
        later=tuple(named_in_words(line) for line in found.later),
        seal=found.seal,
        key=found.key.id if found.key else "",
        stamp=f"{stamp(found.stamp.utc)} UTC by {found.stamp.authority or 'an authority'}" if found.stamp else "",
    )


def opening_of(record: RecordFolder) -> dict[str, str]:
    """Return what the incident's opening says, as far as it can be read."""
    for line in record.of_kind(Kind.INCIDENT_OPENED)[:1]:
        try:
            value = json.loads(record.data(line) or b"{}")
        except (ValueError, RecursionError):
            value = {}
        told = {key: item for key, item in value.items() if isinstance(item, str)} if isinstance(value, dict) else {}
        return {"site": line.expected, "what": line.text} | told
    return {}


def kind_of(record: RecordFolder) -> str:
    """Return ``lab`` or ``production`` as the site's file said, empty where it is not in the record yet."""
    for line in reversed(record.of_kind(Kind.KEPT)):
        if line.artifact and line.artifact.path.startswith("site"):
            try:
                value = json.loads(record.data(line) or b"{}")
            except (ValueError, RecursionError):
                return ""
            kind = value.get("kind") if isinstance(value, dict) else ""
            return kind if isinstance(kind, str) else ""
    return ""
