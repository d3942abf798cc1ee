"""What time a server has, as its web server says it in the header ``Date`` of any answer (RFC 9110).

No certificate is judged and nothing is typed: the time is shown to people and decides nothing.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from runbook_lib.models import Check
from runbook_lib.probe import seeing_context

MOST_APART_S = 120.0
_LARGEST_HEAD = 64 * 1024
_ASK = "HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


async def clock_check(name: str, host: str, port: int, deadline_s: float) -> Check:
    """Return whether a server's clock agrees with this machine's; not known where the server does not say."""
    expected = f"within {MOST_APART_S:.0f} s of this machine's"
    label = f"{name}: clock, as its port {port} tells it"
    try:
        async with asyncio.timeout(deadline_s):
            theirs = await _date(host, port)
    except (OSError, EOFError, ValueError, TimeoutError) as error:
        note = "it did not tell; compare with `show clock` on its command line"
        return Check(name=label, expected=expected, actual=f"not told ({type(error).__name__})", ok=None, note=note)
    apart = (theirs - datetime.now(UTC)).total_seconds()
    if abs(apart) <= MOST_APART_S:
        return Check(name=label, expected=expected, actual="agrees", ok=True)
    word = "ahead" if apart > 0 else "behind"
    return Check(
        name=label,
        expected=expected,
        actual=f"{abs(apart) / 60:.0f} minutes {word}",
        ok=False,
        note="mend NTP first: certificates look expired or not yet valid, and times in logs do not compare",
    )


async def _date(host: str, port: int) -> datetime:
    """Return the time that the server's answer carries; raises ValueError where it carries none."""
    reader, writer = await asyncio.open_connection(host, port, ssl=seeing_context(), limit=_LARGEST_HEAD)
    try:
        writer.write(_ASK.format(host=f"[{host}]" if ":" in host else host).encode("ascii"))
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise ValueError("an answer without an end") from None
    finally:
        writer.close()
    for line in head.decode("latin-1").split("\r\n"):
        key, _, value = line.partition(":")
        if key.strip().lower() == "date":
            return parsedate_to_datetime(value.strip()).astimezone(UTC)
    raise ValueError("no date in the answer")
