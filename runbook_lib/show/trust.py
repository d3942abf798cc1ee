"""Who trusts whom: for each pair of hosts as values, and as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from runbook_lib.decisions import Decision, Plan, PlanRow
from runbook_lib.i18n.language import AsIs
from runbook_lib.models import PI_SERVERS, Inventory, Judgement
from runbook_lib.observations import Check, CheckKind, check_name, with_kinds
from runbook_lib.show import svg
from runbook_lib.show.document import TONE_OF, Drawn, Picture
from runbook_lib.show.report_model import PostMortem
from runbook_lib.show.svg import shorten, width_of, wrap

# -- Who trusts whom: for each pair of hosts, whether the stored certificate agrees with the presented one, and why so.
#
# The product shows no fingerprint of what it stores. So whether the two agree is never seen; it is concluded from the
# logs, from the certificates that were presented, and from what the servers say of each other. Each trust names its
# ground, and what follows from nothing is not known.

UNSEEN = (
    "The product shows no fingerprint of what it stores: whether a stored and a presented certificate agree is"
    " concluded from the reason that is given, and was not seen."
)


class Agreement(StrEnum):
    """Whether the certificate that one server stores of another is the one that is presented now."""

    AGREE = "agree"
    DIFFER = "do not agree"
    UNKNOWN = "not known"
    NOTHING = "nothing is stored"


@dataclass(frozen=True, kw_only=True)
class TrustHost:
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
    hosts: tuple[TrustHost, ...]
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
    by_key = {(check.kind, check.server, check.target): check for check in with_kinds(checks) if check.kind}
    pairs = _pairs(addresses)
    links = tuple(_verified(by_key, pairs, server, target) for server, target in pairs)
    hosts = tuple(_verified_host(name, address, by_key) for name, address in addresses.items())
    return Trusts(title="Who trusts whom, as the verification found it", hosts=hosts, links=links)


def _pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return who stores whom: the two servers each other, and the primary every ISE server."""
    return [
        PI_SERVERS,
        (PI_SERVERS[1], PI_SERVERS[0]),
        *((PI_SERVERS[0], name) for name in names if name not in PI_SERVERS),
    ]


# -- as planned -----------------------------------------------------------------------------------


def _host(judgement: Judgement) -> TrustHost:
    return TrustHost(
        name=judgement.target,
        address=f"{judgement.host}:{judgement.port}",
        verdict=judgement.verdict,
        confirmed=judgement.verdict.ok,
        sha256=judgement.facts.sha256 if judgement.facts else "",
    )


def _planned(plan: Plan, server: str, target: str) -> Trust:
    rows = [row for row in plan.rows if (row.server, row.target) == (server, target)]
    if not rows:
        ground = "the list holds no entry for it; one is added at the next connection"
        return Trust(server=server, target=target, keys=(), agreement=Agreement.NOTHING, ground=ground)
    agreements = [_agreement(row) for row in rows]
    # One entry that does not agree is enough to break the connection, and one that is not known to doubt it.
    worst = next(kind for kind in (Agreement.DIFFER, Agreement.UNKNOWN, Agreement.AGREE) if kind in agreements)
    return Trust(
        server=server,
        target=target,
        keys=tuple(row.key for row in rows),
        agreement=worst,
        ground=_ground(rows[agreements.index(worst)]),
    )


def _agreement(row: PlanRow) -> Agreement:
    if row.decision is Decision.DELETE:
        return Agreement.DIFFER
    if row.decision is Decision.ALREADY_RIGHT:
        return Agreement.AGREE
    # Where a verdict alone blocks the plan, the log's word stands. Plans of before said so at the reason's beginning.
    by_verdict = row.by_verdict
    if by_verdict is None:
        by_verdict = row.verdict is not None and row.reason.startswith(f"{row.verdict}:")
    return Agreement.DIFFER if row.evidence and by_verdict else Agreement.UNKNOWN


def _ground(row: PlanRow) -> str:
    if row.decision is Decision.DELETE or _agreement(row) is Agreement.DIFFER:
        return "a log reports a mismatch" if row.evidence else "the operator named the entry as stale"
    return row.reason


# -- as verified ----------------------------------------------------------------------------------


_Key = tuple[CheckKind, str, str]
"""Of a check: its kind, the server, the target."""


def _verified_host(name: str, address: str, checks: Mapping[_Key, Check]) -> TrustHost:
    check = checks.get((CheckKind.CERTIFICATE, "", name))
    return TrustHost(
        name=name,
        address=address,
        verdict=(check.verdict or "") if check else "not looked at",
        confirmed=check.ok if check else None,
        sha256=check.values[0] if check and check.values else "",
    )


