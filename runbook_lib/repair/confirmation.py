"""A host is confirmed before any credentials are used; or a named person's word stands in for that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from runbook_lib.certificates.expectation import Knowledge, read_expectation
from runbook_lib.certificates.facts import facts_as_far_as_read
from runbook_lib.decisions import Decision, Override, Plan, WayOut
from runbook_lib.device.command_line import Console
from runbook_lib.device.probe import present
from runbook_lib.errors import CertificateMoved, DeletionRefused, ParameterRefused, RunbookError
from runbook_lib.models import PI_SERVERS, Inventory, Judgement, Presented, Stage, Vantage, Verdict
from runbook_lib.observations import Check, CheckKind
from runbook_lib.params.model import Deadlines, Site
from runbook_lib.record.incident import Record
from runbook_lib.repair.context import Context, Target, target_named, target_of_key
from runbook_lib.repair.inventory import confirmed_before, inventory_of, judge_target, knowledge_of
from runbook_lib.repair.sent_changes import INVENTORY_FACTS, deletion_intents, facts_or

# -- A person's word in the place of a confirmation: explicit, named, recorded, and bound to one certificate.
#
# It helps against ``unconfirmed`` alone. ``contradicted``, ``unstable`` and ``unreachable`` know no override.

FACTS = "overrides"
PHRASE = "nobody has confirmed this certificate"


def overrides_of(record: Record) -> tuple[Override, ...]:
    """Return the incident's overrides, oldest first."""
    return facts_or(record, Stage.LIST, FACTS, tuple[Override, ...], (), by_person=True)


def write_override(record: Record, override: Override, target: str, *, phrase: str) -> None:
    """Keep an override of the verdict on ``target`` for one entry.

    Raises ParameterRefused where the phrase, the name or the reason is missing or the entry is not
    listed, DeletionRefused where the verdict is not ``unconfirmed`` or the certificate another one, and StageOutOfOrder
    where the incident has ended.
    """
    record.require_open()
    if phrase.strip().lower() != PHRASE:
        raise ParameterRefused("An override needs the full phrase", next_step=f"write: {PHRASE}")
    if not override.by.strip() or not override.reason.strip():
        raise ParameterRefused("An override needs a name and a reason", next_step="give both")
    inventory = record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory)
    if override.key not in [entry.key for entry in inventory.store(override.server).entries]:
        raise ParameterRefused(
            f"The {override.server} lists no such entry", found=override.key, next_step="copy the key from its list"
        )
    _require_unconfirmed(inventory.judgement(target), override)
    kept = replace(override, by=override.by.strip(), reason=override.reason.strip())
    record.write_facts(Stage.LIST, FACTS, (*overrides_of(record), kept), by_person=True)


def _require_unconfirmed(judgement: Judgement, override: Override) -> None:
    if judgement.verdict is not Verdict.UNCONFIRMED:
        advice = "run 20_list_certificates again and read its verdicts"
        if judgement.verdict is Verdict.CONTRADICTED:
            advice = "find out who answers there"
        raise DeletionRefused(
            f"Only “unconfirmed” can be overridden; the verdict on {judgement.target} is “{judgement.verdict}”",
            found=judgement.reason,
            next_step=advice,
        )
    presented = judgement.facts.sha256 if judgement.facts else ""
    if presented != override.sha256:
        raise DeletionRefused(
            f"{judgement.target} presents another certificate than the one that the override names",
            found=f"override  {override.sha256}\npresented {presented}",
            next_step="look at the presented certificate again (20_list_certificates)",
        )


def override_for(overrides: tuple[Override, ...], server: str, key: str, sha256: str) -> Override | None:
    """Return the override that holds for this entry and this certificate, or None."""
    wanted = (server, key, sha256)
    return next((each for each in reversed(overrides) if (each.server, each.key, each.sha256) == wanted), None)


