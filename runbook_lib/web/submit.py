"""Send something once, and see what the page makes of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from playwright.async_api import Error

from runbook_lib.errors import OutcomeUnknown, PageRefused, RunbookError
from runbook_lib.web.hand import Hand
from runbook_lib.web.match import pressables
from runbook_lib.web.obstacles import dismiss
from runbook_lib.web.pictures import take_picture
from runbook_lib.web.reading import fresh_texts, meaning, refusal, unsaid
from runbook_lib.web.screen import Screen
from runbook_lib.web.view import SessionEnded

T = TypeVar("T")

NEXT_STEPS: Mapping[str, str] = {
    "wrong_key": "Set the key anew on both servers (ncs ha authkey <newkey>) and in the secret's place.",
    "mismatch": "A stored certificate is still the old one: run 20_list_certificates again.",
    "unauthorized": "Check the ISE user and the secret in the site's file; the user needs ISE's administrator role.",
    "duplicate": "It is there already: look at its row on the page before anything is repeated.",
    "too_many": "The page takes no more servers (two ISE servers at most): one has to be removed first.",
    "unreachable": "Check that this PI server reaches the other one: address, names, routes, ports, services.",
    "": "Read the page's words; nothing is repeated by itself.",
}


@dataclass
class Submit:
    """One button that is clicked once. ``agree`` names the phrases of questions that it may ask (see labels)."""

    hand: Hand
    name: str
    key: str
    agree: str
    dangers: str = ""
    _refusing: list[str] = field(default_factory=list)

    async def send(self, done: Callable[[Screen], T | None]) -> T:
        """Click, answer the expected question, and return what ``done`` makes of the page once it is content.

        Raises PageRefused with the page's words, and OutcomeUnknown where the page shows neither within
        ``page_s``. Any other error means that nothing was clicked. SessionEnded: it was clicked.
        """
        view = self.hand.view
        before = await view.look()
        view.unexpected.clear()
        view.expect(*view.labels.phrases[self.agree], dangers=view.labels.phrases.get(self.dangers, ()))
        await take_picture(view, f"{self.name}-before")
        await view.mark()
        try:
            await self.hand.press_once(self.key)
            return await self._outcome(before, done)
        finally:
            view.expect()
            with contextlib.suppress(Exception):  # a picture must not hide what happened
                await take_picture(view, f"{self.name}-after")

    async def _outcome(self, before: Screen, done: Callable[[Screen], T | None]) -> T:
        view = self.hand.view

        def ready(screen: Screen) -> tuple[Screen, T | None] | None:
            self._raise_for_question()
            # One that stood there before the click, such as the form itself, asks nothing.
            if screen.in_dialog().items and _name_of(screen) != _name_of(before):
                return screen, None
            result = done(screen)
            if result is not None:
                return screen, result
            fresh = unsaid(fresh_texts(before, screen), view.standing)
            self._raise_for_refusal(tuple(dict.fromkeys((*view.passed, *fresh, *view.said))))
            return None

        try:
            while True:
                screen, result = await view.wait(ready, f"an answer to {self.name}")
                if result is not None:
                    return result
                await self._answer(screen)
        except SessionEnded:
            raise SessionEnded(clicked=True) from None
        except (PageRefused, OutcomeUnknown):
            raise
        except (RunbookError, Error) as error:
            raise OutcomeUnknown(
                f"{self.name}: the button was clicked, and the page does not say what came of it",
                where=view.browser.page.url,
                found=str(error) if isinstance(error, RunbookError) else "the browser or the connection ended",
                next_step="Look at what both servers say before anything is repeated.",
            ) from None

    async def _answer(self, screen: Screen) -> None:
        """Deal with a dialogue that came up after the click."""
        view, front = self.hand.view, screen.in_dialog()
        text = " ".join(front.texts)
        if not view.agrees(text):
            words = refusal(front.texts, view.labels)
            if words:
                raise self._refused(words)
            if no := pressables(front, view.labels["dialog_no"]):
                await self.hand.click(no[0].item)
                raise self._refused(
                    text, what="the page asked something that was not expected; it was answered with no"
                )
        await dismiss(self.hand.view, front)
        await view.wait(lambda now: True if now.in_dialog().texts != front.texts else None, "the dialogue to close")

    def _raise_for_question(self) -> None:
        view = self.hand.view
        if view.unexpected:
            raise self._refused(
                view.unexpected[0], what="the page asked something that was not expected; it was answered with no"
            )

    def _raise_for_refusal(self, said: tuple[str, ...]) -> None:
        """Raise PageRefused for words that are still there at the second look."""
        words = refusal(said, self.hand.labels)
        if words and words in self._refusing:
            raise self._refused(words)
        self._refusing[:] = [words]

    def _refused(self, words: str, what: str = "the page said no") -> PageRefused:
        meant = meaning(words, self.hand.labels)
        shown = f" ({meant.replace('_', ' ')})" if meant else ""
        return PageRefused(
            f"{self.name}: {what}{shown}",
            where=self.hand.view.browser.page.url,
            found=words,
            next_step=NEXT_STEPS[meant],
        )


def _name_of(screen: Screen) -> str:
    """The name of the dialogue in front, empty without one."""
    return next((item.dialog for item in screen.in_dialog().items), "")
