"""Before and while a stage is opened: the form that chooses a site, and from parameters to a stage at work."""

from __future__ import annotations

from functools import partial

from runbook_lib import event_loop, paths
from runbook_lib.device.login import HOST_KEY, host_key_in_shell
from runbook_lib.device.ssh import MEANING, presented_host_key
from runbook_lib.errors import ParameterRefused, RecordNotWritable, RunbookError, SiteFileInvalid, StageOutOfOrder
from runbook_lib.models import Stage
from runbook_lib.notebook import workspace
from runbook_lib.notebook.changing_stages import Changing
from runbook_lib.notebook.closing_stages import STAGES
from runbook_lib.notebook.reading_stages import ListCertificates
from runbook_lib.notebook.runbook import Runbook, devices_for, report_progress, sign_of
from runbook_lib.params.load import Draft, load_site_or_lab, secret_references
from runbook_lib.params.model import LabRequest, Site
from runbook_lib.paths import from_anywhere, known_sites
from runbook_lib.processes import operator
from runbook_lib.record.artifacts import note_template
from runbook_lib.record.attestation import after_newest_seal
from runbook_lib.record.files import write_new
from runbook_lib.record.incident import Record, find_open, list_records
from runbook_lib.record.journal import About, Kind, Line, LineTopic
from runbook_lib.record.lock import is_under_lock
from runbook_lib.repair.confirmation import USUAL
from runbook_lib.repair.context import Context, ProgressCallback, old_algorithms
from runbook_lib.repair.sent_changes import close_unfinished, outcome_unfinished, unseen_changes
from runbook_lib.secrets import REDACTOR, learn
from runbook_lib.show.advice import end_run_all_at_red, show_errors_as_advice
from runbook_lib.show.document import Table
from runbook_lib.show.incidents import ChoiceActions, ChoiceForm, SiteChoice, opening
from runbook_lib.show.progress import Progress
from runbook_lib.show.rendering import View, attended
from runbook_lib.show.site_form import ShownKey

# -- Before a stage is opened: which site and which incident it will be ----------------------------

EXAMPLE = "example"
_LAB = "the simulated site on this machine; it is started when it is opened"


def choose_site(site: str = "", incident: str = "") -> View[str]:
    """Show what the next cell opens, and for a person a form to choose another site, or to make one.

    Contacts nothing and opens nothing. The button writes the choice, which holds wherever a notebook's
    parameters ``site`` and ``incident`` are left empty and a person runs it.
    """
    person = attended()
    chosen = workspace.resolve_choice(site, incident, attended=person)

    def opens() -> Table:
        now = workspace.resolve_choice(site, incident, attended=person)
        return opening(now.site, now.incident or "its open one, or a new one", _because(site, person=person))

    if not person:
        return View(chosen.site, (opens(),))
    sites = tuple(sorted({*known_sites(), chosen.site} - {EXAMPLE}))
    acts = ChoiceActions(
        look=look_at,
        choose=partial(_choose, named=site),
        write=partial(write_site, named=site),
        host_key=show_host_key,
        close=close_incident,
    )
    return ChoiceForm(opens, chosen.site, sites, paths.params_dir(), acts)


def _because(site: str, *, person: bool) -> str:
    if site:
        return "the parameters cell says so"
    chosen = person and workspace.current_choice()
    return "you chose it, or the command that opened this" if chosen else "nothing else was chosen"


def look_at(site: str) -> SiteChoice:
    """Return what is known of a site without contacting anything."""
    try:
        loaded = load_site_or_lab(site)
        open_one = find_open(paths.records_dir(), loaded.name) or ""
        return SiteChoice(
            about=_about(loaded),
            usable=True,
            incidents=_incidents(loaded.name, open_one),
            open=open_one,
            unfinished=_unfinished(Record.open(paths.records_dir(), open_one)) if open_one else "",
        )
    except SiteFileInvalid as error:
        return SiteChoice(about=f"{error.what}\n{error.found}", usable=False)


def _about(loaded: Site | LabRequest) -> str:
    if isinstance(loaded, LabRequest):
        return _LAB
    sign = sign_of(loaded)
    return f"{'PRODUCTION' if sign.production else 'LAB'}: {sign.servers}"


def _incidents(site: str, open_one: str) -> tuple[tuple[str, str], ...]:
    """Return id and words of each incident; first what the empty id opens."""
    first = ("", f"continue with {open_one}" if open_one else "open a new one")
    here = [each for each in list_records(paths.records_dir(), site) if each.site == site]
    others = (each for each in here if each.incident != open_one)
    return first, *((each.incident, f"{each.incident}: {each.outcome or 'open'}") for each in others)


