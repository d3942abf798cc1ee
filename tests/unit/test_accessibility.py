"""Everything that is shown, for those who hear it, who see no colours, and whose front end knows no styles."""

from __future__ import annotations

import re
import string
from collections import Counter
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbook_lib.decisions import Approval, Decision, Deletion, DeletionResult, Plan, PlanRow
from runbook_lib.errors import DeletionRefused
from runbook_lib.models import (
    HaStatus,
    Inventory,
    Judgement,
    Presented,
    StageState,
    TofuEntry,
    TofuStore,
    Vantage,
    Verdict,
)
from runbook_lib.observations import (
    Check,
    Damage,
    Diagnosis,
    HaPage,
    ListedIseServer,
    LogLine,
    LookAlike,
    Milestone,
    Mismatch,
    ReadinessItem,
)
from runbook_lib.show import findings, tables
from runbook_lib.show import findings as pictured
from runbook_lib.show.advice import advice, advice_html
from runbook_lib.show.document import BAD, DOUBT, GOOD
from runbook_lib.show.progress import _ended, _going_on, _State
from runbook_lib.show.rendering import View
from runbook_lib.show.trust import Agreement, Trust, TrustHost, Trusts

T = datetime(2026, 11, 23, tzinfo=UTC)
VOID = {"br", "hr", "img", "input", "wbr", "meta", "link"}
# What a code forge leaves of the HTML that a notebook holds: structure and words, no styles and no drawings.
KEPT = {
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "a",
    "p",
    "div",
    "span",
    "details",
    "summary",
    "figcaption",
}


class Page(HTMLParser):
    """The elements of a page, and the words in them; raises for one that is not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.inside: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words.append(data)
            self.inside.setdefault(self._open[-1] if self._open else "", []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def values(word: str) -> list[View[Any]]:
    """One view of every kind, each place that holds a device's or a person's text filled with ``word``."""
    line = LogLine(source=f"/logs/{word}", number=1, text=word)
    diagnosis = Diagnosis(
        mismatches=(
            Mismatch(
                server="primary",
                place="unknown",
                subject=word,
                threads=(word,),
                count=2,
                first_utc=T,
                last_utc=T,
                evidence=(line,),
            ),
        ),
        look_alikes=(LookAlike(server="primary", rule=word, meaning=word, advice=word, count=1, evidence=(line,)),),
        damaged=(Damage(source=word, problem=word),),
        log_end_utc={"primary": T},
    )
    judgement = Judgement(
        target=word, host=word, port=1, verdict=Verdict.UNREACHABLE, reason=word, expectation=word, seen_from=()
    )
    entry = TofuEntry(key=word, host=word, port=1, subject=word, line=word)
    look = Presented(host=word, port=1, vantage=Vantage.HERE, problem=word, seen_utc=T)
    inventory = Inventory(
        stores=(TofuStore(server="primary", entries=(entry,), read_utc=T),),
        presented=(look,),
        judgements=(judgement,),
        ha=(HaStatus(server="primary", role=word, state=word, read_utc=T),),
    )
    row = PlanRow(
        server="primary",
        key=word,
        subject=word,
        target=word,
        decision=Decision.DELETE,
        reason=word,
        command=word,
        evidence=(f"{word}:1",),
    )
    plan = Plan(site="s", incident="i", made_utc=T, rows=(row,), digest="a" * 64, blocked=(word,), notes=(word,))
    done = DeletionResult(
        server=word,
        key=word,
        command=word,
        result=Deletion.GONE,
        said=word,
        before=(),
        after=(),
        sent_utc=T,
        read_back_utc=T,
    )
    hosts = tuple(TrustHost(name=name, address=word, verdict=word, confirmed=None) for name in ("primary", "secondary"))
    trust = Trust(server="primary", target="secondary", keys=(word,), agreement=Agreement.DIFFER, ground=word)
    return [
        findings.diagnosis(diagnosis),
        findings.inventory(inventory, T),
        tables.plan(plan),
        tables.approval(Approval(digest="a", by=word, at_utc=T, how=word, reason=word), word),
        tables.results((done,)),
        tables.readiness((ReadinessItem(name=word, passed=False, detail=word),), (), word),
        tables.ha_page(
            HaPage(
                configuration_mode=word,
                milestones=(Milestone(name=word, percent=3, failed=True),),
                message=word,
                read_utc=T,
            ),
            word,
        ),
        tables.ise_servers((ListedIseServer(address=word, status=word, answers=None),)),
        tables.checks((Check(name=word, expected=word, actual=word, ok=False, note=word),), word),
        View(None, (tables.stages({word: StageState.FAILED}), tables.steps(word, word, ((word, word),)))),
        pictured.trust(Trusts(title=word, hosts=hosts, links=(trust,))),
        View(None, (advice(DeletionRefused(word, where=word, found=word, next_step=word), str),)),
    ]


def pages(word: str = "word") -> list[str]:
    """The HTML of every view, of an error, and of a bar that moves and one that is done."""
    state = _State(sentence=word, fraction=0.5, sentences=[(0.0, word)])
    shown = [view._repr_html_() for view in values(word)]
    error = advice_html(advice(DeletionRefused(word, found=word, next_step=word), str), word)
    return [*shown, *error, _going_on(state)["text/html"], _ended(state, None)["text/html"]]


def test_every_table_has_a_caption_and_every_header_a_scope() -> None:
    """A screen reader says which table, which column and which row."""
    for html in pages():
        page = Page(html)
        assert len(page.all("table")) == len(page.all("caption"))
        assert all(header.get("scope") in ("col", "row") for header in page.all("th"))
        captions = "".join(page.inside.get("caption", []))
        assert captions.strip() or not page.all("table")


def test_every_picture_and_bar_has_a_name() -> None:
    """A picture is one image with a name, and a table of its own beside it says the same."""
    for html in pages():
        page = Page(html)
        for picture in page.all("svg"):
            assert picture["role"] == "img"
            assert picture["aria-label"]
        assert all(bar["aria-label"] for bar in page.all("progress"))
        assert len(page.all("svg")) <= len(page.all("table"))


def test_what_scrolls_is_reached_with_the_keyboard_and_has_a_name() -> None:
    """Wide tables scroll by themselves: they take the focus, and say what they are."""
    for html in pages():
        for box in Page(html).all("div"):
            if box.get("class") == "rb":
                assert box["tabindex"] == "0"
                assert box["role"] == "group"
                assert box["aria-label"]


def test_no_identifier_stands_twice_however_many_views_a_page_holds() -> None:
    """All views on one page, twice: no two elements share an id, since none has one."""
    ids = [attributes["id"] for _, attributes in Page("".join(pages() * 2)).elements if "id" in attributes]
    assert [name for name, count in Counter(ids).items() if count > 1] == []


def test_no_row_is_good_or_bad_by_its_colour_alone() -> None:
    """Each coloured row begins with a sign, and holds a word that other rows do not need."""
    for html in pages():
        for kind, sign in ((GOOD, "✔"), (BAD, "✘"), (DOUBT, "?")):
            for row in re.findall(rf'<tr class="{kind}">(.*?)</tr>', html):
                assert re.sub(r"<[^>]+>", "", row).startswith(f"{sign} ")


def test_what_a_code_forge_leaves_still_reads_as_a_table() -> None:
    """Without styles, attributes, drawings and bars: every caption, header and cell is there, and nothing else."""
    for html in pages():
        bare = stripped(html)
        before, after = Page(html), Page(bare)
        for tag in ("caption", "th", "td", "figcaption", "summary"):
            assert after.inside.get(tag) == before.inside.get(tag)
        assert "style" not in bare
        assert {tag for tag, _ in after.elements} <= KEPT | {"ul", "li", "pre", "small", "wbr"}


def test_a_table_reads_from_the_left_without_its_style_sheet() -> None:
    """Jupyter takes style sheets out of a notebook that it does not trust, and sets all cells to the right."""
    for html in pages():
        page = Page(html)
        for tag in ("caption", "th", "td"):
            assert {attributes.get("style") for attributes in page.all(tag)} <= {"text-align:left"}


def test_the_words_of_a_drawing_stay_words_without_it() -> None:
    """Where its elements are taken out and their texts are left, no text runs into the next."""
    for drawing in re.findall(r"<svg\b.*?</svg>", "".join(pages()), flags=re.DOTALL):
        texts = re.findall(r"<text\b[^>]*>(.*?)</text>", drawing, flags=re.DOTALL)
        left = re.sub(r"<[^>]*>", "", drawing)
        assert left.split() == " ".join(texts).split()


def stripped(html: str) -> str:
    """Return HTML as a strict sanitizer leaves it: no styles, scripts, drawings, and no attributes but links'."""
    html = re.sub(r"<(style|script|svg)\b.*?</\1>", "", html, flags=re.DOTALL)
    html = re.sub(r"</?(?:progress|figure)\b[^>]*>", "", html)
    return re.sub(r"<(\w+)((?: [^<>]*)?)>", lambda tag: f"<{tag[1]}>", html)


