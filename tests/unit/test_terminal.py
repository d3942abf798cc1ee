"""What is printed: by one module, behind the gate, on lines of its own, and never cut before it is redacted."""

from __future__ import annotations

import ast
import errno
import inspect
import io
import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_trees import tree_of

from runbook_lib import cli, errors, secrets
from runbook_lib.cli import groups, terminal
from runbook_lib.cli.app import whole_command
from runbook_lib.cli.groups import Commands
from runbook_lib.device.tofu import parse_tofu_list
from runbook_lib.errors import RunbookError, cut, cut_front, one_line, opening_line, printable, system_words
from runbook_lib.logs.lines import LINE_LIMIT
from runbook_lib.logs.sources import _text
from runbook_lib.paths import project_root
from runbook_lib.processes import Gated
from runbook_lib.redactor import Redactor
from runbook_lib.show.advice import advice, text_lines
from runbook_lib.show.document import Row, Table
from runbook_lib.show.rendering import html, text

LIBRARY = project_root() / "runbook_lib"
CANARY = "Canary-Qx7-Passw0rd!"
FORGED = "signature: good, by key 0000 (ada.pub.pem)"
HOSTILE = f"x\n{FORGED}\r\n\x1b[2J\x1b]0;title\x07\u202e\x9b31m\x85{FORGED}\u2028{FORGED}\x00\x08"


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Redactor:
    """A gate that knows the canary alone."""
    fresh = Redactor()
    fresh.know("env:X", CANARY)
    monkeypatch.setattr(secrets, "REDACTOR", fresh)
    return fresh


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(LIBRARY.rglob("*.py")):
        name = str(path.relative_to(LIBRARY))
        if not name.startswith("lab/"):  # the lab is the device
            yield name, tree_of(path)


# -- one place prints ---------------------------------------------------------------------------------

PRINTS = {
    "cli/terminal.py": "the terminal itself",
    "cli/diagnosing.py": "a report that is laid out, and a line of progress that is rewritten",
    "cli/app.py": "the version",
    "processes.py": "the stream behind the gate",
    "notebook/engine_run.py": "papermill's command: a sentence of ours, and an error, which escapes itself",
    "show/progress.py": "a notebook's progress, through printable",
    "notebook/runbook.py": "a notebook's progress, through printable",
    "web/launching.py": "a word to the process that started it",
}
LAID_OUT = {
    "str(error)",
    "problem",
    "'\\n' + interrupted(record, stop)",
    "'\\n' + left_behind(record, first + (then or next_run(record)))",
}


