"""A PI server's verbs, with a scripted server: typed answers, reads that are repeated, changes that are sent once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from held_clock import pass_by, run, silence, turns
from ssh_fakes import PASSWORD_REF, QUICK, FakeAde, Terminal
from waiting import PATIENCE_S

from runbook_lib.device.answers import StateKind, kind_of_state
from runbook_lib.device.prime import DELETE_TOFU, HA_STATUS, PrimeServer
from runbook_lib.device.tofu import LIST_TOFU
from runbook_lib.errors import (
    AnswerNotUnderstood,
    CommandRefused,
    ConnectionLost,
    DeletionRefused,
    DeviceSilent,
    LoginRefused,
    UsageError,
)
from runbook_lib.models import Answer, TofuStore
from runbook_lib.params.model import Deadlines, PiServer, WebAccess

LIST = (
    b"Host certificate are automatically added to this list on first connection,\r\n"
    b"if trust-on-first-use is configured - ncs certvalidation certificate-check ...\r\n"
    b"host=10.0.0.1_8082;  subject= /C=US/ST=CA/CN=prime-pri\r\n"
    b"host=10.0.0.2_8082; subject= /C=US/ST=CA/CN=prime-sec\r\n"
)
DELETE = DELETE_TOFU.format(key="10.0.0.2_8082")

LONGER_THAN_A_PROMPT_S = 1.5

Kept = list[tuple[Answer, object | None]]


def prime_of(ade: FakeAde, kept: Kept, deadlines: Deadlines = QUICK) -> PrimeServer:
    server = PiServer(
        address="127.0.0.1", names=("Prime-Pri",), ssh=ade.access(), web=WebAccess(user="root", password=PASSWORD_REF)
    )
    return PrimeServer("primary", server, deadlines, lambda answer, parsed: kept.append((answer, parsed)))


def with_prime(ade: FakeAde, story: Callable[[PrimeServer], Awaitable[None]], deadlines: Deadlines = QUICK) -> Kept:
    """Run a story against a server and return what was kept."""
    kept: Kept = []

    async def talk() -> None:
        async with ade:
            prime = prime_of(ade, kept, deadlines)
            try:
                await story(prime)
            finally:
                await prime.close()

    run(talk())
    return kept


def said(ade: FakeAde) -> list[str]:
    return [command for command in ade.commands if command not in ("terminal length 0", "exit")]


def test_reads_come_back_typed_over_one_session() -> None:
    """The list, the HA state and the release are read over a single login, and each answer is kept with its meaning.

    Who answers is known from that login: the host name in its prompt, and its host key.
    """
    ade = FakeAde(
        {
            LIST_TOFU: LIST,
            "ncs ha status": b"[Role] Primary [State] Primary Active [Failover Type] Manual\r\n",
            "show version": b"Cisco Prime Infrastructure\r\n********\r\nVersion : 3.10.0\r\n",
        }
    )
    read: list[object] = []

    async def story(prime: PrimeServer) -> None:
        read.extend([await prime.list_tofu(), await prime.ha_status(), await prime.version()])
        assert await prime.who_answers() == ("prime-pri", "ssh-ed25519", ade.host_key.get_fingerprint())

    kept = with_prime(ade, story)
    assert [entry.key for entry in read[0].entries] == ["10.0.0.1_8082", "10.0.0.2_8082"]  # type: ignore[attr-defined]
    assert read[1].state == "Primary Active"  # type: ignore[attr-defined]
    assert read[2].release[:2] == (3, 10)  # type: ignore[attr-defined]
    assert [parsed for _, parsed in kept] == read
    assert all(answer.server == "primary" and answer.raw for answer, _ in kept)
    assert len(ade.connections) == 1


def test_nothing_is_contacted_before_the_first_verb() -> None:
    """Making and closing the object opens no connection."""

    async def story(prime: PrimeServer) -> None: ...

    ade = FakeAde()
    with_prime(ade, story)
    assert ade.connections == []


def test_a_list_that_is_not_understood_is_kept_and_raised() -> None:
    """Raw text that no parser knows reaches the record before the error is raised."""

    async def story(prime: PrimeServer) -> None:
        with pytest.raises(AnswerNotUnderstood, match="list"):
            await prime.list_tofu()

    ade = FakeAde({LIST_TOFU: LIST + b"host=10.0.0"})
    for answer, parsed in with_prime(ade, story):
        assert answer.raw.endswith(b"host=10.0.0")
        assert parsed is None
    assert said(ade) == [LIST_TOFU] * 2


def test_a_list_with_a_broadcast_in_it_is_read_once_more() -> None:
    """What another program of the server writes to every terminal stands there once; both answers are kept."""
    broadcast = b"\r\nBroadcast message from root@prime-pri (pts/1):\r\n\r\nbackup begins\r\n"

    async def interrupted_once(terminal: Terminal) -> None:
        first = ade.commands.count(LIST_TOFU) == 1
        terminal.write(LIST.replace(b"host=10.0.0.2", broadcast + b"host=10.0.0.2") if first else LIST)

    ade = FakeAde({LIST_TOFU: interrupted_once})
    found: list[TofuStore] = []

    async def story(prime: PrimeServer) -> None:
        found.append(await prime.list_tofu())

    kept = with_prime(ade, story)
    assert [entry.key for entry in found[0].entries] == ["10.0.0.1_8082", "10.0.0.2_8082"]
    assert [parsed for _, parsed in kept] == [None, found[0]]
    assert len(ade.connections) == 1


@pytest.mark.parametrize("late", [b"\r\n" + LIST, b"\r\nhost=10.0.0", b""])
def test_a_list_that_goes_on_behind_its_prompt_is_never_taken_for_a_whole_one(late: bytes) -> None:
    """Where the rest comes unasked, or in the answer to another read, nothing more is sent in that session."""
    ade = FakeAde({LIST_TOFU: LIST, "show version": b"Version : 3.10.0\r\n" + LIST})

    async def story(prime: PrimeServer) -> None:
        await prime.list_tofu()
        console = await prime.console()
        prime.require_whole_list()
        if late:
            next(iter(ade.connections[0]._channels.values())).write(late)
            assert await console._feed.wait(PATIENCE_S)
        else:
            with pytest.raises(AnswerNotUnderstood, match="went on"):
                await prime.version()
        for again in (prime.list_tofu, lambda: prime.delete_tofu("10.0.0.2_8082"), prime.version):
            with pytest.raises(AnswerNotUnderstood, match="went on") as error:
                await again()
            assert not error.value.sent
        with pytest.raises(AnswerNotUnderstood, match="too short"):
            prime.require_whole_list()
        await prime.close()
        assert len((await prime.list_tofu()).entries) == 2

    with_prime(ade, story)
    assert said(ade) == [LIST_TOFU, *(() if late else ["show version"]), LIST_TOFU]


def test_a_broadcast_behind_the_prompt_is_not_waited_for() -> None:
    """No new prompt follows what comes unasked, and nothing is typed to find out: a new session reads once more."""

    async def interrupted_once(terminal: Terminal) -> None:
        terminal.write(LIST)
        if len(ade.connections) == 1:
            terminal.write(ade.prompt)
            await terminal.read()  # the Enter that asks for the prompt
            terminal.write(b"\r\n" + ade.prompt + b"\r\nBroadcast message: backup begins\r\n")
            await terminal.read()

    ade = FakeAde({LIST_TOFU: interrupted_once})

    async def story(prime: PrimeServer) -> None:
        assert len((await prime.list_tofu()).entries) == 2

    with_prime(ade, story)
    assert said(ade) == [LIST_TOFU] * 2


def test_an_empty_list_is_read_once_more() -> None:
    """Each server lists itself: nothing at all is asked for again, and both answers are kept."""

    async def empty_once(terminal: Terminal) -> None:
        terminal.write(b"" if ade.commands.count(LIST_TOFU) == 1 else LIST)

    ade = FakeAde({LIST_TOFU: empty_once})

    async def story(prime: PrimeServer) -> None:
        assert len((await prime.list_tofu()).entries) == 2

    assert [len(parsed.entries) for _, parsed in with_prime(ade, story) if isinstance(parsed, TofuStore)] == [0, 2]


def test_a_list_that_was_cut_inside_a_subject_is_not_taken_for_a_shorter_one() -> None:
    """A list whose last line has no end before the prompt is refused, even where what stands there would parse."""

    async def story(prime: PrimeServer) -> None:
        with pytest.raises(AnswerNotUnderstood):
            await prime.list_tofu()

    with_prime(FakeAde({LIST_TOFU: LIST.rstrip()}), story)


@pytest.mark.parametrize("lost", [False, True])
def test_a_list_that_pauses_at_a_prompt_is_not_taken_for_a_shorter_one(lost: bool) -> None:
    """What stands behind a prompt in the middle belongs to the list, at the first reading and at the one after a loss.

    A text with a prompt in it is no list: it is refused, and never read up to there.
    """

    async def pause(terminal: Terminal) -> None:
        if lost and len(ade.connections) == 1:
            terminal.reset()
            return
        first, last = LIST[: LIST.index(b"host=10.0.0.2")], LIST[LIST.index(b"host=10.0.0.2") :]
        terminal.write(first + b"prime-pri/admin# ")
        await pass_by(LONGER_THAN_A_PROMPT_S)
        terminal.write(b"\r\n" + last)

    ade = FakeAde({LIST_TOFU: pause})

    async def story(prime: PrimeServer) -> None:
        with pytest.raises(AnswerNotUnderstood, match="list") as caught:
            await prime.list_tofu()
        assert "host=10.0.0.2_8082" in caught.value.found

    with_prime(ade, story)


def test_a_read_that_the_server_refuses_is_kept_and_raised() -> None:
    """An unknown command is the server's refusal, not an empty list."""

    async def story(prime: PrimeServer) -> None:
        with pytest.raises(CommandRefused):
            await prime.list_tofu()

    ((answer, parsed),) = with_prime(FakeAde(), story)
    assert "% invalid command" in answer.text
    assert parsed is None


