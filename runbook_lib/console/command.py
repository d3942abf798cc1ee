"""What is typed, and what may be written down of it: the two differ where a command holds a secret."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runbook_lib.errors import UsageError
from runbook_lib.secrets import SecretRef

PLACE = "{secret}"


@dataclass(frozen=True)
class Command:
    """One line to type. ``shown`` may be written down; ``line`` holds the secret, and is kept out of every repr."""

    shown: str
    _line: str
    _secret: str = ""

    def __repr__(self) -> str:
        return f"Command({self.shown!r})"

    @property
    def line(self) -> str:
        return self._line

    def hide(self, text: str) -> str:
        """Return ``text`` with the secret, broken into lines or not, replaced by its reference."""
        if not self._secret:
            return text
        return re.sub(r"\s*".join(map(re.escape, self._secret)), lambda _: self._mask, text)

    def hide_raw(self, raw: bytes) -> bytes:
        """The same for the bytes of an answer."""
        if not self._secret:
            return raw
        letters = [re.escape(char.encode()) for char in self._secret]
        return re.sub(rb"\s*".join(letters), lambda _: self._mask.encode(), raw)

    @property
    def is_secret(self) -> bool:
        return bool(self._secret)

    @property
    def _mask(self) -> str:
        return self.shown[self.shown.index("[secret ") : self.shown.rindex("]") + 1]


def command(text: str, secret: SecretRef | None = None) -> Command:
    """Make a command; ``text`` holds ``{secret}`` exactly once where a ``secret`` is given, and it is resolved now.

    Raises ``UsageError`` for an empty command and for control characters, line ends included, and
    ``SecretUnavailable``.
    """
    if not text.strip() or not text.isprintable():
        raise UsageError(
            "a command must be one line of printable characters; nothing was sent",
            found=text,
            next_step="remove line ends and control characters",
        )
    if secret is None:
        return Command(text, text)
    if text.count(PLACE) != 1:
        raise UsageError(f"a command with a secret must hold {PLACE} exactly once; nothing was sent", found=text)
    value = secret.resolve()
    if not value.isprintable() or any(char.isspace() for char in value):
        raise UsageError("the secret holds blanks or control characters, and cannot be typed", where=str(secret))
    return Command(text.replace(PLACE, f"[secret {secret}]"), text.replace(PLACE, value), value)
