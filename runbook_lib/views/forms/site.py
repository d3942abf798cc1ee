"""A new site's file: typed, checked at each key stroke as ``load_site`` would, and written once."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets

from runbook_lib.params.draft import Draft, draft_site
from runbook_lib.params.source import Problem, shown_key
from runbook_lib.secrets import NOT_A_REFERENCE
from runbook_lib.views.forms.base import LABEL, Said, button
from runbook_lib.views.forms.fields import GROUPS, NOT_KEPT, Group, SiteField, Where
from runbook_lib.views.rows import BAD, DOUBT, GOOD
from runbook_lib.words import said

Write = Callable[[Draft], str]
"""Called with a draft that has no problem; writes the file and returns the sentence to say."""

_HEADING = "<h3>{}</h3>"
_FURTHER = "any key that params/example.yaml explains and that has no field here, such as\ndeadlines:\n  settle_s: 900"


class SiteControls:
    """The controls that make a site's file, which would lie in ``folder``."""

    def __init__(self, folder: Path, write: Write) -> None:
        self._folder = folder
        self._write = write
        self.fields = {spec.where: SiteField(spec, self._check) for group in GROUPS for spec in group.fields}
        self.further = ipywidgets.Textarea(
            description=said("Further keys"),
            continuous_update=False,  # half a reference is no reference
            placeholder=said(_FURTHER),
            rows=4,
            layout={"width": "44em", "max_width": "98%"},
            style=LABEL,
        )
        self.further.observe(self._further_typed, names="value")
        self.said = Said()
        self.preview = ipywidgets.HTML()
        hint = "Writes params/NAME.yaml for you alone to read, and never over a file that is there"
        self.button = button("Write the site's file", hint, self._press, self.said)
        groups = [self._box(group) for group in GROUPS]
        boxes = ipywidgets.HBox(groups, layout={"flex_flow": "row wrap", "align_items": "flex-start"})
        self.widget = ipywidgets.VBox([boxes, self.further, self.button, self.said, self.preview])
        self._check()

    def _box(self, group: Group) -> ipywidgets.VBox:
        heading = said(group.title) + (said(" (leave empty if there is none)") if group.optional else "")
        fields = [self.fields[spec.where].widget for spec in group.fields]
        return ipywidgets.VBox(
            [ipywidgets.HTML(_HEADING.format(escape(heading))), *fields], layout={"margin": "0 2em 0 0"}
        )

    def _further_typed(self, _: Any) -> None:
        """Check the further keys; where one may hold a password all of them are taken out again."""
        at_fields = set(self.fields)
        if any(NOT_A_REFERENCE in each.text and each.where not in at_fields for each in self.draft().problems):
            self.further.value = ""
            self.said.say(f"The further keys are empty again: {NOT_KEPT}", BAD)
            return
        self._check()

    def draft(self) -> Draft:
        """Return the file as it stands now, with what is wrong of it."""
        typed = {where: value for where, field in self.fields.items() if (value := field.value()) is not None}
        return draft_site(typed, self.further.value, self._folder)

    def _check(self, *_: Any) -> None:
        found = self.draft()
        elsewhere = [problem for problem in found.problems if not self._say_at_field(problem)]
        at_fields = {where: self._problem_at(where, found) for where in self.fields}
        for where, field in self.fields.items():
            field.say(at_fields[where])
        self._summary(found, elsewhere)

    def _say_at_field(self, problem: Problem) -> bool:
        """Whether a field says this problem already: of its own value, or of one that is not filled in yet."""
        return any(
            _inside(problem.where, where) or (_inside(where, problem.where) and self._needed(field))
            for where, field in self.fields.items()
        )

    def _problem_at(self, where: Where, found: Draft) -> str:
        return "; ".join(problem.text for problem in found.problems if _inside(problem.where, where))

    def _needed(self, field: SiteField) -> bool:
        """Whether the file is not complete without this field: an optional group that is empty needs nothing."""
        group = next(group for group in GROUPS if field.spec in group.fields)
        begun = any(self.fields[spec.where].value() is not None for spec in group.fields)
        return field.spec.needed and field.value() is None and (begun or not group.optional)

    def _missing(self) -> list[str]:
        return [said(field.spec.label) for field in self.fields.values() if self._needed(field)]

    def _summary(self, found: Draft, elsewhere: list[Problem]) -> None:
        lines = [f"{shown_key(problem.where)}: {problem.text}" for problem in elsewhere]
        missing = self._missing()
        if missing:
            lines.append(f"needed and still empty: {', '.join(missing)}")
        wrong = [
            where for where in self.fields if self.fields[where].value() is not None and self._problem_at(where, found)
        ]
        if wrong:
            lines.append(f"not right yet: {', '.join(said(self.fields[where].spec.label) for where in wrong)}")
        self.button.disabled = bool(lines)
        self.said.say(
            "\n".join(lines) or "Everything is as it should be.",
            (BAD if elsewhere or wrong else DOUBT) if lines else GOOD,
        )
        shown = f"<details><summary>The file as it would be written</summary><pre>{escape(found.text)}</pre></details>"
        self.preview.value = "" if lines else shown

    def _press(self) -> str:
        return self._write(self.draft())


def _inside(inner: Where, outer: Where) -> bool:
    """Whether a key is another one, or lies below it."""
    return inner[: len(outer)] == outer
