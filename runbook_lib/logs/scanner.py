"""The search: bytes in, mismatches and look-alikes out. Linear in the bytes, constant in memory.

Rare words are looked for in the bytes, and only what stands around a hit is parsed. A hit is handled
when everything within AFTER bytes behind it has arrived, so the findings do not depend on how the
bytes were cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from runbook_lib.logs.events import Mismatches
from runbook_lib.logs.message import LITERAL, prefix_of, read_message
from runbook_lib.logs.rules import Rule
from runbook_lib.logs.timestamps import as_utc
from runbook_lib.logs.window import AFTER, BEFORE, Window
from runbook_lib.models import LogLine, LookAlike

STEP = 1 << 20
LINE_LIMIT = 1000
MESSAGE_LINES = 8
_RULE_REACH = 1024
_EVIDENCE = 5


@dataclass(frozen=True)
class _File:
    """A file of the series: its name, where it begins, and how many lines of the series stand before it."""

    source: str
    start: int
    lines_before: int


@dataclass
class _Tally:
    """What one rule has found; hits before ``skip_to`` have been dealt with."""

    rule: Rule
    count: int = 0
    skip_to: int = 0
    early: list[LogLine] = field(default_factory=list)
    late: list[LogLine] = field(default_factory=list)


class Scanner:
    """Scans the logs of one server: ``begin_file``, ``feed`` its bytes, and so on; then ``finish``.

    ``mismatches``, ``lines`` and ``end_utc`` (the latest of the times at the files' ends) hold what was
    found. Positions count from the beginning of a series of files that follow each other.
    """

    def __init__(self, server: str, rules: Sequence[Rule], zone: tzinfo) -> None:
        self.mismatches = Mismatches(server)
        self.lines = 0
        self.end_utc: datetime | None = None
        self._server = server
        self._zone = zone
        self._tallies = [_Tally(rule) for rule in rules]
        self._reset()

    def begin_file(self, source: str, *, continues: bool = False) -> None:
        """Say that what is fed next is ``source``; ``continues``: it follows the file before without a gap."""
        if continues and self._files:
            self._end_line()
            self._open_line = False
        else:
            self.finish()
        self._files.append(_File(source, self._base + self._size, self._feeds + self._data.count(b"\n")))

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes of the file, any number of them."""
        self._pending.append(chunk)
        self._size += len(chunk)
        if self._size - self._searched >= STEP + AFTER:
            self._work(self._size - AFTER)

    def finish(self) -> None:
        """Say that nothing follows the last file."""
        if self._files:
            self._end_line()
            self._work(self._size)
            self.lines += self._feeds
            self.mismatches.end_of_series()
        self._reset()

    def look_alikes(self) -> Iterator[LookAlike]:
        """Yield what the rules have found; complete after ``finish``."""
        for tally in self._tallies:
            if tally.count:
                yield LookAlike(
                    server=self._server,
                    rule=tally.rule.name,
                    meaning=tally.rule.meaning,
                    advice=tally.rule.advice,
                    count=tally.count,
                    evidence=(*tally.early, *tally.late),
                )

    # -- the buffer ---------------------------------------------------------------------------

    def _reset(self) -> None:
        self._data = b""
        self._pending: list[bytes] = []
        self._size = 0  # of the buffer, with what is pending
        self._base = 0  # the position of the buffer's first byte in the series
        self._feeds = 0  # line feeds before the buffer
        self._searched = 0  # how far in the buffer hits have been handled
        self._counted = (0, 0)  # a place in the buffer, and the line feeds between its beginning and there
        self._open_line = False  # whether the file's last line lacks its line feed
        self._files: list[_File] = []
        for tally in self._tallies:
            tally.skip_to = 0

    def _join(self) -> None:
        if self._pending:
            self._data = b"".join((self._data, *self._pending))
            self._pending.clear()

    def _end_line(self) -> None:
        """Note the time at the file's end, and end its last line."""
        self._join()
        self._note_time(Window(self._data, max(self._files[-1].start - self._base, self._size - AFTER, 0), self._size))
        self._open_line = not self._data.endswith(b"\n") and self._base + self._size > self._files[-1].start
        if self._open_line:
            self._data += b"\n"
            self._size += 1

    def _work(self, stop: int) -> None:
        """Handle every hit before ``stop``, and drop what is no longer needed."""
        self._join()
        for at in self._positions((LITERAL,), stop):
            self._take_message(at)
        for tally in self._tallies:
            for at in self._positions(tally.rule.literals, stop):
                self._take_look_alike(tally, at)
        drop = self._size if stop == self._size else max(0, stop - BEFORE)
        self._feeds += self._data.count(b"\n", 0, drop)
        self._counted = (0, 0)
        self._data = self._data[drop:]
        self._base += drop
        self._size -= drop
        self._searched = stop - drop
        while len(self._files) > 1 and self._files[1].start <= self._base:
            del self._files[0]

    def _positions(self, literals: tuple[bytes, ...], stop: int) -> list[int]:
        found = []
        for literal in literals:
            at = self._data.find(literal, self._searched)
            while 0 <= at < stop:
                found.append(at)
                at = self._data.find(literal, at + 1)
        return sorted(found)

    def _window(self, at: int, reach: int) -> Window:
        """Return what stands around ``at``; the line feed that was put to an open last line stays outside."""
        end = self._size - (self._open_line and self._files[-1].start <= self._base + at)
        high = min(end, at + reach)
        return Window(self._data, max(0, at - BEFORE), high, at_end=self._open_line and high == end)

    # -- what was hit -------------------------------------------------------------------------

    def _take_message(self, at: int) -> None:
        window = self._window(at, AFTER)
        hit = read_message(window, at)
        if hit is None:
            return
        lines = self._evidence(window, hit.start, hit.end)
        moment = as_utc(hit.moment, self._zone) if hit.moment else None
        base = self._base
        moved = replace(hit, start=hit.start + base, at=hit.at + base, end=hit.end + base)
        self.mismatches.add(moved, lines, moment)

    def _take_look_alike(self, tally: _Tally, at: int) -> None:
        if self._base + at < tally.skip_to:
            return
        window = self._window(at, AFTER)
        start, end = window.line_start(at), window.line_end(at)
        above = start
        for _ in range(tally.rule.lines_before):
            above = window.line_start(above - 1) if above > window.low else above
        text = window.text(max(above, at - _RULE_REACH), min(end, at + _RULE_REACH))
        if not all(pattern.search(text) for pattern in tally.rule.patterns):
            tally.skip_to = self._base + min(end, at + _RULE_REACH // 2)
            return
        tally.count += 1
        tally.skip_to = self._base + end
        line = self._evidence(window, start, start)
        if len(tally.early) < _EVIDENCE:
            tally.early += line
        else:
            tally.late = [*tally.late[1 - _EVIDENCE :], *line]

    def _evidence(self, window: Window, start: int, end: int) -> list[LogLine]:
        """Return the lines from the one that begins at ``start`` to the one that holds ``end``."""
        lines: list[LogLine] = []
        while start <= end and len(lines) < MESSAGE_LINES:
            stop = window.line_end(start)
            file = next(f for f in reversed(self._files) if f.start <= self._base + start or f is self._files[0])
            number = self._feeds + self._feeds_before(start) - file.lines_before + 1
            text = window.text(start, min(stop, start + 4 * LINE_LIMIT))[:LINE_LIMIT]
            lines.append(LogLine(source=file.source, number=number, text=text))
            start = stop + 1
        return lines

    def _feeds_before(self, at: int) -> int:
        """Count the line feeds between the buffer's beginning and ``at``, from the place counted last."""
        place, feeds = self._counted
        feeds += self._data.count(b"\n", place, at) if at >= place else -self._data.count(b"\n", at, place)
        self._counted = (at, feeds)
        return feeds

    def _note_time(self, window: Window) -> None:
        """Keep the time of the last line in ``window`` that begins with one, if it is later than those before."""
        end = window.high
        while end > window.low:
            start = window.line_start(end - 1)
            moment = prefix_of(window, start).moment
            utc = as_utc(moment, self._zone) if moment else None
            if utc is not None:
                self.end_utc = max(utc, self.end_utc or utc)
                return
            end = start
