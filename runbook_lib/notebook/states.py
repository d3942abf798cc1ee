"""What the executed notebook says of its cells and of itself, in a file that is replaced in one step."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import signal
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import uuid4

import nbformat
from nbclient.exceptions import CellExecutionError, DeadKernelError
from papermill.engines import NotebookExecutionManager
from papermill.iorw import LocalHandler, papermill_io

from runbook_lib.errors import RecordNotWritable
from runbook_lib.record.files import gate_notebook, sync_folder, writing

# -- Why a run of a notebook ended before its end, in words for whoever opens the executed notebook


class Cause(StrEnum):
    """Why a run ended before its end."""

    ERROR = "error"
    TIMEOUT = "timeout"
    KERNEL_DIED = "kernel died"
    INTERRUPTED = "interrupted"
    TERMINATED = "terminated"
    ENDED_EARLY = "ended early"
    NOT_RUN = "not run"
    ENGINE = "engine"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Why a run ended before its end: ``name`` as an exception's name, ``text`` as its message.

    ``shown`` is false where the cell's own output shows it already.
    """

    cause: Cause
    name: str
    text: str
    shown: bool = True


_UNKNOWN = "Whether its last action took effect is not known: observe before anything else is done."

NO_CELL = "No cell was running."
STOPPED = f"The cell stopped when it was interrupted. {_UNKNOWN}"
KILLED = f"The cell did not stop when it was interrupted, and was killed with its kernel. {_UNKNOWN}"


def after_signal(signum: signal.Signals, how: str) -> Ending:
    """Return the ending by Ctrl-C or by another signal; ``how`` is NO_CELL, STOPPED or KILLED."""
    if signum is signal.SIGINT:
        return Ending(cause=Cause.INTERRUPTED, name="Interrupted", text=f"Ctrl-C ended the run. {how}")
    return Ending(cause=Cause.TERMINATED, name="Terminated", text=f"{signum.name} ended the run. {how}")


def after_timeout(timeout_s: float, how: str) -> Ending:
    """Return the ending of a cell that ran longer than it may; ``how`` is STOPPED or KILLED."""
    return Ending(cause=Cause.TIMEOUT, name="CellTimeout", text=f"The cell did not end in its {timeout_s:g} s. {how}")


def after_silence(error: DeadKernelError | TimeoutError) -> Ending:
    """Return the ending of a cell whose kernel died, or answered and did not deliver the output."""
    if isinstance(error, DeadKernelError):
        text = f"The kernel died while it ran this cell. {_UNKNOWN}"
        return Ending(cause=Cause.KERNEL_DIED, name="KernelDied", text=text)
    text = "The cell ended, and its output did not arrive in time."
    return Ending(cause=Cause.TIMEOUT, name="OutputTimeout", text=text)


def after_error(error: CellExecutionError, cell: Any) -> Ending:
    """Return the ending of a cell that raised, or that ended the notebook early with ``SystemExit(0)``."""
    if is_early_success(error):
        text = "The cell ended the notebook by SystemExit, and cells after it were never run."
        return Ending(cause=Cause.ENDED_EARLY, name="NotebookIncomplete", text=text)
    shown_already = any(output.output_type == "error" for output in cell.outputs)
    return Ending(cause=Cause.ERROR, name=error.ename, text=error.evalue, shown=not shown_already)


def is_early_success(error: CellExecutionError) -> bool:
    """Whether the cell raised the SystemExit that says success; papermill takes the run for one then."""
    return error.ename == "SystemExit" and error.evalue in ("", "0")


# -- Where in a notebook's story a cell stands -----------------------------------------------------


def heading_above(cells: Sequence[Mapping[str, Any]], index: int) -> str:
    """Return the nearest Markdown heading at or above a cell, without its marks; empty where there is none.

    What papermill inserts to mark an error is not a part of the story.
    """
    for cell in reversed(cells[: index + 1]):
        if cell["cell_type"] == "markdown" and "papermill-error-cell-tag" not in cell["metadata"].get("tags", ()):
            headings = re.findall(r"^#{1,6}\s+(.+?)\s*#*$", "".join(cell["source"]), re.M)
            if headings:
                return str(headings[-1])
    return ""


# -- Local output files that are replaced in one step, also by papermill's own code ----------------


def replace_file(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``: a reader sees the old file or the new one, never a part.

    The new file is on disk before it takes the old one's place and keeps its permissions; a symbolic
    link of this user's stays and its target is replaced. Devices and pipes are written straight.
    What this process knows to be a secret is not written, not even for the time of a run.
    Raises RecordNotWritable; the old file is then untouched and nothing is left beside it.
    """
    with writing(path, "This file cannot be written; what was there before is unchanged."):
        # Known secrets are taken out; a lone surrogate stays, and is refused here.
        content = gate_notebook(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass").encode("utf-8")
        _replace(path, content)


def _replace(path: Path, content: bytes) -> None:
    if path.is_symlink() and path.lstat().st_uid != os.geteuid():
        raise PermissionError(errno.EACCES, "it is a link of another user's")
    target = path.resolve()
    if path.exists() and not path.is_file():  # the end of a pipe resolves to nothing
        path.write_bytes(content)
        return
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is read-only")
    new = target.with_name(f".{target.name[:100]}.{uuid4().hex[:8]}.new")
    try:
        with new.open("xb") as file:
            if target.exists():
                new.chmod(stat.S_IMODE(target.stat().st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


class WholeFiles:
    """A papermill handler that writes as ``replace_file`` does and leaves the rest to the local handler."""

    def __init__(self, local: LocalHandler) -> None:
        self._local = local

    def __getattr__(self, name: str) -> Any:
        return getattr(self._local, name)

    def write(self, buf: str, path: str) -> None:
        folder = self._local.cwd(None)  # papermill's way to ask for it is to set it
        self._local.cwd(folder)
        replace_file(Path(folder or ".") / path, buf)


def write_whole(output_path: str | None) -> None:
    """Have papermill write ``output_path`` in one step from now on, if it is a local file.

    papermill writes once more after an engine has returned, so this lasts as long as the process; it
    touches this path only.
    """
    handler = papermill_io.get_handler(output_path)
    if isinstance(handler, LocalHandler):
        papermill_io.register(output_path, WholeFiles(handler))


# -- What the executed notebook says of its cells and of itself ------------------------------------

CellProgress = Callable[[int, int, str, str], None]
"""Called with a cell's index from 0, the number of cells, its state (``running``, ``completed``,
``failed``) and the nearest heading above it; while it is running again, with the line that it has printed in the
heading's place. It should return at once."""

