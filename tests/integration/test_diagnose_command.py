"""`runbook diagnose` as people start it: a process with arguments, standard input, output and an exit code."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from waiting import PATIENCE_S, wait_until

from runbook_lib import cli
from runbook_lib.cli import diagnosing
from runbook_lib.cli.app import app
from runbook_lib.paths import project_root

RUN = [sys.executable, "-c", "from runbook_lib.cli import main; main()", "diagnose"]
EVENT = (project_root() / "tests" / "fixtures" / "logs" / "primary-health-monitor.log").read_bytes()
PKIX = b"2026-11-23 12:00:00 PKIX path building failed\n"


def run(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*RUN, *map(str, arguments)], input=given, capture_output=True, timeout=PATIENCE_S, check=False
    )


@pytest.mark.parametrize(
    ("text", "code"), [(b"12:00:00 x\n", 0), (b"x\n", 2), (EVENT, 10), (PKIX, 11), (EVENT + PKIX, 10)]
)
def test_exit_code_says_what_was_found(tmp_path: Path, text: bytes, code: int) -> None:
    """0, 10 and 11 are nothing, a mismatch, and only look-alikes; 2 is what does not look like a log."""
    (tmp_path / "hm-0-0.log").write_bytes(text)
    done = run(tmp_path)
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.parametrize(
    "arguments", [["gone.log"], [], ["--server", "tertiary=x"], ["--json", "--html", "x"], ["--no-such", "x"]]
)
def test_what_cannot_be_read_is_exit_2(tmp_path: Path, arguments: list[str]) -> None:
    """A missing log, no log, and a wrong option are told on standard error, with exit code 2."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr
    assert b"Traceback" not in done.stderr


def test_empty_folder_and_damaged_archive_are_exit_2(tmp_path: Path) -> None:
    """A folder without a log, and an archive that is damaged with no mismatch before the damage, are no answer."""
    assert run(tmp_path).returncode == 2
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"x\n" * 9999)[:-12])
    assert run(tmp_path).returncode == 2
    (tmp_path / "y.log").write_bytes(EVENT)
    assert run(tmp_path).returncode == 10


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_dash_reads_standard_input(pack: type[bytes]) -> None:
    """A dash reads standard input, packed or not."""
    done = run("--json", "-", given=pack(EVENT))
    assert done.returncode == 10
    assert json.loads(done.stdout)["mismatches"][0]["evidence"][0]["source"] == "standard input"


def test_servers_lists_zone_and_rules(tmp_path: Path) -> None:
    """What the options say is used: whose logs, the list at hand, the zone, and further rules."""
    (tmp_path / "a.log").write_bytes(b"2026-07-01 12:00:00 " + EVENT + b"lamp is broken\n")
    (tmp_path / "list").write_text(
        "host=10.0.0.2_8082;  subject= /C=US/ST=CA/L=SJ/O=Cisco Systems/OU=Prime Infra/CN=prime-sec\n"
    )
    (tmp_path / "rules.yaml").write_text(
        "[{name: lamp, literals: [lamp], meaning: m, advice: a, match: lamp, near_miss: lantern}]"
    )
    done = run(
        *("--server", f"primary={tmp_path / 'a.log'}", "--listcerts", f"primary={tmp_path / 'list'}"),
        *("--zone", "primary=+02:00", "--rules", tmp_path / "rules.yaml", "--json"),
    )
    said = json.loads(done.stdout)
    (found,) = said["mismatches"]
    assert (found["place"], found["first_utc"]) == ("primary_health_monitor", "2026-07-01T10:00:00+00:00")
    assert [entry["key"] for entry in found["entries"]] == ["10.0.0.2_8082"]
    assert [x["rule"] for x in said["look_alikes"]] == ["lamp"]


def test_html_is_a_page(tmp_path: Path) -> None:
    """--html prints one whole page."""
    (tmp_path / "a.log").write_bytes(EVENT)
    page = run("--html", tmp_path).stdout
    assert page.startswith(b"<!DOCTYPE html>")
    assert page.endswith(b"</html>\n")


def test_nothing_heavy_is_loaded(tmp_path: Path) -> None:
    """The command starts without the libraries of the other commands, of notebooks and of archives."""
    (tmp_path / "a.log").write_bytes(EVENT)
    words = "import sys, runbook_lib.cli as c\ntry: c.main()\nexcept SystemExit: print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", words, "diagnose", str(tmp_path)], capture_output=True, check=True, timeout=PATIENCE_S
    )
    loaded = set(done.stderr.decode().split())
    heavy = {
        "typer",
        "rich",
        "pydantic",
        "asyncssh",
        "cryptography",
        "IPython",
        "yaml",
        "tarfile",
        "zipfile",
        "asyncio",
    }
    assert "runbook_lib.logs.diagnosis" in loaded
    assert loaded & heavy == set()


