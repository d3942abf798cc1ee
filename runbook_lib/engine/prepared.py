"""A notebook as papermill prepares it for a run, and marks it after one, without papermill's own input and output."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from papermill.engines import papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.execute import prepare_notebook_metadata, raise_for_execution_errors, remove_error_markers
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from runbook_lib.engine import RunbookEngine
from runbook_lib.errors import UsageError


def prepared_notebook(template: Path, output: Path, parameters: Mapping[str, Any]) -> Any:
    """Return the notebook in ``template`` with ``parameters`` put in, as it will be written to ``output``.

    Raises UsageError where ``template`` is no notebook.
    """
    papermill_engines.register("runbook", RunbookEngine)
    try:
        notebook = load_notebook_node(str(template))
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise UsageError(
            "This is not a notebook.", where=str(template), found=type(error).__name__, next_step="Check the path."
        ) from error
    if parameters:
        notebook = parameterize_notebook(notebook, dict(parameters), engine_name="runbook")
    return remove_error_markers(prepare_notebook_metadata(notebook, str(template), str(output), report_mode=False))


def mark_error(notebook: Any) -> bool:
    """Put papermill's links to the cell that failed into an executed notebook; return whether one did."""
    try:
        raise_for_execution_errors(notebook, None)  # no path: it marks and does not write
    except PapermillExecutionError:
        return True
    return False