def _verified(checks: Mapping[_Key, Check], pairs: list[tuple[str, str]], server: str, target: str) -> Trust:
    """Conclude from everything that was checked of the pair; what was not checked, or is wrong, leaves it unknown.

    Only new mismatch messages say that the two differ, and only where they can mean nobody else.
    """
    entry, logs = (CheckKind.ENTRY, server, target), (CheckKind.MISMATCHES, server, "")
    states = [(CheckKind.HA_STATE, name, "") for name in PI_SERVERS]
    on_page = [(CheckKind.ISE_PAGE, "", target)]
    needed = [entry, logs, (CheckKind.CERTIFICATE, "", target), *(states if target in PI_SERVERS else on_page)]
    unsettled = {key: _unsettled(key, checks.get(key)) for key in needed if not (key in checks and checks[key].ok)}
    listed, in_logs = checks.get(entry), checks.get(logs)
    alone = [observer for observer, _ in pairs].count(server) == 1
    if listed is not None and listed.ok is False:
        agreement, ground = Agreement.NOTHING, "the list holds no entry for it"
    elif alone and in_logs is not None and in_logs.ok is False:
        agreement, ground = Agreement.DIFFER, "new mismatches are reported in the logs"
    elif unsettled.keys() - {logs} or (in_logs is not None and in_logs.ok is False):
        agreement, ground = Agreement.UNKNOWN, "; ".join(unsettled.values())
    else:
        agreement, ground = Agreement.AGREE, _GOOD[target in PI_SERVERS, bool(unsettled)]
    keys = listed.values if listed and listed.ok else ()
    return Trust(server=server, target=target, keys=keys, agreement=agreement, ground=ground)


def _unsettled(key: _Key, check: Check | None) -> str:
    kind, server, target = key
    if check is None:
        return f"{check_name(kind, server=server, target=target)}: not checked"
    return f"{check.name}: {check.actual}"


# By whether it is one of the two servers, and whether their logs were not at hand.
_GOOD = {
    (True, False): "both servers report HA as healthy, and no new mismatch is in the logs",
    (True, True): "both servers report HA as healthy; no logs were available",
    (False, False): "the ISE server answers on the page, and no new mismatch is in the logs",
    (False, True): "the ISE server answers on the page; no logs were available",
}


# -- The picture of who trusts whom: a box for each host, an arrow from whoever stores to whoever is stored.
#
# Solid: the stored and the presented certificate agree. Broken: they do not, or it is not known; the word on the arrow
# says which.

TONES = {Agreement.AGREE: "good", Agreement.DIFFER: "bad", Agreement.UNKNOWN: "doubt", Agreement.NOTHING: "quiet"}
_WORDS = {
    Agreement.AGREE: "On the {server}, the entry of {target} ({keys}) agrees with the certificate that it presents.",
    Agreement.DIFFER: "On the {server}, the entry of {target} ({keys}) does not agree with the certificate that it"
    " presents.",
    Agreement.UNKNOWN: "On the {server}, it is not known whether the entry of {target} ({keys}) agrees with the"
    " certificate that it presents.",
    Agreement.NOTHING: "On the {server}, nothing is stored of {target}.",
}
_BOX, _GAP, _TALL, _EDGE = 188.0, 164.0, 126.0, 8.0
_WIDTH = 2 * _EDGE + 3 * _BOX + 2 * _GAP
_SMALL, _LINE = 12.0, 16.0
_LEGEND = 52.0
_NARROWEST = 740.0  # the legend


def draw_trust(trusts: Trusts) -> Picture:
    """Return the picture of hosts and of what each server has stored of them."""
    others = [host for host in trusts.hosts if host.name not in PI_SERVERS]
    shift = 0.0 if others else _BOX + _GAP  # the column of ISE servers is left out where the site has none
    tall = max(2 * _TALL, len(others) * _TALL * 1.3)
    middle = _EDGE + tall / 2
    boxes = [_box(host, *_corner(host, others, middle, shift)) for host in trusts.hosts]
    arrows = [_arrow(link, others, middle, shift) for link in trusts.links]
    height = middle + tall / 2 + _EDGE + _LEGEND
    legend = _legend(middle + tall / 2 + _EDGE)
    return Picture(
        title=trusts.title,
        width=max(_WIDTH - shift, _NARROWEST),
        height=height,
        body="".join((*arrows, *boxes, legend)),
    )


def who_trusts_whom(pm: PostMortem) -> tuple[Drawn, ...]:
    """Draw who trusted whom as the plan found it, and as the verification found it, where either was made."""
    if pm.inventory is None:
        return ()
    trusts = [trust_as_planned(pm.plan, pm.inventory)] if pm.plan else []
    trusts += [trust_as_verified(addresses_of(pm.inventory), pm.checks)] if pm.checks else []
    return tuple(map(drawn_and_said, trusts))


def drawn_and_said(trusts: Trusts) -> Drawn:
    """Return the picture, and in words one sentence an arrow and its ground, and what cannot be known at all."""
    picture = draw_trust(trusts)
    return Drawn(picture, picture, (*(sentence for link in trusts.links for sentence in _sentences(link)), UNSEEN))


def _sentences(link: Trust) -> tuple[str, str]:
    sentence = _WORDS[link.agreement].format(server=link.server, target=link.target, keys=", ".join(link.keys))
    return sentence, f"Reason: {link.ground}."


