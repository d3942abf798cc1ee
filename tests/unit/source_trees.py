"""The project's own code as trees: each file is read and parsed once by each process."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def tree_of(path: Path) -> ast.Module:
    """Return what a file of Python says. Nobody changes it: others get the same."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Return every node of it, as ``ast.walk`` finds them."""
    return tuple(ast.walk(tree_of(path)))
