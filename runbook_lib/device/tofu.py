"""The TOFU list: what ``ncs certvalidation tofu-certs listcerts`` prints.

Published in Cisco document 215335: an optional banner of two lines, then one line per entry,
``host=<host>_<port>;``, ``subject=``, and a subject. Blanks between these parts differ from release to
release, and from line to line, and mean nothing.

A subject is chosen by whoever made the certificate, so it may hold text that looks like a list.
What is decided, and what is refused:

- An entry's key ends at the first ``;``: neither a host name nor an address holds ``;``, ``=`` or a
  space. A ``;  subject=`` inside a subject therefore stays in that subject.
- ``host=<host>_<port>;`` in the middle of a line is either hostile text or two entries whose line
  break was lost. Nothing tells them apart, so the whole list is refused.
- A subject that holds a line break and a whole entry after it cannot be told from two entries by
  anybody who sees the text alone. Whoever deletes relies on the certificate that is presented,
  never on this text.
- A further field behind the subject, ``;  <name>=``, is no part of it, nor is a ``;`` at the line's end; only
  one that is named as subjects' attributes are, or ``subject``, stays. What looks like a further column and is set off
  otherwise refuses the list.
- A line that is not understood refuses the list, unless the site's file says that lines like it mean
  nothing. One in which an entry begins is never left out, nor one that may be the rest of the entry above it.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from runbook_lib.device.answers import not_understood, split_answer
from runbook_lib.device.names import SPELLINGS, Attribute, parse_name
from runbook_lib.device_prompts import COLUMNS
from runbook_lib.errors import AnswerNotUnderstood, cut
from runbook_lib.models import TofuEntry, TofuStore
from runbook_lib.params.values import is_pattern, line_pattern

LIST_TOFU = "ncs certvalidation tofu-certs listcerts"
BANNER = (
    re.compile(r"hosts? certificates? (?:is|are) automatically added to this list on first connection,?", re.I),
    re.compile(r"if trust[- ]on[- ]first[- ]use is configured?\b.*", re.I),
)
"""The banner's lines in their order; all of them are printed, or none."""

_ENTRY = re.compile(
    r"[ \t]*host[ \t]*=[ \t]*(?P<key>(?P<host>[^\s;=]+)_(?P<port>[0-9]{1,9}))[ \t]*;[ \t]*"
    r"subject[ \t]*=(?P<subject>.*)",
    re.S | re.I,
)
_ENTRY_INSIDE = re.compile(r"host[ \t]{0,9}=[ \t]{0,9}[^\s;=]*_[0-9]+[ \t]{0,9};", re.I)
_PART = re.compile(rf"{_ENTRY_INSIDE.pattern}|host[ \t]{{0,9}}=[^\s;=]*\Z", re.I)
_CUT_SHORT = re.compile(r"\w(?:\.\.|…|[~*]\Z)")
_FIELD = re.compile(r";[ \t]+(?P<name>[A-Za-z][A-Za-z0-9_-]{0,40})[ \t]?=")
_COLUMN = re.compile(r"(?<![\s,;+=|])(?: {2,}+|[ ]?[\t|])[ \t|]*+[A-Za-z][A-Za-z0-9 _-]{0,40}[=:]")
_PIECE = re.compile(rf"(?:^|[\s/,+])(?:{'|'.join(map(re.escape, SPELLINGS))})[ \t]?=", re.I)
_OF_SUBJECTS = {"HOST", "SUBJECT", *SPELLINGS}
_RULE = re.compile(r"[ \t*=_-]+")
_COUNT = re.compile(r"[^\W\d_]+|[0-9]+|[^\s\w:.,()*=-]")
_COUNTED = {"total", "number", "count", "entry", "entries", "certificate", "certificates", "host", "hosts"}
_OF_COUNTS = _COUNTED | {"of", "the", "tofu", "trusted", "is", "are", "there", "found", "listed", "in", "on", "this"}
_OF_COUNTS |= {"stored", "store", "list", "server"}
LONGEST_COUNT = 200
LONGEST_IGNORED = 1000
"""A longer line fits no pattern of a site: the time that a pattern takes grows with the square of the line's length."""
_NEXT = "Compare the raw text with the list on the server; nothing was deleted."
_BROKEN = (
    "The line above it ends at column 80, where terminals break lines, so this may be the rest of it. Copy the list"
    " from a wider terminal. A server that breaks its lines although it is asked for wide ones cannot be read: repair"
    " this site by hand, as the published procedure says. Nothing was deleted."
)
_MAY_MEAN_NOTHING = (
    "Compare it with the list on the server; nothing was deleted. If lines like it mean nothing, say so in the site's"
    ' file, listing: ignore: ["{}"]'
)


