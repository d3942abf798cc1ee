"""Attempts at stages, from the journal of a repair by hand that is interrupted and repeated in each of its places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from incident_kit import STALE, Incident
from report_kit import whole_record

from runbook_lib.decisions import Approval
from runbook_lib.models import Stage, StageState
from runbook_lib.processes import ProcessName
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind, Line
from runbook_lib.record.stages import attempts, pending_changes, progress_in_words, stage_states
from runbook_lib.show.report import post_mortem
from runbook_lib.show.report_page import render_html, render_markdown
from runbook_lib.show.report_reading import change_rows, stages_of

GONE = ProcessName(host="elsewhere", pid=1, started="then")
NOBODY = "ApprovalMissing: The plan deletes 3 entries and nobody has approved it"
ENDS = (Kind.STAGE_ENDED, Kind.INTERRUPTED)


def by_hand(folder: Path, *, begun_anew: bool) -> Record:
    """Stage 30 as a person walks it: it stops, the form approves, the same cell goes on, all is deleted, it is closed.

    ``begun_anew``: whether the journal says that the stage went on, as it does since attempts are written down.
    """
    incident = Incident(folder, operator="ada", listed=False)
    record = incident.record
    for stage in (Stage.START, Stage.DIAGNOSE):
        record.start_stage(stage, text="ada")
        record.end_stage(stage, StageState.DONE)
    record.start_stage(Stage.LIST, text="ada")
    incident.list({})
    plan = incident.write_plan()
    record.end_stage(Stage.LIST, StageState.DONE)
    record.start_stage(Stage.DELETE, text="ada")
    record.end_stage(Stage.DELETE, StageState.STOPPED, NOBODY)
    record.write_approval(Approval(digest=plan.digest, by="Ada Example", at_utc=datetime.now(UTC), how="the form"))
    if begun_anew:
        record.start_stage(Stage.DELETE, text="ada")
    for server, key in sorted(STALE):
        incident.sent(server, key)
    record.end_stage(Stage.DELETE, StageState.DONE)
    record.start_stage(Stage.REGISTER, text="ada")
    change = record.intend(Stage.REGISTER, "primary", "register HA", expected="Primary Active")
    change.sent()
    change.result("Primary Active")
    record.end_stage(Stage.REGISTER, StageState.DONE)
    return record


@pytest.fixture(params=[True, False], ids=["begun anew", "journal of 0.1.0"])
def walked(request: pytest.FixtureRequest, tmp_path: Path) -> Record:
    return by_hand(tmp_path, begun_anew=request.param)


def test_one_line_says_what_was_done_and_what_is_under_way(walked: Record) -> None:
    """A registration is under way as long as its end is not written; where nobody watches it, its end was not seen."""
    lines = walked.journal.read().lines
    assert progress_in_words(()) == "nothing was changed"
    done = "3 entries deleted; register HA: Primary Active"
    assert progress_in_words(lines) == done
    [at] = [place for place, line in enumerate(lines) if line.kind is Kind.SENT and line.text == "register HA"]
    when = f"{lines[at - 1].utc:%Y-%m-%d %H:%M:%SZ}"
    cut = lines[: at + 1]
    before = "{}; 3 entries deleted"
    assert progress_in_words(cut) == before.format(f"under way since {when}: register HA")
    assert progress_in_words(of_a_dead_process(cut)) == before.format(f"sent {when}, its end not seen: register HA")


def ends(line: Line | None) -> bool:
    return line is not None and line.kind in ENDS


def of_a_dead_process(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    return tuple(replace(line, seen=str(GONE)) if line.kind is Kind.STAGE_STARTED else line for line in lines)


def interrupted_and_repeated(lines: tuple[Line, ...]) -> Iterator[tuple[Line, ...]]:
    """Yield the journal cut after each line; and each of these with the last stage, or all of it, run once more."""
    for cut in range(1, len(lines) + 1):
        kept = lines[:cut]
        yield kept
        stage = next((line.stage for line in reversed(kept) if line.stage), "")
        again = [line for line in lines if line.stage == stage]
        in_the_same_kernel = [line for line in again if line.kind is not Kind.STAGE_STARTED]
        for more in (again, in_the_same_kernel, lines[1:]):
            yield tuple(replace(line, n=n) for n, line in enumerate((*kept, *more), 1))


def test_each_change_stands_in_its_attempt_wherever_the_walk_was_cut_and_repeated(walked: Record) -> None:
    """Every attempt has its number, every change one attempt, and the last end of a stage says how it stands."""
    lines = of_a_dead_process(walked.journal.read().lines)
    for journal in interrupted_and_repeated(lines):
        found, states = attempts(journal), stage_states(journal)
        changes = change_rows(journal)
        rows = stages_of(journal, changes)
        assert sorted(n for row in rows for n in row.changes) == [change.number for change in changes]
        assert {row.stage: row.state for row in rows if row.last} == {
            stage: state for stage, state in states.items() if state is not StageState.PENDING
        }
        for stage in Stage:
            own = [line for line in journal if line.stage == stage]
            mine = [attempt for attempt in found if attempt.stage == stage]
            assert [attempt.number for attempt in mine] == list(range(1, len(mine) + 1))
            starts = [attempt.start.n for attempt in mine]
            assert set(starts) >= {line.n for line in own if line.kind is Kind.STAGE_STARTED}
            for attempt, until in zip(mine, [*starts, len(journal) + 1][1:], strict=True):
                assert all(attempt.start.n <= line.n < until for line in attempt.intents)
                assert attempt.end is None or attempt.start.n <= attempt.end.n < until
            ended = [here for here, after in pairwise([*own, None]) if ends(here) and not (after and ends(after))]
            assert {attempt.end.n for attempt in mine if attempt.end} >= {line.n for line in ended}
            if own and own[-1].kind in ENDS and not [line for line in pending_changes(journal) if line.stage == stage]:
                assert states[stage] == own[-1].seen


def test_every_end_of_the_walk_is_the_last_ones(walked: Record) -> None:
    """The stage that stopped for its approval and went on is done in every report, and the stop is named as earlier."""
    found = post_mortem(walked.folder)
    first, last = (row for row in found.stages if row.stage == Stage.DELETE)
    assert (first.state, first.why, first.changes) == (StageState.STOPPED, NOBODY, ())
    assert (last.state, last.why, last.changes) == (StageState.DONE, "", (1, 2, 3))
    assert not [sentence for sentence in found.unproven if Stage.DELETE in sentence or "nobody" in sentence]
    assert "approved by Ada Example" in " ".join(found.summary)
    for text in (render_markdown(found), render_html(found, files=None)):
        assert "nobody has approved it." not in text
        for row in (first, last):
            assert f", attempt {row.attempt} of 2" in text
        assert text.count(", attempt 2 of 2") >= 4, "the attempt, and each of the three deletions in it"
    assert walked.stage_states()[Stage.DELETE] is StageState.DONE
    assert walked.earlier_ends() == {Stage.DELETE: (StageState.STOPPED,)}


def test_a_look_after_the_close_is_no_attempt(tmp_path: Path) -> None:
    """What is read again after a stage's end changes nothing; a change after it does, until it ends again."""
    record = by_hand(tmp_path, begun_anew=True)
    record.journal.append(Kind.OBSERVED, stage=Stage.REGISTER, server="primary", text="HA", seen="Primary Active")
    assert record.stage_states()[Stage.REGISTER] is StageState.DONE
    change = record.intend(Stage.REGISTER, "primary", "register HA", expected="Primary Active")
    change.result("Primary Active")
    assert record.stage_states()[Stage.REGISTER] is StageState.RUNNING
    record.end_stage(Stage.REGISTER, StageState.FAILED)
    assert record.earlier_ends()[Stage.REGISTER] == (StageState.DONE,)
    assert record.stage_states()[Stage.REGISTER] is StageState.FAILED


