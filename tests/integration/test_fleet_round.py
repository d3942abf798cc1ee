"""A round from its plan to its signed roll-up, over real lab sites; what runs sites only pretends here."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from closed_port import closed_port
from fleet_site import QUICK_RULES, Evening, run_one, say_nothing
from held_clock import turns
from repair_site import changes

from runbook_lib.batch.fleet_sources import load_fleet
from runbook_lib.batch.local import take_lock
from runbook_lib.batch.planning import approve_rollup
from runbook_lib.batch.rollout import Rules, fleet_lock, parse_share, parse_waves, run_fleet
from runbook_lib.batch.round import Round, exit_code, newest_outcome, newest_round
from runbook_lib.batch.site_run import SiteEvent, SiteResult, SiteState, SiteTask
from runbook_lib.cli.fleet import fleet_approve_command
from runbook_lib.errors import ParameterRefused, SiteLocked
from runbook_lib.lab.many import ManyLabs
from runbook_lib.models import Outcome, Stage
from runbook_lib.notebook.runbook import next_run
from runbook_lib.params.load import load_site
from runbook_lib.record.incident import Record
from runbook_lib.record.signing import new_key
from runbook_lib.record.verification import verify_record

FIRST, SECOND, IMPOSTOR, HEALTHY = "site-001", "site-002", "site-003", "site-004"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManyLabs]:
    """Four sites: two to repair, one with an impostor, a healthy one."""
    with ManyLabs(tmp_path_factory.mktemp("many sites"), 4, kind="production", scenarios={HEALTHY: "healthy"}) as lab:
        lab.set_fault(IMPOSTOR, "impostor", "secondary")
        yield lab


@pytest.fixture(scope="module")
def planned(lab: ManyLabs, tmp_path_factory: pytest.TempPathFactory) -> Evening:
    """A planned round, to be copied."""
    folder = tmp_path_factory.mktemp("planned")
    found = Evening(lab.fleet_file, folder / "records")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNBOOK_RECORDS", str(found.records))
        patch.setenv("RUNBOOK_KEY_DIR", str(folder / "keys"))
        found.plan()
    return found


@pytest.fixture
def evening(planned: Evening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evening:
    """A round of its own, planned: a copy of all its records."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "keys"))
    shutil.copytree(planned.records, tmp_path / "records")
    found = Evening(planned.fleet_file, tmp_path / "records")
    found.round, found.rollup = Round.open(found.records, planned.round.incident), planned.rollup
    return found


class Pretend:
    """Runs nothing; ends each site as it is told, and says so in the site's record."""

    def __init__(self, **states: SiteState) -> None:
        self.states = {name.replace("_", "-"): state for name, state in states.items()}
        self.started: list[str] = []
        self.refused: list[str] = []

    async def run(self, task: SiteTask, tell: Callable[[SiteEvent], None]) -> SiteResult:
        self.started.append(task.site)
        state = self.states.get(task.site, SiteState.REPAIRED)
        Record.open(Path(task.records), task.incident).set_outcome(Outcome(state.value))
        return SiteResult(site=task.site, incident=task.incident, state=state)

    def halt(self) -> None: ...
    def abort(self) -> None: ...
    async def close(self) -> None: ...


def states(evening: Evening) -> dict[str, SiteState]:
    found = newest_outcome(evening.round)
    assert found
    return {each.site: each.state for each in found.sites}


def test_each_site_has_its_own_plan_in_its_own_incident(evening: Evening) -> None:
    """The roll-up names for each site its incident and its plan, which its record holds; nothing was changed."""
    assert [each.site for each in evening.rollup.sites] == [FIRST, SECOND, HEALTHY]
    for each in evening.rollup.sites:
        assert evening.record(each.site).read_plan().digest == each.plan
    assert [len(each.deletions) for each in evening.rollup.sites] == [3, 3, 0]
    assert evening.round.newest_rollup() == evening.rollup


def test_an_impostors_site_is_in_no_roll_up(evening: Evening, lab: ManyLabs) -> None:
    """The site with a contradicted certificate is named as such and cannot be approved with the others."""
    (refused,) = evening.rollup.not_planned
    assert (refused.site, refused.contradicted) == (IMPOSTOR, True)
    assert IMPOSTOR not in {each.site for each in evening.approve().covered}
    with pytest.raises(ParameterRefused, match="holds no plan of these sites"):
        evening.approve(IMPOSTOR)


