"""The primary's web pages: driven by a pinned browser, or worked by a person in guided mode."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from runbook_lib import errors
from runbook_lib.certificates.facts import sha256_of, spki_sha256_of
from runbook_lib.event_loop import poll_until
from runbook_lib.models import Stage
from runbook_lib.observations import Check
from runbook_lib.params.labels import labels_for
from runbook_lib.params.model import IseServer, Site, WebAccess
from runbook_lib.paths import find_browser
from runbook_lib.processes import operator
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.repair.confirmation import confirmed_web_certificate
from runbook_lib.repair.context import POLL_S, Context, Devices
from runbook_lib.repair.ha_state import form_rows

if TYPE_CHECKING:
    from playwright.async_api import Playwright

    from runbook_lib.web.pages import PrimePages


@dataclass(frozen=True, kw_only=True)
class PageProblem:
    """What the driver did not find, and the masked picture of the page (a path in the record, or empty)."""

    looked_for: str
    picture: str


class PrimaryPages:
    """Opens the browser when the pages are first needed, and keeps it until ``close``, also for a stage that follows.

    ``guided`` is whether a person works the pages: the site wants it so, or the driver gave up (``trouble``).
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stack = AsyncExitStack()
        self._pages: PrimePages | None = None
        self._driver: asyncio.Future[Playwright] | None = None  # of the browser, or of the one that is to be opened
        self._pin = ""  # the key that the open browser accepts
        self._ready = False  # logged in, and the certificate confirmed in this stage
        self._last_picture = ""
        self.trouble: PageProblem | None = None

    def serve(self, context: Context) -> None:
        """Go on for another stage, which confirms the certificate anew before it uses what is open."""
        self._context = context
        self._ready = False
        self._last_picture = ""
        self.trouble = None

    @property
    def guided(self) -> bool:
        """Whether a person does what is done on the pages: by the site's file, or since a page was not understood."""
        return self._context.site.web == "guided" or self.trouble is not None

    async def open(self) -> PrimePages:
        """Return the pages, logged in. The web certificate is confirmed first and its key pinned.

        Raises SiteFileInvalid without web access, BrowserMissing, DeletionRefused where the
        certificate is not confirmed, LoginRefused and other DeviceErrors.
        """
        if self._pages is None or not self._ready:
            access = web_access(self._context.site)
            executable = find_browser(self._context.site.browser)
            self._start_driver()  # it needs no certificate, and takes as long as the looks
            self._context.progress("Confirming the certificate of the primary's web pages")
            pin = spki_sha256_of(await confirmed_web_certificate(self._context, "primary"))
            if self._pages is None or pin != self._pin or not self._pages.is_logged_in:
                self._pages = await self._open(access, executable, pin)
                await self._pages.login(access.user, access.password.resolve())
            self._ready = True
        return self._pages

    def _start_driver(self) -> asyncio.Future[Playwright]:
        from runbook_lib.web.launching import driver  # and with it Playwright

        if self._driver is None:
            self._driver = asyncio.ensure_future(self._stack.enter_async_context(driver()))
        return self._driver

    async def _open(self, access: WebAccess, executable: Path, pin: str) -> PrimePages:
        from runbook_lib.web.browser import PinnedBrowser
        from runbook_lib.web.pages import PrimePages

        site = self._context.site
        self._context.progress("Opening the browser")
        if self._pages is not None:
            await self.close()
        place = (executable, pages_address(site, access), pin, site.deadlines)
        browser = await self._stack.enter_async_context(PinnedBrowser.open(*place, await self._start_driver()))
        self._pin = pin
        known = [(server.address, *server.names) for server in site.hosts.values()]
        return PrimePages(browser, labels_for(site.labels), self._keep, servers=known)

    def _keep(self, name: str, png: bytes) -> None:
        stage = self._context.stage
        path = f"screenshots/{stage}-{name}.png"
        self._last_picture = self._context.record.keep_bytes(path, png, stage=stage, text=name).path

    async def give_up(self, error: errors.PageNotUnderstood) -> None:
        """Leave the pages to a person from now on: keep a picture, the reading beside it, and what was looked for."""
        record = self._context.record
        stage = self._context.stage
        self._last_picture = ""
        if self._pages is not None:
            await self._pages.keep_picture("not-understood")
            read = await self._pages.page_reading()
            record.keep_json(f"screenshots/{stage}-page.json", read, stage=stage, text="page.json")
        self.trouble = PageProblem(looked_for=error.what, picture=self._last_picture)
        record.journal.append(Kind.OBSERVED, stage=stage, server="primary", text=error.what, seen=error.found)
        self._context.progress(f"The web pages are not understood: {error.what}. A person has to work them.")
        await self.close()

    async def close(self) -> None:
        """Close the browser, if it was opened."""
        self._pages = None
        self._ready = False
        if self._driver is not None:
            await asyncio.gather(self._driver, return_exceptions=True)  # only what has started can be ended
            self._driver = None
        await self._stack.aclose()


