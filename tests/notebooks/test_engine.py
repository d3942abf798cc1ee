"""The engine ``runbook``, through ``execute`` and through the papermill command; see ``test_plain_papermill``."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from quick_module import quick_module

from runbook_lib.errors import ParameterRefused, UsageError
from runbook_lib.notebook.engine import execute, read_result
from runbook_lib.notebook.provisioner import NotebookKernel
from runbook_lib.processes import Terminated

TELLS = """\
import json, os, pathlib, stat, sys
import ipykernel, psutil
print(json.dumps({
    "connection": json.loads(pathlib.Path(ipykernel.get_connection_file()).read_text()),
    "mode": stat.S_IMODE(pathlib.Path(ipykernel.get_connection_file()).parent.stat().st_mode),
    "folder": str(pathlib.Path(ipykernel.get_connection_file()).parent),
    "cwd": os.getcwd(),
    "passed_on": os.environ.get("RUNBOOK_TEST_PASSED_ON"),
    "ports": [str(each.laddr) for each in psutil.Process().net_connections("inet") if each.status == "LISTEN"],
}))
"""


def papermill_command(template: Path, output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = quick_module("papermill", "--engine", "runbook", "--no-progress-bar")
    return subprocess.run(
        [*command, str(template), str(output), *options], cwd=output.parent, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory, make, read):
    """One run that goes well: its result, its notebook, what its kernel told, what was reported on the way."""
    folder = tmp_path_factory.mktemp("told")
    template = make(folder, "a_kernel_tells_of_itself", "# Where am I", TELLS, "print(site)")
    steps = []
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text(f"open({str(folder / 'started')!r}, 'w')\n")
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNBOOK_TEST_PASSED_ON", "yes")
        patch.setenv("TZ", "Asia/Tokyo")
        patch.chdir(elsewhere)
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        result = execute(
            template,
            folder / "out {not a format}.ipynb",
            {"site": "b"},
            progress=lambda *step: steps.append(step),
        )
    notebook = read(result.output)
    return {
        "result": result,
        "notebook": notebook,
        "steps": steps,
        "folder": folder,
        "handlers": (handlers, [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]),
        "kernel": json.loads(notebook.cells[-2].outputs[0].text),
    }


def test_a_run_that_goes_well_is_completed(told):
    """Every code cell, the injected parameters included, was run, and nothing says that anything went wrong."""
    result = told["result"]
    assert (result.completed, result.cause) == (True, "")
    assert told["notebook"].states == ["completed"] * 5
    assert told["notebook"].metadata.papermill.exception is None
    assert told["notebook"].cells[-1].outputs[0].text == "b\n"


def test_the_kernel_talks_over_ipc_in_a_private_folder_that_is_gone_afterwards(told):
    """Nobody else can listen to the kernel or talk to it."""
    kernel = told["kernel"]
    assert kernel["connection"]["transport"] == "ipc"
    assert kernel["connection"]["ip"].startswith(kernel["folder"])
    assert kernel["connection"]["key"]
    assert kernel["mode"] & 0o777 == 0o700
    assert not Path(kernel["folder"]).exists()


def test_the_kernel_listens_on_no_port(told):
    """Its messages go over sockets in that folder, and nothing of it can be reached by another user."""
    assert told["kernel"]["ports"] == []


def test_the_kernel_has_the_folder_that_was_asked_for_and_the_callers_environment(told):
    """`cwd` is the kernel's working folder, and environment variables pass through."""
    assert told["kernel"]["cwd"] == str(told["folder"] / "elsewhere")
    assert told["kernel"]["passed_on"] == "yes"


def test_the_users_start_up_files_of_ipython_are_not_run(told):
    """What lies there was not approved: a run does and records the same whoever's home it is in."""
    assert (told["folder"] / "ipython" / "profile_default" / "startup" / "00.py").exists()
    assert not (told["folder"] / "started").exists()


def test_times_are_utc(told):
    """All times in the executed notebook are UTC, whatever the machine's time zone is."""
    about = told["notebook"].metadata.papermill
    cells = told["notebook"].cells
    times = [about.start_time, about.end_time, *(c.metadata.papermill.start_time for c in cells)]
    assert {datetime.fromisoformat(time).utcoffset() for time in times} == {UTC.utcoffset(None)}
    assert all(time.endswith("Z") for time in cells[-1].metadata.execution.values())


