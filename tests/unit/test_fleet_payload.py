"""What travels with a site, what is checked where it arrives, and how its record comes back."""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fleet_kit import fleet_file, inline, task
from fsspec import AbstractFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from runbook_lib.batch.dask import connect
from runbook_lib.batch.fleet_sources import load_fleet
from runbook_lib.batch.payload import (
    Payload,
    merge_record,
    output_file,
    payload_of,
    programs,
    require_storage,
    store_record,
    task_of,
)
from runbook_lib.batch.rollout import ClusterOptions, require_protected
from runbook_lib.batch.site_run import SiteTask
from runbook_lib.batch.sites import resolved_site_file
from runbook_lib.errors import ParameterRefused, RecordDamaged, RecordNotWritable, UsageError
from runbook_lib.models import Stage
from runbook_lib.params.load import load_site
from runbook_lib.record.archive import archive_bytes
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.record.signing import seen_here

SECRET = "correct-horse-battery"


@pytest.fixture
def sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Payload:
    """A site with a CSR and secrets by reference, packed on its sender's disk."""
    monkeypatch.setenv("SSH", SECRET)
    (tmp_path / "key").write_text(SECRET, encoding="utf-8")
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "s.csr").write_text("a request", encoding="utf-8")
    site = inline(1, ha={"auth_key": "file:key"})
    site["secondary"]["expect"] = {"csr": "s.csr"}
    loaded = load_fleet(fleet_file(tmp_path, [site])).sites[0].site
    (tmp_path / "site.json").write_bytes(resolved_site_file(loaded))
    record = Record.create(tmp_path / "records", "site-0001")
    return payload_of(of(record, tmp_path / "site.json"), "")


def of(record: Record, site_file: Path) -> SiteTask:
    return replace(task(1), site_file=str(site_file), incident=record.incident, records=str(record.root))


def elsewhere(parcel: Payload) -> Payload:
    """The same as a worker sees it that does not share the sender's disk."""
    return replace(parcel, task=replace(parcel.task, records="/nowhere"))


def test_no_secret_travels(sent: Payload) -> None:
    """The bytes that go over the network hold references, and not what they lead to."""
    assert SECRET.encode() not in pickle.dumps(sent)
    assert b"file:" in pickle.dumps(sent)


def test_a_site_arrives_whole(sent: Payload, tmp_path: Path) -> None:
    """On another machine the site's file reads as the sender's, with the small files that travelled beside it."""
    (tmp_path / "s.csr").unlink()
    arrived = task_of(elsewhere(sent), tmp_path / "worker")
    site = load_site(Path(arrived.site_file))
    assert site.secondary.expect.csr
    assert site.secondary.expect.csr.read_text(encoding="utf-8") == "a request"
    assert Record.open(Path(arrived.records), arrived.incident).site == "site-0001"
    assert Path(arrived.records) == tmp_path / "worker"


