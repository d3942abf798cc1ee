"""Kernels forked from the warm process: as new as ordinary ones, ended as truly, and ordinary where that cannot be."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE_S, wait_until, wait_until_async

from runbook_lib import event_loop
from runbook_lib.notebook import warm_kernels
from runbook_lib.notebook.engine import NotebookResult, execute
from runbook_lib.notebook.forked_kernel import LOST, ForkedKernel
from runbook_lib.notebook.warm_kernels import WarmKernels

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forked kernels are for Linux")

# What a kernel says of itself, as JSON.
TELLS = """\
import asyncio, gc, json, locale, logging, os, random, signal, ssl, sys, tempfile, threading, time, uuid, warnings
import multiprocessing, pathlib, resource
import psutil
import runbook_lib.notebook.opening
WAIT_FOR_THE_OWNER = ("owner", "Thread-1")  # forked, ordinary
print(json.dumps({
    "names": sorted(name for name in globals() if not name.startswith("_")),
    "argv": sys.argv[0],
    "path": sys.path,
    "environment": {name: value for name, value in os.environ.items() if name != "IPYTHONDIR"},  # a folder of its own
    "cwd": os.getcwd(),
    "umask": [mask := os.umask(0), os.umask(mask)][0],
    "zone": time.tzname,
    "locale": locale.setlocale(locale.LC_CTYPE),
    "encodings": [sys.stdout.encoding, sys.__stdout__.encoding, sys.__stderr__.encoding],
    "stdin": os.fstat(0).st_rdev == os.stat(os.devnull).st_rdev or not os.read(0, 1),
    "signals": {s.name: str(signal.getsignal(s)) for s in signal.Signals if s.name not in ("SIGKILL", "SIGSTOP")},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "leads": [os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid()],
    "limits": {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith("RLIMIT_")},
    "threads": sorted(t.name for t in threading.enumerate() if t.name not in WAIT_FOR_THE_OWNER),
    "collects": gc.isenabled(),
    "filters": [str(f) for f in warnings.filters],
    "handlers": [str(type(h)) for h in logging.root.handlers],
    "temporary": tempfile.gettempdir(),
    "files": [f for n in os.listdir("/proc/self/fd") if os.path.isfile(f := os.path.realpath("/proc/self/fd/" + n))],
    "owner": os.environ["JPY_PARENT_PID"],
    "ports": [str(each.laddr) for each in psutil.Process().net_connections("inet") if each.status == "LISTEN"],
}))
"""
RANDOM = """\
import json, multiprocessing, os, random, ssl, tempfile, uuid
print(json.dumps([random.random(), next(tempfile._get_candidate_names()), str(uuid.uuid1()), str(uuid.uuid4()),
                  ssl.RAND_bytes(8).hex(), os.urandom(8).hex(), multiprocessing.current_process().authkey.hex()]))
