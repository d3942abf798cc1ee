"""``runbook diagnose``: logs alone, without a site, a device or a browser.

It starts in a fraction of a second, so nothing heavy is imported here; its command line is read in
``runbook_lib.cli``, before the other commands are loaded.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from runbook_lib import paths
from runbook_lib.cli import DiagnoseRequest
from runbook_lib.cli.terminal import err, require_printed
from runbook_lib.errors import AnswerNotUnderstood, UsageError, cut, one_line
from runbook_lib.logs.conclusions import exit_code, with_entries
from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.logs.formats import Report, as_json, as_text
from runbook_lib.logs.jobs import UNKNOWN, Settings
from runbook_lib.logs.rules import RULES, load_rules
from runbook_lib.logs.search import Rule
from runbook_lib.models import PI_SERVERS, TofuStore
from runbook_lib.processes import Gated

if TYPE_CHECKING:
    from runbook_lib.observations import Diagnosis
    from runbook_lib.params.model import Site

SILENT_S = 1.0
_POLL_S = 1.0
_HAND_OVER_S = 1e-5
"""How soon a thread that inflates is let on: by default it waits 5 ms, in which it would inflate 10 MB."""


def diagnose_command(request: DiagnoseRequest) -> int:
    """Diagnose and print; return the documented exit code. Raises UsageError for what cannot be read at all."""
    if request.json and request.html:
        raise UsageError("--json and --html cannot be given together", next_step="Give one of them.")
    site = None
    if request.site:
        from runbook_lib.params.load import load_site

        site = load_site(request.site)
    sources = _sources(request, site)
    stores = _stores(request.listcerts)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1  # where processes cannot be forked
    settings = Settings(rules=_rules(request, site), zones=_zones(request, site), names=_names(site), workers=cores)
    known = {"site": request.site} if request.site else {}
    progress = DiagnosisProgress(sys.stderr, asked=request.progress)
    sys.setswitchinterval(_HAND_OVER_S)
    if request.follow:
        diagnosis = _follow(sources, settings, known)
    else:
        diagnosis = diagnose_sources(sources, settings, known, progress.update)
        progress.end()
    diagnosis = with_entries(diagnosis, stores)
    _print(Report(diagnosis, len(stores), known), request)
    return exit_code(diagnosis)


def _print(report: Report, request: DiagnoseRequest) -> None:
    if request.json:
        text = json.dumps(as_json(report), indent=2) + "\n"
    elif request.html:
        from runbook_lib.show.findings import diagnosis_page

        text = diagnosis_page(report)
    else:
        text = as_text(report, _width())
    if isinstance(sys.stdout, Gated):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    sys.stdout.write(text)
    sys.stdout.flush()
    require_printed(UsageError)


def _width() -> int:
    """Return the terminal's columns; 0 where the text goes elsewhere, so that a search finds what stands on a line."""
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return 0
    return shutil.get_terminal_size().columns


# -- what to read -----------------------------------------------------------------------------------


def _sources(request: DiagnoseRequest, site: Site | None) -> dict[str, list[Path]]:
    sources: dict[str, list[Path]] = {}
    for server, path in _pairs("--server", request.server):
        if not server:
            raise UsageError(f"--server {path}: no server is named", next_step="Write --server primary=PATH.")
        sources.setdefault(server, []).append(Path(path))
    if request.path:
        sources[""] = list(map(Path, request.path))
    if not sources and site is not None:
        sources = {key: list(server.logs) for key, server in site.servers.items()}
    if not any(sources.values()):
        raise UsageError("No log is named", next_step="Name files, folders or archives, or - for standard input.")
    return sources


def _stores(given: Sequence[str]) -> tuple[TofuStore, ...]:
    return tuple(read_store(server, Path(path)) for server, path in _pairs("--listcerts", given))


def _rules(request: DiagnoseRequest, site: Site | None) -> tuple[Rule, ...]:
    files = (request.rules, site.rules if site else None)
    return (*RULES, *chain.from_iterable(load_rules(Path(file)) for file in files if file))


def _zones(request: DiagnoseRequest, site: Site | None) -> dict[str, str]:
    zones = {key: server.log_zone for key, server in site.servers.items()} if site else {}
    zones |= dict(_pairs("--zone", request.zone))
    return {server: zone for server, zone in zones.items() if zone}


