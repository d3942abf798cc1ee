"""The time zone of logs: what the site's file says of it counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from runbook_lib.errors import UsageError
from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.logs.jobs import Settings
from runbook_lib.models import Stage
from runbook_lib.observations import Damage, Diagnosis
from runbook_lib.params.load import load_site
from runbook_lib.record.incident import Record
from runbook_lib.repair.context import Context, Devices
from runbook_lib.repair.inventory import read_logs
from runbook_lib.repair.proof import _log_check
from runbook_lib.show import findings

LOG = (
    "2026-11-23 12:00:00 [system] [HealthMonitorThread] TOFU failed. Check local trust"
    " Trust-on-first-use is configure for this connection. Current certificate of the remote host is different from"
    " what was used earlier - CN=prime-sec\n"
)
SITE = """\
name: paris
primary: {{address: 192.0.2.10, ssh: {{user: admin, password: "env:A"}}, logs: [hm.log]{zone}}}
secondary: {{address: 192.0.2.11, ssh: {{user: admin, password: "env:A"}}, logs: [hm.log]}}
ha: {{auth_key: "env:K"}}
"""


@pytest.mark.parametrize(
    ("zone", "hour"),
    [("UTC", 12), ("+02:00", 10), ("-08:30", 20), ("Europe/Paris", 11)],
)
def test_names_and_offsets_shift_the_times(tmp_path: Path, zone: str, hour: int) -> None:
    """A time without an offset is read in the zone that is given, by name or by offset."""
    log = tmp_path / "hm.log"
    log.write_text(LOG, encoding="utf-8")
    found = diagnose_sources({"primary": [log]}, Settings(zones={"primary": zone})).mismatches[0].last_utc
    assert found == datetime(2026, 11, 23, hour, 30 if ":30" in zone else 0, tzinfo=UTC)


@pytest.mark.parametrize("stamp", ["2026-10-25 02:30:00", "2026-03-29 02:30:00"])
def test_an_hour_that_a_clock_repeats_or_leaves_out_is_no_time(tmp_path: Path, stamp: str) -> None:
    """Nobody knows which of two moments was meant: it is counted, and neither first nor last."""
    log = tmp_path / "hm.log"
    log.write_text(LOG.replace("2026-11-23 12:00:00", stamp), encoding="utf-8")
    for zone, undated in (("Europe/Paris", 1), ("+02:00", 0)):
        (found,) = diagnose_sources({"primary": [log]}, Settings(zones={"primary": zone})).mismatches
        assert (found.count, found.undated, found.first_said) == (1, undated, stamp)
        assert (found.last_utc is None) == bool(undated)


@pytest.mark.parametrize(
    ("stamp", "hour"),
    [
        ("[2026-11-23 12:00:00 +08]", 4),
        ("2026-11-23 12:00:00.5+08", 4),
        ("2026-11-23T12:00:00-05", 17),
        ("2026-11-23 12:00:00 GMT+08:00", 4),
        ("2026-11-23 12:00:00 UTC-5", 17),
        ("2026-11-23 12:00:00 GMT", 12),
        ("23.11.2026 12:00:00 +0200", 10),
        ("Mon Nov 23 12:00:00 CST 2026", 9),
        ("2026-11-23 12:00:00 CST", 9),
        ("2026-11-23 12:00:00 -05", 9),
    ],
)
def test_a_zone_that_stands_there_is_read_whole(tmp_path: Path, stamp: str, hour: int) -> None:
    """Hours alone and hours behind GMT shift the time; letters that mean several zones leave it to the site's file."""
    log = tmp_path / "hm.log"
    log.write_text(LOG.replace("2026-11-23 12:00:00", stamp), encoding="utf-8")
    (found,) = diagnose_sources({"primary": [log]}, Settings(zones={"primary": "+03:00"})).mismatches
    assert found.last_utc
    assert (found.last_utc.day, found.last_utc.hour) == (23, hour)
    assert found.threads == ("HealthMonitorThread",)


def test_the_doubt_about_a_zone_is_explained_where_there_is_one(tmp_path: Path) -> None:
    """The sentence below the timeline stands there only where a time bears its mark."""
    log = tmp_path / "hm.log"
    log.write_text(LOG, encoding="utf-8")
    known = findings.diagnosis(diagnose_sources({"primary": [log]}, Settings(zones={"primary": "UTC"})))
    doubtful = findings.diagnosis(diagnose_sources({"primary": [log]}))
    assert ("(zone?):" in known.text(), "(zone?):" in doubtful.text()) == (False, True)


def test_an_unknown_zone_is_refused(tmp_path: Path) -> None:
    """A zone that this machine does not know is an error that says what to write."""
    with pytest.raises(UsageError, match="not known"):
        diagnose_sources({"primary": []}, Settings(zones={"primary": "Nowhere/Land"}))


def test_the_zone_of_the_site_file_counts(tmp_path: Path) -> None:
    """`log_zone` of a server shifts the times of that server's logs, and of no other's."""
    (tmp_path / "hm.log").write_text(LOG, encoding="utf-8")
    (tmp_path / "site.yaml").write_text(SITE.format(zone=", log_zone: '+05:00'"), encoding="utf-8")
    site = load_site(tmp_path / "site.yaml")
    context = Context(
        site=site,
        record=cast(Record, None),
        stage=Stage.DIAGNOSE,
        devices=Devices(site, lambda answer, parsed: None),
        operator="",
        records_root=tmp_path,
    )
    times = {mismatch.server: mismatch.last_utc for mismatch in read_logs(context).mismatches}
    assert {server: time and time.hour for server, time in times.items()} == {"primary": 7, "secondary": 12}


NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("end_h", "assumed", "damaged", "ok"),
    [
        (1, (), (), True),
        (-1, (), (), None),
        (13, ("primary",), (), None),
        (14, ("primary",), (), True),
        (13, ("secondary",), (), True),
        (1, (), (Damage(source="x.gz", problem="damaged", server="primary"),), None),
        (1, (), (Damage(source="x.gz", problem="damaged", server="secondary"),), True),
    ],
)
def test_no_new_mismatch_is_claimed_only_of_a_log_that_surely_ends_behind_the_repair(
    end_h: int, assumed: tuple[str, ...], damaged: tuple[Damage, ...], ok: bool | None
) -> None:
    """A log of an unknown zone, or one that was not read whole, proves no quiet after the repair by itself."""
    after = Diagnosis(
        mismatches=(),
        log_end_utc={"primary": NOON + timedelta(hours=end_h)},
        ends_assumed=assumed,
        damaged=damaged,
    )
    assert _log_check("primary", after, after, NOON).ok is ok
