"""The one switch for what takes long by nature, ``make test-long``, and the day whose share a run takes."""

from __future__ import annotations

import os
from datetime import UTC, datetime

LONG = "RUNBOOK_TEST_LONG" in os.environ
"""Whether every place to die, long stories, other examples than the last time and 5,000 sites are wanted: hours."""

DAY = int(os.environ.setdefault("RUNBOOK_TEST_DAY", str(datetime.now(UTC).toordinal())))
"""The day on which the run began: its workers, which inherit it, collect the same tests on either side of midnight."""
