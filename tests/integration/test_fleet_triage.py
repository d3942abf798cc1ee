"""Triage of a lab of many sites: what is true of each is found, nothing is changed, nobody holds up the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from repair_site import changes
from waiting import awaited

from runbook_lib import paths
from runbook_lib.batch import triage
from runbook_lib.batch.fleet_sources import load_fleet
from runbook_lib.batch.sites import Fleet, FleetSite
from runbook_lib.batch.triage import Condition, TriagedSite, TriageLimits, _Asking, triage_fleet, triage_site
from runbook_lib.cli.fleet import triage_exit_code, triage_json, triage_view
from runbook_lib.errors import DeviceError
from runbook_lib.lab.many import ManyLabs
from runbook_lib.models import Verdict
from runbook_lib.params.model import Site
from runbook_lib.redactor import Redactor
from runbook_lib.repair.context import Target

SITES = 50
IMPOSTOR, SILENT, HALF_SILENT = "site-007", "site-008", "site-009"
UNREACHABLE = [f"site-0{number}" for number in range(40, 45)]  # 10 % of them
LIMITS = TriageLimits(processes=2, at_once=25, phase_s=90.0)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManyLabs]:
    """Fifty sites: half of them healthy, one with an impostor, one that never answers, a tenth unreachable."""
    healthy = {f"site-{number:03}": "healthy" for number in range(20, 46)}
    folder = tmp_path_factory.mktemp("many")
    with ManyLabs(folder, SITES, kind="production", scenarios=healthy) as lab:
        lab.set_fault(IMPOSTOR, "impostor", "secondary")
        lab.set_fault(SILENT, "silent", service="ssh")
        lab.set_fault(HALF_SILENT, "silent", "secondary", service="ssh")
        for name in UNREACHABLE:
            lab.set_fault(name, "refuse", service="ssh")
        yield lab


@pytest.fixture(scope="module")
def fleet(lab: ManyLabs) -> Fleet:
    """The lab's sites with deadlines that a busy machine keeps; only those that never answer are waited for briefly."""
    found = load_fleet(lab.fleet_file)
    return replace(found, sites=tuple(FleetSite(_patient(each.site), each.where) for each in found.sites))


def _patient(site: Site) -> Site:
    connect_s = 4.0 if site.name in (SILENT, HALF_SILENT) else 90.0
    patient = {"connect_s": connect_s, "command_s": 90.0, "probe_s": 90.0}
    return site.model_copy(update={"deadlines": site.deadlines.model_copy(update=patient)})


@pytest.fixture(scope="module")
def told() -> list[str]:
    """The sites in the order in which they were told of."""
    return []


@pytest.fixture(scope="module")
def findings(fleet: Fleet, told: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, TriagedSite]:
    records = tmp_path_factory.mktemp("records")
    found = triage_fleet(fleet.sites, records, LIMITS, lambda finding: told.append(finding.site))
    assert not list(records.iterdir())
    return {finding.site: finding for finding in found}


def test_each_site_is_found_as_it_is(findings: dict[str, TriagedSite]) -> None:
    """Healthy, repairable, in need of a person or unreachable: each of fifty sites is what was made of it."""
    people = {IMPOSTOR}
    silent = {SILENT, HALF_SILENT, *UNREACHABLE}
    for name, finding in findings.items():
        healthy = 20 <= int(name[-3:]) <= 45
        expected = Condition.HEALTHY if healthy else Condition.REPAIRABLE
        expected = Condition.NEEDS_A_PERSON if name in people else expected
        expected = Condition.UNREACHABLE if name in silent else expected
        assert finding.condition is expected, (name, finding.why)


def test_a_repairable_site_is_so_because_its_verdicts_are_confirmed(findings: dict[str, TriagedSite]) -> None:
    """What a plan would delete stands beside confirmed verdicts, from the vantages through both servers too."""
    finding = findings["site-001"]
    assert len(finding.deletions) == 3
    assert all(verdict.confirmed for verdict in finding.verdicts.values())
    assert finding.verdicts["primary"] is Verdict.CONFIRMED_SELF


def test_one_impostor_among_fifty_sites_is_found(findings: dict[str, TriagedSite]) -> None:
    """The one site that shows another certificate is contradicted, and none of the others is."""
    assert [name for name, finding in findings.items() if finding.contradicted] == [IMPOSTOR]
    assert "contradicted" in findings[IMPOSTOR].why[0]


def test_a_site_that_never_answers_is_still_looked_at(findings: dict[str, TriagedSite]) -> None:
    """Without a login the presented certificates are seen from here, so that their expiry is known."""
    finding = findings[SILENT]
    assert len(finding.certificates) == 3
    assert all("no answer" in phase.problem or "no login" in phase.problem for phase in finding.phases if phase.problem)


def test_a_site_with_patient_deadlines_is_waited_for_no_longer_than_a_phase(fleet: Fleet, tmp_path: Path) -> None:
    """An hour in the site's file does not hold up the fleet: nobody answers, and each login ends with its phase."""
    hour = dict.fromkeys(("connect_s", "command_s", "probe_s"), 3600.0)
    site = fleet.site(SILENT).site
    site = site.model_copy(update={"deadlines": site.deadlines.model_copy(update=hour)})
    finding = asyncio.run(triage_site(FleetSite(site, "here"), tmp_path, phase_s=0.5))
    assert finding.condition is Condition.UNREACHABLE


