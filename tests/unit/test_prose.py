"""Nothing is decided by prose: a sentence may be said in other words, and no outcome, picture or report changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from incident_kit import Incident

from runbook_lib.batch.site_run import saw_contradiction
from runbook_lib.models import Inventory, Outcome, Stage, Verdict
from runbook_lib.observations import Check, CheckKind, with_kinds
from runbook_lib.record import journal
from runbook_lib.record.artifacts import note_template, versions
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import NOT_SENT, About, Kind, LineTopic, read_about
from runbook_lib.record.stages import pending_changes
from runbook_lib.repair import proof
from runbook_lib.repair.confirmation import what_settles
from runbook_lib.repair.ha_state import REGISTRATION
from runbook_lib.repair.planned_changes import REMOVAL, adding, attempt
from runbook_lib.repair.sent_changes import (
    INVENTORY_FACTS,
    change_history,
    change_intents,
    deletion_intents,
    interrupted_deletions,
    unseen_changes,
)
from runbook_lib.show.report import post_mortem
from runbook_lib.show.trust import Agreement, trust_as_planned, trust_as_verified

ADDRESSES = {"primary": "192.0.2.10:8082", "secondary": "192.0.2.20:8082", "ise": "192.0.2.30:443"}
NAMES = {
    "entry of secondary on the primary": (CheckKind.ENTRY, "primary", "secondary"),
    "certificate of secondary": (CheckKind.CERTIFICATE, "", "secondary"),
    "HA state of the secondary": (CheckKind.HA_STATE, "secondary", ""),
    "new mismatches in the primary's logs": (CheckKind.MISMATCHES, "primary", ""),
    "new mismatches in the logs": (CheckKind.MISMATCHES, "", ""),
    "deletion of 192.0.2.30_443 on the primary": (CheckKind.DELETION, "primary", "192.0.2.30_443"),
    "ISE server ise (192.0.2.30)": (CheckKind.ISE_PAGE, "", "ise"),
    "ISE's own word on its certificate: ise": (CheckKind.ISE_API, "", "ise"),
    "ISE's imported certificate: ise": (CheckKind.ISE_IMPORTED, "", "ise"),
}
"""The names that checks had when they had no kind, and what each is about."""


def named(name: str, ok: bool | None = True) -> Check:
    """Return the check as a record of before holds it."""
    actual = {"entry": "192.0.2.20_8082, prime-sec_8082", "certificate": "a" * 64}.get(name.split()[0], "seen")
    return Check(name=name, expected="", actual=actual, ok=ok, note="confirmed_key, seen from here")


@pytest.mark.parametrize("name", NAMES)
def test_a_check_of_before_is_known_by_the_name_that_it_had(name: str) -> None:
    """Records that were written before a check had a kind still read; what was seen is data again."""
    (check,) = with_kinds([named(name)])
    assert (check.kind, check.server, check.target) == NAMES[name]
    entry, certificate = check.kind is CheckKind.ENTRY, check.kind is CheckKind.CERTIFICATE
    assert check.verdict is (Verdict.CONFIRMED_KEY if certificate else None)
    assert check.values == (("192.0.2.20_8082", "prime-sec_8082") if entry else ("a" * 64,) if certificate else ())


@pytest.mark.parametrize("ok", [True, None, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_check_by_another_name_changes_no_outcome_and_no_picture(tmp_path: Path, name: str, ok: bool | None) -> None:
    """Its kind and what was seen as data decide; its name and its note are for people."""
    incident = Incident(tmp_path)
    incident.sent("primary", "192.0.2.20_8082")
    checks = with_kinds([named(each, ok if each == name else True) for each in NAMES])
    renamed = tuple(replace(check, name=f"({n})", note="", actual="-") for n, check in enumerate(checks))
    assert proof.outcome_of(incident.context, renamed) is proof.outcome_of(incident.context, checks)
    before, after = (trust_as_verified(ADDRESSES, each) for each in (checks, renamed))
    assert [replace(link, ground="") for link in after.links] == [replace(link, ground="") for link in before.links]
    assert after.hosts == before.hosts


@pytest.mark.parametrize("verdict", [Verdict.UNCONFIRMED, Verdict.CONTRADICTED, Verdict.CONFIRMED_KEY])
def test_a_plans_row_for_another_reason_draws_the_same_picture(tmp_path: Path, verdict: Verdict) -> None:
    """What keeps an entry from being deleted is data; rows of before said it at their reason's beginning."""
    incident = Incident(tmp_path, {"secondary": verdict})
    plan, inventory = incident.plan(), incident.record.read_facts(Stage.LIST, INVENTORY_FACTS, Inventory)
    reworded = replace(plan, rows=tuple(replace(row, reason="") for row in plan.rows))
    of_before = replace(plan, rows=tuple(replace(row, by_verdict=None) for row in plan.rows))
    pictures = (trust_as_planned(each, inventory) for each in (plan, reworded, of_before))
    drawn = [[link.agreement for link in picture.links] for picture in pictures]
    assert drawn[0] == drawn[1] == drawn[2]
    assert set(drawn[0]) == {Agreement.DIFFER, Agreement.NOTHING}


