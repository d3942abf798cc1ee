"""What a page asks its server: what it waits for, what it polls, how many pages were loaded, what was answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections import deque
from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import unquote_plus, urlsplit

from playwright.async_api import ElementHandle, Error, Frame, Page, Request, Response, WebSocket

from runbook_lib.params.values import any_same_host, checked_host, is_address, is_localhost, same_host, split_port
from runbook_lib.web.controls import LOGIN_PATH
from runbook_lib.web.reading import is_kept

Hosts = Sequence[tuple[str, ...]]
"""The names and addresses of each of some servers."""
BROKEN = 500
"""HTTP's word for a server that cannot answer now, as every one above it."""
_PARTS = ("xhr", "fetch")  # of a page that it asks for itself
_POLLS_S, _MOST_TIMES, _MOST_ANSWERS, _NUMBER = 3.0, 64, 200, re.compile(r"[\d.]+")
_GOES_TO = {"auth_key": "secondary_server", "ise_password": "ise_address"}  # which secret is for which server
_ADDRESS = re.compile(r"(?<![\w.])\d+(?:\.\d+){3}(?![\w.])|(?<!\w)[\da-f:]*:[\da-f:.]*:[\da-f.]*(?![\w:])", re.I)
_BESIDE, _MASK, _FIELD_S = ("virtual_ipv4", "virtual_ipv6"), "255.", 2.0
HELD = "el => el.value !== undefined ? el.value : el.innerText"
"""What a field holds, evaluated in the page."""

NAMES = """el => [el.name, el.id].filter((name) => name &&
  [...el.getRootNode().querySelectorAll("[name]")].every((one) => one === el || one.getAttribute("name") !== name))"""
"""What the text of a field may be called where it is sent, evaluated in the page: not what a hidden field is called."""


def naming(host: str) -> re.Pattern[str]:
    """Return what finds a host, or another text, where it stands for itself and is no part of a longer word."""
    return re.compile(rf"(?<![\w.]){re.escape(host)}(?!\w|\.\w)", re.I)


