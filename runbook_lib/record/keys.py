"""The key that signs records: Ed25519, in a folder that is the operator's own, never in a record.

The folder (``places.key_dir``) holds ``signing.pem`` (PKCS #8, not encrypted, mode 0600) and
``signing.pub.pem`` (SubjectPublicKeyInfo). Every further ``*.pub.pem`` in it is trusted too: an old key of
one's own, or a colleague's. A key's id is the SHA-256 of its SubjectPublicKeyInfo in DER, 64 hex digits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

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

from runbook_lib.canonical import sha256_hex
from runbook_lib.errors import ParameterRefused
from runbook_lib.private import NotPrivate, check_folders, read_private
from runbook_lib.record.files import make_folder, write_new

PRIVATE = "signing.pem"
PUBLIC = "signing.pub.pem"
_LARGEST = 64 * 1024


@dataclass(frozen=True)
class VerifyingKey:
    """A public key, and where it was found."""

    public: Ed25519PublicKey = field(repr=False)
    source: Path

    @property
    def id(self) -> str:
        return key_id(self.public)

    @property
    def pem(self) -> bytes:
        return self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        try:
            self.public.verify(signature, data)
        except InvalidSignature:
            return False
        return True


def key_id(public: Ed25519PublicKey) -> str:
    return sha256_hex(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def new_key(folder: Path) -> VerifyingKey:
    """Make a key pair in ``folder``, files of mode 0600.

    ``ParameterRefused`` if there is one, since none is replaced, or if others may write in the folder.
    """
    path = folder / PRIVATE
    make_folder(folder)
    try:
        check_folders(folder)
    except NotPrivate as error:
        raise _not_private("No key is made where others could take it", path, error) from None
    private = Ed25519PrivateKey.generate()
    if (folder / PUBLIC).exists() or not write_new(
        path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    ):
        raise ParameterRefused(
            "There is a key already, and no key is ever replaced",
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
        data = read_private(path, _LARGEST)
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


def read_public(path: Path) -> VerifyingKey:
    """Return the public key in a PEM file; ``ParameterRefused`` if it holds no Ed25519 public key."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__) from None
    return parse_public(data, path)


def parse_public(data: bytes, path: Path) -> VerifyingKey:
    """The same from bytes that were read from ``path``."""
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
    found = []
    for path in sorted(folder.glob("*.pub.pem")):
        try:
            data = read_private(path, _LARGEST, public=True)
        except OSError as error:
            raise _unusable(path, error.strerror or type(error).__name__) from None
        except NotPrivate as error:
            raise _not_private("A public key is not trusted", path, error) from None
        found.append(parse_public(data, path))
    return tuple(found)


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
