"""Whatever a plan will need is tried before its first change, and exit code 2 is over once something was sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from direct_pages import direct_pages
from fault_site import Begin, Case
from repair_site import StartLab, run_stage

from runbook_lib.cli.site_file import check_command
from runbook_lib.errors import (
    BrowserMissing,
    DecisionNeeded,
    DeletionRefused,
    LoginRefused,
    RecordNotWritable,
    SecretUnavailable,
)
from runbook_lib.models import Stage
from runbook_lib.repair import deletion, preflight

pytestmark = pytest.mark.usefixtures("one_browser")

VARIABLE = "RUNBOOK_TEST_WEB_PASSWORD"


def from_variable(site: dict[str, Any]) -> None:
    """The web password is in a variable of the environment."""
    site["primary"]["web"]["password"] = f"env:{VARIABLE}"


@pytest.fixture
def case(faulty: StartLab, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A renewed site whose web password is in a variable, which is set."""
    lab = faulty("renewed")
    monkeypatch.setenv(VARIABLE, lab.secret("primary_web"))
    return begin(lab, from_variable, pages=True)


def carry_out(case: Case) -> Callable[[], Any]:
    plan = case.record.read_plan()
    return lambda: case.carry_out(plan)


def test_a_secret_that_leads_nowhere_is_named_by_check_and_blocks_the_plan(
    case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """check ends with 2 and names the variable; the plan is blocked with it; once it is set, a new plan is not."""
    monkeypatch.delenv(VARIABLE)
    assert check_command(str(case.site), live=False) == 2
    assert f"env:{VARIABLE}" in capsys.readouterr().out
    blocked = case.make_plan()
    assert [VARIABLE in reason for reason in blocked.blocked] == [True]
    case.refused(DeletionRefused, 3, carry_out(case))
    case.assert_untouched()
    monkeypatch.setenv(VARIABLE, case.lab.secret("primary_web"))
    assert check_command(str(case.site), live=False) == 0
    assert case.make_plan().blocked == ()


def test_what_went_away_since_the_plan_stops_before_the_first_deletion(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret, the browser, room on the disk: each is tried again before anything is sent."""
    case.make_plan()
    with monkeypatch.context() as gone:
        gone.delenv(VARIABLE)
        case.refused(SecretUnavailable, 2, carry_out(case))
    with monkeypatch.context() as gone:
        gone.setattr(preflight, "free_bytes", lambda _context: 0)
        case.refused(RecordNotWritable, 5, carry_out(case))
    case.write_site(lambda site: (from_variable(site), site.update(browser="/opt/no-such-browser")))
    case.refused(BrowserMissing, 2, carry_out(case))
    case.assert_untouched()


def test_a_wrong_web_password_is_found_before_the_first_deletion(
    case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The login is tried once: exit 4, nothing sent; check --live finds it too. Without the try all goes."""
    monkeypatch.setenv(VARIABLE, "not-the-password")
    with pytest.raises(LoginRefused):
        check_command(str(case.site), live=True)
    assert "primary web pages: login" in capsys.readouterr().out
    case.make_plan()
    case.refused(LoginRefused, 4, carry_out(case))
    case.assert_untouched()

    async def nothing(*_given: object) -> None: ...

    monkeypatch.setattr(deletion, "try_login", nothing)
    carry_out(case)()
    assert case.seen().sent == 3


def test_exit_code_2_is_over_once_something_was_sent(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that goes away after the deletions ends stage 40 with 3: begun, and a person has to act."""
    case.make_plan()
    with direct_pages(case.lab):
        carry_out(case)()
    monkeypatch.delenv(VARIABLE)
    rb = case.open(Stage.REGISTER)
    error = case.refused(DecisionNeeded, 3, rb.observe)
    assert VARIABLE in error.what


@pytest.mark.parametrize("stage", [Stage.REGISTER, Stage.READD_ISE])
def test_what_went_away_after_the_deletions_stops_before_the_next_change(
    case: Case, monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    """The means are tried again where stages 40 and 50 change something: exit 5, nothing registered, nothing added."""
    case.make_plan()
    with direct_pages(case.lab):
        carry_out(case)()
        monkeypatch.setattr(preflight, "free_bytes", lambda _context: 0)
        case.refused(RecordNotWritable, 5, lambda: run_stage(stage, case.site, case.incident))
    assert (case.seen().registered, case.seen().ise) == ([], [])