def test_the_printed_command_runs_this_round(evening: Evening, capsys: pytest.CaptureFixture[str]) -> None:
    """What the approval says comes next leads to the same fleet and round, from any folder and with blanks in it."""
    fleet_approve_command(evening.round.incident, evening.rollup.digest, by="Ada", reason="", only=())
    said = capsys.readouterr().out
    assert "register high availability (secondary); primary: add the ISE server again" in said  # it is approved as well
    *command, fleet, option, round_id = shlex.split(said.splitlines()[-1].removeprefix("Next: "))
    assert (command, option, round_id) == (["runbook", "fleet", "run"], "--round", evening.round.incident)
    assert load_fleet(fleet).name == evening.fleet.name


def test_a_site_that_does_not_answer_keeps_no_other_from_its_plan(
    lab: ManyLabs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody listens there is no plan, for a reason that is told; the site after it is planned."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    content = yaml.safe_load(lab.site_file(HEALTHY).read_text(encoding="utf-8")) | {"name": "gone"}
    gone = lab.folder / HEALTHY / "gone.yaml"
    sites = [{"file": str(gone)}, {"file": str(lab.site_file(HEALTHY))}]
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump({"name": "half", "sites": sites}), encoding="utf-8")
    with closed_port("127.0.0.1") as first, closed_port("127.0.0.2") as second:
        for key, address, port in (("primary", "127.0.0.1", first), ("secondary", "127.0.0.2", second)):
            content[key]["address"] = address
            content[key]["ssh"] |= {"port": port, "host_key": ["SHA256:" + key[0] * 43]}
        gone.write_text(yaml.safe_dump(content), encoding="utf-8")
        found = Evening(tmp_path / "fleet.yaml", tmp_path / "records")
        found.plan()
    assert [each.site for each in found.rollup.sites] == [HEALTHY]
    assert [(each.site, "SSH" in each.why) for each in found.rollup.not_planned] == [("gone", True)]


def test_one_approval_is_an_approval_in_each_record(evening: Evening) -> None:
    """Approving the roll-up writes into each site's record an approval of that site's plan that names the roll-up."""
    evening.approve()
    for name in (FIRST, SECOND):
        (approval,) = evening.record(name).read_approvals()
        assert approval.digest == evening.record(name).read_plan().digest
        assert (approval.by, evening.rollup.digest in approval.how) == ("Ada", True)
    assert evening.record(HEALTHY).read_approvals() == ()


def test_the_next_command_of_a_site_of_a_fleet_finds_the_site(evening: Evening) -> None:
    """A site of a fleet may have no file of its own: the one that the round keeps of it is what the command names."""
    *command, file, option, incident = shlex.split(next_run(evening.record(FIRST)))
    assert (command, option) == (["runbook", "run"], "--incident")
    assert (load_site(Path(file)).name, incident) == (FIRST, evening.record(FIRST).incident)


def test_single_sites_can_be_approved(evening: Evening) -> None:
    """An approval of one site of the roll-up lets that one run and no other."""
    evening.approve(SECOND)
    executor = Pretend()
    evening.run(lambda: executor)
    assert executor.started == [SECOND]
    assert states(evening)[FIRST] is SiteState.NOT_STARTED


def test_a_round_of_which_one_site_was_run_is_not_called_repaired(evening: Evening) -> None:
    """``--site`` repairs one and ends well; what the round came to counts the sites that it was not asked for, too."""
    evening.approve()
    start: Any = Pretend
    report = run_fleet(evening.round, evening.fleet, start, QUICK_RULES, say_nothing, only=[FIRST])
    assert (exit_code(report.outcome), evening.round.outcome()) == (0, Outcome.STOPPED)


@pytest.mark.parametrize("digest", ["", "0" * 64])
def test_another_digest_approves_nothing(evening: Evening, digest: str) -> None:
    """Only the newest roll-up's digest approves, and an approval needs a name."""
    for given, by in ((digest, "Ada"), (evening.rollup.digest, " ")):
        with pytest.raises(ParameterRefused):
            approve_rollup(evening.round, given, by=by)
    assert evening.record(FIRST).read_approvals() == ()


