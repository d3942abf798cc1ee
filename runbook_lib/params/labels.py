"""Every word that is looked for or typed on the web pages, as data; a site's file may add its own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files

from runbook_lib.errors import ParameterRefused

# -- What pages say and ask, by meaning ------------------------------------------------------------

SECONDARY = "the secondary"
"""What questions call it whose address they may name instead."""


def _table(text: str) -> dict[str, tuple[str, ...]]:
    """Read lines such as ``name: phrase | phrase``; one that is indented goes on with the line before it."""
    lines = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\n    ", " ").strip().splitlines()
    parts = (line.partition(":") for line in lines)
    return {name: tuple(filter(None, words.strip().split(" | "))) for name, _, words in parts}


PHRASES, _LABELS = map(_table, files(__package__).joinpath("labels.txt").read_text("utf-8").split("\n=\n"))
# Known in a question as well: how a dialogue is used, and what registration does by its nature, of the secondary alone.
_DATA = ("database", "data", "all data", "all the data", "all existing data", "existing database")
PHRASES["ask_planned"] += tuple(
    f"{whose} {what}"
    for whose in (
        *("secondary's database", "secondary server's database", "secondary database"),
        *map(" ".join, itertools.product(_DATA, ("of", "on"), (SECONDARY, f"{SECONDARY} server"))),
    )
    for what in ("will be overwritten", "is overwritten", "will be replaced", "is replaced")
)
OURS = ("registration", "register", "registering", "high availability", "HA", "secondary", "ISE")
"""What a dialogue speaks of that concerns what is done here."""


# -- What is pressed or filled in, by the words that name it.
#
# ``source`` says where a word comes from: ``published`` in the procedure, or ``recalled`` from the product's
# guides and unproven. A site's file can put words of its own before any of them (key ``labels``). Words decide
# what is clicked and what is reported; that something worked is decided by the servers' own answers later.

_PRESS = ("button", "link", "tab", "menuitem", "clickable")
_KINDS = {"field": ("textbox", "combobox"), "press": _PRESS, "entry": (*_PRESS, "text")}


@dataclass(frozen=True)
class Label:
    """Words for one thing and the kinds of control that it can be; ``exact`` forbids longer captions."""

    kinds: tuple[str, ...]
    texts: tuple[str, ...]
    source: str = "recalled"
    exact: bool = False


def _label(head: str, texts: tuple[str, ...]) -> tuple[str, Label]:
    """Return a label by its name, of what stands before the colon: ``name = kinds, published, exact``."""
    name, _, described = head.partition(" = ")
    first, *marks = described.split(", ")
    kinds = _KINDS.get(first, tuple(filter(None, first.split("+"))))
    source = "published" if "published" in marks else "recalled"
    return name, Label(kinds, texts, source, "exact" in marks)


LABELS: dict[str, Label] = dict(_label(head, texts) for head, texts in _LABELS.items())


@dataclass(frozen=True)
class Labels:
    """The words for one site."""

    table: Mapping[str, Label]
    phrases: Mapping[str, tuple[str, ...]]

    def __getitem__(self, key: str) -> Label:
        return self.table[key]


def labels_for(overrides: Mapping[str, Iterable[str]] | None = None) -> Labels:
    """Return the words that are looked for, a site's own ``overrides`` before ours.

    A key is one of the labels (``register``, ``auth_key``...) or of the phrases (``wrong_key``...). Raises
    ParameterRefused for unknown keys, all of them at once.
    """
    given = {key: tuple(texts) for key, texts in (overrides or {}).items()}
    unknown = sorted(key for key in given if key not in LABELS and key not in PHRASES)
    if unknown:
        raise ParameterRefused(
            "the site's file names labels that do not exist",
            where="labels",
            found=", ".join(unknown),
            next_step="Use some of: " + ", ".join([*LABELS, *PHRASES]),
        )
    return Labels(
        {key: replace(label, texts=(*given.get(key, ()), *label.texts)) for key, label in LABELS.items()},
        {key: (*given.get(key, ()), *texts) for key, texts in PHRASES.items()},
    )


# -- What is typed into the pages ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class HaForm:
    """The HA Configuration form. ``failover`` is ``manual`` or ``automatic``; empty virtual addresses leave it off.

    ``auth_key`` is the secret itself and is not shown by ``repr``: make the form where it is used.
    """

    secondary_server: str
    auth_key: str = field(repr=False)
    email: tuple[str, ...] = ()
    failover: str = "manual"
    virtual_ipv4: str = ""
    virtual_ipv6: str = ""
