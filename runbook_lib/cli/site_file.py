"""``runbook new`` and ``runbook check``: the smallest file of a site that works, asked for on the terminal; its check.

Each answer is checked by what ``runbook check`` uses. What a server shows is shown to a person and proposed, never
taken: a host key is pinned only when somebody says that it was compared at the server's own console. What talks to
devices is loaded where a server is asked: a file alone is checked without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from runbook_lib import event_loop, paths
from runbook_lib.cli.terminal import answer_to, can_ask, out, out_lines, prose
from runbook_lib.errors import BrowserMissing, DeviceError, ParameterRefused, RunbookError, SiteFileInvalid, UsageError
from runbook_lib.models import PI_SERVERS
from runbook_lib.notebook.workspace import open_site
from runbook_lib.observations import Check
from runbook_lib.params.load import Draft, draft_site, secret_references
from runbook_lib.params.model import SSH_PORT, Site, lacking
from runbook_lib.params.values import split_port
from runbook_lib.params.yaml_source import Value, Where, is_within
from runbook_lib.paths import find_browser
from runbook_lib.secrets import NOT_A_REFERENCE, SecretRef, unresolved

if TYPE_CHECKING:
    from runbook_lib.repair.confirmation import Look
    from runbook_lib.repair.context import Target

# -- ``runbook new``: one question after the other, each answer checked ----------------------------

PATIENCE = 3
"""How often a question that needs an answer is asked before nobody is taken to be there."""


EXPECTED = ("csr", "certificate", "sha256")
NO_EXPECTATION = f"begin with one of {', '.join(f'{each}:' for each in EXPECTED)}"

Ask = Callable[[str], str]


def new_command(site: str) -> None:
    """Ask for a site, look at its servers, and write its file.

    Raises UsageError where nobody is at a terminal, ParameterRefused for a site that is there, SiteFileInvalid.
    """
    if not can_ask():
        raise UsageError(
            "This asks on a terminal, and there is none",
            next_step=f"copy {paths.examples_dir() / 'example.yaml'} to {paths.params_dir() / site}.yaml and change it,"
            " or use the form in 00_start_here",
        )
    from runbook_lib.notebook.opening import write_file

    draft = Interview(site, answer_to).draft()
    written = write_file(draft, "runbook new")
    prose(f"Written: {paths.params_dir() / f'{written}.yaml'}, for you alone to read.")
    for warning in lacking(draft.site) if draft.site else ():
        prose(f"Warning: {warning}")
    prose(f"Next: runbook check {written} --live")


class Interview:
    """The questions of one site, in order; ``draft`` asks them all and returns the file."""

    def __init__(self, name: str, ask: Ask) -> None:
        self._ask = ask
        self._typed: dict[Where, Value] = {}
        if (paths.params_dir() / f"{name}.yaml").exists():
            raise ParameterRefused(
                f"There is a site {name} already; its file was left as it is",
                where=str(paths.params_dir() / f"{name}.yaml"),
                next_step=f"give another name, or change that file and check it: runbook check {name}",
            )
        self._name = name
        if problem := self._put(("name",), name):
            raise ParameterRefused(f"{name}: {problem}", next_step="give the site's name alone, as paris")

    def draft(self) -> Draft:
        """Return the text of the site's file; raises SiteFileInvalid with all that is wrong with it."""
        prose(
            "Passwords are never typed here: where they are is asked, as env:NAME, file:PATH or keyring:SERVICE/USER."
        )
        prose("Enter takes what stands in [ ]; Ctrl-C ends this, and nothing is written.")
        prose(f"A relative path begins at the folder of the site's file, {paths.params_dir()}.")
        from runbook_lib.repair.context import targets

        try:
            for key in PI_SERVERS:
                self._server(key)
            self._ise_servers()
            self._web()
            self._known()
        except UsageError:
            prose("What was answered so far, as the site's file would hold it:")
            for line in self._drafted().text.splitlines():
                out(f"  {line}")
            raise
        drafted = self._drafted()
        if drafted.site is None:
            problems = "\n".join(f"{'.'.join(map(str, each.where))}: {each.text}" for each in drafted.problems)
            raise SiteFileInvalid(
                "The site's file would have problems; nothing was written", found=problems, next_step="begin again"
            )
        for target in targets(drafted.site):
            self._certificate(target)
        return self._drafted()

    # -- the questions ----------------------------------------------------------------------------

    def _server(self, key: str) -> None:
        question = f"{key}: address or name (HOST:PORT where SSH is not on 22)?"
        self._text((key, "address"), question, port=(key, "ssh", "port"))
        self._text((key, "ssh", "user"), f"{key}: SSH user?", "admin")
        self._secret((key, "ssh", "password"), f"{key}: where is its SSH password?", f"{key}_SSH")
        self._text((key, "logs"), f"{key}: its logs, a file, folder or archive (empty: none yet)?", needed=False)
        self._host_key(key)

    def _ise_servers(self) -> None:
        for number, which in enumerate(("the ISE server", "a second ISE server")):
            where: Where = ("ise", number)
            asked = f"{which}: address or name (HOST:PORT where its port is not 443; empty: none)?"
            if not self._text((*where, "address"), asked, needed=False, port=(*where, "port")):
                return
            self._put((*where, "name"), "ise" if number == 0 else "ise2")

    def _web(self) -> None:
        """What stages 40 and 50 type: it can be left out, and written when it is needed."""
        prose(
            "Only stages 40 and 50 need what follows; leave it empty, and the file diagnoses, lists and plans without."
        )
        if self._text(("primary", "web", "user"), "primary: user of the web pages (empty: later)?", needed=False):
            self._secret(("primary", "web", "password"), "primary: where is that user's password?", "WEB")
            self._text(("primary", "web", "port"), "primary: port of its web pages (empty: 443)?", needed=False)
        self._secret(("ha", "auth_key"), "HA: where is the authentication key (empty: later)?", "", needed=False)
        for number in range(sum(1 for where in self._typed if where[0] == "ise" and where[-1] == "address")):
            at: Where = ("ise", number)
            question = f"{self._typed[(*at, 'name')]}: user that Prime Infrastructure signs in with (empty: later)?"
            if self._text((*at, "user"), question, needed=False, checked=False):
                self._secret((*at, "password"), "where is that user's password?", f"ISE{number + 1}")

    def _known(self) -> None:
        """Ask what is known of each new certificate; before any is looked at, so that nothing is copied from there."""
        prose("Of each new certificate: what you have by another way decides whether anything may be deleted.")
        hosts: list[tuple[str, Where]] = [(key, (key,)) for key in PI_SERVERS]
        hosts += [
            (str(name), where[:2]) for where, name in self._typed.items() if where[0] == "ise" and where[-1] == "name"
        ]
        for name, place in hosts:
            question = f"{name}: csr:FILE, certificate:FILE or sha256:DIGITS (empty: later)?"
            while answer := self._ask(question):
                kind, _, value = answer.partition(":")
                known = bool(value) and kind in EXPECTED
                problem = self._put((*place, "expect", kind), value) if known else NO_EXPECTATION
                if not problem:
                    break
                prose(f"  {problem}")

    # -- what the servers show --------------------------------------------------------------------

    def _host_key(self, key: str) -> None:
        """Show the SSH host key beside what prints it at the console; pin it when a person says that they are equal."""
        from runbook_lib.notebook.opening import show_host_key

        port = int(str(self._typed.get((key, "ssh", "port"), SSH_PORT)))
        shown = show_host_key(str(self._typed[(key, "address")]), port)
        prose(f"{key}: its SSH host key: {shown.words}")
        asked = f"{key}: was it compared at the console, and is it equal? Type yes:"
        if shown.fingerprint and self._ask(asked).lower() == "yes":
            self._put((key, "ssh", "host_key"), shown.fingerprint)
        else:
            prose(f"{key}: not pinned, so no stage logs in there until ssh: host_key: is written.")

    def _certificate(self, target: Target) -> None:
        """Look at a host's certificate; propose its names, and ``self`` where its own SSH server shows the same."""
        from runbook_lib.repair.confirmation import look_at_certificate

        place = self._place(target.name)
        may_login = target.ssh is not None and bool(target.ssh.host_key) and not unresolved((target.ssh.password,))
        look: Look = event_loop.run(look_at_certificate(target, login=may_login))
        prose(f"{target.name}: certificate on {target.address}:{target.port}: {look.sha256 or look.problem}")
        if look.names and self._yes(f"{target.name}: it names {', '.join(look.names)}; are these names of that host?"):
            self._put((*place, "names"), list(look.names))
        if look.own == "other":
            prose(f"  BEWARE: {target.name} shows another certificate through its own SSH server: somebody else may be")
            prose("  answering here. Nothing is proposed; ask the network and security people before any repair.")
        elif look.own and self._yes(f"{target.name}: its own SSH server shows the same. Write expect: {{self: true}}?"):
            self._put((*place, "expect", "self"), True)
        elif target.ssh is not None and not look.own:
            why = look.problem if may_login else "no host key is pinned, or its password is not to be had here"
            prose(f"  whether its own SSH server can show it is not known: {why}")

    def _place(self, name: str) -> Where:
        if name in PI_SERVERS:
            return (name,)
        return next(where[:2] for where, value in self._typed.items() if where[-1] == "name" and value == name)

    # -- asking -----------------------------------------------------------------------------------

    def _yes(self, question: str) -> bool:
        return self._ask(f"{question} [yes/no]").lower() in ("y", "yes")

    def _text(
        self,
        where: Where,
        question: str,
        usual: str = "",
        *,
        needed: bool = True,
        checked: bool = True,
        port: Where = (),
    ) -> bool:
        """Ask until the answer is right; return whether there is one. ``port``: where the port of HOST:PORT belongs."""

        def problem_of(answer: str) -> str:
            answer, given = split_port(answer) if port else (answer, None)
            if not answer:
                return "an answer is needed"
            is_number = where[-1] == "port" and answer.isascii() and answer.isdecimal()
            problem = self._put(where, int(answer) if is_number else answer, checked=checked)
            return problem if problem or given is None else self._put(port, given)

        return self._until_right(question, usual, problem_of, needed=needed)

    def _secret(self, where: Where, question: str, usual: str, *, needed: bool = True) -> None:
        """Ask where a secret is; what is no reference may be the secret itself, and nothing of it is kept or shown."""
        usual = f"env:{re.sub(r'[.-]', '_', f'{self._name}_{usual}').upper()}" if usual else ""

        def problem_of(answer: str) -> str:
            try:
                SecretRef.parse(answer)
            except ValueError:
                return f"{NOT_A_REFERENCE}; what was typed is not kept"
            self._typed[where] = answer
            return ""

        self._until_right(question, usual, problem_of, needed=needed)

    def _until_right(self, question: str, usual: str, problem_of: Callable[[str], str], *, needed: bool) -> bool:
        """Ask until nothing is wrong with the answer; return whether there is one. Raises UsageError without one."""
        for _ in range(PATIENCE):
            answer = self._ask(f"{question} [{usual}]" if usual else question) or usual
            if not answer and not needed:
                return False
            problem = problem_of(answer)
            if not problem:
                return True
            prose(f"  {problem}")
        raise UsageError(f"{question} has no answer that can be used; nothing was written", next_step="begin again")

    def _put(self, where: Where, value: Value, *, checked: bool = True) -> str:
        """Keep an answer; return what is wrong with it, and keep nothing then."""
        self._typed[where] = value
        problems = [each.text for each in self._drafted().problems if is_within(each.where, where)] if checked else []
        if problems:
            del self._typed[where]
        return "; ".join(problems)

    def _drafted(self) -> Draft:
        return draft_site(self._typed, "", paths.params_dir())


