"""Old SSH algorithms that a site's file allows: the record and the report name them."""

from __future__ import annotations

from pathlib import Path

from incident_kit import Incident
from site_kit import site_with

from runbook_lib.models import Stage
from runbook_lib.notebook.opening import OLD_ALGORITHMS, note_old_algorithms
from runbook_lib.params.model import Site
from runbook_lib.record.journal import Kind
from runbook_lib.show.report import post_mortem
from runbook_lib.show.report_page import render_html, render_markdown

OLD = ("ssh-rsa", "hmac-sha1")


def allowing(site: Site) -> Site:
    ssh = site.secondary.ssh.model_copy(update={"legacy": OLD})
    return site.model_copy(update={"secondary": site.secondary.model_copy(update={"ssh": ssh})})


def test_the_journal_and_the_report_name_old_algorithms_once(tmp_path: Path) -> None:
    """One line for each server, however many stages are opened; none where nothing is allowed."""
    incident = Incident(tmp_path)
    note_old_algorithms(incident.record, site_with(), Stage.START)
    for stage in (Stage.START, Stage.LIST, Stage.DELETE):
        note_old_algorithms(incident.record, allowing(site_with()), stage)
    (line,) = [line for line in incident.record.journal.read().lines if line.about == OLD_ALGORITHMS]
    assert (line.kind, line.server) == (Kind.DECIDED, "secondary")
    assert all(name in line.seen for name in (*OLD, "SHA-1"))
    made = post_mortem(incident.record.folder)
    for text in (render_html(made, files="../"), render_markdown(made)):
        assert all(name in text for name in OLD)
        assert "SHA-1" in text
