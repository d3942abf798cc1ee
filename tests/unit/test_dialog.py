"""How one exchange is led, without a server: what ends it, and when."""

from __future__ import annotations

import asyncio

import pytest
from held_clock import pass_by, run

from runbook_lib.device.dialog import Dialog, Feed
from runbook_lib.device.transcript import Transcript
from runbook_lib.errors import (
    AnswerNotUnderstood,
    ConnectionLost,
    DeviceSilent,
    LoginQuestion,
    LoginRefused,
    RunbookError,
)

LONGER_THAN_A_PROMPT_S = 1.5
DEADLINE_S = 3600.0


def ended(words: bytes, *, login: bool) -> RunbookError | None:
    """The error that ``words`` and a moment of silence lead to; None where the exchange goes on."""

    async def story() -> RunbookError | None:
        feed = Feed()
        feed.data_received(words, None)
        dialog = Dialog(server="primary", login=login)
        leading = asyncio.create_task(dialog.read_answer(feed, Transcript(prompt="a/b# "), DEADLINE_S))
        await pass_by(LONGER_THAN_A_PROMPT_S)
        if not leading.done():
            leading.cancel()
            return None
        error = leading.exception()
        assert isinstance(error, RunbookError)
        return error

    return run(story())


@pytest.mark.parametrize(
    "words",
    [
        b"You have unsaved changes.\r\nDo you want to keep them? (yes/no) [no] ? ",
        b"Press [y/n] to accept: ",
        b"Enter shell access password : ",
        b"ERROR : Please enter Yes or No\r\n",
        b"The other session will be terminated.\r\nPress Enter to continue...",
        b"ade # ",
        b"[root@prime-pri ~]# ",
    ],
)
def test_a_login_that_asks_or_ends_elsewhere_is_told_at_once(words: bytes) -> None:
    """A yes/no question and a shell's prompt end the login after a moment, and not at its deadline."""
    assert isinstance(ended(words, login=True), LoginQuestion)


def test_a_password_that_expired_is_told_at_once() -> None:
    """Where a new one is asked for, nobody waits for a prompt."""
    words = b"Your password has expired.\r\nEnter new password : "
    assert isinstance(ended(words, login=True), LoginRefused)


@pytest.mark.parametrize(
    "words",
    [b"Erase all data? (yes/no) [no]: ", b"Delete which one (1-3), enter a number: ", b"Press any key to continue...",
     b"Delete the entry [confirm]", b"Press Enter to confirm", b"Proceed (y)es or (n)o:", b"Type YES to continue "],
)  # fmt: skip
def test_a_question_that_nobody_foresaw_is_told_at_once(words: bytes) -> None:
    """The error of a command comes after a moment, too, with the words."""
    error = ended(words, login=False)
    assert isinstance(error, AnswerNotUnderstood)
    assert words.decode().strip() in error.what


@pytest.mark.parametrize("words", [b"Working", b"Deleting 3 of 7", b"Deleted: \r\n", b"Unknown type."])
def test_what_asks_nothing_is_waited_for(words: bytes) -> None:
    """A command that takes its time is not ended before its deadline."""
    assert ended(words, login=False) is None


def gave_up(words: bytes, *, login: bool, pause_s: float = 0.0) -> RunbookError:
    """The error at the deadline, where ``words`` are all that came, each byte ``pause_s`` behind the one before."""

    async def story() -> RunbookError:
        feed = Feed()
        loop = asyncio.get_running_loop()
        for number in range(len(words)):
            loop.call_later(number * pause_s, feed.data_received, words[number : number + 1], None)
        leading = Dialog(server="primary", login=login).read_answer(feed, Transcript(prompt="a/b# "), DEADLINE_S)
        task = asyncio.create_task(leading)
        await pass_by(DEADLINE_S + LONGER_THAN_A_PROMPT_S)
        error = task.exception()
        assert isinstance(error, RunbookError)
        return error

    return run(story())


@pytest.mark.parametrize(
    "words",
    [b"x\r\npage 1/22", b"<cr>", b"new-name/b# ", b"[10:00] a/b# x", b"Deleting 3 of 7", b"x\r\npri admin mode> "],
)
def test_what_stands_at_the_end_when_the_time_is_over_is_said(words: bytes) -> None:
    """A pager or question that nobody knows, another prompt: the words of the error hold it, and who should look.

    A prompt of an unknown form refuses the login, which is not tried again; a server that has none yet is asked again.
    """
    for login in (False, words != b"new-name/b# "):
        error = gave_up(words, login=login)
        assert type(error) is (LoginQuestion if login and words.endswith((b"> ", b">")) else DeviceSilent)
        assert repr(words.decode().split("\n")[-1].strip()) in error.what
        assert "by hand" in error.next_step


def test_a_prompt_that_trickled_in_at_the_very_end_is_not_called_another_one() -> None:
    """Bytes come so slowly that the time was over before anybody could tell whether more follows the prompt."""
    error = gave_up(b"x\r\na/b# ", login=False, pause_s=DEADLINE_S / 8)
    assert isinstance(error, DeviceSilent)
    assert "a prompt is shown" in error.what
    assert "neither" not in error.what


def test_a_server_that_hangs_up_before_its_prompt_is_not_called_restarting() -> None:
    """It says why itself; the number of sessions is what it lacks, as a rule."""

    async def story() -> BaseException | None:
        feed = Feed()
        feed.data_received(b"Too many sessions.\r\n", None)
        feed.connection_lost(None)
        try:
            await Dialog(server="primary", login=True).read_answer(feed, Transcript(), DEADLINE_S)
        except ConnectionLost as error:
            return error
        return None

    error = run(story())
    assert isinstance(error, ConnectionLost)
    assert "before the prompt" in error.what
    assert "sessions" in error.next_step
