"""What a run says that a signal has ended: what was sent, what goes on without it, and how to take it up again."""

from __future__ import annotations

import signal

from runbook_lib.cli.terminal import err_lines
from runbook_lib.errors import one_line
from runbook_lib.models import Stage
from runbook_lib.record import Kind, Line, Record
from runbook_lib.record.stages import pending_changes
from runbook_lib.report.words import count
from runbook_lib.session.nexts import next_run
from runbook_lib.signals import Terminated
from runbook_lib.times import stamp

GOES_ON = {
    Stage.DELETE: "a command that has reached the server is carried out there; its list says what became of it",
    Stage.REGISTER: "the servers carry out what has reached them, a registration takes half an hour to hours",
    Stage.READD_ISE: "what has reached the page is carried out there; the page says what became of it",
}


def say_interrupted(record: Record, stop: BaseException) -> None:
    """Print what a run leaves behind that a signal has ended; ``stop`` is what the signal raised."""
    err_lines("\n" + interrupted(record, stop))


def interrupted(record: Record, stop: BaseException) -> str:
    """Return the same as text, from the record alone."""
    lines = record.journal.read().lines
    pending = pending_changes(lines)
    told = [("sent", said) for said in (_sent(change, lines) for change in pending)] or [("sent", _all_known(lines))]
    told += [("goes on", said) for said in dict.fromkeys(GOES_ON.get(Stage(c.stage), "") for c in pending) if said]
    told += [
        ("record", str(record.folder)),
        ("next", f"{next_run(record)}\nit looks at everything first; what was sent is not sent again"),
    ]
    begun = [line.stage for line in lines if line.kind is Kind.STAGE_STARTED]
    ended = f"{_name(stop)} ended the run" + (f" in stage {begun[-1]}." if begun else " before its first stage.")
    return "\n".join([ended, *(f"  {name + ':':<9}{said.replace(chr(10), chr(10) + ' ' * 11)}" for name, said in told)])


def _sent(change: Line, lines: tuple[Line, ...]) -> str:
    same = (Kind.SENT, change.stage, change.server, change.text)
    left = [line for line in lines[change.n :] if (line.kind, line.stage, line.server, line.text) == same]
    how = (
        f"sent at {stamp(left[-1].utc)}; its result was not seen" if left else "was about to be sent; it may have left"
    )
    return one_line(f"{change.text}, {change.server}: {how}")


def _all_known(lines: tuple[Line, ...]) -> str:
    made = sum(line.kind is Kind.SENT for line in lines)
    return f"{count(made, 'change')}, the result of each is in the record" if made else "nothing; no server was changed"


def _name(stop: BaseException) -> str:
    return signal.Signals(stop.signum).name if isinstance(stop, Terminated) else "Ctrl-C"
