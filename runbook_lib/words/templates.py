"""Finding the template that a text was made from, so that a finished sentence can be said in another language.

A template is a text with places, ``{0} lines read``. Texts are translated after they were made, and often after
they were kept in a record and read back, so the values are taken out of the text again. Of several templates
that fit, the one with the most words of its own is taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PLACE = re.compile(r"\{(\d+)\}")
DEPTH = 3
"""How deep sentences stand in sentences: a reason in a check in an error."""


class Templates:
    """Texts and their translations; both may hold places ``{0}``, ``{1}``, …"""

    def __init__(self, translations: Mapping[str, str]) -> None:
        self._exact = {text: shown for text, shown in translations.items() if not PLACE.search(text)}
        places = [_Template(text, shown) for text, shown in translations.items() if PLACE.search(text)]
        self._places = sorted(places, key=lambda each: -each.own)

    def translate(self, text: str, depth: int = DEPTH) -> str | None:
        """Return the translation of a text, its values translated too where they are known; None for an unknown."""
        bare = text.strip()
        found = self._translate(bare, depth)
        return None if found is None else text.replace(bare, found, 1)

    def _translate(self, text: str, depth: int) -> str | None:
        exact = self._exact.get(text)
        if exact is not None or not depth:
            return exact
        for template in self._places:
            values = template.values(text)
            if values is not None:
                return template.filled([self.translate(value, depth - 1) or value for value in values])
        return None


class _Template:
    """One text with places: its own words in order, and a pattern that takes the values out."""

    def __init__(self, text: str, shown: str) -> None:
        self._shown = shown
        self._order = [int(number) for number in PLACE.findall(text)]
        words = PLACE.sub("\0", text.strip()).split("\0")
        self.own = sum(len(word) for word in words)
        self._words = [word for word in words if word]
        self._pattern = "(.*?)".join(re.escape(word) for word in words)
        self._compiled: re.Pattern[str] | None = None

    def values(self, text: str) -> list[str] | None:
        """Return what stands at the places, in the order of the text; None where the words are others."""
        if not all(word in text for word in self._words):
            return None
        if self._compiled is None:
            self._compiled = re.compile(self._pattern, re.DOTALL)
        found = self._compiled.fullmatch(text)
        return None if found is None else list(found.groups())

    def filled(self, values: list[str]) -> str:
        """Return the translation with these values, given in the order of the text."""
        at = dict(zip(self._order, values, strict=True))
        return PLACE.sub(lambda place: at[int(place[1])], self._shown)
