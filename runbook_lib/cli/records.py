"""``runbook key``, ``verify``, ``archive``, ``close``, ``report`` and ``history``: what is done with records."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runbook_lib import paths
from runbook_lib.cli.terminal import answer_to, can_ask, err, out, out_lines, prose
from runbook_lib.decisions import sha256_hex
from runbook_lib.errors import DecisionNeeded, ParameterRefused, RecordDamaged, RunbookError
from runbook_lib.models import Outcome, PastIncident, SiteStatus
from runbook_lib.processes import operator, quick_import
from runbook_lib.record.archive import archive_name, pack, verify_archive
from runbook_lib.record.history import Query, incident_that_counts, past_incidents, site_statuses
from runbook_lib.record.incident import Record
from runbook_lib.record.lock import holders_by_incident
from runbook_lib.record.signing import PUBLIC, new_key, trusted_in, trusted_keys
from runbook_lib.record.verification import NOT_PROVEN, Verification, verify_record
from runbook_lib.show.document import BAD, GOOD, PLAIN, Row, Table
from runbook_lib.show.incidents import AT_WORK, fleet_map, incidents
from runbook_lib.show.rendering import View
from runbook_lib.show.svg import standalone

if TYPE_CHECKING:  # a report is loaded where one is made
    from runbook_lib.show.report import Written
    from runbook_lib.show.report_model import PostMortem

# -- ``runbook key`` and ``runbook verify``: the key that signs records, and whether a record is what was signed

AFTER_SEAL = 7
"""The exit code for a record that is sound up to its seal and went on after it."""


def key_new_command() -> None:
    """Make the key; raises ParameterRefused where there is one."""
    key = new_key(paths.key_dir())
    out(f"key:    {key.id}")
    out(f"public: {key.source}")
    prose(
        "Every run signs its record from now on. Give the public key to whoever is to check records, by a way that"
        " nobody else can change. The private key beside it stays here; keep no copy in a record or a ticket."
    )


def key_show_command() -> None:
    """Print the key's id, its file, and the public key as PEM. Raises ParameterRefused where there is no key."""
    path = paths.key_dir() / PUBLIC
    key = next((key for key in trusted_keys(path.parent) if key.source == path), None)
    if key is None:
        raise ParameterRefused("There is no key yet", where=str(path), next_step="runbook key new makes one")
    out(f"key:    {key.id}")
    out(f"public: {key.source}")
    for line in key.pem.decode("ascii").splitlines():
        out(line)


def verify_command(record: str, *, key: str = "", tsa: str = "") -> int:
    """Check a record, or an archive of one, and tell what was found; return 0, 5 or 7."""
    trusted = trusted_in(paths.key_dir(), key=key, authority=tsa)
    file, known = paths.of_user(record), (trusted.keys, trusted.certificates)
    result = verify_archive(file, trusted) if file.is_file() else verify_record(record_folder(record), *known)
    if not result.seal and result.folder.parent.resolve() == paths.records_dir().resolve():
        result.writer = str(holders_by_incident().get(result.incident, ""))
    print_verification(result)
    return verify_exit_code(result)


def verify_exit_code(result: Verification) -> int:
    """Return what checking a record ends with: 0, 5 where it does not verify, 7 where lines came after its seal."""
    if result.problems:
        return RecordDamaged.exit_code
    return AFTER_SEAL if result.later else 0


def print_verification(result: Verification) -> None:
    """Print what checking a record found."""
    for line in verification_report(result):
        prose(line)


def verification_report(result: Verification) -> list[str]:
    """What was found, one line each: what was looked at, every problem, what is not proven."""
    seal = f"{result.seal}/ covers {result.covered_lines} lines of the journal" if result.seal else "none"
    limits = ["A signature here does not prove:", *(f"  - {limit}" for limit in NOT_PROVEN)] if result.key else []
    signed = f"good, by key {result.key.id} ({result.key.source})" if result.key else "none that was verified"
    return [
        f"incident:  {result.incident or 'not known'}: {result.state}",
        f"record:    {result.folder} ({result.files} files, {result.lines} lines in the journal)",
        f"seal:      {seal}",
        f"signature: {signed}",
        *_stamp(result),
        *(f"notebook:  {drift}" for drift in result.notebooks),
        *(f"note:      {note}" for note in result.every_note()),
        *(f"PROBLEM    {problem.path}: {problem.what}" for problem in result.problems),
        _conclusion(result),
        *limits,
    ]


def _stamp(result: Verification) -> list[str]:
    if result.stamp is None:
        return []
    who = result.stamp.authority or "an authority that does not name itself"
    return [
        f"time:      this seal existed at {result.stamp.utc:%Y-%m-%dT%H:%M:%SZ}, by the clock of {who}",
        "           (so it was not made up later; that what it tells of happened then is not proven)",
    ]


