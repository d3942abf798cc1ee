"""The operator's key, which keys are trusted, DSSE envelopes, and whose word an approval is."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from runbook_lib.decisions import Approval, canonical_json, sha256_hex
from runbook_lib.errors import ParameterRefused, RecordNotWritable
from runbook_lib.paths import of_user, read_within
from runbook_lib.record.files import FILE_MODE, gate_text, make_folder, plain_json_value, write_all, write_new, writing
from runbook_lib.record.seal import NoStamp, read_certificates
from runbook_lib.secrets import NotPrivate, check_folders, read_private

# -- The key that signs records: Ed25519, in a folder that is the operator's own, never in a record.
#
# The folder (``paths.key_dir``) holds ``signing.pem`` (PKCS #8, not encrypted, mode 0600) and
# ``signing.pub.pem`` (SubjectPublicKeyInfo). Every further ``*.pub.pem`` in it is trusted too: an old key of
# one's own, or a colleague's. A key's id is the SHA-256 of its SubjectPublicKeyInfo in DER, 64 hex digits.

PRIVATE = "signing.pem"
PUBLIC = "signing.pub.pem"
_KEYS_LARGEST = 64 * 1024


@dataclass(frozen=True)
class VerifyingKey:
    """A public key, and where it was found."""

    public: Ed25519PublicKey = field(repr=False)
    source: Path

    @property
    def id(self) -> str:
        """The SHA-256 of the key, in hex."""
        return key_id(self.public)

    @property
    def pem(self) -> bytes:
        """The key as PEM."""
        return self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether a signature is that of the data by this key."""
        try:
            self.public.verify(signature, data)
        except InvalidSignature:
            return False
        return True


def key_id(public: Ed25519PublicKey) -> str:
    """Return the key's id: the SHA-256 of its SubjectPublicKeyInfo in DER form."""
    return sha256_hex(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def new_key(folder: Path) -> VerifyingKey:
    """Make a key pair in ``folder``, files of mode 0600.

    ``ParameterRefused`` if there is one, since none is replaced, or if others may write in the folder;
    ``RecordNotWritable`` if this user may not.
    """
    path = folder / PRIVATE
    require_writable(folder)
    make_folder(folder)
    try:
        check_folders(folder)
    except NotPrivate as error:
        raise _not_private("No key is created where others could take it", path, error) from None
    private = Ed25519PrivateKey.generate()
    if (folder / PUBLIC).exists() or not write_new(
        path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    ):
        raise ParameterRefused(
            "A key exists already, and no key is ever overwritten",
            where=str(path if path.exists() else folder / PUBLIC),
            next_step="runbook key show prints it; for a new one move the old private key away, and rename the old "
            "public one in the same folder, as old.pub.pem, so that older records still verify",
        )
    made = VerifyingKey(private.public_key(), folder / PUBLIC)
    write_new(made.source, made.pem)
    return made


def signing_key(folder: Path) -> Ed25519PrivateKey | None:
    """Return the private key, None where there is none.

    Raises ``ParameterRefused`` where it cannot be used: others have a hand in it, or it is no Ed25519 key.
    """
    path = folder / PRIVATE
    try:
        data = read_private(path, _KEYS_LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__) from None
    except NotPrivate as error:
        raise _not_private("The private key is not used", path, error) from None
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise _unusable(path, "not an Ed25519 private key in PEM without a passphrase")
    return key


def read_public_key(path: Path) -> VerifyingKey:
    """Return the public key in a PEM file; ``ParameterRefused`` if it holds no Ed25519 public key."""
    try:
        data = read_within(path, _KEYS_LARGEST)
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__) from None
    return parse_public(data, path)


def parse_public(data: bytes, path: Path) -> VerifyingKey:
    """Return the public key in ``data``, read from ``path``; ``ParameterRefused`` if it holds no Ed25519 public key."""
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise _unusable(path, "not an Ed25519 public key in PEM")
    return VerifyingKey(key, path)


def trusted_keys(folder: Path) -> tuple[VerifyingKey, ...]:
    """Return every public key in the folder, by name; empty where there is no folder.

    Raises ``ParameterRefused`` for one that others could have put there: they could have put their own.
    """
    keys = []
    for path in sorted(folder.glob("*.pub.pem")):
        try:
            data = read_private(path, _KEYS_LARGEST, public=True)
        except OSError as error:
            raise _unusable(path, error.strerror or type(error).__name__) from None
        except NotPrivate as error:
            raise _not_private("A public key is not trusted", path, error) from None
        keys.append(parse_public(data, path))
    return tuple(keys)


def _not_private(what: str, path: Path, error: NotPrivate) -> ParameterRefused:
    mend = error.next_step or "move it into a folder where only you can write"
    return ParameterRefused(
        f"{what}: {error.why}", where=str(path), next_step=f"{mend}, and get another if somebody may have touched it"
    )


def _unusable(path: Path, how: str) -> ParameterRefused:
    return ParameterRefused(
        "The key cannot be used",
        where=str(path),
        found=how,
        next_step="runbook key new makes a key; runbook key show prints the public one, for others to keep",
    )


# -- What whoever checks a record trusts: public keys, and certificates of time-stamping authorities


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """Nothing by default: then only contradictions are found."""

    keys: tuple[VerifyingKey, ...] = ()
    certificates: tuple[x509.Certificate, ...] = ()