def test_progress_names_each_cell_its_state_and_its_heading(told):
    """The caller hears of each cell as it begins and as it ends, and of each line that it prints meanwhile."""
    assert told["steps"][2:6] == [
        (1, 5, "running", ""),
        (1, 5, "completed", ""),
        (2, 5, "running", "Where am I"),
        (2, 5, "completed", "Where am I"),
    ]
    assert told["steps"][-2:] == [(4, 5, "running", "b"), (4, 5, "completed", "Where am I")]


def test_signal_handlers_are_restored(told):
    """After a run the handlers are those that were there before."""
    before, after = told["handlers"]
    assert before == after


@pytest.fixture(scope="module")
def timed_out(tmp_path_factory, make, read, cells):
    """A run whose second cell timed out, over an old file that a reader holds."""
    folder = tmp_path_factory.mktemp("timed_out")
    template = make(folder, "a_cell_takes_too_long", "# Wait", cells.sleeps, cells.says_hello)
    output, held = folder / "out.ipynb", folder / "held.ipynb"
    output.write_text("the old file")
    held.hardlink_to(output)
    result = execute(template, output, {}, cell_timeout_s=cells.timeout_s)
    return {"result": result, "notebook": read(output), "held": held, "folder": folder}


def test_after_a_cell_timeout_the_cell_is_failed_and_the_later_ones_are_pending(timed_out):
    """The notebook says which cell did not end, and that nothing after it ran."""
    notebook = timed_out["notebook"]
    assert notebook.states == ["completed", "completed", "failed", "pending"]
    assert notebook.metadata.papermill.exception is True
    assert notebook.cells[2].metadata.papermill.exception is True
    assert notebook.cells[2].outputs[0].text == "asleep\n"


def test_after_a_cell_timeout_the_reason_is_shown_and_stored(timed_out):
    """The reason stands in the cell's output, before what our interrupt made there, in metadata and in the result."""
    notebook, result = timed_out["notebook"], timed_out["result"]
    assert notebook.errors == ["CellTimeout", "KeyboardInterrupt"]
    assert notebook.cells[2].metadata.runbook.cause == notebook.metadata.runbook.cause == "timeout"
    assert (result.completed, result.cause, result.error_name, result.heading) == (
        False,
        "timeout",
        "CellTimeout",
        "Wait",
    )


def test_the_output_is_replaced_and_never_written_over(timed_out):
    """Who holds the old file goes on reading the old file, whole; nothing is left beside the new one."""
    assert timed_out["held"].read_text() == "the old file"
    assert {path.name for path in timed_out["folder"].iterdir()} == {
        "a_cell_takes_too_long.ipynb",
        "held.ipynb",
        "out.ipynb",
    }


def test_a_cell_that_ignores_the_interrupt_is_killed_with_its_kernel(tmp_path, make, read, cells, monkeypatch):
    """The run ends soon after its timeout, also if the cell does not want to."""
    monkeypatch.setattr("runbook_lib.notebook.engine_run.STOP_GRACE_S", 0.2)
    stubborn = "import os, signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    template = make(
        tmp_path, "a_cell_ignores_the_interrupt", stubborn + "print(os.getpid(), flush=True); time.sleep(600)"
    )
    result = execute(template, tmp_path / "out.ipynb", {}, cell_timeout_s=cells.timeout_s)
    notebook = read(result.output)
    assert "killed" in result.error_text
    assert notebook.states == ["completed", "failed"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(notebook.cells[-1].outputs[0].text), 0)


def test_after_the_kernels_death_the_cell_is_failed_and_the_later_ones_are_pending(tmp_path, make, read, cells):
    """The notebook says in which cell the kernel died, and that nothing after it ran."""
    template = make(tmp_path, "the_kernel_dies", cells.dies, cells.says_hello)
    result = execute(template, tmp_path / "out.ipynb", {})
    notebook = read(result.output)
    assert result.cause == "kernel died"
    assert notebook.states == ["completed", "failed", "pending"]
    assert notebook.errors == ["KernelDied"]
    assert notebook.metadata.papermill.exception is True


