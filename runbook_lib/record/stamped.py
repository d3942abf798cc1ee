"""Checking the time stamp of a seal against the file that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cryptography import x509

from runbook_lib.record.lines import Kind, Line
from runbook_lib.record.manifest import Readable
from runbook_lib.record.seal import ENVELOPE, MANIFEST, STAMP
from runbook_lib.record.timestamp import NoStamp, check_stamp, read_stamp
from runbook_lib.record.verification import Verification


def check_time(
    found: Verification,
    files: Mapping[str, Readable],
    lines: Sequence[Line],
    certificates: Sequence[x509.Certificate],
) -> None:
    """Check the newest seal's time stamp, if it has one. One that nobody here vouches for is told, and no problem."""
    path = f"{found.seal}/{STAMP}"
    if path not in files:
        missing = [line.text for line in lines if line.kind is Kind.SEALED and line.seen == "not stamped"]
        found.notes += [f"A time stamp was asked for and not had: {text}" for text in missing[-1:]]
        return
    about = next(name for name in (f"{found.seal}/{ENVELOPE}", f"{found.seal}/{MANIFEST}", path) if name in files)
    try:
        answer = files[path].read_bytes()
        if not certificates:
            said = read_stamp(answer)
            found.notes.append(
                f"{path} says that {about} existed at {said.utc:%Y-%m-%dT%H:%M:%SZ}, by the clock of "
                f"{said.authority or 'an authority without a name'}. It was not checked: give --tsa FILE."
            )
            return
        found.stamp = check_stamp(answer, files[about].read_bytes(), certificates)
    except (NoStamp, OSError) as error:
        found.say(path, f"no time stamp that counts: {error}")
