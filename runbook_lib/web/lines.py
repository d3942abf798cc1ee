"""Words as lines, the way a person reads a page that may have no rows in its markup. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runbook_lib.web.match import same_line
from runbook_lib.web.screen import Item

NEAR = 60
_READ = ("text", "clickable", "link", "button", "tab")
_TYPED = ("textbox", "password", "combobox")


@dataclass(frozen=True)
class Line:
    """Words that stand on one line of a frame, from left to right; ``row`` is that of the markup, or -1."""

    items: tuple[Item, ...]
    row: int
    typed: bool

    @property
    def top(self) -> int:
        return min(item.top for item in self.items)

    @property
    def bottom(self) -> int:
        return max(item.bottom for item in self.items)

    def beside(self, other: Line) -> bool:
        ours, theirs = self.items, other.items
        left, right = min(item.left for item in theirs) - NEAR, max(item.right for item in theirs) + NEAR
        return any(item.left < right and item.right > left for item in ours)


def lines_of(items: Sequence[Item]) -> list[Line]:
    """The words of a frame as lines from top to bottom; what one row of the markup holds is one line."""
    shown = [item for item in items if item.kind in _READ and item.text]
    texts = [item for item in shown if item.kind == "text"]
    # What can be pressed is listed with the words in it.
    shown = [item for item in shown if item.kind == "text" or not any(_holds(item, text) for text in texts)]
    typed = [item for item in items if item.kind in _TYPED]
    lines = []
    for row in sorted({item.row for item in shown if item.row >= 0}):
        own = tuple(item for item in shown if item.row == row)
        lines.append(Line(own, row, any(field.row == row for field in typed)))
    loose = [item for item in shown if item.row < 0]
    while loose:
        first = min(loose, key=lambda item: item.top)
        own = tuple(item for item in loose if same_line(item, first))
        loose = [item for item in loose if item not in own]
        lines.append(Line(own, -1, any(field.row < 0 and same_line(field, first) for field in typed)))
    lines = [Line(tuple(sorted(line.items, key=lambda item: item.left)), line.row, line.typed) for line in lines]
    return sorted(lines, key=lambda line: (line.top, line.items[0].left))


def _holds(outer: Item, text: Item) -> bool:
    inside = outer.left - 2 <= text.left and text.right <= outer.right + 2
    return inside and outer.top - 2 <= text.top and text.bottom <= outer.bottom + 2 and text.text in outer.text