# -- where things stand -----------------------------------------------------------------------------


def _corner(host: TrustHost, others: list[TrustHost], middle: float, shift: float) -> tuple[float, float, float]:
    """Return the left edge, the top and the height of a host's box: ISE servers left, the primary, the secondary."""
    if host.name in PI_SERVERS:
        column = 1 + PI_SERVERS.index(host.name)
        return _EDGE + column * (_BOX + _GAP) - shift, middle - 0.85 * _TALL, 1.7 * _TALL
    return _EDGE, _row(others.index(host), len(others), middle) - _TALL / 2, _TALL


def _row(place: int, rows: int, middle: float) -> float:
    return middle + (place - (rows - 1) / 2) * _TALL * 1.3


def _box(host: TrustHost, x: float, y: float, tall: float) -> str:
    tone = TONE_OF[host.confirmed]
    centre, top = x + _BOX / 2, y + tall / 2 - 36
    presents = "presents a certificate:" if host.sha256 else "no certificate was seen:"
    lines = [
        svg.rectangle(x, y, _BOX, tall),
        svg.label(shorten(host.name, _BOX - 20, 15), centre, top, anchor="middle", size=15, bold=True),
        _middle(shorten(host.address, _BOX - 20, _SMALL, mono=True), centre, top + 19, mono=True, tone="quiet"),
        _middle(presents, centre, top + 41),
        _marked(shorten(AsIs(host.verdict), _BOX - 50, _SMALL), centre, top + 62, tone=tone, size=_SMALL),
    ]
    if host.sha256:
        lines.append(_middle(f"SHA-256 {host.sha256[:12]}…", centre, top + 83, mono=True, tone="quiet"))
    return "".join(lines)


def _arrow(link: Trust, others: list[TrustHost], middle: float, shift: float) -> str:
    """Draw one trust: between the two servers one above the other, to an ISE server on its own height."""
    left = _EDGE + (2 * _BOX + _GAP if link.target in PI_SERVERS else _BOX) - shift
    rightwards = link.server == PI_SERVERS[0] and link.target in PI_SERVERS
    if link.target in PI_SERVERS:
        y = middle + (-12 if rightwards else 12)
    else:
        y = _row(next(place for place, host in enumerate(others) if host.name == link.target), len(others), middle)
    start, end = (left + 5, left + _GAP - 5) if rightwards else (left + _GAP - 5, left + 5)
    dashed = link.agreement is not Agreement.AGREE
    drawn = svg.arrow((start, y), (end, y), tone=TONES[link.agreement], dashed=dashed)
    above, below = (True, False) if rightwards else (link.target not in PI_SERVERS, True)
    return drawn + _caption(link, left + _GAP / 2, y, above=above, below=below)


def _caption(link: Trust, centre: float, y: float, *, above: bool, below: bool) -> str:
    """Write the agreement, the keys and the ground above the arrow or below it; with both, the ground alone below."""
    room = _GAP - 16
    keys = shorten(", ".join(link.keys) or "no entry", room, 11, mono=True)
    ground = wrap(link.ground, room, _SMALL, lines=4)
    over = 2 if below else 2 + len(ground)
    first = y - 10 - (over - 1) * _LINE if above else y + 24
    second = y + 22 if above and below else first + 2 * _LINE
    return "".join(
        (
            _marked(link.agreement, centre, first, tone=TONES[link.agreement], size=svg.TEXT_SIZE),
            svg.label(keys, centre, first + _LINE, anchor="middle", size=11, mono=True),
            *(_middle(text, centre, second + place * _LINE, tone="quiet") for place, text in enumerate(ground)),
        )
    )


def _middle(text: str, x: float, y: float, *, tone: str = "plain", mono: bool = False) -> str:
    return svg.label(text, x, y, anchor="middle", size=11 if mono else _SMALL, tone=tone, mono=mono)


def _marked(text: str, x: float, y: float, *, tone: str, size: float) -> str:
    """Return a word in its tone, the tone's mark before it, both together centred at ``x``."""
    wide = width_of(text, size) + 34
    word = svg.label(text, x + 13, y, anchor="middle", size=size, tone=tone, bold=True)
    return svg.mark(tone, x - wide / 2 + 9, y - size / 3) + word


def _legend(top: float) -> str:
    """Say what an arrow and its stroke mean, and that it is a conclusion."""
    solid = "solid: the certificate stored where the arrow begins agrees with the one presented where it ends"
    broken = "broken: it does not, or nobody knows. Concluded, since the product shows no fingerprint of what it stores"
    strokes = ((0, solid, "good", False), (22, broken, "bad", True))
    return "".join(
        svg.line(((_EDGE, top + down), (_EDGE + 36, top + down)), tone=tone, width=2, dashed=dashed)
        + svg.label(words, _EDGE + 46, top + down + 4, size=_SMALL)
        for down, words, tone, dashed in strokes
    )
