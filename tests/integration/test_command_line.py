"""A command line over SSH, with a scripted server: where an answer ends, what is typed, and when it is given up."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import asyncssh
import pytest
from closed_port import closed_port
from held_clock import pass_by, run, silence, turns
from ssh_fakes import PASSWORD, PASSWORD_REF, QUICK, FakeAde, Terminal, closing, key, mute_server
from waiting import PATIENCE_S, awaited

from runbook_lib.device import dialog
from runbook_lib.device.command_line import Console, raise_if_refused
from runbook_lib.device.dialog import Feed
from runbook_lib.errors import (
    AnswerNotUnderstood,
    CommandRefused,
    ConnectionLost,
    DeviceSilent,
    DeviceUnreachable,
    HostKeyChanged,
    HostKeyUnknown,
    LoginQuestion,
    LoginRefused,
    RunbookError,
    SecretUnavailable,
    SiteFileInvalid,
    UsageError,
    VantageUnavailable,
)
from runbook_lib.params.model import Deadlines, JumpHost, SshAccess

LONGER_THAN_A_PROMPT_S = 1.5


async def login(ade: FakeAde, *pins: str, deadlines: Deadlines = QUICK) -> Console:
    return await Console.open("primary", ade.listen, ade.access(*pins), deadlines=deadlines)


def ask(ade: FakeAde, *commands: str, **options: Any) -> list[str]:
    """Run commands in one session and return their texts."""

    async def talk() -> list[str]:
        async with ade, closing(await login(ade)) as console:
            return [(await console.run(command, **options)).text for command in commands]

    return run(talk())


def failing(ade: FakeAde, command: str = "", *pins: str, deadlines: Deadlines = QUICK) -> RunbookError:
    """Log in, run the command if there is one, and return the error."""

    async def talk() -> RunbookError:
        async with ade:
            try:
                async with closing(await login(ade, *pins, deadlines=deadlines)) as console:
                    await console.run(command)
            except RunbookError as error:
                return error
        raise AssertionError("no error came")

    return run(talk())


# -- answers ---------------------------------------------------------------------------------


def test_an_answer_is_what_stands_between_echo_and_prompt() -> None:
    """The echo, carriage returns and the prompt are taken out; everything else stays, in order."""
    ade = FakeAde({"show a": b"one\r\n  two\r\n\r\n", "show b": b"three\r\n"})
    assert ask(ade, "show a", "show b", "show a") == ["one\n  two\n\n", "three\n", "one\n  two\n\n"]


def test_the_answer_keeps_the_raw_bytes() -> None:
    """Raw bytes stay as they came, colours and bytes that are no UTF-8 included; the text replaces those."""

    async def talk() -> None:
        async with FakeAde({"show": b"\x1b[31mr\xff\x1b[0m\r\n"}) as ade, closing(await login(ade)) as console:
            answer = await console.run("show")
        assert answer.raw == b"show\r\n\x1b[31mr\xff\x1b[0m\r\n"
        assert answer.text == "r\\xff\n"
        assert (answer.server, answer.command, answer.questions) == ("primary", "show", ())
        assert answer.started_utc <= answer.finished_utc

    run(talk())


def test_the_terminal_is_wide_and_paging_is_turned_off_first() -> None:
    """The server is asked for 511 columns, and the first command of a session is terminal length 0."""
    ade = FakeAde({"show": b"x\r\n"})
    ask(ade, "show")
    assert ade.terminal_size[0] == 511
    assert ade.commands == ["terminal length 0", "show", "exit"]


def test_bytes_may_come_one_by_one() -> None:
    """An answer that is delivered one byte per packet reads the same."""
    ade = FakeAde({"show": b"prime-pri/admin# show\r\n\x1b[1mone\x1b[0m\r\ntwo\r\n"}, bytewise=True)
    assert ask(ade, "show", "show") == ["prime-pri/admin# show\none\ntwo\n"] * 2


def test_a_prompt_inside_the_output_is_output() -> None:
    """The session's own prompt and another host's, alone on their lines or not, do not end an answer that goes on."""

    async def show(terminal: Terminal) -> None:
        terminal.write(b"prime-sec/admin# \r\nprime-pri/admin# \r\n")
        terminal.write(b"prime-pri/admin# ")
        await turns()
        terminal.write(b"show\r\nend\r\n")

    text = "prime-sec/admin# \nprime-pri/admin# \nprime-pri/admin# show\nend\n"
    assert ask(FakeAde({"show": show, "next": b"after\r\n"}), "show", "next") == [text, "after\n"]


def test_another_hosts_prompt_at_the_end_does_not_end_an_answer() -> None:
    """A prompt of another host that stands alone at the end is not taken for the session's own."""
    ade = FakeAde()

    async def show(terminal: Terminal) -> None:
        terminal.write(b"prime-sec/admin# ")
        await pass_by(LONGER_THAN_A_PROMPT_S)
        terminal.write(b"\r\n")

    ade.answers["show"] = show
    assert ask(ade, "show") == ["prime-sec/admin# \n"]


