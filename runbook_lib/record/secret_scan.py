"""The search of a finished record for secrets: on its own, so that it finds what the gate may have let through.

The gate knows how a secret may be written and looks for that. The scan goes the other way: it undoes what software
does to text (escapes, percent signs, base64, hexadecimal, lines that were broken, texts that were written in
pieces) and looks for the secret itself. The two share no code.
"""

from __future__ import annotations

import html
import json
import quopri
import re
import unicodedata
from binascii import a2b_base64, a2b_hex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from stringzilla import find

from runbook_lib import secrets
from runbook_lib.redactor import SHORTEST

_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_WRITTEN_BREAK = re.compile(rb"\\+r\\+n|\\+n")
_ESCAPE = re.compile(
    rb"\\+(?:u([dD][89abAB][0-9a-fA-F]{2})\\+u([dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|U([0-9a-fA-F]{8})|(.))",
    re.DOTALL,
)
_CODED = re.compile(rb"[A-Za-z0-9+/_-]{6,}")
_HEX = re.compile(rb"[0-9a-fA-F]{8,}")
_SEPARATED = re.compile(rb"[0-9a-fA-F]{2}(?:(?:0x|\\x|\\u00|[^0-9a-zA-Z]){0,4}[0-9a-fA-F]{2}){3,}")
_OCTAL = re.compile(rb"\\([0-3][0-7]{2})")
_QUOTED = re.compile(rb"=(?:[0-9A-F]{2}|\r?\n)")
_CONTROL_SEQUENCE = re.compile(
    r"\x1b(?:\[[^@-~\x1b]{0,99}[@-~]|[\]PX^_][^\x07\x1b]{0,300}(?:\x07|\x1b\\)|[ -/]{0,9}[0-~])"
)
_OVERPRINTED = re.compile(r"[^\x08]\x08")
_ELEMENT = re.compile(r"<[/A-Za-z][^<>]{0,90}>")
_FRAME = " \t|" + "".join(map(chr, range(0x2500, 0x2580)))
"""What stands at the edges of a table's lines."""
LOOSE_FROM = 8
"""Characters. A shorter secret is not looked for in other letters, backwards, or across a frame: words would be it."""
_BATCH = 1 << 20
"""Bytes; few enough to stay in the processor's cache, many enough that a search is more than its call."""
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_IN_TEXT = re.compile(rb"iVBORw0KGgo[A-Za-z0-9+/]{1000,}")
_DEFLATED = re.compile(rb"(/FlateDecode[^>]{0,300}>>\s{0,9}stream\r?\n).*?(?=endstream)", re.DOTALL)
_STANDARD = bytes.maketrans(b"-_", b"+/")


@dataclass(frozen=True, kw_only=True)
class FoundSecret:
    """A secret in a file of the record, or in its name: the file's path in the record, and what was found."""

    path: str
    what: str


def scan(folder: Path) -> list[FoundSecret]:
    """Look into every file under ``folder`` for the secrets that this process knows and for private keys.

    A process that has not resolved them itself calls ``secrets.learn`` first. Empty is good.
    """
    return scan_files(folder, sorted(folder.rglob("*")))


def scan_files(folder: Path, paths: Iterable[Path]) -> list[FoundSecret]:
    """Look for those secrets in ``paths`` alone, files and folders under ``folder``; empty is good."""
    known = [needle for name, value in secrets.REDACTOR.known() for needle in _needles(name, value)]
    findings: list[FoundSecret] = []
    for path in paths:
        name = str(path.relative_to(folder))
        spelled = name.encode("utf-8", "surrogateescape")
        findings += [FoundSecret(path=name, what=f"{what} in its name") for what in _found(spelled, known)]
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        findings += [FoundSecret(path=name, what=what) for what in _found(data, known)]
        if _PRIVATE_KEY.search(data):
            findings.append(FoundSecret(path=name, what="a private key"))
    return findings


