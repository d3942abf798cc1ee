"""What a page draws, as the browser itself has laid it out, and whether a secret is in it.

The page's own words are not asked: what stands behind an element in ``::after``, in a closed shadow root, in capitals
or letter by letter is laid out like everything else. What is drawn without letters cannot be read, so a document into
which a secret was typed has to be free of it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_WITHOUT_LETTERS = frozenset({"CANVAS", "VIDEO", "OBJECT", "EMBED"})
_MADE_HERE = ("data:", "blob:")
STYLES = ("background-image", "border-image-source", "list-style-image", "mask-image", "content")
_SHOWN_ATTRIBUTES = ("placeholder", "alt", "label", "value")
_HARMLESS = frozenset({"", "none", "normal"})


@dataclass(frozen=True)
class Drawn:
    """Texts in the order of the document and as they stand; ``filled``: a secret field holds something."""

    texts: tuple[str, ...] = ()
    placed: tuple[str, ...] = ()
    filled: bool = False
    painted: bool = False
    documents: int = field(default=0, compare=False)

    def shows(self, secrets: Iterable[str]) -> bool:
        """Whether one of the secrets can be read in it, forwards or backwards, whatever stands between its letters."""
        orders = ["".join(self.texts), "".join(self.placed)]
        for bare in (letters, dense):
            found = [bare(order) for order in orders]
            wanted = [bare(secret) for secret in secrets]
            if any(form and (form in text or form[::-1] in text) for form in wanted for text in found):
                return True
        return False


def letters(text: str) -> str:
    """Return a text's letters and digits, in one case and one spelling; nothing where they are fewer than four."""
    found = "".join(c for c in dense(text) if c.isalnum())
    return found if len(found) >= 4 else ""


def dense(text: str) -> str:
    """Return a text in one case and one spelling, without spaces and what is not seen."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if not c.isspace() and unicodedata.category(c) not in ("Cf", "Cc"))


def drawn_from(snapshot: Mapping[str, Any]) -> Drawn:
    """Read what ``DOMSnapshot.captureSnapshot`` with ``STYLES`` returned."""
    strings: list[str] = snapshot["strings"]
    texts: list[str] = []
    placed: list[tuple[float, float, str]] = []
    filled = painted = False
    for document in snapshot["documents"]:
        nodes, layout = document["nodes"], document["layout"]
        shown = set(layout["nodeIndex"])
        for text, box in zip(layout["text"], layout["bounds"], strict=True):
            if text >= 0:
                texts.append(strings[text])
                placed.append((round(box[1] / 8), box[0], strings[text]))
        names = [strings[name] if name >= 0 else "" for name in nodes["nodeName"]]
        attributes = {index: _attributes(nodes["attributes"][index], strings) for index in shown}
        # What the browser lays out in shadow roots of its own is not in the snapshot.
        own = [attributes[index].get(name, "") for index in shown for name in _SHOWN_ATTRIBUTES]
        texts.extend([*filter(None, own), *_options(nodes, names, strings)])
        for index, value in _values(nodes, strings):
            if index in shown and value:
                texts.append(value)
                filled |= attributes[index].get("type", "").lower() == "password"
        painted |= any(_is_painted(names[index], attributes[index]) for index in shown)
        painted |= any(_is_made_here(strings[style]) for styles in layout["styles"] for style in styles if style >= 0)
    # Each once: a page that mirrors every key as it is typed draws the same letters over one another.
    in_place = tuple(text for _, _, text in sorted(set(placed)))
    return Drawn(tuple(texts), in_place, filled, painted, len(snapshot["documents"]))


def _attributes(flat: list[int], strings: list[str]) -> dict[str, str]:
    words = [strings[word] for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def _values(nodes: Mapping[str, Any], strings: list[str]) -> Iterator[tuple[int, str]]:
    for kind in ("inputValue", "textValue"):
        found = nodes.get(kind, {"index": [], "value": []})
        for index, value in zip(found["index"], found["value"], strict=True):
            yield index, strings[value] if value >= 0 else ""


def _options(nodes: Mapping[str, Any], names: list[str], strings: list[str]) -> Iterator[str]:
    """Yield the texts in the entries of lists, which are drawn outside of the document."""
    for index, parent in enumerate(nodes["parentIndex"]):
        if parent >= 0 and names[parent].upper() == "OPTION" and nodes["nodeValue"][index] >= 0:
            yield strings[nodes["nodeValue"][index]]


def _is_painted(name: str, attributes: Mapping[str, str]) -> bool:
    source = attributes.get("src", "") or attributes.get("href", "") or attributes.get("xlink:href", "")
    return name.upper() in _WITHOUT_LETTERS or (
        name.upper() in ("IMG", "IMAGE", "INPUT") and source.strip().lower().startswith(_MADE_HERE)
    )


def _is_made_here(style: str) -> bool:
    low = style.lower()
    return low not in _HARMLESS and any(f"url({quote}{kind}" in low for kind in _MADE_HERE for quote in ('"', "'", ""))
