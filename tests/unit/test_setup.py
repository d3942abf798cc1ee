"""The set-up script: what it does once, what it does not do again, and where it looks for a browser."""

from __future__ import annotations

import importlib
import json
import os
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from types import ModuleType

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from runbook_lib import paths
from runbook_lib.paths import project_root


class Machine:
    """A PATH of its own with the few programs that the set-up may find; each writes its call to ``calls``."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.log = folder / "calls"
        self.log.touch()
        (self.bin / "env").symlink_to("/usr/bin/env")
        # For tests that do not run as root: this sudo asks no password.
        self.program("sudo", 'shift\n"$@"')

    def program(self, name: str, body: str = "") -> Path:
        path = self.bin / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.log}"\n{body}\n', encoding="utf-8")
        path.chmod(0o755)
        return path

    def making(self, name: str) -> str:
        """Return shell lines that put a program on this machine, as an installation does."""
        target = self.bin / name
        return f"printf '#!/bin/sh\\n' > '{target}'; /bin/chmod 755 '{target}'"

    @property
    def calls(self) -> list[str]:
        return [call for call in self.log.read_text(encoding="utf-8").splitlines() if not call.startswith("sudo")]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.delenv("RUNBOOK_BROWSER", raising=False)
    return made


@pytest.fixture
def browser_setup(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(project_root() / "tools"))
    module = importlib.import_module("setup_browser")
    monkeypatch.setattr(module, "PLACES", ())
    return module


def test_a_named_browser_comes_first(machine: Machine, browser_setup: ModuleType) -> None:
    """What RUNBOOK_BROWSER names is taken, and nothing is installed."""
    machine.program("chromium")
    mine = machine.program("my-browser")
    assert browser_setup.ensure_browser(machine.program("python"), "my-browser") == str(mine)


def test_a_named_browser_that_is_not_there_is_an_error(machine: Machine, browser_setup: ModuleType) -> None:
    """A wrong RUNBOOK_BROWSER is told, not replaced by another browser."""
    machine.program("chromium")
    with pytest.raises(browser_setup.SetupError, match="RUNBOOK_BROWSER names 'nowhere'"):
        browser_setup.ensure_browser(machine.program("python"), "nowhere")


def test_the_systems_browser_is_taken(machine: Machine, browser_setup: ModuleType) -> None:
    """A browser that the system has is taken without installing anything."""
    machine.program("apt-get")
    edge = machine.program("microsoft-edge")
    assert browser_setup.ensure_browser(machine.program("python"), "") == str(edge)
    assert machine.calls == ["microsoft-edge --version"]


def test_a_placeholder_is_no_browser(machine: Machine, browser_setup: ModuleType) -> None:
    """A program of that name that does not start, such as a pointer to another package system, is passed over."""
    machine.program("chromium-browser", "exit 1")
    chromium = machine.program("chromium")
    assert browser_setup.ensure_browser(machine.program("python"), "") == str(chromium)


def test_debians_headless_shell_is_installed(machine: Machine, browser_setup: ModuleType) -> None:
    """Without a browser Debian's headless shell is installed; the package lists are left alone where they will do."""
    machine.program("apt-get", machine.making("chromium-headless-shell"))
    assert browser_setup.ensure_browser(machine.program("python"), "") == str(machine.bin / "chromium-headless-shell")
    assert [call for call in machine.calls if "apt-get" in call] == [
        "apt-get -qq install --yes --no-install-recommends chromium-headless-shell"
    ]


def test_chromium_is_installed_where_there_is_no_headless_shell(machine: Machine, browser_setup: ModuleType) -> None:
    """Older systems have no package of the shell alone."""
    refusal = 'case "$*" in *headless*) echo "E: Unable to locate package" >&2; exit 100;; esac\n'
    machine.program("apt-get", refusal + machine.making("chromium"))
    assert browser_setup.ensure_browser(machine.program("python"), "") == str(machine.bin / "chromium")


def test_package_lists_are_fetched_where_they_are_missing(machine: Machine, browser_setup: ModuleType) -> None:
    """On a machine without package lists the installation is tried again after an update."""
    lists = machine.bin / "lists"
    body = f'if [ "$2" = update ]; then : > "{lists}"; exit 0; fi\n[ -e "{lists}" ] || exit 100\n'
    machine.program("apt-get", body + machine.making("chromium"))
    assert browser_setup.ensure_browser(machine.program("python"), "") == str(machine.bin / "chromium")
    assert [call.split()[2] for call in machine.calls if "apt-get" in call] == ["install", "update", "install"]


