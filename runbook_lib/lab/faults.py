"""Switches that make a server misbehave, read by the few places that can. Set and cleared while the lab runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.lab.errors import LabOptionInvalid

EVERYWHERE = "*"

#: Every fault, what it does, and its settings. Each takes ``skip`` too: how often nothing happens before it begins.
KNOWN: Mapping[str, str] = {
    "forwarding_off": "the SSH server refuses to forward connections",
    "deletecert_lie": "how: done_but_stays, error_but_gone, deletes_another; entry: of that entry only",
    "listcerts_garbage": "listcerts prints text: text",
    "listcerts_truncated": "listcerts ends after keep characters: keep",
    "listcerts_edited": "whatever matches pattern in the list is printed as by (re.sub): pattern, by",
    "impostor": "another certificate of the same subject answers on the host's TLS ports: seen_from (here, peer, self)",
    "alternating": "the host's TLS ports show two certificates in turn",
    "silent": "connections to service (ssh, hm, web, ise) are accepted, and nothing is ever said: service",
    "refuse": "connections to service are reset at once: service",
    "silent_command": "commands that begin with command are never answered: command",
    "late_command": "commands that begin with command take seconds, and take effect then, hung up or not: command",
    "held_command": "commands that begin with command wait until the fault is cleared, and go on then: command",
    "held_registration": "a registration stands still at half of its way until the fault is cleared, and goes on then",
    "reset_before": "the SSH connection is reset when a command that begins with command arrives, before it runs",
    "reset_after": "the same, after it ran and before it answers",
    "slow_bytes": "the SSH server sends so many bytes a second: bytes_per_s",
    "session_limit": "more SSH sessions than limit are turned away after login: limit",
    "password_expired": "the SSH password has expired",
    "ha_broken": "the pair does not find together again, until HA is removed",
    "failed_over": "the primary fails over to the secondary, and a registration under way ends",
    "ise_api_absent": "the ISE server has no API for certificates, as before release 3.1",
    "ise_restart_put_off": "the ISE server has imported a certificate that it presents only after a restart",
    "web_locked": "the web account is locked",
    "web_password_expired": "the web password has expired",
}


@dataclass
class Fault:
    """One fault that is switched on. ``times`` is how often it will still happen; None: until cleared.

    ``over`` is set once it was cleared.
    """

    name: str
    server: str
    times: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    over: asyncio.Event = field(default_factory=asyncio.Event, repr=False, compare=False)

    def get(self, name: str, default: Any = None) -> Any:
        return self.settings.get(name, default)


class Faults:
    """The faults of one site, by name and server; ``happened`` counts those that happened."""

    def __init__(self) -> None:
        self.happened: Counter[tuple[str, str]] = Counter()
        self._on: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._on)

    def set(self, name: str, server: str = EVERYWHERE, *, times: int | None = None, **settings: Any) -> Fault:
        """Switch a fault on, in place of an earlier one of the same name and server."""
        if name not in KNOWN:
            raise LabOptionInvalid(f"the lab has no fault {name!r}; it has {', '.join(KNOWN)}")
        self._on = [fault for fault in self._on if (fault.name, fault.server) != (name, server)]
        fault = Fault(name, server, times, settings)
        self._on.append(fault)
        return fault

    def clear(self, name: str | None = None) -> None:
        """Switch one fault off everywhere, or all."""
        for fault in self._on:
            if name in (None, fault.name):
                fault.over.set()
        self._on = [fault for fault in self._on if not fault.over.is_set()]

    def on(self, name: str, server: str) -> Fault | None:
        """The fault if it is switched on for the server."""
        return next((f for f in self._on if f.name == name and f.server in (server, EVERYWHERE)), None)

    def happens(self, name: str, server: str, **about: str) -> Fault | None:
        """Like ``on``, for something that happens now: it counts, and settings must fit.

        ``command`` fits when the text begins with the setting, everything else when it is equal; a setting that
        the fault does not have fits all.
        """
        fault = self.on(name, server)
        if fault is None or not all(_fits(key, fault.get(key), value) for key, value in about.items()):
            return None
        if fault.get("skip", 0) > 0:
            fault.settings["skip"] -= 1
            return None
        self.happened[(name, server)] += 1
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._on.remove(fault)
        return fault


def _fits(key: str, wanted: str | None, value: str) -> bool:
    if wanted is None:
        return True
    return value.startswith(wanted) if key == "command" else value == wanted
