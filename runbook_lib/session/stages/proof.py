"""What a stage has to have proven before it may be called done."""

from __future__ import annotations

from runbook_lib.errors import RepairFailed, StageOutOfOrder
from runbook_lib.models import (
    Check,
)


def require_checks(checks: tuple[Check, ...], what: str, *, needed: bool = True) -> None:
    """Raise RepairFailed for a check that is not as expected, StageOutOfOrder where none was made."""
    if not checks and needed:
        raise StageOutOfOrder("This stage has proven nothing yet", next_step="run its cells in order, then close it")
    failed = [check for check in checks if check.ok is False]
    if failed:
        raise RepairFailed(
            what,
            found="\n".join(f"{c.name}: expected {c.expected}, found {c.actual}" for c in failed),
            next_step="see the table above; 10_diagnose_logs says whether a mismatch is left",
        )