def test_an_error_in_a_cell_is_the_result(tmp_path, make, read):
    """A cell that raises is failed, the error's name and text are the result's, and no tag lets the run go on."""
    template = make(tmp_path, "a_cell_raises", "raise KeyError('x')", "print('never')")
    text = json.loads(template.read_text())
    text["cells"][1]["metadata"]["tags"] = ["raises-exception"]
    template.write_text(json.dumps(text))
    result = execute(template, tmp_path / "out.ipynb", {})
    assert (result.cause, result.error_name, result.error_text) == ("error", "KeyError", "'x'")
    assert read(result.output).states == ["completed", "failed", "pending"]


def test_after_ctrl_c_the_cell_is_failed_and_keyboard_interrupt_is_raised(tmp_path, make, read, cells, monkeypatch):
    """The caller's KeyboardInterrupt comes after the notebook was written truthfully."""
    monkeypatch.chdir(tmp_path)
    template = make(tmp_path, "somebody_presses_ctrl_c", cells.interrupts, cells.says_hello)
    with pytest.raises(KeyboardInterrupt):
        execute(template, tmp_path / "out.ipynb", {})
    assert read(tmp_path / "out.ipynb").states == ["completed", "failed", "pending"]
    assert read(tmp_path / "out.ipynb").errors == ["Interrupted", "KeyboardInterrupt"]
    assert read_result(tmp_path / "out.ipynb").cause == "interrupted"


def test_after_sigterm_the_cell_is_failed_and_the_process_ends_by_143(tmp_path, make, read, cells, monkeypatch):
    """SIGTERM becomes an exit by 143, after the cell has cleaned up, its kernel is gone and the notebook is written."""
    monkeypatch.chdir(tmp_path)
    template = make(tmp_path, "the_batch_system_ends_the_job", cells.terminates, cells.says_hello)
    with pytest.raises(Terminated) as ended:
        execute(template, tmp_path / "out.ipynb", {})
    assert ended.value.code == 143
    assert read(tmp_path / "out.ipynb").states == ["completed", "failed", "pending"]
    assert read_result(tmp_path / "out.ipynb").cause == "terminated"
    assert (tmp_path / "cleaned_up").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "kernel.pid").read_text()), 0)


@pytest.mark.parametrize(
    ("cell", "code", "shown"), [("interrupts", 130, "Interrupted"), ("terminates", 143, "Terminated")]
)
def test_the_papermill_command_ends_by_the_conventional_code(cell, code, shown, tmp_path, make, read, cells):
    """`papermill --engine runbook` is as truthful, and exits by 130 after Ctrl-C and by 143 after SIGTERM."""
    template = make(tmp_path, "the_command_is_stopped", getattr(cells, cell), cells.says_hello)
    assert papermill_command(template, tmp_path / "out.ipynb").returncode == code
    notebook = read(tmp_path / "out.ipynb")
    assert notebook.states == ["completed", "failed", "pending"]
    assert notebook.errors[0] == shown


def test_the_papermill_command_ends_by_the_code_of_the_error_in_a_cell(tmp_path, make, read):
    """`papermill --engine runbook` exits by 3 for a missing approval, and has written the notebook."""
    raises = "from runbook_lib.errors import ApprovalMissing\nraise ApprovalMissing('nobody', next_step='approve it')"
    template = make(tmp_path, "the_approval_is_missing", raises)
    run = papermill_command(template, tmp_path / "out.ipynb")
    assert run.returncode == 3
    assert "ApprovalMissing: nobody\n  next:  approve it" in run.stderr
    assert "Traceback" not in run.stderr
    assert read(tmp_path / "out.ipynb").states == ["completed", "failed"]
    assert "papermill-error-cell" in (tmp_path / "out.ipynb").read_text()


