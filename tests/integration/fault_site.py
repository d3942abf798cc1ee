"""A faulty site and stages 10 to 30 on it, and the comparison of what they wrote with what the lab saw.

The stages run as the notebooks run them (``open_runbook``), on a copy of the lab's site file that says it is
production, so that nothing approves by itself.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from repair_site import DELETE, changes

from runbook_lib import paths
from runbook_lib.decisions import Deletion, DeletionResult, Plan, PlanRow
from runbook_lib.errors import DeletionRefused, RunbookError
from runbook_lib.lab import Lab
from runbook_lib.models import Inventory, Judgement, Stage, StageState
from runbook_lib.notebook.opening import open_runbook
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind, Line
from runbook_lib.repair import deletion
from runbook_lib.repair.sent_changes import INVENTORY_FACTS

Edit = Callable[[dict[str, Any]], None]
FAULTY = {"monitor_interval_s": 0.2, "monitor_style": "on_registration", "registration_s": 0.3, "keys": "ec"}
"""Labs whose entries stay away once they are deleted, and whose logs stand still, unless a test asks for more."""

MANY = 1000  # rows, from which on text for terminals takes seconds
_NUMBERS = itertools.count(1)
LIST = "ncs certvalidation tofu-certs listcerts"


class Case:
    """One incident of one lab, from a point of its truth log on. Make one with the fixture ``begin``."""

    def __init__(self, lab: Lab, edit: Edit | None = None, *, pages: bool = False) -> None:
        self.lab = lab
        self._pages = pages
        self.incident = ""
        self.name = f"faulty-{next(_NUMBERS)}"
        self.site = lab.folder / f"{self.name}.yaml"
        self._start = len(lab.truth())
        self.write_site(edit)

    def write_site(self, edit: Edit | None = None) -> None:
        """Copy the lab's site file beside itself as a production site's, with short pauses, and edit it.

        Unless a case is about the pages, a person works them: each deletion would first try the login, in a browser.
        """
        site = yaml.safe_load(self.lab.site_file.read_text())
        site |= {"kind": "production", "name": self.name}
        if not self._pages:
            site["web"] = "guided"
        site["deadlines"] |= {"probe_spacing_s": 0.02, "settle_s": 60.0}
        if edit:
            edit(site)
        self.site.write_text(yaml.safe_dump(site, sort_keys=False))

    # -- stages ----------------------------------------------------------------------------------

    def open(self, stage: Stage, **parameters: str) -> Any:
        rb = open_runbook(stage, str(self.site), self.incident, **parameters)
        self.incident = rb.incident
        return rb

    def make_plan(self, expect: str = "") -> Plan:
        """Stages 10 and 20, every cell of them, and the plan that they end with."""
        rb = self.open(Stage.DIAGNOSE)
        rb.diagnose()
        rb.close()
        rb = self.open(Stage.LIST, expect=expect)
        plan: Plan
        views = (rb.inventory(), rb.plan())
        plan = views[-1].value
        for view in views:
            assert "<script>" not in view._repr_html_()
            assert len(plan.rows) > MANY or "\x1b" not in view.text()
        rb.close()
        return plan

    def carry_out(self, plan: Plan) -> tuple[DeletionResult, ...]:
        """Stage 30 with the plan's digest as its approval; returns what was deleted."""
        rb = self.open(Stage.DELETE, approve=plan.digest)
        rb.plan()
        rb.approval()
        results: tuple[DeletionResult, ...] = rb.delete().value
        rb.prove()
        rb.close()
        return results

    def delete_only(self) -> Any:
        """The change cell alone, as somebody runs it who leaves out the others."""
        return self.open(Stage.DELETE).delete().value

    # -- what became of it --------------------------------------------------------------------------

    @property
    def record(self) -> Record:
        return Record.open(paths.records_dir(), self.incident)

    @property
    def journal(self) -> tuple[Line, ...]:
        return self.record.journal.read().lines

    def truth(self) -> list[dict[str, Any]]:
        return self.lab.truth()[self._start :]

    def seen(self) -> SimpleNamespace:
        """What the lab saw changed since this case began."""
        return changes(self.truth())

    def judgement(self, target: str) -> Judgement:
        """The verdict that stage 20 left in the record."""
        return self.record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory).judgement(target)

    def state(self, stage: Stage) -> StageState:
        return self.record.stage_states()[stage]

    def entry(self, server: str) -> str:
        about = self.lab.world["servers"][server]
        return f"{about['address']}_{about['ports'].get('hm') or about['ports']['ise']}"

    def assert_agrees(self) -> None:
        """The lab's log and the record tell one story.

        As many deletions arrived as the journal says were sent, the same ones in the same order, each after its
        intent was on disk; each was in an approved plan, confirmed or overridden by name.
        """
        journal = self.journal
        intents = [line for line in journal if line.kind is Kind.INTENT and line.stage == Stage.DELETE]
        unsent = {(n.server, n.text) for n in journal if n.kind is Kind.RESULT and n.seen == Deletion.NOT_SENT}
        sent = [line for line in intents if (line.server, line.text) not in unsent]
        arrived = [t for t in self.truth() if t["what"].startswith(DELETE) and "effect" not in t]
        told = [(line.server, f"{DELETE}{line.text}") for line in sent]
        assert [(t["server"], t["what"]) for t in arrived] == told
        assert all(line.utc.isoformat() <= t["utc"] for line, t in zip(sent, arrived, strict=True))
        record = self.record
        approved = {a.digest for a in record.read_approvals()}
        allowed = {
            (row.server, row.command)
            for digest in approved
            for row in record.read_plan(digest).deletions
            if row.override or (row.verdict and row.verdict.confirmed)
        }
        assert {(t["server"], t["what"]) for t in arrived} <= allowed

    def assert_untouched(self) -> None:
        """Nothing was changed and nothing was to be: no command arrived, no intent was written."""
        assert self.seen().nothing
        assert not [line for line in self.journal if line.kind is Kind.INTENT]
        self.assert_agrees()

    def assert_refused(self, plan: Plan) -> None:
        """The plan deletes nothing, whichever way stage 30 is run, and nothing was sent."""
        assert plan.blocked
        self.refused(DeletionRefused, 3, lambda: self.carry_out(plan))
        self.refused(DeletionRefused, 3, self.delete_only)
        assert self.state(Stage.DELETE) is StageState.STOPPED
        self.assert_untouched()

    def refused(self, kind: type[RunbookError], exit_code: int, act: Callable[[], Any]) -> RunbookError:
        """``act`` ends with that error and exit code."""
        with pytest.raises(kind) as caught:
            act()
        assert caught.value.exit_code == exit_code
        return caught.value


