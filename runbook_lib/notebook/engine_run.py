"""One run of one notebook: its cells in order, until the last, or until something ends it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import nbformat
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbclient.util import ensure_async
from papermill.clientwrap import PapermillNotebookClient
from papermill.exceptions import PapermillExecutionError
from papermill.execute import prepare_notebook_metadata, raise_for_execution_errors, remove_error_markers
from papermill.iorw import load_notebook_node
from papermill.log import logger
from papermill.parameterize import parameterize_notebook

from runbook_lib.errors import RunbookError, UsageError, kind_called
from runbook_lib.notebook.provisioner import NotebookKernel, require_kernel
from runbook_lib.notebook.states import (
    KILLED,
    NO_CELL,
    STOPPED,
    Cause,
    CellStates,
    Ending,
    after_error,
    after_signal,
    after_silence,
    after_timeout,
    is_early_success,
    write_whole,
)
from runbook_lib.processes import Terminated, raise_for_signal, signals_taken

# -- Ctrl-C, SIGTERM and SIGHUP while a notebook runs: noted, and acted on in an orderly way -------


class StopSignals(ExitStack):
    """A context in which the signals that end a run are noted rather than raised, for the run to wait for.

    The signals noted are not sent again on exit, see ``raise_for_signal``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first: signal.Signals | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()

    def __enter__(self) -> Self:
        self.enter_context(signals_taken(self.note))
        return self

    def note(self, signum: int) -> None:
        """Say that the run is to end, as if by this signal; said again, it ends the wait for the cell."""
        self.first = self.first or signal.Signals(signum)
        if self._loop is None:
            self._event.set()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    async def next(self) -> signal.Signals:
        """Wait for the next one, at once if one came before, and return the first of all."""
        self._loop = asyncio.get_running_loop()
        await self._event.wait()
        self._event.clear()
        assert self.first is not None
        return self.first


def exit_as_command(error: BaseException) -> None:
    """End the papermill command by our exit code for ``error``; return where something else runs us.

    papermill's command knows none of our errors and turns Ctrl-C into exit code 1.
    Raises SystemExit with that code, Terminated after a signal.
    """
    if _papermill_context() is None:
        return
    if isinstance(error, KeyboardInterrupt | Terminated):
        sys.stderr.write("Stopped; the executed notebook says where.\n")
        raise error if isinstance(error, Terminated) else Terminated(signal.SIGINT) from None
    if isinstance(error, RunbookError):
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from None


def exit_as_notebook(notebook: Any) -> None:
    """Have the papermill command end by our exit code, where an error of ours ended ``notebook``; else do nothing.

    papermill turns whatever a cell raised into exit code 1. It is left to mark and to write the notebook first.
    """
    why = notebook.metadata.get("runbook", {})
    kind, context = kind_called(why.get("name", "")), _papermill_context()
    if kind is None or context is None:
        return
    code, message = kind.exit_code, f"{kind.__name__}: {why['text']}\n"

    def leave() -> None:
        if isinstance(sys.exception(), PapermillExecutionError):
            sys.stderr.write(message)
            raise SystemExit(code)

    context.call_on_close(leave)


def _papermill_context() -> Any:
    """Return papermill's command at work as click knows it; None where something else runs us."""
    import click

    command = getattr(sys.modules.get("papermill.cli"), "papermill", None)
    context = click.get_current_context(silent=True)
    return context if command is not None and context is not None and context.command is command else None


# -- A notebook as papermill prepares it for a run, and marks it after one, without papermill's own input and output


def prepared_notebook(template: Path, output: Path, parameters: Mapping[str, Any]) -> Any:
    """Return the notebook in ``template`` with ``parameters`` put in, as it will be written to ``output``.

    Raises UsageError where ``template`` is no notebook.
    """
    try:
        notebook = load_notebook_node(str(template))
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise UsageError(
            "This is not a notebook.", where=str(template), found=type(error).__name__, next_step="Check the path."
        ) from error
    notebook = parameterize_notebook(notebook, dict(parameters), engine_name="runbook") if parameters else notebook
    return remove_error_markers(prepare_notebook_metadata(notebook, str(template), str(output), report_mode=False))


def mark_error(notebook: Any) -> bool:
    """Put papermill's links to the cell that failed into an executed notebook; return whether one did."""
    try:
        raise_for_execution_errors(notebook, None)  # no path: it marks and does not write
    except PapermillExecutionError:
        return True
    return False


STOP_GRACE_S = 10.0
"""How long an interrupted cell has for its own clean-up before its kernel is killed."""

_STATES_OPTIONS = ("output_path", "log_output", "progress_bar", "autosave_cell_every", "progress")


def run_notebook(nb: Any, kernel_name: str, options: Mapping[str, Any]) -> Any:
    """Run ``nb`` as the engine's docstring says and return it; ``options`` are papermill's, and ``progress``.

    A failure in the notebook is in the notebook; papermill finds it there and raises it, under the papermill command
    by our exit code. Raises UsageError before anything is written where there is no such kernel, RecordNotWritable, and
    after Ctrl-C or SIGTERM KeyboardInterrupt or Terminated.
    """
    require_kernel(kernel_name)
    write_whole(options.get("output_path"))
    with StopSignals() as signals, NotebookKernel() as kernel:
        states = CellStates(nb, **{key: options[key] for key in _STATES_OPTIONS if key in options})
        client = _client(states, kernel_name, options)
        _NotebookRun(states, client, kernel, signals, options.get("execution_timeout")).execute()
    if signals.first is not None:
        raise_for_signal(signals.first)
    exit_as_notebook(nb)
    return nb