def _tells(text: str, secret: str) -> bool:
    """Whether a request holds a secret, in one of the ways in which pages quote one."""
    quoted = (json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    return any(naming(form).search(text) for form in (secret, escape(secret), *quoted))


def _given(name: str, text: str) -> list[str]:
    """Return what a request gives a parameter: in a form, in JSON, and in a form that is sent in parts."""
    ways = (r"[?&\s]{}=([^&\s]*)", r'"{}"\s*:\s*"([^"]*)"', r'name="{}"\r\n(?:.+\r\n)*\r\n([^\r\n]*)')
    found = (value for way in ways for value in re.findall(way.replace("{}", re.escape(name)), text))
    return [unquote_plus(value).strip() for value in found]


def _is_another(value: str, hosts: Iterable[str]) -> bool:
    """Whether a value is a host and none of these, each with or without its domain."""
    try:
        host = checked_host(split_port(value)[0].lower())
    except ValueError:
        return False
    ours = [one.lower() for one in hosts]
    return not any(same_host(host, one) or host.startswith(f"{one}.") or one.startswith(f"{host}.") for one in ours)


class Traffic:
    """What the page asks its server. ``loads`` counts the pages and frames that were loaded, and no frame that only
    loads itself anew; what goes through ``sockets`` is in no request. ``status`` is HTTP's of the page that was loaded
    last. ``sent_to_login``: a part of the page was answered with the login page, and may not show it; ``failed_at`` is
    when one was last answered with that or with a server's error. ``servers`` are the names of each that is known.
    """

    def __init__(self, page: Page) -> None:
        self.loads = self.status = 0
        self.sent_to_login, self.failed_at = False, 0.0
        self._at: dict[Frame, str] = {}
        self.sockets: list[WebSocket] = []
        self._typed: dict[str, str] = {}
        self._fields: dict[str, ElementHandle] = {}
        self._names: dict[str, list[str]] = {}  # of the fields of servers
        self.servers: Hosts = ()
        self._page = page
        self._asked: dict[Request, int] = {}
        # When each question was asked, and when it was last answered: what is no picture, style or script.
        self._questions: dict[int, list[float]] = {}
        self._answers: dict[int, float] = {}
        self._answered: deque[tuple[float, Request]] = deque(maxlen=_MOST_ANSWERS)
        page.on("framenavigated", self._note_load)
        page.on("response", self._note_status)
        self.watch(page)

    def watch(self, page: Page) -> None:
        """Count what this page asks too, or this window beside it."""
        page.on("request", self._note_request)
        page.on("websocket", lambda socket: self.sockets.append(socket))
        page.on("requestfinished", self._note_answer)
        page.on("requestfinished", lambda request: self._answered.append((time.monotonic(), request)))
        page.on("requestfailed", self._note_answer)

    @property
    def quiet(self) -> bool:
        """Whether the page waits for no answer of the server."""
        return not self._asked

    def questions(self, since: float) -> int:
        """Return how often the page has asked the server something since then, without its polls."""
        polls = self._polls(since)
        return sum(at >= since for question, asked in self._questions.items() if question not in polls for at in asked)

    def answered(self, since: float, seconds: float) -> bool:
        """Whether the page has waited for no answer for so long, but those of the polls that began before ``since``."""
        late = (question for question, at in self._answers.items() if at > time.monotonic() - seconds)
        return self._polls(since).issuperset((*late, *self._asked.values()))

    def asks_on(self, since: float) -> bool:
        """Whether the page waits for an answer to what it first asked after ``since``, or asks that again and again."""
        now, waits = time.monotonic(), set(self._asked.values())
        new = ((key, at) for key, at in self._questions.items() if at[0] >= since)
        return any(key in waits or now - at[-1] < 2 * (at[-1] - at[-2:][0]) for key, at in new)

    def heard(self, since: float) -> list[Request]:
        """Return the requests for pages and their parts that were answered since then."""
        return [one for at, one in self._answered if at >= since and one.resource_type in ("document", *_PARTS)]

    async def names(self, host: str, since: float) -> bool:
        """Return whether an answer that came since then, as far as it can still be read, names a host."""
        name = naming(host)
        for request in self.heard(since):
            with contextlib.suppress(Error):
                response = await request.response()
                if response and name.search((await response.body()).decode("utf-8", "replace")):
                    return True
        return False

    async def note_typed(self, key: str, value: str, field: ElementHandle) -> None:
        """Note what is typed into the field that a label names."""
        self._typed[key], self._fields[key] = value, field
        self._names[key] = await field.evaluate(NAMES) if key in _GOES_TO.values() else []

    async def objection(self, request: bytes) -> str:
        """Return why a request must not leave, else nothing: a typed secret is in it, for another server than planned.

        That is what it gives the field of the server; where it names the right one nowhere, an address, or what stands
        in that field by now. One that is written in a way that is not known here, or was told the server before, goes.
        """
        if not self._typed.keys() & _GOES_TO:
            return ""
        head, _, body = request.partition(b"\r\n\r\n")
        sent = b" ".join((head.partition(b"\r\n")[0], body)).decode("utf-8", "replace")
        text = f"{sent} {unquote_plus(sent)}"
        told = ((server, self._typed.get(secret)) for secret, server in _GOES_TO.items())
        planned = {server: self._typed[server] for server, secret in told if secret and _tells(text, secret)}
        if not planned:
            return ""
        hosts = tuple(word for word in _ADDRESS.findall(text) if is_address(word))
        right = {*planned.values()}
        right |= {name for names in self.servers if any(any_same_host(one, names) for one in right) for name in names}
        named = any(any_same_host(host, hosts) or naming(host).search(text) for host in right)
        known = (urlsplit(self._page.url).hostname or "", *(self._typed.get(key, "") for key in _BESIDE))
        strange = [one for one in hosts if not (any_same_host(one, known) or is_localhost(one) or one[:4] == _MASK)]
        for server, host in planned.items():
            given = [value for name in self._names[server] for value in _given(name, text)]
            others = given if all(_is_another(value, right) for value in given) else []
            if named:  # one word may be what the page calls the server that it names elsewhere
                others = [one for one in others if "." in one]
            else:
                others += strange
                with contextlib.suppress(Error, TimeoutError):  # a page that is being left, or waits idly, does not say
                    async with asyncio.timeout(0 if others else _FIELD_S):
                        held = str(await self._fields[server].evaluate(HELD))
                        others += [held] if held.strip() and not is_kept(server, held, host) else []
            if others:
                return f"the page was about to send {others[0]} in the place of {host}; it was kept back"
        return ""

    def _polls(self, since: float) -> set[int]:
        """Return what was asked before, and three times by now from some seconds before."""
        asked = self._questions.items()
        return {key for key, at in asked if at[0] < since and sum(each > since - _POLLS_S for each in at) > 2}

    def _note_request(self, request: Request) -> None:
        # Times and counters are numbers in it; what it asks for may be in its body alone.
        words = (request.method, _NUMBER.sub("", request.url), _NUMBER.sub("", repr(request.post_data_buffer)))
        self._asked[request] = question = hash(words)
        part = request.redirected_from and request.resource_type in _PARTS
        if part and LOGIN_PATH.search(urlsplit(request.url).path):
            self.sent_to_login, self.failed_at = True, time.monotonic()
        if request.resource_type in ("document", *_PARTS):
            times = self._questions.setdefault(question, [])
            times.append(time.monotonic())
            del times[1:-_MOST_TIMES]  # when it was asked first tells polls of before a click from those after it

    def _note_answer(self, request: Request) -> None:
        if (question := self._asked.pop(request, None)) is not None:
            self._answers[question] = time.monotonic()

    def _note_status(self, response: Response) -> None:
        with contextlib.suppress(Error):  # its frame may have gone
            if response.request.is_navigation_request() and response.frame.parent_frame is None:
                self.status = response.status
            elif response.request.resource_type in _PARTS and response.status >= BROKEN:
                self.failed_at = time.monotonic()

    def _note_load(self, frame: Frame) -> None:
        at = _NUMBER.sub("", frame.url)
        self.loads += frame.parent_frame is None or self._at.get(frame) != at
        self._at[frame] = at
