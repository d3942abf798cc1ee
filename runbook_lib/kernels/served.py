"""Kernels of the JupyterLab that a command opens: no other user can talk to them, and they get a named environment."""

from __future__ import annotations

import itertools
import os
from typing import Any

from jupyter_server.services.kernels.kernelmanager import ServerKernelManager
from traitlets import Unicode

from runbook_lib.environment import environment_with
from runbook_lib.kernels.conditions import start_up_variables
from runbook_lib.kernels.provisioner import PortlessProvisioner
from runbook_lib.params import secret_variables

_OF_JUPYTER = "JPY_SESSION_NAME"


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
        return await super()._async_pre_start_kernel(**{**kw, "env": _environment(kw.get("env") or {})})


def _environment(given: dict[str, str]) -> dict[str, str]:
    named = [*secret_variables(os.environ.get("RUNBOOK_OPENED_FOR", "")), *start_up_variables(os.environ)]
    return environment_with(named) | {name: given[name] for name in (_OF_JUPYTER,) if name in given}
