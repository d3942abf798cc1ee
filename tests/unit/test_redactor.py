"""The redactor finds a known secret in every spelling, replaces it whole, and leaves the rest alone."""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse
from collections.abc import Callable

import pytest
from growth import assert_linear
from hypothesis import example, given
from hypothesis import strategies as st

from runbook_lib.redactor import Redactor

MARK = "[secret env:X]"
SECRETS = [
    "Passw0rd",
    "p@ss/w+rd & <more>",
    "q\"u\\o't\\\\es",
    "pä§§wörd-😀",
    "$%&/()=?",
    "a b c d",
    "\\\\\\\\x",
    "100%25",
    "00\\\xa0z",
]
SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": lambda s: s,
    "url": urllib.parse.quote,
    "url, all": lambda s: urllib.parse.quote(s, safe=""),
    "url, lower case": lambda s: re.sub("%..", lambda m: m[0].lower(), urllib.parse.quote(s)),
    "form": urllib.parse.quote_plus,
    "url component": lambda s: urllib.parse.quote(s, safe="!'()*~"),
    "json": lambda s: json.dumps(s)[1:-1],
    "json, unicode": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "json in json": lambda s: json.dumps(json.dumps(s)[1:-1])[1:-1],
    "json in json in json": lambda s: json.dumps(json.dumps(json.dumps(s)[1:-1])[1:-1])[1:-1],
    "html": html.escape,
    "url in html": lambda s: html.escape(urllib.parse.quote(s, safe="&'")),
    "repr": lambda s: repr(s)[1:-1],
    "repr of bytes": lambda s: repr(s.encode())[2:-1],
    "ascii": lambda s: ascii(s)[1:-1],
    "hex": lambda s: s.encode().hex(),
    "hex, upper case": lambda s: s.encode().hex().upper(),
    "wrapped": lambda s: s[:4] + "\r\n" + s[4:],
}  # fmt: skip


def knowing(*values: str) -> Redactor:
    redactor = Redactor()
    for value in values:
        redactor.know("env:X", value)
    return redactor


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("secret", SECRETS)
def test_every_spelling_is_replaced_whole(secret: str, spelling: str) -> None:
    """Raw, URL-, JSON-, HTML-, Python- and hex-escaped values are replaced by the mark, to the last character."""
    redactor = knowing(secret)
    text = f"before,{SPELLINGS[spelling](secret)},after"
    assert redactor.redact_text(text) == f"before,{MARK},after"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("secret", [*SECRETS, "ab\x7fc~~~???>>>", "x" * 100])
def test_base64_is_found_wherever_it_begins(
    secret: str, before: int, after: int, encode: Callable[[bytes], bytes]
) -> None:
    """The value inside a longer base64 text, such as ``user:password``, is found at each of its three alignments."""
    redactor = knowing(secret)
    encoded = encode(b"#" * before + secret.encode() + b"#" * after)
    redacted = redactor.redact(encoded)
    assert MARK.encode() in redacted
    left, right = redacted.split(MARK.encode())
    assert len(left) <= before * 2
    assert len(right.strip(b"=\n")) <= after * 2


def test_basic_authentication_in_json_is_found() -> None:
    """An HTTP Basic header inside a JSON text, slashes escaped, is found."""
    secret = "???>>>~~~secret"
    header = base64.b64encode(f"admin:{secret}".encode()).decode()
    text = json.dumps({"Authorization": f"Basic {header}"}).replace("/", "\\/")
    assert MARK in knowing(secret).redact_text(text)
    assert json.loads(knowing(secret).redact_text(text))


def test_longer_secret_wins_where_two_overlap() -> None:
    """Where one secret is a part of another, or two overlap, nothing of either is left."""
    redactor = Redactor()
    redactor.know("env:SHORT", "word")
    redactor.know("env:LONG", "password-1")
    redactor.know("env:OVER", "1234-pass")
    assert redactor.redact(b"a password-1 word") == b"a [secret env:LONG] [secret env:SHORT]"
    assert redactor.redact(b"<1234-password-1>") == b"<[secret env:LONG]>"


@pytest.mark.parametrize("secret", ["secret", "env:", "[secret env:X]", "removed", "PI_PASSWORD"])
def test_mark_never_holds_a_secret(secret: str) -> None:
    """A password such as ``secret``, which is a part of the mark, is not brought back by it."""
    redactor = Redactor()
    redactor.know("env:PI_PASSWORD", secret)
    redactor.know("env:PI_PASSWORD", "removed")
    redacted = redactor.redact(f"x {secret} y removed".encode())
    assert redactor.redact(redacted) == redacted


