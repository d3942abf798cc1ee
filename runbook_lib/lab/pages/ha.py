"""High Availability: status, HA Configuration, Check Readiness, Register with its milestones, Remove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

from runbook_lib.lab.backend import HaForm, HaView, ReadinessView
from runbook_lib.lab.pages.base import PageHandler

STATUS = "/webacs/ha"
CONFIGURATION = "/webacs/ha/configuration"
NOT_REGISTERED = frozenset({"", "ha not configured", "stand alone"})
STARTED = "HA registration has been started."
REMOVED = "The High Availability configuration has been removed."


def ha_model(
    view: HaView, form: HaForm | None = None, readiness: Sequence[ReadinessView] | None = None
) -> dict[str, Any]:
    """Return the page's state as plain values; the authentication key is never among them."""
    shown = replace(form or view.form, auth_key="")
    return {
        "configuration_mode": view.configuration_mode,
        "milestones": [asdict(m) for m in view.milestones],
        # Shown as an error: a registration that went well is told by the mode and the milestones.
        "message": view.message if any(m.failed for m in view.milestones) else "",
        "under_way": view.under_way,
        "registered": not view.under_way and view.configuration_mode.casefold() not in NOT_REGISTERED,
        "form": asdict(shown),
        "readiness": None if readiness is None else [asdict(row) for row in readiness],
    }


class HaStatusHandler(PageHandler):
    tab: ClassVar[str] = "status"

    async def get(self) -> None:
        model = ha_model(await self.backend.ha_state())
        self.answer("ha", {**model, "tab": self.tab, "key_kept": False})


class HaConfigurationHandler(HaStatusHandler):
    tab: ClassVar[str] = "configuration"


class HaProgressHandler(PageHandler):
    """The state as JSON, for pages that watch a registration; asked every second, so neither delayed nor logged."""

    delayed: ClassVar[bool] = False
    told: ClassVar[bool] = False

    async def get(self) -> None:
        self.finish(ha_model(await self.backend.ha_state()))


class HaActionHandler(PageHandler):
    """The buttons of HA Configuration, each with an address of its own."""

    def get(self, _action: str) -> None:
        self.redirect(CONFIGURATION)

    async def post(self, action: str) -> None:
        if action == "remove":
            await self._remove()
            return
        form = self._form()
        self.living.auth_key = form.auth_key
        problem = missing(form)
        if problem:
            await self._show(form, error=problem)
        elif action == "readiness":
            await self._show(form, readiness=await self.backend.check_readiness(form))
        else:
            await self._register(form)

    async def _register(self, form: HaForm) -> None:
        problem = await self.backend.register(form)
        if problem:
            await self._show(form, error=problem)
            return
        self.living.auth_key = ""
        self.moved(CONFIGURATION, {**ha_model(await self.backend.ha_state()), "notice": STARTED, "error": ""})

    async def _remove(self) -> None:
        problem = await self.backend.remove_ha()
        messages = {"notice": "" if problem else REMOVED, "error": problem or ""}
        self.moved(CONFIGURATION, {**ha_model(await self.backend.ha_state()), **messages})

    async def _show(self, form: HaForm, *, error: str = "", readiness: list[ReadinessView] | None = None) -> None:
        model = ha_model(await self.backend.ha_state(), form, readiness)
        kept = bool(form.auth_key)
        self.answer("ha", {**model, "error": error, "tab": "configuration", "key_kept": kept})

    def _form(self) -> HaForm:
        """The form as sent. A key left empty means the one that was checked last: pages never send it back."""
        return HaForm(
            secondary_server=self.field("secondary_server").strip(),
            auth_key=self.field("auth_key") or self.living.auth_key,
            email=self.field("email").strip(),
            failover=self.field("failover") or "Manual",
            virtual_ip=self.field("virtual_ip") in ("on", "true"),
            virtual_ipv4=self.field("virtual_ipv4").strip(),
            virtual_ipv6=self.field("virtual_ipv6").strip(),
        )


def missing(form: HaForm) -> str:
    """Return what the page says of a form that cannot be sent on, empty where it can."""
    if not form.secondary_server:
        return "Secondary Server is required."
    if not form.auth_key:
        return "Authentication Key is required."
    if form.failover not in ("Manual", "Automatic"):
        return "Failover Type must be Manual or Automatic."
    if form.virtual_ip and not form.virtual_ipv4:
        return "IPV4 Virtual IP is required when Enable Virtual IP is checked."
    return ""
