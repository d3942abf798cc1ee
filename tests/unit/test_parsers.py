"""Every parser of device text against pairs of files: what a device prints, and what it parses to."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from growth import assert_linear
from hypothesis import given
from hypothesis import strategies as st

import runbook_lib.device
from runbook_lib.device.answers import parse_ha_status, parse_health_monitor, parse_version
from runbook_lib.device.ise_api import parse_ise_certificates, parse_ise_date, parse_ise_refusal
from runbook_lib.device.names import parse_name
from runbook_lib.device.tofu import entry_of, parse_tofu_list, vanished_entries
from runbook_lib.errors import AnswerNotUnderstood

FIXTURES = Path(__file__).parent.parent / "fixtures"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

PARSERS: dict[str, Callable[[str], Any]] = {
    "tofu-certs-listcerts": lambda text: parse_tofu_list(text, "primary", NOON),
    "ha-status": lambda text: parse_ha_status(text, "primary", NOON),
    "show-version": lambda text: parse_version(text, "primary"),
    "names": parse_name,
}
NAMES = {"parse_tofu_list", "parse_ha_status", "parse_version", "parse_name"}
FROM_THE_WEB: dict[str, Callable[[bytes], Any]] = {
    "parse_ise_certificates": lambda body: parse_ise_certificates(body, "ise"),
    "parse_ise_refusal": parse_ise_refusal,
    "parse_ise_date": lambda body: parse_ise_date(body.decode("utf-8", "replace")),
    "parse_health_monitor": lambda body: parse_health_monitor(body.decode("utf-8", "replace")),
}
"""What comes over HTTPS; what each makes of real answers is tested with the servers that give them."""
RAW = sorted(path for folder in PARSERS for path in (FIXTURES / folder).glob("*.raw"))


def as_json(parser: Callable[[str], Any], text: str) -> Any:
    """Return what ``text`` parses to as JSON holds it, or how its refusal begins."""
    try:
        model = parser(text)
    except AnswerNotUnderstood as error:
        return {"refused": error.what, **({} if text.startswith(error.found) else {"found": error.found})}
    return json.loads(json.dumps(dataclasses.asdict(model), default=str))


@pytest.mark.parametrize("raw", RAW, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_text_parses_to_its_pair(raw: Path) -> None:
    """Each raw text parses to the file beside it, which has to be there."""
    expected = json.loads(raw.with_suffix(".json").read_text(encoding="utf-8"))
    assert as_json(PARSERS[raw.parent.name], raw.read_bytes().decode("utf-8")) == expected


@pytest.mark.parametrize("folder", sorted(PARSERS))
def test_parser_has_a_pair_of_each_kind(folder: str) -> None:
    """Each parser has a text that it reads and one that it refuses."""
    stems = [path.stem for path in (FIXTURES / folder).glob("*.raw")]
    assert {stem.startswith("refused") for stem in stems} == {True, False}


def test_every_parser_is_tested_by_pairs() -> None:
    """A parser that is added to the package has to be added to the pairs, or to those of web servers' answers."""
    found = set()
    for module in pkgutil.iter_modules(runbook_lib.device.__path__):
        loaded = importlib.import_module(f"runbook_lib.device.{module.name}")
        found |= {n for n, v in vars(loaded).items() if n.startswith("parse_") and v.__module__ == loaded.__name__}
    assert found == NAMES | FROM_THE_WEB.keys()


WEB_PIECES = (
    *(b"<p>", b"<", b"&lt;", b"Health Monitor", b"Prime Infrastructure", b"Version: ", b"3.1.0", b"9" * 5000, b"\xff"),
    *(
        b"Wed Jul 23 13:42:05 UTC 2025",
        b"2027-12-31 23:59:59",
        b"0000-99-99 99:99:99",
        b"[",
        b"]",
        b"{",
        b"}",
        b":",
        b",",
    ),
    *(b'"response"', b'"usedBy"', b'"Admin"', b'"sha256Fingerprint"', b'"error"', b'"message"', b"null", b"7"),
)


