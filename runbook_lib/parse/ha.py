"""High availability in a server's own words: ``ncs ha status`` and ``ncs status``.

The wording is recalled, not published: ``[Role] Primary [State] Primary Active [Failover Type] Manual``.
So only the bracketed labels are looked for, wherever they stand, and the states are a table to which
a site can add its own words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from runbook_lib.models import HaStatus
from runbook_lib.parse._answers import not_understood

LABELS: Mapping[str, str] = {"role": "role", "state": "state", "failover type": "failover", "failover": "failover"}
"""The label between the brackets, in lower case, and the field that it fills."""


class StateKind(StrEnum):
    """What a state means for a registered pair: ``in transition`` may end by itself, ``broken`` does not."""

    HEALTHY = "healthy"
    IN_TRANSITION = "in transition"
    BROKEN = "broken"
    NOT_CONFIGURED = "not configured"
    UNKNOWN = "unknown"


STATES: Mapping[str, StateKind] = {
    "ha not configured": StateKind.NOT_CONFIGURED,
    "stand alone": StateKind.NOT_CONFIGURED,
    "standalone": StateKind.NOT_CONFIGURED,
    "primary active": StateKind.HEALTHY,
    "secondary syncing": StateKind.HEALTHY,
    "primary syncing": StateKind.IN_TRANSITION,
    "primary failover": StateKind.IN_TRANSITION,
    "primary alone": StateKind.BROKEN,
    "primary lost secondary": StateKind.BROKEN,
    "primary uncertain": StateKind.BROKEN,
    "secondary alone": StateKind.BROKEN,
    "secondary active": StateKind.BROKEN,
    "secondary lost primary": StateKind.BROKEN,
    "secondary uncertain": StateKind.BROKEN,
}
"""The states that are known, in lower case. ``secondary active`` is the state after a failover: the pair
does not stand as it was registered, and does not return to it by itself."""

_FIELD = re.compile(r"\[[ \t]*([A-Za-z][A-Za-z \t]{0,40})\]([^\[\]\r\n]*)")


def parse_ha_status(text: str, server: str, read_utc: datetime) -> HaStatus:
    """Return role, state and failover type as the device words them, each up to the next bracket or line end.

    A label that is not there leaves its field empty. AnswerNotUnderstood is raised where neither
    a role nor a state is named, or one label is given two different values.
    """
    found: dict[str, str] = {}
    for label, value in _FIELD.findall(text):
        name = LABELS.get(" ".join(label.split()).lower())
        if name is None:
            continue
        words = _value(value)
        if found.setdefault(name, words) != words:
            raise not_understood(
                f"The HA status names two values for [{label.strip()}].",
                text,
                server=server,
                next_step="Read the HA status on the server's own page.",
            )
    if not found.get("role") and not found.get("state"):
        raise not_understood(
            "The HA status names neither a role nor a state.",
            text,
            server=server,
            next_step="Run `ncs ha status` on the server and compare its words with the table in the documentation.",
        )
    return HaStatus(
        server=server,
        role=found.get("role", ""),
        state=found.get("state", ""),
        failover=found.get("failover", ""),
        text=text,
        read_utc=read_utc,
    )


def kind_of_state(state: str, more: Mapping[str, StateKind] | None = None) -> StateKind:
    """Return what ``state`` means; ``more`` holds a site's own words, which win over the table's.

    Case and spacing do not matter. A state that no table knows is UNKNOWN, never a guess.
    """
    words = _folded(state)
    own = {_folded(name): kind for name, kind in (more or {}).items()}
    return own.get(words) or STATES.get(words, StateKind.UNKNOWN)


def _folded(state: str) -> str:
    return " ".join(state.casefold().split())


def _value(text: str) -> str:
    """Return the value without the bracket that closes the sentence around it in ``ncs status``."""
    words = " ".join(text.split())
    unopened = words.count(")") - words.count("(")
    closing = re.search(r"[) ]*\Z", words)
    if closing is None or unopened <= 0:
        return words
    kept = [c for c in closing[0] if c == ")"][unopened:]
    return (words[: closing.start()] + "".join(kept)).strip()
