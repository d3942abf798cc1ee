"""The ADE-OS command line as a state machine: text in, text out, no sockets.

``AdeCli.feed`` is a generator over what the session has to do next; a driver that stops in the middle of it
(because the connection is reset) leaves what comes later undone, as on a real device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

MORE = "--More--"
_WIPE_MORE = "\r" + " " * len(MORE) + "\r"
_RESUME = "Enter session number to resume or press <Enter> to start a new one: "
_BACKSPACES = "\b\x7f"


@dataclass(frozen=True)
class Say:
    """Text for the terminal, with ``\\n`` for line ends."""

    text: str


@dataclass(frozen=True)
class Arrived:
    """A command line, or the answer to a question, has arrived; it takes effect after this."""

    line: str


@dataclass(frozen=True)
class Ran:
    """The command took effect (in one word or sentence); its answer comes after this."""

    line: str
    effect: str


@dataclass(frozen=True)
class Bye:
    """The session ends."""


Event = Say | Arrived | Ran | Bye


@dataclass(frozen=True)
class Reply:
    """What a command prints and does. ``question`` holds the words to ask, and what a yes does."""

    text: str = ""
    effect: str = ""
    question: str = ""
    on_yes: Callable[[], Reply] | None = None


class Device(Protocol):
    """The server behind a command line."""

    @property
    def host_name(self) -> str: ...
    def list_certificates(self) -> Reply: ...
    def delete_certificate(self, entry: str) -> Reply: ...
    def ha_status(self) -> Reply: ...
    def set_auth_key(self, key: str) -> Reply: ...
    def remove_ha(self) -> Reply: ...
    def services(self) -> Reply: ...
    def version(self) -> Reply: ...


class AdeCli:
    """One session. ``echo``: there is a terminal; ``columns``: its width, 0 for endless lines.

    ``deaf``: it goes on paging after ``length`` lines, whatever ``terminal length`` says. ``login_question`` is asked
    before the first prompt, and takes yes or no alone.
    """

    def __init__(
        self,
        device: Device,
        user: str,
        *,
        echo: bool = True,
        columns: int = 0,
        length: int = 24,
        deaf: bool = False,
        resume: bool = False,
        login_question: str = "",
    ) -> None:
        self._device = device
        self._prompt = f"{device.host_name}/{user}# "
        self._echo = echo
        self._columns = columns
        self._length = length
        self._deaf = deaf
        self._resume = resume
        self._login_question = login_question
        self._line = ""
        self._asked = self._prompt
        self._after_return = False
        self._waiting: list[str] = []  # lines that wait behind --More--
        self._on_line: Callable[[str], Iterator[Event]] = self._command
        self._question: Reply | None = None

    def start(self, banner: str = "") -> Iterator[Event]:
        """What appears after login."""
        if banner:
            yield Say(banner.rstrip("\n") + "\n")
        if self._resume:
            yield Say(f"{self._device.host_name} has sessions that were not closed:\n  [1] pts/0, disconnected\n")
            yield from self._ask(_RESUME, self._resumed)
        elif self._login_question:
            yield from self._ask(self._login_question, self._let_in)
        else:
            yield from self._ask(self._prompt, self._command)

    def feed(self, text: str) -> Iterator[Event]:
        """Take input, one character after the other, one command after the other."""
        for char in text:
            after_return, self._after_return = self._after_return, char == "\r"
            if char == "\n" and after_return:
                continue
            if self._waiting:
                yield from self._page_on(char)
            elif char in "\r\n":
                line, self._line = self._line, ""
                yield from self._echoed("\n")
                yield from self._on_line(line)
            elif char == "\x04" and not self._line:
                yield Bye()
            elif char == "\x03":
                self._line = ""
                yield from self._echoed("^C\n")
                yield from self._ask(self._prompt, self._command)
            elif char in _BACKSPACES:
                yield from self._erase()
            elif char.isprintable():
                self._line += char
                yield from self._echoed(char)
                if self._columns and (len(self._asked) + len(self._line)) % self._columns == 0:
                    yield from self._echoed(" \r")  # how a terminal's cursor is brought to the next row

    # -- lines ---------------------------------------------------------------------------------

    def _ask(self, words: str, on_line: Callable[[str], Iterator[Event]]) -> Iterator[Event]:
        self._asked, self._on_line = words, on_line
        yield Say(words)

    def _let_in(self, line: str) -> Iterator[Event]:
        yield Arrived(line)
        if line.strip().lower() in ("y", "yes", "n", "no"):
            yield from self._ask(self._prompt, self._command)
        else:
            yield Say("ERROR : Please enter Yes or No\n")
            yield from self._ask(self._login_question, self._let_in)

    def _resumed(self, line: str) -> Iterator[Event]:
        yield Arrived(line)
        yield from self._ask(self._prompt, self._command)

    def _command(self, line: str) -> Iterator[Event]:
        if not line.strip():
            yield from self._ask(self._prompt, self._command)
            return
        yield Arrived(line)
        if line.split() == ["exit"]:
            yield Ran(line, "")
            yield Bye()
            return
        yield from self._answer(line, self._run(line))

    def _answer(self, line: str, reply: Reply) -> Iterator[Event]:
        yield Ran(line, reply.effect)
        if reply.question:
            self._question = reply
            yield Say(reply.text)
            yield from self._ask(reply.question, self._decided)
        else:
            yield from self._show(reply.text)

    def _decided(self, line: str) -> Iterator[Event]:
        yield Arrived(line)
        question, word = self._question, line.strip().lower()
        assert question is not None
        assert question.on_yes is not None
        if word in ("y", "yes"):
            yield from self._answer(line, question.on_yes())
        elif word in ("n", "no"):
            yield from self._answer(line, Reply("Aborted.\n", "declined"))
        else:
            yield from self._ask(question.question, self._decided)

    # -- commands ---------------------------------------------------------------------------------

    def _run(self, line: str) -> Reply:
        device, words = self._device, line.split()
        match words:
            case ["ncs", "certvalidation", "tofu-certs", "listcerts"]:
                return device.list_certificates()
            case ["ncs", "certvalidation", "tofu-certs", "deletecert", "host", entry]:
                return device.delete_certificate(entry)
            case ["ncs", "ha", "status"]:
                return device.ha_status()
            case ["ncs", "ha", "authkey", key]:
                return device.set_auth_key(key)
            case ["ncs", "ha", "remove"]:
                return device.remove_ha()
            case ["ncs", "status"]:
                return device.services()
            case ["show", "version"]:
                return device.version()
            case ["terminal", "length", number] if number.isdecimal() and number.isascii() and int(number) <= 511:
                self._length = self._length if self._deaf else int(number)
                return Reply()
        return Reply(self._refusal(words))

    def _refusal(self, words: list[str]) -> str:
        for known in _GRAMMAR:
            if len(words) < len(known) and known[: len(words)] == words:
                return "% Incomplete command.\n"
        return " " * len(self._prompt) + "^\n% Invalid command detected at '^' marker.\n"

    # -- terminal ---------------------------------------------------------------------------------

    def _show(self, text: str) -> Iterator[Event]:
        lines = text.splitlines(keepends=True)
        room = self._length - 1 if self._length else len(lines)
        if len(lines) > room:
            self._waiting = lines[room:]
            yield Say("".join(lines[:room]) + MORE)
        else:
            yield Say(text)
            yield from self._ask(self._prompt, self._command)

    def _page_on(self, char: str) -> Iterator[Event]:
        step = {" ": max(self._length - 1, 1), "\r": 1, "\n": 1, "q": 0, "Q": 0}.get(char)
        if step is None:
            return
        shown, self._waiting = self._waiting[:step], self._waiting[step:] if step else []
        yield Say(_WIPE_MORE + "".join(shown))
        if self._waiting:
            yield Say(MORE)
        else:
            yield from self._ask(self._prompt, self._command)

    def _erase(self) -> Iterator[Event]:
        if self._line:
            self._line = self._line[:-1]
            yield from self._echoed("\b \b")

    def _echoed(self, text: str) -> Iterator[Event]:
        if self._echo:
            yield Say(text)


_GRAMMAR = (
    ["ncs", "certvalidation", "tofu-certs", "listcerts"],
    ["ncs", "certvalidation", "tofu-certs", "deletecert", "host", "<entry>"],
    ["ncs", "ha", "status"],
    ["ncs", "ha", "authkey", "<key>"],
    ["ncs", "status"],
    ["show", "version"],
    ["terminal", "length", "<number>"],
)
