"""The canonical form and the plan's digest can be recomputed by a stranger, and move with what matters only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from runbook_lib.decisions import (
    DELETIONS_ALONE,
    EVERY_CHANGE,
    ChangeKind,
    Decision,
    Plan,
    PlannedChange,
    PlanRow,
    canonical_json,
    plan_digest,
)
from runbook_lib.models import Verdict

DELETE = PlanRow(
    server="primary",
    key="10.52.5.9_443",
    subject="CN=ise",
    target="ise",
    decision=Decision.DELETE,
    reason="it changed",
    command="ncs certvalidation tofu-certs deletecert host 10.52.5.9_443",
    verdict=Verdict.CONFIRMED_KEY,
    confirmed_sha256="ab" * 32,
    evidence=("line 7",),
)
LEFT = PlanRow(server="primary", key="é_8082", subject="", target="", decision=Decision.LEFT_ALONE, reason="its own")
REGISTER = PlannedChange(
    kind=ChangeKind.REGISTER_HA,
    server="primary",
    target="secondary",
    condition="where it is not healthy",
    rests_on="not registered",
    reason="it is not registered",
    interrupts="nothing",
    settings=(("Failover Type", "Manual"), ("IPV4 Virtual IP", "-")),
    confirmed_sha256="cd" * 32,
    seen="primary: HA not Configured",
)
ROWS = (DELETE, LEFT, replace(LEFT, server="secondary"))
CHANGES = (REGISTER, replace(REGISTER, kind=ChangeKind.READD_ISE, target="ise", settings=()))


def plan(rows: tuple[PlanRow, ...] = ROWS, changes: tuple[PlannedChange, ...] = CHANGES, **about: Any) -> Plan:
    usual = {"site": "S", "incident": "I", "made_utc": datetime(2026, 1, 2, tzinfo=UTC), "digest": ""}
    return Plan(rows=rows, changes=changes, **(usual | {"format": EVERY_CHANGE} | about))


def by_hand(values: tuple[Any, ...], names: tuple[str, ...]) -> str:
    """The values as the docstring says, with nothing of ours."""
    texts = [json.dumps({n: getattr(v, n) for n in names}, sort_keys=True, separators=(",", ":")) for v in values]
    return ",".join(sorted(texts))


def test_canonical_form() -> None:
    """Keys are sorted, blanks are gone, and everything outside ASCII is escaped."""
    assert canonical_json({"b": [1, None, True], "a": "é\n\x7f😀"}) == (
        b'{"a":"\\u00e9\\n\\u007f\\ud83d\\ude00","b":[1,null,true]}'
    )


OF_ROW = ("server", "key", "subject", "target", "decision", "command", "verdict", "confirmed_sha256", "override")
OF_CHANGE = (
    *("kind", "server", "target", "condition", "rests_on", "interrupts"),
    *("settings", "confirmed_sha256", "attempt", "expected"),
)


def test_plan_digest_by_the_documented_steps() -> None:
    """The digest is what somebody computes who has nothing but the docstring."""
    changes, rows = by_hand(CHANGES, OF_CHANGE), by_hand(ROWS, OF_ROW)
    text = f'{{"changes":[{changes}],"format":"runbook-plan-v2","incident":"I","rows":[{rows}],"site":"S"}}'
    assert plan_digest(plan()) == hashlib.sha256(text.encode("ascii")).hexdigest()


def test_a_plan_of_the_first_release_keeps_its_digest() -> None:
    """Without a format it is the digest of the deletions alone; changes that this would not cover are refused."""
    text = '{"format":"runbook-plan-v1","incident":"I","rows":[' + by_hand(ROWS, OF_ROW) + '],"site":"S"}'
    assert plan_digest(plan(changes=(), format=DELETIONS_ALONE)) == hashlib.sha256(text.encode("ascii")).hexdigest()
    with pytest.raises(ValueError, match="no changes but deletions"):
        plan_digest(plan(format=DELETIONS_ALONE))
    with pytest.raises(ValueError, match="runbook-plan-v9"):
        plan_digest(plan(format="runbook-plan-v9"))


def test_plan_digest_does_not_depend_on_the_order() -> None:
    """The order of rows and changes does not matter; how often one stands there does."""
    orders = [(rows, changes) for rows in permutations(ROWS) for changes in permutations(CHANGES)]
    assert len({plan_digest(plan(rows, changes)) for rows, changes in orders}) == 1
    assert plan_digest(plan((*ROWS, LEFT))) != plan_digest(plan())
    assert plan_digest(plan(changes=(*CHANGES, REGISTER))) != plan_digest(plan())


def test_plan_digest_leaves_out_the_wording() -> None:
    """A new log line, another wording of a reason or of the state does not make an approval void."""
    rows = (replace(DELETE, evidence=("line 8",), reason="in other words"), *ROWS[1:])
    changes = (replace(REGISTER, reason="in other words", seen="primary: Stand Alone"), *CHANGES[1:])
    assert plan_digest(plan(rows, changes)) == plan_digest(plan())


@pytest.mark.parametrize(
    "change",
    [
        {"server": "secondary"},
        {"key": "10.52.5.8_443"},
        {"subject": "CN=ise2"},
        {"target": "secondary"},
        {"decision": Decision.CANNOT_TELL},
        {"command": "reload"},
        {"verdict": None},
        {"confirmed_sha256": "cd" * 32},
        {"override": "somebody: because"},
    ],
)
def test_plan_digest_moves_with_what_decides(change: dict[str, object]) -> None:
    """Every field that decides on a deletion is in the digest, and so are the site and the incident."""
    before = plan_digest(plan())
    assert plan_digest(plan((replace(DELETE, **change), *ROWS[1:]))) != before  # type: ignore[arg-type]
    assert plan_digest(plan(site="S2")) != before
    assert plan_digest(plan(incident="I2")) != before


@pytest.mark.parametrize(
    "change",
    [
        {"kind": ChangeKind.REMOVE_HA},
        {"server": "secondary"},
        {"target": "ise"},
        {"condition": "always"},
        {"rests_on": "healthy"},
        {"interrupts": "everything"},
        {"settings": (("Failover Type", "Automatic"), ("IPV4 Virtual IP", "-"))},
        {"settings": (("Failover Type", "Manual"), ("IPV4 Virtual IP", "192.0.2.99"))},
        {"confirmed_sha256": "ef" * 32},
        {"attempt": 2},
        {"expected": True},
    ],
)
def test_plan_digest_moves_with_every_change_that_may_follow(change: dict[str, object]) -> None:
    """What is registered or added, with which values, on which state, and the how-manieth time: one digest names it."""
    moved = (replace(REGISTER, **change), *CHANGES[1:])  # type: ignore[arg-type]
    assert plan_digest(plan(changes=moved)) != plan_digest(plan())
