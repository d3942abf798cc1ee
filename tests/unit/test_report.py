"""The post-mortem: it says what the record holds and nothing beyond, of whole records, cut ones and damaged ones."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from incident_kit import STALE, Incident
from report_kit import PLAIN, checks, whole_record

from runbook_lib import secrets
from runbook_lib.errors import ParameterRefused
from runbook_lib.models import Outcome, Stage, StageState, Verdict
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import About, Artifact, Kind, LineTopic
from runbook_lib.redactor import Redactor
from runbook_lib.repair.ha_state import REGISTRATION
from runbook_lib.show.document import NO_REF, Ref, Row, Table, without_idle_columns
from runbook_lib.show.report import post_mortem, write_beside, write_into
from runbook_lib.show.report_page import escape, render_html, render_markdown
from runbook_lib.show.report_reading import begin_mark, end_mark, read_written
from runbook_lib.show.report_sections import FACTORS, sections_of
from runbook_lib.show.timeline import Lane, Span, draw_timeline, over_time

FORMS = ("html", "md")
HOSTILE = (
    "</style></pre><script>alert('no')</script><img src=x onerror=alert(1)> javascript:alert(1)"
    " [a](javascript:alert(2))"
    " https://example.com/x \u202egnp.exe\u202c \x1b[31mred\x1b[0m `code` | cell | <!-- c --> &lt;b&gt;"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """The record of a repair that went well; not to be changed."""
    return whole_record(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a record in which everybody says what would do harm, if it were obeyed."""
    record = whole_record(tmp_path_factory.mktemp("hostile"), HOSTILE)
    for path in (
        "javascript:alert(1)",
        "../../../../etc/passwd",
        "/etc/passwd",
        'x" onclick="alert(1)',
        "//127.0.0.1:9/x",
    ):
        with pytest.raises(ValueError, match="leads to no file"):  # no line of a journal may name such a file
            record.journal.append(Kind.KEPT, artifact=Artifact(path=path, sha256="0" * 64), text="screenshot")
    return render_html(post_mortem(record.folder), files="../")


