"""What is answered: the entries that may be meant, whose logs they are, verdict, timeline, next step; all its forms."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from log_kit import CORE, DN

from runbook_lib.cli.diagnosing import read_store
from runbook_lib.errors import UsageError
from runbook_lib.logs.conclusions import entry_note, exit_code, next_steps, timeline, verdict, with_entries
from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.logs.formats import Report, as_json, as_text
from runbook_lib.logs.jobs import Settings
from runbook_lib.logs.rules import PLACES, RULES, load_rules
from runbook_lib.observations import Diagnosis
from runbook_lib.paths import project_root
from runbook_lib.show.findings import diagnosis_page

STAMP = "2026-11-23 12:00:00,000 "
LISTED = "/C=US/ST=CA/L=SJ/O=Cisco Systems/OU=Prime Infra/CN=prime-sec"
SCHEMA = json.loads((project_root() / "docs" / "diagnosis.schema.json").read_text(encoding="utf-8"))


def event(subject: str = DN, thread: str = "HealthMonitorThread", stamp: str = "2026-11-23 12:00:00,000 ") -> str:
    return f"{stamp}ERROR [system] [{thread}] TOFU failed. Check local trust {CORE}{subject}\n"


def diagnosed(tmp_path: Path, text: str, settings: Settings | None = None, **known: str) -> Diagnosis:
    log = tmp_path / "hm-0-0.log"
    log.write_text(text, encoding="utf-8", errors="surrogatepass")
    return diagnose_sources({"primary": [log]}, settings, known)


def listed(tmp_path: Path, *entries: str, server: str = "primary") -> Diagnosis:
    path = tmp_path / "list.txt"
    path.write_text(
        "".join(f"host={key};  subject= {subject}\n" for key, _, subject in (e.partition(" ") for e in entries))
    )
    return with_entries(diagnosed(tmp_path, event()), [read_store(server, path)])


def test_entry_is_named_by_its_attributes(tmp_path: Path) -> None:
    """The entry of the same subject is named, whatever order and spelling; a server's own entry is not."""
    found = listed(tmp_path, f"10.0.0.2_8082 {LISTED}", "10.0.0.1_8082 /CN=prime-pri", f"127.0.0.1_8082 {LISTED}")
    (mismatch,) = found.mismatches
    assert [(e.server, e.key, e.fit) for e in mismatch.entries] == [("primary", "10.0.0.2_8082", "exact")]
    assert entry_note(mismatch, 1) == "10.0.0.2_8082 (list of the primary)"


def test_ambiguous_entries_are_all_named(tmp_path: Path) -> None:
    """Where several entries fit, all are named as ambiguous and none is chosen."""
    (mismatch,) = listed(tmp_path, f"10.0.0.2_8082 {LISTED}", f"10.0.0.3_8082 {LISTED}").mismatches
    note = entry_note(mismatch, 1)
    assert note.startswith("ambiguous: 2 entries fit")
    assert "10.0.0.2_8082" in note
    assert "10.0.0.3_8082" in note


def test_list_of_the_other_server_is_left_out(tmp_path: Path) -> None:
    """A mismatch of the primary is not looked up in the secondary's list."""
    (mismatch,) = listed(tmp_path, f"10.0.0.2_8082 {LISTED}", server="secondary").mismatches
    assert (mismatch.entries, entry_note(mismatch, 1)) == ((), "no entry of the lists fits")


def test_published_lists_are_read_and_recognised() -> None:
    """The published lists are read as they were printed; the secondary's tells by itself whose it is."""
    folder = project_root() / "tests" / "fixtures" / "tofu-certs-listcerts"
    servers = {"primary": "unknown", "secondary": "secondary", "dnac": "unknown"}
    for name, server in servers.items():
        store = read_store("", folder / f"published-{name}.raw")
        assert (store.server, len(store.entries) > 1) == (server, True)


def test_text_that_is_no_list_is_refused(tmp_path: Path) -> None:
    """A file that holds something else is named, with exit code 2."""
    (tmp_path / "x").write_text("hello\n")
    for path in (tmp_path / "x", tmp_path / "missing"):
        with pytest.raises(UsageError) as refused:
            read_store("", path)
        assert refused.value.where == str(path)


@pytest.mark.parametrize("read", [load_rules, partial(read_store, "primary")])
def test_what_never_ends_is_not_read_to_its_end(read: Callable[[Path], object]) -> None:
    """A device in the place of a file of rules, or of a list, does not use up the memory."""
    with pytest.raises(UsageError) as refused:
        read(Path("/dev/zero"))
    assert "the file is longer than" in refused.value.found