def _names(site: Site | None) -> dict[str, tuple[str, ...]]:
    servers = site.servers if site else {}
    return {key: (server.address, *server.names, server.ssh.prompt_host) for key, server in servers.items()}


def _pairs(option: str, given: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield server and value of ``SERVER=VALUE``; the server is empty where only a value is given."""
    for text in given:
        server, mark, value = text.partition("=")
        named = bool(mark) and server in PI_SERVERS
        if mark and not named and not Path(text).exists():
            raise UsageError(
                f"{option} {text}: there is no server {server!r}", next_step=f"Write {' or '.join(PI_SERVERS)}."
            )
        yield (server, value) if named else ("", text)


# -- while it runs ------------------------------------------------------------------------------------


class DiagnosisProgress:
    """A line on the terminal, or where it was asked for, once something takes longer than a second."""

    def __init__(self, stream: TextIO, *, asked: bool) -> None:
        self._stream = stream
        self._rewrites = stream.isatty()
        self._wanted = asked or self._rewrites
        self._next = time.monotonic() + SILENT_S
        self._shown = False

    def update(self, name: str, size: int) -> None:
        """Show how many bytes were read so far, and of which log; at most four times a second."""
        if not self._wanted or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SILENT_S / 4
        line = f"{size / (1 << 20):,.0f} MB read, now {one_line(name)[-60:]}"
        self._stream.write(f"\r\x1b[K{line}" if self._rewrites else f"{line}\n")
        self._stream.flush()
        self._shown = True

    def end(self) -> None:
        """Take the line away."""
        if self._shown and self._rewrites:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _follow(sources: Mapping[str, Sequence[Path]], settings: Settings, known: Mapping[str, str]) -> Diagnosis:
    """Watch until Ctrl-C, telling on standard error what is new; return the whole diagnosis."""
    from runbook_lib.logs.diagnosis import LogWatcher

    watcher = LogWatcher(sources, settings, known)
    counts: dict[tuple[str, str], int] = {}
    err("Watching. Ctrl-C ends it with the whole answer.")
    try:
        while True:
            if watcher.poll():
                _tell_news(watcher.diagnosis(), counts)
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        return watcher.diagnosis()
    finally:
        watcher.close()


def _tell_news(diagnosis: Diagnosis, counts: dict[tuple[str, str], int]) -> None:
    news = []
    for mismatch in diagnosis.mismatches:
        server = f"{mismatch.server} (guessed)" if mismatch.guessed else mismatch.server
        news.append((server, f"MISMATCH {mismatch.subject}", mismatch.count))
    news += [(each.server, f"LOOK-ALIKE {each.rule}", each.count) for each in diagnosis.look_alikes]
    for server, what, count in news:
        if counts.get((server, what)) != count:
            counts[server, what] = count
            err(f"{server}: {what}: {count} so far")


# -- What ``listcerts`` printed, from files: the stores by which a diagnosis names entries ---------

LONGEST_LIST = 8 << 20
OWN_OF_SECONDARY = "127.0.0.1_8082"
"""The entry that, as published, the secondary alone lists."""


def read_store(server: str, path: Path) -> TofuStore:
    """Return the store of a file; where ``server`` is empty, the list itself has to tell whose it is.

    Raises UsageError for a file that cannot be read or that holds no such list.
    """
    from runbook_lib.device.tofu import parse_tofu_list

    try:
        raw = paths.read_within(path, LONGEST_LIST)
        read = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError, OverflowError) as error:
        raise _refused(path, getattr(error, "strerror", "") or str(error)) from error
    text = raw.decode("utf-8-sig", "replace").replace("\0", "")
    if text and not text.endswith("\n"):
        text += "\n"  # a text that was copied often lacks it; a list that was cut off lacks entries as well
    try:
        store = parse_tofu_list(text, server or UNKNOWN, read)
    except AnswerNotUnderstood as error:
        raise _refused(path, f"{error.what} {cut(error.found, 200)}") from error
    if not server and any(entry.key == OWN_OF_SECONDARY for entry in store.entries):
        return replace(store, server=PI_SERVERS[1])
    return store


def _refused(path: Path, found: str) -> UsageError:
    return UsageError(
        "This is not what listcerts prints.",
        where=str(path),
        found=found,
        next_step="Save the whole output of 'ncs certvalidation tofu-certs listcerts' and give that file.",
    )
