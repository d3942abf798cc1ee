"""What looks like a log, and that nothing else is called free of a mismatch."""

from __future__ import annotations

import base64
import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from log_kit import CAUSE, CORE, DN, HEAD, THREAD, findings

from runbook_lib.logs.conclusions import command_of, exit_code, next_steps, verdict
from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.logs.formats import NARROWEST, Report, as_json, as_text
from runbook_lib.logs.likeness import APART, SAMPLE, Likeness, likeness_after
from runbook_lib.observations import Diagnosis
from runbook_lib.paths import project_root
from runbook_lib.show.findings import diagnosis as diagnosis_view
from runbook_lib.show.findings import diagnosis_page

LINE = "2026-11-23 12:00:01,123 INFO [system] [HealthMonitorThread] Connected\n"
PROSE = "The quick brown fox jumps over the lazy dog, and nobody noticed at all.\n" * 40
PAGE = "<!DOCTYPE html>\n<html><head><title>Prime</title></head>\n" + "<p>Certificates expired at 12:00:01</p>\n" * 30
NOT_LOGS = {
    "a.pdf": (b"%PDF-1.7\n1 0 obj\n" + random.Random(1).randbytes(5000), "PDF"),
    "ls": (b"\x7fELF\x02\x01\x01\0\0" + random.Random(2).randbytes(5000), "ELF"),
    "noise": (random.Random(3).randbytes(200_000), "binary"),
    "empty.log": (b"", "empty"),
    "page.html": (PAGE.encode(), "HTML"),
    "list.txt": (
        (project_root() / "tests/fixtures/tofu-certs-listcerts/published-primary.raw").read_bytes(),
        "listcerts",
    ),
    "README.md": (PROSE.encode(), "text without"),
    "cert.pem": (b"-----BEGIN CERTIFICATE-----\n" + b"QUJDREVGR0g=\n" * 30, "certificate"),
    "dates.txt": (b"notBefore=Nov 23 10:00:00 2026 GMT\nnotAfter=Nov 23 10:00:00 2027 GMT\n", "text without"),
    "access.log": (b'192.0.2.1 - - [23/Nov/2026:12:00:01 +0000] "GET / HTTP/1.1" 200 5\n' * 9, "log of something else"),
    "answer.json": (b'{"expires": "2027-12-31 23:59:59"}\n', "JSON"),
}
DIALECTS = r"""
2026-11-23 12:00:01,123 ERROR [system] [HealthMonitorThread] text
11/23/26 12:00:01.123 ERROR [system] [seqtaskexecutor-3] text
Nov 23 12:00:01 host ncs[12]: text
<165>1 2026-11-23T12:00:01.003Z host app - - - text
[23/Nov/2026:12:00:01 +0000] "GET / HTTP/1.1" 200
192.0.2.1 - admin [23/Nov/2026:12:00:01 +0000] "GET / HTTP/1.1" 200
I1123 12:00:01.000000   12 main.go:10] text
1774266001.123    45 192.0.2.1 TCP_MISS/200
[   12.345678] usb 1-1: text
0.123: [GC (Allocation Failure)
[0.005s][info][gc] Using G1
081109 203615 148 INFO dfs.DataNode: text
- 1117838570 2026.06.03 R02 2026-06-03-15.42.50.363779 R02 RAS KERNEL INFO text
20261123-22:15:29:606|Step|30002312|text
[10.30 16:49:06] chrome.exe - text
03-17 16:13:38.811  1702  2395 D Window: text
Mon Nov 23 10:00:00 2026
Nov 23, 2026 10:00:00 AM org.apache.catalina.startup start
*Nov 23 10:00:00.123: %SYS-5-CONFIG_I: text
1w2d: %LINK-3-UPDOWN: text
type=SYSCALL msg=audit(1774266001.123:45): arch=c000003e
level=info msg=text
INFO: Starting
ERROR [system] [HealthMonitorThread] text
{"@timestamp":"2026-11-23T12:00:01Z","message":"text"}
"2026-11-23 12:00:01","host","text"
23.11.2026 10:15 text
host1 | 2026-11-23 12:00:01 text
[HealthMonitorThread] text
com.cisco.ifm.Foo - text
javax.net.ssl.SSLHandshakeException: java.security.cert.CertificateException: No subject
Caused by: java.net.ConnectException: Connection refused
E/ActivityManager( 123): text
20261123T120001Z text
23-Nov-2026 12:00:01.123 INFO [main] text
12:00:01.123 [main] INFO text
[Mon Nov 23 12:00:01.123 2026] [ssl:error] text
Received archive=x size=2 from 192.0.2.2
""".strip().split("\n")


def diagnosed(folder: Path, files: dict[str, bytes], server: str = "") -> Diagnosis:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return diagnose_sources({server: [folder]})


