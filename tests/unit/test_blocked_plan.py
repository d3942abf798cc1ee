"""A blocked plan says how it gets on: what is presented, what to type at which console, what to write then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from incident_kit import SHA, Incident
from site_kit import site_with

from runbook_lib import paths
from runbook_lib.cli.plans import print_status, show_plan
from runbook_lib.decisions import Decision
from runbook_lib.errors import DeletionRefused
from runbook_lib.models import Inventory, Outcome, Stage, Vantage, Verdict
from runbook_lib.params.model import Expectation
from runbook_lib.repair.approval import require_not_blocked
from runbook_lib.repair.confirmation import DIGITS, ways_out_of, what_settles
from runbook_lib.repair.inventory import gather_knowledge, parse_given
from runbook_lib.repair.sent_changes import INVENTORY_FACTS
from runbook_lib.show import tables
from runbook_lib.show.document import ALARM, READY

UNKNOWN = {"secondary": Verdict.UNCONFIRMED, "ise": Verdict.UNCONFIRMED}
FORWARDS = {"secondary": (Vantage.HERE, Vantage.SELF), "ise": (Vantage.HERE,)}


@pytest.fixture
def incident(tmp_path: Path) -> Incident:
    """An incident in which nothing is known of the secondary, which forwards, and of an ISE server without SSH."""
    made = Incident(tmp_path, UNKNOWN)
    seen = made.record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory)
    judged = tuple(replace(each, seen_from=FORWARDS.get(each.target, each.seen_from)) for each in seen.judgements)
    made.record.write_facts(Stage.LIST, INVENTORY_FACTS, replace(seen, judgements=judged))
    return made


def test_each_unconfirmed_host_has_its_way_out(incident: Incident) -> None:
    """The SHA-256 that is presented, the command for the console, the site's file's line, and self where it does."""
    plan = incident.write_plan()
    by_host = {way.target: way for way in ways_out_of(incident.record, plan)}
    assert set(by_host) == {"secondary", "ise"}
    secondary, ise = by_host["secondary"], by_host["ise"]
    assert (secondary.presented_sha256, ise.presented_sha256) == (SHA["secondary"], SHA["ise"])
    assert "openssl s_client -connect 127.0.0.1:" in secondary.at_console
    assert "-fingerprint -sha256" in secondary.at_console
    assert "System Certificates" in ise.at_console
    assert all("recalled" in way.at_console for way in by_host.values())
    assert "expect: {self: true}" in secondary.in_file
    assert secondary.self_note == ""
    assert "self: true" not in ise.in_file
    assert "names no SSH access" in ise.self_note


def test_what_is_presented_is_never_what_is_to_be_written(incident: Incident) -> None:
    """The lines hold a gap for the console's digits: copied from here they would confirm whoever answers here."""
    for way in ways_out_of(incident.record, incident.write_plan()):
        assert DIGITS in way.in_file
        assert way.presented_sha256 not in way.in_file + way.as_parameter


