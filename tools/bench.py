"""Measure the log diagnosis beside ripgrep and grep, check that they find the same, and write docs/performance.md.

What others wrote there (sections of other titles) stays.

Every round runs each contender once, one after the other, so that whatever else the machine does meets
all of them; what is compared are medians over the rounds, as ratios within one run. ``--rounds`` (5 at
least counts), ``--megabytes`` (smaller for a try: then nothing is written).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench_corpus import EVENT, Corpus, write_log, write_sparse

from runbook_lib.logs.mismatch import LITERAL
from runbook_lib.logs.rules import RULES

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs" / "performance.md"
RUNBOOK = Path(sys.executable).parent / "runbook"
SCAN = Path(__file__).resolve().parent / "bench_scan.py"
LEAST_ROUNDS = 5
GIGABYTE = 1024
FOUND = (0, 1, 10, 11)


Taken = tuple[float, float]
"""Seconds by the clock, and seconds of processor time over all cores."""


@dataclass
class Contender:
    """One way to do it."""

    name: str
    run: Callable[[], Taken]
    taken: list[Taken] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(clock for clock, _ in self.taken)

    @property
    def best(self) -> float:
        return min(clock for clock, _ in self.taken)

    @property
    def processor(self) -> float:
        return statistics.median(processor for _, processor in self.taken)


@dataclass
class Comparison:
    """Contenders for one task: ours first. ``target`` is what the ratio to ``against`` shall be at most."""

    title: str
    contenders: list[Contender]
    target: str
    note: str = ""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS)
    parser.add_argument("--megabytes", type=int, default=GIGABYTE)
    parser.add_argument(
        "--folder", type=Path, help="where the logs are made and removed again (default: a temporary one)"
    )
    given = parser.parse_args()
    missing = [tool for tool in ("rg", "grep", "zcat", "gzip", "tar", "taskset") if shutil.which(tool) is None]
    if missing:
        print(f"Not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="bench-") as folder:
        text = _bench(Path(folder), given.megabytes, max(given.rounds, 1))
    print(text)
    if given.megabytes >= GIGABYTE and given.rounds >= LEAST_ROUNDS:
        REPORT.write_text(text + _of_others(REPORT, text), encoding="utf-8")
        print(f"written to {REPORT.relative_to(ROOT)}")
    return 0


def _bench(folder: Path, megabytes: int, rounds: int) -> str:
    _say(f"making {megabytes} MB of log")
    corpus = write_log(folder / "hm-0-0.log", megabytes << 20)
    literals = _write_lines(folder / "all.txt", sorted({LITERAL, *(x for rule in RULES for x in rule.literals)}))
    one = _write_lines(folder / "one.txt", [LITERAL])
    same = _check(corpus, literals, one)
    _say("packing it")
    gz, tar = folder / "hm-0-0.log.gz", folder / "bundle.tar.gz"
    with gz.open("wb") as file:
        subprocess.run(["gzip", "-6", "-c", str(corpus.path)], stdout=file, check=True)
    subprocess.run(["tar", "-C", str(folder), "-I", "gzip -6", "-cf", str(tar), corpus.path.name], check=True)
    same += " " + _check_packed(corpus, literals, gz, tar)
    parts = folder / "parts"
    parts.mkdir()
    for number in range(4):
        write_log(parts / f"part{number}-x.log", (megabytes << 20) // 4)
    tiny = folder / "tiny.log"
    tiny.write_bytes(EVENT)  # what is no log of the product's is refused
    comparisons = _comparisons(corpus, literals, one, gz, tar, parts, tiny)
    for number in range(rounds):
        _say(f"round {number + 1} of {rounds}")
        for comparison in comparisons:
            for contender in comparison.contenders:
                contender.taken.append(contender.run())
    ratio = corpus.size / gz.stat().st_size
    return _report(corpus, ratio, comparisons, rounds, same, _memory(folder, corpus, gz, tar))


def _comparisons(
    corpus: Corpus, literals: Path, one: Path, gz: Path, tar: Path, parts: Path, tiny: Path
) -> list[Comparison]:
    log = str(corpus.path)
    rg, grep = ["rg", "--no-config", "-a", "-c", "-F", "-f"], ["grep", "-a", "-c", "-F", "-f"]

    def ours(path: Path) -> list[str]:
        return [str(RUNBOOK), "diagnose", "--json", "--server", f"primary={path}"]

    def piped(path: Path, patterns: Path) -> list[str]:
        return ["sh", "-c", f"zcat {path} | rg --no-config -a -c -F -f {patterns}"]

    count = len(literals.read_bytes().splitlines())
    return [
        Comparison(
            "the scan for all literals of the rules, one core",
            [
                Contender("our scan", lambda: _scan(corpus.path, literals)),
                Contender("ripgrep", lambda: _timed([*rg, str(literals), log], pinned=True)),
                Contender("grep -F", lambda: _timed([*grep, str(literals), log], pinned=True)),
            ],
            f"no slower than ripgrep. There are {count} literals",
        ),
        Comparison(
            "the scan for the one literal of the mismatch, one core",
            [
                Contender("our scan", lambda: _scan(corpus.path, one)),
                Contender("ripgrep", lambda: _timed([*rg, str(one), log], pinned=True)),
                Contender("grep -F", lambda: _timed([*grep, str(one), log], pinned=True)),
            ],
            "no slower than ripgrep",
        ),
        Comparison(
            "the whole command, one core",
            [
                Contender("runbook diagnose", lambda: _timed(ours(corpus.path), pinned=True)),
                Contender("ripgrep, the same literals", lambda: _timed([*rg, str(literals), log], pinned=True)),
                Contender("ripgrep, one literal", lambda: _timed([*rg, str(one), log], pinned=True)),
            ],
            "within 2 times ripgrep for the same literals",
            "Whole processes; the fair comparison is that for the same literals: the command looks for all of them"
            " in one go, and what it says of look-alikes needs them. Beside ripgrep for one literal it pays for its"
            " start (below), for the other literals, for counting the lines by which evidence is named, and for reading"
            " instead of mapping.",
        ),
        Comparison(
            "four files, all cores",
            [
                Contender("runbook diagnose", lambda: _timed(ours(parts))),
                Contender("ripgrep, the same literals", lambda: _timed([*rg, str(literals), str(parts)])),
            ],
            "within 2 times ripgrep",
        ),
        Comparison(
            "start-up: a log of one line",
            [Contender("runbook diagnose", lambda: _timed(ours(tiny)))],
            "under 0.2 s",
        ),
        *(
            Comparison(
                title,
                [
                    Contender("runbook diagnose", lambda path=path: _timed(ours(path))),  # type: ignore[misc]
                    *(
                        Contender(f"{tool}, {what}", lambda run=run: _timed(run))  # type: ignore[misc]
                        for patterns, what in ((literals, "the same literals"), (one, "one literal"))
                        for tool, run in (
                            ("zcat, ripgrep", piped(path, patterns)),
                            ("rg -z", [*rg, str(patterns), "-z", str(path)]),
                        )
                    ),
                    Contender("only inflating: zcat", lambda path=path: _timed(["zcat", str(path)], unread=True)),  # type: ignore[misc]
                    Contender("only inflating: as the command does", lambda path=path: _inflating(path)),  # type: ignore[misc]
                ],
                "at least 4 times faster: 0.25 at most, also for one literal",
            )
            for title, path in ((".gz", gz), (".tar.gz", tar))
        ),
    ]


# -- running ------------------------------------------------------------------------------------------


def _timed(command: Sequence[str], *, pinned: bool = False, unread: bool = False) -> Taken:
    started, used = time.perf_counter(), _used()
    # Into a pipe: grep stops at the first match where its output goes to /dev/null.
    output = subprocess.DEVNULL if unread else subprocess.PIPE
    done = subprocess.run(_on_one_core(command) if pinned else command, stdout=output, check=False)
    seconds = time.perf_counter() - started
    if done.returncode not in FOUND:
        raise SystemExit(f"{command[0]} ended with {done.returncode}")
    return seconds, _used() - used


def _used() -> float:
    """Return the processor time of everything that was started and has ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _scan(path: Path, literals: Path) -> Taken:
    command = _on_one_core([sys.executable, str(SCAN), str(path), str(literals)])
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return float(said["seconds"]), float(said["processor"])


