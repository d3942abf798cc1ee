"""A record that a run sealed, checked as strangers do: by the command, and by openssl alone."""

from __future__ import annotations

import base64
import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from cli_runs import Commands, Said
from repair_site import QUICK
from waiting import wait_until

from runbook_lib.lab import Lab
from runbook_lib.models import Outcome
from runbook_lib.paths import project_root
from runbook_lib.record.incident import Record, list_records
from runbook_lib.record.journal import Kind, Line


class Keyed(Commands):
    """Commands with a key folder of their own too."""

    def __init__(self, folder: Path, keys: Path) -> None:
        super().__init__(folder)
        self.keys = keys

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"RUNBOOK_KEY_DIR": str(self.keys)}

    def only_record(self) -> Record:
        (summary,) = list_records(self.records)
        return Record.open(self.records, summary.incident)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Keyed, Said, Said]:
    """Two runs of one incident that end after stage 10: the first without a key, the second after `key new`."""
    folder = tmp_path_factory.mktemp("verify")
    commands = Keyed(folder, folder / "keys")
    with Lab(folder / "site", scenario="renewed", **QUICK) as lab:
        unsigned = commands.run("run", lab.site_file, "--until", "10")
        assert commands.run("key", "new").code == 0
        signed = commands.run("run", lab.site_file, "--until", "10")
    return commands, unsigned, signed


@pytest.fixture
def copied(runs: tuple[Keyed, Said, Said], tmp_path: Path) -> Path:
    """A copy of the record in a folder of another name, and the public key beside it."""
    commands = runs[0]
    shutil.copytree(commands.only_record().folder, tmp_path / "from elsewhere")
    shutil.copyfile(commands.keys / "signing.pub.pem", tmp_path / "ada.pub.pem")
    return tmp_path / "from elsewhere"


@pytest.mark.parametrize(
    ("fault", "code", "outcome"), [("refuse", 4, Outcome.FAILED), ("silent", 143, Outcome.STOPPED)]
)
def test_run_that_does_not_end_well_is_sealed_too(tmp_path: Path, fault: str, code: int, outcome: Outcome) -> None:
    """A run that fails, and one that SIGTERM ends while a server is silent, leave a signed record that verifies."""
    commands = Keyed(tmp_path, tmp_path / "keys")
    assert commands.run("key", "new").code == 0
    with Lab(tmp_path / "site", scenario="renewed", **QUICK) as lab:
        lab.set_fault(fault, "secondary", service="ssh")
        process = commands.start("run", lab.site_file, "--until", "00")
        if code == 143:
            wait_until(
                lambda: any(line.kind is Kind.STAGE_STARTED for line in lines_of(commands)), "the stage to start"
            )
            process.send_signal(signal.SIGTERM)
        assert commands.end(process).code == code
    said = commands.run("verify", commands.only_record().incident)
    assert said.code == 0, said.out
    assert sealed_outcome(commands.only_record()) == outcome


def lines_of(commands: Keyed) -> tuple[Line, ...]:
    found = [one for one in list_records(commands.records) if not one.problem]  # its first line may not be there yet
    return Record.open(commands.records, found[0].incident).journal.read().lines if found else ()


def sealed_outcome(record: Record) -> str:
    envelope = json.loads((record.folder / "seal/envelope.json").read_bytes())
    outcome: str = json.loads(base64.b64decode(envelope["payload"]))["predicate"]["outcome"]
    return outcome


def check(copied: Path, *options: str | Path) -> Said:
    """Check as another user does: with no key folder and no records of one's own."""
    elsewhere = copied.parent / "nobody"
    return Keyed(elsewhere, elsewhere / "keys").run("verify", copied, *options)


def openssl_steps(copied: Path, seal: str = "seal-2") -> subprocess.CompletedProcess[str]:
    """Run the steps that docs/record.md gives, to the letter, where no Python of ours is on the path."""
    text = (project_root() / "docs/record.md").read_text(encoding="utf-8")
    found = re.search(r"^<!-- openssl steps.*?-->\n```sh\n(.*?)^```", text, re.M | re.S)
    assert found
    environment = {"KEY": str(copied.parent / "ada.pub.pem"), "SEAL": seal, "PATH": "/usr/bin:/bin"}
    return subprocess.run(["sh", "-c", found[1]], cwd=copied, env=environment, capture_output=True, text=True)


def flip(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:7] + bytes([data[7] ^ 1]) + data[8:])


def test_run_without_a_key_says_so_and_does_not_fail(runs: tuple[Keyed, Said, Said]) -> None:
    """The first run ends well, says that its record is not signed, and how to make a key."""
    said = runs[1]
    assert said.code == 0, said.err
    assert "NOT SIGNED" in said.out
    assert "runbook key new" in said.out


