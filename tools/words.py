"""Bring the catalogue of translated texts, and the translated notebooks, up to date with what the code says.

``make words`` collects every text for people from the modules that speak to them, and every prose cell of the
notebooks, into ``runbook_lib/i18n/zh_CN.po``. A translation that is there is kept, one whose text is gone is dropped,
a new text is added without one. With ``--check`` nothing is written. Exit codes: 0 all is translated and up to
date, 1 something is not, and each such text is named.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from words_in_code import TOGETHER, texts_of

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "runbook_lib"
NOTEBOOKS = ROOT / "notebooks"
CATALOGUE = LIBRARY / "i18n" / "zh_CN.po"
TRANSLATED = NOTEBOOKS / "zh"
SAID = re.compile(r"(\w+ = [^#]*  # |# )(?P<said>[^\n]+)\n?")
"""A line of code that speaks to its reader: a comment, behind a parameter or on a line of its own."""


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    catalogue, missing = renewed(read(CATALOGUE))
    files = {CATALOGUE: written(catalogue), **dict(notebooks(catalogue))}
    stale = [path for path, content in files.items() if not path.exists() or path.read_bytes() != content]
    gone = [path for path in TRANSLATED.glob("*.ipynb") if path not in files]
    if not check:
        TRANSLATED.mkdir(exist_ok=True)
        for path in stale:
            path.write_bytes(files[path])
        for path in gone:
            path.unlink()
    for path in (*stale, *gone):
        print(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT)}")
    for text in missing:
        print(f"not translated: {text!r}")
    return 1 if missing or (check and (stale or gone)) else 0


def read(path: Path) -> Catalog:
    if not path.exists():
        return Catalog(locale=path.stem, fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=path.stem)


def renewed(old: Catalog) -> tuple[Catalog, list[str]]:
    """Return the catalogue of today's texts with yesterday's translations, and the texts that have none."""
    new = Catalog(locale=old.locale, fuzzy=False, header_comment="# What the notebooks and views say, in Chinese.")
    for text, places, values in sorted(texts()):
        known = old.get(text)
        shown = str(known.string) if known else ""
        new.add(text, shown, locations=[(place, 0) for place in places], auto_comments=values)
    return new, [str(message.id) for message in new if message.id and not message.string]


@cache
def texts() -> tuple[tuple[str, list[str], list[str]], ...]:
    """Return each text for people once, with the files that say it and what stands at its places."""
    found: dict[str, tuple[set[str], list[str]]] = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        for text, values in texts_of(path, LIBRARY):
            places, _ = found.setdefault(text, (set(), values))
            places.add(str(path.relative_to(ROOT)))
    for text in TOGETHER:
        found.setdefault(text, (set(), []))
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for cell in json.loads(path.read_text())["cells"]:
            prose = ["".join(cell["source"])] if cell["cell_type"] == "markdown" else said(cell)
            for text in prose:
                places, _ = found.setdefault(text, (set(), []))
                places.add(str(path.relative_to(ROOT)))
    return tuple((text, sorted(places), values) for text, (places, values) in found.items())


def notebooks(catalogue: Catalog) -> Iterator[tuple[Path, bytes]]:
    """Yield each notebook with its prose and what its code says translated; the code is the same."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = json.loads(path.read_text())
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                known = catalogue.get("".join(cell["source"]))
                shown = str(known.string) if known and known.string else "".join(cell["source"])
                # One folder deeper than the English notebooks, which links to documents have to climb.
                cell["source"] = shown.replace("](../", "](../../").splitlines(keepends=True)
            else:
                cell["source"] = [translated(line, catalogue) for line in cell["source"]]
        yield TRANSLATED / path.name, (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def said(cell: dict[str, Any]) -> list[str]:
    """Return what the lines of a code cell say to its reader."""
    return [found["said"] for line in cell["source"] if (found := SAID.fullmatch(line))]


def translated(line: str, catalogue: Catalog) -> str:
    """Return a line of code, what it says translated."""
    found = SAID.fullmatch(line)
    known = catalogue.get(found["said"]) if found else None
    return line.replace(found["said"], str(known.string)) if found and known and known.string else line


def written(catalogue: Catalog) -> bytes:
    file = io.BytesIO()
    # Without dates and line numbers: a file that changes only where a text does.
    write_po(file, catalogue, omit_header=True, width=110, include_lineno=False, sort_output=True)
    header = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n"Language: zh_CN\\n"\n\n'
    return header.encode() + file.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
