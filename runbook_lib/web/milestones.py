"""Read the High Availability page off a screen: configuration mode and milestones. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from runbook_lib.models import HaPage, Milestone
from runbook_lib.web.labels import Label, Labels
from runbook_lib.web.match import pressables, same_line
from runbook_lib.web.reading import messages, refusal, unsaid, value_beside
from runbook_lib.web.screen import FIELDS, Item, Screen, plain, same, says

_BELOW_GAP = 120
_ABOVE_GAP = 60
_PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:[.,]\d+)?\s*%")
_MILESTONES = (
    ("milestone_pre", "Pre-HA Registration"),
    ("milestone_replication", "Database Replication"),
    ("milestone_post", "Post HA Registration"),
)


def ha_page(
    screen: Screen, labels: Labels, read_utc: datetime, said: Iterable[str] = (), earlier: Iterable[str] = ()
) -> HaPage:
    """Read the High Availability page; ``said`` are dialogues that came up meanwhile.

    ``earlier`` are messages that stood there before something was started: they neither fail nor carry it on.
    """
    known = [text for key, label in labels.table.items() if key != "configuration_mode" for text in label.texts]
    mode = value_beside(screen, labels["configuration_mode"], known) or ""
    found = milestones(screen, labels)
    spoken = (*messages(screen, labels), *said)
    news = unsaid(spoken, earlier)
    failed = any(step.failed for step in found) or bool(refusal(news, labels))
    done = says(mode, labels.phrases["mode_active"])
    partial = bool(found) and any(step.percent for step in found) and not all(step.percent == 100 for step in found)
    busy = says(" ".join((mode, *news)), labels.phrases["under_way"])
    offered = any(not hit.item.disabled for hit in pressables(screen, labels["register"]))
    return HaPage(
        configuration_mode=mode,
        milestones=found,
        message="\n".join(dict.fromkeys(spoken)),
        under_way=not failed and not done and (partial or busy or (bool(found) and not offered)),
        read_utc=read_utc,
    )


def milestones(screen: Screen, labels: Labels) -> tuple[Milestone, ...]:
    """Return the milestones of HA registration that the page shows, in their order, in whole percent.

    A milestone whose percentage is not shown counts as 100 where a word beside it calls it complete, and
    as 0 otherwise.
    """
    frames = [_milestones(items, labels) for items in screen.frames.values()]
    return max(frames, key=len, default=())


def _milestones(items: Sequence[Item], labels: Labels) -> tuple[Milestone, ...]:
    named: list[tuple[str, Item]] = []
    for key, name in _MILESTONES:
        item = _named(items, labels[key])
        if item is not None:
            named.append((name, item))
    return tuple(_milestone(name, item, [other for _, other in named], items, labels) for name, item in named)


def _named(items: Sequence[Item], label: Label) -> Item | None:
    """The item that names a milestone: the one that says little else, and is not in a sentence."""
    found = [
        (len(plain(item.text)), item.kind != "progressbar", number)
        for number, item in enumerate(items)
        if item.kind not in FIELDS
        if any(_starts(item.text, text) for text in label.texts)
    ]
    return items[min(found)[2]] if found else None


def _starts(text: str, phrase: str) -> bool:
    return len(text.split()) <= 8 and f"{plain(text)} ".startswith(f"{plain(phrase)} ")


def _milestone(name: str, item: Item, all_named: Sequence[Item], items: Sequence[Item], labels: Labels) -> Milestone:
    near = [item, *_near(item, all_named, items)]
    percent = next((found for other in near if (found := _percent(other)) is not None), None)
    words = [_without(other.text, name) for other in near if other.kind != "progressbar"]
    failed = any(says(text, labels.phrases["milestone_failed"]) for text in words if len(text.split()) <= 6)
    done = any(any(same(text, word) for word in labels.phrases["milestone_done"]) for text in words)
    if percent is None:
        percent = 100 if done and not failed else 0
    return Milestone(name=name, percent=min(percent, 100), failed=failed)


def _without(text: str, name: str) -> str:
    return " ".join(plain(text).replace(plain(name), " ").split())


def _percent(item: Item) -> int | None:
    if item.kind == "progressbar":
        return int(item.value) if item.value.lstrip("-").isdigit() else None
    found = _PERCENT.search(item.text)
    return int(found.group(1)) if found else None


def _near(item: Item, all_named: Sequence[Item], items: Sequence[Item]) -> list[Item]:
    """What belongs to a milestone, nearest first: beside it up to the next one, else below it, else above it."""
    others = [other for other in all_named if other is not item]
    shown = [other for other in items if other.kind in ("text", "progressbar") and other not in all_named]
    end = min((other.left for other in others if same_line(other, item) and other.left > item.left), default=1 << 30)
    right = [other for other in shown if same_line(other, item) and item.left < other.left < end]
    if right:
        return sorted(right, key=lambda other: other.left)
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
