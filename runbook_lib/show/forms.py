"""Forms in a notebook: what all have in common; approval, production, override; a view that a form renews."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from runbook_lib.decisions import Plan
from runbook_lib.errors import RunbookError
from runbook_lib.i18n.language import count, gettext
from runbook_lib.show.document import BAD, COLOURS, DOUBT, GOOD, MARKS, Row, Table
from runbook_lib.show.rendering import View, attended, style_sheet, text_of
from runbook_lib.show.tables import before_approval

if TYPE_CHECKING:
    import ipywidgets as ipywidgets


class LazyModule:
    """A module that is imported on first use, so that a stage without a form does not wait for the widgets."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


if not TYPE_CHECKING:
    ipywidgets = LazyModule("ipywidgets")

# -- What all forms have in common: controls with labels, advice in place of errors, and the way without the form

T = TypeVar("T")

STYLE = style_sheet("forms.css")

WIDE = {"width": "44em", "max_width": "98%"}
LABEL = {"description_width": "11em"}
BELOW = {"margin": "0 0 0 11.6em"}  # in line with the fields, beside their labels
NATURAL_WIDTH = {"width": "max-content", "min_width": "16em"}
UNFOLDS = {**NATURAL_WIDTH, "margin": ".3em 0"}


class LiveView(View[T]):
    """A view that a widget shows where widgets can be shown; what is stored beside it are the tables."""

    widget: ipywidgets.Widget

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = self.widget._repr_mimebundle_(**options) or {}
        return {**bundle, "text/html": self._repr_html_(), "text/plain": self.text()}


class Form(LiveView[T]):
    """Tables that say what is asked, below them controls where they can be shown, below these the last table.

    A button writes, the next cell reads; no cell waits. The last table says which parameter or command does the
    same. No secret goes through a control.
    """

    def __init__(
        self, value: T, tables: tuple[Table, ...], controls: Sequence[Any], first: ipywidgets.HTML | None = None
    ) -> None:
        """``first``: what shows the tables above the controls, where the form renews them."""
        super().__init__(value, tables)
        above, below = (View(value, part)._repr_html_() for part in (tables[:-1], tables[-1:]))
        # The dataclass is frozen; the widgets are no part of its value.
        shown = ipywidgets.VBox([first or ipywidgets.HTML(above), *controls, ipywidgets.HTML(STYLE + below)])
        shown.add_class("rb-form")
        object.__setattr__(self, "widget", shown)


class Said:
    """One sentence below a control: a sign and words, so that colour alone never says anything.

    ``widget`` shows it; ``value`` is its HTML.
    """

    def __init__(self, **options: Any) -> None:
        self.widget = ipywidgets.HTML(**options)

    @property
    def value(self) -> str:
        return str(self.widget.value)

    def say(self, text: str, mark: str = "") -> None:
        """Show a text; ``mark`` is ``good``, ``bad``, ``doubt`` or nothing."""
        lines = text_of(gettext(text)).replace("\n", "<br>")
        sign = f"{MARKS[mark]} " if mark and text else ""
        colour = f"border-left:4px solid {COLOURS[mark]};padding-left:.5em;" if mark and text else ""
        style = f"{colour}line-height:1.45;max-width:60em;overflow-wrap:anywhere"
        self.widget.value = f'<div role="status" style="{style}">{sign}{lines}</div>' if text else ""


def button(words: str, hint: str, act: Callable[[], str], answer: Said, mark: str = GOOD) -> ipywidgets.Button:
    """Return a button that acts and says, with ``mark``, the sentence that came back; an error as its advice."""

    def press(_: Any) -> None:
        try:
            answer.say(act(), mark)
        except RunbookError as error:
            answer.say(f"{type(error).__name__}: {error}", BAD)
        # What stands above may have become shorter: a browser scrolls to what gets the focus anew.
        made.blur()
        made.focus()

    made = ipywidgets.Button(description=gettext(words), tooltip=gettext(hint), layout=UNFOLDS)
    made.on_click(press)
    return made


def text_field(label: str, placeholder: str = "", **options: Any) -> ipywidgets.Text:
    """Return a field for one line, with its label."""
    return ipywidgets.Text(
        description=gettext(label), placeholder=gettext(placeholder), layout=WIDE, style=LABEL, **options
    )


def without_form(*ways: tuple[str, str]) -> Table:
    """Return the table that names what does the same without the form."""
    return Table(
        title="The same without the form",
        headers=("how", "what"),
        rows=tuple(Row(how, gettext(what)) for how, what in ways),
        whole=("what",),
        below=("what",),
        fold="The same without the form",
    )


# -- The approval of a plan: a person gives a name and a reason, the machine compares the digest ---


class ApprovalForm(Form[Plan]):
    """Asks for a name and a reason. ``value`` is the plan that is shown above it.

    ``approve`` is called with both, writes the approval and returns the sentence to show; ``approved`` returns what
    then stands in the place of the question.
    """

    def __init__(
        self, plan: Plan, approve: Callable[[str, str], str], command: str, approved: Callable[[], View[Any]]
    ) -> None:
        deletions = tuple(Row(row.server, gettext(f"delete {row.key}"), "now") for row in plan.deletions)
        others = tuple(
            Row(change.server, f"{gettext(change.kind)}: {change.target}", change.condition) for change in plan.changes
        )
        entries = count(len(plan.deletions), "entry", "entries")
        both = f"Approve the deletion of {entries}, and what the later stages may do?"
        question = Table(
            title=both if others else f"Approve the deletion of {entries}?",
            headers=("server", "change", "when"),
            rows=(*deletions, *others),
            note=f"Plan {plan.digest}. A deleted entry cannot be restored.",
            whole=("change",),
        )
        ways = without_form(("on the command line", command), ("as a parameter", f'approve = "{plan.digest}"'))
        said = Said()
        name = text_field("Your name", "as it will appear in the record")
        reason = text_field("Reason", "for example the change's number")
        asked = (*before_approval(plan), question)
        asked_above = ipywidgets.HTML(View(plan, asked)._repr_html_())

        def act() -> str:
            done = approve(name.value, reason.value)
            asked_above.value = approved()._repr_html_()
            return done

        press = button("Approve this plan", "Writes the approval into the record; changes nothing", act, said)
        super().__init__(plan, (*asked, ways), (name, reason, press, said.widget), asked_above)