def _conclusion(result: Verification) -> str:
    if result.problems:
        count = "one problem" if len(result.problems) == 1 else f"{len(result.problems)} problems"
        if result.writer:
            return f"This record is being written by {result.writer}: it does NOT verify until that ends ({count})."
        return f"This record does NOT verify: {count}. Keep the folder as it is."
    if result.later:
        return "This record verifies up to its newest seal. What came after it is nobody's word yet: look at each line."
    if result.key:
        return "This record verifies: every file is what was signed."
    return "Nothing in this record contradicts itself. Nobody has signed it, so anybody may have written it."


def record_folder(record: str) -> Path:
    """Return the folder of a record that is named by its path or by its incident.

    Raises ParameterRefused where there is none.
    """
    for folder in (paths.of_user(record), paths.records_dir() / record):
        if record and folder.is_dir():
            return folder
    raise ParameterRefused(
        "There is no such record",
        found=record,
        next_step=f"give its folder, or the name of one in {paths.records_dir()}; runbook history lists them",
    )


# -- ``runbook archive``: one incident's record in one file, checked before and after --------------


def archive_command(record: str, *, to: str = "", key: str = "", anyway: bool = False) -> int:
    """Pack a record and tell of it; return the exit code of ``runbook verify``: 0, 5 or 7."""
    folder = record_folder(record)
    target = paths.of_user(to) if to else Path(archive_name(folder))
    if target.is_dir():
        target = target / archive_name(folder)
    result = pack(folder, target.absolute(), trusted_in(paths.key_dir(), key=key), anyway=anyway)
    print_verification(result)
    data = target.read_bytes()
    out(f"archive:   {target} ({len(data)} bytes, SHA-256 {sha256_hex(data)})")
    prose(
        "Nothing was removed: the folder is still there. runbook verify FILE checks the archive without unpacking it."
    )
    return verify_exit_code(result)


# -- ``runbook close``: an incident that nobody will finish ----------------------------------------


def close_command(incident: str, *, by: str = "", reason: str = "") -> None:
    """Close an open incident by a person's name and reason, on a terminal after a ``yes``; seal a sealed record anew.

    One that is closed already is left as it is. Raises SiteLocked while somebody holds the site's lock,
    ParameterRefused without a name or a reason, DecisionNeeded where the answer is not yes.
    """
    from runbook_lib.repair import sent_changes  # with all that talks to devices

    record = Record.open(paths.records_dir(), incident)
    if record.is_closed():
        out(f"Incident {incident} is closed already: {record.outcome()}")
        return
    sent_changes.require_free(record)
    for server, what in sent_changes.unseen_changes(record):
        prose(f"unknown:  {server}: {what}: it was sent, or may have been; look at the server before you go on")
    outcome = sent_changes.outcome_unfinished(record)
    person = can_ask()
    by = (by or (operator() if person else "")).strip()
    reason = (reason or (answer_to("Why will it not be finished?") if person else "")).strip()
    if person and by and reason and answer_to(f"Close {incident} as {outcome}, by {by}? Type yes:").lower() != "yes":
        raise DecisionNeeded("The answer was not yes; nothing was closed", where=str(record.folder))
    sealed = sent_changes.close_unfinished(record, by=by, reason=reason)
    out(f"Incident {incident} is closed by {by}: {outcome}")
    out(f"seal:     {sealed or 'none; this record was never sealed'}")
    out("The next run of this site opens a new incident.")
    out(f"Next: {shlex.join(('runbook', 'run', record.opening()['given'] or record.site))}")


# -- ``runbook report``: the post-mortem of a record, whole or not, as HTML, PDF and Markdown ------


def report_command(
    record: str, *, html: bool = False, pdf: bool = False, markdown: bool = False, folder: str = ""
) -> int:
    """Write the report in the forms that are asked for, else in all, and say where.

    Return 5 where the record does not verify, else 0. Without ``folder`` it goes into the record as long as that is not
    sealed and verifies, else into the folder ``<incident>-report`` where the command was called.
    """
    from runbook_lib.show.report import FORMS, post_mortem, write_beside, write_into

    asked = {"html": html, "pdf": pdf, "md": markdown}
    forms = tuple(form for form in FORMS if asked[form]) or FORMS
    source = record_folder(record)
    pm = post_mortem(source, trusted_in(paths.key_dir()))
    inside = None if folder else _unsealed(source, pm)
    if inside is not None:
        written = write_into(inside, pm, forms=forms)
    else:
        target = paths.of_user(folder) if folder else Path.cwd() / f"{pm.incident}-report"
        written = write_beside(target, pm, record=source, forms=forms)
    for line in report_lines(pm, written, sealed=inside is None and not folder):
        out(line)
    return RecordDamaged.exit_code if pm.verified.problems else 0


