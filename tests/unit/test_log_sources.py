"""Where logs come from: files, folders, series, archives and encodings."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import tarfile
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from log_kit import tar_of, tgz_of, zip_of

from runbook_lib.errors import UsageError
from runbook_lib.logs import archives, inflate
from runbook_lib.logs.archives import unpack
from runbook_lib.logs.conclusions import exit_code, mismatches_of, verdict
from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.logs.inflate import LIMITS, UnpackLimits
from runbook_lib.logs.jobs import Settings
from runbook_lib.logs.rules import RULES
from runbook_lib.logs.scanner import Scanner
from runbook_lib.logs.sources import list_logs, open_logs
from runbook_lib.logs.streams import Notes

EVENT = (Path(__file__).parent.parent / "fixtures" / "logs" / "primary-health-monitor.log").read_bytes()


def count(*paths: Path, server: str = "primary") -> int:
    """Return how many mismatch events the logs under ``paths`` hold."""
    return sum(m.count for m in diagnose_sources({server: list(paths)}).mismatches)


def test_folder_is_read_to_its_depth_and_each_file_once(tmp_path: Path) -> None:
    """A folder is read recursively; a file that is named twice is read once."""
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "hm-0-0.log").write_bytes(EVENT)
    (tmp_path / "ncs-0-0.log").write_bytes(EVENT)
    assert count(tmp_path, deep, deep / "hm-0-0.log") == 2


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    """A symbolic link in a folder leads nowhere, neither to a file nor to a folder outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.log").write_bytes(EVENT)
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "file.log").symlink_to(outside / "x.log")
    (folder / "folder").symlink_to(outside)
    assert count(folder) == 0


def test_series_is_read_oldest_first(tmp_path: Path) -> None:
    """Rotated files of one series come oldest first, whichever way they are numbered, and say that they go on."""
    names = ["hm-0-0.log", "hm-0-1.log", "hm-0-10.log", "ncs-0-0.log", "ncs-0-0.log.1.gz", "ncs-0-0.log.2"]
    for name in names:
        (tmp_path / name).write_bytes(gzip.compress(b"x") if name.endswith("gz") else b"x")
    logs = open_logs(list_logs([tmp_path]), Notes())
    read = [(Path(log.name).name, log.continues) for log in logs if log.stream.read(9)]
    assert read == [
        ("hm-0-10.log", False),
        ("hm-0-1.log", False),
        ("hm-0-0.log", True),
        ("ncs-0-0.log.2", False),
        ("ncs-0-0.log.1.gz", True),
        ("ncs-0-0.log", True),
    ]


@pytest.mark.parametrize("line", range(1, 8))
def test_message_goes_on_in_the_next_file_of_the_series(tmp_path: Path, line: int) -> None:
    """A message that rotation cut between two lines is one event, its lines numbered in their own files."""
    lines = EVENT.splitlines(keepends=True)
    (tmp_path / "hm-0-0.log.1").write_bytes(b"x\n" + b"".join(lines[:line]))
    (tmp_path / "hm-0-0.log").write_bytes(b"".join(lines[line:]))
    (found,) = diagnose_sources({"primary": [tmp_path]}).mismatches
    assert (found.count, found.threads) == (1, ("HealthMonitorThread",))
    assert [(Path(x.source).name, x.number) for x in found.evidence[:8]] == [
        *(("hm-0-0.log.1", n + 2) for n in range(line)),
        *(("hm-0-0.log", n + 1) for n in range(8 - line)),
    ]


