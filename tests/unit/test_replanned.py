"""A plan that is made again: whatever is printed otherwise, what it says decides whether its approval still holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from incident_kit import PRIMARYS, Incident

from runbook_lib.decisions import Plan
from runbook_lib.models import Inventory, Stage, Verdict
from runbook_lib.repair.deletion import differences
from runbook_lib.repair.plan import plan_of
from runbook_lib.repair.sent_changes import INVENTORY_FACTS


def again(incident: Incident, *, subject: str) -> Plan:
    """The plan that is made once the first entry of the primary's list reads so."""
    seen = incident.record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory)
    store = seen.store("primary")
    entries = (replace(store.entries[0], subject=subject), *store.entries[1:])
    stores = tuple(replace(store, entries=entries) if each is store else each for each in seen.stores)
    return plan_of(incident.context, incident.diagnosis(datetime.now(UTC)), replace(seen, stores=stores))


@pytest.mark.parametrize("spelled", ["C = US, CN = prime-pri", "/CN=prime-pri/C=US", "CN=prime-pri,C=US"])
def test_an_entry_that_is_printed_otherwise_leaves_the_approval_as_it_is(tmp_path: Path, spelled: str) -> None:
    """Key and attributes are the same: so is the digest, and nobody is asked again."""
    incident = Incident(tmp_path)
    plan = incident.write_plan()
    incident.approve(plan)
    made = again(incident, subject=spelled)
    assert made.digest == plan.digest
    assert incident.approved(made)


@pytest.mark.parametrize("verdict", [Verdict.UNSTABLE, Verdict.UNCONFIRMED, Verdict.UNREACHABLE])
def test_a_plan_that_would_be_blocked_by_now_is_not_carried_out(tmp_path: Path, verdict: Verdict) -> None:
    """An entry that was right when the plan was made and is stale and not confirmed now keeps the others too."""
    incident, now = Incident(tmp_path, {"ise": Verdict.UNCHANGED}), datetime.now(UTC)
    plan = incident.plan(last_utc=now)
    assert plan.deletions
    assert not plan.blocked
    incident.list({"ise": verdict})
    (told,) = differences(plan, incident.plan(last_utc=now))
    assert f"{PRIMARYS[1]}: was “already right”" in told
    assert f"is “cannot tell” ({verdict}, no certificate)" in told


@pytest.mark.parametrize("subject", ["/C=US/CN=prime-sec", "/C=DE/CN=prime-pri", "/C=US/O=x/CN=prime-pri"])
def test_an_entry_of_another_subject_needs_a_new_approval(tmp_path: Path, subject: str) -> None:
    """What really changed is told from how it is printed."""
    incident = Incident(tmp_path)
    plan = incident.write_plan()
    incident.approve(plan)
    made = again(incident, subject=subject)
    assert made.digest != plan.digest
    assert incident.approved(made) is None
