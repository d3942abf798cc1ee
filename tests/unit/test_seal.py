"""The key, the manifest, the signed statement, and what checking a record finds."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from incident_kit import Incident
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from runbook_lib import paths
from runbook_lib.cli.records import key_show_command
from runbook_lib.decisions import Approval, Decision, Plan, PlanRow, canonical_json, plan_digest, sha256_hex
from runbook_lib.errors import ParameterRefused, RecordNotWritable
from runbook_lib.models import Outcome, Stage, StageState
from runbook_lib.notebook.runbook import seal_by_hand
from runbook_lib.paths import lock_file, notebooks_dir
from runbook_lib.record.artifacts import note_template
from runbook_lib.record.attestation import Seal, seal_record
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import JOURNAL, Kind, parse_journal
from runbook_lib.record.journal_file import CUT, Journal
from runbook_lib.record.seal import journal_part, parse_manifest
from runbook_lib.record.secret_scan import scan
from runbook_lib.record.signing import (
    PUBLIC,
    VerifyingKey,
    new_key,
    parse,
    read_public_key,
    sign,
    signing_key,
    trusted_in,
    trusted_keys,
)
from runbook_lib.record.verification import Verification, verify_record
from runbook_lib.secrets import REDACTOR, SecretRef

SITE = {"name": "mysite", "primary": {"address": "192.0.2.10", "password": "env:PI_PASSWORD"}}
CHANGES = 1000


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with a key in it."""
    folder = tmp_path / "keys"
    new_key(folder)
    return folder


def small_record(root: Path, what: str = "a test") -> Record:
    """A record with a plan, an approval, answers, a change and an outcome, not sealed yet."""
    made = Record.create(root, "mysite", what=what)
    note_template(made, Stage.LIST, notebooks_dir() / f"{Stage.LIST}.ipynb")
    made.start_stage(Stage.LIST)
    made.keep_bytes("answers/0001-primary-listcerts.txt", b"\x00\xff host\r\n" * 20, kind=Kind.OBSERVED)
    made.keep_bytes("answers/0002-empty.txt", b"")
    rows = (
        PlanRow(
            server="primary", key="192.0.2.20_8082", subject="/CN=x", target="secondary", decision=Decision.DELETE,
            reason="", command="delete it",
        ),
    )  # fmt: skip
    plan = Plan(site="mysite", incident=made.incident, made_utc=datetime.now(UTC), rows=rows, digest="")
    digest = plan_digest(plan)
    made.write_plan(replace(plan, digest=digest))
    made.write_approval(Approval(digest=digest, by="Ada", at_utc=datetime.now(UTC), how="a test"))
    change = made.intend(Stage.DELETE, "primary", "delete it")
    change.sent()
    change.result("gone")
    made.end_stage(Stage.LIST, StageState.DONE)
    made.set_outcome(Outcome.REPAIRED)
    return made


@pytest.fixture
def record(tmp_path: Path, keys: Path) -> Record:
    """A small record, sealed and signed."""
    made = small_record(tmp_path / "records")
    seal_record(made, SITE, key_folder=keys)
    return made


def verify(record: Record, keys: Path) -> Verification:
    return verify_record(record.folder, trusted_keys(keys))


def told(found: Verification) -> dict[str, str]:
    return {problem.path: problem.what for problem in found.problems}


def statement_of(record: Record, seal: str = "seal") -> dict:
    return json.loads(sslib_envelope(record, seal).payload)


def sslib_envelope(record: Record, seal: str = "seal") -> Envelope:
    return Envelope.from_dict(json.loads((record.folder / seal / "envelope.json").read_bytes()))


def sslib_key(key: VerifyingKey) -> SSlibKey:
    return SSlibKey.from_crypto(key.public, keyid=key.id)


# -- the key ---------------------------------------------------------------------------------------


def test_an_envelope_of_another_kind_of_payload_is_no_statement(keys: Path) -> None:
    """What it is signed for decides what it may be read as."""
    key = signing_key(keys)
    assert key
    envelope = json.loads(sign(b"{}", key))
    assert parse(json.dumps(envelope).encode()).payload == b"{}"
    with pytest.raises(ValueError, match="not an in-toto statement"):
        parse(json.dumps(envelope | {"payloadType": "application/json"}).encode())


