"""The approval form: a button writes, nothing waits, and the same can be done without it."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from runbook_lib.decisions import Decision, Plan, PlanRow
from runbook_lib.errors import ParameterRefused
from runbook_lib.i18n import language
from runbook_lib.show.document import Row, Table
from runbook_lib.show.forms import ApprovalForm
from runbook_lib.show.rendering import View

DIGEST = "a" * 64
COMMAND = f"runbook approve incident {DIGEST} --by NAME"


@pytest.fixture
def plan() -> Plan:
    row = PlanRow(
        server="primary",
        key="192.0.2.1_8082",
        subject="/CN=x",
        target="secondary",
        decision=Decision.DELETE,
        reason="",
        command="ncs certvalidation tofu-certs deletecert host 192.0.2.1_8082",
    )
    return Plan(site="s", incident="incident", made_utc=datetime(2026, 1, 1, tzinfo=UTC), rows=(row,), digest=DIGEST)


def approved() -> View[None]:
    return View(None, (Table(title="Approved", headers=("by",), rows=(Row("Ada"),)),))


def test_button_hands_over_name_and_reason_and_says_what_was_done(plan: Plan) -> None:
    """Pressing the button writes one approval with what was typed; the form says so, and asks no longer."""
    written = []
    form = ApprovalForm(
        plan, lambda name, reason: written.append((name, reason)) or f"Approved by {name}", COMMAND, approved
    )
    question, name, reason, button, said, _ = form.widget.children
    assert "Approve the deletion" in question.value
    name.value, reason.value = "Ada <b>", "change 42"
    assert not written
    button.click()
    assert written == [("Ada <b>", "change 42")]
    assert "Approved by Ada &lt;b&gt;" in said.value
    assert "Approve the deletion" not in question.value


def test_what_is_approved_is_said_in_the_readers_language(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """The changes of a plan stand in a column of keys, and are said in Chinese all the same."""
    monkeypatch.setattr(language, "_spoken", ["zh"])
    question = ApprovalForm(plan, lambda *_: "", COMMAND, approved).widget.children[0].value
    assert "删除 192.0.2.1_8082" in question
    assert "delete" not in question


def test_refusal_is_shown_as_advice_in_the_form(plan: Plan) -> None:
    """What the approval raises is shown where the person looks, escaped, and not thrown into the void."""

    def refuse(name: str, reason: str) -> str:
        raise ParameterRefused("An approval needs a name", found="<script>", next_step="give one")

    form = ApprovalForm(plan, refuse, COMMAND, approved)
    *_, button, said, _ = form.widget.children
    button.click()
    assert "An approval needs a name" in said.value
    assert "&lt;script&gt;" in said.value


def test_form_is_a_table_with_the_command_where_widgets_are_not_shown(plan: Plan) -> None:
    """Without a kernel, in an export or in a terminal, the same form names the command and the parameter.

    Where there are controls, what is asked stands above them, and the other ways below.
    """
    form = ApprovalForm(plan, lambda name, reason: "", COMMAND, approved)
    bundle = form._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    for shown in (bundle["text/html"], bundle["text/plain"]):
        words = re.sub(r"<[^>]+>|\n", "", shown)
        assert COMMAND in words
        assert DIGEST in words
    above, *_, below = form.widget.children
    assert "Approve the deletion of 1 entry?" in above.value
    assert COMMAND in re.sub(r"<[^>]+>", "", below.value)


def test_every_control_of_the_form_has_a_label(plan: Plan) -> None:
    """Name, reason and button say what they are, for those who hear the page."""
    form = ApprovalForm(plan, lambda name, reason: "", COMMAND, approved)
    assert all(control.description for control in form.widget.children[1:4])
