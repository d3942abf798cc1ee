"""What holds for every test, however the tests were started."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from in_memory import folder_in_memory
from long_way import LONG
from spread import LONGEST, Scheduling, free_memory, processes, shares

from runbook_lib.i18n import language
from runbook_lib.processes import quick_import

with quick_import():
    import nbformat  # noqa: F401 (every process that runs tests needs it, none its grammar)

# A shell that starts the tests in the background lets them inherit that Ctrl-C is ignored, and so would every
# process that a test starts and then interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow, not wrong: no example has a deadline. Every run tries the same examples, the long way others.
settings.register_profile(
    "tests",
    deadline=None,
    derandomize=not LONG,
    max_examples=1000 if LONG else 100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")
if not LONG:  # it also tries the constants of whatever code its process has loaded, which no two runs have in common
    providers._get_local_constants = providers.Constants

if "TMPDIR" not in os.environ and (_in_memory := folder_in_memory()):
    os.environ["TMPDIR"] = tempfile.tempdir = _in_memory.name  # for the processes too that this one starts

# No test uses the keys of whoever runs it, or the locks of this machine: every test's site has the same addresses.
# Processes that a test starts inherit the folders.
_OURS = {name: tempfile.TemporaryDirectory(prefix="runbook-tests-") for name in ("RUNBOOK_KEY_DIR", "RUNBOOK_LOCKS")}
os.environ |= {name: folder.name for name, folder in _OURS.items()}
os.environ.pop("PREPARED_IN", None)  # where a test runs make, make sees to everything as it does for a person

UNIT = Path(__file__).parent / "unit"


@pytest.fixture(autouse=True)
def _no_lock_outlives_its_run() -> Iterator[None]:
    """Free what a run that this test killed has left locked: the next test asks for a site of the same name."""
    yield
    for path in Path(_OURS["RUNBOOK_LOCKS"].name).glob("*.lock"):
        with path.open() as lock, suppress(BlockingIOError):  # which a run that lives still holds
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


@pytest.fixture(autouse=True)
def _no_language_outlives_its_test() -> Iterator[None]:
    """Take back the language that a command has set for its process: the next test asks for its own."""
    before = tuple(language._spoken)
    yield
    language._spoken[:] = before


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know ``--share 1/2``: the first of two commands that run all unit tests between them."""
    parser.addoption("--share", default="1/1", help="which share of the files of unit tests is run, of how many")


@cache
def _share(named: str) -> list[Path]:
    """Return the files of a share that is named ``1/2``; KeyError where there is no such share."""
    number, count = map(int, named.split("/"))
    return dict(enumerate(shares(UNIT.glob("test_*.py"), count), start=1))[number]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the files of the other shares to the other commands, not even imported."""
    of_unit = collection_path.parent == UNIT and collection_path.match("test_*.py")
    return True if of_unit and collection_path not in _share(config.getoption("share", "1/1")) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Take as many processes as there is memory for."""
    return processes(free_memory())


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Take our way of spreading the tests over the processes."""
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; the others stay in their order, those that wait least last."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def pytest_collection_finish() -> None:
    """Let the garbage collector leave out what lives as long as this process, and look at the rest less often."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