@pytest.mark.parametrize("name", sorted(FROM_THE_WEB))
@given(body=st.one_of(st.binary(), st.lists(st.sampled_from(WEB_PIECES), max_size=30).map(b"".join)))
def test_a_parser_of_web_answers_is_total(name: str, body: bytes) -> None:
    """Any bytes yield a value, which may be nothing, or AnswerNotUnderstood, never another exception."""
    with suppress(AnswerNotUnderstood):
        FROM_THE_WEB[name](body)


PIECES = (
    *(
        "host=",
        "a_443;",
        "  subject=",
        " /CN=x",
        "\n",
        "\r\n",
        "_",
        ";",
        "CN=",
        ",",
        "+",
        "\\",
        '"',
        "#",
        "0c",
        "/",
        "=",
    ),
    *("[Role]", "[State] ", "[", "]", ")", "(", " Primary", "Cisco Prime Infrastructure", "Version : ", "3.10", "."),
    *("ADE-OS", "prime-pri/admin#", "\x1b", "\0", " ", "\t", "９", "é", "\ud800", "9" * 5000),
)
REPEATED = (
    *("host=", "host=a_1", "_1", ";", " ", "CN=a,", ",", "\\", '"', 'CN="a",', "/CN=", "+", "[Role]", "[", ")", " )"),
    *(
        "Prime Infrastructure ",
        "Version ",
        "Version : 3.",
        "total ",
        "fix ",
        "3.",
        "\n",
        "\r",
        "a\n",
        "#",
        "CN=#0c",
        "\\c3",
        "\\xC3",
        "=",
    ),
)


@pytest.mark.parametrize("folder", sorted(PARSERS))
@given(text=st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=30).map("".join)))
def test_parser_is_total(folder: str, text: str) -> None:
    """Any text yields a model or AnswerNotUnderstood that begins with the text, never another exception."""
    assert "found" not in as_json(PARSERS[folder], text)


