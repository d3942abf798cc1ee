"""What a person sees in a live kernel: errors as advice without secrets, a bar that moves, and what stays of both."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from runbook_lib.errors import ApprovalMissing, OutcomeUnknown, RepairFailed, UsageError
from runbook_lib.errors import RunbookError as AnyError
from runbook_lib.notebook.provisioner import ADVICE, private_folder, use_ipc
from runbook_lib.paths import notebooks_dir, project_root
from runbook_lib.show.advice import (
    ANCHORS,
    INSTALL_NEXT,
    NOT_OPENED,
    NOT_OPENED_NEXT,
    OF_FIRST_CELLS,
    RED_WIDTH,
    STOPPED,
    advice,
    advice_html,
    text_lines,
)
from runbook_lib.show.progress import _State, clock
from runbook_lib.show.rendering import text

SECRET = "hunter2-of-the-test"
SLOW_S = 60
BAR = """
drawn, show = [], progress._Bar._show
progress._Bar._show = lambda bar, bundle: (show(bar, bundle), drawn.append(bundle["text/plain"]))
with (tell := Progress()):
    tell("Reading <x>", 0.25)
    wait_until(lambda: drawn, "the bar")
    tell("Waiting")
    wait_until(lambda: any("Waiting" in each for each in drawn), "the bar's next words")
progress._Bar._show = show
"""
WATCH = """
with (tell := Progress()):
    tell("Watching")
    event_loop.run(asyncio.sleep(600))
"""
FAULTS = (
    f"from runbook_lib.device.tofu import parse_tofu_list; parse_tofu_list(None, {SECRET!r}, 1)",
    f"from runbook_lib.show.svg import label; label('', 0, 0, tone={SECRET!r})",
)
SETUP = f"""
from runbook_lib.errors import ApprovalMissing
from runbook_lib.secrets import REDACTOR
from runbook_lib.show.progress import Progress
from runbook_lib.show.advice import show_errors_as_advice
from runbook_lib.show.advice import end_run_all_at_red
from runbook_lib.show import progress, advice
from runbook_lib import event_loop
import asyncio, sys, time
get_ipython().kernel._abort_queues = lambda *_: None  # its own stop depends on who is quicker: the gate alone answers
advice.LONGEST_WAY_S = float("inf")  # nor does any answer depend on how busy this machine is
advice.UNSEEN_S = 0.0  # who runs a cell here has read the one before
sys.path.insert(0, {str(project_root() / "tests")!r})
from waiting import wait_until
REDACTOR.know("env:TEST", {SECRET!r})
show_errors_as_advice(REDACTOR.redact_text)
end_run_all_at_red()
"""


class Seen:
    """What one cell showed: its outputs' data, the error, and all that was sent."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        kinds = {"display_data", "update_display_data"}
        self.shown = [m["content"]["data"] for m in messages if m["msg_type"] in kinds]
        self.renewed = [m["content"]["data"] for m in messages if m["msg_type"] == "update_display_data"]
        self.error = next((m["content"] for m in messages if m["msg_type"] == "error"), {})
        self.all = str([m["content"] for m in messages if m["msg_type"] != "execute_input"])


def reply_to(client: BlockingKernelClient, ident: str) -> dict[str, Any]:
    while True:
        reply = client.get_shell_msg(timeout=SLOW_S)
        if reply["parent_header"].get("msg_id") == ident:
            return {"msg_type": "reply", "content": reply["content"]}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    folder = tmp_path_factory.mktemp("kernel")
    manager = KernelManager(kernel_name="python3", connection_file=str(folder / "kernel.json"))
    env = {**os.environ, "IPYTHONDIR": str(folder)}
    with private_folder() as sockets:
        use_ipc(manager, sockets)
        manager.start_kernel(env=env, cwd=str(project_root()), extra_arguments=[ADVICE])
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=SLOW_S)
            yield manager, client
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


@pytest.fixture
def run_first(kernel: tuple[KernelManager, BlockingKernelClient]) -> Any:
    """Run a cell as a front end does for a person, who can be asked; ``interrupt`` presses the stop button."""
    manager, client = kernel

    def execute(code: str, *, person: bool = True, interrupt: bool = False) -> Seen:
        ident = client.execute(code, allow_stdin=person)
        messages: list[dict[str, Any]] = []
        while True:
            message = client.get_iopub_msg(timeout=SLOW_S)
            if message["parent_header"].get("msg_id") != ident:
                continue
            messages.append(message)
            if interrupt and message["msg_type"] == "display_data":
                manager.interrupt_kernel()
                interrupt = False
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return Seen([*messages, reply_to(client, ident)])

    return execute


@pytest.fixture
def run(run_first: Any) -> Any:
    """The same after the cell that opens a runbook."""
    run_first(SETUP)
    return run_first


def test_a_cell_that_was_run_before_the_first_ones_gets_advice(run_first: Any) -> None:
    """In a kernel that has just been started nothing is there yet: what to run comes in the place of a traceback."""
    seen = run_first("rb.delete()")
    assert seen.error["ename"] == "NameError"
    assert seen.error["traceback"] == [f"NameError: {NOT_OPENED}"]
    assert NOT_OPENED_NEXT in seen.shown[0]["text/plain"]


