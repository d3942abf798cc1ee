"""The TOFU list: what ``ncs certvalidation tofu-certs listcerts`` prints.

Published in Cisco document 215335: an optional banner of two lines, then one line per entry,
``host=<host>_<port>;``, one or two spaces, ``subject=`` with or without a space, and a subject.

A subject is chosen by whoever made the certificate, so it may hold text that looks like a list.
What is decided, and what is refused:

- An entry's key ends at the first ``;``: neither a host name nor an address holds ``;``, ``=`` or a
  space. A ``;  subject=`` inside a subject therefore stays in that subject.
- ``host=<host>_<port>;`` in the middle of a line is either hostile text or two entries whose line
  break was lost. Nothing tells them apart, so the whole list is refused.
- A subject that holds a line break and a whole entry after it cannot be told from two entries by
  anybody who sees the text alone. Whoever deletes relies on the certificate that is presented,
  never on this text.
"""

from __future__ import annotations

import re
from datetime import datetime

from runbook_lib.errors import AnswerNotUnderstood
from runbook_lib.models import TofuEntry, TofuStore
from runbook_lib.parse._answers import not_understood, split_answer
from runbook_lib.parse.names import parse_name

BANNER = (
    re.compile(r"hosts? certificates? (?:is|are) automatically added to this list on first connection,?", re.I),
    re.compile(r"if trust[- ]on[- ]first[- ]use is configured?\b.*", re.I),
)
"""The banner's lines in their order; all of them are printed, or none."""

_ENTRY = re.compile(r"host=(?P<key>(?P<host>[^\s;=]+)_(?P<port>[0-9]{1,9})); {1,2}subject=(?P<subject>.*)", re.S)
_ENTRY_INSIDE = re.compile(r"host=[^\s;=]*_[0-9]+;")
_NEXT = "Compare the raw text with the list on the server; nothing was deleted."


def parse_tofu_list(text: str, server: str, read_utc: datetime) -> TofuStore:
    """Return the store that ``text`` lists, entries in the device's order and duplicates kept.

    ``key`` is kept to the letter (``0443`` stays), ``port`` is its value from 1 to 65535. A text
    that is empty or holds the banner alone is an empty store. Every line has to be blank, a line of
    the banner, or a whole entry, and the last one has to be ended by a line break or a prompt:
    otherwise the list may have been cut off, and AnswerNotUnderstood is raised.
    """

    def refuse(what: str) -> AnswerNotUnderstood:
        return not_understood(what, text, server=server, next_step=_NEXT)

    lines, whole = split_answer(text)
    body = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if body and not whole:
        raise refuse("The TOFU list's last line is not ended: the list may have been cut off.")
    entries = []
    for number, line in body[_banner_length([line for _, line in body]) :]:
        entry = _entry(line)
        if entry is None:
            raise refuse(f"Line {number} of the TOFU list is neither its banner nor a whole entry.")
        entries.append(entry)
    return TofuStore(server=server, entries=tuple(entries), read_utc=read_utc)


def _banner_length(lines: list[str]) -> int:
    """Return how many lines the banner takes: all of its lines, or none."""
    head = [line.strip() for line in lines[: len(BANNER)]]
    known = len(head) == len(BANNER) and all(
        pattern.fullmatch(line) and not _ENTRY_INSIDE.search(line) for pattern, line in zip(BANNER, head, strict=True)
    )
    return len(BANNER) if known else 0


def _entry(line: str) -> TofuEntry | None:
    """Return the entry that ``line`` is, or None where it is no whole entry or could be two."""
    found = _ENTRY.fullmatch(line)
    if found is None or not found["key"].isprintable() or _ENTRY_INSIDE.search(line, found.end("key")):
        return None
    port, subject = int(found["port"]), found["subject"].strip()
    if not 1 <= port <= 65535:
        return None
    try:
        parse_name(subject)
    except AnswerNotUnderstood:
        return None
    return TofuEntry(key=found["key"], host=found["host"], port=port, subject=subject, line=line)
