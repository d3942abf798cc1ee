"""Tell the login page from other pages that ask for a password. Pure.

A page asks for a login where nothing speaks against it (the menu, a way out, the captions of another form) and
something for it: where its form leads, a button that says so, or the captions of both fields. What stands in a
dialogue over a form is no part of it.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from runbook_lib.web.labels import Label, Labels
from runbook_lib.web.match import find
from runbook_lib.web.screen import Screen, plain

_LEADS = re.compile(r"log[-_]?(in|on)|sign[-_]?(in|on)|j_spring_security|/auth", re.I)
_INSIDE = ("menu_administration", "logout")
_OTHER_FORMS = (
    "secondary_server",
    "auth_key",
    "email",
    "failover_type",
    "enable_virtual_ip",
    "check_readiness",
    "register",
    "configuration_mode",
    "ise_address",
    "ise_password_again",
)
_ANY_BUTTON = frozenset({"submit", "ok", "continue"})


def is_login(screen: Screen, labels: Labels) -> bool:
    """Whether this is the page that asks for user and password, or one of its frames came to be that page."""
    if any(find(screen, labels[key]) for key in _INSIDE):
        frames = [Screen(items, url=screen.url) for items in screen.frames.values()]
        return len(frames) > 1 and any(_asks_login(frame, labels) and _named(frame, labels) for frame in frames)
    return _asks_login(screen, labels)


def _asks_login(screen: Screen, labels: Labels) -> bool:
    passwords = [item for item in screen.items if item.kind == "password"]
    if len(passwords) != 1:
        return False
    password = passwords[0]
    form = Screen(tuple(i for i in screen.items if (i.frame, i.dialog) == (password.frame, password.dialog)))
    if any(_exactly(form, labels[key]) for key in (*_INSIDE, *_OTHER_FORMS)):
        return False
    users = [item for item in form.items if item.kind in ("textbox", "combobox")]
    leads = any(_LEADS.search(urlsplit(url).path) for url in (password.href, screen.url))
    if not users or len(users) > (2 if leads else 1):
        return False
    buttons = [item for item in form.items if item.kind == "button"]
    entries = find(form, labels["login_button"])
    says_so = any(plain(hit.item.text) not in _ANY_BUTTON for hit in entries)
    return (leads or says_so or _named(form, labels)) and bool(entries or len(buttons) <= 1)


def _named(form: Screen, labels: Labels) -> bool:
    """Whether both fields have the captions of a login."""
    return _exactly(form, labels["login_user"]) and _exactly(form, labels["login_password"])


def _exactly(form: Screen, label: Label) -> bool:
    return any(hit.rank[0] == 0 for hit in find(form, label))
