"""The pages of real widgets: what was misread on them once, and how they are worked now."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dojo_sites import FORM, drive, needs_dojo, site

from runbook_lib.errors import PageNotUnderstood
from runbook_lib.lab.backend import HaForm as HaFormSent
from runbook_lib.lab.backend import ReadinessView
from runbook_lib.lab.pages.dojo import KNOBS
from runbook_lib.params.model import Deadlines
from runbook_lib.web import dialogs
from runbook_lib.web.pages import PrimePages

pytestmark = [needs_dojo, pytest.mark.usefixtures("one_browser")]


@pytest.mark.parametrize("grid", KNOBS["grid"])
def test_an_item_that_failed_is_never_passed(grid: str, tmp_path: Path) -> None:
    """In dojox's grid, in a table and in a dialogue: the item that fails, wherever it stands, has not passed."""
    failing = {"datagrid": "Database port 1522", "table": "CPU count", "dialogue": "Disk speed"}[grid]
    read: list[Any] = []

    async def use(pages: PrimePages) -> None:
        await pages.open_ha_configuration()
        read.extend(await pages.check_readiness(FORM))

    drive(site(skin=f"dojo?grid={grid}", failing_item=failing), tmp_path, use)
    assert len(read) == 7
    assert [item.name for item in read if not item.passed] == [failing]


def test_a_box_that_is_drawn_is_ticked(tmp_path: Path) -> None:
    """The real box is fully transparent: its state and its label decide, and the addresses below it are filled in."""
    backend = site(skin="dojo")
    virtual = replace(FORM, virtual_ipv4="192.0.2.99")

    async def use(pages: PrimePages) -> None:
        await pages.open_ha_configuration()
        await pages.register(virtual)

    drive(backend, tmp_path, use)
    (form,) = backend.registered_with
    assert (form.virtual_ip, form.virtual_ipv4) == (True, "192.0.2.99")


def test_a_cover_that_stays_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies below a header that stays usable: what loads is waited for, and the error says that it was in the way."""
    monkeypatch.setattr(dialogs, "ACTION_MS", 700)
    backend = site(skin="dojo?loading=standby")
    asked = asyncio.Event()

    async def never(_: HaFormSent) -> list[ReadinessView]:
        await asked.wait()
        return []

    backend.check_readiness = never  # type: ignore[method-assign]

    async def use(pages: PrimePages) -> None:
        await pages.open_ha_configuration()
        pages._browser.deadlines = Deadlines(page_s=3, readiness_s=2)
        with pytest.raises(PageNotUnderstood) as caught:
            await pages.check_readiness(FORM)
        assert "Please Wait..." in caught.value.found
        with pytest.raises(PageNotUnderstood) as caught:
            await pages.register(FORM)
        assert caught.value.what.endswith("cannot be used; in the way: [Please Wait...]")
        asked.set()

    drive(backend, tmp_path, use)
    assert backend.registered_with == []


def test_a_page_is_reached_by_its_address_where_the_site_knows_it(tmp_path: Path) -> None:
    """The ids in the site's file lead there; the menu is not needed. Dojo's modules come in one answer, not in 170."""
    backend = site(skin="dojo")

    async def use(pages: PrimePages) -> None:
        loaded: list[str] = []
        pages._browser.page.on("request", lambda request: loaded.append(request.url))
        assert (await pages.ha_page()).configuration_mode == "HA not Configured"
        assert "pageId=lab_ha" in pages._browser.page.url
        scripts = {url.rpartition("/")[2] for url in loaded if url.endswith(".js")}
        assert scripts <= {"all.js", "DataGrid_en-us.js"}
        assert "dijit" not in "".join(url for url in loaded if url.endswith(".css"))

    drive(backend, tmp_path, use, {"ha_page_id": ("lab_ha",)})
