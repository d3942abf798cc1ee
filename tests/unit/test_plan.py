"""The plan: which entries are deleted, which are not and why, and the digest over it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from certificate_kit import NOW
from hypothesis import given, settings
from hypothesis import strategies as st
from site_kit import ISE, ISE2, PRIMARY, SECONDARY, site_with

from runbook_lib.decisions import Decision, Override, Plan, PlanRow, canonical_json
from runbook_lib.models import CertificateFacts, HaStatus, Inventory, Judgement, TofuEntry, TofuStore, Vantage, Verdict
from runbook_lib.observations import Damage, Diagnosis, LogLine, Mismatch, NotALog
from runbook_lib.params.model import Site
from runbook_lib.repair.confirmation import overrides_in_words
from runbook_lib.repair.context import is_own, target_of
from runbook_lib.repair.plan import make_plan
from runbook_lib.repair.sent_changes import ChangeHistory, Undecided
from runbook_lib.show import tables

SITE = site_with()
HOUR = timedelta(hours=1)
SHA = {name: letter * 64 for name, letter in (("primary", "a"), ("secondary", "b"), ("ise", "c"), ("ise2", "d"))}
CN = {"primary": "prime-pri", "secondary": "prime-sec", "ise": "ISE-server", "ise2": "ISE-second"}
KEYS = {"primary": f"{PRIMARY}_8082", "secondary": f"{SECONDARY}_8082", "ise": f"{ISE}_443", "ise2": f"{ISE2}_443"}
SUBJECT = "/C=US/O=Cisco Systems/CN={}"


def entry(key: str, cn: str) -> TofuEntry:
    host, _, port = key.rpartition("_")
    subject = SUBJECT.format(cn)
    return TofuEntry(key=key, host=host, port=int(port), subject=subject, line=f"host={key};  subject= {subject}")


def of(name: str, *, key: str = "", cn: str = "") -> TofuEntry:
    return entry(key or KEYS[name], cn or CN[name])


PRIMARYS = (of("primary"), of("ise"), of("secondary"))
SECONDARYS = (of("secondary"), of("secondary", key="127.0.0.1_8082"), of("primary"))


def judged(name: str, verdict: Verdict, cn: str = "") -> Judgement:
    facts = CertificateFacts(
        sha256=SHA[name],
        spki_sha256="e" * 64,
        subject=f"CN={cn or CN[name]},O=Cisco Systems,C=US",
        issuer="CN=x",
        serial="1",
        not_before_utc=NOW,
        not_after_utc=NOW,
        key_type="EC",
        key_bits=256,
        signature_hash="sha256",
        names=(),
    )
    seen_any = verdict is not Verdict.UNREACHABLE
    return Judgement(
        target=name,
        host="192.0.2.1",
        port=1,
        verdict=verdict,
        reason=f"because {verdict}",
        expectation="",
        facts=facts if seen_any else None,
        seen_from=(Vantage.HERE, Vantage.PEER) if seen_any else (),
    )


def mismatch(
    server: str, cn: str, *, last: datetime | None = NOW, subject: str = "", place: str = "unknown"
) -> Mismatch:
    return Mismatch(
        server=server,
        place=place,
        subject=subject or f"CN={cn}, O=Cisco Systems, C=US",
        threads=(),
        count=1,
        first_utc=last,
        last_utc=last,
        evidence=(LogLine(source="hm.log", number=7, text="TOFU failed"),),
    )


MISMATCHES = (
    mismatch("primary", "prime-sec"),
    mismatch("primary", "", subject="CN=ISE-server"),
    mismatch("secondary", "prime-pri"),
)


def ha(primary: str = "HA not Configured", secondary: str = "HA not Configured") -> tuple[HaStatus, ...]:
    states = (("primary", primary), ("secondary", secondary))
    return tuple(HaStatus(server=server, role="", state=state, read_utc=NOW) for server, state in states)


HEALTHY = ha("Primary Active", "Secondary Syncing")


def planned(
    *,
    primary: tuple[TofuEntry, ...] = PRIMARYS,
    secondary: tuple[TofuEntry, ...] = SECONDARYS,
    verdicts: dict[str, Verdict] | None = None,
    cns: dict[str, str] | None = None,
    mismatches: tuple[Mismatch, ...] = MISMATCHES,
    no_logs: tuple[str, ...] = (),
    not_logs: tuple[NotALog, ...] = (),
    log_end: dict[str, datetime] | None = None,
    end_assumed: bool = False,
    read: datetime | None = None,
    read_past: datetime | None = None,
    damaged: tuple[Damage, ...] = (),
    states: tuple[HaStatus, ...] | None = None,
    settled: dict[tuple[str, str], datetime] | None = None,
    undecided: dict[tuple[str, str], Undecided] | None = None,
    here: tuple[tuple[str, str], ...] = (),
    overrides: tuple[Override, ...] = (),
    site: Site = SITE,
    now: datetime = NOW,
    incident: str = "I",
) -> Plan:
    """The plan of the published incident, all three verdicts confirmed, with what is given changed."""
    verdicts = dict.fromkeys(SHA, Verdict.CONFIRMED_KEY) | (verdicts or {})
    inventory = Inventory(
        stores=(
            TofuStore(server="primary", entries=primary, read_utc=now),
            TofuStore(server="secondary", entries=secondary, read_utc=now),
        ),
        presented=(),
        judgements=tuple(judged(name, verdicts[name], (cns or {}).get(name, "")) for name in SHA),
        ha=ha() if states is None else states,
    )
    diagnosis = Diagnosis(
        mismatches=mismatches,
        no_logs=no_logs,
        not_logs=not_logs,
        log_end_utc=log_end or {},
        damaged=damaged,
        ends_assumed=("primary",) if end_assumed else (),
        read_utc=read,
    )
    past = ChangeHistory(
        gone_utc=settled or {}, undecided=undecided or {}, sent_here=frozenset(here), now_utc=read_past
    )
    return make_plan(site, incident, diagnosis, inventory, past, now_utc=now, overrides=overrides)


def deleted(plan: Plan) -> set[tuple[str, str]]:
    return {(row.server, row.key) for row in plan.deletions}


def row_of(plan: Plan, server: str, key: str) -> PlanRow:
    return next(row for row in plan.rows if (row.server, row.key) == (server, key))


ALL_THREE = {("primary", KEYS["secondary"]), ("primary", KEYS["ise"]), ("secondary", KEYS["primary"])}


# -- what is deleted -------------------------------------------------------------------------------


def test_the_published_incident_is_three_deletions() -> None:
    """Secondary's and ISE's entry on the primary, primary's on the secondary, with all that speaks for it."""
    plan = planned()
    assert deleted(plan) == ALL_THREE
    assert plan.blocked == ()
    assert len(plan.rows) == len(PRIMARYS) + len(SECONDARYS)
    row = row_of(plan, "primary", KEYS["secondary"])
    assert row.command == f"ncs certvalidation tofu-certs deletecert host {KEYS['secondary']}"
    assert (row.target, row.verdict, row.confirmed_sha256) == ("secondary", Verdict.CONFIRMED_KEY, SHA["secondary"])
    assert (row.seen_from, row.evidence, row.override) == (("here", "peer"), ("hm.log:7", "hm.log:7"), "")


