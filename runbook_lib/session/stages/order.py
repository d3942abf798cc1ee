"""All stages, in their order."""

from __future__ import annotations

from runbook_lib.models import Stage
from runbook_lib.session.runbook import Runbook
from runbook_lib.session.stages.delete_stale import DeleteStale
from runbook_lib.session.stages.diagnose_logs import DiagnoseLogs
from runbook_lib.session.stages.list_certificates import ListCertificates
from runbook_lib.session.stages.post_mortem import WritePostMortem
from runbook_lib.session.stages.readd_ise import ReaddIse
from runbook_lib.session.stages.register_ha import RegisterHa
from runbook_lib.session.stages.start_here import StartHere
from runbook_lib.session.stages.verify import Verify

_IN_ORDER = (StartHere, DiagnoseLogs, ListCertificates, DeleteStale, RegisterHa, ReaddIse, Verify, WritePostMortem)
STAGES: dict[Stage, type[Runbook]] = {kind.stage: kind for kind in _IN_ORDER}
