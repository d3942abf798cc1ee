"""What arrived since a command: text without control sequences, paging and echo; and what a line of it is. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from functools import partial

from runbook_lib import device_prompts
from runbook_lib.device_prompts import ERASED, PROMPT, PromptRow, any_of, unfolded

# -- Raw terminal output → text. Pure; linear in its input; nothing visible is taken out but echo and paging

_CONTROL = re.compile(
    r"\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]"  # colours, cursor, erasing
    r"|\][^\x07\x1b\r\n]*(?:\x07|\x1b\\)"  # window titles; never over a line's end, or a hostile name could hide lines
    r"|[()][0-9A-Za-z]"
    r"|[=>78cDEHMNOZ]"
    r")"
    r"|\x07"  # the bell
)
_PROMPT = re.sub(r"\?P<\w+>", "?:", PROMPT)
LEAST_SEEN = 8
"""Of a command that scrolled sideways, so many characters have to be seen at its end."""
_LINE_END = re.compile(r"\r*\n\r*|\r+")
_DRAWN = re.compile(
    rf"\x1b\[(?P<count>\d{{0,4}})(?P<does>[CDGP]|(?<!1)K)|(?P<moves>[\b\r])|{_CONTROL.pattern}|\0|(?P<char>.)",
    re.DOTALL,
)


def visible_text(raw: bytes) -> str:
    r"""Decode (UTF-8; other bytes as ``\xff``), take control sequences out, make every line end a line feed."""
    return _LINE_END.sub("\n", _CONTROL.sub("", _decoded(raw)))


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def without_pagers(raw: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    """Cut the pager lines at ``spans`` out, together with what took them off the screen."""
    kept = []
    at = 0
    for start, end in spans:
        kept.append(raw[at:start])
        erased = ERASED.match(raw, end)
        at = erased.end() if erased else end
    return b"".join(kept) + raw[at:]


def rendered(line: str) -> str:
    """Return what a terminal shows of one line in which the cursor is moved, and something inserted or erased."""
    cells: list[str] = []
    column = 0
    for drawn in _DRAWN.finditer(line):
        does, count = drawn["does"] or drawn["moves"], int(drawn["count"] or 0) or 1
        if drawn["char"]:
            cells[column : column + 1] = drawn["char"]
            column += 1
        elif does == "P":
            del cells[column : column + count]
        elif does == "K":
            cells[:] = " " * column if drawn["count"] == "2" else cells[:column]
        elif does:
            there = {"\r": 0, "G": count - 1, "C": column + count}.get(does, column - count)
            column = min(max(there, 0), len(cells))
    return "".join(cells)


def without_echo(raw: bytes, command: str, prompt: str) -> str | None:
    """Return the text behind the echo of ``command``; None: the echo was not seen (yet).

    A terminal may draw the line of a command anew with every character. One that is narrow scrolls it sideways, and
    shows in the end what the command ends with.
    """
    text = visible_text(raw)
    end = echo_end(text, command, prompt)
    if end is not None or not command:
        return text[end or 0 :]
    begin = len(raw) - len(raw.lstrip(b"\r\n"))
    end = raw.find(b"\n", begin, begin + 8 * len(command) + _SAID) + 1
    line = _decoded(raw[begin:end].rstrip(b"\r\n"))
    *drawn, last = (rendered(part).strip().strip("<>").strip() for part in line.split("\r"))
    own = all(part in f"{prompt}{command}" for part in drawn)
    scrolled = bool(drawn) and own and len(last) > LEAST_SEEN and command.endswith(last)
    return visible_text(raw[end:]) if scrolled or echo_end(f"{rendered(line)}\n", command, prompt) else None


def echo_end(text: str, command: str, prompt: str) -> int | None:
    """Return the character at which the echo of ``command`` with its line's end is over; None: not (yet) seen.

    The echo begins a line, or follows the prompt drawn once more; a terminal narrower than asked
    for may have broken it into several lines.
    """
    if not command:
        return None
    head = text[: 4 * len(command) + 4096]
    shown = re.escape(prompt.rstrip()) if prompt else _PROMPT
    begin = rf"(?:^|\n)(?:{shown}[ ]*)?"
    exact = re.search(rf"{begin}{re.escape(command)}[ ]*\n", head)
    if exact is None:
        broken = r"\s*".join(re.escape(char) for char in command if not char.isspace())
        exact = re.search(rf"{begin}{broken}[ ]*\n", head)
    return exact.end() if exact else None


def stands_at_prompt(raw: bytes, prompt: str) -> bool:
    """Whether what arrived unasked behind ``prompt`` leaves the command line there: whole lines, or the prompt anew.

    Where no prompt is known yet, nothing can be told.
    """
    *_, line = visible_text(raw).split("\n")
    return not prompt or rendered(line).strip() in ("", prompt.strip())


# -- What arrived since a command was sent, and what that means: pure, without clock or socket of its own

# A prompt is printed in one piece with nothing behind it: this is the network's time, not the server's, and where
# bytes come slower it grows with them. What a busy machine reads late is not missed by it (Feed.wait).
SETTLE_S = 0.15
SLOWEST_SETTLE_S = 5.0
_TAIL = 1024  # a longer line is neither prompt nor question
_SAID = 8192


class Transcript:
    """The bytes of one exchange, its questions and pagers.

    ``command`` is what is to be echoed, empty where nothing is.
    ``stray`` arrived before the command was sent: it is kept in ``raw`` and is no part of the answer.
    """

    def __init__(self, command: str = "", prompt: str = "", stray: bytes = b"") -> None:
        self.command = command
        self.prompt = prompt
        self.raw = bytearray(stray)
        self.questions: list[tuple[str, str]] = []
        self.proofs = 0
        self._begin = len(stray)
        self._floor = len(stray)  # what stands before has been dealt with
        self._pagers: list[tuple[int, int]] = []
        self._gaps: deque[float] = deque(maxlen=8)
        self._last_at: float | None = None
        self._echoed = False
        self._end: int | None = None  # where the answer ends, as far as that was asked for

    def add(self, data: bytes, at: float) -> None:
        """Take in what arrived at the time ``at``, in seconds of a clock that only goes forward."""
        self.raw += data
        if self._last_at is not None:
            self._gaps.append(at - self._last_at)
        self._last_at = at

    @property
    def settle_s(self) -> float:
        """How many seconds nothing may arrive before the end is taken for the end: longer where bytes trickle in."""
        if len(self._gaps) < 4:
            return SETTLE_S
        usual = sorted(self._gaps)[(len(self._gaps) - 1) // 2]
        return min(max(SETTLE_S, 3 * usual), SLOWEST_SETTLE_S)

    @property
    def is_slow(self) -> bool:
        """Whether the bytes come so slowly that pauses between them are usual."""
        return self.settle_s > SETTLE_S

    @property
    def last_line(self) -> str:
        """The unfinished line at the end as a terminal shows it; empty where there is none."""
        start = self._line_start()
        if len(self.raw) - start > _TAIL:
            return ""
        return rendered(_decoded(bytes(self.raw[start:])))

    @property
    def printed(self) -> str:
        """What was printed since the command, or since the last reply, without the command; at most 8 KB of it."""
        raw = bytes(self.raw[max(self._floor, self._begin) :][-_SAID:])
        text = without_echo(raw, self.command, self.prompt) if self._floor <= self._begin else None
        return (visible_text(raw) if text is None else text).replace(self.command or "\0", "")

    @property
    def is_glued(self) -> bool:
        """Whether the prompt stands at the end of a longer line: an answer without a line end."""
        prompt = self.prompt.rstrip()
        return bool(prompt) and visible_text(bytes(self.raw[self._floor :][-_TAIL:])).rstrip().endswith(prompt)

    @property
    def has_echo(self) -> bool:
        """Whether the echo of the command has arrived whole."""
        if not self._echoed and self.command:
            head = bytes(self.raw[self._begin : self._begin + 8 * len(self.command) + _SAID])
            self._echoed = without_echo(head, self.command, self.prompt) is not None
        return self._echoed

    @property
    def is_proven(self) -> bool:
        """Whether, since the end was asked for, nothing came but the prompt, once at least."""
        if self._end is None:
            return False
        since, prompt = visible_text(bytes(self.raw[self._end :])), self.prompt.rstrip()
        return prompt in since and not since.replace(prompt, "").strip()

    @property
    def left_prompt(self) -> bool:
        """Whether, since the end was asked for, the prompt came and other lines behind it."""
        if self._end is None:
            return False
        _, prompt, behind = visible_text(bytes(self.raw[self._end :])).rpartition(self.prompt.rstrip())
        return bool(prompt and behind.strip())

    def ask_for_proof(self) -> None:
        """The prompt stands at the end, and an empty line was sent; the answer ends here if only prompts follow."""
        self.proofs += 1
        self._end = self._floor = len(self.raw)

    def turn_page(self) -> None:
        """The unfinished line is a pager's, and a space was sent."""
        self._pagers.append((self._line_start(), len(self.raw)))
        self._floor = len(self.raw)

    def note_reply(self, reply: str) -> None:
        """The unfinished line is a question, and ``reply`` was sent."""
        self.questions.append((self.last_line.strip(), reply))
        self._floor = len(self.raw)

    def raw_answer(self) -> bytes:
        """Every byte that arrived up to the end of the answer, without the prompt there."""
        raw = self._whole
        shown = re.escape(self.prompt.rstrip().encode())
        standing = re.search(shown + rb"[ ]*(?:\x1b\[[0-9;]*[A-Za-z])*[ ]*\Z", raw[-_TAIL:]) if shown else None
        return raw[: len(raw) - len(standing.group())] if standing else raw

    def text(self) -> str:
        """The answer as text, without echo, paging and the prompt at the end.

        A last line that the device left open before its prompt stays open: a list that was cut must not look whole.
        """
        raw = without_pagers(self._whole, self._pagers)[self._begin :]
        behind = without_echo(raw, self.command, self.prompt)
        text = visible_text(raw) if behind is None else behind
        shown = self.prompt.rstrip()
        if not shown or not text.rstrip(" ").endswith(shown):
            return text
        return text.rstrip(" ").removesuffix(shown)

    @property
    def _whole(self) -> bytes:
        return bytes(self.raw[: self._end] if self.is_proven else self.raw)

    def _line_start(self) -> int:
        start = max(self.raw.rfind(b"\n", self._floor), self.raw.rfind(b"\r", self._floor)) + 1
        return max(start, self._floor)


