"""What command lines say: every row of the tables is read in each way that a device may print it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from runbook_lib import device_prompts
from runbook_lib.device import transcript
from runbook_lib.device.transcript import visible_text
from runbook_lib.device_prompts import COLUMNS, DELETION, HA_REMOVAL, PromptRow, is_about_ours, is_yes_no, replies

KEY = "10.0.0.2_8082"

READERS: dict[str, Callable[[str], object]] = {
    "PAGERS": transcript.is_pager,
    "OTHER_PROMPTS": transcript.is_other_prompt,
    "LOGIN_QUESTIONS": lambda text: transcript.login_reply(text) is not None,
    "BINDING": transcript.is_binding,
    "EXPIRED": transcript.is_expired,
    "SECOND_FACTORS": transcript.is_second_factor,
    "YES_OR_NO_WANTED": transcript.wants_yes_or_no,
    "REFUSALS": transcript.is_refusal,
    "ASKING": transcript.is_asking,
}
ROWS = [(name, row) for name in READERS for row in getattr(device_prompts, name)]


def variants(text: str) -> Iterator[bytes]:
    """The ways in which a device may print ``text``: colour, capitals, blanks, line ends, a break at 80 columns."""
    for words in (text, text.upper(), text.lower(), text.rstrip(), f"{text.rstrip()}   ", f"  {text}"):
        yield words.encode()
        yield f"\x1b[1;31m{words}\x1b[0m".encode()
        yield f"\r\n{words}".encode()
        spread = re.sub(" ", "  ", words)
        yield spread.encode()
    for cut in range(1, len(text.rstrip())):
        before = ("x" * (COLUMNS - cut - 1) + " " + text)[:COLUMNS]
        if before[:2] == "xx":
            yield f"{before}\r\n{text[cut:]}".encode()


def broken(name: str) -> bool:
    """Whether rows of this table may stand behind other text, as a break at 80 columns needs."""
    return name not in ("PAGERS", "OTHER_PROMPTS", "REFUSALS")


@pytest.mark.parametrize(("name", "row"), ROWS, ids=lambda value: value if isinstance(value, str) else value.example)
def test_every_row_is_read_however_it_is_printed(name: str, row: PromptRow) -> None:
    """Colour, capitals, blanks, line ends and a break at 80 columns change nothing of what a row means."""
    assert row.source in (device_prompts.PUBLISHED, device_prompts.CAPTURED, device_prompts.RECALLED)
    for raw in variants(row.example):
        if broken(name) or not raw.startswith(b"xx"):
            assert READERS[name](visible_text(raw)), raw


def test_every_table_is_tried() -> None:
    """A table that is added has to be tried by its variants."""
    found = {
        name
        for name, value in vars(device_prompts).items()
        if isinstance(value, tuple) and value and all(isinstance(row, PromptRow) for row in value)
    }
    assert found == {*READERS}


@pytest.mark.parametrize(
    "line",
    ["% Invalid input", "   ^\n% invalid command detected at '^' marker.", "Unknown command: foo", "% Incomplete one",
     "-bash: ncs: command not found", "Error: unrecognized command", "% Permission denied",
     "Command authorization failed"],
)  # fmt: skip
def test_refusals_are_known(line: str) -> None:
    """What command lines say of commands that they do not know or allow."""
    assert transcript.is_refusal(line)


@pytest.mark.parametrize(
    "line",
    ["host=a_443; subject=/CN=% Invalid input", "[State] Primary Lost Secondary", "password invalid since Monday",
     "0 invalid commands so far", "x\n" * 8 + "% Invalid input"],
)  # fmt: skip
def test_answers_are_no_refusals(line: str) -> None:
    """Such words inside an answer, or behind a long one, do not make it a refusal."""
    assert not transcript.is_refusal(line)


@pytest.mark.parametrize(
    "line",
    ["--More--", "-- More --", "--More-- (12%)", "<--- More --->", "--more--(5%)", "--More-- (q to quit)",
     "--More-- or (q)uit", "---(more 33%)---", "-More-", "--More-- [q]", "lines 1-24/300", "lines 25-48",
     "lines 1-24/300 8%"],
)  # fmt: skip
def test_pagers_are_known(line: str) -> None:
    """The spellings of a pager's line."""
    assert transcript.is_pager(line)
    assert not transcript.is_pager(f"x {line}")