def _needles(reference: str, value: str) -> Iterator[tuple[str, bytes]]:
    """The secret, and what is left of it where every escape is undone: its own backslashes are undone with the rest.

    One at its end, too: it is taken for the escape of whatever follows.
    """
    data = value.encode("utf-8", "surrogatepass")
    yield reference, data
    plain = _unescaped(data + b" ")[:-1]
    if plain != data and len(plain) >= SHORTEST:
        yield reference, plain
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        yield reference, value.encode(encoding, "surrogatepass")
    for text in (value, value[::-1]):
        bare = _bare(_shown(text))
        if len(bare) >= LOOSE_FROM:
            yield reference, bare.encode("utf-8", "surrogatepass")


def _found(data: bytes, known: Sequence[tuple[str, bytes]]) -> list[str]:
    """The references whose secrets are in ``data``, however it is read."""
    left = set(known)
    for text in _batches(_readings(data)):
        if not left:
            break
        left = {each for each in left if find(text, each[1]) < 0}
    return sorted({reference for reference, _ in set(known) - left})


def _batches(readings: Iterable[bytes]) -> Iterator[bytes]:
    """The readings, many short ones as one text, between bytes that no secret holds: they are then searched at once."""
    batch: list[bytes] = []
    size = 0
    for reading in readings:
        batch.append(reading)
        size += len(reading)
        if size > _BATCH:
            yield b"\0".join(batch)
            batch = []
            size = 0
    yield b"\0".join(batch)


def _readings(data: bytes) -> Iterator[bytes]:
    """The bytes as they are, and as they were before this or that was done to them."""
    seen: set[bytes] = set()
    plain_part = _not_compressed(data)
    if plain_part is not data:
        yield data
    for digits in _PNG_IN_TEXT.findall(data):
        yield from _readings(a2b_base64(digits[: len(digits) - (len(digits) % 4 == 1)] + b"=="))
    for text in (plain_part, *_joined_texts(plain_part)):
        plain = _unescaped(text)
        unbroken = _unbroken(text)
        form = _unescaped(text.replace(b"+", b" ")) if b"+" in text else plain
        quoted = quopri.decodestring(text) if _QUOTED.search(text) else plain
        wide = _unescaped(text, "utf-8") if b"&#" in plain else plain  # references to letters that Latin-1 has not
        for reading in dict.fromkeys((text, plain, form, unbroken, quoted, wide)):
            yield reading
            yield from _normalised(reading)
            for decoded in _decoded(reading, seen):
                yield decoded
                yield _unescaped(decoded)
        for run in _SEPARATED.findall(text):
            digits = re.sub(rb"0x|\\x|\\u00|[^0-9a-fA-F]", b"", run)
            for skip in range(2):
                yield a2b_hex(digits[skip : len(digits) - (len(digits) - skip) % 2])
        if _OCTAL.search(text):
            yield _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), text)


def _not_compressed(data: bytes) -> bytes:
    """Return a picture or a PDF without its compressed parts: no way of reading these says anything of a secret."""
    if data.startswith(b"%PDF-"):
        return _DEFLATED.sub(rb"\1", data)
    if not data.startswith(_PNG):
        return _PNG_IN_TEXT.sub(b"", data)  # it is read as a picture
    kept = [_PNG]
    at = len(_PNG)
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] != b"IDAT":
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _normalised(data: bytes) -> Iterator[bytes]:
    """What a person reads of the bytes, in small letters: without what controls a terminal and what has no width."""
    for text in _texts(data):
        shown = _shown(text)
        yield shown.encode("utf-8", "surrogatepass")
        yield _bare(shown).encode("utf-8", "surrogatepass")


def _texts(data: bytes) -> tuple[str, ...]:
    """Return the bytes as UTF-8; if they are not UTF-8, as Latin-1, and those parts that are as UTF-8."""
    try:
        return (data.decode("utf-8"),)
    except UnicodeDecodeError:
        return data.decode("latin-1"), data.decode("utf-8", "ignore")


def _shown(text: str) -> str:
    """Return the text without control sequences, controls and what has no width; its letters and lines stay."""
    if "\x1b" in text or "\x9b" in text:
        text = _CONTROL_SEQUENCE.sub("", text.replace("\x9b", "\x1b["))
    if "\b" in text:
        text = _OVERPRINTED.sub("", text)
    try:
        return text.encode("latin-1").translate(None, _UNSEEN_BYTES).decode("latin-1")
    except UnicodeEncodeError:
        unseen = {ord(char): None for char in set(text) if char not in "\n\r\t" and _is_unseen(char)}
        return text.translate(unseen) if unseen else text


