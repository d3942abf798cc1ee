"""The post-mortem as one HTML page, on paper, and as Markdown that people write in."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from functools import cache
from html import escape as escape_html
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from runbook_lib import __version__, event_loop
from runbook_lib.errors import BrowserMissing, printable
from runbook_lib.i18n.language import ENGLISH, NOT_RECORDED, count, duration, using_language, utc_time
from runbook_lib.record.files import gate_text
from runbook_lib.record.journal import JOURNAL
from runbook_lib.record.verification import NEVER_SEALED
from runbook_lib.show.document import DARK, LIGHT, MARKS, Bullets, Cell, Code, Drawn, Ref, Table, variables
from runbook_lib.show.report_model import Blank, Block, PostMortem, Section, Shots
from runbook_lib.show.report_reading import TO_WRITE, begin_mark, end_mark, ref
from runbook_lib.show.report_sections import sections_of
from runbook_lib.show.svg import STYLE

if TYPE_CHECKING:
    from playwright.async_api import Browser

# -- The post-mortem as Markdown, for wikis: the same chapters, pictures in words, device text as text

LONGEST_MARKDOWN = 2000
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#|!~])")
_AUTOLINK = re.compile(r"(?i)(://|www\.)")


@using_language(ENGLISH)
def render_markdown(pm: PostMortem, *, written: Mapping[str, str] | None = None) -> str:
    """Return the report in GitHub's Markdown; ``written`` as for ``render_html``.

    It stands alone: a line of the journal that it names is in its last chapter, and a link leads there.
    """
    writer = _MarkdownWriter(written or {})
    parts = [*_head(pm), *(part for section in sections_of(pm) for part in writer.section(section))]
    return "\n\n".join([*parts, *writer.evidence(pm)]) + "\n"


def _head(pm: PostMortem) -> Iterator[str]:
    yield f"# Post-mortem {escape(pm.incident)}"
    if pm.verified.problems:
        yield "**✘ This record does not verify. What follows is read from it all the same, and cannot be relied on.**"
        yield "\n".join(f"- {_code(problem.path)}: {escape(problem.what)}" for problem in pm.verified.problems)
    yield from (f"**✘ {escape(alarm)}**" for alarm in pm.alarms)
    headline = pm.headline
    yield f"**{MARKS[headline.tone]} {escape(headline.outcome or 'no outcome')}**: {escape(headline.words)}."
    kind = {"lab": "LAB: simulated servers", "production": "PRODUCTION: real servers"}.get(pm.kind, NOT_RECORDED)
    opened = f"opened {utc_time(pm.opened_utc, NOT_RECORDED)} UTC by {escape(pm.by or NOT_RECORDED)}"
    yield f"Site {escape(pm.site or NOT_RECORDED)} ({kind}), {opened}."


class _MarkdownWriter:
    def __init__(self, written: Mapping[str, str]) -> None:
        self._written = written
        self._named: set[int] = set()

    def evidence(self, pm: PostMortem) -> Iterator[str]:
        """Yield the lines that were named so far. GitHub and GitLab make an anchor of each heading: ``#line-7``."""
        yield "## The lines of the journal that are named above"
        for each in pm.lines:
            line = each.line
            if line.n in self._named:
                yield f"#### line {line.n}"
                where = ", ".join(filter(None, (line.stage, line.server)))
                about = " ".join(filter(None, (utc_time(line.utc), line.kind, where)))
                file = f" ({_code(line.path)})" if line.path else ""
                yield f"{escape(about)}: {escape(each.said)}{file}" if each.said else f"{escape(about)}{file}"

    def section(self, section: Section) -> Iterator[str]:
        yield f"## {section.title}"
        for block in section.blocks:
            yield from self._block(block)

    def _block(self, block: Block) -> Iterator[str]:
        if isinstance(block, str):
            yield escape(block)
        elif isinstance(block, Table):
            place = f" ({self._place(block.ref)})" if block.ref.line else ""
            yield f"**{escape(block.title)}**{place}"
            yield self._table(block)
        elif isinstance(block, Bullets):
            yield _list(block.items)
        elif isinstance(block, Drawn) and block.words:
            yield f"**{escape(block.wide.title)}**"
            yield _list(block.words)
        elif isinstance(block, Shots):
            if block.pictures:
                yield "\n".join(f"- {self._cell(ref(shot.line))}: {escape(shot.line.text)}" for shot in block.pictures)
        elif isinstance(block, Blank):
            yield escape(block.hint)
            yield f"{begin_mark(block.key)}\n\n{self._written.get(block.key) or TO_WRITE}\n\n{end_mark(block.key)}"

    def _table(self, table: Table) -> str:
        if not table.rows:
            return escape(table.empty)
        rows = [table.headers, tuple("---" for _ in table.headers)]
        rows += [tuple(map(self._cell, row.cells)) for row in table.rows]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def _cell(self, cell: Cell) -> str:
        if isinstance(cell, Code):
            return _code(cell.text)
        if isinstance(cell, Ref):
            return self._place(cell)
        return escape(str(cell))

    def _place(self, ref: Ref) -> str:
        """Name a line and its file. The file is not a link: the record may not be where this Markdown is read."""
        self._named.add(ref.line)
        line = f"[line {ref.line}](#line-{ref.line})" if ref.line else "-"
        return f"{line} {_code(ref.path)}" if ref.path else line