@pytest.mark.parametrize(
    ("name", "text", "server"),
    [
        ("primary/hm-0-0.log", event(), "primary"),
        ("logs of secondary/hm-0-0.log", event(), "secondary"),
        ("secondary/primary-old/hm-0-0.log", event(), "primary"),
        ("a/hm-0-0.log", event(), "unknown"),
        ("a/hm-0-0.log", event() + "Health Monitor Server is running. ( [Role] Primary [State] x )\n", "primary"),
        ("a/hm-0-0.log", event() + "[Role] Secondary [State] x\n", "secondary"),
        ("a/hm-0-0.log", event() + "[Role] Secondary\n[Role] Primary\n", "unknown"),
        ("a/hm-0-0.log", event("CN=ise", "seqtaskexecutor-1"), "primary"),
        ("primary-and-secondary/hm-0-0.log", event(), "unknown"),
        ("pri-7.example/hm-0-0.log", event(), "primary"),
        ("xpri-7.example/hm-0-0.log", event(), "unknown"),
    ],
)
def test_the_deepest_telling_part_of_a_path_says_whose_logs_they_are(
    tmp_path: Path, name: str, text: str, server: str
) -> None:
    """The deepest telling part of the path decides, else what the logs show; what contradicts itself stays unknown."""
    log = tmp_path / "bundle" / name
    log.parent.mkdir(parents=True)
    log.write_text(text)
    found = diagnose_sources({"": [tmp_path / "bundle"]}, Settings(names={"primary": ("pri-7.example",)}))
    assert [m.server for m in found.mismatches] == [server]


def test_several_servers_in_one_bundle(tmp_path: Path) -> None:
    """Logs of both servers in one folder are told apart, and a file that is named for a server is read once."""
    for server, subject in (("primary", "CN=b"), ("secondary", "CN=a")):
        (tmp_path / server).mkdir()
        (tmp_path / server / "hm-0-0.log").write_text(event(subject))
    said = tmp_path / "primary" / "hm-0-0.log"
    for sources in ({"": [tmp_path]}, {"primary": [said], "": [tmp_path]}):
        found = diagnose_sources(sources)
        assert [(m.place, m.subject, m.count) for m in found.mismatches] == [
            ("primary_health_monitor", "CN=b", 1),
            ("secondary_health_monitor", "CN=a", 1),
        ]


def test_many_cores_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading several series at once, in processes, finds the same in the same order."""
    monkeypatch.setattr("runbook_lib.logs.jobs._WORTH_CORES", 0)
    for number in range(6):
        (tmp_path / f"series{number}x.log").write_text(
            event(f"CN=h{number}") * (number + 1) + "PKIX path building failed\n"
        )
    told: list[int] = []
    alone = diagnose_sources({"primary": [tmp_path]})
    assert (
        diagnose_sources({"primary": [tmp_path]}, Settings(workers=3), progress=lambda _, size: told.append(size))
        == alone
    )
    assert [m.count for m in alone.mismatches] == [1, 2, 3, 4, 5, 6]


def test_a_killed_reader_ends_the_diagnosis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a process that reads logs is killed, as where memory runs out, nobody waits for its result for ever."""
    monkeypatch.setattr("runbook_lib.logs.jobs._WORTH_CORES", 0)
    monkeypatch.setattr("runbook_lib.logs.jobs.read_job", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    for number in range(2):
        (tmp_path / f"series{number}x.log").write_text(event())
    with pytest.raises(UsageError, match="has died"):
        diagnose_sources({"primary": [tmp_path]}, Settings(workers=2))


@pytest.mark.parametrize(
    ("stamp", "zone", "said", "note"),
    [
        ("2026-11-23 12:00:00,000 ", "", "2026-11-23 12:00:00,000", "does not say in which time zone"),
        ("Nov 23 12:00:00 prime-pri ncs: ", "UTC", "Nov 23 12:00:00", "have no year"),
        ("", "UTC", "", "have no time"),
        ("2026-11-23T12:00:00Z ", "", "2026-11-23T12:00:00Z", ""),
    ],
)
def test_what_is_not_known_of_a_time_is_said(tmp_path: Path, stamp: str, zone: str, said: str, note: str) -> None:
    """A missing zone, year or time is said, and the time is shown as it is written."""
    (found,) = diagnosed(tmp_path, event(stamp=stamp), Settings(zones={"primary": zone} if zone else {})).mismatches
    assert found.first_said == said
    assert [note in text for text in found.notes] == ([True] if note else [])
    assert found.zone_known == ("zone" not in note)


def test_time_that_goes_backwards_is_said(tmp_path: Path) -> None:
    """A log whose clock was set back says so."""
    text = event(stamp="2026-11-23T12:00:00Z ") + event(stamp="2026-11-23T11:00:00Z ")
    (found,) = diagnosed(tmp_path, text).mismatches
    assert "backwards" in found.notes[0]
    assert (found.first_said, found.last_said) == ("2026-11-23T11:00:00Z", "2026-11-23T12:00:00Z")


def test_timeline_is_in_order(tmp_path: Path) -> None:
    """The timeline holds first and last of everything and the log's end, earliest first, undated last."""
    text = event(stamp="2026-11-23T12:00:00Z ") + "2026-11-23T11:00:00Z PKIX path building failed\n"
    text += event(stamp="2026-11-23T13:00:00Z ") + event("CN=x", stamp="")
    moments = timeline(diagnosed(tmp_path, text))
    assert [m.utc.hour if m.utc else None for m in moments] == [11, 12, 13, 13, None]
    assert moments[0].what.startswith("path_building_failed")


def test_first_stands_before_the_last_of_the_same_moment(tmp_path: Path) -> None:
    """Where the first and the last event are of one moment, the timeline still begins with the first."""
    told = [moment.what.partition(":")[0] for moment in timeline(diagnosed(tmp_path, event() * 2))]
    assert told == ["first of 2 mismatches", "last mismatch", "the log ends"]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (event(), 10, "Certificate mismatch found: the primary's log reports 1 mismatch of CN=prime-sec"),
        (f"{STAMP}PKIX path building failed\n", 11, "only look-alikes that no deletion repairs: path_building_failed"),
        (f'{STAMP}[audit] admin ran: grep "TOFU failed. Check local trust {CORE}{DN}" x\n', 11, "quoted_message"),
        (f"{STAMP}nothing\n", 0, "Neither a mismatch nor a look-alike"),
    ],
)
def test_the_exit_code_says_what_the_verdict_says(tmp_path: Path, text: str, code: int, words: str) -> None:
    """The verdict is a sentence, and the exit code says the same."""
    found = diagnosed(tmp_path, text)
    assert exit_code(found) == code
    assert words in verdict(found)


