"""The papermill engine ``runbook``, and one notebook run by it: what the executed notebook says is what happened."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib.errors import ParameterRefused, RecordDamaged, UsageError
from runbook_lib.processes import quick_import

if TYPE_CHECKING:
    from runbook_lib.notebook.provisioner import NotebookKernel
    from runbook_lib.notebook.states import CellProgress

# -- The papermill engine ``runbook``: what the executed notebook says is what happened. -----------
#
# Used as ``papermill --engine runbook`` (an entry point of this project) and by ``execute`` below.
# Beside papermill's own engine it changes this:
#
# * A parameter that the notebook does not know, that has another type than its default or that is named
#   like a secret is refused (``ParameterRefused``; exit code 2 of the papermill command) before a kernel
#   starts and before the output is touched.
# * After a cell timeout, a dead kernel, Ctrl-C, SIGTERM or SIGHUP the cell that was running reads
#   ``failed``, with the reason as an error output and in ``metadata.runbook``; later cells stay
#   ``pending``. So does a cell that ends the notebook early with ``SystemExit(0)``. The kernel is
#   interrupted, has a moment for its own clean-up, and is stopped. Exit codes: 1, 130, 143 and 129.
# * An error of ours in a cell ends the papermill command by that error's exit code, not by 1.
# * The output is replaced in one step, at every save: a reader sees the old or the new file, complete.
# * The kernel talks over IPC in a folder that only its user can enter, where the system has it.
#
# What an engine cannot reach: ``--prepare-only`` never asks an engine, so nothing is refused there. With
# ``--no-request-save-on-cell-execute`` or output to ``-`` papermill alone writes, at the end, and after
# Ctrl-C or SIGTERM not at all. Output to other stores than local files is written by papermill's handlers.
# A signal before the engine has begun ends the process as usual; nothing is written then.
# After SIGKILL or a power cut the file is the one last written, whole, in which the cell reads ``running``
# and the run has no end; the kernel ends by itself, and its folder stays behind.
#
# This module imports nothing of papermill: papermill loads every registered engine while it is itself half imported.


class RunbookEngine:
    """What papermill asks of an engine; see the module."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, **options: Any) -> Any:
        """Run ``nb`` and return it, with papermill's options for engines; called by papermill."""
        from runbook_lib.notebook import engine_run

        try:
            _require_runnable(nb)
            return engine_run.run_notebook(nb, kernel_name, options)
        except BaseException as error:
            engine_run.exit_as_command(error)
            raise

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


# -- Whether the parameters that were given are those of the notebook: names and types, nothing executed.
#
# The cell tagged ``parameters`` declares them: one literal a line, a plain string, integer, float or
# boolean. A type annotation and a comment are allowed, anything else in that cell is not.

Plain = str | int | float | bool

_SECRET = re.compile(r"password|passwd|passphrase|pwd|secret|token|credential|key$|(^|_)(keys?|pass|pin)(_|\d|$)")


def check_parameters(cells: Sequence[Mapping[str, Any]], given: Mapping[str, Any]) -> None:
    """Raise ParameterRefused, naming every problem, unless ``given`` fits what ``cells`` declare."""
    declared = declared_parameters(cells)
    problems = [_problem(name, value, declared) for name, value in given.items()]
    if not any(problems):
        return
    known = ", ".join(f"{name} ({type(value).__name__})" for name, value in declared.items())
    raise ParameterRefused(
        "The notebook does not take these parameters; no kernel was started, nothing was written.",
        found="\n".join(problem for problem in problems if problem),
        next_step=f"Give only parameters that the notebook knows: {known or 'it takes none'}.",
    )


def declared_parameters(cells: Sequence[Mapping[str, Any]]) -> dict[str, Plain]:
    """Return name → default of the first cell tagged ``parameters``; empty where there is none.

    Raises ParameterRefused where the cell holds anything but one literal a line, or a name like a secret's.
    """
    source = next((cell["source"] for cell in cells if "parameters" in cell["metadata"].get("tags", ())), "")
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise _unreadable(f"line {error.lineno}: not Python") from None
    declared: dict[str, Plain] = {}
    last_line = 0
    for statement in statements:
        name, value = _literal(statement)
        if statement.lineno == last_line or name in declared:
            raise _unreadable(f"line {statement.lineno}: a second parameter on the line, or `{name}` again")
        if _like_a_secret(name):
            raise _unreadable(f"line {statement.lineno}: `{name}` is named like a secret")
        declared[name] = value
        last_line = statement.lineno
    return declared


def _literal(statement: ast.stmt) -> tuple[str, Plain]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            pass
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            pass
        case _:
            raise _unreadable(f"line {statement.lineno}: not `name = literal`")
    try:
        literal = ast.literal_eval(value)
    except ValueError:
        literal = None
    if type(literal) not in (str, int, float, bool) or statement.lineno != statement.end_lineno:
        raise _unreadable(f"line {statement.lineno}: `{name}` is not one plain literal on one line")
    return name, literal