def _inflating(path: Path) -> Taken:
    said = json.loads(
        subprocess.run([sys.executable, str(SCAN), str(path), "-", "inflate"], capture_output=True, check=True).stdout
    )
    return float(said["seconds"]), float(said["processor"])


def _on_one_core(command: Sequence[str]) -> list[str]:
    core = min(os.sched_getaffinity(0))
    return ["taskset", "-c", str(core), *command]


def _check(corpus: Corpus, literals: Path, one: Path) -> str:
    """Return what was compared; ends the bench where two contenders do not find the same lines."""
    _say("checking that all find the same lines")
    said = []
    for patterns in (literals, one):
        ours = json.loads(
            subprocess.run(
                [sys.executable, str(SCAN), str(corpus.path), str(patterns), "lines"], capture_output=True, check=True
            ).stdout
        )
        for command in (["rg", "--no-config", "-a", "-n", "-F", "-f"], ["grep", "-a", "-n", "-F", "-f"]):
            lines = subprocess.run([*command, str(patterns), str(corpus.path)], capture_output=True, check=True).stdout
            theirs = [int(line.partition(b":")[0]) for line in lines.splitlines()]
            if theirs != ours:
                raise SystemExit(f"{command[0]} and our scan find different lines for {patterns.name}")
        said.append(len(ours))
    command = [str(RUNBOOK), "diagnose", "--json", "--server", f"primary={corpus.path}"]
    answer = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    (found,) = answer["mismatches"]
    numbers = [line["number"] for line in found["evidence"]]
    if found["count"] != len(corpus.events) or not set(numbers) <= set(corpus.events):
        raise SystemExit("runbook diagnose does not find the mismatches that were written")
    return (
        f"ripgrep, grep and our scan find the same {said[0]:,} lines for all literals and the same {said[1]:,} for one;"
        f" the command finds the {found['count']} mismatches among them at the lines at which they were written."
    )


