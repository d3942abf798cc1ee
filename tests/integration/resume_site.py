"""What the tests of interrupted runs share: a quick site, a run that dies on command, the record beside the truth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml
from repair_site import DELETE, changes, run_stage

from runbook_lib import paths
from runbook_lib.decisions import Deletion
from runbook_lib.lab import Lab
from runbook_lib.models import Stage
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.record.lock import free_stale, holder_of

CHANGING = (Stage.DIAGNOSE, Stage.LIST, Stage.DELETE)
PINS = (("primary", "secondary"), ("primary", "ise"), ("secondary", "primary"))
QUICK_LAB = {"scenario": "renewed", "monitor_interval_s": 0.6, "registration_s": 0.3, "keys": "ec"}


def entry(lab: Lab, host: str) -> str:
    """Under which key the others list a server."""
    about = lab.world["servers"][host]
    return f"{about['address']}_{about['ports'].get('hm') or about['ports']['ise']}"


def stale_entries(lab: Lab) -> list[tuple[str, str]]:
    """The three deletions of the published procedure."""
    return sorted((observer, entry(lab, host)) for observer, host in PINS)


def quick_site(lab: Lab, kind: str = "lab", web: str = "driven", **deadlines: float) -> Path:
    """Write a copy of the lab's site file with short waits; ``production`` does not approve by itself.

    ``web="guided"``: for what is about deletions alone, without a browser.
    """
    site = yaml.safe_load(lab.site_file.read_text()) | {"kind": kind, "web": web}
    site["deadlines"] |= {"probe_spacing_s": 0.02, "settle_s": 60.0, "quiet_s": 1.3} | deadlines
    copy = lab.folder / "quick.yaml"
    copy.write_text(yaml.safe_dump(site, sort_keys=False))
    return copy


def run_changing_stages(site: Path, incident: str = "") -> Record:
    """Stages 10, 20 and 30 as a person runs them."""
    for stage in CHANGING:
        incident = run_stage(stage, site, incident).incident
    return Record.open(paths.records_dir(), incident)


def free_lock_left_behind() -> None:
    """What a person does after a run was killed: free its lock by naming its holder, where it had one."""
    if holder := holder_of("lab"):
        free_stale("lab", holder.id)


def pinned_right(lab: Lab) -> bool:
    """Whether the three entries hold the certificates that their hosts present."""
    servers = lab.world["servers"]
    pins = ((servers[observer]["tofu"].get(entry(lab, host), {}), host) for observer, host in PINS)
    return all(pin.get("sha256") == servers[host]["presents_sha256"] for pin, host in pins)


def add_ise(lab: Lab) -> str | None:
    """What stage 50 does in the web pages: None when the ISE server was added or is listed already, else why not."""
    if lab.world["ise_servers"]:
        return None
    about = lab.world["servers"]["ise"]
    password = lab.secret("ise")
    return lab.on_pages("primary", lambda pages: pages.add_ise(about["address"], "piadmin", password))


def sent_deletions(lab: Lab) -> Counter[tuple[str, str]]:
    """How often a deletion of each entry arrived at each server."""
    lines = [line for line in lab.truth() if line["channel"] == "ssh" and "effect" not in line]
    return Counter((line["server"], line["what"].removeprefix(DELETE)) for line in lines if DELETE in line["what"])


def assert_record_is_true(record: Record, lab: Lab, by_hand: Mapping[tuple[str, str], int] | None = None) -> None:
    """The journal's chain holds, and it tells of no deletion that the lab has not seen, nor of more commands.

    ``by_hand``: how often each entry was deleted otherwise; a store that lists it no more does not say by whom.
    """
    lines = [line for line in record.journal.read().lines if line.stage == Stage.DELETE]
    gone = Counter(
        (line.server, line.text) for line in lines if line.kind is Kind.RESULT and line.seen == Deletion.GONE
    )
    assert gone <= Counter(changes(lab.truth()).deleted) + Counter(by_hand or {})
    assert Counter((line.server, line.text) for line in lines if line.kind is Kind.SENT) <= sent_deletions(lab)


def assert_no_more_than_approved(record: Record, lab: Lab) -> None:
    """Each entry was deleted at most as often as an approval of a plan that holds its deletion was given."""
    approved = Counter(
        (row.server, row.key)
        for approval in record.read_approvals()
        for row in record.read_plan(approval.digest).deletions
    )
    assert sent_deletions(lab) <= approved


def seen_gone(record: Record) -> set[tuple[str, str]]:
    """The entries whose first deletion was seen to happen. A monitor that is quick stores one again before the look."""
    first: dict[tuple[str, str], str] = {}
    for line in record.journal.read().lines:
        if line.kind is Kind.RESULT and line.stage == Stage.DELETE:
            first.setdefault((line.server, line.text), line.seen)
    return {place for place, seen in first.items() if seen == Deletion.GONE}


class Mortal:
    """A process that runs the changing stages until a line of the journal, and dies there."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, site: Path, *, intents: int, lines: int) -> int:
        """Run until so many lines after that intent; return how it ended: -9 killed, 0 it came to its end first."""
        assert self._process.stdin
        assert self._process.stdout
        order = {"records": str(paths.records_dir()), "site": str(site), "intents": intents, "lines": lines}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(json.loads(self._process.stdout.readline())["exit"])


@contextmanager
def mortal_process() -> Iterator[Mortal]:
    """A ``Mortal`` at the ready; it ends with the context."""
    driver = Path(__file__).with_name("resume_driver.py")
    process = subprocess.Popen(
        [sys.executable, str(driver)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield Mortal(process)
    finally:
        process.communicate()
