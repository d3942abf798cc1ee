"""Which entries are stale, and what the logs say of deletions that nobody saw happen. Nothing is contacted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from runbook_lib.device.answers import StateKind
from runbook_lib.device.names import fits
from runbook_lib.i18n.language import utc_time
from runbook_lib.models import PI_SERVERS, Inventory, Judgement, TofuEntry
from runbook_lib.observations import Diagnosis, Mismatch
from runbook_lib.params.model import Site
from runbook_lib.repair.context import Target, is_own, target_of
from runbook_lib.repair.ha_state import kinds_of
from runbook_lib.repair.sent_changes import ChangeHistory

# The product logs a subject and no address, so a subject is all that leads from a line to an entry; it
# selects an entry for a closer look and confirms nothing.

BEHIND_UTC = timedelta(hours=12)
AHEAD_OF_UTC = timedelta(hours=14)
"""How far a clock of which nobody says the zone may be behind UTC and ahead of it."""
_NONE = timedelta()

_NEVER = datetime.min.replace(tzinfo=UTC)

INTERVALS = 3
"""So many times a mismatch that comes in regularly has to be missing before its absence means anything."""


class End(StrEnum):
    """What became of a deletion that nobody saw happen."""

    HAPPENED = "it happened: what followed proves it"
    DID_NOT_HAPPEN = "the mismatch continues: it did not happen, or the certificate has changed again"
    NOT_KNOWN = "not known: nothing that followed decides it"


class Staleness:
    """What is known of whether an entry is stale; remembers which mismatches an entry explained."""

    def __init__(self, site: Site, diagnosis: Diagnosis, inventory: Inventory, past: ChangeHistory) -> None:
        self._site = site
        self._diagnosis = diagnosis
        self._inventory = inventory
        self._past = past
        # A deletion that is dated ahead of us was dated by a clock that has been set back since: it settles nothing.
        self._gone_utc = {at: utc for at, utc in past.gone_utc.items() if past.now_utc is None or utc <= past.now_utc}
        self._used: set[Mismatch] = set()

    @property
    def unexplained(self) -> tuple[Mismatch, ...]:
        """The mismatches that fitted none of the entries that were asked about."""
        return tuple(mismatch for mismatch in self._diagnosis.mismatches if mismatch not in self._used)

    def fitting(self, server: str, entry: TofuEntry, judgement: Judgement) -> tuple[Mismatch, ...]:
        """Return the mismatches on this server whose subject is the entry's, or the presented certificate's."""
        subjects = _subjects(entry, judgement)
        own = (each for each in self._diagnosis.mismatches if each.server == server)
        mismatches = tuple(each for each in own if _fits_any(each, subjects))
        self._used.update(mismatches)
        return mismatches

    def attributed(
        self, server: str, entry: TofuEntry, target: Target, fitting: tuple[Mismatch, ...]
    ) -> tuple[Mismatch, ...]:
        """Return the mismatches that fit this entry, and no other that the operator named as stale."""
        if self.named(server, entry):
            return fitting
        named = [other for other in self._inventory.store(server).entries if self.named(server, other)]
        rivals = [one for one in fitting if any(self._is_rival(server, other, target, (one,)) for other in named)]
        return tuple(each for each in fitting if each not in rivals)

    def named(self, server: str, entry: TofuEntry) -> bool:
        """Whether the operator named the entry as stale."""
        return f"{server} {entry.key}" in self._site.policy.named_entries

    def why_over(self, server: str, entry: TofuEntry, target: Target, evidence: tuple[Mismatch, ...]) -> str:
        """Say why the mismatch is over, or nothing. An entry that the operator named is never called settled."""
        if self.named(server, entry):
            return ""
        last = self._latest(evidence)
        gone_utc = self._gone_utc.get((server, entry.key))
        if gone_utc and last and last <= gone_utc:
            assumed = "" if all(mismatch.zone_known for mismatch in evidence) else ", in whichever zone it was written"
            return (
                f"its last mismatch ({utc_time(last)} UTC at the latest{assumed}) is before its deletion"
                f" ({utc_time(gone_utc)} UTC)"
            )
        if self.healthy(target):
            return "both servers report high availability as healthy, so they accept each other's certificates"
        if ceased := self._ceased_since_sent(server, entry, evidence):
            return ceased
        ago = self._before_the_end(server, evidence)
        if ago is not None and ago > timedelta(hours=self._site.policy.mismatch_current_h):
            ago_h = ago.total_seconds() / 3600
            return f"its last mismatch is {ago_h:.0f} hours older than the end of the log: it has ceased"
        return ""

    def reported(self, server: str) -> tuple[Mismatch, ...]:
        """Return the mismatches of this server's logs that are not over: behind each of them stands an entry."""
        current = timedelta(hours=self._site.policy.mismatch_current_h)
        gone_utc = max((utc for (at, _), utc in self._gone_utc.items() if at == server), default=None)

        def is_over(mismatch: Mismatch) -> bool:
            last = self._latest((mismatch,))
            if gone_utc and last and last <= gone_utc:
                return True
            ago = self._before_the_end(server, (mismatch,))
            return ago is not None and ago > current

        return tuple(each for each in self._diagnosis.mismatches if each.server == server and not is_over(each))

    def _before_the_end(self, server: str, evidence: tuple[Mismatch, ...]) -> timedelta | None:
        """Return how long at least the last mismatch was before the log's end, or None where that is not known.

        Two times of one clock can be compared, whatever its zone; a log whose end could not be read has none. Where the
        end is in the future of this machine, that clock may have been set since the mismatch.
        """
        end = self._end(server)
        last = _latest(evidence)
        if end is None or last is None or self._diagnosis.unread(server):
            return None
        assumed = server in self._diagnosis.ends_assumed
        if assumed and not any(mismatch.zone_known for mismatch in evidence):
            last -= BEHIND_UTC
        elif assumed:
            end -= AHEAD_OF_UTC
        return end - last

    def _ahead(self, server: str) -> timedelta:
        """Return how far the server's clock is ahead of ours at least: as far as its log ended in the future."""
        end = self._diagnosis.log_end_utc.get(server)
        if not end or not self._diagnosis.read_utc:
            return _NONE
        assumed = AHEAD_OF_UTC if server in self._diagnosis.ends_assumed else _NONE
        return max(end - assumed - self._diagnosis.read_utc, _NONE)

    def _end(self, server: str) -> datetime | None:
        end = self._diagnosis.log_end_utc.get(server)
        return end and end - self._ahead(server)

    def _latest(self, evidence: tuple[Mismatch, ...]) -> datetime | None:
        latest = _latest(evidence)
        return latest and latest - self._ahead(evidence[0].server)

    def _surely(self, evidence: tuple[Mismatch, ...]) -> datetime | None:
        """Return nothing where the clock is ahead of ours: by how much at the most, its log does not tell."""
        return None if evidence and self._ahead(evidence[0].server) else _surely(evidence)

    def _ceased_since_sent(self, server: str, entry: TofuEntry, evidence: tuple[Mismatch, ...]) -> str:
        """Say how the log proves a deletion whose end was not seen, or nothing.

        Silence alone proves nothing: the mismatch has to have come in again and again before, and the log has to go
        on without it for several times as long, and for the site's ``quiet_s``.
        """
        end = self._end(server)
        undecided = self._past.undecided.get((server, entry.key))
        last = self._latest(evidence)
        every = _interval(evidence)
        if end is None or undecided is None or last is None or every is None or last > undecided.looked_utc:
            return ""
        if server in self._diagnosis.ends_assumed or self._diagnosis.unread(server):
            return ""
        quiet = max(timedelta(seconds=self._site.deadlines.quiet_s), INTERVALS * every)
        if end - max(last, undecided.sent_utc) < quiet:
            return ""
        return (
            f"its mismatch came in every {every.total_seconds():.1f} s until its deletion was sent, and the log goes on"
            f" without it until {utc_time(end)} UTC"
        )

    def end_of(self, server: str, entry: TofuEntry, target: Target, judgement: Judgement, before: Diagnosis) -> End:
        """Return what the evidence says of a deletion whose end was not seen; the entry is listed.

        ``before``: the logs as they were read last before it was sent. What they held then is from before it,
        whatever a clock that is ahead of ours has written.
        """
        evidence = self.attributed(server, entry, target, self.fitting(server, entry, judgement))
        undecided = self._past.undecided.get((server, entry.key))
        held = {(each.server, each.subject): each.last_utc for each in before.mismatches if each.last_utc}
        new = (one for one in evidence if one.last_utc and one.last_utc > held.get((one.server, one.subject), _NEVER))
        last = self._surely(tuple(new))
        latest = self._latest(evidence)
        if self.healthy(target) and latest and latest < min(status.read_utc for status in self._inventory.ha):
            return End.HAPPENED  # late: the pair talks since the last mismatch
        if undecided and last and last > undecided.looked_utc:
            return End.DID_NOT_HAPPEN
        over = self.healthy(target) or self._ceased_since_sent(server, entry, evidence)
        return End.HAPPENED if over else End.NOT_KNOWN

    def sent_without_end(self, server: str, key: str) -> str:
        """Say that a deletion of this entry was sent and its end was not seen, or nothing."""
        undecided = self._past.undecided.get((server, key))
        if undecided is None:
            return ""
        return f"its deletion was sent at {utc_time(undecided.sent_utc)} UTC, and its result is not known"

    def why_deleted_before(self, server: str, entry: TofuEntry, evidence: tuple[Mismatch, ...]) -> str:
        """Say that this incident has seen the entry go already and nothing shows that it is stale again, or nothing.

        So that a resumed run deletes no entry twice where no line tells when it was written.
        """
        place = (server, entry.key)
        gone_utc = self._past.gone_utc.get(place)
        if place not in self._past.sent_here or place in self._past.undecided or gone_utc is None:
            return ""
        last = self._surely(evidence)
        if last and last > gone_utc:
            return ""
        return (
            "its deletion was sent in this incident already, and no dated line of a log says that it is stale again;"
            " the stages after this one tell whether it is"
        )

    def healthy(self, target: Target) -> bool:
        """Whether both servers' own HA state says that they talk to each other; says nothing of an ISE server."""
        if target.name not in PI_SERVERS:
            return False
        statuses = self._inventory.ha
        states = dict(zip((status.server for status in statuses), kinds_of(self._site, statuses), strict=True))
        return all(states.get(server) is StateKind.HEALTHY for server in PI_SERVERS)

    def why_ambiguous(self, server: str, entry: TofuEntry, target: Target, evidence: tuple[Mismatch, ...]) -> str:
        """Say why this entry cannot be told from another, or nothing."""
        if entry.key != f"{entry.host}_{entry.port}":
            return "the device spells the entry's port unusually, so the command might mean another one"
        entries = self._inventory.store(server).entries
        if sum(other.key == entry.key for other in entries) > 1:
            return "the list holds this entry more than once"
        if self.named(server, entry):
            return ""
        if (server, entry.key) in self._past.gone_utc.keys() - self._gone_utc.keys():
            return f"our clock was set back since its deletion; if it is stale again, {naming(server, entry)}"
        rivals = [other.key for other in entries if self._is_rival(server, other, target, evidence)]
        if rivals:
            return f"the subject in the log fits {', '.join(rivals)} too; if this one is stale, {naming(server, entry)}"
        return ""

    def _is_rival(self, server: str, other: TofuEntry, target: Target, evidence: tuple[Mismatch, ...]) -> bool:
        """Whether the log lines may just as well mean this entry: of another host, a stranger, or the server itself."""
        host = target_of(self._site, server, other)
        if host and host.name == target.name:
            return False
        judgement = None  # of a stranger nobody knows what it presents
        if host or is_own(self._site, server, other):
            judgement = self._inventory.judgement(host.name if host else server)
        subjects = _subjects(other, judgement)
        return any(_fits_any(mismatch, subjects) for mismatch in evidence)


