"""What ADE-OS command lines print around an answer: prompts, pagers, questions, refusals; and which get a yes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

# -- What ADE-OS command lines print around an answer, as data: prompts, pagers, questions, refusals, login dialogs.
#
# This is the one place for such words. Each row says where it comes from: *published* in Cisco's procedure,
# *captured* by third parties, or *recalled*, and then unproven. Add a row where a device says it otherwise; what
# a site needs alone stands in its file (``answers:``, ``listing: ignore:``).
#
# Rows are looked for in text without control sequences whose lines were put together again (``unfolded``), whatever
# its capitals, so that colour, line ends and a narrow terminal change nothing.

PUBLISHED, CAPTURED, RECALLED = "published", "captured", "recalled"
COLUMNS = 80
"""The width at which a command line breaks its own text, in the middle of a word, where it takes no notice of ours."""


@dataclass(frozen=True)
class PromptRow:
    """One thing that is said. ``example`` is a text that holds it. What does not name its ``source`` is recalled."""

    pattern: str
    example: str
    source: str = RECALLED


PROMPT = r"(?P<host>[^\s/#;=]{1,255})/(?P<user>[^\s/#;=()]{1,64}(?:\((?![Cc]onf)[^\s()]{1,40}\))?)[#>]"
"""``<hostname>/<user># `` without its last blank; published. The whole line; not that of the configuration mode."""

OTHER_PROMPTS = (
    PromptRow(r"[^\s/#;=]{1,255}/[^\s/#;=()]{1,64}\(conf[^\s()]{0,40}\)[#>]", "prime-pri/admin(config)# "),
    PromptRow(r"ade ?[#$]", "ade # ", CAPTURED),
    PromptRow(r"(?:ba|k|z)?sh-[\d.]+[#$]", "bash-4.2# "),
    PromptRow(r"\[[\w.-]+@[\w.-]+ [^\]\n]{1,80}\][#$]", "[root@prime-pri ~]# "),
    PromptRow(r"[\w.-]+@[\w.-]+:\S{0,80}[#$]", "root@prime-pri:~# "),
)
"""Prompts of shells and of the configuration mode, which take other commands than the command line. The whole line."""

_PERCENT = r"(?: ?\(?\d{1,3} ?%\)?)?"
PAGERS = (
    PromptRow(rf"-+ ?\(?more{_PERCENT}\)? ?-+{_PERCENT}(?: [(\[][^()\[\]]{{1,80}}[)\]]| or \S{{1,40}})?", "--More--"),
    PromptRow(rf"<-+ ?more ?-+>{_PERCENT}", "<--- More --->"),
    PromptRow(rf"lines? \d{{1,9}}-\d{{1,9}}(?:/\d{{1,9}})?{_PERCENT}", "lines 1-24/300"),
)
"""A pager's line, whole."""

ERASED = re.compile(
    rb"\r {2,}\r(?!\n)"  # overwritten with spaces
    rb"|\x08+ +\x08+"
    rb"|\x08+(?:\x1b\[[0-9;]*[KJ])?"
    rb"|(?:\r(?!\n)|\x1b\[[0-9;]*[KJm])+"
    rb"|\r*\n"  # left standing
)
"""How a pager's line is taken off the screen again, directly behind it."""

LOGIN_QUESTIONS = (
    PromptRow(
        r"enter session number to resume or press <enter> to start a new one ?:",
        "Enter session number to resume or press <Enter> to start a new one: ",
        PUBLISHED,  # for ISE
    ),
    PromptRow(r"press (?:<?enter>?|<?return>?|any key) to continue ?\.*", "Press any key to continue... "),
)
"""Asked before the first prompt, at the end of what arrived; the Enter key is the answer. No other is given there."""

_LICENCE, _ACCEPTED = r"\b(?:licen[cs]e|eula)\b", r"\b(?:accept|acknowledg|consent|agree(?!ment))\w*"
_OTHER_SESSION = r"\b(?:other|another|existing|previous|active)\b[^.!?]{0,60}\b(?:session|login)s?\b"
_ENDED = r"(?:(?:terminat|disconnect|clos|replac|dropp|end|kick)ed|killed|logged o(?:ut|ff)|taken over)"
_ENDING = r"(?:(?:terminat|disconnect|clos|replac|drop|kick|kill|tak)\w*|end(?:s|ing)?\b|log(?:s|ging)? o(?:ut|ff)\b)"
BINDING = (
    PromptRow(
        rf"{_ACCEPTED}.{{0,200}}{_LICENCE}|{_LICENCE}.{{0,200}}{_ACCEPTED}|\bend[ -]user licen[cs]e agreement\b",
        "By pressing Enter you accept the license agreement.",
    ),
    PromptRow(
        rf"{_OTHER_SESSION}[^.!?]{{0,80}}\b(?:will|to) be {_ENDED}\b"
        rf"|\b(?:will|to) {_ENDING}[^.!?]{{0,80}}{_OTHER_SESSION}",
        "The other session will be terminated.",
    ),
    PromptRow(
        rf"\b(?:continu|proceed|going on|press)[^.!?]{{0,40}}\b{_ENDING}[^.!?]{{0,60}}\b(?:session|login)s?\b",
        "Continuing ends the session of admin from 192.0.2.1.",
    ),
    PromptRow(r"\balready (?:logged|signed) [io]n\b", "User admin is already logged in from 192.0.2.1."),
)
"""What the Enter key would do beside going on, where that stands before such a question: then it is not pressed."""

