"""A site for tests, as a model: a primary, a secondary and two ISE servers at addresses that nobody has."""

from __future__ import annotations

from typing import Any

from runbook_lib.params.model import Site

PRIMARY, SECONDARY, ISE, ISE2 = "192.0.2.10", "192.0.2.20", "192.0.2.30", "192.0.2.31"
SSH = {"user": "admin", "password": "env:SSH"}


def site_with(
    *,
    policy: dict[str, Any] | None = None,
    secondary_expect: dict[str, Any] | None = None,
    addresses: tuple[str, str, str, str] = (PRIMARY, SECONDARY, ISE, ISE2),
    ports: tuple[int, int, int, int] = (8082, 8082, 443, 443),
    names: tuple[tuple[str, ...], ...] = (
        ("prime-pri",),
        ("prime-sec",),
        ("ise-1.example.com",),
        ("ise-2.example.com",),
    ),
    kind: str = "production",
) -> Site:
    """Return the site ``lab``, with what is given in the place of the usual."""
    servers = [
        {"address": address, "names": own, "health_monitor_port": port, "ssh": SSH}
        for address, own, port in zip(addresses[:2], names, ports, strict=False)
    ]
    servers[1]["expect"] = secondary_expect or {}
    ise = [
        {"name": name, "address": address, "names": own, "port": port, "user": "pi", "password": "env:ISE"}
        for name, address, own, port in zip(("ise", "ise2"), addresses[2:], names[2:], ports[2:], strict=True)
    ]
    return Site.model_validate(
        {
            "kind": kind,
            "name": "lab",
            "primary": servers[0],
            "secondary": servers[1],
            "ise": tuple(ise),
            "ha": {"auth_key": "env:KEY"},
            "policy": {"named_entries": (), **(policy or {})},
        }
    )
