"""Read the result of Check Readiness off a screen. Pure.

A table is what stands below one header that has a column of states, however it is built: cells of a table, a table
for each row, roles, or nothing but places. Each row is read twice, by the places of its words and by its markup. What
the two read differently, rows that are missing and a row without a state never count as passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from statistics import median

from runbook_lib.observations import ReadinessItem
from runbook_lib.params.labels import Label, Labels
from runbook_lib.web.controls import NEAR, READ, TYPED, ScreenLine, filtered_by, lines_of, same_line, unread_rows
from runbook_lib.web.ha_reading import RowState, hints_of, shown_in_part, state_in, state_named, state_of, with_others
from runbook_lib.web.screen import Item, Screen, ScreenRow, Scroll, plain, same_words, says

_CAPTION_WORDS, _ALIGNED = 4, 8


@dataclass(frozen=True)
class Readiness:
    """What the check shows: its items, and whether each has a final state that is known.

    ``open`` counts the rows whose state is not there yet. ``problem`` says why the rows that are there cannot be all,
    or are not understood; nothing has ended then.
    """

    items: tuple[ReadinessItem, ...] = ()
    open: int = 0
    unknown: int = 0
    problem: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether every row has ended; one with an unknown state has, although it has not passed."""
        return bool(self.items) and not self.open and not self.problem


def readiness(screen: Screen, labels: Labels) -> Readiness:
    """Return what the readiness check on the screen says, every table of it together; empty where none is shown."""
    # What lies over the page has lines of its own.
    places: dict[tuple[int, str], list[Item]] = {}
    for item in screen.items:
        places.setdefault((item.frame, item.dialog), []).append(item)
    parts = [part for items in places.values() for part in _tables(items, screen, labels)]
    if not parts:
        heads = (_Head.of(line, screen, labels) for items in places.values() for line in lines_of(items))
        unread = any(head and head.named for head in heads)
        return _listed(screen, labels, "what stands below its header is not understood" if unread else "")
    return Readiness(
        tuple(item for part in parts for item in part.items),
        sum(part.open for part in parts),
        sum(part.unknown for part in parts),
        next((part.problem for part in parts if part.problem), ""),
    )


def _of_states(judged: Iterable[tuple[str, RowState, str]], problem: str = "") -> Readiness:
    """Make the result of names, states and details."""
    rows = list(judged)
    items = tuple(
        ReadinessItem(name=name or f"row {number}", passed=state is RowState.PASSED, detail=detail or state.reason)
        for number, (name, state, detail) in enumerate(rows, 1)
    )
    states = [state for _, state, _ in rows]
    waiting = sum(state in (RowState.PENDING, RowState.BLANK) for state in states)
    return Readiness(items, waiting, states.count(RowState.UNKNOWN), problem)


# -- tables below a header ------------------------------------------------------------------------------


def _tables(items: Sequence[Item], screen: Screen, labels: Labels) -> Iterator[Readiness]:
    lines = lines_of(items)
    for number, line in enumerate(lines):
        head = _Head.of(line, screen, labels)
        if head is not None:
            below = lines[number + 1 :]
            end = next((place for place, other in enumerate(below) if _Head.of(other, screen, labels)), len(below))
            part = _below(head, below[:end], items, screen)
            if part.items and (head.named or any(item.passed for item in part.items) or part.unknown < len(part.items)):
                yield part


