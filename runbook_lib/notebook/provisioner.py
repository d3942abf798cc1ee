"""Kernels that only their user can talk to: the provisioner ``runbook-warm``, JupyterLab's, and those of a run."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING, Any

import zmq
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_core.utils import ensure_async
from traitlets import Instance

from runbook_lib import event_loop
from runbook_lib.errors import UsageError
from runbook_lib.notebook import warm_kernels
from runbook_lib.notebook.forked_kernel import LOST, ForkedKernel, NotWarm, start_up_variables
from runbook_lib.notebook.warm_kernels import fork_kernel, say_ordinary
from runbook_lib.paths import secret_variables
from runbook_lib.processes import environment_with, quick_import

if TYPE_CHECKING:
    from nbclient import NotebookClient

with quick_import():
    from jupyter_server.services.kernels.kernelmanager import ServerKernelManager

# -- The kernel provisioner ``runbook-warm``: forked kernels under unchanged papermill, nbclient and Jupyter


class PortlessProvisioner(LocalProvisioner):
    """Starts an ordinary kernel that listens on no port, where the system has IPC.

    A manager that was not told otherwise wants TCP, and chooses ports that another process may have taken by the time
    the kernel listens. Its messages go over IPC as well, in a private folder that is gone with the kernel.
    """

    _folder = Instance(ExitStack, ())

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        if self.parent is not None and self.parent.transport == "tcp" and not self.parent.shell_port:
            use_ipc(self.parent, self._folder.enter_context(private_folder()))
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        return await super().launch_kernel(without_port(cmd), **kwargs)

    async def cleanup(self, restart: bool = False) -> None:
        await super().cleanup(restart=restart)
        if not restart:
            self._folder.close()


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


def without_port(command: Sequence[str]) -> list[str]:
    """Return the command of an ordinary kernel as one that opens no port; of another kind of kernel unchanged."""
    words = list(command)
    for at in range(len(words) - 1):
        if words[at : at + 2] == _MODULE:
            return [*words[:at], "-c", _LAUNCH, *words[at + 2 :]]
    return words


class ServedKernelManager(ServerKernelManager):
    """Starts one kernel for JupyterLab, which nobody but its user can talk to where the system has IPC.

    Of all ``env:`` secrets the kernel gets those that the site files name when it starts.
    """

    async def _async_pre_start_kernel(self, **kw: Any) -> Any:
        spec = self.kernel_spec
        if self.provisioner is None and spec is not None and "kernel_provisioner" not in spec.metadata:
            self.provisioner = PortlessProvisioner(kernel_id=self.kernel_id, kernel_spec=spec, parent=self)
        given: dict[str, Any] = {"env": _environment(kw.get("env") or {})}
        if self.kernel_spec is not None and "ipykernel_launcher" in self.kernel_spec.argv:
            given["extra_arguments"] = [*kw.get("extra_arguments", ()), ADVICE]
        return await super()._async_pre_start_kernel(**{**kw, **given})


def _environment(given: dict[str, str]) -> dict[str, str]:
    named = [*secret_variables(os.environ.get("RUNBOOK_OPENED_FOR", "")), *start_up_variables(os.environ)]
    return environment_with(named) | {name: given[name] for name in (_OF_JUPYTER,) if name in given}


# -- A kernel that only its user can talk to, and that is gone when the run is over ----------------

_LONGEST_SOCKET_PATH = 103  # of AF_UNIX: 107 bytes on Linux, 103 on macOS
_SOCKET = "k"
_DEFAULT = "JUPYTER_DEFAULT_PROVISIONER_NAME"
_LONGEST_SOCKET = f"{_SOCKET}-5"
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
        and (warm_kernels.is_wanted() or _DEFAULT not in os.environ)
    ):
        kind = WarmProvisioner if warm_kernels.is_wanted() else PortlessProvisioner
        manager.provisioner = kind(kernel_spec=spec, parent=manager)
    use_ipc(manager, folder)
    return manager


def use_ipc(manager: Any, folder: Path) -> None:
    """Have a kernel's manager use sockets in ``folder`` if any can be made there."""
    if has_ipc(folder):
        manager.transport = "ipc"
        manager.ip = str(folder / _SOCKET)


