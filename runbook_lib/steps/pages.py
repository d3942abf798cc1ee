"""The primary's web pages, opened in a browser that accepts one confirmed key and nothing else."""

from __future__ import annotations

from contextlib import AsyncExitStack

from runbook_lib.browsers import find_browser
from runbook_lib.errors import SiteFileInvalid
from runbook_lib.steps.confirmed import confirmed_web_key
from runbook_lib.steps.context import Context
from runbook_lib.web import PinnedBrowser, PrimePages, labels_for


class PrimaryPages:
    """Opens the browser when the pages are first needed, and keeps it until ``close``."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._stack = AsyncExitStack()
        self._pages: PrimePages | None = None

    async def open(self) -> PrimePages:
        """Return the pages, logged in. The web certificate is confirmed first and its key pinned.

        Raises SiteFileInvalid without web access, BrowserMissing, DeletionRefused where the
        certificate is not confirmed, LoginRefused and other DeviceErrors.
        """
        if self._pages is None:
            self._pages = await self._open()
        return self._pages

    async def _open(self) -> PrimePages:
        context, site = self._context, self._context.site
        if site.primary.web is None:
            raise SiteFileInvalid(
                "The site's file has no web access to the primary; HA and ISE are set up in its web pages only",
                where=f"site {site.name}: primary.web",
                next_step="add to primary: web: {user: …, password: env:…}",
            )
        executable = find_browser(site.browser)
        context.tell("Confirming the certificate of the primary's web pages")
        pin = await confirmed_web_key(context, "primary")
        host = f"[{site.primary.address}]" if ":" in site.primary.address else site.primary.address
        context.tell("Opening the browser")
        browser = await self._stack.enter_async_context(
            PinnedBrowser.open(executable, f"https://{host}:{site.primary.web.port}", pin, site.deadlines)
        )
        pages = PrimePages(browser, labels_for(site.labels), self._keep)
        await pages.login(site.primary.web.user, site.primary.web.password.resolve())
        return pages

    def _keep(self, name: str, png: bytes) -> None:
        stage = self._context.stage
        self._context.record.keep_bytes(f"screenshots/{stage}-{name}.png", png, stage=stage, text=name)

    async def close(self) -> None:
        """Close the browser, if it was opened."""
        self._pages = None
        await self._stack.aclose()