Begin = Callable[..., Case]


def before_it_is_read_back(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something between each deletion and the look at what became of it."""
    read_back = deletion._read_back

    async def read(*given: Any) -> Any:
        await asyncio.to_thread(act)
        return await read_back(*given)

    monkeypatch.setattr(deletion, "_read_back", read)


def once_behind_the_first_deletion(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something once the first deletion of a run was read back."""
    read_back, left = deletion._read_back, [act]

    async def read(*given: Any) -> Any:
        store = await read_back(*given)
        if left:
            left.pop()()
        return store

    monkeypatch.setattr(deletion, "_read_back", read)


def deletions(plan: Plan) -> set[tuple[str, str]]:
    return {(row.server, row.key) for row in plan.deletions}


def row_of(plan: Plan, server: str, key: str) -> PlanRow:
    return next(row for row in plan.rows if (row.server, row.key) == (server, key))


def without_expectation(*names: str) -> Edit:
    """The operator knows nothing of these hosts' certificates."""

    def edit(site: dict[str, Any]) -> None:
        for about in (site["primary"], site["secondary"], *site["ise"]):
            if about.get("name") in names or any(about is site.get(name) for name in names):
                about.pop("expect", None)

    return edit


def name_entries(*entries: str) -> Edit:
    """The operator names stale entries, ``primary 192.0.2.20_8082``."""

    def edit(site: dict[str, Any]) -> None:
        site.setdefault("policy", {})["named_entries"] = list(entries)

    return edit


def through_the_primary(site: dict[str, Any]) -> None:
    """The secondary is reached through the primary's SSH server only."""
    login = {name: value for name, value in site["primary"]["ssh"].items() if name != "prompt_host"}
    site["secondary"]["ssh"]["jump"] = login | {
        "address": site["primary"]["address"],
        "host_key": list(login["host_key"]),
    }
