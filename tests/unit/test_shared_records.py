"""A folder of records that a group shares: a second user works in the same record, and nobody outside of the group."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from another_user import STRANGER, as_stranger, root_only
from certificate_kit import NOW
from incident_kit import PRIMARYS, SHA, Incident
from site_kit import site_with

from runbook_lib.batch.runner import begin_notebook
from runbook_lib.certificates.expectation import Knowledge
from runbook_lib.decisions import Override
from runbook_lib.errors import ParameterRefused, RecordNotWritable
from runbook_lib.models import Stage, Verdict
from runbook_lib.notebook.states import replace_file
from runbook_lib.params.model import Expectation
from runbook_lib.record.attestation import seal_record
from runbook_lib.record.files import is_shared
from runbook_lib.record.incident import Record
from runbook_lib.record.signing import PUBLIC, new_key
from runbook_lib.record.verification import verify_record
from runbook_lib.repair.approval import approve
from runbook_lib.repair.confirmation import PHRASE, overrides_of, write_override
from runbook_lib.repair.inventory import gather_knowledge, knowledge_of


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody can enter, with ``records`` in it that the stranger's group shares."""
    folder = Path(tempfile.mkdtemp(prefix="runbook-shared-"))
    folder.chmod(0o755)
    (folder / "records").mkdir()
    if os.geteuid() == 0:
        os.chown(folder / "records", 0, STRANGER)
    (folder / "records").chmod(0o2770)
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(folder / "keys"))
    yield folder
    shutil.rmtree(folder)


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


@pytest.mark.parametrize("umask", [0o077, 0])
def test_what_is_made_in_a_shared_folder_is_the_groups_too(place: Path, umask: int) -> None:
    """Folders 2770, files 0660, whatever the umask; elsewhere 0700 and 0600, as ever."""
    before = os.umask(umask)
    try:
        for root, expected in ((place / "records", {0o2770, 0o660}), (place / "own", {0o700, 0o600})):
            record = Record.create(root, "lab")
            record.keep_bytes("answers/0001-primary-x.txt", b"x")
            seal_record(record, {"name": "lab"})
            assert modes(record.folder) == expected
    finally:
        os.umask(before)


@pytest.mark.parametrize(("mode", "shared"), [(0o2770, True), (0o2700, False), (0o770, False), (0o2750, False)])
def test_a_group_gets_what_the_folders_mode_says_whole(tmp_path: Path, mode: int, shared: bool) -> None:
    """Its set-group-ID and all of the group's rights, or nothing for the group: no half of it is a wish to share."""
    tmp_path.chmod(mode)
    assert is_shared(tmp_path) is shared


def test_what_a_person_said_counts_for_the_account_that_wrote_it(place: Path) -> None:
    """An override and an expectation let passwords be typed: in a shared folder those of others count for nothing.

    Nor do they hide what this account said before. In a folder of one's own there are no others.
    """
    for root, counts in ((place / "records", False), (place / "own", True)):
        record = Record.create(root, "lab")
        incident = Incident(place, {"secondary": Verdict.UNCONFIRMED}, record=record)
        context = replace(incident.context, records_root=root)
        ours, theirs = (
            Override(server="primary", key=PRIMARYS[2], sha256=SHA["secondary"], by=by, at_utc=NOW, reason="x")
            for by in ("Ada", "Mallory")
        )
        write_override(record, ours, "secondary", phrase=PHRASE)
        gather_knowledge(context, {"ise": Expectation(sha256="e" * 64)})
        for name, forged in (
            ("overrides", (ours, theirs)),
            ("given_expectations", {"ise": Knowledge(sha256=("f" * 64,))}),
            ("expectations", {"ise": Knowledge(sha256=("f" * 64,))}),
        ):
            record.write_facts(Stage.LIST, name, forged)
        assert overrides_of(record) == ((ours, theirs) if counts else (ours,))
        assert knowledge_of(context, "ise").sha256 == (("f" if counts else "e") * 64,)
        assert gather_knowledge(context, {})["ise"].sha256 == (("f" if counts else "e") * 64,)


@root_only
def test_a_second_user_approves_in_the_same_record(place: Path) -> None:
    """Another account opens the record that this one made, approves with a key of its own, and this one goes on."""
    rehearsal = Incident(place)  # what is imported late is imported here: the stranger may not read this Python's files
    new_key(place / "rehearsal")
    approve(rehearsal.record, rehearsal.write_plan().digest, by="Bob", how="test")
    verify_record(rehearsal.record.folder)
    incident = Incident(place, site=site_with(policy={"second_person": True}))
    plan = incident.write_plan()
    theirs = place / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, STRANGER, STRANGER)

    def approve_as_second() -> str:
        os.environ["RUNBOOK_KEY_DIR"] = str(theirs)
        new_key(theirs)
        return approve(Record.open(place / "records", plan.incident), plan.digest, by="Bob", how="test").by

    assert as_stranger(approve_as_second) == "'Bob'"
    assert incident.approved(plan) is None
    shutil.copyfile(theirs / PUBLIC, place / "keys" / "bob.pub.pem")
    approval = incident.approved(plan)
    assert approval
    assert f"uid {STRANGER}" in approval.account
    assert verify_record(incident.record.folder).problems == []
    seal_record(incident.record, {"name": "lab"})
    assert as_stranger(lambda: verify_record(incident.record.folder).problems) == "[]"


def test_a_notebook_begins_in_a_file_of_its_own_which_the_group_may_replace(place: Path) -> None:
    """A link that another of the group left under its name leads nowhere: what it leads to is not written."""
    record = Record.create(place / "records", "lab")
    mine = place / "mine"
    mine.write_text("as it was", encoding="utf-8")
    running = record.folder / "notebooks" / f"{Stage.START}.running.ipynb"
    running.parent.mkdir(mode=0o2770)
    running.parent.chmod(0o2770)
    running.symlink_to(mine)
    assert begin_notebook(record, Stage.START) == running
    replace_file(running, "{}")
    assert (mine.read_text(encoding="utf-8"), running.read_text(encoding="utf-8")) == ("as it was", "{}")
    begin_notebook(record, Stage.LIST)
    assert modes(running.parent) == {0o660}


@root_only
def test_a_running_notebook_is_not_written_where_another_users_link_leads(place: Path) -> None:
    """One that is put into its place while it runs ends the run; a link of one's own is followed, as ever."""
    record = Record.create(place / "records", "lab")
    mine = place / "mine"
    mine.write_text("as it was", encoding="utf-8")
    running = begin_notebook(record, Stage.START)
    running.unlink()
    as_stranger(lambda: running.symlink_to(mine))
    assert running.is_symlink()
    with pytest.raises(RecordNotWritable):
        replace_file(running, "{}")
    assert mine.read_text(encoding="utf-8") == "as it was"


@root_only
def test_whoever_is_not_in_the_group_gets_in_nowhere(place: Path) -> None:
    """Nobody else reads or writes there."""
    incident = Incident(place)
    os.chown(place / "records", 0, 0)
    for path in (incident.record.folder, incident.record.journal.path):
        os.chown(path, 0, 0)
    assert "PermissionError" in as_stranger(lambda: list((place / "records").iterdir()))


def test_no_key_is_made_where_a_group_could_take_it(place: Path) -> None:
    """A shared folder is no place for a private key."""
    with pytest.raises(ParameterRefused, match="No key is created"):
        new_key(place / "records" / "keys")
    assert list((place / "records" / "keys").iterdir()) == []
