"""The menu of the pages as data, and the search over it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MenuEntry:
    """One page: the names on the way to it, its own last, and its address."""

    names: tuple[str, ...]
    path: str

    @property
    def title(self) -> str:
        return self.names[-1]

    @property
    def trail(self) -> str:
        return " > ".join(self.names)


HOME = MenuEntry(("Home",), "/webacs/home")
HIGH_AVAILABILITY = MenuEntry(("Administration", "Settings", "High Availability"), "/webacs/ha")
ISE_SERVERS = MenuEntry(("Administration", "Servers", "ISE Servers"), "/webacs/ise")
ENTRIES = (HOME, HIGH_AVAILABILITY, ISE_SERVERS)


def search(words: str) -> list[MenuEntry]:
    """Return the entries whose way holds every one of ``words``, ignoring case; none where nothing was asked."""
    wanted = words.casefold().split()
    return [e for e in ENTRIES if wanted and all(word in e.trail.casefold() for word in wanted)]
