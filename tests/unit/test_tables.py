"""Tables as text and as HTML: what stays whole, what is escaped, and what an error shows in a notebook."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from runbook_lib.errors import DeletionRefused
from runbook_lib.observations import LogLine
from runbook_lib.show.document import (
    Link,
    Picture,
    Row,
    Table,
    below,
    common_folder,
    first_and_last,
    link_to,
    places_below,
)
from runbook_lib.show.forms import Said
from runbook_lib.show.rendering import STYLE, Sign, Signed, View, html, text_of
from runbook_lib.show.svg import label

DIGEST = "99bc22f5f8cb611fe24143538cacbd0f2685f77e9d70b4278f011e7bb79f4310"
COMMAND = "ncs certvalidation tofu-certs deletecert host 192.0.2.21_8082"
HOSTILE = "<script>alert(1)</script> \x1b[31m \u202e"


def view(*cells: str | Link, headers: tuple[str, ...] = (), whole: tuple[str, ...] = (), mark: str = "") -> View[None]:
    names = headers or tuple(f"column {number}" for number in range(len(cells)))
    return View(None, (Table(title="Title", headers=names, rows=(Row(*cells, mark=mark),), whole=whole),))


WIDE = view("primary", COMMAND, DIGEST, "words " * 12, headers=("on", "command", "digest", "why"), whole=("command",))


@pytest.mark.parametrize("width", [200, 160, 120, 100, 80])
def test_commands_stay_on_one_line_at_every_width(width: int) -> None:
    """What is copied is in one piece, and no line is wider than asked for."""
    text = WIDE.text(width)
    assert COMMAND in text
    assert max(cell_len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("width", [200, 160, 80])
def test_digests_are_whole_or_broken_in_the_middle(width: int) -> None:
    """A digest is shown in one piece, or where that makes a grid of it, in two halves."""
    text = WIDE.text(width)
    assert DIGEST in text or (DIGEST[:32] in text and DIGEST[32:] in text)


def test_a_table_that_fits_is_a_grid_and_one_that_does_not_is_blocks() -> None:
    """A grid has its headers in one line; a block has each header beside its cell."""
    assert re.search(r"on .*command .*digest .*why", WIDE.text(200))
    assert re.search(r"^│ command │ ncs ", WIDE.text(80), re.MULTILINE)


def test_keys_are_not_broken_where_there_is_room_for_them() -> None:
    """A key of a TOFU list keeps its port, while words beside it wrap."""
    text = view("127.0.0.1_8082", "many words " * 20, whole=("column 0",)).text(80)
    assert "127.0.0.1_8082" in text
    assert "─" in text
    assert len(text.splitlines()) > 6


def test_a_long_header_leaves_its_cells_room() -> None:
    """In blocks it is broken itself: what stands beside it is read, and copied."""
    long = "a header as long as a whole sentence, which has more than fifty characters"
    cells = ("site-001", "20261129T184721Z-site-001-9829", "0acf73691f38f561…", "primary: 127.145.117.21_9443; " * 3)
    text = view(*cells, headers=("site", "incident", "plan", long)).text(80)
    assert cells[1] in text
    assert text.count("127.145.117.21_9443") == 3
    assert max(map(cell_len, text.splitlines())) <= 80


def test_a_row_that_is_narrower_than_one_word_is_still_shown_whole() -> None:
    """Where one word alone is wider than the text it is folded, and nothing is lost."""
    text = view("x" * 100).text(40)
    assert text.count("x") == 100


def test_an_empty_table_says_so_in_words() -> None:
    """No rows: the table's own word for it, in both forms."""
    empty = View(None, (Table(title="Title", headers=("a", "b"), empty="none yet"),))
    assert "none yet" in empty.text()
    assert "none yet" in empty._repr_html_()


def test_no_mark_is_a_colour_alone() -> None:
    """A mark is a sign before the first cell, in both forms."""
    for mark, sign in (("good", "✔"), ("bad", "✘"), ("doubt", "?")):
        shown = view("first", "second", mark=mark)
        assert f"{sign} first" in shown.text()
        assert f"{sign} first" in shown._repr_html_()


def test_device_text_is_data_in_both_forms() -> None:
    """Tags are escaped, control characters and overrides of direction made visible."""
    shown = view(HOSTILE)
    html = shown._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    for text in (html, shown.text()):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\\x1b" in text


def test_no_text_is_set_as_a_formula() -> None:
    """Jupyter's MathJax passes over what begins and ends one, wherever text is shown."""
    formula = r"CN=$\color{green}{\text{confirmed}}$ \(x\) $$y$$ \begin{align}a\end{align}"
    picture = Picture(title=formula, width=9, height=9, body=label(formula, 0, 0))
    sign = Sign(production=True, site=formula, servers=formula)
    table = Table(title=formula, headers=("x", "y"), rows=(Row(formula, formula),), note=formula)
    said = Said()
    said.say(formula)
    for shown in (Signed(None, (table,), (picture,), sign=sign)._repr_html_(), said.value):
        assert "color{green}" in shown
        left = re.sub(
            r'<figure class="rb (tex2jax_ignore mathjax_ignore)"><svg.*?</svg>| aria-label="[^"]*"', "", shown
        )
        left = re.sub(r'<span class="tex2jax_ignore mathjax_ignore">.</span>', "", left)
        assert not re.search(r"\$|\\[()]|\\begin|\\end", left)


