"""Deal with what is in the way: dialogues, notices, bars, covers. Closed where it only informs; questions are left.

A question is answered with yes where it was expected (``View.expect``), and where it only asks whether the session
goes on. A notice that stands before the login is accepted, since nobody gets in otherwise.
"""

from __future__ import annotations

import contextlib

from playwright.async_api import Error

from runbook_lib.errors import PageNotUnderstood
from runbook_lib.web.match import Hit, find, pressables
from runbook_lib.web.screen import Item, Screen, says
from runbook_lib.web.view import View

_ACTION_MS = 4000
_TRIAL_MS = 500
_OVER = """(h, i) => {
  const el = h.elements[i], box = el.getBoundingClientRect();
  let over = el.ownerDocument.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  if (!over || el.contains(over) || over.contains(el)) return [];
  while (over.parentElement && !over.parentElement.contains(el)) over = over.parentElement;
  return h.elements.flatMap((other, n) => over.contains(other) ? [n] : []);
}"""


async def dismiss(view: View, front: Screen) -> None:
    """Answer or close the dialogue in front.

    Raises PageNotUnderstood for any other question than those above, which is left as it is.
    """
    text = " ".join(front.texts)
    ways = _ways_out(view, front, text)
    if not ways:
        raise PageNotUnderstood(
            "a dialogue that nobody expected is in the way",
            where=view.browser.page.url,
            found=text or ", ".join(item.text for item in front.items),
            next_step="Answer it by hand in a browser, then run the stage again.",
        )
    view.said.append(text)
    with contextlib.suppress(Error):
        element = await view.element(ways[0].item.frame, ways[0].item.index)
        await element.click(timeout=_ACTION_MS)


def _ways_out(view: View, front: Screen, text: str) -> list[Hit]:
    """Return what may be clicked in a dialogue, the best first; nothing where a person has to decide."""
    labels = view.labels
    if says(text, labels.phrases["session_ending"]) and (stays := pressables(front, labels["session_stay"])):
        return stays
    if not view.logged_in and (accepts := pressables(front, labels["notice_accept"])):
        return accepts
    if view.agrees(text) and (agrees := pressables(front, labels["dialog_yes"])):
        return agrees
    return [] if pressables(front, labels["dialog_no"]) else pressables(front, labels["dialog_close"])


async def uncover(view: View, item: Item) -> None:
    """Close what lies over an item of the page, whether its markup calls it a dialogue or not, if it only informs."""
    over = await _over(view, item)
    if over.items:
        with contextlib.suppress(PageNotUnderstood):
            await dismiss(view, over)
            return
    screen = await view.look()
    if screen.in_dialog().items:
        await dismiss(view, screen.in_dialog())
        return
    if [hit for hit in find(screen, view.labels["dialog_no"]) if await _can_be_clicked(view, hit.item)]:
        return
    for hit in find(screen, view.labels["dialog_close"]):
        if await _can_be_clicked(view, hit.item):
            with contextlib.suppress(Error):
                await (await view.element(hit.item.frame, hit.item.index)).click(timeout=_ACTION_MS)
            return


async def _over(view: View, item: Item) -> Screen:
    """Return what lies over an item within its frame, as far as it can be told."""
    screen = await view.look(anew=True)
    now = screen.nearest(item)
    with contextlib.suppress(Error, KeyError):
        inside = set(await view.handle(now.frame).evaluate(_OVER, now.index))
        return Screen(tuple(one for one in screen.items if one.frame == now.frame and one.index in inside))
    return Screen()


async def _can_be_clicked(view: View, item: Item) -> bool:
    try:
        element = await view.element(item.frame, item.index)
        await element.click(trial=True, timeout=_TRIAL_MS)
    except Error:
        return False
    return True
