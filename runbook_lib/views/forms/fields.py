"""The fields of the form for a site: which key of the site's file each one gives, and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import ipywidgets

from runbook_lib.secrets import SecretRef
from runbook_lib.views.forms.base import Said
from runbook_lib.views.rows import BAD, GOOD
from runbook_lib.words import said

Where = tuple[str | int, ...]
REFERENCE = "env:NAME, file:PATH or keyring:SERVICE/USER"
_SCHEMES = ("env:", "file:", "keyring:")
NOT_KEPT = "that was no reference, and nothing of it is kept: passwords are never typed here; write " + REFERENCE


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


class Group(NamedTuple):
    """Fields that belong together; an ``optional`` group is left out of the file where all its fields are empty."""

    title: str
    fields: tuple[FieldSpec, ...]
    optional: bool = False


def _server(key: str, host: str, number: int) -> Group:
    who = key.capitalize()
    return Group(
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


def _ise(number: int) -> Group:
    who, name = ("ISE", "ise") if number == 0 else ("Second ISE", "ise2")
    return Group(
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


def _web() -> Group:
    at = ("primary", "web")
    return Group(
        "The primary's web pages",
        (
            FieldSpec((*at, "port"), "Web pages: port", "443", "number", needed=False),
            FieldSpec((*at, "user"), "Web pages: user", "root"),
            FieldSpec((*at, "password"), "Web pages: password", REFERENCE, "secret"),
        ),
        optional=True,
    )


GROUPS = (
    Group("The site", (FieldSpec(("name",), "Site's name", "paris; the file is params/paris.yaml"),)),
    Group(
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
    """One labelled control, what it gives, and what is wrong of it, said below."""

    def __init__(self, spec: FieldSpec, changed: Callable[[], None]) -> None:
        self.spec = spec
        self.said = Said(layout={"margin": "0 0 0 17em", "max_width": "24em"})
        self.control = self._control()
        self.widget = ipywidgets.VBox([self.control, self.said])
        self._changed = changed
        self._refused = False
        self.control.observe(self._typed, names="value")

    def _control(self) -> Any:
        kind = ipywidgets.Textarea if self.spec.kind == "lines" else ipywidgets.Text
        options: dict[str, Any] = {"rows": 1} if self.spec.kind == "lines" else {}
        hint = self.spec.hint
        return kind(
            description=said(self.spec.label),
            placeholder=said(hint if self.spec.needed else f"optional: {hint}"),
            layout={"width": "41em", "max_width": "98%"},
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
        """Show what is wrong of the value, or that nothing is."""
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
