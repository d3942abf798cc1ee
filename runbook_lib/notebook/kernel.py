"""A kernel that only its user can talk to, and that is gone when the run is over."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

import zmq
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_async

from runbook_lib.errors import UsageError
from runbook_lib.notebook import warm_kernels
from runbook_lib.notebook.provisioner import PortlessProvisioner, WarmProvisioner

if TYPE_CHECKING:
    from nbclient import NotebookClient

_LONGEST_SOCKET_PATH = 103  # of AF_UNIX: 107 bytes on Linux, 103 on macOS
_SOCKET = "k"
_DEFAULT = "JUPYTER_DEFAULT_PROVISIONER_NAME"
_LONGEST_SOCKET = f"{_SOCKET}1234-5"  # of many kernels in one folder
_LONGEST_NAME = len(f"/rb-12345678/{_LONGEST_SOCKET}")


def require_kernel(name: str) -> None:
    """Raise UsageError unless a kernel of this name is installed."""
    try:
        _ = AsyncKernelManager(kernel_name=name).kernel_spec
    except NoSuchKernel:
        raise UsageError(
            f"No Jupyter kernel named {name!r} is installed here; nothing was run.",
            where="the notebook's kernelspec",
            next_step="Choose one of `jupyter kernelspec list` in JupyterLab, or by papermill's `-k python3`.",
        ) from None


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder that only this user can enter (0700), with a path short enough for sockets, if there is one."""
    wanted = [os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"]  # noqa: S108 (mkdtemp's is safe)
    parent = short_folder(wanted) or Path(tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix="rb-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def short_folder(wanted: Iterable[str]) -> Path | None:
    """Return the first of the ``wanted`` folders that is writable and leaves room for a socket's name."""
    for name in wanted:
        short = len(os.fsencode(name)) + _LONGEST_NAME <= _LONGEST_SOCKET_PATH
        if name and short and os.access(name, os.W_OK | os.X_OK):
            return Path(name)
    return None


def kernel_manager(name: str, folder: Path, **traits: Any) -> AsyncKernelManager:
    """Return a manager for a kernel over IPC in ``folder``, or over TCP where the system or the folder has no IPC.

    Either way each message is signed (HMAC) with a key that stands in ``folder`` only. In a context
    ``WarmKernels`` the kernel is forked, else it is an ordinary one that opens no port beside; unless its
    specification names a provisioner of its own.
    """
    manager = AsyncKernelManager(kernel_name=name, connection_file=str(folder / "kernel.json"), **traits)
    spec = manager.kernel_spec
    if (
        spec is not None
        and "kernel_provisioner" not in spec.metadata
        and (warm_kernels.wanted() or _DEFAULT not in os.environ)
    ):
        kind = WarmProvisioner if warm_kernels.wanted() else PortlessProvisioner
        manager.provisioner = kind(kernel_spec=spec, parent=manager)
    if has_ipc(folder):
        manager.transport = "ipc"
        manager.ip = str(folder / _SOCKET)
    return manager


def has_ipc(folder: Path) -> bool:
    """Whether a Unix socket can be made in ``folder`` under the longest name that a kernel uses."""
    if not zmq.has("ipc") or not hasattr(socket, "AF_UNIX") or sys.platform == "win32":
        return False
    probe = folder / _LONGEST_SOCKET
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(probe))
    except OSError:
        return False
    probe.unlink()
    return True


@asynccontextmanager
async def running_kernel(client: NotebookClient, start: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """Start the kernel of ``client``, in the ``cwd`` and ``env`` of ``start``; yield its ``language_info``; kill it.

    A kernel that is asked to shut down sometimes takes seconds; the run's results are all here by then.
    """
    manager = client.km
    assert manager is not None
    try:
        await client.async_start_new_kernel(**start)
        client.kc = manager.client()
        client.kc.start_channels(hb=False)  # whether it lives, its process tells
        client.kc.allow_stdin = False
        yield await _language(client.kc, client.startup_timeout)
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
        if manager.has_kernel:
            await ensure_async(manager.shutdown_kernel(now=True))
        else:
            await ensure_async(manager.cleanup_resources())


async def _language(kernel: Any, timeout_s: float) -> dict[str, Any]:
    """Wait until the kernel answers and is heard on both channels, and return its ``language_info``.

    jupyter_client's own wait goes on until nothing was heard for 0.2 s; here messages of other requests are told by
    their parent, and an answer that is slow to come is asked for anew. Raises RuntimeError where the kernel ends or
    does not answer in time.
    """
    deadline = time.monotonic() + timeout_s
    info: dict[str, Any] | None = None
    while time.monotonic() < deadline:
        request = kernel.kernel_info()
        try:
            while (reply := await kernel.get_shell_msg(timeout=1))["parent_header"].get("msg_id") != request:
                pass
            info = reply["content"].get("language_info", {})
            while (await kernel.get_iopub_msg(timeout=0.2))["parent_header"].get("msg_id") != request:
                pass
        except Empty:
            if not await ensure_async(kernel.is_alive()):
                raise RuntimeError("it ended before it answered") from None
        else:
            return info
    raise RuntimeError(f"it did not answer in {timeout_s:g} s")
