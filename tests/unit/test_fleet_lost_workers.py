"""What is said of a site whose worker died, or whose record cannot be relied on."""

from __future__ import annotations

import asyncio
import fcntl
import os
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from fleet_kit import fleet_file, inline, task
from incident_kit import Incident

from runbook_lib.batch import local
from runbook_lib.batch.dask import DaskExecutor
from runbook_lib.batch.fleet_sources import load_fleet
from runbook_lib.batch.local import LocalExecutor
from runbook_lib.batch.runner import RunReport, StageReport
from runbook_lib.batch.site_run import SiteResult, SiteState, SiteTask, _of_report, result_of_error
from runbook_lib.batch.sites import resolved_site_file
from runbook_lib.decisions import Deletion
from runbook_lib.device.prime import identities
from runbook_lib.errors import BrowserMissing, RecordDamaged
from runbook_lib.models import Outcome, Stage, StageState, Verdict
from runbook_lib.params.load import load_site
from runbook_lib.record.archive import archive_bytes
from runbook_lib.record.attestation import Seal
from runbook_lib.record.incident import Record
from runbook_lib.record.lock import TOKEN_VARIABLE, SiteLock, holder_of, lock_paths
from runbook_lib.record.secret_scan import FoundSecret
from runbook_lib.repair.sent_changes import about_deletion


class Dying(LocalExecutor):
    """Its worker dies at once; a process that the worker had started may still keep the site's lock."""

    straggler = False
    kept = -1

    async def _run(self, task: SiteTask, tell: object) -> SiteResult | None:
        if self.straggler:
            self.kept = os.open(lock_paths(identities(load_site(Path(task.site_file))))[0], os.O_RDONLY)
            fcntl.flock(self.kept, fcntl.LOCK_SH)
        return None


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    monkeypatch.setenv("RUNBOOK_LOCKS", str(tmp_path))
    loaded = load_fleet(fleet_file(tmp_path, [inline(1)])).sites[0].site
    (tmp_path / "site.json").write_bytes(resolved_site_file(loaded))
    return Record.create(tmp_path / "records", task(1).site)


def died(record: Record, executor: Dying) -> SiteResult:
    file = record.root.parent / "site.json"
    of = replace(task(1), site_file=str(file), incident=record.incident, records=str(record.root))
    return asyncio.run(executor.run(of, lambda event: None))


def test_a_record_that_was_put_back_tells_nothing_of_the_run(record: Record) -> None:
    """An older copy that lies in its place knows of no change: whether one is open is not known."""
    older = record.journal.path.read_bytes()
    record.intend(Stage.REGISTER, "primary", "x").result("done")
    of = replace(task(1), incident=record.incident, records=str(record.root))
    assert result_of_error(of, RecordDamaged("x"), 0.0).state is SiteState.FAILED
    record.journal.path.write_bytes(older)
    assert result_of_error(of, RecordDamaged("x"), 0.0).state is SiteState.UNKNOWN