def test_a_site_whose_plan_changed_is_not_covered(evening: Evening, lab: ManyLabs) -> None:
    """A plan that was made since, with another digest, is not approved by the roll-up of before."""
    before = evening.rollup
    lab.set_fault(SECOND, "listcerts_edited", "primary", pattern=r"(?m)^host=.*_9443.*\n", by="", times=1)
    again = Evening(lab.fleet_file, evening.records)
    again.plan()
    assert [len(each.deletions) for each in again.rollup.sites] == [3, 2, 0]
    evening.rollup = before
    found = evening.approve()
    assert [each.site for each in found.covered] == [FIRST, HEALTHY]
    assert set(found.not_covered) == {SECOND}


def test_without_an_approval_nothing_is_run(evening: Evening) -> None:
    """A planned round that nobody approved starts no site, the one without deletions neither."""
    executor = Pretend()
    report = evening.run(lambda: executor)
    assert executor.started == []
    assert set(states(evening).values()) == {SiteState.NOT_STARTED}
    assert "nobody has approved" in report.outcome.sites[0].why


def test_a_site_whose_description_changed_is_not_run(evening: Evening, lab: ManyLabs, tmp_path: Path) -> None:
    """A site's file that was edited between plan and run keeps that site, and no other, from being run."""
    evening.approve()
    content = yaml.safe_load(lab.site_file(SECOND).read_text(encoding="utf-8"))
    content["primary"]["address"] = "192.0.2.66"
    edited = lab.folder / SECOND / "edited.yaml"
    edited.write_text(yaml.safe_dump(content), encoding="utf-8")
    sites = [{"file": str(edited if name == SECOND else lab.site_file(name))} for name in lab.names]
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump({"name": "lab-fleet", "sites": sites}), encoding="utf-8")
    later = Evening(tmp_path / "fleet.yaml", evening.records)
    later.round, later.rollup = evening.round, evening.rollup
    executor = Pretend()
    report = later.run(lambda: executor)
    assert executor.started == [FIRST, HEALTHY]
    (second,) = [each for each in report.outcome.sites if each.site == SECOND]
    assert (second.state, "description has changed" in second.why) == (SiteState.NOT_STARTED, True)


def test_a_lab_site_is_held_to_the_plan_that_was_approved(evening: Evening, lab: ManyLabs, tmp_path: Path) -> None:
    """A site that calls itself the lab would approve any plan; here stage 30 is given the approved digest."""
    evening.approve()
    assert evening.task(FIRST).approve == ""
    content = yaml.safe_load(lab.site_file(FIRST).read_text(encoding="utf-8"))
    (lab.folder / FIRST / "as-lab.yaml").write_text(yaml.safe_dump({**content, "kind": "lab"}), encoding="utf-8")
    path = tmp_path / "fleet.yaml"
    site = {"file": str(lab.folder / FIRST / "as-lab.yaml")}
    path.write_text(yaml.safe_dump({"name": "as-lab", "sites": [site]}), encoding="utf-8")
    as_lab = Evening(path, tmp_path / "other-records")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNBOOK_RECORDS", str(tmp_path / "other-records"))
        as_lab.plan()
        as_lab.approve()
        assert as_lab.task(FIRST).approve == as_lab.rollup.sites[0].plan


def test_only_what_is_not_finished_is_run_again(evening: Evening) -> None:
    """A second run of the round takes up the failed site and leaves the repaired ones alone."""
    evening.approve()
    first = Pretend(site_002=SiteState.FAILED)
    evening.run(lambda: first)
    assert states(evening)[SECOND] is SiteState.FAILED
    second = Pretend()
    report = evening.run(lambda: second)
    assert (first.started, second.started) == ([FIRST, SECOND, HEALTHY], [SECOND])
    expected = dict.fromkeys((FIRST, SECOND, HEALTHY), SiteState.REPAIRED) | {IMPOSTOR: SiteState.NOT_STARTED}
    assert {each.site: each.state for each in report.outcome.sites} == expected


def test_the_roll_up_is_signed(evening: Evening, tmp_path: Path) -> None:
    """The round verifies with the key that sealed it; one changed word in the outcome, and it does not."""
    key = new_key(tmp_path / "keys")
    evening.approve()
    evening.run(Pretend)
    assert verify_record(evening.round.folder, [key]).problems == []
    path = evening.round.folder / "outcomes" / "outcome.json"
    path.write_bytes(path.read_bytes().replace(b"not_started", b"repaired   "))
    assert [problem.path for problem in verify_record(evening.round.folder, [key]).problems] == [
        "outcomes/outcome.json"
    ]


