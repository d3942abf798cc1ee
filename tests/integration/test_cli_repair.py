"""One production-like site, repaired by commands over three interruptions; each test states one fact of that story.

The site's file lacks ``kind: lab``, so the deletions wait for an approval. The story: nobody has approved (exit 3);
approved, and the primary falls silent right after the first deletion (exit 6); it is back, and the authentication
key is wrong (exit 1); with the right key the same incident is repaired (exit 0).
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote_plus

import pypdf
import pytest
import yaml
from cli_runs import Commands, Said
from fault_site import LIST
from repair_site import DELETE, changes
from waiting import wait_until

from runbook_lib import paths
from runbook_lib.lab import Lab
from runbook_lib.models import Outcome
from runbook_lib.record.incident import Record, list_records
from runbook_lib.record.journal import Kind
from runbook_lib.record.seal import parse_manifest
from runbook_lib.record.verification import verify_record

WRONG_KEY = "Wr0ng & unlucky/key+7"


@dataclass(frozen=True)
class Story:
    """What was said by each command, what the lab saw, and the record that is left."""

    commands: Commands
    lab: Lab
    refused: Said
    locked: Said
    approved: Said
    unseen: Said
    failed: Said
    repaired: Said

    @property
    def record(self) -> Record:
        (summary,) = list_records(self.commands.records)
        return Record.open(self.commands.records, summary.incident)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Let the story happen."""
    folder = tmp_path_factory.mktemp("story")
    kind = {"keys": "ec", "monitor_interval_s": 0.5, "registration_s": 0.5}
    with Commands(folder) as commands, Lab(folder / "site", **kind) as lab:
        site = production_file(lab)
        lab.set_fault("held_command", "primary", command=LIST)
        first = commands.start("run", site)
        wait_until(lambda: list(paths.locks_dir().glob("*.lock")), "the lock of the first run")
        locked = commands.run("run", site)
        lab.clear_fault()
        refused = commands.end(first)
        incident, digest = plan_in(refused.err)
        approved = commands.run("approve", incident, digest, "--by", "Ada Example")
        unseen = run_until_silent(commands, lab, site)
        key = lab.secret("auth_key")
        (lab.folder / "secrets" / "auth_key").write_text(f"{WRONG_KEY}\n")
        failed = commands.run("run", site)
        (lab.folder / "secrets" / "auth_key").write_text(f"{key}\n")
        # The page refused the registration, which used the approval up: the new plan needs one of its own.
        incident, digest = plan_in(commands.run(*next_run(approved.out)).err)
        repaired = commands.run(*next_run(commands.run("approve", incident, digest, "--by", "Ada Example").out))
        yield Story(commands, lab, refused, locked, approved, unseen, failed, repaired)


def production_file(lab: Lab) -> Path:
    """The site's file without ``kind: lab``: the software does not know that it is in a lab."""
    site = yaml.safe_load(lab.site_file.read_text())
    del site["kind"]
    path = lab.folder / "site of berlin.yaml"
    path.write_text(yaml.safe_dump(site | {"name": "berlin"}, sort_keys=False))
    return path


def plan_in(text: str) -> tuple[str, str]:
    """Incident and digest, as the refusal tells how to approve."""
    found = re.search(r"runbook approve (\S+) ([0-9a-f]{64})", text)
    assert found, text
    return found[1], found[2]


def next_run(text: str) -> list[str]:
    """The arguments of the command that the approval names as the next."""
    found = re.search(r"^Next: runbook (run .*)$", text, re.MULTILINE)
    assert found, text
    return shlex.split(found[1])


def run_until_silent(commands: Commands, lab: Lab, site: Path) -> Said:
    """Run; from the arrival of the first deletion on, the primary's SSH service is gone before it answers."""
    lab.set_fault("held_command", "primary", command=DELETE)
    process = commands.start("run", site)
    wait_until(lambda: changes(lab.truth()).sent, "the first deletion at the server")
    lab.set_fault("refuse", "primary", service="ssh")
    lab.set_fault("reset_after", "primary", command=DELETE)
    lab.clear_fault("held_command")
    said = commands.end(process)
    lab.clear_fault()
    return said


# -- exit codes and words ----------------------------------------------------------------------------


def test_unapproved_plan_stops_the_run_and_says_how_to_approve(story: Story) -> None:
    """It never approves its own plan outside the lab, and never takes silence for consent.

    Exit 3; the run shows the plan, and the refusal is the command that approves it, whole.
    """
    assert story.refused.code == 3
    assert story.refused.out.count(DELETE) == 3
    assert "register high availability" in story.refused.out
    assert "ApprovalMissing" in story.refused.out
    assert "--by NAME" in story.refused.err


