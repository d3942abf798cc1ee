"""Reading until the prompt stands alone at the end: paging and foreseen questions are answered on the way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runbook_lib.console.feed import LARGEST, Feed
from runbook_lib.console.tables import EXPIRED, PAGERS, PROMPT_SHAPE, QUESTION
from runbook_lib.console.text import plain
from runbook_lib.console.transcript import Transcript
from runbook_lib.errors import AnswerNotUnderstood, ConnectionLost, DeviceSilent, LoginRefused

PAGER_SETTLE_S = 0.03  # where the pager is none after all, its space is a blank at the prompt
# For a prompt behind other text on its line, or without the echo that is usual here. Waiting longer could tell no more:
# a command that goes on prints no prompt, and what comes late is found by the next command before it is sent.
DOUBTFUL_SETTLE_S = 1.0
MOST_REPLIES = 4


@dataclass(kw_only=True)
class Dialog:
    """How one exchange is to be led.

    ``answers`` are pairs of a pattern, searched in the last line, and what is typed in reply. ``echo`` says
    whether the command's echo belongs to the answer. With ``login`` any prompt of the published shape ends
    it (that of ``host`` only, where it is given), and the words of an expired password do too.
    """

    server: str
    answers: Sequence[tuple[str, str]] = ()
    echo: bool = True
    login: bool = False
    host: str = ""
    _replies: int = field(default=0, init=False)

    async def lead(self, feed: Feed, transcript: Transcript, deadline_s: float) -> None:
        """Read until the end of the answer.

        Raises ``ConnectionLost``, ``DeviceSilent``, ``LoginRefused`` (with ``login``) or
        ``AnswerNotUnderstood``, for an unforeseen question and for more than 16 MB.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + deadline_s
        while True:
            settle_s, act = self._next(transcript)
            remaining_s = end - clock()
            if remaining_s <= 0:
                raise self._silent(transcript, deadline_s)
            if await feed.wait(min(settle_s, remaining_s)):
                self._take(feed, transcript, clock())
            elif remaining_s <= settle_s:
                raise self._silent(transcript, deadline_s)
            elif act(feed, transcript):
                return

    def _take(self, feed: Feed, transcript: Transcript, at: float) -> None:
        data = feed.take()
        if data:
            transcript.add(data, at)
        elif feed.closed:
            raise self._lost(feed)
        if len(transcript.raw) > LARGEST:
            raise AnswerNotUnderstood(
                f"the answer is longer than {LARGEST // 2**20} MB",
                where=self.server,
                next_step="run the command by hand",
            )

    def _next(self, transcript: Transcript) -> tuple[float, Callable[[Feed, Transcript], bool]]:
        """How long to wait for more, and what to do if nothing comes."""
        line = transcript.last_line
        if PAGERS.fullmatch(line.strip()):
            return PAGER_SETTLE_S, self._turn_page
        if self._is_prompt(line, transcript):
            usual = not self.echo or transcript.echoed
            return transcript.settle_s if usual else max(transcript.settle_s, DOUBTFUL_SETTLE_S), self._finish
        if not self.login and transcript.glued:
            return max(transcript.settle_s, DOUBTFUL_SETTLE_S), self._finish
        if line.strip() and self._reply_to(line) is not None:
            return transcript.settle_s, self._reply
        if self.login and QUESTION.search(line) and EXPIRED.search(plain(bytes(transcript.raw[-4096:]))):
            return transcript.settle_s, self._expired
        return float("inf"), self._finish

    def _is_prompt(self, line: str, transcript: Transcript) -> bool:
        if self.login:
            shape = PROMPT_SHAPE.fullmatch(line.strip())
            return shape is not None and self.host in ("", shape["host"])
        return line.rstrip() == transcript.prompt.rstrip()

    def _reply_to(self, line: str) -> str | None:
        if self._replies >= MOST_REPLIES:
            return None
        return next((reply for pattern, reply in self.answers if re.search(pattern, line)), None)

    def _turn_page(self, feed: Feed, transcript: Transcript) -> bool:
        transcript.turn_page()
        feed.write(b" ")
        return False

    def _reply(self, feed: Feed, transcript: Transcript) -> bool:
        reply = self._reply_to(transcript.last_line) or ""
        self._replies += 1
        transcript.answered(reply)
        feed.write(reply.encode() + b"\n")
        return False

    def _finish(self, feed: Feed, transcript: Transcript) -> bool:
        del feed
        if self.login:
            transcript.prompt = transcript.last_line.rstrip() + " "
        return True

    def _expired(self, feed: Feed, transcript: Transcript) -> bool:
        del feed
        raise LoginRefused(
            "the server wants a new password before it lets the user in",
            where=self.server,
            found=transcript.text(),
            next_step="log in by hand, change the password, and put the new one where the site's file refers to",
        )

    def _silent(self, transcript: Transcript, deadline_s: float) -> AnswerNotUnderstood | DeviceSilent:
        if QUESTION.search(transcript.last_line):
            return AnswerNotUnderstood(
                "the server asked something that nobody foresaw; it was not answered, and the session was closed",
                where=self.server,
                next_step="run the command by hand to see what it asks",
            )
        return DeviceSilent(
            f"no end of the answer within {deadline_s:g} s (no prompt stood at the end)",
            where=self.server,
            next_step="look whether the server is overloaded; the site's file sets the time, deadlines: command_s",
        )

    def _lost(self, feed: Feed) -> ConnectionLost:
        cause = f" ({feed.cause})" if feed.cause and str(feed.cause) else ""
        return ConnectionLost(
            f"the connection ended in the middle of an answer{cause}",
            where=self.server,
            next_step="look whether the server is restarting, then run the stage again",
        )