def escape(text: str) -> str:
    """Return text that Markdown shows as it is: no tag, no link, no emphasis, no formula, on one line of a table."""
    shown = printable(text, LONGEST_MARKDOWN).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = _AUTOLINK.sub(lambda match: match[1].replace("/", "\\/").replace(".", "\\."), _SPECIAL.sub(r"\\\1", shown))
    return "<br>".join(shown.replace("\t", " ").replace("$", "<span>$</span>").splitlines())


def _code(text: str) -> str:
    shown = " ".join(printable(text, LONGEST_MARKDOWN).split()).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    room = " " if "`" in shown else ""
    return f"{fence}{room}{shown}{room}{fence}" if shown else "-"


def _list(items: tuple[str, ...]) -> str:
    return "\n".join(f"- {escape(item)}" for item in items)


# -- The post-mortem as one HTML page: no script, no outside address, device text as text, one style sheet by its hash

LONGEST_PAGE = 4000
"""Characters of one text that are shown; of a longer one the rest is counted."""
WIDEST_WORD, PART_OF_WORD, NARROWEST_PROSE = 28, 16, 12
"""Characters: the longest word that is never broken, what a longer one's pieces hold, the narrowest column of prose."""
_DIGEST = re.compile(r"^([0-9a-f]{12})[0-9a-f]{52}")
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+/-]*")


@using_language(ENGLISH)
def render_html(pm: PostMortem, *, files: str | None, written: Mapping[str, str] | None = None) -> str:
    """Return the page. ``files`` is the relative address of the record's folder, ``../`` for a report inside it.

    With ``files`` None it is the page to be printed: the files of the record are not linked, and the journal is not in
    it but attached. ``written`` is what a person wrote, by section.
    """
    style = gate_text(_style())  # the gate sees the whole page later: the hash has to be that of what it leaves
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = (
        _jinja()
        .get_template("post_mortem.html")
        .render(
            pm=pm,
            sections=sections_of(pm),
            style=Markup(style),  # noqa: S704 - our own file
            style_digest=digest,
            files=files,
            written=dict(written or {}),
            version=__version__,
        )
    )
    return page + "\n"


