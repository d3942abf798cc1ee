"""What counts as a mismatch in a log, and what it says."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from growth import assert_linear
from hypothesis import given, settings
from hypothesis import strategies as st
from log_kit import CAUSE, CORE, DN, HEAD, THREAD, findings, scan

from runbook_lib.device.names import Fit, fits
from runbook_lib.logs import scanner
from runbook_lib.logs.conclusions import exit_code, mismatches_of
from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.logs.events import EVIDENCE_LINES, MOST_THREADS
from runbook_lib.logs.rules import RULES
from runbook_lib.logs.scanner import Scanner

PUBLISHED = Path(__file__).parent.parent / "fixtures" / "logs"


@pytest.mark.parametrize(
    ("file", "server", "place", "subject"),
    [
        ("primary-health-monitor", "primary", "primary_health_monitor", DN),
        ("primary-infrastructure", "primary", "primary_infrastructure", "CN=ISE-server"),
        ("secondary-health-monitor", "secondary", "secondary_health_monitor", DN.replace("sec", "pri")),
    ],
)
def test_published_log_is_one_mismatch(file: str, server: str, place: str, subject: str) -> None:
    """Each published log tells of one event, its place and its subject."""
    (found,) = scan((PUBLISHED / f"{file}.log").read_bytes(), server)
    assert (found.place, found.subject, found.count) == (place, subject, 1)


@pytest.mark.parametrize("joint", [" ", "\n", "#012", "&#10;", "&#xD;&#xA;", "\\n", "<br/>", " | ", "%0A", "\u2028"])
@pytest.mark.parametrize(
    "prefix", ["", "2026-11-23 12:00:01,123 ERROR ", "<11>Nov 23 12:00:01 prime-pri ncs[77]: ", "11/23/26 12:00:01.5 "]
)
def test_one_line_or_several_any_prefix(joint: str, prefix: str) -> None:
    """An event counts once, with its thread, whatever stands before it and whether it is broken over lines."""
    parts = (f"{prefix}{THREAD}TOFU failed.", "Check local trust Trust-on-first-use is configure for this connection.")
    rest = CORE.partition(". ")[2].removesuffix(" - ")
    text = joint.join((*parts, rest, f"- {DN}", CAUSE)) + "\n"
    (found,) = scan(f"noise\n{text}noise\n{text}")
    assert (found.subject, found.count, found.threads) == (DN, 2, ("HealthMonitorThread",))


def test_what_quotes_a_message_quotes_all_that_was_joined_to_it() -> None:
    """The exception behind it is no mismatch of its own; signs that nobody knows are told with the line."""
    message = f"{HEAD}#012{CAUSE}"
    for quoting in ("Nov 23 12:00:01 pri audit: grep '{}'\n", 'He wrote "{}"\n', "search for {}\n"):
        assert not scan(quoting.format(message.replace(". ", ".#012").replace(" - ", "#012- ")))


@pytest.mark.parametrize("form", ["<message>{}</message>\n</record>", "<log4j:message><![CDATA[{}]]></log4j:message>"])
@pytest.mark.parametrize("joint", [" ", "\n", "&#10;"])
def test_a_message_in_xml_ends_before_what_closes_it(form: str, joint: str) -> None:
    """As java.util.logging and log4j write it."""
    message = HEAD.replace(". ", f".{joint}").replace(" - ", f"{joint}- ")
    (found,) = scan(f"<record>\n  <date>2026-11-23T12:00:01Z</date>\n  {form.format(message)}\n" * 2)
    assert (found.subject, found.count) == (DN, 2)


@pytest.mark.parametrize("joint", ["\v", "\f"])
def test_a_message_that_cannot_be_put_together_is_no_all_clear(tmp_path: Path, joint: str) -> None:
    """Its line is told, to be read there."""
    (log := tmp_path / "hm.log").write_text(f"2026-11-23 12:00:01 {HEAD.replace('. ', f'.{joint}')}\n" * 3)
    found = diagnose_sources({"primary": [log]})
    assert exit_code(found) == 2
    assert "words that are not known" in found.damaged[0].problem


@pytest.mark.parametrize("feed", ["\n", "\r\n"])
@pytest.mark.parametrize("columns", [60, 80, 132])
def test_a_terminal_that_broke_every_line_in_the_middle_of_words_hides_nothing(columns: int, feed: str) -> None:
    """What was copied from it is put together again; nothing is called free of a mismatch for a word that is in two."""
    event = f"2026-11-23 12:00:01 {THREAD}{HEAD}\n{CAUSE}\n\tat com.cisco.x.Y.z(Y.java:1)\n"
    lines = (f"2026-11-23 11:59:00 {'noise ' * 20}\n" + event).splitlines() * 3
    broken = feed.join(line[at : at + columns] for line in lines for at in range(0, len(line), columns))
    (found,) = scan(broken + feed)
    assert (found.subject, found.count, found.threads) == (DN, 3, ("HealthMonitorThread",))
    assert found.last_utc == datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize("columns", [72, 80, 100])
def test_words_that_a_terminal_broke_are_found_wherever_it_broke_them(columns: int) -> None:
    """The rarest words, or those that introduce them, stand in two lines: it is no quotation, and no all-clear."""
    for shift in range(0, columns, 5):
        line = f"2026-11-23 12:00:01 {THREAD}ERROR com.{'x' * shift} - {HEAD}"
        broken = "".join(f"{line[at : at + columns]}\n" for at in range(0, len(line), columns))
        assert [mismatch.count for mismatch in scan(f"{broken}\n2026-11-23 12:00:02 all is well\n")] == [1], shift


@pytest.mark.parametrize(
    "line",
    [
        HEAD.replace("earlier - ", "earlier: "),
        HEAD.replace("Trust-on-first-use", "Trust\u2011on\u2011first\u2011use"),
        HEAD.replace("Trust-on-first-use", "Trust on first use"),
        HEAD.replace(" - ", " &#45; "),
        f'level=error msg="{HEAD}"',
        f'"2026-11-23 12:00:01","ERROR","{HEAD}"',
        f'[{{"message": "started"}}, {{"message": "{HEAD}"}}]',
    ],
)
def test_a_message_in_another_form_is_no_all_clear(tmp_path: Path, line: str) -> None:
    """It is told with its line; a search for it is none."""
    log = tmp_path / "hm.log"
    log.write_text(f"2026-11-23 12:00:00 all is well\n{line}\n2026-11-23 12:00:02 all is well\n", encoding="utf-8")
    found = diagnose_sources({"primary": [log]})
    assert (found.mismatches, exit_code(found)) == ((), 2)
    assert "line 2 reports a mismatch in words that are not known" in found.damaged[0].problem
    assert not findings(f"12:00:01 [audit] admin ran: grep '{line}'\n").cut_off


@pytest.mark.parametrize("dash", ["\u2013".encode(), "\u2014".encode(), "\u2013".encode("cp1252")])
def test_a_dash_that_a_mail_made_longer_is_the_published_one(dash: bytes) -> None:
    """What somebody sent in a mail, or had in a word processor."""
    text = f"{THREAD}{HEAD}\n".encode().replace(b"earlier - ", b"earlier " + dash + b" ")
    assert [mismatch.subject for mismatch in scan(text)] == [DN]


@pytest.mark.parametrize("end", ["", ">", "...", "\u2026"])
@pytest.mark.parametrize("kept", [120, 140, 200])
def test_a_message_that_is_cut_before_its_subject_is_no_all_clear(tmp_path: Path, kept: int, end: str) -> None:
    """A pager that chops lines, or a collector: a mismatch is reported, and nobody knows of whom."""
    log = tmp_path / "hm.log"
    line = f"2026-11-23 12:00:01 {THREAD}{HEAD}"[:kept].rstrip() + end
    log.write_text(f"2026-11-23 12:00:00 all is well\n{line}\n2026-11-23 12:00:02 all is well\n", encoding="utf-8")
    found = diagnose_sources({"primary": [log]})
    assert (found.mismatches, exit_code(found)) == ((), 2)
    assert [(damage.source, damage.server) for damage in found.damaged] == [(str(log), "primary")]
    assert "line 2 " in found.damaged[0].problem


@pytest.mark.parametrize("before", ["audit: grep ", "see '", "[main] INFO com.x - TOFU is set: "])
def test_words_that_only_begin_like_the_message_are_no_damage(before: str) -> None:
    """A setting that is printed, an audit trail, a quotation; and a log that is being written ends anywhere."""
    for text in (f"{before}Trust-on-first-use is configured by admin\n", f"{THREAD}{HEAD}"[:140]):
        assert not findings(text).cut_off
    assert not findings(f"audit: grep {HEAD}"[:140] + "\n").cut_off


def test_a_line_feed_that_was_written_out_ends_a_subject() -> None:
    """A log in which backslash and n stand for the line's end tells one event with its own subject."""
    (found,) = scan(f"{THREAD}{HEAD}\\n{CAUSE}\\n\tat x\n")
    assert (found.subject, found.count) == (DN, 1)