class Page(HTMLParser):
    """What a page holds: each element with its attributes, in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


# -- what it says ----------------------------------------------------------------------------------


def test_it_says_how_long_each_was_rejected(whole: Record) -> None:
    """From the first mismatch line to the checks: two hours, three minutes and some seconds, for HA and for ISE."""
    found = post_mortem(whole.folder)
    ha, ise, other = found.impacts
    assert (ha.what, ise.what, other.what) == ("High availability", "ISE server ise", "ISE server ise2")
    for impact in (ha, ise):
        assert impact.duration is not None
        assert timedelta(hours=2, minutes=3, seconds=4) <= impact.duration < timedelta(hours=2, minutes=4)
    assert other.duration is None
    assert any(what.startswith("which of the ISE servers") for what in ise.not_known)


def test_an_end_that_was_not_proven_is_not_known(tmp_path: Path) -> None:
    """Where the newest checks of HA do not hold, its end is not known, although earlier ones held."""
    record = whole_record(tmp_path)
    record.write_facts(Stage.VERIFY, "checks", checks(PLAIN, ha=False))
    ha, ise, _ = post_mortem(record.folder).impacts
    assert ha.until_utc is None
    assert any("when it ended" in what for what in ha.not_known)
    assert ise.until_utc is not None


def test_before_and_after_of_both_stores(whole: Record) -> None:
    """Each entry that was deleted and is back is called that; the others are unchanged."""
    stores = {store.server: store for store in post_mortem(whole.folder).stores}
    back = {(server, e.key) for server, store in stores.items() for e in store.entries if "listed again" in e.word}
    assert back == STALE
    assert {e.word for store in stores.values() for e in store.entries if "listed again" not in e.word} == {"unchanged"}


def test_every_row_of_the_timeline_leads_to_its_line(whole: Record) -> None:
    """Each moment names a line of the journal that is on the page, and a file where the line names one."""
    found = post_mortem(whole.folder)
    by_number = {line.line.n: line for line in found.lines}
    assert found.moments
    for moment in found.moments:
        assert moment.ref.path == by_number[moment.ref.line].line.path
    page = Page(render_html(found, files="../"))
    anchors = {about["id"] for _, about in page.elements if "id" in about}
    links = [about["href"] or "" for about in page.all("a")]
    assert {f"#{each}" for each in anchors} >= {link for link in links if link.startswith("#")}
    for link in (link for link in links if not link.startswith("#")):
        assert (whole.folder / "report" / link).resolve().is_file(), link


def test_the_timeline_is_read_in_a_narrow_window_and_on_paper(whole: Record) -> None:
    """A pane is 605 pixels wide in a window of 1024, and A4 holds 660: words have 11 pixels and 9 points.

    It is on the first page, above the tables; in Markdown the table of the moments says it alone.
    """
    report = post_mortem(whole.folder)
    drawn = over_time(report)
    assert drawn
    assert sections_of(report)[0].blocks[-1] == drawn
    assert drawn.wide.title not in render_markdown(report)
    smallest = min(map(float, re.findall(r'font-size="([\d.]+)"', drawn.wide.body)))
    assert smallest * min(1, 605 / drawn.wide.width) >= 11
    assert smallest * min(1, 660 / drawn.wide.width) * 0.75 >= 9


def test_the_timeline_shows_a_change_that_was_proven_later_as_its_row_does(whole: Record) -> None:
    """Beside the moment, whose result was doubtful; and a stage too short for its number has it behind its bar."""
    report = post_mortem(whole.folder)
    first, *rest = report.changes
    proven, good = (
        over_time(replace(report, changes=(replace(first, tone=tone, is_settled=tone == "doubt"), *rest)))
        for tone in ("doubt", "good")
    )
    assert proven == good
    began = datetime(2026, 12, 1, tzinfo=UTC)
    spans = tuple(
        Span(text=text, start=began + timedelta(seconds=at), end=began + timedelta(seconds=at + 1), tone="good")
        for text, at in (("00", 0), ("10", 100), ("20", 101), ("30", 200))
    )
    drawn = draw_timeline([Lane(title="Stages", spans=spans)], end=began + timedelta(seconds=300), title="", width=660)
    assert re.findall(r">(\d0)<", drawn.body) == ["00", "20", "30"]


def test_a_record_without_a_record_is_refused(tmp_path: Path) -> None:
    """A folder that holds no record has no report."""
    with pytest.raises(ParameterRefused):
        post_mortem(tmp_path)


# -- what it does not say --------------------------------------------------------------------------


def test_a_record_that_died_anywhere_is_reported_truly(tmp_path: Path) -> None:
    """Of each prefix of a journal: it renders, and claims no outcome and no proof that was not written."""
    record = whole_record(tmp_path)
    data, lines = record.journal.path.read_bytes(), record.journal.read().lines
    ends = [len(b"\n".join(data.split(b"\n")[:n])) + 1 for n in range(1, len(lines) + 1)]
    for n in range(len(lines), 0, -1):
        kept = lines[:n]
        record.journal.path.write_bytes(data[: ends[n - 1]] + data[ends[n - 1] : ends[n - 1] + n % 3])
        found = post_mortem(record.folder)
        html, markdown = render_html(found, files="../"), render_markdown(found)
        said = any(line.seen == "repaired" for line in kept)
        pending = len([line for line in kept if line.kind == "intent"]) > len([x for x in kept if x.kind == "result"])
        assert found.headline.outcome is (Outcome.UNKNOWN if pending else Outcome.REPAIRED if said else None)
        assert ("repaired" in html, "repaired" in markdown) == (said, said)
        proven = any(line.text == "checks" for line in kept)
        assert all((impact.until_utc is None) is not proven for impact in found.impacts[:2] if impact.rejected)
        assert len(found.lines) == n
        _forget(record.folder, lines[n - 1 :], kept[:-1])
    record.journal.path.write_bytes(b"")
    assert post_mortem(record.folder).headline.outcome is None


def _forget(folder: Path, later: tuple, earlier: tuple) -> None:  # type: ignore[type-arg]
    """Take away the file of the first of the later lines, unless an earlier one names it too."""
    gone = later[0].artifact
    if gone and gone not in [line.artifact for line in earlier]:
        (folder / gone.path).unlink(missing_ok=True)


def test_a_change_without_a_result_outweighs_the_outcome(tmp_path: Path) -> None:
    """A change after “repaired” whose result is not known makes the headline unknown."""
    record = whole_record(tmp_path)
    record.intend(Stage.REGISTER, "primary", "register HA once more")
    found = post_mortem(record.folder)
    assert found.headline.outcome is Outcome.UNKNOWN
    assert any("register HA once more" in sentence for sentence in found.unproven)


@pytest.mark.parametrize(("good", "tone"), [(True, "good"), (False, "doubt")])
def test_a_result_that_is_right_is_no_doubt_however_it_is_worded(tmp_path: Path, good: bool, tone: str) -> None:
    """A registration whose end was seen after an interruption, in both servers' words."""
    record = Record.create(tmp_path, "berlin")
    change = record.intend(Stage.REGISTER, "primary", REGISTRATION, expected="Primary Active")
    change.sent()
    change.result("primary: Primary Active; secondary: Secondary Syncing", good=good)
    found = post_mortem(record.folder)
    assert [row.tone for row in found.changes] == [tone]
    assert [moment.tone for moment in found.moments if moment.kind is Kind.RESULT] == [tone]