def test_what_the_first_cells_make_is_known_to_the_advice() -> None:
    """Each name that a cell of a notebook makes, a parameter too: none gives a traceback where it is not there."""
    cells = [cell for path in notebooks_dir().glob("*.ipynb") for cell in json.loads(path.read_text())["cells"]]
    made: set[str] = set()
    for cell in cells:
        if cell["cell_type"] == "code":
            for node in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(node, ast.ImportFrom):
                    made |= {alias.name for alias in node.names}
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    made.add(node.id)
    assert made == OF_FIRST_CELLS


def test_a_package_that_lacks_gets_advice(run: Any) -> None:
    """Of what this software needs; a reader's own import is a slip of the reader's own."""
    seen = run("""exec(compile("import " + "nothing_of_that_name", advice.__file__, "exec"))""")
    red = " ".join(seen.error["traceback"])
    assert red == "ModuleNotFoundError: The Python of this kernel has no package nothing_of_that_name."
    assert INSTALL_NEXT in seen.shown[0]["text/plain"]
    assert INSTALL_NEXT not in run("import nothing_of_that_name").all


def test_an_error_is_a_table_with_links_and_one_red_line(run: Any) -> None:
    """What and next with the notebook that does it, above the mark that comes into view; below it what was found.

    The traceback is folded.
    """
    seen = run('raise ApprovalMissing("Nobody has approved", found="<b>", next_step="see 20_list_certificates")')
    data, mark, below = seen.shown
    assert mark["text/plain"] == STOPPED
    assert ">ApprovalMissing: Nobody has approved</caption>" in data["text/html"]
    assert '<a href="20_list_certificates.ipynb">' in data["text/html"]
    assert "&lt;b&gt;" in below["text/html"]
    assert re.search(r"<summary>Traceback</summary><pre>.*raise ApprovalMissing", below["text/html"], re.DOTALL)
    assert "see 20_list_certificates" in data["text/plain"]
    assert seen.error["ename"] == "ApprovalMissing"
    assert seen.error["traceback"] == ["ApprovalMissing: Nobody has approved"]


def test_a_long_red_line_is_broken_between_words(run: Any) -> None:
    """Jupyter itself breaks a line that is too wide anywhere in a word."""
    what = "the servers-of-both sites run different releases " * 5
    lines = run(f"raise ApprovalMissing({what!r})").error["traceback"]
    assert max(map(len, lines)) <= RED_WIDTH
    assert " ".join(lines).split() == ["ApprovalMissing:", *what.split()]


def test_where_nobody_watches_the_red_output_is_the_whole_advice(run: Any) -> None:
    """A stored notebook holds the advice once, as text, and no table beside it."""
    seen = run('raise ApprovalMissing("Nobody has approved", next_step="approve it")', person=False)
    assert seen.shown == []
    assert seen.error["traceback"] == ["ApprovalMissing: Nobody has approved", "  next:  approve it"]


@pytest.mark.parametrize("person", [True, False])
def test_an_error_of_ours_that_nobody_foresaw_is_called_one_and_holds_no_secret(run: Any, person: bool) -> None:
    """Whatever the kernel sends of it, the reply included, holds the reference in the secret's place."""
    said = ""
    for fault in FAULTS:
        seen = run(fault, person=person)
        assert "an error in this software" in seen.error["traceback"][0]
        assert "Traceback" in seen.all
        assert SECRET not in seen.all
        said += seen.all
    assert "[secret env:TEST]" in said


def test_a_slip_in_a_readers_own_cell_is_shown_as_ever(run: Any) -> None:
    """It is not this software's, and says where it is."""
    seen = run("1 / 0")
    assert seen.error["ename"] == "ZeroDivisionError"
    assert "error in this software" not in seen.all


def test_a_bar_moves_while_a_cell_works_and_leaves_what_was_told(run: Any) -> None:
    """It says what goes on, how much is done, and when it was drawn; then one line is left: how long it took."""
    seen = run(BAR)
    first, *between, last = (data["text/html"] for data in seen.shown)
    assert 'value="0.250"' in first
    assert "<p>Reading &lt;x&gt;</p>" in first
    assert re.search(r"drawn at \d\d:\d\d:\d\dZ", first)
    assert any("<p>Waiting</p>" in html and "value=" not in html for html in between)
    assert re.search(r"<summary>Done in (?:\d+:\d\d|less than a second)\.", last)
    assert "Reading &lt;x&gt;" in last
    assert "<progress" not in last
    assert "widget" not in seen.all


def test_a_cell_that_is_done_at_once_shows_no_bar(run: Any) -> None:
    """Nothing flickers."""
    code = "from runbook_lib.show import progress; usual = progress.SHOWN_AFTER_S; progress.SHOWN_AFTER_S = 60\n"
    assert run(code + 'with (tell := Progress()):\n    tell("Reading")\n    time.sleep(1)').shown == []
    run("progress.SHOWN_AFTER_S = usual")


