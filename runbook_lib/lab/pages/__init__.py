"""The web pages of a simulated Prime Infrastructure server: login, High Availability, ISE Servers.

They follow the published procedure (Cisco document 215335). ``handlers`` gives them to a tornado application;
``python -m runbook_lib.lab.pages`` shows them alone. All state but the login sessions lies in a ``PagesBackend``.
"""

from __future__ import annotations

from typing import Any

from tornado.web import HTTPError, RequestHandler, StaticFileHandler

from runbook_lib.lab.backend import PagesBackend
from runbook_lib.lab.errors import LabOptionInvalid
from runbook_lib.lab.pages import dojo_layer
from runbook_lib.lab.pages.auth import (
    DashboardHandler,
    HomeHandler,
    IconHandler,
    LoginHandler,
    LogoutHandler,
    RootHandler,
    SearchHandler,
)
from runbook_lib.lab.pages.base import POLICY, Pages
from runbook_lib.lab.pages.dojo import KNOBS, PARTS, find_dojo
from runbook_lib.lab.pages.ha import HaActionHandler, HaConfigurationHandler, HaProgressHandler, HaStatusHandler
from runbook_lib.lab.pages.ise import IseAddHandler, IseCommandHandler, IseHandler
from runbook_lib.lab.pages.sessions import Sessions
from runbook_lib.lab.pages.skins import STATIC, skin_named

__all__ = ["Sessions", "handlers"]


class AssetHandler(StaticFileHandler):
    """Style sheets and scripts."""

    def set_extra_headers(self, _path: str) -> None:
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-cache")


class DojoHandler(AssetHandler):
    """The files of Dojo, from wherever it lies on this machine; they change as rarely as its package."""

    def initialize(self, path: str, *_: Any, **__: Any) -> None:
        try:
            super().initialize(path=str(find_dojo() / path))
        except LabOptionInvalid as error:
            raise HTTPError(404, reason="Dojo is not installed") from error

    def set_extra_headers(self, _path: str) -> None:
        self.set_header("Cache-Control", "public, max-age=3600")


class DojoLayerHandler(RequestHandler):
    """What most pages need of Dojo, in one answer; a browser that has it is told so."""

    def get(self, theme: str = "") -> None:
        try:
            folder = find_dojo()
        except LabOptionInvalid as error:
            raise HTTPError(404, reason="Dojo is not installed") from error
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Content-Type", f"text/{'css' if theme else 'javascript'}; charset=utf-8")
        self.finish(dojo_layer.style(folder, theme) if theme else dojo_layer.script(folder))


def handlers(backend: PagesBackend, server_key: str, *, sessions: Sessions | None = None) -> list[Any]:
    """Return the routes of one server's pages, all under ``/webacs`` and ``/``, for a tornado ``Application``.

    ``sessions`` lets the caller choose how long a login lasts, and end them all. ``ValueError`` where the backend asks
    for a skin that is not there; it may change its skin later, between two pages.
    """
    skin_named(backend.skin)
    pages = {"pages": Pages(backend, sessions or Sessions(), server_key)}
    return [
        (r"/", RootHandler, pages),
        (r"/webacs/?", RootHandler, pages),
        (r"/favicon\.ico", IconHandler, pages),
        (r"/webacs/login", LoginHandler, pages),
        (r"/webacs/logout", LogoutHandler, pages),
        (r"/webacs/home", HomeHandler, pages),
        (r"/webacs/dashboard", DashboardHandler, pages),
        (r"/webacs/search", SearchHandler, pages),
        (r"/webacs/ha", HaStatusHandler, pages),
        (r"/webacs/ha/configuration", HaConfigurationHandler, pages),
        (r"/webacs/ha/progress", HaProgressHandler, pages),
        (r"/webacs/ha/(readiness|register|remove)", HaActionHandler, pages),
        (r"/webacs/ise", IseHandler, pages),
        (r"/webacs/ise/command", IseCommandHandler, pages),
        (r"/webacs/ise/add", IseAddHandler, pages),
        (r"/webacs/(?:pages/common/login\.jsp)", LoginHandler, pages),
        (r"/webacs/j_spring_security_check", LoginHandler, pages),
        (r"/webacs/loginAction\.do", RootHandler, pages),
        (r"/webacs/lib/all\.js", DojoLayerHandler),
        (rf"/webacs/lib/({'|'.join(KNOBS['theme'])})\.css", DojoLayerHandler),
        *[(rf"/webacs/lib/{part}/(.+)", DojoHandler, {"path": part}) for part in PARTS],
        (r"/webacs/static/([a-z]+\.(?:css|js))", AssetHandler, {"path": str(STATIC)}),
    ]
