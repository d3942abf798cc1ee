"""Run every target of make that is named, also after one that failed, and say at the end how each ended.

``python tools/every_part.py make lint types``. The exit code is 0 where all passed, and that of the first that did
not. Beside each target stands the last line in which pytest told what became of the tests.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence

CLOSING = re.compile(r"=+ (.* in [\d.]+s(?: \([\d:]+\))?) =+")
COLOURS = re.compile(r"\x1b\[[\d;]*m")


def run(command: Sequence[str]) -> tuple[int, str]:
    """Run a command whose output is passed on as it comes; return its exit code and pytest's closing line, or ""."""
    # Only pytest is told that a person reads: what the tests start must not colour what it prints.
    environment = os.environ | ({"PY_COLORS": "1"} if sys.stdout.isatty() else {})
    closing = ""
    with subprocess.Popen([*command], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout
        for line in iter(process.stdout.readline, b""):
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            if told := CLOSING.fullmatch(COLOURS.sub("", line.decode(errors="replace")).strip()):
                closing = told[1]
    return process.returncode, closing


def main(make: str, targets: Sequence[str]) -> int:
    """Run the targets one after another, print how each ended, and return the first exit code that is not 0."""
    ends = {target: run([make, "--no-print-directory", target]) for target in targets}
    print()
    for target, (code, closing) in ends.items():
        how = "passed" if code == 0 else f"FAILED, exit code {code}"
        print(f"make {target}: {how}" + (f" ({closing})" if closing else ""), flush=True)
    return next((code for code, _ in ends.values() if code), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
