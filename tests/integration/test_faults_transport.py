"""Connections that are slow, silent, refused or lost, and logins that are no longer good."""

from __future__ import annotations

from typing import Any

import pytest
from doomed import only_here
from fault_site import LIST, Begin, Case, deletions
from repair_site import StartLab

from runbook_lib.decisions import Deletion
from runbook_lib.errors import ConnectionLost, DeviceError, DeviceSilent, DeviceUnreachable, LoginRefused
from runbook_lib.lab import Lab
from runbook_lib.models import Stage, StageState


def short(site: dict[str, Any]) -> None:
    """A deadline that can be waited for; see ``only_here``."""
    site["deadlines"]["command_s"] = 1.0


def logins(case: Case, server: str) -> int:
    return sum(line["what"] == "login" for line in case.truth() if line["server"] == server)


FAULTS: dict[str, tuple[str, dict[str, Any], type[DeviceError]]] = {
    "the password has expired": ("password_expired", {}, LoginRefused),
    "no session is left": ("session_limit", {"limit": 0}, DeviceError),
    "accepted, and silence": ("silent", {"service": "ssh"}, DeviceSilent),
    "reset at once": ("refuse", {"service": "ssh"}, DeviceUnreachable),
    "a command that is never answered": ("silent_command", {"command": LIST}, DeviceSilent),
    "reset at every list": ("reset_after", {"command": LIST}, ConnectionLost),
    "one byte at a time, beyond the deadline": ("slow_bytes", {"bytes_per_s": 20}, DeviceSilent),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_command_line_that_cannot_be_used_ends_the_stage(
    stale: Lab, begin: Begin, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that does not come back ends stage 20 within its deadline: exit 4, one login at most twice, no plan."""
    fault, settings, kind = FAULTS[name]
    stale.set_fault(fault, "secondary", **settings)
    only_here(monkeypatch, stale, "secondary", fault)
    case = begin(stale, short)
    case.refused(kind, 4, case.make_plan)
    assert case.state(Stage.LIST) is StageState.FAILED
    assert logins(case, "secondary") <= 2
    if kind is LoginRefused:
        assert logins(case, "secondary") == 1
    case.assert_untouched()


@pytest.mark.parametrize("name", ["accepted, and silence", "a command that is never answered", "no session is left"])
def test_a_command_line_that_fails_after_the_approval_deletes_nothing(
    stale: Lab, begin: Begin, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be looked at again is not deleted: exit 4 before the first command."""
    fault, settings, _ = FAULTS[name]
    case = begin(stale)
    plan = case.make_plan()
    case.write_site(short)
    stale.set_fault(fault, "secondary", **settings)
    only_here(monkeypatch, stale, "secondary", fault)
    case.refused(DeviceError, 4, lambda: case.carry_out(plan))
    assert case.state(Stage.DELETE) is StageState.FAILED
    case.assert_untouched()


def test_bytes_that_trickle_within_the_deadline_are_waited_for(stale: Lab, begin: Begin) -> None:
    """A slow line is no error: the same plan comes of it."""
    quick = begin(stale)
    expected = deletions(quick.make_plan())
    stale.set_fault("slow_bytes", "secondary", bytes_per_s=1500)
    case = begin(stale)
    assert deletions(case.make_plan()) == expected
    case.assert_untouched()


def test_a_list_that_is_lost_once_is_asked_for_again(stale: Lab, begin: Begin) -> None:
    """Reads are retried once on a new connection; the second answer counts."""
    stale.set_fault("reset_after", "primary", times=1, command=LIST)
    case = begin(stale)
    assert len(case.make_plan().deletions) == 3
    assert logins(case, "primary") == 2
    case.assert_untouched()


def test_a_terminal_that_pages_in_spite_of_everything_is_served(faulty: StartLab, begin: Begin) -> None:
    """Pagers inside lists and questions before deletions: the same three entries go, each by one command."""
    lab = faulty("renewed", terminal_length=3, pages_always=True, deletecert="question", resume_question=True)
    case = begin(lab)
    found = case.carry_out(case.make_plan())
    assert [result.result for result in found] == [Deletion.GONE] * 3
    assert case.seen().sent == 3
    case.assert_agrees()