@pytest.mark.parametrize("verdict", list(Verdict))
def test_each_verdict_has_its_outcome(verdict: Verdict) -> None:
    """Confirmed: delete. Unchanged: already right. Contradicted: left alone. Others: cannot tell. Blocked."""
    plan = planned(verdicts={"secondary": verdict})
    row = row_of(plan, "primary", KEYS["secondary"])
    expected = {Verdict.UNCHANGED: Decision.ALREADY_RIGHT, Verdict.CONTRADICTED: Decision.LEFT_ALONE}
    outcome = Decision.DELETE if verdict.confirmed else expected.get(verdict, Decision.CANNOT_TELL)
    assert row.decision is outcome
    assert bool(row.command) == bool(row.confirmed_sha256) == verdict.confirmed
    assert bool(plan.blocked) == (not verdict.confirmed and verdict is not Verdict.UNCHANGED)
    assert row.verdict is verdict


@pytest.mark.parametrize("access", [True, False])
def test_a_row_says_from_where_its_host_was_not_seen(access: bool) -> None:
    """Who approves sees what confirmed a certificate, and what of the vantages saw nothing and why."""
    problems = ((Vantage.SELF, "no access"), (Vantage.PEER, "no TLS handshake within 5 s\nwhere: there"))
    seen = replace(judged("secondary", Verdict.CONFIRMED_KEY), seen_from=(Vantage.HERE,), not_available=problems)
    others = tuple(judged(name, Verdict.CONFIRMED_KEY) for name in ("primary", "ise", "ise2"))
    stores = tuple(TofuStore(server=s, entries=PRIMARYS, read_utc=NOW) for s in ("primary", "secondary"))
    inventory = Inventory(stores=stores, presented=(), judgements=(seen, *others), ha=ha())
    site = SITE.model_copy(update={"secondary": SITE.secondary.model_copy(update={} if access else {"ssh": None})})
    plan = make_plan(site, "i", Diagnosis(mismatches=MISMATCHES), inventory, ChangeHistory(), now_utc=NOW)
    row = row_of(plan, "primary", KEYS["secondary"])
    said = ("self: no access",) * access + ("peer: no TLS handshake within 5 s",)
    assert (row.decision, row.not_seen_from) == (Decision.DELETE, said)
    (shown,) = [table for table in tables.plan(plan).tables if table.title.startswith("Plan ")]
    [cells] = [each.cells for each in shown.rows if each.cells[:2] == row.place]
    assert "here\nnot from" in str(cells[6])


def test_an_entry_without_a_mismatch_is_already_right() -> None:
    """An entry of which no log line speaks is not deleted, however well its host is confirmed."""
    plan = planned(mismatches=MISMATCHES[:1])
    assert deleted(plan) == {("primary", KEYS["secondary"])}
    assert row_of(plan, "primary", KEYS["ise"]).decision is Decision.ALREADY_RIGHT


