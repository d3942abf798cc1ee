"""The form for what a person knows of a new certificate: a field, or a file that is dropped."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

from runbook_lib.certificates.expectation import LARGEST_FILE
from runbook_lib.errors import RunbookError
from runbook_lib.i18n.language import gettext
from runbook_lib.params.values import canonical_sha256
from runbook_lib.show.document import BAD, GOOD, Row, Table
from runbook_lib.show.forms import BELOW, LABEL, NATURAL_WIDTH, WIDE, Form, Said, button, ipywidgets, without_form
from runbook_lib.show.rendering import View

# -- A file that is chosen with a button or dropped: its name and its bytes are handed on, and no widget keeps them

FILES = ".csr,.req,.p10,.pem,.cer,.crt,.der"

# The button of ipywidgets takes no drop. What is dropped goes through a field that nobody sees, a byte more of it than
# may be, so that what is too large is refused like any other. Where a page allows no handlers the button is left.
_READ = """
const field = this.closest('.rb-file').querySelector('textarea');
const files = event.dataTransfer.files;
const hand = (name, base64) => {
  field.value = JSON.stringify({count: files.length, name, base64});
  field.dispatchEvent(new Event('input', {bubbles: true}));
};
const reader = new FileReader();
reader.onload = () => hand(files[0].name, reader.result.split(',')[1] || '');
reader.onerror = () => hand(files[0].name, '');
if (files.length === 1) reader.readAsDataURL(files[0].slice(0, LARGEST + 1)); else hand('', '');
""".replace("LARGEST", str(LARGEST_FILE))
_OVER = "event.preventDefault();this.classList.add('rb-over')"
_AWAY = "this.classList.remove('rb-over')"
_DROP = f"event.preventDefault();event.stopPropagation();{_AWAY};{_READ}"


class FileField:
    """A box that a file is dropped on, and a button that chooses one; ``take`` gets its name and its bytes.

    ``refuse`` gets the sentence that says why nothing was taken.
    """

    def __init__(
        self, words: str, label: str, take: Callable[[str, bytes], None], refuse: Callable[[str], None]
    ) -> None:
        self._take = take
        self._refuse = refuse
        self.button = ipywidgets.FileUpload(
            description=gettext(label), accept=FILES, multiple=False, layout=NATURAL_WIDTH
        )
        self.dropped = ipywidgets.Textarea(layout={"display": "none"})
        handlers = f'ondragover="{_OVER}" ondragleave="{_AWAY}" ondrop="{escape(_DROP)}"'
        box = ipywidgets.HTML(f'<div class="rb-drop" {handlers}>{escape(gettext(words))}</div>')
        self.widget = ipywidgets.VBox([box, self.dropped, self.button])
        self.widget.add_class("rb-file")
        self.button.observe(self._chosen, names="value")
        self.dropped.observe(self._drop, names="value")

    def _chosen(self, change: Any) -> None:
        if not change["new"]:
            return
        chosen = change["new"][0]
        name, content = str(chosen["name"]), bytes(chosen["content"])
        self.button.value = ()  # what it was is not kept in the widget, whatever it was
        self._take(name, content)

    def _drop(self, change: Any) -> None:
        if not change["new"]:
            return
        self.dropped.value = ""
        given = json.loads(change["new"])
        if given["count"] != 1:
            self._refuse("That was not one file; drop the file of one CSR or certificate.")
        else:
            self._take(str(given["name"]), base64.b64decode(given["base64"]))


# -- What a person knows of a new certificate by another way: what is pasted into a field, or a file that is dropped

NOTHING = "nothing"
PASTED = "the pasted text"
LONGEST_FINGERPRINT = 256  # characters, in whatever spelling; a longer text is that of a file


class ExpectedHost(NamedTuple):
    """A host, what the site's file says of its certificate and what this incident was given, and whether it has SSH."""

    name: str
    place: str
    in_file: str
    given: str
    has_ssh: bool


class Given(NamedTuple):
    """What was typed and dropped for one host: 64 hex digits or nothing, a file's name and content or nothing."""

    host: str
    sha256: str
    file: tuple[str, bytes] | None
    self_: bool


@dataclass(frozen=True, kw_only=True)
class ExpectationActions:
    """``read`` says what a file is, ``keep`` writes what is given, ``withdraw`` takes back what was given for a host.

    Each returns a sentence, or raises RunbookError.

    ``known`` returns the hosts with what is known by then.
    """

    known: Callable[[], tuple[ExpectedHost, ...]]
    read: Callable[[str, bytes], str]
    keep: Callable[[Given], str]
    withdraw: Callable[[str], str]


class ExpectationForm(Form[tuple[ExpectedHost, ...]]):
    """Takes a fingerprint, a CSR or a certificate for one host at a time; ``value`` are the hosts."""

    def __init__(self, acts: ExpectationActions) -> None:
        hosts = acts.known()
        ways = without_form(
            ("as a parameter", 'expect = "secondary=sha256:DIGITS; ise=csr:FILE"'),
            ("as a batch job", 'runbook run SITE --expect "secondary=sha256:DIGITS; ise=csr:FILE"'),
            ("to take it back", 'expect = "secondary=withdraw", or runbook run SITE --expect "secondary=withdraw"'),
            ("for every incident", "expect: in the site's file, csr:, certificate:, sha256:, ca: or self:"),
        )
        controls = _ExpectationControls(hosts, acts)
        super().__init__(hosts, (known(hosts), ways), (controls.widget,), controls.table)