def test_the_other_status_command_is_asked_where_the_first_is_not_known() -> None:
    """A server without ncs ha status is asked for ncs status."""
    ade = FakeAde({"ncs status": b"Health Monitor Server is running. ( [Role] Primary [State] HA not Configured )\r\n"})

    async def story(prime: PrimeServer) -> None:
        assert (await prime.ha_status()).state == "HA not Configured"

    with_prime(ade, story)
    assert said(ade) == ["ncs ha status", "ncs status"]


def test_a_server_that_says_nothing_of_its_state_is_in_no_known_one() -> None:
    """A look is not stopped by that, and the other command is asked."""
    ade = FakeAde(dict.fromkeys(HA_STATUS, b""))

    async def story(prime: PrimeServer) -> None:
        assert kind_of_state((await prime.ha_status()).state) is StateKind.UNKNOWN

    with_prime(ade, story)
    assert said(ade) == [command for command in HA_STATUS for _ in range(2)]


def test_a_server_that_knows_no_status_command_is_in_no_known_state() -> None:
    """Both commands are recalled: what is published, the list and the deletion, does not stop for them."""
    ade = FakeAde({})

    async def story(prime: PrimeServer) -> None:
        status = await prime.ha_status()
        assert status.state == "% invalid command detected at '^' marker"
        assert kind_of_state(status.state) is StateKind.UNKNOWN

    with_prime(ade, story)
    assert said(ade) == ["ncs ha status", "ncs status"]


