"""Find a control by its caption, as a person would; lines of words; the login page. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from runbook_lib.params.labels import Label, Labels
from runbook_lib.web.screen import FIELDS, PRESSABLE, Item, Screen, holds_phrase, plain, same_words

# -- Find a control by its caption, as a person would. Pure: works on a screen, needs no browser.
#
# A caption is, from strong to weak: a label or the control's own words; a hint in it; the text beside it
# (to the left, for boxes and buttons to tick to the right, or in the cell above); the text that comes just
# before it in the document. Where a caption says exactly the words, that beats one that only holds them.

_LEFT, _ABOVE, _BEFORE = 2, 3, 4
_ABOVE_GAP = 45
_CAPTION_WORDS = 8
_ALIGNED = 8
_PREFERRED = ("button", "tab", "menuitem", "link", "clickable", "option", "text")


@dataclass(frozen=True)
class ControlMatch:
    """A control that answers to a label; lower ``rank`` is the better answer."""

    item: Item
    rank: tuple[int, ...]


def named(label: Label) -> str:
    """Return a label as it is named in messages."""
    return f"{label.texts[0]!r}"


def captions(item: Item, frame: Sequence[Item]) -> tuple[tuple[int, str], ...]:
    """Return all captions of a control with their levels; ``frame`` are the items of its frame in order."""
    found = list(item.names)
    if item.kind == "combobox" and not found and (item.options or item.value):
        # “-- Select a command --”: such a list is its own caption
        found.append((1, item.options[0] if item.options else item.value))
    if item.kind in FIELDS and not any(level == 0 for level, _ in found):
        found += [(level, text.text) for level, text in _beside(item, frame)]
    return tuple(found)


def find(screen: Screen, label: Label, *, kinds: Iterable[str] = ()) -> list[ControlMatch]:
    """Return every control that answers to the label, the best first; equally good ones have equal ranks."""
    wanted = frozenset(kinds or label.kinds)
    items = ((item, frame) for frame in screen.frames.values() for item in frame if item.kind in wanted)
    ranks = ((item, _rank(item, frame, label)) for item, frame in items)
    return sorted((ControlMatch(item, rank) for item, rank in ranks if rank is not None), key=lambda hit: hit.rank)


def bare_words(screen: Screen, label: Label) -> list[ControlMatch]:
    """Return words that look like no button, link or entry by their markup, and say exactly what one is called."""
    if not PRESSABLE & set(label.kinds):
        return []
    return [hit for hit in find(screen, label, kinds=("text",)) if not hit.rank[0] and not hit.item.heading]


def pressables(screen: Screen, label: Label) -> list[ControlMatch]:
    """Return what answers to the label of something to press; bare words where nothing else does."""
    return find(screen, label) or bare_words(screen, label)


def find_beside(screen: Screen, label: Label, kinds: Iterable[str]) -> list[Item]:
    """Return controls that are no fields by their markup, but have the caption of one beside or right above them."""
    wanted = frozenset(kinds)

    def is_captioned(item: Item, items: Sequence[Item]) -> bool:
        near = (t for level, t in _beside(item, items) if level == _LEFT or abs(t.left - item.left) <= _ALIGNED)
        return any(same_words(text.text, caption) for text in near for caption in label.texts)

    controls = ((item, items) for items in screen.frames.values() for item in items if item.kind in wanted)
    return [item for item, items in controls if is_captioned(item, items)]


def find_radios(screen: Screen, label: Label) -> list[Item]:
    """Return the radio buttons of the group that the label names."""
    radios = ((item, items) for items in screen.frames.values() for item in items if item.kind == "radio")

    def is_named(item: Item, items: Sequence[Item]) -> bool:
        return any(same_words(group, text) for group in group_caption(item, items) for text in label.texts)

    return [item for item, items in radios if is_named(item, items)]


def best(hits: Sequence[ControlMatch]) -> tuple[Item, ...]:
    """Return the items of the best rank; more than one means that the page does not tell them apart.

    Several links to one address are one answer, and so is a list with its text field.
    """
    top = [hit.item for hit in hits if hit.rank == hits[0].rank]
    top = [one for one in top if one.kind != "combobox" or not any(_holds_field(one, other) for other in top)]
    if len(top) > 1 and top[0].href and len({item.href for item in top}) == 1:
        return (top[0],)
    return tuple(top)


def _rank(item: Item, frame: Sequence[Item], label: Label) -> tuple[int, ...] | None:
    ranks = []
    for level, caption in captions(item, frame):
        for order, text in enumerate(label.texts):
            if same_words(caption, text):
                ranks.append((0, order, level, 0))
            elif not label.exact and len(plain(caption).split()) <= _CAPTION_WORDS and holds_phrase(caption, text):
                ranks.append((1, order, level, len(plain(caption))))
    if not ranks:
        return None
    kind = _PREFERRED.index(item.kind) if item.kind in _PREFERRED else 0
    # A header of a page can say the same as an entry of its menu; text that nobody meant to press comes last.
    return (min(ranks)[0], int(item.kind == "text"), *min(ranks)[1:], int(item.disabled), kind)


def _beside(field: Item, frame: Sequence[Item]) -> Iterable[tuple[int, Item]]:
    drawn_over = [item for item in frame if item.kind == "text" and _contains(field, item)]
    if drawn_over and field.kind in ("textbox", "password"):
        yield _LEFT, drawn_over[0]
        return
    fields = [item for item in frame if item.kind in FIELDS and item is not field]
    frame = [item for item in frame if item.kind != "text" or not any(_contains(other, item) for other in fields)]
    if field.kind in ("checkbox", "radio"):
        after = _nearest(field, frame, _is_right_of)
        if after is not None:
            yield _LEFT, after
            return
    left = _nearest(field, frame, _is_left_of)
    if left is not None:
        yield _LEFT if field.kind not in ("checkbox", "radio") else _ABOVE, left
    above = _nearest(field, frame, _is_above)
    if above is not None and left is None:
        yield _ABOVE, above
    before = _before(field, frame)
    if before is not None and left is None and above is None:
        yield _BEFORE, before


def group_caption(radio: Item, frame: Sequence[Item]) -> tuple[str, ...]:
    """Return what a group of radio buttons is called: its legend, or the text before its first button."""
    if radio.group:
        return (radio.group,)
    series = [item for item in frame if item.kind == "radio" and item.series == radio.series]
    by_name = radio.series and radio.series != "aria"
    first = next((item for item in series if by_name or item.row == radio.row), radio)
    near = (_nearest(first, frame, _is_left_of), _nearest(first, frame, _is_above), _before(first, frame))
    return tuple(text.text for text in near if text is not None)


def _before(field: Item, frame: Sequence[Item]) -> Item | None:
    """The run of text just before the control, unless another control to fill in stands between."""
    position = next(index for index, item in enumerate(frame) if item.index == field.index)
    before = next((item for item in reversed(frame[:position]) if item.kind in ("text", *FIELDS)), None)
    return before if before and before.kind == "text" else None


def _nearest(field: Item, frame: Sequence[Item], place: Callable[[Item, Item], int | None]) -> Item | None:
    """The nearest item at that place, if it is text: another field in between hides what is behind it."""
    near: list[tuple[int, int, Item]] = []
    for item in frame:
        # Help buttons and the stars of required fields stand between a caption and its field.
        counts = bool(plain(item.text)) if item.kind == "text" else item.kind in FIELDS
        if not counts or item.index == field.index or _contains(item, field):
            continue
        distance = place(item, field)
        if distance is not None:
            near.append((distance, -item.index, item))
    nearest = min(near, key=lambda found: found[:2], default=None)
    return nearest[2] if nearest and nearest[2].kind == "text" else None


def _holds_field(outer: Item, inner: Item) -> bool:
    return inner.kind == "textbox" and inner.frame == outer.frame and _contains(outer, inner)


def _contains(outer: Item, inner: Item) -> bool:
    across = outer.left <= inner.left and outer.right >= inner.right
    return across and outer.top <= inner.top and outer.bottom >= inner.bottom


def same_line(one: Item, other: Item) -> bool:
    """Whether two items stand on one line: half of the smaller one's height is beside the other."""
    overlap = min(one.bottom, other.bottom) - max(one.top, other.top)
    return overlap * 2 >= min(one.box[3], other.box[3])


