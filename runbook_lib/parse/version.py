"""The release of Prime Infrastructure in ``show version``.

The command lists the ADE-OS first and the installed applications after it, each with versions of its
own. Its wording is captured by third parties for some releases, so any line that names Prime Infrastructure starts
the search and the next ``Version`` line ends it; what belongs to the ADE-OS never counts. ``Version`` stays what was
installed first: a maintenance release is a line under the fixes, and the highest one is what runs.
"""

from __future__ import annotations

import re

from runbook_lib.errors import AnswerNotUnderstood
from runbook_lib.models import ProductVersion
from runbook_lib.parse._answers import not_understood, split_answer

_PRODUCT = re.compile(r"(?:cisco[ \t]+)?prime[ \t]+infrastructure\b", re.I)
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

    AnswerNotUnderstood is raised where the release is not named, or named twice and differently; another product
    is called by its name. Lines under the fixes that are not understood are kept, and change nothing.
    """
    lines, _ = split_answer(text)
    body, fix_lines = _without_fixes(lines)
    found = list(dict.fromkeys(_releases(body)))
    if len({_trimmed(release) for release, _ in found}) != 1:
        raise _not_a_release(text, server, several=bool(found))
    base, line = found[0]
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
    """Return the release that a fix brings; nothing where it is none of the same line of releases."""
    found = _FIX.search(fix)
    release = _numbers(found["release"].replace("_", ".")) if found else ()
    return release if release[:2] == base[:2] else ()


def _releases(lines: list[str]) -> list[tuple[tuple[int, ...], str]]:
    """Return each release that stands on, or in the block under, a line that names the product."""
    found = []
    inside = False
    for line in lines:
        product = _PRODUCT.search(line)
        if _SYSTEM.search(line):
            inside = False
        elif product is not None and (number := _ON_ONE_LINE.match(line, product.end())):
            found.append((_numbers(number["release"]), line.strip()))
            inside = False
        elif product is not None:
            inside = _HEADING_END.fullmatch(line, product.end()) is not None
        elif inside and (number := _VERSION_LINE.match(line)):
            found.append((_numbers(number["release"]), line.strip()))
            inside = False
        elif not _RULE.fullmatch(line) and not _FACT.match(line):
            inside = False
    return found


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))


def _trimmed(release: tuple[int, ...]) -> tuple[int, ...]:
    """Return ``release`` without trailing zeros: 3.10 and 3.10.0 are the same."""
    end = len(release)
    while end > 1 and release[end - 1] == 0:
        end -= 1
    return release[:end]
