"""What nobody signed, and what is called after something else: told apart in the first line, by every reader alike."""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from fleet_kit import task
from incident_kit import Incident
from site_kit import site_with

from runbook_lib import paths
from runbook_lib.batch import runner, site_run
from runbook_lib.cli import running
from runbook_lib.cli.records import AFTER_SEAL, archive_command, history_command, report_command, verify_command
from runbook_lib.decisions import canonical_json, sha256_hex
from runbook_lib.device.prime import identities
from runbook_lib.errors import RecordDamaged, RunbookError, SiteLocked
from runbook_lib.models import Stage
from runbook_lib.notebook.opening import open_runbook
from runbook_lib.processes import account
from runbook_lib.record.archive import pack, verify_archive
from runbook_lib.record.attestation import after_newest_seal, note_after_seal, seal_record
from runbook_lib.record.history import past_incidents
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import FIRST_PREV, JOURNAL, Kind
from runbook_lib.record.journal_file import CUT
from runbook_lib.record.lock import TOKEN_VARIABLE, SiteLock
from runbook_lib.record.signing import Trusted, new_key, trusted_keys
from runbook_lib.record.verification import NEVER_SEALED, verify_record
from runbook_lib.show.report import post_mortem
from runbook_lib.show.report_page import render_html, render_markdown

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A record that is sealed and signed by a key that is trusted here."""
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "keys"))
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    monkeypatch.chdir(tmp_path)
    new_key(tmp_path / "keys")
    incident = Incident(tmp_path)
    incident.write_plan()
    seal_record(incident.record, {"name": "lab"})
    return incident.record


def first_line(record: str, capsys: Capture) -> tuple[int, str]:
    capsys.readouterr()
    code = verify_command(record)
    return code, capsys.readouterr().out.splitlines()[0]


def forge(record: Record) -> int:
    """Append an approval that nobody gave, with a chain that holds; return its line's number."""
    return record.journal.append(Kind.APPROVED, seen="Bob", expected="0" * 64).n


def test_verify_tells_lines_after_the_seal_apart(record: Record, capsys: Capture) -> None:
    """A code and a first line of their own, with the number of the first such line, until a seal covers them."""
    assert first_line(record.incident, capsys) == (0, f"incident:  {record.incident}: sound and signed")
    number = forge(record)
    code, line = first_line(record.incident, capsys)
    assert (code, AFTER_SEAL) == (7, 7)
    assert line == (
        f"incident:  {record.incident}: sound up to its seal; one line after it, from {number} on,"
        " NOT SIGNED BY ANYBODY"
    )
    seal_record(record, {"name": "lab"})
    assert first_line(record.incident, capsys)[0] == 0


@pytest.mark.parametrize("path", ["seal/x.txt", "seal/manifest.json", "seal-9/x.txt", ""])
def test_a_line_that_calls_itself_the_seals_own_is_told_too(record: Record, capsys: Capture, path: str) -> None:
    """Anybody can add a line of that kind, with a file in the seal's folder: a seal has one for each of its own files.

    The line that says why there is no time stamp names no file; a record without any gets one told as such, no more.
    """
    own = next(line for line in record.journal.read().lines if line.kind is Kind.SEALED)
    names = replace(own.artifact, path=path) if own.artifact and path else None
    if path.endswith("x.txt"):
        (record.folder / path).parent.mkdir(exist_ok=True)
        (record.folder / path).write_bytes((record.folder / "seal/manifest.json").read_bytes())
    for _ in range(1 if path else 2):
        record.journal.append(Kind.SEALED, expected=own.expected, artifact=names, seen="anything")
    assert first_line(record.incident, capsys)[0] == AFTER_SEAL
    assert len(after_newest_seal(record)) == 1


def test_every_form_of_the_report_tells_of_them_first(record: Record) -> None:
    """In the page (which the PDF is printed from) and in Markdown, before anything else, by number and kind."""
    assert post_mortem(record.folder).alarms == ()
    number = forge(record)
    said = f"line {number}: approved, in the name of Bob"
    found = post_mortem(record.folder)
    page, text = render_html(found, files=""), render_markdown(found)
    assert page.index(said) < page.index(f"line-{number}") if f"line-{number}" in page else said in page
    assert said in text.split("##")[0]
    assert post_mortem(record.folder, sealed_next=True).alarms == ()