def _is_unseen(c: str) -> bool:
    return (
        unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")
        or "\ufe00" <= c <= "\ufe0f"
        or "\U000e0100" <= c <= "\U000e01ef"
        or c in "\u034f\u3164\uffa0\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f"
    )


_UNSEEN_BYTES = bytes(code for code in range(256) if chr(code) not in "\n\r\t" and _is_unseen(chr(code)))


def _bare(shown: str) -> str:
    """Return it with one kind of letter, and without lines, frames of tables and elements of a page."""
    text = _ELEMENT.sub("", shown) if "<" in shown else shown
    first, *others = text.replace("\r", "\n").split("\n")
    if others:
        text = "".join((first.rstrip(_FRAME), *(line.strip(_FRAME) for line in others[:-1]), others[-1].lstrip(_FRAME)))
    if text.isascii():
        return text.lower().replace("\t", "")
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).replace("\t", "")


def _unbroken(text: bytes) -> bytes:
    """As one line, however its lines were broken."""
    written = _WRITTEN_BREAK.sub(b"", text) if b"\\" in text else text
    return written.replace(b"\r\n", b"").replace(b"\n", b"")


def _unescaped(text: bytes, encoding: str = "latin-1") -> bytes:
    """Without percent signs, references and backslashes of any depth."""
    for _ in range(4):
        before = text
        if b"%" in text:
            text = unquote_to_bytes(text)
        if b"&" in text:
            text = html.unescape(text.decode(encoding, "replace")).encode(encoding, "xmlcharrefreplace")
        if b"\\" in text:
            text = _ESCAPE.sub(_character, text)
        if text == before:
            break
    return text


def _character(match: re.Match[bytes]) -> bytes:
    high, low, four, two, eight, other = match.groups()
    if high:
        return bytes.fromhex((high + low).decode("ascii")).decode("utf-16-be").encode()
    if two:
        return bytes([int(two, 16)])
    if four or eight:
        code = int(four or eight, 16)
        return chr(code).encode("utf-8", "surrogatepass") if code < 0x110000 else b""
    return b"\n" if other == b"n" else bytes(other)


def _decoded(text: bytes, seen: set[bytes]) -> Iterator[bytes]:
    """What the runs of base64 and hexadecimal digits say, wherever in a run a group of digits begins.

    Runs that were ``seen`` in another reading are left out, and noted.
    """
    runs = set(_CODED.findall(text)) - seen
    seen |= runs
    digits = [run.translate(_STANDARD) for run in runs]
    for skip in range(4):
        yield b"\n".join(a2b_base64(run[skip : len(run) - (len(run) - skip) % 4]) for run in digits)
        rest = (run[skip:] for run in digits if (len(run) - skip) % 4 > 1)
        yield b"\n".join(a2b_base64(run + b"=" * (-len(run) % 4)) for run in rest)
    hexadecimal = [run for run in runs if _HEX.search(run)]
    for skip in range(2):
        pairs = (run[skip : len(run) - (len(run) - skip) % 2] for whole in hexadecimal for run in _HEX.findall(whole))
        yield b"\n".join(a2b_hex(run) for run in pairs)


def _joined_texts(data: bytes) -> list[bytes]:
    """Of JSON: the texts under each name joined in their order, as whoever reads a notebook sees them."""
    try:
        documents = [json.loads(data)]
    except (ValueError, RecursionError):
        documents = _lines_of_json(data)
    texts: dict[str, list[str]] = {}
    for document in documents:
        _gather(document, "", texts)
    return ["".join(pieces).encode("utf-8", "surrogatepass") for pieces in texts.values()]


def _lines_of_json(data: bytes) -> list[Any]:
    try:
        return [json.loads(line) for line in data.splitlines()]
    except (ValueError, RecursionError):
        return []


def _gather(value: Any, name: str, texts: dict[str, list[str]]) -> None:
    if isinstance(value, str):
        texts.setdefault(name, []).append(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _gather(item, key, texts)
    elif isinstance(value, list):
        for item in value:
            _gather(item, name, texts)
