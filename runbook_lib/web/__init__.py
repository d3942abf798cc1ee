"""The web pages of Prime Infrastructure, driven in a real browser by what a person sees.

``browser`` and ``relay`` let a browser talk to one server with one public key; ``labels`` holds every
word that is looked for; ``screen``, ``match`` and ``reading`` are pure and work on a list of what is
visible; ``hand`` acts on it; ``pages`` has the verbs.
"""

from __future__ import annotations

from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.forms import HaForm
from runbook_lib.web.labels import labels_for
from runbook_lib.web.pages import PrimePages
from runbook_lib.web.reading import meaning

__all__ = ["HaForm", "PinnedBrowser", "PrimePages", "labels_for", "meaning"]
