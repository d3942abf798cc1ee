"""The record: files written once and named in the journal, facts that verify, plan and approval, stage states."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runbook_lib import secrets
from runbook_lib.batch.runner import begin_notebook
from runbook_lib.decisions import EVERY_CHANGE, Approval, Decision, Plan, PlanRow, plan_digest
from runbook_lib.errors import ParameterRefused, RecordDamaged, RecordNotWritable, StageOutOfOrder
from runbook_lib.models import (
    Answer,
    Judgement,
    Outcome,
    Presented,
    Stage,
    StageState,
    TofuEntry,
    TofuStore,
    Vantage,
    Verdict,
)
from runbook_lib.observations import Diagnosis, LogLine, Mismatch
from runbook_lib.processes import operator
from runbook_lib.record import journal_file
from runbook_lib.record.files import to_json_value
from runbook_lib.record.incident import Record, find_open, list_records
from runbook_lib.record.journal import Artifact, Kind
from runbook_lib.record.secret_scan import FoundSecret, scan
from runbook_lib.redactor import Redactor

NOW = datetime(2026, 11, 23, 12, 45, 1, 123456, tzinfo=UTC)
ENTRY = TofuEntry(key="10.0.0.2_8082", host="10.0.0.2", port=8082, subject="/CN=é 😀", line="host=10.0.0.2_8082; …")
STORE = TofuStore(server="primary", entries=(ENTRY,), read_utc=NOW)
ANSWER = Answer(
    server="primary",
    command="ncs certvalidation tofu-certs listcerts",
    raw=b"\xff\x00\x1b[0m raw\r\n",
    text="raw",
    started_utc=NOW,
    finished_utc=NOW,
    questions=(("Continue?", "y"),),
)


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return Record.create(tmp_path / "records", "lab", what="test")


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(secrets, "REDACTOR", Redactor())
    secrets.REDACTOR.know("env:X", 'hunter"22')
    return 'hunter"22'


def artifacts(record: Record) -> list[Artifact]:
    return [line.artifact for line in record.journal.read().lines if line.artifact]


# -- the folder ------------------------------------------------------------------------------------


def test_incident_is_named_and_opens_again(record: Record) -> None:
    """A new record's name tells time and site, and opening it by name gives the same site."""
    assert re.fullmatch(r"\d{8}T\d{6}Z-lab-[0-9a-f]{4}", record.incident)
    again = Record.open(record.root, record.incident)
    assert (again.site, again.incident, again.folder) == ("lab", record.incident, record.folder)
    assert again.opening()["what"] == "test"


@pytest.mark.parametrize("site", ["", "../../etc", "a/b", "ünï", "x" * 300, ".", "-", "a b\n"])
def test_any_site_name_makes_a_safe_folder(tmp_path: Path, site: str) -> None:
    """Whatever the site is called, its record is one folder in the place for records."""
    record = Record.create(tmp_path, site)
    assert record.folder.parent == tmp_path
    assert Record.open(tmp_path, record.incident).site == site


@pytest.mark.parametrize(
    "incident", ["", ".", "..", "../x", "20261123T124501Z-lab-12ab", "20261123T124501Z-lab-12ab/.."]
)
def test_other_names_are_no_incidents(record: Record, incident: str) -> None:
    """A name that is no incident's, or leads elsewhere, is refused as a parameter."""
    with pytest.raises(ParameterRefused, match="There is no such incident"):
        Record.open(record.root, incident)


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../../x", "a//b", "", ".hidden", "a/.x", "journal.jsonl", "a\nb", "-x"]
)
def test_files_stay_inside_the_record(record: Record, path: str) -> None:
    """A path that leads out of the record, or to the journal, is refused."""
    with pytest.raises(ParameterRefused, match="not a path inside"):
        record.keep_bytes(path, b"x")


