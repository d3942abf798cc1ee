"""Log in to the web pages; a wrong login, a locked account and an expired password are told apart."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from runbook_lib.errors import LoginRefused, PageNotUnderstood
from runbook_lib.web.hand import Hand
from runbook_lib.web.known_login import is_login
from runbook_lib.web.match import find, pressables
from runbook_lib.web.pictures import take_picture
from runbook_lib.web.reading import fresh_texts
from runbook_lib.web.screen import Screen, says
from runbook_lib.web.view import Rest, View

# How long a page without a menu stays before it is a first page, or a login page before it came without a reason; one
# that came whole and waits for no answer says nothing more, and sooner where it is still. Either way nothing is
# changed, and nothing typed again.
_WORDS_S, _LOADED_S = 3.0, 1.0
_NOTICES, _NOTICE_S = 3, 8.0


async def login(view: View, hand: Hand, user: str, password: str) -> None:
    """Load the first page and log in, once. The password is typed only into a page whose server was verified.

    Raises LoginRefused (with the page's words), PageNotUnderstood, DeviceSilent or CertificateMoved.
    """
    view.logged_in = False
    await view.browser.go("/")
    view.moved()
    await _arrive(view, hand)
    if not _inside(await view.look(), view):
        await _type(view, hand, user, password)
    view.logged_in = True


async def _arrive(view: View, hand: Hand) -> None:
    """Wait for the login page; a notice of the law before it is accepted, as nobody gets in otherwise."""
    for left in reversed(range(_NOTICES + 1)):

        def ready(screen: Screen, left: int = left) -> str | None:
            if is_login(screen, view.labels) or _inside(screen, view):
                return "arrived"
            return "notice" if left and _is_notice(screen, view) else None

        if await view.wait(ready, "the login page") == "arrived":
            return
        with contextlib.suppress(PageNotUnderstood):  # it went by itself
            await hand.press("notice_accept", deadline_s=_NOTICE_S)


def _is_notice(screen: Screen, view: View) -> bool:
    asks = any(item.kind in ("password", "textbox") for item in screen.items)
    accept = view.labels["notice_accept"]
    return not asks and bool(pressables(screen, accept))


async def _type(view: View, hand: Hand, user: str, password: str) -> None:
    await hand.fill("login_user", user)
    await hand.fill("login_password", password, secret=True)
    before, loads = await view.look(), view.loads
    await take_picture(view, "login-before")
    await view.mark()
    if pressables(before, view.labels["login_button"]):
        await hand.press_once("login_button")
    else:
        await hand.enter()
    shown = Rest()
    try:
        await view.wait(
            lambda screen: True if _decided(view, before, screen, shown, new=view.loads > loads) else None,
            "the page after the login",
        )
    finally:
        await take_picture(view, "login-after")


def _decided(view: View, before: Screen, screen: Screen, shown: Rest, *, new: bool) -> bool:
    """Whether the login succeeded; raises LoginRefused when it did not. ``new``: another page was loaded."""
    if _inside(screen, view):
        return True
    said = tuple(dict.fromkeys((*view.passed, *fresh_texts(before, screen), *view.said)))
    words = [text for text in said if says(text, _words(view, "locked", "expired", "login_wrong", "unauthorized"))]
    passwords = [item for item in screen.items if item.kind == "password"]
    if says(" \n ".join(words), view.labels.phrases["locked"]):
        raise _refused(view, "the account is locked", words, "Unlock the account, or wait until its lock ends.")
    if len(passwords) > 1 or (words and says(" \n ".join(words), view.labels.phrases["expired"])):
        raise _refused(
            view, "the password has expired", words, "Change it in the web pages, then in the secret's place."
        )
    if not is_login(screen, view.labels):
        # Some first pages hide their menu: whatever stays and asks for no password is inside.
        rest_s = (0.0 if view.still else _LOADED_S) if new and view.quiet and not words else _WORDS_S
        return bool(screen.items) and not passwords and shown.rests(screen, rest_s)
    if words:
        raise _refused(view, "user name or password not accepted", words, _CHECK)
    came_again = bool(passwords) and not passwords[0].value
    # Its reason may still be on the way.
    if came_again and shown.rests(screen, _WORDS_S):
        raise _refused(view, "the login page came again without a reason", screen.texts, _CHECK)
    return False


_CHECK = "Check the user and the secret in the site's file. It was tried once, so that nothing gets locked."


def _refused(view: View, what: str, words: Iterable[str], next_step: str) -> LoginRefused:
    return LoginRefused(f"web login: {what}", where=view.browser.page.url, found=" | ".join(words), next_step=next_step)


def _words(view: View, *names: str) -> tuple[str, ...]:
    return tuple(phrase for name in names for phrase in view.labels.phrases[name])


def _inside(screen: Screen, view: View) -> bool:
    """Whether this is a page of somebody who is logged in: it has the menu, or a way out."""
    if is_login(screen, view.labels):
        return False
    keys = ("menu_administration", "logout", "menu_open")
    return any(find(screen, view.labels[key]) for key in keys) and not any(i.kind == "password" for i in screen.items)
