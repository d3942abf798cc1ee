"""Every word that is looked for or typed on the web pages, as data; a site's file may add its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from runbook_lib.errors import ParameterRefused

# -- What pages say and ask, by meaning ------------------------------------------------------------

SECONDARY = "the secondary"
"""What questions call it whose address they may name instead."""

PHRASES: dict[str, tuple[str, ...]] = {
    # What a page says, by meaning. Only the wrong key's sentence is published.
    "wrong_key": ("authentication key does not match", "invalid authentication key", "wrong authentication key"),
    "mismatch": (
        *("TOFU failed", "trust on first use", "certificate of the remote host is different"),
        *("certificate mismatch", "certificate does not match"),
        *("SSLHandshakeException", "CertificateException"),
    ),
    "duplicate": ("already exists", "already added", "duplicate", "already configured", "already registered"),
    "too_many": ("maximum", "at most two", "only two", "more than two", "limit"),
    "unauthorized": (
        *("401", "unauthorized", "authentication failed", "invalid credentials", "invalid username"),
        *("invalid user name", "incorrect password", "wrong password", "credentials are not valid"),
    ),
    "unreachable": (
        *("unreachable", "not reachable", "cannot reach", "could not reach", "unable to reach"),
        *("unable to connect", "could not connect", "cannot connect", "connection refused"),
        *("connection timed out", "no route to host", "no response"),
    ),
    "locked": ("locked", "too many failed", "too many attempts", "temporarily disabled", "account is disabled"),
    "expired": ("password has expired", "password expired", "change your password", "must change", "new password"),
    "login_wrong": (
        *("invalid", "incorrect", "wrong", "failed", "not recognized", "denied", "unknown user", "try again"),
        *("not valid", "bad credentials"),
    ),
    "refused": (
        *("failed", "failure", "error", "invalid", "is required", "are required", "mandatory", "cannot"),
        *("could not", "unable", "not allowed", "denied", "refused", "rejected", "aborted", "unsuccessful"),
        *("timed out", "does not match", "do not match", "not supported", "must be", "please enter"),
    ),
    # an error that does not say whether what was sent was done
    "broken": (
        *("internal server error", "internal error", "server error", "unexpected error", "unknown error"),
        *("error 500", "status 500", "HTTP 500", "502", "503", "504", "bad gateway", "gateway timeout"),
        *("timed out", "timeout", "service unavailable", "try again later", "NullPointerException"),
    ),
    "harmless": ("no error", "no errors", "0 errors", "without error", "no failure", "no failures"),
    "under_way": ("in progress", "registering", "under way", "running", "please wait", "initializing", "started"),
    "loading": ("loading", "fetching data"),
    "empty": (
        *("no data", "no records", "no entries", "no items", "no rows"),
        *("no server", "no servers", "no ISE server", "no ISE servers"),
    ),
    # -- states in tables
    "passed": ("pass", "passed", "ok", "success", "successful", "succeeded", "ready", "yes", "met", "✓", "✔", "✅"),
    "failed": (
        *("fail", "failed", "failure", "not ready", "error", "warning", "no", "not met", "unsupported", "✗"),
        *("✘", "✖", "❌"),
    ),
    "pending": ("pending", "in progress", "checking", "running", "waiting", "not started", "please wait"),
    "answering": ("reachable", "up", "connected", "active", "ok", "success", "online", "available", "in service"),
    "not_answering": (
        *("unreachable", "not reachable", "down", "disconnected", "failed", "error", "offline", "unavailable"),
        *("not connected", "401", "unauthorized", "mismatch"),
    ),
    "milestone_done": ("completed", "complete", "done", "success", "successful", "finished"),
    "milestone_failed": ("failed", "failure", "error", "aborted"),
    "session_ending": (
        *("session is about to expire", "session will expire", "session expires in"),
        *("session is about to time out", "session will time out", "session timeout", "due to inactivity"),
        *("stay signed in", "stay logged in"),
    ),
    # -- states of high availability
    "mode_active": ("Primary Active",),
    # -- questions that a page may ask: “Continue?” alone says nothing of what goes on
    "ask_register": ("register", "registration", "registering", "are you sure", "high availability"),
    "ask_delete": ("delete", "remove", "are you sure", "continue", "proceed"),
    "ask_save": ("save", "add", "are you sure"),
    # what registration does by its nature: in these words, and of the secondary alone, it is no danger
    "ask_planned": tuple(
        f"{whose} {what}"
        for whose in (
            *("secondary's database", "secondary server's database", "secondary database"),
            *(
                f"{all_} {place} {SECONDARY}{server}"
                for all_ in ("database", "data")
                for place in ("of", "on")
                for server in ("", " server")
            ),
        )
        for what in ("will be overwritten", "is overwritten", "will be replaced", "is replaced")
    ),
    # whole words each: what is lost, who is trusted, what has gone wrong already, what is agreed to
    "ask_danger": (
        *("remove", "removes", "removed", "delete", "deletes", "deleted", "erase", "erases", "erased", "wipe", "wiped"),
        *("overwrite", "overwrites", "overwritten", "replace", "replaces", "replaced", "reset", "lose", "lost"),
        *("break", "breaks", "unregister", "unregistered"),
        *("certificate", "certificates", "trust", "trusted", "untrusted", "fingerprint", "thumbprint"),
        *("failed", "failure", "failures", "not ready", "not reachable", "unreachable"),
        *("mismatch", "different", "not match"),
        *("license", "licence", "agreement"),
    ),
}
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


LABELS: dict[str, Label] = {
    # -- logging in
    "login_user": Label(_TEXT, ("User Name", "Username", "User ID", "Login", "User", "Login ID")),
    "login_password": Label(("password",), ("Password", "Pass word", "Login Password")),
    "login_button": Label(_PRESS, ("Login", "Log in", "Sign in", "Sign on", "Submit", "OK", "Continue"), exact=True),
    "notice_accept": Label(
        _PRESS,
        (
            *("I accept", "Accept", "I agree", "Agree", "Accept and continue", "Acknowledge", "I understand"),
            *("Continue", "Proceed", "Enter", "OK"),
        ),
        exact=True,
    ),
    "logout": Label(_ENTRY, ("Log out", "Logout", "Sign out", "Log off")),
    # -- the menu
    "menu_administration": Label(_ENTRY, ("Administration", "Admin"), "published", exact=True),
    "menu_settings": Label(_ENTRY, ("Settings", "System Settings"), "published", exact=True),
    "menu_servers": Label(_ENTRY, ("Servers", "Server"), "published", exact=True),
    "menu_high_availability": Label(_ENTRY, ("High Availability", "HA"), "published", exact=True),
    "menu_ise_servers": Label(
        _ENTRY, ("ISE Servers", "ISE Server", "Identity Services Engine"), "published", exact=True
    ),
    "menu_open": Label(
        ("button", "link", "clickable"), ("Menu", "Main menu", "Toggle navigation", "Navigation", "☰", "≡")
    ),
    # What is called “Search” alone looks for devices, never for pages.
    "menu_search": Label(("textbox", "combobox"), ("Search menu", "Menu search", "Search pages", "Find a page")),
    # -- pages by their address; the ids of the real ones are not known
    "ha_page_id": Label((), ()),
    "ise_page_id": Label((), ()),
    # -- high availability
    "ha_configuration": Label(
        _ENTRY,
        ("HA Configuration", "Configure HA", "High Availability Configuration", "HA Setup", "High Availability Setup"),
        "published",
    ),
    "secondary_server": Label(
        _TEXT,
        ("Secondary Server", "Secondary Server IP Address or Host Name", "Secondary Server Address", "Secondary"),
        "published",
    ),
    "auth_key": Label(("password", "textbox"), ("Authentication Key", "Auth Key", "HA Key"), "published"),
    "auth_key_again": Label(("password", "textbox"), ("Confirm Authentication Key", "Confirm Key", "Re-enter Key")),
    "email": Label(
        _TEXT, ("Email Address", "E-mail Address", "Email", "E-mail", "Email Addresses", "Mail To"), "published"
    ),
    "failover_type": Label(
        ("combobox", "radio"), ("Failover Type", "Fail-over Type", "Failover", "Failover Mode"), "published"
    ),
    "failover_manual": Label(("option", "radio"), ("Manual", "Manual Failover"), "published"),
    "failover_automatic": Label(("option", "radio"), ("Automatic", "Auto", "Automatic Failover"), "published"),
    "enable_virtual_ip": Label(("checkbox",), ("Enable Virtual IP", "Virtual IP", "Use Virtual IP"), "published"),
    "virtual_ipv4": Label(
        _TEXT, ("IPV4 Virtual IP", "Virtual IPv4", "Virtual IPv4 Address", "IPv4 Address"), "published"
    ),
    "virtual_ipv6": Label(
        _TEXT, ("IPV6 Virtual IP", "Virtual IPv6", "Virtual IPv6 Address", "IPv6 Address"), "published"
    ),
    "check_readiness": Label(
        _PRESS, ("Check Readiness", "Readiness Check", "Check HA Readiness"), "published", exact=True
    ),
    "register": Label(_PRESS, ("Register",), "published", exact=True),
    "configuration_mode": Label(
        ("text",), ("Configuration Mode", "HA Configuration Mode", "Current Mode"), "published"
    ),
    "milestone_pre": Label(("text",), ("Pre-HA Registration", "Pre HA Registration", "Pre-Registration"), "published"),
    "milestone_replication": Label(("text",), ("Database Replication", "DB Replication", "Replication"), "published"),
    "milestone_post": Label(
        ("text",), ("Post HA Registration", "Post-HA Registration", "Post-Registration"), "published"
    ),
    # -- ISE servers
    "ise_command": Label(("combobox",), ("Select a command", "Select command", "Command", "Action"), "published"),
    "ise_command_add": Label(("option",), ("Add ISE Server", "Add Server", "Add"), "published"),
    "ise_command_delete": Label(
        ("option",), ("Delete ISE Server(s)", "Delete ISE Server", "Delete ISE Servers", "Delete")
    ),
    "ise_go": Label(_PRESS, ("Go",), "published", exact=True),
    "ise_add": Label(_PRESS, ("Add ISE Server", "Add Server", "Add"), exact=True),
    "ise_delete": Label(_PRESS, ("Delete ISE Server", "Delete", "Remove"), exact=True),
    "ise_address": Label(
        _TEXT,
        (
            *("Server Address", "IP Address", "Server IP Address", "ISE Server IP Address", "Address"),
            *("Host Name", "Server"),
        ),
        "published",
    ),
    "ise_user": Label(_TEXT, ("User Name", "Username", "User", "Login"), "published"),
    "ise_password": Label(("password",), ("Password",), "published"),
    "ise_password_again": Label(
        ("password",), ("Confirm Password", "Password again", "Re-enter Password", "Verify Password"), "published"
    ),
    "save": Label(_PRESS, ("Save", "OK", "Apply", "Add"), "published", exact=True),
    # -- tables
    "column_address": Label(
        ("text",), ("Server Address", "IP Address", "Address", "Server", "Host Name", "Host", "Name")
    ),
    "column_check": Label(
        ("text",),
        (
            *("Checklist Name", "Checklist Item", "Checklist", "Check", "Check Name", "Item", "Name"),
            *("Test", "Prerequisite"),
        ),
    ),
    "column_status": Label(
        ("text",),
        ("Checklist Status", "Status", "State", "Server Status", "Connection Status", "Reachability", "Result"),
    ),
    # -- dialogues
    "dialog_yes": Label(
        _PRESS, ("Yes", "OK", "Continue", "Confirm", "Proceed", "Accept", "Register", "Delete"), exact=True
    ),
    # “No” may mean to go on without; what cancels goes nowhere.
    "dialog_no": Label(_PRESS, ("Cancel", "No", "Abort", "Back"), exact=True),
    "dialog_close": Label(
        _PRESS,
        (
            *("OK", "Close", "Got it", "Okay", "Okay, got it", "OK, got it", "Dismiss", "Done", "Skip"),
            *("Not now", "Later", "Remind me later", "Accept all", "Accept cookies", "Accept all cookies"),
            *("I understand", "×", "✕", "✖", "x"),
        ),
        exact=True,
    ),
    "session_stay": Label(
        _PRESS,
        (
            *("Stay signed in", "Stay logged in", "Keep me signed in", "Continue session", "Extend session"),
            *("Extend", "Renew", "Continue", "Yes", "OK"),
        ),
        exact=True,
    ),
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