@pytest.mark.parametrize(
    "word", ["TOFU failed", "trust", "Trust-on-first-use", "Current", "different", "earlier", "prime-sec"]
)
def test_what_a_search_coloured_is_read_as_it_was_written(word: str) -> None:
    """What grep marked in a terminal, and somebody kept, is the message with its subject."""
    text = f"2026-11-23 12:00:01 {THREAD}{HEAD}\n{CAUSE}\n".replace(word, f"\x1b[01;31m\x1b[K{word}\x1b[m\x1b[K")
    (found,) = scan(text)
    assert (found.subject, found.count, found.threads) == (DN, 1, ("HealthMonitorThread",))


@pytest.mark.parametrize("space", ["\u00a0", " \u00a0", "\u202f"])
def test_spaces_that_do_not_break(space: str) -> None:
    """A message that came through a page or a mail, its spaces no longer breaking, is read with its subject."""
    assert [(m.subject, m.count) for m in scan(f"{THREAD}{HEAD}\n")] == [(DN, 1)]
    text = f"{THREAD}{HEAD}\n".replace(" ", space)
    for data in (text.encode(), text.encode("latin-1", "ignore") if "\u202f" not in text else text.encode()):
        (found,) = scan(data)
        assert (found.count, found.threads) == (1, ("HealthMonitorThread",))
        assert found.subject.replace("\u00a0", " ").replace("\u202f", " ").split() == DN.split()
        assert fits(found.subject, DN) is Fit.EXACT


