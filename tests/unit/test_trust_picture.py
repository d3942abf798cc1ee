"""The picture of who trusts whom: what it concludes, on what ground, and that it says so in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from incident_kit import INVENTORY_FACTS, Incident

from runbook_lib.decisions import Decision, Plan
from runbook_lib.models import Inventory, Stage, Verdict
from runbook_lib.observations import Check
from runbook_lib.show.trust import (
    UNSEEN,
    Agreement,
    Trust,
    Trusts,
    addresses_of,
    draw_trust,
    drawn_and_said,
    trust_as_planned,
    trust_as_verified,
)


def listed(folder: Path, verdicts: dict[str, Verdict] | None = None) -> tuple[Plan, Inventory]:
    """A plan and its inventory of a site with one ISE server."""
    incident = Incident(folder, verdicts)
    inventory = incident.record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory)
    return incident.plan(), replace(inventory, judgements=inventory.judgements[:3])


def link(trusts: Trusts, server: str, target: str) -> Trust:
    return next(each for each in trusts.links if (each.server, each.target) == (server, target))


def verified(*, wrong: tuple[str, ...] = (), unknown: tuple[str, ...] = ()) -> tuple[Check, ...]:
    """The checks of a repair that held, but for those that are named."""
    names = {
        "entry of secondary on the primary": "192.0.2.20_8082",
        "entry of primary on the secondary": "192.0.2.10_8082",
        "entry of ise on the primary": "192.0.2.30_443",
        "HA state of the primary": "Primary Active",
        "HA state of the secondary": "Secondary Syncing",
        "certificate of primary": "a" * 64,
        "certificate of secondary": "b" * 64,
        "certificate of ise": "c" * 64,
        "ISE server ise (192.0.2.30)": "Reachable",
        "new mismatches in the primary's logs": "none",
        "new mismatches in the secondary's logs": "none",
    }
    assert set(wrong) | set(unknown) <= set(names)
    ok = dict.fromkeys(wrong, False) | dict.fromkeys(unknown)
    return tuple(
        Check(name=name, expected="", actual=actual, ok=ok.get(name, True), note="confirmed_key, seen from here")
        for name, actual in names.items()
    )


def test_a_mismatch_in_a_log_breaks_the_trust(tmp_path: Path) -> None:
    """What is to be deleted does not agree, on the log's word; nobody saw the stored certificate."""
    trusts = trust_as_planned(*listed(tmp_path))
    assert [each.agreement for each in trusts.links] == [Agreement.DIFFER] * 3
    assert {each.ground for each in trusts.links} == {"a log reports a mismatch"}


def test_an_entry_of_which_no_log_complains_is_trusted(tmp_path: Path) -> None:
    """Already right by the plan: it agrees, and the plan's reason is the ground."""
    trusts = trust_as_planned(*listed(tmp_path, {"secondary": Verdict.UNCHANGED}))
    assert link(trusts, "primary", "secondary").agreement is Agreement.AGREE


def test_a_blocking_verdict_leaves_the_logs_word(tmp_path: Path) -> None:
    """Not confirmed: the mismatch that the log reports is there all the same."""
    trusts = trust_as_planned(*listed(tmp_path, {"secondary": Verdict.UNCONFIRMED}))
    assert link(trusts, "primary", "secondary").agreement is Agreement.DIFFER


def test_what_the_plan_cannot_tell_is_not_drawn_as_known(tmp_path: Path) -> None:
    """An entry whose mismatch may mean another one is neither solid nor called broken."""
    plan, inventory = listed(tmp_path)
    doubtful = replace(plan.rows[0], target="ise", verdict=Verdict.CONFIRMED_KEY, reason="fits another one too")
    trusts = trust_as_planned(replace(plan, rows=(replace(doubtful, decision=Decision.CANNOT_TELL),)), inventory)
    assert link(trusts, "primary", "ise").agreement is Agreement.UNKNOWN
    assert link(trusts, "primary", "secondary").agreement is Agreement.NOTHING


def test_of_two_entries_the_worse_one_counts(tmp_path: Path) -> None:
    """A host stored by name and by address: one stale entry breaks the connection, and both keys are named."""
    plan, inventory = listed(tmp_path)
    rows = [row for row in plan.rows if row.target == "secondary"]
    other = replace(rows[0], key="prime-sec_8082", decision=Decision.ALREADY_RIGHT, reason="")
    found = link(trust_as_planned(replace(plan, rows=(other, *rows)), inventory), "primary", "secondary")
    assert found.agreement is Agreement.DIFFER
    assert found.keys == ("prime-sec_8082", "192.0.2.20_8082")


