"""The stages that change nothing: 00 start here, 10 diagnose, 20 list and plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from runbook_lib.certificates.expectation import Knowledge, read_expectation, read_uploaded
from runbook_lib.decisions import Check, Decision, Override, PastIncident, Plan, SiteStatus
from runbook_lib.errors import ExpectationInvalid, RunbookError, StageOutOfOrder
from runbook_lib.models import Diagnosis, Inventory, Stage, Verdict
from runbook_lib.notebook.runbook import Runbook, next_run, stage_to_go_on_with
from runbook_lib.notebook.workspace import link_to
from runbook_lib.params.model import Expectation
from runbook_lib.record.history import past_incidents, standings
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Journal, Line
from runbook_lib.repair import diagnose, inventory, preflight
from runbook_lib.repair.confirmation import PHRASE, ways_out_of, write_override
from runbook_lib.repair.context import Context, targets
from runbook_lib.repair.history import facts_or
from runbook_lib.repair.inventory import GIVEN_FACTS, gather_knowledge, in_digits, parse_given, recorded_inventory
from runbook_lib.repair.plan import plan_of
from runbook_lib.repair.preflight import lacking
from runbook_lib.show import findings, tables
from runbook_lib.show import findings as pictured
from runbook_lib.show.expectation_form import NOTHING, ExpectationActions, ExpectationForm, ExpectedHost, Given, known
from runbook_lib.show.forms import OverrideForm, Unconfirmed, unconfirmed
from runbook_lib.show.incidents import fleet_map, incidents
from runbook_lib.show.progress import Followed, newest
from runbook_lib.show.rendering import View
from runbook_lib.show.table import Row, Table
from runbook_lib.show.trust import Trusts, trust_as_planned

# -- The forms of stage 20: what is known of a certificate by another way, and a person's word where nothing is


def show_known(context: Context) -> View[tuple[ExpectedHost, ...]]:
    """Return what is known of each host before anything is looked at, for a person with a form that takes more."""
    if not context.attended:
        return View(hosts := _hosts(context), (known(hosts),))
    acts = ExpectationActions(
        known=partial(_hosts, context),
        read=_read,
        keep=partial(keep_given, context),
        withdraw=partial(withdraw, context),
    )
    return ExpectationForm(acts)


def _hosts(context: Context) -> tuple[ExpectedHost, ...]:
    given = facts_or(context.record, Stage.LIST, GIVEN_FACTS, dict[str, Knowledge], {})
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
    kind, found = read_uploaded(data, name)
    if kind == "csr":
        return f"{name} is a CSR; the SHA-256 of its public key is {found.spki_sha256[0]}"
    return f"{name} is a certificate; its SHA-256 is {found.sha256[0]}"


def keep_given(context: Context, given: Given) -> str:
    """Keep what was typed and dropped for one host, as the parameter ``expect`` would; return the sentence to say.

    A file is kept in the record. Raises ExpectationInvalid where it cannot serve, with nothing kept.
    """
    fields: dict[str, object] = {"self": given.self_, "sha256": given.sha256}
    if given.file:
        name, data = given.file
        kind, _ = read_uploaded(data, name)
        suffix = "csr" if kind == "csr" else "cer"
        kept = context.record.keep_bytes(f"expectations/{given.host}.{suffix}", data, stage=context.stage, text=name)
        fields[kind] = context.record.folder / kept.path
    expectation = Expectation.model_validate({key: value for key, value in fields.items() if value})
    found = gather_knowledge(context, {given.host: expectation})[given.host]
    return f"Kept for {given.host}: {found.words}. Run the next cell."


def withdraw(context: Context, name: str) -> str:
    """Take back what was given to this incident for one host, as ``expect`` with ``withdraw`` would; say what holds."""
    found = gather_knowledge(context, {name: Expectation()})[name]
    return f"Withdrawn for {name}; still known: {in_digits(found)}. Run the next cell."


def show_unconfirmed(context: Context, plan: Plan) -> View[tuple[Unconfirmed, ...]]:
    """Return the entries that only a missing confirmation protects, for a person with a form to override one."""
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
    return OverrideForm(entries, PHRASE, override_command(context.record, entries[0]), partial(overrule, context))


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
    return f"Overridden by {name.strip()}: {entry.server} {entry.key}. Run the next cell: a new plan is made."


# -- Stage 00: is everything reachable, where does this incident stand, what was there before ------


class StartHere(Runbook):
    """Stage 00: is everything reachable, where does this incident stand, what was there before."""

    stage = Stage.START

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._checks: tuple[Check, ...] = ()
        self._problem: RunbookError | None = None

    def preflight(self) -> View[tuple[Check, ...]]:
        """Ask every server whether it answers; changes nothing."""
        found, self._problem = self._run(preflight.preflight(self.context))
        self._checks = found
        return tables.checks(found, "Is everything reachable?", "Each line that is not “yes” says what to do.")

    def incidents(self) -> View[tuple[PastIncident, ...]]:
        """Show the other incidents of all sites, newest first."""
        found = self._do(lambda: past_incidents(self.context.records_root))
        return incidents(tuple(one for one in found if one.incident != self.incident))

    def sites(self) -> View[Sequence[SiteStatus]]:
        """Show how every site stands by its newest incident, and whose certificates expire next."""
        root = self.context.records_root
        return fleet_map(self._do(lambda: standings(past_incidents(root))), self.context.now())

    def journal(self) -> View[tuple[Line, ...]]:
        """Show the newest lines of the incident's journal; for a person they follow what is written from then on."""
        journal = Journal(self.context.record.folder)  # one of its own, for a thread of its own
        lines = self._do(journal.read).lines
        return Followed(journal) if self.context.attended else View(lines, (newest(lines),))

    def next(self) -> View[str]:
        """Show the notebook with which this incident goes on, and what comes next for each way in which this ends."""
        states = self.context.record.stage_states()
        stage = stage_to_go_on_with(states)
        rows = [
            (
                "notebook",
                link_to(stage, self.incident) if stage else "none: every stage is done",
            ),
            ("its state", states[stage] if stage else "-"),
            ("opens by itself", f"site {self.context.site.name}, incident {self.incident}"),
            ("as a batch job", next_run(self.context.record)),
        ]
        go_on = Table(title="Go on here", headers=("what", "value"), rows=tuple(Row(cells=cells) for cells in rows))
        return View(self.stage, (go_on, *super().next().tables))

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
        """Read the logs that the site's file names."""
        return findings.diagnosis(self._do(lambda: diagnose.diagnose(self.context)))

    def timeline(self) -> View[Diagnosis]:
        """Draw when the mismatches were reported."""
        return pictured.mismatches_over_time(self._do(lambda: diagnose.recorded_diagnosis(self.context)))