@pytest.mark.parametrize("verdict", [Verdict.UNCONFIRMED, Verdict.CONTRADICTED, Verdict.UNREACHABLE])
def test_what_settles_a_plan_is_said_whatever_words_block_it(tmp_path: Path, verdict: Verdict) -> None:
    """Which host it waits for is data of its rows; its sentences are for people."""
    incident = Incident(tmp_path, {"secondary": verdict})
    plan = incident.plan()
    reworded = replace(plan, blocked=("other words",), rows=tuple(replace(row, reason="") for row in plan.rows))
    (said,) = what_settles(incident.record, plan)
    assert said[0] is verdict
    assert said[1].startswith("secondary: ")
    assert what_settles(incident.record, reworded) == (said,)
    assert what_settles(incident.record, replace(plan, blocked=(), rows=())) == ()


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("HA state of the secondary", Outcome.REPAIRED_UNVERIFIED),
        ("new mismatches in the primary's logs", Outcome.REPAIRED),
        ("ISE's own word on its certificate: ise", Outcome.REPAIRED),
        ("ISE's imported certificate: ise", Outcome.REPAIRED_UNVERIFIED),
        ("deletion of 192.0.2.30_443 on the primary", Outcome.UNKNOWN),
    ],
)
def test_what_a_check_is_about_decides_what_its_silence_is_worth(tmp_path: Path, name: str, outcome: Outcome) -> None:
    """Logs and an API that are not at hand leave a repair proven; a deletion of which nobody knows does not."""
    incident = Incident(tmp_path)
    incident.sent("primary", "192.0.2.20_8082")
    checks = with_kinds([named(each, None if each == name else True) for each in NAMES])
    assert proof.outcome_of(incident.context, checks) is outcome


# -- the journal ----------------------------------------------------------------------------------


def told(record: Record, template: Path) -> dict[str, object]:
    """Leave one line of each topic that decides something, and return what readers make of them."""
    for key in ("192.0.2.20_8082", "192.0.2.30_443"):
        record.intend(Stage.DELETE, "primary", About(topic=LineTopic.DELETE, name=key, command=f"deletecert {key}"))
    record.pending_changes()[0].not_sent()
    record.intend(Stage.REGISTER, "primary", REMOVAL).not_sent("it did not connect")
    record.intend(Stage.REGISTER, "primary", REGISTRATION).result("not sent: so it says itself")
    record.intend(Stage.READD_ISE, "primary", adding("ise"))
    note_template(record, Stage.LIST, template)
    note_template(record, Stage.VERIFY, template, by_hand=True)
    seen = About(topic=LineTopic.CERTIFICATE, name="192.0.2.20:8082", seen=Verdict.CONTRADICTED)
    record.journal.append(Kind.OBSERVED, text=seen, seen="another one than the CSR's")
    lines = record.journal.read().lines
    return {
        "deletions": sorted(deletion_intents(record)),
        "interrupted": [(each.key, each.command) for each in interrupted_deletions(record)],
        "changes": [what for what, _ in change_intents(record)],
        "pending": [line.about.subject for line in pending_changes(lines)],
        "notebooks": [(each.stage, each.about.topic is LineTopic.TEMPLATE_BY_HAND) for each in versions(lines)],
        "contradicted": saw_contradiction(record, 0),
        "report": [(each.key, each.tone) for each in post_mortem(record.folder).changes],
        "tones": [each.tone for each in post_mortem(record.folder).moments if each.kind is Kind.OBSERVED],
    }