def test_approval_names_what_it_allows(story: Story) -> None:
    """``runbook approve`` shows the three commands that may now be sent."""
    assert story.approved.code == 0
    assert "Approved by Ada Example" in story.approved.out
    assert story.approved.out.count(DELETE) == 3


def test_approval_ends_with_the_command_that_goes_on(story: Story) -> None:
    """It names the site's file, which is no name in ``params/``, and the incident; run as printed it repairs."""
    site = story.lab.folder / "site of berlin.yaml"
    assert next_run(story.approved.out) == ["run", str(site), "--incident", story.record.incident]
    assert story.repaired.code == 0


def test_second_run_of_the_site_is_refused_with_the_name_of_the_first(story: Story) -> None:
    """Two runs at the same time: the second is exit 3 and says which process holds the site."""
    assert story.locked.code == 3
    assert "another run changes the servers of site berlin now" in story.locked.err
    assert re.search(r"process \d+ on .* for run the stages, \S+, \S+ \(holder \w+\)", story.locked.err)


def test_change_whose_result_was_not_seen_is_exit_6(story: Story) -> None:
    """It never claims in the record what was not seen: what is not known is called `unknown`.

    The deletion left, the list could not be read again: unknown, and not called failed.
    """
    assert story.unseen.code == 6
    assert re.search(r"outcome: unknown\nrecord: ", story.unseen.out)


def test_wrong_key_is_exit_1_with_the_pages_words_and_advice(story: Story) -> None:
    """The page's own sentence is shown, and how to mend it."""
    assert story.failed.code == 1
    assert "Authentication key does not match" in story.failed.err
    assert "ncs ha authkey" in story.failed.err


def test_resumed_incident_ends_repaired_with_a_table(story: Story) -> None:
    """Exit 0 and, at the end, stage by stage: outcome and seconds, the whole outcome, the record's path."""
    assert (story.repaired.code, story.record.outcome()) == (0, Outcome.REPAIRED)
    assert story.repaired.err == ""
    end = story.repaired.out.partition("\nIncident ")[2]
    assert re.search(r"30_delete_stale_certificates │ done +│ \d+\.\d", end)
    assert end.rstrip().endswith(f"outcome: repaired\nrecord:  {story.record.folder}")


def test_an_error_stands_on_the_terminal_once_and_is_no_traceback(story: Story) -> None:
    """What, where, found, next: once, on standard error."""
    for said in (story.refused, story.locked, story.unseen, story.failed):
        assert "Traceback" not in said.out + said.err
        assert len(re.findall(r"^  next: ", said.err, re.MULTILINE)) == 1


def test_progress_is_one_line_per_stage_and_change(story: Story) -> None:
    """The longest run ends one line for each of eight stages and of its two changes with its seconds."""
    progress = [line for line in progress_of(story) if "%" not in line]
    assert sum(bool(re.search(r", \d+\.\d s$", line)) for line in progress) == 10
    assert sum("register HA: Primary Active, " in line for line in progress) == 1
    assert len(progress) <= 14


def test_milestones_of_a_registration_are_told_one_line_per_change(story: Story) -> None:
    """Whoever watches the terminal sees how far it is: no line twice, and all three at 100 % at the end."""
    milestones = [line for line in progress_of(story) if "%" in line]
    assert milestones
    assert len(set(milestones)) == len(milestones)
    assert milestones[-1].count(" 100 %") == 3


def progress_of(story: Story) -> list[str]:
    return story.repaired.out.partition("\n\n")[0].splitlines()[1:]


def test_the_report_is_inside_what_was_sealed(story: Story) -> None:
    """The run names its report; the newest seal covers it in each form, and the notebook that wrote it."""
    folder = story.record.folder
    assert f"report:  {folder / 'report' / 'post-mortem.html'}\n" in story.repaired.out
    newest = max(folder.glob("seal*/manifest.json"), key=lambda path: path.stat().st_mtime_ns)
    sealed = {entry.path for entry in parse_manifest(newest.read_bytes()).files}
    assert sealed >= {f"report/post-mortem.{form}" for form in ("html", "pdf", "md")}
    assert "notebooks/70_post_mortem.ipynb" in sealed
    assert verify_record(folder).problems == []


def test_the_printed_report_is_short_and_its_pages_are_full(story: Story) -> None:
    """Of a whole repair with its interruptions it has at most ten pages, and none but the last is half empty."""
    pages = pypdf.PdfReader(story.record.folder / "report" / "post-mortem.pdf").pages
    assert len(pages) <= 10
    assert all(_lowest(page) < float(page.mediabox.height) / 2 for page in pages[:-1])


