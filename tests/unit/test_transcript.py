"""Terminal output becomes text: sequences, backspaces, pagers and the echo, in time that grows with its length."""

from __future__ import annotations

import pytest
from growth import assert_linear
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.device.transcript import (
    SETTLE_S,
    SLOWEST_SETTLE_S,
    Transcript,
    echo_end,
    rendered,
    stands_at_prompt,
    visible_text,
    without_pagers,
)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a\r\nb\r\r\nc\n\rd\re", "a\nb\nc\nd\ne"),
        (b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1b(By\x1b=z", "red xyz"),
        (b"CN=\xff\xc3\xa9", "CN=\\xff\u00e9"),
        (b"\x07a/b# \x07\r\nc", "a/b# \nc"),
        (b"\x1b", "\x1b"),
    ],
)
def test_terminal_output_becomes_text(raw: bytes, text: str) -> None:
    """Line ends become one kind, control sequences go, and bytes that are no UTF-8 are shown escaped."""
    assert visible_text(raw) == text


def test_no_sequence_reaches_over_a_line_end() -> None:
    """A title that begins in one line and ends in another hides nothing: a hostile name could hide entries so."""
    raw = b"host=a_1; subject=CN=\x1b]0;\r\nhost=b_2; subject=CN=b\r\nhost=c_3; subject=CN=\x07\r\n"
    assert "host=b_2" in visible_text(raw)


@given(st.binary(max_size=400))
def test_any_bytes_become_text(raw: bytes) -> None:
    """Whatever arrives, nothing raises, and printable ASCII without escapes stays as it is."""
    assert isinstance(visible_text(raw), str)
    transcript = Transcript("show", "a/b# ")
    transcript.add(raw, 0.0)
    assert transcript.text() in visible_text(raw) + "\n"
    assert isinstance(transcript.last_line, str)
    assert bytes(transcript.raw).startswith(transcript.raw_answer())


