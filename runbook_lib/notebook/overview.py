"""What ``90_history`` opens: how all sites stand, the incidents so far, a journal that is followed. It is no stage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from runbook_lib import paths
from runbook_lib.decisions import PastIncident, SiteStatus
from runbook_lib.notebook.site_choice import resolved
from runbook_lib.params.load import load_site_or_lab
from runbook_lib.params.model import LabRequest
from runbook_lib.record.history import past_incidents, standings
from runbook_lib.record.incident import Record, list_records
from runbook_lib.record.journal import Line
from runbook_lib.record.lock import at_work
from runbook_lib.secrets import REDACTOR
from runbook_lib.show.advice import end_run_all_at_red, show_errors_as_advice
from runbook_lib.show.incidents import fleet_map, incidents
from runbook_lib.show.progress import Followed, newest
from runbook_lib.show.rendering import View, attended
from runbook_lib.show.table import Row, Table


class History:
    """The records of this machine, to look at: nothing is written, no server is asked, no incident is opened."""

    def __init__(self, site: str, incident: str) -> None:
        """``incident`` is the one whose journal is shown; empty: there is none."""
        self.site = site
        self.incident = incident
        self._attended = attended()

    def _repr_html_(self) -> str:
        return self._banner()._repr_html_()

    def __repr__(self) -> str:
        return self._banner().text()

    def _banner(self) -> View[str]:
        rows = (("site", self.site), ("incident", self.incident or "none yet"), ("records", str(paths.records_dir())))
        table = Table(title="History", headers=("what", "value"), rows=tuple(Row(cells=row) for row in rows))
        return View(self.incident, (table,))

    def sites(self) -> View[Sequence[SiteStatus]]:
        """Show how every site stands by its newest incident, and whose certificates expire next."""
        return fleet_map(standings(past_incidents(paths.records_dir())), datetime.now(UTC))

    def incidents(self) -> View[tuple[PastIncident, ...]]:
        """Show the incidents of all sites, newest first."""
        return incidents(tuple(past_incidents(paths.records_dir())), working=at_work())

    def journal(self) -> View[tuple[Line, ...]]:
        """Show the newest lines of the incident's journal; for a person they follow what is written from then on."""
        if not self.incident:
            return View((), (newest(()),))
        journal = Record.open(paths.records_dir(), self.incident).journal
        if self._attended:
            return Followed(journal)
        lines = journal.read().lines
        return View(lines, (newest(lines),))


def open_history(site: str = "", incident: str = "") -> History:
    """Return what there is to look at. ``site`` and ``incident`` name the journal, as ``open_runbook`` takes them.

    Where no incident is named or chosen it is the site's newest one. Raises UsageError and RecordError.
    """
    show_errors_as_advice(REDACTOR.redact_text)
    end_run_all_at_red()
    wanted = resolved(site, incident, attended=attended())
    loaded = load_site_or_lab(wanted.site)
    name = "lab" if isinstance(loaded, LabRequest) else loaded.name
    newest_first = (each.incident for each in list_records(paths.records_dir(), name) if not each.problem)
    return History(name, wanted.incident or next(newest_first, ""))
