"""One picture: its strokes, its title, and the same in words for whoever does not see it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from runbook_lib.errors import printable
from runbook_lib.pictures.palette import DARK, LIGHT, TONES, variables

FACE = "system-ui,-apple-system,'Segoe UI','DejaVu Sans',Arial,sans-serif"
MONO = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace"

_TONES = "".join(f".pic .{tone}{{--tone:var(--{tone});--wash:var(--{tone}-wash)}}" for tone in TONES)
# JupyterLab, Notebook 7 and VS Code have themes of their own, whatever the system's is; each marks its page.
_ON_DARK = ":is([data-jp-theme-light=false],.vscode-dark,.vscode-high-contrast) .pic"
_ON_LIGHT = ":is([data-jp-theme-light=true],.vscode-light,.vscode-high-contrast-light) .pic"
_COLOURS = (
    f".pic{{{variables(LIGHT)}}}"
    f"@media screen and (prefers-color-scheme:dark){{.pic{{{variables(DARK)}}}}}"
    # A light page of high contrast bears the mark of the dark one, too: light is said last.
    f"{_ON_DARK}{{{variables(DARK)}}}{_ON_LIGHT}{{{variables(LIGHT)}}}"
    f"@media print{{[data-jp-theme-light] .pic,.pic{{{variables(LIGHT)}}}}}"
)
STYLE = (
    f"{_COLOURS}{_TONES}"
    f".pic{{background:var(--page);font-family:{FACE};max-width:100%;height:auto}}"
    ".pic .text{fill:var(--tone)}.pic .line{stroke:var(--tone);fill:none;stroke-linecap:round;stroke-linejoin:round}"
    ".pic .area{fill:var(--wash);stroke:var(--tone);stroke-width:1.5}.pic .solid{fill:var(--tone)}"
    f".pic .bold{{font-weight:700}}.pic .mono{{font-family:{MONO}}}"
)
"""What a page that shows pictures has in its style sheet, once."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of ``width`` by ``height`` pixels. ``words`` say the same, one sentence each; show them beside it.

    ``body`` are elements made by ``svg``: nothing else may be put there.
    """

    title: str
    words: tuple[str, ...]
    width: float
    height: float
    body: str

    def inline(self) -> str:
        """Return the SVG for a page whose style sheet holds ``STYLE``."""
        return self._svg(self.body)

    def standalone(self) -> str:
        """Return the SVG that brings its style sheet with it: for a file of its own, or a cell of a notebook."""
        return self._svg(f"<style>{STYLE}</style>{self.body}")

    def text(self) -> str:
        """Return the picture in words."""
        return "\n".join(printable(sentence) for sentence in (self.title, *self.words))

    def _repr_html_(self) -> str:
        return self.standalone()

    def _svg(self, body: str) -> str:
        size = f'viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}" height="{self.height:g}"'
        title = escape(printable(self.title))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="pic" role="img" aria-label="{title}" {size}>{body}</svg>'
        )