@pytest.mark.parametrize("of_whom", ["ise", "ise2"])
def test_a_contradicted_host_blocks_the_plan_though_nothing_of_it_is_stale(of_whom: str) -> None:
    """Where one host may be an impostor nothing is deleted at the site, whether an entry of it is listed or not."""
    plan = planned(mismatches=MISMATCHES[:1], verdicts={of_whom: Verdict.CONTRADICTED})
    assert any("contradicted" in reason for reason in plan.blocked)
    if of_whom == "ise":
        assert row_of(plan, "primary", KEYS["ise"]).decision is Decision.LEFT_ALONE


def test_the_evidence_of_one_server_says_nothing_of_the_others_entries() -> None:
    """A mismatch in the secondary's log does not make an entry on the primary stale."""
    plan = planned(mismatches=(mismatch("secondary", "prime-sec"),))
    assert deleted(plan) == set()
    assert any("fits no entry" in note for note in plan.notes)


def test_a_changed_cn_is_found_by_the_presented_subject() -> None:
    """After a redeployment the log names the new subject, which only the presented certificate has."""
    lines = (mismatch("primary", "brand-new"),)
    assert deleted(planned(mismatches=lines)) == set()
    assert deleted(planned(mismatches=lines, cns={"secondary": "brand-new"})) == {("primary", KEYS["secondary"])}


# -- what is never deleted -------------------------------------------------------------------------


OWN = [PRIMARY, "prime-pri", "PRIME-PRI.", "127.0.0.1", "::1", "0:0:0:0:0:0:0:1", "localhost", f"::ffff:{PRIMARY}"]
STRANGERS = ["*_8082", "$(reload)_8082", f"{SECONDARY}%eth0_8082", "prime-\u017fec_8082", "198.51.100.7_443"]


@pytest.mark.parametrize("host", OWN)
def test_own_entries_are_never_deletions(host: str) -> None:
    """It never deletes a server's own entry.

    A server's own entry stays, also where a mismatch fits it and the operator names it.
    """
    own = entry(f"{host}_8082", "prime-pri")
    site = site_with(policy={"named_entries": (f"primary {own.key}",)})
    plan = planned(primary=(own,), mismatches=(mismatch("primary", "prime-pri"),), site=site)
    row = row_of(plan, "primary", own.key)
    assert (row.decision, row.reason) == (Decision.LEFT_ALONE, "the server's own entry is never deleted")
    assert not [row for row in plan.deletions if row.server == "primary"]
    assert any(own.key in note and "nothing is done for it" in note for note in plan.notes)


@pytest.mark.parametrize("key", [*STRANGERS, f"{SECONDARY}_443", f"x{SECONDARY}_8082"])
def test_strangers_are_left_alone(key: str) -> None:
    """An entry of no host of the site stays, though its subject fits a mismatch and the operator names it."""
    site = site_with(policy={"named_entries": (f"primary {key}",)})
    plan = planned(primary=(entry(key, "prime-sec"),), site=site)
    row = row_of(plan, "primary", key)
    assert (row.decision, row.target) == (Decision.LEFT_ALONE, "")
    assert ("primary", key) not in deleted(plan)


@pytest.mark.parametrize("key", [f"{SECONDARY}_08082", f"{SECONDARY}_0008082"])
@pytest.mark.parametrize("named", [True, False])
def test_unusual_spellings_of_a_port_cannot_be_told(key: str, named: bool) -> None:
    """``08082`` may mean another entry to the device: nothing is deleted, named or not."""
    site = site_with(policy={"named_entries": (f"primary {key}",) if named else ()})
    plan = planned(primary=(entry(key, "prime-sec"),), site=site, mismatches=MISMATCHES[:1])
    assert row_of(plan, "primary", key).decision is Decision.CANNOT_TELL
    assert plan.blocked


@pytest.mark.parametrize("named", [True, False])
def test_an_entry_that_is_listed_twice_cannot_be_told(named: bool) -> None:
    """One command for two lines: nobody knows which one goes, so none does."""
    site = site_with(policy={"named_entries": (f"primary {KEYS['secondary']}",) if named else ()})
    plan = planned(primary=(*PRIMARYS, of("secondary")), site=site)
    assert [row.decision for row in plan.rows if row.key == KEYS["secondary"] and row.server == "primary"] == [
        Decision.CANNOT_TELL
    ] * 2
    assert plan.blocked


def test_two_entries_of_one_host_are_both_stale() -> None:
    """A host listed by address and by name shows one certificate: both entries go, each by its own command."""
    plan = planned(primary=(of("secondary"), of("secondary", key="prime-sec_8082")), mismatches=MISMATCHES[:1])
    assert deleted(plan) == {("primary", KEYS["secondary"]), ("primary", "prime-sec_8082")}


# -- which entry the log means ---------------------------------------------------------------------

