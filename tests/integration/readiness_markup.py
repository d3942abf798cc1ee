"""Tables of a readiness check in many markups, for tests that read them in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

Rows = Sequence[tuple[str, str]]
STYLE = """<style>body{font:13px sans-serif;margin:8px} td,th{padding:4px 8px;text-align:left;font-weight:normal}
.fixed{table-layout:fixed;width:600px} .l{display:flex} .l>*{width:200px;padding:4px}
.hint{display:inline-block;width:12px;height:12px;background:#888}
.scroll{height:150px;overflow:auto;position:relative;width:640px}</style>"""
HEAD = ("Checklist Name", "Checklist Status", "Remarks")


def _cells(tag: str, cells: Sequence[str], more: str = "") -> str:
    return "".join(f"<{tag} {more}>{cell}</{tag}>" for cell in cells)


def _texts(rows: Rows) -> list[tuple[str, str, str]]:
    return [(escape(name), shown(state), "measured on both") for name, state in rows]


def shown(state: str) -> str:
    """A state as a page shows it: ``icon:x`` is a picture called x."""
    if state.startswith("icon:"):
        return f'<img src="data:," alt="{escape(state[5:])}" width=12 height=12>'
    return escape(state)


def plain(rows: Rows) -> str:
    body = "".join(f"<tr>{_cells('td', cells)}</tr>" for cells in _texts(rows))
    return f"<table><thead><tr>{_cells('th', HEAD)}</tr></thead><tbody>{body}</tbody></table>"


def bold(rows: Rows) -> str:
    head = "".join(f"<td><b>{cell}</b></td>" for cell in HEAD)
    return f"<table><tr>{head}</tr>" + "".join(f"<tr>{_cells('td', cells)}</tr>" for cells in _texts(rows)) + "</table>"


def table_each(rows: Rows) -> str:
    """A table for the head and one for each row, as XWT draws them, without roles."""
    lines = "".join(f"<div><table class=fixed><tr>{_cells('td', cells)}</tr></table></div>" for cells in _texts(rows))
    return f"<div><table class=fixed><tr>{_cells('td', HEAD)}</tr></table></div><div>{lines}</div>"


def data_grid(rows: Rows) -> str:
    """The same with the roles of dojox's DataGrid."""
    table = "<table class=fixed role=presentation><tbody><tr>{}</tr></tbody></table>"
    lines = "".join(
        f"<div role=row>{table.format(_cells('td', cells, 'role=gridcell tabindex=-1'))}</div>"
        for cells in _texts(rows)
    )
    head = table.format(_cells("th", [f"<div>{cell}</div>" for cell in HEAD], "role=columnheader tabindex=-1"))
    return f"<div role=grid><div role=presentation>{head}</div><div role=presentation>{lines}</div></div>"


def frozen(rows: Rows) -> str:
    """The same with a column that stays in view while the others scroll: it has a head and rows of its own."""
    table = "<table class=fixed style='width:{}px' role=presentation><tbody><tr>{}</tr></tbody></table>"

    def view(width: int, columns: slice) -> str:
        head = table.format(width, _cells("th", HEAD[columns], "role=columnheader"))
        lines = (table.format(width, _cells("td", cells[columns], "role=gridcell")) for cells in _texts(rows))
        return f"<div>{head}{''.join(f'<div role=row>{line}</div>' for line in lines)}</div>"

    return f"<div role=grid style='display:flex'>{view(200, slice(1))}{view(400, slice(1, 3))}</div>"


def roles(rows: Rows) -> str:
    lines = "".join(f"<div role=row class=l>{_cells('span', cells, 'role=gridcell')}</div>" for cells in _texts(rows))
    return f"<div role=grid><div role=row class=l>{_cells('span', HEAD, 'role=columnheader')}</div>{lines}</div>"


def scrolled(rows: Rows) -> str:
    """A head, rows that scroll below it, and a button in the place of those that are out of sight."""
    lines = "".join(f"<div role=row class=l>{_cells('span', cells, 'role=gridcell')}</div>" for cells in _texts(rows))
    head = f"<div role=row class=l>{_cells('span', HEAD, 'role=columnheader')}</div>"
    body = f"<div class=scroll style='height:60px'>{lines}</div>"
    return f"<div><div role=grid>{head}{body}</div><p><button>Close</button></div>"


def titled(rows: Rows) -> str:
    """Rows that can be pressed, and states that only a hint under the pointer names."""
    hints = [(name, f"icon:{state.removeprefix('icon:')}") for name, state in rows]
    table = data_grid(hints).replace('<img src="data:," alt=', "<i class=hint title=")
    return f"<div tabindex=0 style='cursor:pointer'>{table}</div>"


def places(rows: Rows) -> str:
    """Nothing but places."""
    return "".join(f"<div class=l>{_cells('div', cells)}</div>" for cells in [HEAD, *_texts(rows)])


def own_elements(rows: Rows) -> str:
    """A table whose cells hold elements of the page's own make, each with its words in a shadow root."""
    cell = "<pi-cell><template shadowrootmode=open>{}</template></pi-cell>".format
    lines = "".join(f"<tr>{_cells('td', list(map(cell, cells)))}</tr>" for cells in _texts(rows))
    return f"<table><tr>{_cells('th', list(map(cell, HEAD)))}</tr>{lines}</table>"


def centred(rows: Rows) -> str:
    """A caption in the middle of a wide column, whose words begin at the left and stand nearer to another caption."""
    return plain(rows).replace("<th >Remarks", "<th style='padding:4px 240px'>Remarks")


MARKUPS: dict[str, Callable[[Rows], str]] = {
    "plain": plain,
    "bold": bold,
    "table for each row": table_each,
    "data grid": data_grid,
    "frozen column": frozen,
    "roles": roles,
    "places": places,
    "own elements": own_elements,
    "centred captions": centred,
    "scrolled": scrolled,
    "titled": titled,
}


def virtual(rows: Rows, first: int, last: int, *, numbered: bool = False) -> str:
    """A grid that scrolls and draws only the rows from ``first`` to ``last``."""
    count = f"aria-rowcount={len(rows)}" if numbered else ""
    lines = "".join(
        f"<div role=row class=l style='position:absolute;top:{28 * n}px' {'aria-rowindex=' * numbered}{n + 1}>"
        f"{_cells('span', cells, 'role=gridcell')}</div>"
        for n, cells in enumerate(_texts(rows))
        if first <= n <= last
    )
    head = f"<div role=row class=l>{_cells('span', HEAD, 'role=columnheader')}</div>"
    body = f"<div class=scroll><div style='height:{28 * len(rows)}px'>{lines}</div></div>"
    return f"<div role=grid {count}>{head}{body}</div>"


def _form(caption: str) -> str:
    row = "<table class=fixed><tr><td>{}</td><td><input></td></tr></table>"
    return "".join(row.format(words) for words in (f"{caption} Server:", f"{caption} Key:"))


SURROUNDINGS: dict[str, Callable[[str], str]] = {
    "alone": lambda table: table,
    "forms above and below": lambda table: f"{_form('Secondary')}<hr>{table}<hr>{_form('Mail')}",
    "values above": lambda table: (
        "<table class=fixed><tr><td>Configuration Mode</td><td>HA not Configured</td></tr>"
        f"<tr><td>Failover Type</td><td>Manual</td></tr></table><hr>{table}"
    ),
    "buttons below": lambda table: (
        f"<h2>Readiness</h2>{table}<p><button>Check Readiness</button> <button>Register</button>"
    ),
    "in a pane": lambda table: (
        f"<div style='height:300px;overflow:auto'>{_form('A')}{table}<p><button>Register</button></div>"
    ),
}
