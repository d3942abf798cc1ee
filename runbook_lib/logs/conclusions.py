"""What is concluded: mismatches from events; from a diagnosis a verdict, a timeline, entries, what to do next. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain

from runbook_lib.device.names import common_name, fits, fold_value, lone_common_name
from runbook_lib.i18n.language import count
from runbook_lib.logs.events import EventGroup, Key, group_at
from runbook_lib.logs.jobs import UNKNOWN
from runbook_lib.logs.likeness import NO_FILE, NO_FILE_IN_IT
from runbook_lib.logs.rules import PLACES, next_step, place_named
from runbook_lib.models import TofuStore
from runbook_lib.observations import Diagnosis, EntryMatch, LogLine, Mismatch, NextStep
from runbook_lib.params.values import is_localhost

NOTHING, MISMATCH, LOOK_ALIKES, UNREADABLE = 0, 10, 11, 2
"""Exit codes of ``runbook diagnose``."""

NAME_LOGS = (
    "Name the logs themselves: the Health Monitor's and the Infrastructure's (recalled: hm-*.log and ncs-*.log), "
    "or the archive as it was downloaded from the server's web pages."
)
SAY_WHOSE = (
    "Say whose logs they are and diagnose again, before anything is planned: "
    "--server primary=PATH --server secondary=PATH."
)


@dataclass(frozen=True)
class LogMoment:
    """A line of the timeline. ``utc`` is None where the log holds no date; ``said`` is the time as it stands there.

    Without ``zone_known``, ``utc`` was read as UTC without anybody's word.
    """

    utc: datetime | None
    said: str
    zone_known: bool
    server: str
    what: str
    line: LogLine | None = None
    mismatch: bool = False


def exit_code(diagnosis: Diagnosis) -> int:
    """Return the command's exit code: a mismatch counts first; without one, what was not read is no answer."""
    if diagnosis.mismatches:
        return MISMATCH
    if diagnosis.damaged or diagnosis.no_logs or _empty(diagnosis):
        return UNREADABLE
    return LOOK_ALIKES if diagnosis.look_alikes else NOTHING


def with_entries(diagnosis: Diagnosis, stores: Sequence[TofuStore]) -> Diagnosis:
    """Return the diagnosis with the entries of ``stores`` that each mismatch may mean, matched by parsed attributes.

    A store is looked at for the mismatches of its own server, and for all where either is unknown or guessed.
    """
    if not stores:
        return diagnosis
    matched = (replace(mismatch, entries=tuple(_entries(mismatch, stores))) for mismatch in diagnosis.mismatches)
    return replace(diagnosis, mismatches=tuple(matched))


def entry_note(mismatch: Mismatch, stores: int) -> str:
    """Say which entry a mismatch means as far as the lists show it; ``stores`` is how many lists were at hand."""
    if not mismatch.entries:
        return "no list of trusted certificates was given" if not stores else "no entry of the lists fits"
    lists = {UNKNOWN: "whose list is not known"}
    names = ", ".join(f"{one.key} ({lists.get(one.server, f'list of the {one.server}')})" for one in mismatch.entries)
    by_cn = " by the CN alone" if all(entry.fit == "cn_only" for entry in mismatch.entries) else ""
    if len(mismatch.entries) == 1:
        return f"{names}{', fits' + by_cn if by_cn else ''}"
    return f"ambiguous: {len(mismatch.entries)} entries fit{by_cn}, and the log does not say which: {names}"


def verdict(diagnosis: Diagnosis) -> str:
    """Return what was found, in a sentence or two."""
    sentence = _found(diagnosis)
    if diagnosis.damaged:
        names = ", ".join(damage.source for damage in diagnosis.damaged[:3])
        names += f" and {len(diagnosis.damaged) - 3} more" if len(diagnosis.damaged) > 3 else ""
        sentence += f" {names} could not be read whole: the rest is unknown."
    if diagnosis.not_logs and 0 < diagnosis.recognised_files < diagnosis.files_read:
        files = f"{diagnosis.recognised_files:,} of {count(diagnosis.files_read, 'file')}"
        lines = f"{diagnosis.recognised_lines:,} of {count(diagnosis.lines_read, 'line')}"
        sentence += f" {files} and {lines} look like logs."
    if diagnosis.recognised_files and (empty := _empty(diagnosis)):
        sentence += f" No file is in: {', '.join(empty)}."
    if missing := [server for server in diagnosis.no_logs if server != UNKNOWN or not diagnosis.not_logs]:
        sentence += f" No log was found for: {', '.join(missing)}."
    return sentence


