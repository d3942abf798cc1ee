"""Measure the whole repair of one lab site against a bare script that does the same device work.

Contenders, by turns, each on a lab of its own in another process (scenario ``renewed``, skin ``dojo``, a registration
of three seconds): ``runbook run``, its record, proofs and report included; and a script with nothing but the commands,
one handshake with each host, and the clicks. Beside them how long small commands take to start. Each row says whether
its target is met. ``--quick`` takes fewer rounds; ``--write`` puts the figures into docs/performance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
from bench_fleet import children_s
from bench_web import Values, values_of, with_bare_playwright_on_dojo, write

from runbook_lib.lab import Lab

BIN = Path(sys.executable).parent
OURS, BARE = "runbook run", "bare script"
WHOLE_AIM = 1.8
SETTLE_S = 3.0
STARTS = (("--help",), 0.25), (("check", "SITE"), 0.4), (("history",), 0.4), (("verify", "INCIDENT"), 1.0)
LIST = "ncs certvalidation tofu-certs listcerts"
DELETE = "ncs certvalidation tofu-certs deletecert host "


# -- the bare script -----------------------------------------------------------------------------


class Line:
    """A command line as a script uses it: what is sent, and what comes until the prompt."""

    def __init__(self, process: asyncssh.SSHClientProcess[str]) -> None:
        self._process = process

    async def run(self, command: str) -> str:
        """Send a command, answer its question with yes, and return what it printed."""
        self._process.stdin.write(command + "\n")
        return await self.read()

    async def read(self) -> str:
        """Return what comes until the prompt."""
        said = ""
        while not said.rstrip(" ").endswith(("/admin#", "/admin>")):
            said += await self._process.stdout.read(4096)
            if said.rstrip().endswith("?") or said.rstrip().endswith("]"):
                self._process.stdin.write("yes\n")
                said += "\n"
        return said


@contextlib.asynccontextmanager
async def line(values: Values, server: str) -> AsyncIterator[Line]:
    connection = await asyncssh.connect(
        values[f"{server}_address"],
        int(values[f"{server}_ssh"]),
        username="admin",
        password=values[f"{server}_password"],
        known_hosts=None,
        config=None,
        client_keys=None,
    )
    async with connection, connection.create_process(term_type="vt100", term_size=(200, 24)) as process:
        made = Line(process)
        await made.read()
        await made.run("terminal length 0")
        yield made


async def handshake(address: str, port: int) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(address, port, ssl=context)
    writer.close()


async def with_bare_script(values: Values) -> None:
    """List, look, delete, list again; the clicks; list and ask once more. Nothing is confirmed, kept or proven."""
    hosts = [(values["primary"], 8082), (values["secondary"], 8082), (values["ise"], 9443)]
    async with line(values, "primary") as primary, line(values, "secondary") as secondary:
        for each in (primary, secondary):
            await each.run("show version")
            await each.run(LIST)
            await each.run("ncs ha status")
        for address, port in hosts:
            await handshake(address, port)
        for each, address, port in (
            (primary, *hosts[2]),
            (primary, *hosts[1]),
            (secondary, *hosts[0]),
        ):
            await each.run(f"{DELETE}{address}_{port}")
            await each.run(LIST)
        await with_bare_playwright_on_dojo(values)
        for each in (primary, secondary):
            await each.run(LIST)
            await each.run("ncs ha status")
        for address, port in hosts:
            await handshake(address, port)


def child() -> None:
    """Run the script with the values that come on standard input."""
    asyncio.run(with_bare_script(json.load(sys.stdin)))


# -- measuring -----------------------------------------------------------------------------------


@contextlib.contextmanager
def lab() -> Iterator[tuple[Path, Values]]:
    """Start a site in another process; yield its file and what a script needs to know."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--serve", folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            values = json.loads(process.stdout.readline())
            try:
                yield Path(values["site_file"]), values
            finally:
                process.communicate()


