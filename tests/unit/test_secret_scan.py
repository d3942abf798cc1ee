"""The scan of a finished record, which shares no code with the gate; and executed notebooks at the gate."""

from __future__ import annotations

import ast
import base64
import html
import inspect
import json
import re
import urllib.parse
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runbook_lib import redactor, secrets
from runbook_lib.batch.runner import _keep_notebook
from runbook_lib.errors import RecordNotWritable
from runbook_lib.models import Stage
from runbook_lib.record import attestation
from runbook_lib.record.attestation import seal_record
from runbook_lib.record.files import gate_json, gate_notebook
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.record.secret_scan import FoundSecret, scan
from runbook_lib.record.secret_scan import scan as scan_package
from runbook_lib.record.signing import new_key
from runbook_lib.redactor import Redactor

SECRETS = ["Passw0rd", "p@ss/w+rd & <more>", "q\"u\\o't\\\\es", "pä§§wörd-😀", "$%&/()=?", "100%25"]
SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": lambda s: s,
    "url": lambda s: urllib.parse.quote(s, safe=""),
    "form": urllib.parse.quote_plus,
    "json": lambda s: json.dumps(s),
    "json in json": lambda s: json.dumps(json.dumps(s)),
    "html": html.escape,
    "url in html": lambda s: html.escape(urllib.parse.quote(s, safe="&'")),
    "repr": repr,
    "repr of bytes": lambda s: repr(s.encode()),
    "hex": lambda s: "ab" + s.encode().hex(),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "HTTP Basic": lambda s: "Basic " + base64.b64encode(f"root:{s}".encode()).decode(),
    "JSON in base64": lambda s: base64.b64encode(json.dumps({"key": f"x{s}y"}, ensure_ascii=False).encode()).decode(),
    "broken": lambda s: s[:3] + "\r\n" + s[3:],
    "base64 in lines": lambda s: base64.encodebytes(b"#" * 50 + s.encode() + b"#" * 50).decode(),
}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> Redactor:
    """A gate that knows nothing yet."""
    fresh = Redactor()
    monkeypatch.setattr(secrets, "REDACTOR", fresh)
    return fresh


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_every_spelling_is_found(tmp_path: Path, known: Redactor, secret: str, spelling: str) -> None:
    """Whatever software did to a secret, the scan undoes it and names the file and the reference."""
    known.know("env:X", secret)
    (tmp_path / "file.txt").write_text(f"before {SPELLINGS[spelling](secret)} after", encoding="utf-8", newline="")
    (tmp_path / "clean.txt").write_text("before after Passw rd p@ss 100")
    assert [(one.path, one.what) for one in scan(tmp_path)] == [("file.txt", "env:X")]


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_is_not_compressed_of_pictures_and_pdfs_is_read_in_every_spelling(
    tmp_path: Path, known: Redactor, spelling: str
) -> None:
    """Beside, before and behind pixels and deflated streams; in these themselves what stands there as it is.

    So are pictures in a page, as base64.
    """
    known.know("env:X", "Passw0rd-in-a-file")
    said = SPELLINGS[spelling]("Passw0rd-in-a-file").encode()
    pixels = chunk(b"IDAT", zlib.compress(bytes(range(256)) * 40))
    stream = b"<< /Filter /FlateDecode /Length 9 >>\nstream\n" + zlib.compress(b"a page") + b"\nendstream\n"
    png = b"\x89PNG\r\n\x1a\n"
    (tmp_path / "a.png").write_bytes(png + pixels + chunk(b"tEXt", said) + pixels + chunk(b"IEND", b""))
    (tmp_path / "b.png").write_bytes(png + pixels + chunk(b"IEND", b"") + said)
    (tmp_path / "c.pdf").write_bytes(b"%PDF-1.4\n" + stream + said + b"\n" + stream)
    (tmp_path / "d.pdf").write_bytes(b"%PDF-1.4\n<< /Length 9 >>\nstream\n" + said + b"\nendstream\n" + stream)
    (tmp_path / "e.png").write_bytes(png + chunk(b"IDAT", b"Passw0rd-in-a-file"))
    (tmp_path / "f.png").write_bytes(png + b"\xff\xff")
    found = ["a.png", "b.png", "c.pdf", "d.pdf", "e.png"]
    for picture in ("a", "b", "e", "f"):
        digits = base64.b64encode((tmp_path / f"{picture}.png").read_bytes() + b"\0" * 750).decode()
        (tmp_path / f"{picture}.html").write_text(f'<img src="data:image/png;base64,{digits}">')
    assert [one.path for one in scan(tmp_path)] == sorted([*found, "a.html", "b.html", "e.html"])