def test_playwrights_own_browser_is_the_last_resort(machine: Machine, browser_setup: ModuleType) -> None:
    """Where no package can be installed Playwright downloads its browser."""
    machine.program("apt-get", 'echo "E: no such package" >&2; exit 100')
    own = machine.bin / "own"
    body = f'case "$*" in *install*) {machine.making("own")};; *) [ -e "{own}" ] && echo "{own}";; esac; exit 0'
    assert browser_setup.ensure_browser(machine.program("python", body), "") == str(own)


def test_no_browser_at_all_says_what_to_install(machine: Machine, browser_setup: ModuleType) -> None:
    """Where nothing helps, the error says what was tried and what to install."""
    python = machine.program("python", 'echo "Error: download failed, no network"; echo "}"; exit 1')
    with pytest.raises(browser_setup.SetupError) as told:
        browser_setup.ensure_browser(python, "")
    for words in ("no apt-get", "download failed, no network", "apt-get install chromium", "RUNBOOK_BROWSER"):
        assert words in str(told.value)


def test_packages_are_not_installed_by_those_who_may_not(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, browser_setup: ModuleType
) -> None:
    """A user who is not root and whose sudo asks for a password gets no package, and no question."""
    machine.program("apt-get")
    machine.program("sudo", "exit 1")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    refused = importlib.import_module("setup_system").install_package("chromium")
    assert "may not install packages" in refused
    assert machine.calls == []


@pytest.fixture
def dojo_setup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(str(project_root() / "tools"))
    module = importlib.import_module("setup_dojo")
    monkeypatch.setattr(module, "DEBIAN", tmp_path / "javascript")
    monkeypatch.delenv("RUNBOOK_DOJO", raising=False)
    monkeypatch.chdir(tmp_path)
    return module


def test_the_labs_widgets_are_installed_where_they_are_missing(
    machine: Machine, dojo_setup: ModuleType, tmp_path: Path
) -> None:
    """Debian's three packages, once: with the widgets there nothing is installed."""
    machine.program("apt-get")
    dojo_setup.ensure_dojo()
    assert [call.split()[-1] for call in machine.calls] == list(dojo_setup.PACKAGES)
    for part in dojo_setup.PARTS:
        (tmp_path / "javascript" / part).mkdir(parents=True)
    dojo_setup.ensure_dojo()
    assert len(machine.calls) == len(dojo_setup.PACKAGES)


