"""The verbs of each stage: one call per cell, each returning a view of what was seen or done. One module per stage."""

from runbook_lib.session.stages.delete_stale import DeleteStale
from runbook_lib.session.stages.diagnose_logs import DiagnoseLogs
from runbook_lib.session.stages.list_certificates import ListCertificates
from runbook_lib.session.stages.order import STAGES

__all__ = ["STAGES", "DeleteStale", "DiagnoseLogs", "ListCertificates"]