# -- Which row of the tables a text is. Texts come without control sequences; capitals, blanks and breaks do not count

_PROMPT_LINE = re.compile(PROMPT)


def _pattern(*rows: PromptRow, end: str = "") -> re.Pattern[str]:
    return re.compile(f"(?:{any_of(rows)}){end}", re.I)


_OTHER_PROMPT, _PAGER = _pattern(*device_prompts.OTHER_PROMPTS), _pattern(*device_prompts.PAGERS)
_AT_LOGIN = _pattern(*device_prompts.LOGIN_QUESTIONS, end=r"\Z")
_REFUSAL = _pattern(*device_prompts.REFUSALS)
_ASKING = _pattern(*device_prompts.ASKING, *device_prompts.LOGIN_QUESTIONS, end=r"\Z")


def prompt_host(line: str) -> str | None:
    """Return the host's name where ``line`` is a prompt of the command line, and nothing else."""
    shape = _PROMPT_LINE.fullmatch(line.strip())
    return shape["host"] if shape else None


def is_other_prompt(line: str) -> bool:
    """Return whether ``line`` is a shell's prompt, and nothing else."""
    return _OTHER_PROMPT.fullmatch(unfolded(line)) is not None


def is_pager(line: str) -> bool:
    """Return whether ``line`` is a pager's, and nothing else."""
    return _PAGER.fullmatch(unfolded(line)) is not None