def test_the_roll_up_is_bound_to_each_record(evening: Evening) -> None:
    """The outcome holds the head of each incident's journal as it was when the round ended."""
    evening.approve()
    evening.run(Pretend)
    value = json.loads((evening.round.folder / "outcomes" / "outcome.json").read_text(encoding="utf-8"))
    heads = {each["site"]: each["head"] for each in value["sites"]}
    assert heads[FIRST] == evening.record(FIRST).journal.read().head
    assert value["counts"] == {"repaired": 3, "not_started": 1}


def test_a_second_client_is_refused_and_told_of_the_first(evening: Evening) -> None:
    """While one process runs a fleet another one is refused, with the first one's name."""
    evening.approve()
    with fleet_lock(evening.round), pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNBOOK_LOCK_TOKEN")  # another process has no token
        executor = Pretend()
        with pytest.raises(SiteLocked) as caught:
            evening.run(lambda: executor)
    assert executor.started == []
    assert "run the fleet" in caught.value.found
    assert evening.round.incident in caught.value.found


def test_a_site_that_another_run_changes_is_left_to_it(evening: Evening, tmp_path: Path) -> None:
    """A site whose lock somebody else has is stopped, with the holder's name; no worker is started for it."""
    evening.approve()
    with take_lock(evening.task(FIRST), "a run by hand"), pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNBOOK_LOCK_TOKEN")
        result = run_one(evening.task(FIRST), tmp_path / "log", lambda event, executor: None)
    assert result.state is SiteState.STOPPED
    assert "a run by hand" in result.why
    assert not (tmp_path / "log").exists()


def test_reading_stages_need_no_plan(lab: ManyLabs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to stage 20 every site may be run, planned or not."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    evening = Evening(lab.fleet_file, tmp_path / "records")
    evening.round = Round.create(evening.records, evening.fleet.name)
    executor = Pretend()
    evening.run(lambda: executor, until=Stage.LIST)
    assert executor.started == lab.names


def test_told_to_end_it_drains(evening: Evening) -> None:
    """SIGTERM during a run: the site in flight ends, no other starts, and the roll-up says so of each."""
    evening.approve()

    class Terminated(Pretend):
        async def run(self, task: SiteTask, tell: Callable[[SiteEvent], None]) -> SiteResult:
            signal.raise_signal(signal.SIGTERM)
            await turns()  # the loop hears of a signal between two of them
            return await super().run(task, tell)

    executor = Terminated()
    report = evening.run(lambda: executor, rules=_one_at_a_time())
    assert executor.started == [FIRST]
    assert report.signum is signal.SIGTERM
    assert states(evening) == {
        FIRST: SiteState.REPAIRED,
        SECOND: SiteState.NOT_STARTED,
        IMPOSTOR: SiteState.NOT_STARTED,
        HEALTHY: SiteState.NOT_STARTED,
    }


def _one_at_a_time() -> Rules:
    return Rules(waves=parse_waves("1"), failures=parse_share("9", "failures"), at_once=1)


def test_a_fleet_without_sites_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is planned, approved and run, and the roll-up says that of no site."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    (tmp_path / "fleet.yaml").write_text("name: empty\nsites: []\n", encoding="utf-8")
    evening = Evening(tmp_path / "fleet.yaml", tmp_path / "records")
    evening.plan()
    evening.approve()
    report = evening.run(Pretend)
    assert (report.outcome.sites, evening.round.outcome()) == ((), Outcome.NOTHING_TO_DO)


def test_the_newest_round_of_a_fleet_is_taken_up(evening: Evening) -> None:
    """Rounds of other fleets and the incidents of the sites are no rounds of this fleet."""
    Round.create(evening.records, "another")
    found = newest_round(evening.records, "lab-fleet")
    assert found
    assert found.incident == evening.round.incident


def test_planning_changes_nothing(evening: Evening, lab: ManyLabs) -> None:
    """What the sites themselves saw of planning and of the tests above are reads."""
    assert all(changes(lab.truth(name)).nothing for name in lab.names)
