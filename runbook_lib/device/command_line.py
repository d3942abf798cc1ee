"""One login to a server's ADE-OS command line: commands in, answers out, each sent once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import asyncssh

from runbook_lib import errors
from runbook_lib.device import ssh
from runbook_lib.device.dialog import DECIDE_THERE, Dialog, Feed, no_reply
from runbook_lib.device.transcript import (
    Transcript,
    is_refusal,
    login_reply,
    stands_at_prompt,
    visible_text,
    wants_yes_or_no,
)
from runbook_lib.device_prompts import Reply
from runbook_lib.models import Answer
from runbook_lib.params.model import Deadlines, SshAccess

COLUMNS, ROWS = 511, 512  # wide enough that no line is broken, high enough that little is paged
_GOODBYE_S = 2.0


class Console:
    """An open command line.

    ``prompt`` is the one learned at login. ``sent_commands`` are the commands that were handed to the
    connection, in order: what is not in it was not sent. ``unfinished`` is what had arrived
    of the last answer where it did not come to its end; the session is closed then. ``on_wait`` is called with what is
    waited for while a command takes long.
    """

    def __init__(self, server: str, connection: asyncssh.SSHClientConnection, feed: Feed, deadlines: Deadlines) -> None:
        self.server = server
        self.on_wait: Callable[[str], None] | None = None
        self.prompt = ""
        self.sent_commands: list[str] = []
        self.unfinished: Answer | None = None
        self._connection = connection
        self._feed = feed
        self._deadlines = deadlines
        self._echoes: bool | None = None
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, server: str, address: str, access: SshAccess, *, deadlines: Deadlines) -> Console:
        """Log in, through the jump host where ``access`` names one, and wait for the prompt.

        Raises what ``ssh.connect`` raises, and ``ConnectionLost`` or ``DeviceSilent`` where no prompt
        comes. Nothing is tried twice.
        """
        connection = await ssh.connect(server, address, access, connect_s=deadlines.connect_s)
        try:
            feed = await _terminal(server, connection, deadlines.login_s)
            console = cls(server, connection, feed, deadlines)
            await console._greet(access.prompt_host)
        except BaseException as error:
            await _end(connection, connection.abort)
            if isinstance(error, asyncssh.Error):
                raise _no_session(server, error) from error
            if isinstance(error, errors.DeviceError):
                error.sent = False  # none of the caller's
            raise
        return console

    @property
    def is_open(self) -> bool:
        """Whether a command can still be sent: not where the server has begun something else since the last prompt.

        A session that was locked, or a question that came unasked, would take the command for its answer.
        """
        return not self._feed.closed and (self._turn.locked() or stands_at_prompt(self._feed.unread, self.prompt))

    @property
    def late(self) -> str:
        """What has come unasked since the last answer was taken for whole."""
        whole = self.unfinished is None and not self._turn.locked()
        return visible_text(self._feed.unread) if whole else ""

    @property
    def host_key(self) -> tuple[str, str]:
        """The host key that the server showed: its kind, and its fingerprint (``SHA256:...``)."""
        key = self._connection.get_server_host_key()
        return (key.get_algorithm(), key.get_fingerprint()) if key else ("", "")

    async def run(self, text: str, *, reply: Reply = no_reply, prove: bool = False) -> Answer:
        """Send a command once and return its answer, a refusal included; ``text`` without a line end.

        ``reply`` is asked what to type where the output stands still at a question. With ``prove`` the end of the
        answer is proven by the prompt that answers an empty line: for reads only, since a question would take that
        line for its answer.
        Raises ``UsageError`` unless the text is one printable line, ``ConnectionLost``, ``DeviceSilent``,
        ``AnswerNotUnderstood`` (an unforeseen question, 16 MB) with what had arrived in ``found`` and with ``sent``
        saying whether the command had left. After any but the first the session is closed.
        """
        require_one_line(text)
        longest_s = self._deadlines.command_s
        dialog = Dialog(
            server=self.server,
            reply=reply,
            echo=self._echoes is not False,
            prove=prove,
            waiting=lambda seconds, last: self._on_wait(text, seconds, longest_s, last),
        )
        async with self._turn:
            answer, _ = await self._exchange(text, dialog, longest_s)
        return answer

    def _on_wait(self, text: str, seconds: float, longest_s: float, last: str) -> None:
        if self.on_wait is None:
            return
        waits = f"{self.server}: waiting for the answer to {text!r}, {seconds:.0f} s of at most {longest_s:g} s"
        self.on_wait(
            f"{waits}; it last said {errors.cut_front(last, 200)!r}, and no question is answered" if last else waits
        )

    async def open_channel(self, host: str, port: int) -> tuple[asyncssh.SSHReader[bytes], asyncssh.SSHWriter[bytes]]:
        """Connect to ``host``:``port`` through the server (SSH ``direct-tcpip``) and return the two ends.

        Raises ``VantageUnavailable`` where the server does not forward, ``DeviceUnreachable`` where it does and
        nobody answers within the connection deadline, ``ConnectionLost``.
        """
        where = f"{host}:{port} through {self.server}"
        try:
            async with asyncio.timeout(self._deadlines.connect_s):
                return await self._connection.open_connection(host, port, encoding=None)
        except asyncssh.ChannelOpenError as error:
            if self._connection.is_closed():
                raise _gone(where, error) from error
            raise ssh.channel_failure(error, where) from error
        except TimeoutError as error:
            raise errors.DeviceUnreachable(
                f"no connection within {self._deadlines.connect_s:g} s", where=where, next_step="check that it is up"
            ) from error
        except (OSError, asyncssh.Error) as error:
            raise _gone(where, error) from error

    async def close(self) -> None:
        """Leave with ``exit``, so that no session stays behind to be resumed, then end the connection."""
        if self.is_open and not self._turn.locked():
            with contextlib.suppress(OSError, asyncssh.Error):
                self._feed.write(b"exit\n")
                await self._see_out()
        try:
            await _end(self._connection, self._connection.close)
        finally:
            self._connection.abort()

    async def _see_out(self) -> None:
        clock = asyncio.get_running_loop().time
        end = clock() + _GOODBYE_S
        while not self._feed.closed and await self._feed.wait(end - clock()):
            self._feed.take()

    async def _greet(self, prompt_host: str) -> None:
        """Wait for a prompt, turn paging off, and learn the prompt and the echo from how that is answered."""
        login = Dialog(server=self.server, reply=login_reply, echo=False, login=True, host=prompt_host)
        banner = Transcript()
        try:
            await login.read_answer(self._feed, banner, self._deadlines.login_s)
            paging = Dialog(server=self.server, reply=login_reply, login=True, host=prompt_host)
            answer, transcript = await self._exchange("terminal length 0", paging, self._deadlines.login_s)
            if question := _question(answer):
                raise question
        except errors.RunbookError as error:
            printed = dict.fromkeys((banner.text().strip(), error.found.strip()))
            error.found = "\n".join(filter(None, printed))
            raise
        self.prompt = transcript.prompt
        self._echoes = transcript.has_echo
        self.sent_commands.clear()

    async def _exchange(self, text: str, dialog: Dialog, deadline_s: float) -> tuple[Answer, Transcript]:
        self.unfinished = None
        if self._feed.closed or not stands_at_prompt(self._feed.unread, self.prompt):
            await self._drop()
            raise errors.ConnectionLost(
                "the session is closed; the command was not sent",
                where=self.server,
                found=visible_text(self._feed.unread),
                next_step="run the stage again",
            )
        transcript = Transcript("" if self._echoes is False else text, self.prompt, self._feed.take())
        started_utc = datetime.now(UTC)
        self.sent_commands.append(text)
        try:
            self._feed.write(text.encode() + b"\n")
            await dialog.read_answer(self._feed, transcript, deadline_s)
        except BaseException as error:
            self.unfinished = self._answer(text, transcript, started_utc)
            await self._drop()
            if isinstance(error, errors.RunbookError):
                error.what = f"{error.what}; {text!r} had been sent"
                error.found = self.unfinished.text or error.found
            if isinstance(error, errors.DeviceError):
                error.sent = True
            raise
        return self._answer(text, transcript, started_utc), transcript

    def _answer(self, command: str, transcript: Transcript, started_utc: datetime) -> Answer:
        return Answer(
            server=self.server,
            command=command,
            raw=transcript.raw_answer(),
            text=transcript.text(),
            started_utc=started_utc,
            finished_utc=datetime.now(UTC),
            questions=tuple(transcript.questions),
        )

    async def _drop(self) -> None:
        """End the connection without another word: what the server waits for is not known."""
        self._feed.closed = True
        await _end(self._connection, self._connection.abort)


class Session:
    """A command line that is opened when it is first needed, and once more where it has ended.

    A refused login is not tried a second time, since that may lock the user: its error is raised again.
    """

    def __init__(self, server: str, address: str, access: SshAccess, deadlines: Deadlines) -> None:
        self._open = partial(Console.open, server, address, access, deadlines=deadlines)
        self._console: Console | None = None
        self._refusal: errors.LoginRefused | None = None
        self._opening = asyncio.Lock()

    async def console(self) -> Console:
        """Return the open command line. Raises what ``Console.open`` raises."""
        async with self._opening:
            if self._refusal is not None:
                raise self._refusal
            if self._console is None or not self._console.is_open:
                await self._leave()
                try:
                    self._console = await self._open()
                except errors.LoginRefused as error:
                    self._refusal = error
                    raise
            return self._console

    async def close(self) -> None:
        """Leave the command line."""
        async with self._opening:
            await self._leave()

    async def _leave(self) -> None:
        console, self._console = self._console, None
        if console is not None:
            await console.close()


async def _terminal(server: str, connection: asyncssh.SSHClientConnection, deadline_s: float) -> Feed:
    feed = Feed()
    try:
        async with asyncio.timeout(deadline_s):
            await connection.create_session(lambda: feed, term_type="dumb", term_size=(COLUMNS, ROWS), encoding=None)
    except TimeoutError as error:
        what = f"the login was accepted, but no session started within {deadline_s:g} s"
        raise errors.DeviceSilent(what, where=server, next_step="check whether the server is overloaded") from error
    return feed


async def _end(connection: Any, how: Callable[[], object]) -> None:
    how()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await connection.wait_closed()


def _gone(where: str, error: Exception) -> errors.ConnectionLost:
    return errors.ConnectionLost(
        "the SSH connection is gone", where=where, found=str(error), next_step="run the stage again"
    )


def _no_session(server: str, error: asyncssh.Error) -> errors.ConnectionLost | errors.LoginRefused:
    if isinstance(error, asyncssh.ChannelOpenError):
        then = "log in by hand; sessions that were left open may have used up the server's limit"
        return errors.LoginRefused(
            "the server grants no interactive session", where=server, found=error.reason, next_step=then
        )
    return errors.ConnectionLost(
        "the connection ended before the prompt", where=server, found=str(error), next_step="run the stage again"
    )


def _question(answer: Answer) -> errors.LoginQuestion | None:
    if not wants_yes_or_no(answer.text):
        return None
    asks = "the server asks a yes/no question before its prompt, and takes commands for answers; it got no yes"
    return errors.LoginQuestion(asks, where=answer.server, found=answer.text.strip(), next_step=DECIDE_THERE)


def require_one_line(text: str) -> None:
    """Raise UsageError unless a command is one line of printable characters."""
    if not text.strip() or not text.isprintable():
        what = "a command must be one line of printable characters; nothing was sent"
        raise errors.UsageError(what, found=text, next_step="remove line ends and control characters")


def raise_if_refused(answer: Answer) -> None:
    """Raise where the answer is no answer to the command.

    ``CommandRefused``: the command line does not know or allow it. ``LoginQuestion``: a yes/no question took it.
    """
    problem: errors.DeviceError | None = _question(answer)
    if problem is None and is_refusal(answer.text):
        what = f"the server's command line does not know or allow {answer.command!r}"
        then = "log in by hand and check what the user may do; another release may spell it differently"
        problem = errors.CommandRefused(what, where=answer.server, found=answer.text.strip(), next_step=then)
    if problem:
        problem.sent = True
        raise problem
