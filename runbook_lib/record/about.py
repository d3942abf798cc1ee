"""What a line of the journal is about, as data: readers go by this, and never by the sentences beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum


class LineTopic(Enum):
    """What a line is about; the value stands in the journal."""

    DELETE = "delete"
    REMOVE_HA = "remove_ha"
    REGISTER_HA = "register_ha"
    REGISTER_HA_BY_HAND = "register_ha_by_hand"
    CHECK_READINESS = "check_readiness"
    MILESTONES = "milestones"
    ADD_ISE = "add_ise"
    REMOVE_ISE = "remove_ise"
    ADD_ISE_BY_HAND = "add_ise_by_hand"
    CERTIFICATE = "certificate"
    TEMPLATE = "template"
    TEMPLATE_BY_HAND = "template_by_hand"
    OLD_ALGORITHMS = "old_algorithms"
    OTHER = "other"


NOT_SENT, AS_EXPECTED = "not_sent", "as_expected"
"""What ``About.seen`` says of a change that never left, and of one whose result is right, however it is worded."""

_SENTENCES = {
    LineTopic.DELETE: "{name}",
    LineTopic.REMOVE_HA: "ncs ha remove",
    LineTopic.REGISTER_HA: "register HA",
    LineTopic.REGISTER_HA_BY_HAND: "register HA by hand",
    LineTopic.CHECK_READINESS: "check readiness",
    LineTopic.MILESTONES: "milestones of the registration, as the page says",
    LineTopic.ADD_ISE: "add ISE server {name}",
    LineTopic.REMOVE_ISE: "remove ISE server {name}",
    LineTopic.ADD_ISE_BY_HAND: "add ISE servers by hand",
    LineTopic.CERTIFICATE: "certificate of {name}",
    LineTopic.TEMPLATE: "template notebook",
    LineTopic.TEMPLATE_BY_HAND: "template notebook, by hand: as on disk at that time",
    LineTopic.OLD_ALGORITHMS: "the site's file allows old SSH algorithms",
    LineTopic.OTHER: "{name}",
}


@dataclass(frozen=True, kw_only=True)
class About:
    """The topic of a line; ``name`` says which one of the kind: an entry's key, an ISE server, a host.

    ``command`` is what is typed on the server for it. ``seen`` is what became of it where that decides something:
    ``not_sent``, ``as_expected``, a verdict. A line without a topic is about its text: that is its ``name``.
    """

    topic: LineTopic = LineTopic.OTHER
    name: str = ""
    command: str = ""
    seen: str = ""

    def __str__(self) -> str:
        """Return it as people read it."""
        return _SENTENCES[self.topic].format(name=self.name)

    @property
    def subject(self) -> About:
        """What an intent, its ``sent`` and its result have in common."""
        return replace(self, command="", seen="")

    def value(self, gate: Callable[[str], str]) -> dict[str, str]:
        """Return what stands in the line, nothing for a line without a topic; every text goes through ``gate``."""
        if self.topic is LineTopic.OTHER:
            return {}
        texts = {"name": gate(self.name), "command": gate(self.command), "seen": gate(self.seen)}
        return {"topic": self.topic.value} | {key: text for key, text in texts.items() if text}


def read_about(line: Mapping[str, object]) -> About:
    """Return what a line is about; raises ``ValueError`` where its ``about`` is none that is written."""
    if "about" not in line:
        return _by_text(*(str(line[key]) for key in ("kind", "stage", "expected", "seen", "text")))
    value = line["about"]
    if not isinstance(value, dict) or not value.keys() <= {"topic", "name", "command", "seen"}:
        raise ValueError("its about is not one that a journal line holds")
    if not all(text and isinstance(text, str) for text in value.values()):
        raise ValueError("its about holds something that is not text")
    topic = next((each for each in LineTopic if each.value == value.get("topic")), LineTopic.OTHER)
    if topic is LineTopic.OTHER:
        raise ValueError("its about names an unknown topic")
    return About(**value | {"topic": topic})


# -- Lines that were written before a line had an ``about``. Records hold these sentences: they never change.

_CHANGES = (
    (LineTopic.REMOVE_HA, re.compile("ncs ha remove")),
    (LineTopic.REGISTER_HA, re.compile("register HA")),
    (LineTopic.REGISTER_HA_BY_HAND, re.compile("register HA by hand")),
    (LineTopic.ADD_ISE, re.compile("add ISE server (?P<name>.+)")),
    (LineTopic.REMOVE_ISE, re.compile("remove ISE server (?P<name>.+)")),
    (LineTopic.ADD_ISE_BY_HAND, re.compile("add ISE servers by hand")),
)
_NOTES = (
    (LineTopic.MILESTONES, re.compile("milestones of the registration, as the page says")),
    (LineTopic.TEMPLATE, re.compile("template notebook")),
    (LineTopic.TEMPLATE_BY_HAND, re.compile("template notebook, by hand: as on disk at that time")),
    (LineTopic.OLD_ALGORITHMS, re.compile("the site's file allows old SSH algorithms")),
)
_LOOK = ((LineTopic.CERTIFICATE, re.compile("certificate of (?P<name>.+)")),)
_SENTENCES_WITHOUT_ABOUT = {"noted": _NOTES, "decided": _NOTES, "observed": _LOOK}


def _by_text(kind: str, stage: str, expected: str, seen: str, text: str) -> About:
    is_change = kind in ("intent", "sent", "result")
    if is_change and stage == "30_delete_stale_certificates":
        command = expected.partition(" (")[0] if kind == "intent" else ""
        about = About(topic=LineTopic.DELETE, name=text, command=command)
    else:
        known = _CHANGES if is_change else _SENTENCES_WITHOUT_ABOUT.get(kind, ())
        matches = ((topic, pattern.fullmatch(text)) for topic, pattern in known)
        named = (About(topic=topic, **match.groupdict("")) for topic, match in matches if match)
        about = next(named, About(name=text))
    if kind == "observed":
        return replace(about, seen=seen.partition(":")[0]) if about.topic is LineTopic.CERTIFICATE else about
    is_unsent = kind == "result" and seen.partition(": ")[0] == "not sent"
    return replace(about, seen=NOT_SENT) if is_unsent else about
