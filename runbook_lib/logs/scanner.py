"""The search: bytes in, findings out. Linear in the bytes, constant in memory.

Rare words are looked for in the bytes, and only what stands around a hit is parsed. A hit is handled
when everything within AFTER bytes behind it has arrived, so the findings do not depend on how the
bytes were cut.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo

from stringzilla import count, find

from runbook_lib.errors import cut
from runbook_lib.logs.events import CutOff, Findings, Tally
from runbook_lib.logs.likeness import APART, MARKS, MOST_SAMPLES, OWN_NAME, SAMPLE, Likeness, likeness_after
from runbook_lib.logs.lines import LINE_LIMIT, as_utc
from runbook_lib.logs.mismatch import (
    FURTHER,
    LITERAL,
    MessageHit,
    is_cut_off,
    is_field,
    is_told,
    place_before,
    prefix_of,
    read_folded,
    read_message,
)
from runbook_lib.logs.search import AFTER, BEFORE, BEFORE_WRAPPED, Rule, Search, Window
from runbook_lib.logs.streams import ByteSource
from runbook_lib.logs.wrapped_json import JOURNAL, LEFT_OUT, LISTS, read_wrapped, readable_line, wrapped_time
from runbook_lib.observations import LogLine

STEP = 1 << 19
_LINE_REACH = 1 << 16
"""Bytes of a line of evidence that are read, before it is redacted and cut."""
MESSAGE_LINES = 8
OTHER_CASE = (LITERAL.lower(), LITERAL.upper(), LITERAL.title())
"""The rarest words as what changes a log's capitals on its way makes of them: told, and not read."""
ROLES = {b"[Role] Primary": "primary", b"[Role] Secondary": "secondary"}
"""What a server prints of itself (``ncs status``; recalled, unproven): used only where nobody says whose log it is."""

_RULE_REACH = 1024


@dataclass(frozen=True)
class _File:
    """A file of the series: its name, where it begins, and how many lines of the series stand before it."""

    source: str
    start: int
    lines_before: int