@cache
def _jinja() -> Environment:
    environment = Environment(
        loader=PackageLoader("runbook_lib.show.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(MARKS=MARKS, NEVER_SEALED=NEVER_SEALED, NOT_RECORDED=NOT_RECORDED, kind=_kind)
    environment.filters.update(
        stamp=utc_time, duration=duration, count=count, href=_href, data=_data, short=_short, room=_room
    )
    return environment


def _shown(value: Any) -> Any:
    """Every text that is not ours has its control characters shown, and an end."""
    return printable(value, LONGEST_PAGE) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _style() -> str:
    light, dark = variables(LIGHT), variables(DARK)
    source = (PackageLoader("runbook_lib.show.report").get_source(_jinja(), "post_mortem.css"))[0]
    colours = (
        f":root{{color-scheme:light dark;{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    )
    return f"{colours}\n{STYLE}\n{source}"


def _kind(part: Block | Cell) -> str:
    """Return what a part is, for the template to choose by; a text has no kind."""
    return "" if isinstance(part, str) else type(part).__name__


def _room(cell: Cell) -> int:
    """Return how many characters of a cell have to fit beside one another: its longest word, a part of longer ones."""
    if isinstance(cell, Ref):
        return NARROWEST_PROSE if cell.path else 0
    text = cell if isinstance(cell, str) else cell.text
    longest = max(map(len, text.split()), default=0)
    if longest > WIDEST_WORD:
        return PART_OF_WORD
    least = NARROWEST_PROSE if len(text) > WIDEST_WORD else 0
    return -(-max(longest, least) // 4) * 4 if max(longest, least) > 4 else 0


def _href(path: str) -> str:
    """Return a path of the record as part of an address, empty where it is not one of plain characters."""
    return path if _PATH.fullmatch(path) and ".." not in path.split("/") else ""


def _short(path: str) -> str:
    """Return a file's name, a digest in it shortened."""
    return _DIGEST.sub(r"\1…", path.rpartition("/")[2])


def _data(png: bytes) -> Markup:
    return Markup("data:image/png;base64,") + base64.b64encode(png).decode()


# -- The page on paper: printed in the browser that was found, offline and without scripts; the journal in it.
#
# What prints is loaded where something is printed.

_FOOTER = (
    '<div style="font:8px sans-serif;width:100%;padding:0 14mm;display:flex;justify-content:space-between">'
    '<span>{title}</span><span><span class="pageNumber"></span> / <span class="totalPages"></span></span></div>'
)
LONGEST_S = 120.0


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
    from pypdf import PdfWriter
    from pypdf.generic import NameObject

    writer = PdfWriter(BytesIO(printed), incremental=True)
    attached = writer.add_attachment(JOURNAL, journal)
    attached.subtype = NameObject("/application/jsonl")
    writer.add_metadata({"/Title": title})
    pdf = BytesIO()
    writer.write(pdf)
    return pdf.getvalue()


async def _print(html: str, executable: Path, title: str) -> bytes:
    from playwright.async_api import Error

    from runbook_lib.web.launching import first_line, offered_browser

    try:
        async with AsyncExitStack() as stack:
            browser = offered_browser(executable) or await _started(executable, stack)
            context = await browser.new_context(offline=True, java_script_enabled=False, service_workers="block")
            stack.push_async_callback(context.close)
            page = await context.new_page()
            await page.set_content(html, wait_until="load")
            return await page.pdf(
                format="A4",
                margin={"top": "16mm", "bottom": "18mm", "left": "14mm", "right": "14mm"},
                tagged=True,
                outline=True,
                print_background=True,
                display_header_footer=True,
                header_template="<span></span>",
                footer_template=_FOOTER.format(title=escape_html(title)),
            )
    except Error as error:
        raise _not_printed(executable, first_line(error)) from None


async def _started(executable: Path, stack: AsyncExitStack) -> Browser:
    """Return the browser that many share, where this process was told of one, or start one; it ends with ``stack``."""
    from runbook_lib.web.launching import SharedBrowserPlace, driver, launch

    shared = SharedBrowserPlace.from_environment(executable)
    playwright = await stack.enter_async_context(driver())
    joined = await shared.connect(playwright) if shared else None
    browser = joined or await launch(playwright, executable)
    stack.push_async_callback(browser.close)
    return browser


def _not_printed(executable: Path, why: str) -> BrowserMissing:
    return BrowserMissing(
        f"the browser did not print the report ({why})",
        where=str(executable),
        next_step="the HTML file holds the same: print it from any browser. If the folder for temporary files is full"
        " (TMPDIR), make room there.",
    )
