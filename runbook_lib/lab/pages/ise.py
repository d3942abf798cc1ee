"""ISE Servers: the table, *Select a command*, and the form that adds a server."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from runbook_lib.lab.pages.base import PageHandler

LIST = "/webacs/ise"
ADD = "/webacs/ise/add"


class IseHandler(PageHandler):
    """The table of ISE servers."""

    async def get(self) -> None:
        self.answer("ise", await self.table())

    async def table(self) -> dict[str, Any]:
        return {"servers": [asdict(s) for s in await self.backend.ise_servers()]}


class IseCommandHandler(IseHandler):
    """*Select a command*, *Go*."""

    async def get(self) -> None:
        self.redirect(LIST)

    async def post(self) -> None:
        command = self.field("command")
        if command == "add":
            self.moved(ADD, {"next": ADD})
        elif command == "delete":
            await self._delete(self.get_body_arguments("selected"))
        else:
            await self._moved_to_list(error="Select a command first.")

    async def _delete(self, addresses: list[str]) -> None:
        if not addresses:
            await self._moved_to_list(error="Select at least one ISE server.")
            return
        problems = [problem for address in addresses if (problem := await self.backend.remove_ise(address))]
        notice = "" if problems else f"Deleted: {', '.join(addresses)}"
        await self._moved_to_list(notice=notice, error=" ".join(problems))

    async def _moved_to_list(self, *, notice: str = "", error: str = "") -> None:
        self.moved(LIST, {**await self.table(), "notice": notice, "error": error})


class IseAddHandler(IseHandler):
    """The form *Add ISE Server*."""

    async def get(self) -> None:
        self.answer("ise_add", {"address": "", "name": "", "port": ""})

    async def post(self) -> None:
        address, name, port = (self.field(n).strip() for n in ("address", "username", "port"))
        problem = self._missing(address, name, port)
        if not problem:
            number = int(port) if port else None
            problem = await self.backend.add_ise(address, name, self.field("password"), number) or ""
        if problem:
            self.answer("ise_add", {"error": problem, "address": address, "name": name, "port": port})
            return
        self.moved(LIST, {**await self.table(), "notice": f"ISE server {address} has been added.", "error": ""})

    def _missing(self, address: str, name: str, port: str) -> str:
        if not address:
            return "Server Address is required."
        if not name or not self.field("password"):
            return "Username and Password are required."
        if self.field("password") != self.field("confirm_password"):
            return "Password and Confirm Password do not match."
        if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            return "Port must be a number from 1 to 65535."
        return ""
