"""What holds for the whole checkout: the direction of imports, public names, and what no file may contain."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from source_trees import nodes_of, tree_of

from runbook_lib import errors
from runbook_lib.lab import LabOptions
from runbook_lib.lab.faults import KNOWN
from runbook_lib.paths import notebooks_dir, project_root

ROOT = project_root()
LIBRARY = ROOT / "runbook_lib"

# From the ground up: a module or package may import what stands in a line above its own, and nothing beside it.
LAYERS = (
    ("disguises", "errors"),
    ("models", "paths", "event_loop", "processes", "device_prompts", "redactor"),
    ("decisions", "observations", "secrets", "i18n"),
    ("params",),
    ("certificates", "record", "device"),
    ("logs", "web"),
    ("repair",),
    ("show",),
    ("notebook",),
    ("batch",),
    ("cli",),
)
RANK = {unit: rank for rank, layer in enumerate(LAYERS) for unit in layer}
# The record stands beside the devices and knows nothing of them.
ONLY = {
    "record": {"errors", "models", "decisions", "secrets", "event_loop", "processes", "redactor", "paths"},
    "lab": set[str](),
}
# The lab is an island: it imports nothing of the rest, and only these start it.
STARTS_THE_LAB = {"notebook", "cli"}
# The package's own public names.
FRONT_DOOR = {"__init__": {"notebook"}}


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and unit of each import of the library, those inside functions included."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("runbook_lib")]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            assert node.level == 0, f"{path.relative_to(ROOT)}:{node.lineno}: relative import; name the module in full"
            inside = [f"runbook_lib.{alias.name}" for alias in node.names] if module == "runbook_lib" else [module]
            names = [name for name in inside if name.startswith("runbook_lib.")]
        else:
            continue
        yield from ((node.lineno, name.split(".")[1]) for name in names if "." in name)


def wrong(unit: str, imported: str) -> str:
    """Return why one unit must not import another, or ""."""
    if unit in FRONT_DOOR:
        return "" if imported in FRONT_DOOR[unit] else "the package itself imports only its public names"
    if unit in ONLY:
        return "" if imported in ONLY[unit] else f"{unit} may import only {', '.join(sorted(ONLY[unit])) or 'itself'}"
    if imported == "lab":
        return "" if unit in STARTS_THE_LAB else f"only {' and '.join(sorted(STARTS_THE_LAB))} start the lab"
    if imported not in RANK or unit not in RANK:
        return "no layer is named for it in LAYERS (tests/unit/test_repository.py); see the table of layers"
    return "" if RANK[imported] < RANK[unit] else "this arrow points up or sideways"


def test_imports_run_one_way() -> None:
    """Each module imports lower layers only; the failure names every arrow that is wrong."""
    arrows = []
    for path in sorted(LIBRARY.rglob("*.py")):
        unit = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
        for line, imported in imports_of(path):
            if imported not in (unit, "__version__") and (why := wrong(unit, imported)):
                arrows.append(f"{path.relative_to(ROOT)}:{line}: {unit} → {imported}: {why}")
    assert not arrows, "\n".join(arrows)


@pytest.mark.parametrize(
    ("unit", "imported", "allowed"),
    [
        ("cli", "batch", True),
        ("models", "params", False),
        ("repair", "show", False),
        ("record", "device", False),
        ("record", "params", False),
        ("lab", "errors", False),
        ("repair", "lab", False),
        ("notebook", "lab", True),
        ("notebook", "something_new", False),
        ("logs", "web", False),
        ("params", "certificates", False),
    ],
)
def test_the_table_of_layers_means_what_it_says(unit: str, imported: str, allowed: bool) -> None:
    """The rule behind the walk refuses upward, sideways and unknown arrows, and the lab's island."""
    assert (wrong(unit, imported) == "") == allowed


def test_notebooks_import_public_names_only() -> None:
    """A notebook imports the package's own public names, and `sys` to say which kernel lacks them."""
    public = set(importlib.import_module("runbook_lib").__all__)
    for path in sorted(notebooks_dir().glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] != "code" or source.startswith("%"):
                continue
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Import) and [alias.name for alias in node.names] != ["sys"]:
                    pytest.fail(f"{path.name}: import {node.names[0].name}")
                if isinstance(node, ast.ImportFrom):
                    assert node.module == "runbook_lib", path.name
                    assert {alias.name for alias in node.names} <= public, path.name


