"""The lab: one simulated site of Prime Infrastructure on loopback. An island that imports nothing of the rest.

``Lab`` runs it inside this process; ``up``, ``status``, ``renew`` and ``down`` run it as a process of its own.
"""

from __future__ import annotations

from runbook_lib.lab.daemon import down, is_up, renew, status, up
from runbook_lib.lab.errors import LabAlreadyUp, LabDied, LabError, LabNotUp, LabOptionInvalid
from runbook_lib.lab.options import LabOptions
from runbook_lib.lab.scenarios import SCENARIOS
from runbook_lib.lab.thread import Lab
from runbook_lib.lab.truth import read_truth

__all__ = [
    "SCENARIOS",
    "Lab",
    "LabAlreadyUp",
    "LabDied",
    "LabError",
    "LabNotUp",
    "LabOptionInvalid",
    "LabOptions",
    "down",
    "is_up",
    "read_truth",
    "renew",
    "status",
    "up",
]