def web_access(site: Site) -> WebAccess:
    """Return how the primary's web pages are reached. Raises SiteFileInvalid where the site's file does not say."""
    if site.primary.web is None:
        what = "The site's file has no web access to the primary; HA and ISE are set up in its web pages only"
        then = "add to primary: web: {user: …, password: env:…}"
        raise errors.SiteFileInvalid(what, where=f"site {site.name}: primary.web", next_step=then)
    return site.primary.web


def pages_address(site: Site, access: WebAccess) -> str:
    """Return the address of the primary's web pages, ``https://host:port``."""
    host = f"[{site.primary.address}]" if ":" in site.primary.address else site.primary.address
    return f"https://{host}:{access.port}"


LOGIN = "primary web pages: login"


async def login_check(site: Site, devices: Devices) -> tuple[Check, errors.RunbookError | None]:
    """Log in to the web pages once, with a record that is thrown away; return a check of that, and what ended it.

    The password is typed only where it is confirmed who answers there. The error is a DeviceError, or None.
    """
    with TemporaryDirectory() as folder:
        root = Path(folder)
        context = Context(
            site=site,
            record=Record.create(root, site.name, what="runbook check --live"),
            stage=Stage.START,
            devices=devices,
            operator=operator(),
            records_root=root,
        )
        pages = PrimaryPages(context)
        try:
            await pages.open()
        except errors.RunbookError as error:
            # Where it is not confirmed who answers, no password is typed: that says nothing of the login.
            ok = None if isinstance(error, errors.SafetyStop) else False
            actual = error.what if ok is False else f"not tried: {error.what}"
            check = Check(name=LOGIN, expected="accepted", actual=actual, ok=ok, note=error.next_step)
            return check, error if isinstance(error, errors.DeviceError) else None
        finally:
            await pages.close()
    return Check(name=LOGIN, expected="accepted", actual="accepted", ok=True), None


# -- Guided mode: a person works the web pages, step by step with this site's values, while the devices are watched.
#
# The steps are those of the published procedure (Cisco document 215335). Secrets are named by their references only.
# What the devices say decides, not the person's word.

Step = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Guide:
    """What a person is to do: ``steps`` are (what, value), in order; ``why`` says why it is not done by itself."""

    title: str
    why: str
    steps: tuple[Step, ...]

    def text(self) -> str:
        """Return the guide as lines of text."""
        lines = [f"{n}. {what}{f': {value}' if value else ''}" for n, (what, value) in enumerate(self.steps, 1)]
        return "\n".join((self.title, self.why, *lines))


def why_guided(trouble: PageProblem | None) -> str:
    """Return why a person is asked."""
    if trouble is None:
        return "The site's file says so (web: guided)."
    picture = f"; the page as it was: {trouble.picture} in the record" if trouble.picture else ""
    return f"A page was not understood: {trouble.looked_for}{picture}."


