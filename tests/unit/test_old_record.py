"""A record of release 0.1.0, as that release wrote it, is read, reported and verified; its approval is worth deletions.

``tests/fixtures/record-0.1.0`` holds one: a repair with three deletions and a registration, sealed without a key.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from incident_kit import STALE, Incident

from runbook_lib.decisions import DELETIONS_ALONE, EVERY_CHANGE, ChangeKind, Plan
from runbook_lib.errors import PlanStale, RecordDamaged
from runbook_lib.record.incident import Record
from runbook_lib.record.signing import note_seen
from runbook_lib.record.verification import verify_record
from runbook_lib.repair.approval import approval_naming
from runbook_lib.repair.planned_changes import planned_change
from runbook_lib.show.report import post_mortem

FIXTURE = Path(__file__).parent.parent / "fixtures" / "record-0.1.0"


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """A copy of the record, writable, with the modes that a record has."""
    (made,) = FIXTURE.iterdir()
    root = tmp_path / "records"
    shutil.copytree(made, root / made.name)
    for path in (root / made.name).rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return Record.open(root, made.name)


def test_its_plan_keeps_its_digest_and_its_approval(record: Record) -> None:
    """The plan is read by the digest that was approved then, and holds its deletions and no other change."""
    plan = record.read_plan()
    assert plan.format == DELETIONS_ALONE
    assert {(row.server, row.key) for row in plan.deletions} == STALE
    assert plan.changes == ()
    assert [approval.digest for approval in record.read_approvals()] == [plan.digest]


def test_it_verifies_and_is_reported(record: Record) -> None:
    """Every file is what its journal and its seal say, and the post-mortem tells of its four changes."""
    assert not verify_record(record.folder).problems
    told = post_mortem(record.folder)
    assert len(told.changes) == 4
    assert "3 deletions, approved by Ada ada@desk" in " ".join(told.summary)


def test_an_approval_of_deletions_alone_is_worth_deletions_alone(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its plan lets nothing be registered; a plan of now is not covered by it beyond the deletions that it named."""
    (word,) = (artifact.sha256 for _, artifact in record.approvals())
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "keys"))
    note_seen(tmp_path / "keys", {word: ""})  # as if this account had approved it here
    incident = Incident(tmp_path, record=record, listed=False)
    with pytest.raises(PlanStale, match=r"register high availability .* is not in the plan"):
        planned_change(incident.context, ChangeKind.REGISTER_HA, "secondary")
    incident.list({})
    plan = incident.write_plan()
    assert plan.format == EVERY_CHANGE
    assert plan.deletions
    assert all(approval_naming(incident.context, plan, row) for row in plan.deletions)
    assert plan.changes
    assert not any(approval_naming(incident.context, plan, change) for change in plan.changes)


@pytest.mark.parametrize("how", [{"format": DELETIONS_ALONE}, {"format": "runbook-plan-v9"}, {"changes": ()}])
def test_a_plan_whose_digest_does_not_cover_what_it_says_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, object]
) -> None:
    """No spelling of the format lets changes pass that the approved digest is not over."""
    incident = Incident(tmp_path)
    incident.write_plan()
    read = Record.read_json
    monkeypatch.setattr(Record, "read_json", lambda self, *given: _changed(read(self, *given), how))
    with pytest.raises(RecordDamaged):
        incident.record.read_plan()


def _changed(value: object, how: dict[str, object]) -> object:
    return replace(value, **how) if isinstance(value, Plan) else value
