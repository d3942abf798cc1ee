"""Which incidents are asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from runbook_lib.errors import ParameterRefused
from runbook_lib.models import Outcome, PastIncident
from runbook_lib.record.bundle import site_slug, slug_in

STATES = (*Outcome, "open", "damaged")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_WORDS = re.compile(r'"([^"]+)"|(\S+)')


@dataclass(frozen=True, kw_only=True)
class Query:
    """What an incident has to be; whatever is left empty is not asked. Times are compared with its opening.

    ``text``: every word of it stands somewhere in the record, as a whole or as the beginning of a word; words in
    double quotes stand there one after the other.
    """

    site: str = ""
    state: str = ""
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""

    @classmethod
    def parse(cls, *, site: str = "", outcome: str = "", since: str = "", until: str = "", text: str = "") -> Query:
        """Read what was typed; raises ``ParameterRefused``. A day alone means all of it, in UTC."""
        if outcome and outcome not in STATES:
            raise ParameterRefused("There is no such outcome", found=outcome, next_step=f"one of: {', '.join(STATES)}")
        return cls(site=site, state=outcome, since=_moment(since, time.min), until=_moment(until, time.max), text=text)

    def fits(self, incident: PastIncident) -> bool:
        """Whether an incident is asked for, its text left out; one that nobody knows the time of fits no time.

        A damaged one is of the site that it is named after.
        """
        opened = incident.opened_utc
        named = bool(incident.problem) and slug_in(incident.incident) == site_slug(self.site)
        return (
            (named or self.site in ("", incident.site))
            and self.state in ("", incident.state)
            and (self.since is None or (opened is not None and opened >= self.since))
            and (self.until is None or (opened is not None and opened <= self.until))
        )

    @property
    def match(self) -> str:
        """The text in the words of SQLite's full-text search: nothing of it is an operator there."""
        printable = "".join(c if c.isprintable() else " " for c in self.text)
        words = [phrase or word for phrase, word in _WORDS.findall(printable)]
        return " ".join('"{}"*'.format(word.replace('"', '""')) for word in words)


def _moment(text: str, otherwise: time) -> datetime | None:
    if not text:
        return None
    try:
        if _DAY.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), otherwise, UTC)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ParameterRefused(
            "This is no time", found=text, next_step="write 2026-11-23, or 2026-11-23T12:45 (UTC where nothing is said)"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
