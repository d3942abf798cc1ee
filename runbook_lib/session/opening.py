"""From a notebook's parameters to a stage at work: the site's file, the lab where it asks for one, the incident."""

from __future__ import annotations

from pathlib import Path

from runbook_lib import places
from runbook_lib.console.algorithms import MEANING
from runbook_lib.errors import DeviceUnreachable, ParameterRefused, StageOutOfOrder
from runbook_lib.models import Answer, Stage
from runbook_lib.params import LabRequest, Site, from_anywhere, load_site, load_site_or_lab, secret_references
from runbook_lib.record import Kind, Line, Record, find_open, list_records, note_template, operator, works_under_lock
from runbook_lib.record.stages import after_seal
from runbook_lib.secrets import REDACTOR, learn
from runbook_lib.session.changing import Changing
from runbook_lib.session.choice import Choice, choose, has_ended, resolved
from runbook_lib.session.runbook import Runbook, report_progress
from runbook_lib.session.stages import STAGES, ListCertificates
from runbook_lib.steps.context import Context
from runbook_lib.steps.devices import Devices
from runbook_lib.steps.targets import old_algorithms
from runbook_lib.views.audience import attended
from runbook_lib.views.progress import Progress
from runbook_lib.views.run_all import end_run_all_at_red
from runbook_lib.views.trouble import show_errors_as_advice

OLD_ALGORITHMS = "the site's file allows old SSH algorithms"

__all__ = ["open_incident", "open_runbook", "open_site"]


def open_runbook(stage: str, site: str = "", incident: str = "", approve: str = "", expect: str = "") -> Runbook:
    """Open one stage of one incident and return it; its value in a notebook is the banner.

    ``stage`` is a notebook's stem. ``site`` is a name in ``params/`` or a path; empty: what a person who runs this
    chose in ``00_start_here``, else the lab. ``incident`` empty: the chosen one, else the site's open one, or a new
    one; ``00_start_here`` opens a new one where the chosen one has ended. ``approve``: the plan's digest, in
    the stages that change something only. ``expect``: expectations beside those of the site's file, in stage 20 only
    (``secondary=sha256:…; ise=csr:FILE``).
    Nothing is contacted yet (the lab is started where the site asks for it). Raises UsageError and
    RecordError.
    """
    show_errors_as_advice(REDACTOR.redact_text)
    end_run_all_at_red()
    which = _stage(stage)
    person = attended()
    wanted = resolved(site, incident, attended=person)
    settings = open_site(wanted.site)
    ended = which is Stage.START and not incident and has_ended(wanted.incident)
    incident = "" if ended else wanted.incident
    if which is Stage.POST_MORTEM:
        incident = incident or newest_incident(settings)
    record = open_incident(settings, incident, what=which.value, given=wanted.site)
    if which is Stage.START and person:
        choose(Choice(site=wanted.site, incident=record.incident))
    learn(secret_references(settings))
    note_old_algorithms(record, settings, which)
    later: tuple[Line, ...] = ()
    if not works_under_lock(settings.name):  # a run has noted and named both already
        later = after_seal(record.journal.read().lines)
        note_template(record, which, places.opened_notebooks_dir() / f"{which}.ipynb", by_hand=True)

    def keep(answer: Answer, parsed: object) -> None:
        record.keep_answer(answer, parsed, stage=which)

    context = Context(
        site=settings,
        record=record,
        stage=which,
        devices=Devices(settings, keep),
        operator=operator(),
        records_root=places.records_dir(),
        tell=Progress() if person else report_progress,
        attended=person,
        later=later,
    )
    context.devices.tell_with(context.tell)
    kind = STAGES[which]
    changing = [each for each, its_kind in STAGES.items() if issubclass(its_kind, Changing)]
    for name, value, takers in (("approve", approve, changing), ("expect", expect, [Stage.LIST])):
        if value and which not in takers:
            raise ParameterRefused(
                f"The parameter {name} is not for this stage; it is for: {', '.join(takers)}",
                where=stage,
                next_step=f"leave {name} empty in {stage}",
            )
    if issubclass(kind, Changing):
        return kind(context, approve=approve)
    return ListCertificates(context, expect=expect) if which is Stage.LIST else kind(context)


def note_old_algorithms(record: Record, site: Site, stage: Stage) -> None:
    """Write down, once in an incident, which SSH algorithms the site's file allows although they rest on SHA-1."""
    allowed = {name: f"{', '.join(names)}; {MEANING}" for name, names in old_algorithms(site).items()}
    if not allowed:
        return
    noted = {(line.server, line.seen) for line in record.journal.read().lines if line.text == OLD_ALGORITHMS}
    for name, words in allowed.items():
        if (name, words) not in noted:
            record.journal.append(Kind.DECIDED, stage=stage, server=name, text=OLD_ALGORITHMS, seen=words)


def open_site(name_or_path: str) -> Site:
    """Return the site; starts the lab where the file asks for it and it is not up yet."""
    loaded = load_site_or_lab(name_or_path)
    if isinstance(loaded, LabRequest):
        loaded = load_site(_lab_site_file(loaded))
    return loaded


def open_incident(site: Site, incident: str, *, what: str, given: str = "") -> Record:
    """Return the record of the named incident, else of the site's open one, else of a new one.

    ``what`` says by which stage or command, and ``given`` what led it to the site's file: a name or a path.

    Raises ParameterRefused where the named incident is another site's.
    """
    root = places.records_dir()
    incident = incident or find_open(root, site.name) or ""
    if not incident:
        return Record.create(root, site.name, what=what, given=from_anywhere(given) if given else "")
    record = Record.open(root, incident)
    if record.site != site.name:
        raise ParameterRefused(
            f"Incident {incident} is of site {record.site}, not of {site.name}",
            next_step=f"give the site {record.site}, or leave the incident empty",
        )
    return record


def newest_incident(site: Site) -> str:
    """Return the site's newest incident, open or not; raises StageOutOfOrder where there is none."""
    for summary in list_records(places.records_dir(), site.name):
        if not summary.problem:
            return summary.incident
    raise StageOutOfOrder(
        f"Site {site.name} has no incident yet", next_step=f"run {Stage.START} first, or name an incident"
    )


def _stage(stage: str) -> Stage:
    try:
        return Stage(stage)
    except ValueError:
        raise ParameterRefused(f"There is no stage {stage!r}", next_step=f"one of: {', '.join(Stage)}") from None


def _lab_site_file(request: LabRequest) -> Path:
    from runbook_lib import lab

    folder = places.lab_dir()
    try:
        lab.up(folder, lab.LabOptions.from_dict(request.options()), exist_ok=True)
    except lab.LabError as error:
        raise DeviceUnreachable(
            "The lab could not be started",
            where=str(folder),
            found=str(error),
            next_step="runbook lab down, then again",
        ) from None
    return folder / "site.yaml"
