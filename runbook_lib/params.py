"""A site's file, as a frozen and validated model.

One file in ``params/`` describes one deployment of Prime Infrastructure: a primary, a secondary
and up to two ISE servers. ``params/example.yaml`` explains every key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from runbook_lib.secrets import SecretRef

Secret = Annotated[SecretRef, BeforeValidator(SecretRef.parse)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SshAccess(_Section):
    """SSH to a server's command line. ``host_key`` pins: OpenSSH lines (``ssh-ed25519 AAAA…``) or ``SHA256:…``."""

    port: int = 22
    user: str
    password: Secret
    host_key: tuple[str, ...] = ()
    prompt_host: str = ""  # the host name that its prompt shows, where it is not obvious


class WebAccess(_Section):
    port: int = 443
    user: str
    password: Secret


class CaBundle(_Section):
    bundle: Path
    names: tuple[str, ...]


class Expectation(_Section):
    """What the operator knows of a new certificate by another way; where several are given, all must agree."""

    csr: Path | None = None
    certificate: Path | None = None
    sha256: str = ""
    ca: CaBundle | None = None
    self_: bool = Field(default=False, alias="self")


class PiServer(_Section):
    """A primary or secondary server. ``names``: further hosts under which TOFU lists may know it."""

    address: str
    names: tuple[str, ...] = ()
    health_monitor_port: int = 8082
    ssh: SshAccess
    web: WebAccess | None = None
    expect: Expectation = Expectation()
    logs: tuple[Path, ...] = ()


class IseServer(_Section):
    name: str = "ise"
    address: str
    names: tuple[str, ...] = ()
    port: int = 443
    user: str
    password: Secret
    expect: Expectation = Expectation()
    ssh: SshAccess | None = None


class HaSettings(_Section):
    auth_key: Secret
    secondary_address: str = ""  # what to type into the page; empty: the secondary's address
    email: tuple[str, ...] = ()
    failover: Literal["manual", "automatic"] = "manual"
    virtual_ipv4: str = ""
    virtual_ipv6: str = ""


class Policy(_Section):
    second_person: bool = False
    allow_older_release: bool = False
    accept_readiness: tuple[str, ...] = ()


class Deadlines(_Section):
    """Seconds."""

    connect_s: float = 15.0
    command_s: float = 60.0
    probe_s: float = 15.0
    probe_spacing_s: float = 2.0
    page_s: float = 60.0
    readiness_s: float = 600.0
    registration_s: float = 14400.0
    settle_s: float = 600.0  # how long entries and HA states may take to come back


class Site(_Section):
    kind: Literal["production", "lab"] = "production"
    name: str
    primary: PiServer
    secondary: PiServer
    ise: tuple[IseServer, ...] = ()
    ha: HaSettings
    policy: Policy = Policy()
    deadlines: Deadlines = Deadlines()
    browser: str = ""
    labels: dict[str, tuple[str, ...]] = {}
