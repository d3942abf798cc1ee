"""How a plan gets on that is blocked since nothing confirms a certificate: what to compare where, and what to write.

The digits to write are those that the console shows, never those that are presented here: an expectation that is
copied from the connection under repair would confirm whoever answers there.
"""

from __future__ import annotations

from runbook_lib.ade_os.at_console import certificate_at_console
from runbook_lib.models import Decision, Inventory, Judgement, Plan, Stage, Vantage, Verdict, WayOut
from runbook_lib.record import Record
from runbook_lib.steps.history import INVENTORY_FACTS, facts_or
from runbook_lib.steps.targets import PI_SERVERS

DIGITS = "DIGITS-OF-THE-CONSOLE"


def ways_out(plan: Plan, inventory: Inventory) -> tuple[WayOut, ...]:
    """Return a way out for each host of which an entry waits for a confirmation."""
    undecided = [row for row in plan.rows if row.decision is Decision.CANNOT_TELL]
    waiting = {row.target for row in undecided if row.verdict is Verdict.UNCONFIRMED}
    return tuple(
        _way(judgement)
        for judgement in inventory.judgements
        if judgement.target in waiting and judgement.verdict is Verdict.UNCONFIRMED and judgement.facts
    )


def ways_out_of(record: Record, plan: Plan) -> tuple[WayOut, ...]:
    """Return the ways out by what stage 20 of this record saw."""
    nothing = Inventory(stores=(), presented=(), judgements=(), ha=())
    return ways_out(plan, facts_or(record, Stage.LIST, INVENTORY_FACTS, Inventory, nothing))


def _way(judgement: Judgement) -> WayOut:
    assert judgement.facts is not None
    name = judgement.target
    is_ise = name not in PI_SERVERS
    own = Vantage.SELF in judgement.seen_from
    lines = [f"expect: {{sha256: {DIGITS}}}"]
    given = [f'expect="{name}=sha256:{DIGITS}"']
    if own:
        lines.insert(0, "expect: {self: true}")
        given.insert(0, f'expect="{name}=self"')
    why_not = dict(judgement.not_available).get(Vantage.SELF, "the site's file names no SSH access to it")
    return WayOut(
        target=name,
        presented_sha256=judgement.facts.sha256,
        at_console=certificate_at_console(judgement.port, ise=is_ise),
        in_file=f"{f'ise, {name}' if is_ise else name}: {' or '.join(lines)}",
        as_parameter=" or ".join(given),
        self_note="" if own else why_not,
    )