def test_mark_is_safe_in_json_and_html() -> None:
    """A reference with quotes, backslashes or brackets does not break the JSON or HTML that holds the mark."""
    redactor = Redactor()
    redactor.know('file:/tmp/a"b\\c<d>', "hunter22")
    assert json.loads(redactor.redact_text('{"a": "hunter22"}')) == {"a": "[secret file:/tmp/a_b_c_d_]"}


def test_what_stands_beside_the_pixels_of_a_picture_is_searched() -> None:
    """Disguised as well: only pixels are left out of that search, whose bytes come close to anything by chance."""
    redactor = knowing("Passw0rd-of-2026")
    before, after = b"\x89PNG\r\n\x1a\n tEXt PASSW0RD-OF-2026 IDAT", b"\0\xff" * 9 + b"IEND passw0rd-\nof-2026"
    assert redactor.redact(before + after).count(MARK.encode()) == 2


@pytest.mark.parametrize("text", ["of Passw0rd", "a long text " * 99 + "of Passw0rd"])
def test_what_held_no_secret_is_searched_again_once_more_is_known(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not before: a notebook is written several times, and a table repeats its words."""
    redactor, searched = knowing("hunter22"), list[bytes]()
    spelled = Redactor._spelled
    monkeypatch.setattr(Redactor, "_spelled", lambda self, data: searched.append(data) or spelled(self, data))
    assert redactor.redact(text.encode()) == text.encode()
    assert redactor.redact_text(text) == text
    assert redactor.redact_texts([text]) == [text]
    assert searched == [text.encode()]
    redactor.know("env:X", "Passw0rd")
    assert redactor.redact_text(text).endswith(f"of {MARK}")
    redactor.forget()
    assert redactor.redact_text(text) == text
    assert knowing("Passw0rd").redact(text.encode()).endswith(MARK.encode())


def test_what_holds_no_secret_is_the_same_object() -> None:
    """Bytes and text without a secret are given back as they are."""
    redactor = knowing("Passw0rd")
    data, text = bytes(range(256)) * 50, "passw0r Passw0r d PASSW0R dr0wss \ud800"
    assert redactor.redact(data) is data
    assert redactor.redact_text(text) is text


def test_text_with_lone_surrogates_survives() -> None:
    """Text that is not valid Unicode is redacted without an error."""
    assert knowing("Passw0rd").redact_text("\ud800Passw0rd\udfff") == f"\ud800{MARK}\udfff"


@pytest.mark.parametrize(
    "piece",
    [b"\\", b"%25", b"&amp;", b"\r\n", b"ab", b'\\\\\\\\"'],
)
@pytest.mark.parametrize("secret", ["\\" * 12 + "x", '\\"' * 8 + "x", "%%%%%%x", "&&&&&x", "abababababx", "::::"])
def test_search_is_linear(secret: str, piece: bytes) -> None:
    """Input made to confuse the search is left alone, four times as much of it in about four times the time."""
    redactor = knowing(secret)

    def search(size: int) -> None:
        data = piece * (size // len(piece)) + b"\n"
        assert redactor.redact(data) == data

    assert_linear(search, 8_000)


printable = st.characters(exclude_categories=["Cc", "Cs", "Cf", "Cn", "Co", "Zl", "Zp"])
secret_values = st.text(printable, min_size=4, max_size=40)


def mark_of(redactor: Redactor) -> str:
    """What stands in the place of a secret: another mark than ``MARK`` where that would hold it."""
    return redactor._mark("env:X").decode()


@given(secret_values, st.text(max_size=60), st.text(max_size=60), st.sampled_from(sorted(SPELLINGS)))
@example("env:", "", "", "raw")
def test_nothing_of_a_secret_survives(secret: str, before: str, after: str, spelling: str) -> None:
    """For any secret and surroundings: what was redacted holds no secret, and redacting it again changes nothing."""
    redactor = knowing(secret)
    spelled = SPELLINGS[spelling](secret)
    text = f"{before}\n{spelled}\n{after}"
    redacted = redactor.redact_text(text)
    mark = mark_of(redactor)
    assert spelled not in redacted or spelled in mark
    assert mark in redacted
    assert redactor.redact_text(redacted) == redacted


@given(secret_values, st.binary(max_size=20), st.binary(max_size=20))
@example("secret env", b"", b"")
def test_nothing_of_a_secret_survives_in_base64(secret: str, before: bytes, after: bytes) -> None:
    """For any secret inside any bytes, its base64 form is found."""
    encoded, redactor = base64.b64encode(before + secret.encode() + after), knowing(secret)
    assert mark_of(redactor).encode() in redactor.redact(encoded)