def has_ipc(folder: Path) -> bool:
    """Whether a Unix socket can be made in ``folder`` under the longest name that a kernel uses."""
    if not zmq.has("ipc"):
        return False
    probe = folder / _LONGEST_SOCKET
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(probe))
    except OSError:
        return False
    probe.unlink()
    return True


class NotebookKernel:
    """A context with the kernel of one notebook, or with ``keeps`` of several, one after another.

    A kept kernel is started for the first notebook, with its working folder and environment. For each further
    one the namespace is emptied and cells are counted from one; whatever else the process holds stays. It ends
    with the context, or with the first notebook that is not run to its end.
    """

    def __init__(self, *, keeps: bool = False) -> None:
        self._keeps = keeps
        self._folder = ExitStack()
        self._manager: AsyncKernelManager | None = None

    def __enter__(self) -> NotebookKernel:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._folder:  # it holds the kernel's key: gone however the kernel ends
            if self._manager is not None:
                event_loop.run(self._end())

    def manager(self, name: str) -> AsyncKernelManager:
        """Return the manager of the kernel, which may have to be started."""
        if self._manager is None:
            self._manager = kernel_manager(name, self._folder.enter_context(private_folder()))
        return self._manager

    @asynccontextmanager
    async def running(self, client: NotebookClient, start: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Connect ``client`` to the kernel, in the ``cwd`` and ``env`` of ``start``; yield its ``language_info``.

        A kernel that is not kept is killed then: one that is asked to shut down sometimes takes seconds, and the
        run's results are all here.
        """
        manager = self.manager(client.kernel_name)
        client.km = manager
        used = manager.has_kernel
        goes_on = False
        try:
            if not used:
                # The user's settings and start-up files of IPython are no part of what was approved.
                own = {"IPYTHONDIR": str(Path(manager.connection_file).parent / "ipython")}
                await client.async_start_new_kernel(**{**start, "env": {**(start.get("env") or os.environ), **own}})
            client.kc = manager.client()
            client.kc.start_channels(hb=False)  # whether it lives, its process tells
            client.kc.allow_stdin = False
            language = await _language(client.kc, client.startup_timeout)
            if used:
                await _forget(client.kc, client.startup_timeout)
            yield language
            goes_on = self._keeps
        finally:
            if client.kc is not None:
                client.kc.stop_channels()
            if not goes_on:
                await self._end()

    async def _end(self) -> None:
        manager, self._manager = self._manager, None
        assert manager is not None
        if manager.has_kernel:
            await ensure_async(manager.shutdown_kernel(now=True))
        else:
            await ensure_async(manager.cleanup_resources())


_FORGET = "get_ipython().reset(new_session=True)"


async def _forget(kernel: Any, timeout_s: float) -> None:
    """Empty the namespace of a kernel that has run another notebook. Raises RuntimeError where it does not answer."""
    request = kernel.execute(_FORGET, silent=True, store_history=False)
    try:
        reply = await _answer_to(request, kernel.get_shell_msg, timeout_s)
    except Empty:
        raise RuntimeError(f"it did not answer in {timeout_s:g} s") from None
    if reply["content"]["status"] != "ok":
        raise RuntimeError(f"it did not forget the notebook before: {reply['content'].get('ename')}")


async def _answer_to(request: str, receive: Callable[..., Awaitable[Any]], silence_s: float) -> dict[str, Any]:
    """Return the first message that answers a request, others passed over; raises Empty after a silence."""
    while True:
        message: dict[str, Any] = await receive(timeout=silence_s)
        if message["parent_header"].get("msg_id") == request:
            return message


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
            info = (await _answer_to(request, kernel.get_shell_msg, 1))["content"].get("language_info", {})
            await _answer_to(request, kernel.get_iopub_msg, 0.2)
        except Empty:
            if not await ensure_async(kernel.is_alive()):
                raise RuntimeError("it ended before it answered") from None
        else:
            return info
    raise RuntimeError(f"it did not answer in {timeout_s:g} s")
