"""The comparison with the stored outputs: it passes for what is so, and fails for one changed value."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from lab_runs import lab_process, run
from nbval.plugin import get_sanitize_patterns

from runbook_lib.paths import project_root
from runbook_lib.show.document import Row, Table
from runbook_lib.show.rendering import View

REFERENCE = project_root() / "tests" / "reference"
RULES = REFERENCE / "sanitize.cfg"
NAME = "00_start_here.ipynb"


def with_another_value(path: Path) -> None:
    """Store that the primary did not answer."""
    notebook = nbformat.read(path, as_version=4)
    [output] = next(cell for cell in notebook.cells if cell.id == "preflight").outputs
    output.data["text/html"] = output.data["text/html"].replace("<td>yes</td>", "<td>no</td>", 1)
    nbformat.write(notebook, path)


def test_one_changed_value_makes_nbval_fail(tmp_path: Path) -> None:
    """Of two copies, the true one passes in every cell and the changed one fails in the cell that was changed."""
    asked = ["--nbval", "--nbval-sanitize-with", str(RULES), "--color=no", "-rA", "-p", "no:xdist", "--rootdir=."]
    shutil.copy(REFERENCE / "conftest.py", tmp_path)
    said = ""
    for folder in ("as_it_is", "changed"):
        (tmp_path / folder).mkdir()
        copy = Path(shutil.copy(REFERENCE / NAME, tmp_path / folder / NAME))
        if folder == "changed":
            with_another_value(copy)
        with lab_process(
            tmp_path / f"runbook-fresh-{folder}", "renewed"
        ) as env:  # each is the first attempt in its lab
            done = run("pytest", *asked, folder, cwd=tmp_path, env=env)
        said += done.stdout + done.stderr
    results = re.findall(r"^(PASSED|FAILED) (\S+::\S+ \d+)", said, re.MULTILINE)
    cells = [cell.id for cell in nbformat.read(REFERENCE / NAME, as_version=4).cells if cell.cell_type == "code"]
    assert len(results) == 2 * len(cells), said
    wrong = f"changed/{NAME}::Cell {cells.index('preflight')}"
    assert [cell for result, cell in results if result == "FAILED"] == [wrong]
    assert "Cell outputs differ" in said


def rules() -> list[tuple[str, str]]:
    return list(get_sanitize_patterns(RULES.read_text(encoding="utf-8")))


def sanitised(text: str) -> str:
    for pattern, replacement in rules():
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize("path", sorted(REFERENCE.glob("*.ipynb")), ids=lambda path: path.stem)
def test_sanitising_what_is_sanitised_changes_nothing(path: Path) -> None:
    """Stored outputs are sanitised already, so nbval compares the same text on both sides."""
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", ()):
            assert sanitised(output.data["text/html"]) == output.data["text/html"], cell.id


def test_every_rule_of_the_file_is_read() -> None:
    """nbval silently leaves out a rule that it cannot read; as many are read as stand there."""
    assert len(rules()) == len(re.findall(r"^regex:", RULES.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize(
    "content", ["would delete", "confirmed_fingerprint", "127.0.0.1_8082", "Primary Active", "repaired", "3.10.6"]
)
def test_what_matters_is_not_sanitised_away(content: str) -> None:
    """Decisions, verdicts, states and a server's own loopback entry are compared as they are."""
    assert sanitised(content) == content


def test_a_digest_is_sanitised_as_tables_show_it() -> None:
    """A digest in a table's HTML, place to break included, becomes one word."""
    shown = View(None, (Table(title="Title", headers=("SHA-256",), rows=(Row("0123456789abcdef" * 4),)),))
    assert '<span class="digest">DIGEST</span>' in sanitised(shown._repr_html_())


def test_no_copy_for_readers_says_in_which_folder_it_was_made() -> None:
    """A table breaks a path behind each folder, and there the rule that replaces one is applied alone."""
    shown = View(None, (Table(title="Title", headers=("where",), rows=(Row("/srv/x/runbook-fresh-a1/lab/ca.pem"),)),))
    [rule] = [rule for rule in rules() if rule[1] == "/FOLDER"]
    assert ">/FOLDER/lab/ca.pem<" in re.sub(*rule, shown._repr_html_()).replace("<wbr>", "")


def test_hosts_are_told_apart_after_sanitising() -> None:
    """An address keeps its last number, so that one host in another's place is seen."""
    assert sanitised("127.62.250.11_8082 127.62.250.12_8082") == "127.x.x.11_8082 127.x.x.12_8082"
