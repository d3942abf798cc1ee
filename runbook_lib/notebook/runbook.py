"""What all stages have in common: the banner, the journal's lines, the next step, the seal, the close."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from runbook_lib import errors, event_loop
from runbook_lib.device.prime import Keep
from runbook_lib.i18n.language import gettext
from runbook_lib.models import Stage, StageState
from runbook_lib.notebook.workspace import Next, next_run, stage_link, steps_after
from runbook_lib.params.load import site_without_secrets
from runbook_lib.params.model import Site
from runbook_lib.record.attestation import seal_record
from runbook_lib.record.lock import is_under_lock
from runbook_lib.record.stages import progress_in_words, unsealed_in_words
from runbook_lib.repair.context import Context, Devices, ProgressCallback
from runbook_lib.repair.primary_pages import PrimaryPages
from runbook_lib.repair.sent_changes import anything_sent
from runbook_lib.show import tables
from runbook_lib.show.document import DOUBT, GOOD, Cell, Row, Table
from runbook_lib.show.progress import Progress
from runbook_lib.show.rendering import LAB, PRODUCTION, Sign, Signed, View

# -- The connections of a stage: closed with it, or handed to the stage that follows in the same kernel.
#
# A run has one kernel for all of its stages. What a stage that is done leaves open there (the command lines, the
# browser and its session) serves the next one, if that is of the same site, to the letter of its file, and of the same
# incident. Nothing that was found out goes with it: each stage confirms certificates by itself, and reads anew.

LAST_STAGE = "RUNBOOK_LAST_STAGE"
"""The variable by which a run tells its kernel the last of its stages; without it each stage closes what it opened."""


class _Left(NamedTuple):
    """What a stage that is done has left open for the one that follows."""

    context: Context
    pages: PrimaryPages


_left: _Left | None = None


def devices_for(site: Site, incident: str, keep: Keep, progress: ProgressCallback) -> Devices:
    """Return the devices that the stage before left open, if they are of this site and incident, else new ones."""
    if _left is not None and (_left.context.site, _left.context.record.incident) != (site, incident):
        close_connections(_left.context.devices, _left.pages)
    devices = Devices(site, keep) if _left is None else _left.context.devices
    devices.serve(keep, progress)
    return devices


def pages_for(context: Context) -> PrimaryPages:
    """Return the primary's pages for a stage; those that came with its devices go on with it."""
    if _left is None or _left.context.devices is not context.devices:
        return PrimaryPages(context)
    _left.pages.serve(context)
    return _left.pages


def leave_connections(context: Context, pages: PrimaryPages) -> None:
    """At the end of a stage that is done: leave everything open where the run goes on, else close it."""
    global _left
    if os.environ.get(LAST_STAGE, context.stage) == context.stage:
        close_connections(context.devices, pages)
    else:
        _left = _Left(context, pages)


def close_connections(devices: Devices, pages: PrimaryPages) -> None:
    """Close the browser and every command line of a stage; nothing is left open for another one."""
    global _left
    _left = None

    async def both() -> None:
        await pages.close()
        await devices.close()

    event_loop.run(both())


# -- The seal of an incident whose stages a person runs; ``runbook run`` seals by itself when it is through


def seal_by_hand(context: Context) -> None:
    """Seal the record and tell of it, unless a run that has started this notebook is going to."""
    if not is_under_lock(context.site.name):
        context.progress(str(seal_record(context.record, site_without_secrets(context.site))))


# -- What all stages have in common: the banner, the journal's lines around each verb, the next step, the close

T = TypeVar("T")