"""
DRAWN = (
    "import multiprocessing, random, ssl, tempfile, uuid; uuid.uuid1(); random.random(); ssl.RAND_bytes(8); "
    "next(tempfile._get_candidate_names()); multiprocessing.current_process()"
)
# What a warm process must not hand on, however it came by it; it happens before it has imported anything.
SPOILS_THE_WARM_PROCESS = f"""\
import sys
if "runbook_lib.notebook.warm_process" in sys.orig_argv:
    import locale, os, resource, signal, time
    {DRAWN}
    kept = open(__file__)
    for number, how in ((2, signal.SIG_IGN), (10, print), (13, signal.SIG_DFL), (15, signal.SIG_IGN)):
        signal.signal(number, how)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    os.umask(0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 50, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    os.environ.update(TRACE="of the warm process", TZ="Asia/Tokyo")
    time.tzset()
    locale.setlocale(locale.LC_CTYPE, "C")
    tempfile.tempdir = "/"
"""
LEAVES_TRACES = """\
import builtins, locale, logging, os, random, signal, sys, tempfile, threading, time
import runbook_lib.notebook.opening, runbook_lib.paths, mailbox
builtins.trace = runbook_lib.paths.trace = "left by another run"
runbook_lib.paths.records_dir = None
kept = open("trace.txt", "w")
os.environ["TRACE"] = "left by another run"
os.chdir("/")
random.seed(1)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
logging.basicConfig(filename=os.devnull)
tempfile.tempdir = "/"
os.umask(0)
os.nice(1)
os.environ["TZ"] = "ANOTHER-9"; time.tzset()
print(os.getpid())
"""
FINDS_TRACES = """\
import builtins, json, os, random, signal, sys, logging, tempfile
import runbook_lib.paths
print(json.dumps({
    "builtins": hasattr(builtins, "trace"),
    "module": hasattr(runbook_lib.paths, "trace") or runbook_lib.paths.records_dir is None,
    "imported": "mailbox" in sys.modules,
    "environment": "TRACE" in os.environ or os.environ.get("TZ") == "ANOTHER-9",
    "folder": os.getcwd() == "/",
    "files": any("trace.txt" in os.path.realpath(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")),
    "random": random.random() == random.Random(1).random(),
    "signals": {signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)} != {signal.SIG_DFL},
    "mask": bool(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "logging": bool(logging.root.handlers),
    "temporary": tempfile.gettempdir() == "/",
    "umask": os.umask(0o22) == 0,
}))
"""
SECRET = "-".join(["canary", "7d1f", "warm"])


def output(notebook: Any, cell: int = -1) -> str:
    return "".join(o["text"] for o in notebook.cells[cell].outputs if o["output_type"] == "stream")


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmKernels]:
    """One warm process for this module's runs."""
    with WarmKernels() as kernels:
        yield kernels


def run_all(folder: Path, *templates: Path, **options: Any) -> list[NotebookResult]:
    """Run notebooks at the same time, each in a thread."""

    def run(number: int) -> NotebookResult:
        return execute(templates[number], folder / f"{number}.out.ipynb", {}, **options)

    with ThreadPoolExecutor() as threads:
        return list(threads.map(run, range(len(templates))))


# What this process was told to ignore (in the background of a shell, by nohup) ordinary kernels ignore, forks do not.
IGNORED_HERE = {s.name for s in signal.Signals if signal.getsignal(s) is signal.SIG_IGN} - {"SIGPIPE", "SIGXFSZ"}


@pytest.fixture(scope="module")
def told(tmp_path_factory, make, read) -> dict[str, Any]:
    """The same cells in an ordinary kernel and in one of a spoilt warm process; what three of its kernels draw."""
    folder = tmp_path_factory.mktemp("told")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (folder / "sitecustomize.py").write_text(SPOILS_THE_WARM_PROCESS)
    tells = make(folder, "a_kernel_tells_of_itself", TELLS)
    draws = [make(folder, f"draws_{i}", RANDOM) for i in range(3)]
    old = os.umask(0o27)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(folder))
            patch.setattr(warm_kernels, "_warm", None)
            patch.setattr(warm_kernels, "_asked_for", 0)
            patch.chdir(elsewhere)
            results = run_all(elsewhere, tells)
            with WarmKernels():
                results += run_all(folder, tells, *draws)
    finally:
        os.umask(old)
    said = [json.loads(output(read(result.output))) for result in results]
    for name in IGNORED_HERE:
        del said[0]["signals"][name], said[1]["signals"][name]
    return {"ordinary": said[0], "forked": said[1], "drawn": said[2:]}


ASPECTS = (
    "names argv path environment cwd umask zone locale encodings stdin signals blocked leads limits threads collects "
    "filters handlers temporary files owner"
)


@pytest.mark.parametrize("what", ASPECTS.split())
def test_a_forked_kernel_says_of_itself_what_an_ordinary_one_says(told, what):
    """Environment, folder, signals, limits, time zone, locale and the rest are those of a kernel that was started."""
    assert told["forked"][what] == told["ordinary"][what]


@pytest.mark.parametrize("kind", ["forked", "ordinary"])
def test_a_kernel_listens_on_no_port(told, kind):
    """A port on loopback is open to every local user, so a kernel has none of either kind."""
    assert told[kind]["ports"] == []


def test_no_run_finds_what_another_left(tmp_path, make, read, warm, monkeypatch):
    """Modules, environment, folder, files, random state, signals, logging of one run are never seen by the next."""
    monkeypatch.chdir(tmp_path)
    leaves, finds = make(tmp_path, "leaves", LEAVES_TRACES), make(tmp_path, "finds", FINDS_TRACES)
    (first,) = run_all(tmp_path, leaves)
    (second,) = run_all(tmp_path, finds)
    assert first.completed, first.error_text
    assert {what for what, found in json.loads(output(read(second.output))).items() if found} == set()


def test_runs_at_the_same_time_do_not_find_what_the_other_left(tmp_path, make, read, warm, monkeypatch):
    """Nor do kernels that run at the same time share anything that one of them changes."""
    monkeypatch.chdir(tmp_path)
    waits = "import pathlib, time\nwhile not pathlib.Path('trace.txt').exists(): time.sleep(0.01)\n"
    stays = "import pathlib, time\nwhile not pathlib.Path('found').exists(): time.sleep(0.01)"
    leaves = make(tmp_path, "leaves", LEAVES_TRACES, stays.replace("'found'", f"{str(tmp_path / 'found')!r}"))
    finds = make(tmp_path, "finds", waits + FINDS_TRACES, "pathlib.Path('found').touch()")
    _, second = run_all(tmp_path, leaves, finds)
    assert {what for what, found in json.loads(output(read(second.output), -2)).items() if found} == set()


def test_no_two_kernels_draw_the_same_random_numbers(told):
    """Random numbers, OpenSSL's, names of temporary files, uuids and keys differ in each fork, drawn before or not."""
    assert len(told["drawn"]) == 3
    assert all(len(set(column)) == 3 for column in zip(*told["drawn"], strict=True)), told["drawn"]


def test_a_secret_of_a_run_is_never_in_the_warm_process(tmp_path, make, read, warm):
    """Neither a kernel's environment nor what it holds in memory is in the process that it was forked from."""
    holds = f"import os; kept = os.environ['CANARY'] + '-held'; print(os.environ['CANARY'] == {SECRET!r}, kept[:0])"
    template = make(tmp_path, "holds_a_secret", holds)
    (result,) = run_all(tmp_path, template, env={**os.environ, "CANARY": SECRET})
    assert output(read(result.output)).startswith("True")
    assert warm_kernels._warm is not None
    memory = memory_of(warm_kernels._warm.pid)
    assert b"runbook_lib.notebook.opening" in memory
    assert SECRET.encode() not in memory


def memory_of(pid: int) -> bytes:
    found = bytearray()
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, access = line.split()[:2]
            if access.startswith("rw"):
                start, end = (int(each, 16) for each in span.split("-"))
                memory.seek(start)
                found += memory.read(end - start)
    return bytes(found)


def test_a_kernel_that_dies_harms_no_other(tmp_path, make, read, cells, warm):
    """One run's kernel dies, another's is killed with its group; the run beside them is completed."""
    killed = "import os, signal; os.killpg(0, signal.SIGKILL)"
    slow = "import time; time.sleep(1); print('still here')"
    templates = [make(tmp_path, "dies", cells.dies), make(tmp_path, "killed", killed), make(tmp_path, "slow", slow)]
    died, gone, well = run_all(tmp_path, *templates)
    assert [died.cause, gone.cause, well.completed] == ["kernel died", "kernel died", True]
    assert output(read(well.output)) == "still here\n"


@pytest.mark.parametrize("how", ["raises", "timeout", "leaves", "ignores"])
def test_cell_states_are_as_true_as_those_of_an_ordinary_kernel(how, tmp_path, make, read, cells, warm, monkeypatch):
    """After an error, a timeout, an early end and a cell that ignores its interrupt, each run says so, and only so."""
    monkeypatch.setattr("runbook_lib.notebook.engine_run.STOP_GRACE_S", 0.5 if how == "ignores" else 60)
    source = {
        "raises": "raise KeyError('x')",
        "timeout": cells.sleeps,
        "leaves": cells.leaves,
        "ignores": "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)",
    }[how]
    template = make(tmp_path, how, "# Here", source, cells.says_hello)
    ordinary = execute(template, tmp_path / "ordinary.ipynb", {"site": "b"}, cell_timeout_s=cells.timeout_s)
    forked = execute(template, tmp_path / "forked.ipynb", {"site": "b"}, cell_timeout_s=cells.timeout_s)
    (one, other) = (read(result.output) for result in (ordinary, forked))
    assert one.states == other.states
    assert one.errors == other.errors
    assert [c.source for c in one.cells] == [c.source for c in other.cells]
    for field in ("completed", "cause", "error_name", "error_text", "heading"):
        assert getattr(ordinary, field) == getattr(forked, field)


def running(pid: int) -> bool:
    """Whether a process is there and has not ended yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def forked(code: str, folder: Path, **options: Any) -> ForkedKernel:
    """Fork a process that runs ``code`` as a kernel's start-up code: no client talks to it."""
    (folder / "kernel.json").unlink(missing_ok=True)
    arguments = [
        f"-f={folder / 'kernel.json'}",
        "--transport=ipc",
        f"--ip={folder / 'k'}",
        f"--InteractiveShellApp.code_to_run={code}",
    ]
    command = [sys.executable, "-m", "ipykernel_launcher", *arguments]
    return await warm_kernels.fork_kernel(command, {"env": dict(os.environ), "cwd": str(folder), **options})


@pytest.mark.parametrize(
    ("code", "status"),
    [("import os; os._exit(7)", 7), ("import os; os.kill(os.getpid(), 9)", -9), ("import os; os.abort()", -6)],
)
def test_the_exit_status_is_that_of_the_kernel(code, status, tmp_path, warm):
    """What a kernel ended by reaches its owner: an exit code, or a signal as its negative number."""

    async def ended() -> list[int | None]:
        kernel = await forked(code, tmp_path)
        told = [await kernel.ended(), kernel.poll(), kernel.wait()]
        kernel.release()
        return told

    assert asyncio.run(ended()) == [status] * 3


def test_who_asks_how_a_kernel_ended_takes_the_answer_from_nobody_who_waits_for_it():
    """A run that is ended by a signal asks while its engine waits: neither goes on waiting for ever."""

    async def waited(pid: int) -> list[int | None]:
        status, theirs = event_loop.packets()
        status.setblocking(False)
        with socket.socket() as line, theirs:
            kernel = ForkedKernel(pid, line, status)
            waiting = asyncio.ensure_future(kernel.ended())
            await event_loop.readable(kernel._pidfd)
            for _ in range(5):
                await asyncio.sleep(0)  # it waits for the status now
            theirs.sendall(event_loop.packet({"exit": 4}))
            told = [kernel.poll(), await asyncio.wait_for(waiting, PATIENCE_S)]
            kernel.release()
        return told

    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        assert asyncio.run(waited(child.pid)) == [4, 4]


def test_what_a_kernel_writes_beside_its_cells_goes_where_its_owner_said(tmp_path, warm):
    """Its standard output and error are those that it was started with, for Python and for whatever it starts."""
    code = "import os, subprocess; os.write(1, b'one'); subprocess.run(['sh', '-c', 'echo two >&2']); os._exit(0)"

    async def ended() -> None:
        with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
            kernel = await forked(code, tmp_path, stdout=out, stderr=err)
            await kernel.ended()
        kernel.release()

    asyncio.run(ended())
    assert [(tmp_path / name).read_text() for name in ("out", "err")] == ["one", "two\n"]


def test_a_signal_reaches_the_kernel_and_its_children_and_nobody_else(tmp_path, warm):
    """A kernel leads a process group of its own, whose number stays taken until its owner lets go."""

    async def signalled() -> tuple[int, bool, int]:
        kernel = await forked(
            "import subprocess; child = subprocess.Popen(['sleep', '600']); print(child.pid)", tmp_path
        )
        members = await wait_until_async(lambda: group(kernel.pid)[1:], "the child of the kernel")
        os.killpg(kernel.pid, signal.SIGTERM)
        status = await kernel.ended()
        taken = await asyncio.to_thread(Path(f"/proc/{kernel.pid}").exists)
        kernel.release()
        return status, taken, len(members) + 1

    assert asyncio.run(signalled()) == (-15, True, 2)
    assert warm_kernels._warm is not None
    assert warm_kernels._warm.alive()


def test_what_a_kernel_started_ends_when_its_owner_lets_go(tmp_path, warm):
    """Processes that a dead kernel leaves in its group are killed with it; none is left behind."""

    async def left() -> int:
        kernel = await forked("import os, subprocess; subprocess.Popen(['sleep', '600']); os._exit(3)", tmp_path)
        await kernel.ended()
        kernel.release()
        return kernel.pid

    pid = asyncio.run(left())
    wait_until(lambda: not group(pid), "the end of the group")


def group(number: int) -> list[str]:
    """Return the processes of a process group."""
    return subprocess.run(["pgrep", "-g", str(number)], capture_output=True, text=True).stdout.split()


OWNER = """import asyncio, os, sys
from runbook_lib.notebook.warm_kernels import WarmKernels; from runbook_lib.notebook import warm_kernels
async def main():
    command = [sys.executable, "-m", "ipykernel_launcher", "-f=k.json", "--transport=ipc", "--ip=k"]
    kernel = await warm_kernels.fork_kernel(command, {})
    print(os.getpid(), warm_kernels._warm.pid, kernel.pid, flush=True)
    if len(sys.argv) > 1:
        os.kill(warm_kernels._warm.pid, 9)
    await asyncio.sleep(600)
with WarmKernels():
    asyncio.run(main())
"""


@pytest.mark.parametrize("warm_is_killed_first", [False, True])
def test_the_warm_process_and_its_kernels_end_with_their_owner(warm_is_killed_first, tmp_path):
    """After SIGKILL of the owner nothing of it is left, the warm process gone before or not."""
    command = [sys.executable, "-c", OWNER, *["x"] * warm_is_killed_first]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        _, warm_pid, kernel_pid = map(int, owner.stdout.readline().split())
        if warm_is_killed_first:
            wait_until(lambda: not running(warm_pid), "the end of the warm process")
            assert running(kernel_pid)
        owner.kill()
    wait_until(lambda: not running(warm_pid) and not running(kernel_pid), "the end of both processes")


def test_when_the_warm_process_was_killed_runs_go_on_and_the_next_gets_a_new_one(
    tmp_path, make, caplog, warm, monkeypatch
):
    """A run in an orphaned kernel is completed; the next start makes a new warm process and says so in one line."""
    monkeypatch.chdir(tmp_path)
    begins = "import pathlib, time\npathlib.Path('begun').touch()\n"
    waits = "while not pathlib.Path('killed').exists(): time.sleep(0.01)\n"
    slow = make(tmp_path, "slow", begins + waits + "print('still here')")
    after = make(tmp_path, "after", "print('a new one')")

    with caplog.at_level(logging.WARNING, "runbook_lib.notebook.warm_kernels"), ThreadPoolExecutor(1) as beside:
        first = beside.submit(execute, slow, tmp_path / "first.ipynb", {})
        wait_until((tmp_path / "begun").exists, "the cell")
        assert warm_kernels._warm is not None
        os.kill(warm_kernels._warm.pid or 0, signal.SIGKILL)
        (tmp_path / "killed").touch()
        second = execute(after, tmp_path / "second.ipynb", {})
    assert (first.result().completed, second.completed) == (True, True)
    said = [record.getMessage() for record in caplog.records if record.name == "runbook_lib.notebook.warm_kernels"]
    assert len(said) == 1
    assert "a new one was started" in said[0]


def test_how_an_orphaned_kernel_ended_is_not_guessed(tmp_path, warm):
    """Where the warm process is gone nobody saw the exit status, so it is a value of its own."""

    async def ended() -> int:
        kernel = await forked("pass", tmp_path)
        assert warm_kernels._warm is not None
        os.kill(warm_kernels._warm.pid or 0, signal.SIGKILL)
        kernel.kill()
        status = await kernel.ended()
        kernel.release()
        return status

    assert asyncio.run(ended()) == LOST


@pytest.fixture
def no_warm_process(monkeypatch) -> Iterator[None]:
    """This process has no warm process, whatever other tests have."""
    monkeypatch.setattr(warm_kernels, "_warm", None)
    monkeypatch.setattr(warm_kernels, "_said", set())
    monkeypatch.setattr(warm_kernels, "_asked_for", 0)
    yield
    assert warm_kernels._warm is None


@pytest.fixture
def ordinary_because(tmp_path, make, read, caplog, no_warm_process) -> Callable[..., str]:
    """Run a notebook that has to get an ordinary kernel, and return the one line that says why."""

    def run(**options: Any) -> str:
        template = make(tmp_path, "is_ordinary", "import os; print(os.getppid())")
        with WarmKernels(), caplog.at_level(logging.WARNING, "runbook_lib.notebook.warm_kernels"):
            result, _ = run_all(tmp_path, template, template, **options)
        assert (result.completed, output(read(result.output))) == (True, f"{os.getpid()}\n")
        told = [record.getMessage() for record in caplog.records if record.name == "runbook_lib.notebook.warm_kernels"]
        # That a warm process had ended is told where it had before it was asked; which of the two is first is chance.
        (said,) = [line for line in told if not line.startswith("The warm process had ended")]
        assert said.startswith("Kernels are started anew, not forked from a warm process: ")
        assert "\n" not in said
        return said

    return run


def test_on_another_system_kernels_are_ordinary_ones(ordinary_because, monkeypatch):
    """Forking is not safe with the libraries of macOS, and there is none on Windows."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "on Linux only" in ordinary_because()


def test_where_threads_run_in_the_warm_process_kernels_are_ordinary_ones(ordinary_because, tmp_path, monkeypatch):
    """A fork has only the thread that forked, with whatever locks the others held, so it is refused."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, threading, time\n"
        "if 'runbook_lib.notebook.warm_process' in sys.orig_argv:\n"
        "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "the warm process has 2 threads" in ordinary_because()


def test_with_other_start_up_variables_kernels_are_ordinary_ones(ordinary_because):
    """What an interpreter reads at its start a fork cannot take over; the variable is named."""
    assert "PYTHONHASHSEED" in ordinary_because(env={**os.environ, "PYTHONHASHSEED": "7"})


def test_where_the_warm_process_cannot_start_kernels_are_ordinary_ones(ordinary_because, tmp_path, monkeypatch):
    """A warm process that ends at once is tried twice, and the run goes on without it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nif 'runbook_lib.notebook.warm_process' in sys.orig_argv: os._exit(3)"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "ends when it starts" in ordinary_because()


PAPERMILL = """\
import sys
sys.modules["rfc3987_syntax"] = None  # see quick_module
import papermill
for number, engine in enumerate((None, None, "runbook", "runbook")):
    papermill.execute_notebook("tells_its_parent.ipynb", f"{number}.ipynb", engine_name=engine, progress_bar=False)
"""
PARENT = "import os; print(os.environ['JPY_PARENT_PID'], os.getppid())"
PORTS = """
import psutil
print(sum(each.status == "LISTEN" for each in psutil.Process().net_connections("inet")))
"""


@pytest.mark.parametrize("how", ["kernel specification", "environment variable"])
def test_unchanged_papermill_gets_forked_kernels(how, tmp_path, make, read):
    """Named in a kernel's specification or in the environment, the provisioner serves papermill and its engines.

    Papermill asks for TCP, on ports that others may take before the kernel does; no kernel listens on any.
    """
    env = dict(os.environ)
    if how == "environment variable":
        env["JUPYTER_DEFAULT_PROVISIONER_NAME"] = "runbook-warm"
    else:
        folder = tmp_path / "jupyter" / "kernels" / "python3"
        folder.mkdir(parents=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        metadata = {"kernel_provisioner": {"provisioner_name": "runbook-warm"}}
        spec = {"argv": argv, "display_name": "warm", "language": "python", "metadata": metadata}
        (folder / "kernel.json").write_text(json.dumps(spec))
        env["JUPYTER_PATH"] = str(tmp_path / "jupyter")
    make(tmp_path, "tells_its_parent", PARENT + PORTS)
    command = [sys.executable, "-c", PAPERMILL]
    with tempfile.TemporaryDirectory() as sockets:  # with a path that is short enough
        env["XDG_RUNTIME_DIR"] = sockets
        run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert not list(Path(sockets).iterdir()), "each folder is gone with its kernel"
    assert run.returncode == 0, run.stderr
    said = [output(read(tmp_path / f"{number}.ipynb")).split() for number in range(4)]
    assert said == [said[0]] * 4, "all are forks of one process"
    assert said[0][0] != said[0][1], "and that is not papermill's"
    assert said[0][2] == "0"


CHILD = """\
import sys, pathlib
from runbook_lib.notebook.warm_kernels import WarmKernels
from runbook_lib.notebook.engine import execute
with WarmKernels(inherited=int(sys.argv[1])):
    result = execute(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), {})
raise SystemExit(not result.completed)
"""


def test_several_processes_share_one_warm_process(tmp_path, make, read, warm):
    """Children that inherit the descriptor get kernels from their parent's warm process, which outlives them."""
    template = make(tmp_path, "tells_its_parent", PARENT)
    run_all(tmp_path, template)
    descriptor = warm.descriptor()
    assert descriptor is not None
    for out in ("1.ipynb", "2.ipynb"):
        command = [sys.executable, "-c", CHILD, str(descriptor), str(template), out]
        subprocess.run(command, cwd=tmp_path, pass_fds=[descriptor], check=True)
        assert warm_kernels._warm is not None
        assert output(read(tmp_path / out)).split()[1] == str(warm_kernels._warm.pid)
    assert warm_kernels._warm.alive()


def test_a_kernel_holds_nothing_of_the_warm_process_and_of_other_kernels(tmp_path, warm):
    """No socket or process handle is open in a kernel that is open in the warm process or in a kernel beside it."""

    async def held() -> list[set[str]]:
        folders = [tmp_path / "1", tmp_path / "2"]
        for folder in folders:
            folder.mkdir()
        kernels = [await forked("pass", folder) for folder in folders]
        assert warm_kernels._warm is not None
        found = [handles(pid) for pid in (warm_kernels._warm.pid or 0, *(kernel.pid for kernel in kernels))]
        for kernel in kernels:
            kernel.release()
        return found

    of_warm, of_first, of_second = asyncio.run(held())
    assert of_warm
    assert of_warm & of_first == of_warm & of_second == of_first & of_second == set()
    assert "anon_inode:[pidfd]" not in of_first | of_second


def handles(pid: int) -> set[str]:
    """Return what a process has open that is one's own: sockets, and processes."""
    names = {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    return {name for name in names if name.startswith(("socket:", "anon_inode:[pidfd]"))}
