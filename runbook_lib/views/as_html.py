"""A table as HTML for a notebook. All text is data: it is escaped, and nothing in it becomes a link or a tag."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape

from runbook_lib.errors import printable
from runbook_lib.pictures import Picture
from runbook_lib.views.pages import first_page
from runbook_lib.views.rows import COLOURS, MARKS, Cell, Link, Row, Table
from runbook_lib.views.translated import in_language
from runbook_lib.words import said

# The colours are said in words by the cells, too. Greys are half transparent: they suit light and dark themes.
STYLE = (
    "<style>"
    ".rb{overflow-x:auto;margin:.4em 0 1em}"
    ".rb table{margin:0!important;width:auto;table-layout:auto!important;border-collapse:collapse;font-size:13px;"
    "line-height:1.45}"
    ".rb caption{caption-side:top;text-align:left;font-weight:600;padding:.2em 0 .4em;white-space:nowrap}"
    ".rb th,.rb td{text-align:left!important;vertical-align:top;padding:.3em .9em .3em .7em!important;"
    "white-space:pre-line!important;overflow-wrap:break-word;max-width:44em;"
    "border-bottom:1px solid rgba(128,128,128,.35)!important}"
    ".rb tbody th{font-weight:inherit}"
    ".rb .whole,.rb .digest{font-family:var(--jp-code-font-family,var(--vscode-editor-font-family,monospace))}"
    ".rb .whole{white-space:pre!important;max-width:none}.rb .short{white-space:pre!important}"
    ".rb tr>:first-child{border-left:4px solid transparent}"
    + "".join(f".rb .{mark}>:first-child{{border-left-color:{colour}}}" for mark, colour in COLOURS.items())
    # White on this red has a contrast of 7.9 to 1; nothing else on a page is filled.
    + ".rb .alarm>*{background:#a4161a!important;color:#fff!important;font-size:15px;font-weight:700}"
    ".rb p{margin:.4em 0 0!important;max-width:60em;white-space:pre-line}"
    # On paper nothing scrolls: letters are smaller, words stay whole, and what stands on one line is broken anywhere.
    "@media print{.rb{overflow:visible}.rb tr{break-inside:avoid}"
    ".rb table{font-size:10px}.rb caption{white-space:normal}"
    ".rb th,.rb td{padding:.2em .5em!important}.rb .short{white-space:pre-line!important}"
    ".rb .whole{white-space:pre-wrap!important}.rb .whole,.rb .digest{overflow-wrap:anywhere}}"
    "</style>"
)
# Jupyter takes the style sheet out of a notebook that it does not trust, as every copy from elsewhere is, and sets text
# in tables to the right. What stands at a cell itself is left.
_LEFT = ' style="text-align:left"'
SHORT = 24  # characters that are not worth a second line
_DIGEST = re.compile(r"\b([0-9a-f]{32})([0-9a-f]{32})\b")


def html(table: Table) -> str:
    """Return the table in HTML, its first page where it is long; ``STYLE`` has to stand before the first one."""
    shown = first_page(table)
    return html_of(shown, shown.rows)


def html_of(table: Table, rows: Sequence[Row]) -> str:
    """Return these rows of a table, with its title, headers and note, in the reader's language."""
    table = in_language(replace(table, rows=tuple(rows)))
    head = "".join(f'<th scope="col"{_LEFT}>{escape(header)}</th>' for header in table.headers)
    body = "".join(_row(table, row) for row in table.rows)
    if not rows:
        body = f'<tr><td colspan="{len(table.headers)}"{_LEFT}>{text_of(table.empty)}</td></tr>'
    note = f"<p>{text_of(table.note)}</p>" if table.note else ""
    # Wide tables scroll by themselves; what scrolls has to be reached with the keyboard, and has a name then.
    frame = f'<div class="rb" role="group" tabindex="0" aria-label="{escape(printable(table.title))}">'
    return (
        f"{frame}<table><caption{_LEFT}>{text_of(table.title)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}</div>"
    )


def figure(picture: Picture) -> str:
    """Return a picture with its title below; a page needs ``pictures.STYLE`` once."""
    return f'<figure class="rb">{picture.inline()}<figcaption>{text_of(said(picture.title))}</figcaption></figure>'


def _row(table: Table, row: Row) -> str:
    cells = "".join(
        _cell(
            cell, heads=place == 0 < len(table.headers) - 1, whole=header in table.whole, mark=row.mark * (place == 0)
        )
        for place, (header, cell) in enumerate(zip(table.headers, row.cells, strict=True))
    )
    return f'<tr class="{row.mark}">{cells}</tr>' if row.mark else f"<tr>{cells}</tr>"


def _cell(cell: Cell, *, heads: bool, whole: bool, mark: str) -> str:
    """Return one cell; the first of several ``heads`` its row, so that a screen reader says whose value is read."""
    shown = f'<a href="{escape(cell.href)}">{text_of(cell.text)}</a>' if isinstance(cell, Link) else text_of(cell)
    marked = f"{MARKS[mark]} " if mark else ""
    kind = "whole" if whole else "short" if max(map(len, str(cell).split("\n"))) <= SHORT else ""
    name, scope = ("th", ' scope="row"') if heads else ("td", "")
    about = f' class="{kind}"' if kind else ""
    return f"<{name}{scope}{about}{_LEFT}>{marked}{shown}</{name}>"


def text_of(text: str) -> str:
    """Escape; a digest may be broken in the middle, and is still copied in one piece."""
    return _DIGEST.sub(r'<span class="digest">\1<wbr>\2</span>', escape(printable(text)))
