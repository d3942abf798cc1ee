"""The verbs on the web pages of one PI server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar

from playwright.async_api import Error

from runbook_lib import errors
from runbook_lib.event_loop import pause_after
from runbook_lib.observations import HaPage, ListedIseServer, ReadinessItem
from runbook_lib.params.labels import HaForm, Labels
from runbook_lib.web.actions import PageActions
from runbook_lib.web.browser import DrawnText, PinnedBrowser
from runbook_lib.web.dialogs import script
from runbook_lib.web.ha_page import HaPages
from runbook_lib.web.ise_page import IsePages
from runbook_lib.web.login import login
from runbook_lib.web.reading import row_of
from runbook_lib.web.screen import FIELDS, PRESSABLE, Item, says
from runbook_lib.web.traffic import Hosts
from runbook_lib.web.view import Evidence, PageView, SessionEnded, take_picture

_REOPEN_AFTER, _REOPEN_AT_LAST = 3, 30  # times the pause between two looks; at last the one of the beginning
_POLL_AT_LAST = 5  # times that of the beginning
_FIRST_POLL_S = 0.25
_LATE_S = 3.0  # after which a list is read once more where what was sent does not stand in it
_AWAY = (errors.DeviceUnreachable, errors.DeviceSilent, errors.PageNotUnderstood)

T = TypeVar("T")


class PrimePages:
    """Drives the pages of the server that ``browser`` is pinned to; ``login`` comes first.

    ``evidence`` gets a name and a PNG before and after each submit, secrets blacked out. ``servers`` are the names and
    addresses of each server that is known, any of which a page may send for another. Whatever else a verb raises,
    exceptions of the browser's driver never leave it. A session that ended is opened again, except where a button was
    clicked meanwhile whose click must not be repeated.
    """

    def __init__(
        self,
        browser: PinnedBrowser,
        labels: Labels,
        evidence: Evidence = None,
        *,
        servers: Hosts = (),
        poll_s: float = 2.0,
    ) -> None:
        self._browser, self._poll_s = browser, poll_s
        self._view = PageView(browser, labels, evidence)
        self._view.traffic.servers = servers
        self._actions = PageActions(self._view)
        self._ha = HaPages(self._actions)
        self._ise = IsePages(self._actions)
        self._credentials: tuple[str, str] | None = None

    async def login(self, user: str, password: str) -> None:
        """Log in, trying once. Raises LoginRefused, CertificateMoved, or what keeps the page from being read."""
        self._credentials = (user, password)
        with self._browser.guard("logging in"):
            await login(self._view, self._actions, user, password)

    @property
    def is_logged_in(self) -> bool:
        """Whether its page is still open and somebody has logged in; the session may have ended."""
        return self._view.logged_in and not self._browser.page.is_closed()

    async def keep_picture(self, name: str) -> None:
        """Hand a picture of what is shown now to the evidence."""
        await take_picture(self._view, name)

    async def page_reading(self) -> dict[str, Any]:
        """Return what is read of the page now: its address, texts and controls, and the browser's own accessible tree.

        A control has its kind, names, value, state, place, frame, dialogue and what covers it. Secrets are left out.
        """
        kept: dict[str, Any] = {"address": self._browser.page.url}
        with suppress(Error, errors.DeviceError):
            screen = await self._view.look(anew=True)
            kept["texts"] = list(screen.texts)
            kept["controls"] = []
            for number, items in screen.frames.items():
                controls = [item for item in items if item.kind in _CONTROLS]
                covers = await self._view.handle(number).evaluate(script("covers"), [item.index for item in controls])
                kept["controls"] += [_values(item, over) for item, over in zip(controls, covers, strict=True)]
        with suppress(Error):
            kept["accessible"] = await self._browser.page.locator("body").aria_snapshot(timeout=_SNAPSHOT_MS)
        secrets = self._browser.secrets | await _passwords(self._view)
        return {name: _without(value, secrets) for name, value in kept.items()}

    async def ha_page(self) -> HaPage:
        """Open Administration > Settings > High Availability and read it."""
        return await self._repeatable("reading the High Availability page", self._ha.at_first)

    async def open_ha_configuration(self) -> None:
        """Open the form HA Configuration."""
        await self._repeatable("opening HA Configuration", self._ha.open_configuration)

    async def checks_first(self) -> bool:
        """Whether the form that is shown offers *Register* only once Check Readiness has passed on it."""
        return await self._repeatable("looking at HA Configuration", self._ha.checks_first)

    async def check_readiness(self, form: HaForm) -> tuple[ReadinessItem, ...]:
        """Fill the form, run Check Readiness and return its rows; a row without a known state is not passed."""
        return await self._repeatable("checking readiness", lambda: self._ha.readiness(form))

    async def register(self, form: HaForm) -> HaPage:
        """Fill the form and click Register exactly once; returns when the page shows that registration began.

        Raises PageRefused with the page's words, or OutcomeUnknown where the click was sent and its result
        not seen. After any other error nothing was clicked.
        """
        return await self._once("register", lambda: self._ha.register(form), self._registered)

    async def watch_registration(self, on_change: Callable[[HaPage], None]) -> HaPage:
        """Follow a registration under way until the page shows Primary Active; ``on_change`` gets each new state.

        Reloads, expired sessions and a server that is away for a while are survived until ``registration_s``.
        Raises PageRefused (which milestone, the page's words), DeviceSilent at the deadline, ConnectionLost
        when the browser ends.
        """
        return await _Watch(self, on_change).run()

    async def ise_servers(self, *sought: str, anew: bool = True) -> tuple[ListedIseServer, ...]:
        """Return the rows of Administration > Servers > ISE Servers; without ``anew`` of what is shown of it now.

        Those that are ``sought`` are waited for where an answer of the server names them.
        """
        return await self._repeatable("reading the ISE servers", lambda: self._ise.servers(*sought, anew=anew))

    async def add_ise(self, address: str, user: str, password: str) -> ListedIseServer:
        """Add an ISE server, clicking Save once, and return its row. Raises PageRefused or OutcomeUnknown."""

        async def listed() -> ListedIseServer | None:
            return row_of(address, await self._ise.servers(address))

        doing, absent = "adding the ISE server", "the list does not hold it afterwards"
        return await self._once(doing, lambda: self._ise.add(address, user, password), listed, absent)

    async def remove_ise(self, address: str) -> None:
        """Remove an ISE server from the list. Raises PageRefused or OutcomeUnknown."""

        async def gone() -> bool | None:
            return True if row_of(address, await self._ise.servers(address)) is None else None

        there = "the list still holds it afterwards"
        await self._once("removing the ISE server", lambda: self._ise.remove(address), gone, there)

    # -- parts -------------------------------------------------------------------------------------

    async def _login_again(self) -> None:
        if self._credentials is None:
            raise errors.UsageError("the web session has ended, and there was no login before")
        await login(self._view, self._actions, *self._credentials)

    async def _repeatable(self, doing: str, step: Callable[[], Awaitable[T]]) -> T:
        """Do something that may be done twice: if the session ended under it, log in and do it again.

        Raises SessionEnded where something was clicked whose click must not be repeated.
        """
        with self._browser.guard(doing):
            for again in (False, True):
                try:
                    return await step()
                except SessionEnded as ended:
                    if ended.clicked:
                        raise
                if not again:
                    await self._login_again()
        limited = "Log in by hand in a browser: this user's sessions may be limited."
        raise self._view.problem(f"the login page came up again while {doing}", next_step=limited)

    async def _once(
        self, doing: str, step: Callable[[], Awaitable[T]], seen: Callable[[], Awaitable[T | None]], unseen: str = ""
    ) -> T:
        """Do something that must not be done twice: if the session ended under it, only look whether it was done.

        ``unseen`` says what two looks in a row show where it was not; nothing where they do not tell.
        """
        try:
            return await self._repeatable(doing, step)
        except errors.OutcomeUnknown:
            # It may stand on another page of the list, or that was not drawn anew: to look there changes nothing.
            with suppress(errors.RunbookError, SessionEnded):
                if unseen and (result := await self._repeatable(doing, seen)) is not None:
                    return result
            raise
        except SessionEnded:
            pass
        what = f"{doing}: the web session ended while the button was clicked"
        with suppress(errors.ConnectionLost, *_AWAY):
            await self._repeatable(doing, self._login_again)
            for wait_s in (0.0, _LATE_S):
                await asyncio.sleep(wait_s)
                if (result := await self._repeatable(doing, seen)) is not None:
                    return result
            if unseen:
                then = "Make a new plan (20_list_certificates), then run this stage again: it reads the list first."
                raise self._view.refused(f"{what}, and it was not done", unseen, then, declined=True)
        raise self._view.unknown(what)

    async def _registered(self) -> HaPage | None:
        page = await self._ha.page()
        return page if page.under_way or self.is_active(page) else None

    def is_active(self, page: HaPage) -> bool:
        """Whether the page calls high availability registered: Configuration Mode is Primary Active."""
        return says(page.configuration_mode, self._view.labels.phrases["mode_active"])

    async def _observe(self, reopen: bool) -> HaPage | None:
        """Read the page for :meth:`watch_registration`; None while the server or the session is away."""
        with self._surviving("watching the registration"), suppress(SessionEnded):
            page = await self._ha.read()
            if reopen:  # from the first page: what a page leaves behind in its document adds up over the hours
                await self._browser.go("/")
                page = await self._ha.page()
            return page
        return None

    @contextmanager
    def _surviving(self, doing: str) -> Iterator[None]:
        """Do something while the server may be away; raises ConnectionLost where the browser has ended."""
        try:
            with suppress(*_AWAY), self._browser.guard(doing):
                yield
        except errors.ConnectionLost:
            if self._browser.page.is_closed():
                raise


class _Watch:
    """One watch over a registration. The longer it has lasted, the less often the page is looked at and opened anew."""

    def __init__(self, pages: PrimePages, on_change: Callable[[HaPage], None]) -> None:
        self._pages = pages
        self._on_change = on_change
        self._clock = asyncio.get_running_loop().time
        self._last: HaPage | None = None
        self._news_at: float | None = None  # or when the page was last opened; None: it has to be opened

    async def run(self) -> HaPage:
        begun, poll_s = self._clock(), self._pages._poll_s
        pause, self._news_at = min(_FIRST_POLL_S, poll_s), begun
        while (lasted := self._clock() - begun) < self._pages._browser.deadlines.registration_s:
            patience_s = pause_after(lasted, _REOPEN_AFTER * pause, _REOPEN_AT_LAST * poll_s)
            reopen = self._news_at is None or self._clock() - self._news_at >= patience_s
            page = await self._pages._observe(reopen)
            if page is None:
                await self._back()
            elif not reopen and not (page.configuration_mode or page.milestones):
                self._news_at = None  # this is another page
                continue
            elif self._ended(page, reopen):
                return page
            await self._pages._view.wait_for_change(pause)
            pause = pause_after(lasted, min(pause * 1.2, poll_s), _POLL_AT_LAST * poll_s)
        what, where = "the registration has not ended within its deadline", self._pages._browser.base_url
        then = "It may still be under way: run the stage again to keep watching; it does not register twice."
        raise errors.DeviceSilent(what, where=where, found=_summary(self._last), next_step=then)

    def _ended(self, page: HaPage, reopened: bool) -> bool:
        """Note a page; whether registration has succeeded. Raises PageRefused when it has failed."""
        bare = replace(page, read_utc=self._last.read_utc) if self._last else page
        if bare != self._last or reopened:
            self._news_at = self._clock()
        if bare != self._last:
            self._last = page
            self._on_change(page)
        failure = self._pages._ha.failure(page)
        if failure is not None:
            raise failure
        return self._pages.is_active(page) and all(step.percent == 100 for step in page.milestones)

    async def _back(self) -> None:
        """Load the pages anew after the session ended or the server was away; log in where that is asked for."""
        self._news_at = None
        with self._pages._surviving("logging in again"), suppress(errors.OutcomeUnknown):
            await self._pages._login_again()


def _summary(page: HaPage | None) -> str:
    if page is None:
        return "the page never showed a state"
    steps = ", ".join(f"{step.name} {step.percent} %" for step in page.milestones)
    return "; ".join(filter(None, (f"Configuration Mode {page.configuration_mode!r}", steps, page.message)))


# -- The reading of a page that was not understood, as plain values: from it a label can be found from afar

_CONTROLS = FIELDS | PRESSABLE | {"icon", "progressbar"}
_SNAPSHOT_MS = 4000
_HIDDEN = "[secret]"


def _values(item: Item, covered_by: str) -> dict[str, Any]:
    shown = {"role": item.kind, "names": [text for _, text in item.names], "value": item.value, "place": list(item.box)}
    state = {"options": list(item.options), "checked": item.checked, "disabled": item.disabled}
    place = {"frame": item.frame, "dialog": item.dialog, "covered_by": covered_by}
    return {**shown, **{name: value for name, value in (state | place).items() if value}}


async def _passwords(view: PageView) -> set[str]:
    """Return what stands in password fields, whoever filled it in: the accessible tree says it aloud."""
    values: set[str] = set()
    for frame in view.browser.page.frames:
        with suppress(Error):
            values |= set(await frame.eval_on_selector_all("input[type=password]", "all => all.map(one => one.value)"))
    return values - {""}


def _without(value: Any, secrets: frozenset[str]) -> Any:
    """Return a value without the secrets, and without what spells one otherwise: quoted, spaced or backwards."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, _HIDDEN)
        if DrawnText((value,)).shows(secrets):
            value = "\n".join(_HIDDEN if DrawnText((line,)).shows(secrets) else line for line in value.splitlines())
        return _HIDDEN if DrawnText((value,)).shows(secrets) else value
    if isinstance(value, list):
        kept = [_without(each, secrets) for each in value]
        words = tuple(each for each in kept if isinstance(each, str))
        return [_HIDDEN] if DrawnText(words).shows(secrets) else kept
    if isinstance(value, dict):
        return {name: _without(each, secrets) for name, each in value.items()}
    return value