@pytest.mark.parametrize("line", ["prime-pri/admin#", "a.example.com/root# ", "p/user>"])
def test_prompts_are_known(line: str) -> None:
    """The published shape, with and without its last blank; a prompt alone, and no shell's."""
    assert transcript.prompt_host(line) == line.split("/")[0]
    assert transcript.prompt_host(f"x {line}") is None
    assert not transcript.is_other_prompt(line)


@pytest.mark.parametrize(
    "line", ["prime-pri/admin(config)# ", "prime-pri/admin(config-GigabitEthernet)#", "a/b(config)>"]
)
def test_the_prompt_of_another_mode_is_none_of_the_command_line(line: str) -> None:
    """Its name stands in brackets behind the user; what is typed there would change the configuration."""
    assert transcript.prompt_host(line) is None
    assert transcript.is_other_prompt(line)


@pytest.mark.parametrize(
    "before",
    ["By pressing Enter you accept the license agreement above.", "The existing session of admin will be closed.",
     "This will disconnect the other session!", "EULA: you agree to everything.",
     "End User License Agreement\n1. Grant.\nGoing on, you accept all terms.", "Existing sessions will be closed:",
     "Licence terms apply. By continuing you consent to them.", "You acknowledge what follows.\nThe EULA is at /eula.",
     "User admin is already logged in from 192.0.2.9. That login is going to be logged out.",
     "Continuing replaces the session of root from 192.0.2.9.", "The previous login will be logged out."],
)  # fmt: skip
def test_enter_is_not_pressed_where_it_does_more_than_going_on(before: str) -> None:
    """It never accepts a licence, and never ends somebody's session, before the first prompt."""
    assert transcript.login_reply(f"{before} Press Enter to continue... ") is None


@pytest.mark.parametrize(
    "before",
    ["", "All sessions are monitored.", "Unauthorized use is prohibited. Disconnect now if you are no user.\n\n",
     "By going on you consent to monitoring.", "Last session: Monday. Do not close this window.",
     "You agree to the terms of use.", "Idle sessions will be closed after 10 minutes.",
     "There are sessions that were not closed:\n [1] pts/0, disconnected\n",
     "By proceeding you agree that what you do is logged and that sessions are recorded.",
     "Log out to end this session.", "Last login: Monday from 192.0.2.9"],
)  # fmt: skip
def test_enter_is_pressed_where_it_only_goes_on(before: str) -> None:
    """What banners say of monitoring and of unauthorized use is no reason to stop."""
    assert transcript.login_reply(f"{before} Press Enter to continue... ") == ""


# -- questions after our own changes -----------------------------------------------------------------

OURS = [
    f"Delete the certificate of host {KEY}?",
    f"Certificate of host {KEY} will be removed from the trust-on-first-use store. Proceed?",
    f"Remove trust for {KEY.partition('_')[0]}?",
    "Are you sure you want to delete the certificate of host 10.0.0.2 port 8082?",
    "Delete host:10.0.0.2_8082?",
    f"Its peer meets it anew. Delete {KEY}?",
    "Remove 10.0.0.2:8082?",
    "Are you sure you want to delete this certificate?",
    "Do you wish to continue?",
    "Proceed?",
    "",
]
OTHERS = [
    "Erase all data and continue?",
    "Delete all certificates?",
    f"Delete {KEY} and every other entry?",
    f"Delete {KEY} and 10.0.0.9_8082?",
    "Delete the certificate of host 10.0.0.9_8082?",
    f"Delete {KEY} and 10.0.0.2_443?",
    f"Two entries match, {KEY}, 10.0.0.2:443. Delete?",
    f"Delete 1{KEY}?",
    f"Delete {KEY}1?",
    f"Delete pi.{KEY}?",
    "Delete 10.0.0.2 port 443?",
    f"Keep {KEY}?",
    f"Trust {KEY}?",
    f"Do you want to cancel the deletion of {KEY}?",
    f"{KEY} was not found. Delete the closest match?",
    f"{KEY} was not found, taking prime-sec instead. Continue?",
    f"The certificate of {KEY} was deleted. Continue with the next entry?",
    f"Accept the new certificate of {KEY}?",
    f"Delete {KEY} from primary and secondary?",
    f"\u786e\u5b9a\u8981\u5220\u9664\u6240\u6709\u8bc1\u4e66\u5417? {KEY}",
    "This will restart the services.\nProceed?",
    "The server will reload. Continue?",
    "Do you want to save the current configuration?",
    f"Reboot after the deletion of {KEY}?",
    "Database replication will be dropped. Are you sure?",
    "Format disk?",
    "Upgrade now?",
]


