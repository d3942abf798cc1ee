"""Login sessions of one server's web pages: who sits behind which cookie, and for how long."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

MOST_SESSIONS = 500


@dataclass(kw_only=True)
class Session:
    """One browser's session; ``user`` is empty until it has logged in.

    ``notice`` and ``error`` are shown once, on the next page. ``auth_key`` is the authentication key of a form that
    was checked and not yet registered: a page never sends it back to the browser.
    """

    key: str
    xsrf: str
    user: str = ""
    notice: str = ""
    error: str = ""
    used_at: float = 0.0
    auth_key: str = field(default="", repr=False)

    def take_messages(self) -> dict[str, str]:
        """Return the messages for the next page and forget them."""
        messages = {"notice": self.notice, "error": self.error}
        self.notice = self.error = ""
        return messages


class Sessions:
    """All sessions of one server; one that was not used for ``idle_s`` seconds is gone."""

    def __init__(self, idle_s: float = 900.0) -> None:
        self.idle_s = idle_s
        self._by_key: dict[str, Session] = {}

    def find(self, key: str | None) -> Session | None:
        """Return the living session behind a cookie and count this as a use of it."""
        session = self._by_key.get(key or "")
        if session is None:
            return None
        if time.monotonic() - session.used_at > self.idle_s:
            del self._by_key[session.key]
            return None
        session.used_at = time.monotonic()
        return session

    def open(self, user: str = "") -> Session:
        """Make a session with a new key, so that a cookie from before the login is worth nothing after it."""
        self._drop_idle()
        session = Session(
            key=secrets.token_urlsafe(24), xsrf=secrets.token_urlsafe(24), user=user, used_at=time.monotonic()
        )
        self._by_key[session.key] = session
        return session

    def close(self, session: Session) -> None:
        self._by_key.pop(session.key, None)

    def expire_all(self) -> None:
        """End every session now, as a restart of the web service does."""
        self._by_key.clear()

    def _drop_idle(self) -> None:
        now = time.monotonic()
        living = [s for s in self._by_key.values() if now - s.used_at <= self.idle_s]
        newest = sorted(living, key=lambda s: s.used_at)[-(MOST_SESSIONS - 1) :]
        self._by_key = {s.key: s for s in newest}
