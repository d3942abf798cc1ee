"""The looks of the pages. Skins share handlers and models, and not one line of markup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tornado.template import Loader

from runbook_lib.lab.pages.dojo import find_dojo, knobs_in

HERE = Path(__file__).parent
STATIC = HERE / "static"


@dataclass(frozen=True)
class Skin:
    """One look: a folder of templates. Pages that it has no template for are reached in another way there."""

    name: str
    loader: Loader = field(repr=False)
    knobs: Mapping[str, str] = field(default_factory=dict)

    def has(self, page: str) -> bool:
        return (HERE / "templates" / self.name / f"{page}.html").is_file()

    def render(self, page: str, model: Mapping[str, Any]) -> bytes:
        """Return the page as HTML; every value of ``model`` is escaped where the template shows it."""
        return self.loader.load(f"{page}.html").generate(knobs=self.knobs, **model)


SKINS = {
    name: Skin(name, Loader(str(HERE / "templates" / name), autoescape="xhtml_escape"))
    for name in ("forms", "tables", "spa", "dojo")
}
SKINS["default"] = SKINS["forms"]


def skin_named(name: str) -> Skin:
    """Return the skin ``forms`` (also ``default``), ``tables``, ``spa`` or ``dojo``; ``ValueError`` for any other name.

    Behind ``dojo`` its knobs may stand, as in ``dojo?menu=title&grid=table``. LabOptionInvalid where Dojo is not here.
    """
    base, _, knobs = name.partition("?")
    if base not in SKINS or (knobs and base != "dojo"):
        raise ValueError(f"no skin is called {name!r}; there are {', '.join(sorted(SKINS))}")
    if base == "dojo":
        find_dojo()
        return replace(SKINS[base], knobs=knobs_in(knobs))
    return SKINS[base]