def test_an_answer_without_a_line_end_is_whole() -> None:
    """A prompt directly behind the last word still ends the answer, and the word is kept."""
    assert ask(FakeAde({"show": b"one\r\ntwo", "next": b"x\r\n"}), "show", "next") == ["one\ntwo", "x\n"]


@pytest.mark.parametrize(
    "erase", [b"\r        \r", b"\x08" * 8 + b" " * 8 + b"\x08" * 8, b"\r\x1b[K", b"\x1b[2K\r", b"\r\n"]
)
def test_paging_is_answered_and_taken_out(erase: bytes) -> None:
    """A server that pages in spite of terminal length 0 gets a space per page; no pager text stays."""

    async def show(terminal: Terminal) -> None:
        for page in range(3):
            terminal.write(b"  line %d\r\n" % page + b"\x1b[7m--More--\x1b[m")
            assert await terminal.read() == b" "
            terminal.write(erase)
        terminal.write(b"  last\r\n")

    assert ask(FakeAde({"show": show}), "show") == ["  line 0\n  line 1\n  line 2\n  last\n"]


def test_a_server_that_does_not_echo_is_understood() -> None:
    """Where commands are not echoed nothing is cut off an answer's beginning."""
    ade = FakeAde({"show": b"show\r\nx\r\n"}, echo=False)
    assert ask(ade, "show", "show") == ["show\nx\n"] * 2


def test_an_echo_that_was_broken_into_lines_is_taken_out() -> None:
    """A server that wraps at 80 columns in spite of what was asked for echoes on two lines; both go."""
    long = "ncs certvalidation tofu-certs deletecert host " + "a" * 80 + "_8082"
    ade = FakeAde({long: b"done\r\n"}, draw=lambda line: line[:60] + b" \r\n" + line[60:] + b"\r\n")
    assert ask(ade, long) == ["done\n"]


def test_an_echo_that_scrolled_sideways_is_taken_out() -> None:
    """A terminal of 50 columns that draws the line anew with every few characters leaves no word in the answer."""

    def scrolled(line: bytes) -> bytes:
        drawn = [line[:34]] + [b"\r<" + line[at : at + 48] + b" \x08" for at in range(12, len(line) - 36, 12)]
        return b"".join(drawn) + b"\r<" + line[-40:] + b"    \x08\x08\x08\x08\r\n"

    long = "ncs certvalidation tofu-certs deletecert host prime-sec.example.com_8082"
    ade = FakeAde(
        {long: b"done\r\n", "show": b"x\r\n"}, draw=lambda line: scrolled(line) if len(line) > 30 else line + b"\r\n"
    )
    assert ask(ade, long, "show", long) == ["done\n", "x\n", "done\n"]


def test_what_comes_unasked_between_commands_is_no_part_of_the_next_answer() -> None:
    """A broadcast that arrived before the command was sent is kept in the raw bytes only."""

    async def talk() -> None:
        async with FakeAde({"show": b"x\r\n"}) as ade, closing(await login(ade)) as console:
            channel = next(iter(ade.connections[0]._channels.values()))
            channel.write(b"\r\nBroadcast message:\r\nshow\r\nprime-pri/admin# ")
            assert await console._feed.wait(PATIENCE_S)
            answer = await console.run("show")
        assert answer.text == "x\n"
        assert b"Broadcast" in answer.raw

    run(talk())


def test_a_command_that_the_server_does_not_know_is_refused_with_its_words() -> None:
    """An unknown command is an error of its own, and the session goes on."""

    async def talk() -> None:
        async with FakeAde({"show": b"x\r\n"}) as ade, closing(await login(ade)) as console:
            refused = await console.run("nonsense")
            with pytest.raises(CommandRefused, match="nonsense") as caught:
                raise_if_refused(refused)
            assert "% invalid command" in caught.value.found
            assert (await console.run("show")).text == "x\n"

    run(talk())


