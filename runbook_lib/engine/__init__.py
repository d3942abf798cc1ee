"""The papermill engine ``runbook``: what the executed notebook says is what happened.

Used as ``papermill --engine runbook`` (an entry point of this project) and by ``notebook_run.execute``.
Beside papermill's own engine it changes this:

* A parameter that the notebook does not know, that has another type than its default or that is named
  like a secret is refused (``ParameterRefused``; exit code 2 of the papermill command) before a kernel
  starts and before the output is touched.
* After a cell timeout, a dead kernel, Ctrl-C, SIGTERM or SIGHUP the cell that was running reads
  ``failed``, with the reason as an error output and in ``metadata.runbook``; later cells stay
  ``pending``. So does a cell that ends the notebook early with ``SystemExit(0)``. The kernel is
  interrupted, has a moment for its own clean-up, and is stopped. Exit codes: 1, 130, 143 and 129.
* The output is replaced in one step, at every save: a reader sees the old or the new file, complete.
* The kernel talks over IPC in a folder that only its user can enter, where the system has it.

What an engine cannot reach: ``--prepare-only`` never asks an engine, so nothing is refused there. With
``--no-request-save-on-cell-execute`` or output to ``-`` papermill alone writes, at the end, and after
Ctrl-C or SIGTERM not at all. Output to other stores than local files is written by papermill's handlers.
A signal before the engine has begun ends the process as usual; nothing is written then.
After SIGKILL or a power cut the file is the one last written, whole, in which the cell reads ``running``
and the run has no end; the kernel ends by itself, and its folder stays behind.

This module imports nothing of papermill: papermill loads every registered engine while it is itself
half imported.
"""

from __future__ import annotations

from typing import Any


class RunbookEngine:
    """What papermill asks of an engine; see the module."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, **options: Any) -> Any:
        """Run ``nb`` and return it, with papermill's options for engines; called by papermill."""
        from runbook_lib.engine.run import run_notebook

        return run_notebook(nb, kernel_name, options)

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """Return the kernel's name: ``name``, else the one that the notebook holds."""
        from papermill.utils import nb_kernel_name

        return str(nb_kernel_name(nb, name))

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """Return the notebook's language: ``language``, else the one that the notebook holds."""
        from papermill.utils import nb_language

        return str(nb_language(nb, language))
