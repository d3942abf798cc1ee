"""Measure the list of incidents: so many records made, indexed once, then listed and searched; prints the figures.

Target: 10,000 records list in under a second after indexing, the start of the command included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from runbook_lib.models import Outcome, Stage
from runbook_lib.record.history import Query, past_incidents
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind

AIM_S = 1.0
ANSWER = b"host=192.0.2.10_8082;  subject=/C=US/ST=CA/L=SJ/O=Cisco Systems/OU=Prime Infra/CN=prime-pri\r\n"
COMMAND = (sys.executable, "-c", "from runbook_lib.cli import main; main()", "history")


def make_records(root: Path, count: int) -> None:
    """Records of forty sites, each with ten answers and a deletion; not made to survive a power cut."""
    os.fsync = lambda fd: None  # noqa: ARG005 (the form of the real one)
    for number in range(count):
        record = Record.create(root, f"site{number % 40}", what="a measurement")
        for answer in range(10):
            record.keep_bytes(f"answers/{answer:04d}-primary-listcerts.txt", ANSWER * 5, kind=Kind.OBSERVED)
        change = record.intend(Stage.DELETE, "primary", f"192.0.2.{number % 250}_8082")
        change.sent()
        change.result("gone")
        record.set_outcome(Outcome.REPAIRED)


def seconds(act: Callable[[], object]) -> tuple[float, float]:
    """How long it took, and how much of a processor's time."""
    started, used = time.perf_counter(), _used()
    act()
    return time.perf_counter() - started, _used() - used


def _used() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def tell(what: str, act: Callable[[], object], rounds: int = 1) -> float:
    """Print the best of so many rounds, and return its seconds."""
    took, used = min(seconds(act) for _ in range(rounds))
    print(f"{what}: {took:.3f} s, processor time {used:.2f} s", flush=True)
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    count: int = parser.parse_args().records
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "records"
        known = os.environ | {"RUNBOOK_RECORDS": str(root)}
        tell(f"{count} records made", lambda: make_records(root, count))
        tell("indexed once", lambda: past_incidents(root))
        listed = tell("listed", lambda: past_incidents(root), rounds=3)
        tell("one site", lambda: past_incidents(root, Query(site="site7")))
        tell("searched", lambda: past_incidents(root, Query(text="192.0.2.77_8082")))
        tell(
            "runbook history, start included",
            lambda: subprocess.run(COMMAND, env=known, check=True, stdout=subprocess.DEVNULL),
            rounds=3,
        )
    return 0 if listed < AIM_S else 1


if __name__ == "__main__":
    sys.exit(main())
