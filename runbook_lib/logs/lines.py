"""What log lines hold around a message: times, levels, threads and loggers before it, the subject at its end. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from runbook_lib.errors import UsageError, cut
from runbook_lib.logs.search import Window

LINE_LIMIT = 1000
"""Characters that are kept of a line of evidence."""

# -- Times at the beginning of log lines, in the forms that logs of this kind use. -----------------
#
# No form is published for the product. A time without a year (syslog) is no time: the year is not
# guessed. ``11/23/26`` is read month first, unless its first number can only be a day. Of a zone's letters only UTC and
# GMT are read: others mean several zones, and are left to whoever says which zone a log is in.

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(?P<name>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_DAY = r"(?P<day>\d{1,2})"
_YEAR = r"(?P<year>\d{4})"
_CLOCK = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2}):(?P<second>\d{2})(?:[.,:](?P<fraction>\d{1,9}))?"
    r"(?:[ ]?(?P<half>[AaPp][Mm])\b)?"
)
_ZONE = (
    r"(?:[ ]?(?P<zone>(?:UTC|GMT)?[+-]\d{2}:?\d{2}|(?:UTC|GMT)[+-]\d{1,2}|(?:\+|(?<=\d)-)\d{2}|Z|UTC|GMT)(?![\w:+-]))?"
)
_FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.]{_DAY}(?:[T ]|, )[ ]?{_CLOCK}{_ZONE}",
        rf"(?P<first>\d{{1,2}})/(?P<other>\d{{1,2}})/(?P<year>\d{{4}}|\d{{2}}),?[ ]{{1,2}}{_CLOCK}{_ZONE}",
        rf"{_DAY}[- /]{_MONTH}[- /]{_YEAR}[ :,]{{1,2}}{_CLOCK}{_ZONE}",
        rf"(?:[A-Z][a-z]{{2}},?[ ])?{_MONTH}[ ]{{1,2}}{_DAY},?[ ]{_YEAR},?[ ]{{1,2}}{_CLOCK}{_ZONE}",
        rf"(?:[A-Z][a-z]{{2}}[ ])?{_MONTH}[ ]{{1,2}}{_DAY}[ ]{_CLOCK}[ ](?:(?P<zone>UTC|GMT)|[A-Z]{{3,5}})?[ ]?{_YEAR}",
        rf"{_DAY}\.(?P<month>\d{{1,2}})\.{_YEAR},?[ ]{{1,2}}{_CLOCK}{_ZONE}",
    )
)
_FIRST = re.compile(r"[0-9]{1,4}[-/.: ]|[A-Z][a-z]{2}")
"""How each of the forms begins: most of what a line holds is no time, which this tells sooner than all of them."""
_NO_YEAR = re.compile(rf"{_MONTH}[ ]{{1,2}}{_DAY}[ ]{_CLOCK}", re.ASCII)
_CLOCK_ALONE = re.compile(_CLOCK, re.ASCII)
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>\d{2}):(?P<minutes>\d{2})", re.ASCII)


def match_time(text: str, position: int = 0) -> tuple[int, datetime | None] | None:
    """Return the character at which the time at ``position`` ends, and the time: naive where no zone is given.

    The time is None where its year is not known or its numbers are no date; the whole is None where
    no time begins there.
    """
    if not _FIRST.match(text, position):
        return None
    for form in _FORMS:
        if match := form.match(text, position):
            return match.end(), _moment(match)
    match = _NO_YEAR.match(text, position) or _CLOCK_ALONE.match(text, position)
    return (match.end(), None) if match else None


def clock_of(server: str, name: str) -> tzinfo:
    """Return the zone of a server's log times: that of a name or an offset (``+02:00``), UTC where none is given.

    Raises UsageError where there is no such zone.
    """
    if not name:
        return UTC
    if offset := _OFFSET.fullmatch(name):
        ahead = timedelta(hours=int(offset["hours"]), minutes=int(offset["minutes"]))
        return timezone(-ahead if offset["sign"] == "-" else ahead)
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"The time zone of {server}'s logs is not known.",
            where=server,
            found=name,
            next_step="Give a name such as Europe/Prague, an offset such as +02:00, or UTC.",
        ) from error


def as_utc(moment: datetime, zone: tzinfo) -> datetime | None:
    """Return ``moment`` in UTC, read in ``zone`` where it has no offset.

    None at the calendar's ends, and in the hours that a clock repeats or leaves out where summer time ends or begins.
    """
    utc = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    try:
        return utc.astimezone(UTC) if utc.utcoffset() == utc.replace(fold=1).utcoffset() else None
    except (OverflowError, ValueError):
        return None


def _moment(match: re.Match[str]) -> datetime | None:
    parts = match.groupdict()
    month, day = _month_and_day(parts)
    year = int(parts["year"])
    hour = int(parts["hour"])
    if parts["half"]:
        hour = hour % 12 + (12 if parts["half"].lower() == "pm" else 0)
    fraction = int((parts["fraction"] or "0")[:6].ljust(6, "0"))
    try:
        second = min(int(parts["second"]), 59)  # a leap second has no datetime of its own
        return datetime(
            year if year > 99 else 2000 + year, month, day, hour, int(parts["minute"]), second, fraction, _zone(parts)
        )
    except ValueError:
        return None


def _month_and_day(parts: dict[str, str]) -> tuple[int, int]:
    if parts.get("name"):
        return _MONTHS.index(parts["name"].lower()) + 1, int(parts["day"])
    if parts.get("month"):
        return int(parts["month"]), int(parts["day"])
    first, other = int(parts["first"]), int(parts["other"])
    return (other, first) if first > 12 else (first, other)


def _zone(parts: dict[str, str]) -> tzinfo | None:
    zone = parts["zone"]
    if not zone:
        return None
    offset = re.sub("[A-Z:]", "", zone)
    if not offset:
        return UTC
    ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:] or 0))
    return timezone(-ahead if offset[0] == "-" else ahead)


# -- What stands before a log line's message: times, bracketed groups, levels, loggers. Pure -------

LONGEST = 512
"""Bytes of a line in which its prefix is looked for."""

THREADS = (
    ("health_monitor", re.compile(r"HealthMonitorThread[\w.-]*")),
    ("infrastructure", re.compile(r"seqtaskexecutor-\d+")),
)
"""The kinds of threads whose names are published."""

_LEVELS = "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|FATAL|CRITICAL|FINE|FINER|FINEST|CONFIG"
_TOKEN = re.compile(
    rf"(?P<group>\[[^\[\]\n]{{0,120}}\])|<\d{{1,3}}>(?:1[ ])?|\((?:{_LEVELS})\)|(?:{_LEVELS})\b:?"
    r"|(?![\w$.]*(?:Exception|Error)\b)(?:[A-Za-z_$][\w$]{0,60}\.){2,12}[\w$]{1,60}(?=[ \t]*[:|-][ \t]|[ \t]+\[)",
    re.I,
)
_GROUP = re.compile(r"\[([^\[\]\n]{1,120})\]")
_BETWEEN = re.compile(r"[ \t|,:>*-]*")
_NO_THREAD = re.compile(rf"system|{_LEVELS}|\d*", re.I)


@dataclass(frozen=True)
class Prefix:
    """A line's prefix: its length, the thread's name and the time that stand in it (empty, None: not there).

    ``said`` is the time as it is written, even without a year.
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
        start = match.end() if (match := _BETWEEN.match(line, position)) else position
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