def _subjects(entry: TofuEntry, judgement: Judgement | None) -> tuple[str, ...]:
    """Return the subjects by which a log may call the entry's host: the stored one, and the one presented now."""
    presented = judgement.facts.subject if judgement and judgement.facts else ""
    return (entry.subject, presented) if presented else (entry.subject,)


def _fits_any(mismatch: Mismatch, subjects: tuple[str, ...]) -> bool:
    return any(fits(mismatch.subject, subject) for subject in subjects)


def fits_none(mismatch: Mismatch) -> str:
    """Return in words that no entry explains a mismatch."""
    return f"{mismatch.server}: a mismatch of {mismatch.subject} fits no entry of another host of this site"


def naming(server: str, entry: TofuEntry) -> str:
    """Return how the operator names an entry as stale."""
    return f"name it in the site's file (policy: named_entries: ['{server} {entry.key}'])"


def _latest(evidence: tuple[Mismatch, ...]) -> datetime | None:
    """Return when the newest line of the evidence may have been written at the latest.

    None where a line has no time, since it may be from just now.
    """
    latest = [
        mismatch.last_utc + (_NONE if mismatch.zone_known else BEHIND_UTC)
        for mismatch in evidence
        if mismatch.last_utc is not None and not mismatch.undated
    ]
    return max(latest) if latest and len(latest) == len(evidence) else None


def _surely(evidence: tuple[Mismatch, ...]) -> datetime | None:
    """Return the time that the newest dated line of the evidence has surely reached; None where none is dated."""
    earliest = (
        mismatch.last_utc - (_NONE if mismatch.zone_known else AHEAD_OF_UTC)
        for mismatch in evidence
        if mismatch.last_utc is not None
    )
    return max(earliest, default=None)


def _interval(evidence: tuple[Mismatch, ...]) -> timedelta | None:
    """Return how far apart the lines of the evidence came in, the rarest of them; None where that is not known."""
    intervals = []
    for mismatch in evidence:
        first, last = mismatch.first_utc, mismatch.last_utc
        if first is None or last is None or mismatch.undated or not mismatch.zone_known or mismatch.count <= INTERVALS:
            return None
        intervals.append((last - first) / (mismatch.count - 1))
    return max(intervals, default=None)
