"""Seals with a time stamp: an authority on loopback, what is kept of its answer, and what checking it says."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tsa as authority
from cryptography import x509

from runbook_lib.cli.records import verification_report
from runbook_lib.paths import project_root
from runbook_lib.record.attestation import Seal, seal_record
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Kind
from runbook_lib.record.seal import Authority, NoStamp, read_certificates, request_stamp
from runbook_lib.record.signing import new_key, trusted_keys
from runbook_lib.record.verification import Verification, verify_record

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed here")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[authority.Tsa]:
    with authority.running(tmp_path_factory.mktemp("tsa")) as tsa:
        yield tsa


@pytest.fixture
def tsa(shared: authority.Tsa) -> authority.Tsa:
    shared.mood = "honest"
    shared.asked.clear()
    return shared


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    new_key(tmp_path / "keys")
    return tmp_path / "keys"


def sealed(tmp_path: Path, tsa: authority.Tsa, keys: Path, certificate: Path | None = None) -> tuple[Record, Seal]:
    record = Record.create(tmp_path / "records", "mysite")
    return record, seal_record(record, tsa.site(certificate or tsa.root), key_folder=keys)


def checked(record: Record, keys: Path, *certificates: x509.Certificate) -> Verification:
    return verify_record(record.folder, trusted_keys(keys), certificates)


@pytest.mark.parametrize("signed", [True, False])
def test_stamp_is_over_the_newest_file_of_the_seal(
    tmp_path: Path, tsa: authority.Tsa, keys: Path, signed: bool
) -> None:
    """The authority is asked about the signed statement, or about the manifest where nobody signs, and verifies."""
    folder = keys if signed else tmp_path / "none"
    record, made = sealed(tmp_path, tsa, folder)
    about = record.folder / "seal" / ("envelope.json" if signed else "manifest.json")
    assert made.stamped == tsa.url
    assert hashlib.sha256(about.read_bytes()).digest() in tsa.asked[0]
    found = checked(record, folder, *read_certificates(tsa.root))
    assert (found.problems, found.stamp and found.stamp.authority) == ([], "CN=Test authority")
    assert any(line.startswith("time:") and "existed at" in line for line in verification_report(found))


def test_request_holds_a_digest_and_a_random_number_alone(tmp_path: Path, tsa: authority.Tsa, keys: Path) -> None:
    """Nothing of the record but 32 bytes leaves: the question is shorter than the incident's name and the digest."""
    record, _ = sealed(tmp_path, tsa, keys)
    assert record.incident.encode() not in tsa.asked[0]
    assert len(tsa.asked[0]) < 80


@pytest.mark.parametrize("mood", ["refuse", "redirect", "garbage", "stale"])
def test_answer_that_is_no_stamp_leaves_a_seal_that_says_so(
    tmp_path: Path, tsa: authority.Tsa, keys: Path, mood: str
) -> None:
    """An error, a redirection, nonsense, or the stamp of an earlier question: sealed, signed, and named."""
    sealed(tmp_path / "first", tsa, keys)
    tsa.mood = mood
    record, made = sealed(tmp_path, tsa, keys)
    assert made.key
    assert tsa.url in made.unstamped
    assert tsa.strayed == []
    assert not (record.folder / "seal/timestamp.tsr").exists()
    found = checked(record, keys, *read_certificates(tsa.root))
    assert found.problems == []
    assert any("requested and not received" in note for note in found.notes)


def test_answer_to_an_earlier_question_is_no_stamp_even_over_the_same_bytes(tsa: authority.Tsa) -> None:
    """The random number of the question has to come back: a stamp of before, played again, does not count."""
    named = Authority(url=tsa.url, certificate=tsa.root)
    request_stamp(named, b"the same")
    tsa.mood = "stale"
    with pytest.raises(NoStamp, match="Nonce mismatch"):
        request_stamp(named, b"the same")


def test_dead_authority_does_not_spoil_the_seal_and_is_named(tmp_path: Path, tsa: authority.Tsa, keys: Path) -> None:
    """Where nobody listens the record is sealed, and the journal's last line tells whom it asked in vain."""
    record = Record.create(tmp_path / "records", "mysite")
    site = {"timestamp": {**tsa.site(tsa.root)["timestamp"], "url": "http://127.0.0.1:9/tsr"}}
    made = seal_record(record, site, key_folder=keys)
    last = record.journal.read().lines[-1]
    assert (last.kind, last.seen) == (Kind.SEALED, "not stamped")
    assert "http://127.0.0.1:9/tsr" in last.text
    assert "NO TIME STAMP: http://127.0.0.1:9/tsr" in str(made)
    assert checked(record, keys).problems == []


