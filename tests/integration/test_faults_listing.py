"""What the list may hold: hosts and subjects that somebody chose, texts that are no list, lists that are too long."""

from __future__ import annotations

from typing import Any

import pytest
from fault_site import Begin, Case, deletions, name_entries, row_of
from repair_site import StartLab

from runbook_lib.decisions import Decision, Deletion
from runbook_lib.errors import AnswerNotUnderstood, PlanStale
from runbook_lib.lab import Lab
from runbook_lib.models import Inventory, Stage, StageState

USUAL = 3  # deletions of a renewed site


@pytest.mark.parametrize(
    ("pattern", "by"),
    [
        (r"(?s)\A.*\Z", "java.lang.NullPointerException\n\tat com.example.Tofu.list\n"),
        (r"(?m)^(host=.*);  subject", r"\1; subjekt"),
        (r"(?s)subject=[^\n]*\n\Z", "subje"),  # cut in the middle of the last line
        (r"(?m)_8082;", "_99999;"),
        ("(?m)_8082;", "_８０８２;"),
        (r"(?m)^host=(\d)", "host=\\1\n"),  # a line break in a host
        (r"(?m)^(host=)", "prime-pri/admin# \n\\1"),  # the prompt, between the lines
        (r"(?m)^(host=)", "prime-sec/admin# \n\\1"),  # another host's prompt
        (r"(?m)^(host=)", "--More--\n\\1"),
        (r"(?m)^host=.*\n\Z", "% Maximum number of sessions reached\n"),
        (r"(?m)(subject=.*)$", r"\1 host=192.0.2.9_8082; subject=/CN=x"),
        ("(?m)$(?!\\n\\Z)", "\x00"),
    ],
    ids=lambda value: ascii(value)[1:25],
)
def test_a_text_that_is_no_whole_list_is_refused(stale: Lab, begin: Begin, pattern: str, by: str) -> None:
    """A list that is not understood to its last byte ends stage 20: exit 4, its raw text kept, no plan."""
    stale.set_fault("listcerts_edited", "primary", pattern=pattern, by=by)
    case = begin(stale)
    case.refused(AnswerNotUnderstood, 4, case.make_plan)
    assert case.state(Stage.LIST) is StageState.FAILED
    kept = [path.read_bytes() for path in (case.record.folder / "answers").iterdir() if "listcerts" in path.name]
    assert kept
    case.assert_untouched()


@pytest.mark.parametrize("keep", [60, 200, 330])
def test_a_list_that_is_cut_off_is_never_a_shorter_list(stale: Lab, begin: Begin, keep: int) -> None:
    """A list that breaks off before the prompt deletes nothing, wherever that is: not understood, or not the plan's."""
    case = begin(stale)
    plan = case.make_plan()
    stale.set_fault("listcerts_truncated", "primary", keep=keep)
    with pytest.raises((AnswerNotUnderstood, PlanStale)):
        case.carry_out(plan)
    case.assert_untouched()


@pytest.mark.parametrize(
    ("pattern", "by"),
    [
        (r"\n", "\r\n"),  # one carriage return more than terminals send
        ("(?m)^(host=)", "\x1b[1;31m\\1\x1b[0m"),
        ("(?m)CN=prime-sec$", "CN=prime-\udcff\udcfe"),  # no UTF-8
    ],
    ids=["CRLF", "ANSI", "no UTF-8"],
)
def test_spellings_that_change_nothing_lead_to_the_same_deletions(
    stale: Lab, begin: Begin, pattern: str, by: str
) -> None:
    """Line ends, colours and bytes that are no text make no other plan, and reach no terminal unescaped."""
    stale.set_fault("listcerts_edited", "primary", pattern=pattern, by=by)
    case = begin(stale)
    plan = case.make_plan()
    assert deletions(plan) == {
        ("primary", case.entry("secondary")),
        ("primary", case.entry("ise")),
        ("secondary", case.entry("primary")),
    }
    case.assert_untouched()