SAME_CN = {
    "two ISE servers": ((of("ise"), of("ise2", cn=CN["ise"])), {}, KEYS["ise"], "ISE-server"),
    "primary and ISE": ((of("primary", cn="x"), of("ise", cn="x")), {}, KEYS["ise"], "x"),
    "secondary and ISE": ((of("secondary", cn="x"), of("ise", cn="x")), {}, KEYS["ise"], "x"),
    "ISE and a stranger": ((of("ise"), entry("198.51.100.7_443", CN["ise"])), {}, KEYS["ise"], "ISE-server"),
    "now presented alike": ((of("ise"), of("ise2")), {"ise2": CN["ise"]}, KEYS["ise"], "ISE-server"),
    "now presented like its own": ((of("primary"), of("ise")), {"primary": CN["ise"]}, KEYS["ise"], "ISE-server"),
}


@pytest.mark.parametrize("kind", SAME_CN)
def test_a_subject_that_fits_two_entries_is_ambiguous_until_one_is_named(kind: str) -> None:
    """The log holds no address: where its subject fits another host's entry too, the operator names the stale one."""
    entries, cns, key, cn = SAME_CN[kind]
    lines = (mismatch("primary", "", subject=f"CN={cn}"),)
    plan = planned(primary=entries, cns=cns, mismatches=lines)
    assert deleted(plan) == set()
    row = row_of(plan, "primary", key)
    assert row.decision is Decision.CANNOT_TELL
    assert f"named_entries: ['primary {key}']" in row.reason
    assert plan.blocked

    named = planned(
        primary=entries, cns=cns, mismatches=lines, site=site_with(policy={"named_entries": (f"primary {key}",)})
    )
    assert row_of(named, "primary", key).decision is Decision.DELETE


def test_naming_one_of_two_settles_the_other() -> None:
    """Once the operator has said which entry the log means, the other one is left alone and blocks nothing."""
    entries = (of("ise"), of("ise2", cn=CN["ise"]))
    site = site_with(policy={"named_entries": (f"primary {KEYS['ise']}",)})
    plan = planned(primary=entries, mismatches=MISMATCHES[1:2], site=site)
    assert row_of(plan, "primary", KEYS["ise2"]).decision is Decision.LEFT_ALONE
    assert plan.blocked == ()


def test_an_empty_list_is_not_believed_where_the_logs_belie_it() -> None:
    """An entry stands behind each mismatch that is not over: since then it was deleted here, or the log goes on."""
    hour = timedelta(hours=1)
    plan = planned(secondary=())
    assert [reason.split(":")[0] for reason in plan.blocked] == ["secondary"]
    assert CN["primary"] in plan.blocked[0]
    assert planned(secondary=(), mismatches=MISMATCHES[:2]).blocked == ()
    assert planned(secondary=(), log_end={"secondary": NOW + 25 * hour}).blocked == ()
    assert planned(secondary=(), log_end={"secondary": NOW + 23 * hour}).blocked
    gone = {("secondary", KEYS["primary"]): NOW + hour}
    assert planned(secondary=(), settled=gone).blocked == ()
    assert planned(secondary=(), settled={("primary", KEYS["secondary"]): NOW + hour}).blocked


# -- no logs ---------------------------------------------------------------------------------------


def test_without_logs_nothing_can_be_told() -> None:
    """No logs at hand: every entry of another host is undecided, and the plan says how to go on."""
    plan = planned(mismatches=(), no_logs=("primary", "secondary"))
    assert deleted(plan) == set()
    assert len(plan.blocked) == 3
    assert all("named_entries" in reason for reason in plan.blocked)
    assert "primary: no logs available" in plan.notes


def test_what_is_no_log_is_named() -> None:
    """Where a server has no logs because what was named is none, the plan names the file and what it looks like."""
    page = NotALog(source="hm.html", looks_like="a saved web page (HTML)", server="primary")
    plan = planned(mismatches=(), no_logs=("primary",), not_logs=(page,))
    assert "hm.html: this looks like a saved web page (HTML), not like a log" in plan.notes
    assert all("not like a log" not in note for note in planned(not_logs=(page,)).notes)


@pytest.mark.parametrize(("whose", "blocked"), [("primary", 2), ("secondary", 1), ("unknown", 3)])
def test_what_was_not_read_whole_calls_no_entry_right(whose: str, blocked: int) -> None:
    """No mismatch in a log that is damaged is no answer: the entries of that server are undecided, with its name."""
    damage = Damage(source="hm.log.gz", problem="damaged", server=whose)
    plan = planned(mismatches=(), damaged=(damage,))
    assert len(plan.blocked) == blocked
    assert all("hm.log.gz was not read whole" in reason for reason in plan.blocked)
    assert [row.decision for row in plan.rows].count(Decision.CANNOT_TELL) == blocked


def test_log_that_was_not_read_whole_has_no_end() -> None:
    """A mismatch is not called over by the end of a log of which the rest could not be read."""
    damage = Damage(source="hm.log.gz", problem="damaged", server="primary")
    assert ("primary", KEYS["secondary"]) in deleted(planned(log_end={"primary": NOW + 25 * HOUR}, damaged=(damage,)))