def test_an_outcome_that_something_followed_is_in_doubt(tmp_path: Path) -> None:
    """After a further stage the outcome is told with its doubt; after the report's own stage it is not."""
    record = whole_record(tmp_path)
    record.start_stage(Stage.POST_MORTEM)
    assert post_mortem(record.folder).headline.tone == "good"
    record.start_stage(Stage.DIAGNOSE)
    record.end_stage(Stage.DIAGNOSE, StageState.STOPPED, "by hand")
    headline = post_mortem(record.folder).headline
    assert headline.tone == "doubt"
    assert "went on" in headline.words


def test_whoever_may_have_answered_once_is_not_forgotten(tmp_path: Path) -> None:
    """Another certificate that was met, and gone at the next look, is the first thing that a repair leaves open."""
    record = whole_record(tmp_path)
    about = About(topic=LineTopic.CERTIFICATE, name="192.0.2.20:8082", seen=Verdict.CONTRADICTED)
    record.journal.append(Kind.OBSERVED, server="secondary", seen="contradicted: not the CSR's", text=about)
    found = post_mortem(record.folder)
    assert found.headline.outcome is Outcome.REPAIRED
    assert found.unproven[0].startswith("Who answered as secondary at ")
    assert found.unproven[0].endswith("which may be somebody else: contradicted: not the CSR's")


def test_a_contradicted_certificate_comes_first(tmp_path: Path) -> None:
    """The page and the Markdown begin with the suspected interception, before how it ended."""
    incident = Incident(tmp_path, {"secondary": Verdict.CONTRADICTED})
    incident.record.set_outcome(Outcome.STOPPED, "30_delete_stale_certificates: DeletionRefused")
    found = post_mortem(incident.record.folder)
    for text in (render_html(found, files="../"), render_markdown(found)):
        assert text.index("Suspected interception: secondary") < text.index("it stopped for safety")


def test_a_damaged_record_says_so_at_its_top(tmp_path: Path) -> None:
    """Facts that were edited are not used; the page begins with the file's name, and nothing in it is settled."""
    record = whole_record(tmp_path)
    path = record.folder / "facts/60_verify/checks.json"
    path.write_bytes(path.read_bytes().replace(b"healthy", b"hEalthy"))
    found = post_mortem(record.folder)
    assert found.checks == ()
    assert found.impacts[0].until_utc is None
    assert found.headline.tone == "doubt"
    page = render_html(found, files="../")
    assert page.index("does not verify") < page.index("facts/60_verify/checks.json") < page.index("Contents")
    assert "does not verify" in render_markdown(found)[:300]


def test_a_line_that_was_edited_ends_what_is_believed(tmp_path: Path) -> None:
    """Nothing after the first damaged line of the journal is told."""
    record = whole_record(tmp_path)
    lines = record.journal.path.read_bytes().split(b"\n")
    lines[9] = lines[9].replace(b'"server":""', b'"server":"x"').replace(b'"text":"', b'"text":"y')
    record.journal.path.write_bytes(b"\n".join(lines))
    found = post_mortem(record.folder)
    assert len(found.lines) == 9
    assert found.headline.outcome is None
    assert found.verified.problems


# -- how it says it --------------------------------------------------------------------------------


def test_text_of_others_stays_text(hostile: str) -> None:
    """No element, attribute or address of the page comes from a text of the record; control characters are shown."""
    page = Page(hostile)
    assert page.all("script") == []
    assert [
        about for _, about in page.elements if any(name.startswith("on") or name == "style" for name in about)
    ] == []
    assert {(about["src"] or "").partition(",")[0] for about in page.all("img")} == {"data:image/png;base64"}
    assert all(re.match(r"#|\.\./[A-Za-z0-9]", about["href"] or "") for about in page.all("a"))
    assert not [about for about in page.all("a") if ":" in (about["href"] or "")]
    assert "\u202e" not in hostile
    assert "\x1b" not in hostile
    assert "\\u202egnp.exe" in hostile
    assert "&lt;script&gt;alert(&#39;no&#39;)&lt;/script&gt;" in hostile