def _unfinished(record: Record) -> str:
    """Say how an incident that nobody finishes ends, and which of its changes have no known result."""
    unknown = [f"{server}: {what}" for server, what in unseen_changes(record)]
    end = f"if it is closed now, it ends as {outcome_unfinished(record)}"
    return f"{end}; sent, result not seen: {', '.join(unknown)}; look at the server" if unknown else end


def close_incident(incident: str, by: str, reason: str) -> str:
    """Close an incident that will not be finished; raises what ``close_unfinished`` raises."""
    record = Record.open(paths.records_dir(), incident)
    close_unfinished(record, by=by, reason=reason)
    return f"{incident} is closed by {by.strip()}: {record.outcome()}. The next cell opens a new incident."


def _choose(site: str, incident: str, *, named: str = "") -> str:
    """Keep the choice; ``named`` is the site of the parameters cell, which counts more than any choice."""
    if named and named != site:
        raise ParameterRefused(
            f"The parameters cell names the site {named}, and that counts; nothing was chosen",
            next_step='empty it (site = ""), run it and this cell again, then choose',
        )
    workspace.keep_choice(workspace.Choice(site=site, incident=incident))
    return f"Every notebook opens {site} from now on. Run the next cell."


def show_host_key(address: str, port: int) -> ShownKey:
    """Return the SSH host key that a server shows, beside what shows it at its own console; nobody logs in."""
    try:
        shown, kind = event_loop.run(presented_host_key(address, port, connect_s=USUAL.connect_s))
    except RunbookError as error:
        return ShownKey(f"{error.what} ({error.found})")
    return ShownKey(
        f"{shown} ({kind}), as seen from here. At the server's own (VM) console: {HOST_KEY}; below shell:"
        f" {host_key_in_shell(kind)} (both recalled, unproven). An interceptor would show another one here"
        ": compare all of it.",
        shown,
    )


def write_site(draft: Draft, *, named: str = "") -> str:
    """Write a new site's file and choose it; raises what ``write_file`` raises."""
    name = write_file(draft, "00_start_here")
    return f"Written: params/{name}.yaml, for you alone to read. {_choose(name, '', named=named)}"


def write_file(draft: Draft, made_in: str) -> str:
    """Write a new site's file into ``params/``, for the user alone to read, whole or not at all; return its name.

    Raises SiteFileInvalid where the draft has a problem or the file cannot be written, ParameterRefused where
    there is a file of that name.
    """
    if draft.site is None:
        raise SiteFileInvalid("The site's file has problems; nothing was written", next_step="see each field")
    name = draft.site.name
    path = paths.params_dir() / f"{name}.yaml"
    if name.endswith((".yaml", ".yml")):
        raise ParameterRefused(f"{name} is the name of a file", next_step="give the site's name alone, as paris")
    try:
        written = write_new(
            path, f"# Made in {made_in}. {paths.delivered()} explains every key.\n{draft.text}".encode()
        )
    except RecordNotWritable as error:
        raise SiteFileInvalid(
            "The site's file cannot be written",
            where=str(path),
            found=error.found,
            next_step="make params/ writable for you",
        ) from None
    if not written:
        raise ParameterRefused(
            f"There is a site {name} already; its file was left as it is",
            where=str(path),
            next_step="give another name",
        )
    return name


# -- From a notebook's parameters to a stage at work: the site's file, the lab where it asks for one, the incident

OLD_ALGORITHMS = About(topic=LineTopic.OLD_ALGORITHMS)