def test_stamp_that_the_named_certificate_does_not_vouch_for_is_not_kept(
    tmp_path: Path, tsa: authority.Tsa, keys: Path
) -> None:
    """Somebody else's certificate in the site's file: the answer does not count, and the seal says so."""
    (tmp_path / "other").mkdir()
    other = authority.Tsa(tmp_path / "other")
    record, made = sealed(tmp_path, tsa, keys, other.root)
    assert "do not vouch for it" in made.unstamped
    assert not (record.folder / "seal/timestamp.tsr").exists()


def test_own_certificate_that_is_named_excludes_other_authorities_of_its_issuer(
    tmp_path: Path, tsa: authority.Tsa, keys: Path
) -> None:
    """With the authority's own certificate and its issuer's in the file, a stamp by that one counts."""
    both = tmp_path / "both.pem"
    both.write_bytes(tsa.own.read_bytes() + tsa.root.read_bytes())
    _, made = sealed(tmp_path, tsa, keys, both)
    assert made.stamped
    (tmp_path / "other").mkdir()
    other = authority.Tsa(tmp_path / "other")
    both.write_bytes(other.own.read_bytes() + tsa.root.read_bytes())
    _, made = sealed(tmp_path / "again", tsa, keys, both)
    assert made.unstamped


def test_stamp_is_told_and_not_believed_without_a_certificate_at_hand(
    tmp_path: Path, tsa: authority.Tsa, keys: Path
) -> None:
    """Whoever has no certificate of the authority reads what the stamp says, and that it was not checked."""
    record, _ = sealed(tmp_path, tsa, keys)
    found = checked(record, keys)
    assert (found.problems, found.stamp) == ([], None)
    assert any("CN=Test authority. It was not checked: give --tsa FILE" in note for note in found.notes)


@pytest.mark.parametrize("how", ["edited", "removed", "another seal's"])
def test_stamp_that_was_changed_is_named(tmp_path: Path, tsa: authority.Tsa, keys: Path, how: str) -> None:
    """A stamp that was edited, taken away, or taken from another seal does not verify."""
    record, _ = sealed(tmp_path, tsa, keys)
    stamp = record.folder / "seal/timestamp.tsr"
    data = stamp.read_bytes()
    other, _ = sealed(tmp_path / "other", tsa, keys)
    if how == "removed":
        stamp.unlink()
    else:
        edited = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
        stamp.write_bytes(edited if how == "edited" else (other.folder / "seal/timestamp.tsr").read_bytes())
    found = checked(record, keys, *read_certificates(tsa.root))
    assert "seal/timestamp.tsr" in {problem.path for problem in found.problems}
    assert found.stamp is None


def test_openssl_alone_verifies_the_stamp(tmp_path: Path, tsa: authority.Tsa, keys: Path) -> None:
    """The documented steps accept the stamp, refuse it for another file, and the seal's steps do not mind it."""
    record, _ = sealed(tmp_path, tsa, keys)
    text = (project_root() / "docs/record.md").read_text(encoding="utf-8")
    (steps,) = re.findall(r"^<!-- openssl time stamp.*?-->\n```sh\n(.*?)^```", text, re.M | re.S)
    (whole,) = re.findall(r"^<!-- openssl steps.*?-->\n```sh\n(.*?)^```", text, re.M | re.S)
    assert shell(record, tsa, keys, steps.splitlines()[0]).returncode == 0
    assert "Time stamp:" in shell(record, tsa, keys, steps).stdout
    assert shell(record, tsa, keys, whole).stdout.endswith("every file is what was signed\n")
    with (record.folder / "seal/envelope.json").open("ab") as envelope:
        envelope.write(b" ")
    assert shell(record, tsa, keys, steps.splitlines()[0]).returncode != 0


def shell(record: Record, tsa: authority.Tsa, keys: Path, steps: str) -> subprocess.CompletedProcess[str]:
    known = {"TSA": str(tsa.root), "KEY": str(keys / "signing.pub.pem"), "PATH": "/usr/bin:/bin"}
    return subprocess.run(["sh", "-c", steps], cwd=record.folder, env=known, capture_output=True, text=True)
