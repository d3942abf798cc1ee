"""The stages that change nothing: 00 start here, 10 diagnose, 20 list and plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePath

from runbook_lib.certificates.expectation import Knowledge, read_expectation, read_uploaded
from runbook_lib.decisions import Decision, Override, Plan
from runbook_lib.errors import ExpectationInvalid, RunbookError, StageOutOfOrder
from runbook_lib.models import Inventory, Stage, StageState, Verdict
from runbook_lib.notebook.runbook import Runbook
from runbook_lib.notebook.workspace import Next, stage_to_go_on_with, steps_after
from runbook_lib.observations import Check, Diagnosis
from runbook_lib.params.model import Expectation
from runbook_lib.record.incident import Record
from runbook_lib.repair import inventory, preflight
from runbook_lib.repair.confirmation import PHRASE, plan_guidance, what_settles, write_override
from runbook_lib.repair.context import Context, targets
from runbook_lib.repair.inventory import GIVEN_FACTS, gather_knowledge, in_digits, parse_given, recorded_inventory
from runbook_lib.repair.plan import plan_of
from runbook_lib.repair.preflight import lacking_means
from runbook_lib.repair.sent_changes import facts_or
from runbook_lib.show import expectation_form, findings, tables
from runbook_lib.show.document import ALARM, BAD
from runbook_lib.show.expectation_form import NOTHING, ExpectationActions, ExpectationForm, ExpectedHost, Given, known
from runbook_lib.show.forms import OverrideForm, Renewed, Unconfirmed, unconfirmed
from runbook_lib.show.rendering import View
from runbook_lib.show.trust import trust_as_planned

# -- The forms of stage 20: what is known of a certificate by another way, and a person's word where nothing is


def show_known(context: Context) -> View[tuple[ExpectedHost, ...]]:
    """Return what is known of each host before anything is looked at, for a person with a form that takes more."""
    if not context.attended:
        hosts = _hosts(context)
        return View(hosts, (known(hosts),))
    acts = ExpectationActions(
        known=partial(_hosts, context),
        read=_read,
        keep=partial(keep_given, context),
        withdraw=partial(withdraw, context),
    )
    return ExpectationForm(acts)


def _hosts(context: Context) -> tuple[ExpectedHost, ...]:
    given = facts_or(context.record, Stage.LIST, GIVEN_FACTS, dict[str, Knowledge], {}, by_person=True)
    return tuple(
        ExpectedHost(
            name=target.name,
            place=f"{target.address}:{target.port}",
            in_file=_in_file(target.expect),
            given=in_digits(given.get(target.name, Knowledge())),
            has_ssh=target.ssh is not None,
        )
        for target in targets(context.site)
    )


def _in_file(expect: Expectation) -> str:
    """What the site's file says, with the digits; without them where a file that it names cannot be read as it is."""
    try:
        knowledge = read_expectation(expect)
    except ExpectationInvalid:
        return _in_words(expect)
    return in_digits(knowledge)


def _in_words(expect: Expectation) -> str:
    """What the site's file says, without reading the files that it names."""
    kinds = [f"{key} {path.name}" for key, path in (("CSR", expect.csr), ("certificate", expect.certificate)) if path]
    kinds += [f"SHA-256 {expect.sha256}"] if expect.sha256 else []
    kinds += [f"issued by {expect.ca.bundle.name}"] if expect.ca else []
    kinds += ["what it shows through its own SSH server"] if expect.self_ else []
    return ", ".join(kinds) or NOTHING


def _read(name: str, data: bytes) -> str:
    kind, digest = read_uploaded(data, name)
    if kind == "csr":
        return f"{name} is a CSR; the SHA-256 of its public key is {digest}"
    return f"{name} is a certificate; its SHA-256 is {digest}"