def test_without_logs_the_operator_names_entries_and_the_plan_says_so() -> None:
    """A named entry of a confirmed host is deleted without a log line; row and note say on whose word."""
    site = site_with(policy={"named_entries": (f"primary {KEYS['secondary']}", f"secondary {KEYS['primary']}")})
    plan = planned(mismatches=(), no_logs=("primary", "secondary"), site=site)
    assert deleted(plan) == {("primary", KEYS["secondary"]), ("secondary", KEYS["primary"])}
    assert "named by the operator" in row_of(plan, "primary", KEYS["secondary"]).reason
    assert sum("the operator named it" in note for note in plan.notes) == 2
    assert row_of(plan, "primary", KEYS["ise"]).decision is Decision.LEFT_ALONE
    assert plan.blocked == ()


@pytest.mark.parametrize("verdict", [v for v in Verdict if not v.confirmed])
def test_naming_does_not_stand_in_for_a_confirmation(verdict: Verdict) -> None:
    """A named entry whose host is not confirmed is not deleted."""
    site = site_with(policy={"named_entries": (f"primary {KEYS['secondary']}",)})
    plan = planned(mismatches=(), no_logs=("primary",), site=site, verdicts={"secondary": verdict})
    assert deleted(plan) == set()


def test_without_logs_healthy_servers_and_unchanged_hosts_are_already_right() -> None:
    """HA that is healthy on both servers' word, and a host that shows what it did before, need no log."""
    plan = planned(mismatches=(), no_logs=("primary", "secondary"), states=HEALTHY, verdicts={"ise": Verdict.UNCHANGED})
    assert plan.blocked == ()
    assert {row.decision for row in plan.rows if row.target} == {Decision.ALREADY_RIGHT}


# -- what is over already --------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "gone"), [(timedelta(0), True), (HOUR, True), (-timedelta(seconds=1), False)])
def test_a_mismatch_from_before_the_last_deletion_is_over(after: timedelta, gone: bool) -> None:
    """Evidence that is older than the entry's last deletion, in whichever incident, does not delete it again."""
    plan = planned(settled={("primary", KEYS["secondary"]): NOW + after})
    assert (("primary", KEYS["secondary"]) not in deleted(plan)) is gone
    assert ("primary", KEYS["ise"]) in deleted(plan)


@pytest.mark.parametrize("named", [False, True])
def test_a_deletion_that_is_dated_ahead_settles_nothing(named: bool) -> None:
    """Our own clock was set back since: what came in may be from before it or not, and a person says which."""
    key = KEYS["secondary"]
    site = naming([f"primary {key}"]) if named else SITE
    plan = planned(settled={("primary", key): NOW + 25 * HOUR}, read_past=NOW + HOUR, site=site)
    row = row_of(plan, "primary", key)
    assert row.decision is (Decision.DELETE if named else Decision.CANNOT_TELL)
    assert named or "clock was set back" in plan.blocked[0]


def test_a_deletion_on_another_server_settles_nothing() -> None:
    """Both stores are their own: what was deleted on the secondary says nothing of the primary's entry."""
    assert deleted(planned(settled={("secondary", KEYS["secondary"]): NOW + HOUR})) == ALL_THREE


def test_lines_without_a_time_are_never_from_before_an_earlier_incidents_deletion() -> None:
    """An undated line may be from just now, so an earlier incident's deletion does not settle it."""
    undated = (mismatch("primary", "prime-sec", last=None),)
    key = ("primary", KEYS["secondary"])
    assert deleted(planned(mismatches=undated, settled={key: NOW + HOUR})) == {key}
    mixed = (*undated, mismatch("primary", "prime-sec", last=NOW - HOUR))
    assert deleted(planned(mismatches=mixed, settled={key: NOW + HOUR})) == {key}


@pytest.mark.parametrize(("after_h", "over"), [(1, False), (11, False), (12, True)])
def test_a_time_of_an_unknown_zone_is_from_before_a_deletion_only_if_it_is_in_every_zone(
    after_h: int, over: bool
) -> None:
    """A line of which nobody says the zone may be twelve hours younger than it reads: it is not guessed to be older."""
    key = ("primary", KEYS["secondary"])
    zoneless = (replace(mismatch("primary", "prime-sec"), zone_known=False),)
    assert (deleted(planned(mismatches=zoneless, settled={key: NOW + after_h * HOUR})) == set()) is over


def test_an_event_without_a_date_among_dated_ones_settles_nothing() -> None:
    """A mismatch of which one event holds no date may be from just now, however old the others are."""
    key = ("primary", KEYS["secondary"])
    partly = (replace(mismatch("primary", "prime-sec"), undated=1),)
    assert deleted(planned(mismatches=partly, settled={key: NOW + 99 * HOUR})) == {key}
    assert deleted(planned(mismatches=partly, log_end={"primary": NOW + 99 * HOUR})) == {key}


@pytest.mark.parametrize(("after_h", "again"), [(1, False), (14, False), (15, True)])
def test_an_unknown_zone_calls_no_entry_stale_again_that_may_not_be(after_h: int, again: bool) -> None:
    """In a resumed run a line of an unknown zone is a newer one only if it is newer in every zone."""
    key = ("primary", KEYS["secondary"])
    newer = (replace(mismatch("primary", "prime-sec", last=NOW + after_h * HOUR), zone_known=False),)
    plan = planned(mismatches=newer, settled={key: NOW}, here=(key,))
    assert (deleted(plan) == {key}) is again


