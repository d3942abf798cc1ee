"""Where the project's files lie, which one is a site's, and which browser there is. No folder is made here."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from runbook_lib.errors import BrowserMissing, RecordNotWritable, RunbookError, SiteFileInvalid, UsageError

_PACKAGE = Path(__file__).resolve().parent
RECORDS = "RUNBOOK_RECORDS"
_SHIPPED = _PACKAGE / "shipped"  # only a wheel has it: see setup.py
LARGEST_READ = 64 << 20  # of a file that is taken into memory: a journal, a manifest; others are read piece by piece


def read_within(path: Path, largest: int = LARGEST_READ) -> bytes:
    """Return what a file holds, or a pipe; ``OSError`` too where that is more than ``largest`` bytes."""
    with path.open("rb") as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise OSError(errno.EFBIG, f"the file is longer than {largest} bytes")
    return data


def open_plain(path: Path, largest: int = LARGEST_READ) -> BinaryIO:
    """Open a file; ``OSError`` too for what could keep its reader for ever: a pipe, a device, or too much."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_size > largest:
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"it is not a plain file of {largest >> 20} MB at most")
    return os.fdopen(descriptor, "rb")


def read_plain(path: Path, largest: int = LARGEST_READ) -> bytes:
    """Return what a file holds; raises as ``open_plain``."""
    with open_plain(path, largest) as file:
        return file.read()


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

    return of_user(str(user_data_path("pi-tofu-runbook", appauthor=False)))


def params_dir() -> Path:
    """Return the folder of the user's site files."""
    return home_dir() / "params"


def params_files() -> dict[str, Path]:
    """Return every YAML file in the params folders by its name without ``.yaml``. The user's own file comes first."""
    folders = (examples_dir(), params_dir())
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml")) if path.is_file()}


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
    """Return the folder that holds one folder per incident: ``RUNBOOK_RECORDS``, else ``records`` in the home.

    Raises RecordNotWritable where that is something else: it would be an empty history.
    """
    folder = _from_environment(RECORDS, "records")
    if os.path.lexists(folder) and not os.path.isdir(folder):  # noqa: PTH112 - says no of one that is shut
        then = "name a folder (RUNBOOK_RECORDS); one that is not there is made"
        raise RecordNotWritable("This is not a folder that can be entered", where=str(folder), next_step=then)
    return folder


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


def setting_of(path: Path) -> str:
    """Return the variable that says where the records are, or the folder of a lock or a key; empty elsewhere.

    Elsewhere is what an option of a command names, such as ``--to``.
    """
    with suppress(RunbookError):  # without a home there is no folder of keys
        named = {locks_dir(): "RUNBOOK_LOCKS", key_dir(): "RUNBOOK_KEY_DIR"}
        return named.get(path.parent) or (RECORDS if records_dir() in (path, *path.parents) else "")
    return RECORDS


def python_path() -> str:
    """Return ``PYTHONPATH`` for a process of this Python that has to find this package, whatever its folder.

    An installed package is found without help, and its folder must not come before the standard library.
    """
    ours = "" if is_installed() else str(_PACKAGE.parent)
    return os.pathsep.join(filter(None, (ours, os.environ.get("PYTHONPATH"))))


def _from_environment(variable: str, default: str) -> Path:
    given = os.environ.get(variable, "")
    return of_user(given).absolute() if given else home_dir() / of_user(default)


