"""Secrets: references that are resolved at the moment of use; files that only their owner may have a hand in."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from runbook_lib.errors import SecretUnavailable, redact_with
from runbook_lib.models import PI_SERVERS
from runbook_lib.processes import forbid_dumps, name_of_user
from runbook_lib.redactor import SHORTEST, Redactor

# -- Reading a file that only its owner may have a hand in: a secret, or a key. --------------------
#
# The file is looked at before it is opened, since opening a pipe or a device already does something. It has to be a
# regular file of this user (or of root), closed to others, and nobody else may be able to put another file in its
# place: each folder on the way to it, symbolic links included, belongs to this user or to root and is not writable for
# others, unless its sticky bit keeps them from replacing what is not theirs.

_MOST_LINKS = 40


class NotPrivate(Exception):
    """Why a file is not used (``why``), and what would make it usable (``next_step``, possibly empty)."""

    def __init__(self, why: str, next_step: str = "") -> None:
        self.why = why
        self.next_step = next_step
        super().__init__(why)


def read_private(path: Path, largest: int, *, public: bool = False) -> bytes:
    """Return the file's bytes; ``public``: others may read it too.

    Raises ``NotPrivate`` where others have a hand in it or it is longer than ``largest`` bytes, ``OSError`` where it
    cannot be read.
    """
    closed = 0o022 if public else 0o077
    place = Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps "..", which must not be followed blindly
    for folder in _folders(place):
        _check_folder(folder)
    _check_file(place, place.stat(), closed)
    # Not blocking, in case a pipe took the file's place since.
    descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        _check_file(place, os.fstat(file.fileno()), closed)
        data = file.read(largest + 1)
    if len(data) > largest:
        raise NotPrivate(f"the file is longer than {largest} bytes")
    return data


def check_folders(folder: Path) -> None:
    """Raise ``NotPrivate`` where others could put another folder in the place of this one, or remove what is in it."""
    for each in (*_folders(folder), folder):
        _check_folder(each)


def _folders(path: Path) -> Iterator[Path]:
    """Yield every folder in which a name on the way to ``path`` is looked up, and those that symbolic links lead to."""
    folder, rest, links = Path(path.anchor), list(path.parts[1:]), 0
    while rest:
        yield folder
        name = rest.pop(0)
        if name == "..":
            folder = folder.parent
            continue
        step = folder / name
        if not step.is_symlink():
            folder = step
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = step.readlink()
        rest = [*(target.parts[1:] if target.is_absolute() else target.parts), *rest]
        folder = Path(target.anchor) if target.is_absolute() else folder


def _check_folder(folder: Path) -> None:
    status = folder.stat()
    if status.st_uid not in _trusted():
        raise NotPrivate(f"the folder {folder} belongs to another user ({name_of_user(status.st_uid)})")
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        mode = stat.S_IMODE(status.st_mode)
        raise NotPrivate(f"others may write in the folder {folder} (mode {mode:04o})", f"chmod go-w '{folder}'")


def _check_file(path: Path, status: os.stat_result, closed: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotPrivate("it is not a regular file")
    if status.st_uid not in _trusted():
        raise NotPrivate(f"the file belongs to another user ({name_of_user(status.st_uid)})")
    if status.st_mode & closed:
        mode = stat.S_IMODE(status.st_mode)
        raise NotPrivate(f"others may use the file (mode {mode:04o})", f"chmod {0o666 & ~closed:o} '{path}'")


def _trusted() -> set[int]:
    return {0, os.geteuid()}


# -- Secrets: references that are resolved at the moment of use, and the redaction of what they led to.
#
# A site's file holds references only: ``env:NAME``, ``file:PATH``, ``keyring:SERVICE/USER`` or
# ``prompt:LABEL``. Whatever a reference led to in this process is known to ``REDACTOR``, and the
# record keeps nothing that has not passed through it.

REDACTOR = Redactor()
"""Knows every secret that this process has resolved."""

redact_with(lambda text: REDACTOR.redact_text(text))

NOT_A_REFERENCE = "a secret must be a reference: env:NAME, file:PATH, keyring:SERVICE/USER or prompt:LABEL"
_SHAPES = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "file": re.compile(r"[^\x00-\x1f\x7f]+"),
    "keyring": re.compile(r"[^\x00-\x1f\x7f]*[^\x00-\x1f\x7f/]/[^\x00-\x1f\x7f/]+"),
    "prompt": re.compile(r"[^\x00-\x1f\x7f]*[^\x00-\x20\x7f]"),
    "none": re.compile(r""),
}
_LARGEST_FILE = 64 * 1024


@dataclass(frozen=True)
class SecretRef:
    """Where a secret is found: a ``scheme`` and what that needs to find it; never the secret itself."""

    scheme: str
    locator: str

    @classmethod
    def parse(cls, text: object) -> SecretRef:
        """Read ``scheme:locator``; a ``SecretRef`` is given back as it is.

        Raises ``ValueError`` for everything else, and does not repeat the text: it may be a
        password that was written in the wrong place.
        """
        if isinstance(text, SecretRef):
            return text
        scheme, _, locator = text.partition(":") if isinstance(text, str) else ("", "", "")
        shape = _SHAPES.get(scheme)
        if shape is None or not shape.fullmatch(locator):
            raise ValueError(NOT_A_REFERENCE)
        return cls(scheme, locator)

    def __str__(self) -> str:
        return f"{self.scheme}:{self.locator}"

    @property
    def source(self) -> str:
        """Where it comes from, in words that may be shown."""
        return f"from {self}" if self.scheme != "none" else "nowhere: the site's file names none"

    def relative_to_folder(self, folder: Path) -> SecretRef:
        """A ``file:`` reference with an absolute path (``~`` and paths relative to ``folder``); others unchanged."""
        if self.scheme != "file":
            return self
        return SecretRef("file", str(folder.absolute() / Path(self.locator).expanduser()))

    def resolve(self) -> str:
        """Return the secret, and make it known to ``REDACTOR``. From now on this process leaves no core dump.

        Raises ``SecretUnavailable`` where the reference leads nowhere, to a file that others have a
        hand in (``runbook_lib.secrets``), to more than one line, or to fewer than four characters: so
        short a value stands in too many innocent places to be kept out of a record.
        """
        forbid_dumps()
        value = _RESOLVERS[self.scheme](self)
        if not all(character.isprintable() for character in value):
            raise self._unavailable("it holds more than one line, or control characters")
        if len(value) < SHORTEST:
            raise self._unavailable(f"it has fewer than {SHORTEST} characters, too few to keep it out of the record")
        if value.casefold() in PI_SERVERS:  # without them no fact of a record would be found again
            raise self._unavailable("it is a word that stands in every record")
        REDACTOR.know(str(self), value)
        return value

    def _unavailable(self, why: str, next_step: str = "") -> SecretUnavailable:
        return SecretUnavailable(
            f"the secret {self} cannot be used: {why}",
            where=str(self),
            next_step=next_step or f"put the secret where {self} leads, or change the reference in the site's file",
        )


NOT_NAMED = SecretRef("none", "")
"""Stands for a secret that only a later stage needs and that the site's file does not name; it never resolves."""


