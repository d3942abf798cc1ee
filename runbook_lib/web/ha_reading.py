"""Read the High Availability pages: configuration mode, milestones, states of what is checked. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import IntEnum
from itertools import pairwise

from runbook_lib.observations import HaPage, Milestone, ReadinessItem
from runbook_lib.params.labels import LABELS, Label, Labels
from runbook_lib.web.controls import NEAR, READ, TYPED, find, pressables, same_line
from runbook_lib.web.reading import concerns, elsewhere, messages, reports, says_it_goes_on, unsaid, value_beside
from runbook_lib.web.screen import FIELDS, Item, Screen, ScreenRow, plain, same_words, says

# -- Configuration mode and milestones -------------------------------------------------------------

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


# -- What the words in a cell, in a row, or beside the rows say of the state of a check -------------

_STATE_WORDS = 4
_REMARKS = frozenset("?!*†‡§#⚠❗✗✘✖❌⛔🚫🔴")  # signs beside a word that take some of it back, or point to a note
_PRESSED, _AROUND = ("button", "link", "tab", "clickable", "menuitem"), 3 * NEAR
_FILTERS = (*TYPED, "radio", "checkbox")
_COUNTED = re.compile(r"([^\W\d]+)\s*[:(]?\s*(\d{1,3})\b|\b(\d{1,3})\s+([^\W\d]+)")  # “Failed (1)”, “1 failed”
_OF_NOTHING = re.compile(r"[^\W\d]+\s*[:(]?\s*0\b|\b0\s+[^\W\d]+")  # “Failed: 0”
_DENIED = re.compile(r"\b(?:no|not|none|without)\s+[^\W\d]+", re.I)


class RowState(IntEnum):
    """What the words of a state mean, the worst first."""

    FAILED, UNKNOWN, BLANK, PENDING, PASSED = range(1, 6)

    @property
    def is_known(self) -> bool:
        return self not in (RowState.UNKNOWN, RowState.BLANK)

    @property
    def reason(self) -> str:
        """Why it has not passed, where its own words do not say it."""
        return {RowState.UNKNOWN: "no state that is known", RowState.BLANK: "no state"}.get(self, "")


def state_of(text: str, labels: Labels) -> RowState:
    """Return the state that a cell's words name; only the exact word counts as passed."""
    if not text.strip():
        return RowState.BLANK
    words = text if len(text.split()) <= _STATE_WORDS else ""
    said = (one for one in (RowState.PENDING, RowState.FAILED) if says(words, labels.phrases[one.name.lower()]))
    return state_named(text, labels) or next(said, RowState.UNKNOWN)


def state_named(text: str, labels: Labels) -> RowState | None:
    """Return the state whose word a text is, and says no more than that; None for any other."""
    for state in (RowState.PENDING, RowState.FAILED, RowState.PASSED):
        if any(same_words(text, phrase) for phrase in labels.phrases[state.name.lower()]):
            return state if state is not RowState.PASSED or _REMARKS.isdisjoint(text) else None
    return None


def state_alone(text: str, labels: Labels) -> RowState | None:
    """Return the state that a text names where that is no answer as well: “No” may say that a check blocks nothing."""
    answers = (answer for key in ("dialog_yes", "dialog_no") for answer in labels[key].texts)
    return None if any(same_words(text, answer) for answer in answers) else state_named(text, labels)


def with_others(state: RowState, others: Sequence[str], labels: Labels) -> RowState:
    """Return a row's state, or the worse one that another of its cells names: some tables have a column per server.

    A remark that something failed leaves it unknown whether that passed.
    """
    if state is RowState.PASSED and any(_fails(text, labels) for text in others):
        state = RowState.UNKNOWN
    return min((state, *(state_alone(text, labels) or state for text in others)))


def hints_of(said: Iterable[tuple[str, str]], labels: Labels) -> list[str]:
    """Return the hints that are about a state, of those that cells give beside their words.

    In a cell that says something else only one that is a state, or begins with a failure.
    """

    def speaks(cell: str, hint: str) -> bool:
        return not cell or any(state_alone(text, labels) for text in (cell, hint)) or _fails(hint.split()[0], labels)

    return [hint for cell, hint in said if hint and speaks(cell, hint)]


