"""What the executed notebook says of its cells and of itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from papermill.engines import NotebookExecutionManager

from runbook_lib.engine.endings import Ending
from runbook_lib.engine.headings import heading_above
from runbook_lib.engine.whole_file import replace_file
from runbook_lib.errors import RecordNotWritable

BEHIND_S = 1.0
"""How far the file of a running notebook may be behind it. What is to change a server is in the journal by then."""

Progress = Callable[[int, int, str, str], None]
"""Called with a cell's index from 0, the number of cells, its state (``running``, ``completed``,
``failed``) and the nearest heading above it. It is called between cells and should return at once."""


class CellStates(NotebookExecutionManager):
    """papermill's keeper of cell states, without its habit of completing what never ran."""

    def __init__(self, nb: Any, progress: Progress | None = None, **options: Any) -> None:
        NotebookExecutionManager.__init__(self, nb, **options)
        self._progress = progress

    def cell_start(self, cell: Any, cell_index: int = 0, **kwargs: Any) -> None:
        super().cell_start(cell, cell_index, **kwargs)
        self._tell(cell_index, self.RUNNING)

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

    It is written at the beginning, at the end, and in between no later than ``BEHIND_S`` after a change: cells that
    take less are written together. Until the end it is in one line.
    """

    def __init__(self, nb: Any, output: Path, progress: Progress | None = None) -> None:
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
