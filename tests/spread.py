"""How the tests are spread over the processes that run them: how many, which come first, which need not stay together.

One process runs a whole file, so that what the file starts once serves all of its tests. A file that takes a minute or
more and is begun late would be waited for alone, and so would one that takes many minutes whenever it is begun.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

import psutil
from xdist.scheduler import LoadScopeScheduling

MOST_PROCESSES = 8
"""Most tests wait for servers and browsers: so many at a time keep two cores busy."""

EACH_TAKES = 700 << 20
"""Bytes of memory that a process takes with its browser, its labs and its kernels."""

LONGEST = (
    *("test_by_hand", "test_ways_to_go_wrong", "test_fleet_workers", "test_web_stages", "test_resume_kill"),
    *("test_cli_repair", "test_web_faults", "test_state_machine", "test_repair", "test_repair_stops"),
    *("test_resume_run", "test_web_dojo", "test_web_dojo_one", "test_web_dojo_two", "test_web_pages"),
    *("test_web_misread", "test_faults_vantages", "test_faults_listing", "test_faults_deletion"),
    *("test_warm_kernels", "test_fleet_dask"),
)
"""These are begun first."""

APART = (
    *("test_ways_to_go_wrong", "test_web_stages", "test_repair", "test_repair_stops", "test_resume_run"),
    *("test_out_of_order", "test_cli", "test_plan_command", "test_forms_plan", "test_run_all", "test_notebook_style"),
)
"""Each test of these starts what it needs, so any process may run any of them."""

TOGETHER = ("test_docs", "test_guard", "test_make", "test_repository", "test_terminal")
"""These read the project's own code as trees, which one process makes for all of them."""

TAKES = {
    "test_log_messages": 8,
    **dict.fromkeys(("test_guard", "test_terminal", "test_wheel"), 6),
    **dict.fromkeys(("test_parsers", "test_deadlines", "test_repository"), 5),
    **dict.fromkeys(("test_seal", "test_log_sources", "test_report"), 4),
    **dict.fromkeys(("test_params", "test_docs", "test_under_load", "test_damaged_records"), 3),
    **dict.fromkeys(("test_ha_decisions", "test_log_wrapped_json", "test_redactor", "test_plan"), 3),
    **dict.fromkeys(("test_forms_site", "test_disguises", "test_workspace", "test_event_loop"), 2),
    **dict.fromkeys(("test_journal", "test_secret_scan", "test_archive_bytes", "test_lock"), 2),
}
"""Seconds that a file of unit tests takes, what it waits for included, where they are two or more."""


def processes(available: int) -> int:
    """Return how many processes may run tests in so many bytes of memory: two at least."""
    return max(2, min(MOST_PROCESSES, available // EACH_TAKES))


def free_memory(group: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many bytes of memory are free on this machine, and at most what its container may use."""
    free = psutil.virtual_memory().available
    with suppress(OSError, ValueError):  # a machine that limits nobody says "max", or has no such file
        free = min(free, int((group / "memory.max").read_text()))
    return free


def shares(paths: Iterable[Path], count: int) -> list[list[Path]]:
    """Return the files of unit tests in so many shares that take about as long as each other, each file in one."""
    groups = defaultdict(list)
    for path in sorted(paths):
        groups["together" if path.stem in TOGETHER else path.stem].append(path)

    def takes(files: list[Path]) -> float:
        return sum(TAKES.get(path.stem, 0.35) for path in files)

    parts: list[list[Path]] = [[] for _ in range(count)]
    for files in sorted(groups.values(), key=takes, reverse=True):
        min(parts, key=takes).extend(files)
    return parts


class Scheduling(LoadScopeScheduling):
    """A file at a time; a test at a time where nothing is shared; some files together, which share much."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, _ = nodeid.partition("::")
        name = PurePosixPath(path).stem
        return nodeid if name in APART else "together" if name in TOGETHER else path
