"""What is shown in the reader's language."""

from __future__ import annotations

import pytest

from runbook_lib.decisions import WayOut
from runbook_lib.errors import ParameterRefused
from runbook_lib.i18n import language as catalogue
from runbook_lib.i18n.language import (
    ENGLISH,
    AsIs,
    Templates,
    asked_language,
    gettext,
    language,
    set_language,
    using_language,
)
from runbook_lib.models import StageState
from runbook_lib.repair.confirmation import _SETTLED_BY, certificate_at_console
from runbook_lib.show.forms import without_form
from runbook_lib.show.rendering import html
from runbook_lib.show.tables import stages, ways_out

CATALOGUE = Templates(
    {
        "yes": "是",
        "{0} lines read ({1} bytes).": "已读取 {0} 行（{1} 字节）。",
        "{0} was sent to {1}": "已向 {1} 发送 {0}",
        "{0} was sent": "已发送 {0}",
        "{0}: {1} was sent": "{0}：已发送 {1}",
        "the peer's certificate": "对端的证书",
    }
)


@pytest.fixture(autouse=True)
def _nothing_is_spoken_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test before this one may have called the command in this process, which speaks English from then on."""
    monkeypatch.setattr(catalogue, "_spoken", [])


def test_values_keep_their_places_in_the_translation() -> None:
    """A value of a sentence stands where the translation names it, in whatever order."""
    assert CATALOGUE.translate("1,024 lines read (9 bytes).") == "已读取 1,024 行（9 字节）。"
    assert CATALOGUE.translate("a command was sent to primary") == "已向 primary 发送 a command"


def test_values_are_translated_too_where_they_are_known() -> None:
    """A sentence inside a sentence is found as well."""
    assert CATALOGUE.translate("the peer's certificate was sent to primary") == "已向 primary 发送 对端的证书"


def test_parts_of_a_value_are_translated_each() -> None:
    """Of a value that holds several parts between semicolons the known ones are said in the language."""
    assert CATALOGUE.translate("yes; nothing was sent to the peer's certificate") == "已向 对端的证书 发送 是; nothing"


def test_template_with_most_words_of_its_own_is_taken() -> None:
    """Where two templates fit, the more particular one decides."""
    assert CATALOGUE.translate("x was sent to y") == "已向 y 发送 x"


def test_unknown_text_is_not_touched() -> None:
    """A text without a template is none of the catalogue's business."""
    assert CATALOGUE.translate("something else") is None


def test_blanks_around_a_text_stay() -> None:
    """Indentation and a closing line break are the caller's."""
    assert CATALOGUE.translate("  yes\n") == "  是\n"


def test_english_is_said_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without RUNBOOK_LANG nothing is translated."""
    monkeypatch.delenv("RUNBOOK_LANG", raising=False)
    assert language() == "en"
    assert gettext("nothing to delete") == "nothing to delete"


def test_a_process_may_speak_one_language_whatever_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal's commands do: their help is in English."""
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    set_language(ENGLISH)
    assert gettext("nothing to delete") == "nothing to delete"
    assert asked_language() == "zh"


def test_what_is_kept_is_said_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report is part of the record, whoever reads the notebook beside it."""
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    with using_language(ENGLISH):
        assert gettext("nothing to delete") == "nothing to delete"
    assert gettext("nothing to delete") != "nothing to delete"


@pytest.mark.parametrize("asked", ["zh", "zh_CN.UTF-8", "ZH-cn"])
def test_regions_and_encodings_name_the_same_language(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    """A locale as the system spells it is accepted."""
    monkeypatch.setenv("RUNBOOK_LANG", asked)
    assert language() == "zh"


def test_unknown_language_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A language without a catalogue is an error that says which there are."""
    monkeypatch.setenv("RUNBOOK_LANG", "fr")
    with pytest.raises(ParameterRefused, match="no catalogue"):
        language()


def test_prose_among_commands_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does the same without a form, and how a plan gets on: columns of commands, with sentences in between."""
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    ways = without_form(
        ("to take it back", 'expect = "secondary=withdraw", or runbook run SITE --expect "secondary=withdraw"')
    )
    assert ", or" not in html(ways)
    out = WayOut(
        target="ise",
        presented_sha256="0" * 64,
        at_console=certificate_at_console(443, ise=False),
        in_file="ise: expect: {}",
        as_parameter="expect=",
        self_note="the site's file names no SSH access to this host",
    )
    table = html(ways_out((out,)))
    assert [words for words in ("names no SSH access", "recalled", "shell, then") if words in table] == []


def test_words_that_are_joined_are_translated_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """How two earlier attempts at a stage ended."""
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    ended = html(stages({"x": StageState.DONE}, before={"x": (StageState.STOPPED, StageState.STOPPED)}))
    assert "stopped" not in ended


def test_device_text_is_never_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a device said is shown to the letter, even where it reads like one of our sentences."""
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    assert gettext("nothing to delete") != "nothing to delete"
    assert gettext(AsIs("nothing to delete")) == "nothing to delete"


def test_sentences_side_by_side_are_each_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A note that was put together of sentences is said sentence by sentence."""
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    assert gettext("nothing to delete · none yet") == f"{gettext('nothing to delete')} · {gettext('none yet')}"


def test_what_follows_a_colon_is_found_though_it_holds_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name, a colon, and a sentence with a colon of its own; both sides of a value's colon as well."""
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    sentence = "which of the ISE servers: the log names a subject and no address, so its first line counts for each"
    assert gettext(f"High availability: {sentence}") == f"{gettext('High availability')}: {gettext(sentence)}"
    assert gettext("add ISE server x: accepted").endswith(f"x: {gettext('accepted')}")
    assert gettext("accepted") != "accepted"
    unapproved = "The plan deletes 3 entries and nobody has approved it"
    doubt = "unknown: still listed, or back already"
    assert gettext(f"ApprovalMissing: {unapproved}") == f"ApprovalMissing: {gettext(unapproved)}"
    assert gettext(doubt) in gettext(f"result: 192.0.2.1_8082: {doubt} (expected: gone)")


def test_what_follows_a_colon_is_found_though_it_holds_a_semicolon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of an error, a colon, and a sentence of two halves."""
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    sentence = "This changes the production site paris; nothing was changed yet"
    assert gettext(f"DecisionNeeded: {sentence}") == f"DecisionNeeded: {gettext(sentence)}"
    assert gettext(sentence) != sentence
    assert "nothing was changed" not in gettext("nothing was changed; 3 entries deleted")


@pytest.mark.parametrize("words", _SETTLED_BY.values())
def test_what_follows_a_colon_is_found_though_it_holds_sentences(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host, a colon, and what settles a plan that its verdict blocks: of all texts the one to be understood."""
    monkeypatch.setenv("RUNBOOK_LANG", "zh")
    settles = words.format("the key of the CSR sec.csr")
    assert gettext(settles) != settles
    assert gettext(f"secondary: {settles}") == f"secondary: {gettext(settles)}"
