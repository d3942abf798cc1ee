"""Logs in tar archives, read as a stream: ustar, GNU and pax headers, sparse files without their holes.

Of a header only the name, the size and the type are used; nothing else of it means anything here. It stays our own
because ``tarfile`` ends in silence at a damaged header and at an archive that is cut between two members, so that
nobody is told what was not read, and puts no bound on an extended header that it keeps in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from runbook_lib.logs.inflate import Content, CutOff, Inside, Meter
from runbook_lib.logs.streams import CHUNK, ByteRange, ByteSource, Peekable, Reopen

BLOCK = 512
_LONGEST_TEXT = 1 << 20
_USED = ("path", "size", "GNU.sparse.name")
_LONGEST_LENGTH = 7  # digits of the length of a record
_FILES = b"0\x007S"
_NO_DATA = b"123456"
_LONG_NAME, _LONG_LINK, _PAX, _PAX_FOR_ALL, _SPARSE = b"LKxgS"


class WrongHeader(ValueError):
    """What stands where a header should be is not one."""


@dataclass(frozen=True)
class Header:
    """What a header says: the member's name, how many bytes of it are stored, and its type."""

    name: str
    size: int
    kind: int


def from_tar(name: str, file: ByteSource, again: Reopen | None, meter: Meter, inside: Inside) -> Iterator[Content]:
    """Yield the logs of a tar stream, in the order in which they are stored.

    ``inside`` yields the logs in a member. Raises WrongHeader where the archive is damaged, CutOff where it ends
    too early.
    """
    tar = _Tar(file)
    while header := tar.next_member():
        meter.add_entry()
        member = _Member(tar, header.size)
        if header.kind in _FILES:
            yield from inside(f"{name}/{header.name}", member, _part(again, tar.position, header.size))
        member.skip()
        tar.skip(-header.size % BLOCK)


def _part(again: Reopen | None, position: int, size: int) -> Reopen | None:
    return None if again is None else lambda: ByteRange(again(), position, size)


class _Tar:
    """A tar stream and how far it has been read."""

    def __init__(self, file: ByteSource) -> None:
        self._file = Peekable(file)
        self.position = 0

    def next_member(self) -> Header | None:
        """Return the next member's header with what extended headers say of it; None at the end. Raises CutOff."""
        fields: dict[str, str] = {}
        ended = False
        while block := self._block(ended):
            if not block.strip(b"\0"):
                ended = True  # what stands behind the end may be another archive
                continue
            header = read_header(block)
            if header.kind == _LONG_NAME:
                fields["path"] = self._text(header.size).rstrip(b"\0").decode("utf-8", "replace")
            elif header.kind == _PAX:
                pax = read_pax(self._text(header.size))
                fields |= {key: pax[key] for key in _USED if key in pax}
            elif header.kind in (_LONG_LINK, _PAX_FOR_ALL):
                self._text(header.size)
            else:
                self._skip_sparse_map(header, block)
                return _as_said(header, fields)
            ended = False
        if fields or not ended:
            raise CutOff("the archive ends too early")
        return None

    def skip(self, count: int) -> None:
        while count > 0:
            count -= len(self.read(min(count, CHUNK)))

    def read(self, count: int) -> bytes:
        chunk = self._file.read(count)
        if not chunk:
            raise CutOff("the archive ends too early")
        self.position += len(chunk)
        return chunk

    def _block(self, ended: bool) -> bytes:
        """Return the next block; nothing at the end of the bytes. Behind the archive's end a short one is nothing."""
        block = self._file.peek(BLOCK)[:BLOCK]
        if 0 < len(block) < BLOCK and not ended:
            raise CutOff("the archive ends too early")
        self._file.read(len(block))
        self.position += len(block)
        return b"" if len(block) < BLOCK and not block.strip(b"\0") else block

    def _text(self, size: int) -> bytes:
        if size > _LONGEST_TEXT:
            raise WrongHeader("a name or an extended header that is too long")
        data = bytearray()
        while len(data) < size:
            data += self.read(size - len(data))
        self.skip(-size % BLOCK)
        return bytes(data)

    def _skip_sparse_map(self, header: Header, block: bytes) -> None:
        """Skip the blocks that say where the holes of a sparse member are: they hold nothing but NULs."""
        goes_on = header.kind == _SPARSE and block[482]
        while goes_on:
            more = self._block(ended=False)
            if not more:
                raise CutOff("the archive ends too early")
            goes_on = more[504]


class _Member:
    """The bytes of one member."""

    def __init__(self, tar: _Tar, size: int) -> None:
        self._tar = tar
        self._left = size

    def read(self, count: int) -> bytes:
        chunk = self._tar.read(min(count, self._left)) if self._left else b""
        self._left -= len(chunk)
        return chunk

    def skip(self) -> None:
        """Go to the member's end."""
        self._tar.skip(self._left)
        self._left = 0


def read_header(block: bytes) -> Header:
    """Return what a header block says. Raises WrongHeader where it is not one."""
    if len(block) < BLOCK:
        raise WrongHeader("a part of a header")
    blanked = block[:148] + b" " * 8 + block[156:]
    signed = sum(byte - 256 if byte > 127 else byte for byte in blanked)  # as old programs counted
    if _number(block[148:156]) not in (sum(blanked), signed):
        raise WrongHeader("a header with a wrong checksum")
    name = _text_of(block[:100])
    if block[257:263] == b"ustar\0" and (prefix := _text_of(block[345:500])):
        name = f"{prefix}/{name}"
    kind = block[156]
    if kind == 0 and name.endswith("/"):
        kind = b"5"[0]  # a folder, as archives were before there were types
    size = _number(block[124:136])
    if size < 0:
        raise WrongHeader("a size below zero")
    return Header(name, 0 if kind in _NO_DATA else size, kind)


def read_pax(text: bytes) -> dict[str, str]:
    """Return the records of an extended header, ``<length> <key>=<value>`` each. Raises WrongHeader."""
    fields: dict[str, str] = {}
    at = 0
    end = len(text.rstrip(b"\0"))
    while at < end:
        digits = text[at : max(at, text.find(b" ", at, at + _LONGEST_LENGTH + 1))]
        length = int(digits) if digits.isdigit() else 0
        record = text[at + len(digits) + 1 : at + length]
        key, mark, value = record.partition(b"=")
        if not mark or not record.endswith(b"\n"):
            raise WrongHeader("an extended header that cannot be read")
        fields[key.decode("utf-8", "replace")] = value[:-1].decode("utf-8", "replace")
        at += length
    return fields


def _as_said(header: Header, fields: dict[str, str]) -> Header:
    name = fields.get("GNU.sparse.name") or fields.get("path") or header.name
    size = fields.get("size", "")
    if size and not (size.isascii() and size.isdigit() and len(size) < 20):
        raise WrongHeader("a size that is not a number")
    return replace(header, name=name, size=int(size) if size and header.kind not in _NO_DATA else header.size)


def _text_of(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _number(field: bytes) -> int:
    """Return a number in octal digits, or in base 256 where it is too long for them."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big") - (256 ** (len(field) - 1) if field[0] == 0xFF else 0)
    digits = field.partition(b"\0")[0].strip() or b"0"
    try:
        return int(digits, 8)
    except ValueError as error:
        raise WrongHeader("something other than a number") from error
