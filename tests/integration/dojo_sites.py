"""Sites in memory whose pages are made of real widgets, and the combinations of their knobs that are tried."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from long_way import DAY, LONG
from pairs import covering
from tls_site import Identity, serving
from tornado.web import Application

from runbook_lib import event_loop
from runbook_lib.lab.pages import handlers
from runbook_lib.lab.pages.dojo import HELD_OUT, KNOBS, has_dojo
from runbook_lib.lab.pages.memory import MemoryBackend
from runbook_lib.params.labels import HaForm, labels_for
from runbook_lib.params.model import Deadlines
from runbook_lib.paths import find_browser
from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.pages import PrimePages

needs_dojo = pytest.mark.skipif(
    not has_dojo(), reason="Dojo is not on this machine: make setup installs it where it may"
)
KEY, SECONDARY, ISE, ISE_PASSWORD = "hakey-1", "192.0.2.20", "192.0.2.30", "isepass"
FORM = HaForm(secondary_server=SECONDARY, auth_key=KEY, email=("a@example.org",))
TURNED = {name: values for name, values in KNOBS.items() if name not in HELD_OUT}
ALL = covering(TURNED, 36)
# A third each day; every one the long way.
SOME = ALL if LONG else ALL[DAY % 3 :: 3]


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

    event_loop.run(go())


async def set_up(pages: PrimePages) -> None:
    """Register HA and add an ISE server, and see both; what a drawn list shows is its choice, and not its arrow."""
    assert (await pages.ha_page()).configuration_mode == "HA not Configured"
    await pages.open_ha_configuration()
    assert not [item for item in (await pages._view.look()).items if "▼" in item.value]
    items = await pages.check_readiness(FORM)
    assert len(items) == 7
    assert all(item.passed for item in items)
    await pages.register(FORM)
    assert (await pages.watch_registration(lambda _: None)).configuration_mode == "Primary Active"
    row = await pages.add_ise(ISE, "admin", ISE_PASSWORD)  # which reads the list before and after
    assert (row.address, row.answers) == (ISE, True)


def assert_once(backend: MemoryBackend) -> None:
    """One login, one registration with what the form holds, one ISE server; and nobody was searched for."""
    assert [(form.secondary_server, form.auth_key, form.email, form.failover) for form in backend.registered_with] == [
        (SECONDARY, KEY, "a@example.org", "Manual")
    ]
    asked = [str(event["what"]) for event in backend.events]
    for what in ("POST /webacs/j_spring_security_check", "POST /webacs/ha/register", "POST /webacs/ise/add"):
        assert asked.count(what) == 1, what
    assert not [what for what in asked if "search" in what]


def assert_sets_up(choice: dict[str, str], folder: Path) -> None:
    """Whatever the pages are made of, each change is sent once, with what was typed where it belongs."""
    backend = site(skin=skin(choice))
    drive(backend, folder, set_up)
    assert_once(backend)
