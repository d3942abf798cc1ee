"""Command lines as others captured them: forms of questions, login dialogs, releases, and slow commands."""

from __future__ import annotations

from typing import Any

import pytest
from fault_site import Begin
from repair_site import StartLab, run_stage

from runbook_lib.decisions import Deletion
from runbook_lib.errors import AnswerNotUnderstood, LoginQuestion
from runbook_lib.models import Stage, StageState

GONE = {Deletion.GONE}


@pytest.mark.parametrize(
    ("question", "options"),
    [
        (
            "Do you want to delete the certificate of host {entry}? (yes/no) [no] ? ",
            {"ssh_banner": "Zugriff nur f\udcfcr Berechtigte\n"},
        ),
        (
            "Certificate of host {entry} will be removed.\nProceed? Y/N [N]: ",
            {"ade_block": False, "fixes": "PI 3.10.6 Update 01 ( 1.0.0 )\nDevice Pack 12"},
        ),
        ("Delete {entry} [no] (yes/no): ", {"release": "3.4.0", "fixes": "PI 3.5.1 ( 1.0.0 )"}),
        (
            "Are you sure [y/n] ",
            {"banner": False, "login_banner": "Authorized use only.\nhost=192.0.2.1_8082; subject=CN=nobody # \n"},
        ),
        ("", {"command_delay_s": 0.2}),
    ],
    ids=["banner", "fixes", "old", "bare", "slow"],
)
def test_each_form_of_the_question_is_answered_whatever_is_printed_around(
    faulty: StartLab, begin: Begin, question: str, options: dict[str, Any]
) -> None:
    """Default before or behind, brackets or none: the deletion is confirmed once, and seen.

    Banners of any encoding or none, versions in each captured form, slow commands: the same deletions, all seen.
    """
    if question:
        options = options | {"deletecert": "question", "question": question}

    def accept(site: dict[str, Any]) -> None:
        site["policy"] = {"allow_older_release": True}

    case = begin(faulty("renewed", monitor_style="on_registration", **options), accept)
    run_stage(Stage.START, case.site, case.incident)
    assert {result.result for result in case.carry_out(case.make_plan())} == GONE
    case.assert_agrees()


def test_a_question_about_something_else_stops_the_deletions_with_its_words(faulty: StartLab, begin: Begin) -> None:
    """It gets no yes; the error shows it, no further deletion is sent, and the entry is still there."""
    question = "Erase all data and continue? (yes/no) [no]: "
    case = begin(faulty("renewed", monitor_style="on_registration", deletecert="question", question=question))
    plan = case.make_plan()
    error = case.refused(AnswerNotUnderstood, 4, lambda: case.carry_out(plan))
    assert question.strip() in error.what
    assert "answers:" in error.next_step
    assert case.seen().sent == 1
    assert not case.seen().deleted
    assert case.state(Stage.DELETE) is StageState.FAILED
    case.assert_agrees()


def test_a_question_before_the_prompt_stops_the_stage(faulty: StartLab, begin: Begin) -> None:
    """A login that asks yes or no gets neither: exit 4, its words in the error, nothing sent."""
    case = begin(faulty("renewed", login_question="A session is open elsewhere. End it? (yes/no) [no] ? "))
    error = case.refused(LoginQuestion, 4, case.make_plan)
    assert "A session is open elsewhere. End it?" in error.found
    case.assert_untouched()


def test_servers_of_different_releases_are_told_before_anything_is_changed(faulty: StartLab, begin: Begin) -> None:
    """Stage 00 shows both releases, as they run, with the fixes of which nobody knows what they are."""
    lab = faulty("renewed", release="3.10.0", fixes="PI 3.10.4 Update\nDevice Pack 12", secondary_release="3.10.6")
    case = begin(lab)
    checks = {check.name: check for check in case.open(Stage.START).preflight().value}
    assert "release 3.10.4 (installed as 3.10.0)" in checks["primary: release"].actual
    assert "Device Pack 12" in checks["primary: release"].actual
    unequal = checks["releases of both servers"]
    assert unequal.ok is None
    assert "3.10.4" in unequal.actual
    assert "3.10.6" in unequal.actual
