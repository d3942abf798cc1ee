"""The words of its own that a site's file may give: which labels there are, and states that contradict each other.

The labels' words are those of ``web/labels`` and ``web/phrases``. Their names stand here too, because a site's file is
judged before anything of the web pages is read; a test holds both together.
"""

from __future__ import annotations

import difflib

from runbook_lib.ade_os.questions import is_about_ours
from runbook_lib.params.source import Document

LABEL_KEYS = (
    "login_user",
    "login_password",
    "login_button",
    "notice_accept",
    "logout",
    "menu_administration",
    "menu_settings",
    "menu_servers",
    "menu_high_availability",
    "menu_ise_servers",
    "menu_open",
    "menu_search",
    "ha_page_id",
    "ise_page_id",
    "ha_configuration",
    "secondary_server",
    "auth_key",
    "auth_key_again",
    "email",
    "failover_type",
    "failover_manual",
    "failover_automatic",
    "enable_virtual_ip",
    "virtual_ipv4",
    "virtual_ipv6",
    "check_readiness",
    "register",
    "configuration_mode",
    "milestone_pre",
    "milestone_replication",
    "milestone_post",
    "ise_command",
    "ise_command_add",
    "ise_command_delete",
    "ise_go",
    "ise_add",
    "ise_delete",
    "ise_address",
    "ise_user",
    "ise_password",
    "ise_password_again",
    "save",
    "column_address",
    "column_check",
    "column_status",
    "dialog_yes",
    "dialog_no",
    "dialog_close",
    "session_stay",
    "wrong_key",
    "mismatch",
    "duplicate",
    "too_many",
    "unauthorized",
    "unreachable",
    "locked",
    "expired",
    "login_wrong",
    "refused",
    "harmless",
    "under_way",
    "loading",
    "passed",
    "failed",
    "pending",
    "answering",
    "not_answering",
    "milestone_done",
    "milestone_failed",
    "session_ending",
    "mode_active",
    "ask_register",
    "ask_delete",
    "ask_save",
    "ask_danger",
)
"""What is pressed or filled in first, then what pages say by meaning."""


def check_labels(document: Document) -> None:
    """A label that nothing looks for would be found out at the web pages only, in the middle of a repair."""
    given = document.data.get("labels")
    told = {problem.where for problem in document.problems}
    for key in given if isinstance(given, dict) else ():
        if key not in LABEL_KEYS and ("labels", key) not in told:
            near = difflib.get_close_matches(key, LABEL_KEYS, n=1)
            meant = f"did you mean {near[0]}? " if near else ""
            document.problem(("labels", key), f"unknown key; {meant}known here: {', '.join(LABEL_KEYS)}")


def check_answers(document: Document) -> None:
    """A question is answered after our own two changes alone, so one about anything else must not be answered here."""
    given = document.data.get("answers")
    for question in given if isinstance(given, dict) else ():
        if isinstance(question, str) and not is_about_ours(question):
            document.problem(
                ("answers", question),
                "is not about the deletion of one entry or the removal of HA, or speaks of something else too; such a"
                " question is never answered from here",
            )


def check_states(document: Document) -> None:
    """States are compared without case and spacing, so two spellings of one must mean the same."""
    given = document.data.get("ha_states")
    kinds = given if isinstance(given, dict) else {}
    seen: dict[str, str] = {}
    for words, kind in kinds.items():
        first = seen.setdefault(" ".join(words.casefold().split()), words)
        if kind != kinds[first]:
            document.problem(("ha_states", words), f"is the same state as {first!r}, which means another; keep one")