def test_a_message_with_a_prefix_on_every_line_is_read_whole() -> None:
    """A message of which every line has the whole prefix is read, and its exception belongs to it."""
    prefix = "2026-11-23 12:00:01,123 [system] [HealthMonitorThread] "
    (found,) = scan(
        (PUBLISHED / "primary-health-monitor.log").read_text().replace(THREAD, "").replace("\n", "\n" + prefix)
    )
    assert (found.subject, found.count) == (DN, 1)


@given(st.data())
@settings(max_examples=200)
def test_a_message_that_is_broken_at_any_space_is_found(data: st.DataObject) -> None:
    """Wherever its lines are broken between words, the message is found with its subject."""
    words = f"{THREAD}{HEAD}".split(" ")
    joints = data.draw(st.lists(st.sampled_from([" ", "\n", "\r\n"]), min_size=len(words), max_size=len(words)))
    subject_from = words.index("-") + 2
    text = "".join(w + (j if n < subject_from else " ") for n, (w, j) in enumerate(zip(words, joints, strict=True)))
    (found,) = scan(text + "\n")
    assert (found.subject, found.count) == (DN, 1)


def test_subject_wrapped_at_its_commas() -> None:
    """A subject that is wrapped at commas, or inside a value, is put together."""
    for wrapped in (DN.replace(", O", ",\nO"), DN.replace("Prime Infra", "Prime\nInfra")):
        (found,) = scan(f"{THREAD}{HEAD.replace(DN, wrapped)}\n{CAUSE}\n")
        assert (found.subject, found.count) == (DN, 1)


