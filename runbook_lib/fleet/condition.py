"""From what was seen of a site to one of four words, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runbook_lib.errors import DeviceError, DeviceSilent, DeviceUnreachable, RunbookError
from runbook_lib.fleet.finding import Condition
from runbook_lib.models import HaStatus, Judgement, Plan, Verdict
from runbook_lib.params import Site
from runbook_lib.parse.ha import StateKind
from runbook_lib.steps.ha_state import kinds_of
from runbook_lib.steps.targets import PI_SERVERS

_NO_CONNECTION = (DeviceUnreachable, DeviceSilent)


def condition_of(
    site: Site,
    plan: Plan | None,
    judgements: Iterable[Judgement],
    ha: Iterable[HaStatus],
    errors: Mapping[str, RunbookError],
) -> tuple[Condition, tuple[str, ...]]:
    """Return the condition and its reasons.

    A contradicted certificate outweighs everything. What an HA state means is judged as in the stages, by the site's
    own ``ha_states`` first. ``plan`` is None where a store or the logs could not be read;
    ``errors`` are those of the phases, by phase.
    """
    judgements, ha = tuple(judgements), tuple(ha)
    contradicted = [_in_words(each) for each in judgements if each.verdict is Verdict.CONTRADICTED]
    failed = tuple(f"{phase}: {error.what}" for phase, error in errors.items())
    if contradicted:
        return Condition.NEEDS_A_PERSON, (*contradicted, *failed)
    if errors and plan is None and all(_is_silence(error) for error in errors.values()):
        return Condition.UNREACHABLE, failed
    if plan is None or errors:
        return Condition.NEEDS_A_PERSON, failed
    if plan.blocked:
        return Condition.NEEDS_A_PERSON, plan.blocked
    if plan.deletions:
        hosts = ", ".join(dict.fromkeys(f"{row.target} {row.verdict}" for row in plan.deletions))
        return Condition.REPAIRABLE, (f"{len(plan.deletions)} stale entries: {hosts}",)
    open_points = (*_without_answer(judgements), *_unhealthy(site, ha))
    return (Condition.NEEDS_A_PERSON, open_points) if open_points else (Condition.HEALTHY, ())


def _is_silence(error: RunbookError) -> bool:
    """Whether nobody answered, as against somebody who refused, or who is not whom the site's file pins."""
    return isinstance(error, _NO_CONNECTION) or type(error) is DeviceError


def _in_words(judgement: Judgement) -> str:
    return f"{judgement.target}: {judgement.verdict}: {judgement.reason}"


def _without_answer(judgements: Iterable[Judgement]) -> list[str]:
    return [_in_words(each) for each in judgements if each.verdict in (Verdict.UNREACHABLE, Verdict.UNSTABLE)]


def _unhealthy(site: Site, ha: tuple[HaStatus, ...]) -> list[str]:
    """Say of each server in which state its HA is where that is not a healthy one; nothing stale explains it."""
    seen = {status.server: (status.state, kind) for status, kind in zip(ha, kinds_of(site, ha), strict=True)}
    states = [(key, *seen.get(key, ("", StateKind.UNKNOWN))) for key in PI_SERVERS]
    return [
        f"high availability at the {key}: {state or 'no state'}, and no entry is stale"
        for key, state, kind in states
        if kind is not StateKind.HEALTHY
    ]
