"""Files that hold a CSR or certificates, and never a private key: read once, carefully, nothing of them kept."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from runbook_lib.errors import ExpectationInvalid

LARGEST_FILE = 1 << 20

_BOUNDARY = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----")
_KEY_IN_TEXT = re.compile(rb"BEGIN [^\r\n]{0,40}PRIVATE KEY|PuTTY-User-Key-File-")
_LENGTH = rb"(?:[\x00-\x80]|\x81.|\x82..|\x83...|\x84....)"
# A certificate and a CSR begin with a SEQUENCE in a SEQUENCE. What begins with a number instead is a key (PKCS #1,
# PKCS #8, SEC 1, DSA) or a container of keys (PKCS #12); an encrypted key begins with the way it was encrypted.
_KEY_IN_DER = re.compile(rb"\x30" + _LENGTH + rb"\x02", re.DOTALL)
_ENCRYPTED_KEY_IN_DER = re.compile(
    rb"\x30" + _LENGTH + rb"\x30" + _LENGTH + rb"\x06.\x2a\x86\x48\x86\xf7\x0d\x01[\x05\x0c]", re.DOTALL
)
_KEY_STORE = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")  # of Java


def read_public(path: Path) -> bytes:
    """Return what a file holds; raises ExpectationInvalid where it holds a private key, or cannot be read.

    Only an ordinary file of at most 1 MiB is read, so that nothing waits for a writer or never ends.
    """
    try:
        data = _read(path)
    except (OSError, ValueError) as error:
        raise ExpectationInvalid(
            "The expectation's file cannot be read",
            where=str(path),
            found=getattr(error, "strerror", "") or type(error).__name__,
            next_step="check the path; it is that of a CSR's or certificate's file",
        ) from None
    refuse_keys(data, str(path))
    return data


def refuse_keys(data: bytes, where: str) -> None:
    """Raise ExpectationInvalid for what holds a private key, or is too large for a CSR or certificates."""
    if len(data) > LARGEST_FILE:
        raise ExpectationInvalid(
            "The expectation's file is larger than 1 MiB",
            where=where,
            next_step="give a file that holds the CSR or the certificates alone",
        )
    if _holds_private_key(data):
        raise ExpectationInvalid(
            "The file holds a private key (or a container of keys); it was not used and nothing of it is kept",
            where=where,
            next_step="give the CSR or the certificate alone, and keep the key where only its server can read it",
        )


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ExpectationInvalid(
                "The expectation's file is not an ordinary file",
                where=str(path),
                next_step="give the path of the CSR's or certificate's file itself",
            )
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(LARGEST_FILE + 1)
    finally:
        os.close(descriptor)


def _holds_private_key(data: bytes) -> bool:
    text = data.replace(b"\0", b"")  # UTF-16, as some editors write it
    start = data.lstrip()
    return bool(
        _KEY_IN_TEXT.search(text)
        or _KEY_IN_DER.match(start)
        or _ENCRYPTED_KEY_IN_DER.match(start)
        or start.startswith(_KEY_STORE)
    )


def blocks_of(data: bytes, labels: tuple[str, ...], path: Path) -> list[bytes]:
    """Return the PEM blocks with one of the labels, whatever stands around them; the whole file where it is not PEM.

    Raises ExpectationInvalid where a block is not ended, or none has such a label.
    """
    found: list[tuple[str, bytes]] = []
    begun: re.Match[bytes] | None = None
    for boundary in _BOUNDARY.finditer(data):
        begins = boundary[1] == b"BEGIN"
        if begins == (begun is not None) or (begun and boundary[2] != begun[2]):
            raise _cut_off(path)
        if begun:
            lines = data[begun.start() : boundary.end()].splitlines()
            found.append((begun[2].decode(), b"\n".join(line.strip() for line in lines)))
        begun = boundary if begins else None
    if begun:
        raise _cut_off(path)
    if not found:
        return [data]
    wanted = [block for label, block in found if label in labels]
    if not wanted:
        raise ExpectationInvalid(
            f"The file holds no {labels[0]}",
            where=str(path),
            found=", ".join(dict.fromkeys(label for label, _ in found)),
            next_step="give a file of that kind, PEM or DER, or say csr:, certificate: or ca: as it is",
        )
    return wanted


def _cut_off(path: Path) -> ExpectationInvalid:
    return ExpectationInvalid(
        "A PEM block in the file is not ended: it may have been cut off",
        where=str(path),
        next_step="export or copy the file again, with every BEGIN and END line",
    )