def test_run_with_a_key_says_who_signed(runs: tuple[Keyed, Said, Said]) -> None:
    """The second run signs the second seal by the key that `key show` prints."""
    commands, _, said = runs
    shown = commands.run("key", "show")
    (identity,) = re.findall(r"^key: +([0-9a-f]{64})$", shown.out, re.M)
    assert f"signed by key {identity}" in said.out
    assert "seal-2/ covers" in said.out
    assert (commands.keys / "signing.pub.pem").read_text() in shown.out


def test_second_key_new_is_refused(runs: tuple[Keyed, Said, Said]) -> None:
    """`key new` never replaces a key: exit code 2."""
    assert runs[0].run("key", "new").code == 2


def test_incident_is_verified_by_its_name(runs: tuple[Keyed, Said, Said]) -> None:
    """Given an incident, the record in the records' folder is checked with the own key: exit code 0, and the limits."""
    commands = runs[0]
    said = commands.run("verify", commands.only_record().incident)
    assert said.code == 0, said.out
    assert "This record verifies" in said.out
    assert "does not prove" in said.out
    assert "can make up a record and sign it" in said.out
    assert "when it was written" in said.out


def test_copy_is_verified_by_another_user_with_the_public_key(copied: Path) -> None:
    """A copy in another folder verifies by `--key`; without a key its signature does not count."""
    assert check(copied, "--key", copied.parent / "ada.pub.pem").code == 0
    said = check(copied)
    assert said.code == 5
    assert "give --key FILE" in said.out


@pytest.mark.parametrize("name", ["incident.json", "notebooks/10_diagnose_logs.ipynb", "seal-2/envelope.json"])
def test_edited_file_is_named_with_exit_5(copied: Path, name: str) -> None:
    """One changed bit is found by the command, which names the file."""
    flip(copied / name)
    said = check(copied, "--key", copied.parent / "ada.pub.pem")
    assert said.code == 5
    assert re.search(rf"^PROBLEM +{re.escape(name)}: ", said.out, re.M), said.out


def test_all_at_once_are_named(copied: Path) -> None:
    """Edited, added, removed and cut short in one record: each is named by what happened to it."""
    flip(copied / "incident.json")
    (copied / "answers-of-mine.txt").write_text("x")
    (copied / "site.json").unlink()
    notebook = copied / "notebooks/00_start_here.ipynb"
    notebook.write_bytes(notebook.read_bytes()[:100])
    said = check(copied, "--key", copied.parent / "ada.pub.pem")
    problems = dict(re.findall(r"^PROBLEM +(\S+): (\w+)", said.out, re.M))
    assert said.code == 5
    assert problems == {
        "incident.json": "edited",
        "answers-of-mine.txt": "added",
        "site.json": "removed",
        "notebooks/00_start_here.ipynb": "cut",
    }


def test_no_record_is_exit_2(tmp_path: Path) -> None:
    """A name that leads nowhere, and a folder without a record, are wrong parameters."""
    commands = Keyed(tmp_path, tmp_path / "keys")
    assert commands.run("verify", "20261123T120000Z-nowhere-1a2b").code == 2
    assert commands.run("verify", tmp_path).code == 2
    assert commands.run("key", "show").code == 2


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed here")
def test_openssl_alone_verifies_the_record(copied: Path) -> None:
    """The documented steps accept the record that the command accepts."""
    said = openssl_steps(copied)
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout.splitlines()[-1] == "every file is what was signed"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed here")
@pytest.mark.parametrize(
    "name", ["incident.json", "journal.jsonl", "seal/manifest.json", "seal-2/manifest.json", "seal-2/envelope.json"]
)
def test_openssl_steps_find_a_change(copied: Path, name: str) -> None:
    """The documented steps end with an error after one bit of a file was changed."""
    path = copied / name
    if name.endswith("envelope.json"):
        path.write_bytes(path.read_bytes().replace(b'"payload":"eyJ', b'"payload":"eyI'))
    else:
        flip(path)
    assert openssl_steps(copied).returncode != 0


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed here")
def test_openssl_steps_find_another_key_and_an_added_file(copied: Path) -> None:
    """The documented steps refuse a key that did not sign, and a file that nobody sealed."""
    (copied / "added").write_text("x")
    assert openssl_steps(copied).returncode != 0
    (copied / "added").unlink()
    assert openssl_steps(copied).returncode == 0
    other = Keyed(copied.parent, copied.parent / "other")
    assert other.run("key", "new").code == 0
    shutil.copyfile(other.keys / "signing.pub.pem", copied.parent / "ada.pub.pem")
    assert openssl_steps(copied).returncode != 0