def test_a_read_is_asked_once_more_after_a_lost_connection() -> None:
    """A read whose answer was lost is repeated over a new session; the part that came is kept too."""

    async def lose_once(terminal: Terminal) -> None:
        if len(ade.connections) == 1:
            terminal.write(LIST[:200])
            await turns()
            terminal.reset()
        else:
            terminal.write(LIST)

    ade = FakeAde({LIST_TOFU: lose_once})

    async def story(prime: PrimeServer) -> None:
        assert len((await prime.list_tofu()).entries) == 2

    kept = with_prime(ade, story)
    assert said(ade) == [LIST_TOFU, LIST_TOFU]
    assert [type(parsed) for _, parsed in kept] == [type(None), TofuStore]
    assert kept[0][0].raw.startswith(LIST_TOFU.encode() + b"\r\nHost certificate")


def test_a_read_is_asked_no_more_than_twice() -> None:
    """A server that resets every time is given up."""

    async def lose(terminal: Terminal) -> None:
        terminal.reset()

    ade = FakeAde({LIST_TOFU: lose})

    async def story(prime: PrimeServer) -> None:
        with pytest.raises(ConnectionLost):
            await prime.list_tofu()

    with_prime(ade, story)
    assert said(ade) == [LIST_TOFU, LIST_TOFU]


