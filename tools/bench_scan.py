"""The scan alone, in a process of its own: ``bench_scan.py FILE LITERALS``; prints seconds and the lines with a hit.

With ``lines`` as a third word it prints the lines' numbers, with ``inflate`` it only inflates a gzip file.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from stringzilla import count

from runbook_lib.logs.scanner import STEP
from runbook_lib.logs.search import Search
from runbook_lib.logs.streams import PIECE, PositionedFile


def scan(path: Path, literals: list[bytes], *, number: bool) -> list[int]:
    """Return the numbers of the lines that hold a literal, or with ``number`` off the hits' places in the file."""
    search = Search(literals)
    overlap = max(len(literal) for literal in literals) - 1
    data = bytearray(STEP + overlap)
    view = memoryview(data)
    found: set[int] = set()
    size = base = feeds = 0
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(view[size:]):
            size += read
            stop = max(size - overlap, 0)
            for places in search.positions(data, 0, stop, size).values():
                found.update(feeds + count(view[:at], b"\n") + 1 if number else base + at for at in places)
            if number:
                feeds += count(view[:stop], b"\n")
            base += stop
            view[: size - stop] = view[stop:size]
            size -= stop
        for places in search.positions(data, 0, size, size).values():
            found.update(feeds + count(view[:at], b"\n") + 1 if number else base + at for at in places)
    return sorted(found)


def inflate(path: Path) -> int:
    """Return how many bytes a gzip file holds, inflated as the diagnosis does it."""
    from runbook_lib.logs.inflate import inflated  # no scan needs it

    size = 0
    with path.open("rb") as file:
        stream = inflated(file, lambda: PositionedFile(file.fileno()))
        while chunk := stream.read(PIECE):
            size += len(chunk)
    return size


def main() -> None:
    path = Path(sys.argv[1])
    if sys.argv[3:] == ["inflate"]:
        started, used = time.perf_counter(), time.process_time()
        size = inflate(path)
        taken = {"seconds": time.perf_counter() - started, "processor": time.process_time() - used}
        print(json.dumps({**taken, "size": size}))
        return
    literals = Path(sys.argv[2]).read_bytes().splitlines()
    if sys.argv[3:] == ["lines"]:
        print(json.dumps(scan(path, literals, number=True)))
        return
    started, used = time.perf_counter(), time.process_time()
    hits = len(scan(path, literals, number=False))
    taken = {"seconds": time.perf_counter() - started, "processor": time.process_time() - used}
    print(json.dumps({**taken, "hits": hits}))


if __name__ == "__main__":
    main()