# -- ``runbook check``: the file, what this machine has to have for it, and with ``--live`` its servers


def check_command(site: str, *, live: bool) -> int:
    """Print what was checked and return the exit code: 2 where a secret or the browser is missing.

    What the file lacks and a later stage needs is a warning: the stages before it run.
    """
    settings = open_site(site)
    out(f"The file of site {settings.name} is valid.")
    for warning in lacking(settings):
        prose(f"Warning: {warning}")
    missing = _missing(settings)
    for error in missing:
        prose(f"{error.what}: {error.found}" if error.found else error.what)
        prose(f"  next: {error.next_step}")
    if not live:
        out("Nothing was contacted; --live asks the servers too.")
    if missing or not live:
        return UsageError.exit_code if missing else 0
    return check_live(settings)


def _missing(site: Site) -> list[RunbookError]:
    """Return what a repair will need of this machine and does not find; nobody is asked for a secret."""
    missing: list[RunbookError] = list(unresolved(secret_references(site)))
    if site.web != "guided":
        try:
            find_browser(site.browser)
        except BrowserMissing as error:
            missing.append(error)
    return missing


def check_live(site: Site) -> int:
    """Print what a site's servers answered and return the exit code: 4 where one of them is not as it has to be.

    Raises the first error that a command line or the login to the web pages ended with.
    """
    from runbook_lib.show import tables

    checks, problem = event_loop.run(_live(site))
    for check in checks:
        if check.ok:
            prose(f"✔ {check.name}: {check.actual}" + (f" ({check.note})" if check.note else ""))
    if others := tuple(check for check in checks if not check.ok):
        out_lines(tables.checks(others, f"Site {site.name}: what is not as expected, or not known").text())
    if problem:
        raise problem
    return 0 if all(check.ok is not False for check in checks) else DeviceError.exit_code


async def _live(site: Site) -> tuple[tuple[Check, ...], RunbookError | None]:
    from runbook_lib.repair import preflight
    from runbook_lib.repair.context import Devices
    from runbook_lib.repair.primary_pages import login_check

    devices = Devices(site, keep=lambda *_: None)
    try:
        checks, problem = await preflight.ask_servers(site, devices)
        if problem or site.primary.web is None or site.web == "guided":
            return checks, problem
        login, problem = await login_check(site, devices)
        return (*checks, login), problem
    finally:
        await devices.close()