def test_a_worker_believes_the_approvals_that_its_sender_believes(
    sent: Payload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has seen none of them being written; they travel beside the record, not in it."""
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "keys of the worker"))
    believed = {"a" * 64: "b" * 64, "c" * 64: ""}
    task_of(elsewhere(replace(sent, approvals=believed)), tmp_path / "worker")
    assert seen_here(tmp_path / "keys of the worker") == believed


def test_a_worker_on_the_same_disk_works_in_place(sent: Payload, tmp_path: Path) -> None:
    """Where the sender's record is seen as it is, it is the record that is worked on."""
    assert task_of(sent, tmp_path / "worker").records == sent.task.records


@pytest.mark.parametrize("name", ["release", "20_list_certificates.ipynb", "requirements.lock"])
def test_a_worker_with_other_programs_refuses(sent: Payload, tmp_path: Path, name: str) -> None:
    """Another release, notebook or lock file on the worker is refused before anything is laid out."""
    other = replace(elsewhere(sent), programs={**programs(), name: "another"})
    with pytest.raises(ParameterRefused) as caught:
        task_of(other, tmp_path / "worker")
    assert caught.value.found == name
    assert not (tmp_path / "worker").exists()


def test_a_record_comes_back_grown(tmp_path: Path) -> None:
    """What a worker added is added here, in files and journal; what was here stays."""
    here = Record.create(tmp_path / "here", "s")
    merge_record(tmp_path / "there" / here.incident, archive_bytes(here.folder))
    there = Record.open(tmp_path / "there", here.incident)
    there.keep_bytes("answers/0001-x.txt", b"said")
    merge_record(here.folder, archive_bytes(there.folder))
    assert here.journal.read() == there.journal.read()
    assert (here.folder / "answers/0001-x.txt").read_bytes() == b"said"
    merge_record(there.folder, archive_bytes(here.folder))


def test_the_newer_record_is_kept(tmp_path: Path) -> None:
    """A worker that holds more of a record than travels to it goes on from what it holds."""
    here = Record.create(tmp_path / "here", "s")
    old = archive_bytes(here.folder)
    here.journal.append(Kind.NOTED, text="later")
    merge_record(here.folder, old)
    assert here.journal.read().lines[-1].text == "later"


def test_two_records_that_went_different_ways_are_not_mixed(tmp_path: Path) -> None:
    """Where neither journal continues the other, nothing is taken in."""
    here = Record.create(tmp_path / "here", "s")
    there = tmp_path / "there" / here.incident
    merge_record(there, archive_bytes(here.folder))
    here.journal.append(Kind.NOTED, text="here")
    Record.open(tmp_path / "there", here.incident).journal.append(Kind.NOTED, text="there")
    with pytest.raises(RecordDamaged):
        merge_record(there, archive_bytes(here.folder))


def test_a_record_from_elsewhere_writes_nowhere_else(tmp_path: Path) -> None:
    """A name in an archive that leads out of the record's folder is refused."""

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("i/../../evil", b"x")
        archive.writestr("i/journal.jsonl", b"{}\n")
    with pytest.raises(ParameterRefused):
        merge_record(tmp_path / "records" / "i", out.getvalue())
    assert not (tmp_path / "evil").exists()


# -- the address of the records ----------------------------------------------------------------------


class Refusing(MemoryFileSystem):
    """A store that takes nothing."""

    protocol = "refusing"

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
        raise PermissionError("this bucket is read-only")


def test_a_record_is_copied_whole(tmp_path: Path) -> None:
    """Every file of a record, its journal too, lies below the address afterwards, and a grown one grows there."""
    record = Record.create(tmp_path, "s")
    for text in ("one", "two"):
        record.keep_bytes(f"answers/{text}.txt", text.encode())
        store_record(record.folder, "memory://evening")
    there = fsspec.filesystem("memory")
    for path in (path for path in record.folder.rglob("*") if path.is_file()):
        assert there.cat_file(f"/evening/{record.incident}/{path.relative_to(record.folder)}") == path.read_bytes()


def test_another_file_of_a_record_is_not_replaced(tmp_path: Path) -> None:
    """A file that lies there with other content is refused, by name, and stays."""
    record = Record.create(tmp_path / "records", "s")
    there = tmp_path / "there" / record.incident / "incident.json"
    there.parent.mkdir(parents=True)
    there.write_text("other", encoding="utf-8")
    with pytest.raises(RecordNotWritable, match="refuses"):
        store_record(record.folder, f"file://{tmp_path}/there")
    assert there.read_text(encoding="utf-8") == "other"


def test_no_line_of_a_copy_is_lost(tmp_path: Path) -> None:
    """A journal that was put back from an older copy, or went another way, does not take the place of what is there."""
    record = Record.create(tmp_path, "lab")
    older = record.journal.path.read_bytes()
    record.intend(Stage.DELETE, "primary", "x")
    store_record(record.folder, f"file://{tmp_path}/there")
    copy = tmp_path / "there" / record.incident / "journal.jsonl"
    whole = copy.read_bytes()
    record.journal.path.write_bytes(older)
    with pytest.raises(RecordNotWritable) as refused:
        store_record(record.folder, f"file://{tmp_path}/there")
    assert "its lines are not those" in refused.value.found
    assert copy.read_bytes() == whole


def test_an_address_that_refuses_is_named(tmp_path: Path) -> None:
    """The error says which address refused and with which words; the record here is untouched."""
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    record = Record.create(tmp_path, "s")
    before = archive_bytes(record.folder)
    with pytest.raises(RecordNotWritable) as caught:
        store_record(record.folder, "refusing://bucket")
    assert caught.value.where == f"refusing://bucket/{record.incident}"
    assert "this bucket is read-only" in caught.value.found
    assert archive_bytes(record.folder) == before


class Buckets(AbstractFileSystem):
    """A store of buckets, each with the files in it; whoever asks for a folder in one that is missing makes it."""

    protocol = "buckets"
    cachable = False
    held: ClassVar[dict[str, dict[str, bytes]]] = {}

    def exists(self, path: str, **more: Any) -> bool:
        return path in self.held.get(path.partition("/")[0], {})

    def cat_file(self, path: str, *more: Any, **named: Any) -> bytes:
        return self.held[path.partition("/")[0]][path]

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self.held.setdefault(path.partition("/")[0], {})

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
        if path.partition("/")[0] not in self.held:
            raise FileNotFoundError("there is no such bucket")
        self.held[path.partition("/")[0]][path] = value


def test_no_bucket_is_made_for_a_misspelt_address(tmp_path: Path) -> None:
    """A record goes into a bucket that is there; one that is not is refused by name, and not made."""
    fsspec.register_implementation("buckets", Buckets, clobber=True)
    Buckets.held["evening"] = {}
    record = Record.create(tmp_path, "s")
    store_record(record.folder, "buckets://evening/records")
    assert f"evening/records/{record.incident}/journal.jsonl" in Buckets.held["evening"]
    with pytest.raises(RecordNotWritable) as caught:
        store_record(record.folder, "buckets://evenin/records")
    assert "no such bucket" in caught.value.found
    assert set(Buckets.held) == {"evening"}


def test_an_address_that_cannot_be_one_is_refused_at_once() -> None:
    """An unknown kind of store is a mistake of the fleet's file, told before anything is run."""
    with pytest.raises(UsageError, match="not an address"):
        require_storage("gopher://x")


# -- the cluster's address ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "plain", "files"),
    [
        ("tcp://127.0.0.1:8786", True, False),
        ("tcp://192.0.2.1:8786", True, False),
        ("tls://192.0.2.1:8786", False, True),
    ],
)
def test_a_protected_scheduler_is_taken(address: str, plain: bool, files: bool) -> None:
    """TLS with its files, or a plain one that somebody explicitly allows."""
    tls = {"tls_ca": "a", "tls_cert": "b", "tls_key": "c"} if files else {}
    require_protected(ClusterOptions(scheduler=address, plain=plain, **tls))


@pytest.mark.parametrize(
    "address",
    ["tcp://192.0.2.1:8786", "tcp://dask.example.com:8786", "tcp://127.0.0.1:8786", "tls://h:1", "h:8786", "x"],
)
def test_an_unprotected_scheduler_is_refused(address: str) -> None:
    """A scheduler without TLS, also on loopback, where every user reaches it; TLS without its files; no address.

    Refused before anybody is asked for a connection.
    """
    with pytest.raises(ParameterRefused):
        require_protected(ClusterOptions(scheduler=address))
    with pytest.raises(ParameterRefused):
        connect(ClusterOptions(scheduler=address))


@pytest.mark.parametrize("link", [".fleet", ".fleet/x.log"])
def test_what_a_worker_prints_goes_to_no_other_place(tmp_path: Path, link: str) -> None:
    """A link that somebody else put into the folder of the records leads it nowhere."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordNotWritable, match="beside the record"):
        output_file(tmp_path, "x")
