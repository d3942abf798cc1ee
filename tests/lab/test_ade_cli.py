"""The command line as a pure state machine."""

from __future__ import annotations

import pytest

from runbook_lib.lab.ade_cli import AdeCli, Arrived, Bye, Ran, Reply, Say

PROMPT = "prime-pri/admin# "


class Pretend:
    """A device that remembers what was done to it."""

    host_name = "prime-pri"

    def __init__(self) -> None:
        self.done: list[str] = []

    def list_certificates(self) -> Reply:
        return Reply("".join(f"line {n}\n" for n in range(1, 31)))

    def delete_certificate(self, entry: str) -> Reply:
        return Reply(question="Sure? ", on_yes=lambda: self._did(f"deleted {entry}"))

    def ha_status(self) -> Reply:
        return Reply("[Role] Primary [State] HA not Configured\n")

    def set_auth_key(self, key: str) -> Reply:
        return self._did("key")

    def remove_ha(self) -> Reply:
        return self._did("removed")

    def services(self) -> Reply:
        return Reply("running\n")

    def version(self) -> Reply:
        return Reply("Version : 3.10.6\n")

    def _did(self, what: str) -> Reply:
        self.done.append(what)
        return Reply("ok\n", what)


def typed(cli: AdeCli, text: str) -> str:
    """What the terminal shows while a text is typed."""
    return "".join(event.text for event in cli.feed(text) if isinstance(event, Say))


@pytest.fixture
def device() -> Pretend:
    return Pretend()


@pytest.fixture
def cli(device: Pretend) -> AdeCli:
    cli = AdeCli(device, "admin")
    assert list(cli.start()) == [Say(PROMPT)]
    return cli


def test_a_command_is_echoed_answered_and_followed_by_the_prompt(cli: AdeCli) -> None:
    """What is typed comes back, then the answer, then the prompt."""
    assert typed(cli, "show version\r") == f"show version\nVersion : 3.10.6\n{PROMPT}"


def test_without_a_terminal_nothing_is_echoed(device: Pretend) -> None:
    """A session without a terminal shows answers only."""
    cli = AdeCli(device, "admin", echo=False)
    list(cli.start())
    assert typed(cli, "show version\n") == f"Version : 3.10.6\n{PROMPT}"


def test_cr_lf_is_one_line_end(cli: AdeCli) -> None:
    """A client that ends lines with CR LF does not give empty commands."""
    assert typed(cli, "show version\r\n").count(PROMPT) == 1


def test_commands_typed_ahead_run_in_order(cli: AdeCli) -> None:
    """Two commands that arrive at once are run one after the other, each with its own echo and prompt."""
    expected = f"ncs status\nrunning\n{PROMPT}show version\nVersion : 3.10.6\n{PROMPT}"
    assert typed(cli, "ncs status\rshow version\r") == expected


def test_backspace_takes_back_what_was_typed(cli: AdeCli) -> None:
    """A corrected command is the corrected one."""
    assert Arrived("ncs status") in list(cli.feed("ncs statis\b\bus\r"))


@pytest.mark.parametrize("line", ["frobnicate", "ncs certvalidation botu-certs listcerts", "terminal length 9999"])
def test_an_unknown_command_is_marked_as_invalid(cli: AdeCli, line: str) -> None:
    """The mistranslated names of the procedure are as unknown as nonsense."""
    assert "% Invalid command detected" in typed(cli, f"{line}\r")


def test_an_unfinished_command_is_called_incomplete(cli: AdeCli) -> None:
    """A known beginning is told apart from an unknown command."""
    assert "% Incomplete command." in typed(cli, "ncs certvalidation tofu-certs\r")


def test_long_output_stops_at_more(cli: AdeCli) -> None:
    """Output beyond the terminal's length waits for a key, which is not echoed."""
    shown = typed(cli, "ncs certvalidation tofu-certs listcerts\r")
    assert shown.endswith("line 23\n--More--")
    assert typed(cli, " ") == f"\r        \rline 24\nline 25\nline 26\nline 27\nline 28\nline 29\nline 30\n{PROMPT}"


def test_more_ends_with_q(cli: AdeCli) -> None:
    """The rest of the output is dropped."""
    typed(cli, "ncs certvalidation tofu-certs listcerts\r")
    assert typed(cli, "q").endswith(PROMPT)


def test_terminal_length_0_turns_paging_off(cli: AdeCli) -> None:
    """Thirty lines come at once."""
    assert "--More--" not in typed(cli, "terminal length 0\rncs certvalidation tofu-certs listcerts\r")


def test_a_question_waits_for_yes(cli: AdeCli, device: Pretend) -> None:
    """Nothing is done before the answer, and what is neither yes nor no is asked again."""
    typed(cli, "ncs certvalidation tofu-certs deletecert host a_1\r")
    assert typed(cli, "perhaps\r").endswith("Sure? ")
    assert device.done == []
    typed(cli, "yes\r")
    assert device.done == ["deleted a_1"]


def test_no_leaves_everything_as_it_is(cli: AdeCli, device: Pretend) -> None:
    """A declined question does nothing."""
    assert typed(cli, "ncs certvalidation tofu-certs deletecert host a_1\rn\r").endswith(PROMPT)
    assert device.done == []


def test_a_dropped_driver_leaves_the_command_undone(cli: AdeCli, device: Pretend) -> None:
    """Who stops between arrival and effect has changed nothing: this is how a reset before a command works."""
    for event in cli.feed("ncs ha remove\r"):
        if isinstance(event, Arrived):
            break
    assert device.done == []


def test_the_resume_question_comes_before_the_prompt(device: Pretend) -> None:
    """An empty line starts a new session."""
    cli = AdeCli(device, "admin", resume=True)
    start = "".join(event.text for event in cli.start() if isinstance(event, Say))
    assert start.endswith("Enter session number to resume or press <Enter> to start a new one: ")
    assert typed(cli, "\r").endswith(f"\n{PROMPT}")


def test_exit_ends_the_session(cli: AdeCli) -> None:
    """Nothing follows it."""
    assert list(cli.feed("exit\r"))[-2:] == [Ran("exit", ""), Bye()]


def test_a_narrow_terminal_wraps_the_echo(device: Pretend) -> None:
    """At the last column the cursor is brought to the next row, as a terminal's line editor does."""
    cli = AdeCli(device, "admin", columns=20)
    list(cli.start())
    assert typed(cli, "abcd") == "abc \rd"
