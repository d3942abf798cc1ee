"""By hand, in a real browser: from a checkout without a site to the repaired one, by clicking and typing.

One story in one JupyterLab, told in the order of its tests; each goes on where the one before it ended. The lab stands
for real servers: the form is given its addresses, host keys and references, and the site is a production one.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import yaml
from accessible import gaps_between_headings, nameless, out_of_reach, said_by_colour_alone, too_faint
from descendants import each_descendant
from jupyter_page import LONG_MS, SLOW_MS, UNDRAWN, Notebook, browser_context
from lab_server import UNNAMED, Server, jupyter_server
from playwright.sync_api import Page, expect
from waiting import wait_until

from runbook_lib import lab
from runbook_lib.device.prime import identities
from runbook_lib.lab import daemon
from runbook_lib.models import Stage
from runbook_lib.params.load import load_site
from runbook_lib.paths import project_root
from runbook_lib.record.lock import SiteLock
from runbook_lib.repair.confirmation import PHRASE

CLOSE = "rb.close"
MOST_SCREENS = 28
OPEN = ("site =", "open_runbook")
SAID_OF_NAME = {True: "paris may be changed from this notebook", False: "This is not the name of the site"}
FINGERPRINT, DROP = "Fingerprint or PEM", "Drop the file of a CSR or certificate here"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with jupyter_server(tmp_path_factory.mktemp("by-hand")) as running:
        yield running


@pytest.fixture(scope="module")
def page(server: Server) -> Iterator[Page]:
    """A page of JupyterLab as the command opens it, tall enough for whole notebooks."""
    with browser_context(viewport={"width": 1500, "height": 3600}) as context:
        context.add_init_script(UNDRAWN)
        opened = context.new_page()
        opened.on("dialog", lambda dialog: dialog.accept())
        opened.goto(f"{server.base}/?token={server.token}")
        yield opened


def journal(server: Server) -> list[dict[str, Any]]:
    """Return the lines of the journal of the site's one incident."""
    [path] = server.records.glob("*-paris-*/journal.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def sent(server: Server) -> list[str]:
    """Return what reached the lab and changes something, as the lab itself saw it."""
    lines = lab.read_truth(server.lab / "truth.jsonl")
    changes = ("ncs certvalidation tofu-certs deletecert", "HA registration", "add ISE")
    return [line["what"] for line in lines if line.get("effect") and line["what"].startswith(changes)]


def assert_usable(notebook: Notebook, calls: str, part: str = ".jp-OutputArea-output") -> None:
    """A form can be used with the keyboard and a screen reader, and nothing in it is said by a colour alone."""
    shown = notebook.cell(calls).locator(part)
    assert nameless(shown) == []
    assert out_of_reach(notebook.page, shown) == []
    assert said_by_colour_alone(shown) == []
    assert gaps_between_headings(notebook.panel) == []


SCREENS: dict[str, float] = {}
"""How many screens each stage takes, by its notebook's number."""


def finish(notebook: Notebook) -> None:
    """Close a stage; then nothing that it shows is cut off at 1024 pixels, and its height at 1440 is written down."""
    notebook.run(CLOSE)
    with notebook.window(1024):
        assert notebook.cut_off() == []
    with notebook.window(1440):
        SCREENS[notebook.name] = notebook.screens(900)


def give_name(notebook: Notebook, calls: str, *names: str) -> None:
    """Run a cell that is about to change a real site, which stops it, and give these names in the form, one by one."""
    notebook.start(calls)
    cell = notebook.wait(calls)
    expect(cell).to_contain_text("This changes the production site paris; nothing was changed yet")
    for name in names:
        notebook.fill("Site's name", name)
        notebook.button("Yes, change this site").click()
        notebook.says(SAID_OF_NAME[name == "paris"])


def fields(folder: Path) -> dict[str, object]:
    """Return what is typed into the form for a new site, by label."""
    site = yaml.safe_load((folder / "site.yaml").read_text())
    typed: dict[str, object] = {"Site's name": "paris"}
    for key in ("primary", "secondary"):
        who, ssh = key.capitalize(), site[key]["ssh"]
        typed |= {
            f"{who}: address": site[key]["address"],
            f"{who}: Health Monitor port": site[key]["health_monitor_port"],
            f"{who}: SSH port": ssh["port"],
            f"{who}: SSH user": ssh["user"],
            f"{who}: SSH password": f"file:{folder}/secrets/{key}_ssh",
            f"{who}: SSH host key": ssh["host_key"][0],
            f"{who}: logs": f"{folder}/{key}/logs",
            f"{who}: zone of its logs": "UTC",
        }
    web, ise = site["primary"]["web"], site["ise"][0]
    return typed | {
        "Web pages: port": web["port"],
        "Web pages: user": web["user"],
        "Web pages: password": f"file:{folder}/secrets/primary_web",
        "HA: authentication key": f"file:{folder}/secrets/auth_key",
        "ISE: address": ise["address"],
        "ISE: port": ise["port"],
        "ISE: user": ise["user"],
        "ISE: password": f"file:{folder}/secrets/ise",
        "Further keys": yaml.safe_dump({"deadlines": site["deadlines"]}),
    }


def test_it_is_bound_to_loopback_and_asks_for_the_token(server: Server, page: Page) -> None:
    """The address is loopback's, and without the token nothing is shown."""
    assert server.base.startswith("http://127.0.0.1:")
    browser = page.context.browser
    assert browser
    assert browser.new_context().request.get(f"{server.base}/api/contents/work").status == 403


def test_it_opens_over_the_whole_width_and_runs_all_on_the_lab(page: Page) -> None:
    """Its contents are at the side, and no other file is open; nothing pops up; Run All looks at the lab."""
    start = Notebook(page, "00")
    expect(page.locator(".lm-DockPanel-widget:visible")).to_have_count(1)
    expect(page.locator("#table-of-contents").get_by_text("Close the stage")).to_be_visible()
    expect(page.locator(".jp-Dialog, .Toastify__toast")).to_have_count(0)
    start.panel.locator(".jp-MarkdownCell").first.click()
    start.menu("Run", "Run All Cells")
    expect(start.wait('open_runbook("00')).to_contain_text("LAB: simulated servers")
    expect(start.wait("rb.close").locator("tr.good")).to_contain_text("done")
    expect(start.red("rb.")).to_have_count(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="a kernel lets no other process of its user look into it")
def test_the_kernel_has_no_port_and_no_secret_that_no_site_names(server: Server, page: Page) -> None:
    """What JupyterLab started for the notebook: nothing for another user to connect to, nothing that is not for it."""
    running = each_descendant(lambda process: (process, process.cmdline()), of=server.process.pid)
    [kernel] = [process for process, command in running if any("ipykernel_launcher" in word for word in command)]
    assert kernel.net_connections("inet") == []
    assert UNNAMED not in kernel.environ()


def test_a_site_is_made_by_typing_and_no_password_stays_in_the_form(server: Server, page: Page) -> None:
    """The form says what is wrong while one types, takes no password, and writes a file for its owner alone."""
    start = Notebook(page, "00")
    start.run("choose_site")
    start.button("Make a new site").click()
    start.fill("Primary: address", "https://192.0.2.10")
    start.says("is neither an IP address nor a host name")
    password = start.panel.get_by_label("Primary: SSH password", exact=True)
    password.press_sequentially("hunter2")
    start.says("that was not a reference, and it was not kept")
    expect(password).to_have_value("")
    expect(start.button("Write the site's file")).to_be_disabled()
    assert_usable(start, "choose_site")
    for label, value in fields(server.lab).items():
        start.fill(label, value)
    key = start.panel.get_by_label("Primary: SSH host key", exact=True)
    shown = asyncssh.import_public_key(key.input_value()).get_fingerprint()
    key.fill("")
    expect(start.button("Write the site's file")).to_be_disabled()
    start.button("Show the host keys").click()
    start.says("as seen from here")
    expect(key).to_have_value("")
    start.panel.get_by_label("primary: compared in full").check()
    expect(key).to_have_value(shown)
    expect(start.button("Write the site's file")).to_be_enabled()
    assert nameless(start.cell("choose_site").locator(".rb-form")) == []
    start.button("Write the site's file").click()
    start.says("Written: params/paris.yaml")
    expect(start.button("Use this site")).to_be_focused()  # else an empty page is left where the form was
    assert stat.S_IMODE((server.checkout / "params" / "paris.yaml").stat().st_mode) == 0o600


def test_the_next_cell_opens_the_chosen_site_and_all_of_it_answers(page: Page) -> None:
    """The banner says PRODUCTION and the site's name, and no line of the preflight is other than expected."""
    start = Notebook(page, "00")
    expect(start.run('open_runbook("00')).to_contain_text("PRODUCTION: real servers")
    answers = start.run("rb.preflight")
    expect(answers.locator("summary").last).to_contain_text("All is well")
    expect(answers.locator("tr.bad, tr.doubt")).to_have_count(0)
    finish(start)
    start.panel.get_by_role("link", name="90_history").click()
    history = Notebook(page, "90")
    expect(history.run("site =", "open_history")).to_contain_text("paris")
    history.run("history.sites", "history.incidents", "history.journal")
    with history.window(1024):
        assert history.cut_off() == []
    page.get_by_role("tab", name="00_").click()


def test_the_next_notebook_opens_the_same_incident(server: Server, page: Page) -> None:
    """A click leads to 10_diagnose_logs, whose parameters are empty, and it goes on in the incident of stage 00.

    What it writes into the journal appears in 90_history by itself.
    """
    written = page.locator(".jp-CodeCell").filter(has=page.locator(".jp-InputArea-editor", has_text="history.journal"))
    expect(written).not_to_contain_text(re.compile("Z *10 *stage_"))
    logs = Notebook(page, "00").follow("10_diagnose_logs")
    expect(logs.run(*OPEN)).to_contain_text(incident(server))
    expect(logs.run("rb.diagnose").locator(".rb").first.locator("tr.bad")).to_have_count(3)
    finish(logs)
    expect(written).to_contain_text(re.compile("Z *10 *stage_ended"))


def incident(server: Server) -> str:
    [folder] = server.records.glob("*-paris-*")
    return folder.name


def test_a_bad_fingerprint_is_refused_with_the_reason(server: Server, page: Page) -> None:
    """MD5, SHA-1 and a private key are refused where they are given; what is kept afterwards is none of them."""
    lists = Notebook(page, "10").follow("20_list_certificates")
    lists.run(*OPEN, "rb.expectations")
    for digits, reason in (("ab:" * 15 + "ab", "as MD5 has"), ("AB " * 20, "as SHA-1 has")):
        lists.fill(FINGERPRINT, digits)
        lists.says(reason)
        expect(lists.button("Keep this for primary")).to_be_disabled()
    assert_usable(lists, "rb.expectations")
    key = server.lab.parent / "server.key"
    key.write_text("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n")
    lists.drop(DROP, key)
    lists.says("The file holds a private key")
    lists.fill(FINGERPRINT, "")
    expect(lists.button("Keep this for primary")).to_be_disabled()
    assert not list((server.records / incident(server)).glob("expectations/*"))


def keep(lists: Notebook, host: str) -> None:
    """Press the button, and wait until the form says that it was kept."""
    expect(lists.button(f"Keep this for {host}")).to_be_enabled()
    lists.button(f"Keep this for {host}").click()
    lists.says(f"Kept for {host}")


def test_a_wrong_fingerprint_contradicts_and_blocks_the_plan(server: Server, page: Page) -> None:
    """64 digits of another certificate: the verdict is “contradicted”, nothing would be deleted.

    What nobody knows anything of can be overridden, and what contradicts cannot. The plan above the form is made anew
    where it stands.
    """
    lists = Notebook(page, "20")
    lists.fill(FINGERPRINT, "0" * 64)
    keep(lists, "primary")
    lists.panel.get_by_label("Host", exact=True).select_option("secondary")
    lists.drop(DROP, server.lab / "desk" / "secondary.csr")
    keep(lists, "secondary")
    expect(lists.run("rb.inventory")).to_contain_text("contradicted")
    expect(lists.run("rb.plan")).to_contain_text("Blocked: nothing is changed")
    lists.run("rb.override")
    expect(lists.panel.get_by_label("Entry", exact=True).locator("option")).to_have_text(re.compile("ise"))
    lists.fill("In full words", "yes")
    lists.says("that is not the phrase")
    assert_usable(lists, "rb.override")
    lists.fill("Your name", "Ada Example")
    lists.fill("Reason", "seen on its console")
    lists.fill("In full words", PHRASE)
    expect(lists.cell("rb.plan")).not_to_contain_text("Ada Example")
    lists.button("Override").click()
    expect(lists.cell("rb.plan")).to_contain_text("Ada Example")
    expect(lists.cell("rb.plan")).to_contain_text("Blocked: nothing is changed")


def test_the_right_fingerprint_in_any_spelling_confirms(server: Server, page: Page) -> None:
    """Read out with colons, in capitals; with a certificate's file the plan then deletes the three stale entries."""
    lists = Notebook(page, "20")
    lists.panel.get_by_label("Host", exact=True).select_option("ise")
    lists.choose("CSR or certificate file", server.lab / "desk" / "ise.pem")
    keep(lists, "ise")
    digits = (server.lab / "desk" / "primary.sha256").read_text().strip().upper()
    lists.panel.get_by_label("Host", exact=True).select_option("primary")
    lists.fill(FINGERPRINT, ":".join(re.findall("..", digits)))
    keep(lists, "primary")
    lists.run("rb.inventory")
    expect(lists.run("rb.plan").get_by_text("would delete")).to_have_count(3)
    lists.run("rb.override")
    finish(lists)


def test_run_all_stops_red_at_the_approval_and_shows_where(server: Server, page: Page) -> None:
    """Run All on stage 30, in a new kernel and in a warm one, ends in view of the cell that only a person can settle.

    Nothing was sent, nothing below was run, and the stage has stopped once each time.
    """
    delete = Notebook(page, "20").follow("30_delete_stale_certificates")
    tall = page.viewport_size
    assert tall
    for width, height in ((1440, 900), (1024, 700)):
        page.set_viewport_size({"width": width, "height": height})
        delete.panel.locator(".jp-MarkdownCell").first.click()
        delete.menu("Run", "Run All Cells")
        delete.wait("rb.approval")
        expect(delete.cell("rb.approval")).to_contain_text("ApprovalMissing")
        next_step = delete.cell("rb.approval").get_by_role("alert").get_by_role("row", name="→ next")
        expect(next_step).to_be_in_viewport(ratio=1)
        delete.wait_idle()
        for below in ("rb.delete()", "rb.prove", CLOSE):
            expect(delete.cell(below).locator(".jp-InputPrompt")).to_have_text("[ ]:")
        delete.says("It stopped here.")
    page.set_viewport_size(tall)
    delete.panel.locator(".jp-MarkdownCell").first.click()
    ended = [line["seen"] for line in journal(server) if line["kind"] == "stage_ended" and line["stage"][:2] == "30"]
    assert ended == ["stopped", "stopped"]
    assert_usable(delete, "rb.approval", ".rb-form")
    assert sent(server) == []


def test_letters_and_edges_stand_out_in_light_and_dark(page: Page) -> None:
    """What the open notebooks show, forms, tables and advice, has the contrast that WCAG 2 asks for in both themes."""
    delete = Notebook(page, "30")
    try:
        for theme in ("JupyterLab Dark", "JupyterLab Light"):
            delete.theme(theme)
            for name in ("00", "20", "30"):
                shown = page.locator(".jp-NotebookPanel").filter(has=page.locator(f"h1:has-text('{name} · ')"))
                page.get_by_role("tab", name=f"{name}_").click()
                for output in shown.locator(".jp-OutputArea-output:has(.rb)").all():
                    assert too_faint(output) == []
    finally:
        page.get_by_role("tab", name="30_").click()


def test_a_second_tab_approves_nothing_twice(server: Server, page: Page) -> None:
    """The same notebook in two tabs: one approval is written, and the second press says whose it was."""
    # Both tabs save by themselves: JupyterLab asks the first one which of the two files is to stay.
    # Looked for before everything that is done from here on, so only where a dialogue stands.
    changed = page.locator("xpath=/html/body/*[contains(@class, 'jp-Dialog')]", has_text="has changed on disk")
    page.add_locator_handler(changed, lambda shown: shown.get_by_role("button", name="Overwrite").click())
    delete = Notebook(page, "30")
    delete.menu("File", "Save Notebook")
    with page.context.new_page() as other:
        copy = f"work/{incident(server)}/30_delete_stale_certificates.ipynb"
        other.goto(f"{server.base}/lab/workspaces/second/tree/{copy}")
        second = Notebook(other, "30")
        second.start("rb.approval")
        second.wait("rb.approval")
        for tab, name in ((second, "Ada Example"), (delete, "Ben Example")):
            tab.page.bring_to_front()
            tab.fill("Your name", name)
            tab.button("Approve this plan").click()
            tab.says("Ada Example")
    delete.says("has approved this plan already")
    assert [line["seen"] for line in journal(server) if line["kind"] == "approved"] == ["Ada Example"]


def test_whoever_comes_second_to_a_site_is_told_who_holds_it(server: Server, page: Page) -> None:
    """While another process changes the site, the cell that deletes ends with advice that names it; nothing is sent."""
    delete = Notebook(page, "30")
    servers = identities(load_site(server.checkout / "params" / "paris.yaml"))
    with SiteLock("paris", servers, incident="another", purpose="40_register_ha"):
        delete.start("rb.delete()")
        locked = delete.wait("rb.delete()")
        expect(locked).to_contain_text("SiteLocked")
        expect(locked).to_contain_text(f"process {os.getpid()}")
        expect(locked).to_contain_text("40_register_ha")
    assert sent(server) == []


def test_the_approved_plan_is_carried_out(server: Server, page: Page) -> None:
    """The site is asked for by its name first; then the cells that were red go on: three deletions, each once."""
    delete = Notebook(page, "30")
    delete.run("rb.approval")
    give_name(delete, "rb.delete()", "lab", "paris")
    assert_usable(delete, "rb.delete()", ".rb-form")
    assert sent(server) == []
    delete.run("rb.delete()", "rb.prove")
    finish(delete)
    assert len(sent(server)) == len(set(sent(server))) == 3


def test_the_registration_shows_a_bar_and_can_be_stopped(page: Page) -> None:
    """The bar moves; the stop button ends the cell, which says that running it again goes on."""
    register = Notebook(page, "30").follow("40_register_ha")
    register.run(*OPEN, "rb.observe", "rb.approval")
    give_name(register, "rb.readiness", "paris")
    register.run("rb.readiness")
    cell = register.start("rb.register()")
    bar = cell.locator("progress[value]")
    bar.wait_for(timeout=LONG_MS)
    first = bar.get_attribute("value")
    cell.locator(f'progress[value]:not([value="{first}"])').wait_for(timeout=LONG_MS)
    page.get_by_role("button", name="Interrupt the kernel").click()
    register.wait("rb.register()")
    expect(cell).to_contain_text("Stopped by hand")
    expect(cell).to_contain_text("its end not seen: register HA")


def test_a_reloaded_page_goes_on_and_registers_no_second_time(server: Server, page: Page) -> None:
    """Started again, the page loaded anew in the middle, the cell run once more: one registration in all.

    What was shown by then is there again, the bar too, since it was saved while the cell worked.
    """
    copy = server.records / "work" / incident(server) / "40_register_ha.ipynb"
    before = copy.read_text()

    def bar() -> bool:
        """Whether it was saved as it moves now: the cell was stopped before, and is saved with a bar from then."""
        with suppress(json.JSONDecodeError):  # it is being saved
            saved = copy.read_text()
            cells = json.loads(saved)["cells"]
            [outputs] = [cell["outputs"] for cell in cells if "rb.register()" in "".join(cell["source"])]
            return saved != before and "<progress" in json.dumps(outputs)
        return False

    daemon.fault(server.lab, "held_registration", "primary")  # it does not end before its bar is saved
    try:
        Notebook(page, "40").start("rb.register()")
        wait_until(bar, "the bar in the notebook's file")
        page.reload()
        page.locator(".jp-NotebookPanel:visible progress").wait_for()
    finally:
        daemon.fault(server.lab, "none")
    register = Notebook(page, "40")
    expect(register.cell("open_runbook")).to_contain_text("stages done: 00, 10, 20, 30")
    register.run("rb.register()", "rb.prove")
    finish(register)
    assert [what for what in sent(server) if what.startswith("HA")] == ["HA registration completed"]
    meant = [line["text"] for line in journal(server) if line["kind"] == "intent" and line["stage"].startswith("40")]
    assert meant == ["register HA"]


def test_the_ise_server_is_added_and_the_site_is_repaired(server: Server, page: Page) -> None:
    """Stages 50 and 60 by clicking; the outcome is `repaired`."""
    ise = Notebook(page, "40").follow("50_readd_ise")
    ise.run(*OPEN, "rb.observe")
    give_name(ise, "rb.readd", "paris")
    ise.run("rb.readd", "rb.prove")
    finish(ise)
    verify = ise.follow("60_verify")
    verify.run(*OPEN, "rb.verify")
    expect(verify.run("rb.outcome")).to_contain_text("repaired")
    finish(verify)
    assert [line["seen"] for line in journal(server) if line["kind"] == "outcome"] == ["repaired"]


def test_the_post_mortem_is_of_the_incident_that_has_ended(server: Server, page: Page) -> None:
    """Stage 70 opens the repaired incident, not a new one, and writes its report."""
    post_mortem = Notebook(page, "60").follow("70_post_mortem")
    expect(post_mortem.run(*OPEN)).to_contain_text(incident(server))
    expect(post_mortem.run("rb.summary")).to_contain_text("repaired")
    post_mortem.run("rb.write")
    finish(post_mortem)


def test_the_whole_repair_is_read_in_few_screens() -> None:
    """All stages as they stood when they were closed, at 1440 x 900: at most 28 screens."""
    assert len(SCREENS) == len(Stage)
    assert sum(SCREENS.values()) <= MOST_SCREENS, SCREENS


def test_ctrl_c_ends_jupyterlab_and_its_lab(server: Server, page: Page) -> None:
    """One Ctrl-C, no question: JupyterLab, its kernels and the lab are gone, and the exit code is 0."""
    page.close()
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.process.wait(timeout=SLOW_MS / 1000) == 0
    assert not lab.is_up(server.lab)
    assert server.said.read_text() == "The lab is down.\n"


def test_what_was_delivered_is_as_it_was(server: Server) -> None:
    """After the whole repair no notebook and no document of the checkout has changed: JupyterLab saved copies."""
    for folder in ("notebooks", "docs"):
        for path in filter(Path.is_file, (server.checkout / folder).rglob("*")):
            assert path.read_bytes() == (project_root() / path.relative_to(server.checkout)).read_bytes()
    assert list((server.records / "work" / incident(server)).glob("30_*.ipynb"))