@pytest.mark.parametrize(
    "prefix",
    [
        "Nov 23 12:00:01 prime-pri ncs[77]: ",
        "<134>1 2026-11-23T12:00:01.000Z prime-pri ncs 77 - - ",
        "2026-11-23T12:00:01.123456789Z stdout F ",
        "[2026-11-23 12:00:01] prime-pri | ",
    ],
)
def test_a_subject_that_a_collector_wrapped_is_put_together(prefix: str) -> None:
    """A subject that is wrapped by a collector, each line with a prefix of no known form, is put together."""
    wrapped = f"{THREAD}{HEAD}".replace("sec, O", "sec,\nO").replace("host is", "host is\n")
    (found,) = scan("".join(f"{prefix}{line}\n" for line in wrapped.split("\n")) + f"{prefix}next: O=K\n")
    assert (found.subject, found.count) == (DN, 1)


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("<record><message>", "</message>"),
        ("<message>", "</message></record>"),
        ('<event ts="2026-11-23T12:00:00Z"><![CDATA[', "]]></event>"),
        ("<![CDATA[", "]]>"),
        ('ts="2026-11-23 12:00:00" host="prime-pri" ', ""),
        ("", "\rnext"),
    ],
)
def test_marks_around_a_message_make_no_quotation_of_it(before: str, behind: str) -> None:
    """A record within XML, or behind quoted fields, is no quotation, and its marks are not the subject's."""
    assert [(m.subject, m.count) for m in scan(f"{before}{THREAD}{HEAD}{behind}\n")] == [(DN, 1)]


def test_lines_of_other_threads_in_between() -> None:
    """Lines of other threads between the message's lines are passed over, another thread's message included."""
    mine = f"[system] [HealthMonitorThread] TOFU failed.\n[system] [main] one\n{HEAD.partition('failed. ')[2]}\n"
    split = HEAD.split(". ")
    a, b = (
        [f"[system] [{name}] {part}" for part in (split[0] + ".", split[1] + ".", split[2].replace("sec", host))]
        for name, host in (("HealthMonitorThread", "sec"), ("seqtaskexecutor-1", "ise"))
    )
    (found,) = scan(mine)
    assert found.threads == ("HealthMonitorThread",)
    both = scan("".join(f"{x}\n{y}\n" for x, y in zip(a, b, strict=True)))
    assert {(m.place, m.subject) for m in both} == {
        ("primary_health_monitor", DN),
        ("primary_infrastructure", DN.replace("sec", "ise")),
    }


def test_exception_alone_and_its_causes() -> None:
    """Exceptions without the message before them count once each, however many causes repeat it."""
    cause = f"Caused by: java.security.cert.CertificateException: {CORE}CN=prime-sec"
    one = f"[HealthMonitorThread] {CAUSE}\n\tat a.b.C(D.java:1)\n{cause}\n"
    (found,) = scan(one * 3)
    assert (found.subject, found.count, found.place) == ("CN=prime-sec", 3, "primary_health_monitor")


def test_cn_only_events_join_the_full_subject() -> None:
    """Events that name the CN alone are of the one full subject with that CN; with two, nobody can say."""
    lone = f"[HealthMonitorThread] {CAUSE}\n"
    between = ("x" * 99 + "\n") * 700
    (found,) = scan(f"{THREAD}{HEAD}\n{between}{lone}")
    assert (found.subject, found.count) == (DN, 2)
    other = f"{THREAD}{HEAD.replace('C=US', 'C=CZ')}\n"
    assert [m.count for m in scan(f"{THREAD}{HEAD}\n{other}{between}{lone}")] == [1, 1, 1]


