"""The questions that a command line asks after one of our two changes, and whether they get a yes.

What ``deletecert`` and ``ncs ha remove`` ask is not published. So a question is judged by what it says: it is
answered where it repeats what was sent, or says nothing else than that something is to be confirmed. It is never
answered where it, or what was printed before it, speaks of anything dangerous or of another entry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from runbook_lib.ade_os.tables import CAPTURED, RECALLED, Row, unfolded

LONGEST = 4096
"""Characters; whatever is longer is no question but an answer."""

_OPEN, _CLOSE = r"[(\[<{]", r"[)\]>}]"
_BETWEEN = r"\s*(?:/|\||,|\bor\b)\s*"
_DEFAULT = rf"{_OPEN}\s*(?:default\s*[:=]?\s*)?(?:yes|no|y|n)\s*{_CLOSE}"
_CHOICE = (
    rf"{_OPEN}?\s*(?:{_OPEN}?(?P<yes>yes|y){_CLOSE}?{_BETWEEN}{_OPEN}?(?:no|n){_CLOSE}?"
    rf"|{_OPEN}?(?:no|n){_CLOSE}?{_BETWEEN}{_OPEN}?(?P<late>yes|y){_CLOSE}?)\s*{_CLOSE}?"
)
YES_NO = re.compile(
    rf"(?:{_DEFAULT}\s*)?(?<![^\s?:.)\]>}}(\[<{{]){_CHOICE}(?:\s*[?:]?\s*{_DEFAULT}){{0,2}}[\s?:.>]*\Z", re.I
)
"""The end of a yes/no question: the choice, its default before it or behind, brackets or none."""

CHOICES = (
    Row("", "(yes/no) [no] ?", CAPTURED),
    Row("", "(yes/no) [no]: ", CAPTURED),
    Row("", "Y/N [N]:", CAPTURED),
    Row("", "[y/n]", CAPTURED),
    Row("", "(Y/N) ", RECALLED),
    Row("", "[YES/NO]: ", RECALLED),
    Row("", "[y/N]? ", RECALLED),
    Row("", "(yes or no): ", RECALLED),
)
"""Known forms of it; ``YES_NO`` reads them all."""

_CONFIRMS = re.compile(
    r"\b(?:are you sure|do you (?:really )?(?:want|wish)|would you like|continue|proceed|confirm)\b[^?]*\?\s*[:>]?\Z",
    re.I,
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEUTRAL = _words(
    "a an and are as at be being by can cancelled cannot confirm confirmation continue default do does else enter for"
    " from go going have if in is it its like n no not note of ok on once or please press proceed really request shall"
    " should sure that the then this to undone want wanted warning will wish with would y yes you your"
)
_DANGER = re.compile(
    r"\b(?:all|every|everything|entire|whole|any|others?|both|eras\w*|wip\w+|format\w*|factory|reload\w*|restart\w*|"
    r"reboot\w*|reset\w*|shut\w*|halt\w*|stop\w*|power\w*|restor\w*|overwrit\w*|upgrad\w*|purg\w*|drop\w*|destroy\w*|"
    r"truncat\w*|uninstall\w*|disk|partition|databases?|data|licen[cs]es?|passwords?|backups?)\b",
    re.I,
)
_ADDRESS = re.compile(r"[A-Za-z0-9:\[][A-Za-z0-9.:%\[\]-]*_[0-9]{1,5}\b|\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b")
_WORD = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*|[0-9][\w.:]*")


@dataclass(frozen=True)
class Topic:
    """What one of our changes is about: the words that may stand in a question on it, and those that repeat it."""

    words: frozenset[str]
    repeats: str


DELETION = Topic(
    words=_words(
        "certificate certificates cert certs host hosts entry entries found tofu trust trusted trust-on-first-use first"
        " use store list delete deletes deleted deleting deletion remove removed removing removal"
    ),
    repeats=r"{key}",
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
    repeated = re.compile(topic.repeats.format(key=re.escape(key)) if key else topic.repeats, re.I)

    def reply(text: str) -> str | None:
        words = unfolded(text)
        if len(text) > LONGEST or is_dangerous(words, key):
            return None
        for question, answer in own.items():
            if words.casefold().endswith(question):
                return answer
        choice = YES_NO.search(words)
        if choice is None and not _CONFIRMS.search(words):
            return None
        said = words[: choice.start()] if choice else words
        known = not _unknown(said, topic, key)
        return _yes(choice) if repeated.search(said) or known else None

    return reply


def is_dangerous(words: str, key: str = "") -> bool:
    """Return whether ``words`` speak of anything but a change of one entry, or of another entry than ``key``."""
    host = key.rpartition("_")[0]
    rest = words.replace(key, " ").replace(host, " ") if key and host else words
    return bool(_DANGER.search(rest) or _ADDRESS.search(rest))


def is_about_ours(question: str) -> bool:
    """Return whether a question of the site's file can be one after our two changes, and speaks of nothing else."""
    words = unfolded(question.replace("{key}", " "))
    choice = YES_NO.search(words)
    said = words[: choice.start()] if choice else words
    ours = "{key}" in question or any(not _unknown(said, topic, "") for topic in (DELETION, HA_REMOVAL))
    speaks = bool(re.search(r"\b(?:delet|remov)\w*", said, re.I)) and bool(
        re.search(r"\b(?:certificates?|certs?|hosts?|entry|trust|tofu|ha|high availability)\b", said, re.I)
    )
    return not is_dangerous(words) and (ours or speaks)


def _unknown(said: str, topic: Topic, key: str) -> list[str]:
    host = key.rpartition("_")[0]
    bare = said.replace(key, " ").replace(host, " ") if key and host else said
    return [word for word in _WORD.findall(bare) if word.casefold() not in _NEUTRAL | topic.words]


def _yes(choice: re.Match[str] | None) -> str:
    return (choice["yes"] or choice["late"]) if choice else "yes"
