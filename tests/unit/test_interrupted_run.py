"""The last words of a run that a signal ended: what was sent, what goes on without it, where it stands, what to run."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from incident_kit import PRIMARYS, Incident

from runbook_lib.cli import running
from runbook_lib.cli.running import GOES_ON, interrupted
from runbook_lib.models import Outcome, Stage
from runbook_lib.processes import Terminated
from runbook_lib.repair.ha_state import REGISTRATION
from runbook_lib.repair.planned_changes import adding

STOPS = {
    "Ctrl-C": KeyboardInterrupt(),
    "SIGTERM": Terminated(signal.SIGTERM),
    "SIGHUP": Terminated(signal.SIGHUP),
}
CHANGES = {Stage.DELETE: PRIMARYS[1], Stage.REGISTER: REGISTRATION, Stage.READD_ISE: adding("ise")}


@pytest.fixture
def incident(tmp_path: Path) -> Incident:
    return Incident(tmp_path)


def words(incident: Incident, stop: BaseException) -> dict[str, str]:
    """Return what is said under each name, and under an empty one what ended the run."""
    first, *lines = interrupted(incident.record, stop).splitlines()
    said = {"": first}
    name = ""
    for line in lines:
        if found := re.match(r"  (\S.*?): +(.*)", line):
            name = found[1]
            said[name] = found[2]
        else:
            said[name] += f"\n{line.strip()}"
    return said


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
@pytest.mark.parametrize("stage", CHANGES)
def test_a_run_that_is_ended_in_a_change_says_what_goes_on_and_how_to_go_on(
    incident: Incident, stop: BaseException, stage: Stage
) -> None:
    """The signal and the stage; what was sent and when; what the servers do without it; the record; the command."""
    record = incident.record
    record.start_stage(stage)
    change = record.intend(stage, "primary", CHANGES[stage])
    change.sent()
    said = words(incident, stop)
    name = next(name for name, each in STOPS.items() if each is stop)
    assert said[""] == f"{name} ended the run in stage {stage}."
    assert re.fullmatch(
        rf"{re.escape(str(CHANGES[stage]))}, primary: sent at \d{{4}}-\S+ ?\S*Z; its result was not seen", said["sent"]
    )
    assert said["goes on"] == GOES_ON[stage]
    assert said["record"] == str(record.folder)
    command, then = said["next"].splitlines()
    assert command == f"runbook run lab --incident {record.incident}"
    assert then == "it looks at everything first; what was sent is not sent again"
    assert set(said) == {"", "sent", "goes on", "record", "next"}


def test_a_run_that_is_ended_behind_its_repair_leaves_only_the_report(incident: Incident) -> None:
    """Nothing is looked at any more in an incident that has ended."""
    incident.record.start_stage(Stage.POST_MORTEM)
    incident.record.set_outcome(Outcome.REPAIRED)
    assert words(incident, KeyboardInterrupt())["next"] == f"runbook report {incident.record.incident}"


def test_a_change_that_was_about_to_be_sent_may_have_left(incident: Incident) -> None:
    """The intent alone is on disk: nobody knows, and that is what is said."""
    incident.record.intend(Stage.REGISTER, "primary", REGISTRATION)
    said = words(incident, KeyboardInterrupt())
    assert said["sent"] == f"{REGISTRATION}, primary: was about to be sent; it may have left"
    assert said["goes on"] == GOES_ON[Stage.REGISTER]


def test_where_every_result_was_seen_nothing_goes_on(incident: Incident) -> None:
    """Nothing sent, and then one change with its result: both are said, and no server is said to be at work."""
    nothing = words(incident, KeyboardInterrupt())
    assert nothing[""] == "Ctrl-C ended the run before its first stage."
    assert nothing["sent"] == "nothing; no server was changed"
    incident.sent("primary", PRIMARYS[1])
    seen = words(incident, KeyboardInterrupt())
    assert seen["sent"] == "1 change, each result is in the record"
    assert "goes on" not in nothing | seen


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_every_signal_is_told_of_before_it_goes_on(
    incident: Incident, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stop: BaseException
) -> None:
    """The words stand on standard error, and what the signal raised still ends the command."""

    def run_stages(*_given: object, **_named: object) -> Any:
        raise stop

    monkeypatch.setattr(running, "run_stages", run_stages)
    with pytest.raises(type(stop)):
        running.run_and_tell(cast("Any", SimpleNamespace(name="lab")), "lab", incident.record)
    assert interrupted(incident.record, stop) in capsys.readouterr().err