def _thread(line: str, end: int, groups: list[str]) -> str:
    for _, name in THREADS:
        if known := name.search(line, 0, end):
            return known[0]
    return _named(groups)


def _named(groups: list[str]) -> str:
    named = [group for group in groups if not _NO_THREAD.fullmatch(group) and not match_time(group)]
    return cut(named[-1], 80) if named else ""


# -- The subject at the end of a mismatch message: where it ends, on one line or wrapped over several

DN_START = rb"(?=/?(?:[A-Za-z][A-Za-z0-9-]{0,40}|(?:OID\.)?[0-9]{1,9}(?:\.[0-9]{1,20}){1,32})(?:[ \t]|\xc2?\xa0)*=)"

_LONGEST_LINE = 16384
_MOST_LINES = 12
_AFTER = re.compile(
    r"[ \t](?:Caused by:|at [\w$.<>]{1,200}\(|\.\.\. \d{1,6} (?:more|common)"
    r"|(?:[a-z][\w$]{0,60}\.){1,12}[\w$]{0,60}(?:Exception|Error)\b|;[ \t]{0,8}nested)"
    r"|TOFU failed|Trust-on-first-use|\r|\\n|(?:\]\]>\s{0,8})?(?:</[A-Za-z][\w:.-]{0,60}>\s{0,8}){1,4}\Z|\]\]>\Z"
)
_KNOWN_TYPE = re.compile(
    r"(?:[^=\n]{0,200}[\]>:|-][ \t]{1,8}|(?:[\w.-]{1,60}[ \t]{1,4}){1,4})(?=(?:CN|OU|O|L|ST|S|C|DC|UID|STREET)\s{0,8}=)"
)
_GOES_ON = re.compile(r"[^=,\n]{0,64},\s{0,8}(?:CN|OU|O|L|ST|S|C|DC|UID|E|EMAILADDRESS|STREET)\s{0,8}=", re.I)
_NEXT_TYPE = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]{0,40}|(?:OID\.)?[0-9]{1,9}(?:\.[0-9]{1,20}){1,32})\s{0,8}=")
_NO_BREAK = re.compile("(?<=[,+=; ])[\u00a0\u202f]|[\u00a0\u202f](?=[ ,+=])")
"""Spaces that do not break, beside a separator: there they are spaces, in a value they are the value's."""

