"""Measure a fleet's stages 00, 10 and 20 against the same notebooks under papermill, and write docs/performance.md.

Parts, each also alone (``--part``): ``compare`` (``runbook fleet run --until 20``, a loop of the papermill command,
papermill's API in a loop, the library's calls without notebooks), ``growth``, ``memory``, ``repair`` (whole repairs,
browser included). The lab's sites run in a process of their own on the same cores. The contenders take turns; slow
ones run ``--sample`` of the sites, and what the report says of them is that time multiplied. With ``--write`` the
figures go into the section “Fleet”.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from runbook_lib import paths
from runbook_lib.lab.many import ManyLabs
from runbook_lib.models import Stage

BIN = Path(sys.executable).parent
DOCUMENT = paths.project_root() / "docs" / "performance.md"
STAGES = (Stage.START, Stage.DIAGNOSE, Stage.LIST)
PARTS = ("compare", "growth", "memory", "repair")
COMMANDS, API, FLEET, FLOOR = "papermill commands", "papermill's API", "runbook fleet run", "library calls"


@dataclass(frozen=True)
class Lab:
    """Sites that are up, in a process of their own."""

    folder: Path
    names: tuple[str, ...]

    def file(self, name: str) -> Path:
        return self.folder / name / "site.yaml"


@dataclass
class Taken:
    """Seconds of each round for so many sites, by the clock and of processor time; ``times`` as many are meant."""

    sites: int
    times: float = 1.0
    rounds: list[tuple[float, float]] = field(default_factory=list)

    @property
    def clock(self) -> float:
        return statistics.median(clock for clock, _ in self.rounds) * self.times

    @property
    def processor(self) -> float:
        return statistics.median(processor for _, processor in self.rounds) * self.times


# -- the lab -------------------------------------------------------------------------------------


@contextlib.contextmanager
def lab(count: int, **options: Any) -> Iterator[Lab]:
    """Start so many sites in another process; they end with the block."""
    folder = Path(tempfile.mkdtemp(prefix="fleet-"))
    command = [sys.executable, __file__, "--serve", str(folder), str(count), json.dumps(options)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        names = json.loads(process.stdout.readline())
        yield Lab(folder, tuple(names))
    finally:
        process.communicate()
        shutil.rmtree(folder)


def serve(folder: str, count: str, options: str) -> None:
    """Be the lab's process: say the sites' names, and stay until the input ends."""
    with ManyLabs(folder, int(count), **json.loads(options)) as sites:
        print(json.dumps(sites.names), flush=True)
        sys.stdin.read()


# -- the ways ------------------------------------------------------------------------------------


def environment(records: Path) -> dict[str, str]:
    return os.environ | {"RUNBOOK_RECORDS": str(records), "RUNBOOK_KEY_DIR": str(records / "key")}


def fleet(sites: Lab, names: Sequence[str], records: Path, at_once: int) -> None:
    """The command, in one wave, so that it is measured and not the caution of its waves."""
    chosen = [option for name in names for option in ("--site", name)] if len(names) < len(sites.names) else []
    command: list[str | Path] = [BIN / "runbook", "fleet", "run", sites.folder / "fleet.yaml", "--until", "20"]
    run([*command, "--waves", "100%", "--at-once", str(at_once), *chosen], records)


def papermill_commands(sites: Lab, names: Sequence[str], records: Path, _at_once: int) -> None:
    for name in names:
        for stage in STAGES:
            notebook, out = paths.notebooks_dir() / f"{stage}.ipynb", records / f"{name}-{stage}.ipynb"
            run([BIN / "papermill", "--no-progress-bar", notebook, out, "-p", "site", sites.file(name)], records)


def papermill_api(sites: Lab, names: Sequence[str], records: Path, _at_once: int) -> None:
    jobs = [
        [str(paths.notebooks_dir() / f"{stage}.ipynb"), str(records / f"{name}-{stage}.ipynb"), str(sites.file(name))]
        for name in names
        for stage in STAGES
    ]
    loop = (
        "import json, sys, papermill\n"
        "for notebook, out, site in json.load(sys.stdin):\n"
        "    papermill.execute_notebook(notebook, out, {'site': site}, progress_bar=False)\n"
    )
    run([sys.executable, "-c", loop], records, given=json.dumps(jobs))


def library_calls(sites: Lab, names: Sequence[str], records: Path, at_once: int) -> None:
    """The cells of the same notebooks, run in as many processes as the fleet has workers; no kernel, no output."""
    os.environ.update(environment(records))
    with ProcessPoolExecutor(at_once, get_context("spawn")) as pool:
        list(pool.map(call_cells, [str(sites.file(name)) for name in names]))


def call_cells(site: str) -> None:
    """Run the code of each stage's cells for one site, and what a notebook would show of their values."""
    for stage in STAGES:
        notebook = json.loads((paths.notebooks_dir() / f"{stage}.ipynb").read_text(encoding="utf-8"))
        names: dict[str, Any] = {}
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                call(ast.parse("".join(cell["source"])), names)
                names["site"] = site