@pytest.mark.parametrize("command", ["a\nb", "a\rb", "a\x03", "a\x1b[A", "a\tb", "", "   ", "a\u202eb", "a\x00"])
def test_a_command_with_control_characters_is_never_sent(command: str) -> None:
    """Line ends, control and invisible characters are refused before anything leaves."""

    async def talk() -> None:
        async with FakeAde() as ade:
            async with closing(await login(ade)) as console:
                with pytest.raises(UsageError):
                    await console.run(command)
                assert console.sent_commands == []
            assert ade.commands == ["terminal length 0", "exit"]

    run(talk())


# -- the end of an answer ------------------------------------------------------------------------


def test_a_prompt_inside_a_list_followed_by_a_pause_does_not_end_it() -> None:
    """It never takes a prompt inside a list for the list's end, however long the list pauses behind it.

    An empty line asks for the prompt again; what comes before it belongs to the answer, and the next answer is its own.
    """

    async def show(terminal: Terminal) -> None:
        terminal.write(b"one\r\nprime-pri/admin# ")
        await pass_by(LONGER_THAN_A_PROMPT_S)
        terminal.write(b"\r\nprime-pri/admin# \r\ntwo\r\nprime-pri/admin# ")
        await pass_by(LONGER_THAN_A_PROMPT_S)
        terminal.write(b"\r\nthree\r\n")

    async def talk() -> None:
        async with FakeAde({"show": show, "next": b"x\r\n"}) as ade, closing(await login(ade)) as console:
            answer = await console.run("show", prove=True)
            assert [line for line in answer.text.split("\n") if line.strip() not in ("", "prime-pri/admin#")] == [
                "one",
                "two",
                "three",
            ]
            assert (await console.run("next", prove=True)).text == "x\n"

    run(talk())


@pytest.mark.parametrize("echo", [True, False])
def test_a_proven_answer_is_that_of_the_command_alone(echo: bool) -> None:
    """The empty line and the prompts that prove the end are no part of the answer, nor of its raw bytes."""

    async def talk() -> None:
        async with FakeAde({"show": b"one\r\n"}, echo=echo) as ade, closing(await login(ade)) as console:
            for _ in range(2):
                answer = await console.run("show", prove=True)
                assert answer.text == "one\n"
                assert answer.raw == (b"show\r\none\r\n" if echo else b"one\r\n")

    run(talk())


def test_an_answer_that_goes_on_behind_every_prompt_is_given_up() -> None:
    """A server that draws the prompt and more text for ever does not keep the client."""

    async def show(terminal: Terminal) -> None:
        while True:
            terminal.write(b"more\r\nprime-pri/admin# ")
            await terminal.read()

    async def talk() -> None:
        async with FakeAde({"show": show}) as ade, closing(await login(ade)) as console:
            with pytest.raises(AnswerNotUnderstood, match="continues after every prompt"):
                await console.run("show", prove=True)

    run(talk())


# -- questions ---------------------------------------------------------------------------------


def test_a_foreseen_question_is_answered_and_recorded() -> None:
    """A question that the caller listed gets its reply, once each time it is asked."""

    async def delete(terminal: Terminal) -> None:
        terminal.write(b"Host x_443 will go.\r\nAre you sure? (yes/no) : ")
        reply = await terminal.read_line()
        terminal.write(b"you said " + reply + b"\r\n")

    async def talk() -> None:
        async with FakeAde({"delete": delete}) as ade, closing(await login(ade)) as console:
            answer = await console.run("delete", reply=lambda text: "yes" if text.endswith("(yes/no) : ") else None)
        assert answer.questions == (("Are you sure? (yes/no) :", "yes"),)
        assert answer.text == "Host x_443 will go.\nAre you sure? (yes/no) : yes\nyou said yes\n"

    run(talk())


def test_an_unforeseen_question_is_not_answered() -> None:
    """A question that nobody listed ends the session without another byte, and the error shows it."""
    got = b""

    async def delete(terminal: Terminal) -> None:
        nonlocal got
        terminal.write(b"Also erase the database? [yes/no] ")
        await pass_by(3600)
        got = await terminal.process.stdin.read()

    error = failing(FakeAde({"delete": delete}), "delete")
    assert isinstance(error, AnswerNotUnderstood)
    assert "Also erase the database? [yes/no]" in error.found
    assert "'delete' had been sent" in error.what
    assert isinstance(pickle.loads(pickle.dumps(error)), AnswerNotUnderstood)
    assert pickle.loads(pickle.dumps(error)).sent
    assert got == b""


