"""Finding a text that was not written down as it is: with something in between, in other letters, or backwards.

A search undoes what was done to the data and looks for the text in what is left, a *view*. What a view is made of has
its place in the data, so that what is found can be replaced there. Making the places is slow, and is only done once the
text was found in a view without them; a view is only made where a few fast looks say that there may be something.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

LOOSE_FROM = 8
"""Characters. A shorter text in other letters, backwards, or over two lines cannot be told from innocent words."""

_SURE = 6
"""So many letters and digits of a text in a row are rare enough to be looked for first."""

_SEQUENCES = (
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]{0,256}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]{0,8}[0-~]"
)
_UNSEEN = (
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_STRUCK_OVER = r"[^\x08]\x08"
_BROKEN = r"(?<![ \t])[ \t]*+[|\u2502\u2503\u2551]?[ \t]*+\r?\n[ \t]*+[|\u2502\u2503\u2551]?[ \t]*+|[\t\r\n]"
_TAGS = r"</?[A-Za-z][^<>]{0,80}>"

_UNSEEN_ONE = re.compile(_UNSEEN)
_TAG = re.compile(_TAGS)
_HIDDEN = re.compile(f"{_STRUCK_OVER}|{_SEQUENCES}|{_UNSEEN}")
_BETWEEN = re.compile(f"{_STRUCK_OVER}|{_SEQUENCES}|{_UNSEEN}|{_BROKEN}|{_TAGS}")
_WITH_LETTERS = re.compile(f"{_STRUCK_OVER}|{_SEQUENCES}|{_TAGS}")  # the rest of what stands between has none
_CONTROL = re.compile(r"[\x08\x1b\x90\x98\x9b\x9d-\x9f]")  # with which all of these begin, or end, but for tags
_OTHER_LETTERS = re.compile(r"[A-Z]|[^\x00-\x7f]")
# A search is ten times as fast where each way begins with a character that is named: others are passed over at once.
_WRITTEN = re.compile(
    r"%(?:25){0,2}[0-9A-Fa-f]{2}(?:%(?:25){0,2}[0-9A-Fa-f]{2})*|=[0-9A-Fa-f]{2}(?:=[0-9A-Fa-f]{2})*|=\r?\n"
    r"|\\(?:\\{0,8}x[0-9A-Fa-f]{2}(?:\\{1,9}x[0-9A-Fa-f]{2})*|\\{0,8}u[0-9A-Fa-f]{4}(?:\\{1,9}u[0-9A-Fa-f]{4})*"
    r"|\\{0,8}[0-3][0-7]{2}(?:\\{1,9}[0-3][0-7]{2})*)"
    r"|&(?:amp;)?#(?:[xX]0{0,6}([0-9A-Fa-f]{1,6})|0{0,6}([0-9]{1,7}));|&(?:amp;)?(?:shy|nbsp|zwnj|zwj);"
)
_DIGITS = {
    "%": (r"%(?:25){0,2}([0-9A-Fa-f]{2})", 16),
    "=": (r"=(..)", 16),
    "x": (r"x(..)", 16),
    "0": (r"\\([0-7]{3})", 8),
}
_PNG = b"\x89PNG\r\n\x1a\n"
_PIXELS = re.compile(rb"(?<=IDAT).*(?=IEND)", re.DOTALL)
"""Compressed: no view of them says anything, and to search them costs as much as the text of a whole report."""
_NO_LETTERS = bytes(byte for byte in range(256) if not (byte < 128 and chr(byte).isalnum()))
_MAY_BE_WRITTEN = re.compile(r"[%=\\&](?:[0-9A-Fa-f]{2}|[xu#\r\n]|amp;|shy;|nbsp;|zw)")
_HEX_JOINT = rb"(?:[^0-9A-Za-z]{0,6}(?:0?x|u00)?)"


def _nothing(_: re.Match[str]) -> str:
    return ""


def _folded(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKD", match[0]).casefold()


def _unwritten(match: re.Match[str]) -> str:
    """Return what percent signs, equals signs, backslashes or references stand for; nothing where it is no text."""
    text, sixteen, ten = match[0], match[1], match[2]
    if sixteen or ten:
        code = int(sixteen, 16) if sixteen else int(ten)
        return chr(code) if code < 0x110000 else ""
    kind = text.lstrip("\\")[0]
    if kind == "u":
        units = bytes.fromhex("".join(re.findall(r"u(....)", text)))
        return units.decode("utf-16-be", "replace")
    if kind not in "%=x0123":
        return ""
    pattern, base = _DIGITS["0" if kind in "0123" else kind]
    codes = [int(digits, base) for digits in re.findall(pattern, text)]
    return bytes(codes).decode("utf-8", "surrogateescape")


_Step = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]
_HIDE: tuple[_Step, ...] = ((_HIDDEN, _nothing),)
_LOOSE: tuple[_Step, ...] = ((_BETWEEN, _nothing), (_OTHER_LETTERS, _folded))
_UNWRITE: tuple[_Step, ...] = ((_WRITTEN, _unwritten),)


def _seen(text: str, steps: Sequence[_Step]) -> str:
    for pattern, change in steps:
        if change is _folded:
            text = text.lower() if text.isascii() else unicodedata.normalize("NFKD", text).casefold()
        else:
            text = pattern.sub(change, text)
    return text


def _skeleton(text: str) -> bytes:
    """Return the letters and digits alone: whatever is in a loose view has its skeleton in the one of the text."""
    text = text.lower() if text.isascii() else unicodedata.normalize("NFKD", text).casefold()
    return text.encode("ascii", "ignore").translate(None, _NO_LETTERS)


@dataclass(frozen=True)
class Disguise:
    """What is looked for: a value, and what is left of it in each view."""

    value: str

    @cached_property
    def loose(self) -> tuple[str, ...]:
        """The value as a loose view shows it, forwards and backwards; none where it is too short for that."""
        folded = _seen(self.value, _LOOSE)
        return (folded, _seen(self.value[::-1], _LOOSE)) if len(folded) >= LOOSE_FROM else ()

    @cached_property
    def sure(self) -> tuple[bytes, ...]:
        """The skeletons of these: where none of them is in a view's, the value is not in that view."""
        return tuple(_skeleton(each) for each in self.loose)

    @cached_property
    def digits(self) -> tuple[bytes, ...]:
        """The value's bytes as hexadecimal digits, in each encoding."""
        encodings = ("utf-8", "utf-16-le", "utf-16-be")
        return tuple(self.value.encode(each, "surrogatepass").hex().encode() for each in encodings)

    @cached_property
    def digit_patterns(self) -> tuple[re.Pattern[bytes], ...]:
        """Patterns of the value's bytes as hexadecimal digits, whatever joins their pairs."""
        pairs = [[digits[at : at + 2] for at in range(0, len(digits), 2)] for digits in self.digits]
        return tuple(re.compile(_HEX_JOINT.join(each), re.IGNORECASE) for each in pairs)