def _unreadable(found: str) -> ParameterRefused:
    return ParameterRefused(
        "The notebook's parameters cell does not declare plain parameters; no kernel was started.",
        where="the cell tagged `parameters`",
        found=found,
        next_step="Write one `name = literal` a line (string, integer, float or boolean); secrets belong, "
        "as references such as env:NAME, into the site's file.",
    )


def _problem(name: str, value: Any, declared: Mapping[str, Plain]) -> str:
    """Say what is wrong with one parameter, or nothing. Values are shown only where the name is known."""
    if _like_a_secret(name):
        return f"`{name}` is named like a secret: put a reference such as env:NAME into the site's file instead"
    if name not in declared:
        return f"`{name}` is unknown"
    want, have = type(declared[name]), type(value)
    if have is want or (want is float and have is int):
        return ""
    if want is str:
        return f"`{name}` is a text, and {value!r} arrived as {have.__name__}: give it raw, `-r {name} …`, not `-p`"
    return f"`{name}` is {want.__name__}, and {value!r} is {have.__name__}"


def _like_a_secret(name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return _SECRET.search(words) is not None


# -- Run one notebook as a batch job and say how it went -------------------------------------------


@dataclass(frozen=True, kw_only=True)
class NotebookResult:
    """How the run of one notebook ended, as the executed notebook says.

    ``completed``: every code cell was run and none failed. Otherwise ``cause`` is one of ``error``,
    ``timeout``, ``kernel died``, ``interrupted``, ``terminated``, ``ended early``, ``not run``, ``engine``, or
    ``unfinished`` where the run itself vanished (a power cut); ``error_name`` and ``error_text`` are the
    exception's, and ``heading`` is the nearest above the cell that failed.
    """

    output: Path
    completed: bool
    cause: str = ""
    error_name: str = ""
    error_text: str = ""
    heading: str = ""


def execute(
    template: Path,
    output: Path,
    parameters: Mapping[str, str | int | float | bool],
    *,
    cell_timeout_s: float | None = None,
    env: Mapping[str, str] | None = None,
    progress: CellProgress | None = None,
    kernel: NotebookKernel | None = None,
) -> NotebookResult:
    """Run ``template`` with ``parameters`` under the engine ``runbook`` and write ``output``, whole at every save.

    The kernel's working folder is the caller's, and its environment is ``env``, else the caller's.
    A cell may take ``cell_timeout_s``; None: any time. ``kernel``: a kept one, started by its first notebook; without
    it the notebook has its own.

    A notebook that fails is a result, not an error. Raises ParameterRefused and UsageError before a kernel
    starts, with ``output`` untouched; RecordNotWritable; after Ctrl-C KeyboardInterrupt and after SIGTERM
    or SIGHUP ``Terminated`` (a SystemExit of 143 or 129), with ``output`` written: ``read_result`` reads it.
    """
    with quick_import():  # papermill, for which commands that run no notebook do not wait
        from nbclient.exceptions import DeadKernelError
        from papermill.engines import papermill_engines
        from papermill.utils import nb_kernel_name

        from runbook_lib.notebook import engine_run, states
    _require_two_files(template, output)
    papermill_engines.register("runbook", RunbookEngine)
    notebook = engine_run.prepared_notebook(template, output, parameters)
    _require_runnable(notebook)
    cells = states.FileStates(notebook, output, progress)
    start = {} if env is None else {"env": dict(env)}
    with suppress(DeadKernelError):  # said in the notebook
        engine_run.run_states(
            cells, str(nb_kernel_name(notebook)), start=start, cell_timeout_s=cell_timeout_s, kernel=kernel
        )
    if engine_run.mark_error(cells.nb):
        cells.save()
    return read_result(output)


def _require_two_files(template: Path, output: Path) -> None:
    if not template.is_file():
        raise UsageError("There is no such notebook.", where=str(template), next_step="Check the notebook's path.")
    if template.resolve() == output.resolve():
        raise UsageError(
            "The executed notebook would replace its template.", where=str(output), next_step="Give another output."
        )


def _require_runnable(nb: Any) -> None:
    check_parameters(nb.cells, nb.metadata.papermill.get("parameters", {}))
    if any(cell.cell_type == "code" and "skip-execution" in cell.metadata.get("tags", []) for cell in nb.cells):
        raise UsageError(
            "The notebook has a cell that is tagged `skip-execution`; a runbook is run whole or not at all.",
            next_step="Remove the tag, or the cell.",
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

    states = {
        number: cell["metadata"]["papermill"]["status"]
        for number, cell in enumerate(cells)
        if cell["cell_type"] == "code" and "".join(cell["source"]).strip()
    }
    failed = next((number for number, state in states.items() if state in ("failed", "running")), None)
    why = metadata.get("runbook", {})
    ended = metadata["papermill"]["end_time"] is not None
    completed = ended and not why and all(state == "completed" for state in states.values())
    return NotebookResult(
        output=output,
        completed=completed,
        cause="" if completed else why.get("cause", "unfinished"),
        error_name=why.get("name", ""),
        error_text=why.get("text", ""),
        heading="" if failed is None else heading_above(cells, failed),
    )
