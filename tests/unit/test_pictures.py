"""Pictures: text in them is data, every tone is readable and has a shape of its own, and widths are safe."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from contrast import contrast

from runbook_lib.show import document as palette
from runbook_lib.show import svg
from runbook_lib.show.document import TONES, Picture
from runbook_lib.show.svg import STYLE, shorten, standalone, width_of, wrap

HOSTILE = "</text></svg><script>alert(1)</script><style>*{}</style>\u202e\x1b[31m\x00\ud800&amp; 'x' \"y\""


@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("tone", TONES)
def test_every_tone_can_be_read(colours: dict[str, palette.Ink], tone: str) -> None:
    """Letters of each tone have a contrast of 4.5 to 1 on the page, on their own wash and on the plain one."""
    grounds = (colours["page"].wash, colours[tone].wash, colours["plain"].wash)
    assert min(contrast(colours[tone].ink, ground) for ground in grounds) >= 4.5


def test_every_tone_has_a_shape_of_its_own() -> None:
    """Without colours the marks of two tones still differ."""
    shapes = {svg.mark(tone, 0, 0).replace(tone, "") for tone in TONES}
    assert len(shapes) == len(TONES)


def test_text_is_shown_and_never_obeyed() -> None:
    """A text of tags, control characters and bidirectional overrides stays one text, and the SVG one of ours."""
    picture = Picture(title=HOSTILE, width=10, height=10, body=svg.label(HOSTILE, 1, 2))
    for drawn in (picture.inline(), standalone(picture)):
        root = ElementTree.fromstring(drawn)
        names = [node.tag.rpartition("}")[2] for node in root.iter()]
        assert names in (["svg", "text"], ["svg", "style", "text"])
        shown = "".join(root.itertext()).removeprefix(STYLE) + root.attrib["aria-label"]
        assert "<script>alert(1)</script>" in shown
        assert "\\u202e\\x1b[31m\\x00\\ud800&amp;" in shown


def test_a_picture_asks_for_nothing_that_a_strict_page_refuses() -> None:
    """Strokes have no style attribute, no id, no link and no address, so a policy of 'none' shows them whole."""
    drawn = Picture(
        title="t",
        width=10,
        height=10,
        body=svg.arrow((0, 0), (9, 9), dashed=True)
        + svg.rectangle(0, 0, 5, 5, tone="good", dashed=True)
        + "".join(svg.mark(tone, 5, 5) for tone in TONES)
        + svg.line(((0, 0), (1, 1)), tone="bad"),
    ).inline()
    attributes = {name for node in ElementTree.fromstring(drawn).iter() for name in node.attrib}
    assert not attributes & {"style", "id", "href", "src"}
    assert "url(" not in STYLE
    assert "@import" not in STYLE


@pytest.mark.parametrize(
    ("marks", "colours"),
    [
        ("[data-jp-theme-light=true]", palette.LIGHT),
        ("[data-jp-theme-light=false]", palette.DARK),
        (".vscode-light", palette.LIGHT),
        (".vscode-dark", palette.DARK),
        (".vscode-high-contrast", palette.DARK),
        (".vscode-high-contrast .vscode-high-contrast-light", palette.LIGHT),
    ],
)
def test_a_picture_follows_the_theme_of_its_front_end(marks: str, colours: dict[str, palette.Ink]) -> None:
    """On a page that bears these marks, the last rule that applies gives the colours of its theme."""
    rules = re.findall(r":is\(([^)]*)\) \.pic\{([^}]*)\}", STYLE)
    applying = [given for selectors, given in rules if set(marks.split()) & set(selectors.split(","))]
    assert applying[-1] == palette.variables(colours)


def test_an_unknown_tone_is_refused() -> None:
    """A tone that the palette does not know raises instead of drawing in no colour."""
    with pytest.raises(ValueError, match="no such tone"):
        svg.label("x", 0, 0, tone="red")


@pytest.mark.parametrize("text", ["CN=prime-sec.example.com", "漢字漢字漢字漢字", "i" * 400, "W" * 400, HOSTILE])
def test_shortened_text_fits(text: str) -> None:
    """A shortened text is no wider than its room, keeps its beginning and its end, and says that it was cut."""
    short = shorten(text, 100, 14)
    assert width_of(short, 14) <= 100
    assert short == text or "…" in short


def test_wrapped_text_fits_and_loses_no_word_that_fits() -> None:
    """Wrapped text keeps its words in order, and each of its lines fits."""
    text = "The secondary's certificate changed and the primary still trusts the old one"
    lines = wrap(text, 180, 14, lines=9)
    assert " ".join(lines) == text
    assert max(width_of(line, 14) for line in lines) <= 180
    assert len(wrap(text * 9, 180, 14, lines=2)) == 2