def _is_left_of(item: Item, field: Item) -> int | None:
    return field.left - item.right if same_line(item, field) and item.right <= field.left + 4 else None


def _is_right_of(item: Item, field: Item) -> int | None:
    return item.left - field.right if same_line(item, field) and item.left >= field.right - 4 else None


def _is_above(item: Item, field: Item) -> int | None:
    gap = field.top - item.bottom
    beside = min(item.right, field.right) - max(item.left, field.left)
    return gap if -4 <= gap <= _ABOVE_GAP and beside > 0 else None


# -- Words as lines, the way a person reads a page that may have no rows in its markup. Pure -------

NEAR = 60
READ = ("text", "clickable", "link", "button", "tab")
TYPED = ("textbox", "password", "combobox")
_ROWS_OF = re.compile(r"(?:\b(?:of|total:?)|共)\s*(\d{1,4})\b", re.I)
_PAGED = re.compile(r"\d\s*(?:[-–—~]|to)\s*\d+\s*(?:of|/|条?[,，]?\s*共)\s*(\d{1,4})", re.I)
_PAGES = re.compile(r"\bpage\s*\d+\s*(?:of|/)\s*(\d{1,4})\b|(?<![:.])\s1 (2(?: \d{1,3})*)\b", re.I)


@dataclass(frozen=True)
class ScreenLine:
    """Words that stand on one line of a frame, from left to right; ``row`` is that of the markup, or -1.

    ``typed``: beside a field. ``heads``: it says what the lines below it are about.
    """

    items: tuple[Item, ...]
    row: int
    typed: bool
    heads: bool = False

    @property
    def top(self) -> int:
        return min(item.top for item in self.items)

    @property
    def bottom(self) -> int:
        return max(item.bottom for item in self.items)

    def beside(self, other: ScreenLine) -> bool:
        """Whether a part of this line stands above or below the other one, or near its ends."""
        ours, theirs = self.items, other.items
        left, right = min(item.left for item in theirs) - NEAR, max(item.right for item in theirs) + NEAR
        return any(item.left < right and item.right > left for item in ours)