@dataclass(frozen=True)
class _Head:
    """The header of a table: its captions, and which of them stand over states and over names."""

    line: ScreenLine
    states: tuple[int, ...]
    name: int
    named: bool
    row: ScreenRow | None
    labels: Labels

    @classmethod
    def of(cls, line: ScreenLine, screen: Screen, labels: Labels) -> _Head | None:
        """Return a line as a header; None if it is not one."""
        captions = [item.text for item in line.items]
        if line.typed or len(captions) < 2:
            return None
        states = tuple(column for column, text in enumerate(captions) if _is_caption(text, labels["column_status"]))
        others = [column for column in range(len(captions)) if column not in states]
        if not states or not others or any(len(captions[column].split()) > _CAPTION_WORDS for column in others):
            return None
        names = [column for column in others if _is_caption(captions[column], labels["column_check"])]
        # “Reachability” is the name of a column, and of a check; a row that holds a state is no header.
        stated = any(state_of(caption, labels).is_known for caption in captions)
        if stated or (0 in states and not names):
            return None
        name = names[0] if names else max((column for column in others if column < states[0]), default=others[0])
        row = screen.rows[line.row] if line.row >= 0 else None
        return cls(line, states, name, bool(names), row, labels)

    def cells(self, line: ScreenLine) -> list[str]:
        """The words of a line below, by the caption above or next to them."""
        columns: list[dict[str, None]] = [{} for _ in self.line.items]  # each text once, in order
        # A short word below a caption in the middle of its column may be nearer to another one.
        one_each = len(line.items) == len(columns) and all(
            self._below(item) <= {column} for column, item in enumerate(line.items)
        )
        for number, item in enumerate(line.items):
            columns[number if one_each else self.column(item)][item.text] = None
        return [" ".join(words) for words in columns]

    def _below(self, item: Item) -> set[int]:
        """The columns whose captions an item stands under."""
        captions = enumerate(self.line.items)
        return {number for number, caption in captions if caption.left < item.right and item.left < caption.right}

    def column(self, item: Item) -> int:
        """Which column an item of a line below stands in."""

        def apart(caption: Item) -> int:
            return max(caption.left, item.left) - min(caption.right, item.right)

        return min(range(len(self.line.items)), key=lambda column: apart(self.line.items[column]))

    def marked_up(self, line: ScreenLine, screen: Screen) -> ScreenRow | None:
        """The row of the markup that a line is, where it has as many cells as the header."""
        row = screen.rows[line.row] if line.row >= 0 else None
        return row if row and self.row and len(row.cells) == len(self.row.cells) > 1 else None

    def state(self, cells: Sequence[str]) -> RowState:
        """The worst of the states in a row's cells."""
        return min(state_of(cells[column], self.labels) for column in self.states)

    def states_in(self, row: ScreenRow) -> RowState:
        """The worst of the states in a row of the markup."""
        heads = enumerate(self.row.cells if self.row else ())
        columns = [column for column, cell in heads if _is_caption(cell, self.labels["column_status"])]
        return min((state_of(row.cells[column], self.labels) for column in columns), default=RowState.BLANK)


def _is_caption(text: str, label: Label) -> bool:
    """Whether a text is a column's caption, perhaps with a word before it (``Checklist Status``)."""
    words = plain(text).split()
    return any(same_words(text, caption) or (len(words) == 2 and words[1] == plain(caption)) for caption in label.texts)


def _below(head: _Head, lines: Sequence[ScreenLine], items: Sequence[Item], screen: Screen) -> Readiness:
    """Read the rows below a header down to where they end."""
    lines = [line for line in lines if line.top >= head.line.top and line.beside(head.line)]
    rows: list[ScreenLine] = []
    rest: Sequence[ScreenLine] = ()
    for number, line in enumerate(_without_surroundings(head, lines)):
        if (not rows or rows[0].heads) and _heads_group(head, line, screen):  # a note among the rows is no heading
            rows.append(replace(line, heads=True))
            continue
        cells = head.cells(line)
        bar = any(item.kind == "button" for item in line.items) and head.marked_up(line, screen) is None
        if not rows and (line.typed or (bar and any(says(item.text, ("filter",)) for item in line.items))):
            continue  # a row to filter by, or one that says by what
        if _is_row(head, line, rows, screen):
            rows.append(line)
        elif rows and set(rows[-1].items[0].scrolls) - set(line.items[0].scrolls) and not head.state(cells).is_known:
            continue  # rows that are out of sight go on behind it
        elif any(cells[column] for column in (head.name, *head.states)):
            rest = lines[number:]
            break
    judged, problem = [], ""
    moving = [item for item in items if item.kind == "progressbar" and item.value != "100"]
    for line in [line for line in rows if not line.heads]:
        cells = head.cells(line)
        state, row = head.state(cells), head.marked_up(line, screen)
        if row is not None:
            told = head.states_in(row)
            if RowState.BLANK not in (told, state) and told is not state:
                problem = f"{cells[head.name]!r} is {state.name} by its place and {told.name} by its markup"
            state = min(state, told)
        others = [cell for column, cell in enumerate(cells) if column not in (head.name, *head.states)]
        beside = [(item.text, hint) for item in line.items for hint in item.hints]
        hints = hints_of((*(screen.rows[line.row].hints if line.row >= 0 else ()), *beside), head.labels)
        state = with_others(state, (*others, *hints), head.labels)
        if any(line.row == bar.row if line.row >= 0 else same_line(bar, line.items[0]) for bar in moving):
            state = min(state, RowState.PENDING)
        told_of = [column for column in range(len(cells)) if column not in head.states or state is not RowState.PASSED]
        words = [cells[column] for column in told_of if column != head.name] + hints * (state is not RowState.PASSED)
        judged.append((cells[head.name], state, ", ".join(filter(None, words))))
    problem = problem or _missing(head, rows, rest, items, screen)
    area = (head.line.top, rows[-1].bottom) if rows else (0, 0)
    return _of_states(judged, problem or shown_in_part(items, area, [state for _, state, _ in judged], head.labels))


