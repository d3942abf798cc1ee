"""The record of an incident: the journal, the files, the lock; readable without this software."""

from __future__ import annotations

from runbook_lib.record.bundle import Change, Record
from runbook_lib.record.journal import Journal
from runbook_lib.record.lines import Artifact, JournalText, Kind, Line
from runbook_lib.record.lock import Holder, SiteLock, free_stale, holder_of
from runbook_lib.record.process import operator
from runbook_lib.record.redaction import Finding, scan
from runbook_lib.record.shelf import Summary, find_open, list_records

__all__ = [
    "Artifact",
    "Change",
    "Finding",
    "Holder",
    "Journal",
    "JournalText",
    "Kind",
    "Line",
    "Record",
    "SiteLock",
    "Summary",
    "find_open",
    "free_stale",
    "holder_of",
    "list_records",
    "operator",
    "scan",
]
