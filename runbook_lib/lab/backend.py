"""What the web pages of one simulated server ask of the site behind them.

The pages (``runbook_lib.lab.pages``) hold no state but their login sessions; everything else comes from a
``PagesBackend``, one per PI server. Texts are what an engineer would read on the page, ready to be escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class LoginResult:
    """``message`` says why not (wrong name or password, locked, expired), and is empty where ``ok``."""

    ok: bool
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class HaForm:
    """The fields of *HA Configuration* as typed; ``failover`` is ``Manual`` or ``Automatic``."""

    secondary_server: str = ""
    auth_key: str = ""
    email: str = ""
    failover: str = "Manual"
    virtual_ip: bool = False
    virtual_ipv4: str = ""
    virtual_ipv6: str = ""


@dataclass(frozen=True, kw_only=True)
class MilestoneView:
    """One milestone's bar: its published name and 0 to 100 percent."""

    name: str
    percent: int = 0
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class HaView:
    """The High Availability page's state, kept by the site, so a reload shows the same.

    ``configuration_mode`` is the server's own HA state (``HA not Configured``, ``Primary Active`` …).
    ``milestones`` are empty where no registration was ever started. ``message`` is the error or note of
    the last registration. ``form`` holds the values last used, its authentication key always empty.
    """

    configuration_mode: str
    milestones: tuple[MilestoneView, ...] = ()
    message: str = ""
    under_way: bool = False
    form: HaForm = HaForm()


@dataclass(frozen=True, kw_only=True)
class ReadinessView:
    """One row of *Check Readiness*."""

    item: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class IseView:
    """One row of *ISE Servers*: ``reachable`` is None until PI has talked to it once."""

    address: str
    port: int
    reachable: bool | None
    status: str


class PagesBackend(Protocol):
    """One PI server as its web pages see it. All methods may be called from one event loop at any time."""

    @property
    def server_key(self) -> str:
        """``primary`` or ``secondary``."""

    @property
    def host_name(self) -> str:
        """What the server calls itself, as ``prime-pri``."""

    @property
    def skin(self) -> str:
        """Which look the pages have; an option of the lab, ``default`` unless told otherwise."""

    @property
    def page_delay_s(self) -> float:
        """How long each page keeps its reader waiting."""

    async def check_login(self, user: str, password: str) -> LoginResult:
        """Judge a login; counts wrong ones, and says when the account is locked or its password expired."""

    async def ha_state(self) -> HaView:
        """The High Availability page as of now."""

    async def check_readiness(self, form: HaForm) -> list[ReadinessView]:
        """*Check Readiness*: may take seconds; changes nothing."""

    async def register(self, form: HaForm) -> str | None:
        """*Register*: None once the registration is under way (it goes on by itself), else why it was not started."""

    async def remove_ha(self) -> str | None:
        """*Remove HA*: None when done, else why not."""

    async def ise_servers(self) -> list[IseView]:
        """The rows of *ISE Servers*."""

    async def add_ise(self, address: str, user: str, password: str, port: int | None = None) -> str | None:
        """*Save* of *Add ISE Server*: None when it was added, else the page's error. It talks to the ISE server.

        ``port`` None means the port that the lab's ISE servers listen on.
        """

    async def remove_ise(self, address: str) -> str | None:
        """*Delete ISE Server*: None when done, else why not."""

    def truth(self, event: Mapping[str, object]) -> None:
        """Write what arrived to the lab's truth log.

        ``event`` holds ``from`` (``address:port``), ``what`` (``POST /path``) and whatever else is worth
        keeping, as field names that were filled in. Time, server and channel are added. Values under the
        names ``password``, ``auth_key`` and the like are masked, but better not handed over at all.
        """
