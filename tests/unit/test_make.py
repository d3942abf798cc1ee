"""The front door: what make says, that every part of the tests is run, and what CI makes of it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from source_trees import nodes_of
from spread import APART, EACH_TAKES, LONGEST, MOST_PROCESSES, TAKES, TOGETHER, free_memory, processes, shares

from runbook_lib.paths import project_root

ROOT = project_root()
MAKE = shutil.which("make")
needs_make = pytest.mark.skipif(MAKE is None, reason="make is not on this machine")
QUICK = ("ruff check .", "ruff format --check .", "mypy$")
PASSED = "===== 4883 passed in 660.20s (0:11:00) ====="
FAILED = "===== 5 failed, 4883 passed in 1620.20s (0:27:00) ====="


def said(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # As outside of a make: this test may run under one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert MAKE
    return said(MAKE, "--no-print-directory", *arguments)


@needs_make
def test_make_without_a_python_says_what_to_install() -> None:
    """Without Python 3.11 or newer make ends with code 2 and says what to install."""
    told = make("setup", "PYTHONS=no-such-python")
    assert told.returncode == 2
    assert "No Python 3.11 or newer was found" in told.stderr


@needs_make
@pytest.mark.parametrize(("prepared", "code"), [(".", 0), ("elsewhere", 2)])
def test_parts_of_a_target_are_prepared_once(
    prepared: str, code: int, every_part: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What make has seen to in this folder it does not see to again for each part, and in another folder it does."""
    told = every_part({"lint": 'echo "in $PREPARED_IN"'})
    assert f"in {ROOT.resolve()}\n" in told.stdout
    monkeypatch.setenv("PREPARED_IN", str(ROOT / prepared))
    assert make("setup", "PYTHONS=no-such-python").returncode == code


@needs_make
def test_help_shows_every_target() -> None:
    """make alone lists every target of the Makefile with a sentence."""
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony
    assert [line.split()[1] for line in make().stdout.splitlines()] == phony[1].replace("\\\n", " ").split()


@needs_make
@pytest.mark.parametrize(
    ("target", "runs"),
    [
        (
            "test",
            (
                "ruff check .",
                "ruff format --check .",
                "pytest .*--share 1/2 tests/unit$",
                ".*--share 2/2 ",
                "mypy",
                "python tools/docs.py",
                "pytest .* tests/integration tests/lab tests/notebooks$",
                "pytest .*--nbval .* tests/reference",
            ),
        ),
        (
            "check",
            ("ruff check .", "ruff format --check .", "pytest .*--share 1/2 tests/unit$", ".*--share 2/2 ", "mypy"),
        ),
        ("test-long", ("RUNBOOK_TEST_LONG=1 .*pytest .* tests$",)),
        ("lab", ("runbook lab jupyter$",)),
    ],
)
def test_a_target_runs_what_it_promises(target: str, runs: tuple[str, ...]) -> None:
    """What make would run for a target holds every part of it, in this order."""
    would = make("--dry-run", target, "SHARES=2").stdout
    assert re.search(".*^.*".join(runs), would, re.MULTILINE | re.DOTALL), would


@needs_make
def test_what_make_starts_keeps_its_byte_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the environment forbids it, no process of the tests compiles anew what another one has compiled."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    probe = f"probe:\n\t@'{sys.executable}' -c 'import sys; print(sys.dont_write_bytecode)'\n"
    ours = str(ROOT / "Makefile").replace(" ", "\\ ")
    (tmp_path / "Makefile").write_text(f"include {ours}\n{probe}", encoding="utf-8")
    assert make("-f", str(tmp_path / "Makefile"), "probe").stdout == "False\n"


@pytest.mark.parametrize(
    ("available", "expected"),
    [(0, 2), (3 * EACH_TAKES, 3), (4 << 30, 5), (64 << 30, MOST_PROCESSES)],
)
def test_fewer_processes_run_tests_where_memory_is_short(available: int, expected: int) -> None:
    """Eight browsers with their labs and kernels do not fit into four gigabytes."""
    assert processes(available) == expected