def test_a_look_that_comes_to_nothing_is_a_host_without_an_answer(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the time of a phase ran out over a certificate, the site is told as it is, and the triage goes on."""

    async def nothing(asking: _Asking, target: Target) -> None:
        raise DeviceError("no answer within 90 s", where=target.name)

    monkeypatch.setattr(_Asking, "_look", nothing)
    finding = asyncio.run(triage_site(fleet.site(SILENT), tmp_path, phase_s=0.5))
    assert finding.condition is Condition.UNREACHABLE
    assert set(finding.verdicts.values()) == {Verdict.UNREACHABLE}


def test_a_fault_of_ours_at_one_site_loses_nothing_of_the_others(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told at that site, as what it is and without a secret; the other sites are told as they were found."""
    secret = "-".join(["canary", "of", "the", "triage"])
    monkeypatch.setattr(triage, "REDACTOR", redactor := Redactor())
    redactor.know("canary", secret)

    async def found(each: FleetSite, root: Path, *, phase_s: float) -> TriagedSite:
        if each.name == SILENT:
            raise IndexError(f"tuple index out of range: {secret}")
        return healthy(each)

    monkeypatch.setattr(triage, "triage_site", found)
    told: list[TriagedSite] = []
    triage._ask(tmp_path, LIMITS, fleet.sites[:9], told.append)
    of = {finding.site: finding for finding in told}
    assert len(of) == 9
    assert [name for name, finding in of.items() if finding.condition is not Condition.HEALTHY] == [SILENT]
    assert "IndexError" in of[SILENT].why[0]
    assert secret not in of[SILENT].why[0]


def healthy(each: FleetSite) -> TriagedSite:
    return TriagedSite(
        site=each.name,
        where=each.where,
        condition=Condition.HEALTHY,
        why=(),
        verdicts={},
        ha={},
        certificates=(),
        phases=(),
    )


def test_whatever_a_phase_waits_for_it_ends(fleet: Fleet, tmp_path: Path) -> None:
    """A phase in which no deadline of a device holds ends all the same, and says after how long."""

    async def wait() -> list[str]:
        asking = _Asking(fleet.site(SILENT).site, tmp_path, 0.1)
        assert await asking._phase("logs", asyncio.Event().wait) is None
        return [error.what for error in asking._errors.values()]

    assert asyncio.run(wait()) == ["no answer within 0.1 s"]


def test_every_site_is_told_of_once(findings: dict[str, TriagedSite], told: list[str]) -> None:
    """One line a site, as it is found."""
    assert sorted(told) == sorted(findings)


def test_a_site_that_never_answers_holds_up_nobody(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes one of the places; all others are asked and told of meanwhile, more than there are places."""
    sites = fleet.sites[:9]
    told: list[str] = []
    others = asyncio.Event()

    async def found(each: FleetSite, root: Path, *, phase_s: float) -> TriagedSite:
        if each.name == SILENT:
            await awaited(others.wait(), "the findings of all other sites")
        return healthy(each)

    def tell(finding: TriagedSite) -> None:
        told.append(finding.site)
        if len(told) == len(sites) - 1:
            others.set()

    monkeypatch.setattr(triage, "triage_site", found)
    triage._ask(tmp_path, TriageLimits(at_once=2), sites, tell)
    assert told[-1] == SILENT
    assert len(set(told)) == len(sites)


def test_nothing_is_changed(lab: ManyLabs, findings: dict[str, TriagedSite]) -> None:
    """The sites' own logs tell of nothing that was changed."""
    for name in ("site-001", IMPOSTOR, "site-030"):
        assert changes(lab.truth(name)).nothing


def test_what_is_printed_as_json_fits_its_schema(fleet: Fleet, findings: dict[str, TriagedSite]) -> None:
    """The JSON is as docs/fleet-triage.schema.json says, certificates in the order in which they expire."""
    schema = json.loads((paths.project_root() / "docs/fleet-triage.schema.json").read_text(encoding="utf-8"))
    value = json.loads(json.dumps(triage_json(fleet, list(findings.values()))))
    Draft202012Validator(schema).validate(value)
    ends = [each["not_after_utc"] for each in value["certificates"]]
    assert ends == sorted(ends)
    assert value["counts"] == {"healthy": 21, "repairable": 21, "needs a person": 1, "unreachable": 7}


def test_no_password_is_told(lab: ManyLabs, fleet: Fleet, findings: dict[str, TriagedSite]) -> None:
    """Neither the tables nor the JSON hold a password of any site."""
    text = (
        json.dumps(triage_json(fleet, list(findings.values()))) + triage_view(list(findings.values()), days=900).text()
    )
    secrets = [path.read_text().strip() for path in lab.folder.glob("*/secrets/*") if path.is_file()]
    assert len(secrets) > SITES
    assert not [secret for secret in secrets if secret in text]


def test_the_tables_begin_with_what_needs_somebody(findings: dict[str, TriagedSite]) -> None:
    """First what expires, then the sites: the suspected interception on top, the healthy ones last."""
    text = triage_view(list(findings.values()), days=900).text(160)
    assert text.index("Certificates that expire") < text.index("Sites:")
    sites = text[text.index("Sites:") :]
    assert sites.index(IMPOSTOR) < sites.index(SILENT) < sites.index("site-001") < sites.index("site-030")
    assert triage_exit_code(list(findings.values())) == 3


def test_the_exit_code_is_the_worst(findings: dict[str, TriagedSite]) -> None:
    """0 without trouble, 4 where a site is unreachable, 3 where one needs a person."""
    assert triage_exit_code([findings["site-001"], findings["site-030"]]) == 0
    assert triage_exit_code([findings["site-001"], findings[SILENT]]) == 4


def test_a_fleet_without_sites_has_nothing_to_tell(tmp_path: Path) -> None:
    """No sites are no findings, and exit code 0."""
    found = triage_fleet((), tmp_path, LIMITS, lambda finding: None)
    assert (found, triage_exit_code(found)) == ((), 0)
    assert "the fleet has no sites" in triage_view(found, days=90).text()