def timeline(diagnosis: Diagnosis) -> tuple[LogMoment, ...]:
    """Return when everything that was found began and ended, and the logs' ends: earliest first, undated last."""
    moments: list[LogMoment] = []
    for mismatch in diagnosis.mismatches:
        first, last = _ends(mismatch.evidence)
        what = f"first of {mismatch.count} mismatches" if mismatch.count > 1 else "mismatch"
        ends = [(mismatch.first_utc, mismatch.first_said, f"{what}: {mismatch.subject}", first)]
        if mismatch.count > 1:
            ends.append((mismatch.last_utc, mismatch.last_said, f"last mismatch: {mismatch.subject}", last))
        for utc, said, what, line in ends:
            moments.append(LogMoment(utc, said, mismatch.zone_known, mismatch.server, what, line, True))
    for alike in diagnosis.look_alikes:
        first, last = _ends(alike.evidence)
        what = f"{alike.rule}: {alike.meaning}"
        moments.append(LogMoment(alike.first_utc, "", alike.zone_known, alike.server, what, first))
        if alike.count > 1 and alike.last_utc != alike.first_utc:
            what = f"{alike.rule}, last of {alike.count}"
            moments.append(LogMoment(alike.last_utc, "", alike.zone_known, alike.server, what, last))
    for server, end in diagnosis.log_end_utc.items():
        moments.append(LogMoment(end, "", server not in diagnosis.ends_assumed, server, "the log ends"))
    latest = datetime.max.replace(tzinfo=UTC)
    return tuple(sorted(moments, key=lambda moment: moment.utc or latest))


def next_steps(diagnosis: Diagnosis, known: Mapping[str, str]) -> tuple[NextStep, ...]:
    """Return what to do, most pressing first and each once; ``known`` (``site``, ``incident``) fills in parameters."""
    doubtful = any(mismatch.guessed or mismatch.server == UNKNOWN for mismatch in diagnosis.mismatches)
    steps = [NextStep(advice=SAY_WHOSE)] if doubtful else []
    steps += [next_step(place_named(mismatch.place), dict(known)) for mismatch in diagnosis.mismatches]
    advised = (alike for alike in diagnosis.look_alikes if alike.rule != "quoted_message")
    steps += [alike.next_step for alike in advised if alike.next_step is not None]
    if (diagnosis.not_logs and diagnosis.no_logs) or _empty(diagnosis):
        steps.append(NextStep(advice=NAME_LOGS))
    if diagnosis.damaged:
        steps.append(NextStep(advice="Download the damaged sources again and repeat the diagnosis."))
    return tuple({(step.advice, step.notebook): step for step in steps}.values())


def command_of(step: NextStep) -> str:
    """Return the command that does a next step, empty where none does; without a site, how to have one comes first."""
    if not step.notebook:
        return ""
    site = step.parameters.get("site", "")
    number = step.notebook.partition("_")[0]
    doing = "runbook check {0} --live" if number == "00" else f"runbook run {{0}} --until {number}"
    return doing.format(site) if site else f"runbook new SITE, then {doing.format('SITE')}"


def _entries(mismatch: Mismatch, stores: Iterable[TofuStore]) -> Iterable[EntryMatch]:
    for store in stores:
        sure = UNKNOWN not in (store.server, mismatch.server) and not mismatch.guessed
        if sure and store.server != mismatch.server:
            continue
        for entry in store.entries:
            fit = fits(mismatch.subject, entry.subject)
            if fit and not is_localhost(entry.host):  # under such a one a server lists itself
                yield EntryMatch(server=store.server, key=entry.key, subject=entry.subject, fit=fit.value)


def _found(diagnosis: Diagnosis) -> str:
    if diagnosis.mismatches:
        who = "; ".join(
            f"{_log_of(mismatch)} reports {count(mismatch.count, 'mismatch', 'mismatches')} of {mismatch.subject}"
            for mismatch in diagnosis.mismatches[:4]
        )
        more = f"; and {len(diagnosis.mismatches) - 4} more subjects" if len(diagnosis.mismatches) > 4 else ""
        return f"Certificate mismatch found: {who}{more}."
    if diagnosis.look_alikes:
        names = ", ".join(dict.fromkeys(alike.rule for alike in diagnosis.look_alikes))
        verdict_words = f"No mismatch found{_where(diagnosis)}, only look-alikes that no deletion repairs: {names}."
        return f"{_no_log(diagnosis)} {verdict_words}".strip()
    return _no_log(diagnosis) or f"Neither a mismatch nor a look-alike was found{_where(diagnosis)}."


