from __future__ import annotations

from collections.abc import Iterator

import pytest
from pages_site import SECONDARY, served, site
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect, sync_playwright

from runbook_lib.lab.backend import HaView, MilestoneView
from runbook_lib.lab.pages.memory import MemoryBackend
from runbook_lib.paths import find_browser

KEY = "hakey-1"
LONG_MS = 120_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=find_browser(), timeout=LONG_MS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(LONG_MS)
    expect.set_options(timeout=LONG_MS)
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda said: problems.append(said.text) if "Security Policy" in said.text else None)
    yield opened
    context.close()
    assert problems == []


def assert_registered(backend: MemoryBackend) -> None:
    assert [(f.secondary_server, f.auth_key, f.failover) for f in backend.registered_with] == [
        (SECONDARY, KEY, "Automatic")
    ]


def test_forms_registers_by_clicking(page: Page) -> None:
    """In plain forms: log in, go through the menu, fill by label, check readiness, register, see Primary Active."""
    backend = site(skin="forms", step_s=0.05)
    with served(backend) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_label("Username").fill("root")
        page.get_by_label("Password").fill("Public123")
        page.get_by_role("button", name="Log In").click()
        page.get_by_role("button", name="Administration").hover()
        page.get_by_role("button", name="Settings").hover()
        page.get_by_role("link", name="High Availability").click()
        page.get_by_role("link", name="HA Configuration").click()
        expect(page.get_by_label("IPV4 Virtual IP")).to_be_hidden()
        page.get_by_label("Enable Virtual IP").check()
        expect(page.get_by_label("IPV4 Virtual IP")).to_be_visible()
        page.get_by_label("Enable Virtual IP").uncheck()
        page.get_by_label("Secondary Server").fill(SECONDARY)
        page.get_by_label("Authentication Key").fill(KEY)
        page.get_by_label("Failover Type").select_option("Automatic")
        page.get_by_role("button", name="Check Readiness").click()
        expect(page.get_by_role("row", name="Disk speed")).to_contain_text("Passed")
        page.get_by_role("button", name="Register").click()
        expect(page.get_by_role("button", name="Remove")).to_be_visible()
        expect(page.get_by_text("Primary Active")).to_be_visible()
        page.close()
    assert_registered(backend)


def beside(page: Page, caption: str) -> Locator:
    """The field in the cell to the right of a caption."""
    cell = f"//td[starts-with(normalize-space(.), '{caption}')]/following-sibling::td[1]"
    return page.locator(f"xpath={cell}//*[self::input or self::select]").first


def test_tables_registers_by_clicking(page: Page) -> None:
    """In nested tables: captions beside fields, a tree for a menu, a question before Register, a page that reloads."""
    backend = site(skin="tables", step_s=0.05)
    page.on("dialog", lambda dialog: dialog.accept())
    with served(backend) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        beside(page, "User Name").fill("root")
        beside(page, "Password").fill("Public123")
        page.get_by_role("button", name="Login").click()
        page.get_by_text("Administration").click()
        page.get_by_text("Settings").click()
        page.get_by_text("High Availability", exact=True).click()
        page.get_by_text("HA Configuration").click()
        expect(beside(page, "IPV4 Virtual IP")).to_be_hidden()
        beside(page, "Enable Virtual IP").check()
        expect(beside(page, "IPV4 Virtual IP")).to_be_visible()
        beside(page, "Enable Virtual IP").uncheck()
        beside(page, "Secondary Server").fill(SECONDARY)
        beside(page, "Authentication Key").fill(KEY)
        beside(page, "Failover Type").select_option("Automatic")
        page.get_by_role("button", name="Check Readiness").click()
        expect(page.get_by_text("PASS", exact=True)).to_have_count(7)
        page.get_by_role("button", name="Register").click()
        expect(page.get_by_role("button", name="Remove")).to_be_visible()
        expect(page.get_by_text("Primary Active")).to_be_visible()
        page.close()
    assert_registered(backend)


