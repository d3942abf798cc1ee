"""Every error that a user can meet, as one tree.

::

    RunbookError                    exit
    ├── UsageError                  2     you asked for something that cannot be
    │   ├── SiteFileInvalid               the site's file has problems (all of them named)
    │   ├── ParameterRefused              a notebook's or command's parameter
    │   ├── ExpectationInvalid            a fingerprint, CSR, certificate or CA bundle
    │   ├── SecretUnavailable             a secret's reference leads nowhere
    │   └── BrowserMissing                no Chrome, Edge or Chromium on this machine
    ├── SafetyStop                  3     going on would not be safe
    │   ├── ApprovalMissing               nobody has approved the plan's digest
    │   ├── DeletionRefused               the verdict does not allow it
    │   ├── PlanStale                     something moved between plan and deletion
    │   ├── StageOutOfOrder               facts of an earlier stage are missing
    │   ├── SiteLocked                    another run changes this site now
    │   ├── VersionUnsupported            the server is older than 3.5
    │   ├── ReadinessFailed               a readiness item failed that the site does not accept
    │   ├── CertificateMoved              the host no longer shows the confirmed certificate
    │   ├── BrowserUnsafe                 the browser has another way out than the pinned relay
    │   └── DecisionNeeded                several readings are possible; a person has to choose
    ├── DeviceError                 4     a device did not answer, or refused
    │   ├── DeviceUnreachable             no connection
    │   ├── DeviceSilent                  connected, and no answer within the deadline
    │   ├── ConnectionLost                the connection ended in the middle of an exchange
    │   ├── HostKeyUnknown                no host key is pinned for the server
    │   ├── HostKeyChanged                the server shows another host key than the pinned one
    │   ├── LoginRefused                  user name or password not accepted, or expired
    │   │   └── LoginQuestion             something is asked, or another prompt stands, where the prompt should
    │   ├── VantageUnavailable            the server refuses SSH port forwarding
    │   ├── CommandRefused                the command line does not know or allow the command
    │   ├── AnswerNotUnderstood           an answer that no parser knows; the raw text is kept
    │   ├── PageNotUnderstood             a page on which an expected field or text is missing
    │   └── PageRefused                   the page said no, in words of its own
    ├── RecordError                 5     the record cannot be written or does not verify
    │   ├── RecordNotWritable
    │   └── RecordDamaged
    ├── RepairFailed                1     it was done, and it did not help
    └── OutcomeUnknown              6     a change was sent and its result was not seen

Each says what happened, where, what was found, and the next thing to do. None holds a secret
or a local variable of ours, all survive pickling, and the text that came from a device is
escaped before it is shown.
"""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from collections.abc import Callable
from typing import ClassVar

MOST_LINES = 12
"""How many lines of what an error found a terminal shows; of a longer list it shows the first and the last few."""

_MOST_MARKS = 4  # on one letter: more of them would be drawn over other lines
_UNSEEN = re.compile("[\u034f\u115f\u1160\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")  # and called printable
_LONGEST_SPELLING = 4096
"""Characters. No secret that is in use is written down in more, however it is escaped and broken over lines."""

Redact = Callable[[str], str]

_redact: Redact = str
"""Replaces the secrets that this process knows. ``runbook_lib.secrets`` gives it; without that, none are known."""


def redact_with(redact: Redact) -> None:
    """Pass every text that is shown or cut here through ``redact`` from now on."""
    global _redact
    _redact = redact


def redacted(text: str) -> str:
    """Return the text with a mark in the place of each known secret."""
    return _redact(text)


def cut(text: str, limit: int) -> str:
    """Return at most the first ``limit`` characters of foreign text, which may hold a secret.

    It is redacted before it is cut: a part of a secret is not recognized any more. This is the one place that cuts;
    what is short enough stays as it is, whole for the gate that it comes to. What lies far behind the cut is not
    looked at, so that a long text costs no more than a short one.
    """
    return _near_the_cut(text, limit, lambda reach: text[:reach])[:limit]


