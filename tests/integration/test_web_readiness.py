"""A readiness check in a real browser: whatever the markup, what is not final and good never counts as passed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from playwright.sync_api import Page, sync_playwright
from readiness_markup import MARKUPS, STYLE, SURROUNDINGS, data_grid, places, plain, table_each, virtual

from runbook_lib.params.labels import labels_for
from runbook_lib.paths import find_browser
from runbook_lib.web.controls import find
from runbook_lib.web.dialogs import script
from runbook_lib.web.ha_page import _folded
from runbook_lib.web.readiness import Readiness, readiness
from runbook_lib.web.screen import Screen, screen_from
from runbook_lib.web.view import _OBSERVER

LABELS = labels_for()
NAMES = ("CPU", "RAM", "Disk Size", "Disk Speed", "Reachability", "Operating System", "Database Port 1522", "HM Health")
GOOD = ("Passed", "PASS", "OK", "Success", "icon:Passed")
FINAL_AND_BAD = ("Fail", "Failed", "NOT READY", "Warning", "Error", "icon:Failed")
OPEN = ("In Progress", "Pending", "Checking", "", "icon:")
STRANGE = ("Grue", "Not passed", "Passed with 2 remarks", "OK?!")
# All pages are written into one document, where the watches over those before would hear of every change too.
ONE_WATCH = """() => { const Watch = MutationObserver; let before;
window.MutationObserver = class extends Watch { constructor(f) {
super(f); before?.disconnect(); before = this; } }; }"""
Look, Read = Callable[[str], Screen], Callable[[str], Readiness]


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_browser())
        tab = browser.new_page()
        tab.evaluate(ONE_WATCH)
        yield tab
        browser.close()


@pytest.fixture(scope="module")
def look(tab: Page) -> Look:
    """``look(html)``: that page as the driver lists it."""

    def listed(html: str) -> Screen:
        tab.set_content(STYLE + html)
        found: Any = json.loads(tab.evaluate_handle(_OBSERVER).evaluate("h => h.look([true, true])"))
        return screen_from([(0, found)], "https://prime-pri/")

    return listed


@pytest.fixture(scope="module")
def read(look: Look) -> Read:
    """``read(html)``: the readiness check as it is read off that page."""
    return lambda html: readiness(look(html), LABELS)


def states(*kinds: tuple[str, ...]) -> st.SearchStrategy[list[tuple[str, str]]]:
    words = st.sampled_from([word for kind in kinds for word in kind])
    return st.lists(words, min_size=2, max_size=len(NAMES)).map(lambda found: list(zip(NAMES, found, strict=False)))


markups, around = st.sampled_from(sorted(MARKUPS)), st.sampled_from(sorted(SURROUNDINGS))


def assert_safe(result: Readiness, rows: list[tuple[str, str]]) -> None:
    """Nothing that is not final and good is passed or left out of a check that has ended."""
    passed = {item.name for item in result.items if item.passed}
    assert passed <= {name for name, state in rows if state in GOOD}
    if result.has_ended:
        assert {item.name for item in result.items} >= {name for name, state in rows if state not in GOOD}
        assert not [name for name, state in rows if state in OPEN]


@given(rows=states(GOOD, FINAL_AND_BAD, OPEN, STRANGE), markup=markups, where=around)
def test_an_item_that_is_not_final_and_good_never_passes(
    read: Read, rows: list[tuple[str, str]], markup: str, where: str
) -> None:
    """In any markup and any surroundings."""
    assert_safe(read(SURROUNDINGS[where](MARKUPS[markup](rows))), rows)


@given(rows=states(GOOD, FINAL_AND_BAD), markup=markups, where=around)
@example(rows=[("CPU", "Passed"), ("RAM", "Failed")], markup="centred captions", where="alone")
def test_a_check_that_has_ended_is_read_whole(read: Read, rows: list[tuple[str, str]], markup: str, where: str) -> None:
    """Each row once, with its state, in any markup and any surroundings: or the test above would prove nothing."""
    result = read(SURROUNDINGS[where](MARKUPS[markup](rows)))
    assert result.problem == ""
    assert [(item.name, item.passed) for item in result.items] == [(name, state in GOOD) for name, state in rows]
    assert result.has_ended
    assert not result.unknown


@given(data=st.data(), numbered=st.booleans())
def test_rows_that_are_not_drawn_are_missed(read: Read, data: st.DataObject, numbered: bool) -> None:
    """A grid that draws a part of its rows never has ended, whichever it leaves out."""
    rows = [(f"Check {number}", "Passed") for number in range(12)]
    first = data.draw(st.integers(0, 9))
    last = data.draw(st.integers(first + 1, 11))
    whole = (first, last) == (0, 11)
    assert read(virtual(rows, first, last, numbered=numbered)).has_ended is whole


def test_a_row_that_is_missing_between_two_others_is_missed(read: Read) -> None:
    """Whatever was there has not passed."""
    rows = [(name, "Passed") for name in NAMES]
    gap = "<div style='height:30px'></div>"
    parts = table_each(rows).split("<div><table")
    result = read("<div><table".join([*parts[:4], parts[4] + gap, *parts[5:]]))
    assert "missing" in result.problem
    assert not result.has_ended


def test_a_page_that_scrolls_may_draw_only_what_is_in_view(read: Read) -> None:
    """Where its rows reach the end of that, and there is room below them."""
    table, room = plain([(name, "Passed") for name in NAMES]), "<p style='margin-top:{}px'>"
    assert read(table + room.format(2000)).has_ended
    far = room.format(550)
    assert read(far + table + room.format(40)).has_ended
    assert read(far + table + "<p>About</p>" + room.format(2000)).has_ended
    assert "not drawn" in read(far + table + room.format(2000) + "About").problem


def test_a_caption_stands_before_its_field_whichever_way_a_page_is_read(look: Look) -> None:
    """To the right of it where that is from right to left: what stands to the left there is the next field's."""
    form = "<table><tr><td>Secondary Server<td><input><td>Email Address<td><input></table>"
    for direction in ("ltr", "rtl"):
        shown = look(f"<body dir={direction}>{form}")
        fields = [item for item in shown.items if item.kind == "textbox"]
        assert [find(shown, LABELS[key])[0].item for key in ("secondary_server", "email")] == fields


