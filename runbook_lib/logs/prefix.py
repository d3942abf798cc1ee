"""What stands before a log line's message: times, bracketed groups, levels, loggers. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from runbook_lib.errors import cut
from runbook_lib.logs.timestamps import match_time

LONGEST = 512
"""Bytes of a line in which its prefix is looked for."""

THREADS = (
    ("health_monitor", re.compile(r"HealthMonitorThread[\w.-]*")),
    ("infrastructure", re.compile(r"seqtaskexecutor-\d+")),
)
"""The kinds of threads whose names are published."""

_LEVELS = "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|FATAL|CRITICAL|FINE|FINER|FINEST|CONFIG"
_TOKEN = re.compile(
    rf"(?P<group>\[[^\[\]\n]{{0,120}}\])|<\d{{1,3}}>|\((?:{_LEVELS})\)|(?:{_LEVELS})\b:?"
    r"|(?![\w$.]*(?:Exception|Error)\b)(?:[A-Za-z_$][\w$]{0,60}\.){2,12}[\w$]{1,60}(?=[ \t]*[:|-][ \t]|[ \t]+\[)",
    re.I,
)
_GROUP = re.compile(r"\[([^\[\]\n]{1,120})\]")
_BETWEEN = re.compile(r"[ \t|,:>*-]*")
_NO_THREAD = re.compile(rf"system|{_LEVELS}|\d*", re.I)


@dataclass(frozen=True)
class Prefix:
    """A line's prefix: its length, the thread's name and the time that stand in it (empty, None: not there).

    ``said`` is the time as it is written, also where it holds no year.
    """

    length: int = 0
    thread: str = ""
    moment: datetime | None = None
    said: str = ""


def read_prefix(line: str) -> Prefix:
    """Return the prefix of a line, of which the first LONGEST characters are enough."""
    position, end = 0, 0
    groups: list[str] = []
    moment: datetime | None = None
    said = ""
    while True:
        start = _skip(line, position)
        if line.startswith("[", start) and (inner := match_time(line, start + 1)) and moment is None:
            moment = inner[1]
            said = line[start + 1 : inner[0]]
        if time := match_time(line, start):
            said = said if moment or (said and not time[1]) else line[start : time[0]]
            moment = moment or time[1]
            position = time[0]
        elif token := _TOKEN.match(line, start):
            groups += [token["group"][1:-1].strip()] if token["group"] else []
            position = token.end()
        else:
            break
        end = position
    length = end + len(line[end:]) - len(line[end:].lstrip(" \t")) if end else 0
    return Prefix(length, _thread(line, end, groups), moment, said)


def kind_of_thread(thread: str) -> str:
    """Return ``health_monitor``, ``infrastructure``, or empty for a thread that is neither."""
    return next((kind for kind, name in THREADS if name.search(thread)), "")


def thread_in(text: str) -> str:
    """Return the last thread's name in a prefix of unknown form: a published one, or what the last brackets hold."""
    for _, name in THREADS:
        if known := name.findall(text):
            return str(known[-1])
    return _named(_GROUP.findall(text))


def _skip(line: str, position: int) -> int:
    found = _BETWEEN.match(line, position)
    return found.end() if found else position


def _thread(line: str, end: int, groups: list[str]) -> str:
    for _, name in THREADS:
        if known := name.search(line, 0, end):
            return known[0]
    return _named(groups)


def _named(groups: list[str]) -> str:
    named = [g for g in groups if not _NO_THREAD.fullmatch(g) and not match_time(g)]
    return cut(named[-1], 80) if named else ""