@pytest.mark.parametrize(
    ("line_known", "end_known", "ago_h", "over"),
    [
        (False, False, 25, True),
        (False, False, 23, False),
        (False, True, 36, False),
        (False, True, 37, True),
        (True, False, 38, False),
        (True, False, 39, True),
    ],
)
def test_the_end_of_a_log_is_compared_as_far_as_the_zones_are_known(
    line_known: bool, end_known: bool, ago_h: int, over: bool
) -> None:
    """Two times of one clock are compared as they stand, others with what may lie between their zones."""
    key = ("primary", KEYS["secondary"])
    last = (replace(mismatch("primary", "prime-sec"), zone_known=line_known),)
    plan = planned(mismatches=last, log_end={"primary": NOW + ago_h * HOUR}, end_assumed=not end_known)
    assert (key not in deleted(plan)) is over


@pytest.mark.parametrize("named", [True, False])
def test_an_incident_deletes_an_entry_once_unless_a_dated_line_calls_it_stale_again(named: bool) -> None:
    """A resumed run plans no second deletion on undated lines or the operator's word; on a newer line it does."""
    key = ("primary", KEYS["secondary"])
    site = site_with(policy={"named_entries": ("primary " + KEYS["secondary"],) if named else ()})
    sent = {"settled": {key: NOW}, "here": (key,), "site": site}
    again = planned(mismatches=(mismatch("primary", "prime-sec", last=None),), **sent)
    assert row_of(again, *key).decision is Decision.LEFT_ALONE
    assert again.blocked == ()
    assert deleted(planned(mismatches=(mismatch("primary", "prime-sec", last=NOW + HOUR),), **sent)) == {key}


@pytest.mark.parametrize("here", [True, False])
def test_a_deletion_that_nobody_saw_happen_is_offered_again(here: bool) -> None:
    """Evidence from before it stays evidence, in this incident and in a later one, and the plan says so openly."""
    key = ("primary", KEYS["secondary"])
    sent = Undecided(sent_utc=NOW + HOUR, looked_utc=NOW + HOUR)
    plan = planned(undecided={key: sent}, here=(key,) if here else ())
    assert key in deleted(plan)
    assert any("its result is not known; it is offered again" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("count", "goes_on_s", "late_s", "zone_known", "over"),
    [
        (10, 400, -1, True, True),
        (10, 400, 1, True, False),  # a line from after the look at the store
        (10, 250, -1, True, False),  # not three times as long as it was apart
        (3, 400, -1, True, False),  # too few to come in regularly
        (10, 400, -1, False, False),
    ],
)
def test_a_regular_mismatch_that_stays_away_proves_a_deletion_that_nobody_saw(
    count: int, goes_on_s: int, late_s: int, zone_known: bool, over: bool
) -> None:
    """Every 100 s before, and then not for longer than three times that in a log that goes on; less proves nothing."""
    key = ("primary", KEYS["secondary"])
    second = timedelta(seconds=1)
    last = NOW + late_s * second
    regular = replace(
        mismatch("primary", "prime-sec", last=last),
        first_utc=last - 100 * (count - 1) * second,
        count=count,
        zone_known=zone_known,
    )
    sent = Undecided(sent_utc=NOW - 2 * second, looked_utc=NOW)
    plan = planned(mismatches=(regular,), undecided={key: sent}, log_end={"primary": NOW + goes_on_s * second})
    assert (key not in deleted(plan)) is over


def test_a_mismatch_that_ceased_long_before_the_end_of_the_log_is_over() -> None:
    """Lines older than the log's end by more than the site's limit are history."""
    for ago_h, over in ((23, False), (25, True)):
        plan = planned(log_end={"primary": NOW + ago_h * HOUR})
        assert (("primary", KEYS["secondary"]) not in deleted(plan)) is over


@pytest.mark.parametrize(("read_h", "current"), [(1, True), (26, False)])
def test_a_log_that_ends_in_the_future_goes_on_until_it_was_read(read_h: int, current: bool) -> None:
    """A clock that was set forward behind the last mismatch makes it no older, and a deletion no better proven."""
    key, second = ("primary", KEYS["secondary"]), timedelta(seconds=1)
    given: Any = {"log_end": {"primary": NOW + 25 * HOUR}, "read": NOW + read_h * HOUR}
    assert (key in deleted(planned(**given))) is current
    regular = replace(mismatch("primary", "prime-sec", last=NOW), first_utc=NOW - 3 * HOUR, count=4)
    sent = {key: Undecided(sent_utc=NOW, looked_utc=NOW + second)}
    assert (key in deleted(planned(mismatches=(regular,), undecided=sent, **given))) is current


def test_a_clock_that_is_ahead_makes_no_entry_stale_again() -> None:
    """What was deleted here once, and seen gone, is not deleted again on the times of such a clock."""
    key = ("primary", KEYS["secondary"])
    given: Any = {
        "settled": {key: NOW},
        "here": (key,),
        "mismatches": (mismatch("primary", "prime-sec", last=NOW + HOUR),),
    }
    for end, again in ((NOW + 2 * HOUR, False), (NOW + HOUR, True)):
        plan = planned(log_end={"primary": end}, read=NOW + HOUR + timedelta(minutes=1), **given)
        assert (key in deleted(plan)) is again


