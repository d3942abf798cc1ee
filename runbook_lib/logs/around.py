"""The lines around lines that are known: a second look at logs, for what a record keeps of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from runbook_lib.errors import UsageError, cut
from runbook_lib.logs.sources import LogFile, list_logs, read_logs
from runbook_lib.logs.streams import Notes

BEFORE, AFTER = 3, 12
LINE_LIMIT = 1000
_REACH = 1 << 16
"""Bytes of a line that are read: so many more that a secret which ends here is far behind what is kept of the line."""
MOST_READ = 512 << 20
"""Bytes that are read again for it, unpacked: what lies behind them stays without its surroundings."""
_CHUNK = 1 << 20

Lines = dict[int, str]
"""Lines by their number from 1, each cut at LINE_LIMIT characters."""


def lines_around(paths: Sequence[Path], wanted: Mapping[str, Iterable[int]]) -> dict[str, Lines]:
    """Return the lines around the wanted ones, by the name of the log (as ``LogLine.source`` has it).

    A log that is gone, damaged, or lies behind MOST_READ bytes is left out, or ends early. Raises nothing for that.
    """
    numbers = {name: _around(lines) for name, lines in wanted.items()}
    found: dict[str, Lines] = {}
    left = MOST_READ
    try:
        files = [file for file in list_logs(paths) if any(name.startswith(str(file.path)) for name in numbers)]
        for log in read_logs(files, Notes()):
            if log.name in numbers and left > 0:
                found[log.name], read = _read(log, numbers[log.name], left)
                left -= read
            if left <= 0 or found.keys() == numbers.keys():
                break
    except UsageError:
        pass  # what could be read first can no longer be: the evidence itself is kept all the same
    return found


def _around(lines: Iterable[int]) -> set[int]:
    return {near for number in lines for near in range(max(1, number - BEFORE), number + AFTER + 1)}


def _read(log: LogFile, numbers: set[int], limit: int) -> tuple[Lines, int]:
    """Read up to the last wanted line; return the lines, and how many bytes were read."""
    lines: Lines = {}
    number, rest, read, last = 1, b"", 0, max(numbers)
    chunk = memoryview(bytearray(_CHUNK))
    while number <= last and read < limit and (count := log.stream.readinto(chunk)):
        read += count
        data = rest + bytes(chunk[:count])
        feeds = data.count(b"\n")
        if numbers.isdisjoint(range(number, number + feeds + 1)):
            rest = data[data.rfind(b"\n") + 1 :][-_REACH:]
        else:
            *whole, rest = data.split(b"\n")
            lines |= {at: _text(line) for at, line in enumerate(whole, start=number) if at in numbers}
            rest = rest[:_REACH]
        number += feeds
    if number in numbers and rest:
        lines[number] = _text(rest)
    return lines, read


def _text(line: bytes) -> str:
    return cut(line[:_REACH].rstrip(b"\r").decode("utf-8", "replace"), LINE_LIMIT)
