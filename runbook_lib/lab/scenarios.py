"""The states in which a lab can begin, each as the list of what really happened before.

A step is a verb of ``site.SimulatedSite`` and what it is done to. Every step runs over the site's own connections;
what ``try_…`` attempts is expected to fail, and leaves its lines in the logs.
"""

from __future__ import annotations

from collections.abc import Mapping

Step = tuple[str, ...]

_IN_SERVICE: tuple[Step, ...] = (
    ("meet_peer", "primary"),
    ("meet_peer", "secondary"),
    ("add_ise", "ise"),
    ("register_ha",),
)

SCENARIOS: Mapping[str, tuple[Step, ...]] = {
    "healthy": _IN_SERVICE,
    # All three certificates were renewed; the guides have HA and the ISE server removed before, and adding both
    # again fails since.
    "renewed": (
        *_IN_SERVICE,
        ("remove_ha",),
        ("remove_ise", "ise"),
        ("renew", "primary"),
        ("renew", "secondary"),
        ("renew", "ise"),
        ("try_register_ha",),
        ("try_add_ise", "ise"),
    ),
    "renewed-secondary-only": (
        *_IN_SERVICE,
        ("renew", "secondary"),
        ("meet_peer", "primary"),
        ("meet_peer", "secondary"),
    ),
    "renewed-ise-only": (*_IN_SERVICE, ("renew", "ise"), ("meet_ise",)),
    # The secondary was deployed anew on its VM: another SSH host key and certificate, and nothing trusted yet.
    "after-redeploy": (*_IN_SERVICE, ("remove_ha",), ("redeploy", "secondary"), ("try_register_ha",)),
}
