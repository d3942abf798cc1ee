"""How long HA and each ISE server were rejected: from the first mismatch line at hand until stage 60 proved them.

What a log or a store does not say is named as not known. A mismatch line says that a connection was rejected at that
time; since when it was before the first line at hand, nobody can tell from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from runbook_lib.logs.report import when_said
from runbook_lib.models import Check, Diagnosis, Inventory, Mismatch, Stage
from runbook_lib.record.lines import Line
from runbook_lib.report.changes import ref
from runbook_lib.report.reading import Found, RecordFolder
from runbook_lib.report.values import Impact, Ref

PI = ("primary", "secondary")
HA, HA_CHECK, ISE_CHECK = "High availability", "HA state of the ", "ISE server "
HA_PLACES = ("primary_health_monitor", "secondary_health_monitor")
ISE_PLACE = "primary_infrastructure"


def impacts_of(record: RecordFolder) -> tuple[Impact, ...]:
    """Return the impact on HA and on each ISE server that the inventory knows."""
    diagnosis = record.newest(Stage.DIAGNOSE, "diagnosis", Diagnosis)
    inventory = record.newest(Stage.LIST, "inventory", Inventory)
    states = ", ".join(f"{s.server}: {s.state or 'no state'}" for s in inventory.value.ha) if inventory else ""
    ha = replace(_impact(record, HA, diagnosis, HA_PLACES, HA_CHECK), seen=states)
    return (ha, *(_ise(record, name, diagnosis, inventory) for name in _ise_names(inventory)))


def _ise_names(inventory: Found[Inventory] | None) -> tuple[str, ...]:
    return tuple(j.target for j in inventory.value.judgements if j.target not in PI) if inventory else ()


def _ise(
    record: RecordFolder, name: str, diagnosis: Found[Diagnosis] | None, inventory: Found[Inventory] | None
) -> Impact:
    found = _impact(record, f"ISE server {name}", diagnosis, (ISE_PLACE,), f"{ISE_CHECK}{name} (")
    if len(_ise_names(inventory)) > 1 and found.since_utc:
        doubt = "which of the ISE servers: the log names a subject and no address, so its first line counts for each"
        return replace(found, not_known=(*found.not_known, doubt))
    return found


def _impact(
    record: RecordFolder, what: str, diagnosis: Found[Diagnosis] | None, places: tuple[str, ...], check: str
) -> Impact:
    until = _verified(record, check)
    impact = Impact(what=what, until_utc=until.utc, until=ref(until)) if until else Impact(what=what)
    if diagnosis is None:
        return replace(impact, not_known=("since when: no log was diagnosed",))
    found = [mismatch for mismatch in diagnosis.value.mismatches if mismatch.place in places]
    dated = sorted((mismatch.first_utc, number) for number, mismatch in enumerate(found) if mismatch.first_utc)
    first = found[dated[0][1]] if dated else None
    unknown = (*_unknown(found, first, diagnosis.value), *_end_unknown(found, until))
    since = ref(diagnosis.line) if found else Ref()
    impact = replace(impact, rejected=bool(found), since=since, not_known=unknown)
    if first is None:
        return impact
    evidence = first.evidence[0] if first.evidence else None
    line = f"{evidence.source}:{evidence.number}: {evidence.text}" if evidence else ""
    return replace(impact, since_utc=first.first_utc, line=line)


def _unknown(found: list[Mismatch], first: Mismatch | None, diagnosis: Diagnosis) -> Iterable[str]:
    missing = [server for server in diagnosis.no_logs if server in PI]
    if missing:
        yield f"what the log of the {' and of the '.join(missing)} says: none was at hand"
    if diagnosis.damaged:
        yield "what stands in the parts of logs that could not be read"
    if first is None and found:
        yield f"since when: its lines hold no date ({when_said(None, found[0].first_said, zone_known=True)})"
    if first is not None:
        yield "whether it was rejected before that line: it is the first at hand"
        if not first.zone_known:
            yield "the log's time zone: it was read as UTC without anybody's word"


def _end_unknown(found: list[Mismatch], until: Line | None) -> Iterable[str]:
    if found and until is None:
        yield "when it ended, or whether it has: no check of stage 60 proves that it works"


def _verified(record: RecordFolder, name: str) -> Line | None:
    """The line of the first checks since which all about ``name`` held, whenever they were made; None: they do not."""
    since: Line | None = None
    for found in reversed(list(record.facts(Stage.VERIFY, "checks", tuple[Check, ...]))):
        about = [check.ok for check in found.value if check.name.startswith(name)]
        if not about or not all(about):
            since = None
        elif since is None:
            since = found.line
    return since
