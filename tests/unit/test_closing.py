"""``runbook close``: an incident that will not be finished, and what its record can truthfully say."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from incident_kit import PRIMARYS, Incident

from runbook_lib.batch import round as round_module
from runbook_lib.batch.site_run import SiteResult
from runbook_lib.cli import records
from runbook_lib.cli.plans import status_command
from runbook_lib.cli.records import close_command
from runbook_lib.decisions import Deletion
from runbook_lib.errors import DecisionNeeded, ParameterRefused, SiteLocked
from runbook_lib.models import FINAL, Outcome, Stage, StageState
from runbook_lib.notebook.opening import (
    _choose,
    close_incident,
    look_at,
    open_incident,
    show_host_key,
    write_site,
)
from runbook_lib.notebook.workspace import has_ended
from runbook_lib.params.load import site_without_secrets
from runbook_lib.record import attestation
from runbook_lib.record.attestation import seal_record
from runbook_lib.record.history import incident_that_counts, past_incidents
from runbook_lib.record.incident import Record, find_open
from runbook_lib.record.journal import Kind
from runbook_lib.record.lock import SiteLock
from runbook_lib.record.verification import verify_record
from runbook_lib.show.incidents import ChoiceActions, _ChoiceControls
from runbook_lib.show.report import post_mortem

REASON = "PI was replaced"


@pytest.fixture
def incident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Incident:
    """An open incident of the site ``lab``, with a plan."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    monkeypatch.setenv("RUNBOOK_LOCKS", str(tmp_path))
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "keys"))
    incident = Incident(tmp_path)
    incident.write_plan()
    return incident


def close(incident: Incident) -> Record:
    close_command(incident.record.incident, by="Ada Example", reason=REASON)
    return incident.record


def test_the_next_run_opens_a_new_incident(incident: Incident, capsys: pytest.CaptureFixture[str]) -> None:
    """Who closed it and why is in the journal and in a file that it names; nothing finds it as open any more.

    The next one knows from its beginning of what kind the site is: before its file is kept with the end.
    """
    root = incident.record.root
    assert find_open(root, "lab") == incident.record.incident
    record = close(incident)
    assert "Next: runbook run lab\n" in capsys.readouterr().out
    line = record.journal.read().lines[-1]
    assert (line.kind, line.seen, line.text) == (Kind.OUTCOME, "stopped", f"closed by Ada Example: {REASON}")
    assert line.artifact
    said = json.loads(record.read_bytes(line.artifact))
    assert (said["by"], said["reason"], said["outcome"]) == ("Ada Example", REASON, "stopped")
    assert record.is_closed()
    assert has_ended(record.incident)
    assert find_open(root, "lab") is None
    assert past_incidents(root)[0].closed_by == f"closed by Ada Example: {REASON}"
    following = open_incident(incident.context.site, "", what="runbook run")
    assert following.incident != record.incident
    assert post_mortem(following.folder).kind == incident.context.site.kind
    assert not verify_record(record.folder).problems


@pytest.fixture
def form(incident: Incident, tmp_path: Path) -> _ChoiceControls:
    """The form of 00_start_here as it is for the lab, whose incident is open."""
    acts = ChoiceActions(look=look_at, choose=_choose, write=write_site, host_key=show_host_key, close=close_incident)
    return _ChoiceControls("lab", ("lab",), tmp_path, acts, lambda: None)


def test_the_form_closes_it_too(incident: Incident, form: _ChoiceControls) -> None:
    """Folded until it is asked for; it takes a name and a reason, and offers a new incident afterwards."""
    closing, record = form.closing, incident.record
    assert (closing.unfold.layout.display, closing.asked.layout.display) == ("flex", "none")
    sent_and_not_seen(incident)
    form._look()
    closing.unfold.value = True
    assert closing.asked.layout.display == "flex"
    assert "it ends as unknown" in closing.about.value
    assert PRIMARYS[1] in closing.about.value
    closing.button.click()
    assert "needs a name and a reason" in closing.said.value
    closing.name.value, closing.reason.value = "Ada Example", REASON
    with SiteLock("lab", ["a server"]):
        closing.button.click()
    assert "SiteLocked" in closing.said.value
    assert not record.is_closed()
    closing.button.click()
    assert f"{record.incident} is closed by Ada Example: unknown" in closing.said.value
    assert record.journal.read().lines[-1].text == f"closed by Ada Example: {REASON}"
    assert (closing.unfold.layout.display, closing.asked.layout.display) == ("none", "none")
    assert form.incident.options[0] == ("open a new one", "")