def test_a_line_in_other_words_is_read_as_what_it_is_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent, what never left, what is pending, which notebook ran, what a look contradicted: by data alone."""
    template = tmp_path / "a.ipynb"
    template.write_text("{}")
    monkeypatch.setattr(journal, "_SENTENCES", {topic: f"({n}) {{name}}" for n, topic in enumerate(LineTopic)})
    incident = Incident(tmp_path, listed=False)
    entry = About(topic=LineTopic.DELETE, name="192.0.2.30_443")
    assert told(incident.record, template) == {
        "deletions": [("primary", entry.name)],
        "interrupted": [(entry.name, f"deletecert {entry.name}")],
        "changes": [REGISTRATION, adding("ise")],
        "pending": [entry, adding("ise")],
        "notebooks": [(Stage.LIST, False), (Stage.VERIFY, True)],
        "contradicted": True,
        "report": [("192.0.2.20_8082", "quiet"), (entry.name, "bad"), ("", "quiet"), ("", "doubt"), ("", "bad")],
        "tones": ["bad"],
    }
    past = change_history(incident.context)
    assert [attempt(past, what) for what in (REMOVAL, REGISTRATION, adding("ise"), adding("ise2"))] == [1, 2, 2, 1]
    assert unseen_changes(incident.record) == [("primary", entry), ("primary", adding("ise"))]


@pytest.mark.parametrize(
    ("kind", "stage", "text", "seen", "read"),
    [
        ("intent", "40_register_ha", "register HA", "", REGISTRATION),
        ("intent", "40_register_ha", "ncs ha remove", "", REMOVAL),
        ("result", "40_register_ha", "register HA", "not sent: no button", replace(REGISTRATION, seen=NOT_SENT)),
        ("result", "40_register_ha", "register HA", "refused: not sent: x", REGISTRATION),
        ("sent", "50_readd_ise", "add ISE server ise", "", adding("ise")),
        ("intent", "50_readd_ise", "remove ISE server ise", "", About(topic=LineTopic.REMOVE_ISE, name="ise")),
        (
            "intent",
            "30_delete_stale_certificates",
            "a_1",
            "",
            About(topic=LineTopic.DELETE, name="a_1", command="del a_1"),
        ),
        ("noted", "", "template notebook", "", About(topic=LineTopic.TEMPLATE)),
        ("noted", "", "register HA", "", About(name="register HA")),
        ("intent", "fleet", "wave 1", "", About(name="wave 1")),
        (
            "observed",
            "20_list_certificates",
            "certificate of 192.0.2.20:8082",
            "contradicted: it differs",
            About(topic=LineTopic.CERTIFICATE, name="192.0.2.20:8082", seen="contradicted"),
        ),
    ],
)
def test_a_line_of_before_is_read_by_the_sentence_that_it_has(
    kind: str, stage: str, text: str, seen: str, read: About
) -> None:
    """Records that were written before a line had an ``about`` say the same as before."""
    line = {"kind": kind, "stage": stage, "expected": "del a_1 (approved by A)", "seen": seen, "text": text}
    assert read_about(line) == read


@pytest.mark.parametrize(
    "value",
    [{}, [], {"topic": "other"}, {"topic": "x"}, {"topic": "delete", "of": "x"}, {"topic": "delete", "name": ""}],
)
def test_an_about_that_is_never_written_is_refused(value: object) -> None:
    """A line that holds one is damaged: an unknown topic, another key, an empty text."""
    with pytest.raises(ValueError, match="about"):
        read_about({"about": value})