@pytest.mark.parametrize(
    "decoy",
    [
        "DEBUG TOFU\n",
        "[HelpThread] Trust-on-first-use is configure for this connection.\n",
        "Check local trust Trust-on-first-use is configure for this connection.\n",
        f"Check local trust {CORE}{DN}\n",
        f'12:00:01 [audit] admin ran: grep "{HEAD}" hm-0-0.log\n',
        f'[system] [main] the words "{HEAD}" call for a deletion\n',
        f"[system] [main] If the log of a server says {HEAD}\n",
        f"[system] [HelpServlet] example: {CAUSE}\n",
        f"[system] [main] `{CAUSE}`\n",
        f"{THREAD}TOFU failed. Check local trust {CORE}the subject\n",
        f"{THREAD}TOFU failed. Check local trust Trust-on-first-use is configure for this connection.\nanother line\n",
        f"{THREAD}{HEAD.replace('different', 'the same')}\n",
    ],
)
def test_decoy_is_no_mismatch(decoy: str) -> None:
    """A text that only quotes the message, or a part of it, is not counted; the real one beside it is."""
    assert scan(decoy) == ()
    assert [m.count for m in scan(f"{decoy}{THREAD}{HEAD}\n{decoy}")] == [1]


@pytest.mark.parametrize("before", ["", "12:00:01 [system] [pool-1] ", "12:00:01 [audit] admin looked for "])
def test_a_message_that_nothing_introduces_is_told_as_a_quotation(before: str) -> None:
    """All of its words stand there: it is no mismatch, and no reason to say that there is nothing."""
    found = findings(f"12:00:00 [system] [main] started\n{before}{CORE}{DN}\n")
    assert found.tallies["quoted_message"].count == 1
    assert scan(f"{before}{CORE}{DN}\n") == ()


def test_a_subject_that_begins_with_a_type_of_no_name_is_read() -> None:
    """Java prints an attribute that it has no name for as OID.x.y.z."""
    (found,) = scan(f"{THREAD}{HEAD.replace(DN, f'OID.2.5.4.97=#0c0161, {DN}')}\n")
    assert found.subject == f"OID.2.5.4.97=#0c0161, {DN}"


def test_a_subject_in_the_order_of_the_lists_is_read() -> None:
    """As listcerts spells it: the message is the same, and the subject fits the entry."""
    (found,) = scan(f"{THREAD}{HEAD.replace(DN, '/C=US/O=Cisco Systems/CN=prime-sec')}\n")
    assert found.subject == "/C=US/O=Cisco Systems/CN=prime-sec"
    assert fits(found.subject, "C = US, O = Cisco Systems, CN = prime-sec") is Fit.EXACT


@pytest.mark.parametrize(
    ("server", "thread", "place"),
    [
        ("primary", "HealthMonitorThread", "primary_health_monitor"),
        ("primary", "seqtaskexecutor-3069", "primary_infrastructure"),
        ("secondary", "HealthMonitorThread", "secondary_health_monitor"),
        ("secondary", "seqtaskexecutor-1", "unknown"),
        ("primary", "main", "unknown"),
    ],
)
def test_the_place_follows_from_the_server_and_the_kind_of_thread(server: str, thread: str, place: str) -> None:
    """The place follows from the server and the kind of thread, and is unknown for every other pair."""
    assert [m.place for m in scan(f"[system] [{thread}] {HEAD}\n", server)] == [place]


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-11-23 12:00:01,250 ", "2026-11-23T12:00:01.250000+00:00"),
        ("[2026-11-23 12:00:01.25] ", "2026-11-23T12:00:01.250000+00:00"),
        ("2026-11-23T12:00:01+02:00 ", "2026-11-23T10:00:01+00:00"),
        ("2026-11-23T12:00:01.5Z ", "2026-11-23T12:00:01.500000+00:00"),
        ("11/23/26 12:00:01.250 ", "2026-11-23T12:00:01.250000+00:00"),
        ("23/11/2026 12:00:01 ", "2026-11-23T12:00:01+00:00"),
        ("23-Nov-2026 12:00:01 ", "2026-11-23T12:00:01+00:00"),
        ("Nov 23, 2026 1:00:01 PM ", "2026-11-23T13:00:01+00:00"),
        ("Mon Nov 23 12:00:01 UTC 2026 ", "2026-11-23T12:00:01+00:00"),
        ("Nov 23, 2026 12:00:01 AM com.cisco.Monitor run\nSEVERE: ", "2026-11-23T00:00:01+00:00"),
        ("<131>1 2026-11-23T12:00:01.5+01:00 prime-pri hm 12 - - ", "2026-11-23T11:00:01.500000+00:00"),
        ("Nov 23 12:00:01 prime-pri ncs: ", None),
        ("12:00:01,250 ", None),
        ("2026-13-45 12:00:01 ", None),
        ("", None),
    ],
)
def test_times_in_common_forms_are_read_and_none_is_guessed(stamp: str, expected: str | None) -> None:
    """Times in common forms are read as UTC or with their offset; without a year, or wrong, there is none."""
    (found,) = scan(f"{stamp}{THREAD}{HEAD}\n")
    assert found.first_utc == (datetime.fromisoformat(expected) if expected else None)
    assert found.threads == ("HealthMonitorThread",)