def test_key_is_for_its_owner_only(keys: Path) -> None:
    """Both files of a new key have mode 0600 and their folder 0700."""
    assert {path.stat().st_mode & 0o777 for path in keys.iterdir()} == {0o600}
    assert keys.stat().st_mode & 0o777 == 0o700


def test_key_is_never_replaced(keys: Path) -> None:
    """A second `key new` is refused and leaves both files as they are."""
    before = {path.name: path.read_bytes() for path in keys.iterdir()}
    with pytest.raises(ParameterRefused, match="A key exists already"):
        new_key(keys)
    assert {path.name: path.read_bytes() for path in keys.iterdir()} == before


def test_keys_lie_in_a_folder_and_are_files(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that leads nowhere is no folder, and a pipe among the keys keeps nobody waiting."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RecordNotWritable, match="beside the record"):
        new_key(tmp_path / "link")
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(keys))
    for name in (PUBLIC, "authority.tsa.pem"):
        (keys / name).unlink(missing_ok=True)
        os.mkfifo(keys / name)
    with pytest.raises(ParameterRefused, match="not a regular file"):
        key_show_command()
    (keys / PUBLIC).unlink()
    assert trusted_in(keys).certificates == ()


def test_key_that_others_can_read_is_not_used(keys: Path, tmp_path: Path) -> None:
    """A private key with a group-readable file does not sign; the seal says why, and the manifest is written."""
    (keys / "signing.pem").chmod(0o640)
    with pytest.raises(ParameterRefused, match="others may use the file"):
        signing_key(keys)
    made = seal_record(small_record(tmp_path / "records"), SITE, key_folder=keys)
    assert not made.key
    assert "others may use the file" in made.unsigned


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_file_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """What is no Ed25519 public key is a wrong parameter, not a crash."""
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(ParameterRefused, match="cannot be used"):
        read_public_key(path)


@pytest.mark.parametrize("option", ["key", "authority"])
def test_what_never_ends_is_no_key_and_no_certificate(keys: Path, option: str) -> None:
    """A device that is named in the place of a file does not use up the memory."""
    with pytest.raises(ParameterRefused) as refused:
        trusted_in(keys, **{option: "/dev/zero"})
    assert "the file is longer than" in refused.value.found


# -- the seal --------------------------------------------------------------------------------------


def test_sealed_record_verifies(record: Record, keys: Path) -> None:
    """A record that nobody touched has no problem, is signed by the key, and has nothing after the seal."""
    found = verify(record, keys)
    assert (found.problems, found.notes, found.seal) == ([], [], "seal")
    assert found.key == trusted_keys(keys)[0]


def test_manifest_names_every_file_but_the_seal_and_the_journal(record: Record) -> None:
    """Each file has its size and SHA-256 in the manifest."""
    manifest = json.loads((record.folder / "seal/manifest.json").read_bytes())
    listed = {entry["path"]: (entry["size"], entry["sha256"]) for entry in manifest["files"]}
    files = {path.relative_to(record.folder).as_posix(): path for path in record.folder.rglob("*") if path.is_file()}
    there = {
        name: (path.stat().st_size, sha256_hex(path.read_bytes()))
        for name, path in files.items()
        if name != "journal.jsonl" and not name.startswith("seal/")
    }
    assert listed == there
    assert len(listed) > 5


def test_what_has_other_types_is_no_manifest(record: Record) -> None:
    """Whoever hands over a record writes its manifest: one that no seal writes is refused, and breaks no command."""
    data = (record.folder / "seal/manifest.json").read_bytes()
    assert parse_manifest(data).to_bytes() == data
    places = [("incident",), *(("journal", name) for name in ("lines", "bytes", "head"))]
    places += [("files", name) for name in ("path", "size", "sha256")]
    for place, value in itertools.product(places, (None, True, -1, 1.5, "x", [], {}, [[]])):
        manifest = json.loads(data)
        part = manifest if len(place) == 1 else manifest["files"][0] if place[0] == "files" else manifest["journal"]
        if type(part[place[-1]]) is type(value) is str:
            continue
        part[place[-1]] = value
        rows = b",\n".join(map(canonical_json, manifest.pop("files")))
        with pytest.raises(ValueError, match="manifest"):
            parse_manifest(canonical_json(manifest)[:-1] + b',"files":[\n' + rows + b"\n]}\n")


