"""What stages 10 and 20 look at: logs, both stores, presented certificates, what is known of each host. Only reads."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from runbook_lib.certificates.expectation import Knowledge, combine, read_expectation
from runbook_lib.certificates.verdict import judge
from runbook_lib.decisions import Deletion, DeletionResult
from runbook_lib.errors import ExpectationInvalid, RunbookError
from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.logs.formats import excerpt_as_text, excerpts_of
from runbook_lib.logs.jobs import Settings
from runbook_lib.logs.rules import RULES, load_rules
from runbook_lib.logs.sources import lines_around, size_to_read
from runbook_lib.models import Inventory, Judgement, Presented, Stage
from runbook_lib.observations import Diagnosis, Mismatch
from runbook_lib.params.model import CaBundle, Expectation, Site
from runbook_lib.params.values import canonical_sha256
from runbook_lib.record.artifacts import slug
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import About, Kind, LineTopic
from runbook_lib.repair.context import (
    Context,
    ProgressCallback,
    Target,
    ask_both,
    no_progress,
    require_two_servers,
    target_named,
    targets,
)
from runbook_lib.repair.sent_changes import INVENTORY_FACTS, facts_or, last_known_certificates, settle_interrupted

# -- What the logs report: which of the three places a mismatch, of whom, since when. Reads files; contacts nothing

MOST_EXCERPTS = 40
DIAGNOSIS_FACTS = "diagnosis"
SHOW_EVERY_S = 1.0


def diagnose(context: Context) -> Diagnosis:
    """Read the logs that the site's file names and keep what they say in the record.

    Raises UsageError where a named file or folder is not there.
    """
    diagnosis = read_logs(context)
    context.record.write_facts(Stage.DIAGNOSE, DIAGNOSIS_FACTS, diagnosis)
    keep_excerpts(context.record, context.site, diagnosis)
    return diagnosis


def read_logs(context: Context) -> Diagnosis:
    """Read the logs and keep nothing: for a step that compares them with an earlier reading."""
    return read_site_logs(context.site, context.progress)


def read_site_logs(site: Site, progress: ProgressCallback = no_progress) -> Diagnosis:
    """Read a site's logs, without an incident, and keep nothing; ``progress`` is told how far it is."""
    sources = {key: server.logs for key, server in site.servers.items()}
    zones = {key: server.log_zone for key, server in site.servers.items() if server.log_zone}
    progress("Reading the logs")
    rules = (*RULES, *load_rules(site.rules)) if site.rules else RULES
    shown_at = time.monotonic()
    total = size_to_read([path for paths in sources.values() for path in paths])

    def on_read(name: str, size: int) -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at > SHOW_EVERY_S:
            shown_at = time.monotonic()
            share = min(size / total, 1.0) if total else None
            progress(f"Reading the logs: {size >> 20:,} MB so far, now {Path(name).name}", share, steady=True)

    diagnosis = diagnose_sources(sources, Settings(rules, zones), {"site": site.name}, on_read)
    return replace(diagnosis, read_utc=datetime.now(UTC))


def recorded_diagnosis(context: Context) -> Diagnosis:
    """Return what stage 10 left in the record; raises StageOutOfOrder if it has not run."""
    return context.record.read_facts(Stage.DIAGNOSE, DIAGNOSIS_FACTS, Diagnosis)