def learn(references: Iterable[SecretRef]) -> tuple[SecretRef, ...]:
    """Make the secrets known to ``REDACTOR`` without asking anybody; return the references that it does not know.

    For a process that writes what other processes found, and for the scan of a finished record.
    """
    return tuple(each for each in references if needs_a_person(each) or _refusal(each))


def unresolved(references: Iterable[SecretRef]) -> tuple[SecretUnavailable, ...]:
    """Return the errors of the references that lead nowhere; those that a person answers are not asked for."""
    refusals = (_refusal(each) for each in references if not needs_a_person(each))
    return tuple(refusal for refusal in refusals if refusal)


def needs_a_person(reference: SecretRef) -> bool:
    """Whether a person would be asked for it, and has not answered in this process already."""
    return reference.scheme == "prompt" and reference.locator not in _prompted


def _refusal(reference: SecretRef) -> SecretUnavailable | None:
    try:
        reference.resolve()
    except SecretUnavailable as error:
        return error
    return None


def _from_nowhere(reference: SecretRef) -> str:
    raise SecretUnavailable(
        "the site's file does not name a secret that is needed here",
        where=str(reference),
        next_step="write it into the site's file as env:NAME, file:PATH or keyring:SERVICE/USER: ha: auth_key:, or the"
        " password: of the ISE server",
    )


def _from_environment(reference: SecretRef) -> str:
    value = os.environ.get(reference.locator)
    if not value:
        raise reference._unavailable(
            "the environment variable is not set",
            f"read -rs {reference.locator} && export {reference.locator} before the run; in JupyterLab, restart a"
            " kernel older than the site's file",
        )
    return value


def _from_file(reference: SecretRef) -> str:
    path = Path(reference.locator).expanduser()
    try:
        data = read_private(path, _LARGEST_FILE)
    except NotPrivate as error:
        raise reference._unavailable(error.why, error.next_step) from None
    except OSError as error:
        raise reference._unavailable(error.strerror or "the file cannot be read") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise reference._unavailable("the file is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


def _from_keyring(reference: SecretRef) -> str:
    import keyring
    import keyring.errors

    service, _, user = reference.locator.rpartition("/")
    try:
        value = keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        raise reference._unavailable(f"the keyring refused ({type(error).__name__})") from None
    if value is None:
        raise reference._unavailable("the keyring holds no such password", f"keyring set '{service}' '{user}'")
    return value


_prompted: dict[str, str] = {}
_prompt_lock = threading.Lock()


def _from_prompt(reference: SecretRef) -> str:
    """Ask on the terminal, once per label and process."""
    import getpass

    with _prompt_lock:
        if reference.locator not in _prompted:
            if sys.stdin is None or not sys.stdin.isatty():
                raise reference._unavailable(
                    "there is no terminal to ask on", "use env:, file: or keyring: for runs without a terminal"
                )
            try:
                _prompted[reference.locator] = getpass.getpass(f"{reference.locator}: ")
            except EOFError:
                raise reference._unavailable("nothing was typed") from None
        return _prompted[reference.locator]


_RESOLVERS = {
    "none": _from_nowhere,
    "env": _from_environment,
    "file": _from_file,
    "keyring": _from_keyring,
    "prompt": _from_prompt,
}