# The first four are captured by others, the rest recalled.
CHOICES = (
    "(yes/no) [no] ?", "(yes/no) [no]: ", "Y/N [N]:", "[y/n]", "(Y/N) ", "[YES/NO]: ", "[y/N]? ", "(yes or no): "
)  # fmt: skip


def asked(words: str) -> Iterator[bytes]:
    """A yes/no question in every form: the choice in each spelling, its default before it, behind it, or unsaid."""
    for choice in CHOICES:
        for default in ("", "[no] ", "(N) ", "[default: no] "):
            for whole in (f"{words} {choice}", f"{words} {default}{choice}", f"{words} {choice.rstrip()} {default}: "):
                yield from (whole.encode(), f"\x1b[33m{whole}\x1b[0m".encode(), f"{words}\r\n{choice}".encode())
                text = " ".join(whole.split())
                yield "\r\n".join(text[at : at + COLUMNS] for at in range(0, len(text), COLUMNS)).encode()


@pytest.mark.parametrize("words", OURS)
def test_a_question_that_repeats_what_was_sent_or_says_nothing_else_gets_its_yes(words: str) -> None:
    """Whatever the form of the choice and of its default: yes, in the spelling that is asked for."""
    reply = replies(DELETION, KEY)
    for raw in asked(words):
        text = visible_text(raw)
        assert is_yes_no(text), raw
        yes = reply(text)
        assert yes is not None, raw
        assert yes in re.findall(r"(?i)\b(?:yes|y)\b", " ".join(text.split())), raw


@pytest.mark.parametrize("words", OTHERS)
def test_a_question_about_anything_else_gets_no_answer(words: str) -> None:
    """It never answers a question that speaks of anything but the deletion or HA removal that was sent.

    Erasing, reloading, other entries, and whatever is not known: no answer, in whichever form it is asked, and also
    where only the lines before the question say so.
    """
    for topic, key in ((DELETION, KEY), (HA_REMOVAL, "")):
        reply = replies(topic, key)
        assert reply(words) is None
        for raw in asked(words):
            assert reply(visible_text(raw)) is None, raw


TURNED = [
    "Do not delete {key}?", "Don't delete {key}?", "Keep entry {key}", "Cancel the deletion of {key}?", "Skip {key}?",
    "Abort deletion of {key}?", "Continue without deleting {key}?", "Is {key} not to be deleted?", "Undelete {key}?",
    "{key} will not be deleted. Continue?", "Enter no to delete {key}", "Enter n to delete", "No deletion of {key}?",
    "Do you want {key}?", "Do you want to have {key}?", "Is {key} wanted?", "Would you like {key} to be as it is?",
    "{key}?", "The deletion is cancelled. Continue?", "Do you not wish to continue?", "Is the deletion undone?",
    "Are you sure you do not want to delete {key}?", "If you do not want {key} deleted, enter yes", "As it is?",
    "Do not remove high availability?", "High availability will not be removed. Continue?",
]  # fmt: skip


@pytest.mark.parametrize("words", TURNED)
def test_a_question_with_its_sense_turned_round_gets_no_answer(words: str) -> None:
    """A yes to it may keep what is to go; a site's answer to the plain question is no answer to it either."""
    question = words.format(key=KEY)
    for topic, key in ((DELETION, KEY), (HA_REMOVAL, "")):
        reply = replies(topic, key, {"Delete {key}? (y/n)": "y", "Remove high availability? (y/n)": "y"})
        for choice in ("", " (y/n)", " [yes/no]: ", " (yes/no) [no] ?"):
            assert reply(question + choice) is None


@pytest.mark.parametrize(
    "words",
    [
        "This cannot be undone. Delete {key}?",
        "Delete {key} (this can't be undone)?",
        "Delete {key} (default is no)?",
        "{key} will be removed. Proceed with {key}?",
        "Do not close this window. Delete {key}?",
        "Delete {key} [y/n]? Please enter",
    ],
)
def test_what_leaves_the_sense_of_a_question_as_it_is_gets_its_yes(words: str) -> None:
    """That there is no way back, a choice and its default hold a "no" each, and turn nothing round."""
    assert replies(DELETION, KEY)(words.format(key=KEY) + " yes or no: ") == "yes"


