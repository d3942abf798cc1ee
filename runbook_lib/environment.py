"""The environment of child processes: named, never inherited, since an ``env:`` secret stands in this process's own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

_EVERYWHERE = frozenset(
    (
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH"),
        *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY"),
        *("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    )
)
_LOCALE = "LC_"
SETTINGS = frozenset(
    (
        *("RUNBOOK_BROWSER", "RUNBOOK_DOJO", "RUNBOOK_KEY_DIR", "RUNBOOK_LAB_DIR", "RUNBOOK_LANG", "RUNBOOK_LOCKS"),
        *("RUNBOOK_LOCK_TOKEN", "RUNBOOK_OPENED_FOR", "RUNBOOK_OPERATOR", "RUNBOOK_RECORDS", "RUNBOOK_SHARED_BROWSER"),
        *("DBUS_SESSION_BUS_ADDRESS", "SSL_CERT_DIR", "SSL_CERT_FILE"),  # for ``keyring:``; for time stamps
        *("PLAYWRIGHT_BROWSERS_PATH", "TERM", "COLUMNS", "LINES", "NO_COLOR"),
        *("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_CONFIG_PATH", "JUPYTER_DATA_DIR", "JUPYTER_PATH"),
    )
)
"""What a process of this software reads besides, and no secret."""


def environment_with(names: Iterable[str]) -> dict[str, str]:
    """Return what a process of this software needs, and the variables with these ``names``, where they are set."""
    wanted = {*SETTINGS, *names}
    return plain_environment() | {name: value for name, value in os.environ.items() if name in wanted}


def plain_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what any program needs of an environment, this process's own by default, and nothing else of it."""
    source = os.environ if environment is None else environment
    return {name: value for name, value in source.items() if name in _EVERYWHERE or name.startswith(_LOCALE)}
