"""Which row of the tables a text is. Texts come without control sequences; capitals, blanks and breaks do not count."""

from __future__ import annotations

import re

from runbook_lib.ade_os import tables
from runbook_lib.ade_os.tables import any_of, unfolded

_PROMPT = re.compile(tables.PROMPT)
_OTHER_PROMPT = re.compile(any_of(tables.OTHER_PROMPTS), re.I)
_PAGER = re.compile(any_of(tables.PAGERS), re.I)
_AT_LOGIN = re.compile(rf"(?:{any_of(tables.LOGIN_QUESTIONS)})\Z", re.I)
_EXPIRED = re.compile(any_of(tables.EXPIRED), re.I)
_SECOND_FACTOR = re.compile(any_of(tables.SECOND_FACTORS), re.I)
_YES_OR_NO_WANTED = re.compile(any_of(tables.YES_OR_NO_WANTED), re.I)
_REFUSAL = re.compile(any_of(tables.REFUSALS), re.I)
_ASKING = re.compile(rf"(?:{any_of(tables.ASKING)})\Z", re.I)


def prompt_host(line: str) -> str | None:
    """Return the host's name where ``line`` is a prompt of the command line, and nothing else."""
    shape = _PROMPT.fullmatch(line.strip())
    return shape["host"] if shape else None


def is_other_prompt(line: str) -> bool:
    """Return whether ``line`` is a shell's prompt, and nothing else."""
    return _OTHER_PROMPT.fullmatch(unfolded(line)) is not None


def is_pager(line: str) -> bool:
    """Return whether ``line`` is a pager's, and nothing else."""
    return _PAGER.fullmatch(unfolded(line)) is not None


def login_reply(text: str) -> str | None:
    """Return what is typed where ``text`` ends in a question that may be answered before the first prompt."""
    return "" if _AT_LOGIN.search(unfolded(text)) else None


def is_expired(text: str) -> bool:
    """Return whether ``text`` says that a password or an account is no longer good."""
    return _EXPIRED.search(unfolded(text)) is not None


def is_second_factor(text: str) -> bool:
    """Return whether ``text`` asks for something beside the password."""
    return _SECOND_FACTOR.search(unfolded(text)) is not None


def wants_yes_or_no(text: str) -> bool:
    """Return whether ``text`` says that something else than yes or no was typed into a question."""
    return _YES_OR_NO_WANTED.search(unfolded(text)) is not None


def is_refusal(answer: str) -> bool:
    """Return whether ``answer`` says that the command line does not know or allow a command.

    Looked for at the beginning of each line and, where a narrow terminal broke one, of the whole; in short answers
    only.
    """
    lines = answer.strip().split("\n")
    if len(lines) > tables.REFUSAL_LINES:
        return False
    return any(_REFUSAL.match(unfolded(line)) for line in (*lines, answer))


def is_asking(text: str) -> bool:
    """Return whether ``text`` ends like a question that waits for an answer, beside a yes/no question."""
    return _ASKING.search(unfolded(text)[-400:]) is not None
