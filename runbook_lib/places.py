"""Where the project's files lie. No folder is made here: who writes makes it."""

from __future__ import annotations

import os
from pathlib import Path


def project_root() -> Path:
    """Return the folder of the checkout: the one that holds ``runbook_lib``, ``params`` and ``notebooks``."""
    return Path(__file__).resolve().parent.parent


def params_dir() -> Path:
    """Return the folder of the site files."""
    return project_root() / "params"


def notebooks_dir() -> Path:
    """Return the folder of the numbered notebooks."""
    return project_root() / "notebooks"


def records_dir() -> Path:
    """Return the folder that holds one folder per incident: ``RUNBOOK_RECORDS``, else ``records`` in the checkout."""
    return _from_environment("RUNBOOK_RECORDS", "records")


def lab_dir() -> Path:
    """Return the folder of the lab's state: ``RUNBOOK_LAB_DIR``, else ``.lab`` in the checkout."""
    return _from_environment("RUNBOOK_LAB_DIR", ".lab")


def lock_file() -> Path:
    """Return the file that pins what this project depends on."""
    return project_root() / "requirements.lock"


def key_dir() -> Path:
    """Return the folder of the key that signs records: ``RUNBOOK_KEY_DIR``, else one of the user's own."""
    return _from_environment("RUNBOOK_KEY_DIR", "~/.config/pi-tofu-runbook")


def locks_dir() -> Path:
    """Return the one place of this machine for the locks of servers: ``RUNBOOK_LOCKS``, else ``/var/tmp``.

    All users may write there, nobody may remove what is another's, and it outlives a restart.
    """
    return _from_environment("RUNBOOK_LOCKS", "/var/tmp")  # noqa: S108 - names there are not guessed, and files not followed


def python_path() -> str:
    """``PYTHONPATH`` for a process of this Python that is to find this package, wherever it works."""
    return os.pathsep.join(filter(None, (str(project_root()), os.environ.get("PYTHONPATH"))))


def _from_environment(variable: str, default: str) -> Path:
    given = os.environ.get(variable, "")
    return Path(given).expanduser().absolute() if given else project_root() / Path(default).expanduser()
