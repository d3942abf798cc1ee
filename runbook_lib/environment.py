"""The environment of child processes: named, never inherited, since an ``env:`` secret stands in this process's own."""

from __future__ import annotations

import os
from collections.abc import Mapping

_EVERYWHERE = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH"),
        *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"),
        *("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    )
)
_LOCALE = "LC_"


def plain_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what any program needs of an environment, this process's own by default, and nothing else of it."""
    source = os.environ if environment is None else environment
    return {name: value for name, value in source.items() if name in _EVERYWHERE or name.startswith(_LOCALE)}