def lines_of(items: Sequence[Item]) -> list[ScreenLine]:
    """The words of a frame as lines from top to bottom; what one row of the markup holds is one line."""
    shown = [item for item in items if item.kind in READ and item.text]
    texts = [item for item in shown if item.kind == "text"]
    # What can be pressed is listed with the words in it.
    shown = [item for item in shown if item.kind == "text" or not any(_holds(item, text) for text in texts)]
    typed = [item for item in items if item.kind in TYPED]
    rows = sorted({item.row for item in shown if item.row >= 0})
    lines = [ScreenLine(tuple(i for i in shown if i.row == row), row, any(f.row == row for f in typed)) for row in rows]
    loose = [item for item in shown if item.row < 0]
    while loose:
        first = min(loose, key=lambda item: item.top)
        own = tuple(item for item in loose if same_line(item, first))
        loose = [item for item in loose if item not in own]
        lines.append(ScreenLine(own, -1, any(field.row < 0 and same_line(field, first) for field in typed)))
    lines = [ScreenLine(tuple(sorted(line.items, key=lambda item: item.left)), line.row, line.typed) for line in lines]
    return sorted(lines, key=lambda line: (line.top, line.items[0].left))


def unread_rows(around: Iterable[Item], top: int, first: int, bottom: int, count: int, pages: int = 1) -> str | None:
    """Return what around a table says that it has more than ``count`` rows or ``pages``; empty where it says that these
    are all, None where it says nothing.

    ``top`` is its header's, ``first`` and ``bottom`` are its rows'. What turns its pages may stand far below them.
    """
    rows = last = 0
    for line in lines_of(list(around)):
        words = f" {' '.join(item.text for item in line.items)}"
        if line.top > top or 0 <= top - line.bottom <= NEAR:
            near = line.top <= first or abs(line.top - bottom) <= NEAR
            rows = max(rows, *map(int, (_ROWS_OF if near else _PAGED).findall(words)), 0)
            last = max(last, *(int((of or row).split()[-1]) for of, row in _PAGES.findall(words)), 0)
    if rows > count:
        return f"the page speaks of {rows} rows and shows {count}"
    if last > pages:
        return "the table has further pages"
    return "" if rows == count or last > 1 else None