def keep_given(context: Context, given: Given) -> str:
    """Keep what was typed and dropped for one host, as the parameter ``expect`` would; return the sentence to say.

    A file is kept in the record. Raises ExpectationInvalid where it cannot serve, and StageOutOfOrder where the
    incident has ended; nothing is kept then.
    """
    context.record.require_open()
    fields: dict[str, object] = {"self": given.self_, "sha256": given.sha256}
    if given.file:
        name, data = given.file
        kind, _ = read_uploaded(data, name)
        ending = PurePath(name).suffix.lower()  # as it was given, so that later words name the file that people know
        if ending not in expectation_form.FILES.split(","):
            ending = ".csr" if kind == "csr" else ".pem"
        kept = context.record.keep_bytes(f"expectations/{given.host}{ending}", data, stage=context.stage, text=name)
        fields[kind] = context.record.folder / kept.path
    expectation = Expectation.model_validate({key: value for key, value in fields.items() if value})
    knowledge = gather_knowledge(context, {given.host: expectation})[given.host]
    return f"Kept for {given.host}: {knowledge.words}. Run the next cell."


def withdraw(context: Context, name: str) -> str:
    """Take back what was given to this incident for one host, as ``expect`` with ``withdraw`` would; say what holds."""
    kept = gather_knowledge(context, {name: Expectation()})[name]
    return f"Withdrawn for {name}; still known: {in_digits(kept)}. Run the next cell."


def show_unconfirmed(context: Context, plan: Plan, renew: Callable[[], object]) -> View[tuple[Unconfirmed, ...]]:
    """Return the entries that only a missing confirmation protects, for a person with a form to override one.

    ``renew`` is called once an override was written.
    """
    inventory = recorded_inventory(context)
    entries = tuple(
        Unconfirmed(row.server, row.key, row.target, facts.sha256)
        for row in plan.rows
        if row.decision is Decision.CANNOT_TELL
        and row.verdict is Verdict.UNCONFIRMED
        and (facts := inventory.judgement(row.target).facts)
    )
    if not entries or not context.attended:
        return View(entries, (unconfirmed(entries),))

    def act(entry: Unconfirmed, name: str, reason: str, phrase: str) -> str:
        answer = overrule(context, entry, name, reason, phrase)
        renew()
        return answer

    return OverrideForm(entries, PHRASE, override_command(context.record, entries[0]), act)


def override_command(record: Record, entry: Unconfirmed) -> str:
    """Return the command that overrides from a terminal."""
    return (
        f"runbook override {record.incident} {entry.server} {entry.key} --sha256 {entry.sha256}"
        f" --by NAME --reason TEXT --accept '{PHRASE}'"
    )


def overrule(context: Context, entry: Unconfirmed, name: str, reason: str, phrase: str) -> str:
    """Write the override that a person asked for; raises ParameterRefused and DeletionRefused, with nothing written."""
    override = Override(
        server=entry.server, key=entry.key, sha256=entry.sha256, by=name, at_utc=context.now(), reason=reason
    )
    write_override(context.record, override, entry.target, phrase=phrase)
    return f"Overridden by {name.strip()}: {entry.server} {entry.key}. The plan above was made anew; run the next cell."


# -- Stage 00: is everything there, and where does this incident stand -----------------------------


class StartHere(Runbook):
    """Stage 00: is everything there, and where does this incident stand."""

    stage = Stage.START
    _checks: tuple[Check, ...] = ()
    _problem: RunbookError | None = None

    def preflight(self) -> View[tuple[Check, ...]]:
        """Ask every server whether it answers, and return one check for each question; changes nothing."""
        checks, self._problem = self._run(preflight.preflight(self.context))
        self._checks = checks
        return tables.answers(checks, "Is everything in place?", "Each line that is not “yes” says what to do.")

    def _goes_on_with(self) -> Next:
        """Return the first stage of this incident that is not done."""
        states = self.context.record.stage_states()
        stage = stage_to_go_on_with(states)
        if stage is None:
            return Next("every stage is done", "nothing is left to do; 90_history has the earlier incidents")
        before = list(Stage)[list(Stage).index(stage) - 1]
        step = steps_after(before, self.incident)[0]
        if states[stage] is StageState.PENDING:
            return step
        return step._replace(then=f"{step.then}; last attempt: {states[stage]}")

    def _seal(self) -> None:
        if not self._checks:
            raise StageOutOfOrder("The servers were not asked yet", next_step="run this stage's cells in order")
        if self._problem:
            raise self._problem


