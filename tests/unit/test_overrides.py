"""Overrides: a person's word in the place of a confirmation, in full words, for one entry and one certificate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from certificate_kit import NOW
from incident_kit import NAMES, SHA, Incident
from site_kit import ISE, SECONDARY

from runbook_lib.decisions import Override
from runbook_lib.errors import DeletionRefused, ParameterRefused, StageOutOfOrder
from runbook_lib.models import Outcome, Verdict
from runbook_lib.repair.confirmation import PHRASE, deleted_under_override, override_for, overrides_of, write_override
from runbook_lib.repair.proof import outcome_of

KEY = f"{SECONDARY}_8082"
GIVEN = Override(server="primary", key=KEY, sha256=SHA["secondary"], by=" Ada ", at_utc=NOW, reason=" its console ")


@pytest.fixture
def incident(tmp_path: Path) -> Incident:
    return Incident(tmp_path, {"secondary": Verdict.UNCONFIRMED})


def say(incident: Incident, phrase: str = PHRASE, **change: Any) -> None:
    write_override(incident.record, replace(GIVEN, **change), "secondary", phrase=phrase)


def test_an_override_is_kept_with_name_reason_and_certificate(incident: Incident) -> None:
    """What was said is in the record, by whom, when, why and of which certificate."""
    say(incident)
    assert overrides_of(incident.record) == (replace(GIVEN, by="Ada", reason="its console"),)


def test_the_words_may_be_in_any_case(incident: Incident) -> None:
    """The phrase is what counts, not its capitals."""
    say(incident, f"  {PHRASE.capitalize()} ")
    assert overrides_of(incident.record)


@pytest.mark.parametrize("phrase", ["", "yes", "y", "true", PHRASE[:-1], f"{PHRASE} at all", PHRASE.replace(" ", "")])
def test_an_override_has_to_be_said_in_full_words(incident: Incident, phrase: str) -> None:
    """Less than the whole sentence is refused, and the error holds the sentence."""
    with pytest.raises(ParameterRefused, match="full phrase") as caught:
        say(incident, phrase)
    assert PHRASE in caught.value.next_step
    assert overrides_of(incident.record) == ()


@pytest.mark.parametrize("change", [{"by": ""}, {"by": " \t"}, {"reason": ""}, {"reason": "\n"}])
def test_an_override_needs_a_name_and_a_reason(incident: Incident, change: dict[str, str]) -> None:
    """Nobody, or no reason: refused."""
    with pytest.raises(ParameterRefused, match="a name and a reason"):
        say(incident, **change)
    assert overrides_of(incident.record) == ()


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.UNCONFIRMED])
def test_nothing_but_unconfirmed_can_be_overridden(tmp_path: Path, verdict: Verdict) -> None:
    """It never accepts a contradicted certificate; there is no override.

    Suspected interception, alternation, no answer: no override; nor where none is needed.
    """
    incident = Incident(tmp_path, {"secondary": verdict})
    with pytest.raises(DeletionRefused, match="Only “unconfirmed”"):
        say(incident)
    assert overrides_of(incident.record) == ()


def test_an_override_names_the_certificate_that_is_presented(incident: Incident) -> None:
    """Another fingerprint than the one that was judged is refused."""
    for wrong in ("0" * 64, "", SHA["secondary"][:63], SHA["secondary"].upper()):
        with pytest.raises(DeletionRefused, match="another certificate"):
            say(incident, sha256=wrong)


@pytest.mark.parametrize("change", [{"key": "198.51.100.7_8082"}, {"key": f"{SECONDARY}_443"}, {"key": ""}])
def test_an_override_names_an_entry_that_is_listed(incident: Incident, change: dict[str, str]) -> None:
    """An entry that the server does not list cannot be overridden."""
    with pytest.raises(ParameterRefused, match="lists no such entry"):
        say(incident, **change)


def test_an_override_before_stage_20_is_out_of_order(tmp_path: Path) -> None:
    """Without a verdict there is nothing to override."""
    incident = Incident(tmp_path, {}, listed=False)
    with pytest.raises(StageOutOfOrder):
        say(incident)


def test_the_newest_override_of_an_entry_and_certificate_holds() -> None:
    """Said twice, the last one is in the plan; another entry's or certificate's is not found."""
    later = replace(GIVEN, reason="again")
    found = override_for((GIVEN, later), "primary", KEY, SHA["secondary"])
    assert found == later
    for place in (
        ("secondary", KEY, SHA["secondary"]),
        ("primary", f"{ISE}_443", SHA["secondary"]),
        ("primary", KEY, ""),
    ):
        assert override_for((GIVEN, later), *place) is None


def test_a_certificate_that_changed_voids_the_override(incident: Incident) -> None:
    """After the override the host shows another certificate: the new plan deletes nothing and is blocked."""
    say(incident)
    assert [row.key for row in incident.plan().deletions if row.override] == [KEY]
    incident.list({"secondary": Verdict.UNCONFIRMED}, sha={"secondary": "9" * 64})
    plan = incident.plan()
    assert KEY not in [row.key for row in plan.deletions]
    assert plan.blocked


def test_a_deletion_on_a_persons_word_ends_at_best_unverified(incident: Incident) -> None:
    """Though every check is good, and a later plan knows nothing of it, the incident is repaired_unverified."""
    say(incident)
    plan = incident.write_plan()
    incident.approve(plan)
    assert not deleted_under_override(incident.record)
    incident.sent("primary", KEY)
    assert deleted_under_override(incident.record)
    incident.list(dict.fromkeys(NAMES, Verdict.CONFIRMED_KEY), primary=())
    incident.write_plan()
    assert outcome_of(incident.context, ()) is Outcome.REPAIRED_UNVERIFIED


def test_an_override_that_deleted_nothing_leaves_the_outcome_alone(incident: Incident) -> None:
    """Where the host was confirmed after all before anything was deleted, the repair is verified."""
    say(incident)
    incident.list(dict.fromkeys(NAMES, Verdict.CONFIRMED_KEY))
    incident.approve(incident.write_plan())
    incident.sent("primary", KEY)
    assert outcome_of(incident.context, ()) is Outcome.REPAIRED
