"""Finding known secrets in bytes, in the spellings in which software writes them down, and replacing them.

It finds the value itself; its URL-, JSON-, HTML- and Python-escaped spellings, nested and partial ones
too; its base64 spelling (both alphabets, of UTF-8 and of UTF-16), even as a part of a longer base64 text
as in HTTP Basic; its hexadecimal spelling; UTF-16; each of these broken over lines; and the value with
other things done to it, see ``runbook_lib.disguises``. It does not find what is compressed or encrypted,
nor base32, base85 and the like.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256

from ahocorasick_rs import BytesAhoCorasick

from runbook_lib.disguises import Disguise, Disguised

MARKED = re.compile(r"\[(?:secret [^\[\]]*|removed|\*)\]")
"""What stands where a secret was replaced."""

SHORTEST = 4
"""Characters. A shorter value cannot be told from innocent text and is refused as a secret."""

# Possessive, so that a run of backslashes is read in one way only and the search stays linear.
_ESCAPES = rb"\\{0,8}+"
_ESCAPED = rb"\\{1,9}+"
_LINE_BREAK = rb"(?:=?\r?\n[ \t]{0,16}|\\{1,4}n)?"
_LONGEST_ANCHOR = 16
_JOINT = b"\0"
_SHORT = 200
_REMEMBERED = 10_000
_ALNUM_RUN = re.compile(rb"[A-Za-z0-9]+")
_HTML_NAMES = {"&": b"&amp;", "<": b"&lt;", ">": b"&gt;", '"': b"&quot;", "'": b"&apos;"}
_MARK_UNSAFE = re.compile(r"[^A-Za-z0-9_.:/@ -]")


@dataclass(frozen=True, eq=False)
class _Spelling:
    """One way in which a secret may be written. One of ``anchors``, which are cheap to search, is always in it.

    ``folded``: the anchors are in lower case, and so is what they are looked for in. The pattern is made when an
    anchor was found for the first time: that is seldom, and making it takes longer than many searches.
    """

    anchors: tuple[bytes, ...]
    write: Callable[[], bytes]
    folded: bool = False

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        return re.compile(self.write(), re.IGNORECASE if self.folded else 0)


_Span = tuple[int, int, str, int]
"""Where a secret begins and ends, its reference, and how long it is."""


@dataclass(frozen=True)
class _Known:
    reference: str
    length: int
    spellings: tuple[_Spelling, ...]
    disguise: Disguise


_Anchors = tuple[tuple[bytes, _Spelling, _Known], ...]


class Redactor:
    """A set of known secrets. Works on whole byte strings: join what was written in pieces first."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Known] = {}
        # Every anchor in one flat list, as it is written and in lower case: most texts are short and hold no secret,
        # and then looking for the anchors is all that is done.
        self._anchors: tuple[_Anchors, _Anchors, BytesAhoCorasick | None] = ((), (), None)
        # What holds no secret, long ones as their digest: tables repeat words, and a notebook is written several times.
        self._clean: set[bytes] = set()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._known)} secrets>"

    def know(self, reference: str, value: str) -> None:
        """From now on replace ``value`` by ``[secret <reference>]``. ``ValueError`` if it is shorter than four."""
        if len(value) < SHORTEST:
            raise ValueError(f"a secret of fewer than {SHORTEST} characters cannot be redacted")
        with self._lock:
            if (reference, value) not in self._known:
                known = _Known(reference, len(value), _spellings(value), Disguise(value))
                self._take({**self._known, (reference, value): known})

    def forget(self) -> None:
        """Forget every secret, before work that has nothing to do with what came before."""
        with self._lock:
            self._take({})

    def _take(self, known: dict[tuple[str, str], _Known]) -> None:
        anchors = [
            (anchor, spelling, secret)
            for secret in known.values()
            for spelling in secret.spellings
            for anchor in spelling.anchors
        ]
        written = tuple(each for each in anchors if not each[1].folded)
        # All at once; one that is empty is everywhere.
        search = BytesAhoCorasick([anchor for anchor, _, _ in written]) if all(each[0] for each in written) else None
        self._anchors = (written, tuple(each for each in anchors if each[1].folded), search)
        self._known = known
        self._clean = set()  # last: whoever finds it empty searches for what is known now

    def known(self) -> tuple[tuple[str, str], ...]:
        """Return each reference and the value that it led to. For searches; never to be shown or kept."""
        return tuple(self._known)

    def redact(self, data: bytes) -> bytes:
        """``data`` with a mark for each known secret; where two overlap, both go under the longer one's mark."""
        clean = self._clean  # before the search: where more becomes known meanwhile, this set is used no longer
        key = data if len(data) <= _SHORT else sha256(data).digest()
        if key in clean:
            return data
        redacted = data
        for find in (self._spelled, self._disguised):  # the second only in what the first has left
            redacted = self._replaced(redacted, find(redacted))
        if redacted is data and len(clean) < _REMEMBERED:
            clean.add(key)
        return redacted

    def _replaced(self, data: bytes, spans: list[_Span]) -> bytes:
        out: list[bytes] = []
        position = 0
        for start, end, reference in _merged(spans):
            out += [data[position:start], self._mark(reference)]
            position = end
        return b"".join([*out, data[position:]]) if out else data

    def redact_text(self, text: str) -> str:
        """Return ``text`` with each secret replaced by its reference; one that holds none is returned as it is."""
        data = text.encode("utf-8", "surrogatepass")
        redacted = self.redact(data)
        if redacted is data:
            return text
        try:
            return redacted.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return redacted.decode("utf-8", "replace")

    def redact_texts(self, texts: list[str]) -> list[str]:
        """Each text redacted. Many short ones cost little more than one long one: they are searched joined."""
        joined = _JOINT.join(text.encode("utf-8", "surrogatepass") for text in texts)
        if not texts or self.redact(joined) is joined:
            return texts
        if len(texts) == 1:
            return [self.redact_text(texts[0])]
        middle = len(texts) // 2
        return [*self.redact_texts(texts[:middle]), *self.redact_texts(texts[middle:])]

    def _disguised(self, data: bytes) -> list[_Span]:
        known = self._known.values()
        if not known or len(data) < SHORTEST:
            return []
        views = Disguised(data)
        return [
            (start, end, secret.reference, secret.length)
            for secret in known
            for start, end in views.spans(secret.disguise)
        ]

    def _spelled(self, data: bytes) -> list[_Span]:
        written, folded, search = self._anchors
        near = {}
        if search is None or search.find_matches_as_indexes(data):
            near = {spelling: secret for anchor, spelling, secret in written if anchor in data}
        if folded:
            lower = data.lower()
            near |= {spelling: secret for anchor, spelling, secret in folded if anchor in lower}
        return [
            (match.start(), match.end(), secret.reference, secret.length)
            for spelling, secret in near.items()
            for match in spelling.pattern.finditer(data)
        ]

    def _mark(self, reference: str) -> bytes:
        """The mark is safe inside JSON and HTML, and holds no secret itself (a password may be ``secret``)."""
        for mark in (f"[secret {_MARK_UNSAFE.sub('_', reference)}]", "[removed]"):
            data = mark.encode()
            if not self._spelled(data) and not self._disguised(data):
                return data
        return b"[*]"


