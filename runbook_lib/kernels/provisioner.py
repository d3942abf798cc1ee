"""The kernel provisioner ``runbook-warm``: forked kernels under unchanged papermill, nbclient and Jupyter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from runbook_lib.kernels.conditions import NotWarm
from runbook_lib.kernels.no_port import without_port
from runbook_lib.kernels.pool import fork_kernel, say_ordinary
from runbook_lib.kernels.process import LOST, ForkedKernel


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
