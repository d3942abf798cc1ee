"""Stage 00: is everything reachable, where does this incident stand, what was there before."""

from __future__ import annotations

from collections.abc import Sequence

from runbook_lib.errors import RunbookError, StageOutOfOrder
from runbook_lib.history import past_incidents
from runbook_lib.history.standings import standings
from runbook_lib.models import (
    Check,
    PastIncident,
    Stage,
    Standing,
)
from runbook_lib.record import Journal, Line
from runbook_lib.session.nexts import next_run, stage_to_go_on_with
from runbook_lib.session.runbook import Runbook
from runbook_lib.steps import (
    preflight,
)
from runbook_lib.steps.context import Context
from runbook_lib.views import Link, Row, Table, View, standing
from runbook_lib.views.fleet_map import fleet_map
from runbook_lib.views.following import Followed, newest
from runbook_lib.views.incidents import incidents


class StartHere(Runbook):
    """Stage 00: is everything reachable, where does this incident stand, what was there before."""

    stage = Stage.START

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._checks: tuple[Check, ...] = ()
        self._problem: RunbookError | None = None

    def preflight(self) -> View[tuple[Check, ...]]:
        """Ask every server whether it answers; changes nothing."""
        found, self._problem = self._run(preflight.preflight(self.context))
        self._checks = found
        return standing.checks(found, "Is everything reachable?", "Each line that is not «yes» says what to do.")

    def incidents(self) -> View[tuple[PastIncident, ...]]:
        """Show the other incidents of all sites, newest first."""
        found = self._do(lambda: past_incidents(self.context.records_root))
        return incidents(tuple(one for one in found if one.incident != self.incident))

    def sites(self) -> View[Sequence[Standing]]:
        """Show how every site stands by its newest incident, and whose certificates expire next."""
        root = self.context.records_root
        return fleet_map(self._do(lambda: standings(past_incidents(root))), self.context.now())

    def journal(self) -> View[tuple[Line, ...]]:
        """Show the newest lines of the incident's journal; for a person they follow what is written from then on."""
        journal = Journal(self.context.record.folder)  # one of its own, for a thread of its own
        lines = self._do(journal.read).lines
        return Followed(journal) if self.context.attended else View(lines, (newest(lines),))

    def next(self) -> View[str]:
        """Show the notebook with which this incident goes on, and what comes next for each way in which this ends."""
        states = self.context.record.stage_states()
        stage = stage_to_go_on_with(states)
        rows = [
            ("notebook", Link(stage.value, f"{stage}.ipynb") if stage else "none: every stage is done"),
            ("its state", states[stage] if stage else "-"),
            ("opens by itself", f"site {self.context.site.name}, incident {self.incident}"),
            ("as a batch job", next_run(self.context.record)),
        ]
        go_on = Table(title="Go on here", headers=("what", "value"), rows=tuple(Row(cells=cells) for cells in rows))
        return View(self.stage, (go_on, *super().next().tables))

    def _seal(self) -> None:
        if not self._checks:
            raise StageOutOfOrder("The servers were not asked yet", next_step="run this stage's cells in order")
        if self._problem:
            raise self._problem
