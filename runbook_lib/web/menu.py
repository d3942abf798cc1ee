"""Go to a page by its menu path, whether the menu opens by pointing, by clicking, or leads over pages."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence, Set
from typing import TypeVar
from urllib.parse import quote

from runbook_lib.errors import DeviceSilent, PageNotUnderstood
from runbook_lib.web.actions import PageActions
from runbook_lib.web.controls import ControlMatch, best, find, named
from runbook_lib.web.dialogs import ELEMENT_LOST, dismiss, move_pointer_away
from runbook_lib.web.screen import Item, Screen, Stability
from runbook_lib.web.view import PageView

T = TypeVar("T")
Places = Set[object]  # of the entries of a menu, each with its words

_PRESS = ("link", "menuitem", "tab", "button", "clickable")
# Going somewhere changes nothing: what opens later than these allow for is found by the next step, or the next time.
# The first two are for pages that never come to rest: one that is still sooner opens nothing more.
_HOVER_S, _BUTTON_S, _STEP_S = 0.6, 0.8, 10.0
_CHANGE_S, _REST_S = 1.5, 0.25
_ICON_S, _MOST_ICONS, _CORNER, _TRIES = 2.5, 4, 96, 3
_MENU_ICONS = ("menu", "nav", "burger", "☰", "≡", "sidebar")
_OTHER_ICONS = ("logout", "user", "setting", "help", "close", "search", "alarm", "delete", "remove", "edit", "add")
DEEP_LINK = "/webacs/loginAction.do?action=login&product=wcs&selectedCategory=en#pageId={}&forceLoad=true"
_PATIENCE = 0.25
"""The part of a page's time after which its way is gone again."""


async def open_by_menu(
    actions: PageActions, path: Sequence[str], arrived: Callable[[Screen], bool], what: str, page_id: str = ""
) -> None:
    """Go by the menu and wait for the page; raises PageNotUnderstood where it does not come, at ``page_s``.

    Where the site's file knows the page's id (the label ``page_id``), its address is tried first.

    A page that loads itself anew at the moment of the click swallows it. Going somewhere changes nothing, so
    the way is gone a second time where a part of the time has passed in vain. What came up in a window of its own
    meanwhile is loaded into this one, where everything is looked at.
    """

    view = actions.view
    if view.windows:  # what is shown may be one of them, which need not have the menu
        await view.browser.go("/")
        view.windows.clear()
    for page in actions.labels[page_id].texts if page_id else ():
        with contextlib.suppress(PageNotUnderstood, DeviceSilent):
            await view.browser.go(DEEP_LINK.format(quote(page, safe="")))
            await actions.wait(arrived, what)
            return
    await follow_menu(actions, path, arrived)
    try:
        await actions.wait(arrived, what, view.browser.deadlines.page_s * _PATIENCE)
    except PageNotUnderstood:
        if not await take_over_window(view):
            await follow_menu(actions, path, arrived)
        await actions.wait(arrived, what)


async def take_over_window(view: PageView) -> bool:
    """Load here, where everything is looked at, what the page has opened in a window of its own; whether it has."""
    addresses = [window.url for window in view.windows if window.url.startswith(view.browser.origin + "/")]
    if addresses:
        await view.browser.go(addresses[-1].removeprefix(view.browser.origin))
        with view.browser.guard("loading the page"):  # another fragment alone loads nothing
            await view.browser.page.reload()
    return bool(addresses)


async def follow_menu(actions: PageActions, path: Sequence[str], arrived: Callable[[Screen], bool]) -> None:
    """Click through the labels of a menu path, for example administration, settings, high availability.

    An entry that is already visible is used at once. Where the menu does not lead on, a button that opens the menu is
    tried, then the whole path once more and slowly, then the search field. Raises PageNotUnderstood. Arrival is for
    the caller to see.
    """
    done, slowly, before = 0, False, Screen()
    gone, others = set[object](), frozenset[object]()  # the entries that were clicked, and those that lead nowhere
    while done < len(path):
        screen = await actions.view.look()
        front = screen.in_dialog()
        if screen.blocked and not any(find(front, actions.labels[key], kinds=_PRESS) for key in path[done:]):
            await dismiss(actions.view, front)
        try:
            position, item, before = await _next(actions, path, done, before, gone, others, slowly=slowly)
        except PageNotUnderstood:
            if done and not others:
                # What comes late below an entry is taken for a menu that has closed, and closed by what opens one. An
                # entry that then leads nowhere is not in the menu: it may be part of the path to this page.
                done, slowly, before, others = 0, not slowly, Screen(), frozenset(gone if slowly else ())
                continue
            await _search(actions, path[-1])
            return
        done = position + 1
        gone.add((item.text, item.box))
        try:
            await _open(actions, item, path[done:], arrived)
        except PageNotUnderstood:
            if slowly:
                raise
            done, slowly, before = 0, True, Screen()  # it closed under the pointer, or was drawn anew


