"""Deal with what is in the way: dialogues, notices, bars, covers. Closed where it only informs; questions are left.

A question is answered with yes where it was expected (``View.expect``), and where it only asks whether the session
goes on. A notice that stands before the login is accepted, since nobody gets in otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, TypeVar

from playwright.async_api import Dialog, Error

from runbook_lib.errors import PageNotUnderstood
from runbook_lib.params.labels import SECONDARY, Label, Labels
from runbook_lib.params.values import same_host
from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.controls import TYPED, ControlMatch, pressables
from runbook_lib.web.reading import agrees, concerns
from runbook_lib.web.screen import Item, Screen, plain, same_words, says, without_secrets

if TYPE_CHECKING:
    from runbook_lib.web.view import PageView, Rest, When

T = TypeVar("T")

_NOTICES = 12
ACTION_MS = 4000  # of one try; how often it is tried, the deadline of the page says
_DRAWN_S, _GIVEN_BACK_S = 1.5, 0.5
_ESCAPE_S, _CLOSE_S, _LEAVE_S = 3.0, 1.0, 0.3  # what closes later is found by the look that follows
_CORNER = 44
_CROSSES = frozenset({"x", "×", "✕", "✖", "⨯", "✗", "╳"})
_PRESSED = ("button", "link", "clickable")
_INVITING = ("click", "press", "tap", "select", "choose")
_IN_PAGE = files("runbook_lib.web").joinpath("acting.js").read_text(encoding="utf-8").partition("\n")[2].strip()


def script(name: str) -> str:
    """Return a function of ``acting.js``, to be evaluated in the page."""
    return f"(el, given) => {_IN_PAGE}.{name}(el, given)"


class ElementGone(PageNotUnderstood):
    """What an earlier look showed is not there any more: to be looked for again, as where the driver misses it."""


ELEMENT_LOST = (Error, ElementGone)  # what acting on something that is drawn anew, moved or closed meanwhile may raise


class Dialogs:
    """Which questions get a yes, and what dialogues told: ``said`` of what is done here, ``noted`` of other things.

    The browser's own are answered here. A question that was expected and got its yes is in neither, one that got no is
    in ``unexpected``.
    """

    def __init__(self, browser: PinnedBrowser, labels: Labels) -> None:
        self._browser = browser
        self._labels = labels
        self.said: list[str] = []
        self.noted: list[str] = []
        self.unexpected: list[str] = []
        self.expect()
        browser.page.on("dialog", self._answer)

    def expect(self, *phrases: str, dangers: Iterable[str] = (), about: str = "", pressed: Iterable[str] = ()) -> None:
        """Say yes from now on to questions with such a phrase.

        They may name the host ``about``, and repeat what was ``pressed``.
        """
        self.expected, self.dangers, self.about, self.pressed = phrases, tuple(dangers), about, tuple(pressed)

    def agrees(self, question: str) -> bool:
        """Whether a question is one that was expected."""
        words = (word.strip("().:?!'\"") for word in question.split())
        named = question
        for word in (self.about, *words):  # a page may write an address otherwise than it was typed
            named = named.replace(word, SECONDARY) if word and same_host(word, self.about) else named
        return agrees(named, self._labels, self.expected, self.dangers)

    async def _answer(self, dialog: Dialog) -> None:
        confirmed = dialog.type == "confirm" and self.agrees(dialog.message)
        agreed = confirmed or dialog.type in ("alert", "beforeunload")
        text = without_secrets(dialog.message, self._browser.secrets)
        if not confirmed and dialog.type != "beforeunload":
            self.said.append(text)
        if not agreed:
            self.unexpected.append(text)
        with contextlib.suppress(Error):
            await (dialog.accept() if agreed else dialog.dismiss())


async def dismiss(view: PageView, front: Screen) -> None:
    """Answer or close the dialogue in front; one that loads is given a moment, and left.

    Raises PageNotUnderstood for any other question than those above, which is left as it is.
    """
    text = " ".join(front.texts)
    ways = _ways_out(view, front, text)
    notes = is_notice(front, view.labels)
    loads = any(same_words(said, phrase) for said in front.texts for phrase in view.labels.phrases["loading"])
    if loads or not (ways or notes):
        drawn = _controls(front)  # its fields and buttons may come a moment later; those of a frame, with its page
        empty = any(item.kind == "frame" for item in front.items) and len({item.frame for item in front.items}) == 1
        patience_s = view.browser.deadlines.page_s if empty else _DRAWN_S
        if await view.comes(lambda screen: _controls(screen.in_dialog()) != drawn, patience_s) or loads:
            return
        words = dialog_in_words(front)
        then = "Answer it by hand in a browser, then run the stage again."
        raise view.problem(f"an unexpected dialog covers the page: {words}", words, then)
    # What a page asks before it acts does not say how that went; “Backup failed” says nothing about what is done here.
    if notes or not view.dialogs.agrees(question_in(view, front)):
        (view.dialogs.said if concerns(text, view.labels) else view.dialogs.noted).append(text)
    if not ways:
        await _escape(view, front)
        return
    with contextlib.suppress(*ELEMENT_LOST):
        await (await view.element(ways[0].item)).click(timeout=ACTION_MS)
    await view.comes(gone_from(front), _CLOSE_S)  # one that fades out is not pressed again


async def wait_past_notices(
    view: PageView, ready: When[T], what: str, for_s: float | None, *, until_rest: bool, rest: Rest
) -> T:
    """Look until ``ready`` gives something, as ``PageView.wait`` does; close the notices that come up meanwhile.

    Raises PageNotUnderstood with its words for a question in the way.
    """
    limit = view.browser.deadlines.page_s if for_s is None else for_s
    end, notices = time.monotonic() + limit, 0

    def either(screen: Screen) -> tuple[T | None, Screen] | None:
        result = ready(screen)
        if result is not None and result is not False:
            return result, screen
        return (None, screen) if screen.blocked and not screen.busy else None

    while True:
        left = max(0.0, end - time.monotonic())
        result, screen = await view.wait(either, what, left, until_rest=until_rest, rest=rest)
        if result is not None:
            return result
        if time.monotonic() > end:
            raise view.not_found(what, screen, limit)
        await dismiss(view, screen.in_dialog())
        # Notices come one after another; the time that they take is not the page's.
        notices += 1
        end = max(end, time.monotonic() + limit) if notices <= _NOTICES else end


def question_in(view: PageView, front: Screen) -> str:
    """Return what a dialogue says, without the words of its buttons, but those that were expected in a question.

    Nor with a title that repeats what was pressed. What its fields hold is part of it, and that there is one.
    """
    offers = {plain(item.text) for item in front.items if item.kind in _PRESSED}
    closing = (text for key in ("dialog_no", "dialog_close") for text in view.labels[key].texts)
    offers |= {*map(plain, (*closing, *view.dialogs.pressed))}
    said = [text for text in front.texts if plain(text) not in offers or says(text, view.dialogs.expected)]
    return " ".join((*said, *(item.value or item.kind for item in front.items if item.kind in TYPED)))


def gone_from(front: Screen) -> Callable[[Screen], bool]:
    """Return what tells of a screen whether the dialogue in front is another one than this, or none."""
    return lambda screen: screen.in_dialog().texts != front.texts


def _controls(front: Screen) -> list[tuple[str, str]]:
    return [(item.kind, item.text) for item in front.items if item.kind != "text"]


def _ways_out(view: PageView, front: Screen, text: str) -> list[ControlMatch]:
    """Return what may be clicked in a dialogue, the best first; nothing where a person has to decide."""
    labels = view.labels
    if says(text, labels.phrases["session_ending"]):
        stays = pressables(front, labels["session_stay"])
        if says(question_in(view, front), labels["logout"].texts):  # yes may mean to leave
            stays = [hit for hit in stays if not pressables(Screen((hit.item,)), labels["dialog_yes"])]
        if stays:
            return stays
    if not view.logged_in and (accepts := pressables(front, labels["notice_accept"])):
        return accepts
    if view.dialogs.agrees(question_in(view, front)) and (agrees := pressables(front, labels["dialog_yes"])):
        return agrees
    if not view.dialogs.expected and (later := pressables(front, labels["dialog_later"])):
        return later  # an offer, such as a new password; in the middle of a submit it may be about that
    if not is_notice(front, labels):
        return []
    # What closes a question is no answer to it; its only button may be one.
    named = [] if "?" in text or "？" in text else pressables(front, labels["dialog_close"])
    return named or [ControlMatch(item, (0,)) for item in closing_crosses(front)]


def is_notice(front: Screen, labels: Labels) -> bool:
    """Whether a dialogue only tells something: no field and no frame, no more than one way on, and no way to say no."""
    if any(item.kind in (*TYPED, "radio", "frame") for item in front.items):
        return False
    shut = {item.index for item in closing_crosses(front)}
    others = Screen(tuple(item for item in front.items if item.index not in shut))
    ways = {plain(item.text) for item in others.items if item.kind in ("button", "clickable", "menuitem", "tab")}
    closing, agreeing, turning = (_words(labels[key]) for key in ("dialog_close", "dialog_yes", "wizard_next"))
    if ways & closing:  # a tour has also what turns its pages
        ways -= turning
    only_closes = ways <= closing - agreeing  # whichever of them is taken
    return (len(ways) <= 1 or only_closes) and not pressables(others, labels["dialog_no"])


def is_message(front: Screen, labels: Labels) -> bool:
    """Whether something only tells and can be clicked away: no more than words, which neither ask nor invite."""
    asks = any(says(text, _INVITING) or "?" in text or "？" in text for text in front.texts)
    return is_notice(front, labels) and not asks and all(item.kind == "text" for item in front.items)


@lru_cache
def _words(label: Label) -> frozenset[str]:
    return frozenset(map(plain, label.texts))


def closing_crosses(front: Screen) -> list[Item]:
    """Return what closes a dialogue by a cross: a sign without words, or a small one in its upper right corner.

    Its title may read *Cancel*: that is no answer.
    """
    top = min((item.top for item in front.items), default=0)
    right = max((item.right for item in front.items), default=0)
    return [item for item in front.items if item.kind in _PRESSED and _is_cross(item, top, right)]


def _is_cross(item: Item, top: int, right: int) -> bool:
    if item.text.strip().casefold() in _CROSSES:
        return True
    small = 0 < item.box[2] <= _CORNER and 0 < item.box[3] <= _CORNER
    return small and not any(level == 0 for level, _ in item.names) and item.top - top <= _CORNER >= right - item.right


def dialog_in_words(front: Screen) -> str:
    """Return what a dialogue says and offers."""
    offers = [item.text for item in front.items if item.kind in _PRESSED and item.text]
    return " ".join((*front.texts, *(f"[{offer}]" for offer in dict.fromkeys(offers))))


async def _escape(view: PageView, front: Screen) -> None:
    """Close a notice by the key for it. Raises PageNotUnderstood where it stays."""
    view.forget_last_look()
    with contextlib.suppress(Error):
        await view.browser.page.keyboard.press("Escape")
    try:
        await view.wait(gone_from(front), "the notice to close", _ESCAPE_S)
    except PageNotUnderstood:
        words = dialog_in_words(front)
        then = "Close it by hand in a browser, then run the stage again."
        raise view.problem(f"a notice covers the page and cannot be closed: {words}", words, then) from None


async def uncover(view: PageView, item: Item) -> bool:
    """Close what lies over an item of the page, whether its markup calls it a dialogue or not, if it only informs.

    A menu that stayed open is left alone by the pointer, and closed by the key for it. Whether what is over the item
    has no words, and can only be waited for, is returned.
    """
    over = await _over(view, item)
    if not over.items and not (await view.look()).in_dialog().items:
        await _leave(view)
        return True
    if all(one.nav or one.kind == "menuitem" for one in over.items) and over.items:
        await _leave(view)
        return False
    if over.items:
        with contextlib.suppress(*ELEMENT_LOST, PageNotUnderstood):
            await dismiss(view, over)
            if is_message(over, view.labels) and (await _over(view, item)).texts == over.texts:
                await (await view.element(over.items[0])).click(timeout=ACTION_MS)  # some stay until that
            return False
    front = (await view.look()).in_dialog()
    if front.items:
        await dismiss(view, front)
    return False


async def refocus(view: PageView, item: Item) -> bool:
    """Deal with the dialogue that has taken the focus, or wait for one that is on its way or has not gone yet.

    Return whether it was waited for, as ``uncover`` does: it always is.
    """
    front = (await view.look(anew=True)).in_dialog()
    if front.items and front.items[0].dialog != item.dialog:
        await dismiss(view, front)
    else:
        await view.wait_for_change(_GIVEN_BACK_S)
    return True


async def why_unused(view: PageView, item: Item, problem: str, *, covered: bool) -> str:
    """Return in words why an item that is there cannot be used: what lies over it, what it is, or the ``problem``."""
    if covered:
        return f"in the way: {dialog_in_words(await _over(view, item)) or 'an overlay without text'}"
    if item.disabled:
        return "it is disabled"
    return "it takes no typing" if "fill" in problem else problem


async def move_pointer_away(view: PageView) -> None:
    """Take the pointer away from what opens under it."""
    view.forget_last_look()
    with contextlib.suppress(Error):
        await view.browser.page.mouse.move(1, 1)


async def _leave(view: PageView) -> None:
    """Take the pointer away, and press the key that closes menus."""
    await move_pointer_away(view)
    with contextlib.suppress(Error):
        await view.browser.page.keyboard.press("Escape")
    await asyncio.sleep(_LEAVE_S)


async def _over(view: PageView, item: Item) -> Screen:
    """Return what lies over an item within its frame, as far as it can be told."""
    screen = await view.look(anew=True)
    now = screen.nearest(item)
    with contextlib.suppress(Error, KeyError, IndexError):
        inside = set(await view.handle(now.frame).evaluate(script("over"), now.index))
        return Screen(tuple(one for one in screen.items if one.frame == now.frame and one.index in inside))
    return Screen()