def _lowest(page: pypdf.PageObject) -> float:
    """Return how far above the bottom the page's last text stands, its footer left out."""
    found: list[float] = []

    def note(text: str, matrix: list[float], own: list[float], *_: object) -> None:
        height = own[5] * matrix[3] + matrix[5]
        if text.strip() and height > 40:
            found.append(height)

    page.extract_text(visitor_text=note)
    return min(found)


# -- what really happened ------------------------------------------------------------------------------


def test_over_all_interruptions_each_entry_was_deleted_once(story: Story) -> None:
    """Three commands, three deletions, one registration that went through, one ISE server added."""
    seen = changes(story.lab.truth())
    servers = story.lab.world["servers"]
    hm = {name: f"{servers[name]['address']}_{servers[name]['ports']['hm']}" for name in ("primary", "secondary")}
    ise = f"{servers['ise']['address']}_{servers['ise']['ports']['ise']}"
    expected = [("primary", ise), ("primary", hm["secondary"]), ("secondary", hm["primary"])]
    assert (sorted(seen.deleted), seen.sent) == (sorted(expected), 3)
    assert [effect == "registered" for effect in seen.registered] == [False, True]
    assert seen.ise == [f"add ISE {servers['ise']['address']}"]


def test_nothing_was_sent_before_its_approval_and_its_intent_were_on_disk(story: Story) -> None:
    """It never sends a change before its intent is on disk.

    The lab saw every deletion arrive after the journal's line that says what is about to change.
    """
    lines = story.record.journal.read().lines
    approved = min(line.utc for line in lines if line.kind is Kind.APPROVED)
    intents = {(line.server, line.text): line.utc for line in lines if line.kind is Kind.INTENT}
    arrived = [line for line in story.lab.truth() if line["what"].startswith(DELETE) and "effect" not in line]
    assert len(arrived) == 3
    for line in arrived:
        intent = intents[line["server"], line["what"].removeprefix(DELETE)]
        assert approved < intent < datetime.fromisoformat(line["utc"])


def test_every_command_that_reached_a_device_has_its_answer_in_the_record(story: Story) -> None:
    """For each command that the lab saw, the record holds the raw answer, and beside it what was understood."""
    arrived = sorted(
        (line["server"], line["what"])
        for line in story.lab.truth()
        if line["channel"] == "ssh" and "effect" not in line and line["what"].startswith(("ncs ", "show "))
    )
    folder = story.record.folder
    kept = [json.loads(path.read_text()) for path in folder.glob("answers/*.json")]
    assert sorted((answer["server"], answer["command"]) for answer in kept) == arrived
    for answer in kept:
        assert (folder / answer["raw"]["path"]).is_file()
        assert answer["understood_as"] or answer["command"].startswith(DELETE)
    raw = [(folder / answer["raw"]["path"]).read_bytes() for answer in kept if answer["understood_as"]]
    assert all(raw)


def test_record_verifies_and_holds_every_executed_notebook(story: Story) -> None:
    """The chain holds, every artifact is what the journal says, and each stage of each run left its notebook."""
    record = story.record
    lines = record.journal.read().lines
    for line in lines:
        if line.artifact:
            assert record.read_bytes(line.artifact)
    notebooks = [line.artifact.path for line in lines if line.artifact and line.artifact.path.startswith("notebooks/")]
    assert len(notebooks) == 4 + 4 + 5 + 4 + 8
    assert not list(record.folder.rglob("*.running.*"))


def test_no_secret_of_the_site_is_in_any_byte_that_was_written_or_said(story: Story) -> None:
    """It never puts a secret into a record.

    Raw, URL-encoded and in base64 (also as a part of HTTP Basic): neither in the record nor on the terminal.
    """
    secrets = {path.read_text().strip() for path in (story.lab.folder / "secrets").iterdir()} | {WRONG_KEY}
    written = [path.read_bytes() for path in story.commands.records.rglob("*") if path.is_file()]
    said = [text.encode() for one in story.commands.said for text in (one.out, one.err)]
    assert len(written) > 50
    for data in (*written, *said):
        for secret in secrets:
            assert not [form for form in spellings(secret) if form in data]


def spellings(secret: str) -> list[bytes]:
    """The secret as it is, URL-encoded, and the parts of base64 texts that it alone determines."""
    parts = [base64.b64encode(bytes(before) + secret.encode())[(0, 2, 3)[before] : -4] for before in range(3)]
    return [secret.encode(), quote_plus(secret).encode(), *parts]