def test_the_terminal_and_the_notebook_show_it(incident: Incident, capsys: pytest.CaptureFixture[str]) -> None:
    """`runbook plan` and `run` print it, and the plan's view holds it; of an ended incident it is of the past."""
    plan = incident.write_plan()
    show_plan(incident.record, plan)
    printed = capsys.readouterr().out
    incident.record.set_outcome(Outcome.REPAIRED)
    show_plan(incident.record, plan)
    assert capsys.readouterr().out.startswith("This incident has ended (repaired): nothing of its plan is done")
    assert "has ended" not in printed
    shown = tables.plan(plan, ways_out_of(incident.record, plan)).text()
    for text in (printed, shown):
        joined = "".join(text.split())
        assert "Whattodo" in joined
        assert SHA["secondary"] in joined
        assert 'expect="secondary=self"' in joined


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.CONTRADICTED, "delete nothing: somebody else may be answering"),
        (Verdict.UNSTABLE, "find out why two probes showed two certificates"),
        (Verdict.UNREACHABLE, "make it answer from one vantage"),
        (Verdict.UNCONFIRMED, "write under expect: what confirms"),
    ],
)
def test_a_blocked_plan_says_by_verdict_what_settles_it(
    verdict: Verdict, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`runbook plan`, `run` and `status` say it of that host alone, with what expect: names, and where to read on.

    So does the refusal to go on: stage 30 is opened by whoever has not read stage 20.

    The plan says it in the table of what blocks it, a suspected interception first and the loudest; what to do for a
    host that nothing confirms has a table of its own.
    """
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path))
    blocked = Incident(tmp_path, {"secondary": verdict})
    seen = blocked.record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory)
    judged = tuple(replace(each, expectation="the key of the CSR sec.csr") for each in seen.judgements)
    blocked.record.write_facts(Stage.LIST, INVENTORY_FACTS, replace(seen, judgements=judged))
    plan = blocked.write_plan()
    table = tables.plan(plan, ways_out_of(blocked.record, plan), what_settles(blocked.record, plan)).tables[0]
    marks = [row.mark for row in table.rows if str(row.cells[0]).startswith(f"secondary: {words}")]
    assert marks == {Verdict.CONTRADICTED: [ALARM], Verdict.UNCONFIRMED: []}.get(verdict, [READY])
    assert (table.rows[0].mark == ALARM) is (verdict is Verdict.CONTRADICTED)
    show_plan(blocked.record, plan)
    print_status(blocked.record)
    printed = capsys.readouterr().out
    (said,) = [line for line in printed.splitlines() if line.startswith("settle:")]
    assert said.startswith(f"settle:   secondary: {words}")
    assert ("the key of the CSR sec.csr" in said) is (verdict is Verdict.CONTRADICTED)
    assert printed.count(str(paths.docs_dir() / "troubleshooting.md")) == 2
    assert printed.count("Next: settle what blocks it, then runbook run ") == 1
    with pytest.raises(DeletionRefused, match="blocked") as refused:
        require_not_blocked(blocked.record, plan)
    assert refused.value.next_step.startswith(f"secondary: {words}")


def test_a_plan_that_waits_for_nothing_has_none(tmp_path: Path, incident: Incident) -> None:
    """Neither a plan that is not blocked nor one that a contradicted certificate blocks is led around it."""
    fine = Incident(tmp_path / "fine")
    assert ways_out_of(fine.record, fine.write_plan()) == ()
    plan = incident.write_plan()
    settled = tuple(replace(row, decision=Decision.ALREADY_RIGHT) for row in plan.rows)
    assert ways_out_of(incident.record, replace(plan, rows=settled)) == ()
    worse = Incident(tmp_path / "worse", {"secondary": Verdict.CONTRADICTED})
    assert ways_out_of(worse.record, worse.write_plan()) == ()


def test_what_was_given_can_be_withdrawn(tmp_path: Path) -> None:
    """``HOST=withdraw`` takes back what the incident was given, says so in the journal, and leaves the site's file."""
    made = Incident(tmp_path, listed=False, site=site_with(secondary_expect={"sha256": "e" * 64}))
    gather_knowledge(made.context, {"secondary": Expectation(sha256="f" * 64), "ise": Expectation(sha256="d" * 64)})
    known = gather_knowledge(made.context, parse_given("secondary=withdraw", made.context.site))
    assert (known["secondary"].sha256, known["ise"].sha256) == (("e" * 64,), ("d" * 64,))
    (line,) = [each for each in made.record.journal.read().lines if "withdrew" in each.text]
    assert (line.server, "f" * 64 in line.expected, "ada@desk" in line.text) == ("secondary", True, True)
    gather_knowledge(made.context, parse_given("secondary=withdraw", made.context.site))
    assert sum("withdrew" in each.text for each in made.record.journal.read().lines) == 1
