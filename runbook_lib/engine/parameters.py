"""Whether the parameters that were given are those of the notebook: names and types, nothing executed.

The cell tagged ``parameters`` declares them: one literal a line, a plain string, integer, float or
boolean. A type annotation and a comment are allowed, anything else in that cell is not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

from runbook_lib.errors import ParameterRefused

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
    source = next((c["source"] for c in cells if "parameters" in c["metadata"].get("tags", ())), "")
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