@pytest.mark.parametrize(
    ("key", "other"),
    [("sec_8082", "prime-sec_8082"), ("sec_8082", "sec.example.com_8082"), ("::5_443", "2001:db8::5_443"),
     ("a.b_443", "a-b_443"), ("ise_1_443", "ise_1_4430")],
)  # fmt: skip
def test_an_entry_whose_name_holds_ours_is_another_one(key: str, other: str) -> None:
    """A server that looks for a part of the name asks about an entry that was not approved."""
    assert replies(DELETION, key)(f"Delete {key}? (yes/no): ") == "yes"
    for question in (f"Delete {other}? (yes/no): ", f"Delete {key}, {other}? (yes/no): "):
        assert replies(DELETION, key)(question) is None


@pytest.mark.parametrize(
    "word",
    ["all", "every", "everything", "entire", "whole", "any", "other", "others", "both", "erase", "erased", "wipe",
     "format", "factory", "reload", "reloads", "restart", "restarted", "reboot", "reset", "shut", "halt", "stop",
     "power", "restore", "overwrite", "upgrade", "purge", "drop", "destroy", "truncate", "uninstall", "disk",
     "partition", "database", "databases", "data", "license", "licence", "password", "backup"],
)  # fmt: skip
def test_one_dangerous_word_is_enough_for_no_answer(word: str) -> None:
    """Though the question repeats what was sent, and though a site's file would answer it."""
    for said in (word, word.upper()):
        question = f"The certificate of host {KEY} is deleted: {said}. Proceed? (yes/no) "
        assert replies(DELETION, KEY, {question.strip(): "yes"})(question) is None
    assert replies(DELETION, KEY)(question.replace(f": {said}", "")) == "yes"


def test_the_question_of_an_ha_removal_is_answered_after_an_ha_removal_alone() -> None:
    """What is to be removed has to be what was sent."""
    text = "High availability configuration will be removed\nDo you wish to continue? (Y/N) [N]: "
    assert replies(HA_REMOVAL)(text) == "Y"
    assert replies(DELETION, KEY)(text) is None


def test_a_long_answer_that_ends_like_a_question_is_none() -> None:
    """What stands in a long output before a question cannot be judged, so it gets no answer."""
    assert replies(DELETION, KEY)("x " * 4096 + "Proceed? (yes/no) ") is None


@pytest.mark.parametrize("line", ["CN=x/C=y/n", "100% [y", "yes", "copy/no", "Deleting: ", "3 of 7"])
def test_what_asks_nothing_is_no_yes_no_question(line: str) -> None:
    """A choice has to stand for itself."""
    assert not is_yes_no(line)


# -- what a site may add -------------------------------------------------------------------------------


def test_a_site_can_answer_the_exact_question() -> None:
    """``answers:`` are compared as a whole, blanks and capitals apart, with the entry in the place of {key}."""
    more = {"Remove {key}: [C]onfirm or [A]bort:": "C"}
    reply = replies(DELETION, KEY, more)
    assert reply(f"remove  {KEY}: [c]onfirm or [a]bort: ") == "C"
    assert reply("Remove 10.0.0.3_8082: [C]onfirm or [A]bort: ") is None
    assert reply(f"All data is erased.\nRemove {KEY}: [C]onfirm or [A]bort: ") is None


@pytest.mark.parametrize(
    ("question", "ours"),
    [
        ("Remove {key}: [C]onfirm or [A]bort:", True),
        ("Delete the certificate from the trust store (c/a):", True),
        ("Proceed?", True),
        ("Remove HA configuration, are you certain [Q]?", True),
        ("Reload the server?", False),
        ("Save the configuration? (yes/no)", False),
        ("Delete all certificates? (yes/no)", False),
        ("Delete {key} and restart? (yes/no)", False),
        ("Enter shell access password :", False),
    ],
)
def test_a_sites_answer_has_to_be_about_our_changes(question: str, ours: bool) -> None:
    """A question about anything else is refused when the site's file is read."""
    assert is_about_ours(question) is ours
