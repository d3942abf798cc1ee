"""The stages that end an incident: 60 verify, 70 post-mortem; all stages in their order; what ``90_history`` opens."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runbook_lib import paths
from runbook_lib.decisions import LASTING_REPAIR, UNPROVEN
from runbook_lib.errors import StageOutOfOrder
from runbook_lib.i18n.language import duration, stamp
from runbook_lib.models import Outcome, PastIncident, SiteStatus, Stage, StageState
from runbook_lib.notebook.changing_stages import DeleteStale, ReaddIse, RegisterHa, require_checks
from runbook_lib.notebook.reading_stages import DiagnoseLogs, ListCertificates, StartHere
from runbook_lib.notebook.runbook import Runbook, seal_by_hand
from runbook_lib.notebook.workspace import Next, newest_incident, resolve_choice, steps_after
from runbook_lib.observations import Check
from runbook_lib.params.load import load_site_or_lab, site_without_secrets
from runbook_lib.record.attestation import keep_site
from runbook_lib.record.history import past_incidents, site_statuses
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Line
from runbook_lib.record.lock import holders_by_incident
from runbook_lib.repair import proof
from runbook_lib.repair.context import targets
from runbook_lib.secrets import REDACTOR
from runbook_lib.show import findings, tables
from runbook_lib.show.advice import end_run_all_at_red, show_errors_as_advice
from runbook_lib.show.document import Cell, Row, Table, link_to, mark_of
from runbook_lib.show.incidents import fleet_map, incidents
from runbook_lib.show.progress import Followed, newest
from runbook_lib.show.rendering import View, attended
from runbook_lib.show.timeline import over_time
from runbook_lib.show.trust import trust_as_verified

if TYPE_CHECKING:  # a report is loaded where one is made
    from runbook_lib.show.report import Written
    from runbook_lib.show.report_model import PostMortem

# -- Stage 60: what proves the repair, and how the incident ends -----------------------------------


class Verify(Runbook):
    """Stage 60: which facts prove the repair, which do not, and the outcome."""

    stage = Stage.VERIFY
    _checks: tuple[Check, ...] = ()

    def verify(self) -> View[tuple[Check, ...]]:
        """Look at everything again; return every check, and draw who trusts whom as far as they tell."""
        self._checks = self._run(proof.verify(self.context, self._pages))
        addresses = {host.name: f"{host.address}:{host.port}" for host in targets(self.context.site)}
        drawn = findings.trust(trust_as_verified(addresses, self._checks))
        shown = tables.checks(self._checks, "What proves the repair", UNPROVEN)
        return View(self._checks, (*shown.tables, *drawn.tables), drawn.pictures)

    def outcome(self) -> View[Outcome]:
        """Say how this incident ends, and what would keep it from coming back."""
        outcome = proof.outcome_of(self.context, self._checks)
        mark = "bad" if outcome in (Outcome.FAILED, Outcome.UNKNOWN) else "good"
        table = Table(
            title="Outcome",
            headers=("outcome", "incident"),
            rows=(Row(outcome, self.incident, mark=mark),),
            note=LASTING_REPAIR,
        )
        return View(outcome, (table,))

    def _seal(self) -> None:
        require_checks(self._checks, "The repair is not proven")
        outcome = proof.outcome_of(self.context, self._checks)
        self.context.record.set_outcome(outcome, proof.undecided(self._checks))


# -- Stage 70: the post-mortem of an incident, shown, and written into its record before that is sealed


class WritePostMortem(Runbook):
    """Reads the record, as far as it goes, and writes the report into it; asks no server anything."""

    stage = Stage.POST_MORTEM
    _written: Written | None = None

    def summary(self) -> View[PostMortem]:
        """Show how the incident ended, how long what was rejected, what happened when, and what remains unproven."""
        from runbook_lib.show.report_sections import moments

        pm = self._do(self._read)
        ended = Table(
            title="How it ended",
            headers=("outcome", "why"),
            rows=(Row(pm.headline.outcome or "none", pm.headline.words, mark=mark_of(pm.headline.tone)),),
        )
        lengths = Table(
            title="How long each was rejected",
            headers=("what", "how long", "from", "to", "what is not known"),
            rows=tuple(
                Row(
                    each.what,
                    duration(each.duration) if each.rejected else "no mismatch in the logs that were read",
                    stamp(each.since_utc),
                    stamp(each.until_utc),
                    "\n".join(each.not_known) or "-",
                )
                for each in pm.impacts
            ),
        )
        drawn = over_time(pm)
        timeline = replace(moments(pm), fold=f"Timeline of the incident, in UTC: {len(pm.moments):,} moments")
        sentences = tuple(Row(sentence) for sentence in pm.unproven)
        unproven = Table(title="What remains unproven", headers=("what",), rows=sentences)
        return View(pm, (ended, lengths, timeline, unproven), (drawn.wide,) if drawn else ())

    def write(self) -> View[Written]:
        """Write the report into the record, as HTML, PDF and Markdown, and return the files; earlier ones stay."""
        self._written = self._do(self._write)
        rows = tuple(Row(path.suffix[1:], self._link(path)) for path in self._written.files)
        table = Table(
            title="The report, in the incident's folder",
            headers=("format", "file"),
            rows=rows,
            note=self._written.missing,
            whole=("file",),
        )
        return View(self._written, (table,))

    def _link(self, path: Path) -> Cell:
        """Return a file of the record as a link from the notebook: where it lies by hand, where it is kept in a run."""
        folder = self.context.record.folder
        here = Path.cwd() if self.context.attended else folder / "notebooks"
        return link_to(str(path.relative_to(folder)), os.path.relpath(path, here))

    def _read(self) -> PostMortem:
        from runbook_lib.show.report import post_mortem

        return post_mortem(self.context.record.folder, sealed_next=True)

    def _write(self) -> Written:
        from runbook_lib.show.report import write_into

        context = self.context
        keep_site(context.record, site_without_secrets(context.site))
        context.progress("Writing the report", 0.2)
        return write_into(context.record, self._read(), stage=self.stage, browser=context.site.browser)

    def _goes_on_with(self) -> Next:
        written, still_open = steps_after(self.stage, self.incident)
        return written if self.context.record.is_closed() else still_open

    def _seal(self) -> None:
        if self._written is None:
            raise StageOutOfOrder("The report is not written yet", next_step="run this stage's cells in order")

    def close(self) -> View[StageState]:
        """As every stage; then the record is sealed, the report in it."""
        closed = super().close()
        seal_by_hand(self.context)
        return closed


# -- All stages, in their order --------------------------------------------------------------------

_IN_ORDER = (StartHere, DiagnoseLogs, ListCertificates, DeleteStale, RegisterHa, ReaddIse, Verify, WritePostMortem)
STAGES: dict[Stage, type[Runbook]] = {kind.stage: kind for kind in _IN_ORDER}


# -- What ``90_history`` opens: how all sites stand, the incidents so far, a journal that is followed. It is no stage


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
        table = Table(title="History", headers=("what", "value"), rows=tuple(Row(*row) for row in rows))
        return View(self.incident, (table,))

    def sites(self) -> View[Sequence[SiteStatus]]:
        """Show how every site stands by its newest incident, and whose certificates expire next."""
        return fleet_map(site_statuses(past_incidents(paths.records_dir())), datetime.now(UTC))

    def incidents(self) -> View[tuple[PastIncident, ...]]:
        """Show the incidents of all sites, newest first."""
        return incidents(tuple(past_incidents(paths.records_dir())), working=holders_by_incident())

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
    wanted = resolve_choice(site, incident, attended=attended())
    name = load_site_or_lab(wanted.site).name
    return History(name, wanted.incident or newest_incident(name))
