"""A record that holds what no record holds, however well its chain is computed: damaged, and no hindrance to others."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fleet_kit import task
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from incident_kit import Incident
from long_way import LONG
from waiting import forbid_waiting_opens

from runbook_lib.batch.round import (
    PlannedSite,
    Rollup,
    Round,
    keep_outcome,
    newest_outcome,
    newest_round,
    rollup_digest,
)
from runbook_lib.batch.site_run import SiteResult, SiteState, result_of_interruption, saw_contradiction, settled_state
from runbook_lib.decisions import canonical_json, sha256_hex
from runbook_lib.errors import RecordError
from runbook_lib.models import Outcome, PastIncident, Stage, StageState
from runbook_lib.notebook.workspace import next_run, stage_to_go_on_with
from runbook_lib.record.archive import pack
from runbook_lib.record.attestation import seal_record
from runbook_lib.record.files import to_json_value
from runbook_lib.record.history import past_incidents, site_statuses
from runbook_lib.record.incident import Record, find_open, list_records
from runbook_lib.record.journal import FIRST_PREV, Kind
from runbook_lib.record.journal_file import Journal
from runbook_lib.record.signing import Trusted
from runbook_lib.record.verification import verify_record
from runbook_lib.repair.sent_changes import deletion_ends, last_confirmed, records_of_site
from runbook_lib.show.incidents import fleet_map, incidents
from runbook_lib.show.progress import newest
from runbook_lib.show.report import post_mortem, write_beside


@dataclass(frozen=True)
class Place:
    """A folder of records with one whole incident each of two sites: the one to damage, and the other.

    For a round it is the same: a whole one of a fleet whose name begins with another's, and one of that.
    """

    root: Path
    folder: Path
    lines: tuple[dict[str, Any], ...]
    other: str

    @classmethod
    def of(cls, record: Record, other: Record) -> Place:
        """The place of a record as it is now."""
        text = record.journal.path.read_text(encoding="ascii")
        return cls(record.root, record.folder, tuple(json.loads(line) for line in text.splitlines()), other.incident)

    def write(self, lines: list[dict[str, Any]]) -> None:
        """Write a journal whose numbers, chain and hashes are right, whatever else it holds."""
        prev, out = FIRST_PREV, []
        for n, line in enumerate(lines, start=1):
            body = {"n": n} | line | {"prev": prev}
            body.pop("hash")
            prev = sha256_hex(canonical_json(body))
            out.append(canonical_json(body | {"hash": prev}) + b"\n")
        (self.folder / "journal.jsonl").write_bytes(b"".join(out))


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        incident = Incident(Path(folder))
        record = incident.record
        record.start_stage(Stage.DELETE)
        incident.approve(incident.write_plan())
        incident.sent("primary", "x")
        record.end_stage(Stage.DELETE, StageState.DONE)
        record.set_outcome(Outcome.STOPPED)
        seal_record(record, {"name": "lab"})
        yield Place.of(record, Record.create(record.root, "paris"))


@pytest.fixture(scope="module")
def evenings() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as folder:
        other = Round.create(Path(folder), "evening")  # the older one
        round_ = Round.create(Path(folder), "evening-two")
        site = PlannedSite(site="lab", incident="x", plan="1" * 64, described="d" * 64, deletions=("x",))
        digest = rollup_digest([site], fleet=round_.site, round_id=round_.incident)
        rollup = Rollup(
            fleet=round_.site, round=round_.incident, made_utc=datetime.now(UTC), digest=digest, sites=(site,)
        )
        path = f"rollups/{digest}.json"
        round_.keep_json(path, to_json_value(rollup), kind=Kind.DECIDED, seen=digest, text="roll-up")
        keep_outcome(round_, digest, [SiteResult(site="lab", incident="x", state=SiteState.STOPPED)], "")
        yield Place.of(round_, other)


def look(place: Place) -> tuple[PastIncident, list[str]]:
    """Let everything read the records that reads them, and return what history and verify say of the damaged one."""
    incident = place.folder.name
    found = {one.incident: one for one in past_incidents(place.root)}
    problems = [f"{problem.path}: {problem.what}" for problem in verify_record(place.folder).problems]
    with tempfile.TemporaryDirectory() as folder:
        told = post_mortem(place.folder, Trusted())
        write_beside(Path(folder), told, record=place.folder, forms=("html", "md"))
        assert [f"{each.path}: {each.what}" for each in told.verified.problems] == problems
        packed = pack(place.folder, Path(folder) / "a.zip", Trusted(), anyway=True)
        assert [f"{problem.path}: {problem.what}" for problem in packed.problems] == problems
    summaries = {one.incident: one for one in list_records(place.root)}
    assert bool(summaries[incident].problem) == bool(found[incident].problem)
    # What the other site's run asks for, stage 00 first, is there as ever.
    assert (summaries[place.other].problem, found[place.other].problem) == ("", "")
    assert find_open(place.root, "paris") == place.other
    for site in ("lab", "paris"):
        deletion_ends(place.root, site)
        last_confirmed(records_of_site(place.root, site), "ise")
    find_open(place.root, "lab")
    look_from_00(place)
    look_from_a_fleet(place)
    return found[incident], problems


def look_from_00(place: Place) -> None:
    """Show the other site what stage 00 shows of all of them, and what the form to choose a site says of each."""
    past = past_incidents(place.root)
    incidents(past).text()
    fleet_map(site_statuses(past), datetime.now(UTC)).text()
    for incident in (place.folder.name, place.other):
        with suppress(RecordError):
            record = Record.open(place.root, incident)
            newest(record.journal.read().lines)
            stage_to_go_on_with(record.stage_states())
            next_run(record)
            record.outcome()


def look_from_a_fleet(place: Place) -> None:
    """Ask what a fleet asks of a site's record when its worker has died or was told to end: it is always answered."""
    of = replace(task(1), site="lab", incident=place.folder.name, records=str(place.root))
    assert settled_state(of) in SiteState
    assert result_of_interruption(of).state in SiteState
    with suppress(RecordError):
        saw_contradiction(Record.open(place.root, of.incident), 0)