def test_history_counts_them(record: Record, capsys: Capture) -> None:
    """The table and the JSON say how many there are, and nothing of them once they are sealed."""
    forge(record)
    (one,) = past_incidents(record.root)
    assert one.after_seal == 1
    history_command()
    assert "1 lines after its seal" in " ".join(capsys.readouterr().out.split())
    seal_record(record, {"name": "lab"})
    assert [each.after_seal for each in past_incidents(record.root)] == [0]


def test_a_run_that_goes_on_names_them(record: Record) -> None:
    """On the terminal and in the journal, before anything rests on them; where there are none nothing is said."""
    assert note_after_seal(record) == ()
    number = forge(record)
    (said,) = note_after_seal(record)
    assert f"line {number}: approved, in the name of Bob" in said
    last = record.journal.read().lines[-1]
    assert (last.kind, f"line {number}: approved" in last.seen) == (Kind.NOTED, True)


@pytest.mark.parametrize("seal", ["not signed", "signed by a stranger", "with the signature of the one before"])
def test_a_seal_over_them_that_no_trusted_key_signed_hides_none(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seal: str
) -> None:
    """Whoever can append lines can seal them: a run names them all the same before it signs, and so does a notebook."""
    number = forge(record)
    if seal == "signed by a stranger":
        new_key(tmp_path / "stranger")
    seal_record(record, {"name": "lab"}, key_folder=tmp_path / "stranger")
    if seal == "with the signature of the one before":
        newest, data = record.journal.read().lines[-1], (record.folder / "seal" / "envelope.json").read_bytes()
        record.keep_gated("seal-2/envelope.json", data, kind=Kind.SEALED, expected=newest.expected)
    monkeypatch.setattr("runbook_lib.notebook.workspace.open_site", lambda _: site_with())
    assert f"line {number}: approved" in " ".join(repr(open_runbook("10_diagnose_logs", "x", record.incident)).split())
    (said,) = note_after_seal(record)
    assert f"line {number}: approved, in the name of Bob" in said
    seal_record(record, {"name": "lab"})
    assert note_after_seal(record) == ()