def test_nothing_depends_on_one_front_end() -> None:
    """Wherever a variable of JupyterLab or VS Code is used, there is something to fall back to; no script anywhere."""
    for html in pages():
        assert "<script" not in html
        for variable in re.findall(r"var\((--(?:jp|vscode)[^()]*(?:\([^()]*\))?)\)", html):
            assert "," in variable


hostile = st.text(alphabet=string.ascii_letters + "<>&\"'/\\\x1b\u202e\n\0 `{}=#", min_size=1, max_size=30)


@settings(max_examples=25)
@given(hostile)
def test_whatever_a_device_says_the_page_stays_ours(word: str) -> None:
    """Any text in any place: the same elements as with a harmless one, the same attributes, and no script."""

    def shape(html: str) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attributes)) for tag, attributes in Page(html).elements if tag not in ("wbr", "text")]

    for ours, harmless in zip(pages(f"x{word}x"), pages("xwordx"), strict=True):
        # A longer text has more lines in a picture, and none of its elements is of another kind.
        assert {tag for tag, _ in shape(ours)} <= {tag for tag, _ in shape(harmless)}
        assert {name for _, names in shape(ours) for name in names} <= {
            name for _, names in shape(harmless) for name in names
        } | {"text-anchor"}


@pytest.mark.parametrize("view", values("word"), ids=lambda view: view.tables[0].title[:30])
def test_text_and_html_of_a_view_say_the_same(view: View[Any]) -> None:
    """Every cell's words are in both forms; a column that says nothing is in the text only."""
    html = "".join(Page(view._repr_html_()).words)
    text = view.text(200)
    for table in view.tables:
        for row in table.rows:
            for cell in row.cells:
                for piece in str(cell).split("\n"):
                    assert piece in html or piece == "-"
                    assert all(part in text for part in piece.split())
