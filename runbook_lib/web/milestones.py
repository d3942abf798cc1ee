"""Read the High Availability page off a screen: configuration mode and milestones. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise

from runbook_lib.observations import HaPage, Milestone
from runbook_lib.params.labels import LABELS, Label, Labels
from runbook_lib.web.controls import find, pressables, same_line
from runbook_lib.web.reading import messages, reports, says_it_goes_on, unsaid, value_beside
from runbook_lib.web.screen import FIELDS, Item, Screen, plain, same_words, says

_BELOW_GAP = 120
_ABOVE_GAP = 60
_PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:[.,]\d+)?\s*[%٪]|[%٪]\s?(\d{1,3})(?![\d.,])")
_MILESTONES = ("milestone_pre", "milestone_replication", "milestone_post")


def ha_page(
    screen: Screen, labels: Labels, read_utc: datetime, said: Iterable[str] = (), earlier: Iterable[str] = ()
) -> HaPage:
    """Read the High Availability page; ``said`` are dialogues that came up meanwhile.

    ``earlier`` are messages that stood there before something was started: they neither fail nor carry it on.
    """
    known = [text for key, label in labels.table.items() if key != "configuration_mode" for text in label.texts]
    mode = value_beside(screen, labels["configuration_mode"], known) or ""
    shown = milestones(screen, labels)
    spoken = (*messages(screen, labels), *said)
    news = unsaid(spoken, earlier)
    failed = any(step.failed for step in shown) or any(reports(text, labels) for text in news)
    done = says(mode, labels.phrases["mode_active"])
    partial = bool(shown) and any(step.percent for step in shown) and not all(step.percent == 100 for step in shown)
    busy = says_under_way(mode, news, labels)
    return HaPage(
        configuration_mode=mode,
        milestones=shown,
        message="\n".join(dict.fromkeys(spoken)),
        under_way=not failed and not done and (partial or busy or (bool(shown) and not offers(screen, labels))),
        read_utc=read_utc,
    )


def is_ha_page(screen: Screen, labels: Labels) -> bool:
    """Return whether this is the page, its form or the way to that."""
    if value_beside(screen, labels["configuration_mode"]) is not None or milestones(screen, labels):
        return True
    return any(find(screen, labels[key]) for key in ("ha_configuration", "secondary_server"))


def offers(screen: Screen, labels: Labels, key: str = "register") -> bool | None:
    """Return whether the page shows something to press by the label ``key`` that is not disabled; None where not."""
    return any(not hit.item.disabled for hit in pressables(screen, labels[key])) or None


def says_under_way(mode: str, texts: Iterable[str], labels: Labels) -> bool:
    """Whether the configuration mode or a text says that a registration is under way."""
    return says(mode, labels.phrases["under_way"]) or says_it_goes_on(texts, labels)


def milestones(screen: Screen, labels: Labels) -> tuple[Milestone, ...]:
    """Return the milestones of HA registration that the page shows, in their order, in whole percent.

    A milestone whose percentage is not shown counts as 100 where a word beside it calls it complete, and
    as 0 otherwise.
    """
    return max((_milestones(items, labels) for items in screen.frames.values()), key=len, default=())


def _milestones(items: Sequence[Item], labels: Labels) -> tuple[Milestone, ...]:
    shown = ((key, _named(items, labels[key])) for key in _MILESTONES)
    named = [(LABELS[key].texts[0], item) for key, item in shown if item is not None]  # the published names
    return tuple(_milestone(name, item, [other for _, other in named], items, labels) for name, item in named)


def _named(items: Sequence[Item], label: Label) -> Item | None:
    """The item that names a milestone: the one that says little else, and is not in a sentence."""
    ranked = [
        (len(plain(item.text)), item.kind != "progressbar", number)
        for number, item in enumerate(items)
        if item.kind not in FIELDS
        if len(item.text.split()) <= 8
        if any(f"{plain(item.text)} ".startswith(f"{plain(text)} ") for text in label.texts)
    ]
    return items[min(ranked)[2]] if ranked else None


def _milestone(name: str, item: Item, all_named: Sequence[Item], items: Sequence[Item], labels: Labels) -> Milestone:
    near = [item, *_near(item, all_named, items)]
    percent = next((found for other in near if (found := _percent(other)) is not None), None)
    texts = [plain(other.text) for other in near if other.kind != "progressbar"]
    words = [" ".join(text.replace(plain(name), " ").split()) for text in texts]
    failed = any(says(text, labels.phrases["milestone_failed"]) for text in words if len(text.split()) <= 6)
    done = any(any(same_words(text, word) for word in labels.phrases["milestone_done"]) for text in words)
    if percent is None:
        percent = 100 if done and not failed else 0
    return Milestone(name=name, percent=min(percent, 100), failed=failed)


def _percent(item: Item) -> int | None:
    if item.kind == "progressbar":
        return int(item.value) if item.value.lstrip("-").isdigit() else None
    match = _PERCENT.search(unicodedata.normalize("NFKC", item.text))  # Japanese digits may be wide ones
    return int(match[1] or match[2]) if match else None


def _near(item: Item, all_named: Sequence[Item], items: Sequence[Item]) -> list[Item]:
    """What belongs to a milestone, nearest first: beside it up to the next one, else below it, else above it."""
    others = [other for other in all_named if other is not item]
    shown = [other for other in items if other.kind in ("text", "progressbar") and other not in all_named]
    end = min((other.left for other in others if same_line(other, item) and other.left > item.left), default=1 << 30)
    right = sorted((o for o in shown if same_line(o, item) and item.left < o.left < end), key=lambda o: o.left)
    # What lies over the page, such as a message at its edge, stands further away; in a table it is no part of the row.
    for number, (before, other) in enumerate(pairwise((item, *right))):
        if other.left - before.right > 4 * _ABOVE_GAP and (other.row < 0 or other.row != item.row):
            right = right[:number]
            break
    if right:
        return right
    in_row = any(same_line(other, item) for other in others)
    floor = min((other.top for other in others if other.top >= item.bottom and not in_row), default=1 << 30)
    below = [other for other in shown if item.bottom - 4 <= other.top < floor and _column(other, item)]
    below = [other for other in below if other.top - item.bottom <= _BELOW_GAP]
    if below:
        return sorted(below, key=lambda other: other.top)[:3]
    above = [other for other in shown if 0 <= item.top - other.bottom + 4 <= _ABOVE_GAP and _column(other, item)]
    return sorted(above, key=lambda other: -other.bottom)[:3]


def _column(one: Item, other: Item) -> bool:
    return min(one.right, other.right) > max(one.left, other.left)