def test_a_question_that_comes_again_and_again_is_given_up() -> None:
    """Replies are counted: a server that is never content does not keep the client for ever."""

    async def delete(terminal: Terminal) -> None:
        while True:
            terminal.write(b"Sure? (y/n) ")
            await pass_by(LONGER_THAN_A_PROMPT_S)
            await terminal.read_line()

    async def talk() -> None:
        async with FakeAde({"delete": delete}) as ade, closing(await login(ade, deadlines=QUICK)) as console:
            with pytest.raises(AnswerNotUnderstood):
                await console.run("delete", reply=lambda text: "y")
            assert console.unfinished is not None
            assert len(console.unfinished.questions) == 4

    run(talk())


# -- endings -------------------------------------------------------------------------------------


def test_what_arrived_by_the_deadline_is_not_overlooked() -> None:
    """Where a busy machine finds the bytes and the end of the waiting at once, the bytes count."""

    async def talk() -> None:
        feed = Feed()
        waiting = asyncio.create_task(feed.wait(1))
        await turns()
        loop = asyncio.get_running_loop()
        loop.call_later(0.5, feed.data_received, b"late", None)
        loop.ahead_s += 2  # both are due in the loop's next turn
        assert await waiting
        assert feed.take() == b"late"

    run(talk())


def test_silence_after_a_command_is_an_error_within_the_deadline() -> None:
    """A server that takes the command and says nothing is given up, and what it was sent is said."""
    error = failing(FakeAde({"show": silence}), "show")
    assert isinstance(error, DeviceSilent)
    assert "'show' had been sent" in error.what


def test_output_that_never_ends_is_given_up_at_the_deadline_too() -> None:
    """A server that sends a byte now and then for ever does not keep the client beyond its deadline."""

    async def show(terminal: Terminal) -> None:
        while True:
            terminal.write(b".")
            await pass_by(1)

    assert isinstance(failing(FakeAde({"show": show}), "show"), DeviceSilent)


def test_a_reset_in_the_middle_keeps_what_had_arrived() -> None:
    """After a reset the error holds the part that came, and says that the command had been sent."""

    async def show(terminal: Terminal) -> None:
        terminal.write(b"one\r\ntw")
        await turns()
        terminal.reset()

    error = failing(FakeAde({"show": show}), "show")
    assert isinstance(error, ConnectionLost)
    assert error.found == "one\ntw"
    assert "'show' had been sent" in error.what
    assert error.sent


def test_a_reset_before_a_command_says_that_it_was_not_sent() -> None:
    """On a connection that ended while nobody spoke the command is not sent, and one can know it."""

    async def talk() -> None:
        async with FakeAde({"show": b"x\r\n"}) as ade, closing(await login(ade)) as console:
            ade.connections[0].abort()
            assert await console._feed.wait(PATIENCE_S)
            with pytest.raises(ConnectionLost, match="was not sent") as caught:
                await console.run("show")
            assert not caught.value.sent
            assert console.sent_commands == []
            assert ade.commands == ["terminal length 0"]

    run(talk())


def test_a_cancelled_command_closes_the_connection() -> None:
    """Cancelling does not leave a session behind that still works on the command."""

    async def talk() -> None:
        started = asyncio.Event()

        async def show(terminal: Terminal) -> None:
            terminal.write(b"begun\r\n")
            started.set()
            await asyncio.Event().wait()

        async with FakeAde({"show": show}) as ade, closing(await login(ade)) as console:
            task = asyncio.create_task(console.run("show"))
            await awaited(started.wait(), "the command at the server")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not console.is_open
            await ade.connections[0].wait_closed()
            assert console.unfinished is not None

    run(talk())


def test_endless_output_is_given_up() -> None:
    """An answer of more than 16 MB ends the session."""

    async def show(terminal: Terminal) -> None:
        while True:
            terminal.write(b"x" * 65536 + b"\r\n")
            await terminal.process.stdout.drain()

    error = failing(FakeAde({"show": show}), "show", deadlines=Deadlines(command_s=60))
    assert isinstance(error, AnswerNotUnderstood)
    assert "16 MB" in error.what


