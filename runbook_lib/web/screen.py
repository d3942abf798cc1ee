"""What a person sees of a page at one moment: plain values, listed by ``inventory.js``."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from runbook_lib.errors import cut

FIELDS = frozenset({"textbox", "password", "combobox", "checkbox", "radio"})
_UNSEEN = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")  # soft hyphens, spaces of no width
PRESSABLE = frozenset({"button", "link", "tab", "menuitem", "clickable", "option"})


@dataclass(frozen=True, kw_only=True)
class Item:
    """A control or a run of text. ``box`` is x, y, width and height within its frame.

    ``names`` are captions that its markup gives it, each with a level: 0 for labels and own text, 1 for hints
    such as placeholders. ``row`` is an index into the screen's rows, -1 outside of any. ``dialog`` names the
    dialogue that it stands in, ``modal`` ones let nothing else be used. ``frame`` and ``index`` say which
    element it is. ``scrolls`` are the numbers of the parts of its frame that it stands in and that scroll. ``folded``:
    it opens a part of the page that is not shown. ``menu``: it opens a menu, and sends no form. ``hints`` are what
    words in no row say beside themselves, see :class:`ScreenRow`.
    """

    kind: str
    names: tuple[tuple[int, str], ...] = ()
    value: str = ""
    options: tuple[str, ...] = ()
    checked: bool = False
    disabled: bool = False
    href: str = ""
    group: str = ""
    series: str = ""
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    row: int = -1
    dialog: str = ""
    modal: bool = False
    live: bool = False
    nav: bool = False
    folded: bool = False
    menu: bool = False
    heading: bool = False
    frame: int = 0
    index: int = 0
    scrolls: tuple[int, ...] = ()
    hints: tuple[str, ...] = field(default=(), compare=False)

    @property
    def text(self) -> str:
        """Its first name: for a run of text the text itself."""
        return self.names[0][1] if self.names else ""

    @property
    def left(self) -> int:
        return self.box[0]

    @property
    def top(self) -> int:
        return self.box[1]

    @property
    def right(self) -> int:
        return self.box[0] + self.box[2]

    @property
    def bottom(self) -> int:
        return self.box[1] + self.box[3]


@dataclass(frozen=True, kw_only=True)
class ScreenRow:
    """A row of a table or list as the words of its cells; ``header`` where all of them head columns.

    ``selected``: it is marked as chosen. ``spans`` are the columns that its only cell goes over. ``listed`` is true
    for entries of lists, which have no columns; ``table`` numbers the tables of a frame. ``position`` and ``total`` are
    what the markup says of the row's place among all rows, 0 where it says nothing. ``hints`` are what it says beside
    its words, such as a title or a sign, each after the words of its cell.
    """

    cells: tuple[str, ...]
    header: bool = False
    selected: bool = False
    listed: bool = False
    spans: int = 1
    table: int = 0
    frame: int = 0
    position: int = 0
    total: int = 0
    hints: tuple[tuple[str, str], ...] = field(default=(), compare=False)


@dataclass(frozen=True, kw_only=True)
class Scroll:
    """A part of a frame that holds more than it shows: whether it was moved, where its content begins and ends.

    ``whole``: the frame itself, and ``top`` is where the part of it ends that is in view.
    """

    number: int
    frame: int
    moved: bool
    top: int
    bottom: int
    whole: bool = False


@dataclass(frozen=True)
class Screen:
    """All items of all frames, each frame in document order, and the rows of its tables and lists.

    ``cover``: what lies over the page and can only be waited for, such as “Loading…”, as frames and indices.
    """

    items: tuple[Item, ...] = ()
    rows: tuple[ScreenRow, ...] = ()
    url: str = field(default="", compare=False)
    cover: frozenset[tuple[int, int]] = frozenset()
    scrolls: tuple[Scroll, ...] = ()

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Every run of text."""
        return tuple(item.text for item in self.items if item.kind == "text")

    @cached_property
    def frames(self) -> Mapping[int, tuple[Item, ...]]:
        """The items by the number of their frame."""
        numbers = sorted({item.frame for item in self.items})
        return {number: tuple(item for item in self.items if item.frame == number) for number in numbers}

    @property
    def busy(self) -> bool:
        """Whether the page can only be waited for."""
        return bool(self.cover)

    def covering(self) -> Screen:
        """Only what lies over the page."""
        return Screen(tuple(item for item in self.items if (item.frame, item.index) in self.cover))

    def asking(self) -> Screen:
        """The same, with the cover taken for a dialogue."""
        over = self.cover
        items = (
            replace(item, dialog="over the page", modal=True) if (item.frame, item.index) in over else item
            for item in self.items
        )
        return Screen(tuple(items), self.rows, self.url, scrolls=self.scrolls)

    def nearest(self, item: Item) -> Item:
        """Return the item of the same kind and name that is nearest to one of an earlier screen, else that one."""
        same_ones = [other for other in self.items if (other.kind, other.text) == (item.kind, item.text)]
        return min(same_ones, key=lambda other: abs(other.index - item.index), default=item)

    def in_dialog(self) -> Screen:
        """Only what stands in the dialogue that was opened last (in document order); empty without one."""
        front = next((item.dialog for item in reversed(self.items) if item.dialog), "")
        return Screen(tuple(item for item in self.items if front and item.dialog == front))

    @property
    def blocked(self) -> bool:
        """Whether that dialogue says that nothing else can be used meanwhile."""
        return any(item.modal for item in self.in_dialog().items)