def open_runbook(stage: str, site: str = "", incident: str = "", approve: str = "", expect: str = "") -> Runbook:
    """Open one stage of one incident and return it; its value in a notebook is the banner.

    ``stage`` is a notebook's stem. ``site`` is a name in ``params/`` or a path; empty: what a person who runs this
    chose in ``00_start_here``, else the lab. ``incident`` empty: the chosen one, else the site's open one, or a new
    one; ``00_start_here`` opens a new one where the chosen one has ended. ``approve``: the plan's digest, in
    the stages that change something only. ``expect``: expectations beside those of the site's file, in stage 20 only
    (``secondary=sha256:…; ise=csr:FILE``).
    Nothing is contacted yet (the lab is started where the site asks for it). Raises UsageError and
    RecordError, and StageOutOfOrder for the post-mortem of a site without an incident, and for any other stage of an
    incident that has ended.
    """
    show_errors_as_advice(REDACTOR.redact_text)
    end_run_all_at_red()
    which = stage_named(stage)
    _refuse_strays(which, approve=approve, expect=expect)
    person = attended()
    wanted = workspace.resolve_choice(site, incident, attended=person)
    settings = workspace.open_site(wanted.site)
    ended = which is Stage.START and not incident and workspace.has_ended(wanted.incident)
    opened = _incident_for(which, settings.name, "" if ended else wanted.incident)
    record = open_incident(settings, opened, what=which.value, given=wanted.site)
    if which is not Stage.POST_MORTEM:
        record.require_open()
    if which is Stage.START and person:
        workspace.keep_choice(workspace.Choice(site=wanted.site, incident=record.incident))
    if person:
        show_errors_as_advice(REDACTOR.redact_text, workspace.path_prefix_to(record.incident))
    learn(secret_references(settings))
    note_old_algorithms(record, settings, which)
    later: tuple[Line, ...] = ()
    if not is_under_lock(settings.name):  # a run has noted and named both already
        later = after_newest_seal(record)
        note_template(record, which, workspace.opened_notebook(which), by_hand=True)
    progress: ProgressCallback = Progress() if person else report_progress
    context = Context(
        site=settings,
        record=record,
        stage=which,
        devices=devices_for(settings, record.incident, partial(record.keep_answer, stage=which), progress),
        operator=operator(),
        records_root=paths.records_dir(),
        progress=progress,
        attended=person,
        later=later,
    )
    kind = STAGES[which]
    if issubclass(kind, Changing):
        return kind(context, approve=approve)
    return ListCertificates(context, expect=expect) if which is Stage.LIST else kind(context)


def _refuse_strays(stage: Stage, *, approve: str, expect: str) -> None:
    """Raise ParameterRefused for a parameter that this stage does not take: nothing is opened for it."""
    changing = [each for each, its_kind in STAGES.items() if issubclass(its_kind, Changing)]
    for name, value, takers in (("approve", approve, changing), ("expect", expect, [Stage.LIST])):
        if value and stage not in takers:
            raise ParameterRefused(
                f"The parameter {name} is not for this stage; it is for: {', '.join(takers)}",
                where=stage,
                next_step=f"leave {name} empty in {stage}",
            )


def _incident_for(stage: Stage, site: str, chosen: str) -> str:
    """Return the incident to open, empty for the open one or a new one; a post-mortem needs one, and opens none."""
    if chosen or stage is not Stage.POST_MORTEM:
        return chosen
    newest = workspace.newest_incident(site)
    if not newest:
        raise StageOutOfOrder(
            f"Site {site} has no incident yet", next_step=f"run {Stage.START} first, or name an incident"
        )
    return newest


def note_old_algorithms(record: Record, site: Site, stage: Stage) -> None:
    """Write down, once in an incident, which SSH algorithms the site's file allows although they rest on SHA-1."""
    allowed = {name: f"{', '.join(names)}; {MEANING}" for name, names in old_algorithms(site).items()}
    if not allowed:
        return
    noted = {(line.server, line.seen) for line in record.journal.read().lines if line.about == OLD_ALGORITHMS}
    for name, words in allowed.items():
        if (name, words) not in noted:
            record.journal.append(Kind.DECIDED, stage=stage, server=name, text=OLD_ALGORITHMS, seen=words)


def open_incident(site: Site, incident: str, *, what: str, given: str = "") -> Record:
    """Return the record of the named incident, else of the site's open one, else of a new one.

    ``what`` says by which stage or command, and ``given`` what led it to the site's file: a name or a path.

    Raises ParameterRefused where the named incident is another site's.
    """
    root = paths.records_dir()
    incident = incident or find_open(root, site.name) or ""
    if not incident:
        return Record.create(root, site.name, kind=site.kind, what=what, given=given and from_anywhere(given))
    record = Record.open(root, incident)
    if record.site != site.name:
        raise ParameterRefused(
            f"Incident {incident} is of site {record.site}, not of {site.name}",
            next_step=f"give the site {record.site}, or leave the incident empty",
        )
    return record


def stage_named(text: str) -> Stage:
    """Return the stage of a number or a name, as ``20`` or ``20_list_certificates``.

    Raises ParameterRefused where there is none.
    """
    for stage in Stage:
        if text in (stage, stage[:2]):
            return stage
    raise ParameterRefused(f"There is no stage {text!r}", next_step=f"one of: {', '.join(Stage)}")