def test_first_and_last_are_by_time_not_by_order() -> None:
    """Where time goes backwards, the first is the earliest and the last the latest that is known."""
    days = [3, 1, 2]
    text = "".join(f"2026-01-0{day} 00:00:00 {THREAD}{HEAD}\n" for day in days) + f"{THREAD}{HEAD}\n"
    (found,) = scan(text)
    assert (found.first_utc, found.last_utc) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))
    assert found.count == 4


def test_hostile_subject_stays_data() -> None:
    """A subject of 10,000 characters, or with markup in it, is kept whole."""
    subject = f"CN={'x' * 10_000}<script>;  subject= host=a_1;"
    assert [m.subject for m in scan(f"{THREAD}TOFU failed. Check local trust {CORE}{subject}\n")] == [subject]


def test_subject_cut_off_at_the_end_joins_the_whole_one() -> None:
    """A message that the log's end cuts off within its subject is counted with the subject that it begins."""
    (found,) = scan(f"{THREAD}{HEAD}\n{THREAD}{HEAD[:-20]}")
    assert (found.subject, found.count) == (DN, 2)


def test_exception_of_another_subject_is_an_event_of_its_own() -> None:
    """An exception below a message belongs to it only if the subjects fit; beginning alike is not enough."""
    text = f"{THREAD}{HEAD}\n{CAUSE.replace('CN=prime-sec', 'CN=prime')}\n"
    assert [(m.subject, m.count) for m in scan(text)] == [(DN, 1), ("CN=prime", 1)]


def test_evidence_is_bounded_and_names_lines() -> None:
    """Evidence names the file and the line, shows the first and the last, and does not grow with the log."""
    (found,) = scan(f"x\n{THREAD}{HEAD}\n" * 1000)
    assert found.count == 1000
    assert (found.evidence[0].number, found.evidence[-1].number) == (2, 2000)
    assert len(found.evidence) < 60


def test_what_one_event_prints_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often one event repeats its cause, it counts once and keeps a few lines, while it is read too."""
    monkeypatch.setattr(scanner, "STEP", 1 << 16)
    cause = f"Caused by: java.security.cert.CertificateException: {CORE}CN=prime-sec\n"
    found = Scanner(RULES, UTC)
    found.begin_file("log")
    found.feed(f"{THREAD}{HEAD}\n{cause * 1500}".encode())
    assert [len(event.lines) for event in found.findings.events._open] == [EVIDENCE_LINES]
    found.finish()
    (mismatch,) = mismatches_of("primary", "UTC", found.findings.groups.items())
    assert (mismatch.count, len(mismatch.evidence)) == (1, EVIDENCE_LINES)


def test_events_that_are_open_at_once_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of events that might yet be gone on with only the last few are held."""
    monkeypatch.setattr(scanner, "STEP", 1 << 16)
    found = Scanner(RULES, UTC)
    found.begin_file("log")
    found.feed("".join(f"{THREAD}{HEAD.replace('prime-sec', f'h{n}')}\n" for n in range(1000)).encode())
    assert 0 < len(found.findings.events._open) <= 8


def test_lines_of_evidence_are_cut() -> None:
    """A line of any length is kept up to a number of characters, however many bytes they are."""
    (found,) = scan(f"{THREAD}{HEAD.replace('prime-sec', 'é' * 9000)}\n")
    assert [len(line.text) for line in found.evidence] == [scanner.LINE_LIMIT]


