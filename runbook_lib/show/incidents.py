"""Incidents: the form that chooses one of a site, or makes a site; those so far; the map of sites by their newest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib.i18n.language import gettext, span
from runbook_lib.models import Outcome, PastIncident, SiteStatus, Unended
from runbook_lib.show import svg
from runbook_lib.show.document import BAD, DOUBT, GOOD, PLAIN, Picture, Row, Table, mark_of
from runbook_lib.show.forms import BELOW, LABEL, UNFOLDS, WIDE, Form, Said, button, ipywidgets, text_field, without_form
from runbook_lib.show.rendering import View
from runbook_lib.show.svg import shorten

if TYPE_CHECKING:
    from runbook_lib.params.load import Draft
    from runbook_lib.show.site_form import ShownKey

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
        from runbook_lib.show.site_form import SiteControls  # and with it what checks a site's file

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


# -- How an incident stands, as colours and marks -----------------------------------------------------

INCIDENT_TONES = {
    Outcome.REPAIRED.value: "good",
    Outcome.REPAIRED_UNVERIFIED.value: "doubt",
    Outcome.NOTHING_TO_DO.value: "plain",
    Outcome.STOPPED.value: "change",
    Outcome.FAILED.value: "bad",
    Outcome.UNKNOWN.value: "bad",
    Unended.OPEN: "quiet",
    Unended.DAMAGED: "bad",
}
"""How each incident stands, as a picture's tone and as a row's mark."""

# -- The map of sites: by how their newest incident ended, and by the days until their first certificate expires

TITLE = "Sites by outcome and by days to expiry"
SITE_TONES = INCIDENT_TONES | {"no incident": "quiet"}
BANDS = (("expired", -1), ("0 to 7", 7), ("8 to 30", 30), ("31 to 90", 90), ("91 to 365", 365), ("later", 10**9))
"""The columns, each with the most days that belong to it; what was never seen has one of its own."""
NOT_SEEN = "not seen"
MOST_SITES_NAMED = 4
_FLEET_LEFT, _FLEET_TOP, _WIDE, _LINE, _PAD = 182.0, 96.0, 112.0, 18.0, 10.0


def band_of(days: int | None) -> str:
    """Return the column of so many days."""
    return NOT_SEEN if days is None else next(name for name, most in BANDS if days <= most)


def draw_fleet(sites: Sequence[SiteStatus], now_utc: datetime) -> Picture:
    """Return the map: a row for each outcome that there is, a column for each span of days; few sites are named."""
    columns = [name for name, _ in BANDS] + [NOT_SEEN]
    cells: dict[tuple[str, str], list[str]] = {}
    for each in sites:
        cells.setdefault((each.state, band_of(each.days(now_utc))), []).append(each.site)
    rows = [state for state in SITE_TONES if any(state == row for row, _ in cells)]
    body, top = [_head(columns)], _FLEET_TOP
    for state in rows:
        most = max(len(cells.get((state, column), ())) for column in columns)
        height = _PAD * 2 + _LINE * (1 + min(most, MOST_SITES_NAMED))
        body.append(svg.mark(SITE_TONES[state], 22, top + 22) + svg.label(state, 36, top + 26, size=13))
        for number, column in enumerate(columns):
            if names := cells.get((state, column)):
                body.append(_cell(state, names, _FLEET_LEFT + number * _WIDE, top, height))
        top += height + 6
    if not rows:
        body.append(svg.label("no sites", _FLEET_LEFT, _FLEET_TOP + 20))
        top += 40
    width = _FLEET_LEFT + len(columns) * _WIDE + 10
    return Picture(title=TITLE, width=width, height=top + 14, body="".join(body))


def _head(columns: Sequence[str]) -> str:
    about = svg.label("days until the first certificate expires", _FLEET_LEFT, 48, tone="quiet", size=12)
    names = (svg.label(name, _FLEET_LEFT + at * _WIDE + 8, 76, bold=True, size=13) for at, name in enumerate(columns))
    rule = svg.line(((_FLEET_LEFT, 86), (_FLEET_LEFT + len(columns) * _WIDE, 86)))
    return svg.label("outcome", 22, 76, bold=True, size=13) + about + "".join(names) + rule


def _cell(state: str, names: Sequence[str], x: float, y: float, height: float) -> str:
    area = svg.rectangle(x + 2, y, _WIDE - 4, height, tone=SITE_TONES[state])
    count = svg.label(f"{len(names)}", x + 10, y + 22, bold=True, size=14)
    shown: list[str] = [shorten(name, _WIDE - 24, 11) for name in sorted(names)[:MOST_SITES_NAMED]]
    if len(names) > MOST_SITES_NAMED:
        shown[-1] = f"and {len(names) - MOST_SITES_NAMED + 1} more"
    lines = (svg.label(name, x + 10, y + 22 + _LINE * (number + 1), size=11) for number, name in enumerate(shown))
    return area + count + "".join(lines)


# -- A list of earlier incidents: a table, newest first

MOST_SHOWN = 50
HEADERS = ("incident", "opened (UTC)", "site", "outcome", "time to repair", "who", "approved by")


AT_WORK = "a run goes on"
"""How an incident stands while somebody works on it: its newest outcome is that of an earlier run."""


def incidents(
    listed: Sequence[PastIncident], *, most: int = MOST_SHOWN, working: Collection[str] = frozenset()
) -> View[tuple[PastIncident, ...]]:
    """Show the newest ``most`` incidents (0: all) of ``listed``, which are newest first.

    ``working`` are those on which somebody works now.
    """
    shown = listed[:most] if most else listed
    left_out = len(listed) - len(shown)
    table = Table(
        title=f"Incidents so far: {len(listed):,}",
        headers=HEADERS,
        rows=tuple(_row(each, each.incident in working) for each in shown),
        empty="none",
        whole=("incident",),
        note=f"The newest {len(shown):,}; {left_out:,} older ones are not shown." if left_out else "",
    )
    return View(tuple(listed), (table,))


def _state(one: PastIncident) -> str:
    if one.problem:
        return f"damaged: {one.problem}"
    return f"{one.state}, {one.after_seal} lines after its seal" if one.after_seal else one.state


def _row(one: PastIncident, working: bool) -> Row:
    return Row(
        one.incident,
        f"{one.opened_utc:%Y-%m-%d %H:%M}" if one.opened_utc else "",
        one.site,
        AT_WORK if working else _state(one),
        "" if one.repair_s is None else span(timedelta(seconds=one.repair_s)),
        one.by,
        ", ".join(one.approved_by),
        mark=PLAIN if working else mark_of(INCIDENT_TONES[one.state]),
    )


# -- How the sites stand: the map, and the same as a table -----------------------------------------


def fleet_map(value: Sequence[SiteStatus], now_utc: datetime | None = None) -> View[Sequence[SiteStatus]]:
    """The map of sites by outcome and by days to expiry, and a table of them, what expires first on top."""
    now = now_utc or datetime.now(UTC)
    ordered = sorted(value, key=lambda each: (each.not_after_utc is None, each.not_after_utc or now, each.site))
    rows = []
    for each in ordered:
        days = each.days(now)
        left = "not seen" if days is None else str(days)
        rows.append(
            Row(each.site, each.state, left, each.incident or "-", mark=mark_of(SITE_TONES.get(each.state, "")))
        )
    table = Table(
        title=TITLE,
        headers=("site", "outcome", "days to first expiry", "newest incident"),
        rows=tuple(rows),
        empty="no site is known",
        note="The days count from the certificates that were seen in the newest incident.",
        fold="The picture as a table",
    )
    return View(value, (table,), (draw_fleet(value, now),))
