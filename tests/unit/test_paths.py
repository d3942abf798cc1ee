"""Where files lie: in a checkout, where variables move them, and what ``runbook paths`` prints."""

from __future__ import annotations

import errno
import pwd
from pathlib import Path
from typing import NoReturn

import pytest

from runbook_lib import paths
from runbook_lib.cli.app import show_paths
from runbook_lib.errors import ParameterRefused, RecordNotWritable, UsageError
from runbook_lib.record.files import writing


def test_the_root_holds_the_project_file() -> None:
    """The project's root is the folder that holds pyproject.toml."""
    assert (paths.project_root() / "pyproject.toml").is_file()


def test_records_and_lab_lie_in_the_checkout_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is said, records and the lab's state lie in the checkout."""
    monkeypatch.delenv("RUNBOOK_RECORDS", raising=False)
    monkeypatch.delenv("RUNBOOK_LAB_DIR", raising=False)
    assert paths.records_dir() == paths.project_root() / "records"
    assert paths.lab_dir() == paths.project_root() / ".lab"


def test_the_environment_moves_records_and_lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The two environment variables move the folders, as absolute paths whatever the folder of the caller."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNBOOK_RECORDS", "kept")
    monkeypatch.setenv("RUNBOOK_LAB_DIR", str(tmp_path / "lab"))
    assert paths.records_dir() == tmp_path / "kept"
    assert paths.lab_dir() == tmp_path / "lab"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a number that no user has, in an environment without HOME."""

    def nobody(uid: int) -> NoReturn:
        raise KeyError(uid)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("RUNBOOK_KEY_DIR")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(UsageError, match="no home folder") as caught:
        paths.key_dir()
    assert "set HOME" in caught.value.next_step
    monkeypatch.setenv("RUNBOOK_RECORDS", "~/kept")
    with pytest.raises(UsageError, match="no home folder"):
        paths.records_dir()


def test_what_cannot_be_written_names_the_variable_of_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another folder for the records helps nobody whose folder of locks, or of keys, is full."""
    for variable in ("RUNBOOK_LOCKS", "RUNBOOK_KEY_DIR", "RUNBOOK_RECORDS"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    files = [("RUNBOOK_LOCKS", "a.lock"), ("RUNBOOK_KEY_DIR", "seen"), ("RUNBOOK_RECORDS", "a/b.txt")]
    for variable, file in [*files, ("RUNBOOK_RECORDS", ""), ("an option of the command", "a.zip")]:
        with pytest.raises(RecordNotWritable) as caught, writing(tmp_path / variable / file):
            raise OSError(errno.ENOSPC, "No space left on device")
        assert f"name another one ({variable})" in caught.value.next_step
        assert caught.value.what.startswith("The record") == (variable == "RUNBOOK_RECORDS")


def test_the_command_prints_each_place_whole_and_one_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`runbook paths` has a line with an absolute path for each; `runbook paths notebooks` is ready for a script."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path))
    show_paths()
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert all(Path(place).is_absolute() for place in told.values())
    assert told["records:"] == str(tmp_path)
    for name, held in (("notebooks", "00_start_here.ipynb"), ("examples", "example.yaml"), ("documents", "batch.md")):
        show_paths(name)
        alone = capsys.readouterr().out.removesuffix("\n")
        assert alone == told[f"{name}:"]
        assert (Path(alone) / held).is_file()
    with pytest.raises(ParameterRefused, match="There is no path named 'elsewhere'"):
        show_paths("elsewhere")
