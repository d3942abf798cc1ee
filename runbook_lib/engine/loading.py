"""Loading papermill without what it does not need."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_GRAMMAR = "rfc3987_syntax"


@contextmanager
def quick_import() -> Iterator[None]:
    """A context for the first import of papermill or nbformat, which takes a quarter of the time in it.

    Most of that time goes into a grammar of internationalized addresses, which jsonschema loads where it is
    installed (JupyterLab brings it) and no notebook's schema uses. Here jsonschema finds it missing; others can
    import it afterwards as ever.
    """
    if _GRAMMAR in sys.modules:
        yield
        return
    sys.modules[_GRAMMAR] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_GRAMMAR]
