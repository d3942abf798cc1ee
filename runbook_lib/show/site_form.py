"""Typing a new site's file: its fields, the servers' host keys, and what is checked at each key stroke."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from runbook_lib.i18n.language import gettext
from runbook_lib.models import PI_SERVERS
from runbook_lib.params.load import Draft, draft_site
from runbook_lib.params.model import SSH_PORT
from runbook_lib.params.yaml_source import SiteFileProblem, is_within, shown_key
from runbook_lib.secrets import NOT_A_REFERENCE, SecretRef
from runbook_lib.show.document import BAD, DOUBT, GOOD
from runbook_lib.show.forms import LABEL, Said, button, ipywidgets

# -- The fields of the form for a site: which key of the site's file each one gives, and how it is read

Where = tuple[str | int, ...]
REFERENCE = "env:NAME, file:PATH or keyring:SERVICE/USER"
_SCHEMES = ("env:", "file:", "keyring:")
NOT_KEPT = f"that was not a reference, and it was not kept: passwords are never typed here; write {REFERENCE}"


class FieldSpec(NamedTuple):
    """One field: its key in the site's file, its label, what an empty one shows, and its kind.

    ``kind`` is ``text``, ``number``, ``secret`` or ``lines`` (several, one a line). ``needed``: the site's file is
    not complete without it, as soon as anything of its section is there.
    """

    where: Where
    label: str
    hint: str
    kind: str = "text"
    needed: bool = True


class FieldGroup(NamedTuple):
    """Fields that belong together; an ``optional`` group is left out of the file where all its fields are empty."""

    title: str
    fields: tuple[FieldSpec, ...]
    optional: bool = False


def _server(key: str, host: str, number: int) -> FieldGroup:
    who = key.capitalize()
    return FieldGroup(
        f"The {key} server",
        (
            FieldSpec((key, "address"), f"{who}: address", f"192.0.2.{number}"),
            FieldSpec((key, "health_monitor_port"), f"{who}: Health Monitor port", "8082", "number", needed=False),
            FieldSpec((key, "ssh", "port"), f"{who}: SSH port", "22", "number", needed=False),
            FieldSpec((key, "ssh", "user"), f"{who}: SSH user", "admin"),
            FieldSpec((key, "ssh", "password"), f"{who}: SSH password", REFERENCE, "secret"),
            FieldSpec((key, "ssh", "host_key"), f"{who}: SSH host key", "SHA256:… from its console", "lines"),
            FieldSpec((key, "ssh", "prompt_host"), f"{who}: name in its prompt", host, needed=False),
            FieldSpec((key, "logs"), f"{who}: logs", f"logs/{key}, one path a line", "lines", needed=False),
            FieldSpec((key, "log_zone"), f"{who}: zone of its logs", "UTC, Europe/Paris, +02:00", needed=False),
        ),
    )


def _ise(number: int) -> FieldGroup:
    who, name = ("ISE", "ise") if number == 0 else ("Second ISE", "ise2")
    return FieldGroup(
        "The ISE server" if number == 0 else "A second ISE server",
        (
            FieldSpec(("ise", number, "name"), f"{who}: name", name, needed=False),
            FieldSpec(("ise", number, "address"), f"{who}: address", f"192.0.2.{20 + number}"),
            FieldSpec(("ise", number, "port"), f"{who}: port", "443", "number", needed=False),
            FieldSpec(("ise", number, "user"), f"{who}: user", "pi-reader", needed=False),
            FieldSpec(("ise", number, "password"), f"{who}: password", REFERENCE, "secret", needed=False),
        ),
        optional=True,
    )


def _web() -> FieldGroup:
    at = ("primary", "web")
    return FieldGroup(
        "The primary's web pages",
        (
            FieldSpec((*at, "port"), "Web pages: port", "443", "number", needed=False),
            FieldSpec((*at, "user"), "Web pages: user", "root"),
            FieldSpec((*at, "password"), "Web pages: password", REFERENCE, "secret"),
        ),
        optional=True,
    )


GROUPS = (
    FieldGroup("The site", (FieldSpec(("name",), "Site's name", "paris; the file is params/paris.yaml"),)),
    FieldGroup(
        "High availability",
        (
            FieldSpec(("ha", "auth_key"), "HA: authentication key", REFERENCE, "secret"),
            FieldSpec(("ha", "email"), "HA: e-mail", "noc@example.com", "lines", needed=False),
        ),
        optional=True,
    ),
    _server("primary", "prime-pri", 10),
    _server("secondary", "prime-sec", 11),
    _web(),
    _ise(0),
    _ise(1),
)


class SiteField:
    """One labelled control, what it gives, and what is wrong with it, said below."""

    def __init__(self, spec: FieldSpec, changed: Callable[[], None]) -> None:
        self.spec = spec
        self.said = Said(layout={"margin": "0 0 0 17em", "max_width": "31em"})
        self.control = self._control()
        self.widget = ipywidgets.VBox([self.control, self.said.widget])
        self._changed = changed
        self._refused = False
        self.control.observe(self._typed, names="value")

    def _control(self) -> Any:
        kind = ipywidgets.Textarea if self.spec.kind == "lines" else ipywidgets.Text
        options: dict[str, Any] = {"rows": 1} if self.spec.kind == "lines" else {}
        hint = self.spec.hint
        return kind(
            description=gettext(self.spec.label),
            placeholder=gettext(hint if self.spec.needed else f"optional: {hint}"),
            layout={"width": "48em", "max_width": "98%"},
            style={"description_width": "17em"},
            **options,
        )

    def _typed(self, change: Any) -> None:
        """A value that departs from every kind of reference is taken out at once: it may be a password."""
        text = str(change["new"])
        if self.spec.kind == "secret" and text and not _may_become_a_reference(text):
            self._refused = True
            self.control.value = ""
            self._changed()
            return
        if text:
            self._refused = False
        self._changed()

    def value(self) -> Any:
        """Return what the site's file gets, None where the field is empty."""
        text = self.control.value.strip()
        if not text:
            return None
        if self.spec.kind == "number":
            return int(text) if text.isdecimal() and text.isascii() else text
        if self.spec.kind == "lines":
            return [line.strip() for line in text.splitlines() if line.strip()]
        return text

    def say(self, problem: str) -> None:
        """Show what is wrong with the value, or that nothing is."""
        if self._refused:
            self.said.say(NOT_KEPT, BAD)
        elif self.value() is None:
            self.said.say("")
        else:
            self.said.say(problem or "good", BAD if problem else GOOD)


