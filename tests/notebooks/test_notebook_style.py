"""How a notebook reads: every rule that a script can check, over every notebook."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest

from runbook_lib import open_runbook
from runbook_lib.models import Stage
from runbook_lib.notebook.closing_stages import STAGES, History
from runbook_lib.notebook.workspace import steps_after
from runbook_lib.paths import notebooks_dir, project_root

EVERY = sorted(notebooks_dir().glob("*.ipynb"))
HISTORY = "90_history"
NOTEBOOKS = [path for path in EVERY if path.stem != HISTORY]
MOST_CELLS = 90
REFERENCE = project_root() / "tests" / "reference"
CHANGING = {Stage.DELETE: "delete", Stage.REGISTER: "register", Stage.READD_ISE: "readd"}
TITLE_ROWS = ["Changes anything?", "Before", "Leaves", "Takes", "Undo"]
LONG_LINES = 5
FIRST_LINE = "# No such module? Change the kernel, or start with: runbook notebook"
IMPORTS = {
    Stage.START: "from runbook_lib import choose_site, open_runbook",
    HISTORY: "from runbook_lib import open_history",
}
IMPORT = "from runbook_lib import open_runbook"
FORBIDDEN = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.For, ast.While, ast.Try, ast.With)

each_notebook = pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
each_stage = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path) -> Any:
    """Return the notebook, and its cells by kind."""
    notebook = nbformat.read(path, as_version=4)
    return SimpleNamespace(
        all=notebook.cells,
        code=[cell for cell in notebook.cells if cell.cell_type == "code"],
        prose=[cell for cell in notebook.cells if cell.cell_type == "markdown"],
        raw=notebook,
    )


def code_of(path: Path) -> dict[str, str]:
    """Return the source of the code cells by name; that of the first one after the parameters without its import.

    Above the import stands what to do where it fails: Python shows the lines around the one that failed.
    """
    cells = {cell.id: str(cell.source) for cell in read(path).code}
    first = list(cells)[1]
    comment, imported, blank, *rest = cells[first].splitlines()
    assert (comment, imported, blank) == (FIRST_LINE, IMPORTS.get(path.stem, IMPORT), "")
    return cells | {first: "\n".join(rest)}


def source(path: Path, ident: str) -> str:
    return str(next(cell.source for cell in read(path).code if cell.id == ident))


def test_there_is_one_notebook_for_each_stage() -> None:
    """The notebooks are the stages, and one to look at what there was, which is none."""
    assert [path.stem for path in EVERY] == [*(stage.value for stage in Stage), HISTORY]


def test_the_whole_repair_is_short() -> None:
    """All cells of all stages, prose included, are at most 90."""
    assert sum(len(read(path).all) for path in NOTEBOOKS) <= MOST_CELLS


@each_notebook
def test_a_notebook_is_stored_in_its_one_form(path: Path) -> None:
    """Valid, indented by one, keys sorted, a newline at the end: a change shows in a diff as what it is."""
    notebook = read(path).raw
    nbformat.validate(notebook)
    assert path.read_text(encoding="utf-8") == nbformat.writes(notebook) + "\n"


@each_notebook
def test_a_notebook_holds_nothing_of_a_run(path: Path) -> None:
    """No outputs, execution counts, widget states or other metadata of a cell than its tags."""
    notebook = read(path)
    assert [cell.id for cell in notebook.code if cell.outputs or cell.execution_count is not None] == []
    assert [cell.id for cell in notebook.all if set(cell.metadata) - {"tags"}] == []
    assert set(notebook.raw.metadata) == {"kernelspec", "language_info"}


@each_notebook
def test_cells_keep_their_names(path: Path) -> None:
    """Cell ids are words, each once: a diff and a reader can name a cell."""
    idents = [cell.id for cell in read(path).all]
    assert len(set(idents)) == len(idents)
    assert [ident for ident in idents if not re.fullmatch(r"[a-z]+(-[a-z]+)*", ident)] == []


@each_stage
def test_a_story_has_its_parts_in_order(path: Path) -> None:
    """Title, parameters, setup, what the stage is about, close."""
    notebook = read(path)
    idents = [cell.id for cell in notebook.code]
    assert notebook.all[0].id == "title"
    assert idents[:2] == ["parameters", "setup"] or idents[:3] == ["parameters", "choose", "setup"]
    assert idents[-1] == "close"
    assert [cell.id for cell in notebook.all if "parameters" in cell.metadata.get("tags", [])] == ["parameters"]


@each_stage
def test_cells_are_few_and_short(path: Path) -> None:
    """4 to 8 code cells, none above 5 lines beside the import of the library."""
    cells = code_of(path)
    assert 4 <= len(cells) <= 8
    assert [name for name, code in cells.items() if len(code.splitlines()) > LONG_LINES] == []


@each_notebook
def test_cells_hold_calls_only(path: Path) -> None:
    """No definition, loop, condition or try in a cell; after the setup, each cell is one call of a verb that exists."""
    verbs: type[Any] = History if path.stem == HISTORY else STAGES[Stage(path.stem)]
    for name, code in code_of(path).items():
        assert not [node for node in ast.walk(ast.parse(code)) if isinstance(node, (*FORBIDDEN, ast.If))], name
        if name in ("parameters", "choose", "setup"):
            continue
        called = re.fullmatch(r"(?:rb|history)\.([a-z_]+)\(\)", code)
        assert called, f"{name}: {code}"
        assert callable(getattr(verbs, called[1], None)), f"{name}: {verbs.__name__} has no verb {called[1]}"


@each_notebook
def test_imports_stand_in_the_first_cell_only(path: Path) -> None:
    """The library's public names are imported once, in the first cell after the parameters; nothing else is."""
    for name, code in code_of(path).items():
        assert not [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import | ast.ImportFrom)], name


