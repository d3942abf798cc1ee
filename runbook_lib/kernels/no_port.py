"""Kernels that listen on no port: ipykernel opens one on loopback, for what processes below a kernel print.

Nobody prints there, since a stage forks nothing, and a port on loopback is open to every local user.
"""

from __future__ import annotations

from collections.abc import Sequence

_MODULE = ["-m", "ipykernel_launcher"]
# As ipykernel_launcher does it: the working folder is no place for modules.
_LAUNCH = """import sys
if sys.path and sys.path[0] == "": del sys.path[0]
import ipykernel_launcher
from ipykernel import iostream, kernelapp
sys.argv[0] = ipykernel_launcher.__file__
iostream.IOPubThread._setup_pipe_in = lambda self: setattr(self, "_pipe_flag", False)
kernelapp.launch_new_instance()
"""


def open_no_port() -> None:
    """Let a kernel that is about to start in this process open no port. Works on IPC alone."""
    from ipykernel.iostream import IOPubThread

    setattr(IOPubThread, "_setup_pipe_in", lambda self: setattr(self, "_pipe_flag", False))  # noqa: B010


def without_port(command: Sequence[str]) -> list[str]:
    """Return the command of an ordinary kernel as one that opens no port; of another kind of kernel unchanged."""
    words = list(command)
    for at in range(len(words) - 1):
        if words[at : at + 2] == _MODULE:
            return [*words[:at], "-c", _LAUNCH, *words[at + 2 :]]
    return words
