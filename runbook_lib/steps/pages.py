"""The primary's web pages, opened in a browser that accepts one confirmed key and nothing else."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runbook_lib.browsers import find_browser
from runbook_lib.certificates import spki_sha256_of
from runbook_lib.errors import PageNotUnderstood, SiteFileInvalid
from runbook_lib.params import Site, WebAccess
from runbook_lib.record import Kind
from runbook_lib.steps.confirmed import confirmed_web_certificate
from runbook_lib.steps.context import Context
from runbook_lib.web import labels_for

if TYPE_CHECKING:
    from runbook_lib.web import PrimePages


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """What the driver did not find, and the masked picture of the page (a path in the record, or empty)."""

    looked_for: str
    picture: str


class PrimaryPages:
    """Opens the browser when the pages are first needed, and keeps it until ``close``.

    ``guided`` is whether a person works the pages: the site wants it so, or the driver gave up (``trouble``).
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stack = AsyncExitStack()
        self._pages: PrimePages | None = None
        self._logged_in = False
        self._last_picture = ""
        self.trouble: Trouble | None = None

    @property
    def guided(self) -> bool:
        return self._context.site.web == "guided" or self.trouble is not None

    async def open(self) -> PrimePages:
        """Return the pages, logged in. The web certificate is confirmed first and its key pinned.

        Raises SiteFileInvalid without web access, BrowserMissing, DeletionRefused where the
        certificate is not confirmed, LoginRefused and other DeviceErrors.
        """
        if self._pages is None or not self._logged_in:
            self._pages = await self._open()
            access = web_access(self._context.site)
            await self._pages.login(access.user, access.password.resolve())
            self._logged_in = True
        return self._pages

    async def _open(self) -> PrimePages:
        from runbook_lib.web import PinnedBrowser, PrimePages  # and with them Playwright

        context, site = self._context, self._context.site
        access = web_access(site)
        executable = find_browser(site.browser)
        context.tell("Confirming the certificate of the primary's web pages")
        pin = spki_sha256_of(await confirmed_web_certificate(context, "primary"))
        context.tell("Opening the browser")
        await self._stack.aclose()
        browser = await self._stack.enter_async_context(
            PinnedBrowser.open(executable, address_of(site, access), pin, site.deadlines)
        )
        return PrimePages(browser, labels_for(site.labels), self._keep)

    def _keep(self, name: str, png: bytes) -> None:
        stage = self._context.stage
        kept = self._context.record.keep_bytes(f"screenshots/{stage}-{name}.png", png, stage=stage, text=name)
        self._last_picture = kept.path

    async def give_up(self, error: PageNotUnderstood) -> None:
        """Leave the pages to a person from now on: keep a picture, the reading beside it, and what was looked for."""
        self._last_picture = ""
        if self._pages is not None:
            await self._pages.picture("not-understood")
            self._context.record.keep_json(
                f"screenshots/{self._context.stage}-page.json",
                await self._pages.reading(),
                stage=self._context.stage,
                text="page.json",
            )
        self.trouble = Trouble(looked_for=error.what, picture=self._last_picture)
        self._context.record.journal.append(
            Kind.OBSERVED, stage=self._context.stage, server="primary", text=error.what, seen=error.found
        )
        self._context.tell(f"The web pages are not understood: {error.what}. A person has to work them.")
        await self.close()

    async def close(self) -> None:
        """Close the browser, if it was opened."""
        self._pages, self._logged_in = None, False
        await self._stack.aclose()


def web_access(site: Site) -> WebAccess:
    """Return how the primary's web pages are reached. Raises SiteFileInvalid where the site's file does not say."""
    if site.primary.web is None:
        raise SiteFileInvalid(
            "The site's file has no web access to the primary; HA and ISE are set up in its web pages only",
            where=f"site {site.name}: primary.web",
            next_step="add to primary: web: {user: …, password: env:…}",
        )
    return site.primary.web


def address_of(site: Site, access: WebAccess) -> str:
    """Return the address of the primary's web pages, ``https://host:port``."""
    host = f"[{site.primary.address}]" if ":" in site.primary.address else site.primary.address
    return f"https://{host}:{access.port}"
