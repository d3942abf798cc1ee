"""The map of sites: every site is in the one place that its outcome and its days give it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from runbook_lib.models import Outcome, SiteStatus
from runbook_lib.record.history import Query, past_incidents, site_statuses
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.show.incidents import NOT_SEEN, SITE_TONES, band_of, draw_fleet, fleet_map
from runbook_lib.show.svg import standalone

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def site(name: str, state: str, days: int | None) -> SiteStatus:
    end = None if days is None else NOW + timedelta(days=days, hours=1)
    return SiteStatus(site=name, incident=f"i-{name}", state=state, not_after_utc=end)


@pytest.mark.parametrize(
    ("days", "band"),
    [(-1, "expired"), (0, "0 to 7"), (7, "0 to 7"), (8, "8 to 30"), (90, "31 to 90"), (365, "91 to 365"),
     (366, "later"), (None, NOT_SEEN)],
)  # fmt: skip
def test_each_number_of_days_has_its_column(days: int | None, band: str) -> None:
    """The columns meet without a gap, and what was never seen has one of its own."""
    assert band_of(days) == band


def test_every_outcome_has_a_tone() -> None:
    """Whatever an incident can come to can be drawn."""
    assert {outcome.value for outcome in Outcome} | {"open", "damaged", "no incident"} <= set(SITE_TONES)


def test_the_picture_names_every_site_and_how_it_stands() -> None:
    """Names and outcomes are text of the SVG."""
    sites = [site("berlin", "repaired", 700), site("<b>", "failed", -2), site("madrid", "no incident", None)]
    picture = draw_fleet(sites, NOW)
    drawn = " ".join(ElementTree.fromstring(standalone(picture)).itertext())
    assert all(each.site in drawn and each.state in drawn for each in sites)


def test_five_thousand_sites_are_counted_and_a_few_named() -> None:
    """The map stays small: a cell names some sites and counts all."""
    picture = draw_fleet([site(f"site-{n:04}", "repaired", n % 400) for n in range(5000)], NOW)
    assert len(standalone(picture)) < 50_000
    assert "more" in standalone(picture)


def test_no_sites_are_said_to_be_none() -> None:
    """A map of nothing says so."""
    assert "no sites" in standalone(draw_fleet([], NOW))
    assert "no site is known" in fleet_map([], NOW).text()


def test_what_expires_first_stands_on_top() -> None:
    """The table's order is that of the next incident; what was not seen comes last."""
    text = fleet_map([site("a", "repaired", None), site("b", "repaired", 90), site("c", "failed", 3)], NOW).text()
    assert text.index(" c ") < text.index(" b ") < text.index(" a ")


def test_a_site_stands_by_its_newest_incident(tmp_path: Path) -> None:
    """The newest incident of a site counts; a site that is asked for and has none is told of too."""
    first = Record.create(tmp_path, "berlin")
    first.set_outcome(Outcome.FAILED)
    newer = tmp_path / first.incident.replace("20", "21", 1)
    second = Record(tmp_path, newer.name, "berlin")
    opening = {**first.opening(), "incident": newer.name, "opened_utc": "2126-01-01T00:00:00+00:00"}
    second.keep_json("incident.json", opening, kind=Kind.INCIDENT_OPENED, expected="berlin")
    second.set_outcome(Outcome.REPAIRED)
    found = site_statuses(past_incidents(tmp_path), ["berlin", "madrid"])
    assert [(each.site, each.state) for each in found] == [("berlin", "repaired"), ("madrid", "no incident")]


@pytest.mark.parametrize("asked", [(), ("paris north", "berlin")])
def test_a_damaged_newest_incident_is_not_passed_over(tmp_path: Path, asked: tuple[str, ...]) -> None:
    """A site whose newest record does not verify stands as damaged, not by the older one; no other site does.

    The damaged record does not tell whose it is, so its folder's name does; a site that is known by it alone, too.
    """
    for name in ("paris north", "berlin", "rome"):
        if name != "rome":
            Record.create(tmp_path, name).set_outcome(Outcome.REPAIRED)
        if name != "berlin":
            newer = Record.create(tmp_path, name)
            newer.set_outcome(Outcome.REPAIRED)
            newer.journal.path.write_bytes(b"{}\n")
    found = {each.site: each.state for each in site_statuses(past_incidents(tmp_path), asked)}
    assert found == {"berlin": "repaired", "paris north": "damaged"} | ({} if asked else {"rome": "damaged"})
    of_one = past_incidents(tmp_path, Query.parse(site="paris north"))
    assert [each.state for each in of_one] == ["damaged", "repaired"]
