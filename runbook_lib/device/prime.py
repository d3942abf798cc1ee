"""One Prime Infrastructure server: its typed verbs, and what it is known by."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, TypeVar

import asyncssh

from runbook_lib import errors
from runbook_lib.device.answers import parse_ha_status, parse_version
from runbook_lib.device.command_line import Console, Session, raise_if_refused
from runbook_lib.device.dialog import no_reply
from runbook_lib.device.tofu import LIST_TOFU, is_part_of_list, parse_tofu_list
from runbook_lib.device.transcript import prompt_host
from runbook_lib.device_prompts import DELETION, HA_REMOVAL, Reply, replies
from runbook_lib.models import Answer, HaStatus, ProductVersion, TofuEntry, TofuStore
from runbook_lib.params.model import Deadlines, PiServer, Site

# -- What a Prime Infrastructure server is known by, whatever a site's file calls it: its addresses and its host keys


def identities(site: Site) -> tuple[str, ...]:
    """Return everything by which the site's two servers are known; two sites that share one of it share a server.

    Of each: its name and the port of its SSH service, each address that the name leads to now, and each host key that
    is pinned for it. Behind a jump host a name or address means what it means there. Asks the resolver; a name that
    it does not know stands for itself.
    """
    return tuple(dict.fromkeys((*_of(site.primary), *_of(site.secondary))))


def _of(server: PiServer) -> list[str]:
    access = server.ssh
    keys = [f"host-key:{fingerprint_of(pin)}" for pin in access.host_key]
    if access.jump:
        jump = f"{access.jump.address.casefold()}:{access.jump.port}"
        return [f"ssh://{jump}/{server.address.casefold()}:{access.port}", *keys]
    addresses = (server.address.casefold(), *_resolved(server.address))
    return [*(f"ssh://{address}:{access.port}" for address in addresses), *keys]


def _resolved(name: str) -> tuple[str, ...]:
    with suppress(OSError):
        addresses = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return tuple(sorted({str(address[4][0]) for address in addresses}))
    return ()


def fingerprint_of(pin: str) -> str:
    """Return the fingerprint of a pinned host key, which is one already, or an OpenSSH public key.

    Anything else is returned as it is; it is refused where it is used.
    """
    with suppress(asyncssh.KeyImportError):
        pin = str(asyncssh.import_public_key(pin).get_fingerprint("sha256"))
    return pin.strip().rstrip("=")


# -- One Prime Infrastructure server's command line as typed verbs. --------------------------------
#
# The session is opened when first needed and used again. Reads may be asked once more where the connection was
# lost, or the answer is not understood; a command that changes something is sent once, whatever happens, and what it
# prints decides nothing.
# ``listcerts`` and ``deletecert`` are published (Cisco document 215335); the other commands are recalled.

T = TypeVar("T")
Keep = Callable[[Answer, object | None], object]
"""Called with every answer and what was understood of it; None where that is nothing."""

DELETE_TOFU = "ncs certvalidation tofu-certs deletecert host {key}"
HA_STATUS = ("ncs ha status", "ncs status")  # the next one where the server does not know the one before
VERSION = "show version"
REMOVE_HA = "ncs ha remove"

_KEY = re.compile(r"[A-Za-z0-9:\[][A-Za-z0-9.:_%\[\]-]{0,255}_(?P<port>[0-9]{1,9})")


class WhoAnswers(NamedTuple):
    """What a command line shows of the server behind it; ``name`` is empty where the prompt holds none."""

    name: str
    key_kind: str
    key: str

    def is_also(self, other: WhoAnswers) -> bool:
        """Whether both may be one server: they have one name, and no two keys of one kind."""
        keys_differ = self.key_kind == other.key_kind and self.key != other.key
        return bool(self.name) and self.name.casefold() == other.name.casefold() and not keys_differ


class PrimeServer(Session):
    """The primary or the secondary, named ``key``; nothing is contacted before the first verb.

    ``keep`` is called with every answer, those included that were not understood or broke off. ``ignore`` holds
    the lines of a list that mean nothing, and ``answers`` questions after a change with their answers, both as the
    site's file says. ``on_wait`` is called with what a long command waits for; it and ``keep`` may be set anew.
    ``listed`` are the entries of the list that was read last.
    """

    def __init__(
        self,
        key: str,
        server: PiServer,
        deadlines: Deadlines,
        keep: Keep,
        *,
        ignore: Iterable[str] = (),
        answers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(key, server.address, server.ssh, deadlines)
        self.key = key
        self.on_wait: Callable[[str], None] | None = None
        self._ignore = tuple(ignore)
        self._answers = answers
        self._server = server
        self.keep = keep
        self.listed: tuple[TofuEntry, ...] = ()
        self._late = ""

    async def who_answers(self) -> WhoAnswers:
        """Return the host name in the prompt, which is published, and the host key. Raises what ``console`` raises."""
        console = await self.console()
        return WhoAnswers(prompt_host(console.prompt) or "", *console.host_key)

    async def console(self) -> Console:
        """Return the open command line. Raises what ``Console.open`` and ``require_whole_list`` raise."""
        self.require_whole_list()
        return await super().console()

    def require_whole_list(self, said: str = "") -> None:
        """Raise AnswerNotUnderstood, until the session is left, where an entry came unasked, or with ``said``.

        What came behind the prompt of a list belongs to it, and the list may have been used by now.
        """
        came = (said, self._console.late if self._console else "")
        self._late = self._late or next(filter(is_part_of_list, came), "")
        if self._late:
            what = "the TOFU list went on after its prompt had come back: what was read of it may be too short"
            then = "run the stage again; if that does not help, list by hand, and compare it with the record"
            raise errors.AnswerNotUnderstood(what, where=self.key, found=self._late, next_step=then)

    async def _leave(self) -> None:
        self._late = ""
        await super()._leave()

    async def list_tofu(self) -> TofuStore:
        """Return the TOFU list; an empty one is read once more. The command is published (docs/product-facts.md).

        Raises ``AnswerNotUnderstood`` and other ``DeviceError``.
        """
        parse = partial(parse_tofu_list, ignore=self._ignore)
        store = await self._read(LIST_TOFU, parse)
        store = store if store.entries else await self._read(LIST_TOFU, parse)
        self.listed = store.entries
        return store

    async def ha_status(self) -> HaStatus:
        """Return what the server says of high availability. The commands are recalled (docs/product-facts.md).

        Where none of them tells, what it said is the state, which nobody knows then: a look is stopped by other
        things. Raises ``DeviceError``.
        """
        words = ""
        for command in HA_STATUS:
            try:
                return await self._read(command, parse_ha_status)
            except (errors.CommandRefused, errors.AnswerNotUnderstood) as error:
                words = error.found or words
        return parse_ha_status(words or "(nothing)", self.key, datetime.now(UTC))

    async def version(self) -> ProductVersion:
        """Return the release; its form was captured by others (docs/product-facts.md). Raises ``DeviceError``."""
        return await self._read(VERSION, lambda text, server, _: parse_version(text, server))

    async def delete_tofu(self, entry_key: str) -> Answer:
        """Delete one entry, ``<host>_<port>`` to the letter as it was listed: one command, sent once.

        The command is published, what it prints is not (docs/product-facts.md).
        The answer is returned whatever it says, a refusal included: list again to see what happened. Raises
        ``UsageError`` for a key that no list would hold and ``DeletionRefused`` for the server's own entry,
        both before a connection, and ``DeviceError``, whose ``sent`` says whether the command had left. It is
        never sent again.
        """
        self._refuse_bad_key(entry_key)
        return await self._change(DELETE_TOFU.format(key=entry_key), replies(DELETION, entry_key, self._answers))

    async def remove_ha(self) -> Answer:
        """Remove the HA configuration: one command, sent once, its yes/no question answered with yes.

        Command and question are recalled (docs/product-facts.md).
        The answer is returned whatever it says: ask both servers for their HA state to see what happened. Raises
        ``DeviceError``, whose ``sent`` says whether the command had left. It is never sent again.
        """
        return await self._change(REMOVE_HA, replies(HA_REMOVAL, more=self._answers))

    async def _change(self, command: str, reply: Reply) -> Answer:
        console = await self.console()
        try:
            answer = await self._run(console, command, reply=reply)
            self.keep(answer, None)
        except errors.RecordError as error:
            error.sent = True
            error.what = f"{self.key}: {command}: it was sent, and what it said cannot be kept"
            error.next_step = (
                "free disk space, then run this stage again: it asks the server first, and sends nothing twice"
            )
            raise
        return answer

    def _refuse_bad_key(self, entry_key: str) -> None:
        shape = _KEY.fullmatch(entry_key)
        if shape is None or not 1 <= int(shape["port"]) <= 65535:
            raise errors.UsageError(
                "this is not the key of a TOFU entry; nothing was sent",
                where=self.key,
                found=entry_key,
                next_step="take the key from the list, <host>_<port>, as in 10.0.0.1_8082",
            )
        host, port = entry_key[: shape.start("port") - 1], int(shape["port"])
        own = {name.casefold() for name in (self._server.address, *self._server.names)}
        if port == self._server.health_monitor_port and host.casefold() in own:
            raise errors.DeletionRefused(
                "a server's own entry is never deleted; nothing was sent", where=self.key, found=entry_key
            )

    async def _read(self, command: str, parse: Callable[[str, str, datetime], T]) -> T:
        """Ask once more where the session ended, or where something stands in the answer that nobody understands.

        What other programs of the server write to every terminal is gone then; what belongs to the answer is not.
        """
        try:
            return await self._read_once(command, parse)
        except (errors.ConnectionLost, errors.AnswerNotUnderstood):
            return await self._read_once(command, parse)

    async def _read_once(self, command: str, parse: Callable[[str, str, datetime], T]) -> T:
        answer = await self._run(await self.console(), command, prove=True)
        parsed: T | None = None
        try:
            raise_if_refused(answer)
            if command != LIST_TOFU:
                self.require_whole_list(answer.text)
            parsed = parse(answer.text, self.key, answer.finished_utc)
        finally:
            self.keep(answer, parsed)
        return parsed

    async def _run(self, console: Console, command: str, *, reply: Reply = no_reply, prove: bool = False) -> Answer:
        console.on_wait = self.on_wait
        try:
            return await console.run(command, reply=reply, prove=prove)
        except (errors.DeviceError, asyncio.CancelledError):
            if console.unfinished is not None:
                self.keep(console.unfinished, None)
            raise