EXPIRED = (
    PromptRow(r"password (?:has |is |was )?expired", "Your password has expired."),
    PromptRow(r"account (?:has |is |was )?expired", "Your account has expired; please contact the administrator."),
    PromptRow(
        r"must (?:now )?(?:be changed|change your password)|required to change your password",
        "You are required to change your password immediately (password aged)",
    ),
    PromptRow(r"(?:new|\(?current\)?) (?:unix )?password ?:", "Enter new password : "),
)
"""Said instead of a prompt, or asked behind the password, where password or account are no longer good."""

SECOND_FACTORS = (
    PromptRow(r"verification code|one[- ]time (?:password|code)|\botp\b|\btoken\b", "Verification code: "),
    PromptRow(r"\bpasscode\b|\bsecond factor\b|two[- ]factor|\bduo\b|\bpush\b", "Passcode or option (1-3): "),
    PromptRow(r"\bchallenge\b|\bresponse ?:|authenticator", "Enter the response : "),
)
"""Asked behind the password where it alone does not let anybody in."""

YES_OR_NO_WANTED = (PromptRow(r"error ?: ?please enter yes or no", "ERROR : Please enter Yes or No", CAPTURED),)
"""The answer to a command that was typed into a yes/no question."""

REFUSALS = (
    PromptRow(
        r"%\s*(?:invalid|unknown|incomplete|ambiguous|unrecogni[sz]ed|bad|command)\b",
        "% Invalid command detected at '^' marker.",
    ),
    PromptRow(
        r"(?:error:\s*)?(?:unknown|invalid|unrecogni[sz]ed|incomplete|ambiguous) (?:command|input|argument|token)\b",
        "Error: unrecognized command",
    ),
    PromptRow(r"syntax error\b", "syntax error: expecting a key"),
    PromptRow(r"[^\n]{0,300}: (?:command )?not found\s*$|command not found\b", "-bash: ncs: command not found"),
    PromptRow(r"%? ?(?:permission denied|not authori[sz]ed|command authori[sz]ation failed)\b", "% Permission denied"),
)
"""A command line that does not know or allow a command: the beginning of a line, in short answers only."""

REFUSAL_LINES = 8
"""An answer of more lines is not a refusal, whatever stands in it."""

_OPEN, _CLOSE = r"[(\[<{]", r"[)\]>}]"
ASKING = (
    PromptRow(r"\?", "Which one ?"),
    PromptRow(
        r"\b(?:enter|type|specify|select|choose|choice|which)\b[^\n]{0,200}[:>]",
        "Enter the domain name of the server: ",
        CAPTURED,
    ),
    PromptRow(r"(?:assword|passphrase|user ?name|login) ?:", "Enter shell access password :", CAPTURED),
    PromptRow(r"[(\[<]y(?:es)?[/|]no?[)\]>][^\n]{0,200}[:>]", "Press [y/n] to accept: "),
    PromptRow(r"\[confirm\]|\b(?:press|hit|type)\b[^\n.]{0,80}", "Delete the entry? [confirm]"),
    PromptRow(rf"{_OPEN}y{_CLOSE}es\b[^\n]{{0,40}}{_OPEN}n{_CLOSE}o\b[\s?:.>]*", "Proceed: (y)es or (n)o: "),
)
"""How the last line of something that waits for an answer ends, beside a yes/no question."""


def any_of(rows: Iterable[PromptRow]) -> str:
    """Return one pattern for all ``rows``."""
    return "|".join(f"(?:{row.pattern})" for row in rows)


def unfolded(text: str) -> str:
    """Return ``text`` in one line, runs of blanks as one; what a narrow terminal broke is put together again."""
    lines = text.split("\n")
    joined = "".join(line if len(line) == COLUMNS else f"{line} " for line in lines)
    return " ".join(joined.split())


