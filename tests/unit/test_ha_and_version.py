"""What a server says of high availability and of its release."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest

from runbook_lib.device.answers import HA_STATES, StateKind, kind_of_state, parse_ha_status, parse_version
from runbook_lib.params.model import Site
from runbook_lib.repair.ha_state import ha_states_in_words, served_by_secondary


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("Primary Active", StateKind.HEALTHY),
        ("secondary  SYNCING", StateKind.HEALTHY),
        ("HA not Configured", StateKind.NOT_CONFIGURED),
        ("Primary Syncing", StateKind.IN_TRANSITION),
        ("Primary Lost Secondary", StateKind.BROKEN),
        ("Primary Actively Confused", StateKind.UNKNOWN),
        ("", StateKind.UNKNOWN),
    ],
)
def test_a_state_that_no_table_knows_stays_unknown(state: str, kind: StateKind) -> None:
    """A state is looked up whatever its case and spacing; one that no table knows stays unknown."""
    assert kind_of_state(state) is kind


def test_site_words_win_over_the_table() -> None:
    """A site can add a word of its own, and name another kind for one of ours."""
    more = {"Primary Rejoining": StateKind.IN_TRANSITION, "Secondary Active": StateKind.HEALTHY}
    assert kind_of_state("primary rejoining", more) is StateKind.IN_TRANSITION
    assert kind_of_state("Secondary Active", more) is StateKind.HEALTHY


def test_states_are_written_as_they_are_looked_up() -> None:
    """Every state of the table can be found."""
    assert all(kind_of_state(state) is kind for state, kind in HA_STATES.items())


def test_both_states_in_one_answer_are_a_look_and_no_decision() -> None:
    """A server that says its peer's state too stops no look; nobody knows its own, and nobody calls the peer active."""
    text = "[Role] Primary [State] Primary Active\n[Role] Secondary [State] Secondary {} [Failover Type] Manual\n"
    for word, serves in (("Syncing", False), ("Active", True)):
        now = datetime.now(UTC)
        states = [parse_ha_status(text.format(word), server, now) for server in ("primary", "secondary")]
        assert {kind_of_state(status.state) for status in states} == {StateKind.UNKNOWN}
        assert [status.role for status in states] == ["", ""]
        assert served_by_secondary(states) is serves


def test_a_secondary_that_calls_itself_the_active_primary_serves() -> None:
    """The site's file may name the servers the other way round: nothing is registered over the one that is active."""
    now = datetime.now(UTC)
    own = {"primary": "Secondary Syncing", "secondary": "Primary Active"}
    assert served_by_secondary(parse_ha_status(f"[State] {state}\n", server, now) for server, state in own.items())


def test_a_role_is_named_where_it_is_not_the_servers_own() -> None:
    """No line stutters, and servers that are crossed are still told apart."""
    answers = {"primary": "[Role] Primary [State] Primary Active", "secondary": "[Role] Primary [State] Primary Alone"}
    states = [parse_ha_status(f"{text}\n", server, datetime.now(UTC)) for server, text in answers.items()]
    assert ha_states_in_words(states) == "primary: Primary Active; secondary: Primary, Primary Alone"


def test_release_3_10_is_later_than_3_5() -> None:
    """Releases compare as numbers, not as text."""
    text = "Cisco Prime Infrastructure\n****\nVersion : {}\n"
    assert parse_version(text.format("3.10.0"), "p").release > parse_version(text.format("3.5"), "p").release


def test_the_kinds_of_the_sites_file_are_those_of_the_table() -> None:
    """``ha_states`` of a site's file takes every kind but “unknown”, in the table's own words."""
    kinds = get_args(get_args(Site.model_fields["ha_states"].annotation)[1])
    assert set(kinds) == set(StateKind) - {StateKind.UNKNOWN}


def test_the_highest_fix_is_what_runs() -> None:
    """Whatever their order, and compared as numbers: 3.10.10 is later than 3.10.4."""
    fixes = "".join(f"        PI {fix} ( 1.0.0 )\n" for fix in ("3.10.2", "3.10.10", "3.10.4"))
    said = f"\nCisco Prime Infrastructure\n*****\nVersion : 3.10.0\nBuild : 3.10.0.0.1\nCritical Fixes:\n{fixes}"
    version = parse_version(said, "primary")
    assert (version.release, version.base) == ((3, 10, 10), (3, 10, 0))