def accepted_of(site: Site, overrides: tuple[Override, ...], name: str) -> frozenset[str]:
    """Return the certificates of the host called ``name`` that a person has accepted, unconfirmed as they are."""
    named = ((each, target_of_key(site, each.server, each.key)) for each in overrides)
    return frozenset(each.sha256 for each, target in named if target and target.name == name)


def deleted_under_override(record: Record) -> bool:
    """Whether a deletion of this incident was sent, or may have been, on a person's word alone."""
    sent = deletion_intents(record)
    approved = (record.read_plan(approval.digest) for approval in record.read_approvals())
    return any(row.override and row.place in sent for plan in approved for row in plan.deletions)


def overrides_in_words(override: Override) -> str:
    """Return who overrode, when and why, as the plan and the report say it."""
    return f"{override.by}, {override.at_utc:%Y-%m-%d %H:%M} UTC: {override.reason}"


INTERCEPTION = (
    "treat it as a suspected interception: change nothing by hand either, compare what it presents with its own"
    " console, and ask the network and security people; once that is settled, 20_list_certificates looks again"
)

# -- Before any credentials are used: the host is looked at again and must show a confirmed certificate


async def require_confirmed(context: Context, name: str) -> Judgement:
    """Probe the host called ``name`` and return its verdict.

    Raises CertificateMoved where this incident confirmed another certificate before, and
    DeletionRefused where the verdict is not a confirmed one.
    """
    judgement = await require_unmoved(context, name)
    if not _overridden(context, judgement):
        _require(judgement)
    return judgement


async def require_unmoved(context: Context, name: str) -> Judgement:
    """Probe the host called ``name``; its verdict need not be a confirmed one, and may be that nobody answers.

    Raises CertificateMoved where another certificate than the one that this incident confirmed is presented.
    """
    _, judgement = await _look_and_judge(context, target_named(context.site, name))
    earlier = confirmed_before(context, name)
    if earlier and judgement.facts and judgement.facts.sha256 != earlier:
        raise CertificateMoved(
            f"{name} no longer presents the certificate that was confirmed in this incident",
            where=f"{judgement.host}:{judgement.port}",
            found=f"confirmed {earlier}\npresented {judgement.facts.sha256} ({judgement.verdict})",
            next_step="find out who answers there before anything else; no credentials were sent",
        )
    return judgement


async def look_again(context: Context, name: str) -> Check:
    """Probe the host called ``name``: does it present the confirmed certificate? Raises nothing for what is seen."""
    _, judgement = await _look_and_judge(context, target_named(context.site, name))
    return certificate_check(context, judgement)


def certificate_check(context: Context, judgement: Judgement) -> Check:
    """Return the certificate that this incident confirmed, or what is expected, beside the one presented now."""
    expected = confirmed_before(context, judgement.target)
    actual = judgement.facts.sha256 if judgement.facts else judgement.reason
    ok: bool | None = judgement.verdict.accepted and judgement.facts is not None
    if expected and actual != expected:
        ok = False
    elif judgement.facts and judgement.verdict is Verdict.UNCONFIRMED:
        ok = None
    return Check(
        expected=expected or judgement.expectation,
        actual=actual,
        ok=ok,
        note=f"{judgement.verdict}, seen from {', '.join(judgement.seen_from) or 'nowhere'}",
        kind=CheckKind.CERTIFICATE,
        target=judgement.target,
        verdict=judgement.verdict,
        values=(judgement.facts.sha256, *judgement.others) if judgement.facts else (),
    )


def _overridden(context: Context, judgement: Judgement) -> bool:
    """Whether a person has accepted this very certificate of the host, unconfirmed as it is."""
    if judgement.verdict is not Verdict.UNCONFIRMED or judgement.facts is None:
        return False
    return judgement.facts.sha256 in accepted_of(context.site, overrides_of(context.record), judgement.target)


