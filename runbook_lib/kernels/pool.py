"""The one warm process of this process: started when it is first needed or asked for, replaced when it has ended."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from runbook_lib.kernels.conditions import NotWarm, kernel_arguments, require_system
from runbook_lib.kernels.process import ForkedKernel, WarmProcess, WarmProcessEnded

_log = logging.getLogger("runbook_lib.kernels")
_guard = threading.Lock()
_warm: WarmProcess | None = None
_asked_for = 0
_given_up = False
_ENDS = "the warm process ends when it starts a kernel"
_said: set[str] = set()


class WarmKernels:
    """A context in which notebooks under the engine ``runbook`` get forked kernels; may be entered more than once.

    The warm process begins to import when the first context is entered, and ends with the last. Where forking is
    not possible here, kernels are ordinary ones, and the log says so in one line.

    Several processes can share one: a parent passes ``descriptor()`` on (``pass_fds``) and the child enters
    ``WarmKernels(inherited=descriptor)``. Where the environment of the children differs in start-up variables
    (``PYTHONPATH`` and the like) the parent says so by ``environment``.
    """

    def __init__(self, *, environment: Mapping[str, str] | None = None, inherited: int | None = None) -> None:
        self._environment = environment
        self._inherited = inherited

    def __enter__(self) -> WarmKernels:
        global _asked_for, _warm
        with _guard:
            _asked_for += 1
            if _warm is None and self._inherited is not None:
                _warm = WarmProcess.inherited(self._inherited)
        try:
            _running(self._environment)
        except NotWarm as why:
            say_ordinary(why)
        return self

    def __exit__(self, *exc: object) -> None:
        global _asked_for, _given_up
        with _guard:
            _asked_for -= 1
            if _asked_for == 0:
                _close()
                _given_up = False

    def descriptor(self) -> int | None:
        """Return what a child process has to inherit to share the warm process; None where there is none."""
        return None if _warm is None else _warm.fileno()


def wanted() -> bool:
    """Whether this process is in a context ``WarmKernels``."""
    return _asked_for > 0


async def fork_kernel(command: Sequence[str], options: Mapping[str, Any]) -> ForkedKernel:
    """Start the kernel that ``command`` would start, forked; options as for ``jupyter_client.launcher.launch_kernel``.

    Raises NotWarm where it has to be an ordinary one. A warm process that has ended is replaced; where the new one
    ends at once, too, no other is tried in this context.
    """
    global _given_up
    for attempt in (1, 2):
        warm = _running()
        arguments = kernel_arguments(command, options, warm.start_up)
        try:
            kernel = await warm.fork(arguments, options)
        except WarmProcessEnded:
            _discard(warm)
        except TimeoutError:
            raise NotWarm("the kernel did not come up in time") from None
        else:
            if attempt == 2:
                _log.warning("The warm process had ended; a new one was started.")
            return kernel
    _given_up = True
    raise NotWarm(_ENDS)


def say_ordinary(why: NotWarm) -> None:
    """Say once in this process, in one line, why kernels are ordinary ones."""
    line = f"Kernels are started anew, not forked from a warm process: {why}."
    if line not in _said:
        _said.add(line)
        _log.warning(line)


def _running(environment: Mapping[str, str] | None = None) -> WarmProcess:
    global _warm
    require_system()
    if _given_up:
        raise NotWarm(_ENDS)
    with _guard:
        if _warm is not None and not _warm.alive():
            _close()
            _log.warning("The warm process had ended; a new one was started.")
        if _warm is None:
            _warm = WarmProcess.start(os.environ if environment is None else environment)
        return _warm


def _discard(warm: WarmProcess) -> None:
    with _guard:
        if _warm is warm:
            _close()


def _close() -> None:
    global _warm
    if _warm is not None:
        _warm.close()
        _warm = None


def _forget() -> None:
    global _guard, _warm, _asked_for
    _guard = threading.Lock()
    if _warm is not None:
        _warm.forget()
    _warm = None
    _asked_for = 0


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # a fork of the owner is not the owner
