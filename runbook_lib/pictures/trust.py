"""Who trusts whom: for each pair of hosts, whether the stored certificate agrees with the presented one, and why so.

The product shows no fingerprint of what it stores. So whether the two agree is never seen; it is concluded from the
logs, from the certificates that were presented, and from what the servers say of each other. Each trust names its
ground, and what follows from nothing is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from runbook_lib.models import Check, Decision, Inventory, Judgement, Plan, PlanRow, Verdict

PAIR = ("primary", "secondary")
UNSEEN = (
    "The product shows no fingerprint of what it stores: that a stored and a presented certificate agree, or do not,"
    " is concluded from what is named as the ground, and was not seen."
)


class Agreement(StrEnum):
    """Whether the certificate that one server stores of another is the one that is presented now."""

    AGREE = "agree"
    DIFFER = "do not agree"
    UNKNOWN = "not known"
    NOTHING = "nothing is stored"


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host, and what it presents now. ``address`` is with its port; ``sha256`` is empty where none was seen."""

    name: str
    address: str
    verdict: str
    confirmed: bool | None
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What ``server`` stores of ``target``: under which keys, whether it agrees, and on what ground that is said."""

    server: str
    target: str
    keys: tuple[str, ...]
    agreement: Agreement
    ground: str


@dataclass(frozen=True, kw_only=True)
class Trusts:
    """All trusts of a site at one time; ``title`` says at which. The primary and the secondary are always there."""

    title: str
    hosts: tuple[Host, ...]
    links: tuple[Trust, ...]


def trust_as_planned(plan: Plan, inventory: Inventory) -> Trusts:
    """Return who trusted whom when the plan was made."""
    links = tuple(_planned(plan, server, target) for server, target in _pairs(addresses_of(inventory)))
    hosts = tuple(_host(judgement) for judgement in inventory.judgements)
    return Trusts(title="Who trusts whom, as the plan found it", hosts=hosts, links=links)


def addresses_of(inventory: Inventory) -> dict[str, str]:
    """Return each host's address with its port, by its name."""
    return {judgement.target: f"{judgement.host}:{judgement.port}" for judgement in inventory.judgements}


def trust_as_verified(addresses: Mapping[str, str], checks: Sequence[Check]) -> Trusts:
    """Return who trusts whom by the checks of the verification; ``addresses`` name all hosts, see ``addresses_of``."""
    by_name = {check.name: check for check in checks}
    pairs = _pairs(addresses)
    links = tuple(_verified(by_name, pairs, server, target) for server, target in pairs)
    hosts = tuple(_verified_host(name, address, by_name) for name, address in addresses.items())
    return Trusts(title="Who trusts whom, as the verification found it", hosts=hosts, links=links)


def _pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return who stores whom: the two servers each other, and the primary every ISE server."""
    return [PAIR, (PAIR[1], PAIR[0]), *((PAIR[0], name) for name in names if name not in PAIR)]


# -- as planned -----------------------------------------------------------------------------------


def _host(judgement: Judgement) -> Host:
    good = judgement.verdict.confirmed or judgement.verdict is Verdict.UNCHANGED
    return Host(
        name=judgement.target,
        address=f"{judgement.host}:{judgement.port}",
        verdict=judgement.verdict,
        confirmed=True if good else False if judgement.verdict is Verdict.CONTRADICTED else None,
        sha256=judgement.facts.sha256 if judgement.facts else "",
    )


def _planned(plan: Plan, server: str, target: str) -> Trust:
    rows = [row for row in plan.rows if (row.server, row.target) == (server, target)]
    if not rows:
        ground = "the list holds no entry of it; one is added at the next connection"
        return Trust(server=server, target=target, keys=(), agreement=Agreement.NOTHING, ground=ground)
    found = [_agreement(row) for row in rows]
    # One entry that does not agree is enough to break the connection, and one that is not known to doubt it.
    worst = next(kind for kind in (Agreement.DIFFER, Agreement.UNKNOWN, Agreement.AGREE) if kind in found)
    return Trust(
        server=server,
        target=target,
        keys=tuple(row.key for row in rows),
        agreement=worst,
        ground=_ground(rows[found.index(worst)]),
    )


def _agreement(row: PlanRow) -> Agreement:
    if row.decision is Decision.DELETE:
        return Agreement.DIFFER
    if row.decision is Decision.ALREADY_RIGHT:
        return Agreement.AGREE
    # A plan that is blocked by a verdict alone says so at the reason's beginning: the log's word then stands.
    blocked_by_verdict = row.verdict is not None and row.reason.startswith(f"{row.verdict}:")
    return Agreement.DIFFER if row.evidence and blocked_by_verdict else Agreement.UNKNOWN


def _ground(row: PlanRow) -> str:
    if row.decision is Decision.DELETE or _agreement(row) is Agreement.DIFFER:
        return "a log reports a mismatch" if row.evidence else "the operator named the entry as stale"
    return row.reason


# -- as verified ----------------------------------------------------------------------------------


def _verified_host(name: str, address: str, checks: dict[str, Check]) -> Host:
    check = checks.get(f"certificate of {name}")
    seen = check is not None and len(check.actual) == 64
    return Host(
        name=name,
        address=address,
        verdict=check.note.partition(",")[0] if check else "not looked at",
        confirmed=check.ok if check else None,
        sha256=check.actual if check and seen else "",
    )


def _verified(checks: dict[str, Check], pairs: list[tuple[str, str]], server: str, target: str) -> Trust:
    """Conclude from everything that was checked of the pair; what was not checked, or is wrong, leaves it unknown.

    Only new mismatch messages say that the two differ, and only where they can mean nobody else.
    """
    entry, logs = f"entry of {target} on the {server}", f"new mismatches in the {server}'s logs"
    names = [entry, logs, f"certificate of {target}", *_word_of_the_servers(checks, target)]
    found = {name: checks.get(name) for name in names}
    unsettled = [
        f"{name}: {check.actual if check else 'not checked'}"
        for name, check in found.items()
        if check is None or not check.ok
    ]
    listed, told = found[entry], found[logs]
    alone = [observer for observer, _ in pairs].count(server) == 1
    if listed is not None and listed.ok is False:
        agreement, ground = Agreement.NOTHING, "the list holds no entry of it"
    elif alone and told is not None and told.ok is False:
        agreement, ground = Agreement.DIFFER, "new mismatches are reported in the logs"
    elif [words for words in unsettled if not words.startswith(logs)] or (told is not None and told.ok is False):
        agreement, ground = Agreement.UNKNOWN, "; ".join(unsettled)
    else:
        agreement, ground = Agreement.AGREE, _GOOD[target in PAIR, bool(unsettled)]
    keys = tuple(listed.actual.split(", ")) if listed and listed.ok else ()
    return Trust(server=server, target=target, keys=keys, agreement=agreement, ground=ground)


def _word_of_the_servers(checks: dict[str, Check], target: str) -> list[str]:
    if target in PAIR:
        return [f"HA state of the {name}" for name in PAIR]
    named = [name for name in checks if name.startswith(f"ISE server {target} (")]
    return named or [f"ISE server {target}"]


# By whether it is one of the two servers, and whether their logs were not at hand.
_GOOD = {
    (True, False): "both servers report HA as healthy, and no new mismatch is in the logs",
    (True, True): "both servers report HA as healthy; no logs were at hand",
    (False, False): "the ISE server answers on the page, and no new mismatch is in the logs",
    (False, True): "the ISE server answers on the page; no logs were at hand",
}
