"""Read words off a screen: the text beside a caption, and what the page says of itself. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from runbook_lib.params.labels import OURS, Label, Labels
from runbook_lib.web.controls import find, same_line
from runbook_lib.web.screen import FIELDS, Item, Screen, ScreenRow, is_unspaced, plain, same, says

_BELOW_GAP = 60
_MESSAGE_WORDS = 60
_WHOLE = 4  # words: an expected phrase of so many is a question that a site's file holds
_SPAN = re.compile(r"\b\d+ (?=(?:to \d+ )?(?:hours?|minutes?)\b)")
_MEANINGS = ("wrong_key", "mismatch", "unauthorized", "duplicate", "too_many", "unreachable")


def meaning(text: str, labels: Labels) -> str:
    """Return what a refusal means: ``wrong_key``, ``mismatch``, ``unauthorized``, ``duplicate``, ``too_many``,
    ``unreachable``, or nothing where the words are not known."""
    return next((name for name in _MEANINGS if says(text, labels.phrases[name])), "")


def concerns(text: str, labels: Labels) -> bool:
    """Whether a dialogue speaks of what is done here, and not of something else on the server."""
    return says(text, (*OURS, *labels.phrases["wrong_key"], *labels.phrases["mismatch"]))


def agrees(question: str, labels: Labels, expected: Iterable[str], dangers: Iterable[str]) -> bool:
    """Whether a question is an expected one, in known words only: what is not understood is not agreed to.

    Another server, another user or what else goes on are words that nobody knows. In a script without blanks what is
    left once the known words are taken out is such a word.
    """
    phrases, rest = tuple(expected), f" {plain(question)} "
    whole = (phrase for phrase in phrases if len(phrase.split()) >= _WHOLE)
    for phrase in sorted((*labels.phrases["ask_planned"], *whole), key=len, reverse=True):
        rest = rest.replace(f" {plain(phrase)} ", " ")
    known = labels.phrases["ask_words"] + phrases
    words = {word for phrase in known for word in plain(phrase).split()}
    for word in sorted(filter(is_unspaced, words), key=len, reverse=True):
        rest = rest.replace(word, " ")
    understood = words.issuperset(_SPAN.sub("", rest).split())
    return understood and says(question, phrases) and not says(rest, dangers)


def refusal(texts: Iterable[str], labels: Labels) -> str:
    """Return the texts that say no, joined by line feeds; empty where none does."""
    no = [text for text in texts if _is_message(text) and (_says_no(text, labels) or meaning(text, labels))]
    return "\n".join(no)


def fresh_texts(before: Screen, after: Screen) -> tuple[str, ...]:
    """Return the texts of ``after`` that ``before`` did not show (or showed less often)."""
    return tuple((Counter(after.texts) - Counter(before.texts)).elements())


def unsaid(texts: Iterable[str], earlier: Iterable[str]) -> tuple[str, ...]:
    """Return the texts that were not said before; a message may stay on the page long after what it speaks of."""
    known = {plain(text) for text in earlier}
    return tuple(text for text in texts if plain(text) not in known)


def messages(screen: Screen, labels: Labels) -> tuple[str, ...]:
    """Return what the page says of itself: live regions, and sentences that report a failed registration."""
    said = (item for item in screen.items if item.kind == "text" and _is_message(item.text))
    spoken = (item.text for item in said if item.live or reports(item.text, labels, heading=item.heading))
    return tuple(dict.fromkeys(spoken))


def reports(text: str, labels: Labels, *, heading: bool = False) -> bool:
    """Whether a text is a sentence that reports a failed registration; a heading only where it names the reason."""
    if not _is_message(text):
        return False
    about = concerns(text, labels) or says(text, labels["milestone_replication"].texts)
    strong = (*labels.phrases["wrong_key"], *labels.phrases["mismatch"])
    return (about and not heading and _says_no(text, labels)) or says(text, strong)


def goes_on(texts: Iterable[str], labels: Labels) -> bool:
    """Whether a text says that a registration is under way; “Please wait” is said of anything."""
    return any(says(text, labels.phrases["under_way"]) and concerns(text, labels) for text in texts)


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


def _is_message(text: str) -> bool:
    return len(text.split()) <= _MESSAGE_WORDS


def _says_no(text: str, labels: Labels) -> bool:
    """Whether a text refuses; one that reports work under way may warn of what must not be done meanwhile."""
    if says(text, labels.phrases["harmless"]):
        return False
    if says(text, labels.phrases["under_way"]) and not says(text, labels.phrases["milestone_failed"]):
        return False
    return says(text, labels.phrases["refused"])


def _in_rows(rows: Sequence[ScreenRow], text: str) -> Iterator[str]:
    for number, row in enumerate(rows):
        for column, cell in enumerate(row.cells):
            if same(cell, text):
                if not row.header:
                    yield from [after for after in row.cells[column + 1 :] if plain(after)][:1]
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
    shown = [other for other in items if other is not item and plain(_word(other)) and other.kind in ("text", *FIELDS)]
    right = [other for other in shown if same_line(other, item) and other.left >= item.right - 4]
    near = (other for other in shown if -4 <= other.top - item.bottom <= _BELOW_GAP)
    below = [other for other in near if min(other.right, item.right) > max(other.left, item.left)]
    yield from (_word(other) for other in sorted(right, key=lambda other: other.left)[:1])
    yield from (_word(other) for other in sorted(below, key=lambda other: other.top)[:1])
    yield from (_word(other) for other in items[position + 1 : position + 2] if other.kind == "text")


def _word(item: Item) -> str:
    return item.text if item.kind == "text" else item.value


def _rest(text: str, caption: str) -> str:
    """What follows a caption within one text, as in ``Configuration Mode: Primary Active``."""
    before, separator, after = text.replace("：", ":").partition(":")
    if separator and same(before, caption):
        return after.strip()
    words, count = text.split(), len(plain(caption).split())
    return " ".join(words[count:]) if len(words) > count and same(" ".join(words[:count]), caption) else ""