# -- questions and other prompts before the prompt ------------------------------------------------


def asking(words: bytes) -> tuple[FakeAde, list[bytes]]:
    """A server that prints ``words`` in the place of its prompt, and what is typed then."""
    typed: list[bytes] = []

    async def ask_first(terminal: Terminal) -> None:
        terminal.write(words)
        await pass_by(LONGER_THAN_A_PROMPT_S)
        while True:
            typed.append(await terminal.read())

    return FakeAde(before_prompt=ask_first), typed


@pytest.mark.parametrize(
    "words",
    [
        b"You have unsaved changes.\r\nDo you want to keep them? (yes/no) [no] ? ",
        b"Accept the terms of use? (Yes/No): ",
        b"Press [y/n] to accept: ",
        b"Enter shell access password : ",
        b"ade # ",
        b"Last login: now\r\n[root@prime-pri ~]# ",
    ],
)
def test_whatever_is_asked_before_the_prompt_is_a_stop_with_its_words(words: bytes) -> None:
    """It never answers a question that is asked before the prompt, and never types a command into it.

    A yes/no question, a shell's prompt: an error of its own shows them, at once, and nothing was typed.
    """
    ade, typed = asking(words)
    error = failing(ade)
    assert isinstance(error, LoginQuestion)
    assert words.decode().replace("\r\n", "\n").strip() in error.found
    assert typed == []
    assert not error.sent


@pytest.mark.parametrize("prompts", [False, True])
def test_a_question_that_nobody_saw_shows_by_what_it_says_of_a_command(prompts: bool) -> None:
    """Where the first command is taken for an answer, the server's complaint is the stop's own reason.

    Whether the question then goes on, or the prompt comes: what the answer agreed to is not known.
    """

    async def complain(terminal: Terminal) -> None:
        terminal.write(b"ERROR : Please enter Yes or No\r\n")
        if not prompts:
            await pass_by(LONGER_THAN_A_PROMPT_S)
            await terminal.process.stdin.read()

    async def welcome(terminal: Terminal) -> None:
        terminal.write(b"A session is open elsewhere, end it\r\n")

    ade = FakeAde({"terminal length 0": complain}, before_prompt=welcome)
    error = failing(ade)
    assert isinstance(error, LoginQuestion)
    assert "A session is open elsewhere" in error.found
    assert "Please enter Yes or No" in error.found
    assert ade.commands == ["terminal length 0"]


def test_an_account_that_expired_is_said_in_the_servers_words() -> None:
    """A server that says so and hangs up, and one that falls mute: its last words are in the error."""

    async def hang_up(terminal: Terminal) -> None:
        terminal.write(b"Your account has expired; please contact your system administrator\r\n")
        terminal.process.exit(1)
        await asyncio.Event().wait()

    async def fall_mute(terminal: Terminal) -> None:
        terminal.write(b"Waiting for the licence server\r\n")
        await silence()

    expired = failing(FakeAde(before_prompt=hang_up))
    assert isinstance(expired, LoginRefused)
    assert "account has expired" in expired.found
    mute = failing(FakeAde(before_prompt=fall_mute))
    assert isinstance(mute, DeviceSilent)
    assert "Waiting for the licence server" in mute.found
    assert "login_s" in mute.next_step


# -- login -------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["password", "keyboard-interactive"])
def test_the_password_is_given_once_either_way(auth: str) -> None:
    """Password and keyboard-interactive logins both work, and send the password one time."""
    ade = FakeAde({"show": b"x\r\n"}, auth=auth)
    assert ask(ade, "show") == ["x\n"]
    assert ade.passwords == [PASSWORD]


