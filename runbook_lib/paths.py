"""Where the project's files lie. No folder is made here: who writes makes it."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_SHIPPED = _PACKAGE / "shipped"  # only a wheel has it: see setup.py


def is_installed() -> bool:
    """Whether this package came from a wheel. Otherwise it is part of a checkout."""
    return _SHIPPED.is_dir()


def project_root() -> Path:
    """Return the folder that holds ``notebooks``, ``docs`` and ``params`` as delivered: a checkout, or in a wheel."""
    return _SHIPPED if is_installed() else _PACKAGE.parent


def home_dir() -> Path:
    """Return the folder of what users make: the checkout, else where the platform keeps a user's data."""
    if not is_installed():
        return project_root()
    from platformdirs import user_data_path

    return user_data_path("pi-tofu-runbook", appauthor=False)


def params_dir() -> Path:
    """Return the folder of the user's site files."""
    return home_dir() / "params"


def params_files() -> dict[str, Path]:
    """Return every YAML file in the params folders by its name without ``.yaml``. The user's own file comes first."""
    folders = (examples_dir(), params_dir())
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def notebooks_dir() -> Path:
    """Return the folder of the numbered notebooks as delivered."""
    return project_root() / "notebooks"


def docs_dir() -> Path:
    """Return the folder of the documents as delivered."""
    return project_root() / "docs"


def examples_dir() -> Path:
    """Return the folder of ``example.yaml`` and ``fleet.example.yaml`` as delivered."""
    return project_root() / "params"


def delivered(file: str = "params/example.yaml") -> str:
    """Return how a message names a file that comes with this: within a checkout, or whole where only a wheel has it."""
    return str(project_root() / file) if is_installed() else file


def records_dir() -> Path:
    """Return the folder that holds one folder per incident: ``RUNBOOK_RECORDS``, else ``records`` in the home."""
    return _from_environment("RUNBOOK_RECORDS", "records")


def work_dir() -> Path:
    """Return the folder of the copies of notebooks that people work in: one folder per incident, beside the records."""
    return records_dir() / "work"


def workspace() -> Path | None:
    """Return the folder of copies in which this process works, as a kernel of JupyterLab does; None elsewhere."""
    here = Path.cwd()
    return here if here.parent == work_dir().resolve() else None


def lab_dir() -> Path:
    """Return the folder of the lab's state: ``RUNBOOK_LAB_DIR``, else ``.lab`` in the home."""
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
    """Return ``PYTHONPATH`` for a process of this Python that has to find this package, whatever its folder.

    An installed package is found without help, and its folder must not come before the standard library.
    """
    ours = "" if is_installed() else str(_PACKAGE.parent)
    return os.pathsep.join(filter(None, (ours, os.environ.get("PYTHONPATH"))))


def _from_environment(variable: str, default: str) -> Path:
    given = os.environ.get(variable, "")
    return Path(given).expanduser().absolute() if given else home_dir() / Path(default).expanduser()
