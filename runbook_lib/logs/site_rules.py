"""What a site adds to a diagnosis: rules of its own, and stored lists by which entries are named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, get_args

from runbook_lib.device.tofu import parse_tofu_list
from runbook_lib.errors import AnswerNotUnderstood, UsageError, cut
from runbook_lib.logs.jobs import UNKNOWN
from runbook_lib.logs.rules import RULES, Confidence, Rule
from runbook_lib.logs.scanner import Scanner
from runbook_lib.models import PI_SERVERS, Stage, TofuStore
from runbook_lib.params.values import checked_pattern
from runbook_lib.paths import delivered

# -- Rules that a site adds: a YAML list, each with a text that it must match and one that it must not.
#
# ::
#
#     - name: ntp_lost
#       literals: ["NTP daemon lost"]
#       patterns: ["NTP daemon lost \d+ peers"]
#       meaning: "The server has lost its time sources."
#       advice: "Mend NTP on the server that logs this."
#       confidence: likely          # certain, likely or possible; optional
#       notebook: 00_start_here     # the stage that goes on from here; optional
#       lines_before: 0             # lines above that count as well, 3 at most; optional
#       match: "12:00:01 NTP daemon lost 3 peers"
#       near_miss: "12:00:01 NTP daemon lost no peers"

SHORTEST_LITERAL = 4
MOST_LINES_BEFORE = 3
LONGEST_FILE = 1 << 20

_NEEDED = ("name", "literals", "meaning", "advice", "match", "near_miss")
_OPTIONAL = ("patterns", "confidence", "notebook", "lines_before")


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Return the rules of a site's file.

    Raises UsageError that names every problem: a key that is missing, unknown or of the wrong kind, a pattern that
    is none, a name that is taken, and a rule that does not do to its own two texts what they say.
    """
    problems: list[str] = []
    rules: list[Rule] = []
    taken = {rule.name for rule in RULES}
    for number, item in enumerate(_items(path), 1):
        label = str(item.get("name", "")) if isinstance(item, Mapping) else ""
        wrong = _problems(item, taken)
        if not wrong:
            rule = Rule(
                name=item["name"],
                literals=tuple(map(_bytes, item["literals"])),
                patterns=tuple(re.compile(text) for text in item.get("patterns", [])),
                meaning=item["meaning"],
                advice=item["advice"],
                confidence=cast("Confidence", item.get("confidence", "likely")),
                notebook=item.get("notebook", ""),
                lines_before=item.get("lines_before", 0),
            )
            if not _counts(rule, item["match"]):
                wrong.append("match: the rule does not find its message in this text")
            if _counts(rule, item["near_miss"]):
                wrong.append("near_miss: the rule finds its message in this text too")
            rules.append(rule)
            taken.add(rule.name)
        problems += [f"rule {number} {label}".rstrip() + f": {problem}" for problem in wrong]
    if problems:
        raise _invalid(path, "\n".join(problems))
    return tuple(rules)


def _items(path: Path) -> list[Any]:
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        if len(text) > LONGEST_FILE:
            raise _invalid(path, "the file is longer than a megabyte")
        data = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:  # ValueError: a date that is none
        raise _invalid(path, str(error)) from error
    if data is None:
        return []
    if not isinstance(data, list):
        raise _invalid(path, "the file is not a list of rules")
    return data


def _problems(item: object, taken: set[str]) -> list[str]:
    if not isinstance(item, Mapping):
        return ["is not a mapping of keys"]
    known = (*_NEEDED, *_OPTIONAL)
    wrong = [f"{key!s:.40}: unknown key; known are {', '.join(known)}" for key in item if key not in known]
    wrong += [f"{key}: is missing" for key in _NEEDED if key not in item]
    for key in ("name", "meaning", "advice", "match", "near_miss", "confidence", "notebook"):
        if key in item and (not isinstance(item[key], str) or not item[key].strip()):
            wrong.append(f"{key}: write a text")
    for key in ("literals", "patterns"):
        value = item.get(key, [])
        if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
            wrong.append(f"{key}: write a list of texts")
    return wrong or [*_worse_problems(item, taken)]


def _worse_problems(item: Mapping[str, Any], taken: set[str]) -> list[str]:
    """Return what is wrong with values that are of the right kind."""
    wrong = []
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", item["name"]):
        wrong.append("name: write small letters, digits and underscores")
    if item["name"] in taken:
        wrong.append("name: there is a rule of that name already")
    if min((len(_bytes(text)) for text in item["literals"]), default=0) < SHORTEST_LITERAL:
        wrong.append(f"literals: write at least one, of {SHORTEST_LITERAL} bytes or more: rare words are quick to find")
    for text in item.get("patterns", []):
        try:
            checked_pattern(text)
        except ValueError as error:
            wrong.append(f"patterns: {cut(text, 60)!r} {error}")
    if item.get("confidence", "likely") not in get_args(Confidence):
        wrong.append(f"confidence: write one of {', '.join(get_args(Confidence))}")
    if item.get("notebook", Stage.START) not in set(Stage):
        wrong.append(f"notebook: write one of {', '.join(Stage)}")
    lines = item.get("lines_before", 0)
    if type(lines) is not int or not 0 <= lines <= MOST_LINES_BEFORE:
        wrong.append(f"lines_before: write a number from 0 to {MOST_LINES_BEFORE}")
    return wrong


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _counts(rule: Rule, text: str) -> int:
    scanner = Scanner((rule,), UTC)
    scanner.begin_file("example")
    scanner.feed(_bytes(text))
    scanner.finish()
    return scanner.findings.tallies[rule.name].count


def _invalid(path: Path, found: str) -> UsageError:
    return UsageError(
        "The site's rules for logs cannot be used.",
        where=str(path),
        found=found,
        next_step=f"Correct the file; {delivered('docs/diagnosis.md')} shows what a rule looks like.",
    )


# -- What ``listcerts`` printed, from files: the stores by which a diagnosis names entries ---------

LONGEST_LIST = 8 << 20
OWN_OF_SECONDARY = "127.0.0.1_8082"
"""The entry that, as published, the secondary alone lists."""


def read_stores(paths: Mapping[str, Sequence[Path]]) -> tuple[TofuStore, ...]:
    """Return the stores of the files that are given per server; under ``""`` the list itself has to tell.

    Raises UsageError for a file that cannot be read or that holds no such list.
    """
    return tuple(_store(server, path) for server, files in paths.items() for path in files)


def _store(server: str, path: Path) -> TofuStore:
    try:
        if path.stat().st_size > LONGEST_LIST:
            raise _refused(path, "longer than any list")
        raw = path.read_bytes()
        read = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError, OverflowError) as error:
        raise _refused(path, str(error)) from error
    text = raw.decode("utf-8-sig", "replace").replace("\0", "")
    if text and not text.endswith("\n"):
        text += "\n"  # a text that was copied often lacks it; a list that was cut off lacks entries as well
    try:
        store = parse_tofu_list(text, server or UNKNOWN, read)
    except AnswerNotUnderstood as error:
        raise _refused(path, f"{error.what} {cut(error.found, 200)}") from error
    if not server and any(entry.key == OWN_OF_SECONDARY for entry in store.entries):
        return replace(store, server=PI_SERVERS[1])
    return store


def _refused(path: Path, found: str) -> UsageError:
    return UsageError(
        "This is not what listcerts prints.",
        where=str(path),
        found=found,
        next_step="Save the whole output of 'ncs certvalidation tofu-certs listcerts' and give that file.",
    )
