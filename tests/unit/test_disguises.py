"""A secret in disguise: each spelling that is promised is found by the gate and by the scan, each by its own code."""

from __future__ import annotations

import base64
import html
import json
import quopri
import unicodedata
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest
from growth import assert_linear
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from runbook_lib import secrets
from runbook_lib.record.secret_scan import scan
from runbook_lib.redactor import Redactor

SECRETS = ["Canary-Qx7-Passw0rd!", "Pässw0rd-Öne", "correct horse/battery+42"]


def each(shape: str, encoding: str = "utf-8") -> Callable[[str], str]:
    return lambda s: "".join(shape.format(byte) for byte in s.encode(encoding))


def joined(by: str) -> Callable[[str], str]:
    return lambda s: by.join(s)


def halved(by: str) -> Callable[[str], str]:
    return lambda s: s[: len(s) // 2] + by + s[len(s) // 2 :]


def wide(s: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in s)


def b64(encoding: str, before: str = "") -> Callable[[str], str]:
    return lambda s: base64.b64encode((before + s).encode(encoding)).decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda s: s,
    "a colour in the middle": halved("\x1b[1;31m"),
    "a colour at each letter": joined("\x1b[1m"),
    "colours of eight bits": halved("\x9b31m"),
    "a title in the middle": halved("\x1b]0;secret\x07"),
    "a title that ends otherwise": halved("\x1b]0;secret\x1b\\"),
    "a charset in the middle": halved("\x1b(B"),
    "nulls": joined("\0"),
    "a bell": halved("\x07"),
    "delete characters": halved("\x7f"),
    "C1 controls": halved("\x85"),
    "struck over": lambda s: "".join(f"{c}\b{c}" for c in s),
    "struck over, upper case": lambda s: "".join(f"{c}\b{c}" for c in s.upper()),
    "colours, upper case": lambda s: joined("\x1b[31m")(s.upper()),
    "underlined": lambda s: "".join(f"_\b{c}" for c in s),
    "soft hyphens": joined("\u00ad"),
    "zero-width blanks": joined("\u200b"),
    "zero-width joiners": halved("\u200d"),
    "word joiners": joined("\u2060"),
    "byte order marks": halved("\ufeff"),
    "marks of direction": lambda s: f"\u202e{s[:5]}\u202c{s[5:]}",
    "variation selectors": halved("\ufe0f"),
    "upper case": str.upper,
    "lower case": str.lower,
    "swapped case": str.swapcase,
    "full width": wide,
    "full width, upper case": lambda s: wide(s.upper()),
    "decomposed": lambda s: unicodedata.normalize("NFD", s),
    "backwards": lambda s: s[::-1],
    "backwards, upper case": lambda s: s[::-1].upper(),
    "a line break": halved("\n"),
    "a line break of Windows": halved("\r\n"),
    "a break and an indent": halved("\n        "),
    "a break in a table": halved("   │\n│ "),
    "a break in a table of ASCII": halved(" |\r\n| "),
    "a tab": halved("\t"),
    "a place to break in HTML": halved("<wbr>"),
    "an element of HTML": halved("</b><b class='x'>"),
    "a soft hyphen of HTML": halved("&shy;"),
    "quoted-printable": lambda s: quopri.encodestring(s.encode()).decode(),
    "quoted-printable, each byte": each("={:02X}"),
    "quoted-printable, broken": halved("=\r\n"),
    "quoted-printable, broken, upper case": lambda s: halved("=\r\n")(s.upper()),
    "percent signs, each byte": each("%{:02x}"),
    "percent signs twice, each byte": each("%25{:02x}"),
    "percent signs, one letter": lambda s: s[:3] + "".join(f"%{byte:02x}" for byte in s[3].encode()) + s[4:],
    "percent signs twice": lambda s: urllib.parse.quote(urllib.parse.quote(s, safe=""), safe=""),
    "references, each letter": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "references in hexadecimal": lambda s: "".join(f"&#x{ord(c):x};" for c in s),
    "references of HTML": html.escape,
    "JSON, each letter": lambda s: "".join(f"\\u{ord(c):04x}" for c in s),
    "JSON": lambda s: json.dumps(s)[1:-1],
    "Python, each byte": each("\\x{:02x}"),
    "octal": each("\\{:03o}"),
    "hexadecimal": each("{:02x}"),
    "hexadecimal behind a digit": lambda s: "a" + s.encode().hex(),
    "hexadecimal with colons": lambda s: s.encode().hex(":"),
    "hexadecimal with blanks, upper case": lambda s: s.encode().hex(" ").upper(),
    "hexadecimal with dashes": lambda s: s.encode().hex("-"),
    "hexadecimal as in C": lambda s: ", ".join(f"0x{byte:02x}" for byte in s.encode()),
    "hexadecimal of UTF-16": each("{:02x}", "utf-16-le"),
    "hexadecimal of UTF-16, other end": each("{:02x} ", "utf-16-be"),
    "base64": b64("utf-8"),
    "base64 behind a letter": lambda s: "x" + b64("utf-8")(s),
    "base64 behind two letters": lambda s: "xy" + b64("utf-8")(s),
    "base64 of a pair": b64("utf-8", "admin:"),
    "base64 in lines": lambda s: base64.encodebytes(b"#" * 50 + s.encode() + b"#" * 50).decode(),
    "base64 of UTF-16": b64("utf-16-le"),
    "base64 of UTF-16, other end": b64("utf-16-be"),
    "base64 of UTF-16 with a mark": b64("utf-16"),
    "base64 of UTF-16, a pair": b64("utf-16-le", "admin:"),
}  # fmt: skip
BYTES: dict[str, Callable[[str], bytes]] = {
    "UTF-16": lambda s: s.encode("utf-16"),
    "UTF-16, little end": lambda s: s.encode("utf-16-le"),
    "UTF-16, big end": lambda s: s.encode("utf-16-be"),
    "UTF-32": lambda s: s.encode("utf-32-le"),
    "Latin-1": lambda s: s.encode("latin-1"),
}
EVERY = {name: (lambda s, way=way: way(s).encode("utf-8", "surrogatepass")) for name, way in SPELLINGS.items()} | BYTES


