"""A record that takes no more lines: before a change nothing is sent, after one nothing is sent twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fault_site import Begin, Case
from repair_site import StartLab

from runbook_lib.decisions import Deletion, Plan
from runbook_lib.models import Stage
from runbook_lib.record.journal import Kind

# The stage as a process of its own, in which the record stops taking bytes right before WHEN: the disk is full
# (a limit to the size of files), or the folder is read-only (binding for this process, whoever runs it).
STAGE_30 = """
import ctypes, os, resource, sys
from runbook_lib.errors import RunbookError
from runbook_lib.record import incident, stages
from runbook_lib.notebook.opening import open_runbook
site, opened, digest, how, when = sys.argv[1:]

def fill_up(journal):
    size = journal.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, resource.RLIM_INFINITY))

def forbid(journal):
    journal.path.chmod(0o400)
    journal.path.parent.chmod(0o500)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    assert ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()) == 0

spoil = {"full": fill_up, "read-only": forbid}[how]
intend, sent = incident.Record.intend, stages.RecordedChange.sent

def spoiled_intend(self, *given, **more):
    spoil(self.journal)
    return intend(self, *given, **more)

def spoiled_sent(self):
    spoil(self._journal)
    return sent(self)

if when == "intent":
    incident.Record.intend = spoiled_intend
else:
    stages.RecordedChange.sent = spoiled_sent
try:
    rb = open_runbook("30_delete_stale_certificates", site, opened, approve=digest)
    rb.approval()
    rb.delete()
except RunbookError as error:
    print(type(error).__name__, error)
    sys.exit(error.exit_code)
"""


def stage_30(case: Case, plan: Plan, how: str, when: str) -> subprocess.CompletedProcess[str]:
    arguments = [str(case.site), case.incident, plan.digest, how, when]
    return subprocess.run([sys.executable, "-c", STAGE_30, *arguments], capture_output=True, text=True, check=False)


def mend(case: Case) -> None:
    case.record.folder.chmod(0o700)
    Path(case.record.journal.path).chmod(0o600)


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_without_an_intent_on_disk_nothing_is_sent(faulty: StartLab, begin: Begin, how: str) -> None:
    """The disk is full, or the record read-only, right before the first change: exit 5, zero deletions."""
    case = begin(faulty("renewed"))
    plan = case.make_plan()
    run = stage_30(case, plan, how, "intent")
    assert (run.returncode, run.stderr) == (5, "")
    assert "RecordNotWritable" in run.stdout
    mend(case)
    case.assert_untouched()


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
def test_a_deletion_whose_result_could_not_be_written_is_not_sent_again(faulty: StartLab, begin: Begin) -> None:
    """The disk is full right after a deletion was sent: exit 5 or 6; the next run asks the store and sends the rest."""
    case = begin(faulty("renewed"))
    plan = case.make_plan()
    run = stage_30(case, plan, "full", "sent")
    assert run.returncode in (5, 6), run
    assert case.seen().sent == 1

    case.make_plan()
    results = case.carry_out(case.record.read_plan())
    assert {result.result for result in results} == {Deletion.GONE}
    seen = case.seen()
    assert (seen.sent, len(set(seen.deleted))) == (3, 3)
    intents = [n for n in case.journal if n.kind is Kind.INTENT and n.stage == Stage.DELETE]
    assert len(intents) == 3
    case.assert_agrees()