def keep_excerpts(record: Record, site: Site, diagnosis: Diagnosis) -> None:
    """Keep one file per finding and log under ``excerpts/``, through the gate, at most MOST_EXCERPTS in all."""
    excerpts = list(excerpts_of(diagnosis))
    kept = excerpts[:MOST_EXCERPTS]
    wanted: dict[str, set[int]] = {}
    for excerpt in kept:
        wanted.setdefault(excerpt.source, set()).update(excerpt.lines)
    around = lines_around([*site.primary.logs, *site.secondary.logs], wanted) if wanted else {}
    for number, excerpt in enumerate(kept, start=1):
        name = slug(PurePosixPath(excerpt.source).name, 40)
        record.keep_bytes(
            f"excerpts/{number:02d}-{slug(excerpt.server, 20)}-{name}.txt",
            excerpt_as_text(excerpt, around.get(excerpt.source, {})).encode("utf-8", "replace"),
            stage=Stage.DIAGNOSE.value,
            server=excerpt.server,
            seen=excerpt.about,
            text=f"log excerpt: {excerpt.source}",
        )
    if len(excerpts) > len(kept):
        context = f"{len(excerpts) - len(kept)} more findings were not excerpted; the diagnosis names their lines"
        record.keep_bytes("excerpts/more.txt", context.encode(), stage=Stage.DIAGNOSE.value, text=context)


# -- Which mismatches the servers' logs gained while something was tried in the web pages ----------

_LINES = 3


def logs_now(context: Context) -> Diagnosis | None:
    """Read the logs that the site's file names; None where there are none, or they cannot be read."""
    if not any(server.logs for server in context.site.servers.values()):
        return None
    with suppress(RunbookError):  # what is being told is another failure, and stage 10 names this one
        return read_logs(context)
    return None


def log_growth(before: Diagnosis | None, after: Diagnosis | None) -> str:
    """Return the mismatches that grew between two readings with their newest lines, or nothing."""
    if before is None or after is None:
        return ""
    sentences = []
    for mismatch in grown_mismatches(before, after):
        lines = "\n".join(f"{line.place}: {line.text}" for line in mismatch.evidence[-_LINES:])
        sentences.append(f"meanwhile in the {mismatch.server}'s logs, a mismatch of {mismatch.subject}:\n{lines}")
    return "\n".join(sentences)


def grown_mismatches(before: Diagnosis, after: Diagnosis) -> list[Mismatch]:
    """Return the mismatches of which more lines were read than before."""
    counts = Counter[tuple[str, str]]()
    for mismatch in before.mismatches:
        counts[mismatch.server, mismatch.subject] += mismatch.count
    return [each for each in after.mismatches if each.count > counts[each.server, each.subject]]


async def watch_logs(context: Context, results: Iterable[DeletionResult]) -> bool:
    """Read the logs again after the site's ``quiet_s`` where they can decide on a deletion; return whether they were.

    That time is for the monitors of the servers to meet their hosts.
    """
    undecided = [result for result in results if result.result is Deletion.NOT_DELETED_OR_CAME_BACK]
    if not any(context.site.servers[result.server].logs for result in undecided):
        return False
    seconds = context.site.deadlines.quiet_s
    context.progress(f"Deletions whose result is not known: {len(undecided)}; watching the logs for {seconds:.0f} s")
    await asyncio.sleep(seconds)
    diagnose(context)
    return True


# -- What is known of each host's certificate by another way: the site's file, and what was given to stage 20

KNOWLEDGE_FACTS = "expectations"
GIVEN_FACTS = "given_expectations"
FORM = (
    "HOST=sha256:DIGITS, HOST=csr:FILE, HOST=certificate:FILE, HOST=ca:FILE#NAME, HOST=self, or HOST=withdraw to take"
    " back what was given; several with ;"
)

WITHDRAW = "withdraw"
"""Takes back what was given to this incident for a host; what the site's file says stays."""

_GIVEN = re.compile(r"(?P<host>[^=\s]+)\s*=\s*(?P<kind>self|withdraw|sha256|csr|certificate|ca)(?::(?P<value>.+))?")