EXAMPLES = 1000 if LONG else 30  # each is read in every way that there is

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(min_value=10**4300, max_value=10**4301) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
ODD = JSON | st.sampled_from(
    ["bogus", "\ud800", "a\nsignature: good", "\x1b[2J", "../x", "/etc/passwd", "0" * 64, "host 1 2", "done", "",
     {"path": "a", "sha256": 7}, {"path": "../a", "sha256": "0" * 64}, {"path": "a", "sha256": "0" * 64, "x": 1}]
)  # fmt: skip


@given(data=st.data())
@settings(max_examples=EXAMPLES)
def test_whatever_a_journal_line_holds_nothing_is_raised(place: Place, data: st.DataObject) -> None:
    """Any value in any field of any line, with the right hashes: at worst this record is damaged, everywhere alike."""
    lines = [dict(line) for line in place.lines]
    number = data.draw(st.integers(min_value=0, max_value=len(lines) - 1))
    field = data.draw(st.sampled_from(["utc", "kind", "stage", "server", "expected", "seen", "artifact", "text", "n"]))
    lines[number][field] = data.draw(ODD)
    try:
        place.write(lines)
    except ValueError:
        return  # no JSON holds it
    look(place)


WRONG = [
    ("outcome", "seen", "bogus"), ("stage_ended", "seen", "bogus"), ("stage_ended", "seen", "running"),
    ("intent", "utc", "yesterday"), ("intent", "utc", "2026-11-23T12:45:01.1Z"), ("intent", "kind", "bogus"),
    ("intent", "utc", "2026-11-23T14:45:01.000001+02:00"), ("intent", "utc", "2026-11-23T12:45:01.000001"),
    ("intent", "text", 7), ("intent", "server", None), ("intent", "stage", []), ("sent", "n", True),
    ("approved", "artifact", "x"), ("approved", "artifact", {"path": 7, "sha256": "0" * 64}),
    ("approved", "artifact", {"path": "../x", "sha256": "0" * 64}), ("approved", "artifact", {"path": "a"}),
    ("decided", "artifact", {"path": "a", "sha256": 7}), ("decided", "artifact", {"path": "a", "sha256": "A" * 64}),
    ("stage_started", "seen", 1), ("stage_started", "seen", {}), ("incident_opened", "n", True),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "field", "value"), WRONG)
def test_a_line_that_is_none_makes_its_record_damaged(place: Place, kind: str, field: str, value: object) -> None:
    """The line's number is named by history, verify, report and archive; the other site's records are read as ever."""
    lines = [dict(line) for line in place.lines]
    number = next(n for n, line in enumerate(lines) if line["kind"] == kind)
    lines[number][field] = value
    place.write(lines)
    past, problems = look(place)
    assert past.state == "damaged"
    assert f"line {number + 1} of the journal is damaged" in past.problem
    assert any(f"line {number + 1} of the journal is damaged" in problem for problem in problems)
    with pytest.raises(RecordError, match=f"line {number + 1} "):
        Record.open(place.root, place.folder.name)


@given(data=st.data())
@settings(max_examples=EXAMPLES)
def test_whatever_a_file_of_a_record_holds_nothing_is_raised(place: Place, data: st.DataObject) -> None:
    """Any JSON in a plan, an approval, facts or the opening, with the right digests: nothing ends in a traceback."""
    with changed_file(place, data):
        look(place)


@contextmanager
def changed_file(place: Place, data: st.DataObject) -> Iterator[None]:
    """Put any JSON in the place of one that a record holds, or of a part of it, and name its new digest."""
    lines = [dict(line) for line in place.lines]
    named = [n for n, line in enumerate(lines) if line["artifact"] and line["artifact"]["path"].endswith(".json")]
    number = data.draw(st.sampled_from(named))
    path = place.folder / lines[number]["artifact"]["path"]
    before = path.read_bytes()
    value = json.loads(before)
    if isinstance(value, dict) and data.draw(st.booleans()):
        value = value | {data.draw(st.sampled_from(sorted(value))): data.draw(ODD)}
    else:
        value = data.draw(ODD)
    try:
        after = json.dumps(value).encode()
    except ValueError:
        reject()
    lines[number]["artifact"] = lines[number]["artifact"] | {"sha256": sha256_hex(after)}
    place.write(lines)
    try:
        path.write_bytes(after)
        yield
    finally:
        path.write_bytes(before)