async def _next(
    actions: PageActions, path: Sequence[str], done: int, before: Screen, gone: Places, others: Places, *, slowly: bool
) -> tuple[int, Item, Screen]:
    """Wait for the entry that leads furthest from ``done`` on: the last of the path if it is there already.

    Return its place in the path, itself and the screen. ``gone`` were clicked, ``others`` are no entries. ``slowly``:
    wait for it as long as for anything else before what opens a menu is tried.
    """
    left = path[done:]

    def ready(screen: Screen) -> tuple[int, Item, Screen] | None:
        for position in (len(left) - 1, *range(len(left) - 1)):
            # Words that cannot be pressed count only for the step that is due: elsewhere they are headings.
            kinds = _PRESS if position or others else (*_PRESS, "text")
            hits = find(screen, actions.labels[left[position]], kinds=kinds)
            hits = hits if position or hits or others else find(screen, actions.labels[left[0]])
            if hits := [hit for hit in hits if (hit.item.text, hit.item.box) not in others]:
                return done + position, _chosen(hits, before), screen
        return None

    def opened(screen: Screen) -> tuple[int, Item, Screen] | None:
        """The same of a menu that was just opened: what was clicked as its first entry may have been none of it."""
        hits = find(screen, actions.labels[path[0]], kinds=_PRESS) if done else []
        new = [hit for hit in hits if (hit.item.text, hit.item.box) not in gone]
        return ready(screen) or ((0, _chosen(new, before), screen) if new else None)

    what = " > ".join(named(actions.labels[key]) for key in left)
    deadline = min(_STEP_S, actions.view.browser.deadlines.page_s)
    screen = await actions.view.look()
    button = bool(find(screen, actions.labels["menu_open"]))
    try:
        closed = not slowly and (button or bool(menu_icons(screen)))
        return await actions.wait(ready, what, _BUTTON_S if closed else deadline, until_rest=closed)
    except PageNotUnderstood:
        if not button and not menu_icons(await actions.view.look()):
            raise
    if button:
        await actions.press("menu_open")
        return await actions.wait(opened, what, deadline)
    return await _by_icon(actions, opened, what, deadline)


def menu_icons(screen: Screen) -> list[Item]:
    """Return what may open a menu and has no words, the likeliest first: by what it is made of, else by its place."""
    ranked = []
    for item in screen.items:
        made = item.text.casefold()
        if item.kind == "icon" and not any(word in made for word in _OTHER_ICONS):
            says_so = any(word in made for word in _MENU_ICONS)
            corner = item.left <= _CORNER and item.top <= _CORNER
            if says_so or corner:
                ranked.append((not says_so, not corner, item.top, item.left, item))
    return [entry[-1] for entry in sorted(ranked, key=lambda entry: entry[:-1])][:_MOST_ICONS]


async def _by_icon(actions: PageActions, ready: Callable[[Screen], T | None], what: str, deadline_s: float) -> T:
    """Press things without words until the menu comes up; what came up instead is closed again.

    A notice that comes between the click and the look takes the pointer out of a menu, which may close it: once more.
    Where none brings it soon the page is slow, or has lost the click: the menu is waited for, then the likeliest is
    pressed once more.
    """
    likely = menu_icons(await actions.view.look())
    for item in likely:
        for _ in range(_TRIES):
            notices = (*actions.view.dialogs.noted, *actions.view.dialogs.said)
            with contextlib.suppress(PageNotUnderstood):
                return await actions.wait(ready, what, 0.0)  # it came late, and would be closed now
            await actions.click(await actions.view.current(item))
            with contextlib.suppress(PageNotUnderstood):
                return await actions.wait(ready, what, _ICON_S)
            with actions.view.browser.guard("closing what turned out to be no menu"):
                await actions.view.browser.page.keyboard.press("Escape")
            if notices == (*actions.view.dialogs.noted, *actions.view.dialogs.said):
                break
    if likely:
        with contextlib.suppress(PageNotUnderstood):
            return await actions.wait(ready, what, deadline_s)
        await actions.click(await actions.view.current(likely[0]))
        return await actions.wait(ready, what, deadline_s)
    raise actions.view.not_found(what, await actions.view.look(), actions.view.browser.deadlines.page_s)