def test_message_may_be_cut_at_any_byte_by_rotation(tmp_path: Path) -> None:
    """Wherever rotation cuts the message, within a word too, it is one event with its whole subject and its thread."""
    text = b"x\n2026-11-23 12:00:00,000 ERROR " + EVENT + b"2026-11-23 12:00:01,000 INFO [main] y\n"
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "hm-0-0.log").write_bytes(text)
    (whole,) = diagnose_sources({"primary": [tmp_path / "whole"]}).mismatches
    for cut in range(1, len(text) - 1):
        (tmp_path / "hm-0-1.log").write_bytes(text[:cut])
        (tmp_path / "hm-0-0.log").write_bytes(text[cut:])
        paths = [tmp_path / "hm-0-1.log", tmp_path / "hm-0-0.log"]
        found = [(m.subject, m.count, m.threads) for m in diagnose_sources({"primary": paths}).mismatches]
        assert found == [(whole.subject, 1, whole.threads)], text[cut - 20 : cut]


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.encode("latin-1"),
        lambda text: b"\0" * 999 + text.encode().replace(b" ", b" \0"),
    ],
    ids=["utf-8", "utf-8-mark", "utf-16-le", "utf-16-be", "crlf", "latin-1", "nul"],
)
def test_the_subject_is_read_in_every_encoding(tmp_path: Path, encode: Callable[[str], bytes]) -> None:
    """The subject is read in every encoding."""
    (tmp_path / "x.log").write_bytes(encode(EVENT.decode().replace("prime-sec", "prime-séc")))
    (found,) = diagnose_sources({"primary": [tmp_path]}).mismatches
    assert (found.subject.split(",")[0], found.count) == ("CN=prime-séc", 1)


def test_utf_16_without_its_mark_is_read_as_far_as_it_is_ascii(tmp_path: Path) -> None:
    """UTF-16 without its mark is read as far as it is ASCII."""
    (tmp_path / "x.log").write_bytes(EVENT.decode().encode("utf-16-be"))
    assert count(tmp_path) == 1


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(EVENT),
        gzip.compress(EVENT[:300]) + gzip.compress(EVENT[300:]) + b"\0" * 512,
        zip_of({"logs/hm-0-0.log": EVENT}),
        tgz_of({"logs/hm-0-0.log": EVENT}),
        tar_of({"logs/hm-0-0.log": EVENT}, "w:"),
        zip_of({"hm-0-0.log.1.gz": gzip.compress(EVENT)}),
        tgz_of({"bundle.zip": zip_of({"hm-0-0.log": EVENT})}),
        zip_of({"bundle.tar.gz": tgz_of({"hm-0-0.log": EVENT})}),
    ],
    ids=["gz", "gz-members", "zip", "tar.gz", "tar", "gz-in-zip", "zip-in-tar.gz", "tar.gz-in-zip"],
)
def test_archives_are_known_by_their_first_bytes_one_inside_another_too(tmp_path: Path, packed: bytes) -> None:
    """Archives are known by their first bytes and read, one inside another too."""
    (tmp_path / "download").write_bytes(packed)
    assert count(tmp_path / "download") == 1


