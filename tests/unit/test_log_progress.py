"""How much of the reading of logs is left: known for plain files, and not claimed for archives."""

from __future__ import annotations

import gzip
from pathlib import Path

from runbook_lib.logs.sources import STDIN, size_to_read


def test_plain_files_say_how_much_there_is_to_read(tmp_path: Path) -> None:
    """Folders and files, each once."""
    (tmp_path / "logs").mkdir()
    for name in ("a.log", "b.log"):
        (tmp_path / "logs" / name).write_bytes(b"x" * 100)
    assert size_to_read([tmp_path / "logs", tmp_path / "logs" / "a.log"]) == 200


def test_an_archive_does_not_say_how_much_it_holds(tmp_path: Path) -> None:
    """Nothing is estimated from a compressed size, whatever the file is called."""
    (tmp_path / "a.log").write_bytes(b"x" * 100)
    (tmp_path / "b.log").write_bytes(gzip.compress(b"x" * 100_000))
    assert size_to_read([tmp_path]) is None


def test_standard_input_is_not_asked_for_its_size() -> None:
    """Nothing is read from it beforehand."""
    assert size_to_read([STDIN]) is None