def _no_log(diagnosis: Diagnosis) -> str:
    """Return a sentence if something was read and nothing in it looks like a log; empty otherwise."""
    if diagnosis.recognised_files or not diagnosis.not_logs:
        return ""
    first = diagnosis.not_logs[0]
    if len(diagnosis.not_logs) == 1 and diagnosis.files_read <= 1:
        what = f"This does not look like a log of Prime Infrastructure: {first.source} looks like {first.looks_like}."
        if _empty(diagnosis):
            what = f"There is nothing to read in {first.source}: it is {first.looks_like}."
    else:
        kinds = dict.fromkeys(other.looks_like for other in diagnosis.not_logs)
        what = f"None of these {diagnosis.files_read:,} files looks like a log; they look like: {'; '.join(kinds)}."
        if _empty(diagnosis):
            what = f"Nothing that was named looks like a log; it looks like: {'; '.join(kinds)}."
    return f"{what} It does not show whether there is a mismatch."


def _where(diagnosis: Diagnosis) -> str:
    if diagnosis.damaged or diagnosis.no_logs or _empty(diagnosis):
        return " in what could be read"
    return " in what looks like a log" if diagnosis.not_logs else ""


def _empty(diagnosis: Diagnosis) -> list[str]:
    """Return the folders and archives in which there is no file."""
    return [other.source for other in diagnosis.not_logs if other.looks_like in (NO_FILE, NO_FILE_IN_IT)]


def _log_of(mismatch: Mismatch) -> str:
    if mismatch.server == UNKNOWN:
        return "a log of an unknown server"
    return f"the {mismatch.server}'s log (guessed)" if mismatch.guessed else f"the {mismatch.server}'s log"


def _ends(evidence: Sequence[LogLine]) -> tuple[LogLine | None, LogLine | None]:
    return (evidence[0], evidence[-1]) if evidence else (None, None)


# -- Groups of events to the mismatches of one server: which of the three places, and which groups mean one subject


def mismatches_of(
    server: str, zone: str, groups: Iterable[tuple[Key, EventGroup]], *, guessed: bool = False
) -> tuple[Mismatch, ...]:
    """Return the mismatches of a server, those that mean one subject as one.

    ``zone`` is the one that was named for its logs, or empty. The groups may come from several series of logs, all of
    which are known to be the server's, or all ``guessed`` to be.
    """
    together: dict[Key, EventGroup] = {}
    for key, group in groups:
        place = place_of(server, group.kind)
        home = group_at(together, (place, *key[1:]), EventGroup(group.subject, group.name, place, group.cut))
        home.take(group)
    return tuple(
        Mismatch(
            server=server,
            place=group.kind,
            subject=group.subject,
            threads=tuple(group.threads),
            count=group.count,
            first_utc=group.times.first,
            last_utc=group.times.last,
            evidence=(*group.early, *chain.from_iterable(group.late)),
            first_said=group.times.first_said,
            last_said=group.times.last_said,
            zone_known=bool(zone) or not group.times.zoneless,
            notes=tuple(group.times.notes(zone)),
            undated=group.times.unsaid + group.times.undated,
            guessed=guessed,
        )
        for group in _merged(list(together.values()))
    )


def place_of(server: str, kind: str) -> str:
    """Return the place that a server and a kind of thread make, as published; every other pair is ``unknown``."""
    return next((place.name for place in PLACES if (place.server, place.thread) == (server, kind)), "unknown")


def _merged(groups: list[EventGroup]) -> list[EventGroup]:
    """Merge what means one subject: a subject cut off, or a CN alone, with the one full subject that it fits."""
    cut_off = [group for group in groups if group.cut]
    whole = [group for group in groups if not group.cut]
    lone = [group for group in whole if _lone(group)]
    kept = [group for group in whole if not _lone(group)]
    for rest in (lone, cut_off):
        full = list(kept)
        for group in rest:
            fitting = [each for each in full if _means(group, each)]
            same_place = [each for each in fitting if each.kind == group.kind]
            homes = same_place if group.kind != "unknown" or same_place else fitting
            if len(homes) == 1:
                homes[0].take(group)
            else:
                kept.append(group)
    return kept


def _lone(group: EventGroup) -> str:
    return lone_common_name(group.name) if group.name else ""


def _means(group: EventGroup, full: EventGroup) -> bool:
    if group.cut:
        return full.subject.startswith(group.subject)
    return full.name is not None and fold_value(common_name(full.name)) == _lone(group)
