"""What the words in a cell, or beside the rows, say of the state of a check. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import IntEnum

from runbook_lib.observations import ReadinessItem
from runbook_lib.params.labels import Labels
from runbook_lib.web.reading import concerns, elsewhere
from runbook_lib.web.screen import same_words, says

_STATE_WORDS = 4
_REMARKS = frozenset("?!*†‡§#⚠❗")  # signs beside a word that take some of it back, or point to a note
_NONE = ("no", "not", "none", "0", "without")
_OF_NOTHING = re.compile(r"[^\W\d]+\s*[:(]?\s*0\b|\b0\s+[^\W\d]+")  # “Failed: 0”


class RowState(IntEnum):
    """What the words of a state mean, the worst first."""

    FAILED, UNKNOWN, BLANK, PENDING, PASSED = range(1, 6)

    @property
    def is_known(self) -> bool:
        return self not in (RowState.UNKNOWN, RowState.BLANK)

    @property
    def reason(self) -> str:
        """Why it has not passed, where its own words do not say it."""
        return {RowState.UNKNOWN: "no state that is known", RowState.BLANK: "no state"}.get(self, "")


def state_of(text: str, labels: Labels) -> RowState:
    """Return the state that a cell's words name; only the exact word counts as passed."""
    if not text.strip():
        return RowState.BLANK
    if len(text.split()) <= _STATE_WORDS and not state_named(text, labels):
        for state in (RowState.PENDING, RowState.FAILED):
            if says(text, labels.phrases[state.name.lower()]):
                return state
    return state_named(text, labels) or RowState.UNKNOWN


def state_named(text: str, labels: Labels) -> RowState | None:
    """Return the state whose word a text is, and says no more than that; None for any other."""
    for state in (RowState.PENDING, RowState.FAILED, RowState.PASSED):
        if any(same_words(text, phrase) for phrase in labels.phrases[state.name.lower()]):
            return state if state is not RowState.PASSED or _REMARKS.isdisjoint(text) else None
    return None


def state_alone(text: str, labels: Labels) -> RowState | None:
    """Return the state that a text names where that is no answer as well: “No” may say that a check blocks nothing."""
    answers = (answer for key in ("dialog_yes", "dialog_no") for answer in labels[key].texts)
    return None if any(same_words(text, answer) for answer in answers) else state_named(text, labels)


def with_others(state: RowState, others: Sequence[str], labels: Labels) -> RowState:
    """Return a row's state, or the worse one that another of its cells names: some tables have a column per server.

    A remark that something failed leaves it unknown whether that passed.
    """
    remarks = (text for text in others if not says(text, _NONE))
    if state is RowState.PASSED and any(says(text, labels.phrases["milestone_failed"]) for text in remarks):
        state = RowState.UNKNOWN
    return min((state, *(state_alone(text, labels) or state for text in others)))


def name_and_state(text: str, labels: Labels) -> tuple[str, RowState, str]:
    """Split a text such as ``CPU: passed`` into what is meant, its state and what to tell of that."""
    words = text.split()
    for count in range(min(3, len(words) - 1), 0, -1):
        if state := state_named(" ".join(words[-count:]), labels):
            told = " ".join(words[-count:]) * (state is not RowState.PASSED)
            return " ".join(words[:-count]).rstrip(" :-–—."), state, told
    return text, RowState.UNKNOWN, RowState.UNKNOWN.reason


def objections(shown: Iterable[str], gone: Iterable[str], labels: Labels, about: str) -> tuple[ReadinessItem, ...]:
    """Return as items what was said beside the rows of something that has not passed; ``gone`` is shown no more.

    ``about`` is the address of the host that is checked.
    """
    heard = (text for text in gone if concerns(text, labels) or says(text, labels["check_readiness"].texts))
    ours = (text for text in dict.fromkeys((*shown, *heard)) if not elsewhere(text, labels, about))
    no = (text for text in ours if _objects(text, labels))
    return tuple(ReadinessItem(name=text, passed=False, detail="said beside the rows") for text in no)


def _objects(text: str, labels: Labels) -> bool:
    """Whether a text says that something has not passed; states alone are a legend."""
    if all(state_named(word, labels) for word in text.split()) or says(text, labels.phrases["harmless"]):
        return False
    rest = _OF_NOTHING.sub("", text)
    return says(rest, labels.phrases["milestone_failed"]) or name_and_state(rest, labels)[1] is RowState.FAILED
