"""The canary: every secret of a run, spelled in every way and in every place, and then looked for in every byte.

A run of the first stages in which the site leaks on purpose: a device prints all secrets in its answer, a log holds
them, and a notebook prints them, in two writes too, raises them in a traceback, and shows them in a widget.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_runs import Commands, Said
from repair_site import QUICK

from runbook_lib import paths
from runbook_lib.lab import Lab
from runbook_lib.models import Stage
from runbook_lib.record.incident import Record, list_records
from runbook_lib.record.journal import Kind

CANARY = """\
import base64, html, json, pathlib, sys, traceback, urllib.parse
import ipywidgets
from IPython.display import HTML, display

found = [path.read_text().strip() for path in sorted(pathlib.Path({folder!r}).iterdir())]
for secret in found:
    print("raw", secret)
    print("url", urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret))
    print("json", json.dumps(secret), json.dumps(json.dumps({{"key": secret}})))
    print("base64", base64.b64encode(secret.encode()).decode(), base64.b64encode(f"root:{{secret}}".encode()).decode())
    print("lines", base64.encodebytes(b"#" * 40 + secret.encode() + b"#" * 60).decode())
    half = len(secret) // 2
    sys.stdout.write("half " + secret[:half]); sys.stdout.flush()
    sys.stderr.write("."); sys.stderr.flush()
    sys.stdout.write(secret[half:] + " half\\n"); sys.stdout.flush()
    display(HTML("<b>" + html.escape(secret) + "</b>"))
    display(ipywidgets.Text(value=secret), ipywidgets.Password(value=secret), ipywidgets.HTML(value=secret))
    try:
        raise RuntimeError(secret)
    except RuntimeError:
        traceback.print_exc()
"""

ELSEWHERE = """
import pathlib, sys
from runbook_lib import paths
notebooks = pathlib.Path(sys.argv.pop(1))
paths.notebooks_dir = lambda: notebooks
from runbook_lib.cli import main
main()
"""
UNLUCKY = "Pä§s & w0rd/+\"'\\n<%41>"


@dataclass(frozen=True)
class Leak:
    """What leaked: the secrets, the record, and what was said on the terminal."""

    secrets: tuple[str, ...]
    records: Path
    said: Said

    @property
    def record(self) -> Record:
        (summary,) = list_records(self.records)
        return Record.open(self.records, summary.incident)


@pytest.fixture(scope="module")
def leak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leak]:
    """Let everything leak, in a run that ends with an error in which all secrets stand."""
    folder = tmp_path_factory.mktemp("canary")
    with Lab(folder / "site", scenario="renewed", **QUICK) as lab:
        for name in ("auth_key", "primary_web"):  # not used before stage 40, so they may be as unlucky as can be
            (lab.folder / "secrets" / name).write_text(f"{name}{UNLUCKY}\n")
        secrets = tuple(path.read_text().strip() for path in sorted((lab.folder / "secrets").iterdir()))
        commands = Leaky(folder, CANARY.format(folder=str(lab.folder / "secrets")))
        every = " ".join(secrets)
        lab.set_fault("listcerts_garbage", "primary", text=f"{every} {base64.b64encode(every.encode()).decode()}")
        with (lab.folder / "primary/logs/hm-0-0.log").open("a") as log:
            log.write(f"\n[HealthMonitorThread] {every}\n{' '.join(map(json.dumps, secrets))}\n")
        yield Leak(secrets, commands.records, commands.run("run", lab.site_file, "--until", "20"))


class Leaky(Commands):
    """Commands whose notebooks are copies, with a cell in the first that leaks."""

    def __init__(self, folder: Path, source: str) -> None:
        super().__init__(folder)
        self.notebooks = folder / "notebooks"
        shutil.copytree(paths.notebooks_dir(), self.notebooks)
        path = self.notebooks / f"{Stage.START}.ipynb"
        notebook = json.loads(path.read_text())
        at = next(n for n, cell in enumerate(notebook["cells"]) if "open_runbook(" in "".join(cell["source"]))
        cell = {"cell_type": "code", "id": "canary", "metadata": {}, "source": source, "outputs": []}
        notebook["cells"].insert(at + 1, cell | {"execution_count": None})
        path.write_text(json.dumps(notebook))

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", ELSEWHERE, str(self.notebooks), *map(str, words)],
            env=self.environment | {"RUNBOOK_KEY_DIR": str(self.notebooks.parent / "keys")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str | Path) -> Said:
        return self.end(self.start(*words))


def spellings(secret: str) -> set[bytes]:
    """A secret as software writes it down; of base64 the digits that it alone determines, at each of three places."""
    texts = {
        secret,
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret)[1:-1])[1:-1],
        html.escape(secret),
        repr(secret)[1:-1],
        secret.encode().hex(),
    }
    parts = {base64.b64encode(bytes(before) + secret.encode())[(0, 2, 3)[before] : -4] for before in range(3)}
    return {text.encode() for text in texts} | parts


def unbroken(data: bytes) -> bytes:
    """Without line ends, JSON's spelling of them, and what stands between two lines of a text in JSON."""
    return re.sub(rb'\\n"?,?\s*"?|\r?\n', b"", data)


def test_the_cell_that_leaks_ran_whole_and_left_a_mark_for_each_secret(leak: Leak) -> None:
    """The cell that leaks was carried out whole, the device answered, and a mark stands in the place of each secret."""
    notebook = json.loads((leak.record.folder / f"notebooks/{Stage.START}.ipynb").read_text())
    (cell,) = [cell for cell in notebook["cells"] if cell["id"] == "canary"]
    said = json.dumps(cell["outputs"])
    assert cell["metadata"]["papermill"]["status"] == "completed"
    assert said.count("[secret file:") > 8 * len(leak.secrets)
    assert re.search(r"half \[secret file:[^]]*\] half", said)
    assert "widgets" in notebook["metadata"]
    assert "[secret file:" in json.dumps(notebook["metadata"]["widgets"])
    assert leak.said.code == 4
    assert "[secret file:" in leak.said.err


def test_no_byte_of_the_record_holds_a_secret(leak: Leak) -> None:
    """It never puts a secret into a record.

    Journal, answers, excerpts of logs, facts, notebooks with their metadata, and every name of a file.
    """
    files = [path for path in leak.records.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        for data in (path.read_bytes(), os.fsencode(path)):
            for secret in leak.secrets:
                for form in spellings(secret):
                    assert form not in data, (path, secret)
                    assert form not in unbroken(data), (path, secret)


def test_no_secret_is_said_on_the_terminal(leak: Leak) -> None:
    """Neither standard output nor standard error holds one, the error that ended the run included."""
    for text in (leak.said.out, leak.said.err):
        for secret in leak.secrets:
            assert not [form for form in spellings(secret) if form in text.encode()]


def test_device_that_printed_the_secrets_was_heard(leak: Leak) -> None:
    """The answer that held them is in the record, with marks in their place, and so is the log's excerpt."""
    texts = [path.read_text() for path in leak.record.folder.glob("answers/*.txt")]
    assert any(text.count("[secret file:") >= len(leak.secrets) for text in texts)


def test_scan_at_the_seal_found_nothing(leak: Leak) -> None:
    """The run's own scan agrees: the journal has no line that names a secret."""
    lines = leak.record.journal.read().lines
    assert any(line.kind is Kind.SEALED for line in lines)
    assert not [line for line in lines if "SECRET FOUND" in line.text]
    assert "SECRET FOUND" not in leak.said.out
