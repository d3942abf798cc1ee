"""``runbook lab jupyter`` as a person meets it: JupyterLab in a real browser, and Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from runbook_lib import lab
from runbook_lib.browsers import find_browser, launch_arguments

COMMAND = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, whatever started the tests
sys.argv = ["runbook", "lab", "jupyter"]
from runbook_lib.cli import main
main()
"""
SLOW_MS = 60_000


def environment(folder: Path) -> dict[str, str]:
    """Everything of JupyterLab's and ours in one folder, and no display."""
    ours = {"RUNBOOK_LAB_DIR": "lab", "RUNBOOK_RECORDS": "records", "IPYTHONDIR": "ipython"}
    theirs = {f"JUPYTER_{name}_DIR": name.lower() for name in ("CONFIG", "DATA", "RUNTIME")}
    lab_s = {f"JUPYTERLAB_{name}_DIR": name.lower() for name in ("SETTINGS", "WORKSPACES")}
    kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return kept | {name: str(folder / value) for name, value in (ours | theirs | lab_s).items()}


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The command, running: its process, its address with the token, its lab's folder."""
    folder = tmp_path_factory.mktemp("jupyter")
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND],
            env=environment(folder),
            stdout=said,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr
        try:
            lines = iter(process.stderr.readline, "")
            found = next(
                match for line in lines if (match := re.search(r"(http://\S+?)/lab\S*\?token=(\w{32,})", line))
            )
            yield SimpleNamespace(process=process, base=found[1], token=found[2], lab=folder / "lab", said=said.name)
        finally:
            process.terminate()
            process.communicate()


@pytest.fixture(scope="module")
def page(jupyter: Any) -> Iterator[Page]:
    """A page of JupyterLab, on the notebook that the command opens."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=launch_arguments([]))
        opened = browser.new_page(viewport={"width": 1400, "height": 3000})
        opened.goto(f"{jupyter.base}/lab/tree/notebooks/00_start_here.ipynb?token={jupyter.token}")
        yield opened
        browser.close()


def test_the_first_notebook_runs_in_jupyterlab(page: Page) -> None:
    """Run All Cells on 00_start_here shows the preflight, every line as expected, and no question pops up before."""
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=SLOW_MS)
    expect(page.locator(".jp-Dialog, .Toastify__toast")).to_have_count(0)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    table = page.locator(".rb table", has_text="Is everything reachable?")
    expect(table).to_be_visible(timeout=SLOW_MS)
    expect(table.locator("tr.good")).to_have_count(8)
    expect(page.locator(".rb table", has_text="Closed").locator("tr.good")).to_have_text("✔ 00_start_heredone")
    expect(page.locator('[data-mime-type="application/vnd.jupyter.stderr"]')).to_have_count(0)


def test_a_link_opens_the_next_notebook(page: Page) -> None:
    """The table of next steps leads to 10_diagnose_logs by a click."""
    page.locator(".rb a", has_text="10_diagnose_logs").click()
    expect(page.get_by_role("heading", name="10 · Diagnose the logs")).to_be_visible(timeout=SLOW_MS)


def test_it_is_bound_to_loopback_and_asks_for_the_token(jupyter: Any, page: Page) -> None:
    """The address is loopback's, and without the token nothing is shown."""
    assert jupyter.base.startswith("http://127.0.0.1:")
    stranger = page.context.browser
    assert stranger
    answer = stranger.new_context().request.get(f"{jupyter.base}/api/contents/notebooks")
    assert answer.status == 403


def test_ctrl_c_ends_jupyterlab_and_its_lab(jupyter: Any, page: Page) -> None:
    """One Ctrl-C, no question: JupyterLab, its kernels and the lab are gone, and the exit code is 0."""
    page.close()
    os.killpg(jupyter.process.pid, signal.SIGINT)
    assert jupyter.process.wait(timeout=30) == 0
    assert not lab.is_up(jupyter.lab)
    assert Path(jupyter.said).read_text() == "The lab is down.\n"
