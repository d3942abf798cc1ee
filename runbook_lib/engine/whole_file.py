"""Local output files that are replaced in one step, also by papermill's own code."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from uuid import uuid4

from papermill.iorw import LocalHandler, papermill_io

from runbook_lib.errors import RecordNotWritable
from runbook_lib.record.executed import gate_notebook


def replace_file(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``: a reader sees the old file or the new one, never a part.

    The new file is on disk before it takes the old one's place and keeps its permissions; a symbolic
    link stays and its target is replaced. Devices and pipes are written straight.
    What this process knows to be a secret is not written, not even for the time of a run.
    Raises RecordNotWritable; the old file is then untouched and nothing is left beside it.
    """
    try:
        content = _gated(text).encode("utf-8")
        target = path.resolve()
        if target.exists() and not target.is_file():
            target.write_bytes(content)
        else:
            _replace(target, content)
    except (OSError, UnicodeEncodeError) as error:
        raise RecordNotWritable(
            "The executed notebook cannot be written; what was there before is unchanged.",
            where=str(path),
            found=f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}",
            next_step="Give an output path in an existing folder that is writable and not full.",
        ) from error


def _replace(target: Path, content: bytes) -> None:
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "the file is read-only")
    new = target.with_name(f".{target.name[:100]}.{uuid4().hex[:8]}.new")
    try:
        with new.open("xb") as file:
            if target.exists():
                new.chmod(stat.S_IMODE(target.stat().st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class WholeFiles:
    """A papermill handler that writes as ``replace_file`` does and leaves the rest to the local handler."""

    def __init__(self, local: LocalHandler) -> None:
        self._local = local

    def write(self, buf: str, path: str) -> None:
        folder = self.cwd(None)  # papermill's way to ask for it is to set it
        self.cwd(folder)
        replace_file(Path(folder or ".") / path, buf)

    def read(self, path: str) -> str:
        return str(self._local.read(path))

    def listdir(self, path: str) -> list[str]:
        return list(self._local.listdir(path))

    def pretty_path(self, path: str) -> str:
        return path

    def cwd(self, new_path: str | None) -> str | None:
        old: str | None = self._local.cwd(new_path)
        return old


def _gated(text: str) -> str:
    """The notebook without known secrets; a lone surrogate stays, and is refused when it is written."""
    return gate_notebook(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")


def write_whole(output_path: str | None) -> None:
    """Have papermill write ``output_path`` in one step from now on, if it is a local file.

    papermill writes once more after an engine has returned, so this lasts as long as the process; it
    touches this path only.
    """
    handler = papermill_io.get_handler(output_path)
    if isinstance(handler, LocalHandler):
        papermill_io.register(output_path, WholeFiles(handler))
