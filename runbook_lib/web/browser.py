"""A browser that talks to one server with one public key; and what its pages draw."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import unicodedata
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, CDPSession, Error, Page, Playwright, ProxySettings
from playwright.async_api import TimeoutError as PageTimeout

from runbook_lib.certificates.facts import read_or, spki_sha256_of
from runbook_lib.errors import CertificateMoved, ConnectionLost, DeviceSilent, RunbookError, UsageError
from runbook_lib.params.model import Deadlines
from runbook_lib.web.launching import SharedBrowserPlace, driver, first_line, launch, offer_browser, raise_for_ways_out
from runbook_lib.web.relay import PinnedRelay, authorize_context

# -- What a page draws, as the browser itself has laid it out, and whether a secret is in it. ------
#
# The page's own words are not asked: what stands behind an element in ``::after``, in a closed shadow root, in capitals
# or letter by letter is laid out like everything else. What is drawn without letters cannot be read, so a document into
# which a secret was typed has to be free of it.

_WITHOUT_LETTERS = frozenset({"CANVAS", "VIDEO", "OBJECT", "EMBED"})
_MADE_HERE = ("data:", "blob:")
STYLES = ("background-image", "border-image-source", "list-style-image", "mask-image", "content")
_SHOWN_ATTRIBUTES = ("placeholder", "alt", "label", "value")
_HARMLESS = frozenset({"", "none", "normal"})


@dataclass(frozen=True)
class DrawnText:
    """Texts in the order of the document and as they stand; ``filled``: a secret field holds something."""

    texts: tuple[str, ...] = ()
    placed: tuple[str, ...] = ()
    filled: bool = False
    painted: bool = False
    documents: int = field(default=0, compare=False)

    def shows(self, secrets: Iterable[str]) -> bool:
        """Whether one of the secrets can be read in it, forwards or backwards, whatever stands between its letters."""
        orders = ["".join(self.texts), "".join(self.placed)]
        for bare in (letters, dense):
            found = [bare(order) for order in orders]
            wanted = [bare(secret) for secret in secrets]
            if any(form and (form in text or form[::-1] in text) for form in wanted for text in found):
                return True
        return False


def letters(text: str) -> str:
    """Return a text's letters and digits, in one case and one spelling; nothing where they are fewer than four."""
    found = "".join(c for c in dense(text) if c.isalnum())
    return found if len(found) >= 4 else ""


