"""The documents and the software say the same: what exists is named, and what is named exists."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, get_args
from unittest.mock import Mock
from urllib.parse import unquote
from xml.etree import ElementTree

import nbformat
import pytest
from incident_kit import Incident
from pydantic import BaseModel
from source_trees import nodes_of, tree_of

from runbook_lib import decisions, errors, models
from runbook_lib import paths as places
from runbook_lib.cli import INTERRUPTED_EXIT
from runbook_lib.cli.app import whole_command
from runbook_lib.cli.records import AFTER_SEAL
from runbook_lib.decisions import EVERY_CHANGE, ChangeKind, Decision, Plan, PlannedChange, PlanRow, plan_digest
from runbook_lib.device.answers import HA_STATES
from runbook_lib.lab import SCENARIOS
from runbook_lib.lab.faults import KNOWN as FAULTS
from runbook_lib.lab.pages.skins import SKINS
from runbook_lib.models import Inventory, Stage, Verdict
from runbook_lib.notebook.engine import declared_parameters
from runbook_lib.notebook.reading_stages import ListCertificates
from runbook_lib.params.labels import labels_for
from runbook_lib.params.model import LabRequest, Site
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.repair.sent_changes import INVENTORY_FACTS
from runbook_lib.show.rendering import View

ROOT = places.project_root()
README = ROOT / "README.md"
COMMANDS_PAGE, CONFIGURATION, SAFETY, LAB, RECORD_PAGE = (
    ROOT / "docs" / f"{name}.md" for name in ("commands", "configuration", "safety", "lab", "record")
)
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
TRANSLATED = (ROOT / "README.zh.md", ROOT / "CONTRIBUTING.zh.md", *sorted((ROOT / "docs" / "zh").glob("*.md")))
"""Their tables and code blocks are compared with the English ones: tests/unit/test_translation.py."""
DOCS = (README, ROOT / "SECURITY.md", ROOT / "CHANGELOG.md", CONTRIBUTING, *sorted((ROOT / "docs").glob("*.md")))
ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.RunbookError)
}
COMMANDS = whole_command()


# -- reading the documents -----------------------------------------------------------------------


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def section(path: Path, heading: str) -> str:
    """Return what stands under a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,2}} |\Z)", text_of(path), re.M | re.S)
    assert found, f"{path.name} has no heading {heading}"
    body = found[2]
    return body if len(found[1]) < 3 else body.split("\n### ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of every table row, heads and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    rules = {number for number, line in enumerate(lines) if set(line) <= set("|-: ")}
    return [row for number, row in enumerate(cells) if number not in rules and number + 1 not in rules]


def quoted(text: str) -> list[str]:
    """Return what stands between single backticks, code blocks left out."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def first_words(text: str) -> set[str]:
    """Return the quoted words of the first cells of all tables."""
    return {word for row in rows(text) for word in quoted(row[0])}


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(path), re.M | re.S)


def shell_lines(program: str) -> list[tuple[str, list[str]]]:
    """Return the document and the arguments of every line in a shell block that starts ``program``."""
    found = []
    for path in DOCS:
        for line in "".join(blocks(path, "sh")).splitlines():
            words = shlex.split(line, comments=True) if line.startswith((program, f".venv/bin/{program}")) else []
            if words and Path(words[0]).name == program:
                found.append((path.name, words[1:]))
    return found


# -- the first minute ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_readme_is_short_and_begins_with_what_to_type(name: str) -> None:
    """At most 10 KB; the first block of commands is the diagnosis, within the first screen, before any explanation."""
    text = text_of(ROOT / name)
    assert len(text.encode()) <= 10 * 1024
    first = blocks(ROOT / name, "sh")[0]
    assert first.splitlines() == ["make setup", ".venv/bin/runbook diagnose LOGS"]
    assert len(text[: text.index(first)].splitlines()) < 25
    assert text.count("\n## ", 0, text.index(first)) == 1


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_readme_leads_to_every_document(name: str) -> None:
    """The table of documents names each one, in the reader's language where it exists in it."""
    linked = set(re.findall(r"\]\(([^)#\s]+)", text_of(ROOT / name).split("\n## ")[-1]))
    documents = {path.relative_to(ROOT).as_posix() for path in DOCS if path != README}
    if name == "README.zh.md":
        translated = {path.relative_to(ROOT).as_posix() for path in TRANSLATED} - {name}
        documents -= {own.replace("docs/zh/", "docs/").replace(".zh.md", ".md") for own in translated}
        documents |= {*translated, "docs/record.md"}
    assert linked == documents


# -- the command line ------------------------------------------------------------------------------


def commands(command: Any = COMMANDS, name: str = "runbook") -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with its whole name."""
    for word, sub in getattr(command, "commands", {}).items():
        yield from commands(sub, f"{name} {word}")
    if not hasattr(command, "commands"):
        yield name, command


def command_at(words: Iterable[str]) -> tuple[Any, list[str]]:
    """Return the command that the first words name, and the words after them."""
    command, left = COMMANDS, list(words)
    while left and left[0] in getattr(command, "commands", {}):
        command = command.commands[left.pop(0)]
    return command, left


def refusal(words: list[str]) -> str:
    """Return why the command line would not take these arguments, or ""; nothing is carried out."""
    command, left = command_at(words)
    if hasattr(command, "commands") and not {"--help", "--version"} & set(left):
        return "no such command"
    try:
        command.make_context("runbook", left)
    except Exception as error:  # noqa: BLE001 - usage errors of the parser, and its early exits for --help
        return "" if type(error).__name__ == "Exit" else str(error)
    return ""


def options(command: Any) -> set[str]:
    return {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }


def test_every_command_and_option_is_documented() -> None:
    """Each command has its row in a table, which names its options and no others."""
    table = {row[0].strip("`"): " ".join(row) for row in rows(section(COMMANDS_PAGE, "Commands"))}
    documented = {" ".join(word for word in name.split() if not word.isupper()): row for name, row in table.items()}
    assert set(documented) == {name for name, _ in commands()}
    for name, command in commands():
        named = {word.split()[0] for word in quoted(documented[name]) if word.startswith("--")}
        assert named == options(command) - {"--help"}, name


def test_the_options_of_the_whole_are_documented() -> None:
    """`--version` and shell completion are named beside the table of the commands."""
    assert options(COMMANDS) - set(quoted(section(COMMANDS_PAGE, "Commands"))) == set()


def test_arguments_are_written_as_the_command_line_takes_them() -> None:
    """The words in capitals of a row are the arguments of the command, in number and order."""
    for row in rows(section(COMMANDS_PAGE, "Commands")):
        command, left = command_at(row[0].strip("`").split()[1:])
        arguments = [each.display_name_raw for each in command.params if each.param_type_name == "argument"]
        assert left == [name.rstrip(".").upper() for name in arguments], row[0]


@pytest.mark.parametrize(("name", "words"), shell_lines("runbook"), ids=lambda value: str(value)[:60])
def test_runbook_lines_parse(name: str, words: list[str]) -> None:
    """Every `runbook` line in a code block is one that the command line takes."""
    assert refusal(words) == "", name


def test_a_line_that_does_not_parse_is_found() -> None:
    """The check of the lines above refuses unknown commands, unknown options and missing arguments."""
    for words in (["frobnicate"], ["run", "lab", "--frobnicate"], ["run"], ["lab"], ["override", "x"]):
        assert refusal(words) != ""


def test_commands_in_running_text_exist() -> None:
    """A `runbook` command that a document names in a sentence exists."""
    for path in DOCS:
        for words in (word.split() for word in quoted(text_of(path)) if word.startswith("runbook ")):
            command, left = command_at(words[1:])
            is_whole = not hasattr(command, "commands") or words[1:] in (["--help"], ["COMMAND", "--help"])
            assert is_whole or left == [], f"{path.name}: {' '.join(words)}"


def test_messages_name_commands_that_exist() -> None:
    """Whatever a message, an error's next step or a notebook tells people to type is a command that exists."""
    prose = {"is", "was", "cannot"}
    wrong = []
    for where, text in (*messages(), *cells()):
        for found in re.finditer(r"(?<!\w)runbook ([a-z]+)((?: [a-z]+)?)", text):
            command, _ = command_at(found[0].split()[1:])
            if found[1] not in prose and hasattr(command, "commands"):
                wrong.append(f"{where}: {found[0]}")
    assert not wrong, "\n".join(wrong)


def messages() -> Iterator[tuple[str, str]]:
    """Yield the texts in the library's code with their places, docstrings left out."""
    for path in sorted((ROOT / "runbook_lib").rglob("*.py")):
        about = {id(node.value) for node in nodes_of(path) if isinstance(node, ast.Expr)}
        for node in nodes_of(path):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in about:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def cells() -> Iterator[tuple[str, str]]:
    for path in notebooks():
        for cell in nbformat.read(path, 4).cells:
            yield path.name, cell.source


# -- notebooks and parameters ----------------------------------------------------------------------


def notebooks() -> list[Path]:
    return sorted(places.notebooks_dir().glob("*.ipynb"))


def test_every_notebook_is_documented() -> None:
    """The table of stages names each one, once and in order, and whether it changes anything as it says itself."""
    table = rows(section(COMMANDS_PAGE, "The stages"))
    *stages, history = notebooks()
    assert [quoted(row[0])[0] for row in table] == [path.stem for path in stages] == list(Stage)
    assert f"`{history.stem}`" in section(COMMANDS_PAGE, "The stages")
    for row, path in zip(table, stages, strict=True):
        head = nbformat.read(path, 4).cells[0].source
        says = re.search(r"\| \**Changes anything\?\** \| \*\*(\w+)", head)
        assert says, path.name
        assert row[1].strip("*").split(",")[0] == says[1].lower(), path.name


def parameters(path: Path) -> dict[str, Any]:
    return declared_parameters(nbformat.read(path, 4).cells)


def test_every_parameter_is_documented() -> None:
    """The table of parameters names each parameter of each notebook, and no others."""
    documented = {
        (path.stem, quoted(row[0])[0])
        for row in rows(section(COMMANDS_PAGE, "Parameters of the notebooks"))
        for path in notebooks()
        if row[1] == "every notebook" or path.stem in quoted(row[1])
    }
    assert documented == {(path.stem, name) for path in notebooks() for name in parameters(path)}


@pytest.mark.parametrize(("name", "words"), shell_lines("papermill"), ids=lambda value: str(value)[:60])
def test_papermill_lines_fit_the_notebooks(name: str, words: list[str]) -> None:
    """Every papermill line in a code block runs a notebook that exists with parameters that it knows."""
    said = [word.replace("$(runbook paths notebooks)", "notebooks") for word in words]
    notebook = next(word for word in said if word.startswith("notebooks/"))
    given = {words[number + 1] for number, word in enumerate(words) if word in ("-p", "-r")}
    assert given <= set(parameters(ROOT / notebook)), name
    assert "--engine" not in words or words[words.index("--engine") + 1] == "runbook"


# -- words and numbers -----------------------------------------------------------------------------


def test_every_exit_code_is_documented() -> None:
    """The table of exit codes holds every code that an error, a signal or success ends with, and no others."""
    documented = {int(code) for row in rows(section(COMMANDS_PAGE, "Exit codes")) for code in row[0].split(", ")}
    from_errors = {kind.exit_code for kind in ERRORS.values()}
    assert documented == {0, *from_errors, AFTER_SEAL, INTERRUPTED_EXIT, 128 + 15, 128 + 1}


def test_every_error_is_explained() -> None:
    """Each error stands in the troubleshooting's section of its exit code, and no other name does."""
    path = ROOT / "docs" / "troubleshooting.md"
    for code in {kind.exit_code for kind in ERRORS.values()}:
        heading = re.search(rf"^## (Exit code {code}: .*)$", text_of(path), re.M)
        assert heading, code
        table = section(path, heading[1]).split("\n### ")[0]
        wanted = {name for name, kind in ERRORS.items() if kind.exit_code == code}
        assert first_words(table) == wanted, heading[1]


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def environment() -> tuple[set[str], set[str]]:
    """Return the names of the variables that the code reads: ours wherever they stand, others where they are read.

    And all texts that stand in it.
    """
    found, texts = set(), set()
    paths = (*(ROOT / "runbook_lib").rglob("*.py"), *(ROOT / "tools").glob("*.py"))
    for node in (node for path in paths for node in nodes_of(path)):
        if is_text(node):
            texts.add(node.value)
        elif isinstance(node, ast.Call | ast.Subscript):
            asked, inside = (node.func, node.args[:1]) if isinstance(node, ast.Call) else (node.value, [node.slice])
            if inside and is_text(inside[0]) and "environ" in ast.unparse(asked):
                found.add(inside[0].value)
    return found | {text for text in texts if re.fullmatch(r"RUNBOOK_[A-Z_]+", text)}, texts


def test_every_environment_variable_is_documented() -> None:
    """The table of environment variables names each one that the code reads, and none that the code does not know."""
    documented = first_words(section(CONFIGURATION, "Environment variables"))
    read, texts = environment()
    assert read - documented == set()
    assert documented - texts == set()


@pytest.mark.parametrize(
    ("path", "heading", "words"),
    [
        (SAFETY, "Verdicts", Verdict),
        (ROOT / "docs/record.md", "States, outcomes, decisions", models.StageState),
        (ROOT / "docs/record.md", "States, outcomes, decisions", models.Outcome),
        (ROOT / "docs/record.md", "States, outcomes, decisions", Decision),
        (ROOT / "docs/record.md", "States, outcomes, decisions", decisions.Deletion),
        (ROOT / "docs/record.md", "The journal", Kind),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_words_of_the_record_are_explained(path: Path, heading: str, words: type[StrEnum]) -> None:
    """Each verdict, state, outcome, decision, result and kind of line has its row in a table."""
    assert {word.value for word in words} <= first_words(section(path, heading))


def test_verdicts_that_allow_a_deletion_are_said_to() -> None:
    """The table of verdicts says “allowed” of exactly those that allow a deletion by themselves."""
    table = {quoted(row[0])[0]: row[2] for row in rows(section(SAFETY, "Verdicts"))}
    assert {name for name, deletion in table.items() if deletion == "allowed"} == {v for v in Verdict if v.confirmed}


def test_labels_and_phrases_are_listed() -> None:
    """Each label and phrase of the web pages is listed, with the source that the code gives."""
    known = labels_for()
    path = ROOT / "docs/product-facts.md"
    table = {quoted(row[0])[0]: row[2] for row in rows(section(path, "Labels of the web pages"))}
    assert table == {key: label.source for key, label in known.table.items()}
    assert first_words(section(path, "Phrases of the web pages")) == set(known.phrases)


def test_ha_states_are_listed() -> None:
    """Each HA state that is known is listed with what it is taken for."""
    table = rows(section(ROOT / "docs/product-facts.md", "HA states"))
    listed = {state: row[1].split(":")[0] for row in table for state in quoted(row[0])}
    assert listed == {state: kind.value for state, kind in HA_STATES.items()}


def test_lab_is_documented() -> None:
    """Each scenario and fault of the lab has its place in a table, and each look of its pages is named."""
    text = section(LAB, "The lab")
    assert first_words(text) == {*SCENARIOS, *FAULTS}
    assert set(SKINS) - {"default"} <= set(quoted(text))


def test_lab_lines_name_faults() -> None:
    """Every line in a code block that makes the lab misbehave names a fault that it knows."""
    lines = [words for _, words in shell_lines("python") if words[:2] == ["-m", "runbook_lib.lab"]]
    assert lines
    assert all(words[2] == "fault" and words[3] in {*FAULTS, "none"} for words in lines)


# -- site files ------------------------------------------------------------------------------------


def fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
        for inner in fields(annotation).values():
            yield from sections(inner)
    for part in get_args(annotation):
        yield from sections(part)


def test_keys_of_site_files_exist() -> None:
    """A key that a document names in a sentence, as in `policy: named_entries:`, is a key of a site's file."""
    known = {key for root in (Site, LabRequest) for model in sections(root) for key in fields(model)}
    below: dict[str, set[str]] = {}
    for model in sections(Site):
        for key, kind in fields(model).items():
            for inner in sections(kind):
                below.setdefault(key, set()).update(fields(inner))
    for path in DOCS:
        for word in quoted(text_of(path)):
            named = re.fullmatch(r"([a-z_0-9]+):(?: ([a-z_0-9]+):?)?(?: .*)?", word)
            if (
                named
                and word not in set(decisions.Deletion)
                and not re.match(r"labels: |(env|file|keyring|prompt):", word)
            ):
                assert named[1] in known, f"{path.name}: {word}"
                assert named[2] in (None, "true", "false") or named[2] in below.get(named[1], ()), (
                    f"{path.name}: {word}"
                )


# -- targets, links, paths -------------------------------------------------------------------------


def test_make_targets_are_documented() -> None:
    """The table of targets names each target of the Makefile, and every `make` in a document names one."""
    makefile = re.findall(r"^([a-z-]+):", text_of(ROOT / "Makefile"), re.M)
    listed = {word.split()[1] for word in first_words(section(CONTRIBUTING, "Development"))}
    named = {
        word.split()[1] for path in DOCS for word in quoted(text_of(path)) if re.fullmatch(r"make [a-z-]+\b.*", word)
    }
    assert listed == set(makefile)
    assert named | {words[0] for _, words in shell_lines("make")} <= set(makefile)


def slugs(path: Path) -> set[str]:
    """Return the anchors of a document's headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text_of(path), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*DOCS, *TRANSLATED], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    """Every relative link leads to a file of the repository, and every anchor to a heading."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(path)):
        if not re.match(r"[a-z]+:", target):
            name, _, anchor = unquote(target).partition("#")
            file = (path.parent / name).resolve() if name else path
            assert file.exists(), target
            assert not anchor or anchor in slugs(file), target


def test_paths_exist() -> None:
    """A path of the repository that a document names exists; `mysite` is the reader's own."""
    for path in DOCS:
        for word in re.findall(r"(?:runbook_lib|params|docs|notebooks|tests|tools)/[\w./-]*\w", text_of(path)):
            assert (ROOT / word).exists() or "mysite" in word or "<" in word or in_record(path, word), (
                f"{path.name}: {word}"
            )


def in_record(path: Path, word: str) -> bool:
    """Whether a document speaks of the folder of executed notebooks in a record."""
    return word.startswith("notebooks/") and (ROOT / "notebooks" / Path(word).name).exists()


def test_layers_are_those_that_are_walked() -> None:
    """The table of layers is the one by which the imports are checked, less what is not there yet."""
    import test_repository

    there = [
        [
            unit
            for unit in layer
            if (ROOT / "runbook_lib" / unit).is_dir() or (ROOT / "runbook_lib" / f"{unit}.py").is_file()
        ]
        for layer in test_repository.LAYERS
    ]
    table = rows(section(ROOT / "docs/architecture.md", "Layers"))
    assert [quoted(row[0]) for row in table] == [layer for layer in there if layer]


@pytest.mark.parametrize("path", [*DOCS, *TRANSLATED], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_tables_are_whole(path: Path) -> None:
    """Every row of a table has as many cells as its head, since a reader's page splits at every upright bar."""
    tables = re.findall(r"(?:^\|.*\n)+", re.sub(r"^```.*?^```", "", text_of(path), flags=re.M | re.S), re.M)
    for lines in (table.splitlines() for table in tables):
        assert len({len(line.strip("|").split("|")) for line in lines}) == 1, lines[0]


def test_picture_is_text_and_stands_alone() -> None:
    """The picture is well-formed, has a title and a description, and fetches and runs nothing."""
    picture = ElementTree.parse(ROOT / "docs" / "incident.svg")
    tags = {element.tag.rpartition("}")[2] for element in picture.iter()}
    assert {"title", "desc", "text"} <= tags
    assert not tags & {"script", "image", "foreignObject", "use", "a"}


# -- the recipes -----------------------------------------------------------------------------------


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """A record that holds what makes the recipes hard: several scripts, quotes, an empty verdict, a second plan."""
    made = Record.create(tmp_path, "mysite", what='a “test” with "quotes", \\ and é')
    for subject in ('/O=Société "X"/CN=прайм', "/CN=\U0001d54f"):
        plan_rows = (
            row("secondary", "192.0.2.10_8082", subject, Decision.DELETE, Verdict.CONFIRMED_KEY),
            row("primary", "192.0.2.10_8082", subject, Decision.LEFT_ALONE, None),
        )
        plan = Plan(
            site="mysite",
            incident=made.incident,
            made_utc=datetime.now(UTC),
            rows=plan_rows,
            digest="",
            changes=(change(subject, ChangeKind.REGISTER_HA), change(subject, ChangeKind.READD_ISE)),
            format=EVERY_CHANGE,
        )
        made.write_plan(replace(plan, digest=plan_digest(plan)))
    made.keep_bytes("answers/0001-primary-listcerts.txt", b"\x00\xff\r\n", text='"hash":"00",')
    return made


def change(value: str, kind: ChangeKind) -> PlannedChange:
    return PlannedChange(
        kind=kind,
        server="primary",
        target=value,
        condition="",
        rests_on="",
        reason="",
        interrupts="",
        settings=(("Email Address", value), ("Failover Type", "Manual")),
    )


def row(server: str, key: str, subject: str, decision: Decision, verdict: Verdict | None) -> PlanRow:
    return PlanRow(
        server=server, key=key, subject=subject, target="", decision=decision, reason="", command="", verdict=verdict
    )


def run_in(record: Record, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=record.folder, capture_output=True, text=True)


def shell(record: Record, script: str) -> subprocess.CompletedProcess[str]:
    """Run a block as a shell does, in the record's folder whatever folder it goes to."""
    return run_in(record, ["sh", "-c", re.sub(r"^cd .*$", "", script, flags=re.M)])


def test_python_recipes_hold_and_find_a_change(record: Record) -> None:
    """The recipes in Python agree with the software on a record, and refuse it after one byte was changed."""
    chain, plan = blocks(ROOT / "docs/record.md", "python")
    head = record.journal.read().head
    said = run_in(record, [sys.executable, "-c", chain])
    assert said.stdout.split()[-1] == head, said.stderr
    said = run_in(record, [sys.executable, "-c", plan])
    assert {line.split()[0] for line in said.stdout.splitlines()} == {
        p.stem for p in (record.folder / "plans").iterdir()
    }
    change_a_byte(record.folder / "answers" / "0001-primary-listcerts.txt", b"\xff", b"\xfe")
    assert run_in(record, [sys.executable, "-c", chain]).returncode != 0
    for path in (record.folder / "plans").iterdir():
        change_a_byte(path, b"left alone", b"would delete")
    assert run_in(record, [sys.executable, "-c", plan]).returncode != 0


def test_a_script_of_ones_own_reads_values_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script in docs/commands.md, run on an incident whose secondary nothing confirms."""
    incident = Incident(tmp_path, {"secondary": Verdict.UNCONFIRMED})
    plan, stage = incident.write_plan(), Mock(spec=ListCertificates)
    stage.inventory.return_value = View(incident.record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory), ())
    stage.plan.return_value = View(plan, ())
    monkeypatch.setattr("runbook_lib.notebook.opening.open_runbook", lambda *_, **__: stage)
    [script] = blocks(ROOT / "docs/commands.md", "python")
    exec(script, {})
    said = capsys.readouterr().out
    assert said.startswith(f"['secondary']\n{plan.digest} [(")
    assert plan.deletions[0].key in said


def test_shell_recipe_holds_and_finds_a_change(record: Record) -> None:
    """The recipe with sed and sha256sum reaches the journal's head, and names the line that was changed."""
    chain = next(block for block in blocks(ROOT / "docs/record.md", "sh") if "done < journal.jsonl" in block)
    assert shell(record, chain).stdout.split()[-1] == record.journal.read().head
    change_a_byte(record.journal.path, b"0001-primary", b"0002-primary")
    assert "line 4 does not hold" in shell(record, chain).stdout


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed here")
def test_jq_recipes_hold_and_find_a_change(record: Record) -> None:
    """The two recipes with jq agree with the software on a record, and find a change."""
    files, plan = (block for block in blocks(RECORD_PAGE, "sh") if "jq -" in block)
    assert shell(record, files).returncode == 0
    digests = sorted(path.stem for path in (record.folder / "plans").iterdir())
    for digest in digests:
        said = shell(record, plan.replace("plans/*.json", f"plans/{digest}.json"))
        assert said.stdout.split()[0] == digest, said.stderr
    change_a_byte(record.folder / "answers" / "0001-primary-listcerts.txt", b"\xff", b"\xfe")
    assert shell(record, files).returncode != 0


def change_a_byte(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


def promises() -> list[str]:
    """The numbered sentences under “What it will never do”, each on one line."""
    numbered = section(SAFETY, "What it will never do").split("\n1. ", 1)[1].split("\n\n", 1)[0]
    return [" ".join(item.split()) for item in re.split(r"\n\d+\. ", numbered)]


@cache
def claims_of_tests() -> tuple[tuple[str, str], ...]:
    """Every test, as its file and name, with its docstring on one line."""
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        functions = (n for n in nodes_of(path) if isinstance(n, ast.FunctionDef))
        named = (node for node in functions if node.name.startswith("test_"))
        place = path.relative_to(ROOT).as_posix()
        found += [(f"{place}::{node.name}", " ".join((ast.get_docstring(node) or "").split())) for node in named]
    return tuple(found)


@pytest.mark.parametrize(("number", "promise"), list(enumerate(promises(), 1)))
def test_every_promise_names_the_tests_that_claim_it(number: int, promise: str) -> None:
    """What the suite will never do is, word for word, what tests claim; docs/promises.md names each of them."""
    claiming = [place for place, claim in claims_of_tests() if promise in claim]
    assert claiming
    [row] = [row for row in rows((ROOT / "docs" / "promises.md").read_text(encoding="utf-8")) if row[0] == str(number)]
    assert row[1:] == [promise, "<br>".join(f"`{place}`" for place in claiming)]


def test_every_picture_can_be_made_anew() -> None:
    """The script takes each picture in docs/images, light and dark, and each is shown; what it borrows is defined."""
    script = ROOT / "tools" / "pictures.py"
    taken = set(re.findall(r'take\(\w+, "([\w-]+)"', script.read_text(encoding="utf-8")))
    made = {f"{name}-{theme}.png" for name in taken for theme in ("light", "dark")}
    assert made == {path.name for path in (ROOT / "docs" / "images").iterdir()}
    assert made == set(re.findall(r"\(images/([\w-]+\.png)\)", (ROOT / "docs" / "by-hand.md").read_text("utf-8")))
    for node in nodes_of(script):
        path = ROOT / "tests" / "notebooks" / f"{node.module}.py" if isinstance(node, ast.ImportFrom) else script
        if isinstance(node, ast.ImportFrom) and path.is_file():
            named = {getattr(each, "name", "") for each in tree_of(path).body}
            stored = (each for each in nodes_of(path) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store))
            named |= {each.id for each in stored}
            assert {alias.name for alias in node.names} <= named