AT_THE_FOOT = "<div style='height: 180px'></div><table><tr><td>{}<td>{}<td>{}</table>"


@pytest.mark.parametrize(
    "foot",
    [
        *("1 - 8 of 20", "Total: 20", "<p style='margin-top: 180px'>第 1-8 条，共 20 条</p>"),
        *(AT_THE_FOOT.format(*cells) for cells in (("1 - 8 of 20 items", "1", "All"), ("Page 1 of 3", "", ""))),
        *(
            AT_THE_FOOT.format(*cells)
            for cells in (("5 | 10 | All", "1", "2"), ("<a href=#>1</a>", "<a href=#>2</a>", ""))
        ),
    ],
)
def test_a_page_of_a_longer_list_has_not_ended(read: Read, foot: str) -> None:
    """What the page says of the number of rows counts, and so do further pages, at the foot of a tall grid too."""
    result = read(plain([(name, "Passed") for name in NAMES]) + f"<div>{foot}</div>")
    assert "20" in result.problem or "further pages" in result.problem
    assert not result.has_ended


SIGN = "<button {}><i style='display: inline-block; width: 16px; height: 16px'></i></button>"
TURNS = "<a href=#>All</a> <a href=#>Passed</a> <a href=#>Failed</a>"
PARTS = {
    "<label>Show <select><option>All<option selected>Passed</select></label>": "filtered by 'Passed'",
    "<label><input type=radio name=r checked>Failed</label>": "filtered by 'Failed'",
    "<label><input type=checkbox>Failed</label>": "filtered by 'Failed'",
    TURNS: "leave out rows: Passed",
    "<a href=#>Passed (8)</a> <a href=#>Failed (1)</a>": "speaks of more rows than it shows: Failed (1)",
    "8 passed, 1 failed": "speaks of more rows",
    "All (9)": "speaks of more rows",
    "<a href=#>Show more</a>": "leave out rows",
    "<button disabled>‹</button> <button>›</button>": "leave out rows: ›",
    "<span role=button tabindex=0 title='Next page'>&gt;</span>": "leave out rows",
}
WHOLE = (
    "<label>Show <select><option>All<option>Passed</select></label>",
    "<label><input type=radio name=r checked>No</label><label><input type=checkbox>Yes</label>",
    "Passed: 8, Failed: 0 <button>OK</button> <button>More actions</button> <button disabled>Next</button>",
    f"{TURNS}<div style='height: 600px'></div>",
    f"{SIGN.format('')} {SIGN.format('')}",
)
BELOW = {
    f"{SIGN.format('disabled')} {SIGN.format('')}": False,
    f"{SIGN.format('disabled')} {SIGN.format('disabled')}": True,
    SIGN.format(""): True,
    f"{SIGN.format('title=Refresh')} {SIGN.format('title=Help')}": True,
}


