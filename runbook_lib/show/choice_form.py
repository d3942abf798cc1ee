"""Choosing a site and an incident, closing one that will not be finished, or making a site."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbook_lib.i18n.language import gettext
from runbook_lib.params.load import Draft
from runbook_lib.show.document import BAD, DOUBT, GOOD, Row, Table
from runbook_lib.show.forms import BELOW, LABEL, UNFOLDS, WIDE, Form, Said, button, ipywidgets, text_field, without_form
from runbook_lib.show.rendering import View
from runbook_lib.show.site_form import ShownKey, SiteControls

# -- Which site, which incident: chosen from what there is, or a site made anew --------------------

MAKE, CLOSE = "Make a new site", "Close the form for a new site"


@dataclass(frozen=True, kw_only=True)
class SiteChoice:
    """What is known of one site without contacting anything.

    ``about`` is one sentence, or what is wrong with its file where ``usable`` is false; ``incidents`` are its
    incidents in words, by id, the one that would be opened by itself first, under the empty id. ``open`` is its open
    incident, if there is one, and ``unfinished`` says how it would end if nobody finished it.
    """

    about: str
    usable: bool
    incidents: tuple[tuple[str, str], ...] = ()
    open: str = ""
    unfinished: str = ""


@dataclass(frozen=True, kw_only=True)
class ChoiceActions:
    """What the form does; each returns what is to be shown.

    Look at a site, keep a choice, write a new site's file, look at a server's SSH host key, and close an incident
    that will not be finished, in somebody's name and for a reason.
    """

    look: Callable[[str], SiteChoice]
    choose: Callable[[str, str], str]
    write: Callable[[Draft], str]
    host_key: Callable[[str, int], ShownKey]
    close: Callable[[str, str, str], str]


class ChoiceForm(Form[str]):
    """Shows the known sites with their incidents; ``value`` is the site that the next cell opens.

    ``opens`` returns the table that stands above, which is made anew after each choice.
    """

    def __init__(
        self, opens: Callable[[], Table], site: str, sites: tuple[str, ...], folder: Path, acts: ChoiceActions
    ) -> None:
        above = ipywidgets.HTML()

        def renew() -> Table:
            table = opens()
            above.value = View(site, (table,))._repr_html_()
            return table

        controls = _ChoiceControls(site, sites, folder, acts, renew)
        ways = without_form(("in the parameters cell", f'site = "{site}"'), ("as a batch job", f"runbook run {site}"))
        super().__init__(site, (renew(), ways), (controls.widget,), above)


class _ChoiceControls:
    def __init__(
        self, site: str, sites: tuple[str, ...], folder: Path, acts: ChoiceActions, renew: Callable[[], object]
    ) -> None:
        self._acts = acts
        self._renew = renew
        self._known = list(sites)
        self.site = ipywidgets.Dropdown(
            description=gettext("Site"), options=self._known, value=site, layout=WIDE, style=LABEL
        )
        self.about = Said(layout=BELOW)
        self.incident = ipywidgets.Dropdown(description=gettext("Incident"), options=[""], layout=WIDE, style=LABEL)
        self.said = Said()
        self.use = button("Use this site", "The next cells and the other notebooks open it", self._press, self.said)
        self.closing = _Closing(acts, self._look)
        self.make = ipywidgets.ToggleButton(
            description=gettext(MAKE), tooltip=gettext("Shows the form for a new site's file"), layout=UNFOLDS
        )
        self.new = SiteControls(folder, self._write, acts.host_key)
        self.new.widget.layout.display = "none"
        self.site.observe(lambda _: self._look(), names="value")
        self.make.observe(self._unfold, names="value")
        rows = [self.site, self.about.widget, self.incident, self.use, self.said.widget]
        self.widget = ipywidgets.VBox([*rows, self.closing.widget, self.make, self.new.widget])
        self._look()

    def _look(self) -> None:
        state = self._acts.look(self.site.value)
        self.about.say(state.about, "" if state.usable else BAD)
        self.incident.options = [(gettext(words), ident) for ident, words in state.incidents] or [(gettext("none"), "")]
        self.use.disabled = not state.usable
        self.closing.of(state)

    def _press(self) -> str:
        answer = self._acts.choose(self.site.value, self.incident.value or "")
        self._renew()
        return answer

    def _unfold(self, change: Any) -> None:
        self.new.widget.layout.display = "flex" if change["new"] else "none"
        self.make.description = gettext(CLOSE if change["new"] else MAKE)

    def _write(self, draft: Draft) -> str:
        answer = self._acts.write(draft)
        self._renew()
        name = draft.site.name if draft.site else ""
        self._known = sorted({*self._known, name})
        self.site.options = self._known
        self.site.value = name
        self.make.value = False
        self.said.say(answer, GOOD)
        self.use.focus()  # brings it into view: where the form was JupyterLab shows an empty page
        return answer


class _Closing:
    """The way out of an incident that nobody will finish: folded, and there only where one is open."""

    def __init__(self, acts: ChoiceActions, renew: Callable[[], None]) -> None:
        self._acts, self._renew, self._incident = acts, renew, ""
        self.unfold = ipywidgets.ToggleButton(
            description=gettext("Close the open incident"),
            tooltip=gettext("Shows what closes an incident that will not be finished"),
            layout=UNFOLDS,
        )
        self.about = Said()
        self.name = text_field("Your name", "as it will appear in the record")
        self.reason = text_field("Why", "why it will not be finished")
        self.said = Said()
        hint = "Writes your name and the reason into the record; the site's next incident is a new one"
        self.button = button("Close it unfinished", hint, self._press, self.said)
        self.asked = ipywidgets.VBox([self.about.widget, self.name, self.reason, self.button])
        self.unfold.observe(lambda change: self._show(unfolded=change["new"]), names="value")
        self.widget = ipywidgets.VBox([self.unfold, self.asked, self.said.widget])

    def of(self, state: SiteChoice) -> None:
        """Offer to close the open incident of a site, nothing where it has none."""
        self._incident = state.open
        self.about.say(f"{state.open}: {state.unfinished}" if state.open else "", DOUBT)
        self.unfold.layout.display = "flex" if state.open else "none"
        self.unfold.value = False
        self._show(unfolded=False)

    def _show(self, *, unfolded: bool) -> None:
        self.asked.layout.display = "flex" if unfolded else "none"

    def _press(self) -> str:
        answer = self._acts.close(self._incident, self.name.value, self.reason.value)
        self._renew()
        return answer


def opening(site: str, incident: str, how: str) -> Table:
    """Return the table that says what the next cell opens."""
    return Table(
        title="What the next cell opens unless you choose something else",
        headers=("what", "value"),
        rows=(Row("site", site), Row("incident", incident), Row("because", how)),
    )