def test_a_result_found_out_by_another_stage_begins_no_attempt(tmp_path: Path) -> None:
    """Stage 20 writes what became of an interrupted deletion; it is the result of the attempt that sent it."""
    record = by_hand(tmp_path, begun_anew=True)
    record.start_stage(Stage.DELETE)
    change = record.intend(Stage.DELETE, "primary", "x_8082")
    record.end_stage(Stage.DELETE, StageState.INTERRUPTED)
    record.start_stage(Stage.LIST)
    change.result("gone")
    found = [attempt for attempt in attempts(record.journal.read().lines) if attempt.stage == Stage.DELETE]
    assert [attempt.state for attempt in found] == ["stopped", "done", "interrupted"]


def test_a_stage_begun_anew_in_the_same_process_runs_once(tmp_path: Path) -> None:
    """The first cell run again: one attempt goes on, the one before it does not."""
    record = whole_record(tmp_path)
    record.start_stage(Stage.LIST)
    record.start_stage(Stage.LIST)
    found = [attempt for attempt in attempts(record.journal.read().lines) if attempt.stage == Stage.LIST]
    assert [attempt.state for attempt in found] == ["done", "interrupted", "running"]


def test_of_ends_with_nothing_between_them_the_last_counts(tmp_path: Path) -> None:
    """Journals of before hold two ends where cells below a red one were run; they are of one attempt."""
    record = by_hand(tmp_path, begun_anew=True)
    record.start_stage(Stage.READD_ISE)
    record.end_stage(Stage.READD_ISE, StageState.STOPPED)
    record.end_stage(Stage.READD_ISE, StageState.FAILED)
    found = [attempt for attempt in attempts(record.journal.read().lines) if attempt.stage == Stage.READD_ISE]
    assert [attempt.state for attempt in found] == ["failed"]
    assert all(one.start.n < other.start.n for one, other in pairwise(attempts(record.journal.read().lines)))