@pytest.mark.parametrize("answer", [b"", b"done\r\n", b"ERROR: no such entry\r\n", b"% invalid command\r\n"])
def test_a_deletion_is_one_command_and_judges_no_answer(answer: bytes) -> None:
    """Silence, success, an error and a refusal are all returned as they came: the store decides, not the words."""
    ade = FakeAde({DELETE: answer})

    async def story(prime: PrimeServer) -> None:
        got = await prime.delete_tofu("10.0.0.2_8082")
        assert got.text.encode() == answer.replace(b"\r\n", b"\n")
        assert got.command == "ncs certvalidation tofu-certs deletecert host 10.0.0.2_8082"

    ((_, parsed),) = with_prime(ade, story)
    assert said(ade) == [DELETE]
    assert parsed is None


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("Delete the certificate of 10.0.0.2? (yes/no) : ", "yes"),
        ("Really delete? [YES/NO]: ", "YES"),
        ("Do you wish to continue? (Y/N) ", "Y"),
        ("Continue [y/N]? ", "y"),
        ("Proceed? (yes/no) [no]: ", "yes"),
        ("Delete 10.0.0.2_8082 Y/N [N]:", "Y"),
        ("Are you sure? ", "yes"),
    ],
)
def test_a_yes_no_question_is_answered_with_yes(question: str, reply: str) -> None:
    """A deletion that asks for confirmation gets it once, in the spelling that was asked for."""
    replies = []

    async def delete(terminal: Terminal) -> None:
        terminal.write(question.encode())
        replies.append((await terminal.read_line()).decode())

    async def story(prime: PrimeServer) -> None:
        assert (await prime.delete_tofu("10.0.0.2_8082")).questions == ((question.strip(), reply),)

    with_prime(FakeAde({DELETE: delete}), story)
    assert replies == [reply]


def test_another_question_is_not_answered() -> None:
    """A deletion that asks for something else than yes or no gets no answer, and counts as sent."""

    async def delete(terminal: Terminal) -> None:
        terminal.write(b"Delete which one (1-3): ")
        await pass_by(3600)
        assert await terminal.process.stdin.read() == b""

    async def story(prime: PrimeServer) -> None:
        with pytest.raises(AnswerNotUnderstood) as caught:
            await prime.delete_tofu("10.0.0.2_8082")
        assert caught.value.sent

    ((answer, _),) = with_prime(FakeAde({DELETE: delete}), story)
    assert answer.text == "Delete which one (1-3): "


@pytest.mark.parametrize(
    "question",
    [
        "Erase all data and continue? (yes/no) [no]: ",
        "This restarts the services.\r\nProceed? (yes/no) [no] ? ",
        "Delete 10.0.0.9_8082? [y/n] ",
    ],
)
def test_a_question_about_anything_else_is_shown_at_once_and_gets_no_yes(question: str) -> None:
    """A deletion that asks to erase, to restart, or for another entry gets no answer.

    The error holds the question word for word and comes before the deadline, with the key of the site's file.
    """

    async def delete(terminal: Terminal) -> None:
        terminal.write(question.encode())
        assert await terminal.process.stdin.read() == b""

    async def story(prime: PrimeServer) -> None:
        with pytest.raises(AnswerNotUnderstood) as caught:
            await prime.delete_tofu("10.0.0.2_8082")
        assert " ".join(question.split()) in caught.value.what
        assert "answers:" in caught.value.next_step
        assert caught.value.sent

    with_prime(FakeAde({DELETE: delete}), story, Deadlines(command_s=600))