_OPEN_END = re.compile(r"(?<!\\)[,+]\s*\Z")


def read_subject(window: Window, start: int) -> tuple[str, int, bool]:
    """Return the subject that begins at byte ``start``, the byte at which it ends, and whether the log ends within it.

    That it ends the message, in the order of RFC 2253, is published (docs/product-facts.md).
    It goes on in the next line where this one ends with an open comma, or where the next line has
    no prefix and finishes a value before another attribute.
    """
    parts: list[str] = []
    position = start
    for _ in range(_MOST_LINES):
        end = min(window.line_end(position), position + _LONGEST_LINE)
        text = _NO_BREAK.sub(" ", window.text(position, end))
        after = _AFTER.search(text)  # what does not belong to the subject any more
        text, whole = (text[: after.start()], False) if after else (text, True)
        parts.append(text.strip())
        if not whole or end >= window.high:
            return " ".join(parts), end, whole and end >= window.high and window.at_end
        following = _continuation(window, end + 1, text)
        if following is None:
            return " ".join(parts), end, False
        position = following
    return " ".join(parts), position, False


def _continuation(window: Window, start: int, line: str) -> int | None:
    """Return where the subject goes on in the line that begins at ``start``."""
    head = window.data[start : min(window.line_end(start), start + LONGEST)].decode("latin-1")
    prefix = read_prefix(head)
    body = head[prefix.length :].lstrip(" \t")
    offset = len(head) - len(body)
    if _OPEN_END.search(line):
        if not _NEXT_TYPE.match(body) and (unknown := _KNOWN_TYPE.match(body)):
            offset += unknown.end()
            body = body[unknown.end() :]
        return start + offset if _NEXT_TYPE.match(body) else None
    goes_on = not prefix.length and _GOES_ON.match(body) and not _NEXT_TYPE.match(body)
    return start + offset if goes_on else None
