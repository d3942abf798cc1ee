"""Values that have a picture: the picture, and a table that says the same."""

from __future__ import annotations

from runbook_lib.logs.report import when_said
from runbook_lib.models import Diagnosis, Stage
from runbook_lib.pictures.axis import span
from runbook_lib.pictures.mismatches import TITLE, Lane, draw_mismatches, lanes_of, remarks_of
from runbook_lib.pictures.trust import UNSEEN, Agreement, Trusts
from runbook_lib.pictures.trust_drawing import draw_trust
from runbook_lib.views.evidence import facts_of
from runbook_lib.views.rows import BAD, DOUBT, GOOD, PLAIN, Row, Table
from runbook_lib.views.table import View
from runbook_lib.words import AsIs

_MARKS = {
    Agreement.AGREE: GOOD,
    Agreement.DIFFER: BAD,
    Agreement.UNKNOWN: DOUBT,
    Agreement.NOTHING: PLAIN,
}


def mismatches_over_time(value: Diagnosis) -> View[Diagnosis]:
    """The picture of when the mismatches were, and the same as a table."""
    table = Table(
        title=TITLE,
        headers=("whose log", "of whom", "count", "first seen", "last seen", "then quiet for"),
        rows=tuple(
            Row(
                cells=(
                    lane.server,
                    AsIs(lane.subject),
                    f"{lane.count:,}",
                    when_said(lane.first_utc, lane.said, lane.zone_known),
                    when_said(lane.last_utc, lane.said, lane.zone_known),
                    _quiet(lane),
                ),
                mark=BAD,
            )
            for lane in lanes_of(value)
        ),
        empty="no mismatch in the logs that were read",
        note="\n".join(remarks_of(value)),
        artifact=facts_of(Stage.DIAGNOSE),
        counted="whose log",
    )
    return View(value, (table,), (draw_mismatches(value),))


def trust(value: Trusts) -> View[Trusts]:
    """The picture of who trusts whom, and the same as a table."""
    table = Table(
        title=value.title,
        headers=("on the", "entry", "of", "stored and presented", "the ground for that"),
        rows=tuple(
            Row(
                cells=(link.server, "\n".join(link.keys) or "-", link.target, link.agreement, link.ground),
                mark=_MARKS[link.agreement],
            )
            for link in value.links
        ),
        note=UNSEEN,
        whole=("entry",),
    )
    return View(value, (table,), (draw_trust(value),))


def _quiet(lane: Lane) -> str:
    if lane.quiet is None:
        return "not known"
    return span(lane.quiet) if lane.quiet else "up to the log's end"
