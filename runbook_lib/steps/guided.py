"""Guided mode: a person works the web pages, step by step with this site's values, while the devices are watched.

The steps are those of the published procedure (Cisco document 215335). Secrets are named by their references only.
What the devices say decides, not the person's word.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from runbook_lib.certificates import sha256_of
from runbook_lib.errors import ConnectionLost, DecisionNeeded, DeviceSilent, DeviceUnreachable
from runbook_lib.params import IseServer, Site
from runbook_lib.steps.confirmed import confirmed_web_certificate
from runbook_lib.steps.context import Context
from runbook_lib.steps.ha_form import form_rows
from runbook_lib.steps.pages import Trouble, address_of, web_access
from runbook_lib.steps.settling import POLL_S

Step = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Guide:
    """What a person is to do: ``steps`` are (what, value), in order; ``why`` says why it is not done by itself."""

    title: str
    why: str
    steps: tuple[Step, ...]

    def text(self) -> str:
        """Return the guide as lines of text."""
        lines = [
            f"{number}. {what}{f': {value}' if value else ''}" for number, (what, value) in enumerate(self.steps, 1)
        ]
        return "\n".join((self.title, self.why, *lines))


def why_guided(trouble: Trouble | None) -> str:
    """Return why a person is asked."""
    if trouble is None:
        return "The site's file says so (web: guided)."
    picture = f"; the page as it was: {trouble.picture} in the record" if trouble.picture else ""
    return f"A page was not understood: {trouble.looked_for}{picture}."


def ha_guide(site: Site, trouble: Trouble | None, certificate: str) -> Guide:
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


def ise_guide(site: Site, servers: Iterable[IseServer], trouble: Trouble | None, certificate: str) -> Guide:
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
        ("Open in a browser", address_of(site, access)),
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
        raise DecisionNeeded(
            "A person has to work the web pages, and nobody watches this run",
            where=f"site {context.site.name}, primary {context.site.primary.address}",
            found=guide.text(),
            next_step="do what stands there, then run this stage again: it looks at the servers first",
        )
    context.tell(guide.text())


async def watch(context: Context, look: Callable[[], Awaitable[tuple[bool, str]]], waited_for: str) -> None:
    """Ask the devices until ``look`` says that it is done; tells each change once, and can be interrupted.

    ``look`` returns whether it is done and the state in words. A server that is away for a while is waited for.
    Raises DecisionNeeded at ``registration_s``.
    """
    end = time.monotonic() + context.site.deadlines.registration_s
    last = ""
    while True:
        try:
            done, words = await look()
        except (DeviceUnreachable, DeviceSilent, ConnectionLost) as error:
            done, words = False, error.what
        if words != last:
            context.tell(f"Watching for {waited_for}: {words}")
            last = words
        if done:
            return
        if time.monotonic() >= end:
            raise DecisionNeeded(
                f"{waited_for} was not seen within {context.site.deadlines.registration_s:g} s",
                where=f"site {context.site.name}",
                found=last,
                next_step="look at the page; run this stage again to go on watching, it clicks nothing",
            )
        await asyncio.sleep(POLL_S)
