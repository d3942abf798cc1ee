"""Stages 40 and 50 alone, as their notebooks call them, on a lab whose trust is right and whose HA and ISE are not."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import dojo_sites
import pytest
import yaml
from repair_site import StartLab, changes, open_record, run_stage
from waiting import wait_until

from runbook_lib import paths
from runbook_lib.errors import BrowserMissing, DecisionNeeded, ReadinessFailed, RepairFailed
from runbook_lib.lab import Lab
from runbook_lib.lab.backend import HaForm
from runbook_lib.models import Stage
from runbook_lib.notebook.opening import open_runbook
from runbook_lib.observations import ReadinessItem
from runbook_lib.params import labels
from runbook_lib.params.labels import labels_for
from runbook_lib.record.journal import Kind
from runbook_lib.repair import ha, ha_state
from runbook_lib.repair.approval import approve
from runbook_lib.repair.ha_state import MILESTONES

pytestmark = pytest.mark.usefixtures("one_browser")

MILESTONE = re.compile(r"(?:Pre-HA Registration|Database Replication|Post HA Registration) (\d+) %")
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def unregistered(start_lab: StartLab) -> Callable[..., Lab]:
    """``unregistered(**options)``: a healthy lab after somebody removed HA and the ISE server in the web pages."""

    def start(**options: Any) -> Lab:
        lab = start_lab("healthy", **({"keys": "ec"} | options))
        address = lab.world["servers"]["ise"]["address"]
        assert lab.on_pages("primary", lambda pages: pages.remove_ha()) is None
        assert lab.on_pages("primary", lambda pages: pages.remove_ise(address)) is None
        return lab

    return start


def edited(lab: Lab, edit: Edit) -> Path:
    """A copy of the lab's site file beside it, changed; what does not come back is waited for shortly."""
    site = yaml.safe_load(lab.site_file.read_text())
    site["deadlines"] |= {"settle_s": 10.0}
    edit(site)
    path = lab.folder / "edited.yaml"
    path.write_text(yaml.safe_dump(site, sort_keys=False))
    return path


def plan(site: Path, *, name: str = "lab", approved: bool = True) -> None:
    """Stages 10 and 20, and somebody's approval of the plan, so that 40 and 50 may do what it holds."""
    for stage in (Stage.DIAGNOSE, Stage.LIST):
        run_stage(stage, site)
    if approved:
        record = open_record(name)
        approve(record, record.read_plan().digest, by="Ada Example", how="a test")


def register(site: Path, *, planned: bool = True) -> Any:
    """Every verb of stage 40 in order; returns the stage."""
    if planned:
        plan(site)
    rb: Any = open_runbook(Stage.REGISTER, str(site))
    for verb in (rb.observe, rb.approval, rb.readiness, rb.register, rb.prove, rb.close):
        assert verb().text()
    return rb


def readd(site: Path) -> Any:
    """Every verb of stage 50 in order; returns the checks of its proof by name."""
    plan(site)
    rb: Any = open_runbook(Stage.READD_ISE, str(site))
    assert rb.observe().text()
    assert rb.approval().text()
    assert rb.readd().text()
    checks = rb.prove().value
    rb.close()
    return {check.name: check for check in checks}


def go_on_once_milestones_are_told(lab: Lab) -> None:
    """Let the registration go on that the lab holds, once the record has how far it came."""

    def told() -> bool:
        journals = paths.records_dir().glob("*/journal.jsonl")
        return any(str(MILESTONES) in journal.read_text(encoding="utf-8") for journal in journals)

    wait_until(told, "the milestones of half a registration in the journal")
    lab.clear_fault("held_registration")


def test_high_availability_and_ise_are_set_up(
    unregistered: Callable[..., Lab], capsys: pytest.CaptureFixture[str]
) -> None:
    """One registration and one ISE server, pictured after each submit, on pages that are loaded one after another.

    What ISE's own API does not confirm, since a certificate waits for a restart, is no failure.
    """
    lab = unregistered(skin="tables")
    lab.set_fault("held_registration", "primary")
    with ThreadPoolExecutor() as watcher:
        seen = watcher.submit(go_on_once_milestones_are_told, lab)
        register(lab.site_file)
        seen.result()
    told = [line.partition(" (")[0] for line in capsys.readouterr().out.splitlines() if MILESTONE.search(line)]
    percents = [tuple(map(int, MILESTONE.findall(line))) for line in told]
    assert len(percents) > 1
    assert percents[-1] == (100, 100, 100)
    assert percents == sorted(set(percents))
    assert all(later >= sooner for pair in pairwise(percents) for sooner, later in zip(*pair, strict=True))
    lab.set_fault("ise_restart_put_off")
    checks = readd(lab.site_file)
    assert changes(lab.truth()).registered == ["registered"]
    assert [row["status"] for row in lab.world["ise_servers"]] == ["Reachable"]
    word = next(check for name, check in checks.items() if name.startswith("ISE's imported"))
    assert (word.ok, "imported, not yet presented: abab" in word.actual) == (None, True)
    kept = {path.stem for path in open_record().folder.glob("screenshots/*.png")}
    assert {f"{stage}-after" for stage in ("40_register_ha-register", "50_readd_ise-ise-add")} <= kept
    assert not kept & {f"{stage}-before" for stage in ("40_register_ha-register", "50_readd_ise-ise-add")}