def test_markup_of_the_text_library_is_shown_as_it_is() -> None:
    """Square brackets in a cell, a header, a title or a note are no style."""
    odd = View(None, (Table(title="[red]t", headers=("[b]h",), rows=(Row("[i]c"),), note="[u]n"),))
    for text in ("[red]t", "[b]h", "[i]c", "[u]n"):
        assert text in odd.text()


def test_a_digest_is_copied_in_one_piece_from_html() -> None:
    """The place to break is marked without a character of its own."""
    shown = view(DIGEST)._repr_html_().split("</style>")[1]
    assert DIGEST in re.sub(r"<[^>]+>", "", shown)
    assert (shown.count("<wbr>"), shown.count('<wbr class="quarter">')) == (1, 2)


def test_a_path_may_be_broken_behind_each_folder_and_is_copied_in_one_piece() -> None:
    """Browsers break it at hyphens only: a log deep in folders would push the columns beside it out of view."""
    path = "/data/logs/2026/primary/hm-0-0.log:4"
    shown = view(path)._repr_html_().split("</style>")[1]
    assert shown.count("/<wbr>") == path.count("/") - 1
    assert path in re.sub(r"<[^>]+>", "", shown)


def test_a_link_leads_to_a_file_beside_the_notebook() -> None:
    """The cell is a link in HTML and its text elsewhere."""
    shown = view(Link("10_diagnose_logs", "10_diagnose_logs.ipynb"))
    assert '<a href="10_diagnose_logs.ipynb">10_diagnose_logs</a>' in shown._repr_html_()
    assert "10_diagnose_logs " in shown.text()


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "https://example.com/", "//example.com", "/etc", "a b", "", 'x"y']
)
def test_a_link_is_never_anything_else(href: str) -> None:
    """An address with a scheme, a host, a root or a quote is refused."""
    with pytest.raises(ValueError, match="relative path"):
        Link("text", href)


def test_a_file_that_no_link_may_lead_to_is_named() -> None:
    """A plain relative path is a link; one that leads out of reach, or is not plain, is text."""
    assert link_to("report", "../report/x.html") == Link("report", "../report/x.html")
    for href in ("../../../elsewhere/x.html", "/etc/x.html", "a b.html", "javascript:alert(1)"):
        assert link_to("report", href) == "report"


def test_text_in_a_cell_never_becomes_a_link() -> None:
    """An address in a device's text stays text."""
    assert "<a " not in view("https://example.com/ 10_diagnose_logs.ipynb")._repr_html_()


def test_evidence_is_relative_to_the_folder_that_it_shares() -> None:
    """Two lines of one file stand together; the note says what they are relative to."""
    places = [
        "/logs/site/primary/hm-0-0.log:4",
        "/logs/site/primary/hm-0-0.log:11",
        "/logs/site/secondary/a.zip/hm.log:3",
    ]
    folder = common_folder(places)
    assert folder == "/logs/site"
    assert places_below(places, folder) == "primary/hm-0-0.log:4, 11\nsecondary/a.zip/hm.log:3"
    assert folder in below(folder)


@pytest.mark.parametrize("places", [[], ["/a/x.log:1", "/b/y.log:2"], ["stdin:1", "/var/log/y.log:2"], ["stdin:1"]])
def test_evidence_without_a_common_folder_is_shown_in_full(places: list[str]) -> None:
    """A root, a name that is no path, or nothing: no folder is claimed, nothing is cut off."""
    assert common_folder(places) == ""
    assert places_below(places, "").split("\n") == (places or [""])


def test_evidence_is_the_first_and_the_last_line() -> None:
    """Of many lines two are named, of one line one."""
    lines = [LogLine(source="/logs/hm.log", number=number, text="") for number in (3, 5, 9)]
    assert first_and_last(lines) == ("/logs/hm.log:3", "/logs/hm.log:9")
    assert first_and_last(lines[:1]) == ("/logs/hm.log:3",)


def test_an_error_in_a_notebook_is_advice_without_a_stack() -> None:
    """What IPython asks an error for holds what, where, found, next: see test_single_stage.py."""
    error = DeletionRefused("Not confirmed", where="primary", found="unconfirmed\x1b", next_step="find out its SHA-256")
    assert error._render_traceback_() == [
        "DeletionRefused: Not confirmed",
        "  where: primary",
        "  found: unconfirmed\\x1b",
        "  next:  find out its SHA-256",
    ]


def test_a_long_title_goes_over_lines() -> None:
    """On one line it would push its table out of a notebook's view, what to do next included."""
    for words, wraps in (("Blocked", False), ("a line of a list that nobody understands " * 4, True)):
        shown = html(Table(title=words, headers=("what",), rows=(Row("do this"),)))
        assert ('<caption class="wraps"' in shown) is wraps


def test_an_option_of_a_command_is_not_broken_behind_its_dashes() -> None:
    """A browser breaks a line after a hyphen; what is copied stays the same, and words with dashes are left alone."""
    shown = text_of("runbook approve X --by NAME, --dry-run; half--way")
    assert shown == (
        'runbook approve X <span class="option">--by</span> NAME, <span class="option">--dry-run</span>; half--way'
    )
    assert ".rb .option{white-space:nowrap}" in STYLE


def test_the_title_of_a_single_column_says_what_it_holds() -> None:
    """A notebook shows no header over it, and its words may be as wide as a sentence below a table."""
    html = view("Somebody else answered.", headers=("what",))._repr_html_()
    assert "<thead>" not in html
    assert '<table class="one">' in html
    assert ">what<" not in html
    assert view("a", "b")._repr_html_().count("<thead>") == 1