def prints(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    said = ast.unparse(node.func)
    return said in ("print", "typer.echo", "typer.secho", "click.echo", "rich.print", "pprint") or said.endswith(
        ("stdout.write", "stderr.write", "stdout.buffer.write", "stderr.buffer.write", "_stream.write")
    )


def test_nothing_prints_beside_the_terminal() -> None:
    """Each ``print``, ``echo`` and ``write`` to standard output is the terminal's, or one that is named here."""
    found = {name for name, tree in sources() for node in ast.walk(tree) if prints(node)}
    assert found == set(PRINTS)


def test_what_is_printed_in_lines_was_laid_out_by_a_view() -> None:
    """``out_lines`` gets tables, JSON and sentences of ours; foreign text has to go through ``out``, on one line."""
    wrong = []
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("out_lines", "err_lines"):
                (given,) = node.args
                wrong += [
                    f"{name}:{node.lineno}: {ast.unparse(given)}" for part in _parts(given) if not _laid_out(part)
                ]
    assert not wrong, "\n".join(wrong)


def _parts(given: ast.expr) -> list[ast.expr]:
    return [given.body, given.orelse] if isinstance(given, ast.IfExp) else [given]


def _laid_out(given: ast.expr) -> bool:
    said = ast.unparse(given)
    return said in LAID_OUT or said.startswith("json.dumps(") or ".text(" in said


def test_a_line_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Line feeds, escape sequences and marks of direction come out as text, at each function that prints."""
    for say in (terminal.out, terminal.err, terminal.begin_line):
        say(f"note: {HOSTILE}")
    shown = "".join(capsys.readouterr())
    assert shown.count("\n") == 2
    assert all(c.isprintable() for c in shown.replace("\n", ""))


def test_letters_that_nobody_sees_and_marks_that_pile_up_come_out_as_text() -> None:
    """A name with a filler in it looks like another, and hundreds of accents are drawn over the lines above."""
    accents = "\u0301" * 6
    assert printable(f"pri\u3164\ufe0fme{accents}") == rf"pri\u3164\ufe0fme{accents[:4]}\u0301\u0301"
    assert printable("Việt Zürich ไม่ שָׁלוֹם 服务器") == "Việt Zürich ไม่ שָׁלוֹם 服务器"


def test_an_error_of_the_network_is_called_what_the_system_calls_it() -> None:
    """Not what the event loop makes of its number; one without a number keeps its words."""
    refused = OSError(errno.ECONNREFUSED, "Connect call failed ('192.0.2.1', 22)")
    assert [system_words(error) for error in (refused, EOFError("cut"))] == [os.strerror(errno.ECONNREFUSED), "cut"]


def test_an_error_forges_no_line() -> None:
    """Whatever stands in an error, its further lines are indented, and no control character comes out."""
    shown = str(RunbookError(HOSTILE, where=HOSTILE, found=HOSTILE, next_step=HOSTILE))
    assert all(c.isprintable() for c in shown.replace("\n", ""))
    assert not [line for line in shown.split("\n") if line.startswith(FORGED[:9])]


@pytest.mark.parametrize("label", ["where:", "found:", "next: "])
def test_a_part_of_an_error_forges_no_other_part(
    label: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What happened may quote a device: none of its lines looks like one of the parts that follow, broken or not."""
    error = RunbookError(f"a device said\n{label} all is well\n  {label} go on {'a word ' * 9}{label} {label} {label}")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    terminal.err_lines(str(error))
    for lines in (str(error).split("\n"), capsys.readouterr().err.split("\n"), text_lines(advice(error, str))):
        assert not [line for line in lines if line.startswith((f"  {label}", label))]


@pytest.mark.parametrize("width", [40, 200])
def test_a_table_forges_no_line(width: int) -> None:
    """Title, cells, note and what stands for no rows: a table's lines begin with its frame, or are indented."""
    for table in (
        Table(title=HOSTILE, headers=("a", "b"), rows=(Row(HOSTILE, HOSTILE),), note=HOSTILE),
        Table(title=HOSTILE, headers=("a", "b"), rows=(), empty=HOSTILE),
    ):
        shown = text(table, width)
        assert all(c.isprintable() for c in shown.replace("\n", ""))
        if width > len(HOSTILE):  # what is wrapped at blanks may begin anywhere
            assert not [line for line in shown.split("\n") if line.startswith(FORGED[:9])]
        assert "\x1b" not in html(table)


# -- redacted before it is cut ------------------------------------------------------------------------


def leaks(shown: str) -> bool:
    return any(CANARY[at : at + 4] in shown for at in range(len(CANARY) - 3))


def _tofu(filler: str) -> str:
    try:
        parse_tofu_list(filler, "primary", datetime.now(UTC))
    except RunbookError as error:
        return str(error)
    raise AssertionError(filler)


CUTS: dict[str, tuple[int, Callable[[str], str]]] = {
    "cut_front": (300, lambda text: cut_front(text[::-1].replace(CANARY[::-1], CANARY), 300)),
    "printable": (2000, printable),
    "one_line": (2000, one_line),
    "cut": (1000, lambda text: cut(text, 1000)),
    "opening_line": (50, lambda text: opening_line(f"{text}\nmore")),
    "found of an error": (2000, lambda text: str(RunbookError("x", found=text))),
    "what of an error": (2000, lambda text: str(RunbookError(text))),
    "a line around a log's evidence": (LINE_LIMIT, lambda text: _text(text.encode())),
    "a list that is not understood": (2000, lambda text: _tofu("y\n" + text)),
    "a line that is not understood": (200, lambda text: _tofu(text + "\n")),
    "a cell in plain text": (2000, lambda told: text(Table(title="t", headers=("a",), rows=(Row(told),)), 40)),
    "a cell in HTML": (2000, lambda told: html(Table(title="t", headers=("a",), rows=(Row(told),)))),
}


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("name", CUTS)
def test_a_secret_at_a_cut_is_redacted_whole(name: str) -> None:
    """Wherever the end of what is shown falls in a secret, nothing of it is left."""
    limit, show = CUTS[name]
    for left in range(len(CANARY) + 1):
        assert not leaks(show("." * (limit - left) + CANARY + "." * 40)), left


@pytest.mark.usefixtures("known")
@given(
    pieces=st.lists(st.sampled_from((CANARY, ".", "\n", "." * 50, CANARY * 40, "." * 9000)), max_size=40),
    limit=st.integers(1, 3000),
)
def test_what_is_cut_is_what_would_be_left_of_the_whole(pieces: list[str], limit: int) -> None:
    """A cut looks at the text near it alone, and leaves what it would leave if it looked at all of it."""
    whole = "".join(pieces)
    shown = errors.redacted(whole) if len(whole) > limit else whole
    assert cut(whole, limit) == shown[:limit]
    assert cut_front(whole, limit) == shown[-limit:]


def test_a_cut_looks_no_further_than_a_secret_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the text is, as much of it is searched; a text that shrinks under its marks is read on."""
    searched: list[int] = []

    def redact(text: str) -> str:
        searched.append(len(text))
        return text.replace(CANARY, "")

    monkeypatch.setattr(errors, "_redact", redact)
    for whole in ("." * 1_000_000, CANARY * 1_000 + "." * 1_000_000):
        assert cut(whole, 100) == cut_front(whole[::-1].replace(CANARY[::-1], CANARY), 100) == "." * 100
    assert max(searched) < 100_000


SLICED = {
    "lists, not texts": (
        *("MOST_", "_MOST", "[:60]", "[:last]", "len(BANNER)", "[:most]", "_LINES", "[:_NAMED]", "[-_POLLS:]"),
    ),
    "digests and names of files": (
        *("sha256", "hexdigest", "digest", ".plan[", ".key[", "pinned["),
        *("uuid4", "target.name[", "who)[:40]"),
    ),
    "bytes of a tar's header": ("block[", "peek(BLOCK)"),
    "bytes of SSH's first packet": ("packet[18:]",),
    "what was redacted or is measured only": (
        *("read_prefix(", "gate_text(", "_near_the_cut(", "text[:limit]", "one_line(name)"),
    ),
    "bytes far behind what is kept": ("_REACH", "[-_SAID:]", "[-_TAIL:]"),
    "what a pattern is looked for in": (
        *("unfolded(text)[-LONGEST:]", "unfolded(text)[-400:]", "transcript.printed[-200:]", "transcript.raw[-4096:]"),
        *("words[:_ENOUGH]", "text[-LONGEST:]", "before[:LONGEST]", "text[:LONGEST]", "wrapped[:LONGEST]"),
    ),
    "a record's text, which has been through the gate": ("join(pieces)[:LONGEST]", "read_bytes(artifact)[:LONGEST]"),
}  # fmt: skip


def test_no_text_is_cut_elsewhere() -> None:
    """Each slice of a fixed length is the function that redacts first, or of something that is no foreign text."""
    allowed = [part for parts in SLICED.values() for part in parts]
    wrong = []
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice) and cuts(node.slice):
                said = ast.unparse(node)
                if not any(part in said for part in allowed):
                    wrong.append(f"{name}:{node.lineno}: {said}")
            if isinstance(node, ast.Subscript) and "splitlines()" in ast.unparse(node.value):
                wrong.append(f"{name}:{node.lineno}: {ast.unparse(node)}")
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "textwrap.shorten":
                wrong.append(f"{name}:{node.lineno}: {ast.unparse(node)}")
    assert not wrong, "\n".join(wrong)


def cuts(at: ast.Slice) -> bool:
    """Whether a slice is one of a fixed length: a number of ten and more, or a constant."""
    end = at.upper if at.lower is None else at.lower if at.upper is None else None
    end = end.operand if isinstance(end, ast.UnaryOp) else end
    if isinstance(end, ast.Constant):
        return isinstance(end.value, int) and end.value >= 10
    return isinstance(end, ast.Name) and (end.id.isupper() or end.id == "limit")


# -- every way out is redacted -------------------------------------------------------------------------


@pytest.mark.usefixtures("known")
def test_a_stream_redacts_what_was_written_in_pieces() -> None:
    """A secret in two writes, one in a traceback, and one before a flush: none comes out, everything else does."""
    under = io.StringIO()
    stream = Gated(under)
    print("a", CANARY[:9], sep="", end="", file=stream)
    print(CANARY[9:], "b", file=stream)
    try:
        raise ValueError(CANARY)
    except ValueError:
        traceback.print_exc(file=stream)
    stream.write(f"unfinished {CANARY}")
    stream.flush()
    assert CANARY not in under.getvalue()
    assert under.getvalue().startswith("a[secret env:X] b\n")
    assert under.getvalue().endswith("unfinished [secret env:X]")


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("end", ["", "\n", " and more\n"])
def test_a_stream_redacts_what_is_broken_over_lines(end: str) -> None:
    """A library that prints a text of several lines writes its end by itself; a line is not out before that is seen."""
    under = io.StringIO()
    stream = Gated(under)
    print(f"said {CANARY[:9]}\n{CANARY[9:]}{end}", file=stream)
    stream.flush()
    assert under.getvalue() == f"said [secret env:X]{end}\n"


def test_there_is_no_way_past_the_gate() -> None:
    """The stream has no ``buffer``: libraries that look for one to write bytes to (click does) find none."""
    assert not hasattr(Gated(io.TextIOWrapper(io.BytesIO())), "buffer")


def test_a_terminal_of_another_encoding_ends_no_run() -> None:
    """What its encoding cannot write down, and a lone half of a character from a file's name, are question marks."""
    under = io.BytesIO()
    print("│ Z\u00fcrich · \udcff", file=(stream := Gated(io.TextIOWrapper(under, encoding="latin-1"))), flush=True)
    assert (under.getvalue(), stream.encoding) == (b"? Z\xfcrich \xb7 ?\n", "latin-1")


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EPIPE, errno.EIO])
def test_output_that_leads_nowhere_ends_no_run(error: int, tmp_path: Path) -> None:
    """What is under way goes on to its end, and the stream holds what went wrong."""
    with (tmp_path / "out").open("w") as under:
        stream = Gated(under)
        with pytest.MonkeyPatch.context() as full:
            full.setattr(under, "write", Mock(side_effect=OSError(error, "full")), raising=False)
            print("repaired", file=stream, flush=True)
        print("and so on", file=stream, flush=True)
    assert (stream.lost and stream.lost.errno) == error
    assert (tmp_path / "out").read_text() == ""


