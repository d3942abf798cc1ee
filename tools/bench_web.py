"""Measure the browser part (login, HA page, readiness, registration, ISE server) against a bare Playwright script.

Both do the same clicks in the same browser on the lab's skin ``forms`` or ``dojo``, by turns, each in a process of
its own. Time runs from the browser's start to its end; memory is the largest sum of the process tree's shares (PSS).
With ``--write`` the figures go into ``docs/performance.md``, section “Browser”.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright, expect

from runbook_lib.certificates.facts import spki_sha256_of
from runbook_lib.lab import Lab
from runbook_lib.params.labels import HaForm, labels_for
from runbook_lib.params.model import Deadlines
from runbook_lib.paths import find_browser
from runbook_lib.web.browser import PinnedBrowser
from runbook_lib.web.launching import launch_arguments
from runbook_lib.web.pages import PrimePages

WAYS = ("runbook", "bare")
AIM = 1.3
EMAIL = "noc@example.com"
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
Values = dict[str, str]


# -- the two ways --------------------------------------------------------------------------------


async def with_runbook(values: Values) -> None:
    """The library's own verbs, evidence included (thrown away)."""
    form = HaForm(secondary_server=values["secondary"], auth_key=values["key"], email=(EMAIL,))
    async with PinnedBrowser.open(find_browser(), values["url"], values["pin"], Deadlines()) as browser:
        pages = PrimePages(browser, labels_for(), lambda _name, _png: None)
        await pages.login("root", values["password"])
        await pages.ha_page()
        await pages.open_ha_configuration()
        await pages.check_readiness(form)
        await pages.register(form)
        await pages.watch_registration(lambda _page: None)
        await pages.add_ise(values["ise"], values["ise_user"], values["ise_password"])


def _bare(values: Values) -> list[str]:
    """A bare script has no relay, and so has to find the server by itself."""
    return [each for each in launch_arguments([values["pin"]]) if "resolver" not in each]


async def with_bare_playwright(values: Values) -> None:
    """What somebody writes for this one skin: fixed locators, the same clicks, no other check than the result."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_browser(), args=_bare(values))
        page = await (await browser.new_context(viewport={"width": 1400, "height": 1000})).new_page()

        async def menu(group: str, entry: str) -> None:
            await page.get_by_role("button", name="Administration").hover()
            await page.get_by_role("button", name=group).hover()
            await page.get_by_role("link", name=entry, exact=True).click()

        async def fill_ha() -> None:
            await page.get_by_label("Secondary Server").fill(values["secondary"])
            await page.get_by_label("Authentication Key").fill(values["key"])
            await page.get_by_label("Email Address").fill(EMAIL)
            await page.get_by_label("Failover Type").select_option("Manual")

        await page.goto(values["url"])
        await page.get_by_label("Username").fill("root")
        await page.get_by_label("Password").fill(values["password"])
        await page.get_by_role("button", name="Log In").click()
        await menu("Settings", "High Availability")
        await page.get_by_role("link", name="HA Configuration").click()
        await fill_ha()
        await page.get_by_role("button", name="Check Readiness").click()
        await expect(page.get_by_role("row", name="Database Port 1522")).to_be_visible()
        await fill_ha()
        await page.get_by_role("button", name="Register").click()
        await expect(page.locator("#mode")).to_have_text("Primary Active", timeout=60_000)
        await menu("Servers", "ISE Servers")
        await page.get_by_label("Select a command").select_option("Add ISE Server")
        await page.get_by_role("button", name="Go").click()
        await page.get_by_label("Server Address").fill(values["ise"])
        await page.get_by_label("Username").fill(values["ise_user"])
        await page.get_by_label("Password", exact=True).fill(values["ise_password"])
        await page.get_by_label("Confirm Password").fill(values["ise_password"])
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("row", name=values["ise"])).to_be_visible()
        await browser.close()


async def with_bare_playwright_on_dojo(values: Values) -> None:
    """The same for the skin of real widgets."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_browser(), args=_bare(values))
        page = await (await browser.new_context(viewport={"width": 1400, "height": 1000})).new_page()

        async def menu(group: str, entry: str) -> None:
            await page.locator(".toggleIcon").click()
            await page.get_by_role("link", name="Administration").click()
            await page.get_by_role("link", name=group, exact=True).click()
            await page.get_by_role("link", name=entry, exact=True).click()

        async def choose(closed: str, option: str) -> None:
            await page.get_by_role("listbox").filter(has_text=closed).click()
            await page.get_by_role("option", name=option).click()

        await page.goto(values["url"])
        await page.get_by_role("button", name="Log In").wait_for()
        await page.get_by_label("Username").fill("root")
        await page.get_by_label("Password").fill(values["password"])
        await page.get_by_role("button", name="Log In").click()
        await menu("Settings", "High Availability")
        await page.get_by_role("tab", name="HA Configuration").click()
        await page.get_by_label("Secondary Server").fill(values["secondary"])
        await page.get_by_label("Authentication Key").fill(values["key"])
        await page.get_by_label("Email Address").fill(EMAIL)
        await choose("Automatic", "Manual")
        await page.get_by_role("button", name="Check Readiness").click()
        await expect(page.get_by_role("row", name="Database Port 1522 Pass")).to_be_visible()
        await page.get_by_role("button", name="Register").click()
        await page.get_by_role("button", name="OK").click()
        await expect(page.locator(".modeValue")).to_have_text("Primary Active", timeout=60_000)
        await menu("Servers", "ISE Servers")
        await choose("-- Select a command --", "Add ISE Server")
        await page.get_by_role("button", name="Go", exact=True).click()
        await page.get_by_label("Server Address").fill(values["ise"])
        await page.get_by_label("Username").fill(values["ise_user"])
        await page.get_by_label("Password:", exact=True).fill(values["ise_password"])
        await page.get_by_label("Confirm Password").fill(values["ise_password"])
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("row", name=values["ise"])).to_be_visible()
        await browser.close()