class Runbook:
    """One stage of one incident. Its value in a notebook is the banner; its verbs are the stage's.

    Every verb may be called again, in any order: each reads what it needs from the record and
    refuses by itself what would not be safe. It returns a ``View``, whose ``value`` holds the facts, and raises a
    ``RunbookError``: ``SafetyStop`` where it refuses, ``DeviceError`` where a device does not answer or does not do
    it, ``RecordError`` where the record cannot be read or written. Times are UTC.
    """

    stage: Stage

    def __init__(self, context: Context) -> None:
        self.context = context
        self._pages = pages_for(context)
        self._red = dict[str, str]()  # what each verb raised that has not been run again since
        self._last: StageState | None = None  # how the attempt ended that the journal holds last; None: it goes on
        self._closed = False
        context.record.start_stage(context.stage, text=context.operator)

    @property
    def incident(self) -> str:
        """The incident's id, which names its folder in the records."""
        return self.context.record.incident

    def _repr_html_(self) -> str:
        return self._banner()._repr_html_()

    def __repr__(self) -> str:
        return self._banner().text()

    def _banner(self) -> View[str]:
        site, record = self.context.site, self.context.record
        sign = sign_of(site)
        rows = (
            ("site", site.name),
            ("servers", sign.servers),
            ("incident", self.incident),
            ("record", str(record.folder)),
            ("operator", self.context.operator),
        )
        table = Table(
            title=f"{self.stage} · {PRODUCTION if sign.production else LAB}",
            headers=("what", "value"),
            rows=tuple(Row(*row) for row in rows),
            fold=progress_in_words(record.journal.read().lines),
        )
        later = Table(
            title="After the seal",
            headers=("lines that nobody signed",),
            rows=(Row(unsealed_in_words(self.context.later), mark=DOUBT),),
        )
        states = record.stage_states()
        done = ", ".join(stage[:2] for stage, state in states.items() if state is StageState.DONE)
        stages = replace(tables.stages(states, before=record.earlier_ends()), fold=f"stages done: {done or 'none'}")
        return Signed(self.incident, (*((later,) if self.context.later else ()), table, stages), sign=sign)

    def next(self) -> View[str]:
        """Show the one thing that comes next, and folded what would where this stage had ended otherwise."""
        steps = steps_after(self.stage, self.incident)
        try:
            one = self._goes_on_with()
        except errors.StageOutOfOrder:  # it was closed before it had found anything
            one = steps[0]
        go_on = Table(
            title="Next step",
            headers=("what", "notebook"),
            rows=(Row(one.then, self._linked(one), mark=one.mark),),
            note=f"As a batch job: {next_run(self.context.record)}" if one.stage else "",
        )
        others = Table(
            title="What next",
            headers=("when", "then", "notebook"),
            rows=tuple(Row(each.when, each.then, self._linked(each)) for each in steps if each.when != one.when),
            fold="Otherwise",
        )
        return View(self.stage, (go_on, others))

    def _linked(self, step: Next) -> Cell:
        return stage_link(step.stage, self.incident) if step.stage else "-"

    def _goes_on_with(self) -> Next:
        """Return what comes next as this stage ended."""
        return steps_after(self.stage, self.incident)[0]

    def close(self) -> View[StageState]:
        """Seal the stage: close every connection and write its end into the journal; the last one seals the record.

        In a run that goes on with another stage the connections stay open for that one.

        Raises what the stage's outcome calls for, so that the cell is red by hand and the exit
        code is not zero in a batch; StageOutOfOrder after a cell that was red and was not run again.
        """
        if self._closed:
            return self._show_closed()
        red = dict(self._red)
        try:
            self._do(lambda: self._seal_after("\n".join(red.values())), begins=False)
        finally:
            self._red = red  # closing is no verb: what it raises is asked anew
        leave_connections(self.context, self._pages)
        self.context.record.end_stage(self.stage, StageState.DONE)
        self._last = StageState.DONE
        self._closed = True
        if self.stage is Stage.VERIFY:
            seal_by_hand(self.context)
        return self._show_closed()

    def _show_closed(self) -> View[StageState]:
        go_on, others = self.next().tables
        closed = Row(f"{self.stage} is done", "-", mark=GOOD)
        return View(StageState.DONE, (replace(go_on, rows=(closed, *go_on.rows)), others))

    def _seal_after(self, red: str) -> None:
        if red:
            raise errors.StageOutOfOrder(
                "A cell of this stage ended red and has not been run again; the stage is not done",
                found=red,
                next_step="do what that cell says, and run it again: it looks first; then close the stage",
            )
        self.context.devices.require_whole_lists()
        self._seal()

    def _seal(self) -> None:
        """What a stage asks of itself before it may be called done; raises where it may not."""

    def _do(self, act: Callable[[], T], *, begins: bool = True, verb: str = "") -> T:
        """Run one verb, its progress shown meanwhile; an error ends the stage in the journal before it is raised.

        A verb that is run after such an end begins another attempt; after the close it does not. In an incident that
        has ended by now it is refused before it writes. ``verb`` is what it is known by where it is red, by default
        where ``act`` was written.
        """
        verb = verb or act.__qualname__
        if begins and self.stage not in (Stage.VERIFY, Stage.POST_MORTEM):  # which go on where they have ended it
            self.context.record.require_open()
        try:
            if begins:
                self._begin()
            # A person sees a bar while it works; lines of text need nothing around them.
            if isinstance(self.context.progress, Progress):
                with self.context.progress:
                    done = act()
            else:
                done = act()
        except errors.RunbookError as error:
            raised = self._begun(error)
            self._keep_whole(raised)
            self._fail(verb, state_after(raised), f"{type(raised).__name__}: {raised.what}")
            if raised is not error:
                raise raised from error
            raise
        except (KeyboardInterrupt, asyncio.CancelledError) as stop:
            self._fail(verb, StageState.INTERRUPTED, "stopped by hand")
            with suppress(errors.RecordError):  # what was sent by then is the first thing that a person asks
                stop.add_note(progress_in_words(self.context.record.journal.read().lines))
            raise
        except Exception as error:
            self._fail(verb, StageState.FAILED, f"{type(error).__name__}")
            raise
        self._red.pop(verb, None)
        return done

    def _keep_whole(self, error: errors.RunbookError) -> None:
        """Keep in the record what an error found, where it is longer than what a terminal shows of it."""
        if len(error.found) > error.shown_limit or error.found.count("\n") >= errors.MOST_LINES:
            with suppress(errors.RecordError):  # a record that takes no more is what is being told, or worse is
                self.context.record.keep_bytes(
                    f"errors/{self.stage}.txt",
                    error.found.encode("utf-8", "backslashreplace"),
                    stage=self.stage,
                    text=f"all that was found: {type(error).__name__}",
                )

    def _begin(self) -> None:
        self._closed = False
        if self._last not in (None, StageState.DONE):
            self.context.record.start_stage(self.stage, text=self.context.operator)
            self._last = None

    def _begun(self, error: errors.RunbookError) -> errors.RunbookError:
        """Return the error; once something was sent, one that claims that nothing was begun needs a person instead."""
        if not isinstance(error, errors.UsageError) or not anything_sent(self.context.record):
            return error
        return errors.DecisionNeeded(error.what, where=error.where, found=error.found, next_step=error.next_step)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._do(lambda: event_loop.run(work), verb=getattr(work, "__qualname__", ""))
        finally:
            work.close()  # of one that was not begun nobody else takes note

    def _fail(self, verb: str, state: StageState, why: str) -> None:
        self._red[verb] = why
        try:
            if self._last in (None, StageState.DONE):
                self.context.record.end_stage(self.stage, state, why)
                self._last = state
        except errors.RecordError:
            pass  # a record that takes no more lines is what is being told, or worse is
        finally:
            close_connections(self.context.devices, self._pages)


def sign_of(site: Site) -> Sign:
    """Return the sign of a site; only one that says it is the lab has the lab's."""
    servers = ", ".join(f"{name} {server.address}" for name, server in site.hosts.items())
    return Sign(production=site.kind != "lab", site=site.name, servers=servers)


def state_after(error: errors.RunbookError) -> StageState:
    """Return the state in which an error leaves a stage."""
    if isinstance(error, errors.OutcomeUnknown):
        return StageState.UNKNOWN
    return StageState.STOPPED if isinstance(error, errors.SafetyStop) else StageState.FAILED


def report_progress(sentence: str, fraction: float | None = None, *, steady: bool = False) -> None:  # noqa: ARG001 - a line of text is no clock
    """Print one line per change. Not on standard error, which notebooks show in red: red is for what went wrong."""
    percent = "" if fraction is None else f" ({fraction:.0%})"
    print(errors.printable(f"{gettext(sentence)}{percent}"), flush=True)  # noqa: T201 - this is where progress is told