def test_damage_without_a_mismatch_is_no_answer(tmp_path: Path) -> None:
    """Where a source was not read whole and the rest holds no mismatch, the exit code is 2 and the verdict says why."""
    (tmp_path / "x.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\3")
    found = diagnose_sources({"primary": [tmp_path]})
    assert exit_code(found) == 2
    assert verdict(found).startswith("Neither a mismatch nor a look-alike was found in what could be read.")
    assert f"{tmp_path / 'x.gz'} could not be read whole: the rest is unknown." in verdict(found)
    assert [damage.server for damage in found.damaged] == ["primary"]
    (tmp_path / "y.log").write_text(f"{STAMP}PKIX path building failed\n")
    assert "found in what could be read, only look-alikes" in verdict(diagnose_sources({"primary": [tmp_path]}))


def test_damage_beside_a_mismatch_is_in_the_verdict(tmp_path: Path) -> None:
    """A mismatch that was found does not hide that something was not read: the verdict names both."""
    (tmp_path / "x.gz").write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\3")
    (tmp_path / "y.log").write_text(event())
    found = diagnose_sources({"primary": [tmp_path]})
    assert exit_code(found) == 10
    assert "Certificate mismatch found" in verdict(found)
    assert f"{tmp_path / 'x.gz'} could not be read whole" in verdict(found)


def test_next_step_has_its_parameters_filled_in(tmp_path: Path) -> None:
    """The next step names the notebook and its parameters as far as they are known."""
    found = diagnosed(tmp_path, event())
    for known in ({}, {"site": "paris"}, {"site": "paris", "incident": "i1"}):
        (step, *_) = next_steps(found, known)
        assert (step.notebook, step.parameters) == ("20_list_certificates", known)


HOSTILE = "CN=<script>alert(1)</script>\x1b[2J\u202e, O=&amp;"


def test_html_shows_log_text_as_text(tmp_path: Path) -> None:
    """A subject with markup and control sequences adds no element to the page and runs nothing."""

    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.seen: set[str] = set()

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.seen.add(tag)

    tags = Tags()
    page = diagnosis_page(Report(diagnosed(tmp_path, event(HOSTILE, thread="<img src=x>"))))
    tags.feed(page)
    assert tags.seen & {"script", "img"} == set()
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert "\x1b" not in page


def test_text_controls_no_terminal(tmp_path: Path) -> None:
    """No control character of a log reaches the text."""
    text = as_text(Report(diagnosed(tmp_path, event(HOSTILE))))
    assert all(c == "\n" or c.isprintable() for c in text)