def parse_given(text: str, site: Site) -> dict[str, Expectation]:
    """Return the expectations that a stage's parameter gives, by host (``secondary=sha256:…; ise=csr:FILE``).

    Raises ExpectationInvalid for anything else; nothing is contacted and no file is read yet.
    """
    given: dict[str, Expectation] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = _GIVEN.fullmatch(part)
        if not match or (match["value"] is None) != (match["kind"] in ("self", WITHDRAW)):
            raise ExpectationInvalid("This is not an expectation", found=part, next_step=f"write {FORM}")
        host = match["host"]
        known = [target.name for target in targets(site)]
        if host not in known or host in given:
            problem = "is given twice" if host in given else "is not a host of this site"
            raise ExpectationInvalid(f"{host} {problem}", found=part, next_step=f"one of: {', '.join(known)}")
        given[host] = _expectation(site, host, match["kind"], match["value"] or "")
    return given


def _expectation(site: Site, host: str, kind: str, value: str) -> Expectation:
    if kind == WITHDRAW:
        return Expectation()
    if kind == "self":
        if target_named(site, host).ssh is None:
            raise ExpectationInvalid(
                f"{host} cannot be seen from the vantage self: the site's file names no SSH access to it",
                next_step="add its section ssh, or give something else",
            )
        return Expectation.model_validate({"self": True})
    if kind == "sha256":
        try:
            return Expectation(sha256=canonical_sha256(value))
        except ValueError as error:
            raise ExpectationInvalid(f"{host}: {error}", found=value, next_step=f"write {FORM}") from None
    path, _, names = value.partition("#") if kind == "ca" else (value, "", "")
    try:
        file = Path(path).expanduser()
        if kind == "ca":
            return Expectation(ca=CaBundle(bundle=file, names=tuple(name.strip() for name in names.split(","))))
        return Expectation(csr=file) if kind == "csr" else Expectation(certificate=file)
    except (RuntimeError, ValidationError):  # no such user's folder; no names, or none that a host can have
        raise ExpectationInvalid(
            f"{host}: the path cannot be, or a CA bundle is given without the names that it may vouch for",
            found=value,
            next_step=f"write {FORM}",
        ) from None


def check_given(text: str, site: Site) -> None:
    """Raise ExpectationInvalid for what the stage would refuse, its files included; nothing is contacted."""
    for expectation in parse_given(text, site).values():
        read_expectation(expectation)


def gather_knowledge(context: Context, given: Mapping[str, Expectation]) -> dict[str, Knowledge]:
    """Read every expectation and leave what they say in the record, for the stages that look again.

    What was given to this incident before holds on, so that a resumed run needs it no second time, until it is given
    anew. Contacts nothing. Raises ExpectationInvalid, and StageOutOfOrder where the incident has ended.
    """
    context.record.require_open()
    read = {name: read_expectation(expectation) for name, expectation in given.items()}
    earlier = facts_or(context.record, Stage.LIST, GIVEN_FACTS, dict[str, Knowledge], {}, by_person=True)
    held = {**earlier, **read}
    known = {
        target.name: combine(read_expectation(target.expect), held.get(target.name, Knowledge()))
        for target in targets(context.site)
    }
    for name, knowledge in read.items():
        before = earlier.get(name, Knowledge())
        if knowledge.empty and not before.empty:
            text = f"{context.operator} withdrew what was given to this incident of the certificate of {name}"
            context.record.journal.append(
                Kind.NOTED, stage=context.stage, server=name, expected=in_digits(before), text=text
            )
    context.record.write_facts(context.stage, GIVEN_FACTS, held, by_person=True)
    context.record.write_facts(context.stage, KNOWLEDGE_FACTS, known, by_person=True)
    return known


def in_digits(knowledge: Knowledge) -> str:
    """Return what is known with its source and its digits, so that people can compare them."""
    digits = ", ".join((*knowledge.spki_sha256, *knowledge.sha256))
    return f"{knowledge.words}, in digits: SHA-256 {digits}" if digits else knowledge.words


def knowledge_of(context: Context, name: str) -> Knowledge:
    """Return what stage 20 of this incident knew of a host and what the site's file says by now: both have to hold."""
    recorded = facts_or(context.record, Stage.LIST, KNOWLEDGE_FACTS, dict[str, Knowledge], {}, by_person=True)
    expect = target_named(context.site, name).expect
    if name not in recorded:
        return read_expectation(expect)
    try:
        return combine(recorded[name], read_expectation(expect))
    except ExpectationInvalid:  # the files that the site's file names may be gone by now
        return recorded[name]


