"""Changes through the web pages whose result was not seen yet."""

from __future__ import annotations

from runbook_lib.steps.context import Context


def settle_pending(context: Context, change_text: str, seen: str) -> None:
    """Write what the devices say of a change of this stage whose result was not seen yet; nothing is sent again."""
    for change in context.record.pending_changes():
        if change.stage == context.stage and change.text == change_text:
            change.result(seen)
