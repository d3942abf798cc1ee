"""The forms of stage 20: what is known of a certificate by another way, and a person's word where nothing is."""

from __future__ import annotations

from functools import partial

from runbook_lib.certificates import Knowledge, read_expectation, read_uploaded
from runbook_lib.errors import ExpectationInvalid
from runbook_lib.models import Decision, Override, Plan, Stage, Verdict
from runbook_lib.params import Expectation
from runbook_lib.record import Record
from runbook_lib.steps.context import Context
from runbook_lib.steps.expecting import GIVEN_FACTS, gather_knowledge, in_digits
from runbook_lib.steps.history import facts_or
from runbook_lib.steps.inventory import recorded_inventory
from runbook_lib.steps.overriding import PHRASE, write_override
from runbook_lib.steps.targets import targets
from runbook_lib.views import View
from runbook_lib.views.forms.expecting import NOTHING, Acts, ExpectationForm, Given, Host, known
from runbook_lib.views.forms.overriding import OverrideForm, Unconfirmed, unconfirmed


def show_known(context: Context) -> View[tuple[Host, ...]]:
    """Return what is known of each host before anything is looked at, for a person with a form that takes more."""
    if not context.attended:
        return View(hosts := _hosts(context), (known(hosts),))
    acts = Acts(
        known=partial(_hosts, context),
        read=_read,
        keep=partial(keep_given, context),
        withdraw=partial(withdraw, context),
    )
    return ExpectationForm(acts)


def _hosts(context: Context) -> tuple[Host, ...]:
    given = facts_or(context.record, Stage.LIST, GIVEN_FACTS, dict[str, Knowledge], {})
    return tuple(
        Host(
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
