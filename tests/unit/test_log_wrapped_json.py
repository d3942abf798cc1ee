"""Logs that a collector has wrapped in JSON, one object a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from growth import assert_linear
from hypothesis import given, settings
from hypothesis import strategies as st
from log_kit import CAUSE, CORE, DN, HEAD, THREAD, findings, scan

from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.logs.jobs import Settings
from runbook_lib.logs.wrapped_json import unwrap

FIXTURES = Path(__file__).parent.parent / "fixtures" / "log-wrapped"
LINE = f"{THREAD}{HEAD}"


def quoted(text: str) -> int:
    return findings(text).tallies["quoted_message"].count


def line(**fields: object) -> str:
    return json.dumps(fields) + "\n"


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.match.jsonl")), ids=lambda path: path.name)
def test_wrapped_log_is_one_mismatch(path: Path) -> None:
    """What each collector makes of the published log is one event, with its subject, thread and time."""
    found = diagnose_sources({"primary": [path]}, Settings(zones={"primary": "UTC"}))
    (mismatch,) = found.mismatches
    assert (mismatch.subject, mismatch.count, mismatch.threads) == (DN, 1, ("HealthMonitorThread",))
    assert mismatch.place == "primary_health_monitor"
    assert mismatch.first_utc is not None
    assert mismatch.first_utc.replace(microsecond=0) == datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC)
    assert found.look_alikes == ()


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.near-miss.jsonl")), ids=lambda path: path.name)
def test_wrapped_text_that_only_quotes_is_no_mismatch(path: Path) -> None:
    """An audit's or a search's object, a log line that quotes, and other words are no mismatch."""
    assert b"Trust-on-first-use" in path.read_bytes()
    assert diagnose_sources({"primary": [path]}).mismatches == ()


PREFIX = "2026-11-23T12:00:01.123Z prime-pri ncs[12]: [system] [HealthMonitorThread] "


@pytest.mark.parametrize(
    "wrap", [lambda text: line(log=f"{text}\n"), lambda text: f"2026-11-23T12:00:01Z stdout F {text}\n"]
)
def test_a_prefix_before_each_of_its_lines_hides_no_message(wrap: Callable[[str], str]) -> None:
    """The dash before the subject is not the first one of its line: the time has some."""
    parts = CAUSE.replace(": Trust", ":\nTrust").replace(". ", ".\n").replace(" - ", "\n- ").split("\n")
    found = scan("".join(wrap(PREFIX + part) for part in parts))
    assert [(each.subject, each.count) for each in found] == [("CN=prime-sec", 1)]


def test_a_wrapped_message_that_is_not_read_is_told(tmp_path: Path) -> None:
    """No all-clear for words that stand in a log's own field and cannot be put together."""
    (log := tmp_path / "hm.log").write_text(line(message=PREFIX + HEAD.replace(". ", ".\v")) * 3)
    assert "words that are not known" in diagnose_sources({"primary": [log]}).damaged[0].problem


def test_field_decides() -> None:
    """In a field for the log's line the message is one; in any other, whatever stands before it, it is quoted."""
    assert [m.count for m in scan(line(message=LINE))] == [1]
    for fields in ({"query": LINE}, {"user": '"x', "query": LINE}, {"message": "done", "text": LINE}, {"a": [LINE]}):
        assert scan(line(**fields)) == ()
        assert quoted(line(**fields)) == 1
    assert [m.count for m in scan(line(query=LINE) + line(message=LINE))] == [1]


@pytest.mark.parametrize("indent", [1, 4])
def test_field_decides_in_an_object_that_is_laid_out_over_several_lines(indent: int) -> None:
    """The line with the log's field is read as the object would be."""
    for name, found in (("message", 1), ("event.original", 1), ("query", 0)):
        text = json.dumps({"level": "ERROR", name: LINE, "tags": ["x"]}, indent=indent) + "\n"
        assert [m.count for m in scan(text)] == [1] * found
        assert quoted(text) == 1 - found


