"""The one switch for what takes long by nature: ``make test-long``."""

from __future__ import annotations

import os

LONG = "RUNBOOK_TEST_LONG" in os.environ
"""Whether every place to die, long stories, other examples than the last time and 5,000 sites are wanted: hours."""
