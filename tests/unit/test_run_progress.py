"""What ``runbook run`` shows while it goes on: on a terminal one line that is renewed, elsewhere whole lines alone."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from incident_kit import Incident
from waiting import wait_until

from runbook_lib.batch.runner import StageReport
from runbook_lib.cli import running, terminal
from runbook_lib.cli.running import RunProgress
from runbook_lib.models import Stage, StageState
from runbook_lib.secrets import REDACTOR
from runbook_lib.show import progress

DOING = "waits for Primary Active on both servers (40%)"


def on_screen(written: str) -> list[str]:
    """Return the lines that a terminal shows in the end: a renewed line takes the place of what stood there."""
    return [line.rpartition("\r\x1b[K")[2].rstrip() for line in written.split("\n")]


@pytest.mark.parametrize("terminals", [True, False], ids=["terminal", "file"])
def test_a_terminal_says_what_a_stage_waits_for_in_one_line_that_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminals: bool
) -> None:
    """Before, between and after its changes; in the end the lines are the same as in a file, and nothing is left."""
    monkeypatch.setattr(running, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(running, "can_renew_line", lambda: terminals)
    monkeypatch.setenv("COLUMNS", "60")
    record = Incident(tmp_path).record
    written = ""

    def shows(words: str) -> bool:
        nonlocal written
        written += capsys.readouterr().out
        return words in written.rpartition("\r")[2] or not terminals

    with RunProgress(record).following() as progress:
        progress.stage_started(Stage.REGISTER)
        progress.doing("Check Readiness")
        wait_until(lambda: shows("40_register_ha … Check Readiness, 0 s"), "what the stage does")
        change = record.intend(Stage.REGISTER, "primary", "register HA", expected="Primary Active")
        progress.doing(DOING)
        wait_until(lambda: shows(f"    primary: register HA … {DOING}"[:59]), "what the change waits for")
        change.result("Primary Active")
        wait_until(lambda: shows("40_register_ha … waits"), "what the stage does after the change")
        progress.stage_ended(StageReport(stage=Stage.REGISTER, state=StageState.DONE, seconds=4.5))
    written += capsys.readouterr().out
    assert [re.sub(r"[\d.]+ s$", "T", line) for line in on_screen(written)] == [
        "40_register_ha …",
        "    primary: register HA … Primary Active, T",
        "40_register_ha: done, T",
        "",
    ]
    assert ("\r" in written) is terminals
    assert max(map(len, re.split(r"[\r\n]", written.replace("\x1b[K", "")))) < 60


def test_a_terminal_that_moves_no_cursor_gets_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a file nor a dumb terminal can take a line back."""
    monkeypatch.setattr(terminal.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.can_renew_line()
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal.can_renew_line()


def test_what_is_told_of_a_devices_words_is_gated_in_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that a server echoes, and what moves a terminal, are in neither form of a cell's progress."""
    REDACTOR.know("env:PI", "staple-of-this-test")
    shown: list[dict[str, str]] = []
    monkeypatch.setattr(progress, "_ended", lambda state, _kind: shown.append(progress._going_on(state)) or {})
    told = progress.Progress()
    with told:
        monkeypatch.setattr(told._bar, "_handle", SimpleNamespace(update=lambda *_, **__: None))
        told("primary: it last said 'staple-of-this-test \x1b[2J \u202e'")
    (forms,) = shown
    for form in forms.values():
        assert "env:PI" in form
        assert not [word for word in ("staple-of-this-test", "\x1b", "\u202e") if word in form]