def test_a_part_of_the_rows_has_not_ended(read: Read) -> None:
    """Those of one state, or the first ones: what chooses them stands above the table, or below it."""
    listed = f"<table>{''.join(f'<tr><td>{name}<td>Passed' for name in NAMES)}</table>"
    for table in (plain([(name, "Passed") for name in NAMES]), listed):
        for part, why in PARTS.items():
            assert why in read(f"<p>{part}</p>{table}").problem, part
        assert read(table + f"<p>{TURNS}</p>").problem
        for below, ended in BELOW.items():
            assert read(table + f"<p>{below}</p>").has_ended == ended, below
        for around in WHOLE:
            assert read(f"<p>{around}</p>{table}").has_ended, around


def test_one_page_of_a_list_is_all_of_it(read: Read) -> None:
    """What counts the rows that are there, and other numbers below, speak of nothing that is missing."""
    foot = AT_THE_FOOT.format("1 - 8 of 8 items", "Page 1 of 1", "Release 3.10.1 2024")
    assert read(plain([(name, "Passed") for name in NAMES]) + foot).has_ended


def test_a_page_of_a_longer_list_without_a_header_has_not_ended(read: Read) -> None:
    """What turns its pages is seen wherever it stands."""
    listed = "".join(f"<tr><td>{name}<td>Passed" for name in NAMES)
    assert read(f"<table>{listed}</table>{AT_THE_FOOT.format('1 - 8 of 8 items', '', '')}").has_ended
    assert not read(f"<table>{listed}</table>{AT_THE_FOOT.format('1 - 8 of 9 items', '', '')}").has_ended


def test_a_bar_that_says_by_what_is_filtered_is_no_row(read: Read) -> None:
    """Nor is anything between the header and the rows that is not understood taken for a failure."""
    for bar, understood in (("<button>...</button> No filter applied", True), ("<button>?</button> Grue", False)):
        table = plain([(name, "Passed") for name in NAMES])
        result = read(table.replace("</tr>", f"</tr><tr><td colspan=3>{bar}</td></tr>", 1))
        assert (result.has_ended, bool(result.problem)) == (understood, not understood)


def grouped(state: str, *headings: tuple[str, str]) -> str:
    """A table of four rows, the third of them with a state; each heading over all columns stands before a row."""
    table = plain([("CPU", "Passed"), ("RAM", "Passed"), ("Port 1522", state), ("Database", "Passed")])
    for words, name in headings:
        row = f"<tr><td >{name}" if name else "</tbody>"
        table = table.replace(row, f"<tr><td colspan=3>{words}</td></tr>{row}")
    return table


