"""Whether a PI server's Health Monitor answers on its port, and which release it calls its own.

Its login page needs no login. What it says proves no identity and decides nothing: it is shown.
"""

from __future__ import annotations

from runbook_lib.models import Check, Presented
from runbook_lib.parse.health_monitor import HealthMonitor, parse_health_monitor
from runbook_lib.probe import read_page

PAGE = "/login.jsp"


async def health_monitor_check(name: str, look: Presented, probe_s: float) -> Check:
    """Return what the port that presented the certificate of ``look`` shows to everybody; never raises for that."""
    try:
        page = await read_page(look.host, look.port, PAGE, shown=look.chain[0], probe_s=probe_s)
        monitor = parse_health_monitor(page)
    except (OSError, EOFError, ValueError, TimeoutError) as error:
        return _check(name, look, f"not told ({type(error).__name__})", ok=None)
    if monitor is None:
        note = "is this its port? health_monitor_port in the site's file"
        return _check(name, look, "another page", ok=None, note=note)
    return _check(name, look, _in_words(monitor), ok=True, note="anybody may show such a page: it proves no identity")


def _in_words(monitor: HealthMonitor) -> str:
    words = "Health Monitor of Prime Infrastructure" if monitor.product else "Health Monitor of an unnamed product"
    return f"{words}, release {monitor.release}" if monitor.release else words


def _check(name: str, look: Presented, actual: str, *, ok: bool | None, note: str = "") -> Check:
    label = f"{name}: page on {look.host}:{look.port}"
    return Check(name=label, expected="Health Monitor", actual=actual, ok=ok, note=note)
