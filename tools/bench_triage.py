"""Measure triage: 200 lab sites on this machine, asked by ``runbook fleet triage``; ``--write`` keeps the figures.

Target: under 10 s on two cores, the start of the command included. The lab answers on the same cores, in two processes
of its own; what it costs is printed beside, since a real fleet answers elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

from runbook_lib.paths import project_root

AIM_S = 10.0
BEGIN, END = "<!-- triage: written by tools/bench_triage.py -->", "<!-- end of triage -->"
COMMAND = "from runbook_lib.cli import main; main()"
LAB = """
import sys, time
from runbook_lib.lab.many import ManyLabs
with ManyLabs(sys.argv[1], int(sys.argv[2]), kind="production", monitor_interval_s=600.0):
    print(time.process_time(), flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)
"""


@dataclass(frozen=True)
class Run:
    """One run: seconds by the clock, seconds of a core of the command and of the lab, megabytes of the largest."""

    clock_s: float
    command_s: float
    lab_s: float
    memory_mb: float


class Labs:
    """The lab's processes; each holds its part of the sites."""

    def __init__(self, folder: Path, count: int, processes: int) -> None:
        self._folder = folder
        self._stack = ExitStack()
        shares = [count // processes + (number < count % processes) for number in range(processes)]
        self._running = [self._start(folder / f"lab{number}", share) for number, share in enumerate(shares)]
        self.used_s = sum(float(lab.stdout.readline()) for lab in self._running if lab.stdout)
        sites = []
        for number, share in enumerate(shares):
            for site in sorted((folder / f"lab{number}").glob("site-*/site.yaml")):
                sites.append(self._renamed(site, f"part{number}-{site.parent.name}"))
            assert len(sites) >= share
        self.fleet = folder / "fleet.yaml"
        self.fleet.write_text(yaml.safe_dump({"name": "bench", "sites": [{"file": str(site)} for site in sites]}))

    def _start(self, folder: Path, share: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", LAB, str(folder), str(share)]
        lab = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self._stack.enter_context(lab)

    @staticmethod
    def _renamed(site: Path, name: str) -> Path:
        """A copy of a site's file under a name that no other part of the lab uses."""
        path = site.with_name("renamed.yaml")
        patient = {"connect_s": 60.0, "command_s": 60.0, "probe_s": 60.0}  # a busy machine is slow, not silent
        path.write_text(yaml.safe_dump(yaml.safe_load(site.read_text()) | {"name": name, "deadlines": patient}))
        return path

    def cpu_s(self) -> float:
        """Seconds of a core that the lab used since it was asked last."""
        total = 0.0
        for lab in self._running:
            assert lab.stdin is not None
            assert lab.stdout is not None
            lab.stdin.write("\n")
            lab.stdin.flush()
            total += float(lab.stdout.readline())
        used, self.used_s = total - self.used_s, total
        return used

    def close(self) -> None:
        for lab in self._running:
            assert lab.stdin is not None
            lab.stdin.close()
        self._stack.close()


def measure(labs: Labs, records: Path, processes: int) -> Run:
    """Ask the whole fleet once; every site has to be found repairable."""
    labs.cpu_s()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    words = ["fleet", "triage", str(labs.fleet), "--json", "--processes", str(processes), "--phase-s", "60"]
    command = [sys.executable, "-c", COMMAND, *words]
    environment = os.environ | {"RUNBOOK_RECORDS": str(records)}
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    clock_s = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(said)
    assert found["counts"]["repairable"] == len(found["sites"]), found["counts"]
    return Run(
        clock_s=clock_s,
        command_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        lab_s=labs.cpu_s(),
        memory_mb=after.ru_maxrss / 1024,
    )


def report(count: int, runs: list[Run], processes: int) -> str:
    """Return the figures as Markdown: medians."""

    def median(name: str) -> float:
        return float(statistics.median(getattr(run, name) for run in runs))

    load = os.getloadavg()[0]
    rows = [
        f"| by the clock, start of the command included | {median('clock_s'):.1f} s |",
        f"| of it a core's time of the command, all its processes | {median('command_s'):.1f} s |",
        f"| a core's time of the lab that answers | {median('lab_s'):.1f} s |",
        f"| memory of the largest process | {median('memory_mb'):.0f} MB |",
    ]
    about = (
        f"`runbook fleet triage` of {count} lab sites with {processes} processes, each site with logs, two logins,\n"
        f"two stores, two HA states and eight handshakes; the lab answers on the same cores. Medians of {len(runs)},"
        f"\n{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}"
        f" when it ended. Target: under {AIM_S:.0f} s on two idle cores."
    )
    return "\n".join(["## Triage of a fleet", "", about, "", "| what | figure |", "|---|---|", *rows, ""])


def write(text: str) -> None:
    """Put the figures into their place in docs/performance.md, at its end where there is none yet."""
    path = project_root() / "docs" / "performance.md"
    whole = path.read_text(encoding="utf-8")
    part = f"{BEGIN}\n{text}{END}\n"
    if BEGIN in whole:
        head, _, rest = whole.partition(BEGIN)
        whole = head + part + rest.partition(f"{END}\n")[2]
    else:
        whole = f"{whole.rstrip()}\n\n{part}"
    path.write_text(whole, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        labs = Labs(Path(folder), told.sites, processes=2)
        try:
            runs = [measure(labs, Path(folder) / "records", told.processes) for _ in range(told.runs)]
        finally:
            labs.close()
    text = report(told.sites, runs, told.processes)
    print(text)
    if told.write:
        write(text)
    return 0 if statistics.median(run.clock_s for run in runs) < AIM_S else 1


if __name__ == "__main__":
    sys.exit(main())