# -- Stage 20: what is stored, what is presented, the verdicts and the plan ------------------------


class ListCertificates(Runbook):
    """Stage 20: both stores, what each host presents now, the verdicts, the plan."""

    stage = Stage.LIST

    def __init__(self, context: Context, *, expect: str = "") -> None:
        super().__init__(context)
        self._expect = expect

    def expectations(self) -> View[tuple[ExpectedHost, ...]]:
        """Show what is known of each host by another way, for a person with a form that takes more."""
        return self._do(lambda: show_known(self.context))

    def inventory(self) -> View[Inventory]:
        """Look at everything once; shows both TOFU lists."""
        given = self._do(lambda: parse_given(self._expect, self.context.site))
        return findings.stores(self._run(inventory.take_inventory(self.context, given)))

    def presented(self) -> View[Inventory]:
        """Show what each host presents, and from where it was seen."""
        return findings.presented(self._do(lambda: inventory.recorded_inventory(self.context)), datetime.now(UTC))

    def verdicts(self) -> View[Inventory]:
        """Show what is presented compared with what is known by another way."""
        return findings.verdicts(self._do(lambda: inventory.recorded_inventory(self.context)))

    def override(self) -> View[tuple[Unconfirmed, ...]]:
        """Show which stale entries nothing confirms, for a person with a form that takes the responsibility."""
        return self._do(lambda: show_unconfirmed(self.context, self._planned()))

    def plan(self) -> View[Plan]:
        """Make the plan and keep it in the record."""
        plan = self._do(self._make_plan)
        return tables.plan(plan, ways_out_of(self.context.record, plan))

    def trust(self) -> View[Trusts]:
        """Draw who trusts whom, as far as the plan tells."""
        plan = self._do(self.context.record.read_plan)
        return pictured.trust(trust_as_planned(plan, self._do(lambda: inventory.recorded_inventory(self.context))))

    def _make_plan(self) -> Plan:
        plan = self._planned()
        if plan.needs_approval:
            plan = replace(plan, blocked=(*plan.blocked, *lacking(self.context, plan)))
        self.context.record.write_plan(plan)
        return plan

    def _planned(self) -> Plan:
        context = self.context
        return plan_of(context, diagnose.recorded_diagnosis(context), inventory.recorded_inventory(context))