def test_statement_tells_of_the_incident(record: Record) -> None:
    """Outcome, plan, approvals, counts, journal, notebooks, site file and lock file stand in what is signed."""
    told = statement_of(record)["predicate"]
    covered = record.journal.read().lines[: told["journal"]["lines"]]
    assert told["outcome"] == "repaired"
    assert told["plan"]["sha256"] == record.read_plan().digest
    assert [(a["by"], a["digest"]) for a in told["approvals"]] == [("Ada", record.read_plan().digest)]
    assert told["counts"]["lines_by_kind"]["sent"] == 1
    assert told["counts"]["files_by_folder"]["answers"] == 2
    assert told["journal"]["head"] == covered[-1].hash
    template = notebooks_dir() / f"{Stage.LIST}.ipynb"
    ran = {"stage": Stage.LIST, "sha256": sha256_hex(template.read_bytes()), "line": 2, "by_hand": False}
    assert told["notebooks"] == [ran]
    assert told["lock_file"]["sha256"] == sha256_hex(lock_file().read_bytes())
    site = record.folder / told["site_file"]["path"]
    assert json.loads(site.read_bytes()) == SITE
    assert told["site_file"]["sha256"] == sha256_hex(site.read_bytes())


def test_securesystemslib_verifies_the_envelope(record: Record, keys: Path, tmp_path: Path) -> None:
    """Another implementation of DSSE accepts the envelope by our key, and refuses it by another one."""
    key = trusted_keys(keys)[0]
    envelope = sslib_envelope(record)
    assert set(envelope.verify([sslib_key(key)], 1)) == {key.id}
    other = SSlibKey.from_crypto(new_key(tmp_path / "other").public, keyid=key.id)
    with pytest.raises(VerificationError):
        envelope.verify([other], 1)


def test_statement_is_an_in_toto_statement_about_the_manifest(record: Record) -> None:
    """The payload has the type and the one subject that in-toto asks for."""
    statement = statement_of(record)
    assert sslib_envelope(record).payload_type == "application/vnd.in-toto+json"
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    digest = sha256_hex((record.folder / "seal/manifest.json").read_bytes())
    assert statement["subject"] == [{"name": "seal/manifest.json", "digest": {"sha256": digest}}]


def test_without_a_key_the_manifest_is_written_and_says_so(tmp_path: Path) -> None:
    """With no key nothing fails: the seal tells how to make one, and the record verifies as not signed."""
    made = small_record(tmp_path / "records")
    said = seal_record(made, SITE, key_folder=tmp_path / "nothing")
    assert "NOT SIGNED" in str(said)
    assert "runbook key new" in str(said)
    assert not (made.folder / "seal/envelope.json").exists()
    found = verify_record(made.folder)
    assert found.problems == []
    assert "NOT SIGNED" in found.notes[0]


