"""Parsers of what a PI server prints: HA status (``HA_STATES``), release, the page of its Health Monitor. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runbook_lib.device_prompts import PROMPT
from runbook_lib.errors import AnswerNotUnderstood, cut
from runbook_lib.models import HaStatus, ProductVersion

# -- What all parsers of device answers share: the refusal, and the lines of an answer without echo and prompt

FOUND_LIMIT = 2000
_ECHO = re.compile(rf"(?:{PROMPT}[ \t]*)?(?:ncs|show)[ \t].*")
_PROMPT_ALONE = re.compile(rf"{PROMPT}[ \t]*")


def not_understood(what: str, text: str, *, server: str, next_step: str) -> AnswerNotUnderstood:
    """Return the refusal of ``text``, with its beginning kept in ``found``."""
    return AnswerNotUnderstood(what, where=server, found=cut(text, FOUND_LIMIT), next_step=next_step)


def split_answer(text: str) -> tuple[list[str], bool]:
    """Return the lines of an answer, and whether its last line was whole.

    Lines end with LF or CRLF and nothing else, so no character inside a subject can start a new one.
    An echoed command before the first line and a prompt after the last one, as they stand in a text
    that was copied by hand, are taken off. The last line counts as whole where a line break or a
    prompt follows it.
    """
    *lines, rest = [line.rstrip("\r") for line in text.split("\n")]
    whole = not rest
    if _PROMPT_ALONE.fullmatch(rest):
        whole = True
    elif rest:
        lines.append(rest)
    first = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    if first < len(lines) and _ECHO.fullmatch(lines[first]):
        first += 1
    last = len(lines)
    while last > first and not lines[last - 1].strip():
        last -= 1
    if last > first and _PROMPT_ALONE.fullmatch(lines[last - 1]):
        last -= 1
        whole = True
    return lines[first:last], whole


# -- High availability in a server's own words: ``ncs ha status`` and ``ncs status``. --------------
#
# The wording is recalled, not published: ``[Role] Primary [State] Primary Active [Failover Type] Manual``.
# So only the bracketed labels are looked for, wherever they stand, and the states are a table to which
# a site can add its own words.

_BY_LABEL: Mapping[str, str] = {"role": "role", "state": "state", "failover type": "failover", "failover": "failover"}
"""The label between the brackets, in lower case, and the field that it fills."""


class StateKind(StrEnum):
    """What a state means for a registered pair: ``in transition`` may end by itself, ``broken`` does not."""

    HEALTHY = "healthy"
    IN_TRANSITION = "in transition"
    BROKEN = "broken"
    NOT_CONFIGURED = "not configured"
    UNKNOWN = "unknown"


HA_STATES: Mapping[str, StateKind] = {
    "ha not configured": StateKind.NOT_CONFIGURED,
    "stand alone": StateKind.NOT_CONFIGURED,
    "standalone": StateKind.NOT_CONFIGURED,
    "primary active": StateKind.HEALTHY,
    "secondary syncing": StateKind.HEALTHY,
    "primary syncing": StateKind.IN_TRANSITION,
    "primary failover": StateKind.IN_TRANSITION,
    "primary alone": StateKind.BROKEN,
    "primary lost secondary": StateKind.BROKEN,
    "primary uncertain": StateKind.BROKEN,
    "secondary alone": StateKind.BROKEN,
    "secondary active": StateKind.BROKEN,
    "secondary lost primary": StateKind.BROKEN,
    "secondary uncertain": StateKind.BROKEN,
}
"""The states that are known, in lower case. ``secondary active`` is the state after a failover: the pair
does not stand as it was registered, and does not return to it by itself."""

LONGEST_STATE = 200
_FIELD = re.compile(r"\[[ \t]*([A-Za-z][A-Za-z \t]{0,40})\]([^\[\]\r\n]*)")


def parse_ha_status(text: str, server: str, read_utc: datetime) -> HaStatus:
    """Return role, state and failover type as the device words them, each up to the next bracket or line end.

    How it prints them is recalled (docs/product-facts.md).
    A label that is not there leaves its field empty; where none is, the whole answer is the state, which a site's
    own words can then explain. Different values of one label stand beside each other, which no table knows: the look
    goes on, and whatever depends on the state stops. Raises AnswerNotUnderstood for an answer that says nothing.
    """
    by_name: dict[str, dict[str, None]] = {}
    for label, value in _FIELD.findall(text):
        if name := _BY_LABEL.get(" ".join(label.split()).lower()):
            by_name.setdefault(name, {})[_value(value)] = None
    fields = {name: " / ".join(filter(None, values)) for name, values in by_name.items()}
    if len(by_name.get("role", ())) > 1:
        fields["role"] = ""  # which of them is its own, nobody knows
    if not fields.get("role") and not fields.get("state"):
        fields["state"] = cut(_value(" ".join(split_answer(text)[0])), LONGEST_STATE)
    if not fields.get("role") and not fields["state"]:
        raise not_understood(
            "The HA status says nothing.",
            text,
            server=server,
            next_step="Run `ncs ha status` on the server and compare its words with the table in the documentation.",
        )
    return HaStatus(
        server=server,
        role=fields.get("role", ""),
        state=fields.get("state", ""),
        failover=fields.get("failover", ""),
        text=text,
        read_utc=read_utc,
    )


def kind_of_state(state: str, more: Mapping[str, StateKind] | None = None) -> StateKind:
    """Return what ``state`` means; ``more`` holds a site's own words, which win over the table's.

    Case and spacing do not matter. The states are recalled (docs/product-facts.md); one that no table knows is UNKNOWN,
    never a guess.
    """
    words = _folded(state)
    own = {_folded(name): kind for name, kind in (more or {}).items()}
    return own.get(words) or HA_STATES.get(words, StateKind.UNKNOWN)


def _folded(state: str) -> str:
    return " ".join(state.casefold().split())


def _value(text: str) -> str:
    """Return the value without what sets it off, nor the bracket that closes the sentence in ``ncs status``."""
    words = " ".join(text.split()).strip(" :=,;.")
    unopened = words.count(")") - words.count("(")
    closing = re.search(r"[) ]*\Z", words)
    if closing is None or unopened <= 0:
        return words
    kept = closing[0].count(")") - unopened
    return (words[: closing.start()] + ")" * max(kept, 0)).strip()


# -- The release of Prime Infrastructure in ``show version``. --------------------------------------
#
# The command lists the ADE-OS first and the installed applications after it, each with versions of its own. Its wording
# is captured by third parties for some releases, so any line that names Prime Infrastructure starts the search and the
# next ``Version`` line ends it; what belongs to the ADE-OS never counts. ``Version`` stays what was installed first: a
# maintenance release is a line under the fixes, and the highest one is what runs.

_VERSION_PRODUCT = re.compile(r"(?:cisco[ \t]+)?prime[ \t]+infrastructure\b", re.I)
_NUMBER = r"(?P<release>[0-9]{1,5}(?:\.[0-9]{1,5}){0,7})(?![0-9.]*[0-9])"
_ON_ONE_LINE = re.compile(rf"[ \t:,(-]*(?:(?:version|release)[ \t]*+(?:[:=][ \t]*+)?)?{_NUMBER}", re.I)
_VERSION_LINE = re.compile(rf"[ \t]*(?:version|release)[ \t]*+(?:[:=][ \t]*+)?{_NUMBER}", re.I)
_SYSTEM = re.compile(r"ADE-?OS|Application Deployment Engine", re.I)
_HEADING_END = re.compile(r"[ \t:*=-]*+(?:\([^()]*\)[ \t:*=-]*+)?")
_RULE = re.compile(r"[\s*=_-]*")
_FIXES = re.compile(
    r"[ \t]*[^:]{0,40}\b(?:fix(?:es)?|patch(?:es)?|updates?|maintenance)\b[^:]{0,40}:(?P<first>.*)", re.I
)
_HEADING = re.compile(r"[^:]{1,60}:[ \t]*")
_FIX = re.compile(
    r"\b(?:PI|Prime[ _-]*Infrastructure)[ _-]*v?(?P<release>[0-9]{1,5}(?:[._][0-9]{1,5}){1,7})(?![0-9])", re.I
)
_OTHERS = (
    (re.compile(r"network[ \t]+control[ \t]+system", re.I), "Cisco Prime Network Control System, its predecessor"),
    (re.compile(r"\bEPN[ \t]*M(?:anager)?\b|evolved programmable network", re.I), "Cisco EPN Manager, its sibling"),
    (re.compile(r"identity services engine|\bcisco ISE\b", re.I), "Cisco ISE"),
    (re.compile(r"\b(?:DNA|catalyst) center\b", re.I), "Cisco Catalyst Center"),
)
"""Products that answer the same command: captured or recalled."""
_FACT = re.compile(r"[^:=]{1,60}[:=]")


def parse_version(text: str, server: str) -> ProductVersion:
    """Return Prime Infrastructure's release as numbers, so that 3.10 is later than 3.5, and its line.

    How ``show version`` prints it was captured by others (docs/product-facts.md).
    AnswerNotUnderstood is raised where the release is not named, or named twice and differently; another product
    is called by its name. Lines under the fixes that are not understood are kept, and change nothing.
    """
    lines, _ = split_answer(text)
    body, fix_lines = _without_fixes(lines)
    releases = list(dict.fromkeys(_releases(body)))
    if len({trimmed(release) for release, _ in releases}) != 1:
        raise _not_a_release(text, server, several=bool(releases))
    base, line = releases[0]
    fixes = {fix: _release_of_fix(fix, base) for fix in fix_lines}
    known = {fix: release for fix, release in fixes.items() if release}
    newest = max(known, key=lambda fix: known[fix], default="")
    updated = bool(newest) and known[newest] > base
    return ProductVersion(
        server=server,
        release=known[newest] if updated else base,
        line=f"{line}; {newest}" if updated else line,
        base=base,
        fixes=tuple(known),
        not_understood=tuple(fix for fix in fix_lines if fix not in known),
    )


def _not_a_release(text: str, server: str, *, several: bool) -> AnswerNotUnderstood:
    other = next((name for pattern, name in _OTHERS if pattern.search(text)), "")
    if other and not several:
        return not_understood(
            f"This server is no Prime Infrastructure: it calls itself {other}.",
            text,
            server=server,
            next_step="Correct the address in the site's file.",
        )
    what = "names several releases" if several else "does not name the release"
    return not_understood(
        f"The answer to `show version` {what} of Prime Infrastructure.",
        text,
        server=server,
        next_step="Compare it with Help > About on the server's page.",
    )


def _without_fixes(lines: list[str]) -> tuple[list[str], list[str]]:
    """Return the lines outside of the sections that list fixes, and the fixes."""
    body, fixes = [], []
    inside = False
    for line in lines:
        if heading := _FIXES.fullmatch(line):
            inside = True
            fixes += [heading["first"].strip()] if heading["first"].strip() else []
        elif not line.strip() or _HEADING.fullmatch(line) or not (inside and line[0] in " \t"):
            inside = False
            body.append(line)
        else:
            fixes.append(line.strip())
    return body, list(dict.fromkeys(fixes))


def _release_of_fix(fix: str, base: tuple[int, ...]) -> tuple[int, ...]:
    """Return the release that a fix brings; nothing if that is not of the same line of releases."""
    match = _FIX.search(fix)
    release = _numbers(match["release"].replace("_", ".")) if match else ()
    return release if release[:2] == base[:2] else ()


def _releases(lines: list[str]) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield each release that stands on, or in the block under, a line that names the product."""
    inside = False
    for line in lines:
        product = _VERSION_PRODUCT.search(line)
        if _SYSTEM.search(line):
            inside = False
        elif product is not None and (number := _ON_ONE_LINE.match(line, product.end())):
            yield (_numbers(number["release"]), line.strip())
            inside = False
        elif product is not None:
            inside = _HEADING_END.fullmatch(line, product.end()) is not None
        elif inside and (number := _VERSION_LINE.match(line)):
            yield (_numbers(number["release"]), line.strip())
            inside = False
        elif not _RULE.fullmatch(line) and not _FACT.match(line):
            inside = False


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))


