"""Every file of unit tests closes what it opens."""

from __future__ import annotations

from left_open import nothing_left_open

__all__ = ["nothing_left_open"]
