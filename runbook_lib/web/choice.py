"""Choose an option: in a list, in a list that is drawn with other elements, or in a group of radio buttons."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from runbook_lib.errors import PageNotUnderstood
from runbook_lib.web.hand import Hand, named
from runbook_lib.web.labels import Label
from runbook_lib.web.match import find, find_beside, find_radios
from runbook_lib.web.screen import Item, Screen, same, says

_CHOICES = ("option", "menuitem", "clickable", "radio", "link", "text")
_DRAWN = ("clickable", "button")
_OPEN_S = 2.0  # for each way to open a list; after the last the deadline of the page counts
_MOVED = 6


async def choose(hand: Hand, key: str, option: str) -> None:
    """Choose the option that the label ``option`` names in the list or group that ``key`` names."""
    label, wanted = hand.labels[key], hand.labels[option]
    screen = await hand.view.wait(lambda now: now if _choice(now, label) else None, named(label))
    radios = find_radios(screen, label)
    if radios:
        await _choose_radio(hand, radios, key, option)
        return
    item = _choice(screen, label)[0]
    if item.options:
        await _choose_native(hand, item, wanted, label)
    elif not any(same(item.value or item.text, text) for text in wanted.texts):
        await _choose_listed(hand, item, screen, wanted, label)


def _choice(screen: Screen, label: Label) -> list[Item]:
    hits = find(screen, label, kinds=("combobox",)) or find(screen, label, kinds=("textbox",))
    return [hit.item for hit in hits] or find_radios(screen, label) or find_beside(screen, label, _DRAWN)


async def _choose_radio(hand: Hand, radios: Sequence[Item], key: str, option: str) -> None:
    hits = find(Screen(tuple(radios)), hand.labels[option]) or find(await hand.view.look(), hand.labels[option])
    hits = [hit for hit in hits if hit.item.index in {radio.index for radio in radios}]
    if not hits:
        raise _no_option(hand, hand.labels[option], hand.labels[key], [radio.text for radio in radios])
    text = hits[0].item.text
    if not hits[0].item.checked:
        await hand.click_box(hits[0].item)

    def chosen(screen: Screen) -> bool | None:
        near = find(screen, hand.labels[option], kinds=("radio",))
        return True if any(hit.item.checked and hit.item.text == text for hit in near) else None

    await hand.view.wait(chosen, f"{named(hand.labels[key])} set to {named(hand.labels[option])}")


async def _choose_native(hand: Hand, item: Item, wanted: Label, label: Label) -> None:
    order = [n for text in wanted.texts for n, option in enumerate(item.options) if same(option, text)]
    order = order or [n for n, option in enumerate(item.options) if says(option, wanted.texts)]
    if not order:
        raise _no_option(hand, wanted, label, item.options)
    element = await hand.view.element(item.frame, item.index)
    with hand.view.browser.guard(f"choosing in {named(label)}"):
        await element.select_option(index=order[0])


async def _choose_listed(hand: Hand, item: Item, before: Screen, wanted: Label, label: Label) -> None:
    known = {(other.kind, other.text, other.box) for other in before.items}

    def offered(screen: Screen) -> Item | None:
        hits = [hit for hit in find(screen, wanted, kinds=_CHOICES) if hit.item.box != item.box]
        new = [hit for hit in hits if (hit.item.kind, hit.item.text, hit.item.box) not in known]
        return new[0].item if new else None

    choice = await _opened(hand, item, label, offered)
    await hand.click(choice)

    def chosen(screen: Screen) -> bool | None:
        # A list that was its own caption has another one now; it stands where it stood.
        there = [other for other in screen.items if (other.frame, other.kind) == (item.frame, item.kind)]
        there = [
            other for other in there if abs(other.left - item.left) <= _MOVED and abs(other.top - item.top) <= _MOVED
        ]
        shown = [other.value or other.text for other in (*_choice(screen, label), *there)]
        return True if any(same(value, choice.text) or says(value, wanted.texts) for value in shown) else None

    await hand.view.wait(chosen, f"{named(label)} showing {choice.text!r}")


async def _opened(hand: Hand, item: Item, label: Label, offered: Callable[[Screen], Item | None]) -> Item:
    """Open a drawn list: by the arrow at its end, by a click, by the key for it; return what is then offered."""
    for way in ("arrow", "click", "key"):
        found = await hand.view.again(item)
        if way == "arrow":
            await hand.click_end(found)
        else:
            await hand.click(found)
        if way == "key":
            with hand.view.browser.guard(f"opening {named(label)}"):
                await hand.view.browser.page.keyboard.press("Alt+ArrowDown")
        with contextlib.suppress(PageNotUnderstood):
            return await hand.view.wait(offered, "", _OPEN_S)
    return await hand.view.wait(offered, f"the wanted option in {named(label)}")


def _no_option(hand: Hand, wanted: Label, label: Label, options: Sequence[str]) -> PageNotUnderstood:
    return PageNotUnderstood(
        f"{named(label)} does not offer {named(wanted)}",
        where=hand.view.browser.page.url,
        found=", ".join(options),
        next_step="If it is there under another name, add that name to the site's file (key labels).",
    )
