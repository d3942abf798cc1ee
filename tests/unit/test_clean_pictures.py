"""When a picture of a page is kept: each thing that stands in its way, alone, without a browser."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runbook_lib.web import view as pictures
from runbook_lib.web.browser import DrawnText, PinnedBrowser
from runbook_lib.web.view import take_picture

SECRET = "Kz-mirrored-Word7"
EMPTY = DrawnText(documents=1)
CHART = DrawnText(painted=True, documents=1)
SHOWN = DrawnText(texts=(SECRET,), documents=1)


@dataclass
class Page:
    """What a browser says of its page: at each look what it draws then, and whether it was told a secret."""

    looks: list[DrawnText]
    told: bool = False
    secrets: frozenset[str] = frozenset({SECRET})
    frames: int = 1
    page: Any = field(init=False)
    picture, _is_clean = PinnedBrowser.picture, PinnedBrowser._is_clean

    def __post_init__(self) -> None:
        self.page = SimpleNamespace(frames=[None] * self.frames)

    async def drawn(self) -> DrawnText:
        return self.looks.pop(0)

    async def holds_typed_secret(self) -> bool:
        return self.told

    async def screenshot(self) -> bytes:
        return b"png"


def kept(page: Page) -> list[bytes]:
    """Return the pictures of the page that the evidence is given."""
    found: list[bytes] = []
    view = SimpleNamespace(browser=page, evidence=lambda _name, png: found.append(png))
    asyncio.run(take_picture(cast("Any", view), "now"))
    return found


@pytest.mark.parametrize(
    "page",
    [
        Page([EMPTY, EMPTY], told=True),
        Page([CHART, CHART]),
        Page([SHOWN, SHOWN], secrets=frozenset()),
    ],
    ids=["nothing secret in it", "a chart that was told nothing", "before any secret"],
)
def test_a_clean_page_is_pictured(page: Page) -> None:
    """Once: there is nothing secret in it, or nothing that a secret could be drawn with."""
    assert kept(page) == [b"png"]


@pytest.mark.parametrize(
    "page",
    [
        Page([SHOWN, SHOWN]),
        Page([DrawnText(filled=True, documents=1)] * 2),
        Page([CHART, CHART], told=True),
        Page([EMPTY, EMPTY], frames=2),
        Page([EMPTY, SHOWN]),
    ],
    ids=["its text", "a full field", "a chart that was told", "a frame that is not seen", "text that came meanwhile"],
)
def test_each_doubt_alone_keeps_a_picture_out(page: Page) -> None:
    """It takes no picture of a page that shows a secret, holds one, may have drawn one, or is not seen whole."""
    assert kept(page) == []


def test_no_picture_where_the_page_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that cannot be looked at is not pictured, and the verb goes on."""

    async def gone(_page: Page) -> DrawnText:
        raise pictures.Error("Target closed")

    monkeypatch.setattr(Page, "drawn", gone)
    assert kept(Page([])) == []
