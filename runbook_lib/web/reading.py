"""Read values off a screen: the text beside a caption, milestones, tables, what the page says. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from runbook_lib.models import HaPage, IseServer, Milestone, ReadinessItem
from runbook_lib.web.labels import Label, Labels
from runbook_lib.web.match import find, same_line
from runbook_lib.web.screen import FIELDS, Item, Row, Screen, holds, plain, same

_BELOW_GAP = 60
_PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:[.,]\d+)?\s*%")
_MILESTONES = (
    ("milestone_pre", "Pre-HA Registration"),
    ("milestone_replication", "Database Replication"),
    ("milestone_post", "Post HA Registration"),
)
_MEANINGS = ("wrong_key", "mismatch", "unauthorized", "duplicate", "too_many", "unreachable")
_MESSAGE_WORDS = 60


def says(text: str, phrases: Iterable[str]) -> bool:
    """Whether a text holds one of the phrases."""
    return any(holds(text, phrase) for phrase in phrases)


def meaning(text: str, labels: Labels) -> str:
    """Return what a refusal means: ``wrong_key``, ``mismatch``, ``unauthorized``, ``duplicate``, ``too_many``,
    ``unreachable``, or nothing where the words are not known."""
    return next((name for name in _MEANINGS if says(text, labels.phrases[name])), "")


def refusal(texts: Iterable[str], labels: Labels) -> str:
    """Return the texts that say no, joined by line feeds; empty where none does."""
    no = [text for text in texts if _is_message(text) and (_says_no(text, labels) or meaning(text, labels))]
    return "\n".join(no)


def fresh_texts(before: Screen, after: Screen) -> tuple[str, ...]:
    """Return the texts of ``after`` that ``before`` did not show (or showed less often)."""
    left = Counter(before.texts)
    found = []
    for text in after.texts:
        if left[text]:
            left[text] -= 1
        else:
            found.append(text)
    return tuple(found)


def messages(screen: Screen, labels: Labels) -> tuple[str, ...]:
    """Return what the page says of itself: live regions, and sentences that report a failed registration."""
    strong = (*labels.phrases["wrong_key"], *labels.phrases["mismatch"])
    found = []
    for item in screen.items:
        if item.kind != "text" or not _is_message(item.text) or item.text in found:
            continue
        reports = holds(item.text, "registration") and not item.heading and _says_no(item.text, labels)
        if item.live or reports or says(item.text, strong):
            found.append(item.text)
    return tuple(found)


def value_beside(screen: Screen, label: Label, known: Iterable[str] = ()) -> str | None:
    """Return the text that stands beside, below or behind a caption; None where the caption is not there.

    ``known`` are other captions: one of them is never the value.
    """
    captions = (*label.texts, *known)
    for text in label.texts:
        for value in (*_in_rows(screen.rows, text), *_in_texts(screen, text)):
            if value and not any(same(value, caption) for caption in captions):
                return value
    for hit in find(screen, label, kinds=FIELDS):
        if hit.item.value and hit.rank[0] == 0:
            return hit.item.value
    return "" if any(same(shown, text) for shown in screen.texts for text in label.texts) else None


def milestones(screen: Screen, labels: Labels) -> tuple[Milestone, ...]:
    """Return the milestones of HA registration that the page shows, in their order, in whole percent.

    A milestone whose percentage is not shown counts as 100 where a word beside it calls it complete, and
    as 0 otherwise.
    """
    frames = [_milestones(items, labels) for items in screen.frames.values()]
    return max(frames, key=len, default=())


def ha_page(screen: Screen, labels: Labels, read_utc: datetime, said: Iterable[str] = ()) -> HaPage:
    """Read the High Availability page; ``said`` are dialogues that came up meanwhile."""
    known = [text for key, label in labels.table.items() if key != "configuration_mode" for text in label.texts]
    mode = value_beside(screen, labels["configuration_mode"], known) or ""
    found = milestones(screen, labels)
    spoken = (*messages(screen, labels), *said)
    failed = any(step.failed for step in found) or bool(refusal(spoken, labels))
    done = says(mode, labels.phrases["mode_active"])
    partial = bool(found) and any(step.percent for step in found) and not all(step.percent == 100 for step in found)
    busy = says(" ".join((mode, *spoken)), labels.phrases["under_way"])
    offered = any(not hit.item.disabled for hit in find(screen, labels["register"]))
    return HaPage(
        configuration_mode=mode,
        milestones=found,
        message="\n".join(dict.fromkeys(spoken)),
        under_way=not failed and not done and (partial or busy or (bool(found) and not offered)),
        read_utc=read_utc,
    )


def readiness(screen: Screen, labels: Labels) -> tuple[tuple[ReadinessItem, ...], bool]:
    """Return the rows of the readiness check, and whether all of them have ended.

    A row without a state that is known does not count as passed. No rows: nothing is shown yet.
    """
    tables: dict[tuple[int, int], list[Row]] = {}
    for row in screen.rows:
        tables.setdefault((row.frame, row.table), []).append(row)
    candidates = [*tables.values(), list(_lines(screen))]
    judged = [_judged(rows, labels) for rows in candidates]
    most = max(judged, key=lambda rows: sum(state != "" for _, state in rows), default=[])
    if not any(state for _, state in most):
        return (), False
    return tuple(item for item, _ in most), all(state != "pending" for _, state in most)


def ise_servers(screen: Screen, labels: Labels) -> tuple[IseServer, ...]:
    """Return the rows of the table of ISE servers: every row that holds an address."""
    found: list[IseServer] = []
    header: Row | None = None
    for row in screen.rows:
        if _heads(row, labels):
            header = row
            continue
        if header is not None and (header.table, header.frame) != (row.table, row.frame):
            # Products draw a table's head and body as two tables: it still counts where the columns agree.
            header = header if len(header.cells) == len(row.cells) and header.frame == row.frame else None
        server = None if row.listed else _ise_server(row, header, labels)
        if server is not None and server.address not in [known.address for known in found]:
            found.append(server)
    return tuple(found)


# -- texts -----------------------------------------------------------------------------------------


def _is_message(text: str) -> bool:
    return len(text.split()) <= _MESSAGE_WORDS


def _says_no(text: str, labels: Labels) -> bool:
    """Whether a text refuses; one that reports work under way may warn of what must not be done meanwhile."""
    if says(text, labels.phrases["harmless"]):
        return False
    if says(text, labels.phrases["under_way"]) and not says(text, labels.phrases["milestone_failed"]):
        return False
    return says(text, labels.phrases["refused"])


def _in_rows(rows: Sequence[Row], text: str) -> Iterator[str]:
    for number, row in enumerate(rows):
        for column, cell in enumerate(row.cells):
            if same(cell, text):
                if not row.header and column + 1 < len(row.cells):
                    yield row.cells[column + 1]
                below = rows[number + 1] if number + 1 < len(rows) else None
                if below is not None and len(below.cells) == len(row.cells) > 1:
                    yield below.cells[column]


def _in_texts(screen: Screen, text: str) -> Iterator[str]:
    for items in screen.frames.values():
        for position, item in enumerate(items):
            if item.kind != "text":
                continue
            if same(item.text, text):
                yield from _values_near(item, items, position)
            elif rest := _rest(item.text, text):
                yield rest


def _values_near(item: Item, items: Sequence[Item], position: int) -> Iterator[str]:
    shown = [other for other in items if other is not item and _word(other) and other.kind in ("text", *FIELDS)]
    right = [other for other in shown if same_line(other, item) and other.left >= item.right - 4]
    below = [
        other
        for other in shown
        if -4 <= other.top - item.bottom <= _BELOW_GAP and min(other.right, item.right) > max(other.left, item.left)
    ]
    yield from (_word(other) for other in sorted(right, key=lambda other: other.left)[:1])
    yield from (_word(other) for other in sorted(below, key=lambda other: other.top)[:1])
    yield from (_word(other) for other in items[position + 1 : position + 2] if other.kind == "text")


def _word(item: Item) -> str:
    return item.text if item.kind == "text" else item.value


def _rest(text: str, caption: str) -> str:
    """What follows a caption within one text, as in ``Configuration Mode: Primary Active``."""
    before, separator, after = text.partition(":")
    if separator and same(before, caption):
        return after.strip()
    words, count = text.split(), len(plain(caption).split())
    return " ".join(words[count:]) if len(words) > count and same(" ".join(words[:count]), caption) else ""


# -- milestones ------------------------------------------------------------------------------------


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
    below = [other for other in below if other.top - item.bottom <= 2 * _BELOW_GAP]
    if below:
        return sorted(below, key=lambda other: other.top)[:3]
    above = [other for other in shown if 0 <= item.top - other.bottom + 4 <= _BELOW_GAP and _column(other, item)]
    return sorted(above, key=lambda other: -other.bottom)[:3]


def _column(one: Item, other: Item) -> bool:
    return min(one.right, other.right) > max(one.left, other.left)


# -- tables ----------------------------------------------------------------------------------------


def _judged(rows: Sequence[Row], labels: Labels) -> list[tuple[ReadinessItem, str]]:
    header = next((row for row in rows if _heads(row, labels)), None)
    found = []
    for row in rows:
        filled = [cell for cell in row.cells if cell]
        if row is header or row.header or not filled:
            continue
        name, state, detail = _row_state(row, header, labels)
        if name:
            found.append((ReadinessItem(name=name, passed=state == "passed", detail=detail), state))
    states = [state for _, state in found if state]
    return found if len(states) * 2 >= len(found) else []


def _row_state(row: Row, header: Row | None, labels: Labels) -> tuple[str, str, str]:
    if len(row.cells) == 1:
        return _text_state(row.cells[0], labels)
    order = [number for number in _status_columns(header, labels) if number < len(row.cells)]
    order += [number for number in range(1, len(row.cells)) if number not in order] + [0]
    for exact in (True, False):
        for number in order:
            state = _state(row.cells[number], labels, exact=exact)
            if state:
                rest = [cell for place, cell in enumerate(row.cells) if place != number and cell]
                word = row.cells[number] if state != "passed" else ""
                return rest[0] if rest else "", state, ", ".join([*filter(None, [word]), *rest[1:]])
    filled = [cell for cell in row.cells if cell]
    return filled[0], "", ", ".join(["no state that is known", *filled[1:]])


def _heads(row: Row, labels: Labels) -> bool:
    """Whether a row names columns; layouts without header cells say so by their words alone."""
    texts = labels["column_status"].texts
    return row.header or (len(row.cells) > 1 and any(same(cell, text) for cell in row.cells for text in texts))


def _status_columns(header: Row | None, labels: Labels) -> list[int]:
    if header is None:
        return []
    texts = labels["column_status"].texts
    return [number for number, cell in enumerate(header.cells) if any(same(cell, text) for text in texts)]


def _state(text: str, labels: Labels, *, exact: bool) -> str:
    for state in ("pending", "failed", "passed"):
        phrases = labels.phrases[state]
        if any(same(text, phrase) for phrase in phrases):
            return state
        if not exact and len(text.split()) <= 4 and says(text, phrases):
            return state
    return ""


def _text_state(text: str, labels: Labels) -> tuple[str, str, str]:
    """Split a text such as ``CPU: passed`` into its name and its state."""
    words = text.split()
    for count in (3, 2, 1):
        if len(words) > count:
            last = " ".join(words[-count:])
            state = _state(last, labels, exact=True)
            if state:
                return " ".join(words[:-count]).rstrip(" :-–—."), state, last if state != "passed" else ""
    return (text, "", "no state that is known")


def _lines(screen: Screen) -> Iterator[Row]:
    """Texts outside of tables that stand on one line, as rows."""
    for number, items in screen.frames.items():
        loose = [item for item in items if item.kind == "text" and item.row < 0]
        while loose:
            line = [item for item in loose if same_line(item, loose[0])]
            loose = [item for item in loose if item not in line]
            cells = tuple(item.text for item in sorted(line, key=lambda item: item.left))
            row = Row(cells=cells, frame=number, table=-1)
            if len(cells) > 1 or len(cells[0].split()) <= _MESSAGE_WORDS:
                yield row


def _ise_server(row: Row, header: Row | None, labels: Labels) -> IseServer | None:
    cells = dict(enumerate(row.cells))
    if header is not None and len(header.cells) == len(row.cells):
        named = [n for n, cell in enumerate(header.cells) if any(same(cell, t) for t in labels["column_address"].texts)]
    else:
        named = []
    at = next((n for n, cell in cells.items() if _is_address(cell)), None)
    if at is None:
        at = next((n for n in named if cells[n] and " " not in cells[n]), None)
    if at is None:
        return None
    order = [n for n in _status_columns(header, labels) if n in cells] + [n for n in cells if n != at]
    server = IseServer(address=cells[at])
    for number in order:
        answers = _answers(cells[number], labels)
        if answers is not None:
            return replace(server, status=cells[number], answers=answers)
    status = next((cells[n] for n in _status_columns(header, labels) if n in cells), "")
    return replace(server, status=status)


def _answers(text: str, labels: Labels) -> bool | None:
    if says(text, labels.phrases["not_answering"]):
        return False
    return True if says(text, labels.phrases["answering"]) else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip())
    except ValueError:
        return False
    return True