def test_no_path_of_an_archive_is_written(tmp_path: Path) -> None:
    """An archive's names, links and devices create nothing."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("../evil.log", str(tmp_path / "absolute.log")):
            member = tarfile.TarInfo(name)
            member.size = len(EVENT)
            tar.addfile(member, io.BytesIO(EVENT))
        link = tarfile.TarInfo("link.log")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "x.tar.gz").write_bytes(packed.getvalue())
    (folder / "y.zip").write_bytes(zip_of({"../../evil.log": EVENT}))
    assert count(folder) == 3
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["in", "x.tar.gz", "y.zip"]


def _read_all(packed: bytes, limits: UnpackLimits) -> int:
    logs = unpack("x", io.BytesIO(packed), len(packed), Notes(), limits)
    return sum(len(chunk) for _, log in logs for chunk in iter(lambda log=log: log.read(1 << 16), b""))


@pytest.mark.parametrize(
    ("packed", "limits", "words"),
    [
        (gzip.compress(b"x" * 1_000_000), UnpackLimits(unpacked=999_999), "999999 bytes"),
        (gzip.compress(b"x" * 1_000_000), UnpackLimits(ratio=100, ratio_from=1000), "100 times"),
        (zip_of({"a": b"x" * 1_000_000}), UnpackLimits(ratio=100, ratio_from=1000), "100 times"),
        (tgz_of({"a": b"x" * 1_000_000}), UnpackLimits(unpacked=999_999), "999999 bytes"),
        (zip_of({str(n): b"" for n in range(11)}), UnpackLimits(entries=10), "10 entries"),
        (tgz_of({str(n): b"" for n in range(11)}), UnpackLimits(entries=10), "10 entries"),
        (gzip.compress(gzip.compress(gzip.compress(b"x"))), UnpackLimits(depth=1), ""),
        (gzip.compress(zip_of({"a": os.urandom(2000)})), UnpackLimits(inner_zip=1000), ""),
    ],
    ids=["bytes", "ratio", "zip-ratio", "tar-bytes", "zip-entries", "tar-entries", "depth", "inner-zip"],
)
def test_archive_over_a_limit_is_refused(packed: bytes, limits: UnpackLimits, words: str) -> None:
    """An archive that unpacks to too much is refused with the limit named; under it, it is read."""
    with pytest.raises(UsageError) as refused:
        _read_all(packed, limits)
    assert words in refused.value.found
    assert _read_all(packed, UnpackLimits()) >= 0


NOISE = os.urandom(3000).hex().encode() + b"\n"


@pytest.mark.parametrize(
    ("packed", "least"),
    [
        (gzip.compress((EVENT + b"\n") * 9 + NOISE)[:-2000], 9),
        (gzip.compress(EVENT)[:-8] + b"\0" * 8, 1),
        (gzip.compress(EVENT) + b"\x1f\x8bx", 1),
        (tgz_of({"a": EVENT, "b": NOISE})[:-2000], 1),
        (tar_of({"a": EVENT, "b": EVENT}, "w:").replace(b"b\0", b"c\0", 1), 1),
        (tar_of({"a": EVENT, "b": EVENT}, "w:")[:1024], 1),
        (tar_of({"a": EVENT, "b": EVENT}, "w:")[:1800], 1),
        (zip_of({"a": (EVENT + b"\n") * 9, "b": NOISE})[:-2000], 9),
        (zip_of({"a": EVENT, "b": EVENT}).replace(b"\0\0\x08\0", b"\0\0\x63\0"), 0),
        (
            zip_of({"a": EVENT, "b": EVENT}).replace(
                b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01", 1
            ),
            1,
        ),
        (zip_of({"a.gz": gzip.compress(EVENT + NOISE)[:-99], "b": EVENT}), 2),
        (tgz_of({"a.zip": zip_of({"x": EVENT, "y": NOISE})[:-99], "b": EVENT}), 2),
    ],
    ids=[
        "gz-cut",
        "gz-checksum",
        "gz-rest",
        "tar.gz-cut",
        "tar-header",
        "tar-block",
        "tar-cut",
        "zip-cut",
        "zip-method",
        "zip-encrypted",
        "gz-in-zip",
        "zip-in-tar.gz",
    ],
)
def test_damaged_archive_is_read_up_to_the_damage(tmp_path: Path, packed: bytes, least: int) -> None:
    """A damaged, cut off or encrypted archive is named, and what stands before the damage is found."""
    (tmp_path / "download").write_bytes(packed)
    found = diagnose_sources({"primary": [tmp_path]})
    assert sum(m.count for m in found.mismatches) >= least
    assert found.damaged
    assert all(damage.source.startswith(str(tmp_path / "download")) for damage in found.damaged)


def numbered(lines: int) -> bytes:
    """Lines of a log that hardly shrink, with an event now and then."""
    digits = (hashlib.sha256(b"%d" % n).hexdigest().encode() + b"\n" for n in range(lines))
    return b"".join(b"%d %s" % (n, line if n % 20 else EVENT) for n, line in enumerate(digits))


@pytest.mark.parametrize("at", [100, 5_000, 9_000, -3])
def test_damage_in_a_stream_loses_nothing_before_it(tmp_path: Path, at: int) -> None:
    """Everything that a gzip file held before the damaged byte is read."""
    packed = bytearray(gzip.compress(numbered(600), 1))
    packed[at] ^= 0x55
    (tmp_path / "x.log.gz").write_bytes(packed)
    held = _held(bytes(packed))
    found = diagnose_sources({"primary": [tmp_path]})
    assert found.bytes_read >= held  # what it still held when its input ended comes on top
    assert [damage.source for damage in found.damaged] == [str(tmp_path / "x.log.gz")]


def _held(packed: bytes) -> int:
    """How many bytes a gzip file holds before its damage: near that, which loses what a step held, byte by byte."""
    inflate, held, rest = zlib.decompressobj(31), 0, packed
    for step in (10_000, 100, 1):
        while rest and not inflate.eof:
            before = inflate.copy()
            try:
                held += len(inflate.decompress(rest, step))
            except zlib.error:
                inflate = before
                break
            rest = inflate.unconsumed_tail
    return held


def test_both_ways_inflate_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick way and the one that takes over from it at damage read the same, and past damage as far."""
    text = numbered(600)
    packed = bytearray(gzip.compress(text, 1) + gzip.compress(text))
    (tmp_path / "whole.gz").write_bytes(packed)
    packed[2000] ^= 0x55
    (tmp_path / "wrong.gz").write_bytes(packed)
    zipped = bytearray(zip_of({"a.log": text}))
    (tmp_path / "whole.zip").write_bytes(zipped)
    zipped[len(zipped) // 2] ^= 0x55
    (tmp_path / "wrong.zip").write_bytes(zipped)
    names = ("whole.gz", "wrong.gz", "whole.zip", "wrong.zip")
    quick = [diagnose_sources({"primary": [tmp_path / name]}) for name in names]
    monkeypatch.setattr(archives, "inflated", lambda file, _again: inflate.Exact(file))
    slow = [diagnose_sources({"primary": [tmp_path / name]}) for name in names]
    assert [found.bytes_read for found in quick] == [found.bytes_read for found in slow]
    assert [len(found.damaged) for found in quick] == [0, 1, 0, 1]
    assert (quick[0], quick[2]) == (slow[0], slow[2])
    assert quick[0].bytes_read == 2 * len(text)


@pytest.mark.parametrize("at", range(0, 400, 7))
def test_archive_with_any_byte_wrong_is_read_or_named(tmp_path: Path, at: int) -> None:
    """A byte that is wrong anywhere leads to the finding, or to a note or a refusal: never to silence."""
    for packed in (gzip.compress(EVENT), zip_of({"a": EVENT}), tgz_of({"a": EVENT}), tar_of({"a": EVENT}, "w:")):
        wrong = bytearray(packed)
        wrong[at % len(wrong)] ^= 0x55
        (tmp_path / "x").write_bytes(wrong)
        try:
            found = diagnose_sources({"primary": [tmp_path]})
        except UsageError:
            continue
        assert sum(m.count for m in found.mismatches) in (0, 1)


def test_missing_path_is_named(tmp_path: Path) -> None:
    """A path that is not there, and a thing that is no file, are named, with exit code 2."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "no.log", tmp_path / "pipe", Path("a\0b")):
        with pytest.raises(UsageError) as refused:
            diagnose_sources({"primary": [path]})
        assert refused.value.where == str(path)


def test_times_are_read_in_the_zone_named_for_their_server(tmp_path: Path) -> None:
    """Times are read in the zone that is named for a server, unless they hold an offset; an unknown zone is refused."""
    log = tmp_path / "x.log"
    log.write_bytes(b"2026-07-01 12:00:00 " + EVENT + b"2026-07-01T12:30:00Z INFO end\n")
    found = diagnose_sources({"primary": [log]}, Settings(zones={"primary": "Europe/Prague"}))
    assert found.mismatches[0].first_utc == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert found.log_end_utc == {"primary": datetime(2026, 7, 1, 12, 30, tzinfo=UTC)}
    with pytest.raises(UsageError):
        diagnose_sources({"primary": [log]}, Settings(zones={"primary": "Mars/Olympus"}))


def test_what_was_read_is_counted(tmp_path: Path) -> None:
    """Lines and bytes are counted over all logs, and progress tells of them."""
    (tmp_path / "a.log").write_bytes(b"1\n2\n3")
    (tmp_path / "b.log").write_bytes(b"1\n")
    (tmp_path / "c.log").write_bytes(b"")
    told: list[tuple[str, int]] = []
    found = diagnose_sources({"primary": [tmp_path]}, progress=lambda name, size: told.append((Path(name).name, size)))
    assert (found.lines_read, found.bytes_read) == (4, 7)
    assert told == [("a.log", 5), ("b.log", 7)]


def test_memory_does_not_grow_with_the_log() -> None:
    """A hundred megabytes in lines of any length take a few megabytes of memory."""

    def pieces() -> Iterator[bytes]:
        for n in range(100):
            yield (b"x" * 99 + b"\n") * 10_000 if n % 20 else EVENT + b"y" * 10_000_00

    tracemalloc.start()
    found = Scanner(RULES, UTC)
    found.begin_file("x")
    for piece in pieces():
        found.feed(piece)
    found.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(m.count for m in mismatches_of("primary", "", found.findings.groups.items())) == 5
    assert peak < 16 << 20


# -- what cannot be read ----------------------------------------------------------------------


@contextlib.contextmanager
def nobody() -> Iterator[Path]:
    """Give a folder in which files can be closed to the test: root, who may read all, is another user meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        is_root = os.geteuid() == 0
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            for path in sorted(folder.rglob("*")):
                path.chmod(0o700)


def become_nobody() -> None:
    if os.geteuid() == 0:
        os.seteuid(65534)


@pytest.mark.parametrize(
    ("closed", "mode", "words"),
    [
        ("secret.log", 0, "cannot be opened"),
        ("sub", 0, "cannot be read"),
        ("sub", 0o644, "cannot be looked at"),
        ("hm-0-1.log", 0, "cannot be opened"),
    ],
)
def test_what_cannot_be_read_in_a_folder_is_named_and_the_rest_read(closed: str, mode: int, words: str) -> None:
    """A file or a folder that may not be read is named with its reason, and hides nothing of the rest."""
    with nobody() as folder:
        (folder / "sub").mkdir()
        for name in ("secret.log", "sub/in.log", "hm-0-0.log", "hm-0-1.log"):
            (folder / name).write_bytes(EVENT)
            (folder / name).chmod(0o644)
        (folder / "sub").chmod(0o755)
        (folder / closed).chmod(mode)
        become_nobody()
        found = diagnose_sources({"primary": [folder]})
        (damage,) = found.damaged
        assert damage.source.startswith(str(folder / closed))
        assert words in damage.problem
        assert damage.server == "primary"
        assert sum(m.count for m in found.mismatches) == 3
        assert str(folder / closed) in verdict(found)
        assert exit_code(found) == 10


@pytest.mark.parametrize("text", [b"12:00:00 x\n", b"12:00:00 PKIX path building failed\n"])
def test_nothing_found_beside_what_cannot_be_read_is_no_answer(text: bytes) -> None:
    """Where nothing but look-alikes was found and something could not be read, the exit code is 2, never 0 or 11."""
    with nobody() as folder:
        for name, mode in (("hm-a.log", 0o644), ("hm-b.log", 0)):
            (folder / name).write_bytes(text)
            (folder / name).chmod(mode)
        become_nobody()
        found = diagnose_sources({"primary": [folder]})
        assert exit_code(found) == 2
        assert "in what could be read" in verdict(found)
        alone = diagnose_sources({"primary": [folder / "hm-b.log"]})
        assert (exit_code(alone), alone.lines_read) == (2, 0)


def test_archive_over_a_limit_is_named_and_the_rest_read(tmp_path: Path) -> None:
    """An archive that is refused for what it unpacks to is named, and the other logs are read."""
    (tmp_path / "a.gz").write_bytes(gzip.compress(EVENT + bytes(LIMITS.ratio_from + 1)))
    (tmp_path / "b.log").write_bytes(EVENT)
    found = diagnose_sources({"primary": [tmp_path]})
    (damage,) = found.damaged
    assert damage.source == str(tmp_path / "a.gz")
    assert "is too large once it is unpacked (more than 400 times its size)" in damage.problem
    assert [m.count for m in found.mismatches] == [2]


def test_folder_is_not_listed_again_for_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where a file is not in its place, its folder is looked through for it."""
    for number in range(9):
        (tmp_path / f"{number}x.log").write_bytes(EVENT)
    monkeypatch.setattr(Path, "iterdir", None)
    assert count(tmp_path) == 9
