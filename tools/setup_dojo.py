"""Get the widgets of the lab's skin ``dojo``, where this user may install packages; standard library only.

Nothing but that one skin needs them: where they cannot be had the set-up says so and goes on.
"""

from __future__ import annotations

import os
from pathlib import Path

from setup_system import install_package, say

PACKAGES = ("libjs-dojo-core", "libjs-dojo-dijit", "libjs-dojo-dojox")
PARTS = ("dojo", "dijit", "dojox")
DEBIAN = Path("/usr/share/javascript")


def ensure_dojo() -> None:
    """Install Debian's packages unless the widgets are there, or lie in a folder that ``RUNBOOK_DOJO`` names."""
    if os.environ.get("RUNBOOK_DOJO") or there():
        return
    problem = next((problem for package in PACKAGES if (problem := install_package(package))), "")
    if problem:
        say(f"The lab's web pages of real widgets (skin dojo) cannot be shown: {', '.join(PACKAGES)}: {problem}")


def there() -> bool:
    """Whether Dojo, dijit and dojox are where Debian or npm puts them."""
    modules = Path.cwd() / "node_modules"
    return any(all((place / part).is_dir() for part in PARTS) for place in (DEBIAN, modules))
