"""Log bytes of any encoding → bytes in which ASCII stands as ASCII."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

_UTF_16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def plain_text(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield UTF-16 with a byte order mark as UTF-8, everything else as it is; NULs and the UTF-8 mark go.

    Without its mark, UTF-16 of ASCII text is left as ASCII by taking the NULs out.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(codecs.BOM_UTF8):
            break
    encoding = _UTF_16.get(head[:2])
    if encoding:
        yield from _recoded(head[2:], chunks, encoding)
        return
    yield from _without_nul(head.removeprefix(codecs.BOM_UTF8))
    for chunk in chunks:
        yield from _without_nul(chunk)


def _recoded(head: bytes, chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    yield from _without_nul(decoder.decode(head).encode("utf-8", "replace"))
    for chunk in chunks:
        yield from _without_nul(decoder.decode(chunk).encode("utf-8", "replace"))
    yield from _without_nul(decoder.decode(b"", True).encode("utf-8", "replace"))


def _without_nul(chunk: bytes) -> Iterator[bytes]:
    if b"\0" in chunk:
        chunk = chunk.replace(b"\0", b"")
    if chunk:
        yield chunk
