"""Finding a browser and starting it with the right command line."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from waiting import let_pass

from runbook_lib import paths
from runbook_lib.errors import BrowserMissing
from runbook_lib.paths import find_browser
from runbook_lib.show import report_page
from runbook_lib.web import launching
from runbook_lib.web.launching import launch_arguments


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any browser; returns the only folder on its PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RUNBOOK_BROWSER", raising=False)
    monkeypatch.delenv("PLAYWRIGHT_BROWSERS_PATH", raising=False)
    monkeypatch.setattr(paths, "_BROWSER_PLACES", ())
    return folder


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_no_browser_says_what_to_install(bare: Path) -> None:
    """Without any browser BrowserMissing names one to install and the variable that points elsewhere."""
    with pytest.raises(BrowserMissing) as caught:
        find_browser()
    assert "chromium" in caught.value.next_step.lower()
    assert "RUNBOOK_BROWSER" in caught.value.next_step


def test_an_explicit_path_comes_first(bare: Path, tmp_path: Path) -> None:
    """The path of the site's file wins over the system's browser."""
    executable(bare / "chromium")
    mine = executable(tmp_path / "mine")
    assert find_browser(str(mine)) == mine


def test_an_explicit_path_that_is_not_there_is_not_replaced_by_another(bare: Path) -> None:
    """Where the site names a browser no other is taken in its place."""
    executable(bare / "chromium")
    with pytest.raises(BrowserMissing) as caught:
        find_browser("/nowhere/chrome")
    assert caught.value.found == "/nowhere/chrome"


def test_the_environment_names_a_browser(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RUNBOOK_BROWSER counts where nothing is given explicitly."""
    mine = executable(tmp_path / "mine")
    monkeypatch.setenv("RUNBOOK_BROWSER", str(mine))
    assert find_browser() == mine


def test_a_headless_shell_comes_before_chrome_edge_and_chromium(bare: Path) -> None:
    """The order is a headless shell, Chrome, Edge, Chromium."""
    for name in ("chromium", "microsoft-edge", "google-chrome", "chromium-headless-shell"):
        executable(bare / name)
    assert find_browser().name == "chromium-headless-shell"
    (bare / "chromium-headless-shell").unlink()
    assert find_browser().name == "google-chrome"
    (bare / "google-chrome").unlink()
    assert find_browser().name == "microsoft-edge"


def test_the_browser_of_playwright_is_the_last_resort(bare: Path, tmp_path: Path) -> None:
    """Where the system has none the newest one that Playwright installed is taken."""
    cache = tmp_path / "home" / ".cache" / "ms-playwright"
    for build in ("chromium-1100", "chromium-1200"):
        executable(cache / build / "chrome-linux" / "chrome")
    assert find_browser() == cache / "chromium-1200" / "chrome-linux" / "chrome"
    shell = executable(cache / "chromium_headless_shell-1200" / "chrome-linux" / "headless_shell")
    assert find_browser() == shell


def test_keys_are_pinned_in_base64() -> None:
    """The hex pins arrive in the flag as base64 of their bytes, in order."""
    pins = ["00" * 32, "AB" * 32]
    (flag,) = [word for word in launch_arguments(pins) if word.startswith("--ignore-certificate-errors")]
    expected = ",".join(base64.b64encode(bytes.fromhex(pin)).decode() for pin in pins)
    assert flag == f"--ignore-certificate-errors-spki-list={expected}"


def test_certificate_errors_are_never_ignored_in_general() -> None:
    """No flag but the pinned list touches certificate errors."""
    flags = [word.split("=")[0] for word in launch_arguments(["00" * 32])]
    assert [flag for flag in flags if "certificate" in flag] == ["--ignore-certificate-errors-spki-list"]


@pytest.mark.parametrize(("user", "expected"), [(0, True), (1000, False)])
def test_the_sandbox_is_left_out_for_root_only(user: int, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any user but root keeps Chromium's sandbox."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert ("--no-sandbox" in launch_arguments(["00" * 32])) is expected


@pytest.mark.parametrize("pin", ["", "00", "zz" * 32, "00" * 33])
def test_a_pin_that_is_no_sha256_makes_no_command_line(pin: str) -> None:
    """A malformed pin raises instead of starting a browser that trusts something else."""
    with pytest.raises(ValueError, match="64 hex digits"):
        launch_arguments([pin])


def started(monkeypatch: pytest.MonkeyPatch, begin: Callable[[Any], Coroutine[Any, Any, object]]) -> dict[str, Any]:
    """Return what the driver is asked for, to start a browser and to open a context in it."""
    asked: dict[str, Any] = {}
    page = SimpleNamespace(set_content=answer(None), pdf=answer(b"%PDF"))

    async def new_context(**options: Any) -> SimpleNamespace:
        asked.update(options)
        return SimpleNamespace(new_page=answer(page), close=answer(None))

    async def launch(**options: Any) -> SimpleNamespace:
        asked.update(options)
        return SimpleNamespace(new_context=new_context, close=answer(None))

    playwright = SimpleNamespace(chromium=SimpleNamespace(launch=launch))

    @asynccontextmanager
    async def driver() -> AsyncIterator[SimpleNamespace]:
        yield playwright

    monkeypatch.setattr(launching, "driver", driver)
    asyncio.run(begin(playwright))
    return asked


def answer(value: object) -> Callable[..., Coroutine[Any, Any, object]]:
    async def answered(*_: object, **__: object) -> object:
        return value

    return answered


def test_a_browser_starts_at_a_dead_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no relay is named nothing is reached, loopback too; no name is looked up, and WebRTC has no own way.

    Nor does the browser call its maker: that would be refused, and shown as what a page had asked for.
    """
    asked = started(monkeypatch, lambda playwright: launching.launch(playwright, Path("x")))
    assert asked["proxy"] == {"server": "http://127.0.0.1:9", "bypass": "<-loopback>"}
    assert {
        "--webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--disable-quic",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-domain-reliability",
        "--disable-sync",
    } <= set(asked["args"])


def test_the_report_is_printed_there_without_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page may hold what a device said: it is offline as well, and runs nothing."""
    asked = started(monkeypatch, lambda _: report_page._print("<p>x", Path("x"), "x"))
    assert asked["proxy"]["server"] == "http://127.0.0.1:9"
    assert (asked["offline"], asked["java_script_enabled"], asked["service_workers"]) == (True, False, "block")


def test_a_report_that_takes_too_long_ends_in_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it is: the browser is waited for until a deadline, and the HTML is named instead."""
    monkeypatch.setattr(report_page, "LONGEST_S", 0.01)
    monkeypatch.setattr(report_page, "_print", lambda *_: let_pass(60, "a report takes for ever"))
    with pytest.raises(BrowserMissing, match=r"did not print the report \(not done within 0.01 s\)") as caught:
        report_page.print_pdf("<p>x", Path("x"), title="x", journal=b"")
    assert "HTML" in caught.value.next_step
    assert "TMPDIR" in caught.value.next_step