def call(tree: ast.Module, names: dict[str, Any]) -> None:
    last = tree.body[-1]
    body = tree.body[:-1] if isinstance(last, ast.Expr) else tree.body
    with contextlib.redirect_stdout(None):
        exec(compile(ast.Module(body, []), "cell", "exec"), names)  # noqa: S102 (our own notebooks)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # noqa: S307
            getattr(value, "_repr_html_", lambda: "")()


WAYS: dict[str, Callable[[Lab, Sequence[str], Path, int], None]] = {
    FLEET: fleet,
    COMMANDS: papermill_commands,
    API: papermill_api,
    FLOOR: library_calls,
}


def run(command: Sequence[str | Path], records: Path, given: str = "") -> None:
    done = subprocess.run(
        [str(each) for each in command], env=environment(records), input=given, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} ended by {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def timed(way: str, sites: Lab, names: Sequence[str], at_once: int) -> tuple[float, float]:
    """Run one way once, in records of its own; return the seconds by the clock and of processor time, all cores."""
    with tempfile.TemporaryDirectory(prefix="records-") as records:
        start, before = time.perf_counter(), children_s()
        WAYS[way](sites, names, Path(records), at_once)
        return time.perf_counter() - start, children_s() - before


def children_s() -> float:
    """Return the processor time of the children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# -- the parts -----------------------------------------------------------------------------------


def compare(options: argparse.Namespace) -> list[str]:
    """Return the section that compares the ways."""
    taken = {way: Taken(options.sites) for way in WAYS}
    for slow in (COMMANDS, API):
        taken[slow] = Taken(options.sample, options.sites / options.sample)
    with lab(options.sites) as sites:
        for number in range(options.rounds):
            for way, one in taken.items():
                one.rounds.append(timed(way, sites, sites.names[: one.sites], options.at_once))
                clock, processor = one.rounds[-1]
                say(f"round {number + 1}: {way}: {clock:.1f} s ({processor:.1f} s processor) for {one.sites} sites")
    ours = taken[FLEET]
    how = (
        "Targets: at least 15 times faster than the commands, 8 times faster than the API. "
        f"Medians of {options.rounds} rounds, in which the contenders took turns; {options.at_once} sites at a time "
        "where there are several. The two loops were run for the sites in the second column, and that time multiplied."
    )
    lines = [
        f"### {options.sites} sites, the stages 00, 10 and 20",
        "",
        how,
        "",
        "| way | sites run | seconds for all | times ours | processor time | times ours |",
        "|---|---|---|---|---|---|",
    ]
    for way, one in taken.items():
        by_clock = f"{one.clock:.1f} | {one.clock / ours.clock:.2f}"
        used = f"{one.processor:.1f} | {one.processor / ours.processor:.2f}"
        lines.append(f"| {way} | {one.sites} | {by_clock} | {used} |")
    return lines


def growth(options: argparse.Namespace) -> list[str]:
    """Return the section on how the time grows with the number of sites."""
    lines = ["### From ten sites to a thousand", "", "| sites | seconds | a site | processor time a site |"]
    lines.append("|---|---|---|---|")
    for count in options.growth:
        with lab(count) as sites:
            seconds, processor = timed(FLEET, sites, sites.names, options.at_once)
        say(f"{count} sites: {seconds:.1f} s")
        lines.append(f"| {count:,} | {seconds:.1f} | {seconds / count:.2f} | {processor / count:.2f} |")
    return lines


def memory(options: argparse.Namespace) -> list[str]:
    """Return the section on memory: the most that a run's processes held (PSS), with few and more sites at a time."""
    counts = (options.at_once, options.at_once * 2)
    most = []
    with lab(options.at_once * 6) as sites:
        for at_once in counts:
            with Watch() as watch:
                timed(FLEET, sites, sites.names, at_once)
            most.append(watch.most_kb / 1024)
            say(f"{at_once} at a time: {most[-1]:.0f} MB")
    each = (most[1] - most[0]) / (counts[1] - counts[0])
    return [
        "### Memory of a fleet",
        "",
        "The largest sum of the shares (PSS) of all processes of the command, kernels included, the lab not.",
        "",
        "| sites at a time | most memory |",
        "|---|---|",
        *(f"| {count} | {mb:.0f} MB |" for count, mb in zip(counts, most, strict=True)),
        "",
        f"Each further site at a time takes {each:.0f} MB.",
    ]


class Watch:
    """Looks a few times a second what this process's children hold together, the lab's process left out."""

    def __init__(self) -> None:
        self.most_kb = 0
        self._others = set(below(os.getpid()))
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.2):
            ours = [pid for pid in below(os.getpid()) if pid not in self._others]
            self.most_kb = max(self.most_kb, sum(map(pss_kb, ours)))


