"""Before a password is typed: the host is looked at again, and shows a certificate that is confirmed or overridden."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import pytest
from certificate_kit import NOW, key_of, make, seen
from incident_kit import Incident
from site_kit import ISE, SECONDARY

from runbook_lib.certificates.expectation import Knowledge
from runbook_lib.certificates.facts import sha256_of
from runbook_lib.decisions import Override
from runbook_lib.errors import CertificateMoved, DeletionRefused
from runbook_lib.models import Inventory, Presented, Stage, Vantage, Verdict
from runbook_lib.repair import primary_pages
from runbook_lib.repair.confirmation import FACTS as OVERRIDES
from runbook_lib.repair.confirmation import confirmed_web_certificate, overrides_of, require_confirmed
from runbook_lib.repair.inventory import KNOWLEDGE_FACTS as EXPECTATIONS
from runbook_lib.repair.inventory import recorded_inventory
from runbook_lib.repair.primary_pages import PrimaryPages
from runbook_lib.web import launching
from runbook_lib.web import pages as web_pages
from runbook_lib.web.browser import PinnedBrowser

NEW, OTHER = (make("prime-sec", key=key_of("ec", number)).der for number in (4, 6))
HERE, SELF, PEER = Vantage.HERE, Vantage.SELF, Vantage.PEER
OVERRIDE = Override(
    server="primary", key=f"{SECONDARY}_8082", sha256=sha256_of(NEW), by="Ada", at_utc=NOW, reason="its console"
)


def known_by(der: bytes) -> Knowledge:
    return Knowledge(sha256=(sha256_of(der),))


@pytest.fixture
def incident(tmp_path: Path) -> Incident:
    return Incident(tmp_path, dict.fromkeys(("primary", "secondary", "ise"), Verdict.UNCONFIRMED))


def confirm(
    incident: Incident, *looks: Presented, known: Knowledge, overrides: Sequence[Override] = (), web: bool = False
) -> Any:
    """Ask whether the secondary, or the primary's web pages, may be given a password by these looks."""

    async def look(_target: object) -> tuple[Presented, ...]:
        return looks

    incident.record.write_facts(Stage.LIST, EXPECTATIONS, {"primary": known, "secondary": known}, by_person=True)
    incident.record.write_facts(Stage.LIST, OVERRIDES, tuple(overrides), by_person=True)
    context = replace(incident.context, devices=cast("Any", SimpleNamespace(look=look)))
    asked = confirmed_web_certificate(context, "primary") if web else require_confirmed(context, "secondary")
    return asyncio.run(cast("Any", asked))


def test_a_host_that_is_confirmed_is_let_through_and_no_other(incident: Incident) -> None:
    """Known and the same; unknown, another, and one that shows two certificates are refused."""
    assert confirm(incident, seen(HERE, NEW), known=known_by(NEW)).verdict is Verdict.CONFIRMED_FINGERPRINT
    for looks, known, verdict in (
        ([seen(HERE, NEW)], Knowledge(), Verdict.UNCONFIRMED),
        ([seen(HERE, NEW)], known_by(OTHER), Verdict.CONTRADICTED),
        ([seen(HERE, NEW), seen(PEER, OTHER)], Knowledge(), Verdict.CONTRADICTED),
        ([seen(HERE, NEW, stable=False)], known_by(NEW), Verdict.UNSTABLE),
        ([seen(HERE, problem="no answer")], known_by(NEW), Verdict.UNREACHABLE),
    ):
        for web in (False, True):
            with pytest.raises(DeletionRefused, match=verdict):
                confirm(incident, *looks, known=known, web=web)


def test_an_override_holds_for_its_certificate_and_its_host_and_against_unconfirmed_alone(incident: Incident) -> None:
    """A person's word for one entry is not lent to another certificate, to another host, or to a contradicted one."""
    look = seen(HERE, NEW)
    assert confirm(incident, look, known=Knowledge(), overrides=[OVERRIDE]).verdict is Verdict.UNCONFIRMED
    for other in (replace(OVERRIDE, sha256=sha256_of(OTHER)), replace(OVERRIDE, key=f"{ISE}_443")):
        with pytest.raises(DeletionRefused, match="unconfirmed"):
            confirm(incident, look, known=Knowledge(), overrides=[other])
    with pytest.raises(DeletionRefused, match="contradicted"):
        confirm(incident, look, known=known_by(OTHER), overrides=[OVERRIDE])
    assert overrides_of(incident.record) == (OVERRIDE,)


def test_another_confirmed_certificate_than_before_is_refused(incident: Incident) -> None:
    """What stage 20 confirmed is what everything since then rests on; another one is looked at there first."""
    inventory = recorded_inventory(incident.context)
    before = tuple(
        replace(each, verdict=Verdict.CONFIRMED_CHAIN) if each.target == "secondary" else each
        for each in inventory.judgements
    )
    incident.record.write_facts(Stage.LIST, "inventory", replace(inventory, judgements=before))
    assert incident.record.read_facts(Stage.LIST, "inventory", Inventory).judgements == before
    with pytest.raises(CertificateMoved, match="no longer presents"):
        confirm(incident, seen(HERE, NEW), known=known_by(NEW))


def test_web_pages_are_confirmed_from_where_the_browser_is(incident: Incident) -> None:
    """The browser runs here: what is seen from elsewhere alone, or here once and then no more, opens none."""
    assert confirm(incident, seen(HERE, NEW), seen(SELF, NEW), known=known_by(NEW), web=True) == NEW
    for here in (seen(HERE, problem="no answer"), seen(HERE, NEW, problem="no answer")):
        with pytest.raises(DeletionRefused, match="do not answer from this machine"):
            confirm(incident, here, seen(SELF, NEW), known=known_by(NEW), web=True)


@pytest.mark.parametrize("confirmed", [True, False])
def test_the_browsers_driver_starts_beside_the_looks_and_ends_with_the_pages(
    incident: Incident, confirmed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser is opened only by a certificate that is confirmed; where it is not, what has started is ended."""
    told: list[str] = []
    begun = asyncio.Event()

    @asynccontextmanager
    async def driver() -> AsyncIterator[str]:
        told.append("driver")
        begun.set()
        yield "the driver"
        told.append("driver ended")

    async def look(*_: object) -> bytes:
        async with asyncio.timeout(30):
            await begun.wait()
        told.append("confirmed")
        if not confirmed:
            raise DeletionRefused("not confirmed")
        return NEW

    @asynccontextmanager
    async def browser(*given: object) -> AsyncIterator[None]:
        told.append(f"browser by {given[-1]}")
        yield

    async def opened() -> None:
        pages = PrimaryPages(replace(incident.context, site=site))
        try:
            await pages.open()
        finally:
            await pages.close()

    site = incident.context.site.model_copy(update={"browser": "/bin/true"})
    monkeypatch.setattr(launching, "driver", driver)
    monkeypatch.setattr(primary_pages, "confirmed_web_certificate", look)
    monkeypatch.setattr(primary_pages, "web_access", lambda _: Mock())
    monkeypatch.setattr(PinnedBrowser, "open", browser)
    monkeypatch.setattr(web_pages, "PrimePages", Mock(return_value=AsyncMock()))
    with nullcontext() if confirmed else pytest.raises(DeletionRefused):
        asyncio.run(opened())
    assert told == ["driver", "confirmed", *(["browser by the driver"] if confirmed else ()), "driver ended"]