def dense(text: str) -> str:
    """Return a text in one case and one spelling, without spaces and what is not seen."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if not c.isspace() and unicodedata.category(c) not in ("Cf", "Cc"))


def drawn_from(snapshot: Mapping[str, Any]) -> DrawnText:
    """Read what ``DOMSnapshot.captureSnapshot`` with ``STYLES`` returned."""
    strings: list[str] = snapshot["strings"]
    texts: list[str] = []
    placed: list[tuple[float, float, str]] = []
    filled = painted = False
    for document in snapshot["documents"]:
        nodes, layout = document["nodes"], document["layout"]
        shown = set(layout["nodeIndex"])
        for text, box in zip(layout["text"], layout["bounds"], strict=True):
            if text >= 0:
                texts.append(strings[text])
                placed.append((round(box[1] / 8), box[0], strings[text]))
        names = [strings[name] if name >= 0 else "" for name in nodes["nodeName"]]
        attributes = {index: _attributes(nodes["attributes"][index], strings) for index in shown}
        # What the browser lays out in shadow roots of its own is not in the snapshot.
        own = [attributes[index].get(name, "") for index in shown for name in _SHOWN_ATTRIBUTES]
        texts.extend([*filter(None, own), *_options(nodes, names, strings)])
        for index, value in _values(nodes, strings):
            if index in shown and value:
                texts.append(value)
                filled |= attributes[index].get("type", "").lower() == "password"
        painted |= any(_is_painted(names[index], attributes[index]) for index in shown)
        painted |= any(_is_made_here(strings[style]) for styles in layout["styles"] for style in styles if style >= 0)
    # Each once: a page that mirrors every key as it is typed draws the same letters over one another.
    in_place = tuple(text for _, _, text in sorted(set(placed)))
    return DrawnText(tuple(texts), in_place, filled, painted, len(snapshot["documents"]))


def _attributes(flat: list[int], strings: list[str]) -> dict[str, str]:
    words = [strings[word] for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def _values(nodes: Mapping[str, Any], strings: list[str]) -> Iterator[tuple[int, str]]:
    for kind in ("inputValue", "textValue"):
        table = nodes.get(kind, {"index": [], "value": []})
        for index, value in zip(table["index"], table["value"], strict=True):
            yield index, strings[value] if value >= 0 else ""


def _options(nodes: Mapping[str, Any], names: list[str], strings: list[str]) -> Iterator[str]:
    """Yield the texts in the entries of lists, which are drawn outside of the document."""
    for index, parent in enumerate(nodes["parentIndex"]):
        if parent >= 0 and names[parent].upper() == "OPTION" and nodes["nodeValue"][index] >= 0:
            yield strings[nodes["nodeValue"][index]]


def _is_painted(name: str, attributes: Mapping[str, str]) -> bool:
    source = attributes.get("src", "") or attributes.get("href", "") or attributes.get("xlink:href", "")
    return name.upper() in _WITHOUT_LETTERS or (
        name.upper() in ("IMG", "IMAGE", "INPUT") and source.strip().lower().startswith(_MADE_HERE)
    )


def _is_made_here(style: str) -> bool:
    low = style.lower()
    return low not in _HARMLESS and any(f"url({quote}{kind}" in low for kind in _MADE_HERE for quote in ('"', "'", ""))


# -- A browser that talks to one server with one public key, and to nobody else --------------------

LOOKS_FIRST = "Run the stage again: it looks at what the servers say first."
_ENDED = ("closed", "crashed", "disconnected", "connection lost", "ended")


class PinnedBrowser:
    """One fresh page on one server, through a ``relay``. Made by :meth:`open`; not for use after its context."""

    def __init__(
        self, session: CDPSession, page: Page, relay: PinnedRelay, base_url: str, deadlines: Deadlines, executable: Path
    ) -> None:
        self.page = page
        self._session = session
        self.base_url = base_url
        self.deadlines = deadlines
        self.relay = relay
        self._executable = executable
        self._closed_in = False
        self._told: set[str] = set()
        self._secrets: set[str] = set()
        self._blocked: list[str] = []
        page.context.on("requestfailed", lambda request: self._note(request.url))
        page.on("websocket", lambda socket: self._note(socket.url))

    @classmethod
    @asynccontextmanager
    async def open(
        cls, executable: Path, url: str, pin: str, deadlines: Deadlines, playwright: Playwright | None = None
    ) -> AsyncIterator[PinnedBrowser]:
        """Start ``executable`` for the server at ``url`` (``https://host[:port]``), whose public key is ``pin``.

        ``pin`` is the SHA-256 over the SubjectPublicKeyInfo of the confirmed certificate, 64 hex digits.
        Nothing is kept from or for another time: profile and cookies last as long as the context. Where this
        process was told of a shared browser that still answers, the page opens there, in a context of its own.
        ``playwright`` is a driver that runs; without it one is started.
        """
        host, port = _server(url)
        shared = SharedBrowserPlace.from_environment(executable)
        async with AsyncExitStack() as stack:
            relay = await stack.enter_async_context(
                PinnedRelay(host, port, pin, deadlines.connect_s, shared.relay_pem if shared else None)
            )
            # Loopback is no exception: the lab is there, and so is whatever else runs on this machine.
            way = ProxySettings(server=relay.address, bypass="<-loopback>")
            if playwright is None:
                playwright = await stack.enter_async_context(driver())
            browser = await shared.connect(playwright) if shared else None
            proxy = way if browser else None
            if browser is None:
                browser = await launch(playwright, executable, [relay.own_key], way=way)
            stack.push_async_callback(_close, browser)
            stack.enter_context(offer_browser(executable, browser))
            # English whatever this machine speaks: our labels are, and pages may follow the language of the browser.
            context = await browser.new_context(
                viewport={"width": 1400, "height": 1000},
                locale="en-US",
                service_workers="block",
                accept_downloads=False,
                proxy=proxy,
            )
            stack.push_async_callback(_close, context)
            context.set_default_timeout(deadlines.page_s * 1000)
            page = await context.new_page()
            session = await context.new_cdp_session(page)
            with contextlib.suppress(Error, TimeoutError):  # the pages then do not come, and `verify` knows why
                async with asyncio.timeout(deadlines.connect_s):
                    await authorize_context(page, session, relay)
            # Certificates are only kept for questions about them from here on.
            await session.send("Network.enable")
            yield cls(session, page, relay, url.rstrip("/"), deadlines, executable)

    @property
    def origin(self) -> str:
        """Scheme, host and port of the only place that this browser can reach."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}".lower().removesuffix(":443")

    @property
    def blocked(self) -> tuple[str, ...]:
        """Addresses of other servers that the pages asked for; the relay let none of them through.

        What the browser asks for by itself (updates, time) is refused as well, and not listed.
        """
        return tuple(self._blocked)

    def _note(self, url: str) -> None:
        parts = urlsplit(url)
        place = f"{parts.scheme}://{parts.netloc}{parts.path}"
        own = urlsplit(self.origin).netloc
        if parts.netloc.lower().removesuffix(":443") not in ("", own) and place not in self._blocked:
            self._blocked.append(place)

    @property
    def secrets(self) -> frozenset[str]:
        """The secret values that were typed so far, so that pictures and texts can be kept free of them."""
        return frozenset(self._secrets)

    def remember_secret(self, value: str) -> None:
        """Keep a value out of every picture and text from now on."""
        if value:
            self._secrets.add(value)

    def raise_for_certificate(self) -> None:
        """Raise CertificateMoved if the server has shown another key at any connection so far."""
        if self.relay.moved is not None:
            raise self.relay.moved

    async def go(self, path: str = "/") -> None:
        """Load a page of the server. Raises CertificateMoved, DeviceUnreachable, DeviceSilent or ConnectionLost."""
        with self.guard("loading the page"):
            await self.page.goto(self.base_url + path, wait_until="domcontentloaded")

    async def verify(self) -> None:
        """Make sure that the page now shown came through the pinned relay; to be called before a secret is typed.

        A policy of the machine can overrule the proxy that we set. Then the certificate that the browser
        saw is not the relay's, and CertificateMoved is raised. The first time the page also tries whether it has
        another way out, and BrowserUnsafe is raised where it has, or where that cannot be seen.
        """
        self.raise_for_certificate()
        with self.guard("checking the page's certificate"):
            answer = await self._session.send("Network.getCertificate", {"origin": self.origin})
        chain = [base64.b64decode(der) for der in answer.get("tableNames", [])]
        seen = read_or("no certificate that can be read", lambda: spki_sha256_of(chain[0]))
        if seen != self.relay.own_key:
            what = "the browser did not take the pinned way to the server; nothing was typed"
            found = f"the page at {self.page.url} came with {seen}"
            then = "Look for a proxy policy of this machine's browser, or use another browser (key browser)."
            raise CertificateMoved(what, where=self.origin, found=found, next_step=then)
        if not self._closed_in:
            with self.guard("testing whether the page has another way to the network"):
                await raise_for_ways_out(self._session, str(self._executable), self.deadlines.page_s)
            self._closed_in = True
        with self.guard("finding out which documents are loaded"):
            self._told |= await self._documents()

    async def _documents(self) -> set[str]:
        """Return what names the documents that are loaded now; an address within one leads to no other."""
        frames = [(await self._session.send("Page.getFrameTree"))["frameTree"]]
        for frame in frames:
            frames.extend(frame.get("childFrames", []))
        return {frame["frame"]["loaderId"] for frame in frames}

    async def holds_typed_secret(self) -> bool:
        """Whether a secret was typed into a document that is still there. Raises the driver's Error."""
        return bool(self._told & await self._documents())

    async def drawn(self) -> DrawnText:
        """Return what the page draws. Raises the driver's Error."""
        return drawn_from(await self._session.send("DOMSnapshot.captureSnapshot", {"computedStyles": list(STYLES)}))

    async def picture(self) -> bytes | None:
        """Return a screenshot; None unless it is certain that it holds no secret. Raises the driver's Error."""
        if not await self._is_clean():
            return None
        png = await self.screenshot()
        # A page that was drawn anew meanwhile may show what it did not show before.
        return png if await self._is_clean() else None

    async def _is_clean(self) -> bool:
        if not self.secrets:
            return True
        drawn = await self.drawn()
        whole = drawn.documents >= len(self.page.frames)  # a frame of another process is not in it
        told = await self.holds_typed_secret()
        return whole and not drawn.filled and not (told and drawn.painted) and not drawn.shows(self.secrets)

    async def screenshot(self) -> bytes:
        """Return what the window shows as PNG. Asked for directly: the driver's own way takes twice as long."""
        answer = await self._session.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})
        return base64.b64decode(answer["data"])

    @contextlib.contextmanager
    def guard(self, doing: str) -> Iterator[None]:
        """Turn the driver's exceptions into ours, keeping the first line: the rest can hold what was typed.

        Raises DeviceSilent for its timeout, else what the relay saw or the driver's words mean.
        """
        try:
            yield
        except RunbookError:
            raise
        except PageTimeout:
            self.relay.raise_problem()
            what = f"no answer within {self.deadlines.page_s:g} s while {doing}"
            then = "Look at the page in a browser; give more time with deadlines.page_s."
            raise DeviceSilent(what, where=self.page.url, next_step=then) from None
        except Error as error:
            self.relay.raise_problem()
            raise self._translated(error, doing) from None

    def _translated(self, error: Error, doing: str) -> RunbookError:
        line = first_line(error)
        for secret in self._secrets:
            line = line.replace(secret, "[secret]")
        ended = self.page.is_closed() or any(word in line.lower() for word in _ENDED)
        what = f"{'the browser ended' if ended else 'the connection ended'} while {doing}"
        found = line + (f"\nrefused: {', '.join(self.blocked)}" if self.blocked else "")
        return ConnectionLost(what, where=self.page.url, found=found, next_step=LOOKS_FIRST)


async def _close(what: Browser | BrowserContext) -> None:
    with contextlib.suppress(Error):
        await what.close()


def _server(base_url: str) -> tuple[str, int]:
    parts = urlsplit(base_url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise UsageError("the web pages need an https address of a server", found=base_url.rpartition("@")[2])
    return parts.hostname, parts.port or 443