def _may_become_a_reference(text: str) -> bool:
    """Whether a text is a reference, or the beginning of one."""
    if any(scheme.startswith(text) for scheme in _SCHEMES) or text in _SCHEMES:
        return True
    if not text.startswith(_SCHEMES):
        return False
    if text.startswith("keyring:"):
        return text.isprintable()
    try:
        SecretRef.parse(text)
    except ValueError:
        return False
    return not text.startswith("env:") or text == text.upper().replace("ENV:", "env:", 1)


# -- The servers' SSH host keys: shown, and taken only when somebody says that they were compared ---


class ShownKey(NamedTuple):
    """The SSH host key that a server shows, in words for a person; ``fingerprint`` is empty where it shows none."""

    words: str
    fingerprint: str = ""


class _HostKeys:
    """A button that says which key each server shows, and for each a box that takes it once somebody compared it."""

    def __init__(self, fields: Mapping[Where, SiteField], look: Callable[[str, int], ShownKey]) -> None:
        self._fields = fields
        self._look = look
        self._shown = dict.fromkeys(PI_SERVERS, "")
        self.compared = {server: self._box(server) for server in self._shown}
        self.said = Said()
        hint = "Fetches the SSH host keys of both servers; it does not log in and accepts no key"
        self.button = button("Show the host keys", hint, self._show, self.said, DOUBT)
        self.widget = ipywidgets.VBox([self.button, self.said.widget, *self.compared.values()])

    def _box(self, server: str) -> Any:
        box = ipywidgets.Checkbox(
            description=gettext(f"{server}: compared in full at the server's own console, and identical; use it"),
            indent=False,
            layout={"width": "max-content", "max_width": "98%", "display": "none"},
        )
        box.observe(lambda change: self._take(server, taken=change["new"]), names="value")
        for where in ((server, "address"), (server, "ssh", "port")):
            self._fields[where].control.observe(lambda _: self._forget(server), names="value")
        return box

    def _show(self) -> str:
        lines = []
        for server in self._shown:
            self._forget(server)
            address, port = self._fields[server, "address"].value(), self._fields[server, "ssh", "port"].value()
            if address:
                key = self._look(address, port if isinstance(port, int) else SSH_PORT)
                lines.append(f"{server}: {gettext(key.words)}")
                self._shown[server] = key.fingerprint
                self.compared[server].layout.display = "flex" if key.fingerprint else "none"
        return "\n".join(lines) or "type the servers' addresses first"

    def _forget(self, server: str) -> None:
        """Take back what was taken of another address, port or key."""
        self.compared[server].value = False
        self.compared[server].layout.display = "none"

    def _take(self, server: str, *, taken: bool) -> None:
        field = self._fields[server, "ssh", "host_key"].control
        if taken:
            field.value = self._shown[server]
        elif field.value == self._shown[server]:
            field.value = ""


