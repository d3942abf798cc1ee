"""Run every target of make that is named, also after one that failed, and say at the end how each ended.

``python tools/every_part.py make lint types+nbval pytest``. Targets joined by ``+`` run at the same time; what they say
is shown one after the other. The exit code is 0 where all passed, and that of the first that did not. Beside each
target stands the last line in which pytest told what became of the tests.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

CLOSING = re.compile(r"=+ (.* in [\d.]+s(?: \([\d:]+\))?) =+")
COLOURS = re.compile(r"\x1b\[[\d;]*m")
PREPARED = "PREPARED_IN"
"""Names the folder in which make has seen to what every target needs, before it started this."""


def run(make: str, targets: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Run targets at the same time; return the exit code of each and pytest's closing line, or "".

    What the first one says is passed on as it comes, what the others say once the ones before have ended.
    """
    # Only pytest is told that a person reads: what the tests start must not colour what it prints.
    environment = os.environ | {PREPARED: str(Path.cwd())} | ({"PY_COLORS": "1"} if sys.stdout.isatty() else {})
    command = [make, "--no-print-directory"]
    with ExitStack() as stack:
        first = stack.enter_context(
            subprocess.Popen([*command, targets[0]], stdout=subprocess.PIPE, env=environment),
        )
        others = [(target, stack.enter_context(tempfile.TemporaryFile())) for target in targets[1:]]
        processes = [
            stack.enter_context(subprocess.Popen([*command, target], stdout=said, env=environment))
            for target, said in others
        ]
        assert first.stdout
        closing = pass_on(first.stdout)
        ends = {targets[0]: (first.wait(), closing)}
        for (target, said), process in zip(others, processes, strict=True):
            code = process.wait()
            said.seek(0)
            ends[target] = (code, pass_on(said))
    return ends


def pass_on(lines: IO[bytes]) -> str:
    """Show lines as they come; return pytest's closing line among them, or ""."""
    closing = ""
    for line in iter(lines.readline, b""):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        if told := CLOSING.fullmatch(COLOURS.sub("", line.decode(errors="replace")).strip()):
            closing = told[1]
    return closing


def main(make: str, parts: Sequence[str]) -> int:
    """Run the parts one after another, print how each target ended, and return the first exit code that is not 0."""
    ends: dict[str, tuple[int, str]] = {}
    for part in parts:
        ends |= run(make, part.split("+"))
    print()
    for target, (code, closing) in ends.items():
        how = "passed" if code == 0 else f"FAILED, exit code {code}"
        print(f"make {target}: {how}" + (f" ({closing})" if closing else ""), flush=True)
    return next((code for code, _ in ends.values() if code), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