@pytest.mark.parametrize("skin", ["forms", "spa"])
def test_high_availability_and_ise_are_set_up_in_the_other_looks_of_the_pages(skin: str, tmp_path: Path) -> None:
    """Each change is sent once, with what was typed where it belongs, whatever the markup."""
    backend = dojo_sites.site(skin=skin)
    dojo_sites.drive(backend, tmp_path, dojo_sites.set_up)
    (form,) = backend.registered_with
    assert (form.secondary_server, form.auth_key, form.failover) == (dojo_sites.SECONDARY, dojo_sites.KEY, "Manual")


def test_no_credentials_go_to_an_ise_server_that_is_not_confirmed(unregistered: Callable[..., Lab]) -> None:
    """Where somebody else answers as ISE, neither the page nor its API gets the password."""
    lab = unregistered()
    plan(lab.site_file)
    lab.set_fault("impostor", "ise")
    rb: Any = open_runbook(Stage.READD_ISE, str(lab.site_file))
    rb.observe()
    with pytest.raises(Exception, match=r"not confirmed|no longer presents"):
        rb.readd()
    assert not [line for line in lab.truth() if "system-certificate" in line["what"]]
    assert changes(lab.truth()).ise == [f"remove ISE {lab.world['servers']['ise']['address']}"]


def guided(site: dict[str, Any]) -> None:
    site["web"] = "guided"


def test_guided_mode_stops_headless_with_the_steps_and_their_values(unregistered: Callable[..., Lab]) -> None:
    """Exit 3 with the procedure's steps and this site's values; the key and the password by reference, no browser."""
    lab = unregistered()
    site = edited(lab, guided)
    with pytest.raises(DecisionNeeded) as stopped:
        register(site)
    told = str(stopped.value)
    for words in (
        "Administration > Settings > High Availability",
        f"Fill in Secondary Server: {lab.world['servers']['secondary']['address']}",
        "Fill in Authentication Key: from file:",
        lab.world["servers"]["primary"]["presents_sha256"],
    ):
        assert words in told
    assert lab.secret("auth_key") not in told
    assert changes(lab.truth()).registered == []
    assert not list(open_record().folder.glob("screenshots/*"))


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], list[str]]:
    """``person(act)``: somebody watches, and does ``act`` when the steps are told; returns all that was told."""

    def watch(act: Callable[[], object]) -> list[str]:
        told: list[str] = []

        def tell(sentence: str, fraction: float | None = None, *, steady: bool = False) -> None:
            told.append(sentence)
            if "by hand" in sentence:
                act()

        monkeypatch.setattr("runbook_lib.notebook.opening.attended", lambda: True)
        monkeypatch.setattr("runbook_lib.notebook.opening.Progress", lambda: tell)
        return told

    return watch


Person = Callable[[Callable[[], object]], list[str]]


def test_guided_mode_watches_the_servers_until_they_report_the_result(
    unregistered: Callable[..., Lab], person: Person
) -> None:
    """With a person at the notebook the change cell tells the steps, and ends when both servers call HA healthy."""
    lab = unregistered()
    form = HaForm(
        secondary_server=lab.world["servers"]["secondary"]["address"],
        auth_key=lab.secret("auth_key"),
        failover="Manual",
    )
    told = person(lambda: lab.on_pages("primary", lambda pages: pages.register(form)))
    register(edited(lab, guided))
    assert "Click once: Register" in "\n".join(told)
    assert "Primary Active" in told[-1]
    results = [line for line in open_record().journal.read().lines if line.kind is Kind.RESULT]
    assert [(line.text, "Primary Active" in line.seen) for line in results] == [("register HA by hand", True)]