def test_a_second_signal_ends_the_wait_for_the_cell(tmp_path, make, read, monkeypatch):
    """Who presses Ctrl-C twice does not wait for a cell that ignores it; the notebook is true all the same."""
    monkeypatch.setattr("runbook_lib.notebook.engine_run.STOP_GRACE_S", 1000)
    # The second comes when the first has come back as the stop of this cell: two at once would be one.
    stubborn = "import os, signal, time; got = []; signal.signal(signal.SIGINT, lambda *which: got.append(which))\n"
    twice = (
        "os.kill(os.getppid(), signal.SIGINT)\nwhile not got: time.sleep(0.01)\nos.kill(os.getppid(), signal.SIGINT)\n"
    )
    template = make(tmp_path, "ctrl_c_is_pressed_twice", stubborn + twice + "time.sleep(600)")
    with pytest.raises(KeyboardInterrupt):
        execute(template, tmp_path / "out.ipynb", {})
    assert "killed" in read_result(tmp_path / "out.ipynb").error_text
    assert read(tmp_path / "out.ipynb").states == ["completed", "failed"]


def test_a_signal_between_two_cells_leaves_the_rest_pending(tmp_path, make, read, cells):
    """No cell is blamed when none was running, and none is completed that never ran."""
    template = make(tmp_path, "stopped_between_two_cells", cells.says_hello)

    def stop(index, total, state, heading):
        if state == "completed":
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Terminated):
        execute(template, tmp_path / "out.ipynb", {}, progress=stop)
    assert read(tmp_path / "out.ipynb").states == ["completed", "pending"]
    assert read(tmp_path / "out.ipynb").metadata.papermill.exception is True


@pytest.fixture
def broken_kernel(tmp_path, monkeypatch):
    """Install a kernel `python3` that runs one line of Python and never answers."""

    def install(line: str) -> None:
        folder = tmp_path / "jupyter" / "kernels" / "python3"
        folder.mkdir(parents=True)
        spec = {
            "argv": [sys.executable, "-c", line, "{connection_file}"],
            "display_name": "broken",
            "language": "python",
        }
        (folder / "kernel.json").write_text(json.dumps(spec))
        monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    return install


def test_a_kernel_that_does_not_start_leaves_every_cell_pending(tmp_path, make, read, cells, broken_kernel):
    """The result says that nothing was run."""
    broken_kernel("raise SystemExit(3)")
    result = execute(make(tmp_path, "the_kernel_does_not_start", cells.says_hello), tmp_path / "out.ipynb", {})
    assert (result.completed, result.cause) == (False, "not run")
    assert read(result.output).states == ["pending", "pending"]
    assert read(result.output).metadata.papermill.exception is True


def test_ctrl_c_while_the_kernel_starts_leaves_every_cell_pending(tmp_path, make, read, cells, broken_kernel):
    """The wait for a kernel can be interrupted, too."""
    broken_kernel("import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(600)")
    with pytest.raises(KeyboardInterrupt):
        execute(make(tmp_path, "ctrl_c_at_the_start", cells.says_hello), tmp_path / "out.ipynb", {})
    assert read(tmp_path / "out.ipynb").states == ["pending", "pending"]
    assert read_result(tmp_path / "out.ipynb").cause == "interrupted"


def test_the_papermill_command_refuses_wrong_parameters_by_code_2(tmp_path, make, cells):
    """A mistyped name and a value that papermill turned into a number are refused; the old output is untouched."""
    template = make(tmp_path, "a_parameter_is_mistyped", cells.says_hello)
    (tmp_path / "out.ipynb").write_text("the old file")
    run = papermill_command(template, tmp_path / "out.ipynb", "-p", "sit", "b", "-p", "site", "0012")
    assert run.returncode == 2
    assert "`sit` is unknown" in run.stderr
    assert "-r site" in run.stderr
    assert "site (str)" in run.stderr
    assert (tmp_path / "out.ipynb").read_text() == "the old file"


def test_what_is_refused_leaves_no_output(tmp_path, make, cells):
    """Wrong parameters, an unknown kernel and a cell that would be skipped are refused before anything is written."""
    template = make(tmp_path, "nothing_is_run", cells.says_hello)
    with pytest.raises(ParameterRefused):
        execute(template, tmp_path / "out.ipynb", {"approve": "x"})
    text = template.read_text()
    template.write_text(text.replace('"python3"', '"no-such-kernel"'))
    with pytest.raises(UsageError, match="no-such-kernel"):
        execute(template, tmp_path / "out.ipynb", {})
    template.write_text(text.replace('"metadata": {}', '"metadata": {"tags": ["skip-execution"]}'))
    with pytest.raises(UsageError, match="skip-execution"):
        execute(template, tmp_path / "out.ipynb", {})
    with pytest.raises(UsageError, match="replace its template"):
        execute(template, template, {})
    assert not (tmp_path / "out.ipynb").exists()


