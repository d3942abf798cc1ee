"""Login, logout, the home page and the search over the menu."""

from __future__ import annotations

from typing import Any, ClassVar

from runbook_lib.lab.pages import menu
from runbook_lib.lab.pages.base import EXPIRED, PageHandler


class LoginHandler(PageHandler):
    """The login page; every visitor gets a session without a user, for its token."""

    needs_login: ClassVar[bool] = False

    def check_xsrf_cookie(self) -> None:
        if self.session is not None:
            super().check_xsrf_cookie()

    def get(self) -> None:
        if self.session and self.session.user:
            self.redirect(menu.HOME.path)
            return
        self.session = self.session or self.start_session()
        self.answer("login", {"name": ""})

    async def post(self) -> None:
        if self.session is None:
            self.leave_for_login(EXPIRED)
            return
        name = self.field("username") or self.field("j_username")
        result = await self.backend.check_login(name, self.field("password") or self.field("j_password"))
        if result.ok:
            self.start_session(name)
            self.moved(menu.HOME.path, {"next": menu.HOME.path})
            return
        self.answer("login", {"error": result.message, "name": name})


class LogoutHandler(PageHandler):
    def post(self) -> None:
        self.start_session().notice = "You have logged out."
        if self.wants_json:
            self.finish({"next": "/webacs/login"})
        else:
            self.redirect("/webacs/login", status=303)


class HomeHandler(PageHandler):
    """The first page: one look at the server."""

    page: ClassVar[str] = "home"

    async def get(self) -> None:
        self.answer(self.page, await self.overview())

    async def overview(self) -> dict[str, Any]:
        servers = await self.backend.ise_servers()
        return {
            "configuration_mode": (await self.backend.ha_state()).configuration_mode,
            "ise_total": len(servers),
            "ise_reachable": sum(s.reachable is True for s in servers),
            "server": self.backend.host_name,
        }


class DashboardHandler(HomeHandler):
    """The home page's content alone, for a skin that shows its content in a frame."""

    page: ClassVar[str] = "dashboard"


class SearchHandler(PageHandler):
    def get(self) -> None:
        words = self.get_query_argument("q", "")
        found = [{"title": e.title, "trail": e.trail, "path": e.path} for e in menu.search(words)]
        self.answer("search", {"words": words, "found": found})


class IconHandler(PageHandler):
    """The icon that every browser asks for: there is none."""

    needs_login: ClassVar[bool] = False
    delayed: ClassVar[bool] = False
    told: ClassVar[bool] = False

    def get(self) -> None:
        self.set_status(204)


class RootHandler(PageHandler):
    """Addresses without a page of their own."""

    told: ClassVar[bool] = False

    def get(self) -> None:
        self.redirect(menu.HOME.path)
