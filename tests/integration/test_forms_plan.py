"""The forms of stages 20 and 30 at work on a lab: they give the plan that parameters and commands give, and no more."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from quick_module import quick_module
from repair_site import StartLab, run_stage

from runbook_lib import open_runbook
from runbook_lib import paths as places
from runbook_lib.errors import ApprovalMissing, ExpectationInvalid, ParameterRefused
from runbook_lib.models import Stage, Verdict
from runbook_lib.notebook import changing_stages, opening, reading_stages
from runbook_lib.record.incident import Record
from runbook_lib.repair.confirmation import PHRASE
from runbook_lib.show.expectation_form import Given

pytestmark = pytest.mark.usefixtures("one_browser")

RUNBOOK = "from runbook_lib.cli import main; main()"


@pytest.fixture
def desk(start_lab: StartLab, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A renewed lab, a production site's file for it that expects nothing, and stage 10 done by a person."""
    lab = start_lab("renewed", monitor_style="on_registration")
    site = yaml.safe_load((lab.folder / "site.yaml").read_text())
    for server in (site["primary"], site["secondary"], *site["ise"]):
        server.pop("expect", None)
    path = lab.folder / "paris.yaml"
    path.write_text(yaml.safe_dump(site | {"kind": "production", "name": "paris"}))
    monkeypatch.setattr(opening, "attended", lambda: True)
    incident = run_stage(Stage.DIAGNOSE, path).incident
    return SimpleNamespace(site=path, incident=incident, folder=lab.folder / "desk")


def stage_20(desk: Any) -> Any:
    return open_runbook("20_list_certificates", str(desk.site), desk.incident)


def control(form: Any, label: str) -> Any:
    """Return the control of a form that is called so."""
    found = [each for each in widgets(form.widget) if getattr(each, "description", "").startswith(label)]
    assert found, label
    return found[0]