def test_a_verified_repair_is_solid_all_over(tmp_path: Path) -> None:
    """Each trust agrees where everything that was checked of it holds."""
    trusts = trust_as_verified(addresses_of(listed(tmp_path)[1]), verified())
    assert [each.agreement for each in trusts.links] == [Agreement.AGREE] * 3
    assert [host.confirmed for host in trusts.hosts] == [True] * 3


@pytest.mark.parametrize(
    ("name", "server", "target", "agreement"),
    [
        ("certificate of secondary", "primary", "secondary", Agreement.UNKNOWN),
        ("HA state of the secondary", "secondary", "primary", Agreement.UNKNOWN),
        ("ISE server ise (192.0.2.30)", "primary", "ise", Agreement.UNKNOWN),
        ("entry of ise on the primary", "primary", "ise", Agreement.NOTHING),
        ("new mismatches in the secondary's logs", "secondary", "primary", Agreement.DIFFER),
        ("new mismatches in the primary's logs", "primary", "secondary", Agreement.UNKNOWN),
    ],
)
def test_a_check_that_failed_is_taken_for_no_more_than_it_says(
    tmp_path: Path, name: str, server: str, target: str, agreement: Agreement
) -> None:
    """Only new mismatches that can mean nobody else say that two certificates differ."""
    trusts = trust_as_verified(addresses_of(listed(tmp_path)[1]), verified(wrong=(name,)))
    assert link(trusts, server, target).agreement is agreement


@pytest.mark.parametrize(
    "name", ["HA state of the primary", "certificate of primary", "entry of primary on the secondary"]
)
def test_a_check_that_is_not_known_leaves_the_trust_unknown(tmp_path: Path, name: str) -> None:
    """Nothing is drawn solid on a check that nobody made; its name is the ground."""
    found = link(
        trust_as_verified(addresses_of(listed(tmp_path)[1]), verified(unknown=(name,))), "secondary", "primary"
    )
    assert found.agreement is Agreement.UNKNOWN
    assert name in found.ground


def test_logs_that_are_not_at_hand_are_said_and_do_not_outweigh_the_servers(tmp_path: Path) -> None:
    """Both servers' word is enough; that no log was read stands beside it."""
    unknown = ("new mismatches in the secondary's logs",)
    found = link(
        trust_as_verified(addresses_of(listed(tmp_path)[1]), verified(unknown=unknown)), "secondary", "primary"
    )
    assert found.agreement is Agreement.AGREE
    assert "no logs were available" in found.ground


def test_solid_is_only_what_agrees_and_each_arrow_has_its_word(tmp_path: Path) -> None:
    """Dashes and the word say the same; the colour adds nothing."""
    for trusts in (
        trust_as_planned(*listed(tmp_path / "a")),
        trust_as_verified(addresses_of(listed(tmp_path / "b")[1]), verified(unknown=("certificate of ise",))),
    ):
        drawn = ElementTree.fromstring(draw_trust(trusts).inline())
        shown = [node.text for node in drawn.iter("{http://www.w3.org/2000/svg}text")]
        lines = [node for node in drawn.iter("{http://www.w3.org/2000/svg}path") if node.get("stroke-width") == "2"]
        arrows = [node for node in lines if "line" in node.get("class", "") and "L" in node.get("d", "")]
        broken = [node for node in arrows if node.get("stroke-dasharray")]
        wrong = [each for each in trusts.links if each.agreement is not Agreement.AGREE]
        assert len(broken) == len(wrong) + 1  # one in the legend
        for each in trusts.links:
            assert each.agreement.value in shown


def test_the_words_say_what_the_picture_says_and_what_nobody_saw(tmp_path: Path) -> None:
    """One sentence per arrow with its entry, its ground, and that the product shows no fingerprint."""
    plan, inventory = listed(tmp_path)
    words = drawn_and_said(trust_as_planned(plan, inventory)).words
    assert (
        "On the primary, the entry of ise (192.0.2.30_443) does not agree with the certificate that it presents."
        in words
    )
    assert words.count("Reason: a log reports a mismatch.") == 3
    assert words[-1] == UNSEEN


def test_a_site_without_ise_servers_is_drawn_without_their_column(tmp_path: Path) -> None:
    """Two boxes, two arrows."""
    plan, inventory = listed(tmp_path)
    pair = trust_as_planned(plan, replace(inventory, judgements=inventory.judgements[:2]))
    assert draw_trust(pair).width < draw_trust(trust_as_planned(plan, inventory)).width
    assert len(pair.links) == 2