@pytest.mark.parametrize("before", ['see "', 'see: "x', "[audit] ", "In the log of a server stands "])
def test_object_that_is_quoted_itself_stays_quoted(before: str) -> None:
    """An object behind words by which people quote is no line of a collector."""
    assert scan(before + line(message=LINE)) == ()


@pytest.mark.parametrize("text", [f'{{"request": "1"}} {LINE}\n', f'{LINE} {{"request": "1"}}\n'])
def test_message_beside_an_object_is_the_line_s_own(text: str) -> None:
    """An object before or behind the message, as loggers print their context, makes no quotation of it."""
    assert [m.count for m in scan(text)] == [1]


def test_much_may_stand_before_the_message() -> None:
    """An object with kilobytes of a collector's own fields before the log's line is read."""
    text = "x\n" * 9_000 + line(host={"ip": ["10.0.0.1"] * 800}, message=LINE)
    assert [m.count for m in scan(text)] == [1]
    assert [m.count for m in scan(text, sizes=[1000])] == [1]


def test_one_message_in_two_fields_is_one_event() -> None:
    """A collector that keeps the original beside the message, or the stack below it, tells of one event."""
    (found,) = scan(line(message=LINE, event={"original": LINE}, stack_trace=f"{CAUSE}\n\tat a.b(C.java:1)"))
    assert (found.count, found.subject) == (1, DN)


def test_two_messages_in_one_object_are_two_events() -> None:
    """Every message in a wrapped text counts."""
    assert [m.count for m in scan(line(log=f"{LINE}\n{LINE}\n") * 3)] == [6]


def test_object_in_an_object_is_unwrapped_to_a_depth() -> None:
    """A line that two collectors have wrapped is read; one wrapped without end is not followed."""
    text = LINE
    for depth in range(1, 6):
        text = json.dumps({"log": text})
        assert len(scan(text + "\n")) == (depth <= 3)


def test_escapes_are_those_of_the_text() -> None:
    """Escaped quotes, letters and slashes in the subject are read as what they stand for."""
    subject = 'CN=prime-séc, O="Cisco, Inc/x"'
    text = line(message=LINE.replace(DN, subject)).replace("/", "\\/")
    assert [m.subject for m in scan(text)] == [subject]


def test_time_and_thread_of_the_line_itself_count_first() -> None:
    """The object's time and thread are used only where the line tells none: the collector's clock is another."""
    told = {"@timestamp": "2026-11-23T12:00:00Z", "thread": "main"}
    (found,) = scan(line(message=f"2026-11-22 10:00:00,000 {LINE}", **told))
    assert (found.threads, str(found.first_utc)) == (("HealthMonitorThread",), "2026-11-22 10:00:00+00:00")
    (found,) = scan(line(message=HEAD, **told))
    assert (found.threads, str(found.first_utc)) == (("main",), "2026-11-23 12:00:00+00:00")


def test_end_of_a_wrapped_log_is_known() -> None:
    """The last time that a wrapped log tells is its end."""
    found = findings(line(message=LINE, time="2026-11-23T12:00:00Z") + line(message="x", time="2026-11-23T13:00:00Z"))
    assert found.end_utc == datetime(2026, 11, 23, 13, tzinfo=UTC)


def journal_line(message: object, *, indent: int | None = None) -> str:
    """Return a line as ``journalctl --output=json`` writes it, or json-pretty."""
    fields = {"__REALTIME_TIMESTAMP": "1795435201000000", "MESSAGE": message, "_PID": "1"}
    if indent:
        return json.dumps(fields, indent="\t", separators=(",", " : ")) + "\n"
    return json.dumps(fields, separators=(",", ":")) + "\n"


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("before", ["\x1b[31m", "caf\xe9 "])
def test_message_that_a_journal_writes_as_numbers_is_read(before: str, indent: int | None) -> None:
    """Coloured text, and text that is no UTF-8, stands in it as a list of bytes; the evidence is readable."""
    held = f"{before}{LINE}".encode("latin-1")
    (found,) = scan(journal_line("x") * 3 + journal_line(list(held), indent=indent) + journal_line("y"))
    assert (found.subject, found.count, found.threads) == (DN, 1, ("HealthMonitorThread",))
    assert indent or HEAD in found.evidence[0].text