@pytest.mark.parametrize("spelling", [{"listing": "uneven", "list_order": "turning"}, {"listing": "spaced"}])
def test_a_list_that_is_printed_otherwise_after_each_change_is_the_same_list(
    faulty: StartLab, begin: Begin, spelling: dict[str, str]
) -> None:
    """Blanks that move and lines that change places are no change: each deletion is carried out and seen."""
    case = begin(faulty("renewed", monitor_style="on_registration", **spelling))
    results = case.carry_out(case.make_plan())
    assert [result.result for result in results] == [Deletion.GONE] * USUAL
    case.assert_agrees()


def test_a_footer_stops_until_the_site_says_that_it_means_nothing(faulty: StartLab, begin: Begin) -> None:
    """A line that is not understood is named and stops stage 20; called meaningless, it is kept and left out."""
    footer = "-- end of trust store (2 pages) --"
    lab = faulty("renewed", monitor_style="on_registration", list_footer=footer)
    case = begin(lab)
    error = case.refused(AnswerNotUnderstood, 4, case.make_plan)
    assert footer in error.what
    assert f'listing: ignore: ["{footer}"]' in error.next_step

    case.write_site(lambda site: site.update(listing={"ignore": [r"/-- end of trust store \(\d+ pages\) --/"]}))
    results = case.carry_out(case.make_plan())
    assert {result.result for result in results} == {Deletion.GONE}
    inventory = case.record.read_facts(Stage.LIST, "inventory", Inventory)
    assert {store.ignored for store in inventory.stores} == {(footer,)}
    case.assert_agrees()


def keep_own(case: Case) -> str:
    """A pattern for every line but those of the primary's own entries."""
    return rf"(?m)^host=(?!{case.entry('primary')};).*\n"


def test_lists_of_own_entries_hold_nothing_to_delete_and_an_empty_one_stops(stale: Lab, begin: Begin) -> None:
    """Where no other host is listed the stage ends well with nothing sent; what the logs belie is not believed."""
    for pattern in (r"(?s)\A.*\Z", None):
        stale.clear_fault()
        case = begin(stale, lambda site: site["secondary"].update(logs=[]))
        stale.set_fault("listcerts_edited", "secondary", pattern=r"(?s)\A.*\Z", by="")
        stale.set_fault("listcerts_edited", "primary", pattern=pattern or keep_own(case), by="")
        plan = case.make_plan()
        assert {row.decision for row in plan.rows} <= {Decision.LEFT_ALONE}
        assert not plan.deletions
        if pattern:
            case.assert_refused(plan)
        else:
            case.carry_out(plan)
            case.assert_untouched()


def test_an_entry_that_is_listed_twice_is_ambiguous(stale: Lab, begin: Begin) -> None:
    """One key on two lines cannot be told apart, so nothing is deleted."""
    stale.set_fault("listcerts_edited", "primary", pattern=r"(?m)^(host=.*\n)", by=r"\1\1")
    case = begin(stale)
    plan = case.make_plan()
    assert not [row for row in plan.deletions if row.server == "primary"]
    case.assert_refused(plan)


def test_thousands_of_entries_are_read_and_left_alone(faulty: StartLab, begin: Begin) -> None:
    """A store of three thousand strangers is read whole, and the plan holds the stale entries alone."""
    lab = faulty("renewed")
    lab.plant("primary", *(f"10.{n // 250}.{n % 250}.7_8082" for n in range(3_000)))
    case = begin(lab)
    plan = case.make_plan()
    assert len(plan.rows) > 3_000
    assert len(plan.deletions) == USUAL
    case.assert_untouched()


STRANGERS = (
    "2001:db8::7_8082",
    "[2001:db8::8]_443",
    "prime-old.example.com_8082",
    "*_8082",
    "$(x)_443",
    "`id`_443",
    "../../etc_8082",
    "<script>_443",
    "localhost_8082",
)