def _unsealed(folder: Path, pm: PostMortem) -> Record | None:
    """The record, if a report may still go into it."""
    if pm.verified.seal or pm.verified.problems:
        return None
    try:
        return Record.open(folder.parent, folder.name)
    except RunbookError:
        return None  # a copy under another name is not a record that a run continues


def report_lines(pm: PostMortem, written: Written, *, sealed: bool) -> list[str]:
    """What was written, one line each."""
    lines = [f"outcome: {pm.headline.outcome or 'none'}: {pm.headline.words}"]
    lines += [f"PROBLEM  {problem.path}: {problem.what}" for problem in pm.verified.problems]
    lines += [f"report:  {path}" for path in written.files]
    lines += [f"note:    {path} was there and is left as it was" for path in written.kept]
    lines += [f"note:    taken over from the Markdown there: {key}" for key in written.taken_over]
    lines += [f"note:    {written.missing}"] if written.missing else []
    if sealed and pm.verified.seal:
        lines.append("note:    the record is sealed, so nothing was written into it")
    return lines


# -- ``runbook history``: the incidents of this machine's records, as a table or as JSON -----------

TELL_FROM = 200
"""So many records to be read anew take long enough to say so."""


def history_command(
    *,
    site: str = "",
    outcome: str = "",
    since: str = "",
    until: str = "",
    search: str = "",
    last: int = 0,
    as_json: bool = False,
    sites: bool = False,
    map_file: str = "",
) -> None:
    """Print the incidents that fit, the newest first; ``last``: so many at most (0: all).

    ``sites``: how each site of these incidents stands instead; ``map_file``: write that as a picture, too.
    """
    query = Query.parse(site=site, outcome=outcome, since=since, until=until, text=search)
    found = past_incidents(paths.records_dir(), query, print_reading)
    if sites or map_file:
        print_standings(site_statuses(found), map_file)
    elif as_json:
        from pydantic_core import to_jsonable_python

        rows = [{**to_jsonable_python(one), "state": one.state} for one in (found[:last] if last else found)]
        out_lines(json.dumps(rows, indent=1))
    else:
        out_lines(incidents(found, most=last, working=holders_by_incident()).text().rstrip())


def print_standings(sites: Sequence[SiteStatus], map_file: str) -> None:
    """Print how each site stands, and write the map where a file is named.

    Raises RecordNotWritable where that cannot be written: what was there before is unchanged.
    """
    view = fleet_map(sites)
    out_lines(view.text().rstrip())
    if map_file:
        with quick_import():
            from runbook_lib.notebook.states import replace_file  # and with it Jupyter

        path = paths.of_user(map_file)
        replace_file(path, "".join(standalone(picture) for picture in view.pictures))
        out(f"map:     {path}")


def print_reading(count: int, total: int) -> None:
    """Say on standard error how many records of a long list were read, now and then."""
    if total >= TELL_FROM and (count == total or count % TELL_FROM == 0):
        err(f"read {count} of {total} records that are new or have changed")


def print_sites(past: Sequence[PastIncident]) -> None:
    """Print one line for each site that has an incident, and the command that says more."""
    sites = [each.site for each in site_statuses(past)]
    standing = ((site, incident_that_counts(site, past)) for site in sites)
    newest = {site: one for site, one in standing if one}
    if not newest:
        out("There is no incident yet.")
        out("Next: runbook diagnose LOGS")
        return
    working = holders_by_incident()
    rows = tuple(
        Row(site, AT_WORK, one.incident)
        if one.incident in working
        else Row(site, _stands(one), one.incident, mark=_MARKS.get(one.state, PLAIN))
        for site, one in newest.items()
    )
    table = Table(title="Sites", headers=("site", "stands", "incident"), rows=rows, whole=("incident",))
    out_lines(View(rows, (table,)).text().rstrip())
    first = next((site for site, one in newest.items() if one.is_open), next(iter(newest)))
    out(f"Next: {shlex.join(('runbook', 'status', first))}")


_MARKS = {"damaged": BAD, Outcome.FAILED: BAD, Outcome.UNKNOWN: BAD, Outcome.REPAIRED: GOOD}


def _stands(one: PastIncident) -> str:
    if one.is_open and one.state != "open":
        return f"{one.state}, open"
    if not one.is_open and one.closed_by and one.state != "closed":
        return f"{one.state}, closed"
    return one.state