def test_message_that_a_journal_holds_twice_is_read() -> None:
    """A field that occurs again is a list, of texts or of bytes."""
    for other in ("noise", list(b"\xff noise")):
        assert [m.count for m in scan(journal_line([other, LINE]))] == [1]
        assert scan(journal_line([other, "noise"])) == ()


@pytest.mark.parametrize("message", [None, [7] * 50_000])
def test_message_that_a_journal_left_out_is_told(message: object, tmp_path: Path) -> None:
    """What is not there, or is too long to be read, makes its log one that was not read whole."""
    path = tmp_path / "journal.json"
    path.write_text(journal_line("x") + journal_line(message) + journal_line("y"))
    (damage,) = diagnose_sources({"primary": [path]}).damaged
    assert damage.problem.startswith("line 2 has lost its message")
    path.write_text(line(text=line(MESSAGE=None)) + '{"MESSAGE":null,"STATUS":"OK"}\n' + '{"MESSAGE":[{"a":1}')
    assert diagnose_sources({"primary": [path]}).damaged == ()


@pytest.mark.parametrize("size", [0x122, 0x127, 0x160, 0x1AB, 0x200])
def test_message_behind_its_size_in_a_journal_s_export_is_read(size: int, tmp_path: Path) -> None:
    """In eight bytes, of which one may look like a quotation mark; the time behind them is the message's."""
    held = f"2026-11-23 12:00:01 {LINE}\n\tat {'x' * size}".encode()[:size]
    path = tmp_path / "journal.export"
    path.write_bytes(b"PRIORITY=3\nMESSAGE\n" + size.to_bytes(8, "little") + held + b"\n_PID=1\n\n")
    (found,) = diagnose_sources({"primary": [path]}, Settings(zones={"primary": "UTC"})).mismatches
    assert (found.subject, found.first_utc) == (DN, datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC))


def test_evidence_names_the_lines_of_the_file() -> None:
    """The evidence is the wrapped lines as they stand in the file, by their numbers."""
    lines = LINE.replace("Check", "\nCheck").replace(" - ", "\n- ").split("\n")
    (found,) = scan("x\n" + "".join(line(log=f"{part}\n") for part in lines))
    assert [x.number for x in found.evidence] == [2, 3, 4]
    assert found.evidence[1].text == line(log=f"{lines[1]}\n").rstrip()


def test_nothing_is_lost_where_the_bytes_of_wrapped_lines_are_split() -> None:
    """However the bytes are cut, the findings are the same."""
    noise = line(n=1, message="DEBUG Trust-on-first-use is on" + "x" * 700)
    parts = "".join(line(log=f"{part}\n") for part in LINE.replace(" - ", "\n- ").split("\n"))
    text = (noise * 400 + line(message=f"{LINE}\n{CAUSE}") + noise * 3 + parts + line(query=LINE)) * 3
    whole = scan(text)
    assert [m.count for m in whole] == [6]

    @given(st.lists(st.integers(500, 100_000), min_size=1, max_size=6))
    @settings(max_examples=15)
    def are_found_alike(sizes: list[int]) -> None:
        assert scan(text, sizes=sizes) == whole

    are_found_alike()


@given(st.binary(max_size=200).map(lambda tail: b"{" + tail))
def test_any_line_is_unwrapped_or_left(data: bytes) -> None:
    """No line breaks the reading of what may be an object, nested without end included."""
    for text in (data, data * 40_000, b'{"log":' * 9_000, b'{"n":' + b"9" * 5_000 + b"}"):
        assert isinstance(unwrap(text[:60_000]), str | None)


@pytest.mark.parametrize(
    "piece",
    ['{"message":"Trust-on-first-use ', line(message=LINE[:-9] + "\\"), '{"a":' * 9 + LINE, line(log=CORE * 40)],
)
def test_scan_of_wrapped_lines_is_linear(piece: str) -> None:
    """Four times as much of any wrapped piece, up to 48,000 characters, is scanned in about four times the time."""
    assert_linear(lambda size: scan(piece * (size // len(piece))), 12_000)
