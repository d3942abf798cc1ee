"""A power cut, simulated: the files of a repair cut at any byte. What is left is valid, and claims nothing more."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import pytest
from repair_site import changes
from resume_site import QUICK_LAB, quick_site, run_changing_stages, stale_entries

from runbook_lib.decisions import Deletion
from runbook_lib.errors import RecordDamaged, RunbookError
from runbook_lib.lab import Lab
from runbook_lib.models import Inventory, Stage, StageState
from runbook_lib.observations import Diagnosis
from runbook_lib.record import journal_file, stages
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind

CUTS = 150


@dataclass(frozen=True)
class Story:
    """A record of stages 10 to 30, and what the lab saw: which deletions took effect."""

    record: Record
    deleted: Counter[tuple[str, str]]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("power")
    with pytest.MonkeyPatch.context() as patch, Lab(folder / "lab", **QUICK_LAB) as lab:
        patch.setenv("RUNBOOK_RECORDS", str(folder / "records"))
        record = run_changing_stages(quick_site(lab))
        deleted = Counter(changes(lab.truth()).deleted)
        assert deleted == Counter(stale_entries(lab))
        yield Story(record, deleted)


@pytest.fixture
def cut(story: Story, tmp_path: Path) -> Record:
    """A copy of the record, to be cut."""
    shutil.copytree(story.record.folder, tmp_path / story.record.incident)
    return Record(tmp_path, story.record.incident, story.record.site)


def places_to_cut(data: bytes) -> list[int]:
    """Beside every line feed, and at bytes drawn by lot."""
    feeds = [at for at, byte in enumerate(data) if byte == 10]
    chance = random.Random(20261123)
    return sorted({*feeds, *(at + 1 for at in feeds), *(chance.randrange(len(data)) for _ in range(CUTS))})


def test_journal_cut_at_any_byte_claims_nothing_that_did_not_happen(story: Story, cut: Record) -> None:
    """Its whole lines are read; no deletion is called gone that the lab has not seen; no stage is done that is not."""
    data = cut.journal.path.read_bytes()
    whole = story.record.journal.read().lines
    ends = {line.stage: line.n for line in whole if line.kind is Kind.STAGE_ENDED}
    for at in places_to_cut(data):
        cut.journal.path.write_bytes(data[:at])
        lines = cut.journal.read().lines
        assert lines == whole[: data[:at].count(b"\n")]
        gone = Counter((line.server, line.text) for line in lines if line.seen == Deletion.GONE)
        assert gone <= story.deleted
        states, pending = stages.stage_states(lines), stages.pending_changes(lines)
        for stage in (Stage.DIAGNOSE, Stage.LIST, Stage.DELETE):
            assert (states[stage] is StageState.DONE) == (ends[stage] <= len(lines)), at
        begun = [line.text for line in lines if line.kind is Kind.INTENT]
        settled = [line.text for line in lines if line.kind is Kind.RESULT]
        assert Counter(line.text for line in pending) == Counter(begun) - Counter(settled)
        assert not pending or states[Stage.DELETE] in (StageState.UNKNOWN, StageState.RUNNING)


def test_journal_cut_at_any_byte_goes_on(cut: Record) -> None:
    """The next line follows the last whole one, and what was torn off is kept beside it."""
    data = cut.journal.path.read_bytes()
    for at in places_to_cut(data)[::12]:
        journal_file._newest.clear()  # whoever goes on is another process, which has known no more of it
        cut.journal.path.write_bytes(data[:at])
        left = data[:at].rpartition(b"\n")[2]
        cut.journal.append(Kind.NOTED, text="on again")
        lines = cut.journal.read().lines
        assert lines[-1].text == "on again"
        assert (lines[-2].kind is Kind.TORN) == bool(left)
        if left and lines[-2].artifact:
            assert cut.read_bytes(lines[-2].artifact) == left


def test_any_other_file_cut_at_any_byte_is_refused_and_never_half_believed(story: Story, cut: Record) -> None:
    """Facts, answers, certificates, the plan: a file that was cut short is damage when it is read."""
    chance = random.Random(7)
    artifacts = {line.artifact for line in story.record.journal.read().lines if line.artifact}
    assert len(artifacts) > 30
    for artifact in sorted(artifacts, key=lambda each: each.path):
        path = cut.folder / artifact.path
        data = path.read_bytes()
        for at in {0, max(len(data) - 1, 0), chance.randrange(max(len(data), 1))} - {len(data)}:
            path.write_bytes(data[:at])
            with pytest.raises(RecordDamaged):
                cut.read_bytes(artifact)
        path.write_bytes(data)


@pytest.mark.parametrize(
    ("stage", "name", "kind"), [(Stage.DIAGNOSE, "diagnosis", Diagnosis), (Stage.LIST, "inventory", Inventory)]
)
def test_facts_that_were_cut_short_stop_the_next_stage(cut: Record, stage: Stage, name: str, kind: type) -> None:
    """The next stage is refused what the one before has left, and does not take an older one in its place."""
    artifacts = (line.artifact for line in cut.journal.read().lines if line.artifact)
    *_, newest = (each.path for each in artifacts if each.path.startswith(f"facts/{stage}/{name}"))
    path = cut.folder / newest
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(RunbookError, match="differs from what the journal says"):
        cut.read_facts(stage, name, kind)


def test_each_line_tells_when_where_and_by_which_file(story: Story) -> None:
    """Times are UTC and never go back; stages are named; what a device said is a file with the digest of its bytes."""
    lines = story.record.journal.read().lines
    assert all(line.utc.tzinfo is UTC for line in lines)
    assert [line.utc for line in lines] == sorted(line.utc for line in lines)
    assert all(line.stage for line in lines[1:] if line.kind is not Kind.APPROVED and line.text != "plan")
    for line in lines:
        if line.kind is Kind.OBSERVED and line.artifact:
            assert line.server or line.text
            assert story.record.read_bytes(line.artifact) is not None
    proofs = [line for line in lines if line.kind is Kind.PROOF]
    assert all(line.expected and line.seen for line in proofs)
