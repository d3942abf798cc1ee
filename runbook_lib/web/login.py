"""Log in to the web pages; a wrong login, a locked account and an expired password are told apart."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from runbook_lib.errors import ConnectionLost, DeviceSilent, LoginRefused, PageNotUnderstood
from runbook_lib.web.actions import PageActions
from runbook_lib.web.controls import find, is_login, pressables
from runbook_lib.web.dialogs import dialog_in_words, is_notice
from runbook_lib.web.reading import fresh_texts
from runbook_lib.web.screen import FIELDS, PRESSABLE, Screen, Stability, says
from runbook_lib.web.view import PageView, take_picture

# How long a page without a menu stays before it is a first page, or a login page before it came without a reason; one
# that came whole and waits for no answer says nothing more, and sooner where it is still. Either way nothing is
# changed, and nothing typed again.
_WORDS_S, _LOADED_S = 3.0, 1.0

_NOTICES, _NOTICE_S = 3, 8.0


async def login(view: PageView, actions: PageActions, user: str, password: str) -> None:
    """Load the first page and log in, once. The password is typed only into a page whose server was verified.

    Raises LoginRefused (with the page's words), PageNotUnderstood, DeviceSilent or CertificateMoved.
    """
    view.logged_in = False
    known = len(view.browser.blocked)
    try:
        await view.browser.go("/")
        await _arrive(view, actions)
    except (ConnectionLost, DeviceSilent):
        elsewhere = view.browser.blocked[known:]
        if elsewhere and not view.browser.page.url.startswith(view.browser.base_url):
            what = f"the login is at another server, which is out of reach: {elsewhere[-1]}"
            then = "Use the name or address in the site's file under which the pages are really served."
            raise view.problem(what, ", ".join(elsewhere), then) from None
        raise
    if not _inside(await view.look(), view):
        await _type(view, actions, user, password)
        await _pass_steps(view, actions)
    view.logged_in = True


async def _pass_steps(view: PageView, actions: PageActions) -> None:
    """Put off what is offered before the first page, and accept what only tells; raises PageNotUnderstood for more."""
    for _ in range(_NOTICES):
        screen = await view.look()
        kinds = {item.kind for item in screen.items}
        leads = kinds & (PRESSABLE - {"button"} | {"icon"}) or find(screen, view.labels["menu_search"])
        if kinds.isdisjoint(("button", *FIELDS)) or leads or screen.busy or _inside(screen, view):
            return
        words, phrases = dialog_in_words(screen), view.labels.phrases
        tells = is_notice(screen, view.labels) and not says(words, (*phrases["ask_danger"], *phrases["others"]))
        keys = ("dialog_later", *(("dialog_close", "notice_accept") if tells and "?" not in words else ()))
        ways = next(filter(None, (pressables(screen, view.labels[key]) for key in keys)), [])
        if not ways:
            raise view.problem(f"the login asks for more than a user and a password: {words}")
        await actions.click(ways[0].item)
        await view.wait(screen.__ne__, "the page after the login")


async def _arrive(view: PageView, actions: PageActions) -> None:
    """Wait for the login page; a notice of the law before it is accepted, as nobody gets in otherwise."""
    for left in reversed(range(_NOTICES + 1)):

        def ready(screen: Screen, left: int = left) -> str | None:
            if is_login(screen, view.labels) or _inside(screen, view):
                return "arrived"
            asks = any(item.kind in ("password", "textbox") for item in screen.items)
            return "notice" if left and not asks and pressables(screen, view.labels["notice_accept"]) else None

        if await view.wait(ready, "the login page") == "arrived":
            return
        with contextlib.suppress(PageNotUnderstood):  # it went by itself
            await actions.press("notice_accept", deadline_s=_NOTICE_S)


async def _type(view: PageView, actions: PageActions, user: str, password: str) -> None:
    await actions.fill("login_user", user)
    await actions.fill("login_password", password, secret=True)
    before, loads = await view.look(), view.traffic.loads
    await take_picture(view, "login-before")
    await view.forget_messages()
    if pressables(before, view.labels["login_button"]):
        await actions.press_once("login_button")
    else:
        await actions.enter()
    shown = Stability()

    def ready(screen: Screen) -> bool:
        return _decided(view, before, screen, shown, new=view.traffic.loads > loads)

    try:
        await view.wait(ready, "the page after the login", rest=shown)
    finally:
        await take_picture(view, "login-after")


def _decided(view: PageView, before: Screen, screen: Screen, shown: Stability, *, new: bool) -> bool:
    """Whether the login succeeded; raises LoginRefused when it did not. ``new``: another page was loaded."""
    if _inside(screen, view):
        return True
    said = tuple(dict.fromkeys((*view.new_messages, *fresh_texts(before, screen), *view.dialogs.said)))
    kinds = ("locked", "expired", "login_wrong", "unauthorized")
    no = [phrase for name in kinds for phrase in view.labels.phrases[name]]
    words = [text for text in said if says(text, no)]
    passwords = [item for item in screen.items if item.kind == "password"]
    if says(" \n ".join(words), view.labels.phrases["locked"]):
        raise _refused(view, "the account is locked", words, "Unlock the account, or wait until its lock ends.")
    later = pressables(screen, view.labels["dialog_later"])
    if len(passwords) > 1 or (not later and says(" \n ".join(words), view.labels.phrases["expired"])):
        raise _refused(view, "the password has expired", words, _CHANGE)
    if not is_login(screen, view.labels):
        # Some first pages hide their menu: whatever stays and asks for no password is inside.
        rest_s = _WORDS_S
        if new and view.traffic.quiet and not words:
            rest_s = 0.0 if view.at_rest else _LOADED_S
        return bool(screen.items) and not passwords and shown.is_stable(screen, rest_s)
    if words:
        raise _refused(view, "user name or password not accepted", words, _CHECK)
    came_again = bool(passwords) and not passwords[0].value
    # Its reason may still be on the way.
    if came_again and shown.is_stable(screen, _WORDS_S):
        raise _refused(view, "the login page came again without a reason", screen.texts, _CHECK)
    return False


_CHANGE = "Change it in the web pages, then in the secret's place."
_CHECK = "Check the user and the secret in the site's file. It was tried once, so that nothing gets locked."


def _refused(view: PageView, what: str, words: Iterable[str], next_step: str) -> LoginRefused:
    return LoginRefused(f"web login: {what}", where=view.browser.page.url, found=" | ".join(words), next_step=next_step)


def _inside(screen: Screen, view: PageView) -> bool:
    """Whether this is a page of somebody who is logged in: it has the menu, or a way out."""
    if is_login(screen, view.labels):
        return False
    keys = ("menu_administration", "logout", "menu_open")
    return any(find(screen, view.labels[key]) for key in keys) and not any(i.kind == "password" for i in screen.items)