# -- A new site's file: typed, checked at each key stroke as ``load_site`` would, and written once

_HEADING = "<h3>{}</h3>"
_FURTHER = "any key that params/example.yaml explains and that has no field here, such as\ndeadlines:\n  settle_s: 900"


class SiteControls:
    """The controls that make a site's file, which would lie in ``folder``.

    ``write`` is called with a draft that has no problem; it writes the file and returns the sentence to say.
    """

    def __init__(self, folder: Path, write: Callable[[Draft], str], host_key: Callable[[str, int], ShownKey]) -> None:
        self._folder = folder
        self._write = write
        self.fields = {spec.where: SiteField(spec, self._check) for group in GROUPS for spec in group.fields}
        self.keys = _HostKeys(self.fields, host_key)
        self.further = ipywidgets.Textarea(
            description=gettext("Further keys"),
            continuous_update=False,  # half a reference is no reference
            placeholder=gettext(_FURTHER),
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
        self.widget = ipywidgets.VBox(
            [boxes, self.keys.widget, self.further, self.button, self.said.widget, self.preview]
        )
        self._check()

    def _box(self, group: FieldGroup) -> ipywidgets.VBox:
        heading = gettext(group.title) + (gettext(" (leave empty if there is none)") if group.optional else "")
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
        """Return the file as it stands now, with what is wrong with it."""
        typed = {where: value for where, field in self.fields.items() if (value := field.value()) is not None}
        return draft_site(typed, self.further.value, self._folder)

    def _check(self, *_: Any) -> None:
        draft = self.draft()
        elsewhere = [problem for problem in draft.problems if not self._say_at_field(problem)]
        at_fields = {where: self._problem_at(where, draft) for where in self.fields}
        for where, field in self.fields.items():
            field.say(at_fields[where])
        self._summary(draft, elsewhere)

    def _say_at_field(self, problem: SiteFileProblem) -> bool:
        """Whether a field says this problem already: of its own value, or of one that is not filled in yet."""
        return any(
            is_within(problem.where, where) or (is_within(where, problem.where) and self._needed(field))
            for where, field in self.fields.items()
        )

    def _problem_at(self, where: Where, draft: Draft) -> str:
        return "; ".join(problem.text for problem in draft.problems if is_within(problem.where, where))

    def _needed(self, field: SiteField) -> bool:
        """Whether the file is not complete without this field: an optional group that is empty needs nothing."""
        group = next(group for group in GROUPS if field.spec in group.fields)
        begun = any(self.fields[spec.where].value() is not None for spec in group.fields)
        return field.spec.needed and field.value() is None and (begun or not group.optional)

    def _summary(self, draft: Draft, elsewhere: list[SiteFileProblem]) -> None:
        lines = [f"{shown_key(problem.where)}: {problem.text}" for problem in elsewhere]
        missing = [gettext(field.spec.label) for field in self.fields.values() if self._needed(field)]
        if missing:
            lines.append(f"required and still empty: {', '.join(missing)}")
        wrong = [
            where for where in self.fields if self.fields[where].value() is not None and self._problem_at(where, draft)
        ]
        if wrong:
            lines.append(f"still wrong: {', '.join(gettext(self.fields[where].spec.label) for where in wrong)}")
        self.button.disabled = bool(lines)
        if lines:
            self.said.say("\n".join(map(gettext, lines)), BAD if elsewhere or wrong else DOUBT)
        else:
            self.said.say("Everything is as it should be.", GOOD)
        title = escape(gettext("The file as it would be written"))
        shown = f"<details><summary>{title}</summary><pre>{escape(draft.text)}</pre></details>"
        self.preview.value = "" if lines else shown

    def _press(self) -> str:
        return self._write(self.draft())
