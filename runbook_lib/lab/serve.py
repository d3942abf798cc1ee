"""The process behind ``daemon.up``: serves one site until it is told to end, or nobody has used it for long."""

from __future__ import annotations

import asyncio
import fcntl
import hmac
import json
import os
import secrets
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from runbook_lib.lab.daemon import ALIVE, CONTROL, READY
from runbook_lib.lab.desk import write_whole
from runbook_lib.lab.errors import LabError
from runbook_lib.lab.options import LabOptions
from runbook_lib.lab.site import SimulatedSite

_LOOK_EVERY_S = 1.0


class Control:
    """The control channel of a running lab: one line of JSON each way, on loopback, with a token."""

    def __init__(self, site: SimulatedSite, end: asyncio.Event) -> None:
        self._site = site
        self._end = end
        self._token = secrets.token_hex(16)

    async def open(self) -> asyncio.Server:
        """Listen, and say in ``control.json`` where."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        content = {"port": server.sockets[0].getsockname()[1], "token": self._token, "pid": os.getpid()}
        write_whole(self._site.core.folder / CONTROL, json.dumps(content).encode(), mode=0o600)
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._answer(json.loads(await reader.readline()))
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (ValueError, OSError):  # not one of us, or gone
            pass
        finally:
            writer.close()

    async def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        if not hmac.compare_digest(str(question.get("token", "")).encode(), self._token.encode()):
            return {"refused": "the token is not that of this lab"}
        self._site.core.touched_utc = self._site.core.clock()
        try:
            await self._do(question)
        except LabError as problem:
            return {"refused": str(problem)}
        return self._site.state_file.view()

    async def _do(self, question: dict[str, Any]) -> None:
        match question.get("verb"):
            case "renew":
                await self._site.history.renew(str(question.get("who")))
            case "fault" if question.get("name") == "none":
                await self._site.clear_fault()
            case "fault":
                await self._site.set_fault(question["name"], question["server"], **question["settings"])
            case "down":
                self._end.set()


async def serve(folder: Path, options: LabOptions, ready: int) -> None:
    """Run the site; write ``ready`` when it answers, return when it has ended."""
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    site = await SimulatedSite.start(folder, options)
    try:
        async with await Control(site, end).open():
            os.write(ready, READY)
            os.close(ready)
            await _until_over(site, end, timedelta(hours=options.idle_hours))
    finally:
        (folder / CONTROL).unlink(missing_ok=True)
        await site.close()


async def _until_over(site: SimulatedSite, end: asyncio.Event, idle: timedelta) -> None:
    while not end.is_set() and not site.broken and site.core.clock() - site.core.touched_utc < idle:
        try:
            await asyncio.wait_for(end.wait(), _LOOK_EVERY_S)
        except TimeoutError:
            continue


def main(folder: str, options: str, ready: str) -> int:
    """What ``python -m runbook_lib.lab.serve`` does, for ``daemon.up`` only: leave the starter, then serve."""
    if os.fork():
        return 0
    with (Path(folder) / ALIVE).open("ab") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        try:
            asyncio.run(serve(Path(folder), LabOptions.from_dict(json.loads(options)), int(ready)))
        except LabError as problem:
            print(problem, file=sys.stderr)  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