# -- The questions that a command line asks after one of our two changes, and whether they get a yes.
#
# What ``deletecert`` and ``ncs ha remove`` ask is not published. So a question is judged by what it says: it is
# answered where the sentence that asks holds known words only, and repeats what was sent or stands behind nothing that
# is not known. It is never answered where it, or what was printed before it, speaks of anything dangerous or of another
# entry.

LONGEST = 4096
"""Characters; whatever is longer is no question but an answer."""

_BETWEEN = r"\s*(?:/|\||,|\bor\b)\s*"
_DEFAULT = rf"{_OPEN}\s*(?:default\s*(?:is|[:=])?\s*)?(?:yes|no|y|n)\s*{_CLOSE}"
_CHOICE = (
    rf"{_OPEN}?\s*(?:{_OPEN}?(?P<yes>yes|y){_CLOSE}?{_BETWEEN}{_OPEN}?(?:no|n){_CLOSE}?"
    rf"|{_OPEN}?(?:no|n){_CLOSE}?{_BETWEEN}{_OPEN}?(?P<late>yes|y){_CLOSE}?)\s*{_CLOSE}?"
)
YES_NO = re.compile(
    rf"(?:{_DEFAULT}\s*)?(?<![^\s?:.)\]>}}(\[<{{]){_CHOICE}(?:\s*[?:]?\s*{_DEFAULT}){{0,2}}[\s?:.>]*\Z", re.I
)
"""The end of a yes/no question: the choice, its default before it or behind, brackets or none.

Captured by others are ``(yes/no) [no] ?``, ``Y/N [N]:`` and ``[y/n]``, the other forms are recalled.
"""