@pytest.mark.parametrize("name", NOT_LOGS)
def test_no_all_clear_for_what_is_no_log(tmp_path: Path, name: str) -> None:
    """A PDF, a program, random bytes, an empty file, a web page, a list and prose are named as what they look like."""
    content, looks_like = NOT_LOGS[name]
    for packed in (content, gzip.compress(content)):
        found = diagnosed(tmp_path, {name: packed})
        assert (exit_code(found), found.recognised_files, found.files_read) == (2, 0, 1)
        said = verdict(found)
        assert said.startswith("This does not look like a log of Prime Infrastructure: ")
        assert looks_like in said
        assert "Neither" not in said
        assert [step.advice for step in next_steps(found, {})] != []


WORDS = (HEAD + CORE + DN).replace("\n", " ")
ENCODED = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "hexadecimal": lambda text: text.encode().hex(),
    "blacked out": lambda text: "*" * 8,
    "wide": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "translated": lambda text: "信任首次使用已为此连接配置，远程主机的当前证书与先前不同 - CN=x",
}
STAMPED = ("2026-11-23 12:00:01 INFO [system] [main] {}", "Nov 23 12:00:01 host ncs[12]: {}", '{{"at":"x","log":"{}"}}')


@pytest.mark.parametrize("stamped", STAMPED)
@pytest.mark.parametrize("way", ENCODED)
def test_no_all_clear_where_no_message_can_be_read(tmp_path: Path, way: str, stamped: str) -> None:
    """Lines that begin like a log's and hold base64, hexadecimal, stars or another script were understood by nobody.

    Such a file is not spoken for by a readable one beside it where its name is one of the product's own.
    """
    said = [stamped.format(ENCODED[way](text)) for text in ("Heartbeat sent to the peer.", WORDS, "It was answered.")]
    found = diagnosed(tmp_path, {"hm-0-0.log": "\n".join(said * 3).encode()})
    assert (exit_code(found), found.recognised_files) == (2, 0)
    assert "messages cannot be read" in verdict(found)
    beside = diagnosed(tmp_path, {"ncs-0-0.log": LINE.encode()})
    assert (exit_code(beside), beside.recognised_files, beside.no_logs) == (2, 1, ())
    assert "hm-0-0.log could not be read whole" in verdict(beside)


@pytest.mark.parametrize("changed", [str.lower, str.upper, str.title])
@pytest.mark.parametrize("wrapped", ["{}", '{{"message":"{}"}}', '"a","{}","b"'])
def test_no_all_clear_over_other_capitals(tmp_path: Path, changed: Callable[[str], str], wrapped: str) -> None:
    """A mismatch whose capitals something has changed on its way is told with its line; a sentence on TOFU is not."""
    for said, code in ((WORDS, 2), ("Trust-on-first-use is a way to trust.", 0)):
        found = diagnosed(tmp_path, {"hm-0-0.log": (LINE * 9 + wrapped.format(changed(said))).encode()}, "primary")
        assert exit_code(found) == code
        assert [damage.problem[:7] for damage in found.damaged] == (["line 10"] if code else [])


def test_long_words_in_a_log_are_no_code(tmp_path: Path) -> None:
    """Digests, sessions and paths at the ends of some lines are those of a log that can be read."""
    ends = ("session 0123456789abcdef0123456789abcdef", "/opt/CSCOlumos/logs/hm/2026/Archive01", "------------")
    lines = "".join(f"2026-11-23 12:00:01,123 INFO [main] {each}\n" for each in ends)
    assert diagnosed(tmp_path, {"hm-0-0.log": (lines + LINE * 3).encode()}).recognised_files == 1


@pytest.mark.parametrize(
    "said", ["Connecting to peer ...", "GET /webacs/api/v4/data/InventoryDetails", "==========", "HealthMonitorThread2"]
)
def test_what_only_looks_encoded_is_a_log(tmp_path: Path, said: str) -> None:
    """Lines of a few words and dots, of paths, rules and names are words, however many there are."""
    lines = f"2026-11-23 12:00:01,123 INFO [main] {said}\n" * 9
    assert exit_code(diagnosed(tmp_path, {"hm-0-0.log": lines.encode()}, "primary")) == 0


def test_folder_of_prose_is_no_log(tmp_path: Path) -> None:
    """A folder of many texts is told with what they look like; our own documents, which quote logs, are none."""
    found = diagnosed(tmp_path, {name: content for name, (content, _) in NOT_LOGS.items()})
    assert exit_code(found) == 2
    assert verdict(found).startswith(f"None of these {len(NOT_LOGS)} files looks like a log")
    assert diagnose_sources({"": sorted((project_root() / "docs").glob("*.md"))}).recognised_files == 0


@pytest.mark.parametrize("line", DIALECTS)
def test_dialects_of_logs_are_recognised(line: str) -> None:
    """A log of any usual dialect is one: a line alone, and with nine times as many lines that go on below it."""
    for text in (line, f"{line}\n" * 3 + "    and something else below it\n" * 27):
        assert likeness_after(Likeness(), text.encode()).is_log, text


