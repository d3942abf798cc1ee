"""The post-mortem as one HTML page: no script, no outside address, device text as text, one style sheet by its hash."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from runbook_lib import __version__
from runbook_lib.errors import printable
from runbook_lib.pictures import STYLE, palette
from runbook_lib.record.redaction import gate_text
from runbook_lib.report.blocks import MARKS, Block, Cell
from runbook_lib.report.sections import sections_of
from runbook_lib.report.values import PostMortem
from runbook_lib.report.words import NOT_RECORDED, count, duration, stamp
from runbook_lib.words import ENGLISH, speaking

LONGEST = 4000
"""Characters of one text that are shown; of a longer one the rest is counted."""
_DIGEST = re.compile(r"^([0-9a-f]{12})[0-9a-f]{52}")
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+/-]*")


@speaking(ENGLISH)
def render_html(pm: PostMortem, *, files: str | None, written: Mapping[str, str] | None = None) -> str:
    """Return the page. ``files`` is the relative address of the record's folder, ``../`` for a report inside it.

    With ``files`` None the record's files are named and not linked. ``written`` is what a person wrote, by section.
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
        loader=PackageLoader("runbook_lib.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(MARKS=MARKS, NOT_RECORDED=NOT_RECORDED, kind=_kind)
    environment.filters.update(stamp=stamp, duration=duration, count=count, href=_href, data=_data, short=_short)
    return environment


def _shown(value: Any) -> Any:
    """Every text that is not ours has its control characters shown, and an end."""
    return printable(value, LONGEST) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _style() -> str:
    light, dark = palette.variables(palette.LIGHT), palette.variables(palette.DARK)
    source = (PackageLoader("runbook_lib.report").get_source(_jinja(), "post_mortem.css"))[0]
    colours = (
        f":root{{color-scheme:light dark;{light}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    )
    return f"{colours}\n{STYLE}\n{source}"


def _kind(part: Block | Cell) -> str:
    """Return what a part is, for the template to choose by; a text has no kind."""
    return "" if isinstance(part, str) else type(part).__name__


def _href(path: str) -> str:
    """Return a path of the record as part of an address, empty where it is not one of plain characters."""
    return path if _PATH.fullmatch(path) and ".." not in path.split("/") else ""


def _short(path: str) -> str:
    """Return a file's name, a digest in it shortened."""
    return _DIGEST.sub(r"\1…", path.rpartition("/")[2])


def _data(png: bytes) -> Markup:
    return Markup("data:image/png;base64,") + base64.b64encode(png).decode()
