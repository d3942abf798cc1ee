"""What is wrong with a fleet's description: every problem of every site, each with its place, in one refusal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from runbook_lib.errors import SiteFileInvalid
from runbook_lib.params.load import MOST_SHOWN
from runbook_lib.params.source import Document, dotted, shown_key


class Problems:
    """Collects problems as ``file:line: site: key: what is wrong; what to write instead``."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._found: dict[tuple[str, int, str], None] = {}

    def say(self, text: str, *, line: int = 0, file: Path | None = None) -> None:
        self._found[(file or self._source).name, line, text] = None

    def take(self, document: Document, *, site: str = "", file: Path | None = None) -> None:
        """Take over every problem of a document, in the order of its keys; what it says of ``site``, by that name."""
        for problem in sorted(document.problems, key=lambda each: (each.line, dotted(each.where))):
            parts = [part for part in (site, shown_key(problem.where), problem.text) if part]
            self.say(": ".join(parts), line=problem.line, file=file)

    def take_lines(self, lines: Iterable[str]) -> None:
        """Take over lines that are worded already."""
        for line in lines:
            self._found["", 0, line] = None

    def raise_for_them(self) -> None:
        """Raise SiteFileInvalid with all of them, where there are any; the first 100 are shown."""
        if not self._found:
            return
        lines = [_line(*each) for each in self._found]
        count = "one problem" if len(lines) == 1 else f"{len(lines)} problems"
        left = [f"… and {len(lines) - MOST_SHOWN} more"] if len(lines) > MOST_SHOWN else []
        raise SiteFileInvalid(
            f"The fleet's description has {count}; nothing was contacted",
            where=str(self._source),
            found="\n".join(lines[:MOST_SHOWN] + left),
            next_step="correct it and try again; params/fleet.example.yaml and docs/fleet.md explain every key",
        )


def _line(file: str, line: int, text: str) -> str:
    return f"{file}:{line}: {text}" if line else f"{file}: {text}" if file else text
