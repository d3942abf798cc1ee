"""What ADE-OS command lines print around an answer, as data: prompts, pagers, questions, refusals, login dialogs.

This is the one place for such words. Each row says where it comes from: *published* in Cisco's procedure,
*captured* by third parties, or *recalled*, and then unproven. Add a row where a device says it otherwise; what a site
needs alone stands in its file (``answers:``, ``listing: ignore:``).

Rows are looked for in text without control sequences whose lines were put together again (``unfolded``), whatever
its capitals, so that colour, line ends and a narrow terminal change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

PUBLISHED, CAPTURED, RECALLED = "published", "captured", "recalled"
COLUMNS = 80
"""The width at which a command line breaks its own text, in the middle of a word, where it takes no notice of ours."""


@dataclass(frozen=True)
class Row:
    """One thing that is said. ``example`` is a text that holds it; ``reply`` is typed where it may be answered."""

    pattern: str
    example: str
    source: str
    reply: str = ""


PROMPT = r"(?P<host>[^\s/#;=]{1,255})/(?P<user>[^\s/#;=]{1,64})[#>]"
"""``<hostname>/<user># `` without its last blank; published. The whole line."""

OTHER_PROMPTS = (
    Row(r"ade ?[#$]", "ade # ", CAPTURED),
    Row(r"(?:ba|k|z)?sh-[\d.]+[#$]", "bash-4.2# ", RECALLED),
    Row(r"\[[\w.-]+@[\w.-]+ [^\]\n]{1,80}\][#$]", "[root@prime-pri ~]# ", RECALLED),
    Row(r"[\w.-]+@[\w.-]+:\S{0,80}[#$]", "root@prime-pri:~# ", RECALLED),
)
"""Prompts of shells, which take other commands than the command line. The whole line."""

_PERCENT = r"(?: ?\(?\d{1,3} ?%\)?)?"
PAGERS = (
    Row(rf"-{{2,}} ?more ?-{{2,}}{_PERCENT}", "--More--", RECALLED, " "),
    Row(rf"<-+ ?more ?-+>{_PERCENT}", "<--- More --->", RECALLED, " "),
)
"""A pager's line, whole; the reply brings the next page."""

ERASED = re.compile(
    rb"\r {2,}\r(?!\n)"  # overwritten with spaces
    rb"|\x08+ +\x08+"
    rb"|\x08+(?:\x1b\[[0-9;]*[KJ])?"
    rb"|(?:\r(?!\n)|\x1b\[[0-9;]*[KJm])+"
    rb"|\r*\n"  # left standing
)
"""How a pager's line is taken off the screen again, directly behind it."""

LOGIN_QUESTIONS = (
    Row(
        r"enter session number to resume or press <enter> to start a new one ?:",
        "Enter session number to resume or press <Enter> to start a new one: ",
        PUBLISHED,  # for ISE
    ),
    Row(
        r"press (?:<?enter>?|<?return>?|any key) to continue ?\.*",
        "Press any key to continue... ",
        RECALLED,
    ),
)
"""Asked before the first prompt, at the end of what arrived; the Enter key is the answer. No other is given there."""

EXPIRED = (
    Row(r"password (?:has |is |was )?expired", "Your password has expired.", RECALLED),
    Row(r"account (?:has |is |was )?expired", "Your account has expired; please contact the administrator.", RECALLED),
    Row(
        r"must (?:now )?(?:be changed|change your password)|required to change your password",
        "You are required to change your password immediately (password aged)",
        RECALLED,
    ),
    Row(r"(?:new|\(?current\)?) (?:unix )?password ?:", "Enter new password : ", RECALLED),
)
"""Said instead of a prompt, or asked behind the password, where password or account are no longer good."""

SECOND_FACTORS = (
    Row(r"verification code|one[- ]time (?:password|code)|\botp\b|\btoken\b", "Verification code: ", RECALLED),
    Row(r"\bpasscode\b|\bsecond factor\b|two[- ]factor|\bduo\b|\bpush\b", "Passcode or option (1-3): ", RECALLED),
    Row(r"\bchallenge\b|\bresponse ?:|authenticator", "Enter the response : ", RECALLED),
)
"""Asked behind the password where it alone does not let anybody in."""

YES_OR_NO_WANTED = (Row(r"error ?: ?please enter yes or no", "ERROR : Please enter Yes or No", CAPTURED),)
"""The answer to a command that was typed into a yes/no question."""

REFUSALS = (
    Row(
        r"%\s*(?:invalid|unknown|incomplete|ambiguous|unrecogni[sz]ed|bad|command)\b",
        "% Invalid command detected at '^' marker.",
        RECALLED,
    ),
    Row(
        r"(?:error:\s*)?(?:unknown|invalid|unrecogni[sz]ed|incomplete|ambiguous) (?:command|input|argument|token)\b",
        "Error: unrecognized command",
        RECALLED,
    ),
    Row(r"syntax error\b", "syntax error: expecting a key", RECALLED),
    Row(r"[^\n]{0,300}: (?:command )?not found\s*$|command not found\b", "-bash: ncs: command not found", RECALLED),
    Row(
        r"(?:%\s*)?(?:permission denied|not authori[sz]ed|command authori[sz]ation failed)\b",
        "% Permission denied",
        RECALLED,
    ),
)
"""A command line that does not know or allow a command: the beginning of a line, in short answers only."""

REFUSAL_LINES = 8
"""An answer of more lines is not a refusal, whatever stands in it."""

ASKING = (
    Row(r"\?", "Which one ?", RECALLED),
    Row(
        r"\b(?:enter|type|specify|select|choose|which)\b[^\n]{0,200}[:>]",
        "Enter the domain name of the server: ",
        CAPTURED,
    ),
    Row(r"(?:assword|passphrase|user ?name|login) ?:", "Enter shell access password :", CAPTURED),
    Row(r"[(\[<]y(?:es)?[/|]no?[)\]>][^\n]{0,200}[:>]", "Press [y/n] to accept: ", RECALLED),
)
"""How the last line of something that waits for an answer ends, beside a yes/no question."""


def any_of(rows: Iterable[Row]) -> str:
    """Return one pattern for all ``rows``."""
    return "|".join(f"(?:{row.pattern})" for row in rows)


def unfolded(text: str) -> str:
    """Return ``text`` in one line, runs of blanks as one; what a narrow terminal broke is put together again."""
    lines = text.split("\n")
    joined = "".join(line if len(line) == COLUMNS else f"{line} " for line in lines)
    return " ".join(joined.split())


def line_pattern(words: str) -> str:
    """Return the regular expression for a line of ``listing: ignore:``: one between slashes, or that of the text."""
    if len(words) > 2 and words[0] == words[-1] == "/":
        return words[1:-1]
    return re.escape(" ".join(words.split()))