BEHIND_S = 1.0
"""How far the file of a running notebook may be behind it. What is to change a server is in the journal by then."""


class CellStates(NotebookExecutionManager):
    """papermill's keeper of cell states, without its habit of completing what never ran."""

    def __init__(self, nb: Any, progress: CellProgress | None = None, **options: Any) -> None:
        NotebookExecutionManager.__init__(self, nb, **options)
        self._progress = progress
        self._running = 0

    def cell_start(self, cell: Any, cell_index: int = 0, **kwargs: Any) -> None:
        super().cell_start(cell, cell_index, **kwargs)
        self._running = cell_index
        self._tell(cell_index, self.RUNNING)

    def autosave_cell(self) -> None:
        """Take notice of a message from the kernel: nbclient calls this after each one."""
        super().autosave_cell()
        outputs = self.nb.cells[self._running].get("outputs", ())
        if self._progress is not None and outputs and outputs[-1].output_type == "stream":
            printed = outputs[-1].text.strip().rpartition("\n")[2]
            if printed:
                self._progress(self._running, len(self.nb.cells), self.RUNNING, printed)

    def cell_complete(self, cell: Any, cell_index: int = 0, **kwargs: Any) -> None:
        """Say that the cell is over: failed if an ending was noted, else completed; it is no longer running."""
        if cell.metadata.papermill["status"] != self.FAILED:
            cell.metadata.papermill["exception"] = False
        super().cell_complete(cell, cell_index, **kwargs)
        self._tell(cell_index, cell.metadata.papermill["status"])

    def ended(self, ending: Ending, cell: Any = None) -> None:
        """Note why the run ends here: in the notebook's metadata and, if a cell was running, in it and its output."""
        note = {"cause": ending.cause.value, "name": ending.name, "text": ending.text}
        self.nb.metadata["runbook"] = note
        self.nb.metadata.papermill["exception"] = True
        if cell is None:
            return
        self.cell_exception(cell)
        cell.metadata["runbook"] = note
        if ending.shown:
            shown = nbformat.v4.new_output(
                "error", ename=ending.name, evalue=ending.text, traceback=[f"{ending.name}: {ending.text}"]
            )
            # Before the error that our interrupt made in the cell: papermill reports a cell's first error.
            errors = [i for i, output in enumerate(cell.outputs) if output.output_type == "error"]
            cell.outputs.insert(errors[0] if errors else len(cell.outputs), shown)

    def notebook_start(self, **kwargs: Any) -> None:
        self.nb.metadata.pop("runbook", None)
        for cell in self.nb.cells:
            cell.metadata.pop("runbook", None)
        super().notebook_start(**kwargs)

    def notebook_complete(self, **kwargs: Any) -> None:  # noqa: ARG002 (papermill's form)
        """Write the end of the run; no cell's state is changed."""
        end_time = datetime.now(UTC)
        about = self.nb.metadata.papermill
        about["end_time"] = end_time.isoformat()
        about["duration"] = (end_time - datetime.fromisoformat(about["start_time"])).total_seconds()
        NotebookExecutionManager.cleanup_pbar(self)
        self.save()

    def _tell(self, index: int, state: str) -> None:
        if self._progress is not None:
            self._progress(index, len(self.nb.cells), state, heading_above(self.nb.cells, index))


class FileStates(CellStates):
    """Keeps the states of a notebook in a local file that nothing else writes.

    It is written at the beginning, at the end, and in between within ``BEHIND_S`` of a change: shorter cells are
    written together. Until the end it is in one line.
    """

    def __init__(self, nb: Any, output: Path, progress: CellProgress | None = None) -> None:
        super().__init__(nb, progress, output_path=str(output), progress_bar=False)
        self._later: asyncio.TimerHandle | None = None
        self._problem: RecordNotWritable | None = None

    def notebook_start(self, **kwargs: Any) -> None:
        super().notebook_start(**kwargs)
        self._write()

    def save(self, **kwargs: Any) -> None:  # noqa: ARG002 (papermill's form)
        """Write soon where a run goes on, else now; raise what a write in between raised."""
        if self.nb.metadata.papermill["end_time"] is not None or not _in_event_loop():
            self._write()
        elif self._problem is not None:
            raise self._problem
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(BEHIND_S, self._write_later)

    def _write_later(self) -> None:
        try:
            self._write()
        except RecordNotWritable as error:
            self._problem = error

    def _write(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        # nbformat's own form takes ten times as long, which a fleet pays for each time.
        ended = self.nb.metadata.papermill["end_time"] is not None
        text = nbformat.writes(self.nb) if ended else json.dumps(self.nb, ensure_ascii=False)
        replace_file(Path(self.output_path), text)
        self.last_save_time = datetime.now(UTC)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
