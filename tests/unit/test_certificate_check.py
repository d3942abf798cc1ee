"""Whether a host presents the certificate that this incident confirmed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from incident_kit import _judgement

from runbook_lib.models import Inventory, Stage, Verdict
from runbook_lib.record import Record
from runbook_lib.steps.confirmed import certificate_check
from runbook_lib.steps.history import INVENTORY_FACTS

FIRST, OTHER = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("verdict", "sha256", "ok"),
    [
        (Verdict.CONFIRMED_KEY, FIRST, True),
        (Verdict.CONFIRMED_CHAIN, OTHER, False),
        (Verdict.CONTRADICTED, FIRST, False),
        (Verdict.UNCONFIRMED, FIRST, None),
    ],
)
def test_only_the_certificate_that_was_confirmed_in_this_incident_counts(
    tmp_path: Path, verdict: Verdict, sha256: str, ok: bool | None
) -> None:
    """Another one is no proof, however well it is confirmed by itself; one that nothing confirms is not known."""
    record = Record.create(tmp_path, "lab", what="a test")
    seen = Inventory(
        stores=(), presented=(), judgements=(_judgement("secondary", Verdict.CONFIRMED_KEY, FIRST),), ha=()
    )
    record.write_facts(Stage.LIST, INVENTORY_FACTS, seen)
    context = cast("Any", SimpleNamespace(record=record))
    assert certificate_check(context, _judgement("secondary", verdict, sha256)).ok is ok