def of_user(path: str) -> Path:
    """Return a path with the user's home in the place of ``~``; raises UsageError where there is no such home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(
            "This user has no home folder, and one is needed here",
            where=path,
            next_step="set HOME to a folder of this user's own; a container may start jobs under a number without one",
        ) from None


# -- The file of a site, by its name or its path ---------------------------------------------------

_SITES = re.compile(r"""^["']?sites["']?[ \t]*:""", re.M)
_VARIABLE = re.compile(r"\benv:([A-Za-z_][A-Za-z0-9_]*)")


def site_file(name_or_path: str | Path) -> Path:
    """Return the file of a site; raises SiteFileInvalid that lists the known ones where there is none.

    A plain word is a name in ``params/``; what holds a slash, ends in ``.yaml`` or is a ``Path`` is a path.
    """
    path = Path(name_or_path)
    if _is_name(name_or_path):
        path = params_files().get(str(name_or_path), params_dir() / f"{name_or_path}.yaml")
    if path.is_file():
        return path
    raise SiteFileInvalid(
        f"There is no site {str(name_or_path)!r}",
        where=str(path),
        found=f"known sites: {', '.join(known_sites()) or 'none'}",
        next_step="give one of these names, the path of a site's file, or make one: runbook new NAME",
    )


def from_anywhere(name_or_path: str) -> str:
    """Return what leads to the same site's file from any folder: a name as it is, a path absolute."""
    return name_or_path if _is_name(name_or_path) else str(of_user(name_or_path).absolute())


def _is_name(name_or_path: str | Path) -> bool:
    is_word = isinstance(name_or_path, str) and re.fullmatch(r"[\w.-]+", name_or_path) is not None
    return is_word and not str(name_or_path).endswith((".yaml", ".yml"))


def known_sites() -> tuple[str, ...]:
    """Return the names of the site files in ``params/``, sorted; a fleet's file is not one of them."""
    return tuple(sorted(name for name, path in params_files().items() if not _is_of_a_fleet(path)))


def _is_of_a_fleet(path: Path) -> bool:
    """Whether a file lists sites, which no site's file does; one that cannot be read may be a site's."""
    with suppress(OSError):
        return _SITES.search(read_within(path).decode("utf-8", "replace")) is not None
    return False


def secret_variables(site: str = "") -> frozenset[str]:
    """Return the variables that ``env:`` references name in the files of all known sites, and of ``site``, a path too.

    Files are searched, not read as sites: one with a problem counts, since the problem may be mended later.
    """
    files = [*params_files().values(), *([Path(site)] if site and not _is_name(site) else [])]
    names: set[str] = set()
    for path in files:
        with suppress(OSError):
            names.update(_VARIABLE.findall(read_within(path).decode("utf-8", "replace")))
    return frozenset(names)


# -- Which browser drives the web pages --------------------------------------------------------------

_BROWSER_VARIABLE = "RUNBOOK_BROWSER"

# The headless shells come first: they are the same browser without windows, and start in half of the processor time.
_BROWSER_COMMANDS = (
    "chrome-headless-shell",
    "chromium-headless-shell",
    "google-chrome-stable",
    "google-chrome",
    "chrome",
    "microsoft-edge-stable",
    "microsoft-edge",
    "chromium",
    "chromium-browser",
)
_BROWSER_PLACES = (
    "/opt/google/chrome/chrome",
    "/opt/microsoft/msedge/msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/usr/lib/chromium/chromium-headless-shell",
    "/usr/lib/chromium/chromium",
    "/snap/bin/chromium",
)
_WITHOUT_BROWSER = "Without any, a person can work the pages: web: guided in the site's file."
_PLAYWRIGHT_FOLDERS = ("~/.cache/ms-playwright", "~/Library/Caches/ms-playwright")
_PLAYWRIGHT_BUILDS = (
    "chromium_headless_shell-*/chrome-*/*headless*shell",
    "chromium-*/chrome-linux*/chrome",
    "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)


def find_browser(explicit: str = "") -> Path:
    """Return the executable of a Chromium browser.

    ``explicit`` (a path or a command) comes first, then the variable ``RUNBOOK_BROWSER``; where one of
    them is given, nothing else is tried. Otherwise a headless shell of Chrome or Chromium, then Chrome, Edge or
    Chromium of the system, then the browser that Playwright installed for itself. Raises :class:`BrowserMissing`.
    """
    if explicit:
        return _browser_named(explicit, "the site's file, key browser")
    if named := os.environ.get(_BROWSER_VARIABLE, ""):
        return _browser_named(named, _BROWSER_VARIABLE)
    for candidate in _browser_candidates():
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    raise BrowserMissing(
        "there is no Chrome, Edge or Chromium on this machine",
        found=f"looked for {', '.join(_BROWSER_COMMANDS)}, and for a browser of Playwright's own",
        next_step=_how_to_install_a_browser(),
    )


def _browser_named(wanted: str, source: str) -> Path:
    path = shutil.which(str(of_user(wanted)))
    if path is None:
        raise BrowserMissing(
            "the browser that was asked for is not there, or cannot be run",
            where=source,
            found=wanted,
            next_step="Give the path of Chrome, Edge or Chromium, or leave it empty to use the system's."
            f" {_WITHOUT_BROWSER}",
        )
    return Path(path)


def _browser_candidates() -> Iterator[Path]:
    yield from map(Path, (*filter(None, map(shutil.which, _BROWSER_COMMANDS)), *_BROWSER_PLACES))
    own = os.environ.get("PLAYWRIGHT_BROWSERS_PATH", "")
    for folder in (own, *_PLAYWRIGHT_FOLDERS) if own not in ("", "0") else _PLAYWRIGHT_FOLDERS:
        for build in _PLAYWRIGHT_BUILDS:
            yield from sorted(Path(folder).expanduser().glob(build), reverse=True)


def _how_to_install_a_browser() -> str:
    what = "Google Chrome" if sys.platform == "darwin" else "one (Debian, Ubuntu: apt-get install chromium)"
    return (
        f"Install {what}, or run: playwright install chromium."
        f" A browser elsewhere: set {_BROWSER_VARIABLE} to its path. {_WITHOUT_BROWSER}"
    )
