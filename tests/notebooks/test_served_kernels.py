"""A kernel as JupyterLab starts it where a command has opened it: its doors, and what it knows of the environment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from runbook_lib import paths
from runbook_lib.notebook.provisioner import ADVICE, ServedKernelManager

NAMED, ELSEWHERE, OTHER = "PARIS_SSH", "ROME_SSH", "AWS_SECRET_ACCESS_KEY"


async def _started(folder: Path, session: dict[str, str]) -> SimpleNamespace:
    manager: Any = ServedKernelManager(kernel_name="python3", connection_file=str(folder / "a.json"))
    await manager.start_kernel(env=session)
    try:
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        client.stop_channels()
        process = psutil.Process(manager.provisioner.pid)
        return SimpleNamespace(
            manager=manager,
            command=process.cmdline(),
            environment=process.environ(),
            ports=[each.laddr for each in process.net_connections("inet")],
        )
    finally:
        await manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A kernel of a JupyterLab that was opened for a site elsewhere; one site is known, whose file has a problem."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "paris.yaml").write_text(f"primary: [\npassword: env:{NAMED}\n")
    (folder / "rome.yml").write_text(f"password: 'env:{ELSEWHERE}'\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "params_dir", lambda: folder)
        patch.setenv("RUNBOOK_OPENED_FOR", str(folder / "rome.yml"))
        for name in (NAMED, ELSEWHERE, OTHER):
            patch.setenv(name, "secret-of-" + name)
        yield asyncio.run(_started(folder, {OTHER: "secret-of-" + OTHER, "JPY_SESSION_NAME": "notebooks/a.ipynb"}))


def test_it_listens_on_no_port(kernel: SimpleNamespace) -> None:
    """Its messages go over sockets in a folder of the user's alone, and it opens no port beside them."""
    assert kernel.ports == []
    assert kernel.manager.transport == "ipc"


def test_it_shows_errors_as_advice_from_its_first_cell_on(kernel: SimpleNamespace) -> None:
    """Before a cell has opened anything, too: what the kernel loads at its start is told by its command."""
    assert ADVICE in kernel.command


def test_it_gets_the_secrets_that_site_files_name_and_no_other(kernel: SimpleNamespace) -> None:
    """Which of the known sites a person will choose is not known yet; what no site's file names is not for it."""
    assert {name for name, value in kernel.environment.items() if "secret-of" in value} == {NAMED, ELSEWHERE}


def test_it_gets_what_it_works_with(kernel: SimpleNamespace) -> None:
    """The settings of this software, and what Jupyter tells a kernel of its notebook."""
    assert {"PATH", "RUNBOOK_OPENED_FOR", "JPY_SESSION_NAME"} <= kernel.environment.keys()
