"""Stage 10: what the logs report."""

from __future__ import annotations

from runbook_lib.models import (
    Diagnosis,
    Stage,
)
from runbook_lib.session.runbook import Runbook
from runbook_lib.steps import (
    diagnose,
)
from runbook_lib.views import View, findings, pictured


class DiagnoseLogs(Runbook):
    """Stage 10: which of the three places reports a mismatch, of whom, since when."""

    stage = Stage.DIAGNOSE

    def diagnose(self) -> View[Diagnosis]:
        """Read the logs that the site's file names."""
        return findings.diagnosis(self._do(lambda: diagnose.diagnose(self.context)))

    def timeline(self) -> View[Diagnosis]:
        """Draw when the mismatches were reported."""
        return pictured.mismatches_over_time(self._do(lambda: diagnose.recorded_diagnosis(self.context)))
