"""A process that has resolved a secret: nothing of its memory is left on a disk, or read by another process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SAYS = """
import ctypes, json, resource, subprocess, sys
from runbook_lib.secrets import SecretRef
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
def state(): return [resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)]
before = state()
SecretRef.parse("env:PI_PASSWORD").resolve()
child = [sys.executable, "-c", "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"]
print(json.dumps([before, state(), subprocess.run(child, capture_output=True, text=True).stdout.strip()]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
def test_a_resolved_secret_turns_dumps_off_here_and_below() -> None:
    """No core dump of it or of what it starts, and nobody attaches; before that it was like any other process."""
    said = subprocess.run(
        [sys.executable, "-c", SAYS], env={"PI_PASSWORD": "a-secret-of-mine"}, stdout=subprocess.PIPE, check=True
    )
    before, after, below = json.loads(said.stdout)
    assert before[1] == 1
    assert after == [[0, 0], 0]
    assert below == "(0, 0)"


STARTS = """
import asyncio, resource
from pathlib import Path
from types import SimpleNamespace
from runbook_lib.web.launching import launch
async def start(**_): print(resource.getrlimit(resource.RLIMIT_CORE))
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
asyncio.run(launch(SimpleNamespace(chromium=SimpleNamespace(launch=start)), Path("browser")))
"""


def test_a_browser_is_started_where_dumps_are_off() -> None:
    """Also where no secret was resolved yet: what is typed into a page later is in the browser's memory."""
    said = subprocess.run([sys.executable, "-c", STARTS], stdout=subprocess.PIPE, check=True, text=True)
    assert said.stdout == "(0, 0)\n"