def test_the_page_allows_its_own_style_and_nothing_else(hostile: str) -> None:
    """The policy comes before the style sheet, names its hash, and allows no script and no address."""
    require_own_style(hostile)
    policy = next(about["content"] or "" for about in Page(hostile).all("meta") if "http-equiv" in about)
    directives = [directive.split(" '")[0] for directive in policy.split("; ")]
    assert directives == ["default-src", "img-src data:", "style-src", "base-uri", "form-action"]
    assert policy.startswith("default-src 'none'; ")
    style = hostile.partition("<style>")[2].partition("</style>")[0]
    assert hostile.index("Content-Security-Policy") < hostile.index("<style>")
    assert not re.search(r"url\(|@import|https?:", style)


def test_the_page_is_built_for_readers_of_all_kinds(hostile: str) -> None:
    """One main heading, no level left out, a scope for each header of a table, words for each picture, ids once."""
    page = Page(hostile)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    assert all(about.get("scope") in ("col", "row") for about in page.all("th"))
    assert all(about.get("alt") for about in page.all("img"))
    assert all(about.get("aria-label") for about in page.all("svg"))
    idents = [about["id"] for _, about in page.elements if "id" in about]
    assert len(idents) == len(set(idents))


def test_markdown_stands_alone(whole: Record) -> None:
    """Each of its links leads to a heading of its own, and below it stands that line of the journal."""
    found = post_mortem(whole.folder)
    text = render_markdown(found)
    assert "](<" not in text
    targets = {int(n) for n in re.findall(r"\]\(#line-(\d+)\)", text)}
    assert len(re.findall(r"\]\(", text)) == len(re.findall(r"\]\(#line-\d+\)", text)) > len(targets)
    assert targets == {int(n) for n in re.findall(r"(?m)^#### line (\d+)$", text)}
    by_number = {line.line.n: line for line in found.lines}
    assert targets > {moment.ref.line for moment in found.moments}
    for number, said in re.findall(r"(?m)^#### line (\d+)\n\n(.*)$", text):
        assert by_number[int(number)].line.kind.replace("_", "\\_") in said
        assert by_number[int(number)].line.path in said


def test_the_report_never_calls_its_own_stage_running(tmp_path: Path) -> None:
    """Stage 70 writes the report before it ends: it has not ended yet, and it is not what the headline is about."""
    record = Record.create(tmp_path, "lab")
    record.start_stage(Stage.DIAGNOSE)
    record.end_stage(Stage.DIAGNOSE, StageState.FAILED, "no logs")
    record.start_stage(Stage.POST_MORTEM)
    found = post_mortem(record.folder)
    assert found.headline.words.endswith("10_diagnose_logs, ended failed")
    running = record.folder / "notebooks" / f"{Stage.POST_MORTEM}.running.ipynb"
    running.parent.mkdir()
    running.write_text("{}")
    assert any(running.name in note for note in post_mortem(record.folder).verified.every_note())
    found = post_mortem(record.folder, sealed_next=True)
    for text in (render_html(found, files=None), render_markdown(found)):
        assert "not ended yet" in text
        assert "running" not in text
        assert "still runs" not in text
    assert "was not sealed when this was written" in render_html(found, files=None)
    assert "never sealed" not in render_html(found, files=None)


def test_a_column_that_says_nothing_is_left_out() -> None:
    """A column of dashes goes; one in which a single row says something stays, and an empty table keeps its headers."""
    table = Table(title="x", headers=("a", "b", "c"), rows=(Row("1", "-", NO_REF), Row("2", "-", Ref(line=7))))
    shown = without_idle_columns(table)
    assert shown.headers == ("a", "c")
    assert shown.rows == (Row("1", NO_REF), Row("2", Ref(line=7)))
    empty = Table(title="x", headers=("a", "b"))
    assert without_idle_columns(empty) == empty