def trusted_in(folder: Path, *, key: str = "", authority: str = "") -> Trusted:
    """Return what the key folder holds, ``*.pub.pem`` and ``*.tsa.pem``, or in its place the files that are named.

    Raises ``ParameterRefused`` for a file that holds none.
    """
    stamping = [of_user(authority)] if authority else sorted(filter(Path.is_file, folder.glob("*.tsa.pem")))
    try:
        certificates = tuple(each for path in stamping for each in read_certificates(path))
    except NoStamp as error:
        raise ParameterRefused(
            "The time-stamping authority cannot be checked",
            found=str(error),
            next_step="give a file with its certificate, or its issuer's, in PEM",
        ) from None
    keys = (read_public_key(of_user(key)),) if key else trusted_keys(folder)
    return Trusted(keys=keys, certificates=certificates)


# -- A DSSE envelope (version 1) around an in-toto Statement v1, signed with Ed25519; pure. --------
#
# What is signed is not the payload alone but ``DSSEv1 <length> <payload type> <length> <payload>``, lengths in
# bytes and decimal digits. The envelope is JSON in canonical form with one line feed at its end.

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:pi-tofu-runbook:incident:v1"


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """An envelope that was read: the payload's bytes, and its signatures as key id and bytes."""

    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    def signed_by(self, key: VerifyingKey) -> bool:
        """Whether one of the signatures is that key's, whatever key id it claims."""
        return any(key.verifies(signature, pae(self.payload)) for _, signature in self.signatures)


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The bytes that are signed (DSSE's pre-authentication encoding)."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def statement(subject: str, sha256: str, predicate: dict[str, Any]) -> dict[str, Any]:
    """An in-toto Statement v1 of one subject."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": subject, "digest": {"sha256": sha256}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }


def sign(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """The envelope's bytes."""
    signature = {"keyid": key_id(key.public_key()), "sig": _base64(key.sign(pae(payload)))}
    whole = {"payload": _base64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]}
    return canonical_json(whole) + b"\n"


def parse(data: bytes) -> Envelope:
    """Read an envelope; ``ValueError`` says what is wrong with it. No signature is checked."""
    try:
        value = json.loads(data)
        if value["payloadType"] != PAYLOAD_TYPE:
            raise ValueError("its payload is not an in-toto statement")
        return Envelope(
            payload=base64.b64decode(value["payload"], validate=True),
            signatures=tuple(
                (str(one["keyid"]), base64.b64decode(one["sig"], validate=True)) for one in value["signatures"]
            ),
        )
    except (KeyError, TypeError, RecursionError, UnicodeDecodeError, json.JSONDecodeError, binascii.Error):
        raise ValueError("it is not a DSSE envelope") from None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


# -- Whose word an approval is: signed by the approver's key, or seen written by this account on this machine.
#
# An approval is one file and one line of the journal, and whoever can write in the record's folder can write both. So
# neither counts by itself. Where the approver has a key, the approval is signed with it. What this account approves is
# besides noted in a file of its own, beside the keys and outside of every record; an approval without a signature
# counts only where it stands there.

TYPE = "application/vnd.pi-tofu-runbook.approval.v1+json"
SEEN = "approvals-seen"
"""In the folder of the keys: a line for each approval, the SHA-256 of its file and the id of a key or a hyphen."""
_APPROVALS_LARGEST = 64 << 20
_LINE = re.compile(r"([0-9a-f]{64}) ([0-9a-f]{64}|-)")


def signed_approval(approval: Approval, key: Ed25519PrivateKey | None) -> Approval:
    """Return the approval as it is to be kept: its texts through the gate and, where there is a key, signed with it."""
    gated = replace(approval, by=gate_text(approval.by), how=gate_text(approval.how), reason=gate_text(approval.reason))
    if key is None:
        return gated
    named = replace(gated, key=key_id(key.public_key()))
    return replace(named, signature=base64.b64encode(key.sign(_payload(named))).decode("ascii"))


def signer_of(approval: Approval, trusted: Iterable[VerifyingKey]) -> VerifyingKey | None:
    """Return the trusted key that signed this approval as it stands, or None."""
    try:
        signature = base64.b64decode(approval.signature, validate=True)
    except (binascii.Error, ValueError):
        return None
    payload = _payload(approval)
    return next((key for key in trusted if key.id == approval.key and key.verifies(signature, payload)), None)


def _payload(approval: Approval) -> bytes:
    body = {name: value for name, value in plain_json_value(approval).items() if name != "signature"}
    return pae(canonical_json(body), TYPE)


def require_writable(folder: Path) -> None:
    """Raise ``RecordNotWritable`` where nothing can be written to the folder of the keys, or it cannot be made."""
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise RecordNotWritable(
            "The folder of keys and noted approvals cannot be written",
            where=str(folder),
            next_step="name one that is writable for you (RUNBOOK_KEY_DIR), then run the same command again",
        )


def note_seen(folder: Path, approvals: Mapping[str, str]) -> None:
    """Note approvals as seen by this account, by the SHA-256 of their files, each with the key that vouches or "".

    Raises ``RecordNotWritable``.
    """
    # The first line feed ends a line that was not written to its end.
    lines = "\n" + "".join(f"{sha256} {key or '-'}\n" for sha256, key in approvals.items())
    require_writable(folder)
    make_folder(folder)
    with writing(folder / SEEN):
        file = os.open(folder / SEEN, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, FILE_MODE)
        try:
            write_all(file, lines.encode("ascii"))
            os.fsync(file)
        finally:
            os.close(file)


def seen_here(folder: Path) -> dict[str, str]:
    """Return what was noted; nothing where there is no such file. Raises ``NotPrivate`` where others could write it."""
    try:
        text = read_private(folder / SEEN, _APPROVALS_LARGEST).decode("ascii", "replace")
    except FileNotFoundError:
        return {}
    matches = filter(None, map(_LINE.fullmatch, text.split("\n")))
    return {match[1]: "" if match[2] == "-" else match[2] for match in matches}