def login_reply(text: str) -> str | None:
    """Return what is typed where ``text`` ends in a question that may be answered before the first prompt."""
    words = unfolded(text)
    asked = _AT_LOGIN.search(words)
    return "" if asked and not is_binding(words[: asked.start()]) else None


def _says(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.search(unfolded(text)) is not None


is_binding = partial(_says, _pattern(*device_prompts.BINDING))
"""Whether a text says that going on accepts a licence, or ends somebody's session."""
is_expired = partial(_says, _pattern(*device_prompts.EXPIRED))
"""Whether a text says that a password or an account is no longer good."""
is_second_factor = partial(_says, _pattern(*device_prompts.SECOND_FACTORS))
"""Whether a text asks for something beside the password."""
wants_yes_or_no = partial(_says, _pattern(*device_prompts.YES_OR_NO_WANTED))
"""Whether a text says that something else than yes or no was typed into a question."""


def is_refusal(answer: str) -> bool:
    """Return whether ``answer`` says that the command line does not know or allow a command.

    Looked for at the beginning of each line and, where a narrow terminal broke one, of the whole; in short answers
    only.
    """
    lines = answer.strip().split("\n")
    if len(lines) > device_prompts.REFUSAL_LINES:
        return False
    return any(_REFUSAL.match(unfolded(line)) for line in (*lines, answer))


def is_asking(text: str) -> bool:
    """Return whether ``text`` ends like a question that waits for an answer, beside a yes/no question."""
    return _ASKING.search(unfolded(text)[-400:]) is not None
