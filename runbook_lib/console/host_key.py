"""The SSH host key: which one is pinned for a server, and whether the one it shows is that one."""

from __future__ import annotations

import re
from collections.abc import Sequence

import asyncssh

from runbook_lib.errors import HostKeyChanged, HostKeyUnknown, SiteFileInvalid

ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Type of key → the signatures with it that are accepted: none that rests on SHA-1."""

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


class HostKeyPins:
    """The pins of one server: OpenSSH public key lines, ``SHA256:…`` fingerprints, or both.

    Raises ``SiteFileInvalid`` for anything else. ``presented`` are the keys that the server showed, ``met`` says
    whether one of them was pinned. With ``sha1`` signatures on RSA keys that rest on SHA-1 are taken, too.
    """

    def __init__(self, server: str, pins: Sequence[str], *, sha1: bool = False) -> None:
        self.server = server
        self.presented: list[asyncssh.SSHKey] = []
        self.met = False
        self._signatures = ALGORITHMS | ({"ssh-rsa": (*ALGORITHMS["ssh-rsa"], "ssh-rsa")} if sha1 else {})
        self._keys: list[asyncssh.SSHKey] = []
        self._fingerprints: list[str] = []
        for pin in pins:
            self._add(pin.strip())

    def _add(self, pin: str) -> None:
        if _FINGERPRINT.fullmatch(pin.rstrip("=")):
            self._fingerprints.append(pin.rstrip("="))
            return
        try:
            key = asyncssh.import_public_key(pin)
        except asyncssh.KeyImportError:
            key = None
        if key is None or _kind(key) not in ALGORITHMS:
            raise SiteFileInvalid(
                "a pinned SSH host key is neither an OpenSSH public key nor a SHA256: fingerprint",
                where=f"{self.server}, ssh: host_key:",
                found=pin,
                next_step="write it as 'ssh-ed25519 AAAA…' or as 'SHA256:…'; neither MD5 nor DSA is accepted",
            )
        self._keys.append(key)

    @property
    def algorithms(self) -> list[str]:
        """Signature algorithms to offer; those of pinned keys first, so that the server shows one of these.

        Types of which the server has shown a key that is not pinned are left out.
        """
        pinned, shown = [_kind(key) for key in self._keys], [_kind(key) for key in self.presented]
        kinds = sorted(self._signatures, key=lambda kind: kind not in pinned)
        return [algorithm for kind in kinds if kind not in shown for algorithm in self._signatures[kind]]

    @property
    def may_be_another(self) -> bool:
        """Whether a pin may be that of a key that the server has not shown: a fingerprint does not tell its type.

        One that shows a type again, which it was not asked for, has no other: it would be asked for ever.
        """
        shown = [_kind(key) for key in self.presented]
        return bool(self._fingerprints and shown and len(set(shown)) == len(shown) and self.algorithms)

    def accepts(self, key: asyncssh.SSHKey) -> bool:
        """Remember the key that the server shows, and say whether it is pinned.

        Its signature has to be one of those that were asked for: asyncssh would take any that such a key can make.
        """
        self.presented.append(key)
        key.all_sig_algorithms = {name.encode() for name in self._signatures.get(_kind(key), ())}
        pinned = {known.public_data for known in self._keys}
        self.met = key.public_data in pinned or key.get_fingerprint() in self._fingerprints
        return self.met

    def refusal(self, where: str) -> HostKeyUnknown | HostKeyChanged:
        """The error for a key that was presented and is not pinned."""
        shown = ", ".join(map(_words, self.presented)) or "a key that cannot be read"
        pinned = [_words(key) for key in self._keys] + self._fingerprints
        if not pinned:
            return HostKeyUnknown(
                "no SSH host key is pinned for this server; no password was sent",
                where=where,
                found=f"the server presents {shown}",
                next_step="compare this fingerprint with one that you get by another way than this connection, on the"
                " server's own (VM) console or from whoever installed it; only if they are equal, write it into the"
                f" site's file, {self.server}: ssh: host_key:",
            )
        return HostKeyChanged(
            "the server shows another SSH host key than the pinned one; no password was sent",
            where=where,
            found=f"pinned: {', '.join(pinned)}\npresented: {shown}",
            next_step="somebody else may be answering. If the server was deployed anew, or shows a key of another type,"
            " confirm the presented fingerprint on the server's own (VM) console, then replace the pin in the site's"
            f" file, {self.server}: ssh: host_key:",
        )


def _kind(key: asyncssh.SSHKey) -> str:
    return key.get_algorithm()


def _words(key: asyncssh.SSHKey) -> str:
    return f"{key.get_fingerprint()} ({_kind(key)})"
