"""The picture of who trusts whom: a box for each host, an arrow from whoever stores to whoever is stored.

Solid: the stored and the presented certificate agree. Broken: they do not, or it is not known; the word on the arrow
says which.
"""

from __future__ import annotations

from runbook_lib.pictures import svg
from runbook_lib.pictures.picture import Picture
from runbook_lib.pictures.text import shorten, width_of, wrap
from runbook_lib.pictures.trust import PAIR, UNSEEN, Agreement, Host, Trust, Trusts

TONES = {
    Agreement.AGREE: "good",
    Agreement.DIFFER: "bad",
    Agreement.UNKNOWN: "doubt",
    Agreement.NOTHING: "quiet",
}
_WORDS = {
    Agreement.AGREE: "On the {server}, the entry of {target} ({keys}) agrees with the certificate that it presents.",
    Agreement.DIFFER: "On the {server}, the entry of {target} ({keys}) does not agree with the certificate that it"
    " presents.",
    Agreement.UNKNOWN: "On the {server}, it is not known whether the entry of {target} ({keys}) agrees with the"
    " certificate that it presents.",
    Agreement.NOTHING: "On the {server}, nothing is stored of {target}.",
}
_BOX, _GAP, _TALL, _EDGE = 200.0, 200.0, 126.0, 20.0
_WIDTH = 2 * _EDGE + 3 * _BOX + 2 * _GAP
_SMALL, _LINE = 12.0, 16.0
_LEGEND = 52.0
_NARROWEST = 740.0  # the legend


def draw_trust(trusts: Trusts) -> Picture:
    """Return the picture; its words are one sentence per arrow, and what cannot be known at all."""
    others = [host for host in trusts.hosts if host.name not in PAIR]
    shift = 0.0 if others else _BOX + _GAP  # the column of ISE servers is left out where the site has none
    tall = max(2 * _TALL, len(others) * _TALL * 1.3)
    middle = _EDGE + tall / 2
    boxes = [_box(host, *_corner(host, others, middle, shift)) for host in trusts.hosts]
    arrows = [_arrow(link, others, middle, shift) for link in trusts.links]
    height = middle + tall / 2 + _EDGE + _LEGEND
    legend = _legend(middle + tall / 2 + _EDGE)
    return Picture(
        title=trusts.title,
        words=(*(sentence for link in trusts.links for sentence in _sentences(link)), UNSEEN),
        width=max(_WIDTH - shift, _NARROWEST),
        height=height,
        body="".join((*arrows, *boxes, legend)),
    )


def _sentences(link: Trust) -> tuple[str, str]:
    said = _WORDS[link.agreement].format(server=link.server, target=link.target, keys=", ".join(link.keys))
    return said, f"The ground for that: {link.ground}."


# -- where things stand -----------------------------------------------------------------------------


def _corner(host: Host, others: list[Host], middle: float, shift: float) -> tuple[float, float, float]:
    """Return the left edge, the top and the height of a host's box: ISE servers left, the primary, the secondary."""
    if host.name in PAIR:
        column = 1 + PAIR.index(host.name)
        return _EDGE + column * (_BOX + _GAP) - shift, middle - 0.85 * _TALL, 1.7 * _TALL
    return _EDGE, _row(others.index(host), len(others), middle) - _TALL / 2, _TALL


def _row(place: int, rows: int, middle: float) -> float:
    return middle + (place - (rows - 1) / 2) * _TALL * 1.3


def _box(host: Host, x: float, y: float, tall: float) -> str:
    tone = {True: "good", False: "bad", None: "doubt"}[host.confirmed]
    centre, top = x + _BOX / 2, y + tall / 2 - 36
    presents = "presents a certificate:" if host.sha256 else "no certificate was seen:"
    lines = [
        svg.rectangle(x, y, _BOX, tall),
        svg.label(shorten(host.name, _BOX - 20, 15), centre, top, anchor="middle", size=15, bold=True),
        _middle(shorten(host.address, _BOX - 20, _SMALL, mono=True), centre, top + 19, mono=True, tone="quiet"),
        _middle(presents, centre, top + 41),
        _marked(shorten(host.verdict, _BOX - 50, _SMALL), centre, top + 62, tone=tone, size=_SMALL),
    ]
    if host.sha256:
        lines.append(_middle(f"SHA-256 {host.sha256[:12]}…", centre, top + 83, mono=True, tone="quiet"))
    return "".join(lines)


def _arrow(link: Trust, others: list[Host], middle: float, shift: float) -> str:
    """Draw one trust: between the two servers one above the other, to an ISE server on its own height."""
    left = _EDGE + (2 * _BOX + _GAP if link.target in PAIR else _BOX) - shift
    rightwards = link.server == PAIR[0] and link.target in PAIR
    if link.target in PAIR:
        y = middle + (-12 if rightwards else 12)
    else:
        y = _row(next(place for place, host in enumerate(others) if host.name == link.target), len(others), middle)
    start, end = (left + 5, left + _GAP - 5) if rightwards else (left + _GAP - 5, left + 5)
    dashed = link.agreement is not Agreement.AGREE
    drawn = svg.arrow((start, y), (end, y), tone=TONES[link.agreement], dashed=dashed)
    above, below = (True, False) if rightwards else (link.target not in PAIR, True)
    return drawn + _caption(link, left + _GAP / 2, y, above=above, below=below)


def _caption(link: Trust, centre: float, y: float, *, above: bool, below: bool) -> str:
    """Write the agreement, the keys and the ground above the arrow or below it; with both, the ground alone below."""
    room = _GAP - 16
    keys = shorten(", ".join(link.keys) or "no entry", room, 11, mono=True)
    ground = wrap(link.ground, room, _SMALL, lines=3)
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
    solid = "solid: what the arrow's beginning stores agrees with what its end presents"
    broken = "broken: it does not, or that is not known. Concluded: the product shows no fingerprint of what it stores"
    strokes = ((0, solid, "good", False), (22, broken, "bad", True))
    return "".join(
        svg.line(((_EDGE, top + down), (_EDGE + 36, top + down)), tone=tone, width=2, dashed=dashed)
        + svg.label(words, _EDGE + 46, top + down + 4, size=_SMALL)
        for down, words, tone, dashed in strokes
    )