def test_secret_in_two_outputs_of_a_notebook_is_found(tmp_path: Path, known: Redactor) -> None:
    """Two writes with JSON between them are read as a reader of the notebook reads them; so are texts kept in lines."""
    known.know("env:X", "Passw0rd-of-two-halves")
    (tmp_path / "n.ipynb").write_text(json.dumps(notebook([stream("Passw0rd-of"), stream("-two-halves\n")])))
    (tmp_path / "m.ipynb").write_text(json.dumps({"source": ["Passw0rd-", "of-two-halves"]}))
    (tmp_path / "lines.jsonl").write_text('{"text":"Passw0rd-of"}\n{"text":"-two-halves"}\n')
    assert sorted(one.path for one in scan(tmp_path)) == ["lines.jsonl", "m.ipynb", "n.ipynb"]


def test_scan_does_not_use_the_gate() -> None:
    """Neither module imports the other, nor does the scan ask the gate's search: a hole in one is not one in both."""
    source = inspect.getsource(inspect.getmodule(scan_package))
    imported = [
        ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    ours = [line for line in imported if "runbook_lib" in line]
    assert ours == ["from runbook_lib import secrets", "from runbook_lib.redactor import SHORTEST"]
    assert not re.search(r"\.redact(_texts?)?\(", source)
    assert "scan" not in inspect.getsource(redactor)


def test_secret_that_the_gate_let_through_is_named_by_the_seal(
    tmp_path: Path, known: Redactor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate that is blind: the seal, its journal and what it prints say in which file which reference stands."""
    known.know("env:X", "Passw0rd/x")
    record = Record.create(tmp_path, "mysite")
    monkeypatch.setattr(Redactor, "redact", lambda _, data: data)
    record.keep_bytes("answers/0001-primary-x.txt", b"key=Passw0rd/x")
    own = (FoundSecret(path="seal/manifest.json", what="env:Y"),)
    monkeypatch.undo()
    monkeypatch.setattr(attestation, "scan_files", lambda *_given: own)  # the seal's own files are searched as well
    monkeypatch.setattr(secrets, "REDACTOR", known)
    new_key(tmp_path / "keys")
    made = seal_record(record, {"name": "mysite"}, key_folder=tmp_path / "keys")
    assert [(leak.path, leak.what) for leak in made.leaks[:-1]] == [("answers/0001-primary-x.txt", "env:X")]
    assert made.leaks[-1:] == own
    assert "SECRET FOUND by the scan of the record: env:X in answers/0001-primary-x.txt" in str(made)
    noted = [line for line in record.journal.read().lines if line.kind is Kind.NOTED]
    assert [(line.seen, line.text) for line in noted] == [
        ("env:X", "SECRET FOUND by the scan of the record, in answers/0001-primary-x.txt"),
        ("env:Y", "SECRET FOUND by the scan of the record, in seal/manifest.json"),
    ]


def test_clean_record_has_no_leak(tmp_path: Path, known: Redactor) -> None:
    """What went through a gate that sees is clean, and the journal says nothing of secrets."""
    known.know("env:X", "Passw0rd/x")
    record = Record.create(tmp_path, "mysite", what="Passw0rd/x")
    assert seal_record(record, {"note": "Passw0rd/x"}, key_folder=tmp_path / "none").leaks == ()


# -- executed notebooks ----------------------------------------------------------------------------


def stream(text: str, name: str = "stdout") -> dict[str, object]:
    return {"output_type": "stream", "name": name, "text": text.splitlines(keepends=True)}


def notebook(outputs: list[dict[str, object]]) -> dict[str, object]:
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": ["x\n", "y"], "outputs": outputs}
    return {"cells": [cell, {"cell_type": "markdown", "metadata": {}, "source": ["t"]}], "metadata": {}, "nbformat": 4}


def gated(value: object) -> dict[str, object]:
    found: dict[str, object] = json.loads(gate_notebook(json.dumps(value, indent=1).encode()))
    return found


@pytest.mark.parametrize(
    "outputs",
    [
        [stream("ab Passw0rd-of"), stream("-two-halves\ncd")],
        [stream("Passw0rd-of"), stream("between", "stderr"), stream("-two-halves")],
        [stream("Passw0rd-of\n-two-halves")],
        [{"output_type": "display_data", "data": {"text/html": ["<b>Passw0rd-of", "-two-halves"]}, "metadata": {}}],
    ],
)
def test_secret_in_pieces_of_a_notebook_is_replaced(known: Redactor, outputs: list[dict[str, object]]) -> None:
    """Printed in two writes, also with another stream between them, or kept in lines: the notebook holds a mark."""
    known.know("env:X", "Passw0rd-of-two-halves")
    text = json.dumps(gated(notebook(outputs)))
    assert "[secret env:X]" in text
    assert "halves" not in text
    assert "Passw0rd" not in text


def test_notebook_without_a_secret_stays_as_it_is(known: Redactor) -> None:
    """Not a byte changes where nothing is found, and of what is printed nothing is lost where something is."""
    known.know("env:X", "Passw0rd-of-two-halves")
    data = json.dumps(notebook([stream("one"), stream("two", "stderr"), stream("three")])).encode()
    assert gate_notebook(data) == data
    outputs = gated(notebook([stream("one Passw0rd-of"), stream("two", "stderr"), stream("-two-halves three")]))
    texts = ["".join(each["text"]) for each in outputs["cells"][0]["outputs"]]
    assert texts == ["one [secret env:X] three", "two"]


@pytest.mark.parametrize("secret", [True, False])
def test_a_notebook_that_cannot_be_kept_stays_only_without_a_secret(
    known: Redactor, tmp_path: Path, secret: bool
) -> None:
    """On a full disk it stays as the run left it, or not at all: what did not pass the gate is taken away."""
    known.know("env:X", "Passw0rd")

    def full(*_given: object, **_more: object) -> None:
        raise RecordNotWritable("no space")

    running = tmp_path / "10_diagnose_logs.running.ipynb"
    running.write_text(json.dumps(notebook([stream("Passw0rd" if secret else "nothing")])))
    with pytest.raises(RecordNotWritable):
        _keep_notebook(cast("Any", SimpleNamespace(keep_bytes=full)), Stage.DIAGNOSE, running)
    assert running.exists() is not secret


def test_lists_that_are_no_lines_stay_lists(known: Redactor) -> None:
    """Tags, tracebacks and JSON data are lists by their nature, and stay so when another part is redacted."""
    known.know("env:X", "Passw0rd")
    error = {"output_type": "error", "ename": "E", "evalue": "Passw0rd", "traceback": ["a", "Passw0rd", "b"]}
    data = {"output_type": "display_data", "metadata": {}, "data": {"application/json": ["a", "b"]}}
    found = gated(notebook([error, data]))["cells"][0]["outputs"]
    assert found[0]["traceback"] == ["a", "[secret env:X]", "b"]
    assert found[1]["data"]["application/json"] == ["a", "b"]


@pytest.mark.parametrize("data", [b"", b"Passw0rd", b'{"cells": 3}', b'{"cells": [{"source": "Passw0rd"}]}', b"[]"])
def test_bytes_that_are_no_notebook_go_through_the_gate_too(known: Redactor, data: bytes) -> None:
    """What a crash left of a notebook is gated as plain bytes."""
    known.know("env:X", "Passw0rd")
    assert gate_notebook(data) == data.replace(b"Passw0rd", b"[secret env:X]")


# -- many texts --------------------------------------------------------------------------------------


class Counting(Redactor):
    """Counts its searches."""

    searches = 0

    def _spelled(self, data: bytes) -> list[tuple[int, int, str, int]]:
        self.searches += 1
        return super()._spelled(data)


def test_ten_thousand_texts_are_searched_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of 10,000 entries is searched once where it is clean, and some forty times where one entry is not."""
    counting = Counting()
    monkeypatch.setattr(secrets, "REDACTOR", counting)
    counting.know("env:X", "Passw0rd/x")
    value = [{"key": f"host{n}_8082", "subject": f"/CN=host{n}"} for n in range(10_000)]
    assert gate_json(value) == value
    assert counting.searches == 1
    value[7777]["subject"] = "/CN=Passw0rd/x"
    assert gate_json(value)[7777] == {"key": "host7777_8082", "subject": "/CN=[secret env:X]"}
    assert counting.searches < 50


def test_secret_is_not_found_across_two_texts(known: Redactor) -> None:
    """Two values that stand beside each other are two values: neither is touched for what they would be joined."""
    known.know("env:X", "Passw0rd")
    assert gate_json(["Pass", "w0rd"]) == ["Pass", "w0rd"]
