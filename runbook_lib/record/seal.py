"""What a seal is made of, beside its signature: the manifest of a record, and a time stamp over it."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from runbook_lib.decisions import canonical_json, sha256_hex
from runbook_lib.errors import cut
from runbook_lib.event_loop import TooLate, within_time
from runbook_lib.paths import read_within
from runbook_lib.record.journal import JOURNAL, JournalText

# -- The manifest of a record: every file with its size and SHA-256; and the walk that finds them. --
#
# ``journal.jsonl`` grows after a seal, so it is not among the files: the manifest says how many lines of it there
# were, how many bytes, their SHA-256 and the last line's hash. The files of the seal itself are not in it either;
# the journal names those.

MANIFEST_FORMAT = "runbook-manifest-v1"
EMPTY = "added: it is an empty folder"


T = TypeVar("T", "JournalPart", "FileEntry")


class PackedFile(Protocol):
    """A file in an archive; both raise ``OSError`` where it is damaged."""

    def read_bytes(self) -> bytes:
        """Return its content."""

    def measured(self) -> tuple[str, int]:
        """Return its SHA-256 in hex and its bytes in number."""


ReadableFile = Path | PackedFile
"""A file of a record, on disk or in an archive."""
RecordFiles = Mapping[str, ReadableFile]
"""Files of a record by their paths in it."""


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file: its path in the record with ``/``, its size in bytes, the SHA-256 of its content."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class JournalPart:
    """The part of the journal that a seal covers: whole lines from the first on, their bytes, the last one's hash."""

    lines: int
    bytes: int
    sha256: str
    head: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a seal covers: the journal up to it, and every file."""

    incident: str
    journal: JournalPart
    files: tuple[FileEntry, ...]

    def to_bytes(self) -> bytes:
        """JSON, each file on a line of its own, so that ``sed`` can read it too."""
        head = {"format": MANIFEST_FORMAT, "incident": self.incident, "journal": asdict(self.journal)}
        rows = b",\n".join(canonical_json(asdict(entry)) for entry in self.files)
        return canonical_json(head)[:-1] + b',"files":[\n' + rows + b"\n]}\n"


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest; ``ValueError`` if it is not one, or not spelled as this software spells it."""
    try:
        value: dict[str, Any] = json.loads(data)
        if value["format"] != MANIFEST_FORMAT:
            raise ValueError("it is not a manifest of this form")
        manifest = Manifest(
            incident=value["incident"],
            journal=_typed(JournalPart(**value["journal"])),
            files=tuple(_typed(FileEntry(**entry)) for entry in value["files"]),
        )
        same = isinstance(manifest.incident, str) and manifest.to_bytes() == data
    except (KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("it is not a manifest") from None
    if not same:
        raise ValueError("it is not spelled as a manifest is written")
    return manifest


def _typed(part: T) -> T:
    """Return a part of a manifest whose values are of their types and no number is below 0; else ``TypeError``."""
    for field in fields(part):
        value = getattr(part, field.name)
        if type(value).__name__ != field.type or (isinstance(value, int) and value < 0):
            raise TypeError(field.name)
    return part


def journal_part(data: bytes, journal: JournalText) -> JournalPart:
    """The whole lines of a journal's bytes."""
    whole = data[: len(data) - len(journal.torn)]
    return JournalPart(lines=len(journal.lines), bytes=len(whole), sha256=sha256_hex(whole), head=journal.head)


def list_files(folder: Path) -> tuple[dict[str, Path], tuple[tuple[str, str], ...]]:
    """Return every plain file under ``folder`` but the journal, by its path there, and what else there is, and why.

    Nothing is passed over: a link or a device, an empty folder, one that cannot be entered, a name that is not UTF-8.
    """
    files: dict[str, Path] = {}
    others: dict[str, str] = {}
    waiting = [(folder, "")]  # not by recursion, of which a folder that is deep enough would run out
    while waiting:
        parent, above = waiting.pop()
        here = _spelled(above.removesuffix("/")) or "."
        try:
            with os.scandir(parent) as entries_here:
                entries = sorted(entries_here, key=lambda entry: entry.name)
        except OSError as error:
            others[here] = f"it cannot be entered: {error.strerror}"
            continue
        if not entries and parent != folder:
            others[here] = EMPTY
        for entry in entries:
            path, name = parent / entry.name, above + entry.name
            relative = _spelled(name)
            if relative != name:
                others[relative] = "added: its name is not UTF-8"
            elif entry.is_dir(follow_symlinks=False):
                waiting.append((path, f"{name}/"))
            elif not entry.is_file(follow_symlinks=False):
                others[relative] = "added: it is a link or a device, and a record holds plain files only"
            elif relative != JOURNAL:
                files[relative] = path
    return files, tuple(sorted(others.items()))


def _spelled(path: str) -> str:
    """Return a path as text, even if its bytes are not text."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def measured(file: ReadableFile) -> tuple[str, int]:
    """Return a file's SHA-256 in hex and its size in bytes, read piece by piece; raises ``OSError``."""
    if not isinstance(file, Path):
        return file.measured()
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return digest.hexdigest(), stream.tell()


def entries(files: Iterable[tuple[str, Path]], name: Callable[[str], str]) -> Iterator[FileEntry]:
    """Read each file; ``name`` spells its path. One that goes meanwhile was never the record's, and is left out."""
    for relative, path in sorted(files):
        try:
            sha256, size = measured(path)
        except FileNotFoundError:
            continue
        yield FileEntry(path=name(relative), sha256=sha256, size=size)


# -- RFC 3161 time stamps: a third party's signed word that some bytes existed at a time. ----------
#
# The request holds a SHA-256 and a random number and nothing else of the record. It goes to the one address that the
# site's file names, past proxies, and follows no redirection.

LARGEST_STAMP = 256 * 1024
DEFAULT_TIMEOUT_S = 15.0
_TYPES = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}