def run_states(
    states: CellStates,
    kernel_name: str,
    *,
    start: Mapping[str, Any],
    cell_timeout_s: float | None,
    kernel: NotebookKernel | None = None,
) -> None:
    """Run the notebook of ``states`` like ``run_notebook``, without papermill's command around it.

    ``start`` holds ``cwd`` and ``env`` of the kernel; the caller's own stay. ``kernel``: one that outlives the run.
    """
    require_kernel(kernel_name)
    with ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        used = kernel or stack.enter_context(NotebookKernel())
        client = _client(states, kernel_name, {})
        _NotebookRun(states, client, used, signals, cell_timeout_s, start).execute()
    if signals.first is not None:
        raise_for_signal(signals.first)


def _client(states: CellStates, kernel_name: str, options: Mapping[str, Any]) -> PapermillNotebookClient:
    ours = {*_STATES_OPTIONS, "execution_timeout", "timeout", "start_timeout", "input_path"}
    settings = {key: value for key, value in options.items() if key not in ours} | {
        "kernel_name": kernel_name,
        "log": logger,
        "log_output": options.get("log_output", False),
        "startup_timeout": options.get("start_timeout", 120),
        "timeout": None,  # ours interrupts, and tells a timeout from a dead kernel
        "iopub_timeout": 120,  # a busy machine delivers late what a cell has printed
        "force_raise_errors": True,  # no tag lets a run go on after an error
    }
    return PapermillNotebookClient(states, **settings)


class _Stopped(Exception):
    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.text)
        self.ending = ending


@dataclass
class _NotebookRun:
    _states: CellStates
    _client: PapermillNotebookClient
    _kernel: NotebookKernel
    _stop: StopSignals
    _cell_timeout_s: float | None
    _how_to_start: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cells = enumerate(self._states.nb.cells)
        code = [number for number, cell in cells if cell.cell_type == "code" and cell.source.strip()]
        self._last = code[-1] if code else -1

    def execute(self) -> None:
        """Run all cells on an event loop of this run's own; whatever happens, the notebook says so and is written."""
        self._states.notebook_start()
        try:
            _complete(self._cells())
        except _Stopped:
            pass  # said in the notebook, and raised from there by papermill
        except BaseException as error:
            if not self._states.nb.metadata.papermill["exception"]:
                self._states.ended(Ending(cause=Cause.ENGINE, name=type(error).__name__, text=str(error)))
            raise
        finally:
            self._client.set_widgets_metadata()
            self._states.notebook_complete()

    async def _cells(self) -> None:
        async with AsyncExitStack() as stack:
            await self._start(stack)
            for index, cell in enumerate(self._states.nb.cells):
                if self._stop.first is not None:
                    ending = after_signal(self._stop.first, NO_CELL)
                    self._states.ended(ending)
                    raise _Stopped(ending)
                await self._cell(index, cell)

    async def _start(self, stack: AsyncExitStack) -> None:
        try:
            starting = stack.enter_async_context(self._kernel.running(self._client, self._how_to_start))
            self._states.nb.metadata["language_info"] = await self._until_stopped(starting, None, 0.0)
        except _Stopped as stopped:
            self._states.ended(stopped.ending)
            raise
        except (RuntimeError, OSError) as error:
            text = f"The kernel did not start, so no cell was run: {error}"
            self._states.ended(Ending(cause=Cause.NOT_RUN, name="KernelNotStarted", text=text))
            raise DeadKernelError(text) from error

    async def _cell(self, index: int, cell: Any) -> None:
        try:
            self._states.cell_start(cell, index)
            await self._until_stopped(
                self._client.async_execute_cell(cell, index), self._cell_timeout_s or None, STOP_GRACE_S
            )
        except _Stopped as stopped:
            self._states.ended(stopped.ending, cell)
            raise
        except CellExecutionError as error:
            if not (is_early_success(error) and index == self._last):
                ending = after_error(error, cell)
                self._states.ended(ending, cell)
                raise _Stopped(ending) from error
        except (DeadKernelError, TimeoutError) as error:
            ending = after_silence(error)
            self._states.ended(ending, cell)
            raise _Stopped(ending) from error
        except BaseException as error:
            self._states.ended(Ending(cause=Cause.ENGINE, name=type(error).__name__, text=str(error)), cell)
            raise
        finally:
            self._states.cell_complete(cell, index)

    async def _until_stopped(self, work: Coroutine[Any, Any, Any], timeout_s: float | None, grace_s: float) -> Any:
        """Return what ``work`` returns; raise _Stopped, with ``work`` over, after a signal or the timeout.

        ``grace_s`` is for a cell; without it ``work`` is dropped at once.
        """
        task = asyncio.ensure_future(work)
        signalled = asyncio.ensure_future(self._stop.next())
        await asyncio.wait({task, signalled}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        by_signal = signalled.done()
        signalled.cancel()
        if task.done():
            return task.result()
        how = await self._interrupt(task, grace_s) if grace_s else NO_CELL
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise _Stopped(after_signal(signalled.result(), how) if by_signal else after_timeout(timeout_s or 0.0, how))

    async def _interrupt(self, task: asyncio.Future[Any], grace_s: float) -> str:
        """Interrupt the cell and wait for its own clean-up, until ``grace_s`` or a second signal; say how it went."""
        assert self._client.km is not None
        await ensure_async(self._client.km.interrupt_kernel())
        again = asyncio.ensure_future(self._stop.next())
        await asyncio.wait({task, again}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        return STOPPED if task.done() else KILLED


def _complete(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` on an event loop of its own; in a thread of its own where this thread runs one already."""

    def run() -> None:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(work)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(run).result()
