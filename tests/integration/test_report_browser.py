"""The post-mortem in a real browser: nothing in it runs or asks for anything, it fits a phone, and it prints."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pypdf
import pytest
from playwright.sync_api import Page, sync_playwright

from runbook_lib.errors import BrowserMissing
from runbook_lib.paths import find_browser, project_root
from runbook_lib.record.incident import Record
from runbook_lib.show import report_page
from runbook_lib.show.report import post_mortem, write_into
from runbook_lib.web.launching import launch_arguments

sys.path.append(str(project_root() / "tests" / "unit"))  # the record is built as the unit tests build it

from report_kit import whole_record

HOSTILE = (
    "</style></pre></title><script>document.title='taken';alert(1)</script>"
    "<img src=http://127.0.0.1:9/x onerror=alert(2)>"
    "<svg onload=alert(3)><iframe src=javascript:alert(4)></iframe><base href=http://127.0.0.1:9/>"
    " <a href='javascript:alert(5)'>x</a> \u202egnp.exe\u202c \x1b[31mred " + "x" * 500
)
PHONE, DESK = 390, 1280
PAPER = 688
"""The 182 mm between the margins of A4, in CSS pixels."""
NARROW_CELLS = """() => [...document.querySelectorAll("tbody td, tbody th")].filter(cell => {
  const style = getComputedStyle(cell), ruler = document.createElement("span");
  ruler.textContent = "0".repeat(11);
  ruler.style.position = "absolute";
  ruler.style.whiteSpace = "nowrap";
  cell.append(ruler);
  const wanted = ruler.getBoundingClientRect().width;
  ruler.remove();
  const room = cell.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return cell.textContent.trim().length > 28 && room < wanted;
}).map(cell => cell.textContent.trim().slice(0, 60))"""
"""The cells of more than 28 letters with room for fewer than 11 on a line."""


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """A record in which everybody says what would do harm, with its report inside."""
    made = whole_record(tmp_path_factory.mktemp("hostile"), HOSTILE)
    write_into(made, post_mortem(made.folder))
    return made


def test_a_report_that_takes_too_long_to_print_ends_in_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever, and the error says that the HTML file holds the same."""
    monkeypatch.setattr(report_page, "LONGEST_S", 0.01)
    with pytest.raises(BrowserMissing, match="did not print") as caught:
        report_page.print_pdf("<p>x" * 1000, find_browser(), title="x", journal=b"")
    assert "HTML" in caught.value.next_step


@pytest.fixture(scope="module")
def seen(record: Record) -> SimpleNamespace:
    """What one browser saw of the report: its events, and the page on a desk and on a phone."""
    found = SimpleNamespace(events=[], requests=[], widths={}, titles=set(), texts={}, opened=None)
    address = (record.folder / "report" / "post-mortem.html").as_uri()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(find_browser()), args=launch_arguments([]), timeout=120_000
        )
        for width in (DESK, PHONE):
            page = browser.new_page(viewport={"width": width, "height": 900})
            _listen(page, found)
            page.goto(address, wait_until="load")
            found.widths[width] = page.evaluate("document.documentElement.scrollWidth")
            found.titles.add(page.title())
            found.texts[width] = page.locator("main").inner_text()
            found.shown = [page.locator(".wide").first.is_visible(), page.locator(".narrow").first.is_visible()]
            page.locator("#timeline td a").first.click()
            found.opened = page.evaluate("document.querySelector(':target').id")
        page.set_viewport_size({"width": PAPER, "height": 900})
        page.emulate_media(media="print")
        found.narrow = page.evaluate(NARROW_CELLS)
        found.paper = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    found.own = address
    return found


def _listen(page: Page, found: SimpleNamespace) -> None:
    page.on("console", lambda message: found.events.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: found.events.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (found.events.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: found.requests.append(request.url))


def test_nothing_in_it_runs(seen: SimpleNamespace, record: Record) -> None:
    """No dialog, no error, no word of the console, no other title: what others said is only shown."""
    assert seen.events == []
    assert seen.titles == {f"Post-mortem {record.incident}"}
    assert "<script>document.title='taken'" in seen.texts[DESK]
    assert "\\u202egnp.exe" in seen.texts[DESK]


def test_it_asks_for_nothing(seen: SimpleNamespace) -> None:
    """The only requests are for the file itself and for the pictures that it holds."""
    assert {url.partition("#")[0] for url in seen.requests if not url.startswith("data:image/png;")} == {seen.own}


def test_it_fits_a_phone(seen: SimpleNamespace) -> None:
    """At 390 pixels nothing sticks out, whatever the text, and the picture for narrow pages is the one that shows."""
    assert seen.widths == {DESK: DESK, PHONE: PHONE}
    assert seen.shown == [False, True]


def test_no_column_is_too_narrow_on_paper(seen: SimpleNamespace) -> None:
    """On A4 each column of words has room for eleven letters at least, and no table sticks out, whatever the text."""
    assert seen.narrow == []
    assert seen.paper == PAPER


def test_a_row_leads_to_its_line(seen: SimpleNamespace) -> None:
    """A click on the evidence of the timeline's first row shows a line of the journal."""
    assert seen.opened.startswith("line-")


@pytest.fixture(scope="module")
def printed(record: Record) -> tuple[pypdf.PdfReader, str]:
    """The PDF and its text, which takes seconds to find in it."""
    reader = pypdf.PdfReader(io.BytesIO((record.folder / "report" / "post-mortem.pdf").read_bytes()))
    return reader, "\n".join(page.extract_text() for page in reader.pages)


def test_the_pdf_holds_the_text_and_its_title(record: Record, printed: tuple[pypdf.PdfReader, str]) -> None:
    """The printed report has the title, an outline, tags for screen readers, the text, and no address to follow."""
    reader, text = printed
    assert reader.metadata is not None
    assert reader.metadata.title == f"Post-mortem {record.incident}"
    assert reader.outline
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert "What remains unproven" in text
    assert "2 h 3 min" in text
    assert str(Path.home()) not in text
    assert not [note for page in reader.pages for note in _addresses(page)]


def test_the_pdf_holds_the_journal_as_an_attachment(record: Record, printed: tuple[pypdf.PdfReader, str]) -> None:
    """It is the journal to the byte, as far as it went when the report was written, and it is not printed."""
    reader, text = printed
    [attached] = reader.attachments["journal.jsonl"]
    assert len(attached.splitlines()) > 30
    assert record.journal.path.read_bytes().startswith(attached)
    assert "attached to this PDF" in text
    assert record.journal.read().lines[0].hash not in text


def test_what_the_browser_printed_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """The attachment is appended: not a byte before it changes, and nothing is said of it in the notebook."""
    blank = io.BytesIO()
    pypdf.PdfWriter().write(blank)
    made = report_page._with_journal(blank.getvalue(), b'{"n":1}\n', "Post-mortem x")
    assert made.startswith(blank.getvalue())
    assert pypdf.PdfReader(io.BytesIO(made)).attachments["journal.jsonl"] == [b'{"n":1}\n']
    assert pypdf.PdfReader(io.BytesIO(made)).metadata.title == "Post-mortem x"  # type: ignore[union-attr]
    assert caplog.messages == []


def _addresses(page: pypdf.PageObject) -> list[str]:
    notes = [note.get_object() for note in page.get("/Annots", [])]
    return [note["/A"]["/URI"] for note in notes if "/URI" in note.get("/A", {})]
