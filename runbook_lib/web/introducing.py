"""Telling a browser context the password of its relay, once.

The driver could answer each question for it, and would stop every request of every page for that, and turn the cache
off. A browser remembers what it told a proxy, though, so one request is enough, which the relay answers itself.
"""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import CDPSession, Page

from runbook_lib.web.relay import INTRODUCTION, PinnedRelay

_ASK = "(url) => fetch(url, {mode: 'no-cors', credentials: 'include', cache: 'no-store'})"


async def introduce(page: Page, session: CDPSession, relay: PinnedRelay) -> None:
    """Let the context of an empty ``page`` know the relay's password. Raises the driver's Error where it does not."""
    answers: set[asyncio.Task[Any]] = set()

    def answering(method: str, **more: object) -> Any:
        def answer(event: dict[str, Any]) -> None:
            task = asyncio.ensure_future(session.send(method, {"requestId": event["requestId"], **more}))
            answers.add(task)
            task.add_done_callback(answers.discard)

        return answer

    known = {"response": "ProvideCredentials", "username": relay.user, "password": relay.password}
    given = answering("Fetch.continueWithAuth", authChallengeResponse=known)
    passed = answering("Fetch.continueRequest")
    session.on("Fetch.authRequired", given)
    session.on("Fetch.requestPaused", passed)
    try:
        await session.send("Fetch.enable", {"patterns": [{"urlPattern": INTRODUCTION}], "handleAuthRequests": True})
        await page.evaluate(_ASK, INTRODUCTION)
        await session.send("Fetch.disable")
    finally:
        session.remove_listener("Fetch.authRequired", given)
        session.remove_listener("Fetch.requestPaused", passed)
        await asyncio.gather(*answers, return_exceptions=True)