def look_at_round(place: Place, fleet: str) -> None:
    """Read a round as ``runbook fleet status`` and whatever goes on with it does."""
    round_ = newest_round(place.root, fleet)
    assert round_
    round_.newest_rollup()
    newest_outcome(round_)
    round_.outcome()


def look_at_rounds(place: Place) -> None:
    """The damaged one is told as that, or is none; the other fleet's is there as ever."""
    with suppress(RecordError):
        look_at_round(place, "evening-two")
    look_at_round(place, "evening")


def test_a_round_that_is_whole_is_read(evenings: Place) -> None:
    """What is to be damaged below is not damaged before."""
    look_at_round(evenings, "evening-two")


@given(data=st.data())
@settings(max_examples=EXAMPLES)
def test_whatever_a_line_of_a_round_holds_nothing_else_is_raised(evenings: Place, data: st.DataObject) -> None:
    """Any value in any field, with the right hashes: the round is damaged at worst, and no other fleet's."""
    lines = [dict(line) for line in evenings.lines]
    number = data.draw(st.integers(min_value=0, max_value=len(lines) - 1))
    lines[number][data.draw(st.sampled_from(["utc", "kind", "seen", "artifact", "text"]))] = data.draw(ODD)
    try:
        evenings.write(lines)
    except ValueError:
        return
    look_at_rounds(evenings)


@given(data=st.data())
@settings(max_examples=EXAMPLES)
def test_whatever_a_file_of_a_round_holds_nothing_else_is_raised(evenings: Place, data: st.DataObject) -> None:
    """Any JSON in the roll-up, the outcome or the opening, with the right digests."""
    with changed_file(evenings, data):
        look_at_rounds(evenings)


OPENINGS = [
    b"", b"[]", b"7", b'{"incident": 7}', b'{"incident": "ID", "opened_utc": "soon"}', b"[" * 100_000,
    b'{"incident": "ID", "opened_utc": "2026-11-23T12:45:01"}', b'{"opened_utc": "2026-11-23T12:45:01Z"}',
]  # fmt: skip


@pytest.mark.parametrize("content", OPENINGS)
def test_an_opening_that_is_none(place: Place, content: bytes) -> None:
    """A record that does not say whose it is is damaged."""
    path = place.folder / "incident.json"
    content = content.replace(b"ID", place.folder.name.encode())
    before = path.read_bytes()
    lines = [dict(line) for line in place.lines]
    lines[0]["artifact"] = {"path": "incident.json", "sha256": sha256_hex(content)}
    try:
        path.write_bytes(content)
        place.write(lines)
        past, _ = look(place)
    finally:
        path.write_bytes(before)
    assert past.state == "damaged"


def read_all(place: Place) -> None:
    """Read the plan and the approvals, as a stage that goes on does."""
    record = Record.open(place.root, place.folder.name)
    record.read_plan()
    record.read_approvals()


def test_a_journal_without_an_end_keeps_no_other_record_from_being_read(place: Place) -> None:
    """Whoever may write one record of a shared folder makes that one damaged; to write a hole of terabytes is free."""
    place.write([dict(line) for line in place.lines])
    path = place.folder / "journal.jsonl"
    before = path.read_bytes()
    os.truncate(path, 1 << 43)
    try:
        assert any("64 MB at most" in problem.what for problem in verify_record(place.folder).problems)
        assert find_open(place.root, "paris") == place.other
        look_from_00(place)
        look_from_a_fleet(place)
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("name", ["journal.jsonl", "incident.json", "approvals", "plans"])
def test_a_pipe_keeps_nobody_waiting(place: Place, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named pipe in the place of any file of a record makes that record damaged; nothing waits for its other end."""
    place.write([dict(line) for line in place.lines])
    path = place.folder / name
    path = next(path.iterdir()) if path.is_dir() else path
    before = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    forbid_waiting_opens(monkeypatch)
    try:
        problems = [problem.what for problem in verify_record(place.folder).problems]
        assert "added: it is a link or a device, and a record holds plain files only" in problems
        assert post_mortem(place.folder, Trusted()).verified.problems
        with pytest.raises(RecordError):
            pack(place.folder, place.root / "a.zip", Trusted())
        assert find_open(place.root, "paris") == place.other
        deletion_ends(place.root, "lab")
        look_from_00(place)
        look_from_a_fleet(place)
        with pytest.raises(RecordError):
            read_all(place)
    finally:
        path.unlink()
        path.write_bytes(before)


def test_what_is_written_could_be_read(tmp_path: Path) -> None:
    """A line that would be damaged is never written: the error is the caller's, and the journal goes on."""
    journal = Journal(tmp_path)
    with pytest.raises(ValueError, match="seen"):
        journal.append(Kind.OUTCOME, seen="bogus")
    assert journal.append(Kind.NOTED).n == 1
    assert datetime.now(UTC) >= journal.read().lines[0].utc
