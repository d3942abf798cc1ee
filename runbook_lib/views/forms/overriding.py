"""A person's word in the place of a confirmation, asked for in full words."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import ipywidgets

from runbook_lib.views.forms.base import BELOW, LABEL, WIDE, Form, Said, button, text_field, without_form
from runbook_lib.views.rows import BAD, DOUBT, GOOD, Row, Table
from runbook_lib.words import said


class Unconfirmed(NamedTuple):
    """An entry that nothing but the missing confirmation keeps from being deleted, and what its host presents now."""

    server: str
    key: str
    target: str
    sha256: str


Overrule = Callable[[Unconfirmed, str, str, str], str]
"""Called with the entry, a name, a reason and the words; writes the override and returns the sentence to say."""


class OverrideForm(Form[tuple[Unconfirmed, ...]]):
    """Asks for a name, a reason and the full words; ``value`` are the entries of which one can be overridden."""

    def __init__(self, entries: tuple[Unconfirmed, ...], phrase: str, command: str, overrule: Overrule) -> None:
        ways = without_form(("on the command line", command))
        super().__init__(entries, (unconfirmed(entries), ways), (_Controls(entries, phrase, overrule).widget,))


def unconfirmed(entries: tuple[Unconfirmed, ...]) -> Table:
    """Return the table of the entries that wait for a confirmation."""
    return Table(
        title="Stale, and not confirmed by anything",
        headers=("server", "entry", "stands for", "what it presents now (SHA-256)"),
        rows=tuple(Row(cells=tuple(entry), mark=DOUBT) for entry in entries),
        empty="nothing waits for an override",
        note="Whoever overrides says that this certificate is the right one. The incident then ends at best"
        " «repaired_unverified».",
        whole=("entry",),
    )


class _Controls:
    def __init__(self, entries: tuple[Unconfirmed, ...], phrase: str, overrule: Overrule) -> None:
        self._phrase = phrase
        self._overrule = overrule
        options = [(f"{each.server} {each.key} ({each.target})", each) for each in entries]
        self.entry = ipywidgets.Dropdown(description=said("Entry"), options=options, layout=WIDE, style=LABEL)
        self.name = text_field("Your name", "as it shall stand in the record")
        self.reason = text_field("Reason", "how you came to trust it")
        self.words = text_field("In full words", f"type: {phrase}")
        self.words_said = Said(layout=BELOW)
        self.said = Said()
        self.press = button(
            "Override", "Writes your name and reason into the record; deletes nothing", self._press, self.said
        )
        for control in (self.name, self.reason, self.words):
            control.observe(lambda _: self._check(), names="value")
        rows = [self.entry, self.name, self.reason, self.words, self.words_said, self.press, self.said]
        self.widget = ipywidgets.VBox(rows)
        self._check()

    def _check(self) -> None:
        given = self.words.value.strip().lower()
        right = given == self._phrase
        if right or not given:
            self.words_said.say("these are the words" if right else "", GOOD)
        elif self._phrase.startswith(given):
            self.words_said.say(f"go on: {self._phrase[len(given) :].strip()}", DOUBT)
        else:
            self.words_said.say(f"other words than: {self._phrase}", BAD)
        self.press.disabled = not (right and self.name.value.strip() and self.reason.value.strip())

    def _press(self) -> str:
        return self._overrule(self.entry.value, self.name.value, self.reason.value, self.words.value)
