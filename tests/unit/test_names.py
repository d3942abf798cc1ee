"""Which subjects fit each other."""

from __future__ import annotations

import contextlib

import pytest
from growth import assert_linear
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.device.names import Fit, common_name, fits, parse_name
from runbook_lib.errors import AnswerNotUnderstood

LOGGED = "CN=prime-sec, OU=Prime Infra, O=Cisco Systems, L=SJ, ST=CA, C=US"
STORED = "/C=US/ST=CA/L=SJ/O=Cisco Systems/OU=Prime Infra/CN=prime-sec"


@pytest.mark.parametrize(
    ("logged", "stored", "fit"),
    [
        (LOGGED, STORED, Fit.EXACT),
        ("CN=prime-sec", STORED, Fit.CN_ONLY),
        ("CN=PRIME-SEC", STORED, Fit.CN_ONLY),
        ("CN=kong", "CN = kong ", Fit.EXACT),
        ("cn=a  b, o=X", "/O=x/CN=A b", Fit.EXACT),
        ("CN=x, ST=CA", "/S=CA/commonName=x", Fit.EXACT),
        ("CN=x+O=y", "O = y + CN = x", Fit.EXACT),
        ("CN=x\\, y", "/CN=x, y", Fit.EXACT),
        ("CN=prime-pri", STORED, Fit.NONE),
        ("OU=prime-sec", STORED, Fit.NONE),
        ("CN=prime-sec, C=US", STORED, Fit.NONE),
        (STORED, "CN=prime-sec", Fit.NONE),
        ("CN=x+O=y", "/CN=x/O=y", Fit.NONE),
        ("CN=prime-sec", "/CN=evil/CN=prime-sec", Fit.NONE),
        ("CN=prime-sec", "/C=US/CN=x;  subject= /CN=prime-sec", Fit.NONE),
        ("CN=prime-sec", "/O=CN=prime-sec", Fit.NONE),
        ("not a name", "not a name", Fit.NONE),
        ("", "", Fit.NONE),
    ],
)
def test_a_logs_subject_fits_a_stores_by_its_attributes(logged: str, stored: str, fit: Fit) -> None:
    """A log's subject fits a store's by its attributes, or by the CN where it holds no more."""
    assert fits(logged, stored) is fit


def test_no_fit_is_false() -> None:
    """A fit can be used as a condition, and none is false."""
    assert not fits("CN=a", "CN=b")
    assert fits("CN=a", "CN=a, O=b")


def test_two_common_names_are_no_common_name() -> None:
    """Where a name holds two CNs nobody can say which counts, so it has none."""
    assert common_name(parse_name("CN=a, CN=b")) == ""


def _rfc4514(value: str) -> str:
    escaped = "".join(f"\\{c}" if c in ',+"\\<>;=#' else c for c in value)
    return escaped.replace("\0", "\\00")


VALUES = st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20)


@given(st.lists(st.tuples(st.sampled_from(["CN", "OU", "O", "L", "C", "1.2.3"]), VALUES), min_size=1, max_size=6))
def test_spellings_of_one_name_are_the_same_subject(attributes: list[tuple[str, str]]) -> None:
    """RFC 4514 order and OpenSSL's spaced order of the same attributes are the same subject."""
    logged = ",".join(f"{kind}={_rfc4514(value)}" for kind, value in attributes)
    stored = " , ".join(f"{kind.lower()} = {_rfc4514(value)}" for kind, value in reversed(attributes))
    assert fits(logged, stored) is Fit.EXACT
    assert {pair for rdn in parse_name(logged).rdns for pair in rdn} == set(attributes)


def test_refusal_keeps_the_text() -> None:
    """A text that is no name is refused with the text in the error."""
    with pytest.raises(AnswerNotUnderstood) as refused:
        parse_name("prime-sec")
    assert refused.value.found == "prime-sec"


DN_PIECES = st.one_of(
    st.sampled_from(
        ["CN=", "/CN=", "OU = ", ",", "+", ";", "\\", "\\,", "\\C3\\A9", '"', "#04", "=", "/", " ", "1.2.3=", "x"]
    ),
    st.text(max_size=5),
)


@given(st.lists(DN_PIECES, max_size=40).map("".join))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    """Any text is either parsed, and then the same subject as itself, or refused: nothing else."""
    try:
        name = parse_name(text)
    except AnswerNotUnderstood:
        assert fits(text, text) is Fit.NONE
        return
    assert fits(name, text) is Fit.EXACT


@pytest.mark.parametrize(
    "piece", ["CN=a,", "/CN=a", "CN=a+", "\\,", '"', " ", "CN=", "#ab", "\\C3", "1.2.", "a=b/", ", ", "= "]
)
def test_long_names_take_linear_time(piece: str) -> None:
    """Four times as much of any piece, up to 80,000 characters, is parsed or refused in about four times the time."""
    for begin in ("", "CN=", '/CN="'):

        def parse(size: int) -> None:
            with contextlib.suppress(AnswerNotUnderstood):
                parse_name(begin + piece * (size // len(piece)))  # noqa: B023 - called before the next beginning

        assert_linear(parse, 20_000)