def cut_front(text: str, limit: int) -> str:
    """Return at most the last ``limit`` characters, redacted before it is cut, as in ``cut``."""
    return _near_the_cut(text, limit, lambda reach: text[-reach:])[-limit:]


def _near_the_cut(text: str, limit: int, part: Callable[[int], str]) -> str:
    """Return as much redacted text as a cut at ``limit`` needs to leave no broken secret; a short one as it is.

    Marks may be shorter than what they replace; where they bring the broken end too close to the cut, more is read.
    """
    if len(text) <= limit:
        return text
    reach = limit + 2 * _LONGEST_SPELLING
    while True:
        kept = _redact(part(reach))
        if reach >= len(text) or len(kept) >= limit + _LONGEST_SPELLING:
            return kept
        reach *= 2


def opening_line(text: str) -> str:
    """Return the first line of foreign text: redacted before it is cut, as in ``cut``."""
    return next(iter(_redact(text).splitlines()), "")


def system_words(error: Exception) -> str:
    """Return what the system calls an error, such as ``Connection refused``; else the error's own words."""
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)


MORE_FILES = "this machine is the cause: let the process open more files (ulimit -n 4096), then run it again"


def step_after(error: Exception, usual: str) -> str:
    """Return the next step after an error of the system: ``usual``, unless this process may open no more files."""
    out_of_files = isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)
    return MORE_FILES if out_of_files else usual


def _escaped(match: re.Match[str]) -> str:
    shown, marks = "", 0
    for char in match[0]:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        seen = char.isprintable() and marks <= _MOST_MARKS and not _UNSEEN.match(char)
        shown += char if seen else ascii(char)[1:-1]
    return shown


def printable(text: str, limit: int = 2000) -> str:
    """Return foreign text that is safe to show: secrets are replaced, control characters are escaped.

    Line feeds and tabs stay; everything else that is not printable (escape sequences,
    bidirectional overrides, surrogates), is not seen or piles up becomes its ``\\x1b`` form. Longer
    texts are cut at ``limit`` characters, and say so.
    """
    text = _redact(text)
    shown = re.sub(r"[^\n\t -~]+", _escaped, text[:limit])
    return shown if len(text) <= limit else f"{shown}… ({len(text) - limit} more characters)"


def one_line(text: str, limit: int = 2000) -> str:
    """Return the same on one line, so that foreign text cannot pretend to be a line of ours."""
    return printable(text, limit).replace("\n", "\\n").replace("\t", "\\t")


class RunbookError(Exception):
    """What happened (``what``), ``where``, what was ``found`` and what to do next (``next_step``)."""

    exit_code: ClassVar[int] = 1
    shown_limit: ClassVar[int] = 2000

    def __init__(self, what: str, *, where: str = "", found: str = "", next_step: str = "") -> None:
        self.what = what
        self.where = where
        self.found = found
        self.next_step = next_step
        super().__init__(what)

    def __str__(self) -> str:
        below = "\n         "  # further lines are indented, so that none of them looks like one of ours
        lines = [printable(self.what).replace("\n", below)]
        found = ("found: ", self.found, self.shown_limit)
        for name, text, limit in (("where: ", self.where, 2000), found, ("next:  ", self.next_step, 2000)):
            if text:
                lines.append(f"  {name}{printable(text, limit)}".replace("\n", below))
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: IPython asks for this, and advice needs no stack of calls."""
        return f"{type(self).__name__}: {self}".split("\n")


class UsageError(RunbookError):
    """You asked for something that cannot be; nothing was contacted."""

    exit_code = 2


class SiteFileInvalid(UsageError):
    """The site's file has problems; ``found`` names every one with file, line and key."""

    shown_limit = 50_000


class ParameterRefused(UsageError):
    """A parameter is unknown or of the wrong type."""


