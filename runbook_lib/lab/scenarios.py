"""The states in which a lab can begin, each as the list of what really happened before.

A step is a verb of ``history.History`` and what it is done to. Every step runs over the site's own connections;
what ``try_…`` attempts is expected to fail, and leaves its lines in the logs.
"""

from __future__ import annotations

from collections.abc import Mapping

Step = tuple[str, ...]

EVERY_ISE = "every ISE server"

_IN_SERVICE: tuple[Step, ...] = (
    ("add_ise", EVERY_ISE),
    ("meet_peer", "primary"),
    ("meet_peer", "secondary"),
    ("register_ha",),
)

SCENARIOS: Mapping[str, tuple[Step, ...]] = {
    "healthy": _IN_SERVICE,
    # All three certificates were renewed; the guides have HA and the ISE server removed before, and adding both
    # again fails since.
    "renewed": (
        *_IN_SERVICE,
        ("remove_ha",),
        ("remove_ise", EVERY_ISE),
        ("renew", "primary"),
        ("renew", "secondary"),
        ("renew", EVERY_ISE),
        ("try_register_ha",),
        ("try_add_ise", EVERY_ISE),
    ),
    "renewed-secondary-only": (
        *_IN_SERVICE,
        ("renew", "secondary"),
        ("meet_peer", "primary"),
        ("meet_peer", "secondary"),
    ),
    "renewed-ise-only": (*_IN_SERVICE, ("renew", EVERY_ISE), ("meet_ise",)),
    # The secondary was deployed anew on its VM: another SSH host key and certificate, and nothing trusted yet.
    "after-redeploy": (*_IN_SERVICE, ("remove_ha",), ("redeploy", "secondary"), ("try_register_ha",)),
}
