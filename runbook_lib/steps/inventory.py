"""Both stores, what each host presents now from every vantage, the HA states, and the verdicts. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from runbook_lib.certificates import Knowledge, judge
from runbook_lib.models import Inventory, Judgement, Presented, Stage
from runbook_lib.params import Expectation
from runbook_lib.record import Kind
from runbook_lib.steps.context import Context
from runbook_lib.steps.expecting import gather_knowledge, knowledge_of
from runbook_lib.steps.history import INVENTORY_FACTS, last_known_certificate
from runbook_lib.steps.interrupted import settle_interrupted
from runbook_lib.steps.targets import PI_SERVERS, Target, targets


async def take_inventory(context: Context, given: Mapping[str, Expectation] | None = None) -> Inventory:
    """Look at everything once and keep it in the record: raw answers, certificates, verdicts.

    ``given`` are expectations beside those of the site's file; None: those of this incident's stage
    20. They are read first, so that a bad one is refused before any connection. Raises
    ExpectationInvalid, and DeviceError where a PI server's command line does not answer.
    """
    if given is None:
        known = {target.name: knowledge_of(context, target.name) for target in targets(context.site)}
    else:
        known = gather_knowledge(context, given)
    context.tell("Reading both TOFU lists and the HA states", 0.0)
    stores = await asyncio.gather(*(context.devices.prime(key).list_tofu() for key in PI_SERVERS))
    await settle_interrupted(context, stores)
    ha = await asyncio.gather(*(context.devices.prime(key).ha_status() for key in PI_SERVERS))
    presented, judgements = await look_at_all(context, known)
    inventory = Inventory(stores=tuple(stores), presented=presented, judgements=judgements, ha=tuple(ha))
    context.record.write_facts(context.stage, INVENTORY_FACTS, inventory)
    return inventory


async def look_at_all(
    context: Context, known: dict[str, Knowledge]
) -> tuple[tuple[Presented, ...], tuple[Judgement, ...]]:
    """Probe every host of the site from every vantage, and judge each."""
    context.tell("Looking at the certificates that are presented now", 0.4)
    hosts = targets(context.site)
    looks = await asyncio.gather(*(context.devices.look(target) for target in hosts))
    for look in looks:
        for presented in look:
            for der in presented.chain:
                context.record.keep_certificate(der, stage=context.stage, server=f"{presented.host}:{presented.port}")
    judgements = [
        judge_target(context, target, look, known[target.name]) for target, look in zip(hosts, looks, strict=True)
    ]
    return tuple(presented for look in looks for presented in look), tuple(judgements)


def judge_target(context: Context, target: Target, look: tuple[Presented, ...], known: Knowledge) -> Judgement:
    """Return the verdict on one host and write it to the journal."""
    judgement = judge(
        target.name,
        look,
        known,
        now_utc=context.now(),
        previous_sha256=last_known_certificate(context, target.name),
    )
    seen = judgement.facts.sha256 if judgement.facts else "nothing"
    context.record.journal.append(
        Kind.OBSERVED,
        stage=context.stage,
        server=target.name,
        expected=judgement.expectation,
        seen=f"{judgement.verdict}: {judgement.reason} (presented: {seen})",
        text=f"certificate of {target.address}:{target.port}",
    )
    return judgement


def recorded_inventory(context: Context) -> Inventory:
    """Return what stage 20 left in the record; raises StageOutOfOrder where it has not run."""
    return context.record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory)