# -- Both stores, what each host presents now from every vantage, the HA states, and the verdicts. Changes nothing


async def take_inventory(context: Context, given: Mapping[str, Expectation] | None = None) -> Inventory:
    """Look at everything once and keep it in the record: raw answers, certificates, verdicts.

    ``given`` are expectations beside those of the site's file; None: those of this incident's stage 20. They are read
    first, so that a bad one is refused before any connection. Raises ExpectationInvalid, DeviceError where a PI
    server's command line does not answer, and DecisionNeeded where both are one server's.
    """
    if given is None:
        known = {target.name: knowledge_of(context, target.name) for target in targets(context.site)}
    else:
        known = gather_knowledge(context, given)
    context.progress("Reading both TOFU lists and the HA states", 0.0)
    await require_two_servers(context.devices)
    stores = await ask_both(context.devices, lambda prime: prime.list_tofu())
    await settle_interrupted(context, stores, watch_logs)
    ha = await ask_both(context.devices, lambda prime: prime.ha_status())
    # Not beside that: a command line that is opened anew takes the looks with it that go through it.
    presented, judgements = await look_at_all(context, known)
    inventory = Inventory(stores=stores, presented=presented, judgements=judgements, ha=ha)
    context.record.write_facts(context.stage, INVENTORY_FACTS, inventory)
    return inventory


async def look_at_all(
    context: Context, known: dict[str, Knowledge]
) -> tuple[tuple[Presented, ...], tuple[Judgement, ...]]:
    """Probe every host of the site from every vantage, and judge each."""
    context.progress("Looking at the certificates that are presented now", 0.4)
    hosts = targets(context.site)
    looks = await asyncio.gather(*(context.devices.look(target) for target in hosts))
    for look in looks:
        for presented in look:
            for der in (*presented.chain, *presented.others):
                context.record.keep_certificate(der, stage=context.stage, server=f"{presented.host}:{presented.port}")
    looked = zip(hosts, looks, strict=True)
    judgements = tuple(judge_target(context, target, look, known[target.name]) for target, look in looked)
    return tuple(presented for look in looks for presented in look), judgements


def judge_target(context: Context, target: Target, look: tuple[Presented, ...], known: Knowledge) -> Judgement:
    """Return the verdict on one host and write it to the journal."""
    previous = last_known_certificates(context, target.name)
    judgement = judge(target.name, look, known, now_utc=context.now(), previous_sha256=previous)
    seen = judgement.facts.sha256 if judgement.facts else "nothing"
    about = About(topic=LineTopic.CERTIFICATE, name=f"{target.address}:{target.port}", seen=judgement.verdict)
    context.record.journal.append(
        Kind.OBSERVED,
        stage=context.stage,
        server=target.name,
        expected=judgement.expectation,
        seen=f"{judgement.verdict}: {judgement.reason} (presented: {seen})",
        text=about,
    )
    return judgement


def inventory_of(record: Record) -> Inventory:
    """Return what stage 20 of an incident saw; an empty inventory where it has seen nothing."""
    nothing = Inventory(stores=(), presented=(), judgements=(), ha=())
    return facts_or(record, Stage.LIST, INVENTORY_FACTS, Inventory, nothing)


def confirmed_before(context: Context, target: str) -> str:
    """Return the fingerprint that stage 20 of this incident confirmed, or nothing."""
    judged = (each for each in inventory_of(context.record).judgements if each.target == target)
    return next((each.facts.sha256 for each in judged if each.facts and each.verdict.confirmed), "")


def recorded_inventory(context: Context) -> Inventory:
    """Return what stage 20 left in the record; raises StageOutOfOrder where it has not run."""
    return context.record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory)
