"""What is typed into the pages."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class HaForm:
    """The HA Configuration form. ``failover`` is ``manual`` or ``automatic``; empty virtual addresses leave it off.

    ``auth_key`` is the secret itself and is not shown by ``repr``: make the form where it is used.
    """

    secondary_server: str
    auth_key: str = field(repr=False)
    email: tuple[str, ...] = ()
    failover: str = "manual"
    virtual_ipv4: str = ""
    virtual_ipv6: str = ""
