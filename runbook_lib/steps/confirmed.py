"""Before any credentials are used: the host is looked at again and must show a confirmed certificate."""

from __future__ import annotations

from dataclasses import replace

from runbook_lib.certificates import Knowledge, read_expectation
from runbook_lib.errors import CertificateMoved, DeletionRefused
from runbook_lib.models import Check, Judgement, Presented, Vantage, Verdict
from runbook_lib.params import PiServer
from runbook_lib.steps.context import Context
from runbook_lib.steps.expecting import knowledge_of
from runbook_lib.steps.history import confirmed_before
from runbook_lib.steps.inventory import judge_target
from runbook_lib.steps.overriding import accepted_of, overrides_of
from runbook_lib.steps.targets import Target, pi_server, target_named


async def require_confirmed(context: Context, name: str) -> Judgement:
    """Probe the host called ``name`` and return its verdict.

    Raises CertificateMoved where this incident confirmed another certificate before, and
    DeletionRefused where the verdict is not a confirmed one.
    """
    target = target_named(context.site, name)
    _, judgement = await _look_and_judge(context, target)
    earlier = confirmed_before(context, name)
    if earlier and judgement.facts and judgement.facts.sha256 != earlier:
        raise CertificateMoved(
            f"{name} no longer presents the certificate that was confirmed in this incident",
            where=f"{judgement.host}:{judgement.port}",
            found=f"confirmed {earlier}\npresented {judgement.facts.sha256} ({judgement.verdict})",
            next_step="find out who answers there before anything else; no credentials were sent",
        )
    if not _overridden(context, judgement):
        _require(judgement)
    return judgement


async def look_again(context: Context, name: str) -> Check:
    """Probe the host called ``name``: does it present the confirmed certificate? Raises nothing for what is seen."""
    _, judgement = await _look_and_judge(context, target_named(context.site, name))
    return certificate_check(context, judgement)


def certificate_check(context: Context, judgement: Judgement) -> Check:
    """Return the certificate that this incident confirmed, or what is expected, beside the one presented now."""
    expected = confirmed_before(context, judgement.target)
    actual = judgement.facts.sha256 if judgement.facts else judgement.reason
    good = judgement.verdict.confirmed or judgement.verdict is Verdict.UNCHANGED
    another = bool(expected) and actual != expected
    unknown = judgement.facts is not None and judgement.verdict is Verdict.UNCONFIRMED
    return Check(
        name=f"certificate of {judgement.target}",
        expected=expected or judgement.expectation,
        actual=actual,
        ok=False if another else None if unknown else good and judgement.facts is not None,
        note=f"{judgement.verdict}, seen from {', '.join(judgement.seen_from) or 'nowhere'}",
    )


def _overridden(context: Context, judgement: Judgement) -> bool:
    """Whether a person has accepted this very certificate of the host, unconfirmed as it is."""
    if judgement.verdict is not Verdict.UNCONFIRMED or judgement.facts is None:
        return False
    return judgement.facts.sha256 in accepted_of(context.site, overrides_of(context.record), judgement.target)


async def confirmed_web_certificate(context: Context, server_key: str) -> bytes:
    """Return the certificate (DER) that a PI server's web port shows to this machine, after confirming it now.

    Raises DeletionRefused where the verdict on the web port's certificate is not a confirmed one, and nobody has
    taken that very certificate of the server upon himself by an override.
    """
    server = pi_server(context.site, server_key)
    target = replace(target_named(context.site, server_key), port=_web_port(server), observers=())
    of_web = read_expectation(server.web.expect) if server.web else Knowledge()
    looks, judgement = await _look_and_judge(context, target, of_web)
    if not _overridden(context, judgement):
        _require(judgement)
    here = next(look for look in looks if look.vantage is Vantage.HERE)
    if not here.chain:
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
        for der in look.chain:
            context.record.keep_certificate(der, stage=context.stage, server=target.name)
    return looks, judge_target(context, target, looks, known)


def _require(judgement: Judgement) -> None:
    if judgement.verdict.confirmed or judgement.verdict is Verdict.UNCHANGED:
        return
    advice = {
        Verdict.CONTRADICTED: "treat it as a suspected interception: find out who answers there",
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


def _web_port(server: PiServer) -> int:
    return server.web.port if server.web else 443
