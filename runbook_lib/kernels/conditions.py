"""Whether a kernel can be forked from a warm process and be the same as an ordinary one; if not, why."""

from __future__ import annotations

import os
import re
import resource
import sys
from collections.abc import Mapping, Sequence
from typing import Any

# Read when the interpreter or a library starts, so a fork has the values that the warm process was started with.
_START_UP = re.compile(
    r"PYTHON|LD_|MALLOC_|GLIBC_|OPENSSL_|LANG|LC_"
    r"|PYDANTIC_|PYZMQ_|TORNADO_|MSGPACK_|JUPYTER_PLATFORM_DIRS|JUPYTER_WIDGETS_|PWDEBUG|IPYTHON_|PYDEVD_|DEBUGPY_"
)
_PYTHON_OPTIONS = {("-m",), ("-Xfrozen_modules=off", "-m")}
_UNDERSTOOD = {"cwd", "env", "stdout", "stderr", "kernel_id", "extra_arguments"}


class NotWarm(Exception):
    """This kernel cannot be forked; the text says why."""


def start_up_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that only a new interpreter can take over."""
    return {name: value for name, value in environment.items() if _START_UP.match(name)}


def require_system() -> None:
    """Raise NotWarm unless this is CPython with its lock, on Linux."""
    if not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open"):
        raise NotWarm("forking is safe on Linux only")
    if sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise NotWarm("forking needs CPython with its global lock")


def kernel_arguments(command: Sequence[str], options: Mapping[str, Any], start_up: Mapping[str, str]) -> list[str]:
    """Return the kernel's own arguments of ``command``, which starts it; raises NotWarm where a fork would differ.

    ``options`` are those of ``jupyter_client.launcher.launch_kernel``; ``start_up`` are the variables that the
    warm process was started with.
    """
    if "ipykernel_launcher" not in command:
        raise NotWarm("the kernel's specification does not start ipykernel")
    module = list(command).index("ipykernel_launcher")
    if os.path.abspath(command[0]) != os.path.abspath(sys.executable):  # noqa: PTH100 (a venv's python is a link)
        raise NotWarm("the kernel's specification names another Python")
    if tuple(command[1:module]) not in _PYTHON_OPTIONS:
        raise NotWarm(f"the kernel's Python has options of its own: {' '.join(command[1:module])}")
    if unknown := {name for name in options if options[name] is not None} - _UNDERSTOOD:
        raise NotWarm(f"the kernel is to be started with {', '.join(sorted(unknown))}")
    wanted = start_up_variables(options.get("env") or os.environ)
    if wanted != dict(start_up):
        names = sorted(name for name in {*wanted, *start_up} if wanted.get(name) != start_up.get(name))
        raise NotWarm(f"the kernel has other start-up variables than the warm process: {', '.join(names)}")
    return list(command[module + 1 :])


def resource_limits() -> dict[str, tuple[int, int]]:
    """Return this process's limits by name, soft and hard."""
    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {name: resource.getrlimit(getattr(resource, name)) for name in names}
