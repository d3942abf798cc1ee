"""``python -m runbook_lib.batch.worker [DESCRIPTOR]``: runs one site after the other for the process that started it.

One line of JSON each way: tasks and ``halt`` come in, events and results go out. When the input ends while a site is
run, its starter is gone, and the run is ended as by SIGTERM: truthfully, and its record says so.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from dataclasses import asdict
from typing import Any, TextIO

from runbook_lib import secrets
from runbook_lib.batch.site_run import SiteEvent, SiteResult, SiteTask, result_of_interruption, run_site
from runbook_lib.models import Stage
from runbook_lib.notebook.warm_kernels import WarmKernels
from runbook_lib.processes import gate_streams
from runbook_lib.record.lock import TOKEN_VARIABLE
from runbook_lib.signals import leave_ctrl_c_to_the_parent, taken

HALT = {"halt": True}


class Worker:
    """Reads on a thread of its own, so that a halt is heard while a site is run."""

    def __init__(self, source: TextIO, target: TextIO) -> None:
        self._source = source
        self._target = target
        self._tasks: queue.SimpleQueue[SiteTask | None] = queue.SimpleQueue()
        self._halted = threading.Event()
        self._busy = False

    def serve(self) -> None:
        """Run tasks until the input ends."""
        threading.Thread(target=self._read, name="tasks", daemon=True).start()
        while (task := self._tasks.get()) is not None:
            self._busy = True
            try:
                self._run(task)
            finally:
                self._busy = False
                secrets.REDACTOR.forget()  # the next site's kernels know none of them; all would be looked for

    def _run(self, task: SiteTask) -> None:
        os.environ[TOKEN_VARIABLE] = task.token
        try:
            result = run_site(task, lambda event: self._say("event", event), self._halted.is_set)
        except (KeyboardInterrupt, SystemExit):
            self._say("result", result_of_interruption(task))
            raise
        self._say("result", result)

    def _read(self) -> None:
        for line in self._source:
            value = json.loads(line)
            if value == HALT:
                self._halted.set()
            else:
                self._tasks.put(task_from(value))
        self._tasks.put(None)
        if self._busy:
            os.kill(os.getpid(), signal.SIGTERM)

    def _say(self, kind: str, value: SiteEvent | SiteResult) -> None:
        try:
            self._target.write(json.dumps({kind: asdict(value)}) + "\n")
            self._target.flush()
        except BrokenPipeError:
            pass  # nobody listens any more; the record has it


def task_from(value: dict[str, Any]) -> SiteTask:
    """Read a task from plain values."""
    return SiteTask(**{**value, "until": Stage(value["until"])})


def main() -> None:
    """Serve the process that started this one."""
    leave_ctrl_c_to_the_parent()
    # What notebooks and libraries print must not come between the lines.
    target = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    gate_streams()
    with taken(), WarmKernels(inherited=int(sys.argv[1]) if sys.argv[1:] else None):
        Worker(sys.stdin, target).serve()


if __name__ == "__main__":
    main()