# -- The question before the first change of a real site: a person types its name ------------------


class ProductionForm(Form[str]):
    """Asks for the name of the site. ``name`` is called with it, notes it and returns the sentence to say."""

    def __init__(self, site: str, servers: str, name: Callable[[str], str]) -> None:
        question = Table(
            title="PRODUCTION: change these servers?",
            headers=("what", "value"),
            rows=(Row("site", site), Row("servers", servers)),
            note="Type the site's name. It is asked for once in each notebook, before the first change.",
        )
        ways = without_form(("in a separate cell", 'rb.production("NAME")'))
        said = Said()
        typed = text_field("Site's name", "as the banner of this notebook shows it")
        press = button(
            "Yes, change this site", "Notes it in the record; sends nothing", lambda: name(typed.value), said
        )
        super().__init__(site, (question, ways), (typed, press, said.widget))


# -- A person's word in the place of a confirmation, asked for in full words -----------------------


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
        super().__init__(entries, (unconfirmed(entries), ways), (_OverrideControls(entries, phrase, overrule).widget,))


def unconfirmed(entries: tuple[Unconfirmed, ...]) -> Table:
    """Return the table of the entries that wait for a confirmation."""
    return Table(
        title="Stale, and not confirmed by anything",
        headers=("server", "entry", "stands for", "what it presents now (SHA-256)"),
        rows=tuple(Row(*tuple(entry), mark=DOUBT) for entry in entries),
        empty="no entry needs an override",
        note="Whoever overrides vouches that this certificate is the right one. The incident then ends at best"
        " “repaired_unverified”.",
        whole=("entry",),
        below=("what it presents now (SHA-256)",),
        fold="" if entries else "No entry needs an override",
    )


class _OverrideControls:
    def __init__(self, entries: tuple[Unconfirmed, ...], phrase: str, overrule: Overrule) -> None:
        self._phrase = phrase
        self._overrule = overrule
        options = [(f"{each.server} {each.key} ({each.target})", each) for each in entries]
        self.entry = ipywidgets.Dropdown(description=gettext("Entry"), options=options, layout=WIDE, style=LABEL)
        self.name = text_field("Your name", "as it will appear in the record")
        self.reason = text_field("Reason", "how you came to trust it")
        self.words = text_field("In full words", f"type: {phrase}")
        self.words_said = Said(layout=BELOW)
        self.said = Said()
        self.press = button(
            "Override", "Writes your name and reason into the record; deletes nothing", self._press, self.said
        )
        for control in (self.name, self.reason, self.words):
            control.observe(lambda _: self._check(), names="value")
        rows = [self.entry, self.name, self.reason, self.words, self.words_said.widget, self.press, self.said.widget]
        self.widget = ipywidgets.VBox(rows)
        self._check()

    def _check(self) -> None:
        given = self.words.value.strip().lower()
        right = given == self._phrase
        if right or not given:
            self.words_said.say("that is the phrase" if right else "", GOOD)
        elif self._phrase.startswith(given):
            self.words_said.say(f"keep typing: {self._phrase[len(given) :].strip()}", DOUBT)
        else:
            self.words_said.say(f"that is not the phrase: {self._phrase}", BAD)
        self.press.disabled = not (right and self.name.value.strip() and self.reason.value.strip())

    def _press(self) -> str:
        return self._overrule(self.entry.value, self.name.value, self.reason.value, self.words.value)


# -- A view above a form, shown anew in its own place once the form was used ---------------------------


class Renewed(Generic[T]):
    """Remembers where its view was shown last, in whichever cell."""

    def __init__(self) -> None:
        self._handle: Any = None

    def view(self, view: View[T]) -> View[T]:
        """Return the view as one that can be renewed where a person looks at it."""
        return _Renewable(view, self) if attended() else view

    def show(self, view: View[T]) -> None:
        """Show a view, and remember where."""
        from IPython.display import display

        self._handle = display(_bundle(view), raw=True, display_id=True)  # type: ignore[no-untyped-call]

    def renew(self, view: View[T]) -> None:
        """Put another view in the place of the one that was shown last; without one nothing happens."""
        if self._handle is not None:
            self._handle.update(_bundle(view), raw=True)


class _Renewable(View[T]):
    _shown: Renewed[T]

    def __init__(self, view: View[T], shown: Renewed[T]) -> None:
        super().__init__(**{field.name: getattr(view, field.name) for field in fields(view)})
        object.__setattr__(self, "_shown", shown)  # the dataclass is frozen; where it is shown is no part of its value

    def _ipython_display_(self) -> None:
        self._shown.show(self)


def _bundle(view: View[Any]) -> dict[str, str]:
    return {"text/html": view._repr_html_(), "text/plain": view.text()}
