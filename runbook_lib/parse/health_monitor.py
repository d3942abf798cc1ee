"""The Health Monitor's login page, as others captured it for 3.1: that it is one, and its release. Pure; total."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

_TAG = re.compile(r"<[^<>]*>")
_NAME = re.compile(r"\bhealth +monitor\b", re.I)
_PRODUCT = re.compile(r"\bprime +infrastructure\b", re.I)
_RELEASE = re.compile(r"\bversion ?[:=]? ?([0-9]{1,5}(?:\.[0-9]{1,5}){1,7})(?![0-9.]*[0-9])", re.I)


@dataclass(frozen=True, kw_only=True)
class HealthMonitor:
    """``product``: it names Prime Infrastructure. ``release`` as the page has it; empty where it names none, or two."""

    product: bool
    release: str


def parse_health_monitor(page: str) -> HealthMonitor | None:
    """Return what the page says of itself; None where it is no page of a Health Monitor."""
    text = " ".join(html.unescape(_TAG.sub(" ", page)).split())
    if not _NAME.search(text):
        return None
    releases = set(_RELEASE.findall(text))
    return HealthMonitor(product=bool(_PRODUCT.search(text)), release=releases.pop() if len(releases) == 1 else "")
