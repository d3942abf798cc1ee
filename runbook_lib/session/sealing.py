"""The seal of an incident whose stages a person runs; ``runbook run`` seals by itself when it is through."""

from __future__ import annotations

from runbook_lib.params import site_without_secrets
from runbook_lib.record import seal_record, works_under_lock
from runbook_lib.steps.context import Context


def seal_by_hand(context: Context) -> None:
    """Seal the record and tell of it, unless a run that has started this notebook is going to."""
    if not works_under_lock(context.site.name):
        context.tell(str(seal_record(context.record, site_without_secrets(context.site))))
