"""Act on the page: press and type where a label says. Nothing is found by id, class or position."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Literal, TypeVar

from playwright.async_api import ElementHandle, Error

from runbook_lib.errors import OutcomeUnknown, PageNotUnderstood, opening_line
from runbook_lib.params.labels import Label
from runbook_lib.web import dialogs
from runbook_lib.web.controls import ControlMatch, bare_words, best, find, named
from runbook_lib.web.reading import is_kept
from runbook_lib.web.screen import Item, Screen, screen_in_words
from runbook_lib.web.traffic import HELD
from runbook_lib.web.view import PageView, Rest, When

# -- Type into a field as a person does, and read back where it went -------------------------------

_BEFORE, _TYPE, _AFTER, _WITH, _REFOCUSED, _UNFILLED = (
    dialogs.script(name) for name in ("before", "type", "after", "standsWith", "refocused", "unfilled")
)
_FOCUS_GONE = "the page gave the focus to something else"


async def type_into(element: ElementHandle, value: str, timeout_ms: float) -> tuple[str, list[str]]:
    """Type key by key, leave the field, and return what it holds and the names of other fields that it went into.

    Those are emptied. Buttons that wait for keys, and forms that judge a field once it is left, see what they wait for.
    The keys are sent within the page, which takes a tenth of the time; where the field does not hold what was typed
    then, and no other one does, they come from the browser once. Raises Error where the page takes the focus away.
    """
    fields = await element.evaluate_handle(_BEFORE)
    await element.fill("", timeout=timeout_ms)
    kept = True
    with suppress(Error):  # a frame that may not run scripts takes the browser's keys alone
        kept = await element.evaluate(_TYPE, value)
    typed, strayed = await element.evaluate(_AFTER, [fields, value])
    if kept and typed != value and not strayed:
        await element.fill("", timeout=timeout_ms)
        for key in value:
            if kept := kept and await element.evaluate(_REFOCUSED):
                await element.type(key, timeout=timeout_ms)
        typed, strayed = await element.evaluate(_AFTER, [fields, value])
    if not kept and not strayed:
        raise Error(_FOCUS_GONE)
    return typed, strayed


T = TypeVar("T")
Act = Callable[[ElementHandle], Awaitable[object]]
Only = Callable[[Screen, Item], Awaitable[bool]] | None

_TRIES = 4
_ROLES: tuple[Literal["button", "link", "menuitem", "tab"], ...] = ("button", "link", "menuitem", "tab")
_TOGETHER_S = 1.5  # the longest that a page and the one that takes its place are both shown
_DRAWN_S = 0.5  # within which most pages have drawn anew what they took away
_COVERED = "intercepts pointer events"
_WORDS_AFTER_S = 4.0
_MENU_S, _MENUS = 2.0, 3  # how long each menu is waited for, and how many are opened


class PageActions:
    """The hands on one page; each verb first waits until what it needs is there."""

    def __init__(self, view: PageView) -> None:
        self.view, self.labels = view, view.labels
        self._typed: list[ElementHandle] = []  # the fields of the form that is being filled in, the last at the end
        self._held: list[tuple[str, ElementHandle, str]] = []  # what the form that was filled in last has to hold
        self.kept: list[Callable[[Screen], bool | None]] = []  # whether it shows what was ticked and chosen in it
        self._sent = -1  # how much had left for the server before something was pressed once
        self.changed = False  # since a form was last seen to hold what was filled in
        self.chosen: dict[str, str] = {}  # what a list shows since something was chosen in it
        self.opens_by_click: set[str] = set()  # entries of the menu that do not open by pointing at them

    async def find(self, key: str, *, deadline_s: float | None = None, menus: bool = False, only: Only = None) -> Item:
        """Return the control that the label ``key`` names, waiting for it; dialogues in the way are dealt with.

        ``menus``: it may be in a menu beside the fields that were filled in. ``only``: it must be true of the control.
        Raises PageNotUnderstood where it does not come, or where the page shows several that cannot be told apart.
        """
        label, opened, start = self.labels[key], set[str](), time.monotonic()
        limit = self.view.browser.deadlines.page_s if deadline_s is None else deadline_s
        while True:
            left = max(0.0, start + limit - time.monotonic())

            def ready(screen: Screen) -> tuple[Screen, list[ControlMatch]] | None:
                front, late = screen.in_dialog(), time.monotonic() - start > _WORDS_AFTER_S
                within = front if screen.blocked else screen
                hits = find(front, label) or find(within, label)
                hits = hits or (bare_words(within, label) if late or screen.blocked else [])
                return (screen, hits) if hits and not screen.busy else None

            try:
                screen, hits = await self.wait(ready, named(label), min(left, _MENU_S) if menus else left)
            except PageNotUnderstood:
                if not menus:
                    raise
                menus = await self._open_menu(opened)
                continue
            own = [hit for hit in hits if only is None or await only(screen, hit.item)]
            items = best(own) if own else ()
            if len(items) == 1:
                return items[0]
            if time.monotonic() - start > min(_TOGETHER_S, limit / 2):
                if items or not menus:
                    raise self._not_one(label, items, screen)
                menus = await self._open_menu(opened)  # those that are shown are another form's
            await asyncio.sleep(0.05)

    def _not_one(self, label: Label, items: Sequence[Item], screen: Screen) -> PageNotUnderstood:
        """Return the error for a page that shows none or several of what is to be pressed."""
        if items:
            found = ", ".join(f"{item.kind} {item.text!r}" for item in items)
            then = "Give a longer caption, which fits one of them only, in the site's file (key labels)."
            return self.view.problem(f"{len(items)} controls answer to {named(label)}", found, then)
        what = f"{named(label)} belongs to other fields or rows than those that are meant; nothing was clicked"
        then = "If the form's own has another name, add that to the site's file (key labels)."
        return self.view.problem(what, screen_in_words(screen), then)

    async def wait(
        self, ready: When[T], what: str, for_s: float | None = None, *, until_rest: bool = False, rest: Rest = None
    ) -> T:
        """Look until ``ready`` gives something, as ``PageView.wait`` does; close the notices that come up meanwhile.

        Raises PageNotUnderstood with its words for a question in the way.
        """
        return await dialogs.wait_past_notices(self.view, ready, what, for_s, until_rest=until_rest, rest=rest)

    async def is_shown(self, key: str) -> bool:
        """Whether the page shows what the label names, at this moment."""
        return bool(find(await self.view.look(), self.labels[key]))

    async def press(self, key: str, *, deadline_s: float | None = None) -> None:
        """Click what the label names. For things that change nothing: it is looked for again if the page moves."""
        await self._acting(
            key, lambda element: element.click(timeout=dialogs.ACTION_MS), deadline_s=deadline_s, menus=True
        )

    async def press_once(
        self, key: str, ready: Callable[[], Awaitable[None]] | None = None, *, more: bool = False, only: Only = None
    ) -> None:
        """Click what the label names, exactly once, after ``ready``; ``more``: its form goes on after it, ``only``: it
        must be true of the control, whatever menu is open.

        Everything that can fail before the click is tried first, so that an error other than OutcomeUnknown
        says that nothing was clicked.
        """

        async def last_look(element: ElementHandle) -> None:
            if ready is not None:
                await ready()
            await self._try(key, element)
            if only == self.stands_with_fields and not await self.holds():
                raise dialogs.ElementGone("the page has changed what was filled in")
            self._sent = self.view.browser.relay.sent

        menus = only in (None, self.stands_with_fields)
        element = await self._acting(key, last_look, menus=menus, only=only)
        if not more:
            self._typed.clear()
        patience_ms = self.view.browser.deadlines.page_s * 1000  # a slow machine is no reason not to know
        try:
            # Neither forced nor without waiting after: only then does the driver see whether the click reaches the
            # element, and hold one back that something else would get because the page has moved.
            await element.click(timeout=patience_ms)
        except Error:
            what = f"{named(self.labels[key])} was clicked, and the page or the browser went away"
            raise self.unknown(what) from None

    def unknown(self, what: str, found: str = "") -> OutcomeUnknown | PageNotUnderstood:
        """Return the error for what was pressed once: PageNotUnderstood where nothing has left since, nor can now."""
        relay = self.view.browser.relay
        if relay.sent_nothing_since(self._sent):
            return self.view.kept_back() or self.view.problem(f"{what}; nothing was sent to the server", found)
        return self.view.unknown(what, relay.kept_back or found)

    async def _try(self, key: str, element: ElementHandle) -> None:
        """See that an element can be clicked, and that the browser's accessible tree means the same by the label."""
        await element.click(trial=True, timeout=dialogs.ACTION_MS)
        frame = await element.owner_frame()
        if frame is None:
            return
        name = re.compile(rf"^\s*({'|'.join(map(re.escape, self.labels[key].texts))})\s*$")
        by_role = (frame.get_by_role(role, name=name).element_handles() for role in _ROLES)
        others = 0
        for handle in itertools.chain.from_iterable(await asyncio.gather(*by_role)):
            if await handle.evaluate("(found, el) => found.contains(el) || el.contains(found)", element):
                return
            others += await handle.is_visible()
        if others:
            raise self.view.problem(
                f"what looks like {named(self.labels[key])} is not what the page's roles call so; nothing was clicked",
                next_step="Look at the page in a browser: two ways of reading it disagree.",
            )

    async def enter(self) -> None:
        """Press Enter where something was typed last. Raises PageNotUnderstood where the page gives the focus away."""
        self.view.forget_last_look()
        with self.view.browser.guard("pressing Enter"):
            if self._typed and not await self._typed[-1].evaluate(_REFOCUSED):
                raise self.view.problem(_FOCUS_GONE)
            await self.view.browser.page.keyboard.press("Enter")

    async def fill(self, key: str, value: str, *, secret: bool = False) -> None:
        """Type a value into the field that the label names, unless it holds that, and see that it is there.

        A secret is typed only after the page's way to the server was verified.
        """

        async def typing(element: ElementHandle) -> None:
            if secret:
                await self.view.verify_field(element)
            self._typed.append(element)
            self._held.append((key, element, value))
            await self.view.traffic.note_typed(key, value, element)
            if is_kept(key, str(await element.evaluate(HELD)), value):
                return
            self.changed = True
            typed, elsewhere = await type_into(element, value, dialogs.ACTION_MS)
            if elsewhere:
                what = f"what was typed for {named(self.labels[key])} went into another field: {', '.join(elsewhere)}"
                then = "It was removed again. Look at the page: it may move on to another field by itself."
                raise self.view.problem(what, next_step=then)
            if not is_kept(key, typed, value):
                what = f"the field {named(self.labels[key])} does not keep what is typed into it"
                then = "Look at the page: the field may be limited in length, or filled by a script."
                raise self.view.problem(what, "" if secret else f"typed {value!r}, there is {typed!r}", then)

        if secret:
            self.view.browser.remember_secret(value)
        await self._acting(key, typing)

    async def fill_until_kept(self, fill: Callable[[], Awaitable[None]]) -> None:
        """Fill in a form until it holds all of it; raises PageNotUnderstood where it does not keep it.

        A page may load late what it remembers, and write that over what was typed. Nor may it ask for a password that
        nothing is known of, such as the same once more without a caption.
        """
        for _ in range(_TRIES):
            self.changed = False
            self._typed.clear()
            self._held.clear()
            self.kept.clear()
            await fill()
            if not self.changed:
                if self._typed and await self._typed[-1].evaluate(_UNFILLED):
                    what = "the form asks for a password that is not known by its caption; it was not sent"
                    raise self.view.problem(what, next_step="Add its caption to the site's file (key labels).")
                return
        then = "Look at the page: somebody or something else fills in the same form."
        raise self.view.problem("the form does not keep what is filled in; it was not sent", next_step=then)

    async def holds(self) -> bool:
        """Whether the form still holds what was filled in; fields that the page has emptied or hidden do not count."""
        screen = await self.view.look(anew=True)
        if any(kept(screen) is False for kept in self.kept):
            return False
        with suppress(Error):
            now = [(key, str(await element.evaluate(HELD)), value) for key, element, value in self._held]
            return all(is_kept(key, held, value) for key, held, value in now if held.strip())
        return True

    async def click(self, item: Item) -> None:
        """Click an item of the last look; where the page was drawn anew since, the same item as it is now.

        A dialogue that came up late and lies over it is dealt with as ``dismiss`` says.
        Raises PageNotUnderstood where it cannot be clicked.
        """
        await self.act_on(item, lambda element: element.click(timeout=dialogs.ACTION_MS))

    async def act_on(self, item: Item, act: Act) -> None:
        """Act on an item of the last look, as ``click`` does: for what may be tried again.

        What loads is waited for, whatever it covers. Raises PageNotUnderstood where it stays away, or cannot be used.
        """
        first = [item]

        async def again() -> Item:
            return first.pop() if first else await self.view.current(item)

        await self._until_acted(again, act, f"{item.kind} {item.text!r}")

    async def _open_menu(self, opened: set[str]) -> bool:
        """Open the next menu that stands with the fields that were filled in; whether there may be one more."""
        if opened:  # in vain, and it may cover what comes late
            with self.view.browser.guard("closing a menu"):
                await self.view.browser.page.keyboard.press("Escape")
        screen = await self.view.look(anew=True)
        for item in screen.items:
            new = item.menu and not (item.nav or item.disabled or item.text in opened or screen.busy or screen.blocked)
            if new and await self.stands_with_fields(screen, item):
                opened.add(item.text)
                with suppress(PageNotUnderstood):
                    await self.click(item)
                return len(opened) < _MENUS
        return screen.busy

    async def stands_with_fields(self, _: Screen, item: Item) -> bool:
        """Whether what is to be pressed stands with the fields that were filled in; in another frame it may."""
        with suppress(*dialogs.ELEMENT_LOST):
            return bool(await (await self.view.element(item)).evaluate(_WITH, self._typed))
        return True

    async def _acting(self, key: str, act: Act, **which: Any) -> ElementHandle:
        """Find the control, as ``find`` does, and act on it; look again where the page was drawn anew in between."""
        look = partial(self.find, key, **which)
        return await self._until_acted(look, act, named(self.labels[key]))

    async def _until_acted(self, look: Callable[[], Awaitable[Item]], act: Act, what: str) -> ElementHandle:
        """Act on the item that a look gives, and try again with the next one where the page misses it."""
        problem, covered = "", False
        tries, end = _TRIES, time.monotonic() + self.view.browser.deadlines.page_s
        while tries:
            tries -= 1
            item = await look()
            try:
                element = await self.view.element(item)
                await act(element)
                return element
            except dialogs.ELEMENT_LOST as error:
                problem, covered = opening_line(str(error)), _COVERED in str(error)
            self.view.browser.raise_for_certificate()
            # What loads is waited for, whatever it covers; so is what keeps the focus for a while.
            if problem == _FOCUS_GONE:
                waits = await dialogs.refocus(self.view, item)
            else:
                waits = covered and await dialogs.uncover(self.view, item)
            tries += waits and time.monotonic() < end
            if not covered:
                await self.view.wait_for_change(_DRAWN_S)
        why = await dialogs.why_unused(self.view, item, problem, covered=covered)
        then = "Look at the picture or the page: something may cover it, or an earlier field may be empty."
        raise self.view.problem(f"{what} is there, and cannot be used; {why}", problem, then)
