"""Where in a notebook's story a cell stands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any


def heading_above(cells: Sequence[Mapping[str, Any]], index: int) -> str:
    """Return the nearest Markdown heading at or above a cell, without its marks; empty where there is none.

    What papermill inserts to mark an error is not a part of the story.
    """
    for cell in reversed(cells[: index + 1]):
        if cell["cell_type"] == "markdown" and "papermill-error-cell-tag" not in cell["metadata"].get("tags", ()):
            headings = re.findall(r"^#{1,6}\s+(.+?)\s*#*$", "".join(cell["source"]), re.M)
            if headings:
                return str(headings[-1])
    return ""