def test_a_bar_that_is_stopped_says_so_and_how_to_go_on(run: Any) -> None:
    """The stop button reaches the cell; the bar and the advice both say what comes next."""
    seen = run(WATCH, interrupt=True)
    assert any(re.search(r"Stopped after \d+:\d\d", data["text/html"]) for data in seen.renewed)
    assert "Run the cell again" in seen.shown[-3]["text/html"]
    assert seen.error["ename"] == "KeyboardInterrupt"


def test_a_guide_of_several_lines_is_printed_and_stays(run: Any) -> None:
    """What a person has to read while they work is no bar's line."""
    assert "'text': 'Do this\\n1. first\\n'" in run('with (tell := Progress()):\n    tell("Do this\\n1. first")').all


@pytest.mark.parametrize(
    ("done", "steady", "elapsed", "left"),
    [(0.25, True, 10.0, 30.0), (0.25, False, 10.0, None), (None, True, 10.0, None), (0.001, True, 10.0, None)],
)
def test_what_is_left_is_said_only_where_it_is_known(
    done: float | None, steady: bool, elapsed: float, left: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the pace, if the work has one and enough of it is done."""
    monkeypatch.setattr(_State, "elapsed_s", lambda state: elapsed)
    assert _State(fraction=done, steady=steady).left_s() == left


@pytest.mark.parametrize(("seconds", "said"), [(0, "0:00"), (42.9, "0:42"), (725, "12:05"), (3723, "1:02:03")])
def test_a_clock_is_read_as_one(seconds: float, said: str) -> None:
    """Minutes and seconds, and hours where there are any."""
    assert clock(seconds) == said


def test_every_exit_code_leads_to_its_part_of_the_guide() -> None:
    """The link's anchor is a heading of docs/troubleshooting.md, as code forges name them."""
    lines = Path(project_root(), "docs", "troubleshooting.md").read_text(encoding="utf-8").splitlines()
    headings = [line.lstrip("# ").lower() for line in lines if line.startswith("#")]
    anchors = {re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in headings}
    assert set(ANCHORS.values()) <= anchors
    for kind in (UsageError, ApprovalMissing, RepairFailed, OutcomeUnknown):
        assert f"#{ANCHORS[kind.exit_code]}" in "".join(advice_html(advice(kind("x"), str), ""))


def test_advice_says_the_same_in_every_form() -> None:
    """As text it reads as the error prints itself, the next step last; a table begins with it.

    What a device said is data.
    """
    error = AnyError("It happened\x1b", where="here", found="<i>a</i>\nb", next_step="do this")
    table = advice(error, str)
    assert [row.cells[0] for row in table.rows] == ["next", "found", "where", "more"]
    assert text_lines(table) == f"RunbookError: {error}".split("\n")
    above, below = advice_html(table, "<i>")
    assert "do this" in above
    assert "<i>" not in above + below
    assert "do this" in text(table, 80)


def send(client: BlockingKernelClient, code: str, sent: datetime, **more: Any) -> dict[str, Any]:
    """Ask for a cell as a front end that sent it at that time by its own clock, and return the reply to it."""
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": True}
    request = client.session.msg("execute_request", {**content, "stop_on_error": True, **more})
    request["header"]["date"] = sent
    client.shell_channel.send(request)
    return reply_to(client, request["header"]["msg_id"])["content"]


@pytest.mark.parametrize("clock", [timedelta(), timedelta(days=-400), timedelta(hours=3)], ids=str)
def test_what_run_all_sent_before_a_red_cell_was_seen_is_not_run_after_it(
    kernel: tuple[KernelManager, BlockingKernelClient], run: Any, clock: timedelta
) -> None:
    """However slow its way was, and whatever the front end's clock says; what a person sends afterwards is run."""
    client = kernel[1]
    run("pass")
    client.session.session = f"a front end whose clock differs by {clock}"
    pressed = datetime.now(UTC) + clock
    assert send(client, "x = 1", pressed)["status"] == "ok"
    assert send(client, "time.sleep(0.2); 1 / 0", pressed + timedelta(milliseconds=3))["status"] == "error"
    assert send(client, "x = 2", pressed + timedelta(milliseconds=4))["status"] == "aborted"
    assert send(client, "x = 3", pressed + timedelta(milliseconds=5))["status"] == "aborted"
    assert send(client, "assert x == 1", datetime.now(UTC) + clock)["status"] == "ok"


def test_a_cell_that_may_fail_ends_nothing(kernel: tuple[KernelManager, BlockingKernelClient], run: Any) -> None:
    """A front end that says that it goes on after an error is taken at its word."""
    run("pass")
    pressed = datetime.now(UTC)
    assert send(kernel[1], "1 / 0", pressed, stop_on_error=False)["status"] == "error"
    assert send(kernel[1], "pass", pressed)["status"] == "ok"


def test_a_kernel_says_when_its_cell_began(run: Any) -> None:
    """So that the import in front of the gate is no part of a request's way."""
    waits = "from runbook_lib.show.advice import _began; time.sleep(0.2)"
    assert not run(f"{waits}; assert time.monotonic() - _began() >= 0.2").error
