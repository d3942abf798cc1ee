"""Reading until the prompt stands alone at the end: paging and foreseen questions are answered on the way."""
# ruff: noqa: ARG002 - what ends an answer is called in one way, whatever of it is needed

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from runbook_lib import errors
from runbook_lib.device.transcript import (
    Transcript,
    is_asking,
    is_expired,
    is_other_prompt,
    is_pager,
    prompt_host,
    visible_text,
    wants_yes_or_no,
)
from runbook_lib.device_prompts import Reply, is_yes_no, unfolded

DECIDE_THERE = (
    "log in by hand with the same user, read what it asks and decide there; what an answer would do is not known, so"
    " none is given here"
)
LARGEST = 16 * 1024 * 1024


class Feed(asyncssh.SSHClientSession[bytes]):
    """One interactive channel: bytes in, bytes out, and whether it is still open."""

    def __init__(self) -> None:
        self.closed = False
        self.cause: Exception | None = None
        self._channel: Any = None
        self._data = bytearray()
        self._news = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Send ``data``; on a channel that is gone this is left to ``wait``, which finds the end."""
        try:
            self._channel.write(data)
        except OSError as error:
            self._end(error)

    @property
    def unread(self) -> bytes:
        """What has arrived since it was last taken."""
        return bytes(self._data)

    def take(self) -> bytes:
        """Return what has arrived since the last call."""
        data = bytes(self._data)
        self._data.clear()
        self._news.clear()
        if self._channel is not None and not self.closed:
            self._channel.resume_reading()
        return data

    async def wait(self, timeout_s: float) -> bool:
        """Wait until there is something to take, or the end; False: neither within ``timeout_s`` seconds."""
        if not self._data and not self.closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, timeout_s)):
                    await self._news.wait()
        # On a busy machine both may be found at once, the end of the waiting and what arrived during it.
        return bool(self._data) or self.closed

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._data += data
        self._news.set()
        if len(self._data) > LARGEST:
            self._channel.pause_reading()

    def eof_received(self) -> bool:
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    def _end(self, cause: Exception | None) -> None:
        self.cause = self.cause or cause
        self.closed = True
        self._news.set()


PAGER_SETTLE_S = 0.03  # if it was not a pager after all, the space is a blank at the prompt
PROVEN_SETTLE_S = 0.1  # behind a prompt that came when it was asked for
# For a prompt behind other text on its line, or without the echo that is usual here. Waiting longer could tell no more:
# a command that goes on prints no prompt, and what comes late is found by the next command before it is sent. For a
# question that is nobody's, too.
DOUBTFUL_SETTLE_S = 1.0
PROGRESS_S = 5.0
_PROMPT_ENDS = ("#", ">", "$", "%")
"""What stands so to the end of a login is a prompt, whatever its form: waiting for another at each look gains nothing.
"""
MOST_REPLIES = 4
MOST_PROOFS = 8

Act = Callable[[Feed, Transcript], bool]


def no_reply(text: str) -> None:
    """Answer no question."""


@dataclass(kw_only=True)
class Dialog:
    """How one exchange is to be led.

    ``reply`` is asked what to type where the output stands still at what may be a question. ``echo`` says
    whether the command's echo belongs to the answer. With ``login`` any prompt of the published shape ends
    it (that of ``host`` only, where it is given), and any question, another prompt and the words of an expired
    password do too. With ``prove`` the end is proven: an empty line is sent, and the prompt has to come again
    with nothing else before it. ``waiting`` is called every few seconds with how long there was nothing to end it, and
    the last line of what was said since the command, which may be a question of a form that nobody foresaw.
    """

    server: str
    reply: Reply = no_reply
    echo: bool = True
    login: bool = False
    host: str = ""
    prove: bool = False
    waiting: Callable[[float, str], None] | None = None
    _replies: int = field(default=0, init=False)

    async def read_answer(self, feed: Feed, transcript: Transcript, deadline_s: float) -> None:
        """Read until the end of the answer, for at most ``deadline_s``.

        Raises ``ConnectionLost``, ``DeviceSilent``, ``LoginRefused`` or ``LoginQuestion`` (with ``login``), or
        ``AnswerNotUnderstood``, for an unforeseen question and for more than 16 MB.
        """
        clock = asyncio.get_running_loop().time
        begun = quiet_since = clock()
        end, tick = begun + deadline_s, begun + PROGRESS_S
        while True:
            settle_s, act = self._next(transcript)
            now = clock()
            if now >= end:
                raise self._silent(transcript, deadline_s)
            if await feed.wait(min(quiet_since + settle_s, end, tick) - now):
                self._take(feed, transcript, clock())
                quiet_since = clock()
            elif (now := clock()) >= quiet_since + settle_s:
                if act(feed, transcript):
                    return
                quiet_since = now
            elif now >= tick:
                tick = now + PROGRESS_S
                if self.waiting:
                    self.waiting(now - begun, transcript.printed.strip().rpartition("\n")[2])

    def _take(self, feed: Feed, transcript: Transcript, at: float) -> None:
        data = feed.take()
        if data:
            transcript.add(data, at)
        elif feed.closed:
            raise self._lost(feed, transcript)
        if len(transcript.raw) > LARGEST:
            raise errors.AnswerNotUnderstood(
                f"the answer is longer than {LARGEST // 2**20} MB",
                where=self.server,
                next_step="run the command by hand",
            )

    def _next(self, transcript: Transcript) -> tuple[float, Act]:
        """How long to wait for more, and what to do if nothing comes."""
        line = transcript.last_line
        if is_pager(line):
            return PAGER_SETTLE_S, self._turn_page
        if self._is_prompt(line, transcript):
            return self._end_settle_s(transcript), self._finish
        if not self.login and transcript.is_glued:
            return max(transcript.settle_s, DOUBTFUL_SETTLE_S), self._finish
        if self.login and wants_yes_or_no(transcript.printed[-200:]):
            return DOUBTFUL_SETTLE_S, self._asked
        if line.strip() and self._reply_to(transcript) is not None:
            return transcript.settle_s, self._reply
        if self._asks(transcript):
            return max(transcript.settle_s, DOUBTFUL_SETTLE_S), self._asked
        if self.login and is_other_prompt(line):
            return DOUBTFUL_SETTLE_S, self._elsewhere
        # What comes unasked behind a prompt, as broadcasts do, brings no new one; nothing is typed to find out.
        if transcript.left_prompt:
            return max(transcript.settle_s, DOUBTFUL_SETTLE_S), self._left_prompt
        return math.inf, self._finish  # an answer that goes on: however long nothing comes, it is not its end

    def _is_prompt(self, line: str, transcript: Transcript) -> bool:
        if self.login:
            host = prompt_host(line)
            return host is not None and self.host in ("", host)
        return line.rstrip() == transcript.prompt.rstrip()

    def _end_settle_s(self, transcript: Transcript) -> float:
        """How long the prompt has to stand at the end: shortest where it is going to be asked for, and was not yet."""
        if transcript.is_proven:
            return max(PROVEN_SETTLE_S, transcript.settle_s) if transcript.is_slow else PROVEN_SETTLE_S
        if self.echo and not transcript.has_echo:
            return max(transcript.settle_s, DOUBTFUL_SETTLE_S)
        if self.prove and not transcript.is_slow and not transcript.proofs:
            return PAGER_SETTLE_S
        return transcript.settle_s

    def _asks(self, transcript: Transcript) -> bool:
        text = transcript.printed if transcript.last_line.strip() else ""
        return is_yes_no(text) or is_asking(text)

    def _reply_to(self, transcript: Transcript) -> str | None:
        return self.reply(transcript.printed) if self._replies < MOST_REPLIES else None

    def _turn_page(self, feed: Feed, transcript: Transcript) -> bool:
        transcript.turn_page()
        feed.write(b" ")
        return False

    def _reply(self, feed: Feed, transcript: Transcript) -> bool:
        reply = self._reply_to(transcript) or ""
        self._replies += 1
        transcript.note_reply(reply)
        feed.write(reply.encode() + b"\n")
        return False

    def _finish(self, feed: Feed, transcript: Transcript) -> bool:
        if self.login:
            transcript.prompt = transcript.last_line.rstrip() + " "
        if not self.prove or transcript.is_proven:
            return True
        if transcript.proofs >= MOST_PROOFS:
            raise errors.AnswerNotUnderstood(
                "the answer continues after every prompt; its end cannot be determined",
                where=self.server,
                next_step="run the command by hand",
            )
        transcript.ask_for_proof()
        feed.write(b"\n")
        return False

    def _left_prompt(self, feed: Feed, transcript: Transcript) -> bool:
        what = "something was printed behind the prompt, and no prompt after it; the session is closed"
        then = "run the stage again; if that does not help, find out what writes to the server's terminals"
        raise errors.AnswerNotUnderstood(what, where=self.server, next_step=then)

    def _asked(self, feed: Feed, transcript: Transcript) -> bool:
        raise self._at_login(transcript) if self.login else self._question(transcript)

    def _elsewhere(self, feed: Feed, transcript: Transcript) -> bool:
        raise self._at_another_prompt(transcript)

    def _at_another_prompt(self, transcript: Transcript) -> errors.LoginQuestion:
        expected = f"{self.host or '<hostname>'}/<user>#"
        return errors.LoginQuestion(
            f"the login ended at {transcript.last_line.strip()!r}, which is not the prompt of the command line",
            where=self.server,
            found=transcript.text(),
            next_step="log in by hand and see which shell the user gets; what is needed is the ADE-OS command line,"
            f" whose prompt is {expected}",
        )

    def _at_login(self, transcript: Transcript) -> errors.LoginRefused:
        if is_expired(visible_text(bytes(transcript.raw[-4096:]))):
            what = "the server wants a new password before it lets the user in, or the account has expired"
            then = "log in by hand, change the password, then store the new one where the site's file keeps it"
            return errors.LoginRefused(what, where=self.server, found=transcript.text(), next_step=then)
        what = "the server asks something before its prompt; it was not answered, and the session was closed"
        return errors.LoginQuestion(what, where=self.server, found=transcript.text(), next_step=DECIDE_THERE)

    def _question(self, transcript: Transcript) -> errors.AnswerNotUnderstood:
        asked = errors.cut_front(unfolded(transcript.printed), 300)
        return errors.AnswerNotUnderstood(
            f"the server asked an unknown question, {asked!r}; it was not answered, and the session is closed",
            where=self.server,
            next_step="run the command by hand to see what it asks. If it is about the deletion or HA removal that was"
            ' sent and nothing else, answer it in the site\'s file: answers: {"<the question>": "<the answer>"}',
        )

    def _silent(self, transcript: Transcript, deadline_s: float) -> errors.DeviceError:
        if self._asks(transcript) or transcript.last_line.rstrip().endswith(":"):
            return self._at_login(transcript) if self.login else self._question(transcript)
        setting = "login_s" if self.login else "command_s"
        next_step = f"check whether the server is overloaded; the site's file sets the time, deadlines: {setting}"
        standing = errors.cut(transcript.last_line.strip(), 200)
        if self.login and standing.endswith(_PROMPT_ENDS) and not self._is_prompt(standing, transcript):
            return self._at_another_prompt(transcript)
        if standing and not self._is_prompt(standing, transcript):
            return errors.DeviceSilent(
                f"no end of the answer within {deadline_s:g} s: {standing!r} at its end is neither the prompt nor a"
                " question that is known",
                where=self.server,
                next_step=f"log in by hand and check whether it waits for something there; else {next_step}",
            )
        why = "a prompt is shown, and more output may follow" if standing else "there was no prompt at the end"
        return errors.DeviceSilent(
            f"no end of the answer within {deadline_s:g} s ({why})", where=self.server, next_step=next_step
        )

    def _lost(self, feed: Feed, transcript: Transcript) -> errors.ConnectionLost | errors.LoginRefused:
        if self.login and is_expired(visible_text(bytes(transcript.raw[-4096:]))):
            return self._at_login(transcript)
        cause = f" ({feed.cause})" if feed.cause and str(feed.cause) else ""
        if self.login:
            then = "log in by hand; sessions that were left open may have used up the server's limit"
            return errors.ConnectionLost(
                f"the connection ended before the prompt{cause}", where=self.server, next_step=then
            )
        what = f"the connection ended in the middle of an answer{cause}"
        then = "check whether the server is restarting, then run the stage again"
        return errors.ConnectionLost(what, where=self.server, next_step=then)
