"""Nothing is decided by prose: a sentence may be said in other words, and no outcome, picture or report changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from incident_kit import Incident

from runbook_lib.decisions import Check, CheckKind, with_kinds
from runbook_lib.models import Outcome, Verdict
from runbook_lib.repair import verification
from runbook_lib.show.trust import trust_as_verified

ADDRESSES = {"primary": "192.0.2.10:8082", "secondary": "192.0.2.20:8082", "ise": "192.0.2.30:443"}
NAMES = {
    "entry of secondary on the primary": (CheckKind.ENTRY, "primary", "secondary"),
    "certificate of secondary": (CheckKind.CERTIFICATE, "", "secondary"),
    "HA state of the secondary": (CheckKind.HA_STATE, "secondary", ""),
    "new mismatches in the primary's logs": (CheckKind.MISMATCHES, "primary", ""),
    "new mismatches in the logs": (CheckKind.MISMATCHES, "", ""),
    "deletion of 192.0.2.30_443 on the primary": (CheckKind.DELETION, "primary", "192.0.2.30_443"),
    "ISE server ise (192.0.2.30)": (CheckKind.ISE_PAGE, "", "ise"),
    "ISE's own word on its certificate: ise": (CheckKind.ISE_API, "", "ise"),
    "ISE's imported certificate: ise": (CheckKind.ISE_IMPORTED, "", "ise"),
}
"""The names that checks had when they had no kind, and what each is about."""


def named(name: str, ok: bool | None = True) -> Check:
    """Return the check as a record of before holds it."""
    actual = {"entry": "192.0.2.20_8082, prime-sec_8082", "certificate": "a" * 64}.get(name.split()[0], "seen")
    return Check(name=name, expected="", actual=actual, ok=ok, note="confirmed_key, seen from here")


@pytest.mark.parametrize("name", NAMES)
def test_a_check_of_before_is_known_by_the_name_that_it_had(name: str) -> None:
    """Records that were written before a check had a kind still read; what was seen is data again."""
    (check,) = with_kinds([named(name)])
    assert (check.kind, check.server, check.target) == NAMES[name]
    entry, certificate = check.kind is CheckKind.ENTRY, check.kind is CheckKind.CERTIFICATE
    assert check.verdict is (Verdict.CONFIRMED_KEY if certificate else None)
    assert check.values == (("192.0.2.20_8082", "prime-sec_8082") if entry else ("a" * 64,) if certificate else ())


@pytest.mark.parametrize("ok", [True, None, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_check_by_another_name_changes_no_outcome_and_no_picture(tmp_path: Path, name: str, ok: bool | None) -> None:
    """Its kind and what was seen as data decide; its name and its note are for people."""
    incident = Incident(tmp_path)
    incident.sent("primary", "192.0.2.20_8082")
    checks = with_kinds([named(each, ok if each == name else True) for each in NAMES])
    renamed = tuple(replace(check, name=f"({n})", note="", actual="-") for n, check in enumerate(checks))
    assert verification.outcome_of(incident.context, renamed) is verification.outcome_of(incident.context, checks)
    before, after = (trust_as_verified(ADDRESSES, each) for each in (checks, renamed))
    assert [replace(link, ground="") for link in after.links] == [replace(link, ground="") for link in before.links]
    assert after.hosts == before.hosts


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("HA state of the secondary", Outcome.REPAIRED_UNVERIFIED),
        ("new mismatches in the primary's logs", Outcome.REPAIRED),
        ("ISE's own word on its certificate: ise", Outcome.REPAIRED),
        ("ISE's imported certificate: ise", Outcome.REPAIRED_UNVERIFIED),
        ("deletion of 192.0.2.30_443 on the primary", Outcome.UNKNOWN),
    ],
)
def test_what_a_check_is_about_decides_what_its_silence_is_worth(tmp_path: Path, name: str, outcome: Outcome) -> None:
    """Logs and an API that are not at hand leave a repair proven; a deletion of which nobody knows does not."""
    incident = Incident(tmp_path)
    incident.sent("primary", "192.0.2.20_8082")
    checks = with_kinds([named(each, None if each == name else True) for each in NAMES])
    assert verification.outcome_of(incident.context, checks) is outcome