def test_every_log_of_the_fixtures_is_recognised() -> None:
    """What the published incident printed, what the rules match and what collectors wrap looks like a log."""
    folder = project_root() / "tests" / "fixtures"
    logs = [path for name in ("logs", "log-rules", "log-wrapped") for path in sorted((folder / name).iterdir())]
    found = diagnose_sources({"primary": logs})
    assert (found.recognised_files, found.not_logs) == (len(logs), ())


def test_mixture_says_how_much_was_recognised(tmp_path: Path) -> None:
    """Where a part looks like a log, the answer is about that part, and says how many files and lines it was."""
    files = {"hm-0-0.log": LINE.encode() * 5, "hm-0-1.log": LINE.encode() * 2, "README.md": PROSE.encode()}
    found = diagnosed(tmp_path, files)
    assert (exit_code(found), found.no_logs) == (0, ())
    assert (found.recognised_files, found.recognised_lines, found.lines_read) == (2, 7, 47)
    said = verdict(found)
    assert "in what looks like a log" in said
    assert "2 of 3 files and 7 of 47 lines look like logs" in said
    report = Report(found)
    for text in (as_text(report), diagnosis_page(report)):
        assert "README.md" in text
        assert "text without the stamps" in text
    assert [other["source"] for other in as_json(report)["not_logs"]] == [str(tmp_path / "README.md")]


def test_an_empty_log_beside_others_is_nothing_to_tell(tmp_path: Path) -> None:
    """Rotation leaves empty files: among a server's logs one of them is not named; alone it is no log."""
    found = diagnosed(tmp_path, {"hm-0-0.log": LINE.encode(), "hm-0-1.log": b""}, "primary")
    assert (found.not_logs, exit_code(found)) == ((), 0)
    assert "looks like" not in verdict(found)


def test_mismatch_is_told_whatever_the_rest_looks_like(tmp_path: Path) -> None:
    """A mismatch in a page, in a text or behind noise is told, exit code 10."""
    for around in (PAGE, PROSE, "\x00\x01\x02" * 9000):
        found = diagnosed(tmp_path, {"x": f"{around}\n{THREAD}{HEAD}\n{CAUSE}\n".encode()}, "primary")
        assert (exit_code(found), len(found.mismatches), found.no_logs) == (10, 1, ())
        assert verdict(found).startswith("Certificate mismatch found")


def test_server_without_anything_like_a_log_has_no_logs(tmp_path: Path) -> None:
    """A server of which only a page was named is one whose logs are not at hand; the other's answer stands."""
    (tmp_path / "page").write_text(PAGE)
    (tmp_path / "hm.log").write_text(LINE)
    found = diagnose_sources({"primary": [tmp_path / "page"], "secondary": [tmp_path / "hm.log"]})
    assert (found.no_logs, exit_code(found)) == (("primary",), 2)
    assert [(other.server, other.source) for other in found.not_logs] == [("primary", str(tmp_path / "page"))]
    assert "No log was found for: primary" in verdict(found)


def test_notebook_names_what_is_no_log(tmp_path: Path) -> None:
    """Stage 10 names the file, what it looks like, and how much looks like logs."""
    found = diagnosed(tmp_path, {"page": PAGE.encode(), "hm.log": LINE.encode()}, "primary")
    shown = diagnosis_view(found).text()
    assert "It does not look like a log" in shown
    assert "a saved web page (HTML)" in shown
    assert "1 of 2 files look like logs." in shown


def test_log_behind_other_text_is_found(tmp_path: Path) -> None:
    """Stamps that begin far behind the beginning, or at the end only, are found, however the bytes arrive."""
    filler = PROSE * (2 * APART // len(PROSE))
    for text in (filler + LINE * 1000 + filler, filler + LINE * 9, PROSE * 9 + LINE * (SAMPLE // len(LINE))):
        whole = findings(text).looks
        assert whole.files == 1
        assert whole.lines == text.count("\n")
        assert findings(text, sizes=[70_001]).looks == whole
    assert findings(filler).looks.files == 0


def test_text_is_wrapped_to_the_terminal(tmp_path: Path) -> None:
    """No line of the text is wider than the terminal, and nothing of it is lost; without a width lines stay whole."""
    found = diagnosed(tmp_path, {"hm-0-0.log": f"{THREAD}TOFU failed. Check local trust {CORE}{DN}\n".encode()})
    report = Report(found)
    for width in (NARROWEST, 60, 80, 100):
        assert max(map(len, as_text(report, width).splitlines())) <= width
        assert "".join(as_text(report, width).split()) == "".join(as_text(report).split())
    assert max(map(len, as_text(report).splitlines())) > 100


def test_next_step_is_a_command(tmp_path: Path) -> None:
    """With a site the command that goes on names it; without one it begins with that site's file."""
    found = diagnosed(tmp_path, {"hm-0-0.log": f"{THREAD}{HEAD}\n".encode()}, "primary")
    (step,) = next_steps(found, {"site": "berlin"})
    assert command_of(step) == "runbook run berlin --until 20"
    assert command_of(next_steps(found, {})[0]).endswith("then runbook run SITE --until 20")
    assert "→ runbook run berlin --until 20" in as_text(Report(found, known={"site": "berlin"}))
