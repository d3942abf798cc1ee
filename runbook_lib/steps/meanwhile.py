"""Which mismatches the servers' logs gained while something was tried in the web pages."""

from __future__ import annotations

from runbook_lib.errors import RunbookError
from runbook_lib.models import Diagnosis, Mismatch
from runbook_lib.steps.context import Context
from runbook_lib.steps.diagnose import read_logs

_LINES = 3


def logs_now(context: Context) -> Diagnosis | None:
    """Read the logs that the site's file names; None where there are none, or they cannot be read."""
    if not (context.site.primary.logs or context.site.secondary.logs):
        return None
    try:
        return read_logs(context)
    except RunbookError:
        return None  # what is being told is another failure, and stage 10 names this one


def gained(before: Diagnosis | None, after: Diagnosis | None) -> str:
    """Return the mismatches that grew between two readings with their newest lines, or nothing."""
    if before is None or after is None:
        return ""
    return "\n".join(_words(mismatch) for mismatch in after.mismatches if mismatch.count > _count(before, mismatch))


def _words(mismatch: Mismatch) -> str:
    lines = "\n".join(f"{line.source}:{line.number}: {line.text}" for line in mismatch.evidence[-_LINES:])
    return f"meanwhile in the {mismatch.server}'s logs, a mismatch of {mismatch.subject}:\n{lines}"


def _count(diagnosis: Diagnosis, mismatch: Mismatch) -> int:
    return sum(m.count for m in diagnosis.mismatches if (m.server, m.subject) == (mismatch.server, mismatch.subject))
