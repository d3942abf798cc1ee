"""Places in logs, short enough for a table: file and line below the folder that they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import commonpath, isabs

from runbook_lib.models import LogLine, Stage

LEAST_PARTS = 2


def place(line: LogLine) -> str:
    """Return where a line stands, as ``/logs/hm-0-0.log:12``."""
    return f"{line.source}:{line.number}"


def first_and_last(evidence: Sequence[LogLine]) -> tuple[str, ...]:
    """Return the places of the first and the last line; one where they are the same."""
    return tuple(dict.fromkeys(place(line) for line in (*evidence[:1], *evidence[-1:])))


def common_folder(places: Sequence[str]) -> str:
    """Return the folder below which all places lie; empty where that says nothing, such as ``/var``."""
    folders = [where.rpartition("/")[0] for where in places]
    if not folders or not all(map(isabs, folders)):
        return ""
    common = commonpath(folders)
    return common if common.count("/") >= LEAST_PARTS else ""


def shorten(places: Sequence[str], folder: str) -> str:
    """Return one place a line, relative to ``folder``; a second line number of one file stands beside the first."""
    shown: dict[str, list[str]] = {}
    for where in places:
        file, _, number = where.rpartition(":")
        numbers = shown.setdefault(file.removeprefix(f"{folder}/") if folder else file, [])
        if number not in numbers:
            numbers.append(number)
    return "\n".join(f"{file}:{', '.join(numbers)}" for file, numbers in shown.items())


def facts_of(stage: Stage) -> str:
    """Return where the record keeps what a stage found, whole."""
    return f"facts/{stage}/ in the record"


def below(folder: str) -> str:
    """Return the sentence that says what the places are relative to."""
    return f"Evidence is file:lines below {folder}." if folder else ""
