"""One incident in a record as the stages leave it: what was seen, the plan, approvals, and what was sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from site_kit import ISE, PRIMARY, SECONDARY, site_with

from runbook_lib.batch import runner
from runbook_lib.decisions import Approval, Deletion, DeletionResult, Plan
from runbook_lib.models import (
    CertificateFacts,
    HaStatus,
    Inventory,
    Judgement,
    Stage,
    TofuEntry,
    TofuStore,
    Vantage,
    Verdict,
)
from runbook_lib.observations import Diagnosis, LogLine, Mismatch
from runbook_lib.params.model import Site
from runbook_lib.record.incident import Record
from runbook_lib.record.signing import signed_approval
from runbook_lib.repair.approval import approval_of
from runbook_lib.repair.confirmation import overrides_of
from runbook_lib.repair.context import Context, Target, targets
from runbook_lib.repair.plan import make_plan
from runbook_lib.repair.sent_changes import DELETION_FACTS, INVENTORY_FACTS, change_history, recorded_deletions

NAMES = ("primary", "secondary", "ise", "ise2")
SHA = {name: letter * 64 for name, letter in zip(NAMES, "abcd", strict=True)}
PRIMARYS = (f"{PRIMARY}_8082", f"{ISE}_443", f"{SECONDARY}_8082")
SECONDARYS = (f"{SECONDARY}_8082", f"{PRIMARY}_8082")
STALE = {("primary", PRIMARYS[1]), ("primary", PRIMARYS[2]), ("secondary", SECONDARYS[1])}
_CN = {PRIMARY: "prime-pri", SECONDARY: "prime-sec", "prime-sec": "prime-sec", ISE: "ISE-server"}


class Incident:
    """An incident of the site ``lab``; by default all hosts are confirmed and three entries are stale."""

    def __init__(
        self,
        folder: Path,
        verdicts: dict[str, Verdict] | None = None,
        *,
        site: Site | None = None,
        record: Record | None = None,
        operator: str = "ada@desk",
        listed: bool = True,
    ) -> None:
        root = folder / "records"
        self.record = record or Record.create(root, "lab")
        self.context = Context(
            site=site or site_with(),
            record=self.record,
            stage=Stage.LIST,
            devices=cast(Any, None),  # nothing here asks a device
            operator=operator,
            records_root=root,
        )
        if listed:
            self.list(verdicts or {})

    def list(
        self,
        verdicts: dict[str, Verdict],
        *,
        sha: dict[str, str] | None = None,
        primary: tuple[str, ...] = PRIMARYS,
        secondary: tuple[str, ...] = SECONDARYS,
        ha: tuple[str, str] = ("HA not Configured", "HA not Configured"),
    ) -> None:
        """Leave an inventory in the record, as stage 20 does."""
        now = datetime.now(UTC)
        stores = (("primary", primary), ("secondary", secondary))
        known, shown = dict.fromkeys(NAMES, Verdict.CONFIRMED_KEY) | verdicts, SHA | (sha or {})
        inventory = Inventory(
            stores=tuple(TofuStore(server=s, entries=tuple(map(_entry, keys)), read_utc=now) for s, keys in stores),
            presented=(),
            judgements=tuple(judged(t, known[t.name], shown[t.name]) for t in targets(self.context.site)),
            ha=tuple(
                HaStatus(server=server, role="", state=state, read_utc=now)
                for (server, _), state in zip(stores, ha, strict=True)
            ),
        )
        self.record.write_facts(Stage.LIST, INVENTORY_FACTS, inventory)

    def plan(self, *, last_utc: datetime | None = None) -> Plan:
        """Make a plan of what the record holds, with mismatches up to ``last_utc`` (now) in both logs."""
        return make_plan(
            self.context.site,
            self.record.incident,
            self.diagnosis(last_utc or datetime.now(UTC)),
            self.record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory),
            change_history(self.context),
            now_utc=datetime.now(UTC),
            overrides=overrides_of(self.record),
        )

    def diagnosis(self, last_utc: datetime) -> Diagnosis:
        """Mismatches of both peers and the ISE server, up to that time."""
        lines = (("primary", "prime-sec"), ("primary", "ISE-server"), ("secondary", "prime-pri"))
        return Diagnosis(mismatches=tuple(_mismatch(server, cn, last_utc) for server, cn in lines))

    def write_plan(self, *, last_utc: datetime | None = None) -> Plan:
        plan = self.plan(last_utc=last_utc)
        self.record.write_plan(plan)
        return plan

    def approve(self, plan: Plan, by: str = "Bob", key: Ed25519PrivateKey | None = None, **fields: Any) -> Approval:
        """Write an approval, as this account does; ``key`` signs it, ``fields`` are others than what is usual."""
        approval = Approval(digest=plan.digest, by=by, at_utc=datetime.now(UTC), how="test")
        approval = signed_approval(replace(approval, **fields), key)
        self.record.write_approval(approval)
        return approval

    def approved(self, plan: Plan) -> Approval | None:
        """The approval that holds for a plan, if one does."""
        return approval_of(self.context, plan)

    def sent(
        self, server: str, key: str, result: Deletion | None = Deletion.GONE, before: tuple[str, ...] = ()
    ) -> None:
        """Leave what a deletion leaves; ``None``: the run was killed before its result was seen.

        ``before`` are the entries that were listed before it, and none was after it.
        """
        change = self.record.intend(Stage.DELETE, server, key)
        if result is None:
            return
        if result is Deletion.NOT_SENT:
            change.not_sent()
        else:
            change.sent()
            now = datetime.now(UTC)
            seen = DeletionResult(
                server=server,
                key=key,
                command="",
                result=result,
                said="",
                before=tuple(_entry(each).line for each in before),
                after=(),
                sent_utc=now,
                read_back_utc=now,
            )
            self.record.write_facts(Stage.DELETE, DELETION_FACTS, (*recorded_deletions(self.record), seen))
            change.result(result)


def _entry(key: str) -> TofuEntry:
    host, _, port = key.rpartition("_")
    subject = f"/C=US/CN={_CN.get(host, 'stranger')}"
    return TofuEntry(key=key, host=host, port=int(port), subject=subject, line=f"host={key};  subject={subject}")


def judged(target: Target, verdict: Verdict, sha256: str) -> Judgement:
    """What is said of a host that presents this certificate."""
    now = datetime.now(UTC)
    facts = CertificateFacts(
        sha256=sha256,
        spki_sha256="e" * 64,
        subject="CN=whoever",
        issuer="CN=x",
        serial="1",
        not_before_utc=now - timedelta(days=1),
        not_after_utc=now + timedelta(days=365),
        key_type="EC secp256r1",
        key_bits=256,
        signature_hash="sha256",
        names=(),
    )
    return Judgement(
        target=target.name,
        host=target.address,
        port=target.port,
        verdict=verdict,
        reason=str(verdict),
        expectation="",
        facts=None if verdict is Verdict.UNREACHABLE else facts,
        seen_from=(Vantage.HERE,),
    )


def _mismatch(server: str, cn: str, last_utc: datetime) -> Mismatch:
    return Mismatch(
        server=server,
        place="unknown",
        subject=f"CN={cn}, C=US",
        threads=(),
        count=1,
        first_utc=last_utc,
        last_utc=last_utc,
        evidence=(LogLine(source="hm.log", number=1, text=""),),
    )


def run_one_stage(record: Record, stage: Stage) -> runner.StageReport:
    """Run one stage as a run does, with whatever the test has put in the place of its notebook."""
    nobody = cast("Any", None)
    run = runner._Run(site="lab", record=record, listener=nobody, given={}, secrets=())
    return runner._run_stage(run, stage, {}, nobody)
