"""Plain jupyter_client with kernels over sockets: the ports it chooses may be taken before the kernel listens on them.

Run as a module, it is the command papermill.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

from jupyter_client.provisioning import KernelProvisionerFactory

_GROUP = KernelProvisionerFactory.GROUP_NAME
OURS = EntryPoint("local-provisioner", "runbook_lib.notebook.provisioner:PortlessProvisioner", _GROUP)


def provisioners() -> dict[str, EntryPoint]:
    """Return jupyter_client's own table of what starts kernels, in which ``OURS`` may take its default's place."""
    return KernelProvisionerFactory.instance().provisioners


if __name__ == "__main__":
    provisioners()[OURS.name] = OURS
    from papermill.__main__ import papermill

    sys.exit(papermill())
