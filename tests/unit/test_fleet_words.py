"""From what triage saw to one of four words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from site_kit import site_with

from runbook_lib.batch import triage
from runbook_lib.batch.triage import Condition, Expiry, Phase, TriagedSite, TriageLimits, condition_of
from runbook_lib.decisions import Decision, Plan, PlanRow
from runbook_lib.errors import (
    AnswerNotUnderstood,
    DeviceSilent,
    DeviceUnreachable,
    HostKeyChanged,
    LoginRefused,
    RunbookError,
)
from runbook_lib.models import HaStatus, Judgement, Verdict
from runbook_lib.observations import LogLine, Mismatch
from runbook_lib.secrets import SecretRef

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEALTHY = ("Primary Active", "Secondary Syncing")


def plan(*, deletes: bool = False, blocked: tuple[str, ...] = ()) -> Plan:
    row = PlanRow(
        server="primary",
        key="192.0.2.20_8082",
        subject="/CN=x",
        target="secondary",
        decision=Decision.DELETE if deletes else Decision.ALREADY_RIGHT,
        reason="",
        verdict=Verdict.CONFIRMED_KEY,
    )
    return Plan(site="s", incident="i", made_utc=NOW, rows=(row,), digest="", blocked=blocked)


def judgements(*verdicts: Verdict) -> list[Judgement]:
    return [
        Judgement(target=f"t{n}", host="h", port=1, verdict=verdict, reason="because", expectation="")
        for n, verdict in enumerate(verdicts)
    ]


def ha(*states: str) -> list[HaStatus]:
    return [
        HaStatus(server=server, role="", state=state, read_utc=NOW)
        for server, state in zip(("primary", "secondary"), states, strict=False)
    ]


def found(
    plan: Plan | None, *verdicts: Verdict, states: tuple[str, ...] = HEALTHY, **errors: RunbookError
) -> Condition:
    return condition_of(site_with(), plan, judgements(*verdicts), ha(*states), errors)[0]


def test_a_site_without_anything_stale_is_healthy() -> None:
    """Everybody answers, HA is healthy, nothing would be deleted."""
    assert found(plan(), Verdict.UNCONFIRMED) is Condition.HEALTHY


def test_a_site_with_a_plan_is_repairable() -> None:
    """Entries would be deleted, and nothing blocks it."""
    assert found(plan(deletes=True), Verdict.CONFIRMED_KEY, states=("HA not Configured",) * 2) is Condition.REPAIRABLE


def test_a_blocked_plan_needs_a_person() -> None:
    """What blocks the plan is the reason."""
    what = condition_of(site_with(), plan(deletes=True, blocked=("no CSR",)), [], ha(*HEALTHY), {})
    assert what == (Condition.NEEDS_A_PERSON, ("no CSR",))


@pytest.mark.parametrize("errors", [{}, {"login": DeviceUnreachable("gone")}])
def test_a_contradiction_needs_a_person_before_all_else(errors: dict[str, RunbookError]) -> None:
    """A suspected interception is told first, also where servers do not answer."""
    word, why = condition_of(site_with(), None, judgements(Verdict.CONFIRMED_KEY, Verdict.CONTRADICTED), [], errors)
    assert word is Condition.NEEDS_A_PERSON
    assert why[0] == "t1: contradicted: because"


def test_silence_is_unreachable() -> None:
    """Nobody answered, or not in time."""
    assert found(None, login=DeviceUnreachable("x"), store=DeviceSilent("y")) is Condition.UNREACHABLE


def test_a_late_answer_beside_lists_that_were_read_needs_a_person() -> None:
    """A site whose lists and logs were read was reached, whatever else came too late."""
    assert found(plan(), ha_state=DeviceSilent("x")) is Condition.NEEDS_A_PERSON


@pytest.mark.parametrize("error", [LoginRefused("x"), HostKeyChanged("x")])
def test_a_refusal_needs_a_person(error: RunbookError) -> None:
    """A server that answers and refuses is not unreachable, even where the other is."""
    assert found(None, first=error, second=DeviceUnreachable("y")) is Condition.NEEDS_A_PERSON


@pytest.mark.parametrize("states", [("Primary Alone", "Secondary Alone"), ("HA not Configured",) * 2, ()])
def test_broken_ha_without_a_stale_entry_needs_a_person(states: tuple[str, ...]) -> None:
    """No deletion repairs what no entry explains."""
    assert found(plan(), Verdict.CONFIRMED_KEY, states=states) is Condition.NEEDS_A_PERSON


def test_a_state_means_in_triage_what_the_sites_file_says_it_means() -> None:
    """The site's own ``ha_states`` win over the known ones, as in the stages: one judgement of HA for all."""
    site = site_with().model_copy(
        update={"ha_states": {"Primary Serving": "healthy", "Secondary Standing By": "healthy"}}
    )
    states = ha("primary  serving", "Secondary Standing By")
    assert condition_of(site, plan(), [], states, {}) == (Condition.HEALTHY, ())
    assert condition_of(site_with(), plan(), [], states, {})[0] is Condition.NEEDS_A_PERSON