@pytest.mark.parametrize(
    "text", [event(), event(HOSTILE), event(stamp=""), "PKIX path building failed\n" * 20, "nothing\n", event() * 50]
)
def test_json_is_as_its_schema_says(tmp_path: Path, text: str) -> None:
    """Every answer fits the documented schema, which takes no other key, and can be written as JSON."""
    (tmp_path / "list").write_text(f"host=10.0.0.2_8082;  subject= {LISTED}\n")
    found = with_entries(diagnosed(tmp_path, text), [read_store("", tmp_path / "list")])
    for report in (Report(found, 1, {"site": "paris"}), Report(diagnose_sources({"primary": []}))):
        plain = json.loads(json.dumps(as_json(report)))
        Draft202012Validator(SCHEMA).validate(plain)


def test_every_rule_is_documented() -> None:
    """The document names every rule with its confidence, and no other."""
    text = (project_root() / "docs" / "diagnosis.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `") and line.count("|") == 4]
    told = {row[1].strip(" `"): row[2].strip() for row in rows}
    assert told == {rule.name: rule.confidence for rule in (*RULES, *PLACES)} | {"unknown": "likely"}


GOOD_RULE = """
- name: ntp_lost
  literals: ["NTP daemon lost"]
  patterns: ["NTP daemon lost \\\\d+ peers"]
  meaning: The server has lost its time sources.
  advice: Mend NTP.
  notebook: 00_start_here
  match: 12:00:01 NTP daemon lost 3 peers
  near_miss: 12:00:01 NTP daemon lost no peers
"""


def test_site_adds_a_rule(tmp_path: Path) -> None:
    """A site's rule is used beside the others, with its meaning and next step."""
    path = tmp_path / "rules.yaml"
    path.write_text(GOOD_RULE)
    found = diagnosed(tmp_path, "NTP daemon lost 2 peers\n", Settings((*RULES, *load_rules(path))), site="paris")
    assert [(x.rule, x.count) for x in found.look_alikes] == [("ntp_lost", 1)]
    assert found.look_alikes[0].next_step is not None
    assert found.look_alikes[0].next_step.parameters == {"site": "paris"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "near_miss: 12:00:01 NTP daemon lost no peers",
            "near_miss: NTP daemon lost 1 peers",
            "near_miss: the rule finds",
        ),
        ("match: 12:00:01 NTP daemon lost 3 peers\n", "match: hello\n", "match: the rule does not find"),
        ("  match: 12:00:01 NTP daemon lost 3 peers\n", "", "match: is missing"),
        ("near_miss:", "nearmiss:", "nearmiss: unknown key"),
        ("ntp_lost", "clock_skew", "name: there is a rule of that name"),
        ('["NTP daemon lost"]', '["NTP"]', "literals: write at least one"),
        ('["NTP daemon lost"]', "NTP", "literals: write a list of texts"),
        ("\\\\d+", "(", "is not a regular expression"),
        ("00_start_here", "99_x", "notebook: write one of"),
        ("advice: Mend NTP.", "advice: [a]", "advice: write a text"),
        ("- name", "name", ""),
        ("advice:", "lines_before: 9\n  advice:", "lines_before: write a number"),
        ("advice:", "confidence: sure\n  advice:", "confidence: write one of"),
        ("advice: Mend NTP.", "advice: 2026-13-45", "month must be in"),
        ("\\\\d+", "a{99999999999}", "is not a regular expression"),
        ("\\\\d+", "(\\\\d+)+", "trying them never ends"),
        ('["NTP daemon lost"]', r'["\ud800NTP"]', "match: the rule does not find"),
    ],
)
def test_rule_that_cannot_be_used_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    """A rule that is wrong, or that does not do to its own two texts what they say, is refused by name."""
    path = tmp_path / "rules.yaml"
    path.write_text(GOOD_RULE.replace(old, new))
    with pytest.raises(UsageError) as refused:
        load_rules(path)
    assert words in refused.value.found


def test_log_end_of_an_unnamed_zone_is_read_as_utc(tmp_path: Path) -> None:
    """The diagnosis says which zones were named, so that the others are known to be assumed."""
    found = diagnosed(tmp_path, event())
    assert (found.zones, found.ends_assumed) == ({}, ("primary",))
    assert diagnosed(tmp_path, event(), Settings(zones={"primary": "UTC"})).ends_assumed == ()
    assert diagnosed(tmp_path, event(stamp="2026-11-23T12:00:00Z ")).ends_assumed == ()
    assert found.log_end_utc == {"primary": datetime(2026, 11, 23, 12, tzinfo=UTC)}