def test_a_run_says_them_before_its_first_stage(
    record: Record, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Whoever started it reads of the forged approval before anything rests on it."""
    number = forge(record)

    def stages(*_: object, **__: object) -> None:
        assert f"line {number}: approved, in the name of Bob" in capsys.readouterr().out
        raise RunbookError("as far as this test goes")

    monkeypatch.setattr(runner, "WarmKernels", nullcontext)
    monkeypatch.setattr(runner, "_run_each", stages)
    with pytest.raises(RunbookError, match="as far as"):
        running.run_and_tell(site_with(), "lab", record, until=Stage.LIST)


def test_a_run_that_is_refused_writes_nothing(record: Record, capsys: Capture) -> None:
    """While another run has the servers it says that, and no more: the journal is that run's."""
    forge(record)
    journal = record.journal.path.read_bytes()
    capsys.readouterr()
    with SiteLock("lab", identities(site_with())), pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(TOKEN_VARIABLE, "")  # as in another process, which has no part in that run
        with pytest.raises(SiteLocked):
            running.run_and_tell(site_with(), "lab", record, until=Stage.LIST)
    assert record.journal.path.read_bytes() == journal
    assert "not signed" not in capsys.readouterr().out


def test_a_fleet_notes_them_at_the_site(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the site's journal, before its first stage: nobody looks at a terminal or a banner there."""
    number = forge(record)
    monkeypatch.setattr(site_run, "load_site", lambda _: site_with())
    noted: list[str] = []

    def stages(*_: object, **__: object) -> None:
        noted.append(record.journal.read().lines[-1].seen)
        raise RunbookError("as far as this test goes")

    monkeypatch.setattr(runner, "WarmKernels", nullcontext)
    monkeypatch.setattr(runner, "_run_each", stages)
    of = replace(task(1), incident=record.incident, records=str(record.root))
    site_run.run_site(of, lambda _: None, lambda: False)
    assert [f"line {number}: approved, in the name of Bob" in each for each in noted] == [True]


def test_a_notebook_that_is_opened_by_hand_names_them(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its banner, approvals first; nothing where there are none, or where a run has named them already."""
    monkeypatch.setattr("runbook_lib.notebook.workspace.open_site", lambda _: site_with())
    assert "not signed" not in repr(open_runbook("10_diagnose_logs", "x", record.incident))
    seal_record(record, {"name": "lab"})
    for _ in range(5):
        record.journal.append(Kind.NOTED, text="something")
    number = forge(record)
    rb = open_runbook("10_diagnose_logs", "x", record.incident)
    assert f"6 in all, not signed: line {number}: approved, in the name of Bob; line" in " ".join(repr(rb).split())
    with rb.context.lock("a test"):
        assert "not signed" not in repr(open_runbook("10_diagnose_logs", "x", record.incident))


def test_an_archive_of_such_a_record_ends_as_verify_does(record: Record, tmp_path: Path) -> None:
    """With 7, and with 0 once a seal covers them."""
    forge(record)
    assert archive_command(record.incident, to=str(tmp_path / "a.zip")) == AFTER_SEAL
    seal_record(record, {"name": "lab"})
    assert archive_command(record.incident, to=str(tmp_path / "b.zip")) == 0


# -- whose record it is -------------------------------------------------------------------------------------


def test_a_record_that_is_called_after_another_incident_does_not_verify(record: Record, capsys: Capture) -> None:
    """Folder and archive alike: the record's own name is printed first, and the other one is a problem."""
    other = record.incident[:-4] + ("0000" if record.incident[-4:] != "0000" else "0001")
    shutil.copytree(record.folder, record.root / other)
    code, line = first_line(other, capsys)
    assert (code, line) == (5, f"incident:  {record.incident}: DOES NOT VERIFY")
    trusted = Trusted(keys=trusted_keys(record.root.parent / "keys"))
    for folder in (record.folder, record.root / other):
        archive = record.root.parent / f"{other}.zip"
        found = pack(folder, archive, trusted, anyway=True)
        assert [problem.path for problem in found.problems] == [other]
        assert first_line(str(archive), capsys)[1] == f"incident:  {record.incident}: DOES NOT VERIFY"
        archive.unlink()


def test_a_copy_by_any_other_name_is_said_to_be_one(record: Record, tmp_path: Path) -> None:
    """A folder or an archive that is called after no incident is still the record that it says it is."""
    shutil.copytree(record.folder, tmp_path / "evidence")
    found = verify_record(tmp_path / "evidence")
    assert f"The folder is named evidence; it holds the record of {record.incident}." in found.notes
    trusted = Trusted(keys=trusted_keys(tmp_path / "keys"))
    pack(record.folder, tmp_path / "ticket.zip", trusted)
    assert (verify_archive(tmp_path / "ticket.zip", trusted).problems, found.incident) == ([], record.incident)


# -- one opinion ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["whole", "no envelope", "no seal", "edited", "later"])
def test_report_and_verify_agree(record: Record, capsys: Capture, how: str) -> None:
    """The same problems by both, whatever was done to the record: with a key at hand, a seal that is missing is one."""
    if how == "no envelope":
        (record.folder / "seal" / "envelope.json").unlink()
    elif how == "no seal":
        shutil.rmtree(record.folder / "seal")
        journal = record.journal.path
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join(line for line in lines if b'"kind":"sealed"' not in line))
    elif how == "edited":
        (record.folder / "site.json").write_text("{}", encoding="utf-8")
    elif how == "later":
        forge(record)
    verified, _ = first_line(record.incident, capsys)
    reported = report_command(record.incident, markdown=True, folder="out")
    assert (verified == 5) == (reported == 5) == (how in ("no envelope", "no seal", "edited"))


def rewrite(journal: Path, lines: list[dict[str, object]]) -> None:
    """Write a journal of these lines, with a chain that holds."""
    head = FIRST_PREV
    for n, line in enumerate(lines, start=1):
        line |= {"n": n, "prev": head}
        line.pop("hash", None)
        line["hash"] = head = sha256_hex(canonical_json(line))
    journal.write_bytes(b"".join(canonical_json(line) + b"\n" for line in lines))


@pytest.mark.parametrize("seals_named", [True, False])
def test_what_a_trusted_key_signed_cannot_be_rewritten_and_signed_anew(
    record: Record, tmp_path: Path, seals_named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing goes on with such a record, nothing seals it, and one that was sealed anew does not verify."""
    lost = r"seal/envelope\.json signs lines"
    shutil.copytree(record.folder, copy := tmp_path / "copies" / record.incident)
    lines = [json.loads(line) for line in record.journal.path.read_bytes().splitlines()]
    lines[1]["text"] = "forged"
    rewrite(copy / JOURNAL, [line for line in lines if seals_named or line["kind"] != Kind.SEALED])
    with pytest.raises(RecordDamaged, match=lost):
        Record.open(copy.parent, record.incident)
    forged = Record(copy.parent, record.incident, record.site)
    with pytest.raises(RecordDamaged, match=lost):
        seal_record(forged, {"name": "lab"})
    monkeypatch.setattr(Record, "require_as_signed", lambda _record: None)  # as earlier releases did
    seal_record(forged, {"name": "lab"})
    problems = verify_record(copy, trusted_keys(tmp_path / "keys")).problems
    assert "seal/envelope.json" in [problem.path for problem in problems]


def without_seals(record: Record) -> None:
    """Take all seals away, with the lines of the journal that name them."""
    for seal in record.folder.glob("seal*"):
        shutil.rmtree(seal)
    lines = [json.loads(line) for line in record.journal.path.read_bytes().splitlines()]
    rewrite(record.journal.path, [line for line in lines if line["kind"] != Kind.SEALED])


@pytest.mark.parametrize("signed", [True, False])
def test_a_record_whose_seals_were_all_taken_away_was_sealed_all_the_same(record: Record, signed: bool) -> None:
    """The folder of the keys says so: nothing goes on in it, and it does not verify, also where nobody has a key."""
    if not signed:
        for key in paths.key_dir().glob("*.pem"):
            key.unlink()
        seal_record(record, {"name": "lab"})
    without_seals(record)
    with pytest.raises(RecordDamaged, match="this account sealed it"):
        Record.open(record.root, record.incident)
    found = verify_record(record.folder)
    assert (JOURNAL, CUT) in [(problem.path, problem.what) for problem in found.problems]
    assert NEVER_SEALED not in found.notes


def test_a_copy_that_went_on_leaves_the_older_one_behind(record: Record, tmp_path: Path) -> None:
    """What was approved there would count again here. An archive of before stays what it is; an index of before not."""
    assert [each.problem for each in past_incidents(record.root)] == [""]
    trusted = Trusted(keys=trusted_keys(paths.key_dir()))
    pack(record.folder, archive := tmp_path / "before.zip", trusted)
    shutil.copytree(record.folder, (copy := tmp_path / "copies") / record.incident)
    seal_record(Record.open(copy, record.incident), {"name": "lab"})
    with pytest.raises(RecordDamaged, match="a copy from before") as caught:
        Record.open(record.root, record.incident)
    assert [each.problem for each in past_incidents(record.root)] == [caught.value.what]
    assert verify_archive(archive, trusted).problems == []
    assert verify_record(copy / record.incident, trusted.keys).problems == []
    assert Record.open(copy, record.incident).incident == record.incident


def test_a_folder_of_keys_that_keeps_nothing_keeps_no_record_from_being_sealed(record: Record) -> None:
    """It may be read-only, or hold something else there: nothing is noted then, and nothing missed."""
    shutil.rmtree(paths.key_dir() / "sealed")
    (paths.key_dir() / "sealed").write_text("", encoding="utf-8")
    seal_record(record, {"name": "lab"})
    without_seals(record)
    assert Record.open(record.root, record.incident).incident == record.incident


def test_a_seal_made_anew_after_all_signatures_are_gone_hides_nothing(record: Record) -> None:
    """The lines of the true seal stand in the journal still, so what came after them is told."""
    (record.folder / "seal" / "envelope.json").unlink()
    number = forge(record)
    record.keep_gated("seal-2/manifest.json", b"{}", kind=Kind.SEALED, expected=record.journal.read().head)
    (said,) = note_after_seal(record)
    assert f"line {number}: approved, in the name of Bob" in said


def test_a_record_that_a_run_writes_at_this_moment_is_told_as_that(record: Record, capsys: Capture) -> None:
    """Its seal is on its way: with a key it does not verify until then, and is no damaged one. A copy is nobody's."""
    fresh = Record.create(record.root, "lab")
    copy = record.root.parent / "elsewhere" / fresh.incident
    shutil.copytree(fresh.folder, copy)
    before = first_line(fresh.incident, capsys)
    with SiteLock("lab", ("lab",), incident=fresh.incident):
        (code, now), copied = first_line(fresh.incident, capsys), first_line(str(copy), capsys)
        verify_command(fresh.incident)
        assert f"account {account()}" in capsys.readouterr().out.splitlines()[-1]
    assert before == copied == (5, f"incident:  {fresh.incident}: DOES NOT VERIFY")
    assert (code, now) == (5, f"{before[1]}, and is being written at this moment")
