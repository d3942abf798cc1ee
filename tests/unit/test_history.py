"""All incidents: what is listed, what is found, and an index that is never believed against the records."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook_lib import paths
from runbook_lib.cli.records import history_command
from runbook_lib.errors import ParameterRefused, RecordNotWritable
from runbook_lib.models import Outcome, PastIncident, Stage
from runbook_lib.record import history as history_finding
from runbook_lib.record import journal_file
from runbook_lib.record.history import INDEX_PLACE, INDEX_VERSION, WAIT_S, Query, opened, past_incidents
from runbook_lib.record.incident import Record, find_open
from runbook_lib.record.signing import new_key
from runbook_lib.show.incidents import incidents
from runbook_lib.show.report import post_mortem

MANY = 300


def incident(root: Path, site: str, outcome: Outcome | None = Outcome.REPAIRED, said: str = "") -> Record:
    """A record with a change and an outcome."""
    record = Record.create(root, site)
    change = record.intend(Stage.DELETE, "primary", "192.0.2.20_8082")
    change.sent()
    change.result("gone")
    if said:
        record.keep_bytes("answers/0001-primary-x.txt", said.encode())
    if outcome:
        record.set_outcome(outcome)
    return record


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three records of two sites: one repaired, one failed, one open."""
    incident(tmp_path, "berlin")
    incident(tmp_path, "paris", Outcome.FAILED, said="host=prime-sec_8082;  subject=/CN=Prüfstand")
    incident(tmp_path, "paris", None)
    past_incidents(tmp_path)
    return tmp_path


def states(root: Path, query: Query | None = None) -> list[tuple[str, str]]:
    return sorted((one.site, one.state) for one in past_incidents(root, query))


ALL = [("berlin", "repaired"), ("paris", "failed"), ("paris", "open")]