BARE = {"forms": with_bare_playwright, "dojo": with_bare_playwright_on_dojo}


def child(way: str) -> None:
    """One run: the values come on standard input, the seconds go to standard output."""
    values = json.load(sys.stdin)
    start = time.perf_counter()
    asyncio.run(_run(with_runbook if way == "runbook" else BARE[values["skin"]], values))
    print(json.dumps(time.perf_counter() - start))


async def _run(act: Callable[[Values], Awaitable[None]], values: Values) -> None:
    await act(values)


# -- measuring -----------------------------------------------------------------------------------


def tree(root: int) -> list[int]:
    """Return a process and everything below it, as of now."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [root]
    for pid in found:
        found += parents.get(pid, [])
    return found


def memory_of(pid: int) -> int:
    """Return a process's share of memory in KiB, 0 where it has gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+)", text, re.M)
    return int(found[1]) if found else 0


def measure(way: str, values: Values) -> tuple[float, float]:
    """Run one way in a process of its own; return seconds and the peak in MiB."""
    command = [sys.executable, __file__, "--child", way]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        peak, ended = [0], threading.Event()

        def sample() -> None:
            while not ended.wait(0.1):
                peak[0] = max(peak[0], sum(memory_of(pid) for pid in tree(process.pid)))

        sampler = threading.Thread(target=sample)
        sampler.start()
        out, _ = process.communicate(json.dumps(values))
        ended.set()
        sampler.join()
    if process.returncode:
        raise SystemExit(f"{way} failed with {process.returncode}")
    return json.loads(out), peak[0] / 1024


def values_of(lab: Lab) -> Values:
    """What is typed and where, from the lab."""
    servers = lab.world["servers"]
    primary, ise = servers["primary"], servers["ise"]

    async def key(pages: Any) -> str:
        return spki_sha256_of(pages._core.world.pi["primary"].identity.der)

    return {
        "url": f"https://{primary['address']}:{primary['ports']['web']}",
        "pin": lab.on_pages("primary", key),
        "password": lab.secret("primary_web"),
        "key": lab.secret("auth_key"),
        "secondary": servers["secondary"]["address"],
        "ise": ise["address"],
        "ise_user": "piadmin",
        "ise_password": lab.secret("ise"),
        "skin": lab.options.skin,
    }


def undo(lab: Lab, ise: str) -> None:
    """Take HA and the ISE server away again."""
    lab.on_pages("primary", lambda pages: pages.remove_ha())
    lab.on_pages("primary", lambda pages: pages.remove_ise(ise))


def bench(runs: int, skin: str) -> dict[str, tuple[float, float]]:
    """Return the medians of seconds and MiB by way."""
    seen: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder, Lab(folder, scenario="healthy", registration_s=1.0, skin=skin) as lab:
        values = values_of(lab)
        for number in range(runs + 1):
            for way in WAYS if number % 2 else WAYS[::-1]:
                undo(lab, values["ise"])
                seconds, peak = measure(way, values)
                print(
                    f"{'warm-up' if not number else f'run {number}'}: {way:8} {seconds:6.2f} s {peak:6.0f} MiB",
                    flush=True,
                )
                if number:
                    seen[way].append((seconds, peak))
    return {way: (_median(found, 0), _median(found, 1)) for way, found in seen.items()}


def _median(found: list[tuple[float, float]], column: int) -> float:
    return statistics.median(row[column] for row in found)


def report(medians: dict[str, tuple[float, float]], runs: int, skin: str) -> str:
    """Return the section of the document."""
    (ours_s, ours_mib), (bare_s, bare_mib) = medians["runbook"], medians["bare"]
    return f"""## Browser{"" if skin == "forms" else f" on {skin}"}

Login, HA page, readiness, registration (one second in the lab) and an ISE server, in the lab's skin `{skin}`, against
a bare Playwright script with the same clicks. Medians of {runs} runs by turns in one go on {os.cpu_count()} cores,
{datetime.now(UTC):%Y-%m-%d}; the aim is {AIM} times.

| way | seconds | peak memory, MiB |
|---|---|---|
| this runbook | {ours_s:.2f} | {ours_mib:.0f} |
| bare Playwright | {bare_s:.2f} | {bare_mib:.0f} |
| ratio | {ours_s / bare_s:.2f} | {ours_mib / bare_mib:.2f} |
"""


def write(section: str) -> None:
    """Put the section into the document, in the place of the one that is there."""
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else "# Performance\n"
    heading = re.escape(section.splitlines()[0])
    without = re.sub(rf"^{heading}\n.*?(?=^## |\Z)", "", text, flags=re.M | re.S)
    DOCUMENT.write_text(without.rstrip("\n") + "\n\n" + section, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--child", choices=WAYS)
    parser.add_argument("--skin", choices=sorted(BARE), default="forms")
    given = parser.parse_args()
    if given.child:
        child(given.child)
        return
    section = report(bench(given.runs, given.skin), given.runs, given.skin)
    print(section)
    if given.write:
        write(section)


if __name__ == "__main__":
    main()
