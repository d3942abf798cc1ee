"""Run one notebook as a batch job and say how it went."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from runbook_lib.errors import RecordDamaged, UsageError
from runbook_lib.notebook.engine import quick_import


@dataclass(frozen=True, kw_only=True)
class NotebookResult:
    """How the run of one notebook ended, as the executed notebook says.

    ``completed``: every code cell was run and none failed. Otherwise ``cause`` is one of ``error``,
    ``timeout``, ``kernel died``, ``interrupted``, ``terminated``, ``ended early``, ``not run``, ``engine``, or
    ``unfinished`` where the run itself vanished (a power cut); ``error_name`` and ``error_text`` are the
    exception's, and ``heading`` is the nearest above the cell that failed. Times are UTC; ``finished_utc``
    is None for an unfinished run.
    """

    output: Path
    completed: bool
    cause: str = ""
    error_name: str = ""
    error_text: str = ""
    heading: str = ""
    code_cells: int
    code_cells_completed: int
    started_utc: datetime | None
    finished_utc: datetime | None


def execute(
    template: Path,
    output: Path,
    parameters: Mapping[str, str | int | float | bool],
    *,
    cell_timeout_s: float | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    progress: Callable[[int, int, str, str], None] | None = None,
) -> NotebookResult:
    """Run ``template`` with ``parameters`` under the engine ``runbook`` and write ``output``, whole at every save.

    The kernel's working folder is ``cwd``, else the caller's, and its environment is ``env``, else the caller's.
    ``progress`` is called with a cell's index from 0, the number of cells, its state (``running``,
    ``completed``, ``failed``) and its heading, or a line that it has printed. A cell may take ``cell_timeout_s``;
    None: any time.

    A notebook that fails is a result, not an error. Raises ParameterRefused and UsageError before a kernel
    starts, with ``output`` untouched; RecordNotWritable; after Ctrl-C KeyboardInterrupt and after SIGTERM
    or SIGHUP ``Terminated`` (a SystemExit of 143 or 129), with ``output`` written: ``read_result`` reads it.
    """
    run = _BatchRun(template, output, parameters, cwd, env, progress)
    with suppress(run.dead_kernel):  # said in the notebook
        run.engine.run_states(run.states, run.kernel_name, start=run.start, cell_timeout_s=cell_timeout_s)
    return run.result()


class _BatchRun:
    """What the run of one notebook needs, and papermill, which commands that run none should not wait for."""

    def __init__(
        self,
        template: Path,
        output: Path,
        parameters: Mapping[str, Any],
        cwd: Path | None,
        env: Mapping[str, str] | None,
        progress: Callable[[int, int, str, str], None] | None,
    ) -> None:
        with quick_import():
            from nbclient.exceptions import DeadKernelError
            from papermill.utils import nb_kernel_name

            from runbook_lib.notebook import engine_run, states
        _require_two_files(template, output)
        notebook = engine_run.prepared_notebook(template, output, parameters)
        self.engine = engine_run
        self.dead_kernel = DeadKernelError
        self.states = states.FileStates(notebook, output, progress)
        self.kernel_name = str(nb_kernel_name(notebook))
        self.start: dict[str, Any] = {"cwd": str(cwd)} if cwd else {}
        if env is not None:
            self.start["env"] = dict(env)
        self._mark_error = engine_run.mark_error
        self._output = output

    def result(self) -> NotebookResult:
        """Put papermill's links to a failed cell into the output, and return what it says."""
        if self._mark_error(self.states.nb):
            self.states.save()
        return read_result(self._output)


def _require_two_files(template: Path, output: Path) -> None:
    if not template.is_file():
        raise UsageError("There is no such notebook.", where=str(template), next_step="Check the notebook's path.")
    if template.resolve() == output.resolve():
        raise UsageError(
            "The executed notebook would replace its template.", where=str(output), next_step="Give another output."
        )


def read_result(output: Path) -> NotebookResult:
    """Return how a run under the engine ``runbook`` ended or stands, from the notebook that it wrote.

    Raises RecordDamaged where that is not such a notebook.
    """
    try:
        notebook = json.loads(output.read_text(encoding="utf-8"))
        return _result(output, notebook["cells"], notebook["metadata"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordDamaged(
            "This is not a notebook that the engine `runbook` has written.",
            where=str(output),
            found=f"{type(error).__name__}: {error}",
            next_step="Run the stage again.",
        ) from error


def _result(output: Path, cells: list[dict[str, Any]], metadata: dict[str, Any]) -> NotebookResult:
    from runbook_lib.notebook.states import heading_above

    states = {i: cell["metadata"]["papermill"]["status"] for i, cell in enumerate(cells) if _runs(cell)}
    count = sum(state == "completed" for state in states.values())
    failed = next((i for i, state in states.items() if state in ("failed", "running")), None)
    finished = metadata["papermill"]["end_time"]
    why = metadata.get("runbook", {})
    completed = count == len(states) and not why and finished is not None
    return NotebookResult(
        output=output,
        completed=completed,
        cause="" if completed else why.get("cause", "unfinished"),
        error_name=why.get("name", ""),
        error_text=why.get("text", ""),
        heading="" if failed is None else heading_above(cells, failed),
        code_cells=len(states),
        code_cells_completed=count,
        started_utc=_time(metadata["papermill"]["start_time"]),
        finished_utc=_time(finished),
    )


def _runs(cell: Mapping[str, Any]) -> bool:
    return cell["cell_type"] == "code" and bool("".join(cell["source"]).strip())


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
