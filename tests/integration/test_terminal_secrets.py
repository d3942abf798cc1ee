"""A server that repeats the password that it was given: no command says it, whatever it prints of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cli_runs import Commands
from repair_site import QUICK
from ssh_fakes import PASSWORD, FakeAde, Terminal

from runbook_lib.lab import Lab

# At the beginning, and at the place where an error's text is cut.
GREETING = f"Welcome {PASSWORD}\r\n" + "." * (1950 - len(PASSWORD) // 2) + PASSWORD + "\r\nDo you agree? (yes/no): "
COMMANDS = {
    "check": ("check", "SITE", "--live"),
    "triage": ("fleet", "triage", "FLEET"),
    "run": ("run", "SITE", "--until", "00"),
    "fleet plan": ("fleet", "plan", "FLEET"),
    "fleet run": ("fleet", "run", "FLEET", "--until", "00"),
}
CODES = {"fleet plan": (3,), "fleet run": (1,)}
"""Where it is not the server's answer that ends the command."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """What the site has beside the server that repeats."""
    with Lab(tmp_path_factory.mktemp("echo") / "site", scenario="renewed", **QUICK) as running:
        yield running


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_says_what_a_server_echoes(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The server greets with the password and asks something, so that its words are shown: a mark stands in them."""
    monkeypatch.setenv("FAKE_ADE_PASSWORD", PASSWORD)
    commands = Commands(tmp_path)

    async def greet(terminal: Terminal) -> None:
        terminal.write(GREETING.encode())
        await terminal.read_line()

    async def story(site: Path) -> None:
        async with FakeAde(before_prompt=greet) as ade:
            given = files(site, ade)
            said = await asyncio.to_thread(commands.run, *(given.get(word, word) for word in COMMANDS[command]))
            shown = said.out + said.err
            assert ("password", PASSWORD) in ade.attempts, shown
            assert said.code in CODES.get(command, (3, 4)), shown
            assert "secret env" in shown or command not in ("check", "run"), "the others show less of an error"
            for at in range(len(PASSWORD) - 5):
                assert PASSWORD[at : at + 6] not in shown + printed(tmp_path), shown

    asyncio.run(story(lab.site_file))


def printed(folder: Path) -> str:
    """What a fleet's workers printed that nobody asked for."""
    return "".join(log.read_text() for log in folder.rglob("*.log"))


def files(site: Path, ade: FakeAde) -> dict[str, str]:
    """Write the site's file with the server in the place of its primary, and a fleet of it; return their paths."""
    value = yaml.safe_load(site.read_text())
    value["primary"]["address"] = "127.0.0.1"
    value["primary"]["ssh"] = {
        "port": ade.port,
        "user": "admin",
        "password": "env:FAKE_ADE_PASSWORD",
        "host_key": [ade.pin],
    }
    own, fleet = site.with_name("own.yaml"), site.with_name("fleet.yaml")
    own.write_text(yaml.safe_dump(value))
    fleet.write_text(yaml.safe_dump({"name": "f", "sites": [{"file": str(own)}]}))
    return {"SITE": str(own), "FLEET": str(fleet)}