def _check_packed(corpus: Corpus, literals: Path, gz: Path, tar: Path) -> str:
    """Return what was compared of the packed logs; ends the bench where they do not hold the same."""
    counts = {
        int(
            subprocess.run(
                ["sh", "-c", f"{unpack} | rg --no-config -a -c -F -f {literals}"], capture_output=True
            ).stdout
        )
        for unpack in (f"cat {corpus.path}", f"zcat {gz}", f"zcat {tar}")
    }
    told = set()
    for path in (corpus.path, gz, tar):
        command = [str(RUNBOOK), "diagnose", "--json", "--server", f"primary={path}"]
        said = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
        numbers = [line["number"] for found in said["mismatches"] for line in found["evidence"]]
        told.add(
            json.dumps([[m["count"] for m in said["mismatches"]], said["lines_read"], said["bytes_read"], numbers])
        )
    if len(counts) != 1 or len(told) != 1:
        raise SystemExit("the packed logs are not found to hold what the log holds")
    return "Packed as .gz and as .tar.gz, ripgrep and the command each find there what they find in the log itself."


def _memory(folder: Path, corpus: Corpus, gz: Path, tar: Path) -> list[tuple[str, float]]:
    """Return the most memory that the command held, in MB."""
    _say("measuring memory")
    sparse = folder / "sparse.log"
    write_sparse(sparse, 10 * corpus.size)
    read = [("a log of one line", folder / "tiny.log"), ("the log", corpus.path)]
    read += [("a sparse log ten times as long", sparse), ("the log as .gz", gz), ("the log as .tar.gz", tar)]
    return [(name, _peak([str(RUNBOOK), "diagnose", "--json", "--server", f"primary={path}"])) for name, path in read]