@pytest.mark.parametrize(("command", "code"), [("paths > /dev/full", 5), ("paths | true", 0)])
def test_an_answer_that_was_lost_is_no_success(command: str, code: int) -> None:
    """Whoever reads it elsewhere would have half of it; a reader who has seen enough has what was wanted."""
    shell = f'set -o pipefail; "$0" -c "from runbook_lib.cli import main; main()" {command}'
    ended = subprocess.run(["bash", "-c", shell, sys.executable], capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False)


def test_a_package_that_is_missing_is_an_installation_that_is_not_complete(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after ``pip install --no-deps``: what is missing, where, and what to do, instead of a traceback."""
    monkeypatch.setitem(sys.modules, "typer", None)
    monkeypatch.delitem(sys.modules, "runbook_lib.cli.app")
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))  # so that the gate before them goes with the test
    monkeypatch.setattr(sys, "argv", ["runbook", "paths"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert all(word in said for word in ("no package typer", sys.prefix, "install.md"))


def _shut(_: str) -> NoReturn:
    raise PermissionError(errno.EACCES, "Permission denied", "/shut/paris.yaml")


@pytest.mark.parametrize(
    ("words", "variable", "value", "said"),
    [
        (["diagnose", "x", "--site", "x" * 300], "RUNBOOK_RECORDS", "", "longer than this system takes"),
        (["check", "x" * 300], "RUNBOOK_RECORDS", "", "longer than this system takes"),
        (["history"], "RUNBOOK_RECORDS", "x" * 5000, "longer than this system takes"),
        (["history"], "RUNBOOK_RECORDS", "/dev/null", "not a folder that can be entered"),
        (["history"], "RUNBOOK_LANG", "fr", "no catalogue of this language"),
        (["check", "shut"], "RUNBOOK_LANG", "", "is shut to this user"),
        (["verify", "~nobody-of-that-name/x"], "RUNBOOK_LANG", "", "This user has no home"),
        (["history", "--sites", "--map", "~nobody-of-that-name/x"], "RUNBOOK_LANG", "", "This user has no home"),
    ],
)
def test_a_path_or_a_setting_that_cannot_be_used_is_advice(
    words: list[str],
    variable: str,
    value: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whether the command names it or a variable: what is wrong, and what to do; no traceback, and no empty answer."""
    if "shut" in words:
        monkeypatch.setattr("runbook_lib.params.load.site_file", _shut)
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(sys, "argv", ["runbook", *words])
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == (5 if "folder" in said else 2)
    assert said in " ".join(capsys.readouterr().err.split())


LAST_WORDS = """
import os, runbook_lib.cli as cli, typer, rich, logging
from runbook_lib.secrets import SecretRef
def leak():
    secret = SecretRef.parse("env:CANARY").resolve()
    typer.echo(f"echo {secret}"); rich.print(f"rich {secret}"); logging.getLogger().error("log %s", secret)
    print("print", secret)
    raise RuntimeError(secret)
cli._run = leak
cli.main()
"""


# As a worker of a fleet is when a notebook or a library prints beside what it is asked for.
WORKERS_WORDS = """
import sys
from runbook_lib.batch import site_run
from runbook_lib.secrets import SecretRef
def serve(self):
    secret = SecretRef.parse("env:CANARY").resolve()
    print("print", secret)
    raise RuntimeError(secret)
site_run.Worker.serve = serve
sys.argv = ["worker"]
site_run.main()
"""
# As a process that asks some sites of a fleet; spawned, so that it has streams of its own.
ASKERS_WORDS = """
from multiprocessing import get_context
from runbook_lib.batch.sites import _child
from runbook_lib.secrets import SecretRef
def work(sites, tell):
    secret = SecretRef.parse("env:CANARY").resolve()
    print("print", secret)
    raise RuntimeError(secret)
ours, theirs = get_context("spawn").Pipe(duplex=False)
_child((), work, theirs)
"""


def last_words(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"CANARY": CANARY},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("code", [WORKERS_WORDS, ASKERS_WORDS], ids=["worker", "asker"])
def test_last_words_of_a_fleets_process_are_redacted(code: str) -> None:
    """What it prints and its traceback; they end in a file or on the terminal of whoever steers the fleet."""
    said = last_words(code)
    assert said.returncode == 1
    assert not leaks(said.stdout + said.stderr)
    assert "print [secret env:CANARY]" in said.stdout + said.stderr
    assert "RuntimeError: [secret env:CANARY]" in said.stderr


def test_last_words_are_redacted() -> None:
    """Each command's standard output and error: typer's, rich's, logging's, and the traceback of a fault of ours."""
    said = last_words(LAST_WORDS)
    assert said.returncode == 1
    assert not leaks(said.stdout + said.stderr)
    assert said.stdout.count("[secret env:CANARY]") == 3
    assert "RuntimeError: [secret env:CANARY]" in said.stderr
    assert "log [secret env:CANARY]" in said.stderr


def test_the_gate_is_the_one_of_the_secrets(known: Redactor) -> None:
    """What ``errors`` shows passes the redactor that learned every secret of this process."""
    assert secrets.REDACTOR is known
    assert errors.redacted(CANARY) == "[secret env:X]"
    assert json.loads(errors.redacted(json.dumps({"a": CANARY}))) == {"a": "[secret env:X]"}


def test_no_module_of_the_commands_reaches_around_the_streams() -> None:
    """``sys.__stdout__``, ``buffer`` and writes to descriptors 1 and 2 would go past the gate; none is used."""
    for path in sorted(Path(LIBRARY / "cli").glob("*.py")):
        source = path.read_text(encoding="utf-8")
        for way in ("__stdout__", "__stderr__", ".buffer.write", "os.write(1", "os.write(2"):
            assert way not in source, path.name


# -- 80 columns -----------------------------------------------------------------------------------


def test_every_option_is_named_whole_in_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--help` of every command cuts no option's name off: a name that ends in … can be typed by nobody.

    And no flag looks as if it took a value, and no type of Python stands beside an option or an argument.
    """
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 80)
    cut_off = []
    root = whole_command()
    for words, command in commands_below(root):
        root([*words, "--help"], prog_name="runbook", standalone_mode=False)
        said = capsys.readouterr().out
        assert not re.search(r"--[a-z].* <|<\w+>", said), words
        names = [name for each in command.params for name in (*each.opts, *each.secondary_opts) if name[:2] == "--"]
        cut_off += [(words, name) for name in names if name not in said]
    assert cut_off == []


def commands_below(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it, groups among them."""
    yield words, command
    for name, each in getattr(command, "commands", {}).items():
        yield from commands_below(each, (*words, name))


def test_what_a_command_declares_is_what_its_function_takes() -> None:
    """What a command line hands on by names fits the function that does the work: none is missing, none unknown."""
    rooms = {each for module in (cli.app, groups) for each in vars(module).values() if isinstance(each, Commands)}
    declared = {(room, each.callback) for room in rooms for each in room.group.registered_commands if each.callback}
    handed_on = 0
    for room, command in declared:
        names = inspect.signature(command).parameters
        if inspect.getclosurevars(command).nonlocals.get("self") is room:
            inspect.signature(room.function_of(command.__name__)).bind(**dict.fromkeys(names))
            handed_on += 1
    assert handed_on >= 25


def test_a_sentence_is_broken_between_words_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], known: Redactor
) -> None:
    """No word is cut at 80 columns and no secret with spaces comes through at a break; in a file it is one line."""
    monkeypatch.setenv("COLUMNS", "80")
    phrase = "two words"
    known.know("env:Y", phrase)
    sentence = f"  {'word ' * 14}{phrase} {'further ' * 10}end"
    terminal.prose(sentence)
    assert len(capsys.readouterr().out.splitlines()) == 1
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    terminal.prose(sentence)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) > 1
    assert max(map(len, shown)) <= 80
    assert set(" ".join(shown).split()) == {"word", "further", "end", "[secret", "env:Y]"}
    assert all(line.startswith("  ") and line[2] != " " for line in shown)


def test_an_error_on_a_terminal_breaks_no_word_and_no_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Further lines stand below the first word of their part; what is pasted stays in one piece; a file gets it all."""
    monkeypatch.setenv("COLUMNS", "80")
    command = f"runbook unlock berlin --holder {'a' * 60}"
    error = RunbookError(
        "Another run changes this site now " * 3,
        where="/a/path/that/is/long/" * 5,
        found=f"{'a line of words ' * 6}\n{'another one ' * 8}",
        next_step=f"ask who that is, and if nobody is at work there any more: {command}; then run the stage again",
    )
    terminal.err_lines(str(error))
    assert capsys.readouterr().err == f"{error}\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    terminal.err_lines(str(error))
    shown = capsys.readouterr().err.splitlines()
    assert " ".join(" ".join(shown).split()) == " ".join(str(error).split())
    assert [line for line in shown if len(line) > 80] == [f"  where: {error.where}", f"         {command};"]
    first = next(number for number, line in enumerate(shown) if line.startswith("  where"))
    assert all(line.startswith("  ") for line in shown[1:first])
    assert all(line[:9].strip() in ("", "where:", "found:", "next:") for line in shown[first:])