def filtered_by(fields: Iterable[Item], frame: Sequence[Item], labels: Labels, *, named: bool = True) -> str:
    """Return what a table is filtered by, empty where it shows every row; ``named``: only fields that say so filter."""
    free = labels.phrases["unfiltered"]
    for item in fields:
        if item.kind in TYPED and item.value and not any(same_words(item.value, every) for every in free):
            says_so = any(holds_phrase(caption, "filter") for _, caption in captions(item, frame))
            if not named or (says_so and not holds_phrase(item.value, "filter")):
                return f"the table is filtered by {item.value!r}"
    return ""


def _holds(outer: Item, text: Item) -> bool:
    inside = outer.left - 2 <= text.left and text.right <= outer.right + 2
    return inside and outer.top - 2 <= text.top and text.bottom <= outer.bottom + 2 and text.text in outer.text


# -- Tell the login page from other pages that ask for a password. Pure. ---------------------------
#
# A page asks for a login where nothing speaks against it (the menu, a way out, the captions of another form) and
# something for it: where its form leads, a button that says so, or the captions of both fields. What stands in a
# dialogue over a form is no part of it.

LOGIN_PATH = re.compile(r"log[-_]?(in|on)|sign[-_]?(in|on)|j_spring_security|/auth", re.I)
_INSIDE = ("menu_administration", "logout")
_OTHER_FORMS = (
    *("secondary_server", "auth_key", "email", "failover_type", "enable_virtual_ip", "check_readiness"),
    *("register", "configuration_mode", "ise_address", "ise_password_again"),
)
_ANY_BUTTON = frozenset({"submit", "ok", "continue"})


def is_login(screen: Screen, labels: Labels) -> bool:
    """Whether this is the page that asks for user and password, or one of its frames came to be that page."""
    if any(find(screen, labels[key]) for key in _INSIDE):
        frames = [Screen(items, url=screen.url) for items in screen.frames.values()]
        return len(frames) > 1 and any(_asks_login(frame, labels) and _named(frame, labels) for frame in frames)
    return _asks_login(screen, labels)


def _asks_login(screen: Screen, labels: Labels) -> bool:
    passwords = [item for item in screen.items if item.kind == "password"]
    if len(passwords) != 1:
        return False
    password = passwords[0]
    form = Screen(tuple(i for i in screen.items if (i.frame, i.dialog) == (password.frame, password.dialog)))
    if any(_exactly(form, labels[key]) for key in (*_INSIDE, *_OTHER_FORMS)):
        return False
    users = [item for item in form.items if item.kind in ("textbox", "combobox")]
    leads = any(LOGIN_PATH.search(urlsplit(url).path) for url in (password.href, screen.url))
    if not users or len(users) > (2 if leads else 1):
        return False
    buttons = [item for item in form.items if item.kind == "button"]
    entries = find(form, labels["login_button"])
    says_so = any(plain(hit.item.text) not in _ANY_BUTTON for hit in entries)
    return (leads or says_so or _named(form, labels)) and bool(entries or len(buttons) <= 1)


def _named(form: Screen, labels: Labels) -> bool:
    """Whether both fields have the captions of a login."""
    return _exactly(form, labels["login_user"]) and _exactly(form, labels["login_password"])


def _exactly(form: Screen, label: Label) -> bool:
    return any(hit.rank[0] == 0 for hit in find(form, label))