@pytest.mark.parametrize(
    "piece", [b"\r", b"\x1b[", b"\x1b[9P", b"\x1b[D", b"\x1b]", b"\x1b[0", b"s", b" ", b"a#", b"\x08", b"\n "]
)
def test_large_answers_take_linear_time(piece: bytes) -> None:
    """Four times as much of what patterns find hard, up to 400,000 bytes, is text in about four times the time."""

    def read(size: int) -> None:
        transcript = Transcript("show me", "a/b# ")
        transcript.add(piece * (size // len(piece)), 0.0)
        assert transcript.text() is not None
        assert transcript.last_line is not None
        assert transcript.has_echo in (True, False)

    assert_linear(read, 100_000)


def test_backspaces_move_the_cursor_on_the_last_line() -> None:
    """A prompt that is drawn over a wiped pager reads as the prompt alone."""
    assert rendered("--More--" + "\b" * 8 + " " * 8 + "\b" * 8 + "a/b# ").rstrip() == "a/b#"
    assert rendered("\b\bab\bc") == "ac"


@pytest.mark.parametrize(
    "text",
    ["show x\nrest", "a/b# show x\nrest", "\na/b# show x \nrest", "old line\nshow x\nrest", "show\n x\nrest"],
)
def test_the_echo_is_found(text: str) -> None:
    """The echo may begin a line, follow a prompt that was drawn again, or be broken by a narrow terminal."""
    end = echo_end(text, "show x", "a/b# ")
    assert end is not None
    assert text[end:] == "rest"


@pytest.mark.parametrize("text", ["", "show x", "please show x\nrest", "show xy\nrest"])
def test_no_echo_is_seen_where_there_is_none(text: str) -> None:
    """An unfinished echo, or the command inside other words, is none."""
    assert echo_end(text, "show x", "a/b# ") is None


def test_an_echo_that_scrolled_sideways_is_seen() -> None:
    """A command that a narrow terminal drew anew with every few characters has been echoed once its line ends."""
    command = "ncs certvalidation tofu-certs deletecert host prime-sec.example.com_8082"
    drawn = f"{command[:34]}\r<{command[12:60]} \x08\r<{command[-40:]}"
    transcript = Transcript(command, "a/b# ")
    transcript.add(drawn.encode(), 0.0)
    assert not transcript.has_echo
    transcript.add(b"\r\n", 0.0)
    assert transcript.has_echo


COMMAND = "ncs certvalidation tofu-certs deletecert host prime-sec.example.com_8082"


@pytest.mark.parametrize(
    "drawn",
    [
        "".join(f"{char} \b" for char in COMMAND),
        "".join(f"{char}\b{char}" for char in COMMAND),
        "".join(f"\ra/b# {COMMAND[: end + 1]}\x1b[K" for end in range(len(COMMAND))),
        "".join(f"\x1b[2K\x1b[1Ga/b# {COMMAND[: end + 1]}" for end in range(len(COMMAND))),
        f"{COMMAND[:-4]}\x1b[8D\x1b[8C{COMMAND[-4:]}",
        f"x{COMMAND}\x1b[{len(COMMAND) + 1}D\x1b[P\x1b[{len(COMMAND)}C",
        f"\x1b[9999C{COMMAND}",
        f"{COMMAND[:34]}\r<{COMMAND[12:60]} \b\r<{COMMAND[-40:]}",
        f"{COMMAND[:38]}\r<{COMMAND[14:50]}\x1b[K\0\0\0\0{COMMAND[50:60]}\r\x1b[C\0{COMMAND[25:52]}\x1b[K\0\0{COMMAND[52:]}",
    ],
)
def test_an_echo_is_read_as_the_terminal_shows_it(drawn: str) -> None:
    """Whatever draws the line of a command anew, by backspaces or by moving and erasing, is no part of the answer."""
    transcript = Transcript(COMMAND, "a/b# ")
    transcript.add(f"{drawn}\r\nDelete it? (yes/no) ".encode(), 0.0)
    assert (transcript.has_echo, transcript.printed) == (True, "Delete it? (yes/no) ")
    transcript.note_reply("yes")
    transcript.add(b"yes\r\ndone\r\na/b# ", 0.0)
    assert transcript.text() == "Delete it? (yes/no) yes\ndone\n"


@pytest.mark.parametrize("behind_a_reply", [False, True])
def test_a_line_that_was_drawn_over_by_the_commands_end_is_no_echo(behind_a_reply: bool) -> None:
    """What a question says beside our command is judged: nothing of it goes because the command ends the line."""
    transcript = Transcript(COMMAND, "a/b# ")
    if behind_a_reply:
        transcript.add(f"{COMMAND}\r\nSure? ".encode(), 0.0)
        transcript.note_reply("yes")
    drawn = COMMAND[:20] if behind_a_reply else "all entries go"
    transcript.add(f"{drawn}\r{COMMAND[-20:]}\r\nContinue? (yes/no) ".encode(), 0.0)
    assert drawn in transcript.printed


@pytest.mark.parametrize("drawn", [f"{COMMAND}\b\b\b", f"{COMMAND[:-1]}\x1b[D?", f"\x1b[3P{COMMAND[:-1]}"])
def test_another_line_than_the_command_is_no_echo(drawn: str) -> None:
    """What a terminal shows decides: another entry's name that was drawn over ours is not ours."""
    transcript = Transcript(COMMAND, "a/b# ")
    transcript.add(f"{drawn.replace('8082', '9082')}\r\n".encode(), 0.0)
    assert not transcript.has_echo


@pytest.mark.parametrize("raw", [b"", b"\r\nbackup begins\r\n", b"\r\nbackup begins\r\n\x1b[1ma/b# \x1b[0m", b"a/b#"])
def test_what_ends_with_its_line_or_the_prompt_leaves_the_command_line(raw: bytes) -> None:
    """A broadcast between two commands is no question."""
    assert stands_at_prompt(raw, "a/b# ")


@pytest.mark.parametrize("raw", [b"\r\nContinue? ", b"a/b(config)# ", b"\r\na/b# \r\nPassword : ", b"--More--"])
def test_whatever_else_stands_open_is_no_command_line(raw: bytes) -> None:
    """Words without an end of their line wait for something."""
    assert not stands_at_prompt(raw, "a/b# ")


def test_pagers_are_cut_where_they_stood() -> None:
    """A line that reads like a pager and was none stays."""
    raw = b"1\r\n--More--\r        \r2\r\n--More--\r\n3"
    assert visible_text(without_pagers(raw, [(3, 11)])) == "1\n2\n--More--\n3"


def test_a_prompt_that_stood_there_before_the_command_ends_nothing() -> None:
    """What arrived before the command was sent is no last line of its answer."""
    assert Transcript("show", "a/b# ", b"\r\na/b# ").last_line == ""


def test_the_end_is_waited_for_longer_where_bytes_trickle() -> None:
    """The settle time follows the pace of the bytes, not one long pause, and has an upper bound."""
    quick, thinking, slow, slowest = (Transcript() for _ in range(4))
    for number in range(9):
        quick.add(b"x", number * 0.001)
        thinking.add(b"x", number * 0.001 + (30 if number > 4 else 0))
        slow.add(b"x", number * 1.0)
        slowest.add(b"x", number * 9.0)
    assert (quick.settle_s, thinking.settle_s, slow.settle_s) == (SETTLE_S, SETTLE_S, 3.0)
    assert slowest.settle_s == SLOWEST_SETTLE_S
