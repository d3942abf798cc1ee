"""The canonical form and the plan's digest can be recomputed by a stranger, and move with what matters only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import permutations

import pytest

from runbook_lib.canonical import canonical_json, plan_digest
from runbook_lib.models import Decision, PlanRow, Verdict

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
ROWS = (DELETE, LEFT, replace(LEFT, server="secondary"))


def test_canonical_form() -> None:
    """Keys are sorted, blanks are gone, and everything outside ASCII is escaped."""
    assert canonical_json({"b": [1, None, True], "a": "é\n\x7f😀"}) == (
        b'{"a":"\\u00e9\\n\\u007f\\ud83d\\ude00","b":[1,null,true]}'
    )


def test_plan_digest_by_the_documented_steps() -> None:
    """The digest is what somebody computes who has nothing but the docstring."""
    names = ("server", "key", "subject", "target", "decision", "command", "verdict", "confirmed_sha256", "override")
    rows = [json.dumps({n: getattr(r, n) for n in names}, sort_keys=True, separators=(",", ":")) for r in ROWS]
    text = '{"format":"runbook-plan-v1","incident":"I","rows":[' + ",".join(sorted(rows)) + '],"site":"S"}'
    assert plan_digest(ROWS, site="S", incident="I") == hashlib.sha256(text.encode("ascii")).hexdigest()


def test_plan_digest_does_not_depend_on_the_order() -> None:
    """The order of the rows does not matter; how often one stands there does."""
    assert len({plan_digest(rows, site="S", incident="I") for rows in permutations(ROWS)}) == 1
    assert plan_digest((*ROWS, LEFT), site="S", incident="I") != plan_digest(ROWS, site="S", incident="I")


@pytest.mark.parametrize("change", [{"evidence": ("line 8",)}, {"reason": "in other words"}])
def test_plan_digest_leaves_out_the_wording(change: dict[str, object]) -> None:
    """A new log line or another wording of the reason does not make an approval void."""
    changed = (replace(DELETE, **change), *ROWS[1:])  # type: ignore[arg-type]
    assert plan_digest(changed, site="S", incident="I") == plan_digest(ROWS, site="S", incident="I")


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
    before = plan_digest(ROWS, site="S", incident="I")
    changed = (replace(DELETE, **change), *ROWS[1:])  # type: ignore[arg-type]
    assert plan_digest(changed, site="S", incident="I") != before
    assert plan_digest(ROWS, site="S2", incident="I") != before
    assert plan_digest(ROWS, site="S", incident="I2") != before