def widgets(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from widgets(child)


def shown(form: Any) -> str:
    """Return what is shown, without where a digest or a path may be broken."""
    whole = " ".join(str(getattr(each, "value", "")) for each in widgets(form.widget))
    return re.sub(r'<wbr[^>]*>|<span class="digest">|</span>', "", whole)


def upload(form: Any, path: Path) -> None:
    """Do to the form what the front end does when a file was chosen."""
    data = path.read_bytes()
    about = {"name": path.name, "type": "", "size": len(data), "last_modified": datetime.now(UTC)}
    control(form, "CSR or certificate").value = ({**about, "content": memoryview(data)},)


def drop(form: Any, *paths: Path) -> Any:
    """Do to the form what the front end does when files were dropped; return the field that they come through."""
    [field] = [each for each in widgets(form.widget) if each.layout.display == "none"]
    name, data = (paths[0].name, paths[0].read_bytes()) if len(paths) == 1 else ("", b"")
    field.value = json.dumps({"count": len(paths), "name": name, "base64": base64.b64encode(data).decode()})
    return field


def paste(form: Any, path: Path) -> None:
    control(form, "Fingerprint").value = path.read_text()


def give(form: Any, desk: Any) -> None:
    """Type, drop and paste what lies on the operator's desk: a fingerprint with colons, a CSR, a certificate."""
    digits = (desk.folder / "primary.sha256").read_text().strip().upper()
    control(form, "Fingerprint").value = ":".join(digits[at : at + 2] for at in range(0, 64, 2))
    control(form, "Keep").click()
    control(form, "Host").value = "secondary"
    drop(form, desk.folder / "secondary.csr")
    control(form, "Keep").click()
    control(form, "Host").value = "ise"
    paste(form, desk.folder / "ise.pem")
    control(form, "Keep").click()


def approval_form(rb: Any) -> Any:
    """The form that the cell shows above the error it ends with."""
    return changing_stages.Changing.approval(rb)


def run(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, env=dict(os.environ), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_form_papermill_and_run_give_one_plan(desk: Any, tmp_path: Path) -> None:
    """The same knowledge, typed into the form, given to papermill, given to `runbook run`: one digest."""
    rb = stage_20(desk)
    give(rb.expectations(), desk)
    rb.inventory()
    by_form = rb.plan().value
    assert [row.server for row in by_form.deletions] == ["primary", "primary", "secondary"]
    expect = "; ".join(
        (
            f"primary=sha256:{(desk.folder / 'primary.sha256').read_text().strip()}",
            f"secondary=csr:{desk.folder / 'secondary.csr'}",
            f"ise=certificate:{desk.folder / 'ise.pem'}",
        )
    )
    notebook = str(places.notebooks_dir() / "20_list_certificates.ipynb")
    given = ("-p", "site", str(desk.site), "-r", "incident", desk.incident, "-r", "expect", expect)
    run(*quick_module("papermill", notebook, str(tmp_path / "out.ipynb"), "--no-progress-bar", *given), cwd=tmp_path)
    asked = ("run", str(desk.site), "--incident", desk.incident, "--until", "20", "--expect", expect)
    run(sys.executable, "-c", RUNBOOK, *asked, cwd=tmp_path)
    record = Record.open(places.records_dir(), desk.incident)
    plans = [line.seen for line in record.journal.read().lines if line.text == "plan" and line.kind == "decided"]
    assert plans == [by_form.digest] * 3


def test_the_form_refuses_what_the_parameter_refuses(desk: Any) -> None:
    """MD5 by its length, a private key by its content, with the reason; nothing of either is kept."""
    form = stage_20(desk).expectations()
    control(form, "Fingerprint").value = "ab:" * 15 + "ab"
    assert "as MD5 has" in shown(form)
    assert control(form, "Keep").disabled
    control(form, "Fingerprint").value = ""
    key = desk.folder / "server.key"
    key.write_text("-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----\n")
    for give_it in (upload, drop, paste):
        upload(form, desk.folder / "ise.pem")
        assert not control(form, "Keep").disabled
        give_it(form, key)
        assert "holds a private key" in shown(form)
        assert "MC4CAQAw" not in "".join(str(each.get_state()) for each in widgets(form.widget))
        assert control(form, "Keep").disabled


def test_one_file_is_dropped_at_a_time(desk: Any) -> None:
    """Two files are none: the form says so, and what was given before is no longer what would be kept."""
    form = stage_20(desk).expectations()
    drop(form, desk.folder / "ise.pem")
    assert "ise.pem is a certificate" in shown(form)
    assert drop(form, desk.folder / "ise.pem", desk.folder / "secondary.csr").value == ""
    assert "That was not one file" in shown(form)
    assert control(form, "Keep").disabled


def test_a_private_key_is_refused_where_it_would_be_kept(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard is in the writing, whatever the form did: no fact, no file, and none for a moment either."""
    context = stage_20(desk).context
    monkeypatch.setattr(tempfile, "tempdir", str(desk.folder / "nowhere"))
    key = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----\n"
    with pytest.raises(ExpectationInvalid, match="private key"):
        reading_stages.keep_given(context, Given("primary", "", ("x.pem", key), False))
    assert not (context.record.folder / "expectations").exists()


def test_an_override_is_asked_for_in_full_words(desk: Any) -> None:
    """With nothing known the plan is blocked; the form's button waits for name, reason and every word."""
    rb = stage_20(desk)
    rb.inventory()
    form = rb.override()
    assert {entry.target for entry in form.value} == {"primary", "secondary", "ise"}
    control(form, "Your name").value = "Ada Example"
    control(form, "Reason").value = "seen on its console"
    for words in ("yes", PHRASE[:-1], PHRASE + "!"):
        control(form, "In full words").value = words
        assert control(form, "Override").disabled
    control(form, "In full words").value = PHRASE
    control(form, "Override").click()
    assert "Overridden by Ada Example" in shown(form)
    rows = [row for row in rb.plan().value.rows if row.override]
    assert [(row.verdict, row.command != "") for row in rows] == [(Verdict.UNCONFIRMED, True)]


def test_a_form_approves_the_plan_that_it_shows(desk: Any) -> None:
    """Where a newer plan was made meanwhile, the button writes nothing and says that there is one.

    What was given is kept and named with the ending that it came with.
    """
    rb = stage_20(desk)
    give(rb.expectations(), desk)
    assert "ise.pem" in rb.context.record.journal.path.read_text()
    rb.inventory()
    rb.plan()
    form = approval_form(open_runbook("30_delete_stale_certificates", str(desk.site), desk.incident))
    other = stage_20(desk)
    other.expectations().widget.close()
    reading_stages.keep_given(other.context, Given("primary", "0" * 64, None, False))
    other.inventory()
    other.plan()
    control(form, "Your name").value = "Ada Example"
    control(form, "Approve").click()
    assert "There is a newer plan than the one that this form shows" in shown(form)
    assert other.context.record.read_approvals() == ()


def test_two_forms_write_one_approval(desk: Any) -> None:
    """The second press of the button, in whatever tab, says whose approval there is and writes none."""
    rb = stage_20(desk)
    give(rb.expectations(), desk)
    rb.inventory()
    rb.plan()
    delete = open_runbook("30_delete_stale_certificates", str(desk.site), desk.incident)
    first, second = approval_form(delete), approval_form(delete)
    for form, name in ((first, "Ada Example"), (second, "Ben Example")):
        control(form, "Your name").value = name
        control(form, "Approve").click()
    assert "Ada Example has approved this plan already" in shown(second)
    assert [approval.by for approval in rb.context.record.read_approvals()] == ["Ada Example"]


def test_the_lab_answers_for_itself_only_where_nobody_is_asked(
    start_lab: StartLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person practises the approval in the lab: Run All stops there too; a batch job goes through."""
    site = start_lab("renewed", monitor_style="on_registration").folder / "site.yaml"
    for stage in (Stage.DIAGNOSE, Stage.LIST):
        incident = run_stage(stage, site).incident
    batch = open_runbook("30_delete_stale_certificates", str(site), incident)
    monkeypatch.setattr(opening, "attended", lambda: True)
    by_hand = open_runbook("30_delete_stale_certificates", str(site), incident)
    with pytest.raises(ApprovalMissing, match="nobody has approved"):
        by_hand.approval()
    assert batch.approval().value.by == "the lab itself"


def test_who_runs_a_stage_is_no_second_person(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the site asks for two people, the form takes no approval from the one who runs it."""
    monkeypatch.setenv("RUNBOOK_OPERATOR", "ada@night")
    site = yaml.safe_load(desk.site.read_text())
    desk.site.write_text(yaml.safe_dump(site | {"policy": {"second_person": True}}))
    rb = stage_20(desk)
    give(rb.expectations(), desk)
    rb.inventory()
    rb.plan()
    form = approval_form(open_runbook("30_delete_stale_certificates", str(desk.site), desk.incident))
    control(form, "Your name").value = "Ada"
    control(form, "Approve").click()
    assert ParameterRefused.__name__ in shown(form)
    assert rb.context.record.read_approvals() == ()


def test_a_mistyped_expectation_is_seen_and_withdrawn(desk: Any) -> None:
    """The form shows the digits, their source and what else is known of the host; its button takes them back."""
    form = stage_20(desk).expectations()
    assert control(form, "Withdraw").disabled
    control(form, "Fingerprint").value = "ab" * 32
    control(form, "Keep").click()
    told = shown(form)
    assert "ab" * 32 in told
    assert f"this incident was given: a SHA-256 given by the operator, in digits: SHA-256 {'ab' * 32}" in told
    control(form, "Host").value = "ise"
    assert control(form, "Withdraw").disabled
    control(form, "Host").value = "primary"
    control(form, "Withdraw").click()
    assert "Withdrawn for primary; still known: nothing" in shown(form)
    assert [host.given for host in stage_20(desk).expectations().value] == ["nothing"] * 3