async def confirmed_web_certificate(context: Context, server_key: str) -> bytes:
    """Return the certificate (DER) that a PI server's web port shows to this machine, after confirming it now.

    Raises DeletionRefused where the verdict on the web port's certificate is not a confirmed one, and nobody has
    vouched for that very certificate of the server by an override.
    """
    server = context.site.servers[server_key]
    port = server.web.port if server.web else 443
    target = replace(target_named(context.site, server_key), port=port, observers=())
    of_web = read_expectation(server.web.expect) if server.web else Knowledge()
    looks, judgement = await _look_and_judge(context, target, of_web)
    if not _overridden(context, judgement):
        _require(judgement)
    here = next(look for look in looks if look.vantage is Vantage.HERE)
    if not here.seen_each_time:
        raise DeletionRefused(
            f"The web pages of {server_key} do not answer from this machine",
            where=f"{target.address}:{target.port}",
            found=here.problem,
            next_step="the browser runs here: allow this machine to reach the web port",
        )
    return here.chain[0]


async def _look_and_judge(
    context: Context, target: Target, instead: Knowledge | None = None
) -> tuple[tuple[Presented, ...], Judgement]:
    known = instead if instead and not instead.empty else knowledge_of(context, target.name)
    looks = await context.devices.look(target)
    for look in looks:
        for der in (*look.chain, *look.others):
            context.record.keep_certificate(der, stage=context.stage, server=target.name)
    return looks, judge_target(context, target, looks, known)


def _require(judgement: Judgement) -> None:
    if judgement.verdict.accepted:
        return
    advice = {
        Verdict.CONTRADICTED: INTERCEPTION,
        Verdict.UNREACHABLE: "make the host answer, then run this stage again",
        Verdict.UNSTABLE: "find out why two certificates are shown (a cluster, or somebody in between)",
    }.get(
        judgement.verdict,
        f"say what is known of it by another way, for example its CSR (site's file, expect: of {judgement.target})",
    )
    raise DeletionRefused(
        f"The certificate of {judgement.target} is not confirmed ({judgement.verdict}); no credentials are sent to it",
        where=f"{judgement.host}:{judgement.port}",
        found=judgement.reason,
        next_step=advice,
    )


# -- How a plan gets on that is blocked since nothing confirms a certificate: what to compare where, and what to write.
#
# The digits to write are those that the console shows, never those that are presented here: an expectation that is
# copied from the connection under repair would confirm whoever answers there.

DIGITS = "DIGITS-OF-THE-CONSOLE"


def ways_out_of(record: Record, plan: Plan) -> tuple[WayOut, ...]:
    """Return a way out for each host of which an entry waits for a confirmation, by what stage 20 saw."""
    undecided = [row for row in plan.rows if row.decision is Decision.CANNOT_TELL]
    waiting = {row.target for row in undecided if row.verdict is Verdict.UNCONFIRMED}
    return tuple(
        _way(judgement)
        for judgement in inventory_of(record).judgements
        if judgement.target in waiting and judgement.verdict is Verdict.UNCONFIRMED and judgement.facts
    )


_SETTLED_BY = {
    Verdict.CONTRADICTED: "delete nothing: somebody else may be answering. Compare what it presents with its own"
    " console and ask the network and security people. Or the expectation itself is wrong: check what expect:"
    " names, {0}",
    Verdict.UNSTABLE: "find out why two probes showed two certificates: a load balancer, a restart, an interceptor",
    Verdict.UNREACHABLE: "make it answer from one vantage at least: from here, or through its own or PI's SSH server",
    Verdict.UNCONFIRMED: "write under expect: what confirms its certificate; runbook plan shows what, and where",
}


