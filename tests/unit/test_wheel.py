"""The wheel: everything is in it, it works in an empty folder, and it never writes into the installed package."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from runbook_lib import __version__, paths

ROOT = paths.project_root()
PARTS = ("runbook_lib", "notebooks", "docs", "params")
DOCUMENTS = [path.name for path in ROOT.glob("*.md")]
FILES = ("pyproject.toml", "setup.py", "requirements.lock", *DOCUMENTS)
LEAK = "192.0.2.77"
"""An address that only the builder's own files hold."""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """An environment that holds the wheel, and an empty folder to work in, with a home of its own."""

    wheel: Path
    python: Path
    work: Path
    home: Path

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("RUNBOOK_", "PYTHON", "XDG_"))
        }
        environment = kept | {"HOME": str(self.home), "XDG_DATA_HOME": str(self.data.parent), "COLUMNS": "100"}
        if browser := os.environ.get("RUNBOOK_BROWSER"):
            environment["RUNBOOK_BROWSER"] = browser
        return subprocess.run(
            words, cwd=self.work, env=environment, input=stdin, capture_output=True, text=True, timeout=1500
        )

    def runbook(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.python.with_name("runbook")), *words)

    @property
    def data(self) -> Path:
        return self.home / "data" / "pi-tofu-runbook"

    @property
    def package(self) -> Path:
        [found] = (self.python.parent.parent / "lib").glob("python*/site-packages/runbook_lib")
        return found

    def contents(self) -> set[Path]:
        """Return every file below site-packages but byte code."""
        files = self.package.parent.rglob("*")
        return {path for path in files if path.is_file() and "__pycache__" not in path.parts}


BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
"""What pip calls for a wheel, without pip's own second."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel of a used checkout, built and installed without an index, beside the locked packages."""
    folder = tmp_path_factory.mktemp("wheel")
    checkout = folder / "checkout"
    for part in PARTS:
        shutil.copytree(ROOT / part, checkout / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copyfile(ROOT / name, checkout / name)
    used(checkout)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    local = ("--no-index", "--no-deps")
    subprocess.run([sys.executable, "-c", BUILD, folder], cwd=checkout, check=True, stderr=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    [wheel] = folder.glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", *local, "--no-compile", wheel], check=True)
    for name in ("work", "home"):
        (folder / name).mkdir()
    made = Installed(wheel=wheel, python=python, work=folder / "work", home=folder / "home")
    # As code: a path of a .pth file is read in the locale's encoding, whatever that is.
    path = sysconfig.get_paths()["purelib"]
    (made.package.parent / "locked.pth").write_text(f"import sys; sys.path.append({path!a})\n")
    return made


def used(checkout: Path) -> None:
    """Leave behind what a checkout has after some evenings: a site, outputs, records, modules of an old build."""
    (checkout / "params" / "paris.yaml").write_text(f"name: paris\naddress: {LEAK}\n")
    for folder in ("records/20261123T120000Z-paris-1a2b", ".lab", "build/lib/runbook_lib"):
        (checkout / folder).mkdir(parents=True)
        (checkout / folder / "left.py").write_text(f"'{LEAK}'\n")
    path = checkout / "notebooks" / "00_start_here.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    cell.update(execution_count=1, outputs=[{"output_type": "stream", "name": "stdout", "text": [LEAK]}])
    notebook["metadata"]["widgets"] = {"state": LEAK}
    path.write_text(json.dumps(notebook), encoding="utf-8")


def test_everything_that_is_delivered_is_in_the_wheel(installed: Installed) -> None:
    """Code, data, notebooks in both languages, documents, examples and the lock file: the same to the byte."""
    git = subprocess.run(["git", "ls-files", "-z", *PARTS, *FILES[2:]], cwd=ROOT, capture_output=True, check=True)
    delivered = [
        name for name in git.stdout.decode().split("\0") if (ROOT / name).is_file() and "/executed/" not in name
    ]
    different = []
    with zipfile.ZipFile(installed.wheel) as archive:
        names = set(archive.namelist())
        for name in delivered:
            inside = name if name.startswith("runbook_lib/") else f"runbook_lib/shipped/{name}"
            if inside not in names or archive.read(inside) != (ROOT / name).read_bytes():
                different.append(name)
    assert len(delivered) > 300
    assert different == []


def test_nothing_of_the_builders_own_is_in_the_wheel(installed: Installed) -> None:
    """No site's file, no output of a notebook, no record, and no module of an earlier build."""
    with zipfile.ZipFile(installed.wheel) as archive:
        assert [name for name in archive.namelist() if LEAK.encode() in archive.read(name)] == []
        notebook = json.loads(archive.read("runbook_lib/shipped/notebooks/00_start_here.ipynb"))
        sites = [name for name in archive.namelist() if "/params/" in name and name.endswith(".yaml")]
    assert notebook == json.loads((ROOT / "notebooks" / "00_start_here.ipynb").read_text(encoding="utf-8"))
    assert sorted(Path(name).stem for name in sites) == ["example", "fleet.example", "lab"]


def test_the_version_comes_from_one_place(installed: Installed) -> None:
    """The wheel, the command and the change log have the version that the package names."""
    assert f"-{__version__}-" in installed.wheel.name
    assert installed.runbook("--version").stdout == f"runbook {__version__}\n"
    assert re.search(rf"^## {re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)


CHECK = """
import sys
from runbook_lib import cli
for name in sys.argv[1:]:
    sys.argv = ["runbook", "check", name]
    try:
        cli.main()
    except SystemExit as end:
        print("exit code", end.code)
"""


def test_commands_work_in_an_empty_folder_and_write_nothing_there(installed: Installed) -> None:
    """Help, diagnose, and check of the example, of one's own site by name, and the names of all."""
    before = installed.contents()
    log = installed.home / "hm.log"
    shutil.copyfile(next((ROOT / "tests" / "fixtures" / "logs").rglob("*.log")), log)
    params = installed.data / "params"
    params.mkdir(parents=True)
    shutil.copyfile(installed.package / "shipped" / "params" / "example.yaml", params / "mine.yaml")
    for words, code, shown in (
        (("--help",), 0, "diagnose"),
        (("diagnose", str(log)), 10, "secondary"),
        (("check", "none"), 2, "example, lab, mine"),
    ):
        said = installed.runbook(*words)
        assert said.returncode == code, (words, said.stdout, said.stderr)
        assert shown in (said.stdout + said.stderr).replace("\n", " "), (words, said.stdout, said.stderr)
    said = installed.run(str(installed.python), "-c", CHECK, "example", "mine")
    assert said.stdout.count("The file of site paris is valid") == 2, (said.stdout, said.stderr)
    assert said.stdout.count("exit code 2") == 2, (said.stdout, said.stderr)
    assert list(installed.work.iterdir()) == []
    assert installed.contents() == before


@pytest.mark.parametrize(("name", "held"), [("examples", "example.yaml"), ("notebooks", "10_diagnose_logs.ipynb")])
def test_what_is_delivered_lies_where_the_command_says(installed: Installed, name: str, held: str) -> None:
    """`runbook paths` names the folders inside the installed package, as docs/install.md says."""
    said = installed.runbook("paths", name)
    assert (Path(said.stdout.strip()) / held).is_file(), said.stderr


OPEN = """
from runbook_lib import paths
from runbook_lib.i18n import language
from runbook_lib.notebook.workspace import folder_of
folder = folder_of("mine")
print(*(paths.notebooks_dir(), paths.records_dir(), paths.lab_dir(), folder), sep="\\n")
assert (folder / "70_post_mortem.ipynb").read_bytes() == (paths.notebooks_dir() / "70_post_mortem.ipynb").read_bytes()
assert (folder / "../docs/troubleshooting.md").is_file()
assert language.FILES["zh"].is_file() and not paths.python_path()
"""


def test_notebooks_are_opened_as_copies_in_the_users_own_folder(installed: Installed) -> None:
    """JupyterLab writes into copies beside the records; the lab's state lies there too."""
    before = installed.contents()
    said = installed.run(str(installed.python), "-c", OPEN)
    assert said.returncode == 0, said.stderr
    records = installed.data / "records"
    here = [records, installed.data / ".lab", records / "work" / "mine"]
    assert said.stdout.split() == [str(path) for path in (installed.package / "shipped" / "notebooks", *here)]
    assert installed.contents() == before


@pytest.mark.skipif(not os.environ.get("RUNBOOK_TEST_LONG"), reason="RUNBOOK_TEST_LONG is not set")
def test_the_demo_of_the_wheel_ends_repaired(installed: Installed) -> None:
    """The lab, the eight notebooks and the record, from the wheel in an empty folder."""
    before = installed.contents()
    said = installed.runbook("demo")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "repaired" in said.stdout
    assert list((installed.data / "records").glob("*/seal"))
    assert list(installed.work.iterdir()) == []
    assert installed.contents() == before
