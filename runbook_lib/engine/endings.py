"""Why a run of a notebook ended before its end, in words for whoever opens the executed notebook."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nbclient.exceptions import CellExecutionError, DeadKernelError


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
        return Ending(
            cause=Cause.KERNEL_DIED, name="KernelDied", text=f"The kernel died while it ran this cell. {_UNKNOWN}"
        )
    return Ending(
        cause=Cause.TIMEOUT, name="OutputTimeout", text="The cell ended, and its output did not arrive in time."
    )


def after_error(error: CellExecutionError, cell: Any) -> Ending:
    """Return the ending of a cell that raised, or that ended the notebook early with ``SystemExit(0)``."""
    if ended_itself(error):
        text = "The cell ended the notebook by SystemExit, and cells after it were never run."
        return Ending(cause=Cause.ENDED_EARLY, name="NotebookIncomplete", text=text)
    shown_already = any(output.output_type == "error" for output in cell.outputs)
    return Ending(cause=Cause.ERROR, name=error.ename, text=error.evalue, shown=not shown_already)


def ended_itself(error: CellExecutionError) -> bool:
    """Whether the cell raised the SystemExit that says success; papermill takes the run for one then."""
    return error.ename == "SystemExit" and error.evalue in ("", "0")
