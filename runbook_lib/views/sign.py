"""The sign over a stage: whether what is run here reaches real servers. Size, colour and words differ, each alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from runbook_lib.views.as_html import text_of
from runbook_lib.views.as_text import room
from runbook_lib.views.table import View
from runbook_lib.words import said

T = TypeVar("T")

PRODUCTION = "PRODUCTION: real servers"
LAB = "LAB: simulated servers on this machine"
REAL = "What you run here happens to these servers:"
# White on this red has a contrast of 7.9 to 1, whatever the page; the blue edge has more than 3 to 1 on light and on
# dark ones. All of it stands at the element: Jupyter drops style sheets that it does not trust.
_PRODUCTION = (
    "background:#a4161a;color:#fff;border:6px double #fff;outline:3px solid #a4161a;padding:.5em .8em;"
    "margin:.4em 3px .8em;font-size:26px;line-height:1.3;font-weight:700;overflow-wrap:anywhere"
)
_SERVERS = "font-size:15px;font-weight:400;line-height:1.5"
_LAB = "display:inline-block;border:2px dashed #4a7dbf;padding:.2em .7em;margin:.3em 0 .6em;font-size:13px"


@dataclass(frozen=True)
class Sign:
    """Whether a site is real, its name, and its servers in words."""

    production: bool
    site: str
    servers: str

    def html(self) -> str:
        """Return the sign in HTML, in the reader's language."""
        if not self.production:
            return f'<div role="note" style="{_LAB}">{text_of(said(LAB))} · {text_of(self.site)}</div>'
        servers = f'<div style="{_SERVERS}">{text_of(said(REAL))} {text_of(self.servers)}</div>'
        return (
            f'<div role="note" style="{_PRODUCTION}">{text_of(said(PRODUCTION))} · {text_of(self.site)}{servers}</div>'
        )

    def text(self, width: int) -> str:
        """Return the sign in plain text: production has a bar above and below."""
        if not self.production:
            return f"{LAB} · {self.site}\n"
        bar = "█" * min(width, 80)
        return f"{bar}\n█ {PRODUCTION} · {self.site}\n█ {REAL}\n█ {self.servers}\n{bar}\n"


@dataclass(frozen=True)
class Signed(View[T]):
    """Tables below a sign."""

    sign: Sign = Sign(production=True, site="", servers="")

    def _repr_html_(self) -> str:
        return self.sign.html() + super()._repr_html_()

    def text(self, width: int | None = None) -> str:
        """Return sign and tables in plain text."""
        return self.sign.text(room() if width is None else width) + super().text(width)

    def __repr__(self) -> str:
        return self.text()
