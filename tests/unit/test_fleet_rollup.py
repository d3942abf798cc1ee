"""The roll-up's digest, and what the outcome of a round comes to."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from fleet_kit import fleet_file, inline
from incident_kit import Incident

from runbook_lib import secrets
from runbook_lib.batch import planning
from runbook_lib.batch.fleet_sources import load_fleet
from runbook_lib.batch.planning import rollup_view
from runbook_lib.batch.round import (
    NotPlanned,
    PlannedSite,
    Rollup,
    Round,
    RoundOutcome,
    SiteOutcome,
    exit_code,
    newest_round,
    rollup_digest,
    worst_outcome,
)
from runbook_lib.batch.site_run import SiteState
from runbook_lib.cli.fleet import approvals_of
from runbook_lib.decisions import canonical_json, sha256_hex
from runbook_lib.errors import DeviceError, ParameterRefused, RecordDamaged, SiteFileInvalid
from runbook_lib.models import Outcome
from runbook_lib.params.load import load_site
from runbook_lib.paths import project_root
from runbook_lib.record.files import to_json_value
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.redactor import Redactor

SITES = tuple(
    PlannedSite(site=f"s{n}", incident=f"i{n}", plan=f"{n}" * 64, described="d" * 64, deletions=("x",))
    for n in range(3)
)


def digest(*sites: PlannedSite, fleet: str = "evening", round_id: str = "fleet-1") -> str:
    return rollup_digest(sites, fleet=fleet, round_id=round_id)


def test_the_digest_is_that_of_the_documented_form() -> None:
    """SHA-256 over the canonical form of format, fleet, round and the sites in the order of their own forms."""
    sites = [{"site": s.site, "incident": s.incident, "plan": s.plan, "described": s.described} for s in SITES]
    value = {"format": "runbook-fleet-plan-v1", "fleet": "evening", "round": "fleet-1"}
    value_whole = {**value, "sites": sorted(sites, key=canonical_json)}
    assert digest(*SITES) == sha256_hex(canonical_json(value_whole))


def test_whoever_approves_a_roll_up_is_told_where_another_certificate_was_met() -> None:
    """It is gone by now, or the site would not be planned; the row of its site says it."""
    site = replace(SITES[0], deletions=("primary: ncs certvalidation tofu-certs deletecert host 192.0.2.20_8082",))
    sites = (site, replace(site, met=("secondary: contradicted",)))
    made = Rollup(fleet="f", round="r", made_utc=datetime.now(UTC), digest="", sites=sites, not_planned=())
    first, second = (row.cells[3] for row in rollup_view(made).tables[0].rows)
    assert first == "primary: delete 192.0.2.20_8082"
    assert second == f"find out who answered at secondary: contradicted before you approve: {first}"


def test_the_status_of_a_round_says_who_approved_which_site(tmp_path: Path) -> None:
    """Those that are approved, those that wait, and those whose record is not there."""
    incidents = (Incident(tmp_path), Incident(tmp_path))
    plans = [each.write_plan() for each in incidents]
    incidents[0].approve(plans[0], by="Ada")
    found = zip(SITES, incidents, plans, strict=False)
    sites = [replace(site, incident=each.record.incident, plan=plan.digest) for site, each, plan in found]
    made = Rollup(fleet="f", round="r", made_utc=datetime.now(UTC), digest="", sites=(*sites, SITES[2]), not_planned=())
    said = approvals_of(made, incidents[0].record.folder.parent)
    assert said == {"by Ada": ["s0"], "not yet": ["s1"], "not known (There is no such incident)": ["s2"]}


def test_the_order_of_the_sites_is_not_in_the_digest() -> None:
    """The same plans are one roll-up, in whatever order they were made."""
    assert digest(*SITES) == digest(*reversed(SITES))


def test_a_round_is_no_incident_and_an_incident_no_round(tmp_path: Path) -> None:
    """Both lie side by side, and each is found by its own id only."""
    round_, record = Round.create(tmp_path, "lab"), Record.create(tmp_path, "lab")
    newest = newest_round(tmp_path, "lab")
    assert newest is not None
    assert newest.incident == round_.incident
    with pytest.raises(ParameterRefused, match="There is no such round"):
        Round.open(tmp_path, record.incident)
    with pytest.raises(ParameterRefused, match="There is no such incident"):
        Record.open(tmp_path, round_.incident)


@pytest.mark.parametrize("field", ["site", "incident", "plan", "described"])
def test_whatever_decides_is_in_the_digest(field: str) -> None:
    """Another site, incident, plan or description is another roll-up."""
    assert digest(replace(SITES[0], **{field: "other"}), *SITES[1:]) != digest(*SITES)


def test_the_round_and_the_number_of_sites_are_in_the_digest() -> None:
    """A roll-up approves nothing in another round, of another fleet, or with one site less."""
    others = (digest(*SITES, round_id="fleet-2"), digest(*SITES, fleet="other"), digest(*SITES[1:]))
    assert digest(*SITES) not in others


def test_a_roll_up_whose_digest_is_not_that_of_its_sites_is_refused(tmp_path: Path) -> None:
    """Who writes a record anew, hashes and all, still cannot put a site under a digest that was approved without it."""
    round_ = Round.create(tmp_path, "evening")
    of = partial(rollup_digest, fleet="evening", round_id=round_.incident)
    for sites, told in ((SITES[:2], SITES[:2]), (SITES, SITES[:2])):
        rollup = Rollup(
            fleet="evening",
            round=round_.incident,
            made_utc=datetime(2026, 1, 1, tzinfo=UTC),
            digest=of(told),
            sites=sites,
            not_planned=(),
        )
        path = f"rollups/{len(sites)}.json"
        round_.keep_json(path, to_json_value(rollup), kind=Kind.DECIDED, seen=rollup.digest, text="roll-up")
        if sites == told:
            assert round_.newest_rollup() == rollup
    with pytest.raises(RecordDamaged, match="digest is not that of its sites"):
        round_.newest_rollup()


def outcome(*states: SiteState) -> RoundOutcome:
    sites = tuple(
        SiteOutcome(site=f"s{n}", incident="", state=state, why="", seconds=0.0, lines=0, head="")
        for n, state in enumerate(states)
    )
    return RoundOutcome(
        fleet="evening", round="fleet-1", rollup="", made_utc=datetime(2026, 1, 1, tzinfo=UTC), stopped="", sites=sites
    )


S = SiteState


@pytest.mark.parametrize(
    ("states", "code", "word"),
    [
        ((), 0, Outcome.NOTHING_TO_DO),
        ((S.NOTHING_TO_DO,), 0, Outcome.NOTHING_TO_DO),
        ((S.REPAIRED, S.NOTHING_TO_DO), 0, Outcome.REPAIRED),
        ((S.REPAIRED, S.REPAIRED_UNVERIFIED), 0, Outcome.REPAIRED_UNVERIFIED),
        ((S.REPAIRED, S.STOPPED), 3, Outcome.STOPPED),
        ((S.REPAIRED, S.NOT_STARTED), 3, Outcome.STOPPED),
        ((S.REPAIRED, S.STOPPED, S.FAILED), 1, Outcome.FAILED),
        ((S.REPAIRED, S.FAILED, S.UNKNOWN), 6, Outcome.UNKNOWN),
    ],
)
def test_the_worst_site_decides(states: tuple[SiteState, ...], code: int, word: Outcome) -> None:
    """The exit code and the round's outcome are those of the worst that became of a site."""
    assert (exit_code(outcome(*states)), worst_outcome(states)) == (code, word)


