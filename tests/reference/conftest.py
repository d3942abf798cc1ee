"""What nbval leaves out when it compares: tables are compared in HTML; progress hangs on the machine's speed."""

from __future__ import annotations

from typing import Any

LEFT_OUT = ("text/plain", "stdout", "stderr")


def pytest_collectstart(collector: Any) -> None:
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += LEFT_OUT
