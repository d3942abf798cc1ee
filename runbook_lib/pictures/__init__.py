"""Pictures of what was found: plain values in, SVG and the same in words out. Nothing is read or decided here."""

from runbook_lib.pictures.picture import STYLE, Picture
from runbook_lib.pictures.svg import TONES

__all__ = ["STYLE", "TONES", "Picture"]