def test_what_rows_are_about_is_no_row(read: Read) -> None:
    """A heading within the table; not where nothing stands below it, where it says more, or where it is a note."""
    first, second = ("System", "CPU"), ("Network", "Port 1522")
    for state, passed in (("Passed", True), ("Fail", False)):
        result = read(grouped(state, first, second))
        assert result.has_ended
        assert [(i.name, i.passed) for i in result.items] == [
            *(("CPU", True), ("RAM", True), ("Port 1522", passed), ("Database", True))
        ]
    assert not read(grouped("", first, second)).has_ended
    assert read(grouped("Passed", first, ("Other", ""))).problem == "nothing stands below 'Other'"
    assert read(grouped("Passed", first, ("Disk", "CPU"))).problem == "nothing stands below 'System'"
    assert not read(grouped("Passed", ("Some checks skipped", "CPU"))).has_ended
    for words in ("3 more rows", "Unable to verify", "Checks failed", "<button>Network</button>"):
        assert not read(grouped("Passed", first, (words, "Port 1522"))).has_ended
    assert not read(grouped("Passed", ("Checks skipped", "Port 1522"))).has_ended, "a note among the rows"


FILTER = "<div class=l><input value='{}'><select><option>All<option>Passed</select></div>"
HEADER = "<div role=row class=l><span role=columnheader>Check</span><span role=columnheader>Status</span></div>"
ROW = "<div role=row class=l><span>{}</span><span>Passed</span></div>"


@pytest.mark.parametrize("page", [HEADER + "<div class=scroll>{}</div>", f"<div class=scroll>{HEADER}{{}}</div>"])
def test_what_filters_a_grid_within_its_scroller_is_no_missing_row(read: Read, page: str) -> None:
    """A bar of fields takes the place of a row there; where one holds something, rows are left out."""
    rows = "".join(map(ROW.format, NAMES))
    assert read(page.format(FILTER.format("") + rows)).has_ended
    assert "filtered by 'Pass'" in read(page.format(FILTER.format("Pass") + rows)).problem
    assert "filtered by 'Pass'" in read("<label>Quick Filter <input value=Pass></label>" + page.format(rows)).problem


def test_a_state_that_is_only_said_aloud_is_read(read: Read) -> None:
    """A coloured dot without words: its label names the state, and one without a label has none."""
    dot = "<span aria-label='{}' style='display: inline-block; width: 9px; height: 9px; background: green'></span>"
    for label, ended in (("Passed", True), ("Failed", True), ("", False)):
        table = plain([(name, "Passed") for name in NAMES]).replace("<td >Passed", f"<td>{dot.format(label)}", 1)
        result = read(table)
        assert (result.has_ended, result.items[0].passed) == (ended, label == "Passed"), label


def test_a_row_whose_bar_is_not_full_has_not_ended(read: Read) -> None:
    """Whatever its word says."""
    bar = "<div role=progressbar aria-valuenow={} style='width:90px;height:9px'></div>"
    table = f"<table><tr><th>Check<th>Status<tr><td>CPU<td>Passed<tr><td>RAM<td>Passed {bar}</table>"
    for percent, ended in ((40, False), (100, True)):
        result = read(table.format(percent))
        assert ([item.passed for item in result.items], result.has_ended) == ([True, ended], ended)


def test_what_stands_beside_a_state_counts(read: Read) -> None:
    """The state of another server, under a caption that is not known."""
    table = plain([(name, "Passed") for name in NAMES]).replace("Remarks", "Secondary")
    result = read(table.replace("measured on both", "Failed", 1))
    assert [item.name for item in result.items if not item.passed] == [NAMES[0]]


