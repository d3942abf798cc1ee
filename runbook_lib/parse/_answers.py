"""What all parsers of device answers share: the refusal, and the lines of an answer without echo and prompt."""

from __future__ import annotations

import re

from runbook_lib.ade_os.tables import PROMPT
from runbook_lib.errors import AnswerNotUnderstood, cut

FOUND_LIMIT = 2000
_ECHO = re.compile(rf"(?:{PROMPT}[ \t]*)?(?:ncs|show)[ \t].*")
_PROMPT_ALONE = re.compile(rf"{PROMPT}[ \t]*")


def not_understood(what: str, text: str, *, server: str, next_step: str) -> AnswerNotUnderstood:
    """Return the refusal of ``text``, with its beginning kept in ``found``."""
    return AnswerNotUnderstood(what, where=server, found=cut(text, FOUND_LIMIT), next_step=next_step)


def split_answer(text: str) -> tuple[list[str], bool]:
    """Return the lines of an answer, and whether its last line was whole.

    Lines end with LF or CRLF and nothing else, so no character inside a subject can start a new one.
    An echoed command before the first line and a prompt after the last one, as they stand in a text
    that was copied by hand, are taken off. The last line counts as whole where a line break or a
    prompt follows it.
    """
    *lines, rest = [line.rstrip("\r") for line in text.split("\n")]
    whole = not rest
    if _PROMPT_ALONE.fullmatch(rest):
        whole = True
    elif rest:
        lines.append(rest)
    first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    if first < len(lines) and _ECHO.fullmatch(lines[first]):
        first += 1
    last = len(lines)
    while last > first and not lines[last - 1].strip():
        last -= 1
    if last > first and _PROMPT_ALONE.fullmatch(lines[last - 1]):
        last -= 1
        whole = True
    return lines[first:last], whole
