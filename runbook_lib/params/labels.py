"""Every word that is looked for or typed on the web pages, as data; a site's file may add its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from runbook_lib.errors import ParameterRefused

# -- What pages say and ask, by meaning ------------------------------------------------------------

SECONDARY = "the secondary"
"""What questions call it whose address they may name instead."""


def _table(text: str) -> dict[str, tuple[str, ...]]:
    """Read lines such as ``name: phrase | phrase``; one that is indented goes on with the line before it."""
    lines = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\n    ", " ").strip().splitlines()
    parts = (line.partition(":") for line in lines)
    return {name: tuple(filter(None, words.strip().split(" | "))) for name, _, words in parts}


PHRASES: dict[str, tuple[str, ...]] = _table("""
# What a page says, by meaning. Only the wrong key's sentence is published.
wrong_key: authentication key does not match | invalid authentication key | wrong authentication key
mismatch: TOFU failed | trust on first use | certificate of the remote host is different | certificate mismatch |
    certificate does not match | SSLHandshakeException | CertificateException
duplicate: already exists | already added | duplicate | already configured | already registered
too_many: maximum | at most two | only two | more than two | limit
unauthorized: 401 | unauthorized | authentication failed | invalid credentials | invalid username |
    invalid user name | incorrect password | wrong password | credentials are not valid
unreachable: unreachable | not reachable | cannot reach | could not reach | unable to reach | unable to connect |
    could not connect | cannot connect | connection refused | connection timed out | no route to host | no response
locked: locked | too many failed | too many attempts | temporarily disabled | account is disabled
expired: password has expired | password expired | change your password | must change | new password
login_wrong: invalid | incorrect | wrong | failed | not recognized | denied | unknown user | try again | not valid |
    bad credentials
refused: failed | failure | error | invalid | is required | are required | mandatory | cannot | could not | unable |
    not allowed | denied | refused | rejected | aborted | unsuccessful | timed out | does not match | do not match |
    not supported | must be | please enter
# of these what was filled in is refused, whatever else they speak of
input: invalid | is required | are required | mandatory | must be | please enter
# an error that does not say whether what was sent was done
broken: internal server error | internal error | server error | unexpected error | unknown error | error 500 |
    status 500 | HTTP 500 | 502 | 503 | 504 | bad gateway | gateway timeout | timed out | timeout |
    service unavailable | try again later | NullPointerException
harmless: no error | no errors | 0 errors | without error | no failure | no failures
# after a click: what goes on is somebody else's
others: already in progress | already running | already under way | already being | already started | another user |
    another administrator | another session | somebody else | someone else
under_way: in progress | registering | under way | running | please wait | initializing | started
loading: loading | fetching data
# in a field to filter a table by
unfiltered: all | any | no filter
empty: no data | no records | no entries | no items | no rows | no server | no servers | no ISE server |
    no ISE servers
# -- states in tables
passed: pass | passed | ok | success | successful | succeeded | ready | yes | met | ✓ | ✔ | ✅
failed: fail | failed | failure | not ready | error | warning | no | not met | unsupported | ✗ | ✘ | ✖ | ❌
pending: pending | in progress | checking | running | waiting | not started | please wait
answering: reachable | up | connected | active | ok | success | online | available | in service
not_answering: unreachable | not reachable | down | disconnected | failed | error | offline | unavailable |
    not connected | 401 | unauthorized | mismatch
milestone_done: completed | complete | done | success | successful | finished
milestone_failed: failed | failure | error | aborted
session_ending: session is about to expire | session will expire | session expires in | session is about to time out |
    session will time out | session timeout | due to inactivity | stay signed in | stay logged in |
    you will be logged out in | you will be signed out in
# -- states of high availability
mode_active: Primary Active
# -- questions that a page may ask: “Continue?” alone says nothing of what goes on
ask_register: register | registration | registering | are you sure | high availability
ask_delete: delete | remove | are you sure | continue | proceed | deleted | removed | deleting | removing
ask_save: save | add | are you sure | saving | adding | be added
# no other word may stand in a question that is agreed to, but those of the phrases that were expected
ask_words: a an the this that it its s is are be will would may might can do does did have has you your we really want
    wish like to of on in at for from with and or by as if then now here please note about make sure question warning
    confirmation confirm continue proceed go ahead yes ok press click x take takes long longer time up some several
    few many large amount hour hours minute minutes depending depends size while when until once during secondary
    primary server servers ISE HA high availability configuration configure prime infrastructure begin begins begun
    start starts started initiate initiated process operation database data copy copied replicate replicated
    replication synchronize synchronized between both complete completes finish selected entry item row list
