"""Before a stage is opened: which site and which incident it will be."""

from __future__ import annotations

from functools import partial

from runbook_lib import places
from runbook_lib.errors import ParameterRefused, RecordNotWritable, SiteFileInvalid
from runbook_lib.params import LabRequest, Site, known_sites, load_site_or_lab
from runbook_lib.params.draft import Draft
from runbook_lib.record import Summary, find_open, list_records
from runbook_lib.record.files import write_new
from runbook_lib.session.choice import Choice, choose, chosen, resolved
from runbook_lib.views import View
from runbook_lib.views.audience import attended
from runbook_lib.views.forms import ChoiceForm, SiteState
from runbook_lib.views.forms.choosing import Acts, opening

EXAMPLE = "example"
_LAB = "the simulated site on this machine; it is started when it is opened"


def choose_site(site: str = "", incident: str = "") -> View[str]:
    """Show what the next cell opens, and for a person a form to choose another site, or to make one.

    Contacts nothing and opens nothing. The button writes the choice, which holds wherever a notebook's
    parameters ``site`` and ``incident`` are left empty and a person runs it.
    """
    person = attended()
    found = resolved(site, incident, attended=person)
    table = opening(found.site, found.incident or "its open one, or a new one", _because(site, person=person))
    if not person:
        return View(found.site, (table,))
    sites = tuple(sorted({*known_sites(), found.site} - {EXAMPLE}))
    acts = Acts(look=look_at, choose=partial(_choose, named=site), write=partial(write_site, named=site))
    return ChoiceForm(table, found.site, sites, places.params_dir(), acts)


def _because(site: str, *, person: bool) -> str:
    if site:
        return "the parameters cell says so"
    return "it was chosen" if person and chosen() else "nothing else was chosen"


def look_at(site: str) -> SiteState:
    """Return what is known of a site without contacting anything."""
    try:
        loaded = load_site_or_lab(site)
        records = list_records(places.records_dir())
        name = "lab" if isinstance(loaded, LabRequest) else loaded.name
        return SiteState(site=site, about=_about(loaded), usable=True, incidents=_incidents(name, records))
    except SiteFileInvalid as error:
        return SiteState(site=site, about=f"{error.what}\n{error.found}", usable=False)


def _about(loaded: Site | LabRequest) -> str:
    if isinstance(loaded, LabRequest):
        return _LAB
    hosts = [("primary", loaded.primary.address), ("secondary", loaded.secondary.address)]
    hosts += [(server.name, server.address) for server in loaded.ise]
    kind = "LAB" if loaded.kind == "lab" else "PRODUCTION"
    return f"{kind}: " + ", ".join(f"{name} {address}" for name, address in hosts)


def _incidents(site: str, records: list[Summary]) -> tuple[tuple[str, str], ...]:
    """Return id and words of each incident; first what the empty id opens."""
    here = [each for each in records if each.site == site]
    open_one = find_open(places.records_dir(), site)
    first = ("", f"go on with {open_one}" if open_one else "open a new one")
    older = [
        (each.incident, f"{each.incident}: {each.outcome or 'open'}") for each in here if each.incident != open_one
    ]
    return (first, *older)


def _choose(site: str, incident: str, *, named: str = "") -> str:
    """Keep the choice; ``named`` is the site of the parameters cell, which counts more than any choice."""
    if named and named != site:
        raise ParameterRefused(
            f"The parameters cell names the site {named}, and that counts; nothing was chosen",
            next_step='empty it (site = ""), run it and this cell again, then choose',
        )
    choose(Choice(site=site, incident=incident))
    return f"Every notebook opens {site} from now on. Run the next cell."


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
    path = places.params_dir() / f"{name}.yaml"
    if name.endswith((".yaml", ".yml")):
        raise ParameterRefused(f"{name} is the name of a file", next_step="give the site's name alone, as paris")
    try:
        written = write_new(
            path, f"# Made in {made_in}. params/example.yaml explains every key.\n{draft.text}".encode()
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


__all__ = ["choose_site", "look_at", "write_file", "write_site"]
