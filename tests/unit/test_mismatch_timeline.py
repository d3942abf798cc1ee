"""The picture of mismatches over time: what has a place on the axis, and what is said of what has none."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from runbook_lib.i18n.language import span
from runbook_lib.observations import Damage, Diagnosis, Mismatch
from runbook_lib.show import findings
from runbook_lib.show.document import Picture
from runbook_lib.show.svg import width_of
from runbook_lib.show.timeline import MOST_LANES, draw_mismatches, lanes_of

T = datetime(2026, 11, 22, 21, 14, tzinfo=UTC)


def mismatch(server: str, subject: str, first: float | None, last: float | None, *, zone: bool = True) -> Mismatch:
    """A mismatch that was reported twice, ``first`` and ``last`` minutes after T; None: without a date."""
    return Mismatch(
        server=server,
        place="unknown",
        subject=subject,
        threads=(),
        count=2,
        first_utc=None if first is None else T + timedelta(minutes=first),
        last_utc=None if last is None else T + timedelta(minutes=last),
        evidence=(),
        first_said="14:02:01",
        zone_known=zone,
    )


def shown(picture: Picture) -> str:
    nodes = ElementTree.fromstring(picture.inline()).iter("{http://www.w3.org/2000/svg}text")
    return "\n".join(node.text or "" for node in nodes)


def test_a_lane_says_first_last_count_and_how_long_it_has_been_quiet() -> None:
    """Beside the bar, and by a broken line to the log's end."""
    ends = {"primary": T + timedelta(hours=3)}
    picture = draw_mismatches(Diagnosis(mismatches=(mismatch("primary", "CN=a", 0, 60),), log_end_utc=ends))
    assert "2 mismatches" in shown(picture)
    assert "then quiet for 2 h" in shown(picture)
    assert "stroke-dasharray" in picture.body


def test_the_table_says_how_long_it_has_been_quiet_and_when_it_was_last() -> None:
    """The picture has no table of its own; a time without a date is the one that the last line holds."""
    undated = replace(mismatch("primary", "CN=b", None, None), last_said="15:02:01")
    value = Diagnosis(
        mismatches=(mismatch("primary", "CN=a", 0, 60), undated),
        log_end_utc={"primary": T + timedelta(hours=3)},
        no_logs=("secondary",),
    )
    table = findings.diagnosis(value).tables[0]
    assert [row.cells[5:7] for row in table.rows] == [
        ("2026-11-22 22:14:00Z", "2 h"),
        ("15:02:01 (no date)", "not known"),
    ]
    assert "No logs of the secondary were available" in table.note


def test_a_mismatch_that_goes_on_to_the_end_is_not_called_quiet() -> None:
    """The log's last time is the mismatch's last: nothing is broken off."""
    ends = {"primary": T + timedelta(minutes=60)}
    picture = draw_mismatches(Diagnosis(mismatches=(mismatch("primary", "CN=a", 0, 60),), log_end_utc=ends))
    assert "up to the log's end" in shown(picture)
    assert "stroke-dasharray" not in picture.body


def test_where_the_log_ends_is_not_known_nothing_is_said_of_it() -> None:
    """Without an end there is no quiet time."""
    [lane] = lanes_of(Diagnosis(mismatches=(mismatch("primary", "CN=a", 0, 60),)))
    assert lane.quiet is None
    assert "quiet" not in shown(draw_mismatches(Diagnosis(mismatches=(mismatch("primary", "CN=a", 0, 60),))))


def test_what_has_no_date_has_no_place_and_is_said() -> None:
    """The picture says that something is not in it."""
    picture = draw_mismatches(Diagnosis(mismatches=(mismatch("primary", "CN=a", None, None),)))
    assert "no mismatch with a date" in shown(picture)
    assert "Kinds of mismatches without a date, which have no place in the picture: 1." in shown(picture)


def test_a_zone_that_nobody_named_is_said() -> None:
    """UTC was assumed, which a word beside the server says."""
    picture = draw_mismatches(Diagnosis(mismatches=(mismatch("primary", "CN=a", 0, 1, zone=False),)))
    assert "primary (zone?)" in shown(picture)


def test_what_was_not_read_is_never_shown_as_quiet() -> None:
    """No logs, or damaged ones: nothing is known, and that is what stands there."""
    picture = draw_mismatches(
        Diagnosis(mismatches=(), no_logs=("secondary",), damaged=(Damage(source="a", problem="b"),))
    )
    said = shown(picture).splitlines()
    assert "No logs of the secondary were available, so its mismatches are unknown." in said
    assert "Sources that were read only in part: 1; what follows there is unknown." in said


def test_many_lanes_are_cut_and_counted() -> None:
    """A picture of a thousand subjects stays readable; how many are missing is said."""
    many = tuple(mismatch("primary", f"CN={number}", number, number) for number in range(50))
    picture = draw_mismatches(Diagnosis(mismatches=many))
    assert shown(picture).count("2 mismatches") == MOST_LANES
    left_out = f"Kinds of mismatches that are left out of the picture: {50 - MOST_LANES}; the table holds all."
    assert left_out in shown(picture)


@pytest.mark.parametrize("minutes", [0, 0.001, 0.5, 7, 90, 60 * 30, 60 * 24 * 20, 60 * 24 * 900, 60 * 24 * 365 * 40])
def test_an_axis_of_any_length_has_a_few_moments_on_it(minutes: float) -> None:
    """Its edges and some between them: each is written once, and none over another."""
    picture = draw_mismatches(Diagnosis(mismatches=(mismatch("primary", "CN=a", 0, minutes),)))
    nodes = ElementTree.fromstring(picture.inline()).iter("{http://www.w3.org/2000/svg}text")
    words = {node: (node.text or "") for node in nodes if re.fullmatch(r"[\d-]* ?\d\d:\d\d(:\d\d)?", node.text or "")}
    at = sorted((float(node.get("x", "")), width_of(text, 12) / 2) for node, text in words.items())
    assert 1 <= len(words) <= 7
    assert len({*words.values()}) == len(words)
    assert at[0][0] - at[0][1] >= 0
    assert at[-1][0] + at[-1][1] <= picture.width
    assert all(left + half <= right - other for (left, half), (right, other) in pairwise(at))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (5, "5 s"), (60, "1 min"), (725, "12 min 5 s"), (7200, "2 h"), (7230, "2 h"), (273600, "3 d 4 h")],
)
def test_a_length_of_time_is_said_in_its_two_largest_units(seconds: int, words: str) -> None:
    """As people say it."""
    assert span(timedelta(seconds=seconds)) == words