class NoStamp(Exception):
    """There is no time stamp, or it is not what it has to be; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A time-stamping authority as the site's file names it; ``certificate`` is a file of PEM certificates."""

    url: str
    certificate: Path
    timeout_s: float = DEFAULT_TIMEOUT_S

    @classmethod
    def of(cls, site: Mapping[str, Any]) -> Authority | None:
        """The one of a site's plain values; None where it names none."""
        named = site.get("timestamp")
        if not named:
            return None
        return cls(url=named["url"], certificate=Path(named["certificate"]), timeout_s=named["timeout_s"])


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What a time stamp says: when, and by whose clock (as it names itself; may be empty)."""

    utc: datetime
    authority: str


def request_stamp(authority: Authority, data: bytes) -> bytes:
    """Return the authority's whole answer in DER, verified; raises ``NoStamp``."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    certificates = read_certificates(authority.certificate)
    request = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256).build()
    answer = _post(authority, request.as_bytes())
    check_stamp(answer, data, certificates, nonce=request.nonce)
    return answer


def check_stamp(answer: bytes, data: bytes, certificates: Sequence[x509.Certificate], *, nonce: Any = None) -> Stamp:
    """Return what the stamp says if it is one over ``data`` that ``certificates`` vouch for; raises ``NoStamp``.

    The authority's own certificate has to be among them, or to be issued by one of them; where its own is, no other
    one counts. Certificates have to be valid at the time of the stamp, not now.
    """
    from rfc3161_client import VerificationError, VerifierBuilder

    stamp = read_stamp(answer)
    own = [each for each in certificates if _stamps_times(each)]
    for one in own or (None,):
        try:
            checks = VerifierBuilder(roots=list(certificates), tsa_certificate=one, nonce=nonce).build()
            checks.verify_message(_decoded(answer), data)
        except (VerificationError, ValueError) as error:
            why = str(error)
        else:
            return stamp
    raise NoStamp(f"the certificates that are named do not vouch for it, or it is not about this file: {cut(why, 200)}")


def read_stamp(answer: bytes) -> Stamp:
    """Return what an answer says without checking it; raises ``NoStamp`` where it is no stamp."""
    info = _decoded(answer).tst_info
    name = getattr(info.name, "value", None)
    return Stamp(utc=info.gen_time, authority=name.rfc4514_string() if isinstance(name, x509.Name) else "")


def read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM file; raises ``NoStamp`` where there is none."""
    try:
        return tuple(x509.load_pem_x509_certificates(read_within(path)))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it holds no certificate in PEM"
        raise NoStamp(f"the authority's certificate cannot be used: {path}: {why}") from None


def _stamps_times(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return ExtendedKeyUsageOID.TIME_STAMPING in usage.value


def _decoded(answer: bytes) -> Any:
    from rfc3161_client import PKIStatus, decode_timestamp_response

    try:
        decoded = decode_timestamp_response(answer)
        if decoded.status != PKIStatus.GRANTED:
            raise NoStamp(f"the authority refused: status {decoded.status} {', '.join(decoded.status_string)}".strip())
        _ = decoded.tst_info
    except ValueError:
        raise NoStamp("the answer is not a time stamp") from None
    return decoded


def _post(authority: Authority, request: bytes) -> bytes:
    url = urlsplit(authority.url)
    end = time.monotonic() + authority.timeout_s
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    connection = http.client.HTTPConnection(host, port)
    try:
        with socket.create_connection((host, port), timeout=authority.timeout_s) as plain, within_time(plain, end):
            secure = url.scheme == "https"
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain
            connection.request("POST", urlunsplit(("", "", url.path or "/", url.query, "")), request, _TYPES)
            with connection.getresponse() as answer:
                if answer.status != http.HTTPStatus.OK:
                    raise NoStamp(f"the authority answered with HTTP status {answer.status}")
                data = answer.read(LARGEST_STAMP + 1)
    except TooLate:
        raise NoStamp(f"the authority did not answer within {authority.timeout_s:g} s") from None
    except (http.client.HTTPException, OSError) as error:
        raise NoStamp(f"the authority did not answer ({type(error).__name__})") from None
    finally:
        connection.close()
    if len(data) > LARGEST_STAMP:
        raise NoStamp("the answer is too long for a time stamp")
    return data