def sent_and_not_seen(incident: Incident) -> None:
    incident.sent("primary", PRIMARYS[1], None)


def back_after_its_deletion(incident: Incident) -> None:
    incident.sent("primary", PRIMARYS[1], Deletion.NOT_DELETED_OR_CAME_BACK)


def a_stage_unknown(incident: Incident) -> None:
    incident.record.end_stage(Stage.REGISTER, StageState.UNKNOWN)


def seen_gone(incident: Incident) -> None:
    incident.sent("primary", PRIMARYS[1])


def failed(incident: Incident) -> None:
    incident.record.set_outcome(Outcome.FAILED)


def unknown(incident: Incident) -> None:
    incident.record.set_outcome(Outcome.UNKNOWN)


@pytest.mark.parametrize(
    ("past", "outcome"),
    [
        (lambda _incident: None, Outcome.STOPPED),
        (seen_gone, Outcome.STOPPED),
        (failed, Outcome.FAILED),
        (unknown, Outcome.UNKNOWN),
        (sent_and_not_seen, Outcome.UNKNOWN),
        (back_after_its_deletion, Outcome.UNKNOWN),
        (a_stage_unknown, Outcome.UNKNOWN),
    ],
)
def test_the_outcome_is_what_the_record_can_say(
    incident: Incident, past: Callable[[Incident], None], outcome: Outcome
) -> None:
    """Unknown where a change was sent whose end was not seen; failed where it had failed; else stopped."""
    past(incident)
    assert close(incident).outcome() is outcome


@pytest.mark.parametrize("outcome", sorted(FINAL))
def test_nobody_closes_an_incident_as_repaired(incident: Incident, outcome: Outcome) -> None:
    """Only what stage 60 has looked at is repaired, whoever asks the record."""
    with pytest.raises(ValueError, match="only a repair that was looked at"):
        incident.record.close(outcome, by="Ada Example", reason=REASON)
    assert incident.record.outcome() is None


def test_what_is_closed_already_is_said_to_be(incident: Incident, capsys: pytest.CaptureFixture[str]) -> None:
    """No line is written, whether it was repaired or closed by a person."""
    incident.record.set_outcome(Outcome.REPAIRED)
    lines = incident.record.journal.read().lines
    close(incident)
    assert "is closed already: repaired" in capsys.readouterr().out
    assert incident.record.journal.read().lines == lines


def test_a_run_that_holds_the_lock_keeps_it_open(incident: Incident) -> None:
    """Refused with exit code 3, and nothing is written."""
    lines = incident.record.journal.read().lines
    with SiteLock("lab", ["a server"]), pytest.raises(SiteLocked) as refused:
        close(incident)
    assert refused.value.exit_code == 3
    assert incident.record.journal.read().lines == lines


@pytest.mark.parametrize(("by", "reason"), [("", REASON), ("Ada Example", ""), (" ", REASON), ("Ada Example", " ")])
def test_it_takes_a_name_and_a_reason(incident: Incident, by: str, reason: str) -> None:
    """In a batch both have to be given."""
    with pytest.raises(ParameterRefused, match="a name and a reason"):
        close_command(incident.record.incident, by=by, reason=reason)
    assert not incident.record.is_closed()


