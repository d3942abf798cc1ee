"""Whether a host presents the certificate that this incident confirmed."""

from __future__ import annotations

from pathlib import Path

import pytest
from incident_kit import SHA, Incident, judged
from site_kit import site_with

from runbook_lib.models import Verdict
from runbook_lib.repair.confirmation import certificate_check
from runbook_lib.repair.context import target_named

HOST = "secondary"
LOOKED_AT = target_named(site_with(), HOST)
CONFIRMED, OTHER = SHA[HOST], "9" * 64


@pytest.mark.parametrize(
    ("verdict", "sha256", "ok"),
    [
        (Verdict.CONFIRMED_KEY, CONFIRMED, True),
        (Verdict.CONFIRMED_CHAIN, OTHER, False),
        (Verdict.CONTRADICTED, CONFIRMED, False),
        (Verdict.UNSTABLE, CONFIRMED, False),
        (Verdict.UNREACHABLE, CONFIRMED, False),
        (Verdict.UNCHANGED, CONFIRMED, True),
        (Verdict.UNCHANGED, OTHER, False),
        (Verdict.UNCONFIRMED, CONFIRMED, None),
        (Verdict.UNCONFIRMED, OTHER, False),
    ],
)
def test_only_the_certificate_that_was_confirmed_in_this_incident_counts(
    tmp_path: Path, verdict: Verdict, sha256: str, ok: bool | None
) -> None:
    """Another one is no proof, however well it is confirmed by itself; one that nothing confirms is not known."""
    check = certificate_check(Incident(tmp_path).context, judged(LOOKED_AT, verdict, sha256))
    assert (check.ok, check.expected) == (ok, CONFIRMED)


@pytest.mark.parametrize(
    ("before", "verdict", "ok"),
    [
        (None, Verdict.CONFIRMED_KEY, True),
        (Verdict.UNCONFIRMED, Verdict.CONFIRMED_KEY, True),
        (Verdict.CONTRADICTED, Verdict.CONFIRMED_CHAIN, True),
        (Verdict.CONTRADICTED, Verdict.CONTRADICTED, False),
        (Verdict.UNCONFIRMED, Verdict.UNCONFIRMED, None),
    ],
)
def test_where_this_incident_confirmed_none_the_verdict_of_now_counts(
    tmp_path: Path, before: Verdict | None, verdict: Verdict, ok: bool | None
) -> None:
    """What was only seen before, or was contradicted, is nothing that the one of now would have to equal."""
    incident = Incident(tmp_path, {HOST: before} if before else {}, listed=before is not None)
    assert certificate_check(incident.context, judged(LOOKED_AT, verdict, OTHER)).ok is ok


def test_another_hosts_certificate_is_no_proof(tmp_path: Path) -> None:
    """What was confirmed of one host says nothing of another that presents the same."""
    incident = Incident(tmp_path)
    other = judged(target_named(site_with(), "ise"), Verdict.CONFIRMED_CHAIN, CONFIRMED)
    assert certificate_check(incident.context, other).ok is False