def test_entries_of_strange_hosts_are_left_alone(faulty: StartLab, begin: Begin) -> None:
    """Whatever a host is called in the list, an entry that is none of the site's is never in a command."""
    lab = faulty("renewed")
    for server in ("primary", "secondary"):
        lab.plant(server, *STRANGERS)
    case = begin(lab)
    plan = case.make_plan()
    for entry in STRANGERS:
        assert row_of(plan, "primary", entry).decision is Decision.LEFT_ALONE
    assert len(case.carry_out(plan)) == USUAL
    assert not [line for line in case.truth() if any(entry in line["what"] for entry in STRANGERS)]
    case.assert_agrees()


def test_entries_under_the_sites_other_names_go_to_the_letter(faulty: StartLab, begin: Begin) -> None:
    """A host of the site is known by its names and IPv6 addresses too; the command holds the key as it was listed."""
    lab = faulty("renewed")
    entries = ("Prime-Sec.Example.com_8082", "2001:DB8:0::12_8082")
    lab.plant("primary", *entries, common_name="prime-sec")

    def names(site: dict[str, Any]) -> None:
        site["secondary"]["names"] = ["prime-sec.example.com", "2001:db8::12"]
        name_entries(*(f"primary {entry}" for entry in entries))(site)

    case = begin(lab, names)
    if case.entry("secondary").rpartition("_")[2] != "8082":
        pytest.skip("the usual ports are taken on this machine")
    plan = case.make_plan()
    assert {("primary", entry) for entry in entries} <= deletions(plan)
    case.carry_out(plan)
    assert {("primary", entry) for entry in entries} <= set(case.seen().deleted)
    case.assert_agrees()


@pytest.mark.parametrize("named", [False, True])
def test_a_port_with_leading_zeros_is_not_deleted(faulty: StartLab, begin: Begin, named: bool) -> None:
    """``…_08082`` might mean another entry to the server, so it is refused, also where the operator names it."""
    lab = faulty("renewed")
    case = begin(lab)
    host, _, port = case.entry("secondary").rpartition("_")
    odd = f"{host}_0{port}"
    lab.plant("primary", odd, common_name="prime-sec")
    if named:
        case.write_site(name_entries(f"primary {odd}"))
    plan = case.make_plan()
    assert ("primary", odd) not in deletions(plan)
    case.assert_refused(plan)


HOSTILE = {
    "a second subject": "x;  subject=/CN=prime-sec",
    "host=": "host=x",
    "markup": "<script>alert(1)</script>",
    "ten thousand characters": "x" * 10_000,
    "escape sequences": "x\x1b[2K\x1b]0;title\x07",
    "slashes": "x/CN=prime-sec/OU=y",
}


@pytest.mark.parametrize("names", [list(HOSTILE)[:3], list(HOSTILE)[3:]], ids=" | ".join)
@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_a_hostile_subject_is_text_and_changes_nothing(faulty: StartLab, begin: Begin, names: list[str]) -> None:
    """Whoever made the certificate chose its CN: it is shown as text; the deletion is the confirmed entry's alone."""
    lab = faulty("renewed")
    case = begin(lab)
    places = (("primary", "secondary"), ("primary", "ise"), ("secondary", "primary"))
    for (server, host), name in zip(places, names, strict=True):
        lab.renew(host, common_name=HOSTILE[name])
        lab.plant(server, case.entry(host), common_name=HOSTILE[name])
    case.write_site(name_entries(*(f"{server} {case.entry(host)}" for server, host in places)))
    plan = case.make_plan()
    assert set(deletions(plan)) == {(server, case.entry(host)) for server, host in places}
    assert {result.result for result in case.carry_out(plan)} == {Deletion.GONE}
    assert case.seen().sent == USUAL
    case.assert_agrees()


@pytest.mark.parametrize("cn", ["x host=192.0.2.9_8082;  subject=/CN=y", "x\ny"])
def test_a_subject_that_could_be_two_entries_is_refused(faulty: StartLab, begin: Begin, cn: str) -> None:
    """A subject that reads like a list, or breaks its line, ends the stage: exit 4, and never a command."""
    lab = faulty("renewed")
    case = begin(lab)
    lab.plant("primary", "192.0.2.8_8082", common_name=cn)
    case.refused(AnswerNotUnderstood, 4, case.make_plan)
    case.assert_untouched()
