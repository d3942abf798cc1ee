"""Make the checkout ready: a virtual environment with the locked dependencies, a browser, the lab's widgets.

``make`` runs this before every target with a Python of the system, so it needs nothing but the
standard library. What was done is stamped into ``.venv``; a run that finds its stamp does nothing.
Exit codes: 0 ready, 2 something is missing and the message says what to install.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from setup_browser import ensure_browser, usable
from setup_dojo import ensure_dojo
from setup_system import SetupError, install_package, say

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
STAMP = VENV / "runbook-setup.json"
OLDEST = (3, 11)


def main() -> int:
    if sys.version_info[:2] < OLDEST:
        say(f"Python {platform.python_version()} is too old; 3.11 or newer is needed.")
        return 2
    try:
        prepare()
    except SetupError as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        say("Interrupted; the next run takes the set-up up again.")
        return 130
    return 0


def prepare() -> None:
    """Do what the stamp does not show as done, and stamp each half as soon as it is."""
    done = read_stamp()
    wanted = wanted_stamp()
    python = VENV / "bin" / "python"
    if not python.exists() or any(done.get(key) != wanted[key] for key in ("root", "python", "lock")):
        make_venv()
        install_lock(python)
        done = {}
    if done.get("project") != wanted["project"]:
        say("Installing the project itself")
        pip(python, "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        done = {**wanted, **{key: done[key] for key in ("browser", "dojo") if key in done}}
        write_stamp(done)
    if "dojo" not in done:
        ensure_dojo()
        done["dojo"] = "looked for"
        write_stamp(done)
    chosen = os.environ.get("RUNBOOK_BROWSER", "")
    if chosen:
        ensure_browser(python, chosen)
    elif not usable(done.get("browser", "")):
        done["browser"] = ensure_browser(python, "")
        write_stamp(done)
        say(f"Ready: {VENV.name}, browser {done['browser']}")


def wanted_stamp() -> dict[str, str]:
    """Return what the environment depends on; another value of ``project`` alone needs no new environment."""
    return {
        "root": str(ROOT),
        "python": f"{sys.version_info[0]}.{sys.version_info[1]} {platform.machine()}",
        "lock": digest(LOCK),
        "project": digest(PROJECT),
    }


def read_stamp() -> dict[str, str]:
    try:
        found = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_stamp(done: dict[str, str]) -> None:
    STAMP.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_venv() -> None:
    say(f"Making {VENV.name} with Python {platform.python_version()}")
    try:
        import ensurepip
    except ImportError:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        problem = install_package(package)
        if problem:
            raise SetupError(
                f"This Python cannot make virtual environments: {problem}.\n"
                f"Install the package {package} (Debian, Ubuntu: apt-get install {package}) and run make again."
            ) from None
    else:
        del ensurepip
    # What an interrupted run left may be half a package: begin with an empty folder.
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True)
    if made.returncode:
        raise SetupError(f"The virtual environment could not be made:\n{(made.stdout + made.stderr).strip()}")


def install_lock(python: Path) -> None:
    packages = sum(not line.startswith((" ", "#")) for line in LOCK.read_text(encoding="utf-8").splitlines())
    say(f"Installing up to {packages} locked packages (about 300 MB; one to three minutes)")
    pip(python, "install", "--require-hashes", "--requirement", str(LOCK))


def pip(python: Path, *arguments: str) -> None:
    """Run pip; its output is kept back and shown only where it failed."""
    command: Sequence[str] = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    environment = {**os.environ, "PIP_USER": "0", "PYTHONNOUSERSITE": "1"}
    environment.pop("PYTHONPATH", None)
    with tempfile.TemporaryFile() as log:
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=ROOT).returncode
        log.seek(0)
        shown = log.read().decode("utf-8", "replace").strip().splitlines()[-15:]
    if code:
        raise SetupError(
            "\n".join(["pip could not install what is needed; its last lines:", *(f"  {line}" for line in shown)])
            + "\nIs a package index reachable (proxy: set HTTPS_PROXY; a mirror: set it in pip's own configuration)?"
        )


if __name__ == "__main__":
    sys.exit(main())