def test_system_exit_0_before_the_end_is_a_failure(tmp_path, make, read, cells):
    """A cell that leaves the notebook while others wait has failed; what never ran is pending."""
    template = make(tmp_path, "a_cell_leaves_early", cells.leaves, cells.says_hello)
    result = execute(template, tmp_path / "out.ipynb", {})
    assert (result.completed, result.cause) == (False, "ended early")
    assert read(result.output).states == ["completed", "failed", "pending"]


def test_system_exit_0_at_the_end_is_success(tmp_path, make, read, cells):
    """The last code cell may leave: nothing was left out."""
    template = make(tmp_path, "the_last_cell_leaves", cells.leaves, "# Done")
    assert execute(template, tmp_path / "out.ipynb", {}).completed
    assert read(tmp_path / "out.ipynb").states == ["completed"] * 3


def test_a_notebook_runs_from_a_coroutine_too(tmp_path, make, cells):
    """A caller whose thread has a running event loop, as in a notebook, can run another notebook."""
    template = make(tmp_path, "called_from_a_coroutine", cells.says_hello)

    async def caller():
        return execute(template, tmp_path / "out.ipynb", {"site": "b"})

    assert asyncio.run(caller()).completed


PROCESS = """\
import json, os
print(json.dumps([os.getpid(), sorted({"site", "left", "json"} & set(globals())), Out]))
"""


def test_a_kept_kernel_runs_one_notebook_after_another(tmp_path, make, read):
    """One process for both; the second finds no name, output or count of the first, and it ends with the context."""
    first = make(tmp_path, "leaves_something", "left = site", PROCESS, "left")
    second = make(tmp_path, "finds_nothing", PROCESS, "site")
    with NotebookKernel(keeps=True) as kernel:
        ran = [
            execute(each, tmp_path / f"{each.stem}.out.ipynb", {"site": "b"}, kernel=kernel) for each in (first, second)
        ]
        cells = [read(result.output).cells for result in ran]
        (before, known, _), (after, found, shown) = (json.loads(of[-2].outputs[0].text) for of in cells)
        assert psutil.pid_exists(before)
    assert before == after
    assert (known, found, shown) == (["json", "left", "site"], ["json", "site"], {})
    assert [[cell.execution_count for cell in of] for of in cells] == [[1, 2, 3, 4, 5], [1, 2, 3, 4]]
    assert not psutil.pid_exists(before)


def test_a_kept_kernel_ends_with_a_notebook_that_does_not_come_to_its_end(tmp_path, make, read, cells):
    """What is left of a failure serves nobody: the next notebook gets another process."""
    fails = make(tmp_path, "fails", PROCESS, "raise ValueError")
    dies = make(tmp_path, "dies", PROCESS, cells.dies)
    goes_on = make(tmp_path, "goes_on", PROCESS, cells.says_hello)
    with NotebookKernel(keeps=True) as kernel:
        ran = [execute(each, tmp_path / f"{each.stem}.out.ipynb", {}, kernel=kernel) for each in (fails, dies, goes_on)]
    assert [result.cause for result in ran] == ["error", "kernel died", ""]
    processes = {json.loads(read(result.output).cells[-2].outputs[0].text)[0] for result in ran}
    assert len(processes) == 3
    assert not any(psutil.pid_exists(process) for process in processes)


def test_a_notebook_cut_off_reads_as_unfinished(tmp_path, make, timed_out):
    """What a power cut leaves, a cell that reads running and no end, is not taken for a result."""
    cut = json.loads(timed_out["result"].output.read_text())
    cut["metadata"]["papermill"].update(exception=None, end_time=None)
    del cut["metadata"]["runbook"]
    for cell in cut["cells"]:
        if cell["metadata"].get("papermill", {}).get("status") == "failed":
            cell["metadata"]["papermill"]["status"] = "running"
    (tmp_path / "cut.ipynb").write_text(json.dumps(cut))
    result = read_result(tmp_path / "cut.ipynb")
    assert (result.completed, result.cause, result.heading) == (False, "unfinished", "Wait")