def test_secret_is_not_in_what_is_signed(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that slipped into names, reasons and the site's values is a reference in every file of the seal."""
    monkeypatch.setenv("SEAL_SECRET", "s3cret/of«this»test")
    secret = SecretRef.parse("env:SEAL_SECRET").resolve()
    made = small_record(tmp_path / "records", what=f"because of {secret}")
    digest = made.read_plan().digest
    made.write_approval(Approval(digest=digest, by=secret, at_utc=datetime.now(UTC), how="x", reason=secret))
    (made.folder / "strange-s3cret").write_text("left here by somebody")
    seal_record(made, SITE | {"note": f"x{secret}x"}, key_folder=keys)
    assert scan(made.folder) == []
    payload = sslib_envelope(made).payload
    assert REDACTOR.redact(payload) == payload
    assert b"[secret env:SEAL_SECRET]" in payload
    assert verify(made, keys).problems == []


def test_secret_in_the_name_of_a_stray_file_is_not_signed(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that somebody left in the folder, with a secret in its name, does not bring it into the manifest."""
    monkeypatch.setenv("STRAY_SECRET", "stray-s3cret-name")
    made = small_record(tmp_path / "records")
    (made.folder / SecretRef.parse("env:STRAY_SECRET").resolve()).write_text("x")
    seal_record(made, SITE, key_folder=keys)
    assert b"stray-s3cret" not in (made.folder / "seal/manifest.json").read_bytes()


def test_later_seal_leaves_the_earlier_and_counts(record: Record, keys: Path) -> None:
    """A record that went on is sealed to `seal-2/`; the first seal stays byte for byte and is covered by the second."""
    first = {path: path.read_bytes() for path in (record.folder / "seal").iterdir()}
    record.keep_bytes("answers/0003-more.txt", b"more")
    again = seal_record(record, SITE, key_folder=keys)
    assert isinstance(again, Seal)
    assert again.folder == "seal-2"
    assert {path: path.read_bytes() for path in (record.folder / "seal").iterdir()} == first
    found = verify(record, keys)
    assert (found.problems, found.seal) == ([], "seal-2")
    assert "sealed 2 times" in found.notes[0]


def test_lines_after_the_seal_are_told_apart(record: Record, keys: Path) -> None:
    """What was added properly after the seal is no damage, and is said to be signed by nobody."""
    record.keep_bytes("answers/0003-more.txt", b"more")
    found = verify(record, keys)
    assert found.problems == []
    assert "1 lines of the journal" in found.notes[0]
    (record.folder / "answers/0003-more.txt").write_bytes(b"else")
    assert told(verify(record, keys)) == {"answers/0003-more.txt": "edited: the journal gives another SHA-256"}


# -- what is found ---------------------------------------------------------------------------------


def test_every_changed_byte_is_found(record: Record, keys: Path) -> None:
    """Each of 1,000 random single-byte changes over the files of a record is found and its file named."""
    chance = random.Random(20261123)
    files = sorted(path for path in record.folder.rglob("*") if path.is_file() and path.stat().st_size)
    trusted = trusted_keys(keys)
    for number in range(CHANGES):
        path = files[number % len(files)] if number < 5 * len(files) else chance.choice(files)
        data = path.read_bytes()
        at = chance.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :])
        named = told(verify_record(record.folder, trusted))
        path.write_bytes(data)
        assert path.relative_to(record.folder).as_posix() in named, (path.name, at, named)
    assert verify_record(record.folder, trusted).problems == []


def test_every_removed_file_is_found(record: Record, keys: Path) -> None:
    """Whichever file is taken away, it is named as removed."""
    for path in sorted(path for path in record.folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        path.unlink()
        found = told(verify(record, keys))[path.relative_to(record.folder).as_posix()]
        path.write_bytes(data)
        assert found.startswith("removed"), path


def test_a_file_that_only_the_manifest_names_is_missed(tmp_path: Path, keys: Path) -> None:
    """Somebody had left it in the folder before the seal; no line of the journal knows of it."""
    made = small_record(tmp_path / "records")
    stray = made.folder / "left-here.txt"
    stray.write_text("x", encoding="utf-8")
    seal_record(made, SITE, key_folder=keys)
    assert told(verify(made, keys)) == {}
    stray.unlink()
    assert told(verify(made, keys)) == {"left-here.txt": "removed"}


def test_every_shortened_file_is_found(record: Record, keys: Path) -> None:
    """Whichever file is cut short, by a byte or to nothing, it is named; the journal at any of its lines too."""
    for path in sorted(path for path in record.folder.rglob("*") if path.is_file() and path.stat().st_size):
        data = path.read_bytes()
        cuts = {0, len(data) // 2, len(data) - 1}
        for cut in sorted(cuts):
            path.write_bytes(data[:cut])
            assert path.relative_to(record.folder).as_posix() in told(verify(record, keys)), (path, cut)
        path.write_bytes(data)
    assert "cut short" in told_of_cut(record, keys, "answers/0001-primary-listcerts.txt")


def told_of_cut(record: Record, keys: Path, name: str) -> str:
    path = record.folder / name
    path.write_bytes(path.read_bytes()[:5])
    return told(verify(record, keys))[name]


def test_journal_that_lost_whole_lines_is_found(record: Record, keys: Path) -> None:
    """Lines that are cut off whole leave a journal whose chain holds; the seal misses them."""
    lines = record.journal.path.read_bytes().splitlines(keepends=True)
    for left in range(1, len(lines)):
        record.journal.path.write_bytes(b"".join(lines[:left]))
        named = told(verify(record, keys))
        assert "journal.jsonl" in named or "seal/envelope.json" in named, left
    record.journal.path.write_bytes(lines[0])
    assert told(verify(record, keys))["journal.jsonl"].startswith("cut short")


@pytest.mark.parametrize(
    "name",
    [
        "answers/0009-x.txt",
        "x",
        ".hidden",
        "seal/other.json",
        "seal-2/manifest.json",
        "notebooks/60_verify.running.ipynb",
    ],
)
def test_added_file_is_found(record: Record, keys: Path, name: str) -> None:
    """A file that neither the manifest nor the journal names is told as added, wherever it is."""
    path = record.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"{}")
    assert name in told(verify(record, keys))


def test_a_notebook_whose_kernel_was_still_starting_is_no_forgery(record: Record, keys: Path) -> None:
    """A run that is cut off there has named the notebook, not yet begun the stage."""
    note_template(record, Stage.VERIFY, notebooks_dir() / f"{Stage.VERIFY}.ipynb")
    (record.folder / "notebooks").mkdir(exist_ok=True)
    (record.folder / "notebooks/60_verify.running.ipynb").write_bytes(b"{}")
    verified = verify(record, keys)
    assert not told(verified)
    assert verified.running == ["notebooks/60_verify.running.ipynb"]


def test_link_is_found(record: Record, keys: Path, tmp_path: Path) -> None:
    """A file that was replaced by a link to the same content outside is named."""
    path = record.folder / "incident.json"
    path.rename(tmp_path / "outside.json")
    path.symlink_to(tmp_path / "outside.json")
    assert "incident.json" in told(verify(record, keys))


def test_envelope_of_another_record_is_found(record: Record, keys: Path, tmp_path: Path) -> None:
    """An envelope that is validly signed, but of another incident, is named as such."""
    other = small_record(tmp_path / "others")
    seal_record(other, SITE, key_folder=keys)
    shutil.copyfile(other.folder / "seal/envelope.json", record.folder / "seal/envelope.json")
    assert other.incident in told(verify(record, keys))["seal/envelope.json"]


def test_whole_record_written_anew_is_found_by_its_key(record: Record, keys: Path, tmp_path: Path) -> None:
    """A consistent record that somebody else signed does not verify by our key, nor one that nobody signed."""
    for sealed_with in (tmp_path / "other", tmp_path / "none"):
        if sealed_with.name == "other":
            new_key(sealed_with)
        forged = small_record(tmp_path / sealed_with.name / "records")
        seal_record(forged, SITE, key_folder=sealed_with)
        assert list(told(verify(forged, keys))) == ["seal/envelope.json"]


def test_record_computed_anew_without_the_key_is_found(record: Record, keys: Path) -> None:
    """Who edits a file and computes every digest anew, manifest and chain included, is left with the old signature."""
    edited = record.folder / "answers/0001-primary-listcerts.txt"
    old = sha256_hex(edited.read_bytes())
    edited.write_bytes(b"nothing was there")
    swaps = {old: sha256_hex(edited.read_bytes())}
    manifest = parse_manifest((record.folder / "seal/manifest.json").read_bytes())
    lines = rechained(record, swaps)[: manifest.journal.lines]
    files = tuple(
        replace(each, sha256=swaps.get(each.sha256, each.sha256), size=(record.folder / each.path).stat().st_size)
        for each in manifest.files
    )
    covered = b"".join(lines)
    part = journal_part(covered, parse_journal(covered, record.journal.path))
    forged = replace(manifest, journal=part, files=files).to_bytes()
    swaps[sha256_hex((record.folder / "seal/manifest.json").read_bytes())] = sha256_hex(forged)
    (record.folder / "seal/manifest.json").write_bytes(forged)
    record.journal.path.write_bytes(b"".join(rechained(record, swaps)))
    lost = {"seal/envelope.json": "it is not about seal/manifest.json as it is now"}
    assert told(verify(record, keys)) == {JOURNAL: CUT} | lost
    (paths.key_dir() / "sealed" / record.incident).unlink()  # as on another machine
    assert told(verify(record, keys)) == lost


def test_a_sealed_line_that_was_written_anew_is_found_without_the_key_too(record: Record) -> None:
    """The chain was computed anew and holds; the manifest says what the lines were."""
    data = record.journal.path.read_bytes()
    record.journal.path.write_bytes(data.replace(b'"seen":"gone"', b'"seen":"back"'))
    record.journal.path.write_bytes(b"".join(rechained(record, {})))
    lines = parse_manifest((record.folder / "seal/manifest.json").read_bytes()).journal.lines
    said = told(verify_record(record.folder))["journal.jsonl"]
    assert said == f"edited: its first {lines} lines are not those that were sealed"


def test_another_kind_of_statement_by_the_same_key_is_no_seal(record: Record, keys: Path) -> None:
    """A key may sign other things about the same manifest."""
    key, whole = signing_key(keys), statement_of(record)
    assert key
    for name in ("_type", "predicateType"):
        other = sign(canonical_json(whole | {name: "https://example.com/x"}), key)
        (record.folder / "seal/envelope.json").write_bytes(other)
        assert told(verify(record, keys))["seal/envelope.json"] == "it is another kind of statement"


def rechained(record: Record, swaps: dict[str, str]) -> list[bytes]:
    """Return the journal's lines with other digests of artifacts, and a chain that holds."""
    lines, prev = [], "0" * 64
    for raw in record.journal.path.read_bytes().splitlines():
        value = json.loads(raw)
        del value["hash"]
        value["prev"] = prev
        if value["artifact"]:
            value["artifact"]["sha256"] = swaps.get(value["artifact"]["sha256"], value["artifact"]["sha256"])
        prev = sha256_hex(canonical_json(value))
        lines.append(canonical_json(value | {"hash": prev}) + b"\n")
    return lines


def test_signature_without_a_key_at_hand_does_not_verify(record: Record) -> None:
    """With no public key the files are checked, and the signature is said not to be."""
    assert "give --key FILE" in told(verify_record(record.folder))["seal/envelope.json"]


def test_a_journal_that_opens_no_incident_is_no_record(tmp_path: Path) -> None:
    """A chain that holds, and whose it is stands nowhere in it."""
    Journal(tmp_path / "x").append(Kind.NOTED, text="x")
    assert told(verify_record(tmp_path / "x")) == {
        "journal.jsonl": "its first line, the opening of an incident, is missing"
    }


def test_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    """A folder that holds no record is a wrong parameter."""
    with pytest.raises(ParameterRefused, match="This is not a record"):
        verify_record(tmp_path)


def test_record_that_was_never_sealed_is_held_by_its_chain(tmp_path: Path, keys: Path) -> None:
    """Without a seal a change is still found, no seal is told, and with a key at hand it does not verify."""
    made = small_record(tmp_path / "records")
    assert verify_record(made.folder).problems == []
    assert "never sealed" in verify_record(made.folder).notes[0]
    assert list(told(verify(made, keys))) == ["seal/"]
    (made.folder / "incident.json").write_bytes(b"{}")
    assert "incident.json" in told(verify_record(made.folder))


def test_stage_60_by_hand_seals_and_a_runs_notebook_leaves_it_to_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed by a person the record is sealed and told so; inside a run, which seals at its end, it is not yet."""
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "no keys"))
    context = Incident(tmp_path).context
    heard: list[str] = []
    context = replace(context, progress=lambda text, fraction=None: heard.append(text))
    with context.lock("a test"):
        seal_by_hand(context)
    assert heard == []
    assert not (context.record.folder / "seal").exists()
    seal_by_hand(context)
    assert "NOT SIGNED" in heard[0]
    assert (context.record.folder / "seal/manifest.json").exists()