@pytest.mark.parametrize("auth", ["password", "keyboard-interactive"])
def test_a_wrong_password_is_not_tried_again(auth: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused password is sent once in all: a second attempt may lock the user."""
    monkeypatch.setenv("FAKE_ADE_PASSWORD", "wrong-one")
    ade = FakeAde(auth=auth)
    error = failing(ade)
    assert isinstance(error, LoginRefused)
    assert ade.passwords == ["wrong-one"]
    assert ade.challenges == (auth == "keyboard-interactive")
    assert "wrong-one" not in str(error)


@pytest.mark.parametrize("auth", ["password", "keyboard-interactive"])
def test_an_expired_password_is_refused_and_not_changed(auth: str) -> None:
    """Where the server wants a new password none is sent, and the error shows what the server said."""
    ade = FakeAde(auth=auth, expired=True)
    error = failing(ade)
    assert isinstance(error, LoginRefused)
    assert "assword" in error.found
    assert ade.passwords == [PASSWORD]


def test_a_password_that_expired_on_the_command_line_is_refused() -> None:
    """A shell that asks for a new password instead of showing a prompt is told from a question or silence."""

    async def nag(terminal: Terminal) -> None:
        terminal.write(b"Your password has expired.\r\nEnter new password: ")
        await pass_by(LONGER_THAN_A_PROMPT_S)
        await terminal.read_line()

    error = failing(FakeAde(before_prompt=nag))
    assert isinstance(error, LoginRefused)
    assert "Your password has expired." in error.found


def test_a_secret_that_cannot_be_had_is_said_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing password is the site's problem, not the device's refusal."""
    monkeypatch.delenv("FAKE_ADE_PASSWORD")
    ade = FakeAde()
    assert isinstance(failing(ade), SecretUnavailable)
    assert ade.passwords == []


def test_a_banner_and_the_resume_question_come_before_the_prompt() -> None:
    """A banner that holds a prompt of its own is passed over, and an old session is not resumed."""
    replies = []

    async def greet(terminal: Terminal) -> None:
        terminal.write(b"\r\n*** WELCOME: type at prime-pri/admin# \r\nother/admin# ")
        await turns()
        terminal.write(b"\r\nLast login\r\n1. pts/1 12:00\r\n")
        terminal.write(b"Enter session number to resume or press <Enter> to start a new one: ")
        replies.append(await terminal.read_line())

    assert ask(FakeAde({"show": b"x\r\n"}, before_prompt=greet), "show", "show") == ["x\n", "x\n"]
    assert replies == [b""]


def test_a_banner_that_ends_like_a_prompt_does_not_shift_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands like a prompt for a while before the real one comes is not learned, and every answer is its own."""
    monkeypatch.setattr(dialog, "DOUBTFUL_SETTLE_S", PATIENCE_S)

    async def greet(terminal: Terminal) -> None:
        terminal.write(b"jump/admin# ")
        await pass_by(LONGER_THAN_A_PROMPT_S)
        terminal.write(b"\r\nprime-pri/admin# ")
        await pass_by(LONGER_THAN_A_PROMPT_S)
        terminal.write(b"\r\n")

    async def talk() -> None:
        ade = FakeAde({"show a": b"a\r\n", "show b": b"b\r\n"}, before_prompt=greet)
        async with ade, closing(await login(ade)) as console:
            assert [(await console.run(f"show {c}")).text for c in "abab"] == ["a\n", "b\n", "a\n", "b\n"]
            assert console.prompt == "prime-pri/admin# "

    run(talk())


def test_the_prompt_of_a_named_host_is_waited_for() -> None:
    """Where the site names the host in the prompt, another host's prompt opens no session."""

    async def talk() -> None:
        async def other(terminal: Terminal) -> None:
            terminal.write(b"prime-sec/admin# ")
            await silence()

        async with FakeAde(before_prompt=other) as ade:
            access = ade.access().model_copy(update={"prompt_host": "prime-pri"})
            with pytest.raises(LoginQuestion) as caught:
                await Console.open("primary", "127.0.0.1", access, deadlines=QUICK)
            assert "prime-sec/admin#" in caught.value.found
            assert caught.value.next_step.endswith("prime-pri/<user>#")

    run(talk())


def test_a_server_that_opens_no_terminal_is_given_up() -> None:
    """A login that is followed by nothing ends at the deadline, one that is followed by a no at once."""

    mute, no = FakeAde(session=silence), FakeAde(session=lambda: False)
    assert isinstance(failing(mute), DeviceSilent)
    assert isinstance(failing(no), LoginRefused)


def test_a_session_limit_is_reported_in_the_servers_words() -> None:
    """A server that says why it lets nobody in and hangs up is quoted."""

    async def full(terminal: Terminal) -> None:
        terminal.write(b"Maximum number of sessions reached\r\n")
        terminal.process.exit(1)
        await asyncio.Event().wait()

    error = failing(FakeAde(before_prompt=full))
    assert isinstance(error, ConnectionLost)
    assert "Maximum number of sessions" in error.found
    assert not error.sent


def test_silence_while_logging_in_is_no_lost_command() -> None:
    """What the login itself types does not count as a command of the caller's."""
    error = failing(FakeAde({"terminal length 0": silence}))
    assert isinstance(error, DeviceSilent)
    assert not error.sent


def test_sessions_are_left_with_exit() -> None:
    """Closing says exit first, so that no session is offered for resumption later."""
    ade = FakeAde()
    ask(ade)
    assert ade.commands[-1] == "exit"


# -- who answers ---------------------------------------------------------------------------------


def test_an_unpinned_host_key_stops_before_the_password() -> None:
    """With no pin the presented fingerprint is shown with what to do, and no login is tried."""

    async def talk() -> HostKeyUnknown:
        async with FakeAde() as ade:
            access = ade.access().model_copy(update={"host_key": ()})
            with pytest.raises(HostKeyUnknown) as caught:
                await Console.open("primary", "127.0.0.1", access, deadlines=QUICK)
            assert ade.attempts == []
            assert len(ade.connections) == 1
        return caught.value

    error = run(talk())
    assert key().get_fingerprint() in error.found
    assert "another way" in error.next_step
    assert "host_key:" in error.next_step


@pytest.mark.parametrize("as_fingerprint", [False, True])
def test_a_changed_host_key_stops_before_the_password(as_fingerprint: bool) -> None:
    """It never sends a password over SSH to a server whose host key is not the pinned one.

    A key other than the pinned one is shown beside it; no login is tried, and not a second time.
    """
    old = key(number=1)
    pin = old.get_fingerprint() if as_fingerprint else old.export_public_key().decode().strip()
    ade = FakeAde()
    error = failing(ade, "", pin)
    assert isinstance(error, HostKeyChanged)
    assert old.get_fingerprint() in error.found
    assert key().get_fingerprint() in error.found
    assert ade.attempts == []
    # A fingerprint does not tell the type of its key: the other types are asked for, too.
    assert as_fingerprint or len(ade.connections) == 1


def test_a_fingerprint_is_a_pin_too() -> None:
    """A SHA256: fingerprint pins as well as a key line, alone or beside others."""

    async def talk() -> None:
        async with FakeAde() as ade:
            pins = (key(number=1).export_public_key().decode().strip(), key().get_fingerprint())
            async with closing(await login(ade, *pins)) as console:
                assert console.is_open

    run(talk())


def test_a_pinned_rsa_key_is_asked_for_where_the_server_has_others() -> None:
    """The types of pinned keys come first, so that a server with several keys shows the pinned one."""
    rsa = key("ssh-rsa")

    async def talk() -> None:
        async with FakeAde() as ade:
            ade._acceptor.update(server_host_keys=[key(), rsa])
            async with closing(await login(ade, rsa.export_public_key().decode().strip())) as console:
                assert console.is_open

    run(talk())


@pytest.mark.parametrize("pin", ["MD5:" + ":".join(["aa"] * 16), "SHA256:abc", "ssh-ed25519", "yes", ""])
def test_a_pin_that_is_none_is_refused_before_a_connection(pin: str) -> None:
    """MD5, a short or an empty pin is a mistake, not a pin that fits nothing, also where no site's file was read."""

    async def talk() -> None:
        async with FakeAde() as ade:
            access = ade.access().model_copy(update={"host_key": (pin,)})
            with pytest.raises(SiteFileInvalid):
                await Console.open("primary", "127.0.0.1", access, deadlines=QUICK)
            assert ade.connections == []

    run(talk())


@pytest.mark.parametrize(
    "algorithms",
    [
        {"kex_algs": ["diffie-hellman-group14-sha1"]},
        {"host_key_algs": [b"ssh-rsa"]},
        {"mac_algs": ["hmac-sha1"], "encryption_algs": ["aes128-ctr"]},
        {"encryption_algs": ["aes128-cbc"]},
    ],
)
def test_sha1_and_worse_are_refused(algorithms: dict[str, list[str]]) -> None:
    """A server that offers only SHA-1 for keys, key exchange or integrity, or CBC, gets no password."""
    ade = FakeAde(host_key=key("ssh-rsa"), algorithms=algorithms)
    error = failing(ade)
    assert isinstance(error, DeviceUnreachable)
    assert "algorithm" in error.what
    assert ade.attempts == []


# -- reaching it -----------------------------------------------------------------------------------


def test_nobody_there_is_unreachable() -> None:
    """A refused connection is an error of its own."""

    async def talk() -> None:
        with closed_port() as port:
            access = SshAccess(port=port, user="admin", password=PASSWORD_REF, host_key=(key().get_fingerprint(),))
            with pytest.raises(DeviceUnreachable):
                await Console.open("primary", "127.0.0.1", access, deadlines=QUICK)

    run(talk())


def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up() -> None:
    """Silence before the login is an error within the connection deadline."""

    async def talk() -> None:
        async with mute_server() as (port, closed):
            access = SshAccess(port=port, user="admin", password=PASSWORD_REF)
            with pytest.raises(DeviceSilent):
                await Console.open("primary", "127.0.0.1", access, deadlines=QUICK)
            await awaited(closed.wait(), "the end of the connection")

    run(talk())


def test_ipv6_addresses_work() -> None:
    """A server on the IPv6 loopback is reached like any other."""
    ade = FakeAde({"show": b"x\r\n"}, listen="::1")
    try:
        assert ask(ade, "show") == ["x\n"]
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")


def through(far: FakeAde, near: FakeAde, *pins: str) -> SshAccess:
    """How to log in to ``far`` through ``near``, whose key is pinned unless there are other ``pins`` for it."""
    login = near.access(*pins)
    jump = JumpHost(
        address="127.0.0.1", port=login.port, user=login.user, password=login.password, host_key=login.host_key
    )
    return far.access().model_copy(update={"jump": jump})


def test_a_jump_host_carries_the_connection_and_is_left_with_it() -> None:
    """Through the site's jump host the far server is reached, and nothing stays connected to either afterwards."""

    async def talk() -> None:
        far = FakeAde({"show": b"far\r\n"}, host="prime-sec", host_key=key(number=1))
        async with FakeAde() as near, far:
            async with closing(
                await Console.open("secondary", "127.0.0.1", through(far, near), deadlines=QUICK)
            ) as console:
                assert (await console.run("show")).text == "far\n"
                jump = console._connection._tunnel
            assert near.forwarded == [("127.0.0.1", far.port)]
            await awaited(jump.wait_closed(), "the end of the connection to the jump host")

    run(talk())


def test_both_keys_are_checked_behind_a_jump_host() -> None:
    """Another key of the far server or of the jump host: its own error, and the far server gets no password."""

    async def talk() -> None:
        far = FakeAde(host="prime-sec", host_key=key(number=1))
        async with FakeAde() as near, far:
            for access in (
                through(far, near).model_copy(update={"host_key": (key().get_fingerprint(),)}),
                through(far, near, key(number=1).get_fingerprint()),
            ):
                with pytest.raises(HostKeyChanged):
                    await Console.open("secondary", "127.0.0.1", access, deadlines=QUICK)
            assert not far.passwords

    run(talk())


def test_forwarding_that_is_refused_is_told_from_a_host_that_is_down() -> None:
    """The server's no and the far end's absence are two errors."""

    async def talk() -> None:
        async with FakeAde() as ade, closing(await login(ade)) as console:
            with closed_port() as port, pytest.raises(DeviceUnreachable):
                await console.open_channel("127.0.0.1", port)
            ade.forwarding = False
            with pytest.raises(VantageUnavailable):
                await console.open_channel("127.0.0.1", ade.port)

    run(talk())


def test_many_sessions_are_light() -> None:
    """200 sessions of three commands each all get their own answers."""

    async def talk() -> None:
        async with FakeAde({f"show {n}": b"%d\r\n" % n for n in range(3)}) as ade:
            room = asyncio.Semaphore(40)

            async def session() -> list[str]:
                async with room, closing(await login(ade, deadlines=Deadlines())) as console:
                    return [(await console.run(f"show {n}")).text for n in range(3)]

            assert await asyncio.gather(*(session() for _ in range(200))) == [["0\n", "1\n", "2\n"]] * 200

    run(talk())


def test_asyncssh_takes_nothing_from_the_user(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's ssh config, keys and known hosts change nothing."""
    folder = tmp_path / ".ssh"
    folder.mkdir()
    (folder / "config").write_text("Host *\n  ProxyCommand false\n  User mallory\n")
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(folder / "id_ed25519")
    monkeypatch.setenv("HOME", str(tmp_path))
    ade = FakeAde({"show": b"x\r\n"})
    assert ask(ade, "show") == ["x\n"]
    assert ade.attempts == [("user", "admin"), ("password", PASSWORD)]