def _merged(spans: list[_Span]) -> list[tuple[int, int, str]]:
    merged: list[_Span] = []
    for start, end, reference, length in sorted(spans):
        if merged and start < merged[-1][1]:
            last_start, last_end, last_reference, last_length = merged[-1]
            longer = (reference, length) if length > last_length else (last_reference, last_length)
            merged[-1] = (last_start, max(end, last_end), *longer)
        else:
            merged.append((start, end, reference, length))
    return [(start, end, reference) for start, end, reference, _ in merged]


def _spellings(value: str) -> tuple[_Spelling, ...]:
    data = value.encode("utf-8", "surrogatepass")
    pieces = [_Spelling(_anchors(data), lambda: _pattern(value))]
    pieces += [_base64_part(data, before) for before in range(3)]
    digits = data.hex().encode()
    pieces.append(_Spelling((digits,), lambda: digits, folded=True))
    for way in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        wide = value.encode(way, "surrogatepass")
        pieces.append(_Spelling((wide,), partial(re.escape, wide)))
        if way.startswith("utf-16"):
            pieces += [_base64_part(wide, before) for before in range(3)]
    return tuple(pieces)


def _anchors(data: bytes) -> tuple[bytes, ...]:
    """Two neighbouring pieces of the longest run of letters and digits, which no encoder changes.

    A line break spoils one of them at most. The empty piece, which is everywhere, if there is no run.
    """
    run = max(_ALNUM_RUN.findall(data), key=len, default=b"")
    size = min(len(run) // 2, _LONGEST_ANCHOR)
    return (run[:size], run[size : 2 * size])


def _pattern(value: str) -> bytes:
    return _LINE_BREAK.join(_piece(piece) for piece in re.findall(r"\\+[^\\]?|[^\\]", value))


def _piece(piece: str) -> bytes:
    """A pattern for one character, or for a run of backslashes with the character that follows it.

    The two share their backslashes in any way that fits, but, once found, in this one only.
    """
    rest = piece.lstrip("\\")
    run = len(piece) - len(rest)
    if not run:
        return _character(rest)
    backslashes = rb"(?i:\\{%d,%d}|(?:%%(?:25){0,2}5c|&(?:amp;)?#92;|&(?:amp;)?#x5c;){%d})" % (run, 9 * run, run)
    return b"(?>" + backslashes + (_LINE_BREAK + _character(rest) if rest else b"") + b")"


def _character(c: str) -> bytes:
    """A pattern for one character, not a backslash, in each of its spellings."""
    data = c.encode("utf-8", "surrogatepass")
    if c.isalnum() and c.isascii():
        return data
    units = c.encode("utf-16-be", "surrogatepass")
    u16 = rb"".join(_ESCAPED + rb"u%04x" % int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2))
    ways = [
        rb"".join(rb"%%(?:25){0,2}%02x" % byte for byte in data),
        u16,
        _ESCAPED + rb"U%08x" % ord(c),
        rb"".join(_ESCAPED + rb"x%02x" % byte for byte in data),
        rb"&(?:amp;)?#0{0,4}%d;" % ord(c),
        rb"&(?:amp;)?#x0{0,4}%x;" % ord(c),
    ]
    # The longer spellings come first: the shorter ones may be their beginning.
    if c in _HTML_NAMES:
        ways.append(_HTML_NAMES[c].replace(b"&", b"&(?:amp;)?", 1))
    if c == " ":
        ways.append(rb"\+")
    if len(data) > 1 and ord(c) < 256:
        ways += [re.escape(c.encode("latin-1")), _ESCAPED + rb"x%02x" % ord(c)]
    return b"(?i:" + b"|".join([*ways, _ESCAPES + re.escape(data)]) + b")"


def _base64_part(data: bytes, before: int) -> _Spelling:
    """The base64 digits that depend on ``data`` alone when ``before`` bytes (modulo 3) precede it.

    The digits at either end that depend on a neighbour too are replaced with it.
    """
    digits = base64.b64encode(bytes(before) + data).rstrip(b"=").decode()
    first = (0, 2, 3)[before]
    whole = (before + len(data)) * 8 // 6
    core = digits[first:whole]
    shared = rb"[A-Za-z0-9+/_-]" + _LINE_BREAK if before else b""
    tail = b"" if (before + len(data)) % 3 == 0 else _LINE_BREAK + rb"[A-Za-z0-9+/_-]?"
    return _Spelling(_anchors(core.encode()), lambda: shared + _LINE_BREAK.join(_base64_digit(c) for c in core) + tail)


def _base64_digit(c: str) -> bytes:
    if c == "+":
        return b"(?:" + _character("+") + b"|-)"
    if c == "/":
        return b"(?:" + _character("/") + b"|_)"
    return c.encode()
