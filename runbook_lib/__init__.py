"""Runbooks for certificate mismatches (trust on first use) of Cisco Prime Infrastructure."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runbook_lib.notebook.closing_stages import open_history
    from runbook_lib.notebook.opening import choose_site, open_runbook
    from runbook_lib.notebook.runbook import Runbook

__version__ = "0.1.0"
__all__ = ["Runbook", "choose_site", "open_history", "open_runbook"]


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used: the command line must not wait for them."""
    if name in __all__:
        module = "closing_stages" if name == "open_history" else "opening"
        return getattr(import_module(f"runbook_lib.notebook.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