def test_threads_of_a_subject_are_bounded() -> None:
    """The threads of one subject are named up to a number; all of their events count."""
    (found,) = scan("".join(f"[system] [seqtaskexecutor-{n}] {HEAD}\n" for n in range(50)))
    assert (len(found.threads), found.count) == (MOST_THREADS, 50)


def test_many_subjects_do_not_fill_the_memory() -> None:
    """Subjects beyond a thousand are counted together, and none of their events is lost."""
    found = scan("".join(f"{THREAD}{HEAD.replace('prime-sec', f'h{n}')}\n" for n in range(1100)))
    assert sum(m.count for m in found) == 1100
    assert len(found) <= 1001


@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=8), st.integers(0, 2**32))
@settings(max_examples=25)
def test_nothing_is_lost_where_the_bytes_are_split(sizes: list[int], seed: int) -> None:
    """However the bytes are cut into pieces, the findings are the same."""
    sizes = [max(size, 500) for size in sizes]
    chance = random.Random(seed)
    event = f"{THREAD}{HEAD}\n{CAUSE}\n"
    text = "".join(
        event
        if chance.random() < 0.02
        else "DEBUG TOFU is fine, Trust-on-first-use is on " + "x" * chance.randrange(5000) + "\n"
        for _ in range(320)
    )
    whole = scan(text)
    assert [m.count for m in whole] == [text.count(event)]
    assert scan(text, sizes=sizes) == whole


def test_nothing_is_lost_at_a_window_s_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event is found wherever the edge of what is searched, or of what has arrived by then, falls in it."""
    event = f"{THREAD}{HEAD}\n{CAUSE}\n"
    start = 24_000
    line = "x" * 99 + "\n"
    text = line * (start // 100) + event
    text += "x" * (start + scanner.AFTER - len(text) - 1) + "\n" + event + line * 200
    whole = scan(text)
    assert [m.count for m in whole] == [2]
    for offset in range(0, len(event) + 40, 29):
        monkeypatch.setattr(scanner, "STEP", start + offset - scanner.BEFORE_WRAPPED)
        assert scan(text) == whole


PIECES = (
    *(
        HEAD,
        CAUSE,
        THREAD,
        CORE,
        DN,
        "TOFU failed.",
        "Trust-on-first-use",
        "Exception:",
        "\n",
        "\r\n",
        "\0",
        " - ",
        "CN=",
    ),
    *(
        "2026-01-01 00:00:00 ",
        "9999-12-31T23:59:59-14:00 ",
        "0000-00-00 00:00:00",
        "[",
        "]",
        '"',
        "\\",
        "é",
        "\ud800",
        "8082 timed out",
        '{"message":"',
        '"}',
    ),
)
REPEATED = (
    *("Trust-on-first-use ", "Trust-on-first-use is configure for this connection. ", CORE, "TOFU failed. "),
    *("TOFU failed.\n", "Exception: ", "Exception:\n", f"{HEAD}\n", f"{HEAD} ", f"{CAUSE}\n", f"{CAUSE} "),
    *("Connection refused ", "8082 ", "[a]", "[", " ", "\n", "NotAfter:", "HostnameVerifi", "Trust-on-first-use\n[a] "),
    f"TOFU failed. Check local trust {CORE}CN=a,",
)


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=20)), max_size=30).map("".join))
@settings(max_examples=300)
def test_any_text_is_scanned(text: str) -> None:
    """Any text yields findings, never an exception, and the same ones when it comes byte by byte."""
    assert scan(text) == scan(text, sizes=[1])


@pytest.mark.parametrize("piece", REPEATED)
def test_scan_is_linear(piece: str) -> None:
    """Four times as much of any piece, up to 32,000 characters, is scanned in about four times the time."""
    assert_linear(lambda size: scan(piece * (size // len(piece))), 8_000)


def test_server_without_logs_is_named(tmp_path: Path) -> None:
    """A server for which nothing is given, or only an empty folder, is named as one without logs."""
    assert diagnose_sources({"primary": [], "secondary": [tmp_path]}).no_logs == ("primary", "secondary")
