"""Sphinx's settings for the docs site: tools/docs.py lays out its sources and passes the language."""

from __future__ import annotations

from typing import Any

from sphinx.search.zh import SearchChinese

from docs import chinese_words

project = "pi-tofu-runbook"
author = "the project"
extensions = ["myst_nb"]
html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_show_search_summary = False  # it would be fetched, which a page that is opened from a disk may not do
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "languages.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
# The anchors of headings are those of the places where repositories are hosted.
myst_heading_anchors = 4
# Stored outputs are shown and nothing is run; no page loads a script from elsewhere.
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, Any] = {}


class ChineseWithoutDictionary(SearchChinese):
    """Splits Chinese without a dictionary, which would be another package of 19 MB."""

    language_name = "English"  # of its stemmer: Sphinx's pages look for a ChineseStemmer, which there is not

    def split(self, input: str) -> list[str]:  # noqa: A002 - Sphinx's own name
        return [*chinese_words(input), *super().split(input)]


def setup(app: Any) -> None:
    app.add_search_language(ChineseWithoutDictionary)
