"""Whatever a plan will need is tried before its first change: after the last deletion it would be too late.

The secrets that will be typed, the browser, room on the disk, the record; and the login to the web pages, once,
where it is confirmed who answers there. In guided mode a person types, and nothing of that is needed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from runbook_lib.browsers import find_browser
from runbook_lib.errors import (
    CertificateMoved,
    DeletionRefused,
    DeviceUnreachable,
    PageNotUnderstood,
    RecordNotWritable,
    RunbookError,
    SecretUnavailable,
)
from runbook_lib.models import ChangeKind, Plan
from runbook_lib.params import Site
from runbook_lib.secrets import SecretRef, was_prompted
from runbook_lib.steps.context import Context
from runbook_lib.steps.pages import PrimaryPages, web_access
from runbook_lib.steps.preflight import LEAST_FREE_BYTES, free_bytes


def lacking(context: Context, plan: Plan) -> tuple[str, ...]:
    """Return in a sentence each what the plan needs and is not to be had; nobody is asked for a secret."""
    return tuple(f"{error.what}; {error.next_step}" for error in _problems(context, plan, ask=False))


def require_means(context: Context, plan: Plan) -> None:
    """Raise the error of the first thing that the plan needs and that is not to be had.

    Secrets that a person is to type are asked for now. Raises SecretUnavailable, SiteFileInvalid, BrowserMissing and
    RecordNotWritable.
    """
    for error in _problems(context, plan, ask=True):
        raise error


async def try_login(context: Context, pages: PrimaryPages, plan: Plan) -> None:
    """Log in to the web pages, where the plan may need them; raises LoginRefused and other DeviceErrors.

    Where it is not confirmed who answers there, or nobody does, no password is typed and nothing is raised: the stage
    that needs the pages looks again, and stops before it types anything. A page that is not understood is handed to a
    person there.
    """
    if pages.guided or not plan.changes:
        return
    context.tell("Trying the login to the web pages before anything is changed")
    try:
        await pages.open()
    except (CertificateMoved, DeletionRefused, DeviceUnreachable, PageNotUnderstood) as error:
        context.tell(f"The login was not tried to its end: {error.what}")
    finally:
        await pages.close()


def unresolved(references: tuple[SecretRef, ...]) -> tuple[SecretUnavailable, ...]:
    """Return the errors of the references that lead nowhere; those that a person answers are not asked for."""
    found = (_tried(reference.resolve) for reference in references if not _needs_a_person(reference))
    return tuple(error for error in found if isinstance(error, SecretUnavailable))


def needed_secrets(site: Site, plan: Plan) -> tuple[SecretRef, ...]:
    """Return the references of what the plan's changes type, each once."""
    if site.web == "guided" or not plan.changes:
        return ()
    kinds = {(change.kind, change.target) for change in plan.changes}
    found = [site.primary.web.password] if site.primary.web else []
    found += [site.ha.auth_key] if (ChangeKind.REGISTER_HA, "secondary") in kinds else []
    found += [server.password for server in site.ise if (ChangeKind.READD_ISE, server.name) in kinds]
    return tuple(dict.fromkeys(found))


def _problems(context: Context, plan: Plan, *, ask: bool) -> Iterator[RunbookError]:
    site = context.site
    tries: list[Callable[[], object]] = [lambda: _require_room(context), context.record.journal.read]
    if plan.changes and site.web != "guided":
        tries += [lambda: web_access(site), lambda: find_browser(site.browser)]
    tries += [secret.resolve for secret in needed_secrets(site, plan) if ask or not _needs_a_person(secret)]
    for attempt in tries:
        error = _tried(attempt)
        if error:
            yield error


def _tried(attempt: Callable[[], object]) -> RunbookError | None:
    try:
        attempt()
    except RunbookError as error:
        return error
    return None


def _needs_a_person(reference: SecretRef) -> bool:
    return reference.scheme == "prompt" and not was_prompted(reference)


def _require_room(context: Context) -> None:
    free = free_bytes(context)
    if free < LEAST_FREE_BYTES:
        raise RecordNotWritable(
            f"There are {free >> 20} MiB left for the record, and a repair may need {LEAST_FREE_BYTES >> 20} MiB",
            where=str(context.record.folder),
            next_step="make room there before anything is changed",
        )