def serve(folder: str) -> None:
    """Be the lab until standard input ends."""
    with Lab(folder, scenario="renewed", registration_s=3.0, monitor_interval_s=1.0, skin="dojo") as site:
        servers = site.world["servers"]
        values = values_of(site) | {"site_file": str(site.site_file), "primary": servers["primary"]["address"]}
        for name in ("primary", "secondary"):
            values |= {
                f"{name}_address": servers[name]["address"],
                f"{name}_ssh": str(servers[name]["ports"]["ssh"]),
                f"{name}_password": site.secret(f"{name}_ssh"),
            }
        print(json.dumps(values), flush=True)
        sys.stdin.read()


def timed(command: list[str], told: str = "") -> tuple[float, float]:
    """Run a command; return its seconds by the clock and of processor time."""
    before, start = children_s(), time.perf_counter()
    done = subprocess.run(command, input=told, capture_output=True, text=True, check=False, env=environment())
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds, children_s() - before


_records = tempfile.TemporaryDirectory(prefix="bench-records-")


def environment() -> dict[str, str]:
    return os.environ | {"RUNBOOK_RECORDS": _records.name}


def repairs(rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds of each round by contender; the first round warms up and is left out."""
    seen: dict[str, list[tuple[float, float]]] = {OURS: [], BARE: []}
    for number in range(rounds + 1):
        for way in (OURS, BARE) if number % 2 else (BARE, OURS):
            with lab() as (site_file, values):
                time.sleep(SETTLE_S)  # its monitors have looked at each other once
                if way == OURS:
                    taken = timed([str(BIN / "runbook"), "run", str(site_file)])
                else:
                    taken = timed([sys.executable, __file__, "--child"], json.dumps(values))
            print(f"{f'round {number}' if number else 'warm-up'}: {way:12} {taken[0]:6.2f} s", flush=True)
            seen[way] += [taken] if number else []
    return seen


def starts(rounds: int) -> list[tuple[str, float, float]]:
    """Return what each small command takes, in seconds, and its target."""
    incident = max(path.name for path in Path(_records.name).iterdir() if path.name[:2] == "20")
    found = []
    with lab() as (site_file, _):
        for words, target in STARTS:
            named = {"SITE": str(site_file), "INCIDENT": incident}
            command = [str(BIN / "runbook"), *(named.get(word, word) for word in words)]
            found.append((" ".join(words), statistics.median(timed(command)[0] for _ in range(rounds)), target))
    return found


def verdict(value: float, target: float) -> str:
    return "met" if value <= target else "missed"


def report(seen: dict[str, list[tuple[float, float]]], small: list[tuple[str, float, float]]) -> str:
    """Return the section of the document."""
    clock = {way: statistics.median(row[0] for row in rows) for way, rows in seen.items()}
    used = {way: statistics.median(row[1] for row in rows) for way, rows in seen.items()}
    ratio = clock[OURS] / clock[BARE]
    rows = "\n".join(
        f"| `runbook {words}` | {took:.2f} | {aim:g} | {verdict(took, aim)} |" for words, took, aim in small
    )
    return f"""## The whole repair of one site

`runbook run` on a lab site (skin `dojo`, a registration of three seconds), its record, proofs and report included,
against a bare script with the same commands, one handshake with each host and the same clicks, which confirms, keeps
and proves nothing. Medians of {len(seen[OURS])} rounds by turns on {os.cpu_count()} cores, which the lab shares;
{datetime.now(UTC):%Y-%m-%d}, load at the end {os.getloadavg()[0]:.1f}.

| way | seconds | processor seconds |
|---|---|---|
| runbook run | {clock[OURS]:.1f} | {used[OURS]:.1f} |
| bare script | {clock[BARE]:.1f} | {used[BARE]:.1f} |
| ratio | {ratio:.2f} | {used[OURS] / used[BARE]:.2f} |

Target: {WHOLE_AIM} times the bare script: {verdict(ratio, WHOLE_AIM)}.

| command | seconds | target | |
|---|---|---|---|
{rows}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--child", action="store_true")
    parser.add_argument("--serve")
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
    elif given.child:
        child()
    else:
        rounds = 2 if given.quick else 5
        section = report(repairs(rounds), starts(rounds))
        print(section)
        if given.write:
            write(section)


if __name__ == "__main__":
    main()
