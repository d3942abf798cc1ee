"""The pages of real widgets, in every pair of ways to build them: HA and an ISE server are set up on each."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from long_way import LONG
from pairs import covering, pairs_of
from tls_site import Identity, serving
from tornado.web import Application

from runbook_lib.browsers import find_browser
from runbook_lib.errors import PageNotUnderstood
from runbook_lib.lab.backend import HaForm as HaFormSent
from runbook_lib.lab.backend import ReadinessView
from runbook_lib.lab.pages import handlers
from runbook_lib.lab.pages.dojo import HELD_OUT, KNOBS, has_dojo
from runbook_lib.lab.pages.memory import MemoryBackend
from runbook_lib.params import Deadlines
from runbook_lib.web import HaForm, PinnedBrowser, PrimePages, labels_for

pytestmark = [
    pytest.mark.skipif(not has_dojo(), reason="Dojo is not on this machine: make setup installs it where it may"),
]
KEY, SECONDARY, ISE, ISE_PASSWORD = "hakey-1", "192.0.2.20", "192.0.2.30", "isepass"
FORM = HaForm(secondary_server=SECONDARY, auth_key=KEY, email=("a@example.org",))
TURNED = {name: values for name, values in KNOBS.items() if name not in HELD_OUT}
ALL = covering(TURNED, 36)
# A third each day; every one the long way.
SOME = ALL if LONG else ALL[datetime.now(UTC).toordinal() % 3 :: 3]


def site(**options: Any) -> MemoryBackend:
    """A site in memory whose registration takes a second."""
    return MemoryBackend(step_s=0.05, ise_hosts={ISE: ISE_PASSWORD}, **options)


def skin(choice: dict[str, str]) -> str:
    return "dojo?" + "&".join(f"{name}={value}" for name, value in choice.items())


def drive(
    backend: MemoryBackend,
    folder: Path,
    use: Callable[[PrimePages], Awaitable[None]],
    words: dict[str, tuple[str, ...]] | None = None,
    **deadlines: float,
) -> None:
    """Serve a site in memory, log in, and do something with its pages."""
    given = Deadlines(**{"page_s": 30, "readiness_s": 60, "registration_s": 120, **deadlines})

    async def go() -> None:
        identity = Identity(folder, "prime-pri")
        application = Application(handlers(backend, backend.server_key))
        with serving(application, identity.context()) as url:
            async with PinnedBrowser.open(find_browser(), url, identity.pin, given) as browser:
                pages = PrimePages(browser, labels_for(words or {}), poll_s=0.2)
                await pages.login("root", "Public123")
                await use(pages)

    asyncio.run(go())


async def set_up(pages: PrimePages) -> None:
    """Register HA and add an ISE server, and see both."""
    assert (await pages.ha_page()).configuration_mode == "HA not Configured"
    await pages.open_ha_configuration()
    items = await pages.check_readiness(FORM)
    assert len(items) == 7
    assert all(item.passed for item in items)
    await pages.register(FORM)
    assert (await pages.watch_registration(lambda _: None)).configuration_mode == "Primary Active"
    assert await pages.ise_servers() == ()
    assert (await pages.add_ise(ISE, "admin", ISE_PASSWORD)).address == ISE
    assert [(row.address, row.answers) for row in await pages.ise_servers()] == [(ISE, True)]


def assert_once(backend: MemoryBackend) -> None:
    """One login, one registration with what the form holds, one ISE server; and nobody was searched for."""
    assert [(form.secondary_server, form.auth_key, form.email, form.failover) for form in backend.registered_with] == [
        (SECONDARY, KEY, "a@example.org", "Manual")
    ]
    asked = [str(event["what"]) for event in backend.events]
    for what in ("POST /webacs/j_spring_security_check", "POST /webacs/ha/register", "POST /webacs/ise/add"):
        assert asked.count(what) == 1, what
    assert not [what for what in asked if "search" in what]


@pytest.mark.parametrize("choice", SOME, ids=skin)
def test_sets_up_high_availability_and_an_ise_server(choice: dict[str, str], tmp_path: Path) -> None:
    """Whatever the pages are made of, each change is sent once, with what was typed where it belongs."""
    backend = site(skin=skin(choice))
    drive(backend, tmp_path, set_up)
    assert_once(backend)


def test_each_pair_of_ways_is_tried() -> None:
    """Each two values of two knobs stand together in one combination at least."""
    held = set().union(*(pairs_of(choice) for choice in ALL))
    for one, other in itertools.combinations(TURNED, 2):
        assert {((one, a), (other, b)) for a in TURNED[one] for b in TURNED[other]} <= held


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


@pytest.mark.parametrize("choice", ["select", "filtering"])
def test_what_a_drawn_list_shows_is_what_was_chosen(choice: str, tmp_path: Path) -> None:
    """Neither the arrow at its end nor the value behind it: the failover type and the command are those shown."""
    backend = site(skin=f"dojo?choice={choice}")

    async def use(pages: PrimePages) -> None:
        await pages.open_ha_configuration()
        await pages.register(FORM)
        assert (await pages.add_ise(ISE, "admin", ISE_PASSWORD)).address == ISE

    drive(backend, tmp_path, use, page_s=15)
    assert [form.failover for form in backend.registered_with] == ["Manual"]


def test_a_menu_that_stays_open_over_a_frame_does_not_keep_the_stage_from_going_on(tmp_path: Path) -> None:
    """It covers *Go* until the pointer has left it."""
    backend = site(skin="dojo?closes=left&opens=pointer&content=frame")

    async def use(pages: PrimePages) -> None:
        assert (await pages.add_ise(ISE, "admin", ISE_PASSWORD)).address == ISE

    drive(backend, tmp_path, use)


def test_a_cover_that_stays_is_named(tmp_path: Path) -> None:
    """It lies below a header that stays usable: what loads is waited for, and the error says that it was in the way."""
    backend = site(skin="dojo?loading=standby")
    asked = asyncio.Event()

    async def never(_: HaFormSent) -> list[ReadinessView]:
        await asked.wait()
        return []

    backend.check_readiness = never  # type: ignore[method-assign]

    async def use(pages: PrimePages) -> None:
        await pages.open_ha_configuration()
        with pytest.raises(PageNotUnderstood) as caught:
            await pages.check_readiness(FORM)
        assert "Please Wait..." in caught.value.found
        with pytest.raises(PageNotUnderstood) as caught:
            await pages.register(FORM)
        assert caught.value.what.endswith("cannot be used; in the way: [Please Wait...]")
        asked.set()

    drive(backend, tmp_path, use, page_s=8, readiness_s=3)
    assert backend.registered_with == []


def test_a_page_is_reached_by_its_address_where_the_site_knows_it(tmp_path: Path) -> None:
    """The ids in the site's file lead there; the menu is not needed."""
    backend = site(skin="dojo")

    async def use(pages: PrimePages) -> None:
        assert (await pages.ha_page()).configuration_mode == "HA not Configured"
        assert "pageId=lab_ha" in pages._browser.page.url

    drive(backend, tmp_path, use, {"ha_page_id": ("lab_ha",)})