def _heads_group(head: _Head, line: ScreenLine, screen: Screen) -> bool:
    """Whether a line is a row over all columns that says what the rows below it are about, such as “Network”."""
    if line.row < 0 or head.row is None or any(item.kind != "text" for item in line.items):
        return False
    row, words = screen.rows[line.row], plain(" ".join(item.text for item in line.items))
    spans = (row.frame, row.table) == (head.row.frame, head.row.table) and row.spans >= len(head.row.cells)
    names = words.replace(" ", "").isalpha() and len(words.split()) <= _CAPTION_WORDS
    no_more = not any(says(words, head.labels.phrases[of]) for of in ("refused", "left_out"))
    return spans and names and no_more and state_of(words, head.labels) is RowState.UNKNOWN


def _without_surroundings(head: _Head, lines: Sequence[ScreenLine]) -> list[ScreenLine]:
    """Leave out of loose lines what stands to the left of the names, such as a menu."""
    first = next((line for line in lines if head.state(head.cells(line)).is_known), None)
    if first is None:
        return list(lines)
    start = max((item.left for item in first.items if head.column(item) == head.name), default=0)
    own = [tuple(i for i in line.items if line.row >= 0 or i.right >= start - _ALIGNED) for line in lines]
    return [ScreenLine(kept, line.row, line.typed) for kept, line in zip(own, lines, strict=True) if kept]


def _is_row(head: _Head, line: ScreenLine, rows: Sequence[ScreenLine], screen: Screen) -> bool:
    """Whether a line belongs to the table: it has a state, or stands where the next row would."""
    cells = head.cells(line)
    if line.typed:
        return False
    if head.state(cells).is_known and cells[head.name]:
        return not rows or line.top - rows[-1].bottom <= 4 * _pitch(rows)
    if not any(cells[column] for column in (head.name, *head.states)):
        return False
    if head.marked_up(line, screen) is not None:
        return not rows or _follows(line, rows)
    if rows and rows[-1].row >= 0 and line.row < 0:
        return False
    if rows and line.row >= 0:
        one, last = screen.rows[line.row], screen.rows[rows[-1].row]
        return (one.frame, one.table) == (last.frame, last.table)
    if any(item.heading or item.kind == "button" for item in line.items):
        return False
    return not rows or _follows(line, rows)


def _follows(line: ScreenLine, rows: Sequence[ScreenLine]) -> bool:
    """Whether a line stands right below the others, as far apart as they are, and begins where they do."""
    aligned = any(abs(line.items[0].left - row.items[0].left) <= _ALIGNED for row in rows)
    return aligned and line.top - rows[-1].bottom <= _pitch(rows)


def _pitch(rows: Sequence[ScreenLine]) -> float:
    """From one row to the next, as a rule; a row's own height where there is one only."""
    steps = [below.top - above.top for above, below in pairwise(rows)]
    return max(median(steps) if steps else 0, *(row.bottom - row.top for row in rows[-1:]), 20)


# -- what shows that rows are missing -------------------------------------------------------------------


