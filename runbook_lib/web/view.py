"""Look at the page: screens, waiting, the browser's own questions; and what is kept of it as evidence."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from typing import Any, TypeVar

from playwright.async_api import ElementHandle, Error, Frame, JSHandle, Page

from runbook_lib import errors
from runbook_lib.params.labels import Labels
from runbook_lib.web.browser import LOOKS_FIRST, PinnedBrowser
from runbook_lib.web.controls import bare_words, is_login
from runbook_lib.web.dialogs import Dialogs, ElementGone
from runbook_lib.web.screen import (
    LONG_WAIT_S,
    SHORT_WAIT_S,
    Item,
    Screen,
    ScreenRow,
    Stability,
    plain,
    says,
    screen_from,
    screen_in_words,
    without_secrets,
)
from runbook_lib.web.traffic import BROKEN, Traffic

# -- Look at the page: screens, waiting for something to appear, the browser's own questions -------

_SCRIPTS = files("runbook_lib.web")
_LIST, _PASSING, _LOOKING = (
    _SCRIPTS.joinpath(f"{name}.js").read_text(encoding="utf-8") for name in ("inventory", "passing", "observer")
)
# Brought to a document once.
_OBSERVER = f"() => ({_LOOKING})({_LIST}, ({_PASSING})())"
_VISIBLE = "el => el.checkVisibility({ checkVisibilityCSS: true }) && el.offsetWidth > 0 && el.offsetHeight > 0"
_WAIT_FOR_CHANGE = "(h, ms) => h.changed(ms)"
_LEAST, _LEAST_S = 0.5, 5.0  # the part of a wait that is kept where a page changes all the time, and the most of it
_FRESH_S = 0.1  # within which nothing that a page does by itself is missed: it is looked at again soon
_MOST_HEARD = 5000  # of a page that never stops saying something new, as one with a clock: the latest
_THROWN = re.compile(r"[A-Z]\w*Error: ")  # by a script, and not said by the driver
_AGAIN_S = 2.0  # within which a message that goes comes again, where its page draws it anew
CHANGES = "Look at the page: it changes what is filled in, or somebody else does."
_ANSWERS = ("dialog_yes", "dialog_no", "dialog_close", "dialog_later", "session_stay", "notice_accept")

Evidence = Callable[[str, bytes], None] | None
T = TypeVar("T")
When = Callable[[Screen], T | None]
Rest = Stability | None
What = str | Callable[[], str]


class SessionEnded(Exception):
    """The login page is shown where another page was expected; ``clicked``: after a click that must not be repeated."""

    def __init__(self, *, clicked: bool = False) -> None:
        super().__init__(clicked)
        self.clicked = clicked


class PageView:
    """Looks at one page. ``new_messages`` are what came up on it since ``forget_messages``, for however short a time;
    ``earlier_messages`` what it said just before that. ``evidence`` is given the pictures.

    ``at_rest``: at the last look it waited for no answer, moved nothing, and had gone on for a fifth of a second
    without a change since the last thing that was done to it. ``hinted``: what words say beside themselves is read too.
    """

    def __init__(self, browser: PinnedBrowser, labels: Labels, evidence: Evidence = None) -> None:
        self.browser, self.labels, self.evidence = browser, labels, evidence
        self.new_messages: deque[str] = deque(maxlen=_MOST_HEARD)
        self.earlier_messages: tuple[str, ...] = ()
        self._noted_messages: OrderedDict[tuple[str, str], float] = OrderedDict()
        self.logged_in = self.at_rest = self.hinted = False
        self._observers: dict[Frame, JSHandle] = {}
        self._holders: dict[Frame, ElementHandle] = {}
        self._listed: list[Frame] = []
        self._shown: Screen | None = None
        self._last, self._shown_at = Screen(), 0.0
        self.traffic = Traffic(browser.page)
        browser.relay.objects = self.traffic.objection
        self.dialogs = Dialogs(browser, labels)
        browser.page.on("framenavigated", lambda _: self.forget_last_look())
        self.windows: list[Page] = []  # that the page has opened beside itself
        self.beside: Sequence[Page] = ()  # those of them that are read too; nothing is done there
        self._unread = ""  # why a document cannot be read
        browser.page.on("popup", lambda window: self.windows.append(window))
        browser.page.on("popup", self.traffic.watch)

    def in_windows(self, screen: Screen) -> Screen:
        """Return only what stands in windows beside the page."""
        beside = {n for n, frame in enumerate(self._listed) if frame.page is not self.browser.page}
        items = tuple(item for item in screen.items if item.frame in beside)
        # Items tell their rows by number.
        rows = tuple(row if row.frame in beside else ScreenRow(cells=()) for row in screen.rows)
        return Screen(items, rows, scrolls=screen.scrolls)

    async def look(self, *, anew: bool = False) -> Screen:
        """Return what the page shows now, and the windows ``beside`` it; empty while it loads.

        A look of a moment ago is given again where nothing was done to the page since, unless ``anew``.
        Raises ConnectionLost where the browser has ended.
        """
        self.browser.raise_for_certificate()
        if self.browser.page.is_closed():
            raise errors.ConnectionLost("the browser ended", next_step=LOOKS_FIRST)
        if kept := self.kept_back():
            raise kept
        if self._shown is not None and not anew and time.monotonic() - self._shown_at < _FRESH_S:
            return self._shown
        screen = screen_from(await self._list(), self.browser.page.url, self.browser.secrets)
        self._last = screen.asking() if self._asks(screen) else screen
        self._shown, self._shown_at = None if self.beside else self._last, time.monotonic()
        return self._last

    def _asks(self, screen: Screen) -> bool:
        """Whether what lies over the page is a dialogue, and not something that goes away once the page has loaded."""
        over, loads = screen.covering(), (*self.labels.phrases["loading"], *self.labels.phrases["pending"])
        shows = any(item.dialog for item in over.items) and not any(says(text, loads) for text in over.texts)
        return shows or any(bare_words(over, self.labels[key]) for key in _ANSWERS)

    async def _list(self) -> list[tuple[int, Any]]:
        pages = (page for page in (self.browser.page, *self.beside) if not page.is_closed())
        frames = [frame for page in pages for frame in page.frames]
        self._observers = {frame: observer for frame, observer in self._observers.items() if frame in frames}
        self._holders = {frame: holder for frame, holder in self._holders.items() if frame in frames}
        # A frame keeps its number, and none gets that of one that went away.
        self._listed += [frame for frame in frames if frame not in self._listed]
        self._unread = ""
        listed = await asyncio.gather(*(self._listed_in(frame) for frame in frames))
        numbered = zip(map(self._listed.index, frames), listed, strict=True)
        shown = [(number, each) for number, each in numbered if each is not None and not self._unread]  # all or nothing
        self.at_rest = self.traffic.quiet and bool(shown) and all(each["passing"]["still"] for _, each in shown)
        return shown

    async def _listed_in(self, frame: Frame) -> Any:
        """Return what a frame shows; None where it is hidden, or being replaced: the next look will see what came."""
        if frame.parent_frame is not None and not await self._is_visible(frame):
            return None
        for last in (False, True) if frame in self._observers else (True,):
            try:
                return await self._looked(frame)
            except (Error, TypeError, ValueError) as error:
                self._observers.pop(frame, None)  # it went with its document, or its scripts have replaced what we need
                if last and (_THROWN.search(str(error)) or not isinstance(error, Error)):
                    self._unread = errors.opening_line(str(error))
        return None

    async def _looked(self, frame: Frame) -> Any:
        if first := frame not in self._observers:
            self._observers[frame] = await frame.evaluate_handle(_OBSERVER)
        observer = self._observers[frame]
        text = await observer.evaluate("(h, how) => h.look(how)", [self._shown is None, self.hinted])
        listed = json.loads(text) if text else await observer.evaluate("h => h.last")
        self._note_messages(listed["passing"]["words"], first=first)
        return listed

    def _note_messages(self, passing: Iterable[tuple[str, str]], *, first: bool) -> None:
        """Note what came up in a document; new is what was never said in its place, save what the page began with."""
        now = time.monotonic()
        for place, words in passing:
            key = (place, plain(words))
            if key not in self._noted_messages and not first:
                self.new_messages.append(without_secrets(words, self.browser.secrets))
            self._noted_messages[key] = now
            self._noted_messages.move_to_end(key)
        while len(self._noted_messages) > _MOST_HEARD:
            self._noted_messages.popitem(last=False)

    async def forget_messages(self) -> None:
        """Look, and forget what was said and came up until now: it is older than what is done next."""
        await self.look(anew=True)
        now = time.monotonic()
        self.earlier_messages = tuple(words for (_, words), at in self._noted_messages.items() if now - at <= _AGAIN_S)
        self.dialogs.said.clear()
        self.new_messages.clear()

    async def _is_visible(self, frame: Frame) -> bool:
        with contextlib.suppress(Error):
            if frame not in self._holders:
                self._holders[frame] = await frame.frame_element()
            return bool(await self._holders[frame].evaluate(_VISIBLE))
        return False

    async def current(self, item: Item) -> Item:
        """Return an item of an earlier look as the page shows it now, else itself."""
        return (await self.look()).nearest(item)

    def forget_last_look(self) -> None:
        """Say that something is done to the page: the next look has to be a new one."""
        self._shown = None

    async def element(self, item: Item) -> ElementHandle:
        """Return the element of an item, to act on it. Raises ElementGone where it is not there.

        One of an earlier look is sought among those of the last: its place there may be another element's by now.
        """
        self.forget_last_look()
        shown = self._last.items
        alike = [one for one in shown if (one.frame, one.kind, one.text) == (item.frame, item.kind, item.text)]
        now = alike[0] if len(alike) == 1 else None
        if item in shown:
            now = item
        element = None
        with contextlib.suppress(KeyError, IndexError):
            if now is not None:
                handle = await self.handle(now.frame).evaluate_handle("(h, i) => h.elements[i]", now.index)
                element = handle.as_element()
        if element is None:
            raise ElementGone(f"{item.kind} {item.text!r} was there, and has gone", where=self.browser.page.url)
        return element

    def handle(self, frame: int) -> JSHandle:
        """Return what looks at a frame, with the elements of the last look."""
        return self._observers[self._listed[frame]]

    async def wait(
        self, ready: When[T], what: What, for_s: float | None = None, *, until_rest: bool = False, rest: Rest = None
    ) -> T:
        """Look until ``ready`` gives something but None and False, and return that; ``what`` names it.

        Raises SessionEnded when the login page comes up instead, PageNotUnderstood with what is visible at
        the deadline (``page_s`` where none is given), DeviceSilent if nothing at all is. ``until_rest``: wait only as
        long as the page is not ``at_rest``. ``rest`` is what ``ready`` waits for: it is looked at again when it is due.
        """
        limit = self.browser.deadlines.page_s if for_s is None else for_s
        end, pause = time.monotonic() + limit, SHORT_WAIT_S
        screen = await self.look()
        while True:
            result = ready(screen)
            if result is not None and result is not False:
                return result
            late = time.monotonic() >= end
            whole = late and 2 * limit > self.browser.deadlines.page_s  # or what a notice has left of it
            if self.logged_in and (is_login(screen, self.labels) or (whole and self.traffic.sent_to_login)):
                self.logged_in = self.traffic.sent_to_login = False
                raise SessionEnded
            if late or (until_rest and self.at_rest):
                raise self.not_found(what if isinstance(what, str) else what(), screen, limit)
            await self.wait_for_change(min(pause, rest.due_s) if rest else pause)
            pause = pause if until_rest else min(pause * 1.5, LONG_WAIT_S)
            screen = await self.look(anew=True)

    async def comes(self, ready: When[T], for_s: float, *, until_rest: bool = False, rest: Rest = None) -> T | None:
        """Return what ``wait`` does; None where it does not come."""
        with contextlib.suppress(errors.PageNotUnderstood, errors.DeviceSilent):
            return await self.wait(ready, "", for_s, until_rest=until_rest, rest=rest)
        return None

    async def wait_for_change(self, seconds: float) -> None:
        """Return once a document has changed or come to rest since the last look, after ``seconds`` at the latest."""
        await asyncio.sleep(least_s := min(seconds * _LEAST, _LEAST_S))
        left_s = seconds - least_s
        asked = (observer.evaluate(_WAIT_FOR_CHANGE, left_s * 1000) for observer in self._observers.values())
        waits = [asyncio.ensure_future(each) for each in asked]
        try:
            first = asyncio.wait(waits, timeout=left_s, return_when=asyncio.FIRST_COMPLETED) if waits else None
            await (first or asyncio.sleep(left_s))
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def verify_field(self, element: ElementHandle) -> None:
        """Raise CertificateMoved unless the field for a secret is of the server whose key is pinned."""
        await self.browser.verify()
        origin = await element.evaluate("el => el.ownerDocument.defaultView.origin")
        if origin != self.browser.origin:
            what = "the field for a secret belongs to another server; nothing was typed"
            then = "Use the name or address in the site's file under which the pages are really served."
            raise errors.CertificateMoved(what, where=self.browser.page.url, found=origin, next_step=then)

    def unknown(self, what: str, found: str = "") -> errors.OutcomeUnknown:
        """Return the error for a button that was clicked and whose result is not known."""
        then = "Check what both servers report before you repeat anything."
        return errors.OutcomeUnknown(what, where=self.browser.page.url, found=found, next_step=then)

    def refused(self, what: str, found: str, next_step: str, *, declined: bool = False) -> errors.PageRefused:
        """Return the error for what the page refuses in the words ``found``, or for what was not done."""
        error = errors.PageRefused(what, where=self.browser.page.url, found=found, next_step=next_step)
        error.declined = declined
        return error

    def problem(self, what: str, found: str = "", next_step: str = "") -> errors.PageNotUnderstood:
        """Return the error for something about the page that is shown now."""
        return errors.PageNotUnderstood(what, where=self.browser.page.url, found=found, next_step=next_step)

    def kept_back(self) -> errors.PageNotUnderstood | None:
        """Return the error for a request that was kept from leaving, where one was."""
        what = self.browser.relay.kept_back
        return self.problem(what, next_step=CHANGES) if what else None

    def not_found(self, what: str, screen: Screen, limit: float) -> errors.PageNotUnderstood | errors.DeviceSilent:
        """Return the error for something that is not on the page."""
        if self._unread:
            what = "the page cannot be read: its own scripts have replaced what every page can do"
            return self.problem(what, self._unread, "Look at it in a browser.")
        status = self.traffic.status
        if status >= BROKEN or not screen.items:
            broken = f"the server, or a proxy before it, answered with HTTP {status}"
            what = broken if status >= BROKEN else f"the page stayed empty for {limit:g} s"
            then = "Look at it in a browser. Once the server shows its pages, run the stage again."
            return errors.DeviceSilent(what, where=self.browser.page.url, found=screen_in_words(screen), next_step=then)
        missed = f"not found on the page within {limit:g} s: {what}"
        if screen.busy or screen.blocked:
            over = screen.covering() if screen.busy else screen.in_dialog()
            in_way = " ".join(over.texts) or "an overlay without text"
            missed = f"{missed}; in the way: {in_way}"
        blocked = f"\nother servers that it asked for and did not get: {', '.join(self.browser.blocked)}"
        then = "If it is there under another name, add that name to the site's file (key labels)."
        return self.problem(missed, screen_in_words(screen) + (blocked if self.browser.blocked else ""), then)


# -- Pictures of the page as evidence: none while a secret stands in it, or could be drawn in it ---

_PICTURE_S = 10.0


async def take_picture(view: PageView, name: str) -> None:
    """Hand a PNG of what the window shows to the evidence; without certainty that it holds no secret, none."""
    if view.evidence is None:
        return
    # What is wrong with the page the verb itself will meet too.
    with contextlib.suppress(Error, errors.DeviceError, errors.CertificateMoved, TimeoutError):
        async with asyncio.timeout(_PICTURE_S):
            if (png := await view.browser.picture()) is not None:
                view.evidence(name, png)
