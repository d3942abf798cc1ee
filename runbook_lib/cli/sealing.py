"""``runbook key`` and ``runbook verify``: the key that signs records, and whether a record is what was signed."""

from __future__ import annotations

from pathlib import Path

from runbook_lib import places
from runbook_lib.cli.terminal import out
from runbook_lib.errors import ParameterRefused, RecordDamaged
from runbook_lib.record.archive import verify_archive
from runbook_lib.record.keys import PUBLIC, new_key, read_public
from runbook_lib.record.trusted import trusted_in
from runbook_lib.record.verification import Verification
from runbook_lib.record.verify import NOT_PROVEN, verify_record

AFTER_SEAL = 7
"""The exit code for a record that is sound up to its seal and went on after it."""


def key_new_command() -> None:
    """Make the key; raises ParameterRefused where there is one."""
    key = new_key(places.key_dir())
    out(f"key:    {key.id}")
    out(f"public: {key.source}")
    out("Every run signs its record from now on. Give the public key to whoever is to check records, by a way that")
    out("nobody else can change. The private key beside it stays here; keep no copy in a record or a ticket.")


def key_show_command() -> None:
    """Print the key's id, its file, and the public key as PEM."""
    path = places.key_dir() / PUBLIC
    if not path.exists():
        raise ParameterRefused("There is no key yet", where=str(path), next_step="runbook key new makes one")
    key = read_public(path)
    out(f"key:    {key.id}")
    out(f"public: {key.source}")
    for line in key.pem.decode("ascii").splitlines():
        out(line)


def verify_command(record: str, *, key: str = "", tsa: str = "") -> int:
    """Check a record, or an archive of one, and tell what was found; return 0, 5 or 7."""
    trusted = trusted_in(places.key_dir(), key=key, authority=tsa)
    path = record_place(record)
    found = verify_archive(path, trusted) if path.is_file() else verify_record(path, trusted.keys, trusted.certificates)
    tell(found)
    return exit_code(found)


def exit_code(found: Verification) -> int:
    """Return what checking a record ends with: 0, 5 where it does not verify, 7 where lines came after its seal."""
    if found.problems:
        return RecordDamaged.exit_code
    return AFTER_SEAL if found.later else 0


def tell(found: Verification) -> None:
    """Print what checking a record found."""
    for line in report(found):
        out(line)


def report(found: Verification) -> list[str]:
    """What was found, one line each: what was looked at, every problem, what is not proven."""
    seal = f"{found.seal}/ covers {found.covered_lines} lines of the journal" if found.seal else "none"
    signed = f"good, by key {found.key.id} ({found.key.source})" if found.key else "none that was verified"
    return [
        f"incident:  {found.incident or 'not known'}: {found.state}",
        f"record:    {found.folder} ({found.files} files, {found.lines} lines in the journal)",
        f"seal:      {seal}",
        f"signature: {signed}",
        *_stamp(found),
        *(f"notebook:  {drift}" for drift in found.notebooks),
        *(f"note:      {note}" for note in found.notes),
        *(f"PROBLEM    {problem.path}: {problem.what}" for problem in found.problems),
        _conclusion(found),
        *_limits(found),
    ]


def _stamp(found: Verification) -> list[str]:
    if found.stamp is None:
        return []
    who = found.stamp.authority or "an authority that does not name itself"
    return [
        f"time:      this seal existed at {found.stamp.utc:%Y-%m-%dT%H:%M:%SZ}, by the clock of {who}",
        "           (so it was not made up later; that what it tells of happened then is not proven)",
    ]


def _conclusion(found: Verification) -> str:
    if found.problems:
        count = "one problem" if len(found.problems) == 1 else f"{len(found.problems)} problems"
        return f"This record does NOT verify: {count}. Keep the folder as it is."
    if found.later:
        return "This record verifies up to its newest seal. What came after it is nobody's word yet: look at each line."
    if found.key:
        return "This record verifies: every file is what was signed."
    return "Nothing in this record contradicts itself. Nobody has signed it, so anybody may have written it."


def _limits(found: Verification) -> list[str]:
    return ["A signature here does not prove:", *(f"  - {limit}" for limit in NOT_PROVEN)] if found.key else []


def record_folder(record: str) -> Path:
    """Return the folder of a record that is named by its path or by its incident."""
    for folder in (Path(record).expanduser(), places.records_dir() / record):
        if record and folder.is_dir():
            return folder
    raise ParameterRefused(
        "There is no such record",
        found=record,
        next_step=f"give the path of its folder, or the name of one in {places.records_dir()}",
    )


def record_place(record: str) -> Path:
    """Return the folder of a record, or the file of an archive."""
    file = Path(record).expanduser()
    return file if file.is_file() else record_folder(record)