def read_anew(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which records are read when all are listed; the others are the index's."""
    read: list[str] = []
    real = history_finding.read_entry
    monkeypatch.setattr(history_finding, "read_entry", lambda r, name: read.append(name) or real(r, name))
    past_incidents(root)
    monkeypatch.undo()
    return read


# -- what is listed ----------------------------------------------------------------------------------


def test_incident_is_told_as_its_record_tells_it(tmp_path: Path) -> None:
    """Site, opening, outcome, time to repair from the opening to the first outcome that closed it, who, changes."""
    record = incident(tmp_path, "berlin", Outcome.FAILED)
    record.set_outcome(Outcome.REPAIRED)
    closed = record.journal.read().lines[-1].utc
    record.set_outcome(Outcome.REPAIRED)
    (one,) = past_incidents(tmp_path)
    opening = record.opening()
    assert (one.site, one.state, one.by, one.changes) == ("berlin", "repaired", opening["by"], 1)
    assert one.opened_utc == datetime.fromisoformat(opening["opened_utc"])
    assert one.repair_s == (closed - one.opened_utc).total_seconds()
    assert one.ended_utc == record.journal.read().lines[-1].utc


@pytest.mark.parametrize("outcome", [None, Outcome.NOTHING_TO_DO, Outcome.STOPPED, Outcome.UNKNOWN])
def test_what_was_not_repaired_has_no_time_to_repair(tmp_path: Path, outcome: Outcome | None) -> None:
    """Only an outcome that closed an incident after a change is a repair."""
    incident(tmp_path, "berlin", outcome)
    assert past_incidents(tmp_path)[0].repair_s is None


def test_a_clock_that_was_set_back_in_between_is_no_time_to_repair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A length below nothing is not known; the report says that the clock was set back, by how much and where."""
    record = incident(tmp_path, "berlin", None)
    clock = SimpleNamespace(now=lambda zone: datetime.now(zone) - timedelta(days=1))
    monkeypatch.setattr(journal_file, "datetime", clock)
    record.set_outcome(Outcome.REPAIRED)
    assert past_incidents(tmp_path)[0].repair_s is None
    (told,) = (what for what in post_mortem(record.folder).unproven if "clock was set back" in what)
    assert told.endswith(f" before line {record.journal.read().lines[-1].n}")


def test_a_clock_that_was_set_back_names_no_older_incident(tmp_path: Path) -> None:
    """The newest by name is the one that was opened last, of each site; a name that is no time is passed over."""
    (tmp_path / "20991231T235959Z-berlin-ffff").mkdir()
    names = [Record.create(tmp_path, "berlin").incident for _ in range(3)]
    assert [name[:16] for name in names] == ["21000101T000000Z", "21000101T000001Z", "21000101T000002Z"]
    assert find_open(tmp_path, "berlin") == names[-1]
    (tmp_path / "99999999T999999Z-oslo-ffff").mkdir()
    assert Record.create(tmp_path, "oslo").incident < "2099"


def test_a_link_that_leads_to_itself_is_no_incident(tmp_path: Path) -> None:
    """Whoever may write in a folder of records keeps nobody from the others by one."""
    loop = tmp_path / "20260101T000000Z-berlin-0000"
    loop.symlink_to(loop.name)
    record = incident(tmp_path, "berlin", None)
    assert [each.incident for each in past_incidents(tmp_path)] == [record.incident]
    assert find_open(tmp_path, "berlin") == record.incident


def test_damaged_records_are_listed_with_their_problem(root: Path) -> None:
    """A journal that was edited, one that is gone and an empty folder are listed as damaged, newest first."""
    names = sorted(path.name for path in root.iterdir() if not path.name.startswith("."))
    journal = root / names[0] / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"intent"', b'"intend"'))
    (root / names[1] / "journal.jsonl").unlink()
    (root / "20200101T000000Z-old-0000").mkdir()
    found = past_incidents(root)
    assert [one.incident for one in found] == sorted((*names, "20200101T000000Z-old-0000"), reverse=True)
    assert {one.incident: one.problem for one in found if one.problem} == {
        names[0]: "line 2 of the journal is damaged: its hash is not that of its content",
        names[1]: "it has no journal",
        "20200101T000000Z-old-0000": "it has no journal",
    }


def test_no_records_are_no_incidents(tmp_path: Path) -> None:
    """A place that does not exist yet has no incidents."""
    assert past_incidents(tmp_path / "nowhere") == ()


def test_incidents_by_site_outcome_and_time(root: Path) -> None:
    """Each of the questions leaves out what does not fit; a day alone means all of it."""
    today = f"{past_incidents(root)[0].opened_utc:%Y-%m-%d}"
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    assert states(root, Query.parse(site="paris")) == ALL[1:]
    assert states(root, Query.parse(outcome="open")) == ALL[2:]
    assert states(root, Query.parse(since=today, until=today)) == ALL
    assert states(root, Query.parse(since=tomorrow)) == []
    assert states(root, Query.parse(until="2020-01-01T12:00+02:00")) == []


@pytest.mark.parametrize("wrong", [{"since": "yesterday"}, {"until": "2026-13-01"}, {"outcome": "mended"}])
def test_question_that_cannot_be_is_refused(wrong: dict[str, str]) -> None:
    """A time or an outcome that does not exist is a wrong parameter."""
    with pytest.raises(ParameterRefused):
        Query.parse(**wrong)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("prime-sec", 1),
        ("192.0.2.20_8082", 3),
        ("192.0.2.2", 3),
        ("prüfst", 1),
        ('"host prime"', 1),
        ('"prime host"', 0),
        ("prime failed", 1),
        ("prime repaired", 0),
        ("NOT failed", 0),
        ("", 3),
        ("  ", 3),
    ],
)
def test_search_finds_words_and_their_beginnings(root: Path, text: str, count: int) -> None:
    """Every word has to be there, phrases in quotes in their order, and nothing of it is an operator."""
    assert len(past_incidents(root, Query.parse(text=text))) == count


@settings(max_examples=60)
@given(text=st.text(max_size=12))
def test_search_takes_any_text(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Quotes, operators, control characters: nothing that is typed breaks the search."""
    with opened(":memory:") as index:
        assert index.incidents(Query.parse(text=text).match) == ()


# -- the index ---------------------------------------------------------------------------------------


def test_second_time_nothing_is_read_but_what_has_changed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that did not change are the index's; one that went on, or is new, is read; one that is gone is gone."""
    assert read_anew(root, monkeypatch) == []
    newest = past_incidents(root)[0]
    Record.open(root, newest.incident).set_outcome(Outcome.NOTHING_TO_DO)
    added = incident(root, "rome")
    assert sorted(read_anew(root, monkeypatch)) == sorted([newest.incident, added.incident])
    (root / added.incident).rename(root / "moved away")
    assert "rome" not in {one.site for one in past_incidents(root)}


def test_a_key_that_is_trusted_later_judges_every_record(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it signed may be more than a record still holds."""
    new_key(paths.key_dir())
    assert len(read_anew(root, monkeypatch)) == len(ALL)
    assert read_anew(root, monkeypatch) == []


def test_record_whose_journal_was_put_back_in_time_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit of the same length, with the old time put back on the file, is not missed."""
    path = root / past_incidents(root)[0].incident / "journal.jsonl"
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b'"gone"', b'"none"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert past_incidents(root)[0].state == "damaged"


def damage(place: Path, how: str) -> None:
    data = place.read_bytes()
    match how:
        case "missing":
            place.unlink()
        case "empty":
            place.write_bytes(b"")
        case "cut short":
            place.write_bytes(data[: len(data) // 2])
        case "garbage":
            place.write_bytes(b"\xff" * len(data))
        case "garbage inside":
            place.write_bytes(data[:4096] + b"\x5a" * (len(data) - 4096))
        case "another version":
            change(place, "PRAGMA user_version = 99")
        case "another table":
            change(place, "DROP TABLE incident; CREATE TABLE incident (x)")
        case "no search":
            change(place, "DROP TABLE said")
        case "a row that lies":
            change(place, """UPDATE incident SET row = replace(row, '"failed"', '"repaired"')""")
        case "a folder":
            place.unlink()
            place.mkdir()
        case "a link":
            place.unlink()
            place.symlink_to(place.parents[2] / "elsewhere")
        case "a link for its folder":
            place.unlink()
            place.parent.rmdir()
            place.parent.symlink_to(place.parents[2])


def change(place: Path, script: str) -> None:
    connection = sqlite3.connect(place)
    connection.executescript(script)
    connection.close()


@pytest.mark.parametrize(
    "how",
    [
        "missing",
        "empty",
        "cut short",
        "garbage",
        "garbage inside",
        "another version",
        "another table",
        "no search",
        "a row that lies",
        "a folder",
        "a link",
        "a link for its folder",
    ],
)
def test_index_that_is_not_what_was_written_is_built_anew(root: Path, how: str) -> None:
    """Whatever happened to the index, the list and the search tell what the records tell."""
    damage(root / INDEX_PLACE, how)
    assert states(root) == ALL
    assert states(root, Query.parse(text="prime-sec")) == ALL[1:2]
    assert not (root.parent / "elsewhere").exists()
    assert not (root.parent / INDEX_PLACE.name).exists()
    if how not in (
        "a folder",
        "a link",
        "a link for its folder",
    ):  # not ours to take away; the records are read then
        assert (root / INDEX_PLACE).stat().st_mode & 0o777 == 0o600
        assert version(root / INDEX_PLACE) == INDEX_VERSION


def version(place: Path) -> int:
    connection = sqlite3.connect(place)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


@pytest.mark.parametrize("seed", range(8))
def test_index_with_a_changed_byte_never_lies(root: Path, seed: int) -> None:
    """One byte of it changed, anywhere: the list is that of the records."""
    place = root / INDEX_PLACE
    data = bytearray(place.read_bytes())
    for at in range(seed, len(data), len(data) // 3):
        changed = bytearray(data)
        changed[at] ^= 0x41
        place.write_bytes(changed)
        assert states(root) == ALL, at


def test_index_that_another_process_holds_is_left_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is locked the records are read, nothing is waited for long, and the index is not taken away."""
    monkeypatch.setattr("runbook_lib.record.history.WAIT_S", WAIT_S / 100)
    place = root / INDEX_PLACE
    inode = place.stat().st_ino
    holder = sqlite3.connect(place)
    holder.execute("BEGIN EXCLUSIVE")
    incident(root, "rome")
    assert ("rome", "repaired") in states(root)
    holder.rollback()
    holder.close()
    assert place.stat().st_ino == inode
    assert ("rome", "repaired") in states(root)


def test_records_that_cannot_be_written_to_are_listed_all_the_same(tmp_path: Path) -> None:
    """Where there is no place for an index, the records are read."""
    incident(tmp_path, "berlin")
    (tmp_path / ".index").write_text("a file in the place of its folder")
    assert states(tmp_path) == ALL[:1]


def test_three_hundred_records_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many records: each is read once, the next list reads none, and it is told how far it is."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # nothing here is to survive a power cut
    for number in range(MANY):
        Record.create(tmp_path, f"site{number % 7}").set_outcome(Outcome.REPAIRED)
    told: list[tuple[int, int]] = []
    assert len(past_incidents(tmp_path, progress=lambda *far: told.append(far))) == MANY
    assert (told[0], told[-1]) == ((1, MANY), (MANY, MANY))
    assert read_anew(tmp_path, monkeypatch) == []


# -- how it looks ------------------------------------------------------------------------------------


def test_table_says_how_many_are_not_shown(root: Path) -> None:
    """The newest stand first, and what is left out is counted."""
    found = past_incidents(root)
    text = incidents(found, most=1).text(200)
    assert found[0].incident in text
    assert found[1].incident not in text
    assert "The newest 1; 2 older ones are not shown." in text


def test_json_holds_every_field(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--json`` prints a list of objects with the fields of an incident and its state in a word."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(root))
    history_command(last=2, as_json=True)
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 2
    assert set(rows[0]) == {*PastIncident.__dataclass_fields__, "state"}


def test_half_a_surrogate_pair_ends_no_command(tmp_path: Path) -> None:
    """A terminal of another encoding gives a name such letters; one record with them is no reason to list none."""
    Record.create(tmp_path, "lab").close(Outcome.STOPPED, by="Ad\udcffa", reason="x")
    assert [one.outcome for one in past_incidents(tmp_path)] == [Outcome.STOPPED]


def test_a_map_is_written_whole_or_not_at_all(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk is full, the map of yesterday is still there."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(root))
    path = root.parent / "map.svg"
    history_command(sites=True, map_file=str(path))
    before = path.read_text()
    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(errno.ENOSPC, "full")))
    with pytest.raises(RecordNotWritable, match=r"map\.svg"):
        history_command(sites=True, map_file=str(path))
    assert path.read_text() == before != ""
