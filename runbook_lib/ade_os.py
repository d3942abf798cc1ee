"""What ADE-OS command lines print around an answer, as data, and what a site's file may add to it."""

from __future__ import annotations

import re


def line_pattern(words: str) -> str:
    """Return the regular expression for a line of ``listing: ignore:``: one between slashes, or that of the text."""
    if len(words) > 2 and words[0] == words[-1] == "/":
        return words[1:-1]
    return re.escape(" ".join(words.split()))
