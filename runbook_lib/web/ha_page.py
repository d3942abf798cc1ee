"""The High Availability pages: status, form, readiness, registration, milestones."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial

from runbook_lib.errors import PageNotUnderstood, PageRefused
from runbook_lib.observations import HaPage, ReadinessItem
from runbook_lib.params.labels import HaForm
from runbook_lib.web import menu
from runbook_lib.web.actions import PageActions
from runbook_lib.web.controls import find, pressables
from runbook_lib.web.dialogs import dismiss
from runbook_lib.web.ha_reading import ha_page, is_ha_page, milestones, objections, offers, says_under_way
from runbook_lib.web.readiness import Readiness, readiness
from runbook_lib.web.reading import fresh_texts, meaning, messages, refusal, reports, says_it_goes_on, unsaid
from runbook_lib.web.screen import RowGrowth, Screen, Stability, says, screen_in_words
from runbook_lib.web.submit import NEXT_STEPS, Submit, choose, tick
from runbook_lib.web.view import take_picture

_PATH = ("menu_administration", "menu_settings", "menu_high_availability")
_SETTLE_S = 0.8  # for what says no; screen.RowGrowth says when a table is all there
_UNCHANGED_S = 15.0  # a table that was there before the click, and has not changed since, may be an earlier one
_UNKNOWN_S = 5.0  # words that nobody knows may not be the last
_STUCK_S, _LONG_S, _OFFERED_S = 15.0, 60.0, 5.0
_SHORT = 12
_PARTS = (0.25, 1.0)  # of a page's time


def _folded(before: Screen, screen: Screen) -> str:
    """Name what came up and hides a part of the page that is not shown, such as further rows; empty without one."""
    known = {item.names for item in before.items if item.folded}
    return ", ".join(item.text for item in screen.items if item.folded and item.names not in known)


class HaPages:
    """Verbs on the High Availability pages of somebody who is logged in."""

    def __init__(self, actions: PageActions) -> None:
        self.actions, self.view, self.labels = actions, actions.view, actions.labels
        self._earlier: tuple[str, ...] = ()
        self._stood: tuple[str, ...] = ()  # on the pages before anything was done
        self._unchecked: tuple[ReadinessItem, ...] = ()  # what stood there before, such as a failed registration
        self._checked: tuple[ReadinessItem, ...] = ()
        # Each look asks it of all that came up, and in the hours of a registration that is a lot.
        self._reports = lru_cache(10_000)(partial(reports, labels=self.labels))

    async def open(self) -> None:
        """Go to Administration > Settings > High Availability by the menu."""
        arrived = partial(is_ha_page, labels=self.labels)
        await menu.open_by_menu(self.actions, _PATH, arrived, "the High Availability page", "ha_page_id")

    async def open_configuration(self) -> None:
        """Open the form HA Configuration, from wherever one is."""
        if not await self.actions.is_shown("secondary_server") and not await self.actions.is_shown("ha_configuration"):
            await self.open()
        await self._go_on_to(self._has_form)

    async def read(self) -> HaPage:
        """Read what the page shows now, without going anywhere."""
        return self._read(await self.view.look())

    async def page(self) -> HaPage:
        """Open the status page and read it; milestones are looked for on HA Configuration too."""
        await self.open()
        status = await self._settled()
        active = says(status.configuration_mode, self.labels.phrases["mode_active"])
        # Bars that are all empty may stand there before anything began: words tell, or whether Register is offered.
        begun = any(step.percent or step.failed for step in status.milestones)
        if active or begun or not await self.actions.is_shown("ha_configuration"):
            return status
        await self._go_on_to(lambda screen: self._has_form(screen) or bool(milestones(screen, self.labels)))
        other = await self._settled()
        said = says_under_way(status.configuration_mode, status.message.split("\n"), self.labels)
        offered = offers(await self.view.look(), self.labels)
        return replace(
            other,
            milestones=other.milestones or status.milestones,
            configuration_mode=other.configuration_mode or status.configuration_mode,
            message="\n".join(dict.fromkeys(filter(None, (status.message, other.message)))),
            under_way=other.under_way or (status.under_way and (said or not offered)),
        )

    async def at_first(self) -> HaPage:
        """Read the page before anything is done: empty bars beside a form that can be checked are no registration."""
        page, screen = await self.page(), await self.view.look()
        self._stood = tuple(page.message.splitlines())
        empty = not any(step.percent or step.failed for step in page.milestones)
        says_so = says_under_way(page.configuration_mode, page.message.split("\n"), self.labels)
        form = find(screen, self.labels["secondary_server"]) and offers(screen, self.labels, "check_readiness")
        return replace(page, under_way=page.under_way and (says_so or not empty or not form))

    async def checks_first(self) -> bool:
        """Whether the form offers Check Readiness and not yet Register, which some enable once that has passed."""
        with contextlib.suppress(PageNotUnderstood):  # it may be drawn, or enabled, a moment later
            offered = partial(offers, labels=self.labels)
            return not await self.actions.wait(offered, "Register", _OFFERED_S, until_rest=True)
        return bool(pressables(await self.view.look(), self.labels["check_readiness"]))

    async def readiness(self, form: HaForm) -> tuple[ReadinessItem, ...]:
        """Fill the form, click Check Readiness and return its table once every row has ended (``readiness_s``).

        A row whose final word nobody knows has not passed. Raises PageRefused, and PageNotUnderstood where rows are
        missing or are read in two ways.
        """
        await self._fill(form)
        self.view.hinted = True
        before = await self.view.look(anew=True)
        await take_picture(self.view, "readiness-before")
        await self.view.forget_messages()
        await self.actions.fill_until_kept(lambda: self._fields(form))
        traffic, loads, pressed_at = self.view.traffic, self.view.traffic.loads, time.monotonic()
        self.view.windows.clear()
        await self.actions.press("check_readiness")
        earlier = readiness(before, self.labels)
        growth, shown, refusing = RowGrowth(), Stability(), Stability()
        known = {row.cells for row in before.rows}
        self._unchecked += earlier.items  # before an earlier check too, whose table may have covered it since
        changed, result = False, Readiness()

        def rest_s(result: Readiness, in_window: object) -> float:
            nonlocal changed
            anew = traffic.loads > loads
            changed = changed or anew or (result != earlier and not in_window)
            for_s = growth.rest_s(len(result.items), result.open, time.monotonic(), whole=anew and traffic.quiet)
            if traffic.sockets or not traffic.answered(pressed_at, 0.0):
                for_s = max(_STUCK_S, for_s)  # rows may come through what is open
            return max(for_s, _UNKNOWN_S if result.unknown else 0.0, 0.0 if changed or in_window else _UNCHANGED_S)

        def ready(screen: Screen) -> tuple[ReadinessItem, ...] | None:
            nonlocal result
            result = readiness(screen, self.labels)
            if result.items and not result.problem and (folded := _folded(before, screen)):
                result = replace(result, problem=f"part of it is collapsed: {folded}")
            in_window = self.view.windows and readiness(self.view.in_windows(screen), self.labels).items
            rests, why = shown.is_stable(result, rest_s(result, in_window)), ""
            if result.has_ended:
                why = growth.why_not_all([item.name for item in result.items], asks_on=traffic.asks_on(pressed_at))
            if self.view.windows and result.items and not (changed or in_window):
                why = f"only an earlier one stands there, and none in the window that came: {self.view.windows[-1].url}"
            problem = result.problem or why
            if problem and shown.is_stable(result, _STUCK_S if result.problem else _LONG_S):
                what = f"the result of Check Readiness is not understood: {problem}"
                raise self.view.problem(what, screen_in_words(screen), "Look at the readiness check in a browser.")
            if not result.items:
                fresh = unsaid(fresh_texts(before, screen), self.view.earlier_messages)
                words = refusal(dict.fromkeys((*self.view.new_messages, *fresh, *self.view.dialogs.said)), self.labels)
                if words and refusing.is_stable(words, _SETTLE_S):
                    raise self._refused("Check Readiness", words)
            beside = fresh_texts(before, Screen(tuple(item for item in screen.items if item.row < 0)))
            goes_on = any(says(text, self.labels.phrases["pending"]) for text in beside if len(text.split()) <= _SHORT)
            if not result.has_ended or why or not rests or goes_on:
                return None
            items = tuple(dict.fromkeys(result.items))  # an earlier one may say the same
            rows = (" ".join(row.cells) for row in screen.rows if row.cells not in known and not row.header)
            said = (*unsaid((*beside, *rows), self.view.earlier_messages), *self.view.dialogs.said)
            no = objections(said, self.view.new_messages, self.labels, form.secondary_server)
            return items if any(not item.passed for item in items) else items + no

        def awaited() -> str:
            left = ", ".join(f"{item.name} {item.detail}".strip() for item in result.items if not item.passed)
            what = "the result of Check Readiness"
            gone = f"{what}, which was shown and has gone" if growth.grown_at and not result.items else what
            return f"{what} (not passed: {left})" if left else gone

        try:
            deadline_s = self.view.browser.deadlines.readiness_s
            self.view.beside = self.view.windows
            self._checked = await self.view.wait(ready, awaited, deadline_s, rest=shown)
        finally:
            self.view.beside, self.view.hinted = (), False
            await take_picture(self.view, "readiness-after")
        return self._checked

    async def register(self, form: HaForm) -> HaPage:
        """Fill the form, click Register once (``PageActions.press_once``), return the page once it shows that it began.

        Raises PageRefused, or OutcomeUnknown where it was clicked and the page says neither; whatever else
        is raised, nothing was clicked. SessionEnded: it was clicked.
        """
        await self._fill(form)
        before = await self.view.look()
        earlier = milestones(before, self.labels)
        self._earlier = (*messages(before, self.labels), *self._stood)

        def began(screen: Screen) -> HaPage | None:
            page = self._read(screen)
            fresh = tuple(unsaid(fresh_texts(before, screen), self.view.earlier_messages))
            news = (*fresh, *self.view.new_messages)
            going_on = (text for text in dict.fromkeys(news) if says_it_goes_on([text], self.labels))
            if theirs := [text for text in going_on if says(text, self.labels.phrases["others"])]:
                raise self._refused("registration", "\n".join(theirs))
            if page.under_way or says(page.configuration_mode, self.labels.phrases["mode_active"]):
                return page
            refused = refusal(fresh, self.labels)
            if any(step.failed for step in page.milestones) and (refused or page.milestones != earlier):
                return page  # it began and has failed since: the watch tells at which milestone
            # It may have failed already, in the words of an earlier failure that still stood there: that it was under
            # way may have come and gone between two looks.
            return page if not refused and says_it_goes_on(news, self.labels) else None

        submit = Submit(self.actions, "register", "register", "ask_register", "ask_danger", form.secondary_server)
        submit.form = partial(self._as_checked, form)
        return await submit.send(began)

    def failure(self, page: HaPage) -> PageRefused | None:
        """Return the error for a page that shows a failed registration, None for any other."""
        broken = [step.name for step in page.milestones if step.failed]
        said = page.message.splitlines()
        # What stood there before the click may speak of an earlier registration.
        news = [text for text in unsaid(said, self._earlier) if self._reports(text)]
        words = refusal(said if broken else news, self.labels)
        if page.under_way or not (broken or words):
            return None
        started = [step.name for step in page.milestones if step.percent < 100]
        at = next(iter((*broken, *started)), "")
        return self._refused(f"registration{f', milestone {at}' if at else ''}", words or page.message)

    # -- parts -------------------------------------------------------------------------------------

    def _read(self, screen: Screen) -> HaPage:
        gone = (text for text in self.view.new_messages if self._reports(text))
        return ha_page(screen, self.labels, datetime.now(UTC), (*self.view.dialogs.said, *gone), self._earlier)

    def _refused(self, doing: str, words: str) -> PageRefused:
        return self.view.refused(f"{doing}: the page said no", words, NEXT_STEPS[meaning(words, self.labels)])

    async def _settled(self) -> HaPage:
        """Read the page once it has a configuration mode, milestones or the form; pages fill in late."""

        def ready(screen: Screen) -> HaPage | None:
            page = self._read(screen)
            ways = pressables(screen, self.labels["register"]) or any(item.menu for item in screen.items)
            form = ways and find(screen, self.labels["secondary_server"])
            return page if page.configuration_mode or page.milestones or form else None

        return await self.actions.wait(ready, "Configuration Mode, milestones or the form")

    def _has_form(self, screen: Screen) -> bool:
        return bool(find(screen, self.labels["secondary_server"]))

    async def _go_on_to(self, arrived: Callable[[Screen], bool]) -> None:
        """Press *HA Configuration*, again if that leads nowhere: a page that is not ready yet swallows the click."""
        if self._has_form(await self.view.look()):
            return
        self.view.windows.clear()
        for part in _PARTS:
            if not await menu.take_over_window(self.view):
                await self.actions.press("ha_configuration")
            with contextlib.suppress(*([PageNotUnderstood] if part < 1 else [])):
                await self.actions.wait(arrived, "HA Configuration", part * self.view.browser.deadlines.page_s)
                return

    async def _fill(self, form: HaForm) -> None:
        await self.open_configuration()
        screen = await self.view.look()
        front = screen.in_dialog()
        if screen.blocked and not find(front, self.labels["secondary_server"]):
            await dismiss(self.view, front)  # it only shows something, such as the readiness table
        await self._fields(form)

    async def _as_checked(self, form: HaForm) -> None:
        """Fill in what is sent, and see that Check Readiness shows nothing else by now than when it had ended."""
        await self._fields(form)
        if not self._checked:
            return
        names = {item.name for item in self._checked}
        stood = [item for item in self._unchecked if item.name not in names]
        known = {(item.name, item.passed) for item in (*self._checked, *stood)}
        self.view.beside, self.view.hinted = self.view.windows, True
        shown = readiness(await self.view.look(anew=True), self.labels).items
        self.view.beside, self.view.hinted = (), False
        if news := [item.name for item in shown if (item.name, item.passed) not in known]:
            what = f"Check Readiness shows more by now than when it had ended ({', '.join(news)}); nothing was clicked"
            raise self.view.problem(what, "", "Look at the readiness check in a browser.")

    async def _fields(self, form: HaForm) -> None:
        """Fill in what the form does not hold yet, and take out what was not planned."""
        await self.actions.fill("secondary_server", form.secondary_server)
        await self.actions.fill("auth_key", form.auth_key, secret=True)
        if any(hit.rank[0] == 0 for hit in find(await self.view.look(), self.labels["auth_key_again"])):
            await self.actions.fill("auth_key_again", form.auth_key, secret=True)
        if form.email or await self.actions.is_shown("email"):
            await self.actions.fill("email", ",".join(form.email))
        await choose(self.actions, "failover_type", f"failover_{form.failover}")
        await self._fill_virtual(form)

    async def _fill_virtual(self, form: HaForm) -> None:
        wanted, box = bool(form.virtual_ipv4 or form.virtual_ipv6), self.labels["enable_virtual_ip"]
        screen = await self.view.look()
        closed = [item for item in screen.items if item.folded and item.kind != "tab" and says(item.text, box.texts)]
        if closed and not find(screen, box):  # what stands ticked in a closed section would be sent too
            await self.actions.click(closed[0])
            await self.actions.find("enable_virtual_ip")
        if wanted or await self.actions.is_shown("enable_virtual_ip"):
            await tick(self.actions, "enable_virtual_ip", wanted)
        for key, address in (("virtual_ipv4", form.virtual_ipv4), ("virtual_ipv6", form.virtual_ipv6)):
            if address or (wanted and await self.actions.is_shown(key)):
                await self.actions.fill(key, address)
