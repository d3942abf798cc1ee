"""Build the docs site into ``build/docs`` (``make docs``): English, and Chinese below ``zh/``.

The sources are laid out as in the repository, so that the links in the documents hold; the notebooks are those with
outputs (``docs/executed``). Sphinx's warnings are errors. So is a page that loads anything from elsewhere, or a link
that leads nowhere. Exit codes: 0 built, 1 something is wrong and was named.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from setup import ROOT, VENV, pip

LOCK = ROOT / "requirements-docs.lock"
SITE = ROOT / "tools" / "docs_site"
BUILD = ROOT / "build" / "docs"
BESIDE = ("params/example.yaml", "params/fleet.example.yaml", "params/lab.yaml", "environment.yml")
PICTURES = (".svg", ".png", ".json")
NOTEBOOKS = tuple(sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")))
CONTENTS = {
    "en": {
        "Incident": ("docs/diagnosis", "docs/by-hand", "docs/troubleshooting"),
        "Each stage, with its outputs": tuple(f"notebooks/{name}" for name in NOTEBOOKS),
        "Use": ("docs/configuration", "docs/commands", "docs/install", "docs/lab", "docs/batch", "docs/fleet"),
        "Trust": ("docs/safety", "docs/record", "docs/product-facts", "docs/security", "docs/promises", "SECURITY"),
        "Code": ("CONTRIBUTING", "docs/architecture", "docs/views", "docs/performance", "CHANGELOG"),
    },
    "zh": {
        "各阶段及其输出": tuple(f"notebooks/zh/{name}" for name in NOTEBOOKS),
        "使用": ("docs/zh/configuration", "docs/zh/commands", "docs/zh/install", "docs/zh/lab"),
        "可信": ("docs/zh/safety", "docs/zh/record"),
        "开发": ("CONTRIBUTING.zh",),
    },
}
SPHINX = {"en": "en", "zh": "zh_CN"}
TO_A_REPORT = re.compile(r'<a [^>]*href="\.\./report/[^"]*"[^>]*>(.*?)</a>')
TO_A_PAGE = re.compile(r'(href="(?!\w+:)[^"#]*)\.(?:ipynb|md)(?=[#"])')


def main() -> int:
    ensure_packages()
    shutil.rmtree(BUILD, ignore_errors=True)
    for language in CONTENTS:
        lay_out(language, BUILD / "sources" / language)
    for language, name in SPHINX.items():
        source, target = BUILD / "sources" / language, BUILD / "html" / ("" if language == "en" else language)
        doctrees = BUILD / "doctrees" / language
        options = ("-q", "-W", "--keep-going", "-c", SITE, "-d", doctrees, "-D", f"language={name}")
        if code := subprocess.call([sys.executable, "-m", "sphinx", *options, source, target], cwd=ROOT / "tools"):
            return code
    if wrong := list(faults(BUILD / "html")):
        print("\n".join(wrong), file=sys.stderr)
        return 1
    print(f"The docs: {BUILD / 'html' / 'index.html'}")
    return 0


def ensure_packages() -> None:
    """Install the locked packages of the site into ``.venv``, where they are not installed yet."""
    stamp = VENV / LOCK.name
    if not stamp.is_file() or stamp.read_bytes() != LOCK.read_bytes():
        # The lock names every package, with those of requirements.lock that are installed already.
        pip(VENV / "bin" / "python", "install", "--no-deps", "--require-hashes", "--requirement", str(LOCK))
        shutil.copyfile(LOCK, stamp)


def lay_out(language: str, folder: Path) -> None:
    """Write the sources of one language: its documents and notebooks, and what they name beside them."""
    documents = [name for names in CONTENTS[language].values() for name in names]
    front = "README.md" if language == "en" else "README.zh.md"
    for name in documents:
        text = document(language, name)
        path = folder / (f"{name}.ipynb" if "notebooks/" in name else f"{name}.md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "index.md").write_text(
        linked(language, front, (ROOT / front).read_text(encoding="utf-8")) + contents(language), encoding="utf-8"
    )
    others = (path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*") if path.suffix in PICTURES)
    for name in (*BESIDE, *others):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)


def document(language: str, name: str) -> str:
    """Return the source of a page; of a notebook its copy with outputs, whose links lead to pages."""
    if "notebooks/" not in name:
        return linked(language, f"{name}.md", (ROOT / f"{name}.md").read_text(encoding="utf-8"))
    path = ROOT / "docs" / ("" if language == "en" else language) / "executed" / f"{Path(name).name}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = linked(language, f"{name}.ipynb", "".join(cell["source"]))
        for output in cell.get("outputs", ()):
            # The record's own files are beside the notebook that ran, and not beside its page here.
            html = TO_A_REPORT.sub(r"\1", "".join(output["data"]["text/html"]))
            output["data"]["text/html"] = TO_A_PAGE.sub(r"\1.html", html)
    return json.dumps(notebook, ensure_ascii=False)


def linked(language: str, name: str, text: str) -> str:
    """Return a document's text with its links as this site needs them.

    The front page is ``index``. What a language does not have leads to the English page, by its address in the site.
    """
    here = (ROOT / name).parent
    ours = {*(f"{each}.md" for names in CONTENTS[language].values() for each in names)}
    ours |= {f"{each}.ipynb" for names in CONTENTS[language].values() for each in names}
    front = "README.md" if language == "en" else "README.zh.md"

    def link(found: re.Match[str]) -> str:
        words, target = found[1], found[2]
        path, _, anchor = unquote(target).partition("#")
        if re.match(r"[a-z]+:", target) or not path:
            return found[0]
        to = (here / path).resolve().relative_to(ROOT).as_posix()
        up = "../" * (len(Path(name).parts) - 1)
        after = f"#{anchor}" if anchor else ""
        if to == front:
            return f"[{words}]({up}index.md{after})"
        if to in ours or not to.endswith((".md", ".ipynb")):
            return found[0]
        if to.startswith("README"):
            page = f"{up}zh/index.html" if language == "en" else f"{up}../index.html"
        else:
            page = f"{up}../{to.rpartition('.')[0]}.html{after}"
        return f'<a href="{page}">{words}</a>'

    return re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)", link, text)


def chinese_words(text: str) -> list[str]:
    """Return the runs of Chinese characters in a text and their pairs, so that a search finds words of any length."""
    runs = re.findall(r"[\u4e00-\u9fff]+", text)
    return [*runs, *(run[at : at + 2] for run in runs for at in range(len(run) - 1))]


def contents(language: str) -> str:
    """Return the tables of contents, which the side bar shows."""
    blocks = (
        "\n".join(("```{toctree}", ":hidden:", f":caption: {caption}", "", *names, "```"))
        for caption, names in CONTENTS[language].items()
    )
    return "\n\n" + "\n\n".join(blocks) + "\n"


class Page(HTMLParser):
    """What a page names: its own anchors, what it loads, and where its links lead."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors, self.loads, self.links = set[str](), list[str](), list[str]()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a":
            self.links += [given["href"]] if "href" in given else []
        else:
            self.loads += [given[name] for name in ("src", "href", "data", "action") if given.get(name)]


def faults(site: Path) -> Iterator[str]:
    """Yield what a page loads from elsewhere, links within the site that lead nowhere, and a search that cannot run."""
    for path in sorted(site.rglob("language_data.js")):
        text = path.read_text(encoding="utf-8")
        stemmer = re.search(r"window\.Stemmer = (\w+);", text)
        if stemmer and not re.search(rf"(var|class|function) {stemmer[1]}\b", text):
            yield f"{path.relative_to(site)}: there is no {stemmer[1]}, so nothing can be searched for"
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        where = path.relative_to(site)
        for address in page.loads:
            if urlsplit(address).scheme not in ("", "data") or address.startswith("//"):
                yield f"{where}: loads {address}"
        for address in (*page.links, *page.loads):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            to = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not to.is_file():
                yield f"{where}: {address} leads nowhere"
            elif parts.fragment and to in pages and unquote(parts.fragment) not in pages[to].anchors:
                yield f"{where}: {address} has no such anchor"


if __name__ == "__main__":
    sys.exit(main())
