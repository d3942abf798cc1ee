"""A command line over SSH, with a scripted server: where an answer ends, what is typed, and when it is given up."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from held_clock import pass_by, run, silence, turns
from ssh_fakes import (
    LONGER_THAN_A_PROMPT_S,
    QUICK,
    FakeAde,
    Terminal,
    ask,
    closing,
    failing,
    login,
)
from waiting import PATIENCE_S, awaited

from runbook_lib.device.command_line import raise_if_refused
from runbook_lib.device.dialog import Feed
from runbook_lib.errors import (
    AnswerNotUnderstood,
    CommandRefused,
    ConnectionLost,
    DeviceSilent,
    LoginQuestion,
    LoginRefused,
    UsageError,
)
from runbook_lib.params.model import Deadlines

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
