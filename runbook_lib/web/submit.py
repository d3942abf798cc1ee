"""Tick a box, choose an option; send something once, and see what the page makes of it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from playwright.async_api import ElementHandle, Error

from runbook_lib.errors import OutcomeUnknown, PageNotUnderstood, PageRefused, RunbookError, cut
from runbook_lib.params.labels import Label, Labels
from runbook_lib.web.actions import Only, PageActions
from runbook_lib.web.controls import find, find_beside, find_radios, named, pressables
from runbook_lib.web.dialogs import ACTION_MS, dismiss, gone_from, question_in, script
from runbook_lib.web.reading import concerns, elsewhere, fresh_texts, meaning, refusal, unsaid
from runbook_lib.web.screen import Item, Screen, Stability, plain, same_words, says
from runbook_lib.web.view import CHANGES, SessionEnded, take_picture

# -- Tick a box; choose an option in a list, in one that is drawn with other elements, or in a group of radio buttons

_CHOICES = ("option", "menuitem", "clickable", "radio", "link", "text")
_DRAWN = ("clickable", "button")
_OPTION, _END = script("option"), script("end")
_OPEN_S = 2.0  # for each way to open a list; after the last the deadline of the page counts
_MOVED = 6


async def tick(actions: PageActions, key: str, on: bool) -> None:
    """Set the box that the label names."""

    def is_set(screen: Screen) -> bool | None:
        hits = find(screen, actions.labels[key])
        return hits[0].item.checked is on if hits else None

    item = await actions.find(key)
    actions.kept.append(is_set)
    if item.checked != on:
        actions.changed = True
        await click_box(actions, item)
        await actions.view.wait(is_set, f"{named(actions.labels[key])} set")


async def click_box(actions: PageActions, item: Item) -> None:
    """Click a box or a button of a group; drawn ones often lie over the real one."""

    async def click(element: ElementHandle) -> None:
        try:
            await element.click(timeout=ACTION_MS)
        except Error:
            await element.dispatch_event("click")

    await actions.act_on(item, click)


async def choose(actions: PageActions, key: str, option: str) -> None:
    """Choose the option that the label ``option`` names in the list or group that ``key`` names, unless it is."""
    label, wanted = actions.labels[key], actions.labels[option]
    screen = await actions.view.wait(lambda now: now if _choice(now, label) else None, named(label))
    if radios := find_radios(screen, label):
        await _choose_radio(actions, radios, key, option)
        return
    item = _choice(screen, label)[0]

    def chosen(screen: Screen) -> bool | None:
        shown = next((item.value or item.text for item in _choice(screen, label)), "")
        return any(same_words(shown, text) for text in (*wanted.texts, actions.chosen.get(key, ""))) if shown else None

    actions.kept.append(chosen)
    if chosen(screen):
        return
    actions.changed = True
    choosing = _choose_native(actions, item, wanted, label) if item.options else None
    actions.chosen[key] = await (choosing or _choose_listed(actions, item, screen, wanted, label))


def _means(option: str, wanted: Label, labels: Labels) -> bool:
    """Whether an option is the wanted one, in known words only: “Semi-Manual” and “Delete all” are others."""
    known = {word for text in (*labels.phrases["choice_words"], *wanted.texts) for word in plain(text).split()}
    return says(option, wanted.texts) and known.issuperset(plain(option).split())


def _choice(screen: Screen, label: Label) -> list[Item]:
    hits = find(screen, label, kinds=("combobox",)) or find(screen, label, kinds=("textbox",))
    return [hit.item for hit in hits] or find_radios(screen, label) or find_beside(screen, label, _DRAWN)


async def _choose_radio(actions: PageActions, radios: Sequence[Item], key: str, option: str) -> None:
    wanted = actions.labels[option]
    hits = find(Screen(tuple(radios)), wanted) or find(await actions.view.look(), wanted)
    hits = [hit for hit in hits if hit.item.index in {radio.index for radio in radios}]
    hits = [hit for hit in hits if not hit.rank[0] or _means(hit.item.text, wanted, actions.labels)]
    if not hits:
        raise _no_option(actions, wanted, actions.labels[key], [radio.text for radio in radios])
    text = hits[0].item.text
    if not hits[0].item.checked:
        actions.changed = True
        await click_box(actions, hits[0].item)

    def chosen(screen: Screen) -> bool | None:
        near = [hit.item for hit in find(screen, wanted, kinds=("radio",)) if hit.item.text == text]
        return any(item.checked for item in near) if near else None

    actions.kept.append(chosen)
    await actions.view.wait(chosen, f"{named(actions.labels[key])} set to {named(wanted)}")


async def _choose_native(actions: PageActions, item: Item, wanted: Label, label: Label) -> str:
    order = [n for text in wanted.texts for n, option in enumerate(item.options) if same_words(option, text)]
    order = order or [n for n, option in enumerate(item.options) if _means(option, wanted, actions.labels)]
    if not order:
        raise _no_option(actions, wanted, label, item.options)
    text = item.options[order[0]]

    async def choosing(element: ElementHandle) -> None:
        # By its words: a list that was drawn anew since the look may have another order.
        option = (await element.evaluate_handle(_OPTION, text)).as_element()
        if option is None:
            raise Error(text)
        await element.select_option(element=option, timeout=ACTION_MS)

    await actions.act_on(item, choosing)
    return text


async def _choose_listed(actions: PageActions, item: Item, before: Screen, wanted: Label, label: Label) -> str:
    known = {(other.kind, other.text, other.box) for other in before.items}

    def offered(screen: Screen) -> Item | None:
        hits = [hit for hit in find(screen, wanted, kinds=_CHOICES) if _means(hit.item.text, wanted, actions.labels)]
        hits = [hit for hit in hits if hit.item.box != item.box]
        new = [hit for hit in hits if (hit.item.kind, hit.item.text, hit.item.box) not in known]
        return new[0].item if new else None

    choice = await _opened(actions, item, label, offered)
    await actions.click(choice)

    def chosen(screen: Screen) -> str | None:
        # A list that was its own caption has another one now; it stands where it stood.
        there = [other for other in screen.items if (other.frame, other.kind) == (item.frame, item.kind)]
        there = [one for one in there if max(abs(one.left - item.left), abs(one.top - item.top)) <= _MOVED]
        shown = [other.value or other.text for other in (*_choice(screen, label), *there)]
        return next((value for value in shown if same_words(value, choice.text) or says(value, wanted.texts)), None)

    return await actions.view.wait(chosen, f"{named(label)} showing {choice.text!r}")


async def _opened(actions: PageActions, item: Item, label: Label, offered: Callable[[Screen], Item | None]) -> Item:
    """Open a drawn list: by the arrow at its end, by a click, by the key for it; return what is then offered."""
    for way in ("arrow", "click", "key"):
        now = await actions.view.current(item)
        if way == "arrow":
            await _click_end(actions, now)
        else:
            await actions.click(now)
        if way == "key":
            with actions.view.browser.guard(f"opening {named(label)}"):
                await actions.view.browser.page.keyboard.press("Alt+ArrowDown")
        with contextlib.suppress(PageNotUnderstood):
            return await actions.view.wait(offered, "", _OPEN_S)
    return await actions.view.wait(offered, f"the wanted option in {named(label)}")


async def _click_end(actions: PageActions, item: Item) -> None:
    """Click the small thing at the right end of a field, such as the arrow that opens its list."""

    async def click(element: ElementHandle) -> None:
        end = (await element.evaluate_handle(_END)).as_element()
        await (end or element).click(timeout=ACTION_MS)

    await actions.act_on(item, click)


def _no_option(actions: PageActions, wanted: Label, label: Label, options: Sequence[str]) -> PageNotUnderstood:
    then = "If it is there under another name, add that name to the site's file (key labels)."
    return actions.view.problem(f"{named(label)} does not offer {named(wanted)}", ", ".join(options), then)


# -- Send something once, and see what the page makes of it ----------------------------------------

T = TypeVar("T")

_DECLINED, _DECLINED_S = "the page asked an unexpected question; it was answered with no", 2.0
_CHANGED = "the page has changed the form since it was filled in; its question was not answered with yes"
_NEWS, _CLOSES = 400, 4
_SENTENCES = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")
_WHOLE = "Read it on the page; if yes is right, put the whole question into the site's file (key labels)."

NEXT_STEPS: Mapping[str, str] = {
    "wrong_key": "Set the key anew on both servers (ncs ha authkey <newkey>) and in the secret's place.",
    "mismatch": "A stored certificate is still the old one: run 20_list_certificates again.",
    "unauthorized": "Check the ISE user and the secret in the site's file; the user needs ISE's administrator role.",
    "duplicate": "It is there already: check its row on the page before you repeat anything.",
    "too_many": "The page accepts no more servers (two ISE servers at most): one has to be removed first.",
    "unreachable": "Check that this PI server reaches the other one: address, names, routes, ports, services.",
    "": "Read the page's words; nothing is repeated by itself.",
}


@dataclass
class Submit:
    """One button that is clicked once. ``agree`` names the phrases of questions that it may ask (see labels).

    ``about`` is the address of the host that it is about. Right before the click ``form`` fills in what is sent, until
    it is kept, and ``ready`` looks once more. ``only`` tells the button from others that are called so.
    """

    actions: PageActions
    name: str
    key: str
    agree: str
    dangers: str = ""
    about: str = ""
    ready: Callable[[], Awaitable[None]] | None = None
    form: Callable[[], Awaitable[None]] | None = None
    only: Only = None
    _new: tuple[str, ...] = ()

    async def send(self, done: Callable[[Screen], T | None]) -> T:
        """Click, answer the expected question, and return what ``done`` makes of the page once it is content.

        Raises PageRefused with the page's words, and OutcomeUnknown where the page shows neither within
        ``page_s``. Any other error means that nothing was clicked. SessionEnded: it was clicked.
        """
        view = self.actions.view
        before = await view.look()
        view.dialogs.unexpected.clear()
        phrases = view.labels.phrases
        dangers, pressed = phrases.get(self.dangers, ()), view.labels[self.key].texts
        view.dialogs.expect(*phrases[self.agree], dangers=dangers, about=self.about, pressed=pressed)
        await take_picture(view, f"{self.name}-before")
        await view.forget_messages()
        try:
            keep = partial(self.actions.fill_until_kept, self.form) if self.form else self.ready
            only = self.actions.stands_with_fields if self.form else self.only
            await self.actions.press_once(self.key, keep, only=only)
            return await self._outcome(before, done)
        finally:
            view.dialogs.expect()
            with contextlib.suppress(Exception):  # a picture must not hide what happened
                await take_picture(view, f"{self.name}-after")

    async def _outcome(self, before: Screen, done: Callable[[Screen], T | None]) -> T:
        view = self.actions.view
        shown, refusing, heard = Stability(), [""], Stability()

        def ready(screen: Screen) -> tuple[Screen, T | None] | None:
            front = screen.in_dialog()
            # One that stood there before the click, such as the form itself, asks nothing; nor does one that goes on.
            if front.items and _name_of(screen) != _name_of(before):
                return screen, None if pressables(front, view.labels["dialog_yes"]) else done(front)
            result = done(screen)
            if result is not None:
                return screen, result
            if view.dialogs.unexpected:
                # Some pages go on all the same; this one does no more.
                if shown.is_stable(screen, _DECLINED_S) and view.traffic.quiet:
                    raise self._refused(view.dialogs.unexpected[0], what=_DECLINED)
                return None
            fresh = unsaid(fresh_texts(before, screen), view.earlier_messages)
            self._new = tuple(dict.fromkeys((*view.new_messages, *fresh, *view.dialogs.said)))
            ours = [text for text in self._new if not elsewhere(text, view.labels, self.about)]
            refusing.append(words := refusal(ours, view.labels))
            if words and words == refusing[-2] and concerns(words, view.labels):  # still there at the second look
                raise self._refused(words)
            # Of other words nobody knows whether they speak of this; what the page does then says more.
            stays = bool(find(screen, view.labels[self.key]))  # the form that was sent
            if heard.is_stable(words, _DECLINED_S) and words and view.traffic.quiet and (stays or self._known(words)):
                if self._known(words) or says(words, view.labels.phrases["broken"]):
                    raise self._refused(words)
                raise view.problem("the page does no more, and does not say that this was refused")
            return None

        try:
            while True:
                screen, result = await view.wait(ready, f"an answer to {self.name}")
                if result is not None:
                    return result
                await self._answer(screen)
        except SessionEnded:
            raise SessionEnded(clicked=True) from None
        except (PageRefused, OutcomeUnknown):
            raise
        except (RunbookError, Error) as error:
            raise self._unknown("the page does not show the result", self._news(error)) from None

    async def _answer(self, screen: Screen) -> None:
        """Deal with a dialogue that came up after the click."""
        view, front = self.actions.view, screen.in_dialog()
        text = " ".join(front.texts)
        agreed = view.dialogs.agrees(asked := question_in(view, front))
        if not agreed:
            asks = any(item.kind in ("textbox", "password") for item in front.items)  # for a value, and refuses nothing
            # What a question would do, such as “Trust on first use?”, has not happened.
            told = [part for words in front.texts for part in _SENTENCES.split(words) if part[-1:] not in "?？"]
            words = "" if asks or elsewhere(text, view.labels, self.about) else refusal(told, view.labels)
            if words and (self._known(words) or concerns(" ".join(front.texts), view.labels)):
                raise self._refused(words)
            if no := pressables(front, view.labels["dialog_no"]):
                view.dialogs.unexpected.append(asked)
                await self.actions.click(no[0].item)
                await view.wait(gone_from(front), "the dialogue to close")
                return
        else:
            if self.form and not await self.actions.holds():
                if no := pressables(front, view.labels["dialog_no"]):
                    await self.actions.click(no[0].item)
                    raise self._refused(text, what=_CHANGED)
                raise self._unknown(_CHANGED, text)
            await view.forget_messages()  # what is asked says nothing of how it goes
            front = (await view.look()).in_dialog()
            if " ".join(front.texts) != text:
                return  # it asks something else by now
        for _ in range(1 if agreed else _CLOSES):  # a page that is busy swallows a click; yes is said once
            await dismiss(view, front)
            if gone_from(front)(await view.look(anew=True)):
                return
        await view.wait(gone_from(front), "the dialogue to close")

    def _known(self, words: str) -> bool:
        """Whether words that say no are those of a refusal, and not perhaps of something else on the server."""
        return bool(meaning(words, self.actions.labels)) or says(words, self.actions.labels.phrases["input"])

    def _unknown(self, what: str, found: str) -> OutcomeUnknown | PageNotUnderstood:
        return self.actions.unknown(f"{self.name}: the button was clicked, and {what}", found)

    def _news(self, error: Exception) -> str:
        """Return what came up since the click and may be the reason, in words that nobody knows, before the error."""
        asked = [f"asked, and answered with no: {question}" for question in self.actions.view.dialogs.unexpected]
        new = [f"new on the page: {cut(' | '.join(self._new), _NEWS)}"] if self._new else []
        why = str(error) if isinstance(error, RunbookError) else "the browser or the connection ended"
        return "\n".join((*asked, *new, why))

    def _refused(self, words: str, what: str = "the page said no") -> PageRefused | OutcomeUnknown | PageNotUnderstood:
        meant = meaning(words, self.actions.labels)
        if not meant and says(words, self.actions.labels.phrases["broken"]):
            return self._unknown("the server has an error, and may have done what it was asked for", words)
        shown = f" ({meant.replace('_', ' ')})" if meant else ""
        step = {_DECLINED: _WHOLE, _CHANGED: CHANGES}.get(what, NEXT_STEPS[meant])
        declined = what in (_DECLINED, _CHANGED)
        return self.actions.view.refused(f"{self.name}: {what}{shown}", words, step, declined=declined)


def _name_of(screen: Screen) -> str:
    return next((item.dialog for item in screen.in_dialog().items), "")