class Scanner:
    """Scans logs: ``begin_file``, ``feed`` its bytes, and so on; then ``finish``. ``findings`` hold what was found.

    ``roles``: look for what tells whose logs they are, too. Positions count from the beginning of a series
    of files that follow each other.
    """

    def __init__(self, rules: Sequence[Rule], zone: tzinfo, *, roles: bool = False) -> None:
        self.findings = Findings({rule.name: Tally(rule) for rule in rules})
        self._zone = zone
        self._searched_rules = [rule for rule in rules if not rule.quoted]
        self._quoted = next((rule.name for rule in rules if rule.quoted), "")
        of_rules = [literal for rule in self._searched_rules for literal in rule.literals]
        always = (LITERAL, *OTHER_CASE, FURTHER, *LISTS, *LEFT_OUT)
        self._search = Search([*always, *(ROLES if roles else ()), *of_rules])
        self._data = bytearray(BEFORE_WRAPPED + STEP + AFTER + 1)
        self._view = memoryview(self._data)
        self._reset()

    def begin_file(self, source: str, *, continues: bool = False, within_line: bool = False) -> None:
        """Say that what is fed next is ``source``; ``continues``: it follows the file before without a gap.

        ``within_line``: an open line at the end of the file before goes on in this one.
        """
        if continues and self._files:
            self._end_line(open_too=not within_line)
            self._open_line = False
        else:
            self.finish()
        feeds = self._feeds + count(self._view[: self._size], b"\n")
        if self._files:
            self._end_file(feeds)
        self.findings.files += 1
        self._files.append(_File(source, self._base + self._size, feeds))
        self._likeness = Likeness()
        self._product = OWN_NAME.match(source) is not None  # or a word in it is the product's

    def read(self, file: ByteSource) -> int:
        """Take in what the file has next; return how many bytes that were, 0 at its end."""
        data = file.read(len(self._data) - 1 - self._size)
        self._view[self._size : self._size + len(data)] = data
        self._size += len(data)
        self.findings.size += len(data)
        self._work_if_full()
        return len(data)

    def feed(self, data: bytes) -> None:
        """Take in the next bytes of the file, any number of them."""
        stream = io.BytesIO(data)
        while self.read(stream):
            pass

    def finish(self) -> None:
        """Say that nothing follows the last file."""
        if self._files:
            self._end_line()
            self._work(self._size)
            self._end_file(self._feeds)
            self.findings.lines += self._feeds
            self.findings.events.end_of_series()
        self._reset()

    def so_far(self) -> Findings:
        """Return what would be found if the last file ended here; more can be read afterwards."""
        other = copy.copy(self)
        other._data = bytearray(self._data)
        other._view = memoryview(other._data)
        other._files = list(self._files)
        other.findings = copy.deepcopy(self.findings)
        other.finish()
        return other.findings

    # -- the buffer ---------------------------------------------------------------------------

    def _reset(self) -> None:
        self._size = 0  # of what the buffer holds
        self._base = 0  # the position of the buffer's first byte in the series
        self._feeds = 0  # line feeds before the buffer
        self._searched = 0  # how far in the buffer hits have been handled
        self._counted = (0, 0)  # a place in the buffer, and the line feeds between its beginning and there
        self._unwrapped_to = 0  # up to which position in the series a wrapped line has been read
        self._told_to = 0  # up to which position in the series a message has been read
        self._open_line = False  # whether the file's last line lacks its line feed
        self._likeness = Likeness()  # of the last file
        self._files: list[_File] = []
        for tally in self.findings.tallies.values():
            tally.skip_to = 0

    def _end_line(self, *, open_too: bool = True) -> None:
        """Note the time at the file's end, and with ``open_too`` end its last line where it is open."""
        self._look()
        self._look_at(max(self._files[-1].start, self._base + self._size - SAMPLE))
        self._note_time(Window(self._data, max(self._files[-1].start - self._base, self._size - AFTER, 0), self._size))
        whole = self._size > 0 and self._data[self._size - 1] == 10
        self._open_line = open_too and not whole and self._base + self._size > self._files[-1].start
        if self._open_line:
            self._data[self._size] = 10
            self._size += 1
            self._work_if_full()

    def _end_file(self, feeds: int) -> None:
        """Take note of what the last file looked like; ``feeds`` is how many line feeds end with it."""
        file = self._files[-1]
        self.findings.looks.add(file.source, feeds - file.lines_before, self._likeness, product=self._product)

    def _look(self) -> None:
        """Look at what has arrived of the last file, at places that depend on nothing but its size."""
        while self._likeness.samples < MOST_SAMPLES and not self._likeness.is_log:
            at = self._files[-1].start + self._likeness.samples * APART
            if at + SAMPLE > self._base + self._size:
                break
            self._look_at(at)
        if not self._product:
            start = max(self._files[-1].start - self._base, 0)
            self._product = any(find(self._data, mark, start, self._size) >= 0 for mark in MARKS)

    def _look_at(self, at: int) -> None:
        sample = self._view[at - self._base : min(at - self._base + SAMPLE, self._size)]
        if sample and not self._likeness.is_log:
            self._likeness = likeness_after(self._likeness, bytes(sample))

    def _work_if_full(self) -> None:
        if self._size - self._searched >= STEP + AFTER:
            self._look()
            self._work(self._size - AFTER)

    def _work(self, stop: int) -> None:
        """Handle every hit before ``stop``, and drop what is no longer needed."""
        positions = self._search.positions(self._data, self._searched, stop, self._size)
        if positions:
            self._handle(positions)
        drop = self._size if stop == self._size else max(0, stop - BEFORE_WRAPPED)
        self._feeds += count(self._view[:drop], b"\n")
        self._counted = (0, 0)
        self._view[: self._size - drop] = self._view[drop : self._size]
        self._base += drop
        self._size -= drop
        self._searched = stop - drop
        while len(self._files) > 1 and self._files[1].start <= self._base:
            del self._files[0]

    def _handle(self, positions: dict[bytes, list[int]]) -> None:
        self.findings.roles.update(role for words, role in ROLES.items() if words in positions)
        takes = dict.fromkeys((LITERAL, *LISTS), self._take_message) | {FURTHER: self._take_other}
        for at, hit in sorted((at, literal) for literal in takes for at in positions.get(literal, ())):
            takes[hit](at)
        for at in sorted(at for literal in OTHER_CASE for at in positions.get(literal, ())):
            if is_told(window := self._window(at, AFTER), at):
                self._take_cut_off(window, at, "other")
        for at in sorted(at for literal in LEFT_OUT for at in positions.get(literal, ())):
            self._take_left_out(at)
        for rule in self._searched_rules:
            for at in sorted({at for literal in rule.literals for at in positions.get(literal, ())}):
                self._take_look_alike(self.findings.tallies[rule.name], at)

    def _window(self, at: int, reach: int, before: int = BEFORE) -> Window:
        """Return what stands around ``at``; the line feed that was put to an open last line stays outside."""
        end = self._size - (self._open_line and self._files[-1].start <= self._base + at)
        low, high = max(0, at - before), min(end, at + reach)
        at_end = self._open_line and high == end
        return Window(self._data, low, high, at_end=at_end, at_start=self._base + low == 0)

    # -- what was hit -------------------------------------------------------------------------

    def _take_message(self, at: int) -> None:
        if self._base + at < self._unwrapped_to:
            return
        wide = self._window(at, AFTER, BEFORE_WRAPPED)
        window = self._window(at, AFTER)
        wrapped = read_wrapped(wide, at)
        if wrapped is not None:
            hits, end, reported = wrapped
            self._unwrapped_to = self._base + end
            for hit in hits:
                self._take_hit(wide, hit)
            if reported:
                self._take_cut_off(window, at, "other")
            if hits:
                return
        plain = read_message(window, at)
        if plain is None or plain.quoted:
            folded = read_folded(window, at)  # broken before the rarest words
            if folded and (plain is None or not folded.quoted):
                plain = folded
        if wrapped is not None:
            if plain:
                self._take_hit(window, replace(plain, quoted=True))
        elif plain and not (plain.quoted and is_field(window, at)):
            self._take_hit(window, plain)
        elif plain:
            self._take_cut_off(window, at, "other")
        elif window.data[at : at + 1] == LISTS[0][:1]:
            self._take_left_out(at)
        elif is_cut_off(window, at):
            self._take_cut_off(window, at, "cut")
        elif is_told(window, at):
            self._take_cut_off(window, at, "other")

    def _take_other(self, further: int) -> None:
        """Take a message of which nothing was read yet: its rarest words are broken, or are others."""
        window = self._window(further, AFTER)
        at = place_before(window, further)
        if at is None or self._base + further < max(self._told_to, self._unwrapped_to):
            return
        hit = read_folded(window, at)
        if hit and not hit.quoted:
            self._take_hit(window, hit)
        else:
            self._take_cut_off(window, further, "other")

    def _take_left_out(self, at: int) -> None:
        window = self._window(at, AFTER, BEFORE_WRAPPED)
        if window.data.find(JOURNAL, window.low, window.high) >= 0:
            self._take_cut_off(window, at, "missing")

    def _take_cut_off(self, window: Window, at: int, how: CutOff) -> None:
        start = window.line_start(at)
        source = self._file_at(start).source
        if source not in self.findings.cut_off:
            (line,) = self._evidence(window, start, start)
            self.findings.cut_off[source] = (line.number, how)

    def _take_hit(self, window: Window, hit: MessageHit) -> None:
        base = self._base
        utc = as_utc(hit.moment, self._zone) if hit.moment else None
        moved = replace(hit, start=hit.start + base, at=hit.at + base, end=hit.end + base, moment=utc)
        self._told_to = max(self._told_to, moved.end)
        lines = self._evidence(window, window.line_start(hit.start), hit.end)
        if self.findings.events.add(moved, lines) and self._quoted:
            tally = self.findings.tallies[self._quoted]
            if moved.at >= tally.skip_to:
                tally.add(lines)
                tally.skip_to = base + window.line_end(hit.end)

    def _take_look_alike(self, tally: Tally, at: int) -> None:
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
        tally.skip_to = self._base + end
        tally.add(self._evidence(window, above, start))

    def _evidence(self, window: Window, start: int, end: int) -> list[LogLine]:
        """Return the lines from the one that begins at ``start`` to the one that holds ``end``."""
        lines: list[LogLine] = []
        while start <= end and len(lines) < MESSAGE_LINES:
            stop = window.line_end(start)
            file = self._file_at(start)
            number = self._feeds + self._feeds_before(start) - file.lines_before + 1
            text = cut(readable_line(window.text(start, min(stop, start + _LINE_REACH))), LINE_LIMIT)
            lines.append(LogLine(source=file.source, number=number, text=text))
            start = stop + 1
        return lines

    def _file_at(self, at: int) -> _File:
        return next((file for file in reversed(self._files) if file.start <= self._base + at), self._files[0])

    def _feeds_before(self, at: int) -> int:
        """Count the line feeds between the buffer's beginning and ``at``, from the place counted last."""
        place, feeds = self._counted
        low, high = min(place, at), max(place, at)
        between = count(self._view[low:high], b"\n") if low < high else 0
        feeds += between if at >= place else -between
        self._counted = (at, feeds)
        return feeds

    def _note_time(self, window: Window) -> None:
        """Keep the time of the last line in ``window`` that begins with one, if it is later than those before."""
        end = window.high
        while end > window.low:
            start = window.line_start(end - 1)
            moment = prefix_of(window, start).moment or wrapped_time(window, start)
            utc = as_utc(moment, self._zone) if moment else None
            if utc is not None:
                if self.findings.end_utc is None or utc > self.findings.end_utc:
                    self.findings.end_utc = utc
                    self.findings.end_zoneless = moment is not None and moment.tzinfo is None
                return
            end = start
