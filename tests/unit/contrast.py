"""How well letters stand out from what is behind them."""

from __future__ import annotations

import re


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2 defines it."""
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    pieces = re.findall("..", digits) if len(digits) == 6 else [digit * 2 for digit in digits]
    parts = [int(piece, 16) / 255 for piece in pieces]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
