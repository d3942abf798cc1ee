"""Stage 70: the post-mortem of an incident, shown, and written into its record before that is sealed."""

from __future__ import annotations

from runbook_lib.errors import StageOutOfOrder
from runbook_lib.models import Stage, StageState
from runbook_lib.params import site_without_secrets
from runbook_lib.record import keep_site
from runbook_lib.report import PostMortem, Written, post_mortem, write_into
from runbook_lib.report.drawing import over_time
from runbook_lib.report.words import duration
from runbook_lib.session.runbook import Runbook
from runbook_lib.session.sealing import seal_by_hand
from runbook_lib.steps.context import Context
from runbook_lib.times import stamp
from runbook_lib.views import Row, Table, View

_MARKS = {"good": "good", "bad": "bad", "doubt": "doubt"}


class WritePostMortem(Runbook):
    """Reads the record, as far as it goes, and writes the report into it; asks no server anything."""

    stage = Stage.POST_MORTEM

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._written: Written | None = None

    def summary(self) -> View[PostMortem]:
        """Show how the incident ended, and how long what was rejected."""
        found = self._do(self._read)
        ended = Table(
            title="How it ended",
            headers=("outcome", "why"),
            rows=(
                Row(
                    cells=(found.headline.outcome or "none", found.headline.words),
                    mark=_MARKS.get(found.headline.tone, ""),
                ),
            ),
        )
        lengths = Table(
            title="How long each was rejected",
            headers=("what", "how long", "from", "to", "what is not known"),
            rows=tuple(
                Row(
                    cells=(
                        each.what,
                        duration(each.duration) if each.rejected else "no mismatch in the logs at hand",
                        stamp(each.since_utc),
                        stamp(each.until_utc),
                        "\n".join(each.not_known) or "-",
                    )
                )
                for each in found.impacts
            ),
        )
        return View(found, (ended, lengths))

    def timeline(self) -> View[PostMortem]:
        """Show what happened when, as a picture and as a table."""
        found = self._do(self._read)
        drawn = over_time(found)
        table = Table(
            title="Timeline of the incident, in UTC",
            headers=("when", "what", "where", "journal"),
            rows=tuple(
                Row(cells=(_utc(m.said), m.what, m.where or "-", f"line {m.ref.line}"), mark=_MARKS.get(m.tone, ""))
                for m in found.moments
            ),
        )
        return View(found, (table,), (drawn.wide,) if drawn else ())

    def unproven(self) -> View[tuple[str, ...]]:
        """Show what the record leaves open."""
        found = self._do(self._read)
        rows = tuple(Row(cells=(sentence,)) for sentence in found.unproven)
        return View(found.unproven, (Table(title="What remains unproven", headers=("what",), rows=rows),))

    def write(self) -> View[Written]:
        """Write the report into the record, as HTML, PDF and Markdown; earlier ones stay."""
        self._written = self._do(self._write)
        rows = tuple(
            Row(cells=(path.suffix[1:], str(path.relative_to(self.context.record.folder))))
            for path in self._written.files
        )
        table = Table(
            title="The report, in the incident's folder",
            headers=("form", "file"),
            rows=rows,
            note=self._written.missing,
            whole=("file",),
        )
        return View(self._written, (table,))

    def _read(self) -> PostMortem:
        return post_mortem(self.context.record.folder, sealed_next=True)

    def _write(self) -> Written:
        context = self.context
        keep_site(context.record, site_without_secrets(context.site))
        context.tell("Writing the report", 0.2)
        return write_into(context.record, self._read(), stage=self.stage, browser=context.site.browser)

    def _seal(self) -> None:
        if self._written is None:
            raise StageOutOfOrder("The report is not written yet", next_step="run this stage's cells in order")

    def close(self) -> View[StageState]:
        """As every stage; then the record is sealed, the report in it."""
        closed = super().close()
        seal_by_hand(self.context)
        return closed


def _utc(said: str) -> str:
    """A time as the other stages write it."""
    return f"{said}Z" if said[:1].isdigit() and not said.endswith(")") else said