def test_a_site_is_run_with_nothing_but_what_was_said_of_it(tmp_path: Path) -> None:
    """Who can write in a shared folder of records could lead a run, and the passwords that it sends, to another server.

    So the name of the file that a round keeps of a site says what is in it, however often it is kept, and a file of
    such a name with anything else in it is refused by everybody who reads it.
    """
    each = load_fleet(fleet_file(tmp_path, [inline(1)])).sites[0]
    round_ = Round.create(tmp_path / "records", "evening")
    for _ in range(2):
        kept = round_.folder / round_.keep_description(each).path
        assert load_site(kept) == each.site
        kept.write_bytes(kept.read_bytes().replace(b"10.0.1.1", b"10.0.6.6"))
        with pytest.raises(SiteFileInvalid, match="one problem") as refused:
            load_site(kept)
        assert "was changed since it was written" in refused.value.found


def test_why_a_site_is_not_planned_holds_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's words may repeat a password: the process that asked it knows it, who prints the reason does not."""
    monkeypatch.setattr(secrets, "REDACTOR", Redactor())
    secrets.REDACTOR.know("env:SSH", "correct-horse")

    def refused(*_given: object, **_named: object) -> Record:
        raise DeviceError("it said: correct-horse", where="correct-horse")

    monkeypatch.setattr(planning, "open_incident", refused)
    each = load_fleet(fleet_file(tmp_path, [inline(1)])).sites[0]
    found = planning._plan(Round.create(tmp_path / "records", "evening"), each)
    assert isinstance(found, NotPlanned)
    assert found.why == "DeviceError: it said: [secret env:SSH]: [secret env:SSH]"


def test_the_documented_command_computes_the_digest(tmp_path: Path) -> None:
    """The line of docs/fleet.md gives the digest of a roll-up from its file, with jq alone."""
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    (line,) = [line for line in (project_root() / "docs/fleet.md").read_text().splitlines() if line.startswith("jq ")]
    rollup = {"fleet": "evening", "round": "fleet-1", "sites": [asdict(each) for each in SITES]}
    (tmp_path / "rollups").mkdir()
    (tmp_path / "rollups" / "x.json").write_text(json.dumps(rollup))
    said = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == digest(*SITES)
