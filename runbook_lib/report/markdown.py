"""The post-mortem as Markdown, for wikis: the same chapters, pictures in words, device text as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from runbook_lib.errors import printable
from runbook_lib.report.blocks import MARKS, Blank, Block, Bullets, Cell, Code, Drawn, Grid, Marked, Section, Shots
from runbook_lib.report.sections import sections_of
from runbook_lib.report.values import PostMortem, Ref
from runbook_lib.report.words import NOT_RECORDED, stamp
from runbook_lib.report.written import TO_WRITE, begin, end
from runbook_lib.words import ENGLISH, speaking

LONGEST = 2000
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#|!~])")
_AUTOLINK = re.compile(r"(?i)(://|www\.)")


@speaking(ENGLISH)
def render_markdown(pm: PostMortem, *, files: str | None, written: Mapping[str, str] | None = None) -> str:
    """Return the report in GitHub's Markdown; ``files`` and ``written`` as for ``render_html``."""
    writer = _Writer(files, written or {})
    parts = [*_head(pm), *(part for section in sections_of(pm) for part in writer.section(section))]
    return "\n\n".join(parts) + "\n"


def _head(pm: PostMortem) -> Iterator[str]:
    yield f"# Post-mortem {escape(pm.incident)}"
    if pm.standing.problems:
        yield "**✘ This record does not verify. What follows is read from it all the same, and cannot be relied on.**"
        yield "\n".join(f"- {_code(path)}: {escape(what)}" for path, what in pm.standing.problems)
    yield from (f"**✘ {escape(alarm)}**" for alarm in pm.alarms)
    headline = pm.headline
    yield f"**{MARKS[headline.tone]} {escape(headline.outcome or 'no outcome')}**: {escape(headline.words)}."
    kind = {"lab": "LAB: simulated servers", "production": "PRODUCTION: real servers"}.get(pm.kind, NOT_RECORDED)
    opened = f"opened {stamp(pm.opened_utc, NOT_RECORDED)} UTC by {escape(pm.by or NOT_RECORDED)}"
    yield f"Site {escape(pm.site or NOT_RECORDED)} ({kind}), {opened}."


class _Writer:
    def __init__(self, files: str | None, written: Mapping[str, str]) -> None:
        self._files = files
        self._written = written

    def section(self, section: Section) -> Iterator[str]:
        yield f"## {section.title}"
        for block in section.blocks:
            yield from self._block(block)

    def _block(self, block: Block) -> Iterator[str]:
        if isinstance(block, str):
            yield escape(block)
        elif isinstance(block, Grid):
            yield f"**{escape(block.caption)}**"
            yield self._grid(block)
        elif isinstance(block, Bullets):
            yield _list(block.items)
        elif isinstance(block, Drawn):
            yield f"**{escape(block.wide.title)}**"
            yield _list(block.wide.words)
        elif isinstance(block, Shots):
            if block.pictures:
                yield "\n".join(
                    f"- {self._cell(Ref(line=s.line, path=s.path))}: {escape(s.name)}" for s in block.pictures
                )
        else:
            yield from self._blank(block)

    def _blank(self, block: Blank) -> Iterator[str]:
        yield escape(block.hint)
        yield f"{begin(block.key)}\n\n{self._written.get(block.key) or TO_WRITE}\n\n{end(block.key)}"

    def _grid(self, grid: Grid) -> str:
        if not grid.rows:
            return escape(grid.empty)
        rows = [grid.headers, tuple("---" for _ in grid.headers)]
        rows += [tuple(self._cell(cell) for cell in row) for row in grid.rows]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def _cell(self, cell: Cell) -> str:
        if isinstance(cell, Code):
            return _code(cell.text)
        if isinstance(cell, Marked):
            return f"{MARKS[cell.tone]} {escape(cell.text)}".strip()
        if isinstance(cell, Ref):
            return self._place(cell)
        return escape(cell)

    def _place(self, ref: Ref) -> str:
        line = self._link(f"line {ref.line}", "journal.jsonl") if ref.line else "-"
        return f"{line} {self._link(ref.path.rpartition('/')[2], ref.path)}" if ref.path else line

    def _link(self, text: str, path: str) -> str:
        plain = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@+/-]*", path) and ".." not in path
        return f"[{escape(text)}](<{self._files}{path}>)" if self._files is not None and plain else escape(text)


def escape(text: str) -> str:
    """Return text that Markdown shows as it is: no tag, no link, no emphasis, on one line of a table."""
    shown = printable(text, LONGEST).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = _AUTOLINK.sub(lambda found: found[1].replace("/", "\\/").replace(".", "\\."), _SPECIAL.sub(r"\\\1", shown))
    return "<br>".join(shown.replace("\t", " ").splitlines())


def _code(text: str) -> str:
    shown = " ".join(printable(text, LONGEST).split()).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    room = " " if "`" in shown else ""
    return f"{fence}{room}{shown}{room}{fence}" if shown else "-"


def _list(items: tuple[str, ...]) -> str:
    return "\n".join(f"- {escape(item)}" for item in items)