class ExpectationInvalid(UsageError):
    """A fingerprint, CSR, certificate or CA bundle that cannot serve as an expectation."""


class SecretUnavailable(UsageError):
    """A secret's reference leads nowhere; the reference is named, never a value."""


class BrowserMissing(UsageError):
    """No Chrome, Edge or Chromium was found on this machine."""


class SafetyStop(RunbookError):
    """Going on would not be safe; nothing was changed after this point."""

    exit_code = 3


class ApprovalMissing(SafetyStop):
    """Nobody has approved the plan's digest."""


class DeletionRefused(SafetyStop):
    """A verdict does not allow the deletion."""


class PlanStale(SafetyStop):
    """Something moved between the plan and the deletion; a new plan is needed."""


class StageOutOfOrder(SafetyStop):
    """The record does not hold what an earlier stage would have left."""


class SiteLocked(SafetyStop):
    """Another run is changing this site now; its holder is named."""


class VersionUnsupported(SafetyStop):
    """A server runs a release that the runbook was not written for, or another one than its peer."""


class ReadinessFailed(SafetyStop):
    """A readiness item failed and the site's file does not accept it."""


class CertificateMoved(SafetyStop):
    """The host no longer presents the certificate that was confirmed."""


class BrowserUnsafe(SafetyStop):
    """The browser lets a page talk past the pinned relay, or does not show that it does not; nothing was typed."""


class DecisionNeeded(SafetyStop):
    """Several readings are possible; a person has to choose. ``names_site``: by giving the site's name."""

    names_site: bool = False


class DeviceError(RunbookError):
    """A device did not answer, or refused. ``sent``: whether the command had left for the device before that."""

    exit_code = 4
    sent: bool = False


class DeviceUnreachable(DeviceError):
    """No connection could be made."""


class DeviceSilent(DeviceError):
    """Connected, and no answer within the deadline."""


class ConnectionLost(DeviceError):
    """The connection ended in the middle of an exchange."""


class HostKeyUnknown(DeviceError):
    """No SSH host key is pinned for the server; no password was sent."""


class HostKeyChanged(DeviceError):
    """The server shows another SSH host key than the pinned one; no password was sent."""


class LoginRefused(DeviceError):
    """User name or password not accepted, or expired; not tried again."""


class LoginQuestion(LoginRefused):
    """The server asks something before its prompt, or the login ends at another prompt; it was not answered."""


class VantageUnavailable(DeviceError):
    """The server refuses to forward the connection, so nothing was seen from there."""


class CommandRefused(DeviceError):
    """The server's command line does not know or allow the command."""


class AnswerNotUnderstood(DeviceError):
    """An answer that no parser knows; ``found`` begins the raw text, which the record keeps whole."""


class PageNotUnderstood(DeviceError):
    """A page on which an expected field, button or text is missing."""


class PageRefused(DeviceError):
    """The page said no, in words of its own; or what was clicked was not done for another reason (``declined``), such
    as a question that was answered with no."""

    declined = False

    @property
    def told(self) -> str:
        """What a record says of it."""
        return f"not done: {self.what}; {self.found}" if self.declined else f"refused: {self.found or self.what}"


class RecordError(RunbookError):
    """The record cannot be written or does not verify. ``sent``: what is to be kept is the answer to a change."""

    exit_code = 5
    sent: bool = False


class RecordNotWritable(RecordError):
    """The record's folder takes no more bytes; the change that needed it was not sent."""


class RecordDamaged(RecordError):
    """A file of the record is not what the journal says it was."""


class RepairFailed(RunbookError):
    """It was done, and it did not help."""


class OutcomeUnknown(RunbookError):
    """A change was sent and its result was not seen; observe before doing anything else."""

    exit_code = 6


def kind_called(name: str) -> type[RunbookError] | None:
    """Return the error of this tree with that name, as an executed notebook gives it; None for any other."""
    kind = globals().get(name)
    return kind if isinstance(kind, type) and issubclass(kind, RunbookError) else None