# whole words each: what is lost, who is trusted, what has gone wrong already, what is agreed to
ask_danger: remove | removes | removed | delete | deletes | deleted | erase | erases | erased | wipe | wiped |
    overwrite | overwrites | overwritten | replace | replaces | replaced | reset | lose | lost | break | breaks |
    unregister | unregistered | certificate | certificates | trust | trusted | untrusted | fingerprint | thumbprint |
    failed | failure | failures | not ready | not reachable | unreachable | mismatch | different | not match |
    license | licence | agreement | to this server | to this one | from secondary | from the secondary | to primary |
    to the primary
""")
# Known in a question as well: how a dialogue is used, and what registration does by its nature, of the secondary alone.
PHRASES["ask_planned"] = (
    *(f"cannot be {done}" for done in ("cancelled", "canceled", "interrupted", "stopped", "aborted", "undone")),
    *("or cancel to abort", "or cancel to stop", "or cancel to go back", "or cancel", "do not close the browser"),
    *(
        f"{whose} {what}"
        for whose in (
            *("secondary's database", "secondary server's database", "secondary database"),
            *(
                f"{all_} {place} {SECONDARY}{server}"
                for all_ in ("database", "data", "all data", "all the data", "all existing data", "existing database")
                for place in ("of", "on")
                for server in ("", " server")
            ),
        )
        for what in ("will be overwritten", "is overwritten", "will be replaced", "is replaced")
    ),
)
OURS = ("registration", "register", "registering", "high availability", "HA", "secondary", "ISE")
"""What a dialogue speaks of that concerns what is done here."""


# -- What is pressed or filled in, by the words that name it.
#
# ``source`` says where a word comes from: ``published`` in the procedure, or ``recalled`` from the product's
# guides and unproven. A site's file can put words of its own before any of them (key ``labels``). Words decide
# what is clicked and what is reported; that something worked is decided by the servers' own answers later.

_TEXT = ("textbox", "combobox")
_PRESS = ("button", "link", "tab", "menuitem", "clickable")
_ENTRY = (*_PRESS, "text")


@dataclass(frozen=True)
class Label:
    """Words for one thing and the kinds of control that it can be; ``exact`` forbids longer captions."""

    kinds: tuple[str, ...]
    texts: tuple[str, ...]
    source: str = "recalled"
    exact: bool = False


def _label(kinds: str, texts: tuple[str, ...]) -> Label:
    """Make a label of what stands before the colon: its kinds, where its words come from, and ``exact``."""
    first, *marks = kinds.split(", ")
    of = {"field": _TEXT, "press": _PRESS, "entry": _ENTRY}.get(first, tuple(filter(None, first.split("+"))))
    return Label(of, texts, "published" if "published" in marks else "recalled", "exact" in marks)


LABELS: dict[str, Label] = {
    name.partition(" = ")[0]: _label(name.partition(" = ")[2], texts)
    for name, texts in _table("""
# -- logging in
login_user = field: User Name | Username | User ID | Login | User | Login ID
login_password = password: Password | Pass word | Login Password
login_button = press, exact: Login | Log in | Sign in | Sign on | Submit | OK | Continue
notice_accept = press, exact: I accept | Accept | I agree | Agree | Accept and continue | Acknowledge | I understand |
    Continue | Proceed | Enter | OK
logout = entry: Log out | Logout | Sign out | Log off
# -- the menu
menu_administration = entry, published, exact: Administration | Admin
menu_settings = entry, published, exact: Settings | System Settings
menu_servers = entry, published, exact: Servers | Server
menu_high_availability = entry, published, exact: High Availability | HA
menu_ise_servers = entry, published, exact: ISE Servers | ISE Server | Identity Services Engine
menu_open = button+link+clickable: Menu | Main menu | Toggle navigation | Navigation | ☰ | ≡
# What is called “Search” alone looks for devices, never for pages.
menu_search = field: Search menu | Menu search | Search pages | Find a page
# -- pages by their address; the ids of the real ones are not known
ha_page_id:
ise_page_id:
# -- high availability
ha_configuration = entry, published: HA Configuration | Configure HA | High Availability Configuration | HA Setup |
    High Availability Setup
secondary_server = field, published: Secondary Server | Secondary Server IP Address or Host Name |
    Secondary Server Address | Secondary