def screen_from(frames: Iterable[tuple[int, Mapping[str, Any]]], url: str, hide: Iterable[str] = ()) -> Screen:
    """Build a screen from what ``inventory.js`` returned for each frame; values in ``hide`` are not kept."""
    secrets = [form for secret in hide for form in (secret, " ".join(secret.split())) if form]
    items: list[Item] = []
    rows: list[ScreenRow] = []
    cover: set[tuple[int, int]] = set()
    scrolls: list[Scroll] = []
    for number, listed in frames:
        scrolls += [Scroll(frame=number, number=n, **scroll) for n, scroll in enumerate(listed.get("scrolls", ()))]
        cover |= {(number, index) for index in listed.get("busy", ())}
        first_row = len(rows)
        rows += [ScreenRow(**_frozen(row, secrets), frame=number) for row in listed["rows"]]
        for index, item in enumerate(listed["items"]):
            row = first_row + item["row"] if "row" in item else -1
            items.append(Item(**_frozen({**item, "row": row}, secrets), frame=number, index=index))
    return Screen(tuple(items), tuple(rows), url, frozenset(cover), tuple(scrolls))


def _frozen(value: Any, secrets: list[str]) -> Any:
    """Return a value of JSON with tuples in the place of lists, and without the secrets."""
    if isinstance(value, str):
        return without_secrets(value, secrets)
    if isinstance(value, dict):
        return {name: each if name == "kind" else _frozen(each, secrets) for name, each in value.items()}
    return tuple(_frozen(each, secrets) for each in value) if isinstance(value, list) else value


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return a text without the secrets in it."""
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    return text


@lru_cache(maxsize=8192)  # a page says the same at every look
def plain(text: str) -> str:
    """Return the words of a text as they are compared: lower case, punctuation and white space as single blanks."""
    folded = unicodedata.normalize("NFKC", _UNSEEN.sub("", text)).casefold()
    return " ".join(re.findall(r"[^\W_]+", folded))


def same_words(one: str, other: str) -> bool:
    """Whether two texts say the same, ignoring case, punctuation and white space (``Log-in`` and ``Login``)."""
    left, right = plain(one).replace(" ", ""), plain(other).replace(" ", "")
    return left == right if left and right else one.strip() == other.strip() != ""


def holds_phrase(text: str, phrase: str) -> bool:
    """Whether a text holds a phrase as whole words; where a script has no spaces, anywhere."""
    hay, needle = plain(text), plain(phrase)
    if not needle:
        return phrase.strip() != "" and phrase.strip() in text
    if is_unspaced(needle):
        return needle.replace(" ", "") in hay.replace(" ", "")
    return f" {needle} " in f" {hay} "


def is_unspaced(word: str) -> bool:
    """Whether a word is of a script that has no blanks between its words, such as Chinese."""
    return max(word, default="") > "\u2e7f"


def says(text: str, phrases: Iterable[str]) -> bool:
    """Whether a text holds one of the phrases."""
    return any(holds_phrase(text, phrase) for phrase in phrases)


def screen_in_words(screen: Screen) -> str:
    """Return what is on the page as a person would name it: controls, then texts."""
    controls = [f"{item.kind} {item.text!r}" for item in screen.items if item.kind in PRESSABLE | FIELDS | {"icon"}]
    texts = [text for text in screen.texts if plain(text)]
    named = ", ".join(dict.fromkeys(controls[:60])) or "none"
    return f"controls: {named}\ntexts: {cut(' | '.join(texts[:60]), 1200)}"


# -- When what a page shows has come to rest --------------------------------------------------------------

SHORT_WAIT_S, LONG_WAIT_S = 0.05, 0.3  # between two looks
_LOOKS = 3  # a busy machine may look so seldom that what changes seems to rest


class Stability:
    """Tells when something that is shown has stopped changing."""

    def __init__(self) -> None:
        self._last: object = None
        self._since = self._for_s = 0.0
        self._looks = 0

    def is_stable(self, shown: object, for_s: float) -> bool:
        """Whether the same was shown at every look of the last ``for_s`` seconds, and at several."""
        now = time.monotonic()
        if shown != self._last or not self._looks:
            self._last, self._since, self._looks = shown, now, 0
        self._looks += 1
        self._for_s = for_s
        return self._looks >= _LOOKS and now - self._since >= for_s

    @property
    def due_s(self) -> float:
        """The seconds after which it will have rested for long enough, if nothing changes until then."""
        return max(self._since + self._for_s - time.monotonic(), SHORT_WAIT_S) if self._looks else LONG_WAIT_S


# A table that was listed first is all there once it stood still for so long: pages draw it row by row, some tenths of a
# second apart, and one that came whole draws nothing more. A row that comes with its last word may be followed by one
# more, after several times the longest gap, and as late as all the others together took. With fewer rows than there are
# known checks one more is likely; a row or two never are all, and no gap between them is known yet.
_SETTLE_S, _LOADED_S, _NEXT_ROW_S, _GAPS = 0.8, 0.3, 5.0, 3
_FIRST, _KNOWN_CHECKS, _FEW_S = 2, 7, 10.0


class RowGrowth:
    """How a table comes: all its rows before they are worked through, or row by row, each with its last word.

    What came so far says of the latter nothing about whether one more is on its way. ``grown_at``: when rows last came.
    """

    def __init__(self) -> None:
        self._ahead = self._rows = 0
        self._begun_at = self.grown_at = self._longest_s = 0.0
        self._came_whole = False  # with their page, and have not grown since

    @property
    def _is_listed(self) -> bool:
        """Whether all the rows were there while they were worked through: these have no successor."""
        return self._rows == self._ahead

    def rest_s(self, rows: int, waiting: int, now: float, *, whole: bool = False) -> float:
        """Note the rows that are shown ``now``; return for how long these have to stay the same before they are all.

        ``waiting`` are those without their last word. ``whole``: they came with their page, which waits for no answer.
        """
        if rows != self._rows:
            self._begun_at = self._begun_at if self._rows else now
            self._longest_s = max(self._longest_s, now - self.grown_at) if self._rows else 0.0
            self._rows, self.grown_at = rows, now
        if waiting > 1:
            self._ahead = rows
        self._came_whole = whole and not self._longest_s
        if self._came_whole:
            return _LOADED_S
        if self._is_listed:
            return _SETTLE_S
        least_s = _FEW_S if rows < _KNOWN_CHECKS else _NEXT_ROW_S
        return max(least_s, _GAPS * self._longest_s, self.grown_at - self._begun_at)

    def why_not_all(self, names: Sequence[str], *, asks_on: bool) -> str:
        """Return why the rows cannot be all, however long they stay the same; empty where nothing speaks for that.

        ``names`` are theirs. ``asks_on``: since the click the page asks its server again and again.
        """
        if self._is_listed:
            return ""
        if len(names) <= _FIRST and not self._came_whole:
            return f"it shows {', '.join(names)} alone, and more than that is checked"
        return "the page goes on asking its server, which may have more rows" if asks_on else ""
