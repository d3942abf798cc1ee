"""What every page's handler does: session, forgery token, delay, truth log, and the answer in HTML or JSON."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from tornado.web import HTTPError, RequestHandler

from runbook_lib.lab.backend import PagesBackend
from runbook_lib.lab.pages.menu import ENTRIES
from runbook_lib.lab.pages.sessions import Session, Sessions
from runbook_lib.lab.pages.skins import skin_named

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; frame-ancestors 'self'; form-action 'self'; base-uri 'none'"
)
# Old libraries write styles into markup and build functions from text.
DOJO_POLICY = (
    POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval'")
    .replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
    .replace("img-src 'self'", "img-src 'self' data:")
)
EXPIRED = "Your session has expired. Log in again."


@dataclass(frozen=True)
class Pages:
    """One server's pages: the site behind them and the sessions in front of them."""

    backend: PagesBackend
    sessions: Sessions
    server_key: str

    @property
    def cookie(self) -> str:
        """The cookie's name; cookies know no ports, and both servers may share an address."""
        return f"JSESSIONID_{self.server_key}"


class PageHandler(RequestHandler):
    """A page behind the login. Answers HTML, or JSON to a request that accepts nothing else."""

    needs_login: ClassVar[bool] = True
    delayed: ClassVar[bool] = True
    told: ClassVar[bool] = True

    def initialize(self, pages: Pages) -> None:
        self.pages = pages
        self.backend = pages.backend
        self.session: Session | None = None

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")
        self.set_header("Vary", "Accept")

    async def prepare(self) -> None:
        sent = self.get_cookie(self.pages.cookie)
        self.session = self.pages.sessions.find(sent)
        if self.told:
            self._tell_truth()
        if self.needs_login and not (self.session and self.session.user):
            self.leave_for_login(EXPIRED if sent else "")
            return
        if self.request.method == "POST":
            self.check_xsrf_cookie()
        if self.delayed and self.backend.page_delay_s > 0:
            await asyncio.sleep(self.backend.page_delay_s)

    def check_xsrf_cookie(self) -> None:
        """Refuse (403) a POST without the token of its session, sent as a field or as a header."""
        sent = self.get_body_argument("_xsrf", "") or self.request.headers.get("X-Xsrf-Token", "")
        if self.session is None or not hmac.compare_digest(sent.encode(), self.session.xsrf.encode()):
            raise HTTPError(403, reason="The request's token is missing or wrong")

    def _tell_truth(self) -> None:
        context = getattr(self.request.connection, "context", None)
        address = getattr(context, "address", None) or (self.request.remote_ip, 0)
        self.backend.truth(
            {
                "from": f"{address[0]}:{address[1]}",
                "what": f"{self.request.method} {self.request.path}",
                "user": self.session.user if self.session else "",
                "fields": sorted(n for n, values in self.request.arguments.items() if n != "_xsrf" and any(values)),
            }
        )

    def field(self, name: str) -> str:
        """Return a field of the sent form as it was typed (white space included), empty where it is missing."""
        return self.get_body_argument(name, "", strip=False)

    @property
    def living(self) -> Session:
        """The session that ``prepare`` has found."""
        if self.session is None:
            raise HTTPError(403)
        return self.session

    @property
    def wants_json(self) -> bool:
        return self.request.headers.get("Accept", "").startswith("application/json")

    def start_session(self, user: str = "") -> Session:
        """Open a session and hand its cookie to the browser; Secure wherever the connection is."""
        if self.session:
            self.pages.sessions.close(self.session)
        self.session = self.pages.sessions.open(user)
        self.set_cookie(
            self.pages.cookie,
            self.session.key,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self.request.protocol == "https",
        )
        return self.session

    def leave_for_login(self, why: str) -> None:
        """Send the reader to the login page, which shows ``why``."""
        self.start_session().error = why
        if self.wants_json:
            self.set_status(401)
            self.finish({"login": "/webacs/login", "error": why})
        else:
            self.redirect("/webacs/login", status=303)

    def answer(self, page: str, model: Mapping[str, Any]) -> None:
        """Finish with ``page`` as HTML in the skin of the moment, or with ``model`` alone as JSON.

        Messages that wait in the session are shown where ``model`` has none of its own.
        """
        model = {**self.living.take_messages(), **model}
        if self.wants_json:
            self.finish(model)
            return
        skin = skin_named(self.backend.skin)
        if skin.name == "dojo":
            self.set_header("Content-Security-Policy", DOJO_POLICY)
        if not skin.has(page):
            self.redirect("/webacs/home", status=303)
            return
        frame = {"host_name": self.backend.host_name, "user": self.living.user, "xsrf": self.living.xsrf}
        self.finish(skin.render(page, {"entries": ENTRIES, "page": page, **frame, **model}))

    def moved(self, path: str, model: Mapping[str, Any]) -> None:
        """Finish a POST that worked: with ``model`` as JSON, else by leading on to ``path``, which shows the notice."""
        if self.wants_json:
            self.finish(dict(model))
            return
        self.living.notice = str(model.get("notice", ""))
        self.living.error = str(model.get("error", ""))
        self.redirect(path, status=303)

    def write_error(self, status_code: int, **_kwargs: Any) -> None:
        if self.wants_json:
            self.finish({"error": f"{status_code} {self._reason}"})
            return
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {self._reason}\n")
