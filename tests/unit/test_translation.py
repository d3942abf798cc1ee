"""The Chinese words: whether each text has them, and whether they fit."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog

from runbook_lib.models import Vantage, Verdict
from runbook_lib.paths import notebooks_dir, project_root

sys.path.insert(0, str(project_root() / "tools"))
import words

ROOT = project_root()
LIBRARY = ROOT / "runbook_lib"
BOTH = ("commands", "configuration", "install", "lab", "safety")
NUMBER = re.compile(r"^(?:\*\*)?\d+\. ", re.MULTILINE)
PLACE = re.compile(r"\{\d+\}")
CODE = re.compile(r"`[^`\n]+`")


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    return words.read(words.CATALOGUE)


def translations(catalogue: Catalog) -> Iterator[tuple[str, str]]:
    return ((str(message.id), str(message.string)) for message in catalogue if message.id)


def test_every_text_for_people_is_translated(catalogue: Catalog) -> None:
    """A text without a translation fails here, by its name; ``make words`` adds it to the catalogue."""
    assert words.renewed(catalogue)[1] == []


def test_catalogue_and_translated_notebooks_are_up_to_date(catalogue: Catalog) -> None:
    """What ``make words`` would write is what is there."""
    renewed, _ = words.renewed(catalogue)
    wanted = {words.CATALOGUE: words.written(renewed), **dict(words.notebooks(renewed))}
    assert [path.name for path, content in wanted.items() if not path.exists() or path.read_bytes() != content] == []
    assert {path.name for path in words.TRANSLATED.glob("*")} == {path.name for path in notebooks_dir().glob("*.ipynb")}


def test_translations_keep_every_value(catalogue: Catalog) -> None:
    """A value of the text is a value of its translation, each once."""
    wrong = [
        text for text, shown in translations(catalogue) if sorted(PLACE.findall(text)) != sorted(PLACE.findall(shown))
    ]
    assert wrong == []


def test_translated_prose_keeps_commands_and_names() -> None:
    """What stands in code type in a cell (commands, keys, stages) stands in its translation, to the letter."""
    for path in sorted(notebooks_dir().glob("*.ipynb")):
        for english, chinese in zip(cells(path), cells(words.TRANSLATED / path.name), strict=True):
            assert sorted(CODE.findall(english)) == sorted(CODE.findall(chinese)), path.name


def cells(path: Path) -> list[str]:
    return [
        "".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "markdown"
    ]


def test_code_of_translated_notebooks_is_the_same() -> None:
    """A translated notebook runs what the English one runs; only what its code says is translated."""
    for path in sorted(notebooks_dir().glob("*.ipynb")):
        ours, theirs = (json.loads(each.read_text()) for each in (path, words.TRANSLATED / path.name))
        english, chinese = ([cell for cell in each["cells"] if cell["cell_type"] == "code"] for each in (ours, theirs))
        assert [{**cell, "source": code(cell)} for cell in english] == [
            {**cell, "source": code(cell)} for cell in chinese
        ]
        assert [text for cell in english for text in words.said(cell)]
        assert not [text for cell in chinese for text in words.said(cell) if text.isascii()]
        assert ours["metadata"] == theirs["metadata"]


def code(cell: dict[str, Any]) -> str:
    """Return what a cell runs, without what it says."""
    source = "".join(cell["source"])
    for text in words.said(cell):
        source = source.replace(text, "")
    return ast.unparse(ast.parse(source))


@pytest.mark.parametrize("name", ["README", "CONTRIBUTING", *(f"docs/zh/{name}" for name in BOTH)])
def test_chinese_document_has_the_sections_tables_and_commands_of_the_english_one(name: str) -> None:
    """The two are one document in two languages: what is named in one is named in the other."""
    chinese_file = ROOT / (f"{name}.md" if "/" in name else f"{name}.zh.md")
    chinese, english = (
        path.read_text(encoding="utf-8") for path in (chinese_file, ROOT / f"{name.replace('zh/', '')}.md")
    )
    assert [line.split()[0] for line in english.splitlines() if line.startswith("#")] == [
        line.split()[0] for line in chinese.splitlines() if line.startswith("#")
    ]
    assert shown_blocks(english) == shown_blocks(chinese)
    assert first_columns(english) == first_columns(chinese)
    assert NUMBER.findall(english) == NUMBER.findall(chinese)


def test_every_chinese_document_is_compared() -> None:
    """Documents in docs/zh are whole; only that of the record is short, with commands of the long English one."""
    assert {path.stem for path in (ROOT / "docs" / "zh").glob("*.md")} == {*BOTH, "record"}
    chinese, english = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("zh/record.md", "record.md"))
    known = {line for block in shown_blocks(english) for line in block.splitlines()}
    assert {line for block in shown_blocks(chinese) for line in block.splitlines()} <= known


def shown_blocks(text: str) -> list[str]:
    """Return the code blocks without their comments."""
    return [re.sub(r" *#.*", "", block) for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]


def first_columns(text: str) -> list[list[str]]:
    """Return, for each row of the tables, what stands in code type in its first cell."""
    return [CODE.findall(line.split("|")[1]) for line in text.splitlines() if line.startswith("|")]


# -- English that is left in what readers of Chinese see -------------------------------------------

SENTENCE = re.compile(r"[a-z]{2,}(?:,? [a-z]{2,}){2,}")
"""Three English words one after the other; names of the product are capitalised, or fewer."""
KEPT_WORDS = {"primary", "secondary", "ise", "lab", "html", "pdf", "md", "chromium", "manual", "passed"}
KEPT_WORDS |= {*Verdict, *Vantage}
"""Names, terms of ours that are the same in every language, and what devices say."""


def test_no_sentence_of_the_chinese_notebooks_is_english() -> None:
    """Neither prose nor comment: beside commands and what devices print, nothing is left in English."""
    found = [
        (path.name, sentence)
        for path in sorted(words.TRANSLATED.glob("*.ipynb"))
        for text in (*cells(path), *said_in_code(path))
        for sentence in SENTENCE.findall(CODE.sub("", text))
    ]
    assert found == []


def said_in_code(path: Path) -> list[str]:
    return [text for cell in json.loads(path.read_text())["cells"] for text in words.said(cell)]


def test_no_output_of_the_chinese_notebooks_is_english() -> None:
    """In the copies with outputs: no sentence, and no cell or label of English words, but of a device or a command."""
    found = [
        (path.name, text)
        for path in sorted((ROOT / "docs" / "zh" / "executed").glob("*.ipynb"))
        for text in shown_in(path)
        if any(not is_of_the_lab(sentence) for sentence in SENTENCE.findall(text)) or is_english_word(text)
    ]
    assert found == []


def is_of_the_lab(sentence: str) -> bool:
    """Whether the lab's devices say it; words of a sentence there may be values."""
    words_between = rf"{re.escape(sentence.split()[0])}.{{0,60}}{re.escape(sentence.split()[-1])}"
    return bool(re.search(words_between, said_by_the_lab()))


@cache
def said_by_the_lab() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (LIBRARY / "lab").rglob("*.py"))


def is_english_word(text: str) -> bool:
    return bool(re.fullmatch(r"[a-z]+(?: [a-z]+)?", text)) and text not in KEPT_WORDS


def shown_in(path: Path) -> list[str]:
    """Return the texts of the outputs, without marks, commands and places."""
    outputs = [output for cell in json.loads(path.read_text())["cells"] for output in cell.get("outputs", ())]
    pages = "\n".join("".join(output["data"]["text/html"]) for output in outputs)
    bare = re.sub(r"<style>.*?</style>|<wbr[^>]*>", "", pages, flags=re.DOTALL)
    texts = (unescape(text).strip("✔✘→? ·:") for text in re.split(r"<[^>]*>|\n", bare))
    return [re.sub(r"\b(?:ncs|runbook) [a-z -]+|\bhere, self, peer\b", "", text).strip() for text in texts]
