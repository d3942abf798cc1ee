"""Whether two names may be one person's: what a reader cannot tell apart is the same."""

from __future__ import annotations

import unicodedata


def same_person(one: str, other: str) -> bool:
    """Whether two names look the same, in whole or before an ``@``: no case, no blanks, no letters of other scripts."""
    names = [name.strip() for name in (one, other)]
    bare = [name.partition("@")[0] for name in names]
    return _alike(*names) or _alike(*bare)


def _alike(one: str, other: str) -> bool:
    """Case is folded before or after: a Greek capital beta looks like B, and a small one like no b."""
    small = [skeleton(_compatible(name).casefold()) for name in (one, other)]
    large = [skeleton(_compatible(name)).casefold() for name in (one, other)]
    return small[0] == small[1] or large[0] == large[1]


def _compatible(name: str) -> str:
    """NFKC, without blanks and without what no reader sees."""
    shown = unicodedata.normalize("NFKC", name)
    return "".join(c for c in shown if unicodedata.category(c)[0] not in "CZ" and not _is_selector(c))


def _is_selector(char: str) -> bool:
    return char == "\u034f" or "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


def skeleton(text: str) -> str:
    """The skeleton of Unicode Technical Standard 39: texts that look the same have the same."""
    parts = (_prototype(char) for char in unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFD", "".join(parts))


def _prototype(char: str) -> str:
    """What a character is drawn as: a prototype is confusable with all that look like it, they with it alone."""
    others = _confusable_with(char)
    if len(others) != 1:
        return char
    (other,) = others
    alone = len(other) == 1 and len(_confusable_with(other)) == 1
    return min(char, other) if alone else other


def _confusable_with(char: str) -> list[str]:
    from confusable_homoglyphs.confusables import is_confusable  # reads its tables

    found = is_confusable(char, greedy=True)
    return [each["c"] for each in found[0]["homoglyphs"]] if found else []