def test_the_memory_of_a_container_counts(tmp_path: Path) -> None:
    """Its limit, where it has one; else what the machine has."""
    assert free_memory(tmp_path) > 6000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(tmp_path) > 6000
    (tmp_path / "memory.max").write_text("6000\n")
    assert free_memory(tmp_path) == 6000


def test_files_that_are_begun_first_exist() -> None:
    """No file is renamed or split without a thought to the order."""
    assert {*LONGEST, *APART, *TOGETHER, *TAKES} <= {path.stem for path in (ROOT / "tests").rglob("test_*.py")}


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_each_file_of_unit_tests_is_in_one_share(count: int) -> None:
    """The commands of ``make unit`` run every file between them, none twice, and each command has some."""
    files = sorted((ROOT / "tests" / "unit").glob("test_*.py"))
    parts = shares(files, count)
    assert (len(parts), all(parts)) == (count, True)
    assert sorted(path for part in parts for path in part) == files


def test_a_command_leaves_out_what_the_others_run(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leaves out nothing else, and a share that there is not is an error, not an empty success."""
    files = sorted((ROOT / "tests" / "unit").glob("test_*.py"))

    def left_out(share: str) -> list[Path]:
        monkeypatch.setattr(pytestconfig.option, "share", share)
        ignored = pytestconfig.hook.pytest_ignore_collect
        return [path for path in files if ignored(collection_path=path, config=pytestconfig)]

    first, second = shares(files, 2)
    assert (left_out("1/2"), left_out("2/2")) == (sorted(second), sorted(first))
    assert left_out("1/1") == []
    for share in ("0/2", "3/2"):
        with pytest.raises(KeyError):
            left_out(share)


@needs_make
def test_no_file_of_tests_is_left_out() -> None:
    """Each lies in a folder that ``make pytest`` names."""
    would = make("--dry-run", "test", "SHARES=1").stdout
    named = {folder for line in would.splitlines() if "nbval" not in line for folder in re.findall(r"tests/\w+", line)}
    assert named == {str(path.parent.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}


def test_no_two_files_of_tests_have_one_name() -> None:
    """The second of them would not be collected where both are run together."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("*.py"))
    assert [name for name, times in names.items() if times > 1 and name != "conftest.py"] == []


def test_tests_that_any_process_may_run_share_nothing() -> None:
    """What a file starts once for its tests would be started in each process that runs one of them."""

    def shared(path: Path) -> set[str]:
        functions = [node for node in nodes_of(path) if isinstance(node, ast.FunctionDef)]
        return {node.name for node in functions if any("module" in ast.unparse(d) for d in node.decorator_list)}

    for path in (path for path in (ROOT / "tests").rglob("test_*.py") if path.stem in APART):
        text = path.read_text()
        assert not shared(path), path
        asked = shared(path.parent / "conftest.py")
        assert not [name for name in asked if re.search(rf"\b{name}: |\"{name}\"", text)], path


# -- every part -------------------------------------------------------------------------------------


Parts = Callable[..., subprocess.CompletedProcess[str]]
"""``every_part(lines, *parts)``: the parts, or each target by itself, of a make that knows targets by shell lines."""


@pytest.fixture
def every_part(tmp_path: Path) -> Parts:
    def run(lines: Mapping[str, str], *parts: str) -> subprocess.CompletedProcess[str]:
        program = tmp_path / "make"
        cases = "".join(f"{target}) {line};;\n" for target, line in lines.items())
        program.write_text(f"#!/bin/sh\ncase $2 in\n{cases}esac\n", encoding="utf-8")
        program.chmod(0o755)
        return said(sys.executable, ROOT / "tools" / "every_part.py", program, *(parts or lines))

    return run


def test_a_part_that_fails_keeps_no_other_from_running(every_part: Parts) -> None:
    """Every part is run, how each ended is said at the end with pytest's own words, and the failure is the result."""
    told = every_part({"lint": "exit 2", "pytest": f"echo '{FAILED}'; exit 1", "nbval": f"echo '{PASSED}'"})
    assert told.returncode == 2
    assert told.stdout.splitlines()[-4:] == [
        "",
        "make lint: FAILED, exit code 2",
        "make pytest: FAILED, exit code 1 (5 failed, 4883 passed in 1620.20s (0:27:00))",
        "make nbval: passed (4883 passed in 660.20s (0:11:00))",
    ]


def test_parts_that_run_at_the_same_time_are_shown_one_after_the_other(every_part: Parts, tmp_path: Path) -> None:
    """The second has begun before the first ends, what it says is shown whole behind the first, and both count."""
    met = tmp_path / "met"
    waits = f"echo first; while [ ! -e {met} ]; do sleep 0.05; done; echo still first"
    loud = f"touch {met}; yes second | head -n 50000; exit 3"
    told = every_part({"types": waits, "nbval": loud, "pytest": "echo third"}, "types+nbval", "pytest")
    assert told.returncode == 3
    lines = told.stdout.splitlines()
    assert lines[:50_003] == ["first", "still first", *["second"] * 50_000, "third"]
    assert lines[-2] == "make nbval: FAILED, exit code 3"


@pytest.mark.parametrize(("pytest_ends", "nbval_ends", "code"), [(0, 0, 0), (1, 0, 1), (0, 3, 3), (1, 3, 1)])
def test_either_result_makes_the_exit_code(every_part: Parts, pytest_ends: int, nbval_ends: int, code: int) -> None:
    """Only where every part passed the whole did."""
    assert every_part({"pytest": f"exit {pytest_ends}", "nbval": f"exit {nbval_ends}"}).returncode == code


# -- what CI runs -----------------------------------------------------------------------------------


@needs_make
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not on this machine")
@pytest.mark.parametrize(
    ("recipe", "passes"),
    [
        (f"@echo '{PASSED}'", True),
        (f"@echo '{FAILED}'; exit 1", False),
        (f"@echo '{PASSED}'; exit 1", False),
        ("@echo '===== no tests ran in 0.01s ====='", False),
        ("@echo 'nothing to be done'", False),
    ],
)
def test_ci_passes_where_tests_ran_and_passed(tmp_path: Path, recipe: str, passes: bool) -> None:
    """The command of CI fails with make, and where no test ran; else it shows pytest's closing line once more."""
    (tmp_path / "Makefile").write_text(f"test:\n\t{recipe}\n", encoding="utf-8")
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    told = said(tmp_path / ".ci" / "run")
    assert (told.returncode == 0) == passes, told
    assert told.stdout.count(PASSED) == 2 or not passes


STRIPPING = """
from runbook_lib.processes import quick_import
with quick_import():
    import nbstripout
nbstripout.main()
"""


def test_commit_hooks_fetch_nothing_and_change_no_clean_notebook() -> None:
    """Each hook is a program of .venv that the lock pins; the one for notebooks keeps the ids of their cells."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    hooks = {hook["id"]: hook for hook in config["repos"][0]["hooks"]}
    assert {hook["language"] for hook in hooks.values()} == {"system"}
    words = {name: hook["entry"].split() for name, hook in hooks.items()}
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for program, *_ in words.values():
        assert Path(program).parent == Path(".venv/bin")
        assert re.search(rf"^{Path(program).name}==", locked, re.MULTILINE), program
    notebooks = sorted((ROOT / "notebooks").rglob("*.ipynb"))
    chosen = [path for path in notebooks if re.search(hooks["nbstripout"]["files"], path.relative_to(ROOT).as_posix())]
    stripped = said(sys.executable, "-c", STRIPPING, *words["nbstripout"][1:], "--verify", *chosen)
    assert (chosen, stripped.returncode, stripped.stdout) == (notebooks, 0, "")
    assert not re.search(hooks["nbstripout"]["files"], "tests/reference/00_start_here.ipynb")