def test_files_and_folders_are_their_owners_alone_whatever_the_umask(record: Record) -> None:
    """Every file is 0600 and every folder 0700, whatever the umask."""
    before = os.umask(0)
    try:
        record.keep_answer(ANSWER, STORE)
        record.write_facts(Stage.LIST, "store", STORE)
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [record.folder, *record.folder.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


def test_nothing_is_ever_overwritten(record: Record) -> None:
    """Other content under the same name goes to a neighbour; the same content is kept once."""
    kept = [record.keep_bytes("notebooks/10.ipynb", data) for data in (b"one", b"two", b"one", b"three")]
    assert [artifact.path for artifact in kept] == [
        "notebooks/10.ipynb",
        "notebooks/10-2.ipynb",
        "notebooks/10.ipynb",
        "notebooks/10-3.ipynb",
    ]
    assert [record.read_bytes(artifact) for artifact in kept] == [b"one", b"two", b"one", b"three"]


def test_every_file_is_named_in_the_journal_with_its_digest(record: Record) -> None:
    """Whatever is kept, the journal names with its SHA-256, and no file is left over."""
    record.keep_answer(ANSWER, STORE, stage="20_list_certificates")
    record.keep_certificate(b"DER")
    record.keep_bytes("logs/excerpt.txt", b"line")
    record.write_facts(Stage.LIST, "store", STORE)
    named = {artifact.path: artifact.sha256 for artifact in artifacts(record)}
    files = [path for path in record.folder.rglob("*") if path.is_file() and path.name != "journal.jsonl"]
    assert named == {
        str(path.relative_to(record.folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


@pytest.mark.parametrize("damage", [b"", b"other", None])
def test_a_changed_file_is_refused(record: Record, damage: bytes | None) -> None:
    """A file that was edited, emptied or removed is refused when it is read, and named."""
    artifact = record.keep_bytes("logs/excerpt.txt", b"line")
    path = record.folder / artifact.path
    path.unlink() if damage is None else path.write_bytes(damage)
    with pytest.raises(RecordDamaged) as caught:
        record.read_bytes(artifact)
    assert (caught.value.where, caught.value.exit_code) == (str(path), 5)


def test_a_record_of_another_incident_is_refused(record: Record) -> None:
    """A folder that was renamed to another incident's name does not pass for it."""
    other = record.incident[:-4] + ("0000" if record.incident[-4:] != "0000" else "1111")
    record.folder.rename(record.root / other)
    with pytest.raises(RecordDamaged, match="differs from what the journal says"):
        Record.open(record.root, other)


def test_a_place_that_takes_no_record(tmp_path: Path) -> None:
    """Where no folder can be made, the record is not writable, which ends with exit code 5."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RecordNotWritable):
        Record.create(tmp_path / "file", "lab")


FULL_DISK = """
import resource, sys
from pathlib import Path
from runbook_lib.errors import RecordNotWritable
from runbook_lib.record.incident import Record
record = Record.open(Path(sys.argv[1]), sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
try:
    record.keep_bytes("logs/large.txt", b"x" * 5001)
except RecordNotWritable as error:
    sys.exit(error.exit_code)
"""


def test_an_incident_that_could_not_be_opened_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full: what there is of its folder would be a damaged record in every list from then on."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path))
    before = Record.create(tmp_path, "lab")
    monkeypatch.setattr(journal_file, "files", SimpleNamespace(**vars(journal_file.files) | {"write_all": full}))
    with pytest.raises(RecordNotWritable, match="No space left") as caught:
        Record.create(tmp_path, "lab")
    assert "another one (RUNBOOK_RECORDS); then run the same command again" in caught.value.next_step
    assert list(tmp_path.iterdir()) == [before.folder]
    # One that is there goes on by its name: without it a closed one would not, nor one whose folder is another.
    with pytest.raises(RecordNotWritable) as caught:
        before.keep_bytes("report/post-mortem.html", b"x")
    assert f"go on with this incident, by its name: --incident {before.incident}." in caught.value.next_step
    assert "same command" not in caught.value.next_step


def test_a_file_that_does_not_fit_is_not_there(record: Record) -> None:
    """Where the disk takes a part of a file only, neither the part nor a journal line is left."""
    before = record.journal.path.read_bytes()
    command = [sys.executable, "-c", FULL_DISK, str(record.root), record.incident]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (5, "")
    assert record.journal.path.read_bytes() == before
    assert list((record.folder / "logs").iterdir()) == []


def test_opening_a_record_does_not_cost_pydantic(tmp_path: Path) -> None:
    """A process that only opens a record and appends to its journal does not load pydantic."""
    script = (
        "import sys; from pathlib import Path; from runbook_lib.record.incident import Record\n"
        "record = Record.create(Path(sys.argv[1]), 'lab'); Record.open(record.root, record.incident)\n"
        "assert not any(name.startswith('pydantic') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


# -- what is kept ------------------------------------------------------------------------------------


def test_answer_is_kept_raw_and_parsed(record: Record) -> None:
    """An answer is kept byte for byte, what was understood stands beside it, and a line says ``observed``."""
    raw = record.keep_answer(ANSWER, STORE, stage="20_list_certificates")
    assert raw.path == "answers/0001-primary-listcerts.txt"
    assert record.read_bytes(raw) == ANSWER.raw
    beside = json.loads((record.folder / "answers/0001-primary-listcerts.json").read_bytes())
    assert beside["command"] == ANSWER.command
    assert beside["questions"] == [["Continue?", "y"]]
    assert beside["raw"] == {"path": raw.path, "sha256": raw.sha256}
    assert beside["understood_as"] == "TofuStore"
    assert beside["parsed"]["entries"][0]["key"] == ENTRY.key
    line = next(line for line in record.journal.read().lines if line.kind is Kind.OBSERVED)
    assert (line.stage, line.server, line.text, line.artifact) == (
        "20_list_certificates",
        "primary",
        ANSWER.command,
        raw,
    )


def test_an_answers_files_and_their_names_are_on_disk_before_the_journal_names_them(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file, then its folder once, then both lines in one step: more would only wait for the disk."""
    (record.folder / "answers").mkdir()
    synced: list[str] = []
    of = {path.stat().st_ino: path.name for path in (record.folder / "answers", record.journal.path)}
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(of.get(os.fstat(file).st_ino, "file")))
    record.keep_answer(ANSWER, STORE, stage="20_list_certificates")
    assert synced == ["file", "file", "answers", "journal.jsonl"]
    raw, beside = record.journal.read().lines[-2:]
    assert (raw.kind, raw.seen, beside.kind, beside.seen) == (Kind.OBSERVED, "understood as TofuStore", Kind.KEPT, "")
    assert raw.artifact
    assert beside.artifact
    assert raw.artifact.path.removesuffix(".txt") == beside.artifact.path.removesuffix(".json")
    assert (raw.server, raw.stage, raw.text) == (beside.server, beside.stage, beside.text)


def test_answer_that_was_not_understood_is_kept(record: Record) -> None:
    """An answer that no parser knows is kept all the same, under the next number."""
    record.keep_answer(ANSWER, STORE)
    raw = record.keep_answer(replace(ANSWER, command="show $(x)/../; version", text="\udc80"))
    assert raw.path == "answers/0002-primary-show-x-version.txt"
    beside = json.loads((record.folder / raw.path).with_suffix(".json").read_bytes())
    assert (beside["understood_as"], beside["parsed"]) == ("", None)


def test_certificate_is_kept_once_as_pem(record: Record) -> None:
    """A certificate is kept as PEM under its fingerprint, once however often it is seen."""
    der = bytes(range(256))
    first, second = record.keep_certificate(der), record.keep_certificate(der)
    assert first == second
    assert first.path == f"certificates/{hashlib.sha256(der).hexdigest()}.pem"
    body = record.read_bytes(first).decode().splitlines()
    assert base64.b64decode("".join(body[1:-1])) == der
    assert [artifact.path for artifact in artifacts(record)].count(first.path) == 1


def test_secrets_do_not_reach_any_file(record: Record, canary: str) -> None:
    """A secret in raw bytes, in an answer's text, in facts, in a name or in a reason is gone before it is kept."""
    raw = f"password {canary}, {json.dumps(canary)}, {base64.b64encode(b'admin:' + canary.encode()).decode()}"
    answer = replace(ANSWER, command=f"x {canary}", raw=raw.encode(), text=raw, questions=(("assword :", canary),))
    record.keep_answer(answer, replace(ENTRY, subject=canary))
    record.write_facts(Stage.LIST, "store", {canary: [replace(ENTRY, line=canary)]})
    record.set_outcome(Outcome.FAILED, canary)
    assert scan(record.folder) == []
    written = b"".join(path.read_bytes() for path in record.folder.rglob("*") if path.is_file())
    assert b"hunter" not in written
    assert b"[secret env:X]" in written


def test_scan_finds_what_came_past_the_gate(record: Record, canary: str) -> None:
    """The scan names every file that holds a secret or a private key, and every name that does."""
    (record.folder / "a.txt").write_text(f"x{canary}", encoding="utf-8")
    (record.folder / "b.pem").write_text("-----BEGIN EC PRIVATE KEY-----\n", encoding="utf-8")
    (record.folder / f"c-{canary}.txt").write_bytes(b"")
    assert scan(record.folder) == [
        FoundSecret(path="a.txt", what="env:X"),
        FoundSecret(path="b.pem", what="a private key"),
        FoundSecret(path=f"c-{canary}.txt", what="env:X in its name"),
    ]


# -- facts -------------------------------------------------------------------------------------------

FACTS: list[tuple[object, Any]] = [
    (STORE, TofuStore),
    ((STORE, replace(STORE, server="secondary")), tuple[TofuStore, ...]),
    ({"primary": STORE}, dict[str, TofuStore]),
    (
        Presented(host="::1", port=443, vantage=Vantage.SELF, chain=(bytes(range(256)), b""), seen_utc=NOW),
        Presented,
    ),
    (
        Diagnosis(
            mismatches=(
                Mismatch(
                    server="primary",
                    place="unknown",
                    subject="CN=x",
                    threads=("t",),
                    count=1,
                    first_utc=None,
                    last_utc=NOW,
                    evidence=(LogLine(source="f", number=1, text="<script>\x1b"),),
                ),
            ),
            log_end_utc={"primary": NOW},
        ),
        Diagnosis,
    ),
    (
        Judgement(
            target="ise",
            host="h",
            port=443,
            verdict=Verdict.CONFIRMED_KEY,
            reason="",
            expectation="",
            not_available=((Vantage.SELF, "refused"),),
        ),
        Judgement,
    ),
    ("text", str),
    (["a", "b"], list[str]),
]


@pytest.mark.parametrize(("value", "kind"), FACTS)
def test_facts_come_back_equal(record: Record, value: object, kind: Any) -> None:
    """What one stage leaves, bytes and times included, the next stage reads as the same value."""
    record.write_facts(Stage.LIST, "value", value)
    assert Record.open(record.root, record.incident).read_facts(Stage.LIST, "value", kind) == value


def test_newest_facts_count(record: Record) -> None:
    """Where a stage ran again, what it left last is read, also if that is what it left first."""
    for text in ("one", "two", "one"):
        record.write_facts(Stage.LIST, "value", text)
        assert record.read_facts(Stage.LIST, "value", str) == text


def test_missing_facts_name_the_stage_to_run(record: Record) -> None:
    """Facts that nobody has left stop the stage, and the error names the notebook to run first."""
    record.write_facts(Stage.LIST, "other_stores", "x")
    with pytest.raises(StageOutOfOrder) as caught:
        record.read_facts(Stage.LIST, "stores", str)
    assert "20_list_certificates" in caught.value.next_step


def test_edited_facts_are_refused(record: Record) -> None:
    """Facts that were edited on disk are not used."""
    artifact = record.write_facts(Stage.LIST, "store", STORE)
    path = record.folder / artifact.path
    path.write_bytes(path.read_bytes().replace(b"8082", b"8083"))
    with pytest.raises(RecordDamaged):
        record.read_facts(Stage.LIST, "store", TofuStore)


def test_facts_of_another_shape_are_refused(record: Record) -> None:
    """Facts that do not fit the expected type are damage, not a traceback."""
    record.write_facts(Stage.LIST, "store", ENTRY)
    with pytest.raises(RecordDamaged, match="differs from what the journal says"):
        record.read_facts(Stage.LIST, "store", TofuStore)


# -- plan and approval -------------------------------------------------------------------------------


def a_plan(record: Record, *keys: str) -> Plan:
    rows = tuple(
        PlanRow(server="primary", key=key, subject="s", target="ise", decision=Decision.DELETE, reason="r", command="c")
        for key in keys
    )
    plan = Plan(site="lab", incident=record.incident, made_utc=NOW, rows=rows, digest="", format=EVERY_CHANGE)
    return replace(plan, digest=plan_digest(plan))


def test_plan_comes_back(record: Record) -> None:
    """The newest plan is read, or an older one by its digest."""
    first, second = a_plan(record, "a_1"), a_plan(record, "a_1", "b_2")
    record.write_plan(first)
    record.write_plan(second)
    assert record.read_plan() == second
    assert record.read_plan(first.digest) == first


def test_no_plan_yet(record: Record) -> None:
    """Without a plan the error names the notebook that makes it."""
    with pytest.raises(StageOutOfOrder, match="no plan yet") as caught:
        record.read_plan()
    assert "20_list_certificates" in caught.value.next_step


def test_plan_with_a_wrong_digest_is_not_kept(record: Record) -> None:
    """A plan whose digest is not that of its rows, or of this incident, is not written."""
    plan = a_plan(record, "a_1")
    for wrong in (replace(plan, digest="0" * 64), replace(plan, rows=()), replace(plan, site="other")):
        with pytest.raises(ValueError, match="digest"):
            record.write_plan(wrong)


def test_a_plan_that_calls_itself_another_incidents_is_refused(record: Record) -> None:
    """What it calls itself stands in commands that people paste; the record's own name is the one that counts."""
    named = replace(a_plan(record, "a_1"), incident="$(touch x)")
    for plan in (named, replace(named, digest=plan_digest(named))):  # the second is whole, and another incident's
        record.keep_json("plans/x.json", to_json_value(plan), kind=Kind.DECIDED, seen=plan.digest)
        with pytest.raises(RecordDamaged, match="journal says"):
            record.read_plan()


def test_plan_with_a_secret_in_it_is_refused(record: Record, canary: str) -> None:
    """A plan in which a secret stands cannot be kept whole, so it is refused instead of kept wrong."""
    with pytest.raises(ParameterRefused, match="secret"):
        record.write_plan(a_plan(record, f"{canary}_443"))
    before = a_plan(record, "a_443")  # one whose entry was read from a record in which the secret was replaced
    before = replace(before, rows=(replace(before.rows[0], subject="/CN=[secret env:X]"),))
    with pytest.raises(ParameterRefused, match="secret"):
        record.write_plan(replace(before, digest=plan_digest(before)))


@pytest.mark.usefixtures("canary")
def test_a_secret_that_the_record_needs_as_a_word_is_no_damage(record: Record) -> None:
    """A password that is also a word of the facts makes them unreadable, and nobody has changed the file."""
    secrets.REDACTOR.know("env:X", "subject")
    record.write_facts(Stage.LIST, "store", STORE)
    with pytest.raises(RecordDamaged, match="a word that the record needs") as caught:
        record.read_facts(Stage.LIST, "store", TofuStore)
    assert "is a password also a name" in caught.value.next_step


def test_approval_is_bound_to_a_plan_of_this_record(record: Record) -> None:
    """An approval of a digest that no plan of the record has is refused."""
    approval = Approval(digest="ab" * 32, by="A. Nother", at_utc=NOW, how="notebook")
    with pytest.raises(StageOutOfOrder, match="no such plan"):
        record.write_approval(approval)
    assert record.read_approvals() == ()


def test_approvals_come_back(record: Record) -> None:
    """Approvals are read in their order; each has its own file although they share the digest."""
    plan = a_plan(record, "a_1")
    record.write_plan(plan)
    approvals = [Approval(digest=plan.digest, by=by, at_utc=NOW, how="command line") for by in ("A", "B")]
    paths = [record.write_approval(approval).path for approval in approvals]
    assert paths == [f"approvals/{plan.digest}.json", f"approvals/{plan.digest}-2.json"]
    assert record.read_approvals(plan.digest) == tuple(approvals)
    assert record.read_approvals("0" * 64) == ()


def test_approval_that_the_journal_does_not_know_counts_for_nothing(record: Record) -> None:
    """A file that somebody put among the approvals is no approval."""
    plan = a_plan(record, "a_1")
    record.write_plan(plan)
    (record.folder / "approvals").mkdir()
    forged = {"digest": plan.digest, "by": "M", "at_utc": NOW.isoformat(), "how": "", "reason": ""}
    (record.folder / "approvals" / f"{plan.digest}.json").write_text(json.dumps(forged), encoding="utf-8")
    assert record.read_approvals() == ()


# -- stages and outcome ------------------------------------------------------------------------------


def test_states_of_stages(record: Record) -> None:
    """Each stage has the state of its newest start or end; those that never ran are pending, in their order."""
    record.start_stage(Stage.DIAGNOSE)
    record.end_stage(Stage.DIAGNOSE, StageState.FAILED, "no logs")
    record.start_stage(Stage.DIAGNOSE)
    record.end_stage(Stage.DIAGNOSE, StageState.DONE)
    record.start_stage(Stage.LIST)
    states = record.stage_states()
    assert list(states) == [stage.value for stage in Stage]
    assert states[Stage.DIAGNOSE] is StageState.DONE
    assert states[Stage.LIST] is StageState.RUNNING
    assert states[Stage.DELETE] is StageState.PENDING


STARTER = """
import json, os, signal, sys
from pathlib import Path
from runbook_lib.models import Stage
from runbook_lib.record.incident import Record
def run(root, incident, *steps):
    record = Record.open(Path(root), incident)
    record.start_stage(Stage.DELETE)
    for step in steps:
        if step == "intent":
            change = record.intend(Stage.DELETE, "primary", "deletecert x", expected="x is gone")
        elif step == "sent":
            change.sent()
        elif step == "result":
            change.result("gone")
    os.kill(os.getpid(), signal.SIGKILL)
for line in sys.stdin:
    if not os.fork():
        run(*json.loads(line))
    print(os.wait()[1], flush=True)
"""


@pytest.fixture(scope="module")
def killed() -> Iterator[Callable[..., None]]:
    """Run a stage up to some steps in a process that is killed then; one process that has imported all forks each."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", STARTER], stdin=pipe, stdout=pipe, text=True) as starter:
        assert starter.stdin
        assert starter.stdout

        def run(record: Record, *steps: str) -> None:
            print(json.dumps([str(record.root), record.incident, *steps]), file=starter.stdin, flush=True)
            assert starter.stdout
            assert int(starter.stdout.readline()) == signal.SIGKILL

        yield run


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ([], StageState.INTERRUPTED),
        (["intent"], StageState.UNKNOWN),
        (["intent", "sent"], StageState.UNKNOWN),
        (["intent", "sent", "result"], StageState.INTERRUPTED),
        (["intent", "sent", "result", "intent"], StageState.UNKNOWN),
    ],
)
def test_state_after_kill(record: Record, killed: Callable[..., None], steps: list[str], state: StageState) -> None:
    """After ``kill -9`` a stage is interrupted; it is unknown if a change may be under way."""
    killed(record, *steps)
    assert record.stage_states()[Stage.DELETE] is state


@pytest.mark.parametrize("process", ["", "somewhere else", "another-host 1 x"])
def test_a_stage_of_a_process_that_cannot_be_seen_is_interrupted(record: Record, process: str) -> None:
    """A start without an end, by a process that is not known to live on this host, is an interrupted stage."""
    record.journal.append(Kind.STAGE_STARTED, stage=Stage.LIST, seen=process)
    assert record.stage_states()[Stage.LIST] is StageState.INTERRUPTED


def test_an_open_change_outweighs_the_end_of_its_stage(record: Record) -> None:
    """A stage that says it is done while a change has no result is unknown, until the result is there."""
    record.start_stage(Stage.DELETE)
    record.intend(Stage.DELETE, "primary", "deletecert x").sent()
    record.end_stage(Stage.DELETE, StageState.DONE)
    assert record.stage_states()[Stage.DELETE] is StageState.UNKNOWN
    (pending,) = Record.open(record.root, record.incident).pending_changes()
    assert (pending.stage, pending.server, pending.text) == (Stage.DELETE, "primary", "deletecert x")
    pending.result("gone")
    assert record.pending_changes() == ()
    assert record.stage_states()[Stage.DELETE] is StageState.DONE


def test_same_change_on_two_servers_is_two_changes(record: Record) -> None:
    """The result of one server's change does not settle the other's."""
    first = record.intend(Stage.DELETE, "primary", "deletecert x")
    record.intend(Stage.DELETE, "secondary", "deletecert x")
    first.result("gone")
    assert [change.server for change in record.pending_changes()] == ["secondary"]


def test_a_stage_does_not_end_in_the_middle(record: Record) -> None:
    """Neither ``pending`` nor ``running`` is an end."""
    for state in (StageState.PENDING, StageState.RUNNING):
        with pytest.raises(ValueError, match="does not end"):
            record.end_stage(Stage.LIST, state)


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_open_incident_is_found_until_it_is_repaired(record: Record, outcome: Outcome | None) -> None:
    """An incident stays open until it is repaired or there was nothing to do; stopped, failed, unknown go on in it."""
    if outcome:
        record.set_outcome(outcome, "because")
    closed = outcome in (Outcome.REPAIRED, Outcome.REPAIRED_UNVERIFIED, Outcome.NOTHING_TO_DO)
    assert record.outcome() is outcome
    assert find_open(record.root, "lab") == (None if closed else record.incident)


def test_newest_outcome_counts(record: Record) -> None:
    """An incident that failed first and was repaired then is repaired."""
    record.set_outcome(Outcome.FAILED)
    record.set_outcome(Outcome.REPAIRED)
    assert record.outcome() is Outcome.REPAIRED


def test_a_change_that_was_sent_is_never_said_not_to_have_been(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk is full after it has left, the error says so; before that nothing was sent, and that is said."""

    def full(*_given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    change = record.intend(Stage.DELETE, "primary", "a_1")
    monkeypatch.setattr(journal_file.files, "write_all", full)
    says = (change.sent, lambda: change.result("gone"), change.not_sent, lambda: record.set_outcome(Outcome.FAILED))
    for say, sent in zip(says, (True, True, False, False), strict=True):
        with pytest.raises(RecordNotWritable) as caught:
            say()
        assert ("primary: a_1: it was sent" in str(caught.value)) is sent
        assert ("nothing that needed this was sent" in str(caught.value)) is not sent


def test_a_record_that_was_moved_gets_no_second_folder(record: Record) -> None:
    """Nothing of a run goes where its record was: what lay there would be taken for the record."""
    record.folder.rename(record.root / "moved")
    for keep in (lambda: record.keep_bytes("notebooks/30.ipynb", b"x"), lambda: record.keep_answer(ANSWER)):
        with pytest.raises(RecordDamaged, match="moved"):
            keep()
    assert not record.folder.exists()


def test_nothing_is_written_where_a_link_in_the_record_leads(record: Record, tmp_path: Path) -> None:
    """Somebody with whom the folder is shared may put one there: what is written behind it would be no part of it."""
    (there := tmp_path / "elsewhere").mkdir()
    for name in ("notebooks", "logs"):
        (record.folder / name).symlink_to(there)
    for write in (lambda: record.keep_bytes("logs/a/b.txt", b"x"), lambda: begin_notebook(record, Stage.DELETE)):
        with pytest.raises(RecordDamaged, match="a link leads to another folder"):
            write()
    assert list(there.iterdir()) == []


def test_open_incident_is_the_sites_own(tmp_path: Path) -> None:
    """Sites whose names look the same in a file's name are told apart, and a place without records has none open."""
    assert find_open(tmp_path / "none", "lab") is None
    record = Record.create(tmp_path, "a b")
    assert find_open(tmp_path, "a-b") is None
    assert find_open(tmp_path, "a b") == record.incident


def test_list_of_records_hides_no_damage(tmp_path: Path) -> None:
    """All records are listed, damaged and empty ones with their problem; none of these is found as open."""
    good, bad = Record.create(tmp_path, "lab"), Record.create(tmp_path, "lab")
    bad.journal.path.write_bytes(bad.journal.path.read_bytes().replace(b"lab", b"bal"))
    empty = tmp_path / "99991123T124501Z-lab-12ab"
    empty.mkdir()
    (tmp_path / "not-a-record").mkdir()
    listed = {summary.incident: summary for summary in list_records(tmp_path)}
    assert set(listed) == {good.incident, bad.incident, empty.name}
    assert next(iter(listed)) == empty.name
    assert listed[good.incident].is_open
    assert "line 1" in listed[bad.incident].problem
    assert listed[empty.name].problem
    assert find_open(tmp_path, "lab") == good.incident


def test_operator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who runs it is what ``RUNBOOK_OPERATOR`` says, else the user at this host."""
    monkeypatch.setenv("RUNBOOK_OPERATOR", " A. Nother ")
    assert operator() == "A. Nother"
    monkeypatch.delenv("RUNBOOK_OPERATOR")
    monkeypatch.setenv("LOGNAME", "ann")
    assert operator().startswith("ann@")