_CONFIRMS = re.compile(
    r"\b(?:are you sure|do you (?:really )?(?:want|wish)|would you like|continue|proceed|confirm)\b[^?]*\?\s*[:>]?\Z",
    re.I,
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEUTRAL = _words(
    "a an and are as at be being by can confirm confirmation continue default do does enter for from go going if in is"
    " it its like note of ok on once or please press proceed really request shall should sure that the then this to"
    " want wanted warning will wish with would y yes you your"
)
_NOT = re.compile(
    r"\b(?:no|not|n|cannot|never|nor|without|except|unless|keep|kept|cancel\w*|abort\w*|skip\w*|un-?delet\w*)\b|n['’`]t\b",
    re.I,
)
"""Words that turn the sense of a question round. None of them is a known word."""
_SAYS_NOTHING = re.compile(
    rf"{_OPEN}?\b(?:yes|no|y|n)\s*(?:/|\||\bor\b)\s*(?:yes|no|y|n)\b{_CLOSE}?|{_DEFAULT}"
    r"|\b(?:cannot|can not|can['’]t) be (?:undone|cancell?ed|reverted|reversed)\b",
    re.I,
)
"""What holds a word of these and leaves the sense as it is: a choice, its default, and that there is no way back."""
_GOES_ON = re.compile(r"\b(?:sure|continue|proceed|confirm(?:ation)?|go|going|really|ok|enter|press)\b|\A\W*\Z", re.I)
"""A question that does not name our change has to ask for going on, or be nothing but a choice."""
_DANGER = re.compile(
    r"\b(?:all|every|everything|entire|whole|any|others?|both|eras\w*|wip\w+|format\w*|factory|reload\w*|restart\w*|"
    r"reboot\w*|reset\w*|shut\w*|halt\w*|stop\w*|power\w*|restor\w*|overwrit\w*|upgrad\w*|purg\w*|drop\w*|destroy\w*|"
    r"truncat\w*|uninstall\w*|disk|partition|databases?|data|licen[cs]es?|passwords?|backups?)\b",
    re.I,
)
_ADDRESS = re.compile(r"[A-Za-z0-9:\[][A-Za-z0-9.:%\[\]-]*_[0-9]{1,5}\b|\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*|[0-9][\w.:]*")
_REMOVES = re.compile(r"\b(?:delet|remov)", re.I)
_OF_OURS = re.compile(r"\b(?:certificates?|certs?|hosts?|entry|trust|tofu|ha|high availability)\b", re.I)
_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+")


@dataclass(frozen=True)
class Topic:
    """What one of our changes is about: the words that may stand in a question on it, and those that repeat it.

    Where ``repeats`` is empty, the entry's own name with its port does.
    """

    words: frozenset[str]
    repeats: str


DELETION = Topic(
    words=_words(
        "certificate certificates cert certs host hosts entry entries found tofu trust trusted trust-on-first-use first"
        " use store list delete deletes deleted deleting deletion remove removed removing removal"
    ),
    repeats="",
)
HA_REMOVAL = Topic(
    words=_words(
        "ha high availability configuration remove removed removing removal delete deleted primary secondary server"
        " servers pair"
    ),
    repeats=r"(?:remov|delet)\w*.{0,200}\bhigh availability\b|\bhigh availability\b.{0,200}(?:remov|delet)",
)

Reply = Callable[[str], str | None]
"""From everything that was printed since the command, or since the last reply, to what is typed; None: nothing."""


def is_yes_no(text: str) -> bool:
    """Return whether ``text`` ends in a yes/no question, with its choice printed or not."""
    words = unfolded(text)[-LONGEST:]
    return bool(YES_NO.search(words) or _CONFIRMS.search(words))


def replies(topic: Topic, key: str = "", more: Mapping[str, str] | None = None) -> Reply:
    """Return how questions after a change of ``topic`` are answered; ``more`` is the site's ``answers:``."""
    own = {unfolded(question.replace("{key}", key)).casefold(): answer for question, answer in (more or {}).items()}
    repeated = re.compile(topic.repeats or _naming(key, with_port=True), re.I)

    def reply(text: str) -> str | None:
        words = unfolded(text)
        if len(text) > LONGEST or is_dangerous(words, key):
            return None
        folded = words.casefold()
        for question, answer in own.items():
            if folded.endswith(question):
                ahead = folded.removesuffix(question)
                is_whole = ahead[-1:] in ("", " ")
                return answer if is_whole and not _is_turned(_last_sentence(ahead)) else None
        choice = YES_NO.search(words)
        if choice is None and not _CONFIRMS.search(words):
            return None
        before = _before_choice(words)
        if not _is_confirmation(before, topic, key):
            return None
        repeating = _last_sentence(before) if key else before
        repeats = repeated.search(repeating) and _REMOVES.search(repeating) and not _is_turned(repeating)
        if not repeats and _unknown(before, topic.words, key):
            return None
        return (choice["yes"] or choice["late"]) if choice else "yes"

    return reply


def _before_choice(words: str) -> str:
    """Return what is asked, without the choice at its end, where that is printed."""
    choice = YES_NO.search(words)
    return words[: choice.start()] if choice else words


def _last_sentence(words: str) -> str:
    return _SENTENCE_END.split(words.strip())[-1]


def _is_turned(words: str) -> bool:
    """Return whether a yes to ``words`` may mean the opposite of what was sent."""
    return _NOT.search(_SAYS_NOTHING.sub(" ", words)) is not None


def _is_confirmation(before: str, topic: Topic, key: str) -> bool:
    """Return whether the sentence that asks says nothing but that something is to be confirmed, or to be removed.

    One that names the entry names its removal, or stands behind words that do: "Do you want X?" may ask to keep it.
    """
    question = _last_sentence(before)
    if _REMOVES.search(question):
        return not _unknown(question, topic.words, key)
    named = question != _without(question, key)
    goes_on = _REMOVES.search(before) if named else _GOES_ON.search(question)
    return bool(goes_on) and not _unknown(question, frozenset(), key)


def is_dangerous(words: str, key: str = "") -> bool:
    """Return whether ``words`` speak of anything but a change of one entry, or of another entry than ``key``."""
    rest = _without(words, key)
    return bool(_DANGER.search(rest) or _ADDRESS.search(rest))


def is_about_ours(question: str) -> bool:
    """Return whether a question of the site's file can be one after our two changes, and speaks of nothing else."""
    words = unfolded(question.replace("{key}", " "))
    if is_dangerous(words):
        return False
    before = _before_choice(words)
    if "{key}" in question or any(not _unknown(before, topic.words, "") for topic in (DELETION, HA_REMOVAL)):
        return True
    return bool(_REMOVES.search(before) and _OF_OURS.search(before))


def _unknown(asked: str, of_topic: frozenset[str], key: str) -> list[str]:
    bare = _SAYS_NOTHING.sub(" ", _without(asked, key))
    return [word for word in _WORD.findall(bare) if word.casefold() not in _NEUTRAL | of_topic]


def _without(words: str, key: str) -> str:
    return re.sub(_naming(key), " ", words, flags=re.I) if key else words


def _naming(key: str, *, with_port: bool = False) -> str:
    """Return the pattern of an entry's host, with its port or not: whole, and never as a part of another's name."""
    host, _, number = key.rpartition("_")
    before = r"(?<![\w.%\]:-])" if ":" in host else r"(?<![\w.%\]-])"
    port = rf"(?:(?:_|:|,? (?:on )?port:? ?){number}){'' if with_port else '?'}"
    return rf"{before}{re.escape(host)}{port}(?![\w%-]|[.:]\w)"
