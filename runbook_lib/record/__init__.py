"""The record of an incident: the journal, the files, the lock; readable without this software."""

from __future__ import annotations

from runbook_lib.record.bundle import Change, Record
from runbook_lib.record.executed import gate_notebook
from runbook_lib.record.journal import Journal
from runbook_lib.record.lines import Artifact, JournalText, Kind, Line
from runbook_lib.record.lock import Holder, SiteLock, free_stale, holder_of, works_under_lock
from runbook_lib.record.process import operator
from runbook_lib.record.scan import Finding, scan
from runbook_lib.record.seal import Seal, keep_site, seal_record
from runbook_lib.record.shelf import Summary, find_open, list_records
from runbook_lib.record.templates import note_template

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
    "Seal",
    "SiteLock",
    "Summary",
    "find_open",
    "free_stale",
    "gate_notebook",
    "holder_of",
    "keep_site",
    "list_records",
    "note_template",
    "operator",
    "scan",
    "seal_record",
    "works_under_lock",
]
