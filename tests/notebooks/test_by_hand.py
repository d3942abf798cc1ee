"""By hand, in a real browser: from the first look to the repaired site, by clicking and typing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jupyter_page import Notebook, browser_context
from jupyter_server import Server, jupyter_server
from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with jupyter_server(tmp_path_factory.mktemp("by-hand")) as running:
        yield running


@pytest.fixture(scope="module")
def page(server: Server) -> Iterator[Page]:
    """A page of JupyterLab, on the notebook that the command opens."""
    with browser_context(viewport={"width": 1400, "height": 3000}) as context:
        opened = context.new_page()
        opened.goto(f"{server.base}/lab/tree/notebooks/00_start_here.ipynb?token={server.token}")
        yield opened


def test_the_first_stages_run_cell_by_cell(page: Page) -> None:
    """Cells run in order by Shift+Enter, and the table of next steps leads to the next notebook by a click."""
    start = Notebook(page, "00")
    start.run_up_to("site =", "open_runbook", "rb.preflight", "rb.incidents", "rb.next", "rb.close")
    start.follow("10_diagnose_logs")
    Notebook(page, "10").run_up_to("site =", "open_runbook", "rb.diagnose", "rb.next", "rb.close")