def test_the_set_up_goes_on_without_the_labs_widgets(
    machine: Machine, dojo_setup: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where they cannot be installed it says what is missing, and for what."""
    machine.program("apt-get", "echo no such package; exit 100")
    dojo_setup.ensure_dojo()
    assert "skin dojo" in capsys.readouterr().err


def test_set_up_and_library_look_for_the_same_browsers(browser_setup: ModuleType) -> None:
    """What the set-up finds is what the library finds: the same names in the same order."""
    importlib.reload(browser_setup)
    assert browser_setup.NAMES == paths._BROWSER_COMMANDS
    assert browser_setup.PLACES == paths._BROWSER_PLACES


# -- the stamp -----------------------------------------------------------------------------------


@pytest.fixture
def checkout(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, browser_setup: ModuleType
) -> ModuleType:
    """The set-up script over a small checkout that is set up already."""
    setup = importlib.import_module("setup")
    root = tmp_path / "checkout"
    (root / ".venv" / "bin").mkdir(parents=True)
    for name, value in {"ROOT": root, "VENV": root / ".venv", "LOCK": root / "requirements.lock",
                        "PROJECT": root / "pyproject.toml", "STAMP": root / ".venv" / "stamp"}.items():  # fmt: skip
        monkeypatch.setattr(setup, name, value)
    (root / "requirements.lock").write_text("a==1 \\\n    --hash=sha256:00\n", encoding="utf-8")
    (root / "pyproject.toml").touch()
    (root / ".venv" / "bin" / "python").symlink_to(machine.program("venv-python"))
    stamp = {**setup.wanted_stamp(), "browser": str(machine.program("chromium")), "dojo": "looked for"}
    monkeypatch.setattr(setup, "ensure_dojo", lambda: None)
    (root / ".venv" / "stamp").write_text(json.dumps(stamp), encoding="utf-8")
    monkeypatch.setattr(setup, "make_venv", lambda: machine.log.write_text("a new environment\n", encoding="utf-8"))
    return setup


def test_the_second_run_does_nothing(checkout: ModuleType, machine: Machine) -> None:
    """Where the stamp agrees with lock, project and Python, no program is started and nothing is written."""
    before = checkout.STAMP.stat().st_mtime_ns
    assert checkout.main() == 0
    assert machine.calls == []
    assert checkout.STAMP.stat().st_mtime_ns == before


def test_a_changed_lock_makes_a_new_environment(checkout: ModuleType, machine: Machine) -> None:
    """Another lock is installed, with hashes, into an environment made anew."""
    checkout.LOCK.write_text("b==2 \\\n    --hash=sha256:00\n", encoding="utf-8")
    assert checkout.main() == 0
    assert machine.calls[0] == "a new environment"
    assert "--require-hashes" in machine.calls[1]
    assert "--editable" in machine.calls[2]
    assert json.loads(checkout.STAMP.read_text()) == {
        **checkout.wanted_stamp(),
        "browser": str(machine.bin / "chromium"),
        "dojo": "looked for",
    }


def test_a_changed_project_file_installs_the_project_alone(checkout: ModuleType, machine: Machine) -> None:
    """A change of the project's own file installs the project again, and not the lock."""
    checkout.PROJECT.write_text("[project]\n", encoding="utf-8")
    assert checkout.main() == 0
    assert len(machine.calls) == 1
    assert "--editable" in machine.calls[0]


def test_a_failed_installation_leaves_no_stamp(
    checkout: ModuleType, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where pip fails, its last lines and advice are shown, exit code 2, and the next run begins again."""
    machine.program("venv-python", 'echo "ERROR: no matching distribution"; exit 1')
    checkout.LOCK.write_text("b==2\n", encoding="utf-8")
    assert checkout.main() == 2
    assert checkout.main() == 2
    told = capsys.readouterr().err
    assert told.count("ERROR: no matching distribution") == 2
    assert "HTTPS_PROXY" in told


def test_a_missing_browser_does_not_undo_the_environment(checkout: ModuleType, machine: Machine) -> None:
    """Where only the browser is missing, the next run looks for a browser and leaves the environment as it is."""
    (machine.bin / "chromium").unlink()
    checkout.LOCK.write_text("b==2\n", encoding="utf-8")
    assert checkout.main() == 2
    machine.log.write_text("", encoding="utf-8")
    edge = machine.program("microsoft-edge")
    assert checkout.main() == 0
    assert machine.calls == ["microsoft-edge --version"]
    assert json.loads(checkout.STAMP.read_text())["browser"] == str(edge)


def test_a_browser_that_went_away_is_replaced(checkout: ModuleType, machine: Machine) -> None:
    """A stamped browser that is gone is looked for anew; nothing is installed for that."""
    (machine.bin / "chromium").unlink()
    edge = machine.program("microsoft-edge")
    assert checkout.main() == 0
    assert json.loads(checkout.STAMP.read_text())["browser"] == str(edge)


# -- the locks ---------------------------------------------------------------------------------------

_LOCKED = re.compile(r"^([a-z0-9.-]+)==[^ ]+(?: ; (.+?))? \\$", re.MULTILINE)
LOCKS = ("requirements.lock", "requirements-docs.lock")


@pytest.mark.parametrize("python", ["3.11.9", "3.12.4", "3.13.1", "3.14.0"])
def test_each_release_of_python_is_given_what_the_locked_packages_need(python: str) -> None:
    """A package that one lock has for older releases alone may be needed by one of the other lock in all of them."""
    here = {"python_full_version": python, "python_version": python.rpartition(".")[0], "extra": ""}
    locked = [each for lock in LOCKS for each in _LOCKED.findall((project_root() / lock).read_text(encoding="utf-8"))]
    given = {name for name, marker in locked if not marker or Marker(marker).evaluate(here)}
    needs = {
        (needed.name, name)
        for name in given
        for needed in map(Requirement, _requirements(name))
        if not needed.marker or needed.marker.evaluate(here)
    }
    assert len(needs) > 100
    assert not {(needed, by) for needed, by in needs if canonicalize_name(needed) not in given}


def _requirements(name: str) -> list[str]:
    """Return what a package says that it needs; nothing where it is not installed here."""
    with suppress(PackageNotFoundError):
        return requires(name) or []
    return []