def test_both_command_lines_take_the_same_options() -> None:
    """The quick way in and the one that --help and the documents see have the same options with the same texts."""
    slow = typer.main.get_command(app).commands["diagnose"]  # type: ignore[attr-defined]
    shown = {
        option: parameter.help for parameter in slow.params for option in parameter.opts if option.startswith("--")
    }
    quick = {
        option: action.help
        for action in cli._parser()._actions
        for option in action.option_strings
        if option.startswith("--") and option != "--help"
    }
    assert quick == {option: text for option, text in shown.items() if option != "--help"}


def test_help_tells_the_exit_codes() -> None:
    """--help names every exit code of this command."""
    done = run("--help")
    assert done.returncode == 0
    text = " ".join(done.stdout.decode().split())
    assert cli.DIAGNOSE_EXIT_CODES in text


def test_progress_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What takes longer than the silent time is told on standard error where it was asked for, otherwise not."""
    monkeypatch.setattr(diagnosing, "SILENT_S", 0.0)
    (tmp_path / "a.log").write_bytes(EVENT * 20)
    for asked in (True, False):
        diagnosing.diagnose_command(cli.DiagnoseRequest(server=(f"primary={tmp_path}",), progress=asked))
        assert ("MB read" in capsys.readouterr().err) == asked


def test_progress_controls_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a log, which may come out of an archive, is shown as text."""
    monkeypatch.setattr(diagnosing, "SILENT_S", 0.0)
    told = io.StringIO()
    diagnosing.DiagnosisProgress(told, asked=True).update("x\x1b[2J\n\u202ey.log", 1)
    assert told.getvalue() == "0 MB read, now x\\x1b[2J\\n\\u202ey.log\n"


@pytest.mark.parametrize(("shell", "code"), [("| head -c 9", 10), ("> /dev/full", 2), ("- <&-", 2)])
def test_streams_that_end_early_are_no_traceback(tmp_path: Path, shell: str, code: int) -> None:
    """A reader that goes away, a full disk and a closed standard input are told, or change nothing."""
    (tmp_path / "a.log").write_bytes(EVENT)
    command = f'set -o pipefail; "$@" {"" if shell[0] == "-" else tmp_path} {shell}'
    done = subprocess.run(["bash", "-c", command, "x", *RUN], capture_output=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_interrupted_reading_says_that_there_is_no_answer(tmp_path: Path) -> None:
    """Ctrl-C while logs are read ends with 130, without a traceback and without half an answer."""
    process = subprocess.Popen([*RUN, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(EVENT * 2000)
    process.stdin.flush()  # more than a pipe holds, so it is being read
    process.send_signal(signal.SIGINT)
    said, told = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, said) == (130, b"")
    assert b"nothing can be said of them" in told


# -- watching -----------------------------------------------------------------------------------


@contextmanager
def following(folder: Path, told: Path) -> Iterator[subprocess.Popen[bytes]]:
    with told.open("wb") as errors:
        process = subprocess.Popen(
            [*RUN, "--follow", "--json", "--server", f"primary={folder}"], stdout=subprocess.PIPE, stderr=errors
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def wait_for(told: Path, words: str) -> None:
    """Wait until the watcher has told something."""
    wait_until(lambda: words in told.read_text(), repr(words))


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_follow_tells_what_is_new_until_it_is_interrupted(tmp_path: Path) -> None:
    """Growth, rotation, truncation and new files are taken in; Ctrl-C ends it with the whole answer."""
    folder, told = tmp_path / "logs", tmp_path / "told"
    folder.mkdir()
    log = folder / "hm-0-0.log"
    log.write_bytes(EVENT)
    with following(folder, told) as process:
        wait_for(told, ": 1 so far")
        with log.open("ab") as file:
            file.write(EVENT)
        wait_for(told, ": 2 so far")
        log.rename(folder / "hm-0-1.log")
        log.write_bytes(EVENT)
        wait_for(told, ": 3 so far")
        (folder / "ncs-0-0.log").write_bytes(EVENT * 2)
        wait_for(told, ": 5 so far")
        (folder / "x-0-0.log").write_bytes(EVENT.replace(b"CN=prime-sec", b"CN=\x1b[2J"))
        wait_for(told, "MISMATCH CN=\\x1b[2J")
        assert "\x1b" not in told.read_text()
        log.write_bytes(EVENT[: len(EVENT) // 2])
        with log.open("ab") as file:
            file.write(EVENT[len(EVENT) // 2 :] + PKIX)
        wait_for(told, "path_building_failed: 1 so far")
        process.send_signal(signal.SIGINT)
        said = json.loads(process.communicate(timeout=PATIENCE_S)[0])
        assert process.returncode == 10
    assert sum(found["count"] for found in said["mismatches"]) in (6, 7)