SIGN = "<style>.cross::before{content:'\\2717'} i{padding:4px;background:url(data:,)}</style>"
OTHERWISE = (
    "<b title='Failed: port is closed'>Passed</b>",
    "<b title='The check failed: the port is not open'>Passed</b>",
    "<b aria-label=Failed>Passed</b>",
    "<b aria-describedby=d>Passed</b><u id=d hidden>Failed: closed</u>",
    "<b class=cross>Passed</b>",
    "<b class=status-fail>Passed</b>",
    "<i class=iconError></i>Passed",
    "<img src=/images/status_critical.gif width=9 height=9>Passed",
    "<b aria-invalid=true>Passed</b>",
    "<s>Passed</s>",
    "Passed ❌",
)
THE_SAME = (
    "<b title='Ended without error' class=no-error>Passed</b>",
    "Passed<b class=fail hidden>Failed</b>",
    "<i class=icon-ok></i>Passed",
)
BESIDE = ("<tr title=Failed>", "<tr class='row error'>", "<tr><td hidden>Failed")


def test_passed_that_is_taken_back_has_not(read: Read) -> None:
    """By a second statement in its cell or row, whatever draws it; what says the same, or helps, takes nothing back."""
    words = (*OTHERWISE, *THE_SAME)
    for markup in (plain, data_grid, places):
        table = markup([(f"Check {chr(65 + n)}", f"@{chr(65 + n)}@") for n in range(len(words))])
        for number, said in enumerate(words):
            table = table.replace(f"@{chr(65 + number)}@", said)
        result = read(SIGN + table)
        wrong = [said for said, item in zip(words, result.items, strict=True) if item.passed is not (said in THE_SAME)]
        assert (result.has_ended, wrong) == (True, []), markup
    rows = plain([(name, "Passed") for name in NAMES])
    for name, row in zip(NAMES, BESIDE, strict=False):
        rows = rows.replace(f"<tr><td >{name}", f"{row}<td>{name}")
    rows = rows.replace(NAMES[3], f"<b class=cross></b>{NAMES[3]}").replace(NAMES[4], f"<b class=tick></b>{NAMES[4]}")
    rows = rows.replace(f"<td >{NAMES[5]}", f"<td title='Shows whether the check failed'>{NAMES[5]}")
    rows = rows.replace("<th", "<th title=Failed")
    result = read(f"{SIGN}{rows}<p><i class=iconError></i>Failed <i class=icon-ok></i>Passed")
    assert [item.name for item in result.items if not item.passed] == list(NAMES[:4])


def test_two_tables_are_one_check(read: Read) -> None:
    """An item that failed in the second one is not lost."""
    result = read(plain([("CPU", "Passed"), ("RAM", "Passed")]) + "<h3>Network</h3>" + plain([("Port 1522", "Failed")]))
    assert [(item.name, item.passed) for item in result.items] == [("CPU", True), ("RAM", True), ("Port 1522", False)]


def test_states_beyond_the_end_of_the_table_are_not_left_out(read: Read) -> None:
    """A row that stands apart from the others keeps the check from having passed."""
    rows = plain([("CPU", "Passed"), ("RAM", "Passed")])
    apart = "<div style='height:200px'></div><div class=l><div>Disk</div><div>Fail</div></div>"
    result = read(rows + apart)
    assert not result.has_ended or result.unknown or not all(item.passed for item in result.items)


SECTION = "<div id=s {}><table><tr><th>Check<th>Status<tr><td>Port 1522<td>Fail</table></div>"
SHUT, OPENED = SECTION.format("hidden"), SECTION.format("")
SECTIONS = {
    "dijit's TitlePane": "<div role=button tabindex=0 aria-controls=s aria-pressed={}>Network</div>{}",
    "expanded": "<button aria-expanded={}>Network</button>{}",
    "details": "<details {}><summary>Network</summary>{}</details>",
    "dijit's tab": "<p role=tablist><b role=tab aria-selected=true>System</b><b role=tab {}>Network</b></p>{}",
    "tab": "<div role=tablist><span role=tab aria-selected={} aria-controls=s>Network</span></div>{}",
}


