"""A module of this interpreter as ``python -m`` runs it, and sooner."""

from __future__ import annotations

import sys

# Three quarters of what the command papermill takes to start is a grammar of internationalized addresses, which
# jsonschema loads where it is installed and no notebook uses; here it finds none, as where JupyterLab is not installed.
_RUN = """\
import runpy, sys
sys.modules["rfc3987_syntax"] = None
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def quick_module(name: str, *words: str) -> list[str]:
    """Return the command that runs a module with these words; whatever it starts itself finds the grammar."""
    return [sys.executable, "-c", _RUN, name, *words]