def trimmed(release: tuple[int, ...]) -> tuple[int, ...]:
    """Return a release, number by number, without trailing zeros: 3.10 and 3.10.0 are the same."""
    while release[-1:] == (0,):
        release = release[:-1]
    return release


# -- The Health Monitor's login page, as others captured it for 3.1: that it is one, and its release. Pure; total

_TAG = re.compile(r"<[^<>]*>")
_NAME = re.compile(r"\bhealth +monitor\b", re.I)
_HEALTH_MONITOR_PRODUCT = re.compile(r"\bprime +infrastructure\b", re.I)
_RELEASE = re.compile(r"\bversion ?[:=]? ?([0-9]{1,5}(?:\.[0-9]{1,5}){1,7})(?![0-9.]*[0-9])", re.I)


@dataclass(frozen=True, kw_only=True)
class HealthMonitor:
    """``product``: it names Prime Infrastructure. ``release`` as the page has it; empty where it names none, or two."""

    product: bool
    release: str


def without_tags(page: str) -> str:
    """Return the words of a page in one line."""
    return " ".join(html.unescape(_TAG.sub(" ", page)).split())


def parse_health_monitor(page: str) -> HealthMonitor | None:
    """Return what the page says of itself; None where it is no page of a Health Monitor.

    The page was captured by others, for release 3.1 (docs/product-facts.md).
    """
    text = without_tags(page)
    if not _NAME.search(text):
        return None
    releases = set(_RELEASE.findall(text))
    release = releases.pop() if len(releases) == 1 else ""
    return HealthMonitor(product=bool(_HEALTH_MONITOR_PRODUCT.search(text)), release=release)