def test_a_terminal_is_asked(
    incident: Incident, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For the reason, and for a yes; what is unknown is shown before. Another answer than yes closes nothing."""
    sent_and_not_seen(incident)
    monkeypatch.setattr(records, "can_ask", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{REASON}\nno\n"))
    with pytest.raises(DecisionNeeded):
        close_command(incident.record.incident)
    asked = capsys.readouterr().out
    assert asked.index(f"unknown:  primary: {PRIMARYS[1]}") < asked.index(
        f"Close {incident.record.incident} as unknown"
    )
    assert not incident.record.is_closed()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{REASON}\nyes\n"))
    close_command(incident.record.incident)
    assert incident.record.is_closed()


def test_a_run_that_began_while_it_was_asked_keeps_it_open(incident: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is looked at again after the answer."""
    lock = SiteLock("lab", ["a server"])

    def answer(question: str) -> str:
        if "Type yes" in question:
            lock.__enter__()
        return "yes"

    monkeypatch.setattr(records, "can_ask", lambda: True)
    monkeypatch.setattr(records, "answer_to", answer)
    try:
        with pytest.raises(SiteLocked):
            close(incident)
    finally:
        lock.__exit__(None, None, None)
    assert not incident.record.is_closed()


def test_a_sealed_record_is_sealed_anew_and_no_authority_is_asked(
    incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The closing is covered by a seal, with the site's file as it was kept; a record without a seal stays without."""
    asked: list[object] = []
    monkeypatch.setattr(attestation, "request_stamp", lambda *given: asked.append(given) or b"")
    monkeypatch.setattr(attestation.Authority, "of", lambda _site: attestation.Authority(url="http://192.0.2.1/"))
    site = site_without_secrets(incident.context.site)
    seal_record(incident.record, site, stamped=False)
    record = close(incident)
    found = verify_record(record.folder)
    assert not found.problems
    assert not found.later
    assert (found.seal, asked) == ("seal-2", [])
    other = Incident(record.root.parent)
    assert verify_record(close(other).folder).seal == ""


def test_a_run_in_a_closed_incident_opens_it_again(incident: Incident) -> None:
    """The newest outcome counts, as after a repair."""
    close(incident).set_outcome(Outcome.FAILED)
    assert not incident.record.is_closed()


def test_a_round_leaves_an_incident_alone_that_a_person_has_closed(
    incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was approved before: its site is not started, and has to be planned again."""
    plan = incident.plan()
    incident.approve(plan)
    planned = SimpleNamespace(incident=plan.incident, described="same", plan=plan.digest, to_approve=True)
    rollup: Any = SimpleNamespace(site=lambda _name: planned)
    site: Any = SimpleNamespace(name="lab", sha256="same", site=incident.context.site, where="fleet.yaml:1")
    round_: Any = SimpleNamespace(root=incident.record.root, incident="a round")
    monkeypatch.setattr(round_module, "_task", lambda *_given, **_named: "started")
    assert round_module._admit(round_, site, rollup, Stage.POST_MORTEM) == "started"
    close(incident)
    found = round_module._admit(round_, site, rollup, Stage.POST_MORTEM)
    assert isinstance(found, SiteResult)
    assert "closed" in found.why


def test_who_closed_it_is_not_read_from_a_sentence(
    incident: Incident, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal's line may say it in any words: the file that it names holds name and reason."""
    keep = Record.keep_json
    other = "shut for good"
    monkeypatch.setattr(Record, "keep_json", lambda *given, **named: keep(*given, **{**named, "text": other}))
    close(incident)
    capsys.readouterr()
    status_command("lab")
    assert f"closed:   by Ada Example: {REASON}\n" in capsys.readouterr().out


def test_the_status_says_who_closed_it(incident: Incident, capsys: pytest.CaptureFixture[str]) -> None:
    """And that it is closed, in the overview too."""
    record = close(incident)
    capsys.readouterr()
    status_command("lab")
    said = capsys.readouterr().out
    assert f"closed:   by Ada Example: {REASON}\n" in said
    assert f"Next: runbook report {record.incident}\n" in said
    status_command()
    assert "stopped, closed" in capsys.readouterr().out
    newer = Record.create(record.root, "lab")
    found = incident_that_counts("lab", past_incidents(record.root))
    assert found
    assert found.incident == newer.incident
