"""The mismatch message around one hit of its rarest words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from runbook_lib.device.names import Name, parse_name
from runbook_lib.errors import AnswerNotUnderstood
from runbook_lib.logs.lines import DN_START, LONGEST, Prefix, read_prefix, read_subject, thread_in
from runbook_lib.logs.search import BEFORE, COLOUR, Window, decode

# -- The mismatch message around one hit of its rarest words. --------------------------------------
#
# Published are two forms, each on one line or broken over several::
#
#     TOFU failed. Check local trust Trust-on-first-use is configure for this connection.
#         Current certificate of the remote host is different from what was used earlier - <subject>
#     …Exception: Trust-on-first-use is configure for this connection.
#         Current certificate of the remote host is different from what was used earlier - <subject>
#
# What makes one of them real, and not a text that only quotes it:
#
# - all of its words are there, in order, down to a subject of the form ``TYPE=value``;
# - they are introduced by ``TOFU failed. Check local trust`` or by an exception's name and a colon;
# - what stands before that on its line opens no quotation, holds none of the words by which people and
#   audit trails quote (``QUOTING``), and before ``TOFU failed`` is no sentence: at most three plain words.
#
# Words may be broken over lines wherever a space stands, each line with a prefix of its own or none.
# Lines of other threads in between are passed over.

LITERAL = b"Trust-on-first-use"
FURTHER = b"for this connection. C"
"""Words behind them, which stand whole where a terminal of 60 columns or more has broken the rarest ones."""

QUOTING = re.compile(
    r"\b(?:audit|grep|search|quot|example|e\.g\.|help|documentation|pasted|copied|typed|looks? for|looking for)", re.I
)

_DASH = rb"(?:-|\xe2\x80[\x90-\x95]|\x96)"
"""The published one, or what mails and word processors make of it."""

_STOP = rb"(?:" + COLOUR.pattern.encode() + rb")*[.:]?"
_BODY = (
    *(rb"Trust-on-first-use", rb"is", rb"configured?", rb"for", rb"this", rb"connection" + _STOP),
    *(rb"Current", rb"certificate", rb"of", rb"the", rb"remote", rb"host", rb"is", rb"different", rb"from"),
    *(rb"what", rb"was", rb"used", rb"earlier" + _STOP, _DASH + rb"(?:[ \t]*-)*", DN_START),
)
_WORDS = tuple(re.compile(word) for word in _BODY)
_INTRODUCTION = tuple(
    re.compile(word) for word in (rb"TOFU", rb"failed" + _STOP, rb"Check", rb"local", rb"trust" + _STOP)
)
_EXCEPTION = re.compile(rb"Exception:")
_OPEN_QUOTE = re.compile(r"""(?:^|[\s=(:,>\[])["'`]|[“‘«]""")
_FIELD = re.compile(r'(?:"?\b(?:message|msg|log|_raw)"?\s?[:=]\s?|^|[,;|\t])"[^"]*\Z')
_WHOLE_QUOTE = re.compile(r'"[^"\n]{0,200}"')
_PLAIN_WORD = re.compile(r"(?<![\w.=\[/:<-])[A-Za-z][a-z']*(?![\w.=\]/:-])")
_HEADER = re.compile(r"[\w$]{1,200}(?:\.[\w$]{1,200}){1,20}[ \t]{1,8}[\w$<>]{1,200}\s*")
# And those that do not break, as pages and mails put them; and colour.
_BLANK = rb"(?:[ \t]|\xc2?\xa0|\xe2\x80\xaf|" + COLOUR.pattern.encode() + rb")"
_BLANKS = re.compile(rb"(?:" + _BLANK + rb"|\r)*")
_MARKS = re.compile(rb"(?:" + _BLANK + rb"|[|:>*])*")
_WIDTHS = frozenset(range(40, 512))  # columns of terminals that break lines
_ENOUGH = 30
_MESSAGES = tuple(
    b"Trust-on-first-use is %s for this connection. Current certificate of the remote host is different from what"
    b" was used earlier -" % word
    for word in (b"configure", b"configured")
)
_TOLD = b"forthisconnection.Currentcertificateoftheremotehostisdifferentfrom"
_JOINT = re.compile(rb"for this connection[.:]?([^\n]{1,16}?)Current certificate of")
ANYHOW = re.compile(LITERAL + rb"[\W_].{0,64}connection.{1,999}Current.{1,80}different", re.S | re.I)
_BROKEN = re.compile(rb"(?:\r?\n)?".join(bytes([each]) for each in LITERAL))
_SKIPPED_LINES = 20
_CHAIN_LINES = 3
_RECORD_LINES = 6


@dataclass(frozen=True)
class MessageHit:
    """One message. Positions are in the window's data: its first line, the hit itself, its subject's end.

    ``exception`` says that an exception's name introduces it, ``cause`` that this is a nested one,
    ``own_prefix`` that its first line has a prefix; ``cut`` that the log ends within the subject.
    ``said`` is the time as it is written, ``zoneless`` that no zone stands there.
    """

    start: int
    at: int
    end: int
    subject: str
    name: Name | None
    thread: str
    moment: datetime | None
    said: str
    zoneless: bool
    exception: bool
    cause: bool
    own_prefix: bool
    quoted: bool
    cut: bool


def read_message(window: Window, at: int) -> MessageHit | None:
    """Return the message whose rarest words stand at ``at``, or None where they belong to no whole message.

    One that nothing introduces is quoted, so that it is told of and decides nothing. Its lines may have been joined by
    a sign for their breaks, rsyslog's ``#012``, or ``&#10;``: whatever stands behind its first sentence is that.
    """
    if hit := _read(window, at):
        return hit
    start, end = max(window.line_start(at), at - BEFORE), min(window.line_end(at), at + BEFORE)
    sign = _JOINT.search(window.data, at, min(end, at + LONGEST))
    if sign is None or not (joint := sign[1]).strip():
        return None
    before, line = (bytes(window.data[start:stop]).replace(joint, b"\n") for stop in (at, end))
    hit = _read(Window(line, 0, len(line), at_end=window.at_end and end == window.high), len(before))
    if hit is None:
        return None
    begin, stop = (start + place + line.count(b"\n", 0, place) * (len(joint) - 1) for place in (hit.start, hit.end))
    said = window.text(start + prefix_of(window, start).length, at)  # what quotes its beginning quotes all of it
    return replace(hit, start=begin, at=at, end=stop, quoted=hit.quoted or is_quoted(said, said, sentence=False))


def _read(window: Window, at: int) -> MessageHit | None:
    introduction = _introduction(window, at)
    start, head, exception = introduction or (window.line_start(at), at, False)
    prefix = prefix_of(window, start)
    low = max(start, head - LONGEST)
    thread = prefix.thread or thread_in(window.text(low, head))
    position = _follow(window, at, _WORDS, thread)
    if position is None:
        return None
    subject, end, cut = read_subject(window, position)
    try:
        name: Name | None = parse_name(subject)
    except AnswerNotUnderstood:
        name = None
    prose = window.text(min(start + prefix.length, head) if low == start else low, head)
    record = prefix if prefix.length or not exception else _record_above(window, start)
    timed = record if record.moment else _header_above(window, start)
    return MessageHit(
        start=start,
        at=at,
        end=end,
        subject=subject,
        name=name,
        thread=thread or record.thread,
        moment=timed.moment,
        said=timed.said or record.said,
        zoneless=timed.moment is not None and timed.moment.tzinfo is None,
        exception=exception,
        cause=exception and b"Caused by" in window.data[start:head],
        own_prefix=prefix.length > 0,
        quoted=introduction is None or is_quoted(window.text(low, head), prose, sentence=not exception),
        cut=cut,
    )


def is_told(window: Window, at: int) -> bool:
    """Return whether most words of the message are there, whatever stands between them, and nobody only quotes them."""
    before = window.text(max(window.line_start(at), at - LONGEST), at)
    told = ANYHOW.match(window.data, at, window.high)
    return bool(told) and (is_field(window, at) or not is_quoted(before, "", sentence=False))


def is_cut_off(window: Window, at: int) -> bool:
    """Return whether a line ends within the message: whose certificate it means is not known."""
    start, end = window.line_start(at), min(window.line_end(at), at + LONGEST)
    text = " ".join(window.text(at, end).split()).rstrip(" .>\u2026").encode()
    whole = any(words.startswith(text) and text.startswith(words[:_ENOUGH]) for words in _MESSAGES)
    ended = window.data[end : min(end + 1, window.high)] == b"\n"
    return whole and ended and not is_quoted(window.text(start, at), "", sentence=False)


def is_field(window: Window, at: int) -> bool:
    """Return whether the text with the rarest words at ``at`` is a field that holds a log's own text, or may be one."""
    before = window.text(max(window.line_start(at), at - LONGEST), at)
    return _FIELD.search(before) is not None and not QUOTING.search(before)


def place_before(window: Window, further: int) -> int | None:
    """Return the byte at which the words begin that others follow at ``further``; None where no mismatch is told.

    A terminal may have broken them; where they are not there, or not as they are published, it is the line's start.
    """
    start, end = window.line_start(further), min(further + LONGEST, window.high)
    reported = b"".join(window.data[further:end].split()).startswith(_TOLD)
    if not reported or is_quoted(window.text(start, further), "", sentence=False):
        return None
    broken = list(_BROKEN.finditer(window.data, max(window.low, further - LONGEST), further))
    return broken[-1].start() if broken else start


def read_folded(window: Window, at: int) -> MessageHit | None:
    """Return the message of lines that a narrow terminal broke at one width, within words; None where it is none.

    Lines as long as the one of ``at``, or as the one above, go on in the next; a shorter one ends what was one line.
    """
    start = window.line_start(at)
    for width in {window.line_end(start) - start, start - 1 - window.line_start(max(start - 1, window.low))} & _WIDTHS:
        first = start
        while first > window.low and first - window.line_start(first - 1) == width + 1:
            first -= width + 1
        stop = window.line_end(start)
        while stop < min(window.high, start + _SKIPPED_LINES * width) and stop - window.line_start(stop) == width:
            stop = window.line_end(stop + 1)
        feed = b"\r\n" if window.data[first + width - 1] == 13 else b"\n"
        columns = width + 1 - len(feed)
        joined = window.data[first:stop].replace(feed, b"")
        inside = Window(joined, 0, len(joined), at_end=window.at_end and stop == window.high)
        if hit := read_message(inside, at - first - (at - first) // (width + 1) * len(feed)):
            begin, end = (first + place + place // columns * len(feed) for place in (hit.start, hit.end))
            return replace(hit, start=begin, at=at, end=end)
    return None


def prefix_of(window: Window, start: int) -> Prefix:
    """Return the prefix of the line that begins at ``start``; its length counts bytes."""
    head = window.data[start : min(window.line_end(start), start + LONGEST)]
    prefix = read_prefix(head.decode("latin-1"))
    return replace(prefix, thread=decode(prefix.thread.encode("latin-1"))) if prefix.thread else prefix


# -- the words and what introduces them -------------------------------------------------------


def _introduction(window: Window, at: int) -> tuple[int, int, bool] | None:
    """Return the first line's start, where the introduction begins, and whether it is an exception's name."""
    low = window.low
    candidate = window.data.rfind(b"Exception:", max(low, at - 2 * LONGEST), at)
    if candidate >= 0 and _follow(window, candidate, (_EXCEPTION, _WORDS[0]), "", until=at):
        return _chain_start(window, candidate), candidate, True
    candidate = at
    for _ in range(3):
        candidate = window.data.rfind(b"TOFU", low, candidate)
        if candidate < 0:
            return None
        start = window.line_start(candidate)
        if _follow(window, candidate, (*_INTRODUCTION, _WORDS[0]), prefix_of(window, start).thread, until=at):
            return start, candidate, False
    return None


def _chain_start(window: Window, candidate: int) -> int:
    """Return the start of the line on which the chain of exceptions that ends at ``candidate`` begins."""
    start = window.line_start(candidate)
    for _ in range(_CHAIN_LINES):
        if start <= window.low:
            break
        above = window.line_start(start - 1)
        text = window.data[above : start - 1].rstrip()
        if not text.endswith((b"Exception:", b"Error:")) and not re.search(rb"\bjavax?\.[\w.]*\.\Z", text[-LONGEST:]):
            break
        start = above
    return start


def _follow(
    window: Window, at: int, words: tuple[re.Pattern[bytes], ...], thread: str, until: int | None = None
) -> int | None:
    """Return where the words that begin at ``at`` end; with ``until``, only if the last begins exactly there."""
    position, begins = at, at
    for index, word in enumerate(words):
        match = word.match(window.data, position, window.high) if index == 0 else _next(window, position, word, thread)
        if match is None:
            return None
        begins, position = match.span()
        if until is not None and begins > until:
            return None
    return position if until is None or begins == until else None


def _next(window: Window, position: int, word: re.Pattern[bytes], thread: str) -> re.Match[bytes] | None:
    """Return ``word`` where it comes next: behind blanks, or at the beginning of a line that follows."""
    blanks = _BLANKS.match(window.data, position, window.high)
    position = blanks.end() if blanks else position
    if match := word.match(window.data, position, window.high):
        return match
    if window.data[position : position + 1] != b"\n":
        return None
    start = position + 1
    for _ in range(_SKIPPED_LINES):
        if start >= window.high:
            return None
        prefix = prefix_of(window, start)
        foreign = bool(thread and prefix.thread and prefix.thread != thread)
        if not foreign and (match := _at_beginning(window, start, prefix.length, word)):
            return match
        end = window.line_end(start)
        if not prefix.length and window.data[start:end].strip():
            return None
        start = end + 1
    return None


def _at_beginning(window: Window, start: int, length: int, word: re.Pattern[bytes]) -> re.Match[bytes] | None:
    """Return ``word`` at the beginning of a line: behind its prefix, behind marks, or behind an unknown prefix.

    An unknown prefix is passed over for long words only: short ones stand in any text.
    """
    end = min(window.line_end(start), start + LONGEST)
    blanks = _BLANKS.match(window.data, start, end)
    marks = _MARKS.match(window.data, start + length, end)
    for position in (blanks.end() if blanks else start, marks.end() if marks else start):
        if match := word.match(window.data, position, window.high):
            return match
    if len(word.pattern) < 6 or word.pattern == DN_START:
        return None
    every = word.finditer(window.data, start, end)
    return next((match for match in every if window.data[match.start() - 1 : match.start()].isspace()), None)


# -- what stands above and before it -----------------------------------------------------------


def _record_above(window: Window, start: int) -> Prefix:
    """Return the prefix of the nearest line above that has one: the record that a bare exception belongs to."""
    for _ in range(_RECORD_LINES):
        if start <= window.low:
            break
        start = window.line_start(start - 1)
        prefix = prefix_of(window, start)
        if prefix.length:
            return prefix
    return Prefix()


def _header_above(window: Window, start: int) -> Prefix:
    """Return the prefix of the line above where that is a header alone: a time, a class and a method."""
    if start <= window.low:
        return Prefix()
    above = window.line_start(start - 1)
    prefix = prefix_of(window, above)
    return prefix if _HEADER.fullmatch(window.text(above + prefix.length, start - 1)) else Prefix()


def is_quoted(before: str, prose: str, *, sentence: bool) -> bool:
    """Return whether a message only quotes, by what stands before it on its line: all of it, and without the prefix."""
    if QUOTING.search(before) or _OPEN_QUOTE.search(_WHOLE_QUOTE.sub("", prose)):
        return True
    return sentence and len(_PLAIN_WORD.findall(prose)) > 3
