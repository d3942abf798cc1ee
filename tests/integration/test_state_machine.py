"""A site that goes wrong in any order, and people who run stages, approve and override in any order.

Whatever they do: a change arrives at a server only where an approved plan names it, and once on one approval; a
deletion only where its host was confirmed, or overridden by name, and never of a server's own entry; and no record
claims what did not happen. The web pages are worked without a browser: what they look like is nothing to this.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from direct_pages import direct_pages
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from long_way import LONG
from repair_site import DELETE, changes, run_stage
from resume_site import PINS, assert_record_is_true, entry
from waiting import let_pass

from runbook_lib import paths
from runbook_lib.batch.runner import CHANGING
from runbook_lib.cli.plans import approve_command, override_command
from runbook_lib.decisions import ChangeKind, Decision, Plan, PlanRow
from runbook_lib.errors import RecordNotWritable, RunbookError
from runbook_lib.lab import Lab
from runbook_lib.models import Stage
from runbook_lib.notebook.opening import open_runbook
from runbook_lib.notebook.runbook import close_connections
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind, Line
from runbook_lib.record.journal_file import Journal
from runbook_lib.repair.confirmation import PHRASE

EXAMPLES, STEPS = (100, 12) if LONG else (6, 6)
LAB = {"monitor_interval_s": 0.6, "registration_s": 0.2, "keys": "ec"}
DEADLINES = {
    "probe_spacing_s": 0.0,
    "settle_s": 1.0,
    "quiet_s": 0.6,
    "probe_s": 60.0,
    "connect_s": 60.0,
    "command_s": 60.0,
}
HOSTS = ("primary", "secondary", "ise")
NOBODY = "0" * 64

Fault = tuple[str, dict[str, Any]]
FAULTS: tuple[Fault, ...] = (
    ("impostor", {"seen_from": ("here",)}),
    ("impostor", {"seen_from": ("peer",)}),
    ("impostor", {"seen_from": ("here", "peer")}),
    ("alternating", {}),
    ("forwarding_off", {}),
    ("deletecert_lie", {"how": "done_but_stays"}),
    ("deletecert_lie", {"how": "error_but_gone"}),
    ("deletecert_lie", {"how": "deletes_another"}),
    ("reset_before", {"command": DELETE.strip(), "times": 1}),
    ("reset_after", {"command": DELETE.strip(), "times": 1}),
    ("listcerts_garbage", {"text": "Error: database is being started\n"}),
    ("ha_broken", {}),
)


class Repairs(RuleBasedStateMachine):
    """One lab, one incident, and everybody's moves."""

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        root = Path(self._open.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        os.environ["RUNBOOK_RECORDS"] = str(root / "records")
        self.lab = self._open.enter_context(Lab(root / "lab", scenario="renewed", **LAB))
        self.pressed = self._open.enter_context(direct_pages(self.lab)).pressed
        self.unknown: set[str] = set()
        self.by_hand: Counter[tuple[str, str]] = Counter()
        self.left_open: Any = None
        self.checked = 0
        self.genuine = {self.lab.world["servers"][host]["presents_sha256"] for host in HOSTS}

    @initialize(
        before=st.none() | st.sampled_from(FAULTS),
        between=st.none() | st.sampled_from(FAULTS),
        host=st.sampled_from(HOSTS),
    )
    def first_repair(self, before: Fault | None, between: Fault | None, host: str) -> None:
        """Every story begins with a repair, perhaps of a site that goes wrong before, or after the plan was made."""
        if before:
            self.go_wrong(before, host)
        self.attempt(self.plan_all)
        self.attempt(lambda: self.carry_out(""))  # nobody has approved anything yet
        if between:
            self.go_wrong(between, host)
        if self.plans():
            self.attempt(lambda: self.carry_out(self.plans()[-1].digest))

    # -- what happens to the site ------------------------------------------------------------------

    @rule(fault=st.sampled_from(FAULTS), host=st.sampled_from(HOSTS))
    def go_wrong(self, fault: Fault, host: str) -> None:
        name, about = fault
        if host == "ise" and name not in ("impostor", "alternating"):
            host = "primary"
        self.lab.set_fault(name, host, **about)

    @rule()
    def come_right(self) -> None:
        self.lab.clear_fault()

    @rule(host=st.sampled_from(HOSTS))
    def renew(self, host: str) -> None:
        self.lab.renew(host)
        self.genuine.add(self.lab.world["servers"][host]["presents_sha256"])

    @rule(pin=st.sampled_from(PINS))
    def delete_by_hand(self, pin: tuple[str, str]) -> None:
        server, key = pin[0], entry(self.lab, pin[1])

        async def delete() -> bool:
            return bool(self.lab._simulation.core.world.delete_entry(server, key))

        self.by_hand[(server, key)] += self.lab._do(delete())

    @rule()
    def let_the_monitors_meet(self) -> None:
        asyncio.run(let_pass(3 * LAB["monitor_interval_s"], "time passes"))

    # -- what people do ---------------------------------------------------------------------------

    @rule(host=st.sampled_from(HOSTS))
    def forget_or_learn(self, host: str) -> None:
        """The operator knows nothing of a host's certificate any more, or again what the desk says."""
        self.unknown ^= {host}

    @rule(logs=st.booleans())
    def plan(self, logs: bool) -> None:
        """Stage 20, with or without stage 10 before it."""
        self.attempt(self.plan_all if logs else self.look)

    @rule(whose=st.sampled_from(["newest", "oldest", "nobody's"]))
    @precondition(lambda self: self.plans())
    def approve(self, whose: str) -> None:
        digest = {"newest": self.plans()[-1].digest, "oldest": self.plans()[0].digest, "nobody's": NOBODY}[whose]
        self.attempt(lambda: approve_command(self.record.incident, digest, by="Ada Example"))

    @rule(number=st.integers(0, 2))
    @precondition(lambda self: self.unknown and self.plans())
    def override_and_plan(self, number: int) -> None:
        rows = [row for row in self.plans()[-1].rows if row.target]
        if not rows:
            return
        row = rows[number % len(rows)]
        shown = self.lab.world["servers"][row.target]["presents_sha256"]
        about = {"sha256": shown, "by": "Ada Example", "reason": "seen on its console", "accept": PHRASE}
        self.attempt(lambda: override_command(self.record.incident, row.server, row.key, **about), self.look)

    @rule(approve=st.booleans())
    @precondition(lambda self: self.plans())
    def delete(self, approve: bool) -> None:
        self.attempt(lambda: self.carry_out(self.plans()[-1].digest if approve else ""))

    @rule(
        stage=st.sampled_from([stage for stage in Stage if stage < Stage.VERIFY]),
        approve=st.sampled_from(["", "newest", NOBODY]),
    )
    def run_any_stage(self, stage: Stage, approve: str) -> None:
        """Any notebook at any time, whatever the record holds, with an approval of its own or without.

        But for the two that end the incident: what comes after would stand in another record.
        """
        digest = (self.plans()[-1].digest if self.plans() else "") if approve == "newest" else approve
        given = {"approve": digest} if stage in CHANGING and digest else {}
        self.attempt(lambda: run_stage(stage, self.site_file(), **given))

    @rule()
    def lose_ha(self) -> None:
        """Somebody removes HA and the ISE server in the web pages, so that 40 and 50 have something to do."""
        address = self.lab.world["servers"]["ise"]["address"]
        for act in (lambda pages: pages.remove_ha(), lambda pages: pages.remove_ise(address)):
            self.lab.on_pages("primary", act)

    @rule(room=st.none() | st.integers(0, 9))
    def repair(self, room: int | None = None) -> None:
        """Stages 10 to 50, as a batch job that approves what it planned.

        ``room``: so many lines the journal takes after the first intent, and no more until the process has ended.
        """
        with nullcontext() if room is None else mock.patch.object(Journal, "append", full_after(room)):
            self.attempt(self.plan_all, lambda: self.carry_out(self.plans()[-1].digest))
            self.go_on()
        if room is not None:
            self.restart()

    def go_on(self) -> None:
        """Stages 40 and 50 on the newest plan's approval, the second one whatever the first one says."""
        for stage in (Stage.REGISTER, Stage.READD_ISE) if self.plans() else ():
            self.attempt(partial(run_stage, stage, self.site_file(), approve=self.plans()[-1].digest))

    @rule()
    @precondition(lambda self: self.plans())
    def leave_a_notebook_open_or_come_back_to_it(self) -> None:
        if self.left_open:
            self.attempt(lambda: self.left_open.delete(), lambda: self.left_open.close())
            self.restart()
        else:
            self.attempt(self.leave)

    def leave(self) -> None:
        self.left_open = self.open(Stage.DELETE)
        self.left_open.plan()

    def restart(self) -> None:
        """End the process that holds a notebook open, if there is one."""
        if self.left_open:
            close_connections(self.left_open.context.devices, self.left_open._pages)
            self.left_open = None

    def teardown(self) -> None:
        """In the end everything comes right, and is repaired once more."""
        with self._open:
            self.restart()
            self.lab.clear_fault()
            self.unknown.clear()
            self.let_the_monitors_meet()
            self.repair()
            self.every_deletion_was_approved_once()
            self.every_other_change_was_approved_once()
            self.host_of_a_deletion_shows_what_was_confirmed()
            self.record_is_true()

    # -- what has to hold ------------------------------------------------------------------------

    @invariant()
    def every_deletion_was_approved_once(self) -> None:
        own = {(key, entry(self.lab, key)) for key in ("primary", "secondary")}
        spent: Counter[tuple[str, str]] = Counter()
        for line in self.lab.truth():
            if not line["what"].startswith(DELETE) or "effect" in line:
                continue
            place = (line["server"], line["what"].removeprefix(DELETE))
            assert place not in own
            rows = [
                row for row, at_utc in self.approved_rows() if (row.server, row.key) == place and at_utc <= line["utc"]
            ]
            assert rows, f"{place} was deleted and nobody had approved it"
            spent[place] += 1
            assert spent[place] <= len(rows), f"{place} was deleted twice on one approval"

    @invariant()
    def every_other_change_was_approved_once(self) -> None:
        """Each arrived as often as approved plans hold attempts of it, at most; an ISE server is replaced by two."""
        approved = {each.digest for each in self.record.read_approvals()} if self.has_record else set()
        planned = [change for digest in approved for change in self.record.read_plan(digest).changes]
        allowed = Counter(kind for kind, _, _ in {(each.kind, each.target, each.attempt) for each in planned})
        assert len(changes(self.lab.truth()).removed) <= allowed[ChangeKind.REMOVE_HA]
        assert self.pressed["register"] <= allowed[ChangeKind.REGISTER_HA]
        assert self.pressed["add ISE"] <= allowed[ChangeKind.READD_ISE]
        assert self.pressed["remove ISE"] <= allowed[ChangeKind.READD_ISE]

    @invariant()
    def host_of_a_deletion_shows_what_was_confirmed(self) -> None:
        """Of the deletions of this very move: the site was the same all the while, so it can be compared."""
        lines = self.lab.truth()
        new, self.checked = lines[self.checked :], len(lines)
        for line in new:
            if line["what"].startswith(DELETE) and "effect" not in line:
                self.compare(line["server"], line["what"].removeprefix(DELETE))

    def compare(self, server: str, key: str) -> None:
        world = self.lab.world
        (host,) = [each for observer, each in PINS if (observer, entry(self.lab, each)) == (server, key)]
        newest = [row for row, _ in self.approved_rows() if (row.server, row.key) == (server, key)][-1]
        assert newest.confirmed_sha256 == world["servers"][host]["presents_sha256"]
        blind = any(f["name"] == "forwarding_off" and f["server"] == server for f in world["faults"])
        for fault in world["faults"]:
            if (fault["name"], fault["server"]) == ("impostor", host):
                assert blind, f"{server} {key} was deleted while an impostor of {host} answered"
                assert "here" not in fault["seen_from"]

    @invariant()
    def what_is_approved_was_confirmed_or_overridden_by_name(self) -> None:
        for row, _ in self.approved_rows():
            if row.override:
                assert row.override.startswith("Ada Example, ")
            else:
                assert row.verdict
                assert row.verdict.confirmed
                assert row.confirmed_sha256 in self.genuine

    @invariant()
    def record_is_true(self) -> None:
        if self.has_record:
            assert_record_is_true(self.record, self.lab, self.by_hand)

    # -- the means -----------------------------------------------------------------------------------

    @property
    def has_record(self) -> bool:
        return paths.records_dir().is_dir() and any(paths.records_dir().glob("*-machine-*"))

    @property
    def record(self) -> Record:
        (folder,) = paths.records_dir().glob("*-machine-*")
        return Record.open(paths.records_dir(), folder.name)

    def plans(self) -> list[Plan]:
        if not self.has_record:
            return []
        lines = [line for line in self.record.journal.read().lines if line.kind is Kind.DECIDED and line.artifact]
        return [self.record.read_plan(line.seen) for line in lines]

    def approved_rows(self) -> list[tuple[PlanRow, str]]:
        """Every deletion of every approved plan, once per approval, with the approval's time."""
        if not self.has_record:
            return []
        approvals = [(a, self.record.read_plan(a.digest)) for a in self.record.read_approvals()]
        return [
            (row, a.at_utc.isoformat()) for a, plan in approvals for row in plan.rows if row.decision is Decision.DELETE
        ]

    def attempt(self, *acts: Callable[[], object]) -> None:
        """Do one thing after the other until something is refused; what is not an error of ours fails the test."""
        with suppress(RunbookError):
            for act in acts:
                act()

    def open(self, stage: Stage, **parameters: str) -> Any:
        return open_runbook(stage, str(self.site_file()), "", **parameters)

    def site_file(self) -> Path:
        """The lab's site file as it is now, as that of a production site that the operator knows this much of."""
        site = yaml.safe_load(self.lab.site_file.read_text())
        site |= {"kind": "production", "name": "machine"}
        site.setdefault("policy", {})["remove_broken_ha"] = True
        site["deadlines"] |= DEADLINES
        for host, about in (("primary", site["primary"]), ("secondary", site["secondary"]), ("ise", site["ise"][0])):
            if host in self.unknown:
                del about["expect"]
        copy = self.lab.folder / "machine.yaml"
        copy.write_text(yaml.safe_dump(site, sort_keys=False))
        return copy

    def plan_all(self) -> None:
        self.diagnose()
        self.look()

    def diagnose(self) -> None:
        rb = self.open(Stage.DIAGNOSE)
        rb.diagnose()
        rb.close()

    def look(self) -> None:
        rb = self.open(Stage.LIST)
        rb.inventory()
        rb.plan()
        rb.close()

    def carry_out(self, digest: str) -> None:
        rb = self.open(Stage.DELETE, approve=digest)
        rb.approval()
        rb.delete()
        rb.close()


def full_after(lines: int) -> Callable[..., Line]:
    """A ``Journal.append`` that writes so many lines after the first intent, and from then on finds the disk full."""
    append, left = Journal.append, [-1]

    def append_or_not(journal: Journal, kind: Kind, **fields: Any) -> Line:
        if left[0] == 0:
            raise RecordNotWritable("the record cannot be written", found="No space left on device")
        if left[0] > 0:
            left[0] -= 1
        elif kind is Kind.INTENT:
            left[0] = lines
        return append(journal, kind, **fields)

    return append_or_not


def test_each_kind_of_change_arrives_once_on_one_approval() -> None:
    """It never sends a change twice on one approval.

    What random moves hardly ever come to: a broken pair and a broken ISE server are replaced; broken and lost again,
    they are left to a new plan.
    """
    story = Repairs()

    async def change_password() -> None:
        story.lab._simulation.core.world.integrations[0].password = "of yesterday"

    def break_both() -> None:
        story.go_wrong(("ha_broken", {}), "primary")
        story.lab._do(change_password())
        story.let_the_monitors_meet()

    with story._open:
        story.repair()
        assert story.pressed == {"register": 1, "add ISE": 1}
        break_both()
        story.repair()
        for go_wrong in (break_both, story.lose_ha):  # a removal would be next, then a registration
            go_wrong()
            story.go_on()
        assert changes(story.lab.truth()).removed == ["primary"]
        assert story.pressed == {"register": 2, "remove ISE": 1, "add ISE": 2}
        story.every_other_change_was_approved_once()


TestRepairs = Repairs.TestCase
TestRepairs.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    database=None,
    phases=[Phase.generate],  # a story of ten moves is read as it is; making it shorter takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
