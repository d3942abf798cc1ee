"""The stages of one run: they work over the same logins, and take nothing else from the stage before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import yaml
from repair_site import StartLab, changes, contacts, repair, run_stage

from runbook_lib import event_loop
from runbook_lib.errors import DeletionRefused
from runbook_lib.lab import Lab
from runbook_lib.models import Outcome, Stage
from runbook_lib.notebook import runbook
from runbook_lib.notebook.runbook import LAST_STAGE
from runbook_lib.web.pages import PrimePages

pytestmark = pytest.mark.usefixtures("one_browser")

UP_TO_HA = tuple(Stage)[:5]


@pytest.fixture(autouse=True)
def _in_one_kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is the kernel of a run with all stages; what a test leaves open is closed."""
    monkeypatch.setenv(LAST_STAGE, Stage.POST_MORTEM)
    yield
    if runbook._left is not None:
        runbook.close_connections(runbook._left[0].devices, runbook._left[1])


def logins(lab: Lab) -> Counter[tuple[str, str]]:
    """Count the logins that arrived at each server, by channel and server."""
    made = [line for line in contacts(lab) if line["what"] in ("login", "POST /webacs/login")]
    return Counter((line["channel"], line["server"]) for line in made)


def open_pages() -> PrimePages:
    """The pages that the stage before has left open."""
    assert runbook._left is not None
    pages = runbook._left[1]._pages
    assert pages is not None
    return pages


def test_a_run_logs_in_once_and_opens_again_what_was_lost_between_two_stages(start_lab: StartLab) -> None:
    """Once to each command line and once to the pages; each answer is kept for the stage that asked.

    Before 50 the server has forgotten the web session and a firewall the command lines; before 60 the browser's page is
    gone. Nothing is left open behind the last stage.
    """
    lab = start_lab("renewed")
    record = repair(lab.site_file, UP_TO_HA)
    assert logins(lab) == {("ssh", "primary"): 1, ("ssh", "secondary"): 1, ("web", "primary"): 1}
    assert runbook._left is not None
    event_loop.run(open_pages()._browser.page.context.clear_cookies())
    for prime in runbook._left[0].devices._primes.values():
        assert prime._console is not None
        event_loop.loop().call_soon_threadsafe(prime._console._connection.abort)
    run_stage(Stage.READD_ISE, lab.site_file, record.incident)
    assert logins(lab) == {("ssh", "primary"): 2, ("ssh", "secondary"): 2, ("web", "primary"): 2}
    event_loop.run(open_pages()._browser.page.close())
    run_stage(Stage.VERIFY, lab.site_file, record.incident)
    run_stage(Stage.POST_MORTEM, lab.site_file, record.incident)
    assert record.outcome() is Outcome.REPAIRED
    assert logins(lab) == {("ssh", "primary"): 2, ("ssh", "secondary"): 2, ("web", "primary"): 3}
    asked = [line for line in record.journal.read().lines if line.artifact and "listcerts" in line.artifact.path]
    assert {line.stage for line in asked} == {Stage.LIST, Stage.DELETE, Stage.REGISTER, Stage.READD_ISE, Stage.VERIFY}
    assert runbook._left is None


def test_whoever_answers_in_the_place_of_the_pages_is_not_used_because_a_stage_before_was_logged_in(
    start_lab: StartLab,
) -> None:
    """An impostor between 40 and 50: the certificate is confirmed anew, and nothing is typed or clicked."""
    lab = start_lab("renewed")
    record = repair(lab.site_file, UP_TO_HA)
    lab.set_fault("impostor", "primary")
    before = changes(lab.truth())
    with pytest.raises(DeletionRefused):
        run_stage(Stage.READD_ISE, lab.site_file, record.incident)
    assert changes(lab.truth()) == before
    assert runbook._left is None


def test_another_site_and_an_edited_one_get_connections_of_their_own(start_lab: StartLab) -> None:
    """What is left open serves the site of this file, as it was read, and the incident; else it is closed."""
    lab = start_lab("renewed")
    run_stage(Stage.START, lab.site_file)
    left = runbook._left
    assert left is not None
    edited = lab.site_file.with_name("edited.yaml")
    edited.write_text(yaml.safe_dump(yaml.safe_load(lab.site_file.read_text()) | {"policy": {"second_person": True}}))
    run_stage(Stage.DIAGNOSE, edited)
    assert runbook._left is not None
    assert runbook._left[0].devices is not left[0].devices
    assert all(prime._console is None for prime in left[0].devices._primes.values())


def test_a_stage_on_its_own_closes_what_it_opened(start_lab: StartLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand and under papermill alone nothing says that another stage follows in this kernel."""
    monkeypatch.delenv(LAST_STAGE)
    lab = start_lab("renewed")
    opened = run_stage(Stage.START, lab.site_file)
    assert all(prime._console is None for prime in opened.context.devices._primes.values())
    assert runbook._left is None
