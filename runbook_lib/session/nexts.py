"""What comes after each stage, by the way in which it ended, and in which notebook."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import NamedTuple

from runbook_lib.models import Stage, StageState
from runbook_lib.record import Record


class Next(NamedTuple):
    """When the stage ended so, do this; ``stage`` is the notebook for it, where it is another one."""

    when: str
    then: str
    stage: Stage | None = None


_NEXT: dict[Stage, tuple[Next, ...]] = {
    Stage.START: (
        Next("everything answers", "find out which certificate is not accepted, and by whom", Stage.DIAGNOSE),
        Next("a server does not answer, or its host key is not pinned", "mend that first; each line above says how"),
    ),
    Stage.DIAGNOSE: (
        Next("a mismatch is reported", "see what is stored and what is presented", Stage.LIST),
        Next("only look-alikes", "follow their advice; deleting entries does not help"),
        Next("no logs at hand", "download them, name them in the site's file, and run this stage again"),
    ),
    Stage.LIST: (
        Next("the plan has deletions and is not blocked", "approve and delete", Stage.DELETE),
        Next("nothing to delete", "see whether HA needs to be registered", Stage.REGISTER),
        Next("the plan is blocked", "settle each reason above, then run this stage again"),
    ),
    Stage.DELETE: (
        Next("every entry is gone, or back already", "register high availability", Stage.REGISTER),
        Next("the plan is stale", "look again and make a new plan", Stage.LIST),
        Next("no approval yet", "runbook approve {incident} DIGEST --by NAME, then run this stage again"),
    ),
    Stage.REGISTER: (
        Next("Primary Active on both servers' word", "the ISE servers", Stage.READD_ISE),
        Next("a milestone failed", "see whether a mismatch is left", Stage.DIAGNOSE),
        Next("still under way", "run this stage again: it goes on watching, it does not register twice"),
    ),
    Stage.READD_ISE: (
        Next("every ISE server answers", "prove the repair", Stage.VERIFY),
        Next("the page refused", "settle what it says, then run this stage again"),
    ),
    Stage.VERIFY: (
        Next("repaired, or nothing to do", "write the post-mortem", Stage.POST_MORTEM),
        Next("a check failed", "start over; what is right already is left alone", Stage.DIAGNOSE),
    ),
    Stage.POST_MORTEM: (
        Next("it is written", "attach it to the ticket; runbook verify {incident} checks the record"),
        Next("the incident is still open", "start over; what is right already is left alone", Stage.START),
    ),
}


def next_steps(stage: Stage, incident: str) -> tuple[Next, ...]:
    """Return what to do next for each way in which ``stage`` can end."""
    return tuple(each._replace(then=each.then.format(incident=incident)) for each in _NEXT[stage])


def stage_to_go_on_with(states: Mapping[str, StageState]) -> Stage | None:
    """Return the first stage after ``00_start_here`` that is not done, None where all are."""
    return next((each for each in Stage if each is not Stage.START and states[each] is not StageState.DONE), None)


def next_run(record: Record) -> str:
    """Return the command that goes on with an incident, from whichever folder: with the site's file as it was given."""
    return shlex.join(("runbook", "run", record.opening()["given"] or record.site, "--incident", record.incident))