def test_guided_ise_ends_when_its_entry_is_back(unregistered: Callable[..., Lab], person: Person) -> None:
    """The primary's own list is watched; whether ISE answers stays “not known”, since nobody read the page."""
    lab = unregistered()
    ise = lab.world["servers"]["ise"]

    async def forget(pages: Any) -> None:
        pages._core.world.delete_entry("primary", f"{ise['address']}_{ise['ports']['ise']}")

    lab.on_pages("primary", forget)
    told = person(
        lambda: lab.on_pages("primary", lambda pages: pages.add_ise(ise["address"], "piadmin", lab.secret("ise")))
    )
    checks = readd(edited(lab, guided))
    assert "Select a command > Add ISE Server > Go" in "\n".join(told)
    assert checks[f"ISE server ise ({ise['address']})"].ok is None
    assert checks["entry of ise on the primary"].ok is True


def test_a_page_that_is_not_understood_is_handed_to_a_person(
    unregistered: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a field has no name that the driver knows: the steps, a picture, and what was looked for."""
    lab = unregistered()
    unknown = replace(labels_for()["auth_key"], texts=("Shared Word",))
    monkeypatch.setitem(labels.LABELS, "auth_key", unknown)
    with pytest.raises(DecisionNeeded) as stopped:
        register(edited(lab, lambda site: site["deadlines"].update(page_s=20.0)))
    assert "Shared Word" in stopped.value.found
    assert "screenshots/40_register_ha-not-understood.png" in stopped.value.found
    assert (open_record().folder / "screenshots/40_register_ha-not-understood.png").stat().st_size > 1000
    kept = json.loads((open_record().folder / "screenshots/40_register_ha-page.json").read_text())
    (key,) = [one for one in kept["controls"] if "Authentication Key" in " ".join(one["names"])]
    assert (key["role"], len(key["place"])) == ("password", 4)
    assert "Authentication Key" in kept["accessible"]
    assert changes(lab.truth()).registered == []


def broken(lab: Lab) -> None:
    lab.set_fault("ha_broken")
    wait_until(
        lambda: lab.world["servers"]["primary"]["ha_state"] == "Primary Lost Secondary",
        "the primary to lose the secondary",
    )


def test_a_registration_that_stays_broken_is_removed_once_and_only_where_the_site_allows_it(
    start_lab: StartLab,
) -> None:
    """DecisionNeeded says what removing would mean, and nothing is sent.

    Else one ncs ha remove on the primary, its intent on disk first, then one registration.
    """
    lab = start_lab("healthy", keys="ec")
    broken(lab)
    with pytest.raises(DecisionNeeded) as stopped:
        register(edited(lab, lambda site: None))
    assert "the secondary then holds no copy" in stopped.value.found
    assert "remove_broken_ha" in stopped.value.next_step
    assert changes(lab.truth()).nothing
    register(edited(lab, lambda site: site.setdefault("policy", {}).update(remove_broken_ha=True)))
    truth = lab.truth()
    sent = [line for line in truth if line["what"] == "ncs ha remove" and "effect" not in line]
    intents = [line for line in open_record().journal.read().lines if line.kind is Kind.INTENT]
    assert [line["server"] for line in sent] == ["primary"]
    assert [line.text for line in intents] == ["ncs ha remove", "register HA"]
    assert intents[0].utc.isoformat() <= sent[0]["utc"]
    assert changes(truth).registered == ["registered"]


def unreachable(site: dict[str, Any]) -> None:
    """Another secondary than the one that there is: Check Readiness cannot reach it."""
    elsewhere = site["secondary"]["address"].rpartition(".")[0] + ".99"
    site["secondary"].setdefault("names", []).append(elsewhere)
    site["ha"]["secondary_address"] = elsewhere


def test_a_failed_item_of_check_readiness_stops_the_run_unless_the_sites_file_names_it(
    unregistered: Callable[..., Lab],
) -> None:
    """Nothing is registered, the item is named, and the whole table stands in the record.

    Where it is accepted *Register* is pressed, and what the page then says of the same cause is told.
    """
    lab = unregistered()
    with pytest.raises(ReadinessFailed) as stopped:
        register(edited(lab, unreachable))
    assert "Reachability" in stopped.value.found
    assert "Memory" not in stopped.value.found
    assert stopped.value.exit_code == 3
    items = open_record().read_facts(Stage.REGISTER, "readiness", tuple[ReadinessItem, ...])
    kept = {item.name: item.passed for item in items}
    assert (kept["Reachability"], kept["CPU"], len(kept)) == (False, True, 8)
    assert changes(lab.truth()).registered == []
    assert not [line for line in open_record().journal.read().lines if line.kind is Kind.INTENT]

    def accepting(site: dict[str, Any]) -> None:
        unreachable(site)
        site.setdefault("policy", {})["accept_readiness"] = ["Reachability"]

    with pytest.raises(RepairFailed) as failed:
        register(edited(lab, accepting))
    assert ".99 is not reachable" in failed.value.found
    assert len(changes(lab.truth()).registered) == 1


def test_a_peer_with_another_certificate_is_no_proof(start_lab: StartLab) -> None:
    """Where both servers call HA healthy and the secondary presents what nobody confirmed, the stage is not done."""
    lab = start_lab("healthy", keys="ec")
    rb: Any = open_runbook(Stage.REGISTER, str(edited(lab, lambda site: None)))
    assert rb.observe().value.startswith("nothing to do")
    lab.set_fault("impostor", "secondary", seen_from="here")
    seen = {check.name: check.ok for check in rb.prove().value}
    assert (seen["HA state of the secondary"], seen["certificate of secondary"]) == (True, False)
    with pytest.raises(RepairFailed, match="not healthy"):
        rb.close()


def test_a_primary_that_fails_over_meanwhile_ends_the_registration(
    unregistered: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure names the milestone and both servers' states; the next run neither registers nor removes anything."""
    lab = unregistered(registration_s=6.0)
    told: list[str] = []

    def tell(sentence: str, fraction: float | None = None, *, steady: bool = False) -> None:
        told.append(sentence)
        if "Database Replication" in sentence:
            lab.set_fault("failed_over")

    monkeypatch.setattr("runbook_lib.notebook.opening.report_progress", tell)
    site = edited(lab, lambda site: site.setdefault("policy", {}).update(remove_broken_ha=True))
    with pytest.raises(RepairFailed) as failed:
        register(site)
    assert "milestone" in failed.value.what
    assert "primary: Primary Failover; secondary: Secondary Active" in failed.value.found
    assert "fail back" in failed.value.next_step
    with pytest.raises(DecisionNeeded):
        register(site)
    assert len(changes(lab.truth()).registered) == 1
    assert not [line for line in lab.truth() if line["what"] == "ncs ha remove"]


class Stuck:
    """A page that shows the same for ever."""

    async def watch_registration(self, report: Callable[[Any], None]) -> Any:
        await asyncio.Event().wait()


def test_a_failover_ends_the_watch_whatever_the_page_shows(
    start_lab: StartLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both servers are asked beside the page; once the secondary serves, the watch ends with their words."""
    lab = start_lab("healthy", keys="ec")
    monkeypatch.setattr(ha_state, "_ASK_SERVERS_S", 0.1)
    rb: Any = open_runbook(Stage.REGISTER, str(edited(lab, lambda site: None)))
    lab.set_fault("failed_over")
    with pytest.raises(RepairFailed) as failed:
        rb._run(ha.watch_registration(rb.context, cast("Any", Stuck()), None))
    assert "Secondary Active" in failed.value.found
    assert "fail back" in failed.value.next_step


def test_without_a_browser_the_stage_ends_with_what_to_do(unregistered: Callable[..., Lab]) -> None:
    """Exit 2 names the browser and the key of the site's file; nothing is changed."""
    lab = unregistered()
    with pytest.raises(BrowserMissing) as missing:
        register(edited(lab, lambda site: site.update(browser="/opt/no-such-browser")))
    assert missing.value.exit_code == 2
    assert "/opt/no-such-browser" in str(missing.value)
    assert "guided" in missing.value.next_step
    assert changes(lab.truth()).registered == []


def test_a_wrong_key_is_told_with_the_sentence_of_the_page_and_what_to_do(unregistered: Callable[..., Lab]) -> None:
    """RepairFailed names the milestone and ncs ha authkey; a second run registers nothing by itself."""
    lab = unregistered()
    (lab.folder / "wrong").write_text("not-the-key\n")
    (lab.folder / "wrong").chmod(0o600)
    with pytest.raises(RepairFailed) as failed:
        register(edited(lab, lambda site: site["ha"].update(auth_key="file:wrong")))
    assert "Authentication key does not match" in failed.value.found
    assert "Pre-HA Registration" in failed.value.what
    assert "ncs ha authkey" in failed.value.next_step
    assert "not-the-key" not in json.dumps([str(line) for line in open_record().journal.read().lines])


def test_a_failed_registration_tells_which_mismatches_the_logs_gained(unregistered: Callable[..., Lab]) -> None:
    """Where the secondary gets another certificate, the failure quotes the new mismatch line of the log."""
    lab = unregistered(monitor_style="on_registration")
    site = edited(lab, lambda s: s["secondary"].update(expect={"self": True}))
    lab.renew("secondary")
    with pytest.raises(RepairFailed) as failed:
        register(site)
    assert "meanwhile in the primary's logs" in failed.value.found
    assert "hm-0-0.log" in failed.value.found
