"""The lab as a process of its own that survives whoever started it, steered through its folder.

``<folder>/control.json`` (private) holds the loopback port and the token of the control channel: one line of JSON
each way. ``<folder>/.alive`` is locked for as long as the process lives, so that a number which the system has given
to another process is never mistaken for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from runbook_lib.lab.errors import LabAlreadyUp, LabDied, LabError, LabNotUp, LabOptionInvalid
from runbook_lib.lab.options import LabOptions

CONTROL = "control.json"
ALIVE = ".alive"
READY = b"ready\n"
_STARTING = ".starting"
_OUTPUT = "lab.log"
_CONTROL_S = 120.0
_LAST_LINES = 12
_NEEDED = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "RUNBOOK_DOJO", "RUNBOOK_LAB_DIR")
_NEEDED_FIRST = ("LC_", "LD_", "DYLD_", "PYTHON")
"""What a lab gets of the environment of whoever starts it: whose secrets stand there are no business of its."""


def up(folder: str | Path, options: LabOptions | None = None, *, exist_ok: bool = False) -> dict[str, Any]:
    """Start the lab of a folder and return its state once it answers.

    Two starters at the same time get one lab: the second finds the first one's. A lab that is up already is
    LabAlreadyUp, or just its state with ``exist_ok``. LabDied, with the last lines of its output, where it ended
    while it was starting.
    """
    folder, options = Path(folder).resolve(), options or LabOptions()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / _STARTING):
        if is_up(folder):
            if not exist_ok:
                raise LabAlreadyUp(f"a lab is up in {folder} already; use it, or end it with `runbook lab down`")
            return status(folder)
        (folder / CONTROL).unlink(missing_ok=True)
        _start(folder, options)
        return status(folder)


def status(folder: str | Path) -> dict[str, Any]:
    """The running lab's state, as ``state.json`` holds it; LabNotUp if none runs there."""
    return _ask(folder, "status")


def renew(folder: str | Path, who: str) -> dict[str, Any]:
    """Give a server of the running lab a new key and certificate, and return the state after it."""
    return _ask(folder, "renew", who=who)


def fault(folder: str | Path, name: str, server: str = "*", **settings: Any) -> dict[str, Any]:
    """Switch a fault of the running lab on (``faults.KNOWN``); the name ``none`` switches all off."""
    return _ask(folder, "fault", name=name, server=server, settings=settings)


def down(folder: str | Path) -> None:
    """End the running lab and return when its process has gone; LabNotUp if none runs there."""
    _ask(folder, "down")
    end = time.monotonic() + _CONTROL_S
    while is_up(folder):
        if time.monotonic() > end:
            raise LabError(f"the lab in {folder} was told to end and still runs; its output is in {_OUTPUT} there")
        time.sleep(0.02)


def is_up(folder: str | Path) -> bool:
    """Whether the folder's lab is a living process."""
    try:
        with (Path(folder) / ALIVE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _start(folder: Path, options: LabOptions) -> None:
    ours, theirs = os.pipe()
    package_root = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "runbook_lib.lab.serve", str(folder), json.dumps(options.as_dict()), str(theirs)]
    with (folder / _OUTPUT).open("wb") as output, os.fdopen(ours, "rb") as ready:
        try:
            subprocess.run(  # noqa: S603 (our own interpreter and module); it detaches itself and returns at once
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs,),
                start_new_session=True,
                cwd=folder,
                env=_environment() | {"PYTHONPATH": paths},
                check=False,
            )
        finally:
            os.close(theirs)
        said = ready.read()  # ends when the process says that it is ready, or dies
    if said != READY:
        lines = (folder / _OUTPUT).read_text(errors="replace").splitlines()[-_LAST_LINES:]
        raise LabDied("\n".join((f"the lab in {folder} ended while it was starting; its last lines:", *lines)))


def _ask(folder: str | Path, verb: str, **about: Any) -> dict[str, Any]:
    folder = Path(folder).resolve()
    not_up = LabNotUp(f"no lab is running in {folder}; start it with `runbook lab up`")
    if not is_up(folder):
        raise not_up
    try:
        control = json.loads((folder / CONTROL).read_text())
        with (
            socket.create_connection(("127.0.0.1", control["port"]), timeout=_CONTROL_S) as connection,
            connection.makefile("rw", encoding="utf-8") as channel,
        ):
            answer = _exchange(channel, {"token": control["token"], "verb": verb, **about})
    except (FileNotFoundError, ConnectionError):
        raise not_up from None
    except TimeoutError:
        raise LabError(f"the lab in {folder} does not answer within {_CONTROL_S:.0f} seconds") from None
    if "refused" in answer:
        raise LabOptionInvalid(answer["refused"])
    return answer


def _exchange(channel: IO[str], question: dict[str, Any]) -> dict[str, Any]:
    channel.write(json.dumps(question) + "\n")
    channel.flush()
    line = channel.readline()
    if not line:
        raise ConnectionResetError
    return dict(json.loads(line))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name in _NEEDED or name.startswith(_NEEDED_FIRST)}