class Disguised:
    """One piece of data, in whose views values are looked for."""

    def __init__(self, data: bytes) -> None:
        self._data = _PIXELS.sub(lambda match: b" " * len(match[0]), data) if data.startswith(_PNG) else data

    def spans(self, disguise: Disguise) -> Iterator[tuple[int, int]]:
        """Yield where the value stands in the data, in bytes."""
        if disguise.value in self._hidden:
            yield from self._places(_HIDE, (disguise.value,))
        for steps, skeleton in self._loose:
            if any(len(sure) < _SURE or sure in skeleton for sure in disguise.sure):
                yield from self._places(steps, disguise.loose)
        if any(digits in self._hexadecimal for digits in disguise.digits):
            for pattern in disguise.digit_patterns:
                yield from (match.span() for match in pattern.finditer(self._data))

    @cached_property
    def _text(self) -> str:
        return self._data.decode("utf-8", "surrogateescape")

    @cached_property
    def _holds_unseen(self) -> bool:
        return _UNSEEN_ONE.search(self._text) is not None

    @cached_property
    def _hidden(self) -> str:
        """The text without what nobody sees, where there is any of that."""
        return _HIDDEN.sub("", self._text) if self._holds_unseen else ""

    @cached_property
    def _loose(self) -> tuple[tuple[tuple[_Step, ...], bytes], ...]:
        """The steps to each loose view, and the skeleton of it."""
        text = self._text
        views = [(_LOOSE, text)]
        if _MAY_BE_WRITTEN.search(text) and (plain := _WRITTEN.sub(_unwritten, text)) != text:
            views.append((_UNWRITE + _LOOSE, plain))
        return tuple((steps, _skeleton(_apart(each))) for steps, each in views)

    @cached_property
    def _hexadecimal(self) -> bytes:
        digits = self._data.lower().translate(None, _NO_LETTERS)
        return digits.replace(b"0x", b"").replace(b"u00", b"").replace(b"x", b"")

    def _places(self, steps: Sequence[_Step], wanted: Sequence[str]) -> Iterator[tuple[int, int]]:
        view = _seen(self._text, steps)
        if not any(each in view for each in wanted):
            return
        view, starts, ends = _traced(self._text, steps)
        places = [(at, at + len(each)) for each in wanted for at in _all(each, view)]
        if not places:  # it is there, and its place was not found: marks over one letter in another order
            yield 0, len(self._data)
            return
        offsets = [0]
        for character in self._text:
            offsets.append(offsets[-1] + len(character.encode("utf-8", "surrogateescape")))
        for first, last in places:
            yield offsets[starts[first]], offsets[ends[last - 1]]


def _apart(text: str) -> str:
    """Return the text without sequences and tags, whose letters would stand between those of a value."""
    if _CONTROL.search(text):
        return _WITH_LETTERS.sub("", text)
    return _TAG.sub("", text) if "<" in text else text


def _traced(text: str, steps: Sequence[_Step]) -> tuple[str, list[int], list[int]]:
    """Return the view, and of each of its characters where what it was made of begins and ends."""
    starts, ends = list(range(len(text))), list(range(1, len(text) + 1))
    for pattern, change in steps:
        pieces = []
        first = []
        last = []
        done = 0
        for match in pattern.finditer(text):
            new = change(match)
            pieces += [text[done : match.start()], new]
            first += starts[done : match.start()] + [starts[match.start()]] * len(new)
            last += ends[done : match.start()] + [ends[match.end() - 1]] * len(new)
            done = match.end()
        text = "".join([*pieces, text[done:]])
        starts, ends = first + starts[done:], last + ends[done:]
    return text, starts, ends


def _all(wanted: str, view: str) -> Iterator[int]:
    at = view.find(wanted)
    while at >= 0:
        yield at
        at = view.find(wanted, at + 1)
