"""The hint for those who read Chinese on a machine without a font for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook_lib.i18n.language import font_hint


def lists(folder: Path, monkeypatch: pytest.MonkeyPatch, fonts: str, code: int = 0) -> None:
    """Put a program in the place of fontconfig's that lists these fonts."""
    program = folder / "fc-list"
    program.write_text(f"#!/bin/sh\nprintf '{fonts}'\nexit {code}\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(folder))


def test_without_a_font_the_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only for readers of Chinese: English needs no other font."""
    lists(tmp_path, monkeypatch, "")
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    assert "fonts-noto-cjk" in font_hint()
    monkeypatch.setenv("RUNBOOK_LANG", "en")
    assert font_hint() == ""


@pytest.mark.parametrize(("fonts", "code"), [("Noto Sans CJK SC", 0), ("", 1)])
def test_with_a_font_or_without_an_answer_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fonts: str, code: int
) -> None:
    """A font is there, or fontconfig does not answer."""
    lists(tmp_path, monkeypatch, fonts, code)
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    assert font_hint() == ""


def test_without_fontconfig_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of the fonts then."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    assert font_hint() == ""
