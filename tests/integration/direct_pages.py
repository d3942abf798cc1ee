"""The primary's web pages without a browser, for tests that are about what is done when, and not about pages."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from unittest import mock

from waiting import wait_until_async

from runbook_lib.errors import PageRefused
from runbook_lib.lab import Lab
from runbook_lib.lab.backend import HaForm as LabForm
from runbook_lib.observations import HaPage, ListedIseServer, Milestone, ReadinessItem
from runbook_lib.params.labels import HaForm
from runbook_lib.repair.primary_pages import PrimaryPages
from runbook_lib.web import pages
from runbook_lib.web.browser import PinnedBrowser

T = TypeVar("T")


class DirectPages:
    """What each verb of ``PrimePages`` comes to at the server; ``pressed`` counts those that change something."""

    is_logged_in = True

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.pressed: Counter[str] = Counter()

    async def login(self, user: str, password: str) -> None:
        assert (await self._ask(lambda server: server.check_login(user, password))).ok

    async def ha_page(self) -> HaPage:
        shown = await self._ask(lambda server: server.ha_state())
        bars = tuple(Milestone(name=bar.name, percent=bar.percent) for bar in shown.milestones)
        return HaPage(
            configuration_mode=shown.configuration_mode,
            milestones=bars,
            message=shown.message,
            under_way=shown.under_way,
            read_utc=datetime.now(UTC),
        )

    async def open_ha_configuration(self) -> None: ...

    async def checks_first(self) -> bool:
        return False

    async def check_readiness(self, form: HaForm) -> tuple[ReadinessItem, ...]:
        rows = await self._ask(lambda server: server.check_readiness(_typed(form)))
        return tuple(ReadinessItem(name=row.item, passed=row.passed, detail=row.detail) for row in rows)

    async def register(self, form: HaForm) -> None:
        await self._press("register", lambda server: server.register(_typed(form)))

    async def watch_registration(self, on_change: Callable[[HaPage], None]) -> HaPage:
        await wait_until_async(self._is_over, "the end of the registration")
        page = await self.ha_page()
        on_change(page)
        if page.configuration_mode != "Primary Active":
            raise PageRefused("a milestone failed", found=page.message)
        return page

    async def ise_servers(self, *_sought: str, anew: bool = True) -> tuple[ListedIseServer, ...]:
        rows = await self._ask(lambda server: server.ise_servers())
        return tuple(ListedIseServer(address=row.address, status=row.status, answers=row.reachable) for row in rows)

    async def add_ise(self, address: str, user: str, password: str) -> None:
        await self._press("add ISE", lambda server: server.add_ise(address, user, password))

    async def remove_ise(self, address: str) -> None:
        await self._press("remove ISE", lambda server: server.remove_ise(address))

    async def _press(self, what: str, act: Callable[[Any], Coroutine[Any, Any, str | None]]) -> None:
        self.pressed[what] += 1
        if problem := await self._ask(act):
            raise PageRefused(f"{what} is refused", found=problem)

    def _is_over(self) -> bool:
        return not self._lab.on_pages("primary", lambda server: server.ha_state()).under_way

    async def _ask(self, act: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        return await asyncio.to_thread(self._lab.on_pages, "primary", act)


def _typed(form: HaForm) -> LabForm:
    return LabForm(secondary_server=form.secondary_server, auth_key=form.auth_key, failover=form.failover.capitalize())


@contextmanager
def direct_pages(lab: Lab) -> Iterator[DirectPages]:
    """Let the steps reach the lab's pages without a browser, its certificate confirmed as ever before they do."""
    found = DirectPages(lab)

    @asynccontextmanager
    async def nothing(*_given: object) -> AsyncIterator[None]:
        yield

    def no_driver(_pages: PrimaryPages) -> asyncio.Future[None]:
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    with (
        mock.patch.object(PrimaryPages, "_start_driver", no_driver),
        mock.patch.object(PinnedBrowser, "open", nothing),
        mock.patch.object(pages, "PrimePages", return_value=found),
    ):
        yield found
