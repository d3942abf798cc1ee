"""The web pages of Prime Infrastructure, driven in a real browser by what a person sees.

``browser`` and ``relay`` let a browser talk to one server with one public key; ``labels`` holds every
word that is looked for; ``screen``, ``match`` and ``reading`` are pure and work on a list of what is
visible; ``hand`` acts on it; ``pages`` has the verbs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runbook_lib.web.forms import HaForm
from runbook_lib.web.labels import labels_for
from runbook_lib.web.reading import meaning

if TYPE_CHECKING:
    from runbook_lib.web.browser import PinnedBrowser
    from runbook_lib.web.pages import PrimePages

__all__ = ["HaForm", "PinnedBrowser", "PrimePages", "labels_for", "meaning"]


def __getattr__(name: str) -> Any:
    """Load what needs Playwright when it is first asked for: a stage that opens no page never does."""
    if name == "PinnedBrowser":
        from runbook_lib.web.browser import PinnedBrowser

        return PinnedBrowser
    if name == "PrimePages":
        from runbook_lib.web.pages import PrimePages

        return PrimePages
    raise AttributeError(name)