# -- Stage 10: what the logs report ----------------------------------------------------------------


class DiagnoseLogs(Runbook):
    """Stage 10: which of the three places reports a mismatch, of whom, since when."""

    stage = Stage.DIAGNOSE

    def diagnose(self) -> View[Diagnosis]:
        """Read the logs that the site's file names, return what they report, and draw when it was reported.

        The wording of a mismatch is published, that of most look-alikes recalled (docs/product-facts.md).
        """
        return findings.diagnosis(self._do(lambda: inventory.diagnose(self.context)))

    def _goes_on_with(self) -> Next:
        diagnosis = inventory.recorded_diagnosis(self.context)
        mismatch, look_alikes, no_logs = steps_after(self.stage, self.incident)
        if diagnosis.mismatches:
            return mismatch
        if diagnosis.look_alikes:
            return look_alikes
        return no_logs if diagnosis.no_logs else mismatch


# -- Stage 20: what is stored, what is presented, the verdicts and the plan ------------------------


class ListCertificates(Runbook):
    """Stage 20: both stores, what each host presents now, the verdicts, the plan."""

    stage = Stage.LIST

    def __init__(self, context: Context, *, expect: str = "") -> None:
        super().__init__(context)
        self._expect = expect
        self._shown = Renewed[Plan]()

    def expectations(self) -> View[tuple[ExpectedHost, ...]]:
        """Show what is known of each host by another way, for a person with a form that takes more."""
        return self._do(lambda: show_known(self.context))

    def inventory(self) -> View[Inventory]:
        """Look at everything once; return what is stored, what is presented, and the verdicts.

        The list of what a server trusts is published (docs/product-facts.md).
        """
        given = self._do(lambda: parse_given(self._expect, self.context.site))
        return findings.inventory(self._run(inventory.take_inventory(self.context, given)), datetime.now(UTC))

    def plan(self) -> View[Plan]:
        """Make the plan and keep it in the record; shows it, and who trusts whom as far as it tells."""
        return self._shown.view(self._shown_plan(self._do(self._make_plan)))

    def override(self) -> View[tuple[Unconfirmed, ...]]:
        """Show which stale entries nothing confirms, for a person with a form that takes the responsibility."""
        return self._do(lambda: show_unconfirmed(self.context, self._planned(), self._renew))

    def _renew(self) -> None:
        self._shown.renew(self._shown_plan(self._make_plan()))

    def _shown_plan(self, plan: Plan) -> View[Plan]:
        drawn = findings.trust(trust_as_planned(plan, inventory.recorded_inventory(self.context)))
        shown = tables.plan(plan, *plan_guidance(self.context.record, plan), drawn.tables)
        return View(plan, shown.tables, drawn.pictures)

    def _goes_on_with(self) -> Next:
        plan = self.context.record.read_plan()
        deletions, nothing, blocked = steps_after(self.stage, self.incident)
        if plan.blocked:  # that much of the plan, above which other tables may stand by now, is said here again
            met = [way for verdict, way in what_settles(self.context.record, plan) if verdict is Verdict.CONTRADICTED]
            return blocked._replace(then="\n".join((*met, blocked.then, *plan.blocked)), mark=ALARM if met else BAD)
        return deletions if plan.deletions else nothing

    def _make_plan(self) -> Plan:
        plan = self._planned()
        if plan.needs_approval:
            plan = replace(plan, blocked=(*plan.blocked, *lacking_means(self.context, plan)))
        self.context.record.write_plan(plan)
        return plan

    def _planned(self) -> Plan:
        context = self.context
        return plan_of(context, inventory.recorded_diagnosis(context), inventory.recorded_inventory(context))
