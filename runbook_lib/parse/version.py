"""The release of Prime Infrastructure in ``show version``.

The command lists the ADE-OS first and the installed applications after it, each with versions of its
own. Its wording is not published, so any line that names Prime Infrastructure starts the search and
the next ``Version`` line ends it; what belongs to the ADE-OS never counts.
"""

from __future__ import annotations

import re

from runbook_lib.models import ProductVersion
from runbook_lib.parse._answers import not_understood, split_answer

_PRODUCT = re.compile(r"(?:cisco[ \t]+)?prime[ \t]+infrastructure\b", re.I)
_NUMBER = r"(?P<release>[0-9]{1,5}(?:\.[0-9]{1,5}){0,7})(?![0-9.]*[0-9])"
_ON_ONE_LINE = re.compile(rf"[ \t:,(-]*(?:(?:version|release)[ \t]*+(?:[:=][ \t]*+)?)?{_NUMBER}", re.I)
_VERSION_LINE = re.compile(rf"[ \t]*(?:version|release)[ \t]*+(?:[:=][ \t]*+)?{_NUMBER}", re.I)
_SYSTEM = re.compile(r"ADE-?OS|Application Deployment Engine", re.I)
_HEADING_END = re.compile(r"[ \t:*=-]*+(?:\([^()]*\)[ \t:*=-]*+)?")
_RULE = re.compile(r"[\s*=_-]*")
_FACT = re.compile(r"[^:=]{1,60}[:=]")


def parse_version(text: str, server: str) -> ProductVersion:
    """Return Prime Infrastructure's release as numbers, so that 3.10 is later than 3.5, and its line.

    AnswerNotUnderstood is raised where the release is not named, or named twice and differently.
    """
    lines, _ = split_answer(text)
    found = list(dict.fromkeys(_releases(lines)))
    if len({_trimmed(release) for release, _ in found}) != 1:
        what = "names several releases" if found else "does not name the release"
        raise not_understood(
            f"The answer to `show version` {what} of Prime Infrastructure.",
            text,
            server=server,
            next_step="Compare it with Help > About on the server's page.",
        )
    release, line = found[0]
    return ProductVersion(server=server, release=release, line=line)


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
