"""What a person wrote into a report's Markdown, so that the next report takes it over."""

from __future__ import annotations

import re

TO_WRITE = "_To be written._"


def begin(key: str) -> str:
    """Return the mark after which a person writes."""
    return f"<!-- write below: {key} -->"


def end(key: str) -> str:
    return f"<!-- write above: {key} -->"


def read_written(markdown: str, keys: tuple[str, ...]) -> dict[str, str]:
    """Return what stands between the marks, by section; sections that nobody wrote in are left out."""
    found = {}
    for key in keys:
        match = re.search(f"{re.escape(begin(key))}(.*?){re.escape(end(key))}", markdown, re.DOTALL)
        text = match[1].strip() if match else ""
        if text and text != TO_WRITE:
            found[key] = text
    return found