def known(hosts: tuple[ExpectedHost, ...]) -> Table:
    """Return the table of what is known before anything is looked at."""
    return Table(
        title="What is known of the new certificates by another way",
        headers=("host", "address and port", "in the site's file", "given to this incident"),
        rows=tuple(Row(host.name, host.place, host.in_file, host.given) for host in hosts),
        note="If nothing is known of a host, the verdict on it is “unconfirmed”, and its entry stays.",
        below=("in the site's file", "given to this incident"),
    )


class _ExpectationControls:
    def __init__(self, hosts: tuple[ExpectedHost, ...], acts: ExpectationActions) -> None:
        self._acts = acts
        self._hosts = {host.name: host for host in hosts}
        self._file: tuple[str, bytes] | None = None
        names = [host.name for host in hosts]
        self.host = ipywidgets.Dropdown(description=gettext("Host"), options=names, layout=WIDE, style=LABEL)
        self.known_said = Said(layout=BELOW)
        self.digits = ipywidgets.Textarea(
            description=gettext("Fingerprint or PEM"),
            placeholder=gettext(
                "SHA-256, as somebody read it out: colons, blanks and capitals do not matter; or the text of a CSR or"
                " certificate, with its BEGIN and END lines"
            ),
            rows=3,
            layout=WIDE,
            style=LABEL,
        )
        self.digits_said = Said(layout=BELOW)
        self.file = FileField(
            "Drop the file of a CSR or certificate here, or choose it with the button:",
            "CSR or certificate file",
            self._take,
            self._refuse,
        )
        self.file_said = Said(layout=BELOW)
        self.self_ = ipywidgets.Checkbox(
            description=gettext("compare with what the host shows through its own SSH server"),
            indent=False,
            layout=WIDE,
        )
        self.table = ipywidgets.HTML(View(None, (known(hosts),))._repr_html_())
        self.said = Said()
        self.keep = button("Keep this", "Writes it into the record; contacts nothing", self._press, self.said)
        hint = "Takes back what was given to this incident for this host; the site's file stays as it is"
        self.withdraw = button("Withdraw", hint, self._withdraw, self.said)
        self.file.widget.layout = {**BELOW, "width": "32.4em", "max_width": "98%"}
        own = ipywidgets.VBox([self.self_], layout=BELOW)
        fields = [
            self.host,
            self.known_said.widget,
            self.digits,
            self.digits_said.widget,
            self.file.widget,
            self.file_said.widget,
            own,
        ]
        self.widget = ipywidgets.VBox([*fields, self.keep, self.withdraw, self.said.widget])
        self.digits.observe(lambda _: self._typed(), names="value")
        self.self_.observe(lambda _: self._check(), names="value")
        self.host.observe(lambda _: self._check(), names="value")
        self._check()

    def _check(self) -> None:
        digits, problem = self._digits()
        if problem or digits:
            self.digits_said.say(problem or f"64 hex digits: {digits}", BAD if problem else GOOD)
        else:
            self.digits_said.say("")
        host = self._hosts[self.host.value]
        if not host.has_ssh:
            self.self_.value = False
        self.self_.disabled = not host.has_ssh
        self.known_said.say(
            f"For {host.name}, the site's file says: {host.in_file}; this incident was given: {host.given}"
        )
        self.withdraw.disabled = host.given == NOTHING
        self.withdraw.description = gettext(f"Withdraw what was given for {host.name}")
        self.keep.disabled = bool(problem) or not (digits or self._file or self.self_.value)
        self.keep.description = gettext(f"Keep this for {self.host.value}")

    def _digits(self) -> tuple[str, str]:
        """Return the digits that were typed, or what is wrong with them."""
        if not self.digits.value.strip():
            return "", ""
        try:
            return canonical_sha256(self.digits.value), ""
        except ValueError as error:
            return "", str(error)

    def _typed(self) -> None:
        """Take what is no fingerprint as a file's text, out of the field at once: it may be a private key."""
        text = self.digits.value
        if "-----BEGIN" in text or len(text) > LONGEST_FINGERPRINT:
            self.digits.value = ""
            self._take(PASTED, text.encode())
        self._check()

    def _take(self, name: str, content: bytes) -> None:
        try:
            read = self._acts.read(name, content)
        except RunbookError as error:
            self._refuse(f"{type(error).__name__}: {error}")
        else:
            self._file = (name, content)
            self.file_said.say(read, GOOD)
            self._check()

    def _refuse(self, why: str) -> None:
        self._file = None
        self.file_said.say(why, BAD)
        self._check()

    def _press(self) -> str:
        digits, _ = self._digits()
        answer = self._acts.keep(Given(self.host.value, digits, self._file, bool(self.self_.value)))
        self._file, self.digits.value, self.self_.value = None, "", False
        self.file_said.say("")
        self._renew()
        return answer

    def _withdraw(self) -> str:
        answer = self._acts.withdraw(self.host.value)
        self._renew()
        return answer

    def _renew(self) -> None:
        hosts = self._acts.known()
        self._hosts = {host.name: host for host in hosts}
        self.table.value = View(None, (known(hosts),))._repr_html_()
        self._check()