def parse_tofu_list(text: str, server: str, read_utc: datetime, ignore: Iterable[str] = ()) -> TofuStore:
    """Return the store that ``text`` lists, entries in the device's order and duplicates kept.

    The form of the list is published (docs/product-facts.md).
    ``key`` is kept to the letter (``0443`` stays), ``port`` is its value from 1 to 65535. A text
    that is empty or holds the banner alone is an empty store. Every line has to be blank, a rule, a line of
    the banner, a whole entry, or the right number of entries, and the last one has to be ended by a line break
    or a prompt: otherwise the list may have been cut off, and AnswerNotUnderstood is raised. ``ignore`` holds
    what means nothing, as the site's file says: whole lines, or patterns between slashes. What they fit is in
    ``ignored``.
    """

    def refuse(what: str, next_step: str = _NEXT) -> AnswerNotUnderstood:
        return not_understood(what, text, server=server, next_step=next_step)

    lines, whole = split_answer(text)
    body = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not _RULE.fullmatch(line)]
    if body and not whole:
        raise refuse("The TOFU list's last line has no end: the list may have been cut off.")
    entries: list[TofuEntry] = []
    counts: list[int] = []
    ignored: list[str] = []
    for number, line in body[_banner_length([line for _, line in body]) :]:
        above = lines[number - 2] if number > 1 and entries else ""
        broken = len(above) == COLUMNS
        piece = bool(_ENTRY_INSIDE.search(line) or (entries and _PIECE.search(line)))
        if entry := entry_of(line):
            entries.append(entry)
        elif not piece and _fits(line, [words for words in ignore if not (broken and is_pattern(words))]):
            ignored.append(line.strip())
        elif (count := _count(line)) is not None:
            counts.append(count)
        else:
            shown = cut(line.strip(), 200)
            advice = _NEXT if piece else _MAY_MEAN_NOTHING.format(shown)
            raise refuse(
                f"Line {number} of the TOFU list is neither its banner nor a whole entry: {shown!r}",
                _BROKEN if broken else advice,
            )
    if any(count != len(entries) for count in counts):
        raise refuse(f"The TOFU list names {counts[0]} entries and holds {len(entries)}: it may have been cut off.")
    return TofuStore(server=server, entries=tuple(entries), read_utc=read_utc, ignored=tuple(ignored))


def vanished_entries(before: Iterable[str], after: Iterable[str]) -> list[str]:
    """Return the lines of entries in ``before`` that ``after`` does not hold, or holds less often.

    Entries are compared by what they say: the key to the letter, the subject by its attributes. Blanks, the order
    of the lines and the spelling of a subject are how a list is printed.
    """
    left = Counter(map(_meaning, after))
    gone = []
    for line in before:
        meaning = _meaning(line)
        if left[meaning]:
            left[meaning] -= 1
        else:
            gone.append(line)
    return gone


def _meaning(line: str) -> tuple[str, tuple[tuple[Attribute, ...], ...]] | str:
    entry = entry_of(line)
    return (entry.key, parse_name(entry.subject).rdns) if entry else line


def _count(line: str) -> int | None:
    """Return the number of entries where the line tells that and nothing else, in known words only."""
    words = _COUNT.findall(line.casefold()) if len(line) <= LONGEST_COUNT else []
    numbers = [word for word in words if word.isdigit()]
    rest = {word for word in words if not word.isdigit()}
    return int(numbers[0]) if len(numbers) == 1 and rest & _COUNTED and rest <= _OF_COUNTS else None


def _fits(line: str, ignore: Iterable[str]) -> bool:
    words = " ".join(line.split())
    return len(words) <= LONGEST_IGNORED and any(re.fullmatch(pattern, words) for pattern in map(line_pattern, ignore))


def _banner_length(lines: list[str]) -> int:
    """Return how many lines the banner takes: all of its lines, or none."""
    head = [line.strip() for line in lines[: len(BANNER)]]
    if len(head) < len(BANNER) or any(_ENTRY_INSIDE.search(line) for line in head):
        return 0
    known = all(pattern.fullmatch(line) for pattern, line in zip(BANNER, head, strict=True))
    return len(BANNER) if known else 0


def entry_of(line: str) -> TofuEntry | None:
    """Return the entry that ``line`` is, or None where it is no whole entry or could be two."""
    match = _ENTRY.fullmatch(line)
    if match is None or not match["key"].isprintable() or _ENTRY_INSIDE.search(line, match.end("key")):
        return None
    if _CUT_SHORT.search(match["host"]):  # it may be the beginning of several names
        return None
    port, subject = int(match["port"]), _without_fields(match["subject"]).strip()
    if not 1 <= port <= 65535 or _COLUMN.search(subject):
        return None
    try:
        parse_name(subject)
    except AnswerNotUnderstood:
        return None
    return TofuEntry(key=match["key"], host=match["host"], port=port, subject=subject, line=line)


def is_part_of_list(text: str) -> bool:
    """Return whether an entry begins in ``text``, or may begin where it ends."""
    return _PART.search(text) is not None


def _without_fields(subject: str) -> str:
    """Return what stands before the first further field of the line."""
    ends = (field.start() for field in _FIELD.finditer(subject) if field["name"].upper() not in _OF_SUBJECTS)
    text = subject[: next(ends, len(subject))]
    kept = text.rstrip(f";{string.whitespace}")
    return text[: len(kept) + kept.endswith("\\")]