def name_and_state(text: str, labels: Labels) -> tuple[str, RowState, str]:
    """Split a text such as ``CPU: passed`` into what is meant, its state and what to tell of that."""
    words = text.split()
    for count in range(min(3, len(words) - 1), 0, -1):
        if state := state_named(" ".join(words[-count:]), labels):
            told = " ".join(words[-count:]) * (state is not RowState.PASSED)
            return " ".join(words[:-count]).rstrip(" :-–—."), state, told
    return text, RowState.UNKNOWN, RowState.UNKNOWN.reason


def state_in(row: ScreenRow, labels: Labels) -> tuple[str, RowState, str]:
    """Return a row's name, state and detail; the state is the first cell that names one, or the end of its one text."""
    cells, hints = [cell for cell in row.cells if cell], hints_of(row.hints, labels)
    if len(cells) == 1:
        name, state, told = name_and_state(cells[0], labels)
        return name, with_others(state, hints, labels), ", ".join(filter(None, (told, *hints)))
    for number, cell in enumerate(cells):
        state = state_of(cell, labels)
        if state.is_known and (number or len(cells) == 2):
            rest = [other for place, other in enumerate(cells) if place != number]
            state = with_others(state, (*rest[1:], *hints), labels)
            return rest[0], state, ", ".join([*([cell] if state is not RowState.PASSED else []), *rest[1:]])
    return cells[0], RowState.UNKNOWN, ", ".join([RowState.UNKNOWN.reason, *cells[1:]])


def shown_in_part(items: Sequence[Item], area: tuple[int, int], states: Sequence[RowState], labels: Labels) -> str:
    """Return what near a table, outside of its ``area``, shows that it leaves out rows, such as those that failed."""
    top, bottom = area
    around = (item for item in items if 0 <= top - item.bottom <= _AROUND or 0 <= item.top - bottom <= _AROUND)
    for item in around:
        chosen = item.value
        if item.kind not in TYPED:
            chosen = "" if item.checked == (item.kind == "checkbox") else item.text
        if item.kind in _FILTERS and state_alone(chosen, labels):
            return f"it may be filtered by {chosen!r}"
        for before, count, number, after in _COUNTED.findall(item.text if item.kind in READ else ""):
            word, most = before or after, int(count or number)
            every = any(same_words(word, free) for free in labels.phrases["unfiltered"])
            state = None if every else state_named(word, labels)
            if (every or state) and most > (states.count(state) if state else len(states)):
                return f"the page speaks of more rows than it shows: {item.text}"
        if item.kind not in _PRESSED:
            continue
        turns = not item.disabled and any(same_words(item.text, text) for text in labels["next_page"].texts)
        if turns or state_alone(item.text, labels) or says(item.text, labels.phrases["further"]):
            return f"it may leave out rows: {item.text}"
    # Arrows that no name tells from other signs: one alone, or those of a toolbar above the table, turn no pages.
    signs = [item for item in items if item.kind in _PRESSED and not item.text and 0 <= item.top - bottom <= _AROUND]
    if any(same_line(*pair) and not all(sign.disabled for sign in pair) for pair in pairwise(signs)):
        return "it may leave out rows: two signs without words below it"
    return ""


def objections(shown: Iterable[str], gone: Iterable[str], labels: Labels, about: str) -> tuple[ReadinessItem, ...]:
    """Return as items what was said beside the rows of something that has not passed; ``gone`` is shown no more.

    ``about`` is the address of the host that is checked.
    """
    heard = (text for text in gone if concerns(text, labels) or says(text, labels["check_readiness"].texts))
    ours = (text for text in dict.fromkeys((*shown, *heard)) if not elsewhere(text, labels, about))
    no = (text for text in ours if _objects(text, labels))
    return tuple(ReadinessItem(name=text, passed=False, detail="said beside the rows") for text in no)


def _objects(text: str, labels: Labels) -> bool:
    """Whether a text says that something has not passed; states alone are a legend."""
    if all(state_named(word, labels) for word in text.split()) or says(text, labels.phrases["harmless"]):
        return False
    return _fails(text, labels) or name_and_state(_OF_NOTHING.sub("", text), labels)[1] is RowState.FAILED


def _fails(text: str, labels: Labels) -> bool:
    """Whether a text says that something has failed, and not that nothing has."""
    fails = says(_DENIED.sub("", _OF_NOTHING.sub("", text)), labels.phrases["milestone_failed"])
    return fails and not says(text, labels.phrases["harmless"])
