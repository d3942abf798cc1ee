"""Whether this machine has a font for the language that is asked for."""

from __future__ import annotations

import shutil
import subprocess

from runbook_lib.i18n.language import ENGLISH, asked_language
from runbook_lib.processes import plain_environment

_PATIENCE_S = 10.0


def font_hint() -> str:
    """Return what to install where Chinese is asked for and this machine has no font for it, else nothing.

    Only fontconfig is asked; where it is not installed, nothing is known and nothing is said. Raises
    ParameterRefused for a language that there is none of.
    """
    program = shutil.which("fc-list") if asked_language() != ENGLISH else None
    if program is None:
        return ""
    try:
        found = subprocess.run(  # noqa: S603 - a program of the system, with words of ours
            [program, ":lang=zh-cn", "family"],
            capture_output=True,
            check=True,
            timeout=_PATIENCE_S,
            env=plain_environment(),
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    if found.stdout.strip():
        return ""
    return (
        "This machine has no font with Chinese characters: a browser here shows boxes. Install one, for example the"
        " package fonts-noto-cjk (Debian, Ubuntu) or google-noto-sans-cjk-fonts (Fedora, RHEL)."
    )
