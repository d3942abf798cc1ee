"""What answers over TLS besides the web pages: the Health Monitor's page and the ISE server."""

from __future__ import annotations

import base64
import hmac
import html
import importlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

from runbook_lib.lab.backend import PagesBackend
from runbook_lib.lab.core import Core

CheckPeer = Callable[[], Awaitable[bool]]

REGISTRATION_PATH = "/peer/registration"
ISE_PATH = "/api/v1/deployment/node"
ISE_CERTIFICATES = "/api/v1/certs/system-certificate/"


def web_application(backend: PagesBackend) -> Application:
    """The web port of a PI server."""
    pages = importlib.import_module("runbook_lib.lab.pages")
    return _application(pages.handlers(backend, backend.server_key))


def health_monitor_application(core: Core, server: str, check_peer: CheckPeer) -> Application:
    """The Health Monitor port of a PI server; ``check_peer`` makes it connect to its peer and say if that worked."""
    about = {"core": core, "server": server}
    routes: list[Any] = [(r"/", HealthMonitorPage, about), (r"/login", HealthMonitorPage, about)]
    routes.append((r"/login.jsp", HealthMonitorLogin, about))
    if server == "secondary":
        routes.append((REGISTRATION_PATH, RegistrationHandler, about | {"check_peer": check_peer}))
    return _application(routes)


def ise_application(core: Core, server: str) -> Application:
    """The web port of an ISE server."""
    about = {"core": core, "server": server}
    return _application([(ISE_PATH, IseNodeHandler, about), (ISE_CERTIFICATES + "(.+)", IseCertificateHandler, about)])


def source_of(request: HTTPServerRequest) -> str:
    """The ``address:port`` that a request came from."""
    connection: Any = request.connection
    address, port = connection.context.address[:2]
    return f"{address}:{port}"


class HealthMonitorPage(RequestHandler):
    """``https://<server>:8082``: entered with the authentication key, it shows the HA state."""

    def initialize(self, core: Core, server: str) -> None:
        self._core = core
        self._server = server

    def get(self) -> None:
        self._core.arrived(self._server, "web", source_of(self.request), f"GET {self.request.path}", port="hm")
        self._show('<form method="post" action="/login">Authentication Key <input type="password" name="authKey"> ')

    def post(self) -> None:
        key = self.get_body_argument("authKey", "", strip=False)
        ok = _same(key, self._core.world.pi[self._server].auth_key)
        self._core.arrived(self._server, "web", source_of(self.request), "POST /login", port="hm", accepted=ok)
        if not ok:
            self.set_status(401)
            self._show("Authentication key does not match.")
            return
        state = html.escape(self._core.world.ha_state(self._server))
        self._show(f"<p>Role: {self._server.capitalize()}</p><p>State: {state}</p>")

    def _show(self, body: str) -> None:
        self.finish(f"<!doctype html><title>Health Monitor</title><h1>Health Monitor</h1>{body}")


class HealthMonitorLogin(RequestHandler):
    """The Health Monitor's login page, as others captured it: whoever asks is told the release."""

    def initialize(self, core: Core, server: str) -> None:
        self._core = core
        self._server = server

    def get(self) -> None:
        self._core.arrived(self._server, "web", source_of(self.request), f"GET {self.request.path}", port="hm")
        release = html.escape(self._core.options.release_of(self._server))
        self.finish(
            "<html><head><title>Health Monitor Login Page</title></head>\n<body>\n"
            '<span class="productName">Cisco Prime Infrastructure</span>\n<span>Health Monitor</span>\n'
            f'<span class="productVersion">\n   Version: {release}\n</span>\n</body></html>\n'
        )


class RegistrationHandler(RequestHandler):
    """Where the primary brings the authentication key when HA is registered."""

    def initialize(self, core: Core, server: str, check_peer: CheckPeer) -> None:
        self._core = core
        self._server = server
        self._check_peer = check_peer

    async def post(self) -> None:
        key = str(json.loads(self.request.body or b"{}").get("auth_key", ""))
        ok = _same(key, self._core.world.pi[self._server].auth_key)
        trusts = await self._check_peer()
        self._core.arrived(
            self._server,
            "web",
            source_of(self.request),
            f"POST {REGISTRATION_PATH}",
            port="hm",
            key_right=ok,
            trusts_primary=trusts,
        )
        self.finish({"key_right": ok, "trusts_primary": trusts})


class IseHandler(RequestHandler):
    """What needs the login of an ISE administrator."""

    def initialize(self, core: Core, server: str) -> None:
        self._core = core
        self._ise = core.world.ise[server]

    def _may(self) -> bool:
        """Whether the request has the right login; answers 401 if not."""
        wanted = basic_authorization(self._ise.user, self._ise.password)
        ok = _same(self.request.headers.get("Authorization", ""), wanted)
        what = f"GET {self.request.path}"
        self._core.arrived(self._ise.key, "web", source_of(self.request), what, accepted=ok)
        if not ok:
            self.set_status(401)
            self.set_header("WWW-Authenticate", 'Basic realm="ISE"')
            self.finish({"message": "Unauthorized"})
        return ok


class IseNodeHandler(IseHandler):
    """The node that PI asks for when it adds an ISE server, and from time to time afterwards."""

    def get(self) -> None:
        if self._may():
            self.finish({"response": [{"hostname": self._ise.host_name, "nodeStatus": "Connected"}]})


class IseCertificateHandler(IseHandler):
    """The node's system certificates, as ISE 3.1 and later tell of them."""

    def get(self, name: str) -> None:
        if self._core.faults.on("ise_api_absent", self._ise.key) or name.lower() != self._ise.host_name.lower():
            self.set_status(404)
            self.finish({"message": "Resource not found"})
        elif self._may():
            self._list()

    def _list(self) -> None:
        """One certificate a page, as a list of many comes."""
        presented = self._ise.identity.sha256
        admin = "ab" * 32 if self._core.faults.on("ise_restart_put_off", self._ise.key) else presented
        dates = {"validFrom": "Mon Jul 24 13:42:05 CET 2023", "expirationDate": "2099-12-31 23:59:59"}
        if admin != presented:
            dates["validFrom"] = "2098-12-31 23:59:59"
        pages = [
            {"usedBy": "EAP Authentication, RADIUS DTLS", "sha256Fingerprint": "0" * 64},
            {"usedBy": "Admin, Portal", "sha256Fingerprint": admin} | dates,
        ]
        page = int(self.get_query_argument("page", "1"))
        answer: dict[str, Any] = {"response": pages[page - 1 : page], "version": "1.0.1"}
        if page < len(pages):
            href = f"https://{self.request.host}{self.request.path}?page={page + 1}&size=1"
            answer["nextPage"] = {"rel": "next", "href": href, "type": "application/json"}
        self.finish(answer)


def basic_authorization(user: str, password: str) -> str:
    """The value of the header with which PI logs in to an ISE server."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _application(routes: list[Any]) -> Application:
    return Application(routes, log_function=lambda _handler: None)