def knowing(*values: str) -> Redactor:
    redactor = Redactor()
    for value in values:
        redactor.know("env:X", value)
    return redactor


@pytest.mark.parametrize("spelling", EVERY)
@pytest.mark.parametrize("secret", SECRETS)
def test_the_gate_finds_each(secret: str, spelling: str) -> None:
    """The gate puts its mark in the secret's place; what was around it stays, and another look finds nothing."""
    redactor = knowing(secret)
    data = b"before, " + EVERY[spelling](secret) + b" ,after"
    redacted = redactor.redact(data)
    assert b"[secret env:X]" in redacted, data
    assert redacted.startswith(b"before, ")
    assert redacted.endswith(b" ,after")
    if "base64" not in spelling:  # which holds more than the secret, and ends in what is shared
        assert len(redacted) < len(b"before, [secret env:X] ,after") + 8, redacted
    assert redactor.redact(redacted) == redacted


@pytest.mark.parametrize("spelling", EVERY)
@pytest.mark.parametrize("secret", SECRETS)
def test_the_scan_finds_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, spelling: str) -> None:
    """The scan of a record names the file, although no gate has looked at it."""
    monkeypatch.setattr(secrets, "REDACTOR", knowing(secret))
    (tmp_path / "file.txt").write_bytes(b"before, " + EVERY[spelling](secret) + b" ,after")
    (tmp_path / "clean.txt").write_text("before, Canary-Qx7 Passw0rd! horse battery correct ,after")
    assert [(one.path, one.what) for one in scan(tmp_path)] == [("file.txt", "env:X")]


def test_there_are_as_many_spellings_as_were_counted() -> None:
    """The issue counted 55."""
    assert len(EVERY) >= 55


LETTERS = "".join(
    c
    for c in map(chr, range(0x250))
    if unicodedata.category(c) in ("Lu", "Ll", "Nd", "Po", "Sm")
    and c.upper().casefold() == c.casefold()  # a few letters have no way back from upper case
)
ONE_WAY = sorted(set(EVERY) - {"Latin-1"})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(LETTERS, min_size=10, max_size=30).filter(lambda s: sum(c.isascii() and c.isalnum() for c in s) > 7),
    st.text(st.characters(codec="ascii", categories=["Lu", "Ll", "Nd", "Zs"]), max_size=40),
    st.sampled_from(ONE_WAY),
)
@example("Passw0rd-2026\\", "", "references in hexadecimal")
@example("Pässw0rd-Řeka", "", "references in hexadecimal")
def test_any_secret_is_found_in_any_spelling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, around: str, spelling: str
) -> None:
    """For generated secrets and surroundings, too: by both."""
    redactor = knowing(secret)
    data = around.encode() + b" , " + EVERY[spelling](secret) + b" , " + around.encode()
    assert redactor._mark("env:X") in redactor.redact(data)
    with monkeypatch.context() as patch:
        patch.setattr(secrets, "REDACTOR", redactor)
        (tmp_path / "file.txt").write_bytes(data)
        assert [one.what for one in scan(tmp_path)] == ["env:X"]