@pytest.mark.parametrize("kind", SECTIONS)
def test_a_part_that_is_folded_away_is_seen(look: Look, kind: str) -> None:
    """A closed section or another tab may hold further rows; not where it is open, or was there before."""
    rows = plain([("CPU", "Passed"), ("RAM", "Passed")])
    states = {"details": ("", "open"), "dijit's tab": ("", "aria-selected=true")}.get(kind, ("false", "true"))
    shut, opened = (rows + SECTIONS[kind].format(*given) for given in zip(states, (SHUT, OPENED), strict=True))
    assert _folded(look(rows), look(shut)) == "Network"
    assert _folded(look(rows), look(opened)) == ""
    assert _folded(look(shut), look(shut)) == ""


def test_what_is_only_drawn_as_disabled_is(look: Look) -> None:
    """By a class of its own or of what wraps it alone, or by what the pointer meets there."""
    styles = ("class='btn btn-Disabled'", "style='pointer-events:none'", "style='cursor:not-allowed'", "class=enabled")
    ways = [f"<button {style}>Next</button>" for style in styles]
    ways += [
        "<ul><li class=disabled><a href=#>Next</a></li></ul>",
        "<p class=disabled><a href=#>Next</a><a href=#>2</a></p>",
    ]
    ways += ["<div inert><button>Next</button></div><div style='cursor:not-allowed'><button>Next</button></div>"]
    ways += ["<span class=is-disabled style='cursor:pointer'>Next</span>"]
    found = [item.disabled for item in look("".join(ways)).items if item.text == "Next" and item.kind != "text"]
    assert found == [True, True, True, False, True, False, True, False, True]


def test_the_row_and_the_pager_of_a_grid_are_read(look: Look) -> None:
    """As dojox draws them: a chosen row is marked around its table, the next page is a picture over hidden words."""
    row = "<div role=row aria-selected={}><table role=presentation><tr><td>{}<td>Up</table></div>"
    hidden, size = "<span title='{0} Page' style='display:none'>&gt;</span>", "style='width:16px;height:16px'"
    pager = f"<div title='{{0}} Page' class=btn{{1}} {size}>{hidden}</div>"
    grid = f"<div role=grid>{row.format('false', '192.0.2.1')}{row.format('true', '192.0.2.2')}</div>"
    shown = look(grid + pager.format("Next", "") + pager.format("Previous", "Disable"))
    assert [row.selected for row in shown.rows] == [False, True]
    pressed = [(item.text, item.disabled) for item in shown.items if item.kind == "clickable"]
    assert pressed == [("Next Page", False), ("Previous Page", True)]


def test_what_lies_over_a_page_as_tall_as_the_window_is_in_front(look: Look) -> None:
    """The document is as large as a cover there, and is none."""
    style = "<style>html, body {height: 100%} .over {position: fixed; inset: 0; background: #0006}</style>"
    page, words = f"{style}<button>Go</button>", "<a href=#>Skip tour</a>"
    tour = f"<div class=over></div><div style='position: fixed; top: 200px; background: #fff'>{words}</div>"
    assert not look(page).blocked
    assert [item.text for item in look(page + tour).in_dialog().items] == ["Skip tour"]


PLACE = "style='position: absolute; left: 0; top: 90px; width: 300px; height: 60px; background: #fff'"
ROOT = "<pi-part><template shadowrootmode=open>{}</template></pi-part>".format
GO, NOTICE = f"<button {PLACE}>Go</button>", f"<div {PLACE}>Notice <a href=#>Close</a></div>"


@pytest.mark.parametrize("html", [ROOT(GO + NOTICE), ROOT(GO) + NOTICE, GO + ROOT(NOTICE), ROOT(GO) + ROOT(NOTICE)])
def test_what_lies_over_something_is_no_more_than_that(html: str, tab: Page) -> None:
    """In the same shadow root, in another one, or in none: nothing else of the page could be pressed to uncover it."""
    tab.set_content(f"<a href=#>Other</a>{html}")
    observer = tab.evaluate_handle(_OBSERVER)
    items = json.loads(observer.evaluate("h => h.look([true, true])"))["items"]
    texts = [item["names"][0][1] for item in items]
    over = observer.evaluate(script("over"), texts.index("Go"))
    assert [texts[number] for number in over] == ["Notice", "Close"]