def test_tables_question_can_be_refused(page: Page) -> None:
    """In nested tables: Cancel at the question before Register starts nothing."""
    backend = site(skin="tables")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    with served(backend) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        beside(page, "User Name").fill("root")
        beside(page, "Password").fill("Public123")
        beside(page, "Password").press("Enter")
        page.get_by_text("Logout").wait_for()
        page.goto(f"http://127.0.0.1:{port}/webacs/ha/configuration")
        page.get_by_role("button", name="Register").click()
        page.close()
    assert len(asked) == 1
    assert backend.registered_with == []


def enter_spa(page: Page, port: int) -> FrameLocator:
    page.goto(f"http://127.0.0.1:{port}/")
    page.get_by_label("Username").fill("root")
    page.get_by_label("Password").fill("Public123")
    page.get_by_role("button", name="Sign In").click()
    page.get_by_role("dialog", name="What's New").get_by_role("button", name="Close").click()
    page.get_by_role("menuitem", name="Administration").click()
    page.get_by_role("menuitem", name="High Availability").click()
    frame = page.frame_locator("iframe")
    frame.get_by_role("tab", name="HA Configuration").click()
    return frame


def test_spa_registers_by_clicking(page: Page) -> None:
    """In the single page: a dialogue in the way, widgets in a frame, a question as a dialog, bars that move."""
    backend = site(skin="spa", step_s=0.05)
    with served(backend) as port:
        frame = enter_spa(page, port)
        expect(frame.get_by_label("IPV4 Virtual IP")).to_be_hidden()
        frame.get_by_role("checkbox", name="Enable Virtual IP").click()
        expect(frame.get_by_label("IPV4 Virtual IP")).to_be_visible()
        frame.get_by_role("checkbox", name="Enable Virtual IP").click()
        frame.get_by_label("Secondary Server").fill(SECONDARY)
        frame.get_by_label("Authentication Key").fill(KEY)
        frame.get_by_role("combobox", name="Failover Type").click()
        frame.get_by_role("option", name="Automatic").click()
        frame.get_by_role("button", name="Check Readiness").click()
        expect(frame.get_by_role("row", name="Disk speed")).to_contain_text("Success")
        frame.get_by_role("button", name="Register").click()
        frame.get_by_role("dialog").get_by_role("button", name="OK").click()
        expect(frame.get_by_role("button", name="Remove")).to_be_visible()
        expect(frame.get_by_text("Primary Active")).to_be_visible()
        bars = frame.get_by_role("progressbar")
        expect(bars).to_have_count(3)
        assert {bar.get_attribute("aria-valuenow") for bar in bars.all()} == {"100"}
        page.close()
    assert_registered(backend)


def test_spa_question_can_be_refused(page: Page) -> None:
    """In the single page: Cancel at the question before Register starts nothing."""
    backend = site(skin="spa")
    with served(backend) as port:
        frame = enter_spa(page, port)
        frame.get_by_role("button", name="Register").click()
        frame.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        expect(frame.get_by_role("dialog")).to_have_count(0)
        page.close()
    assert backend.registered_with == []


def test_spa_leads_to_login_when_the_session_ends(page: Page) -> None:
    """In the single page: a session that has ended takes the whole window back to the login page, not the frame."""
    with served(site(skin="spa")) as port:
        frame = enter_spa(page, port)
        page.context.clear_cookies()
        frame.get_by_role("button", name="Check Readiness").click()
        expect(page.get_by_role("button", name="Sign In")).to_be_visible()
        page.close()


@pytest.mark.parametrize("skin", ["forms", "tables", "spa"])
def test_markup_in_a_message_stays_text(page: Page, skin: str) -> None:
    """A failure message with markup in it is read as it is, in every skin."""
    evil = "<img src=x onerror=alert(1)> & <b>bold</b>"
    backend = site(skin=skin)
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    failed = MilestoneView(name="Pre-HA Registration", failed=True)
    backend._view = HaView(configuration_mode="HA not Configured", milestones=(failed,), message=evil)
    with served(backend) as port:
        page.goto(f"http://127.0.0.1:{port}/")
        page.locator("input[type=password]").fill("Public123")
        page.locator("input[type=text]").fill("root")
        page.locator("input[type=password]").press("Enter")
        page.get_by_text("Administration").wait_for()
        page.goto(f"http://127.0.0.1:{port}/webacs/ha")
        where = page.frame_locator("iframe") if skin == "spa" else page
        expect(where.get_by_text(evil)).to_be_visible()
        page.close()