@each_notebook
def test_parameters_are_plain_and_explained(path: Path) -> None:
    """One text a line, with a comment; a second `=` on a line would hide the parameter from papermill."""
    for line in source(path, "parameters").splitlines():
        assert re.fullmatch(r'[a-z]+ = ""  # \S[^=]+', line), line


@each_stage
def test_parameters_are_those_that_the_stage_takes(path: Path) -> None:
    """Each parameter goes under its own name into ``open_runbook``, which knows it, with the same default."""
    parameters = dict(re.findall(r'^(\w+) = "(\w*)"', source(path, "parameters"), re.MULTILINE))
    *_, opened, shown = ast.parse(source(path, "setup")).body
    assert ast.unparse(shown) == "rb"
    assert isinstance(opened, ast.Assign)
    call = opened.value
    assert isinstance(call, ast.Call)
    assert [ast.literal_eval(argument) for argument in call.args] == [path.stem]
    assert {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords} == {name: name for name in parameters}
    taken = inspect.signature(open_runbook).parameters
    assert parameters == {name: taken[name].default for name in parameters}


def test_every_parameter_is_offered_somewhere() -> None:
    """What ``open_runbook`` takes beside the stage can be given in a notebook."""
    offered = {name for path in NOTEBOOKS for name in re.findall(r"^(\w+) =", source(path, "parameters"), re.MULTILINE)}
    assert offered == set(inspect.signature(open_runbook).parameters) - {"stage"}


@each_notebook
def test_headings_make_an_outline(path: Path) -> None:
    """One title, then sections one level below; a cell begins with at most one heading, and none is said twice."""
    levels, texts = [], []
    for cell in read(path).prose:
        found = re.findall(r"^(#+) (.+)$", cell.source, re.MULTILINE)
        assert len(found) <= 1, cell.id
        assert not found or cell.source.startswith("#"), cell.id
        levels += [len(marks) for marks, _ in found]
        texts += [text for _, text in found]
    assert levels == [1] + [2] * (len(levels) - 1)
    assert len(set(texts)) == len(texts)
    assert texts[0].startswith(f"{path.stem[:2]} · ")


@each_stage
def test_the_title_answers_what_one_asks_first(path: Path) -> None:
    """What it is for, and a table: does it change anything, before, leaves, takes, undo."""
    title = read(path).all[0].source
    rows = dict(re.findall(r"^\| \*\*(.+?)\*\* \| (.+) \|$", title, re.MULTILINE))
    assert list(rows) == TITLE_ROWS
    assert rows["Changes anything?"].startswith("**Yes" if Stage(path.stem) in CHANGING else "**No.**")
    assert (rows["Undo"] == "nothing to undo") == (Stage(path.stem) not in CHANGING)


@each_stage
def test_a_change_stands_under_a_heading_that_says_so(path: Path) -> None:
    """The one cell that changes something follows a heading that begins with CHANGE; no other heading does."""
    cells = read(path).all
    changes = [cells[place + 1] for place, cell in enumerate(cells) if cell.source.startswith("## CHANGE · ")]
    verb = CHANGING.get(Stage(path.stem))
    assert [cell.source for cell in changes] == ([f"rb.{verb}()"] if verb else [])
    assert [cell.id for cell in cells if cell.id == "change"] == [cell.id for cell in changes]


@each_notebook
def test_prose_leads_to_every_cell(path: Path) -> None:
    """Each code cell but the setup follows prose; before a look it says in a colon's sentence what is shown.

    What may be folded stands below that sentence.
    """
    cells = read(path).all
    for above, cell in pairwise(cells):
        if cell.cell_type == "code" and cell.id != "setup":
            assert above.cell_type == "markdown", cell.id
            shown = above.source.split("<details>")[0].rstrip()
            assert cell.id in ("parameters", "change") or shown.endswith(":"), cell.id


@each_notebook
def test_what_is_folded_opens_and_closes(path: Path) -> None:
    """Each explanation has one line to open it by, in which Markdown's signs would stay, and ends in its own cell."""
    for cell in read(path).prose:
        assert not re.search(r"<summary>.*[`*].*</summary>", cell.source), cell.id
        assert re.findall(r"</?(?:details|summary)>", cell.source) in (
            [],
            ["<details>", "<summary>", "</summary>", "</details>"],
        )


@each_stage
def test_next_leads_to_notebooks_that_exist(path: Path) -> None:
    """Every notebook that the table of next steps links is there, and none leads to itself."""
    linked = [each.stage for each in steps_after(Stage(path.stem), "incident") if each.stage]
    assert [stage for stage in linked if not (notebooks_dir() / f"{stage}.ipynb").exists()] == []
    assert Stage(path.stem) not in linked


@each_notebook
def test_the_reference_is_this_notebook(path: Path) -> None:
    """The copy with outputs has the same cells; ``make reference`` makes it anew."""
    ours, copy = read(path), read(REFERENCE / path.name)
    told = [(cell.id, cell.cell_type, cell.source, cell.metadata) for cell in copy.all]
    assert told == [(cell.id, cell.cell_type, cell.source, cell.metadata) for cell in ours.all]
    assert [cell.id for cell in copy.code if cell.execution_count is None] == []


@each_notebook
def test_the_reference_holds_a_table_for_every_look(path: Path) -> None:
    """Each cell from the setup on has one output, and it is HTML."""
    for cell in read(REFERENCE / path.name).code[1:]:
        assert [list(output.get("data", {})) for output in cell.outputs] == [["text/html"]], cell.id