def test_markdown_shows_text_of_others_as_text(tmp_path: Path) -> None:
    """No tag, no link, no formula and no further cell of a table comes from a text of the record."""
    assert escape("CN=$x$") == "CN=<span>$</span>x<span>$</span>"
    record = whole_record(tmp_path, HOSTILE)
    text = render_markdown(post_mortem(record.folder))
    assert not re.search(r"<(?!br>|!-- write)", text)
    assert "](javascript" not in text
    assert "https://" not in text
    for line in (line for line in text.splitlines() if line.startswith("|")):
        assert len(re.findall(r"(?<!\\)\|", line)) in (4, 5, 6, 7, 8)
    tables = [block for block in text.split("\n\n") if block.startswith("| ")]
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


def test_a_huge_text_has_an_end(tmp_path: Path) -> None:
    """Of a text of a million characters the page shows the beginning, and says how much there is."""
    record = whole_record(tmp_path)
    record.end_stage(Stage.VERIFY, StageState.FAILED, "x" * 1_000_000)
    page = render_html(post_mortem(record.folder), files="../")
    assert "more characters)" in page
    assert len(page) < 400_000


# -- where it is written ---------------------------------------------------------------------------


def test_what_a_record_says_is_no_persons_word() -> None:
    """A person writes between marks on lines of their own: the same marks in a cell of a table are none."""
    forged = f"{begin_mark(FACTORS)} The PKI team confirmed it. {end_mark(FACTORS)}"
    written = f"{begin_mark(FACTORS)}  \n\nNobody told us.\n\n{end_mark(FACTORS)}"
    assert read_written(f"| `{forged}` | x |\n\n{written}\n", (FACTORS,)) == {FACTORS: "Nobody told us."}
    assert read_written(f"| `{forged}` | x |\n", (FACTORS,)) == {}


def test_nothing_is_overwritten_and_what_a_person_wrote_is_taken_over(whole: Record, tmp_path: Path) -> None:
    """A second report goes beside the first, says so, and holds in every form what was written into the Markdown."""
    found = post_mortem(whole.folder)
    first = write_beside(tmp_path, found, record=whole.folder, forms=FORMS)
    mine = tmp_path / "post-mortem.md"
    edited = mine.read_text().replace("_To be written._", "Nobody <told> us; **ask** the PKI team.", 1)
    mine.write_text(edited)
    second = write_beside(tmp_path, found, record=whole.folder, forms=FORMS)
    assert [path.name for path in first.files] == ["post-mortem.html", "post-mortem.md"]
    assert [path.name for path in second.files] == ["post-mortem-2.html", "post-mortem.md"]  # which says the same
    assert mine.read_text() == edited
    assert second.kept == (tmp_path / "post-mortem.html",)
    assert second.taken_over == ("contributing-factors",)
    assert "Nobody &lt;told&gt; us; **ask** the PKI team." in second.files[0].read_text()
    between = second.files[1].read_text().partition(begin_mark("contributing-factors"))[2]
    assert between.partition(end_mark("contributing-factors"))[0].strip() == "Nobody <told> us; **ask** the PKI team."


def test_a_report_in_the_record_is_a_part_of_it(tmp_path: Path) -> None:
    """It is named in the journal with its digest, so the record still verifies; the next one gets a number."""
    record = whole_record(tmp_path)
    for name in ("post-mortem.html", "post-mortem-2.html"):
        written = write_into(record, post_mortem(record.folder), stage=Stage.POST_MORTEM, forms=FORMS)
        assert written.files[0].name == name
    assert post_mortem(record.folder).verified.problems == []
    assert {path.stat().st_mode & 0o777 for path in (record.folder / "report").iterdir()} == {0o600}


def test_the_report_passes_the_gate_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that got into a text is replaced in every form; one that is a word of the style sheet breaks nothing."""
    record = whole_record(tmp_path, "the key is hunter2-hunter2")
    gate = Redactor()
    gate.know("env:KEY", "hunter2-hunter2")
    gate.know("env:OTHER", "border-collapse")
    monkeypatch.setattr(secrets, "REDACTOR", gate)
    folder = tmp_path / "out"
    write_beside(folder, post_mortem(record.folder), record=record.folder, forms=FORMS)
    for path in folder.iterdir():
        assert "hunter2" not in path.read_text()
        assert "[secret env:KEY]" in path.read_text() or path.suffix == ".md"
    require_own_style((folder / "post-mortem.html").read_text())


def require_own_style(page: str) -> None:
    """Fail unless the policy names the hash of the page's style sheet."""
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in page