def test_what_still_works_at_a_site_keeps_it(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The site is unknown and its lock stays, so that whoever frees it has to look first; its record is not touched."""
    monkeypatch.setattr(local, "STRAGGLERS_S", 0.3)
    monkeypatch.setenv("RUNBOOK_LOCK_TOKEN", "")
    executor = Dying(tmp_path / "log")
    executor.straggler = True
    result = died(record, executor)
    assert (result.state, "still works at the site" in result.why) == (SiteState.UNKNOWN, True)
    assert record.outcome() is None
    assert holder_of(record.site)
    os.close(executor.kept)


def begin_change(record: Record, end: str) -> None:
    """Leave a change of the site ``open``, or a deletion whose end was ``not seen``; nothing without an ``end``."""
    if end == "open":
        record.intend(Stage.REGISTER, "primary", "register HA", expected="Primary Active")
    elif end:
        record.intend(Stage.DELETE, "primary", about_deletion("x_1")).result(Deletion.NOT_DELETED_OR_CAME_BACK)


@pytest.mark.parametrize("changing", ["", "open", "not seen"])
def test_what_is_known_of_a_site_is_in_its_record(record: Record, tmp_path: Path, changing: str) -> None:
    """Where nothing works there any more: unknown after a change without a known end, else failed; the lock is free."""
    begin_change(record, changing)
    result = died(record, Dying(tmp_path / "log"))
    expected = (SiteState.UNKNOWN, Outcome.UNKNOWN) if changing else (SiteState.FAILED, Outcome.FAILED)
    assert (result.state, record.outcome()) == expected
    assert holder_of(record.site) is None


@pytest.mark.parametrize("outcome", [None, Outcome.REPAIRED, Outcome.UNKNOWN])
def test_a_site_with_a_secret_in_its_record_has_not_ended_well(record: Record, outcome: Outcome | None) -> None:
    """However the stages went: its record cannot be relied on, so the evening must not go on as if nothing were."""
    seal = Seal(folder="seal", files=1, lines=1, leaks=(FoundSecret(path="answers/x.txt", what="env:KEY"),))
    report = RunReport(
        incident="i",
        folder=Path("i"),
        stages=(StageReport(stage=Stage.VERIFY, state=StageState.DONE, seconds=1.0),),
        outcome=outcome,
        exit_code=5,
        seal=seal,
        changes="",
    )
    state, why = _of_report(task(1), report, record)
    assert state is (SiteState.UNKNOWN if outcome is Outcome.UNKNOWN else SiteState.FAILED)
    assert outcome is Outcome.UNKNOWN or "answers/x.txt" in why


def test_what_blocks_a_plan_is_in_the_first_line_that_a_roll_up_shows(tmp_path: Path) -> None:
    """Of many sites that are stopped, each says what for; no record has to be opened for that."""
    incident = Incident(tmp_path, {"ise": Verdict.UNREACHABLE})
    plan = incident.write_plan()
    refused = StageReport(
        stage=Stage.DELETE,
        state=StageState.STOPPED,
        seconds=1.0,
        error_name="DeletionRefused",
        error_text="The plan is blocked; nothing is changed\n  found: this and that",
    )
    seal = Seal(folder="seal", files=1, lines=1)
    report = RunReport(
        incident="i", folder=tmp_path, stages=(refused,), outcome=Outcome.STOPPED, exit_code=3, seal=seal, changes=""
    )
    state, why = _of_report(task(1), report, incident.record)
    assert (state, why.splitlines()[0]) == (
        SiteState.STOPPED,
        f"{Stage.DELETE}: the plan is blocked: {plan.blocked[0]}",
    )


@pytest.mark.parametrize("changing", ["", "open", "not seen"])
def test_a_site_that_is_locked_is_unknown_while_a_change_of_it_is_open(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changing: str
) -> None:
    """A run that is refused says no better of a site than the run before, which died with a change under way.

    Or after a deletion of which it had not seen whether it happened.
    """
    begin_change(record, changing)
    with SiteLock(record.site, identities(load_site(tmp_path / "site.json"))):
        monkeypatch.setenv(TOKEN_VARIABLE, "")
        refused = died(record, Dying(tmp_path / "log"))
    assert "SiteLocked" in refused.why
    assert refused.state is (SiteState.UNKNOWN if changing else SiteState.STOPPED)
    of = replace(task(1), incident=record.incident, records=str(record.root))
    assert result_of_error(of, BrowserMissing("there is none"), 0.0).state is (
        SiteState.UNKNOWN if changing else SiteState.STOPPED
    )


def test_a_record_that_cannot_be_taken_in_is_told(record: Record) -> None:
    """A site that a worker of a cluster has run, and whose record is not here, does not let the evening end with 0."""
    of = replace(task(1), incident=record.incident, records=str(record.root))
    result = asdict(SiteResult(site=of.site, incident=of.incident, state=SiteState.REPAIRED))
    other = Record.create(record.root.parent / "elsewhere", of.site)

    async def taken() -> list[str]:
        executor = DaskExecutor(SimpleNamespace(subscribe_topic=lambda *_: None), "round")  # type: ignore[arg-type]
        said = {"result": result, "record": archive_bytes(other.folder), "refused": ""}
        assert executor._take(of, said).state is SiteState.REPAIRED
        return executor.refused

    (told,) = asyncio.run(taken())
    assert told.startswith(f"{of.site}: here lies a record of the same name that is not the same one")


def test_a_repair_stays_one_when_its_worker_dies_afterwards(record: Record, tmp_path: Path) -> None:
    """What stage 60 has said of the incident is neither doubted nor written over."""
    record.set_outcome(Outcome.REPAIRED_UNVERIFIED)
    assert died(record, Dying(tmp_path / "log")).state is SiteState.REPAIRED_UNVERIFIED
    assert record.outcome() is Outcome.REPAIRED_UNVERIFIED


def test_a_change_that_began_after_an_earlier_end_is_unknown(record: Record, tmp_path: Path) -> None:
    """A run that went on in an incident which had ended well does not borrow that end."""
    record.set_outcome(Outcome.NOTHING_TO_DO)
    record.intend(Stage.REGISTER, "primary", "register HA", expected="Primary Active")
    assert died(record, Dying(tmp_path / "log")).state is SiteState.UNKNOWN
    assert record.outcome() is Outcome.UNKNOWN