auth_key = password+textbox, published: Authentication Key | Auth Key | HA Key
auth_key_again = password+textbox: Confirm Authentication Key | Confirm Key | Re-enter Key
email = field, published: Email Address | E-mail Address | Email | E-mail | Email Addresses | Mail To
failover_type = combobox+radio, published: Failover Type | Fail-over Type | Failover | Failover Mode
failover_manual = option+radio, published: Manual | Manual Failover
failover_automatic = option+radio, published: Automatic | Auto | Automatic Failover
enable_virtual_ip = checkbox, published: Enable Virtual IP | Virtual IP | Use Virtual IP
virtual_ipv4 = field, published: IPV4 Virtual IP | Virtual IPv4 | Virtual IPv4 Address | IPv4 Address
virtual_ipv6 = field, published: IPV6 Virtual IP | Virtual IPv6 | Virtual IPv6 Address | IPv6 Address
check_readiness = press, published, exact: Check Readiness | Readiness Check | Check HA Readiness
register = press, published, exact: Register
configuration_mode = text, published: Configuration Mode | HA Configuration Mode | Current Mode
milestone_pre = text, published: Pre-HA Registration | Pre HA Registration | Pre-Registration
milestone_replication = text, published: Database Replication | DB Replication | Replication
milestone_post = text, published: Post HA Registration | Post-HA Registration | Post-Registration
# -- ISE servers
ise_command = combobox, published: Select a command | Select command | Command | Action
ise_command_add = option, published: Add ISE Server | Add Server | Add
ise_command_delete = option: Delete ISE Server(s) | Delete ISE Server | Delete ISE Servers | Delete
ise_go = press, published, exact: Go
ise_add = press, exact: Add ISE Server | Add Server | Add
ise_delete = press, exact: Delete ISE Server | Delete | Remove
ise_address = field, published: Server Address | IP Address | Server IP Address | ISE Server IP Address | Address |
    Host Name | Server
ise_user = field, published: User Name | Username | User | Login
ise_password = password, published: Password
ise_password_again = password, published: Confirm Password | Password again | Re-enter Password | Verify Password
save = press, published, exact: Save | OK | Apply | Add | Finish
wizard_next = press, exact: Next | Next step
# -- tables
column_address = text: Server Address | IP Address | Address | Server | Host Name | Host | Name
next_page = press, exact: Next page | Next | Next page of the list | › | » | >
column_check = text: Checklist Name | Checklist Item | Checklist | Check | Check Name | Item | Name | Test |
    Prerequisite
column_status = text: Checklist Status | Status | State | Server Status | Connection Status | Reachability | Result
# -- dialogues
dialog_yes = press, exact: Yes | OK | Continue | Confirm | Proceed | Accept | Register | Delete
# “No” may mean to go on without; what cancels goes nowhere.
dialog_no = press, exact: Cancel | No | Abort | Back
dialog_close = press, exact: OK | Close | Got it | Okay | Okay, got it | OK, got it | Dismiss | Done | Skip |
    Not now | Later | Remind me later | Accept all | Accept cookies | Accept all cookies | I understand | × | ✕ | ✖ |
    x
dialog_later = press, exact: Later | Not now | Remind me later | Maybe later | Ask me later | Skip tour | End tour
session_stay = press, exact: Stay signed in | Stay logged in | Keep me signed in | Continue session | Extend session |
    Extend | Renew | Keep working | Keep me logged in | Remain logged in | Stay connected | Continue | Yes | OK
""").items()
}


@dataclass(frozen=True)
class Labels:
    """The words for one site."""

    table: Mapping[str, Label]
    phrases: Mapping[str, tuple[str, ...]]

    def __getitem__(self, key: str) -> Label:
        return self.table[key]


def labels_for(overrides: Mapping[str, Iterable[str]] | None = None) -> Labels:
    """Return the words that are looked for, a site's own ``overrides`` before ours.

    A key is one of the labels (``register``, ``auth_key``...) or of the phrases (``wrong_key``...). Raises
    ParameterRefused for unknown keys, all of them at once.
    """
    given = {key: tuple(texts) for key, texts in (overrides or {}).items()}
    unknown = sorted(key for key in given if key not in LABELS and key not in PHRASES)
    if unknown:
        raise ParameterRefused(
            "the site's file names labels that do not exist",
            where="labels",
            found=", ".join(unknown),
            next_step="Use some of: " + ", ".join([*LABELS, *PHRASES]),
        )
    return Labels(
        {key: replace(label, texts=(*given.get(key, ()), *label.texts)) for key, label in LABELS.items()},
        {key: (*given.get(key, ()), *texts) for key, texts in PHRASES.items()},
    )


# -- What is typed into the pages ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class HaForm:
    """The HA Configuration form. ``failover`` is ``manual`` or ``automatic``; empty virtual addresses leave it off.

    ``auth_key`` is the secret itself and is not shown by ``repr``: make the form where it is used.
    """

    secondary_server: str
    auth_key: str = field(repr=False)
    email: tuple[str, ...] = ()
    failover: str = "manual"
    virtual_ipv4: str = ""
    virtual_ipv6: str = ""
