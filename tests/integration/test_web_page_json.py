"""What is kept beside the picture of a page that is not understood: enough to find a label, and no secret."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_web_pages import FORM, FORM_AT, drive
from web_site import Product

from runbook_lib.errors import PageNotUnderstood
from runbook_lib.web.browser import letters
from runbook_lib.web.pages import PrimePages

pytestmark = pytest.mark.usefixtures("one_browser")
CANARY = 'k3y "Canary": \\ 7!'  # YAML and JSON write it otherwise than it is typed
THEIRS = "theirs-'Canary'-8"
EVERYWHERE = ("texts", "controls", "accessible")


def kept_after_typing(folder: Path, *rewrite: tuple[str, str]) -> dict[str, Any]:
    """Type the key into a form without Register, which is not understood, and return what is kept of the page."""
    product = Product(rewrite=(("value=Register", "value=Register hidden"), *rewrite))
    kept: dict[str, Any] = {}

    async def use(pages: PrimePages) -> None:
        with pytest.raises(PageNotUnderstood):
            await pages.register(replace(FORM, auth_key=CANARY))
        assert await pages._browser.page.input_value("#k") == CANARY
        kept.update(await pages.page_reading())

    drive(product, "plain", folder, use, page_s=6.0, at=FORM_AT["plain"])
    return kept


def assert_without(kept: object, secrets: Iterable[str]) -> None:
    """No secret, in whichever spelling, in any text that is kept."""
    written = letters(json.dumps(kept))
    assert not [secret for secret in secrets if letters(secret) in written]


def test_a_secret_that_was_typed_is_not_kept(tmp_path: Path) -> None:
    """Neither its value, nor what the page shows of it, nor what the browser's accessible tree says of both."""
    echo = "<p id=echo></p><script>addEventListener('input', (e) => { echo.textContent = k.value })</script>"
    shown = ("<h2>HA Configuration</h2>", f"<h2>HA Configuration</h2>{echo}")
    kept = kept_after_typing(tmp_path, shown)
    assert_without(kept, [CANARY])
    assert all(kept[part] for part in EVERYWHERE)
    assert "Authentication Key" in kept["accessible"]
    assert "198.51.100.2" in json.dumps(kept["controls"])


def test_a_password_that_the_page_filled_in_is_not_kept(tmp_path: Path) -> None:
    """It was never typed here, and stands in the accessible tree all the same; in a frame as well."""
    field = f'<label>Other <input type=password value="{THEIRS}"></label>'
    framed = f"<iframe srcdoc='{field.replace(chr(39), '&#39;')}'></iframe>"
    kept = kept_after_typing(tmp_path, ("<h2>HA Configuration</h2>", f"<h2>HA Configuration</h2>{field}{framed}"))
    assert_without(kept, [CANARY, THEIRS])
    assert "Other" in kept["accessible"]
