"""Whether a person is there to read what a cell shows while it runs."""

from __future__ import annotations

import sys
from typing import Any


def attended() -> bool:
    """Whether the cell that runs now was started by somebody who can be asked.

    Jupyter's front ends offer to answer questions (``input``) with each cell that they start; papermill, nbclient and
    nbval do not. Outside of a notebook nobody is assumed.
    """
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return bool(getattr(getattr(shell, "kernel", None), "_allow_stdin", False))