@pytest.mark.parametrize(
    ("states", "healthy"),
    [
        (HEALTHY, True),
        (ha("primary  ACTIVE", "Secondary Syncing"), True),
        (ha("Primary Active", "Secondary Alone"), False),
        (ha("Primary Active", "something new"), False),
        (HEALTHY[:1], False),
        (HEALTHY[:1] * 2, False),
        ((), False),
    ],
)
def test_healthy_ha_on_both_servers_word_means_that_their_entries_are_right(
    states: tuple[HaStatus, ...], healthy: bool
) -> None:
    """Only where both servers say so; and it says nothing of the ISE server."""
    plan = planned(states=states)
    assert deleted(plan) == ({("primary", KEYS["ise"])} if healthy else ALL_THREE)


# -- overrides -------------------------------------------------------------------------------------


def override(**change: Any) -> Override:
    base = Override(
        server="primary", key=KEYS["secondary"], sha256=SHA["secondary"], by="Ada", at_utc=NOW, reason="its console"
    )
    return replace(base, **change)


def test_an_override_deletes_an_unconfirmed_entry_by_name() -> None:
    """The row is unconfirmed, says who overrode it and why, and is under the digest."""
    before = planned(verdicts={"secondary": Verdict.UNCONFIRMED})
    plan = planned(verdicts={"secondary": Verdict.UNCONFIRMED}, overrides=(override(),))
    row = row_of(plan, "primary", KEYS["secondary"])
    assert (row.decision, row.verdict, row.override) == (
        Decision.DELETE,
        Verdict.UNCONFIRMED,
        overrides_in_words(override()),
    )
    assert plan.blocked == ()
    assert plan.digest != before.digest


@pytest.mark.parametrize("verdict", [v for v in Verdict if not v.confirmed and v is not Verdict.UNCONFIRMED])
def test_nothing_but_unconfirmed_can_be_overridden(verdict: Verdict) -> None:
    """An override changes no other verdict's outcome."""
    with_it = planned(verdicts={"secondary": verdict}, overrides=(override(),))
    assert with_it.rows == planned(verdicts={"secondary": verdict}).rows
    assert ("primary", KEYS["secondary"]) not in deleted(with_it)


@pytest.mark.parametrize(
    "change", [{"sha256": "0" * 64}, {"key": KEYS["ise"]}, {"server": "secondary"}, {"sha256": ""}]
)
def test_an_override_holds_for_its_entry_and_its_certificate_only(change: dict[str, Any]) -> None:
    """A certificate that changed since, another entry or another server: the override is void."""
    plan = planned(verdicts={"secondary": Verdict.UNCONFIRMED}, overrides=(override(**change),))
    assert ("primary", KEYS["secondary"]) not in deleted(plan)
    assert plan.blocked


def test_an_override_is_not_written_beside_a_confirmation() -> None:
    """Where the verdict is a confirmed one, the override is not needed and not in the plan."""
    assert planned(overrides=(override(),)) == planned()


def test_an_override_makes_nothing_stale() -> None:
    """Without a mismatch the entry is already right, whatever somebody allowed."""
    plan = planned(mismatches=(), verdicts={"secondary": Verdict.UNCONFIRMED}, overrides=(override(),))
    assert deleted(plan) == set()


# -- the digest ------------------------------------------------------------------------------------


def test_the_digest_is_stable_under_order_and_time() -> None:
    """The same facts read later, or listed in another order, give the same digest."""
    plan = planned()
    other = planned(
        primary=PRIMARYS[::-1], secondary=SECONDARYS[::-1], mismatches=MISMATCHES[::-1], now=NOW + 99 * HOUR
    )
    assert other.digest == plan.digest
    assert other.made_utc != plan.made_utc


def test_the_digest_moves_with_what_decides() -> None:
    """An entry more, one less, another certificate, another verdict, another incident: another digest."""
    plans = [
        planned(),
        planned(primary=PRIMARYS[:-1]),
        planned(primary=(*PRIMARYS, entry("198.51.100.7_443", "x"))),
        planned(verdicts={"ise": Verdict.CONFIRMED_CHAIN}),
        planned(mismatches=MISMATCHES[:2]),
        planned(incident="II"),
        planned(primary=(of("primary", cn="other"), *PRIMARYS[1:])),
    ]
    assert len({plan.digest for plan in plans}) == len(plans)


# -- for random sites ------------------------------------------------------------------------------

