"""The docs site: it has every document, its notebooks are those that were compared, and a bad page is found.

``make docs`` builds it with Sphinx's warnings as errors; here is what that cannot see.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns

from runbook_lib.paths import notebooks_dir, project_root

sys.path.insert(0, str(project_root() / "tools"))
import docs

ROOT = project_root()
REFERENCE = ROOT / "tests" / "reference"
NAMES = sorted(path.name for path in notebooks_dir().glob("*.ipynb"))


def pages(language: str) -> set[str]:
    return {name for names in docs.CONTENTS[language].values() for name in names}


def test_every_document_is_a_page() -> None:
    """Each document and notebook has its place in the contents of its language; the READMEs are the front pages."""
    files = [path.relative_to(ROOT) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))]
    names = {path.with_suffix("").as_posix() for path in files if path.stem not in ("README", "README.zh")}
    chinese = {name for name in names if "docs/zh/" in name or name.endswith(".zh")}
    assert pages("en") == (names - chinese) | {f"notebooks/{Path(name).stem}" for name in NAMES}
    assert pages("zh") == chinese | {f"notebooks/zh/{Path(name).stem}" for name in NAMES}


def sanitised(text: str) -> str:
    for pattern, replacement in get_sanitize_patterns((REFERENCE / "sanitize.cfg").read_text(encoding="utf-8")):
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_shown_as_nbval_compared_them(name: str) -> None:
    """What readers see is what the tests compare, with its times and figures: ``make reference`` makes both."""
    shown, compared = (nbformat.read(folder / name, 4) for folder in (ROOT / "docs" / "executed", REFERENCE))
    for ours, theirs in zip(shown.cells, compared.cells, strict=True):
        assert (ours.cell_type, ours.id, ours.source) == (theirs.cell_type, theirs.id, theirs.source)
        assert [sanitised(output.data["text/html"]) for output in ours.get("outputs", ())] == [
            output.data["text/html"] for output in theirs.get("outputs", ())
        ], ours.id


@pytest.mark.parametrize("name", NAMES)
def test_chinese_notebooks_are_shown_with_their_outputs(name: str) -> None:
    """The Chinese copies have the cells of the Chinese notebooks, and an output wherever the English ones have one."""
    shown, source = (nbformat.read(folder / name, 4) for folder in (ROOT / "docs/zh/executed", notebooks_dir() / "zh"))
    english = nbformat.read(ROOT / "docs" / "executed" / name, 4)
    assert [(cell.id, cell.source) for cell in shown.cells] == [(cell.id, cell.source) for cell in source.cells]
    assert [len(cell.get("outputs", ())) for cell in shown.cells] == [
        len(cell.get("outputs", ())) for cell in english.cells
    ]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_notebooks_show_figures_and_keep_what_is_private(language: str) -> None:
    """There are pictures among the outputs; none names the folder or the person."""
    folder = ROOT / "docs" / ("" if language == "en" else language) / "executed"
    text = "".join((folder / name).read_text(encoding="utf-8") for name in NAMES)
    assert text.count("<svg") >= 3
    assert "SOMEBODY" in text
    assert not re.search(r"runbook-fresh-|\w@\w|/usr/bin", text)


@pytest.mark.parametrize(
    ("language", "name", "text", "made"),
    [
        ("en", "docs/lab.md", "[x](../README.md#a)", "[x](../index.md#a)"),
        ("en", "README.md", "[中文](README.zh.md)", '<a href="zh/index.html">中文</a>'),
        ("en", "docs/lab.md", "[x](record.md#b)", "[x](record.md#b)"),
        ("en", "docs/lab.md", "[x](../params/lab.yaml)", "[x](../params/lab.yaml)"),
        ("en", "docs/lab.md", "![x](images/a.png)", "![x](images/a.png)"),
        ("zh", "docs/zh/lab.md", "[x](../../README.zh.md)", "[x](../../index.md)"),
        ("zh", "docs/zh/lab.md", "[x](../record.md#b)", '<a href="../../../docs/record.html#b">x</a>'),
        ("zh", "notebooks/zh/00_start_here.ipynb", "[x](10_diagnose_logs.ipynb)", "[x](10_diagnose_logs.ipynb)"),
    ],
)
def test_links_lead_to_pages_of_the_site(language: str, name: str, text: str, made: str) -> None:
    """A link keeps its place in the language; what there is in English only leads to the English page."""
    assert docs.linked(language, name, text) == made


@pytest.mark.parametrize(
    ("language", "name"), [("en", "notebooks/70_post_mortem"), ("zh", "notebooks/zh/70_post_mortem")]
)
def test_files_of_a_record_are_named_and_led_to_by_no_link(language: str, name: str) -> None:
    """The report of stage 70 lies in its record, and not beside the page that shows the stage."""
    text = docs.document(language, name)
    assert "report/post-mortem.pdf" in text.replace("<wbr>", "")
    assert "../report/" not in text


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ('<p id="here"><a href="#here">x</a> <a href="https://www.example.com">read</a>', ""),
        ('<script src="https://cdn.example.com/x.js"></script>', "index.html: loads https://cdn.example.com/x.js"),
        ('<link rel="stylesheet" href="//fonts.example.com/x.css">', "index.html: loads //fonts.example.com/x.css"),
        ('<a href="gone.html">x</a>', "index.html: gone.html leads nowhere"),
        ('<a href="#there">x</a>', "index.html: #there has no such anchor"),
    ],
)
def test_a_page_that_needs_the_network_or_leads_nowhere_is_found(tmp_path: Path, page: str, told: str) -> None:
    """Outside addresses may be linked to and are never loaded; links within the site and their anchors exist."""
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    assert list(docs.faults(tmp_path)) == ([told] if told else [])


def test_a_search_without_its_stemmer_is_found(tmp_path: Path) -> None:
    """Sphinx 9.0 names a stemmer for Chinese that does not exist, and the search page then waits for ever."""
    for name, text in (
        ("a", "window.Stemmer = ChineseStemmer;"),
        ("b", "var EnglishStemmer=0;window.Stemmer = EnglishStemmer;"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "language_data.js").write_text(text, encoding="utf-8")
    told = "a/language_data.js: there is no ChineseStemmer, so nothing can be searched for"
    assert list(docs.faults(tmp_path)) == [told]


def test_chinese_words_of_any_length_are_found() -> None:
    """The search index has each run of Chinese, in which longer words are looked for, and each pair of characters."""
    assert docs.chinese_words("证书不匹配, HA") == ["证书不匹配", "证书", "书不", "不匹", "匹配"]