def _chosen(hits: Sequence[ControlMatch], before: Screen) -> Item:
    """Of several entries with one name prefer those that came up with their menu, then those in a menu."""
    known = {(item.kind, item.text, item.box) for item in before.items}
    new = [hit for hit in hits if (hit.item.kind, hit.item.text, hit.item.box) not in known]
    items = best(new or hits)
    return next((item for item in items if item.nav), items[0])


async def _open(actions: PageActions, item: Item, left: Sequence[str], arrived: Callable[[Screen], bool]) -> None:
    """Point at an entry that has more below it; click it where pointing opens nothing, or where it is the last.

    Where an entry of this menu had to be clicked, others that lead to no address are clicked first and pointed at then.
    """
    before = await actions.view.look()
    if left:
        leads_nowhere = item.href.partition("#")[0] in ("", before.url.partition("#")[0])
        like_others = bool(actions.opens_by_click) and leads_nowhere
        if item.text not in actions.opens_by_click:
            if not like_others and await _opens_by_pointing(actions, item, left):
                return
            actions.opens_by_click.add(item.text)
        await _click_open(actions, item, left)
        if like_others and not await _shows(actions, left):
            await move_pointer_away(actions.view)
            await _opens_by_pointing(actions, item, left)
        return
    # The page before this one may stay for a moment, and look like the one that is meant; or be the very same.
    loads, shown = actions.view.traffic.loads, Stability()

    def moved_on(screen: Screen) -> bool:
        return actions.view.traffic.loads > loads or (screen != before and shown.is_stable(screen, _REST_S))

    await actions.click(await actions.view.current(item))
    await move_pointer_away(actions.view)
    if not arrived(before):
        return
    await actions.view.comes(moved_on, _CHANGE_S, rest=shown)


async def _shows(actions: PageActions, left: Sequence[str], known: Set[tuple[str, str]] = frozenset()) -> bool:
    """Return whether an entry that is looked for and not ``known`` is there, or comes up before the page is still."""

    def shown(screen: Screen) -> bool:
        hits = [hit.item for key in left for hit in find(screen, actions.labels[key], kinds=_PRESS)]
        return any((item.kind, item.text) not in known for item in hits)

    return bool(await actions.view.comes(shown, _HOVER_S, until_rest=True))


async def _opens_by_pointing(actions: PageActions, item: Item, left: Sequence[str]) -> bool:
    """Point at an entry, and return whether something that is looked for came up."""
    known = {(other.kind, other.text) for other in (await actions.view.look()).items}
    try:
        element = await actions.view.element(await actions.view.current(item))
        await element.hover(timeout=2000)
    except ELEMENT_LOST:
        return False
    return await _shows(actions, left, known)


async def _click_open(actions: PageActions, item: Item, left: Sequence[str]) -> None:
    """Click an entry that has more below it; click it again if it was open and the click has closed it."""

    def entries(screen: Screen) -> set[tuple[str, str]]:
        hits = [hit for key in left for hit in find(screen, actions.labels[key], kinds=(*_PRESS, "text"))]
        return {(hit.item.kind, hit.item.text) for hit in hits}

    before = entries(await actions.view.look())
    await actions.click(await actions.view.current(item))
    if not before:
        if item.folded and not await _shows(actions, left):  # a tree may open by its sign or by this key alone
            await actions.view.browser.page.keyboard.press("ArrowRight")
        return

    def changed(screen: Screen) -> set[tuple[str, str]] | None:
        after = entries(screen)
        return after if after != before else None

    after = await actions.view.comes(changed, _HOVER_S, until_rest=True)
    if after is not None and after < before:
        await actions.click(await actions.view.current(item))


async def _search(actions: PageActions, key: str) -> None:
    """Type the page's name into the search field and take the entry that comes up."""
    if not await actions.is_shown("menu_search"):
        raise actions.view.not_found(named(actions.labels[key]), await actions.view.look(), _STEP_S)
    before = await actions.view.look()
    await actions.fill("menu_search", actions.labels[key].texts[0])

    def offered(screen: Screen) -> Item | None:
        hits = find(screen, actions.labels[key], kinds=(*_PRESS, "option"))
        return _chosen(hits, before) if hits else None

    await actions.click(await actions.view.wait(offered, named(actions.labels[key])))