def _peak(command: Sequence[str]) -> float:
    # What wait4 reports begins with the memory of the process that forked.
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            peak = max([peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
            time.sleep(0.005)
    return peak / 1024


def _write_lines(path: Path, lines: Sequence[bytes]) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# -- the report -----------------------------------------------------------------------------------------


def _of_others(path: Path, text: str) -> str:
    """Return the sections of the document at ``path`` whose titles ``text`` does not have."""
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    sections = [f"## {section.rstrip()}\n" for section in old.split("\n## ")[1:]]
    ours = {line for line in text.splitlines() if line.startswith("## ")}
    return "".join(f"\n{section}" for section in sections if section.splitlines()[0] not in ours)


def _report(
    corpus: Corpus,
    ratio: float,
    comparisons: Sequence[Comparison],
    rounds: int,
    same: str,
    memory: Sequence[tuple[str, float]],
) -> str:
    lines = [
        "# How fast it is",
        "",
        "Written by `make bench`; do not edit. Each part names the day of its figures; what was built since is not in",
        "them. The first parts are about the log diagnosis, on the day of the table below.",
        "",
        "Ratios compare medians of one run, in which the contenders took turns;",
        "seconds depend on the machine and on what else it did, which the load tells. Processor time (the median, over",
        "all cores) depends less on that. Files are read and not mapped, which would be a little quicker: a log that",
        "is cut off while it is mapped would end the process.",
        "",
        *_table(("what", "value"), _machine(corpus, ratio, rounds)),
        "",
        f"Checked before: {same}",
        "",
    ]
    for comparison in comparisons:
        first = comparison.contenders[0]
        rows = [_row(first, contender) for contender in comparison.contenders]
        lines += [f"## {comparison.title[0].upper()}{comparison.title[1:]}", "", f"Target: {comparison.target}.", ""]
        headers = (
            "contender",
            "median",
            "best",
            "our time as a part of its",
            "processor time",
            "ours as a part of its",
        )
        lines += [*_table(headers, rows), ""]
        lines += [comparison.note, ""] if comparison.note else []
    lines += ["## Memory", "", "Target: under 150 MB, and the same at 1 GB and at 10 GB.", ""]
    lines += _table(("what the command read", "most memory"), [(name, f"{size:.0f} MB") for name, size in memory])
    return "\n".join(lines) + "\n"


def _row(ours: Contender, other: Contender) -> tuple[str, ...]:
    clock, processor = ours.median / other.median, ours.processor / other.processor
    seconds = (f"{value:.3f} s" for value in (other.median, other.best, other.processor))
    median, best, used = seconds
    return other.name, median, best, f"{clock:.2f}", used, f"{processor:.2f}"


def _machine(corpus: Corpus, ratio: float, rounds: int) -> list[tuple[str, str]]:
    cores = len(os.sched_getaffinity(0))
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    tools = [
        subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
        for tool in ("rg", "grep")
    ]
    return [
        ("date", f"{datetime.now(UTC):%Y-%m-%d}"),
        ("processor", f"{_processor()}, {cores} cores for us"),
        ("system", f"{platform.system()} {platform.release()}, Python {platform.python_version()}"),
        ("load at the end", load),
        ("tools", ", ".join(text.splitlines()[0] for text in tools)),
        ("libraries", ", ".join(f"{each} {version(each)}" for each in ("ahocorasick-rs", "stringzilla", "isal"))),
        ("log", f"{corpus.size:,} bytes, {len(corpus.events)} mismatches, in the page cache"),
        ("packed", f"by gzip -6 to a {ratio:.1f}th of that"),
        ("rounds", str(rounds)),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(headers)} |",
        f"|{'---|' * len(headers)}",
        *(f"| {' | '.join(cell or '-' for cell in row)} |" for row in rows),
    ]


if __name__ == "__main__":
    sys.exit(main())