def test_a_mismatch_that_no_entry_explains_is_no_health() -> None:
    """The logs report it now: of a host outside of this site, or one that its file does not know by this address."""
    line = LogLine(source="ncs-0-0.log", number=7, text="TOFU failed")
    mismatch = Mismatch(
        server="primary",
        place="unknown",
        subject="CN=dnac",
        threads=(),
        count=1,
        first_utc=NOW,
        last_utc=NOW,
        evidence=(line,),
    )
    word, why = condition_of(site_with(), plan(), [], ha(*HEALTHY), {}, [mismatch])
    assert (word, "CN=dnac fits no entry" in why[0]) == (Condition.NEEDS_A_PERSON, True)
    explained = replace(plan(), rows=(replace(plan().rows[0], evidence=("ncs-0-0.log:7",)),))
    assert condition_of(site_with(), explained, [], ha(*HEALTHY), {}, [mismatch])[0] is Condition.HEALTHY


def test_what_could_not_be_understood_needs_a_person() -> None:
    """One answer that nobody can read is no health, whatever the others said."""
    for deletes in (False, True):
        word = found(plan(deletes=deletes), Verdict.CONFIRMED_KEY, state=AnswerNotUnderstood("x"))
        assert word is Condition.NEEDS_A_PERSON


@pytest.mark.parametrize("fault", [False, True])
def test_a_password_that_a_device_repeats_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: bool
) -> None:
    """What devices said goes through the redaction gate before anybody hears of it, and so does a fault of ours."""
    secret = "-".join(["canary", "triage", "41"])
    monkeypatch.setenv("CANARY", secret)
    SecretRef.parse("env:CANARY").resolve()
    said = f"it said {secret}"
    seen = Expiry(
        target="ise", host="h", port=443, sha256="a" * 64, subject=said, not_after_utc=NOW, days=1,
        verdict=Verdict.UNCONFIRMED,
    )  # fmt: skip

    async def asked(*_given: object, **_named: object) -> TriagedSite:
        if fault:
            raise ValueError(said)
        return TriagedSite(
            site="s",
            where="here",
            condition=Condition.NEEDS_A_PERSON,
            why=(said,),
            deletions=(said,),
            ha={"primary": secret},
            certificates=(seen,),
            phases=(Phase(name="login", seconds=0.1, problem=said),),
        )

    monkeypatch.setattr(triage, "triage_site", asked)
    told: list[TriagedSite] = []
    triage._ask(tmp_path, TriageLimits(), cast("Any", [SimpleNamespace(name="s", where="here")]), told.append)
    assert len(told) == 1
    assert "[secret env:CANARY]" in told[0].why[0]
    assert secret not in repr(told)


def test_a_host_that_does_not_answer_needs_a_person() -> None:
    """An ISE server without an answer is told, although both PI servers are well."""
    assert found(plan(), Verdict.UNREACHABLE) is Condition.NEEDS_A_PERSON
