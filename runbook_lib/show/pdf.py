"""The report's page on paper: printed in the browser that was found, offline and without scripts; the journal in it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from html import escape
from io import BytesIO
from pathlib import Path

from playwright.async_api import Browser, Error, PdfMargins
from pypdf import PdfWriter
from pypdf.generic import NameObject

from runbook_lib import event_loop
from runbook_lib.errors import BrowserMissing
from runbook_lib.web.launching import Joining, driver, first_line, launch, offered_browser

_FOOTER = (
    '<div style="font:8px sans-serif;width:100%;padding:0 14mm;display:flex;justify-content:space-between">'
    '<span>{title}</span><span><span class="pageNumber"></span> / <span class="totalPages"></span></span></div>'
)
_MARGIN = PdfMargins(top="16mm", bottom="18mm", left="14mm", right="14mm")
LONGEST_S = 120.0
ATTACHED = "journal.jsonl"


def print_pdf(html: str, executable: Path, *, title: str, journal: bytes) -> bytes:
    """Return the page as a tagged PDF with an outline, A4, the journal attached as ``journal.jsonl``, with ``title``.

    Raises BrowserMissing where the browser cannot print.
    """
    try:
        printed = event_loop.run(_print(html, executable, title), timeout_s=LONGEST_S)
    except TimeoutError:
        raise _not_printed(executable, f"not done within {LONGEST_S:g} s") from None
    return _with_journal(printed, journal, title)


def _with_journal(printed: bytes, journal: bytes, title: str) -> bytes:
    """Append journal and title. What the browser wrote stays byte for byte; what is attached is not compressed."""
    writer = PdfWriter(BytesIO(printed), incremental=True)
    attached = writer.add_attachment(ATTACHED, journal)
    attached.subtype = NameObject("/application/jsonl")
    writer.add_metadata({"/Title": title})
    found = BytesIO()
    writer.write(found)
    return found.getvalue()


async def _print(html: str, executable: Path, title: str) -> bytes:
    try:
        async with AsyncExitStack() as stack:
            browser = offered_browser(executable) or await _started(executable, stack)
            context = await browser.new_context(offline=True, java_script_enabled=False, service_workers="block")
            stack.push_async_callback(context.close)
            page = await context.new_page()
            await page.set_content(html, wait_until="load")
            return await page.pdf(
                format="A4",
                margin=_MARGIN,
                tagged=True,
                outline=True,
                print_background=True,
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=_FOOTER.format(title=escape(title)),
            )
    except Error as error:
        raise _not_printed(executable, first_line(error)) from None


async def _started(executable: Path, stack: AsyncExitStack) -> Browser:
    """Return the browser that many share, where this process was told of one, or start one; it ends with ``stack``."""
    shared = Joining.told(executable)
    playwright = await stack.enter_async_context(driver())
    joined = await shared.connect(playwright) if shared else None
    browser = joined or await launch(playwright, executable)
    stack.push_async_callback(browser.close)
    return browser


def _not_printed(executable: Path, why: str) -> BrowserMissing:
    return BrowserMissing(
        "the browser did not print the report",
        where=str(executable),
        found=why,
        next_step="The HTML file holds the same: print it from any browser.",
    )
