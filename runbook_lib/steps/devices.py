"""The site's devices: their command lines, opened once and when first needed, and the looks through them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runbook_lib.console import Console
from runbook_lib.errors import DeviceError, LoginRefused
from runbook_lib.models import Presented, Vantage
from runbook_lib.params import Site, SshAccess
from runbook_lib.prime import Keep, PrimeServer
from runbook_lib.probe import not_available, present
from runbook_lib.steps.targets import PI_SERVERS, Target, pi_server


class Devices:
    """Opens each command line at most once; ``close`` ends them all.

    ``looks`` is how often a host is looked at from each vantage: twice, so that one that shows two certificates in
    turn is noticed; once where nothing is decided by it.
    """

    def __init__(self, site: Site, keep: Keep, *, looks: int = 2) -> None:
        self._site = site
        self._looks = looks
        self._primes = {
            key: PrimeServer(
                key,
                pi_server(site, key),
                deadlines=site.deadlines,
                keep=keep,
                ignore=site.listing.ignore,
                answers=site.answers,
            )
            for key in PI_SERVERS
        }
        self._others: dict[str, Console] = {}
        self._refusals: dict[str, LoginRefused] = {}
        self._opening = asyncio.Lock()

    def prime(self, key: str) -> PrimeServer:
        """Return ``primary`` or ``secondary``; nothing is contacted before its first verb."""
        return self._primes[key]

    def tell_with(self, tell: Callable[[str], None]) -> None:
        """Say with ``tell`` what is waited for while a command takes long."""
        for prime in self._primes.values():
            prime.tell = tell

    async def look(self, target: Target) -> tuple[Presented, ...]:
        """Return what a host presents from every vantage: here, itself, and each server that pins it.

        Never raises for what a device does; a vantage that cannot be used says why.
        """
        return tuple(
            await asyncio.gather(
                self._present(target, Vantage.HERE),
                self._through(target, target.name, Vantage.SELF),
                *(self._through(target, observer, Vantage.PEER) for observer in target.observers),
            )
        )

    async def _through(self, target: Target, carrier: str, vantage: Vantage) -> Presented:
        try:
            console = await self._console(carrier, target)
        except DeviceError as error:
            return not_available(target.address, target.port, vantage=vantage, via=carrier, problem=str(error))
        if console is None:
            problem = "the site's file names no SSH access to this host"
            return not_available(target.address, target.port, vantage=vantage, via=carrier, problem=problem)
        return await self._present(target, vantage, console)

    async def _present(self, target: Target, vantage: Vantage, via: Console | None = None) -> Presented:
        deadlines = self._site.deadlines
        return await present(
            target.address, target.port, vantage=vantage, deadlines=deadlines, via=via, times=self._looks
        )

    async def _console(self, carrier: str, target: Target) -> Console | None:
        if carrier in self._primes:
            return await self._primes[carrier].console()
        if target.ssh is None:
            return None
        async with self._opening:
            if carrier in self._refusals:
                raise self._refusals[carrier]  # trying once more may lock the user
            if carrier not in self._others or not self._others[carrier].is_open:
                self._others[carrier] = await self._open(carrier, target.address, target.ssh)
            return self._others[carrier]

    async def _open(self, carrier: str, address: str, access: SshAccess) -> Console:
        try:
            return await Console.open(carrier, address, access, deadlines=self._site.deadlines)
        except LoginRefused as error:
            self._refusals[carrier] = error
            raise

    async def close(self) -> None:
        """End every session that was opened."""
        await asyncio.gather(
            *(prime.close() for prime in self._primes.values()),
            *(console.close() for console in self._others.values()),
        )