INNOCENT = """\
Latest tests: a test of the test bench; the rest is a list of tasks. Login as admin, log in again, ADMIN, nimda.
│ te │ st │
tes
t 74:65:73:74:00 0x74, 0x65 dGVz dA== correct horse <b>battery</b> Passw rd PASS-W0RD canary qx7 passw0rd
"""


@pytest.mark.parametrize("secret", ["Adm1n", "teSt", "loGin", "correct-horse/battery", SECRETS[0], "$%&/()=?"])
def test_ordinary_text_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    """A short secret is looked for as it is written only, and a long one with its own punctuation: words stay words."""
    redactor = knowing(secret)
    assert redactor.redact_text(INNOCENT) is INNOCENT
    monkeypatch.setattr(secrets, "REDACTOR", redactor)
    (tmp_path / "file.txt").write_text(INNOCENT)
    assert scan(tmp_path) == []


def scanned(folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, redactor: Redactor) -> list[str]:
    """Return what the scan finds in a file of these bytes."""
    monkeypatch.setattr(secrets, "REDACTOR", redactor)
    (folder / "file.txt").write_bytes(data)
    return [one.what for one in scan(folder)]


@pytest.mark.parametrize("secret", ["abcd", "Ab1!"])
def test_a_short_secret_is_found_behind_what_nobody_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    """An escape sequence, a control or a zero-width character inside is no word's: found at any length, by both."""
    struck = "".join(f"{c}\b{c}" for c in secret)
    for spelled in (halved("\x1b[1m")(secret), joined("\0")(secret), joined("\u200b")(secret), struck):
        begun = f"{secret[0]}\b" if spelled is struck else ""  # what is struck over first is a letter before it
        assert knowing(secret).redact_text(f"a {spelled} b") == f"a {begun}[secret env:X] b"
        assert scanned(tmp_path, monkeypatch, f"a {spelled} b".encode(), knowing(secret)) == ["env:X"]


NO_WIDTH = [
    0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180E, 0x180F, 0x200B, 0x200F, 0x2028, 0x2029, 0x202E,
    0x2060, 0x2066, 0x206F, 0x3164, 0xFE00, 0xFE0F, 0xFEFF, 0xFFA0, 0xFFF9, 0xE0001, 0xE0041, 0xE0100, 0xE01EF,
]  # fmt: skip


@pytest.mark.parametrize("code", NO_WIDTH, ids=lambda code: f"{code:04x}")
def test_nothing_without_width_hides_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Whatever a terminal or a page shows as nothing, fillers and variation selectors too: both look behind it."""
    for secret in (SECRETS[0], "Ab1!"):
        data = f"a {halved(chr(code))(secret)} b"
        assert knowing(secret).redact_text(data) == "a [secret env:X] b"
        assert scanned(tmp_path, monkeypatch, data.encode(), knowing(secret)) == ["env:X"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_letters_that_no_eight_bits_hold_are_found_in_wide_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """Such text does not become the secret by leaving out its zeros."""
    secret = "пароль-№7-長い"
    data = f"a {secret} b".encode(encoding)
    assert knowing(secret).redact(data) != data
    assert scanned(tmp_path, monkeypatch, data, knowing(secret)) == ["env:X"]


def test_hexadecimal_digits_before_an_x_are_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks like the beginning of another number, 0x, is the secret's own last digit."""
    secret = "Canary-p"
    data = f"a {secret.encode().hex()}x b".encode()
    assert knowing(secret).redact(data) == b"a [secret env:X]x b"
    assert scanned(tmp_path, monkeypatch, data, knowing(secret)) == ["env:X"]


def test_the_scan_reads_no_file_outside_of_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link is no part of a record, and what it leads to is another's."""
    (tmp_path / "elsewhere").write_text(SECRETS[0], encoding="utf-8")
    (tmp_path / "record").mkdir()
    (tmp_path / "record" / "link").symlink_to("../elsewhere")
    assert scanned(tmp_path / "record", monkeypatch, b"clean", knowing(SECRETS[0])) == []


CONFUSING = ["\x1b[", " ", "\t", "<a", "│ ", "%4", "=4", "\\x4", "\b", "\u200b", "41 ", "Canary", "\x1b]0;", "&#"]


@pytest.mark.parametrize("piece", CONFUSING)
def test_the_search_is_linear(piece: str) -> None:
    """Input made to confuse the search takes four times as long where there is four times as much of it."""
    redactor = knowing("Canary-Qx7-Passw0rd!")
    assert_linear(lambda size: redactor.redact_text(piece * (size // len(piece))), 8_000)
