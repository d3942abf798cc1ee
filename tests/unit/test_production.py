"""Before its first change by hand a production site's name is given: once in a kernel, by a person, for this site."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import IPython.display
import pytest
from incident_kit import Incident
from site_kit import site_with

from runbook_lib.errors import DecisionNeeded, ParameterRefused
from runbook_lib.models import Stage
from runbook_lib.notebook.changing_stages import Changing
from runbook_lib.record.journal import Kind
from runbook_lib.repair import guard
from runbook_lib.repair.context import Context, Devices


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A person at a production site, in a new kernel."""
    monkeypatch.setattr(guard, "_NAMED", set())
    context = Incident(tmp_path, listed=False).context
    devices = Devices(context.site, keep=lambda *_: None)
    return replace(context, stage=Stage.DELETE, attended=True, devices=devices)


def require_named(context: Context) -> None:
    asyncio.run(guard.production_is_named(context, cast("Any", None)))


def notes(context: Context) -> list[str]:
    return [line.text for line in context.record.journal.read().lines if line.kind is Kind.NOTED]


def test_the_name_is_asked_once_in_a_kernel_and_noted(context: Context) -> None:
    """Red until it is given; then every change of this notebook goes on, and the record says once who said so."""
    with pytest.raises(DecisionNeeded, match="production site lab; nothing was changed yet"):
        require_named(context)
    for _ in range(2):
        guard.name_site(context, " lab ")
        require_named(context)
    assert notes(context) == ["the production site was named before a change"]


@pytest.mark.parametrize("typed", ["", "yes", "LAB", "paris"])
def test_nothing_but_the_sites_name_will_do(context: Context, typed: str) -> None:
    """Another site's name least of all."""
    with pytest.raises(ParameterRefused, match="not the name of the site"):
        guard.name_site(context, typed)
    with pytest.raises(DecisionNeeded):
        require_named(context)
    assert notes(context) == []


def test_each_site_is_named_for_itself(context: Context) -> None:
    """A kernel in which one site was named asks again for the next."""
    guard.name_site(context, "lab")
    with pytest.raises(DecisionNeeded, match="paris"):
        require_named(replace(context, site=context.site.model_copy(update={"name": "paris"})))


def test_neither_the_lab_nor_a_batch_job_is_asked(context: Context) -> None:
    """Nothing real is changed by the one; the other names the plan's digest."""
    require_named(replace(context, site=site_with(kind="lab")))
    require_named(replace(context, attended=False))


def test_the_red_cell_shows_a_form_and_its_button_notes_the_name(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run All stops there, since the cell raises; pressed with another name the form refuses, and nothing is noted."""
    shown: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    stage = type("Stage30", (Changing,), {"stage": Stage.DELETE})(context)
    sent: list[str] = []

    def change() -> None:
        require_named(context)
        sent.append("a change")

    with pytest.raises(DecisionNeeded):
        stage._do(change)
    [form] = shown
    assert "PRODUCTION: change these servers?" in form._repr_html_()
    *_, typed, press, said, _ = form.widget.children
    for name, answer, noted in (("paris", "not the name", 0), ("lab", "Run the cell again", 1)):
        assert not sent
        typed.value = name
        press.click()
        assert answer in said.value
        assert len(notes(context)) == noted
    stage._do(change)
    assert (sent, len(shown)) == (["a change"], 1)


def test_the_question_is_still_that_question_in_another_process(context: Context) -> None:
    """Like every error it survives pickling, with its parts and with what it asks for."""
    with pytest.raises(DecisionNeeded) as asked:
        require_named(context)
    again = pickle.loads(pickle.dumps(asked.value))
    assert (type(again), vars(again), str(again)) == (DecisionNeeded, vars(asked.value), str(asked.value))


def test_other_errors_show_no_form(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decision about something else is not settled by the site's name."""
    shown: list[Any] = []
    monkeypatch.setattr(IPython.display, "display", shown.append)

    def change() -> None:
        with pytest.raises(DecisionNeeded) as asked:
            require_named(context)
        raise DecisionNeeded(asked.value.what, next_step="decide")  # the same words do not make it that question

    act: Callable[[], None] = change
    with pytest.raises(DecisionNeeded, match="production site"):
        type("Stage30", (Changing,), {"stage": Stage.DELETE})(context)._do(act)
    assert not shown
