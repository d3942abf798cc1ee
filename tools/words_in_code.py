"""Which texts of a module people read: sentences, and the single words that head and fill tables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SPEAKING = (
    "batch/runner.py",
    "certificates",
    "decisions.py",
    "device",
    "errors.py",
    "logs",
    "models.py",
    "notebook",
    "observations.py",
    "params",
    "paths.py",
    "record",
    "redactor.py",
    "repair",
    "secrets.py",
    "show",
    "web",
)
"""Modules and packages whose texts reach a notebook or a view."""
_TABLES = {"params/labels.py", "device/answers.py", "device/names.py", "device/tofu.py", "device/ise_api.py"}
"""Tables of the product's own words, and parsers."""
_ENGLISH = {"show/report_model.py", "show/report_page.py", "show/report_reading.py"}
_ENGLISH |= {"show/report_sections.py", "show/svg.py"}
"""What is kept, and therefore stays in English."""
_TO_LOGS = {"notebook/engine.py", "notebook/engine_run.py", "notebook/provisioner.py"}
_TO_LOGS |= {f"notebook/{name}.py" for name in ("states", "forked_kernel", "warm_kernels", "warm_process")}
_TO_LOGS |= {"record/history.py"}
"""What speaks to terminals and logs only."""
SILENT = _TABLES | _ENGLISH | _TO_LOGS
WORDS = {"headers", "title", "caption", "description", "empty", "note", "placeholder", "tooltip", "label"}
WORDS |= {"expected", "actual", "fold"}
"""Arguments that are shown even where they hold a single word."""
SHOWN_BY = {"gettext": 1, "Link": 1, "button": 2, "text_field": 2, "FieldGroup": 1, "FieldSpec": 2, "label": 1}
"""Calls that show their first arguments, and how many of them."""
TOGETHER = (
    "1 day",
    "{0} days",
    "1 entry",
    "{0} entries",
    "LAB",
    "PRODUCTION",
    "Second ISE",
    "approved by {0}: plan {1}",
    "attempt {0}: {1}",
    "certificate of {0}: {1}: {2} (presented: {3})",
    "NO TIME STAMP: {0}",
    "NOT SIGNED: {0}",
    "accepted",
    "from {0}",
    "good",
    "incident opened for site {0} by {1}",
    "register HA",
    "shell, then: {0} (recalled)",
    "stage begins, by {0}",
    "nothing",
    "passed",
    "plan: {0}",
    "stage ends: {0}",
    "stage ends: {0} ({1})",
    "stage {0}",
    "stage {0}, {1}",
    "user id {0}",
    "{0} (expected: {1})",
    "{0} (recalled)",
    "{0} on the primary; HA is registered again afterwards (40_register_ha).",
    "{0} on the primary; the ISE server is added again afterwards (50_readd_ise).",
    "{0} on the secondary; HA is registered again afterwards (40_register_ha).",
    "{0} on the server whose log it is.",
    "{0}, release {1}",
)
"""Texts that are put together where they are shown, often from several fields of a journal line."""
_NAMED_WORDS = re.compile("words|headers|questions|bands|always")
_SENTENCE = re.compile(r"[A-Za-z]{2,}[,;:.)”]* [^\n]*[a-z]{2,}")
_CODE = re.compile(
    r"\\[a-zA-Z]|\(\?|=>|</?\w+[ >]|@media|\|[A-Z\[]|^[\w./-]+\.(?:py|js|html)$|^/\w[\w./ -]+$"
    r"|^:is\(|^[\w.-]+\{|\{--|-serif|monospace|default-src|border-left|HTTP/1|\.pic\{|^row wrap$|^[a-z-]+:[^ ;]+;"
)
"""Patterns, scripts and styles are no words."""


Nodes = tuple[ast.AST, ...]


def texts_of(path: Path, library: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the texts of one module, values as ``{0}``, ``{1}``, …, with the expressions that stand there."""
    place = path.relative_to(library).as_posix()
    if not {place, place.split("/")[0]} & set(SPEAKING) or place in SILENT:
        return
    nodes = tuple(ast.walk(ast.parse(path.read_text())))
    skipped = set(_docstrings(nodes)) | set(_inside(nodes))
    words = set(_words(nodes))
    for node in nodes:
        if id(node) in skipped or not isinstance(node, ast.Constant | ast.JoinedStr):
            continue
        text, values = _text(node)
        bare = text.strip()
        if not re.search(r"[A-Za-z]", re.sub(r"\{\d+\}", "", bare)) or _CODE.search(bare):
            continue
        if id(node) in words or _SENTENCE.search(bare):
            yield bare, values


def _text(node: ast.AST) -> tuple[str, list[str]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        names = re.findall(r"\{(\w+)\}", node.value)
        text = node.value
        for number, name in enumerate(names):
            text = text.replace(f"{{{name}}}", f"{{{number}}}", 1)
        return text, names
    if not isinstance(node, ast.JoinedStr):
        return "", []
    text = ""
    values: list[str] = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            text += f"{{{len(values)}}}"
            values.append(ast.unparse(part.value))
        elif isinstance(part, ast.Constant):
            text += str(part.value)
    return text, values


def _docstrings(nodes: Nodes) -> Iterator[int]:
    """Yield every string that stands alone: docstrings, and what is said of a name above."""
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)


def _inside(nodes: Nodes) -> Iterator[int]:
    """Yield the pieces of texts with places, which are no texts of their own, and their format codes."""
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            for part in node.values:
                if isinstance(part, ast.Constant):
                    yield id(part)
                elif isinstance(part, ast.FormattedValue) and part.format_spec is not None:
                    yield from (id(each) for each in ast.walk(part.format_spec))


def _words(nodes: Nodes) -> Iterator[int]:
    """Yield what is shown even as a single word: arguments that are, cells, word tables, states and verdicts."""
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            for argument in node.args[: SHOWN_BY.get(name, 0)]:
                yield from _choices(argument)
            yield from (id(cell) for cell in node.args if name == "Row")
        if isinstance(node, ast.keyword) and node.arg in WORDS:
            yield from _strings(node.value)
        elif isinstance(node, ast.ClassDef) and any(isinstance(b, ast.Name) and b.id == "StrEnum" for b in node.bases):
            for line in node.body:
                if isinstance(line, ast.Assign):
                    yield from _strings(line.value)
        elif isinstance(node, ast.Assign) and any(_names_words(target) for target in node.targets):
            yield from _strings(node.value)
        elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "rows" for t in node.targets):
            rows = (row for row in ast.walk(node.value) if isinstance(row, ast.Tuple))
            yield from (id(cell) for row in rows for cell in row.elts)


def _names_words(target: ast.expr) -> bool:
    """Whether what is assigned is shown: by its name, or as what a check expects, which is named beside the check."""
    if isinstance(target, ast.Tuple):
        return any(isinstance(each, ast.Name) and each.id == "expected" for each in target.elts)
    return isinstance(target, ast.Name) and bool(_NAMED_WORDS.search(target.id.lower()))


def _choices(node: ast.expr) -> Iterator[int]:
    """Yield a text, or each of those of which one is shown."""
    for each in (node.body, node.orelse) if isinstance(node, ast.IfExp) else (node,):
        yield id(each)


def _strings(node: ast.AST) -> Iterator[int]:
    return (
        id(each)
        for each in ast.walk(node)
        if isinstance(each, ast.JoinedStr) or (isinstance(each, ast.Constant) and isinstance(each.value, str))
    )