def test_a_sites_own_answer_is_given_to_its_exact_question() -> None:
    """``answers:`` in the site's file answer a question after a deletion, with the entry in the place of {key}."""
    replies = []

    async def delete(terminal: Terminal) -> None:
        terminal.write(b"Remove 10.0.0.2_8082: [C]onfirm or [A]bort: ")
        replies.append((await terminal.read_line()).decode())

    async def talk() -> None:
        async with FakeAde({DELETE: delete}) as ade:
            server = PiServer(address="127.0.0.1", ssh=ade.access())
            answers = {"Remove {key}: [C]onfirm or [A]bort:": "C"}
            prime = PrimeServer("primary", server, QUICK, lambda answer, parsed: None, answers=answers)
            await prime.delete_tofu("10.0.0.2_8082")
            await prime.close()

    asyncio.run(talk())
    assert replies == ["C"]


def test_a_long_command_says_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a command takes its time, the server, the command and the deadline are told again and again."""
    monkeypatch.setattr("runbook_lib.device.dialog.PROGRESS_S", 0.05)
    told: list[str] = []
    heard = asyncio.Event()

    def tell(words: str) -> None:
        told.append(words)
        heard.set()

    async def delete(terminal: Terminal) -> None:
        terminal.write(b"Delete it: A to go on, B to stop # ")
        while not any("it last said" in words for words in told):
            heard.clear()
            await heard.wait()

    async def story(prime: PrimeServer) -> None:
        prime.on_wait = tell
        await prime.delete_tofu("10.0.0.2_8082")

    with_prime(FakeAde({DELETE: delete}), story, Deadlines(command_s=240))
    assert told[0].startswith(f"primary: waiting for the answer to '{DELETE}'")
    assert "of at most 240 s" in told[0]
    assert any("it last said 'Delete it: A to go on, B to stop #', and no question is" in words for words in told)


@pytest.mark.parametrize("seconds", [30, 240])
def test_a_slow_server_is_waited_for(seconds: float) -> None:
    """Commands may take half a minute, or four: with the usual deadlines each answer comes whole, asked for once."""

    def slowly(answer: bytes) -> Callable[[Terminal], Awaitable[None]]:
        async def respond(terminal: Terminal) -> None:
            await pass_by(seconds)
            terminal.write(answer)

        return respond

    ade = FakeAde({LIST_TOFU: slowly(LIST), DELETE: slowly(b"deleted\r\n")})

    async def story(prime: PrimeServer) -> None:
        assert len((await prime.list_tofu()).entries) == 2
        assert (await prime.delete_tofu("10.0.0.2_8082")).text == "deleted\n"

    with_prime(ade, story, Deadlines())
    assert said(ade) == [LIST_TOFU, DELETE]


@pytest.mark.parametrize("loss", ["reset", "silence"])
def test_a_deletion_whose_answer_is_lost_is_never_sent_again(loss: str) -> None:
    """After a reset or silence the error says that the command had left, and a second session does not send it."""

    async def lose(terminal: Terminal) -> None:
        if loss == "reset":
            terminal.reset()
        else:
            await silence()

    ade = FakeAde({DELETE: lose, LIST_TOFU: LIST})

    async def story(prime: PrimeServer) -> None:
        with pytest.raises((ConnectionLost, DeviceSilent)) as caught:
            await prime.delete_tofu("10.0.0.2_8082")
        assert caught.value.sent
        await prime.list_tofu()

    kept = with_prime(ade, story)
    assert said(ade) == [DELETE, LIST_TOFU]
    assert [answer.command for answer, _ in kept] == [DELETE, LIST_TOFU]


def test_a_deletion_on_a_connection_that_ended_before_is_sent_over_a_new_one() -> None:
    """A session that ended while nobody spoke is opened again before the command, which is sent once."""
    ade = FakeAde({DELETE: b"", LIST_TOFU: LIST})

    async def story(prime: PrimeServer) -> None:
        await prime.list_tofu()
        console = await prime.console()
        ade.connections[0].abort()
        assert await console._feed.wait(PATIENCE_S)
        await prime.delete_tofu("10.0.0.2_8082")

    with_prime(ade, story)
    assert said(ade) == [LIST_TOFU, DELETE]
    assert len(ade.connections) == 2


@pytest.mark.parametrize(
    "unasked",
    [b"\r\nYour session was idle. Continue (yes/no) [no]? ", b"\r\nSession locked.\r\nPassword : ", b"\r\nPress a key",
     b"\r\nprime-pri/admin(config)# "],
)  # fmt: skip
def test_what_stands_there_unasked_gets_no_command_for_its_answer(unasked: bytes) -> None:
    """A question, a lock or another mode that came while nobody spoke: the session is left, and a new one opened."""
    ade = FakeAde({DELETE: b"", LIST_TOFU: LIST})

    async def story(prime: PrimeServer) -> None:
        await prime.list_tofu()
        console = await prime.console()
        next(iter(ade.connections[0]._channels.values())).write(unasked)
        assert await console._feed.wait(PATIENCE_S)
        with pytest.raises(ConnectionLost, match="was not sent"):
            await console.run(DELETE)
        await prime.delete_tofu("10.0.0.2_8082")

    with_prime(ade, story)
    assert said(ade) == [LIST_TOFU, DELETE]
    assert len(ade.connections) == 2
    assert ade.commands.count("exit") == 1


@pytest.mark.parametrize(
    "key",
    [
        "10.0.0.2 _8082", "10.0.0.2_8082;reload", "*_8082", "$(reload)_8082", "`x`_8082", "'a'_8082", '"a"_8082',
        "a|b_8082", "a&b_8082", "a>b_8082", "a\\b_8082", "a\n_8082", "10.0.0.2_8082\n", "a\x1b_8082", "-rf_8082",
        "10.0.0.2", "10.0.0.2_", "_8082", "", "a_0", "a_99999", "a_８０８２", "ａ_8082", "a?_8082", "a#b_8082",
        "a/b_8082", "a{1,2}_8082", "~_8082", "!1_8082", "a" * 300 + "_8082",
    ],
)  # fmt: skip
def test_a_key_that_no_list_would_hold_is_refused_before_a_connection(key: str) -> None:
    """Blanks, control characters, quotes and what a shell might read otherwise never reach the server."""
    ade = FakeAde()

    async def story(prime: PrimeServer) -> None:
        with pytest.raises(UsageError, match="nothing was sent"):
            await prime.delete_tofu(key)

    with_prime(ade, story)
    assert ade.connections == []


@pytest.mark.parametrize("key", ["127.0.0.1_8082", "prime-pri_8082", "PRIME-PRI_08082"])
def test_a_servers_own_entry_is_never_deleted(key: str) -> None:
    """The server's own address and names with its Health Monitor's port are refused before a connection."""
    ade = FakeAde()

    async def story(prime: PrimeServer) -> None:
        with pytest.raises(DeletionRefused):
            await prime.delete_tofu(key)

    with_prime(ade, story)
    assert ade.connections == []


def test_keys_are_sent_to_the_letter() -> None:
    """IPv6 addresses, names with underscores and ports with a leading zero go out as they were listed."""
    keys = ["fe80::1%eth0_8082", "[2001:db8::1]_443", "ise_lab.example.org_443", "10.0.0.3_0443", "1X.XX.XX.XX_8082"]
    ade = FakeAde({DELETE_TOFU.format(key=key): b"" for key in keys})

    async def story(prime: PrimeServer) -> None:
        for key in keys:
            await prime.delete_tofu(key)

    with_prime(ade, story)
    assert said(ade) == [DELETE_TOFU.format(key=key) for key in keys]


def test_a_refused_login_is_not_tried_by_the_next_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every later verb gets the same refusal without a connection: attempts may lock the user."""
    monkeypatch.setenv("FAKE_ADE_PASSWORD", "wrong-one")
    ade = FakeAde()

    async def story(prime: PrimeServer) -> None:
        verbs = [prime.list_tofu, prime.ha_status, prime.console, prime.version]
        outcomes = await asyncio.gather(*(verb() for verb in verbs), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [LoginRefused] * 4

    with_prime(ade, story)
    assert ade.passwords == ["wrong-one"]
