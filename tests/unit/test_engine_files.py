"""The engine's files: outputs that are replaced in one step, folders that sockets fit into."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import threading
from pathlib import Path

import nbformat
import pytest
from waiting import awaited, wait_until_async

from runbook_lib.errors import RecordNotWritable
from runbook_lib.notebook.provisioner import has_ipc, kernel_manager, private_folder, short_folder
from runbook_lib.notebook.states import FileStates, replace_file


def test_a_reader_sees_the_old_or_the_new_file_and_never_a_part(tmp_path):
    """Whenever the path is opened, what is read is one of the versions, complete."""
    path = tmp_path / "out.ipynb"
    versions = [letter * 50_000 for letter in "ab"]
    replace_file(path, versions[0])
    over = threading.Event()
    parts = 0

    def reader() -> None:
        nonlocal parts
        before = read = ""
        while not over.wait(0.001 if read == before else 0):  # a disk may take long for what is written next
            before, read = read, path.read_text()
            parts += read not in versions

    thread = threading.Thread(target=reader)
    thread.start()
    for turn in range(1, 61):
        replace_file(path, versions[turn % 2])
    over.set()
    thread.join()
    assert not parts


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    """Text that cannot be encoded, and a folder in the file's place, change nothing."""
    path = tmp_path / "out.ipynb"
    replace_file(path, "old")
    with pytest.raises(RecordNotWritable, match=r"out\.ipynb"):
        replace_file(path, "\ud800")
    with pytest.raises(RecordNotWritable):
        replace_file(tmp_path, "text")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.ipynb"]


def test_a_missing_folder_is_said(tmp_path):
    """The error names the path and what to do."""
    with pytest.raises(RecordNotWritable, match="make the folder writable for you") as caught:
        replace_file(tmp_path / "nowhere" / "out.ipynb", "text")
    assert "an option of the command" in caught.value.next_step


def test_a_run_that_cannot_write_names_the_setting_of_its_folder(tmp_path, monkeypatch):
    """Whoever runs all stages has given no path of a notebook."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    with pytest.raises(RecordNotWritable) as caught:
        replace_file(tmp_path / "records" / "incident" / "out.ipynb", "text")
    assert caught.value.next_step.endswith("(RUNBOOK_RECORDS); then run the same command again")  # changes may be sent


def running(path: Path) -> FileStates:
    """A notebook of three cells that has begun to run."""
    nb = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(str(n)) for n in range(3)], metadata={"papermill": {}}
    )
    states = FileStates(nb, path)
    states.notebook_start()
    return states


def test_cells_that_follow_each_other_at_once_are_written_together(tmp_path, monkeypatch):
    """The file of a running notebook is behind it by the given time at most, and not written for each cell."""
    monkeypatch.setattr("runbook_lib.notebook.states.BEHIND_S", 0.05)

    written = asyncio.Event()
    monkeypatch.setattr("runbook_lib.notebook.states.replace_file", lambda *what: (replace_file(*what), written.set()))

    async def run() -> tuple[bytes, bytes]:
        states = running(tmp_path / "out.ipynb")
        begun = (tmp_path / "out.ipynb").read_bytes()
        written.clear()
        for index, cell in enumerate(states.nb.cells):
            states.cell_start(cell, index)
            states.cell_complete(cell, index)
        at_once = (tmp_path / "out.ipynb").read_bytes()
        assert at_once == begun
        await awaited(written.wait(), "the file")
        return begun, (tmp_path / "out.ipynb").read_bytes()

    begun, later = asyncio.run(run())
    assert (begun.count(b"completed"), later.count(b"completed")) == (0, 3)


def test_a_write_that_failed_meanwhile_ends_the_run_at_its_next_cell(tmp_path, monkeypatch):
    """No cell runs on where the notebook cannot be written, though nobody waited for the write."""
    monkeypatch.setattr("runbook_lib.notebook.states.BEHIND_S", 0.0)
    folder = tmp_path / "gone"
    folder.mkdir()

    async def run() -> None:
        states = running(folder / "out.ipynb")
        shutil.rmtree(folder)
        states.cell_start(states.nb.cells[0], 0)
        await wait_until_async(lambda: states._problem, "the write that fails")
        states.cell_complete(states.nb.cells[0], 0)

    with pytest.raises(RecordNotWritable, match=r"out\.ipynb"):
        asyncio.run(run())


def test_a_pipe_is_written_straight():
    """It has a name that leads to it, as ``/dev/stdout`` does, and none of its own."""
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as out:
        replace_file(Path(f"/dev/fd/{writing}"), "text")
        os.close(writing)
        assert out.read() == "text"


def test_permissions_and_links_stay(tmp_path):
    """The new file has the old one's permissions, a symbolic link keeps leading to it, a new file has the umask's."""
    path, link = tmp_path / "out.ipynb", tmp_path / "link.ipynb"
    replace_file(path, "old")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o600)
    link.symlink_to(path)
    replace_file(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_kernels_folder_is_private_and_goes_away():
    """Only this user enters it, and its path leaves room for a socket's name."""
    with private_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert has_ipc(folder)
        assert kernel_manager("python3", folder).transport == "ipc"
    assert not folder.exists()


def test_a_folder_too_long_for_sockets_is_passed_over(tmp_path):
    """The first folder that is there, writable and short enough is taken."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    assert short_folder(["", str(long), "/nowhere", "/tmp"]) == Path("/tmp")
    assert short_folder([str(long)]) is None


def test_without_sockets_the_kernel_talks_over_tcp_with_signed_messages(tmp_path):
    """Where no socket can be made the fallback still has a key, and its connection file stays in the folder."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    manager = kernel_manager("python3", long)
    assert manager.transport == "tcp"
    assert len(manager.session.key) >= 32
    assert manager.session.signature_scheme == "hmac-sha256"
    assert Path(manager.connection_file).parent == long