def ha_guide(site: Site, trouble: PageProblem | None, certificate: str) -> Guide:
    """Return how HA is registered by hand; ``certificate`` is the fingerprint that the browser must show."""
    accepted = ", ".join(site.policy.accept_readiness)
    steps = (
        *_entrance(site, certificate),
        ("Go to", "Administration > Settings > High Availability"),
        ("If it shows a registration under way, wait and click nothing. Otherwise open", "HA Configuration"),
        *((f"Fill in {field}", value) for field, value in form_rows(site) if value != "-"),
        ("Click", "Check Readiness"),
        ("Go on only if every item has passed" + (" or is one of" if accepted else ""), accepted),
        ("Click once", "Register"),
        ("Wait until all three milestones show 100 %, and Configuration Mode shows", "Primary Active"),
    )
    return Guide(title="Register high availability by hand", why=why_guided(trouble), steps=steps)


def ise_guide(site: Site, servers: Iterable[IseServer], trouble: PageProblem | None, certificate: str) -> Guide:
    """Return how ISE servers are added by hand."""
    steps = [*_entrance(site, certificate), ("Go to", "Administration > Servers > ISE Servers")]
    for server in servers:
        steps += [
            ("If it is listed already and does not answer, tick it and choose Delete > Go", server.address),
            ("Choose", "Select a command > Add ISE Server > Go"),
            ("Fill in the server's address", server.address),
            ("Fill in User Name", server.user),
            ("Fill in Password and Confirm Password", server.password.source),
            ("Click once", "Save"),
            ("Its row must show that it answers", server.address),
        ]
    return Guide(title="Add the ISE servers by hand", why=why_guided(trouble), steps=tuple(steps))


def _entrance(site: Site, certificate: str) -> tuple[Step, ...]:
    access = web_access(site)
    return (
        ("Open in a browser", pages_address(site, access)),
        ("Look at its certificate; type nothing unless its SHA-256 is", certificate),
        ("Log in as", f"{access.user}, password from {access.password}"),
    )


async def web_fingerprint(context: Context) -> str:
    """Return the SHA-256 of the primary's web certificate, confirmed now; raises as ``require_confirmed`` does."""
    web_access(context.site)
    return sha256_of(await confirmed_web_certificate(context, "primary"))


def require_someone(context: Context, guide: Guide) -> None:
    """Show the guide to whoever watches; raise DecisionNeeded with the same instructions where nobody does."""
    if not context.attended:
        raise errors.DecisionNeeded(
            "The web pages need a person, and this run is unattended",
            where=f"site {context.site.name}, primary {context.site.primary.address}",
            found=guide.text(),
            next_step="follow these steps, then run this stage again: it looks at the servers first",
        )
    context.progress(guide.text())


async def watch(context: Context, look: Callable[[], Awaitable[tuple[bool, str]]], waited_for: str) -> str:
    """Ask the devices until ``look`` says that it is done, and return in which words; tells each change once.

    ``look`` returns whether it is done and the state in words. A server that is away for a while is waited for, and
    the waiting can be interrupted. Raises DecisionNeeded at ``registration_s``.
    """
    limit_s = context.site.deadlines.registration_s
    last = ""

    async def told() -> bool:
        nonlocal last
        try:
            done, words = await look()
        except (errors.DeviceUnreachable, errors.DeviceSilent, errors.ConnectionLost) as error:
            done = False
            words = error.what
        if words != last:
            context.progress(f"Watching for {waited_for}: {words}")
            last = words
        return done

    if not await poll_until(told, bool, limit_s=limit_s, pause_s=POLL_S):
        raise errors.DecisionNeeded(
            f"{waited_for} was not seen within {limit_s:g} s",
            where=f"site {context.site.name}",
            found=last,
            next_step="look at the page; run this stage again to keep watching; it clicks nothing",
        )
    return last