def below(root: int) -> list[int]:
    """Return the processes below one, as of now."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found[1:]


def pss_kb(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(rollup.partition("\nPss:")[2].split()[0])


def repair(options: argparse.Namespace) -> list[str]:
    """Return the section on whole repairs: plan, approval and all stages, the pages in a browser."""
    with lab(options.repair) as sites, tempfile.TemporaryDirectory(prefix="records-") as folder:
        records, file = Path(folder), sites.folder / "fleet.yaml"
        seconds = [time.perf_counter()]
        run([BIN / "runbook", "fleet", "plan", file], records)
        seconds.append(time.perf_counter())
        (rollup,) = records.glob("fleet-*/rollups/*.json")
        run([BIN / "runbook", "fleet", "approve", rollup.parents[1].name, rollup.stem, "--by", "the bench"], records)
        start, before = time.perf_counter(), children_s()
        with Watch() as watch:
            run(
                [BIN / "runbook", "fleet", "run", file, "--waves", "100%", "--at-once", str(options.repair_at_once)],
                records,
            )
        whole, processor = time.perf_counter() - start, children_s() - before
        stages = stage_seconds(records)
    say(f"repair of {options.repair} sites: {whole:.1f} s")
    how = (
        f"Plan {seconds[1] - seconds[0]:.1f} s; run {whole:.1f} s, {whole / options.repair:.1f} s a site, "
        f"{options.repair_at_once} at a time, {processor / options.repair:.1f} s of processor time a site, at most "
        f"{watch.most_kb / 1024:.0f} MB (PSS), the one browser included. A registration takes 3 s in the lab. What "
        "bounds a site is stage 60: it looks for `deadlines.quiet_s`, 61 s in this lab, whether anybody is rejected "
        "again. "
        "Many sites at a time wait for that together, and then the processor bounds them. Where the time of a site "
        "goes, as the executed notebooks say:"
    )
    return [
        f"### The whole repair of {options.repair} sites",
        "",
        how,
        "",
        "| stage | median seconds |",
        "|---|---|",
        *(f"| `{stage}` | {statistics.median(each):.1f} |" for stage, each in sorted(stages.items())),
    ]


def stage_seconds(records: Path) -> dict[str, list[float]]:
    """Return how long each stage took at each site, as the executed notebooks say."""
    found: dict[str, list[float]] = {}
    for path in records.glob("*/notebooks/*.ipynb"):
        about = json.loads(path.read_text(encoding="utf-8"))["metadata"]["papermill"]
        if about.get("duration"):
            found.setdefault(path.stem, []).append(about["duration"])
    return found


# -- the report ----------------------------------------------------------------------------------


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure what was asked for, print it, and write it where that was asked for, too."""
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--part", action="append", choices=PARTS, help="this part alone; may be given several times")
    parser.add_argument("--sites", type=int, default=100)
    parser.add_argument("--sample", type=int, default=10, help="sites that the slow contenders run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--growth", type=lambda text: [int(n) for n in text.split(",")], default=[10, 100, 1000])
    parser.add_argument("--repair", type=int, default=20)
    parser.add_argument("--repair-at-once", type=int, default=10)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    parts: dict[str, Callable[[argparse.Namespace], list[str]]] = {
        "compare": compare,
        "growth": growth,
        "memory": memory,
        "repair": repair,
    }
    sections = ["\n".join(parts[part](options)) for part in options.part or PARTS]
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    head = f"## Fleet\n\n{os.cpu_count()} cores, which the lab's sites share; load at the end {load}."
    report = "\n\n".join([head, *sections]) + "\n"
    print(report)
    if options.write:
        kept = re.sub(r"(?ms)^## Fleet\n.*?(?=^## |^<!-- |\Z)", "", DOCUMENT.read_text(encoding="utf-8")).rstrip("\n")
        DOCUMENT.write_text(f"{kept}\n\n{report}", encoding="utf-8")


if __name__ == "__main__":
    main()