def _missing(
    head: _Head, rows: Sequence[ScreenLine], rest: Sequence[ScreenLine], items: Sequence[Item], screen: Screen
) -> str:
    """Say why the rows cannot be all of them; empty where nothing speaks for that."""
    if not rows:
        return ""
    if bare := [one for one, below in zip_longest(rows, rows[1:]) if one.heads and (below is None or below.heads)]:
        return f"nothing stands below {bare[0].items[0].text!r}"
    if known := [line for line in rest if head.state(head.cells(line)).is_known]:
        return f"there are further states below the table: {' '.join(item.text for item in known[0].items)}"
    pitch = _pitch(rows)
    gaps = [below.top - above.bottom for above, below in pairwise(rows)]
    if gaps and max(gaps) > median(gaps) + 0.8 * pitch:
        return "a row is missing between two others"
    if rows[0].top - head.line.bottom > 2 * pitch + NEAR:
        return "rows are missing below the header"
    marked = [screen.rows[line.row] for line in rows if line.row >= 0 and not line.heads]
    places = [row.position for row in marked if row.position]
    if places and [place - places[0] for place in places] != list(range(len(places))):
        return "the rows' numbers have a gap"
    if any(row.total > len(marked) + 1 for row in marked):
        return f"the table has {max(row.total for row in marked)} rows and shows {len(marked)}"
    own = {line.row for line in rows}
    others = [item for item in items if item.kind in READ and (item.row < 0 or item.row not in own)]
    if more := unread_rows(others, head.line.top, rows[0].top, rows[-1].bottom, sum(not line.heads for line in rows)):
        return more
    left, right = min(item.left for item in head.line.items), max(item.right for item in head.line.items)
    between = (i for i in items if head.line.bottom <= i.top + _ALIGNED and i.bottom <= rows[0].top + _ALIGNED)
    filters = [i for i in between if i.kind in (*TYPED, "button") and i.left < right and i.right > left]
    if by := filtered_by(filters, items, head.labels, named=False) or filtered_by(items, items, head.labels):
        return by
    below = max((item.bottom for item in filters), default=0)
    ways = (_scrolled_away(scroll, head, rows, items, below) for scroll in screen.scrolls)
    return next(filter(None, ways), "")


def _scrolled_away(scroll: Scroll, head: _Head, rows: Sequence[ScreenLine], items: Sequence[Item], below: int) -> str:
    """Say so where a part of the page that scrolls has room for rows that are not drawn, or has hidden some.

    What the table is filtered by ends ``below``.
    """
    pitch = _pitch(rows)
    room = "the table has room for rows that are not drawn"
    if scroll.whole and scroll.frame == rows[0].items[0].frame:
        end = rows[-1].bottom
        next_top = min((item.top for item in items if item.top >= end), default=scroll.bottom)
        return room if end > scroll.top - 2 * pitch and next_top - end >= 4 * pitch else ""  # pages end in margins
    inside = [item for line in rows for item in line.items if scroll.number in item.scrolls]
    if not inside or scroll.frame != inside[0].frame:
        return ""
    headed = scroll.number in head.line.items[0].scrolls
    if scroll.moved and not headed:
        return "the table is not scrolled to its first row"
    if rows[0].top - max(head.line.bottom if headed else scroll.top, below) >= pitch:
        return "the table has room above its first row"
    last = max(item.bottom for item in items if scroll.number in item.scrolls)
    return room if scroll.bottom - last >= pitch else ""


# -- lists without a header -----------------------------------------------------------------------------


def _listed(screen: Screen, labels: Labels, problem: str) -> Readiness:
    """Read a list or table without a header: one element holds every row, and nothing beside it has a state."""
    judged: dict[tuple[int, int], list[tuple[str, RowState, str]]] = {}
    for row in screen.rows:
        if any(row.cells) and not (row.header and not any(state_named(cell, labels) for cell in row.cells)):
            judged.setdefault((row.frame, row.table), []).append(state_in(row, labels))
    known = {key: rows for key, rows in judged.items() if any(s.is_known for _, s, _ in rows)}
    # A row of a layout holds a word such as “ready” too; one row is no list.
    lists = [rows for rows in known.values() if len(rows) > 1]
    if not lists:
        return Readiness()
    own = {number for number, row in enumerate(screen.rows) if (row.frame, row.table) in known}
    others = [item for item in screen.items if item.kind in READ and item.row not in own]
    problem = problem or ("" if len(known) == 1 else "several tables hold states, and none has a header")
    found = [row for rows in lists for row in rows]
    problem = problem or unread_rows(others, -1, -1, -NEAR, len(found)) or ""
    inside = [item for item in screen.items if item.row in own]
    area = (min((i.top for i in inside), default=0), max((i.bottom for i in inside), default=0))
    return _of_states(found, problem or shown_in_part(screen.items, area, [state for _, state, _ in found], labels))