@pytest.mark.parametrize("folder", sorted(PARSERS))
@pytest.mark.parametrize("piece", REPEATED)
def test_parser_is_linear(folder: str, piece: str) -> None:
    """Four times as much of any piece, alone or behind a good beginning, is read in about four times the time."""
    for begin in ("", "CN=", "/CN=", "host=a_443;  subject= /CN=", "[State] x", "Cisco Prime Infrastructure\nVersion"):
        for end in ("", "\n"):
            assert_linear(lambda size: as_json(PARSERS[folder], begin + piece * (size // len(piece)) + end), 4_000)  # noqa: B023


@pytest.mark.parametrize("piece", [" ", "; ", "\t"])
def test_blanks_in_the_middle_of_a_subject_are_read_in_one_pass(piece: str) -> None:
    """Whoever makes a certificate chooses its subject: one of 60,000 blanks kept a stage busy for minutes."""
    assert_linear(lambda size: entry_of(f"host=a_443;  subject=/CN=a{piece * (size // len(piece))}b"), 4_000)


@given(st.integers(0, 4), st.data())
def test_list_cut_anywhere_is_never_a_shorter_list(entries: int, data: st.DataObject) -> None:
    """A TOFU list that is cut off within a line is refused; only at a line's end can nobody tell."""
    whole = (FIXTURES / "tofu-certs-listcerts" / "as-the-console-gives-it.raw").read_text(encoding="utf-8")
    whole += "".join(f"host=10.1.1.{n}_443;  subject= /O=x/CN=h{n}\n" for n in range(entries))
    cut = data.draw(st.integers(1, len(whole)))
    if whole[:cut].endswith("\n") and cut > whole.index("...") + 3:
        assert len(parse_tofu_list(whole[:cut], "primary", NOON).entries) == whole[:cut].count("host=")
    else:
        with pytest.raises(AnswerNotUnderstood):
            parse_tofu_list(whole[:cut], "primary", NOON)


def test_ten_thousand_entries_keep_their_order() -> None:
    """A long list is read whole, in the device's order."""
    text = "".join(f"host=10.0.{n // 256}.{n % 256}_8082;  subject= /CN=h{n}\n" for n in range(10_000))
    entries = parse_tofu_list(text, "primary", NOON).entries
    assert [entry.subject for entry in entries] == [f"/CN=h{n}" for n in range(10_000)]


FOOTED = "host=a_443;  subject= /CN=x\n== end of the list ==\n  Page 1 of 1  \n"


def test_a_line_that_means_nothing_is_left_out_only_where_the_site_says_so() -> None:
    """A line that is not understood refuses the list and is named, with the words that would leave it out.

    Lines that the site's file calls meaningless, to the letter or by a pattern, are kept beside the entries.
    """
    with pytest.raises(AnswerNotUnderstood) as caught:
        parse_tofu_list(FOOTED, "primary", NOON)
    assert "== end of the list ==" in caught.value.what
    assert 'listing: ignore: ["== end of the list =="]' in caught.value.next_step

    store = parse_tofu_list(FOOTED, "primary", NOON, ["==  end of the list ==", r"/Page \d+ of \d+/"])
    assert [entry.key for entry in store.entries] == ["a_443"]
    assert store.ignored == ("== end of the list ==", "Page 1 of 1")


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        *[(words, True) for words in ("Total: 1", "1 entries", "Number of entries in the list = 1.", "(1 host found)")],
        *[(words, False) for words in ("1 entries could not be read", "Number of hidden entries: 1", "Page 1 of 1")],
        *[(words, False) for words in ("2 entries", "Total: 0", "1", "host total=1;", "Total: 1 of 1")],
    ],
)
def test_only_a_line_that_tells_the_number_of_entries_and_nothing_else_is_a_count(line: str, counts: bool) -> None:
    """One in other words may say that something is missing; a number that is another one says so."""
    with nullcontext() if counts else pytest.raises(AnswerNotUnderstood):
        parse_tofu_list(f"host=a_443;  subject= /CN=x\n{line}\n", "primary", NOON)


@pytest.mark.parametrize(
    "line",
    [
        *("note: host=b_443; subject=CN = x", "host=b_443;", "x host=b_443;  subject= /CN=y"),
        *(f"host=prime-s{cut}_8082;  subject= /CN=y" for cut in ("...", "…", "~", "*")),
    ],
)
def test_a_line_in_which_an_entry_begins_is_never_left_out(line: str) -> None:
    """Whatever the site's file says, an entry that is not whole refuses the list, and so does one whose name is cut."""
    with pytest.raises(AnswerNotUnderstood):
        parse_tofu_list(f"host=a_443;  subject= /CN=x\n{line}\n", "primary", NOON, ["/.*/", line])


@pytest.mark.parametrize(
    "line", ["CN=prime-pri", "  Infra/CN=prime-pri", "  O = x", "/OU=x/CN=y", "emailAddress=a@b.c"]
)
def test_a_line_that_may_be_the_rest_of_an_entry_is_never_left_out(line: str) -> None:
    """A server that breaks its lines: what is left of the subject would be another subject."""
    with pytest.raises(AnswerNotUnderstood) as caught:
        parse_tofu_list(f"host=a_443;  subject= /C=US/OU=Prime\n{line}\n", "primary", NOON, ["/.*/", line])
    assert "ignore" not in caught.value.next_step


def test_a_line_below_one_that_ends_at_column_80_may_be_the_rest_of_it() -> None:
    """No pattern leaves it out then, and nobody is told to; what the site's file holds to the letter is left out."""
    whole = f"host=a_443;  subject= /C=US/O=Cisco/CN={'x' * 41}"
    for line, ignore in (("yz.example.com", []), ("yz.example.com", ["/.*/"])):
        with pytest.raises(AnswerNotUnderstood) as caught:
            parse_tofu_list(f"{whole}\n{line}\n", "primary", NOON, ignore)
        assert "wider terminal" in caught.value.next_step
        assert "ignore" not in caught.value.next_step
    assert len(whole) == 80
    assert parse_tofu_list(f"{whole}\n== end ==\n", "primary", NOON, ["== end =="]).ignored == ("== end ==",)
    assert parse_tofu_list(f"{whole}x\nyz\n", "primary", NOON, ["/.*/"]).ignored == ("yz",)


@pytest.mark.parametrize(
    "fields",
    [
        "; issuer= /CN=Lab CA",
        ";  fingerprint=AA:BB",
        "; serial=0A; notAfter=Nov 29 2027",
        ";\tissuer=CN = ca",
        ";",
        " ; ",
    ],
)
def test_a_further_field_is_no_part_of_the_subject(fields: str) -> None:
    """Fields are told from each other as host and subject are; the line is kept with all of them."""
    for subject in ("/C=US/O=Cisco Systems, Inc./CN=prime-sec", "CN = prime-sec, O = x; OU = y"):
        (entry,) = parse_tofu_list(f"host=a_443;  subject= {subject}{fields}\n", "primary", NOON).entries
        assert entry.subject == subject
        assert entry.line.endswith(fields)
    (entry,) = parse_tofu_list("host=a_443;  subject=CN=x\\;\n", "primary", NOON).entries
    assert entry.subject == "CN=x\\;"  # a semicolon of the name's own


@pytest.mark.parametrize(
    "column", ["\tissuer=CN=ca", "  notAfter=Nov 29 2027", "   Valid to: 2027", " | status=expired"]
)
def test_a_further_column_that_may_be_the_subject_refuses_the_list(column: str) -> None:
    """Such words may belong to a name, so they are neither read into it nor cut off."""
    with pytest.raises(AnswerNotUnderstood):
        parse_tofu_list(f"host=a_443;  subject= /C=US/CN=prime-sec{column}\n", "primary", NOON)


@pytest.mark.parametrize(
    "subject",
    ["CN = x,  O = y", "CN = x;  OU = y", "/O=Cisco  Systems/CN=x", "/O=a: b/CN=x", "CN =  x: y", "/CN=a;b=c"],
)
def test_odd_blanks_make_no_column(subject: str) -> None:
    """Blanks behind a separator or within a value, and colons, stand in subjects."""
    (entry,) = parse_tofu_list(f"host=a_443;  subject= {subject}\n", "primary", NOON).entries
    assert entry.subject == subject


BEFORE = ["host=a_443;  subject= /C=US/O=x/CN=a", "host=b_443; subject= /CN=b"]


@pytest.mark.parametrize(
    ("after", "gone"),
    [
        (["host=a_443; subject=/C=US/O=x/CN=a ", "host=b_443;  subject=/CN=b"], []),
        (["host=b_443;\tsubject = CN = b", "host=a_443;subject= C = US, O = x, CN = a"], []),
        (["host=a_443;  subject= /C=US/O=x/CN=a", "host=b_443; subject= /CN=c"], BEFORE[1:]),
        (["host=a_443;  subject= /C=US/O=x/CN=a", "host=B_443; subject= /CN=b"], BEFORE[1:]),
        ([BEFORE[0], *BEFORE, "host=c_443; subject= /CN=c"], []),
        (["host=b_443; subject= /CN=b"], BEFORE[:1]),
    ],
)
def test_lists_are_compared_by_what_their_entries_say(after: list[str], gone: list[str]) -> None:
    """Blanks, order and the spelling of a subject change nothing; a key that went or another subject does."""
    assert vanished_entries(BEFORE, after) == gone


def test_an_entry_that_is_listed_less_often_than_before_has_vanished() -> None:
    """One of two equal lines that went is told."""
    assert vanished_entries([BEFORE[0], BEFORE[0]], ["host=a_443; subject=/C=US/O=x/CN=a"]) == [BEFORE[0]]
