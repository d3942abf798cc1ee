"""All incidents of a place for records: what each one was, quickly; the records are the truth, the index is not."""

from __future__ import annotations

from runbook_lib.history.finding import past_incidents
from runbook_lib.history.query import Query

__all__ = ["Query", "past_incidents"]
