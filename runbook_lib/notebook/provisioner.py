"""The kernel provisioner ``runbook-warm``, and the kernels of a JupyterLab that a command opens."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Unicode

from runbook_lib.notebook.engine import quick_import
from runbook_lib.notebook.kernel_child import without_port
from runbook_lib.notebook.warm_kernels import LOST, ForkedKernel, NotWarm, fork_kernel, say_ordinary, start_up_variables
from runbook_lib.params.load import secret_variables
from runbook_lib.processes import environment_with

with quick_import():
    from jupyter_server.services.kernels.kernelmanager import ServerKernelManager

# -- The kernel provisioner ``runbook-warm``: forked kernels under unchanged papermill, nbclient and Jupyter


class PortlessProvisioner(LocalProvisioner):
    """Starts an ordinary kernel that listens on no port, where its messages go over IPC."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        return await super().launch_kernel(without_port(cmd), **kwargs)


class WarmProvisioner(PortlessProvisioner):
    """Starts a kernel as a fork of the warm process; an ordinary one where that cannot be, and says so.

    What a forked kernel does otherwise than an ordinary one: its parent process is the warm process, and it is
    known to be over at once, not at the next poll.
    """

    process: Any = None

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        try:
            forked = await fork_kernel(cmd, kwargs)
        except NotWarm as why:
            say_ordinary(why)
            return await super().launch_kernel(cmd, **kwargs)
        self.process = forked
        self.pid = self.pgid = forked.pid
        self.cwd = Path(kwargs.get("cwd") or os.getcwd())  # noqa: PTH109
        return self.connection_info

    async def wait(self) -> int | None:
        forked = self.process
        if not isinstance(forked, ForkedKernel):
            return await super().wait()
        status = await forked.ended()
        forked.release()
        self.process = None
        return status

    async def send_signal(self, signum: int) -> None:
        if self.process is not None and self.process.returncode == LOST:
            return  # nobody keeps its number from being another process's
        await super().send_signal(signum)

    async def kill(self, restart: bool = False) -> None:
        await super().kill(restart=restart)
        if isinstance(self.process, ForkedKernel):
            await self.process.ended()

    async def cleanup(self, restart: bool = False) -> None:
        if isinstance(self.process, ForkedKernel):
            self.process.release()
            self.process = None
        await super().cleanup(restart=restart)


# -- Kernels of the JupyterLab that a command opens: no other user can talk to them, and they get a named environment

_OF_JUPYTER = "JPY_SESSION_NAME"
ADVICE = "--IPKernelApp.extra_extensions=runbook_lib.show.advice"
"""Has the kernel show errors as advice from its first cell on."""


class ServedKernelManager(ServerKernelManager):
    """Starts one kernel for JupyterLab: over IPC in ``sockets``, a folder of the user's alone; over TCP without one.

    Of all ``env:`` secrets the kernel gets those that the site files name when it starts.
    """

    sockets = Unicode(help="A private folder for the kernels' sockets, with a short path").tag(config=True)
    _numbers = itertools.count(1)

    async def _async_pre_start_kernel(self, **kw: Any) -> Any:
        if self.provisioner is None:  # else it is started again
            if self.sockets:
                self.transport = "ipc"
                self.ip = f"{self.sockets}/k{next(self._numbers)}"
            spec = self.kernel_spec
            if spec is not None and "kernel_provisioner" not in spec.metadata:
                self.provisioner = PortlessProvisioner(kernel_id=self.kernel_id, kernel_spec=spec, parent=self)
        given: dict[str, Any] = {"env": _environment(kw.get("env") or {})}
        if self.kernel_spec is not None and "ipykernel_launcher" in self.kernel_spec.argv:
            given["extra_arguments"] = [*kw.get("extra_arguments", ()), ADVICE]
        return await super()._async_pre_start_kernel(**{**kw, **given})


def _environment(given: dict[str, str]) -> dict[str, str]:
    named = [*secret_variables(os.environ.get("RUNBOOK_OPENED_FOR", "")), *start_up_variables(os.environ)]
    return environment_with(named) | {name: given[name] for name in (_OF_JUPYTER,) if name in given}
