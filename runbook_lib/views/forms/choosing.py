"""Which site, which incident: chosen from what there is, or a site made anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets

from runbook_lib.params.draft import Draft
from runbook_lib.views.forms.base import BELOW, LABEL, WIDE, Form, Said, button, without_form
from runbook_lib.views.forms.site import SiteControls
from runbook_lib.views.rows import BAD, GOOD, Row, Table
from runbook_lib.words import said

MAKE, CLOSE = "Make a new site", "Close the form for a new site"


@dataclass(frozen=True, kw_only=True)
class SiteState:
    """What is known of one site without contacting anything.

    ``about`` is one sentence, or what is wrong of its file where ``usable`` is false; ``incidents`` are its
    incidents in words, by id, the one that would be opened by itself first, under the empty id.
    """

    site: str
    about: str
    usable: bool
    incidents: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Acts:
    """What the form does: look at a site, keep a choice, write a new site's file; each returns what is to be shown."""

    look: Callable[[str], SiteState]
    choose: Callable[[str, str], str]
    write: Callable[[Draft], str]


class ChoiceForm(Form[str]):
    """Shows the known sites with their incidents; ``value`` is the site that the next cell opens."""

    def __init__(self, opens: Table, site: str, sites: tuple[str, ...], folder: Path, acts: Acts) -> None:
        controls = _Controls(site, sites, folder, acts)
        ways = without_form(("in the parameters cell", f'site = "{site}"'), ("as a batch job", f"runbook run {site}"))
        super().__init__(site, (opens, ways), (controls.widget,))


class _Controls:
    def __init__(self, site: str, sites: tuple[str, ...], folder: Path, acts: Acts) -> None:
        self._acts = acts
        self._known = list(sites)
        self.site = ipywidgets.Dropdown(
            description=said("Site"), options=self._known, value=site, layout=WIDE, style=LABEL
        )
        self.about = Said(layout=BELOW)
        self.incident = ipywidgets.Dropdown(description=said("Incident"), options=[""], layout=WIDE, style=LABEL)
        self.said = Said()
        self.use = button("Use this site", "The next cells and the other notebooks open it", self._press, self.said)
        self.make = ipywidgets.ToggleButton(
            description=said(MAKE),
            tooltip=said("Shows the form for a new site's file"),
            layout={"width": "max-content", "min_width": "16em", "margin": ".3em 0"},
        )
        self.new = SiteControls(folder, self._write)
        self.new.widget.layout.display = "none"
        self.site.observe(lambda _: self._look(), names="value")
        self.make.observe(self._unfold, names="value")
        rows = [self.site, self.about, self.incident, self.use, self.said, self.make, self.new.widget]
        self.widget = ipywidgets.VBox(rows)
        self._look()

    def _look(self) -> None:
        state = self._acts.look(self.site.value)
        self.about.say(state.about, "" if state.usable else BAD)
        self.incident.options = [(said(words), ident) for ident, words in state.incidents] or [(said("none"), "")]
        self.use.disabled = not state.usable

    def _press(self) -> str:
        return self._acts.choose(self.site.value, self.incident.value or "")

    def _unfold(self, change: Any) -> None:
        self.new.widget.layout.display = "flex" if change["new"] else "none"
        self.make.description = said(CLOSE if change["new"] else MAKE)

    def _write(self, draft: Draft) -> str:
        said = self._acts.write(draft)
        name = draft.site.name if draft.site else ""
        self._known = sorted({*self._known, name})
        self.site.options = self._known
        self.site.value = name
        self.make.value = False
        self.said.say(said, GOOD)
        return said


def opening(site: str, incident: str, how: str) -> Table:
    """Return the table that says what the next cell opens."""
    return Table(
        title="What the next cell opens, if nothing else is chosen",
        headers=("what", "value"),
        rows=(Row(cells=("site", site)), Row(cells=("incident", incident)), Row(cells=("because", how))),
    )