def what_settles(record: Record, plan: Plan) -> tuple[tuple[Verdict, str], ...]:
    """Return what settles a blocked plan: each verdict that blocks it, as stage 20 saw it, and a sentence."""
    if not plan.blocked:
        return ()
    held = {row.target for row in plan.rows if row.by_verdict}
    sentences = []
    for each in inventory_of(record).judgements:
        # A host that is contradicted blocks every plan, though no entry of it is listed.
        blocks = each.target in held or each.verdict is Verdict.CONTRADICTED
        if blocks and each.verdict in _SETTLED_BY:
            words = _SETTLED_BY[each.verdict].format(each.expectation)
            sentences.append((each.verdict, f"{each.target}: {words}"))
    return tuple(sentences)


def plan_guidance(record: Record, plan: Plan) -> tuple[tuple[WayOut, ...], tuple[tuple[Verdict, str], ...]]:
    """Return how a plan gets on, as ``tables.plan`` takes it: its ways out, and what settles it where it is blocked."""
    return ways_out_of(record, plan), what_settles(record, plan)


_CERTIFICATE = "openssl s_client -connect 127.0.0.1:{port} </dev/null | openssl x509 -noout -fingerprint -sha256"
_ISE = "Administration > System > Certificates > System Certificates > View (SHA-256 Fingerprint)"


def certificate_at_console(port: int, *, ise: bool) -> str:
    """Return what shows the SHA-256 of the certificate that a server itself holds for a port of its own."""
    return f"{_ISE} (recalled)" if ise else f"shell, then: {_CERTIFICATE.format(port=port)} (recalled)"


def _way(judgement: Judgement) -> WayOut:
    assert judgement.facts is not None
    name = judgement.target
    is_ise = name not in PI_SERVERS
    own = Vantage.SELF in judgement.seen_from
    lines = [f"expect: {{sha256: {DIGITS}}}"]
    given = [f'expect="{name}=sha256:{DIGITS}"']
    if own:
        lines.insert(0, "expect: {self: true}")
        given.insert(0, f'expect="{name}=self"')
    why_not = dict(judgement.not_available).get(Vantage.SELF, "the site's file names no SSH access to it")
    return WayOut(
        target=name,
        presented_sha256=judgement.facts.sha256,
        at_console=certificate_at_console(judgement.port, ise=is_ise),
        in_file=f"{f'ise, {name}' if is_ise else name}: {' or '.join(lines)}",
        as_parameter=" or ".join(given),
        self_note="" if own else why_not,
    )


# -- What a new site's servers show: the SSH host key, the certificate and its names, whether ``self`` can be had.
#
# Looks for a person who is writing a site's file. Nothing that is seen is trusted: a host key is pinned when somebody
# says that it was compared, and only then is a login tried.

USUAL = Deadlines()
"""The deadlines of servers for which no site's file gives any yet."""


class Look(NamedTuple):
    """What one host presents: SHA-256 and names (none where nothing was seen), and what its own SSH server shows.

    ``own`` is ``same``, ``other``, or empty where it was not seen; ``problem`` says why something was not.
    """

    sha256: str = ""
    names: tuple[str, ...] = ()
    own: str = ""
    problem: str = ""


async def look_at_certificate(target: Target, *, login: bool) -> Look:
    """Look at a host's certificate from here and, with ``login``, through its own SSH server; never raises for it."""
    here = await present(target.address, target.port, vantage=Vantage.HERE, deadlines=USUAL, times=1)
    if not here.chain:
        return Look(problem=here.problem)
    facts = facts_as_far_as_read(here.chain[0], datetime.now(UTC))
    names = tuple(name for name in facts.names if name not in target.hosts and "*" not in name)
    look = Look(sha256=facts.sha256, names=names)
    if not login or target.ssh is None:
        return look
    try:
        console = await Console.open(target.name, target.address, target.ssh, deadlines=USUAL)
    except RunbookError as error:
        return look._replace(problem=error.what)
    try:
        own = await present(target.address, target.port, vantage=Vantage.SELF, deadlines=USUAL, via=console, times=1)
    finally:
        await console.close()
    if not own.chain:
        return look._replace(problem=own.problem)
    return look._replace(own="same" if set(own.served) == set(here.served) else "other")