HOSTS = [PRIMARY, SECONDARY, ISE, ISE2, "127.0.0.1", "::1", "localhost", "198.51.100.7", "*", "prime-sec", "Prime-Pri."]
PORTS = ["8082", "443", "0443", "08082", "1", "65535"]
CNS = [*CN.values(), "x", "CN=y;  subject="]
ANY_ENTRY = st.builds(
    lambda host, port, cn: entry(f"{host}_{port}", cn),
    st.sampled_from(HOSTS),
    st.sampled_from(PORTS),
    st.sampled_from(CNS),
)
ENTRY = st.sampled_from([*PRIMARYS, *SECONDARYS, of("ise2")]) | ANY_ENTRY
STORE = st.lists(ENTRY, max_size=5).map(tuple)
TIME = st.sampled_from([None, NOW - 30 * HOUR, NOW, NOW + HOUR])
MISMATCH = st.builds(
    lambda server, cn, last, alone: mismatch(server, cn, last=last, subject=f"CN={cn}" if alone else ""),
    st.sampled_from(["primary", "secondary"]),
    st.sampled_from(CNS),
    TIME,
    st.booleans(),
)
PLACE = st.tuples(st.sampled_from(["primary", "secondary"]), st.sampled_from(sorted(KEYS.values())))
VERDICTS = [*[Verdict.UNCONFIRMED] * 5, *[Verdict.CONFIRMED_KEY] * 3, *Verdict]
OVERRIDES = [
    override(),
    override(key=KEYS["ise"], sha256=SHA["ise"]),
    override(server="secondary", key=KEYS["primary"], sha256=SHA["primary"]),
    override(sha256=SHA["ise"]),
    override(key=KEYS["ise2"], sha256=SHA["ise"]),
]


def naming(names: list[str]) -> Site:
    return SITE.model_copy(update={"policy": SITE.policy.model_copy(update={"named_entries": tuple(names)})})


WORLD = st.fixed_dictionaries(
    {
        "primary": STORE,
        "secondary": STORE,
        "verdicts": st.dictionaries(st.sampled_from(sorted(SHA)), st.sampled_from(VERDICTS), min_size=1),
        "cns": st.dictionaries(st.sampled_from(sorted(SHA)), st.sampled_from(CNS)),
        "mismatches": st.lists(st.sampled_from(MISMATCHES) | MISMATCH, max_size=4).map(tuple),
        "no_logs": st.sets(st.sampled_from(["primary", "secondary"])).map(tuple),
        "states": st.sampled_from([ha(), HEALTHY, ()]),
        "settled": st.dictionaries(PLACE, TIME.filter(bool)),
        "here": st.lists(PLACE, max_size=2).map(tuple),
        "overrides": st.lists(st.sampled_from(OVERRIDES), max_size=3).map(tuple),
        "site": st.lists(PLACE.map(" ".join), max_size=3).map(naming),
    }
)


@settings(max_examples=200)
@given(WORLD)
def test_every_deletion_is_of_another_host_and_confirmed_or_overridden_by_name(world: dict[str, Any]) -> None:
    """It never deletes an entry before the certificate now presented is confirmed by another way than the connection
    under repair, or a person has overridden `unconfirmed` by name, for that one certificate.

    For random stores, logs, verdicts, names: no deletion but of a confirmed or overridden other host.
    """
    plan = planned(**world)
    stores = {"primary": world["primary"], "secondary": world["secondary"]}
    assert [(row.server, row.key) for row in plan.rows] == [(s, one.key) for s in stores for one in stores[s]]
    for row in plan.rows:
        if row.decision is not Decision.DELETE:
            assert (row.command, row.confirmed_sha256, row.override) == ("", "", "")
    for row in plan.deletions:
        (listed,) = [one for one in stores[row.server] if one.key == row.key]
        target = target_of(world["site"], row.server, listed)
        assert target
        assert (target.name, row.key) == (row.target, f"{listed.host}_{target.port}")
        assert not is_own(world["site"], row.server, listed)
        assert row.confirmed_sha256 == SHA[row.target]
        assert row.command.endswith(f" {row.key}")
        assert row.evidence or f"{row.server} {row.key}" in world["site"].policy.named_entries
        assert row.verdict
        if not row.verdict.confirmed:
            assert row.verdict is Verdict.UNCONFIRMED
            assert any(
                (o.server, o.key, o.sha256) == (row.server, row.key, SHA[row.target]) for o in world["overrides"]
            )
    if Verdict.CONTRADICTED in world["verdicts"].values():
        assert plan.blocked


@settings(max_examples=60)
@given(WORLD, WORLD, st.randoms(use_true_random=False))
def test_digests_are_equal_exactly_where_the_essence_is(
    one: dict[str, Any], other: dict[str, Any], shuffle: Any
) -> None:
    """Two plans have one digest if and only if their rows decide the same, in whatever order they stand."""
    plan, second = planned(**one), planned(**other)
    assert (plan.digest == second.digest) == (essence(plan) == essence(second))
    mixed = one | {
        name: tuple(shuffle.sample(one[name], len(one[name]))) for name in ("primary", "secondary", "mismatches")
    }
    assert planned(**mixed, now=NOW + HOUR).digest == plan.digest


def essence(plan: Plan) -> list[bytes]:
    """What a person approves, row by row."""
    return sorted(
        canonical_json(
            [r.server, r.key, r.subject, r.target, r.decision, r.command, r.verdict, r.confirmed_sha256, r.override]
        )
        for r in plan.rows
    )