def modules() -> list[str]:
    paths = [path.relative_to(ROOT).with_suffix("") for path in LIBRARY.rglob("*.py") if path.name != "__main__.py"]
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in paths)


@pytest.mark.parametrize("name", modules())
def test_public_names_exist(name: str) -> None:
    """Every module can be imported alone, and each name in its __all__ is there once."""
    module = importlib.import_module(name)
    public = list(getattr(module, "__all__", ()))
    assert len(public) == len(set(public))
    assert [entry for entry in public if not hasattr(module, entry)] == []


# -- the house ------------------------------------------------------------------------------------

# Bounds that hold now; the lab is an island and is not counted. Lower them when something was made smaller. Code is
# counted, and neither docstrings nor comments: nothing gets better by losing its headings and its reasons. The bound
# of code is a round figure with a little room: a condition is not made dense, nor two assignments one, to save a line.
MOST_PACKAGES, MOST_MODULES, MOST_CODE, LONGEST_MODULE, MOST_LONG = 13, 150, 31_248, 350, 0
LONG = 350


def rooms() -> list[Path]:
    return [path for path in sorted(LIBRARY.rglob("*.py")) if "lab" not in path.relative_to(LIBRARY).parts[:1]]


def lines_of_code(path: Path) -> int:
    """How many lines are neither blank nor a comment's nor a docstring's."""
    strings = (node for node in nodes_of(path) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    documented = {number for node in strings for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    return sum(number not in documented and not re.match(r"\s*(?:#|$)", line) for number, line in lines)


def test_the_house_does_not_grow() -> None:
    """Packages, modules, lines and the longest module stay within their bounds; ``pytest -s`` prints the numbers."""
    packages = {path.relative_to(LIBRARY).parts[0] for path in LIBRARY.rglob("__init__.py")} - {"__init__.py"}
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in rooms()}
    code = sum(map(lines_of_code, lines))
    longest = max(lines, key=lambda path: lines[path])
    modules = [path for path in lines if path.name != "__init__.py"]
    long = [path for path in modules if lines[path] > LONG]
    sys.stdout.write(
        f"\nBeside the lab: {len(packages)} packages, {len(modules)} modules without {len(lines) - len(modules)} "
        f"__init__.py, {sum(lines.values()):,} lines with them, {code:,} of them code; "
        f"{len(long)} modules have more than {LONG}, the longest, {longest.relative_to(ROOT)}, has {lines[longest]}.\n"
    )
    assert len(packages) <= MOST_PACKAGES
    assert len(modules) <= MOST_MODULES
    assert code <= MOST_CODE
    assert len(long) <= MOST_LONG
    assert lines[longest] <= LONGEST_MODULE, longest.relative_to(ROOT)


def test_a_class_name_is_defined_once() -> None:
    """No two modules define a class of the same name: a name in a traceback or in a review means one thing."""
    places: dict[str, list[str]] = {}
    for path in rooms():
        for node in nodes_of(path):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*/__init__.py")), ids=lambda path: path.parent.name)
def test_a_package_hands_on_no_names(path: Path) -> None:
    """A name is imported from the module that defines it, so that importing one room of a package loads no other."""
    if path.parent.name in ("cli", "lab"):
        return  # the command itself, and the island
    (only,) = tree_of(path).body
    assert isinstance(only, ast.Expr)
    assert isinstance(only.value, ast.Constant)


def test_where_things_are_found() -> None:
    """docs/architecture.md answers at least 30 such questions; each file is there and defines its symbol."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    _, _, chapter = text.partition("\n## Where do I find...?\n")
    answers = re.findall(r"^\| (.+) \| `([\w/]+\.py)` \| `(\w+)` \|$", chapter.partition("\n## ")[0], re.M)
    assert len(answers) >= 30
    assert [(question, file, symbol) for question, file, symbol in answers if symbol not in defined_in(file)] == []


def defined_in(file: str) -> set[str]:
    body = tree_of(ROOT / file).body if (ROOT / file).is_file() else []
    names = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    targets += [node.target for node in body if isinstance(node, ast.AnnAssign)]
    return names | {target.id for target in targets if isinstance(target, ast.Name)}


ONE_PLACE = {
    r"\bsignal\.signal\(": {"processes.py", "notebook/warm_process.py"},  # a forked kernel puts everything back
    r"\.is_loopback\b": {"params/values.py"},
    r"\.chromium\.launch\(": {"web/launching.py"},
    r"\btempfile\.NamedTemporaryFile\(": set[str](),  # what is written whole is in record/files.py, states.py
    r"(?<!_)exit_code(: ClassVar\[int\])? = \d": {"errors.py"},
    r'\("primary", "secondary"\)': {"models.py"},
    r'"journal\.jsonl"': {"record/journal.py"},
    r'tofu-certs listcerts"': {"device/tofu.py"},
}
"""What is decided in one place, by how it is done, and where that is."""


@pytest.mark.parametrize("pattern", ONE_PLACE)
def test_one_decision_is_made_in_one_place(pattern: str) -> None:
    """Nobody takes a signal, tells loopback, starts a browser, numbers an exit or names servers in their own way."""
    wanted = re.compile(pattern)
    found = {path.relative_to(LIBRARY).as_posix() for path in rooms() if wanted.search(path.read_text("utf-8"))}
    assert found == ONE_PLACE[pattern]


def test_every_public_function_says_what_it_is_for() -> None:
    """Each function that other modules may call has a docstring; a command's is its help."""
    silent = [
        f"{path.relative_to(LIBRARY)}:{node.lineno} {node.name}"
        for path in rooms()
        for node in tree_of(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
        if not ast.get_docstring(node) and not node.decorator_list
    ]
    assert silent == []


FROM_OUTSIDE = {"LocalProvisioner", "PortlessProvisioner", "NotebookExecutionManager", "CellStates"}
"""Classes whose methods a library fixes, and says what they are for; those of a module (``io.Base``) count too."""


def test_public_methods_say_what_they_are_for() -> None:
    """Each method of a public class has a docstring, or a class of ours that it stands in for has it.

    The docstring of a class with hooks alone tells of them all. Left out is what a library calls, and Python's own
    ``read``, ``write`` and their like.
    """
    classes = [
        (path, node)
        for path in rooms()
        for node in tree_of(path).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    methods = [
        (f"{path.relative_to(LIBRARY)}:{each.lineno} {node.name}.{each.name}", each)
        for path, node in classes
        for each in node.body
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and not each.name.startswith("_")
        if not any("." in (name := ast.unparse(base)) or name in FROM_OUTSIDE for base in node.bases)
    ]
    hooks = {each.name for _, each in methods if ast.unparse(each.body[-1]) == "..."}
    told = {each.name for _, each in methods if ast.get_docstring(each)} | hooks | NAMES_SAY_IT | PYTHONS_OWN
    assert [where for where, each in methods if each.name not in told] == []


def raising(path: Path) -> Iterator[tuple[str, str, set[str]]]:
    """Yield each public function that raises an error of its own making: where, its docstring, the errors' names."""
    left: list[ast.AST] = list(tree_of(path).body)
    while left:
        node = left.pop()
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            left += node.body
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        commands = [each for each in node.decorator_list if _called(each).endswith((".command", ".callback"))]
        if (names := _raised(node)) and not commands:  # whose docstring is what --help says
            yield f"{path.relative_to(LIBRARY)}:{node.lineno} {node.name}", ast.get_docstring(node) or "", names


def _raised(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """What a function itself raises and lets out; what it raises for a handler of its own is not told of."""
    names, left = set[str](), list[ast.AST](function.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Try) and node.handlers:
            left += [*node.handlers, *node.orelse, *node.finalbody]
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            name = raised.attr if isinstance(raised, ast.Attribute) else getattr(raised, "id", "")
            names |= {name} if name[:1].isupper() and name != "NotImplementedError" else set()
        left += ast.iter_child_nodes(node)
    return names


def _is_said(name: str, docstring: str) -> bool:
    """Whether a docstring names an error or what it is a kind of."""
    kinds = getattr(errors, name).__mro__ if hasattr(errors, name) else ()
    return any(word in docstring for word in (name, *(kind.__name__ for kind in kinds[:-4])))


def test_public_functions_say_what_they_raise() -> None:
    """Each names its errors, or their kind, in its docstring; ``pytest -s`` prints how many there are."""
    found = [each for path in rooms() for each in raising(path)]
    silent = [f"{where}: {sorted(names)}" for where, said, names in found if not all(_is_said(n, said) for n in names)]
    sys.stdout.write(f"\n{len(found)} public functions raise errors of their own; {len(silent)} do not say so.\n")
    assert silent == []


UNITS = re.compile(
    r"seconds?|minutes|days|how long|bytes?|characters?|columns|pixels?|how (?:many|often)|number|exit (?:code|status)"
    r"|return (?:\d|the worst)|attempt|unit|process id|descriptor|line|place|sorts|levels"
)
NAMES_SAY_IT = {"readinto", "wait", "poll", "write", "fileno"}  # methods of Python's own protocols
PYTHONS_OWN = {"read", "flush", "writable", "isatty", "encoding", "errors", "kill", "terminate"}
NAMES_SAY_IT |= {"left", "top", "right", "bottom", "options"}  # the edges of what a page shows; a lab's options


def public_functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield each function that others may call, those of public classes included, with where it is."""
    left: list[ast.stmt] = list(tree_of(path).body)
    for node in left:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            left += node.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield f"{path.relative_to(LIBRARY)}:{node.lineno} {node.name}", node


def test_public_functions_that_return_numbers_say_what_they_count() -> None:
    """A number has its unit in the docstring: seconds, bytes, days, an exit code; ``pytest -s`` prints how many."""
    numbers = {
        where: ast.get_docstring(node) or ""
        for path in rooms()
        for where, node in public_functions(path)
        if node.returns and re.search(r"\b(?:int|float|timedelta)\b", ast.unparse(node.returns))
        if node.name not in NAMES_SAY_IT
    }
    silent = [where for where, said in numbers.items() if not UNITS.search(said.lower())]
    sys.stdout.write(f"\n{len(numbers)} public functions return numbers; {len(silent)} do not say of what.\n")
    assert silent == []


SOURCES = re.compile(r"published|captured|recalled|inferred")


def test_parsers_of_what_the_product_says_name_their_source() -> None:
    """Each parser of a device's words, and each verb of a PI server, says how well its form is known."""
    files = [*sorted((LIBRARY / "device").glob("*.py")), LIBRARY / "logs" / "mismatch.py"]
    verbs = {"list_tofu", "ha_status", "version", "delete_tofu", "remove_ha", "kind_of_state", "read_subject"}
    said = {
        where: " ".join((ast.get_docstring(node) or "").split())
        for path in files
        for where, node in public_functions(path)
        if node.name.startswith("parse_") or node.name in verbs
    }
    assert len(said) >= 12
    assert [where for where, text in said.items() if "product-facts.md" not in text or not SOURCES.search(text)] == []


# -- the tests -----------------------------------------------------------------------------------

TESTS = ROOT / "tests"
# What `make check` does without.
HEAVY = {"jupyter_client", "nbclient", "papermill", "playwright", "runbook_lib.lab.Lab"}


def imported_names(path: Path) -> set[str]:
    """Return the modules that a file imports, and what it takes from them, in full."""
    nodes = nodes_of(path)
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return modules | {f"{node.module}.{alias.name}" for node in froms for alias in node.names}


def test_unit_tests_need_no_lab_no_browser_and_no_kernel() -> None:
    """No test in tests/unit imports what starts one: they are what is run while working."""
    heavy = [
        f"{path.name}: {name}"
        for path in sorted((TESTS / "unit").glob("*.py"))
        for name in sorted(imported_names(path))
        if any(f"{name}.".startswith(f"{each}.") for each in HEAVY)
    ]
    assert heavy == []


# Where waiting is made, where growth is measured, and where a sleep is on a clock that the test holds.
MAY_WAIT = {"waiting.py", "growth.py", "test_repair_waits.py"}
CLOCKS = ("time.monotonic()", "time.perf_counter()", "time.time()")


def waits_of(path: Path) -> Iterator[str]:
    """Yield what a file does by the clock: sleeps, loops on its own clock, limits of a test or of an example."""
    for node in nodes_of(path):
        called = _called(node)
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        if called in ("time.sleep", "asyncio.sleep") and not _is_zero(node.args[0]):
            yield f"{where}: {called}; wait for a state with tests/waiting.py, or say with let_pass why time passes"
        sides = [node.left, node.right] if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) else []
        sides += [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
        if any(isinstance(side, ast.Call) and f"{_called(side)}()" in CLOCKS for side in sides):
            yield f"{where}: {ast.unparse(node)}; a test that asserts a time measures the machine"
        if called == "pytest.mark.timeout":
            yield f"{where}: a limit of its own; what hangs is ended by the limit in pyproject.toml"
        if called.endswith("settings") and any(word.arg == "deadline" for word in getattr(node, "keywords", ())):
            yield f"{where}: a deadline for examples; the profile in tests/conftest.py has none"


def _called(node: ast.AST) -> str:
    """What a node calls, as ``pytest.mark.timeout``; "" where it calls nothing that has a name."""
    names: list[str] = []
    place = node.func if isinstance(node, ast.Call) else None
    while isinstance(place, ast.Attribute):
        names.append(place.attr)
        place = place.value
    return ".".join(reversed([*names, place.id])) if isinstance(place, ast.Name) else ""


def _is_zero(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value == 0


def test_no_test_waits_for_a_time() -> None:
    """Tests wait for states, with the one helper, and assert no times: a busy machine is slow, not wrong."""
    files = [path for path in sorted(TESTS.rglob("*.py")) if path.name not in MAY_WAIT]
    assert [wait for path in files for wait in waits_of(path)] == []


@pytest.mark.parametrize(
    "text",
    [
        "time.sleep(0.3)",
        "asyncio.sleep(WAIT_S)",
        "took = time.monotonic() - begun",
        "@pytest.mark.timeout(60)\ndef f(): ...",
        "@settings(deadline=200)\ndef f(): ...",
    ],
)
def test_a_wait_for_a_time_is_found(tmp_path: Path, text: str) -> None:
    """Each way to lean on the machine's speed is named with its line."""
    path = tmp_path / "test_it.py"
    path.write_text(f"asyncio.sleep(0)\n{text}\n", encoding="utf-8")
    (found,) = waits_of(path)
    assert found.startswith("test_it.py:2: ")


def clocks_of(path: Path) -> Iterator[str]:
    """Yield where a file reads the clock while it is collected."""
    left: list[ast.AST] = [tree_of(path)]
    while left:
        node = left.pop()
        later = node.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) else []
        body = later if isinstance(later, list) else [later]
        left += [child for child in ast.iter_child_nodes(node) if child not in body]
        if _called(node).rpartition(".")[2] in ("now", "today", "utcnow"):
            yield f"{path.name}:{getattr(node, 'lineno', 0)}"


def test_no_test_is_collected_by_the_clock() -> None:
    """Workers that begin on either side of midnight collect the same: the day of the run is in long_way.py."""
    files = [path for path in sorted(TESTS.rglob("*.py")) if path.name != "long_way.py"]
    assert [clock for path in files for clock in clocks_of(path)] == []


# -- what no file may contain --------------------------------------------------------------------


def tracked() -> list[Path]:
    """Return the files under version control, or all that a fresh copy has."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if listed.returncode:
        folders = [ROOT / name for name in ("docs", "notebooks", "params", "runbook_lib", "tests", "tools")]
        found = [path for folder in folders for path in folder.rglob("*")]
        return [path for path in found if path.is_file() and "__pycache__" not in path.parts]
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def lines_with(pattern: str) -> list[str]:
    wanted = re.compile(pattern)
    found = []
    for path in tracked():
        if path == Path(__file__).resolve() or path.suffix in (".png", ".gz", ".zip"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if wanted.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    return found


OPENS_A_RUN = "import runbook_lib.cli.plans, runbook_lib.cli.running"
READS_A_RECORD = "import runbook_lib.show.report"
OPENS_A_READING_STAGE = """
from runbook_lib.notebook import opening, workspace
from site_kit import site_with
workspace.open_site = lambda _: site_with()
opening.open_runbook("10_diagnose_logs", "any")
"""
CHECKS_A_SITE = """
from runbook_lib.params import load
from site_kit import site_with
load.load_site_or_lab = lambda _: site_with()
from runbook_lib.cli.app import app
app(["check", "any"], standalone_mode=False)
"""
SLOW = ("asyncssh", "playwright", "ipywidgets", "papermill", "jinja2", "pydantic")


@pytest.mark.parametrize(
    "uses",
    [
        {
            "import runbook_lib.logs.conclusions": [],
            "import runbook_lib.cli.records": [],
            CHECKS_A_SITE: ["pydantic"],
            READS_A_RECORD: ["jinja2", "pydantic"],
        },
        {OPENS_A_RUN: ["asyncssh", "pydantic"], OPENS_A_READING_STAGE: ["asyncssh", "pydantic"]},
    ],
    ids=["a log, a list of records, a site's file, a report", "a run and its plan, a stage that reads"],
)
def test_nothing_is_loaded_that_is_not_used(tmp_path: Path, uses: dict[str, list[str]]) -> None:
    """No SSH to read a record or check a site, no browser or widgets to open a stage that reads, no idle templates.

    What needs less comes first: after each use one process has loaded what the uses up to there need.
    """
    environment = os.environ | {"PYTHONPATH": str(TESTS / "unit"), "RUNBOOK_RECORDS": str(tmp_path)}
    tell = f"\nimport sys\nprint('loaded:', [each for each in {SLOW} if each in sys.modules])\n"
    command = [sys.executable, "-c", "".join(f"{does}{tell}" for does in uses)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    told = [line.removeprefix("loaded: ") for line in ran.stdout.splitlines() if line.startswith("loaded: ")]
    assert told == [str(needs) for needs in uses.values()]


def test_notebooks_hold_no_outputs() -> None:
    """No notebook in notebooks holds an output, an execution count or a widget's state."""
    held = []
    for path in sorted(notebooks_dir().rglob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        if any(cell["outputs"] or cell["execution_count"] is not None for cell in code):
            held.append(f"{path.name}: outputs or execution counts; run nbstripout --keep-id {path.name}")
        if "widgets" in notebook["metadata"]:
            held.append(f"{path.name}: the state of widgets")
    assert not held, "\n".join(held)


def test_nothing_is_left_unfinished() -> None:
    """No tracked file says that something is still to be done."""
    assert lines_with(r"\b(TODO|FIXME|XXX|HACK|[Ss]tubs?)\b") == []


def test_no_file_knows_the_machine_it_was_made_on() -> None:
    """No tracked file holds a path of somebody's machine."""
    assert lines_with(r"(?<![\w.])/(root|work|home|Users)/\w") == []


def test_no_file_names_a_package_index() -> None:
    """No tracked file says where packages come from: that is the machine's own configuration."""
    assert lines_with(r"https?://\S*(pypi|pythonhosted|/simple\b)|^--(extra-)?index-url|^--find-links") == []


COMMAND_LINE = ("device", "ssh_server")
"""What the lab's command line is made of."""
FAULT_TESTS = sorted((ROOT / "tests" / "integration").glob("test_faults_*.py")) + [
    ROOT / "tests" / "integration" / name
    for name in ("test_ways_to_go_wrong.py", "test_cli_repair.py", "test_state_machine.py")
]


def test_every_knob_of_the_labs_command_line_is_turned_by_a_fault_test() -> None:
    """Each option and each fault that the lab's command line reads is set by a test of what goes wrong.

    So nothing that it can vary is left out: how it lists, what it asks, its versions, its login, and how it fails.
    """
    lab = [tree_of(LIBRARY / "lab" / f"{name}.py") for name in COMMAND_LINE]
    options = {
        node.attr
        for tree in lab
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("options")
    } & {field.name for field in fields(LabOptions)}
    faults = {
        node.value for tree in lab for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in KNOWN
    }
    turned = set[str]()
    for path in FAULT_TESTS:
        for node in nodes_of(path):
            if isinstance(node, ast.keyword) and node.arg:
                turned.add(node.arg)
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                turned.add(node.value)
    assert {"listing", "login_question", "fixes", "command_delay_s"} <= options
    assert {"reset_before", "deletecert_lie"} <= faults
    assert not (options | faults) - turned
