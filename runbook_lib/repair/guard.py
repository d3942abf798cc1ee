"""Whether a change may be sent now: one table of guards, asked inside the call that sends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from runbook_lib import errors
from runbook_lib.decisions import Approval, Decision, Plan, PlannedChange, PlanRow
from runbook_lib.device.answers import trimmed
from runbook_lib.event_loop import side_by_side
from runbook_lib.models import PI_SERVERS, ProductVersion, Verdict
from runbook_lib.observations import Check
from runbook_lib.params.model import Site
from runbook_lib.record.journal import About, Kind
from runbook_lib.record.lock import is_under_lock
from runbook_lib.record.stages import RecordedChange
from runbook_lib.repair import planned_changes
from runbook_lib.repair.approval import approval_missing, approval_naming, require_not_blocked
from runbook_lib.repair.confirmation import INTERCEPTION, require_confirmed, require_unmoved
from runbook_lib.repair.context import Context, Devices, ask_both, require_two_servers, targets
from runbook_lib.repair.inventory import read_logs, recorded_diagnosis, recorded_inventory
from runbook_lib.repair.plan import Change, essence, plan_of
from runbook_lib.repair.sent_changes import change_history, sent_since

# -- Which release each server runs: whether these runbooks are written for it, and whether both run the same.
#
# Two servers of a pair have to match in the release that was installed and in the one that runs.

OLDEST_RELEASE = (3, 5)


async def require_release(site: Site, devices: Devices) -> None:
    """Raise VersionUnsupported where a server is older than 3.5; asks nobody where the site's file allows that.

    Every step that changes something asks first, whichever way it was reached. Raises DeviceError where the
    release cannot be read.
    """
    if site.policy.allow_older_release:
        return
    versions = await ask_both(devices, lambda prime: prime.version())
    for key, version in zip(PI_SERVERS, versions, strict=True):
        require_supported(site, key, version)


async def require_equal_releases(site: Site, devices: Devices) -> None:
    """Raise VersionUnsupported where both servers run different releases; asks nobody where the site's file allows it.

    Raises DeviceError where a release cannot be read.
    """
    if site.policy.allow_unequal_releases:
        return
    versions = await ask_both(devices, lambda prime: prime.version())
    if _differ(versions):
        raise errors.VersionUnsupported(
            "The servers run different releases, so they cannot be registered with each other; nothing was changed",
            where=f"site {site.name}",
            found="\n".join(f"{version.server}: {release_in_words(version)}" for version in versions),
            next_step="update one of them, or accept it in the site's file: policy: allow_unequal_releases: true",
        )


def require_supported(site: Site, key: str, version: ProductVersion) -> None:
    """Raise VersionUnsupported where this release is older than 3.5, and the site's file does not allow that."""
    if version.release < OLDEST_RELEASE and not site.policy.allow_older_release:
        raise errors.VersionUnsupported(
            f"The {key} runs release {release_in_words(version)}; these runbooks are written for 3.5 and later",
            where=f"{key} {site.servers[key].address}",
            found=version.line,
            next_step="upgrade it, or say in the site's file that you accept this: policy: allow_older_release: true",
        )


def equal_releases(versions: Sequence[ProductVersion | None]) -> tuple[Check, ...]:
    """Return a check that both servers run different releases; nothing where they are equal, or one is not known."""
    known = [version for version in versions if version]
    if len(known) < len(versions) or not _differ(known):
        return ()
    return (
        Check(
            name="releases of both servers",
            expected="equal",
            actual=" and ".join(release_in_words(version) for version in known),
            ok=None,
            note="servers of different releases or fixes cannot be registered with each other; update one of them",
        ),
    )


def release_in_words(version: ProductVersion) -> str:
    """Return the release that runs, what it was installed as, and the fixes that nobody knows."""
    words = _dotted(version.release)
    if version.base not in ((), version.release):
        words += f" (installed as {_dotted(version.base)})"
    if version.not_understood:
        words += f"; not understood: {', '.join(version.not_understood)}"
    return words


def _differ(versions: Sequence[ProductVersion]) -> bool:
    return len({(trimmed(version.base), trimmed(version.release)) for version in versions}) > 1


def _dotted(release: tuple[int, ...]) -> str:
    return ".".join(map(str, release))


# -- Before the first change by hand, once in each kernel: whoever changes a real site has to give its name.
#
# A batch job is not asked: its approval names the plan's digest, and its command the site.

_NAMED: set[str] = set()
"""The sites that were named in this process, which a kernel is."""


def is_name_asked(context: Context) -> bool:
    """Whether the site's name is to be given first: a person is there, the site is real, and nobody has given it."""
    return context.attended and context.site.kind != "lab" and context.site.name not in _NAMED


def name_site(context: Context, typed: str) -> str:
    """Note that a person has given the site's name, and return the sentence to say; raises ParameterRefused."""
    if typed.strip() != context.site.name:
        raise errors.ParameterRefused(
            "This is not the name of the site; nothing was changed",
            found=f"given {typed.strip() or 'nothing'}",
            next_step="look at the banner of this notebook and give the name of the site that it shows",
        )
    if is_name_asked(context):
        context.record.journal.append(
            Kind.NOTED, stage=context.stage, seen=context.operator, text="the production site was named before a change"
        )
        _NAMED.add(context.site.name)
    return f"{context.site.name} may be changed from this notebook. Run the cell again."


async def production_is_named(context: Context, _request: ChangeRequest) -> None:
    """Whoever changes a real site by hand has given its name, once in each kernel; ``names_site`` of what is raised."""
    if is_name_asked(context):
        question = errors.DecisionNeeded(
            f"This changes the production site {context.site.name}; nothing was changed yet",
            next_step="give the site's name in the form above, press its button, and run this cell again;"
            ' without the form: rb.production("NAME") in a separate cell',
        )
        question.names_site = True
        raise question


# -- Whether a change may be sent now: one answer, in the same words for all, asked inside the call that sends it.
#
# A deletion, the removal and the registration of high availability, an ISE server: each stands in the newest plan of
# this incident, which is approved; nothing that the approval rests on has moved; it was not sent before, or is known
# not to have left; the host that it is about still shows the certificate that the plan confirmed; and the site's lock
# is held. No cell before it is relied on: people and test tools run a cell after a failed one.


@dataclass(frozen=True, kw_only=True)
class ChangeRequest:
    """A change that is about to be sent: by which plan, and how the journal knows it.

    ``sends``: it changes something. Without that a secret is typed for it and nothing is changed, so that it may be
    done again (*Check Readiness*).
    """

    plan: Plan
    change: Change
    what: About
    approval: Approval
    sends: bool = True

    def __str__(self) -> str:
        if isinstance(self.change, PlanRow):
            return f"{self.change.server}: {self.change.command}"
        return f"{self.change.server}: {self.what}"


async def permit(context: Context, change: Change, what: About, *, sends: bool = True) -> ChangeRequest:
    """Return the change with the approval by which it may be sent now; nothing is sent where this raises.

    ``what`` is what the journal's intent is about, which ``begin`` writes. Raises StageOutOfOrder where the incident
    has ended, there is no plan or no diagnosis, or a mismatch is open; DeletionRefused where the plan is blocked;
    ApprovalMissing; PlanStale where the change is not in the plan, has moved, or was sent already;
    DecisionNeeded where a person has not given a real site's name yet; SiteLocked; and the errors of
    ``require_confirmed``.
    """
    context.record.require_open()
    plan = context.record.read_plan()
    require_not_blocked(context.record, plan)
    if essence(change) not in map(essence, plan.every_change):
        raise planned_changes.stale_plan(plan, f"{change.server}: {what}", "is not in the plan")
    approval = approval_naming(context, plan, change)
    if approval is None:
        raise approval_missing(context, plan, change)
    request = ChangeRequest(plan=plan, change=change, what=what, approval=approval, sends=sends)
    for check in CHECKS:
        await check(context, request)
    return request


def begin(context: Context, request: ChangeRequest, expected: str) -> RecordedChange:
    """Write down a change that was permitted, before it is sent; nothing is written where this raises.

    Raises PlanStale where another run has written the same on this approval meanwhile, from a machine with other locks.
    """

    def refuse_if_sent() -> None:
        if _was_sent(context, request):
            raise planned_changes.sent_already(request.plan, str(request))

    where = (context.stage, request.change.server)
    return context.record.intend(*where, request.what, expected=expected, unless=refuse_if_sent)


def _was_sent(context: Context, request: ChangeRequest) -> bool:
    return (request.change.server, request.what.subject) in sent_since(context.record, request.approval)


async def not_sent_before(context: Context, request: ChangeRequest) -> None:
    """Raise PlanStale for a change sent on this approval before: a refused one counts, one that never left does not."""
    if not request.sends:
        return
    if isinstance(request.change, PlanRow):
        before = request.change.place in planned_changes.sent_places(context, request.plan)
    else:
        before = (
            planned_changes.attempt(change_history(context), planned_changes.about_change(request.change))
            != request.change.attempt
        )
    if before or _was_sent(context, request):
        raise planned_changes.sent_already(request.plan, str(request))


async def nothing_moved(context: Context, request: ChangeRequest) -> None:
    """What is typed is what was approved, on the servers that were looked at for the plan."""
    looked_at = recorded_inventory(context).judgements
    planned = {f"address of {each.target}": f"{each.host}:{each.port}" for each in looked_at}
    now = {f"address of {each.name}": f"{each.address}:{each.port}" for each in targets(context.site)}
    if isinstance(request.change, PlannedChange):
        planned |= request.change.settings
        now |= planned_changes.settings_of(context.site, request.change.kind, request.change.target)
    if now != planned:
        moved = [f"{field}: planned {value}" for field, value in planned.items() if now.get(field) != value]
        moved += [f"{field}: now {value}" for field, value in now.items() if planned.get(field) != value]
        raise planned_changes.stale_plan(request.plan, str(request), "is no longer what was planned", "\n".join(moved))


async def no_mismatch_is_open(context: Context, request: ChangeRequest) -> None:
    """What comes after the deletions waits for them, and for the diagnosis that says that nothing else is stale.

    A deletion whose result was not seen holds nothing up, unless the logs prove that it did not happen: the later
    stages show whether it worked.
    Raises StageOutOfOrder with what is open, RepairFailed where the logs disprove a deletion.
    """
    if isinstance(request.change, PlanRow):
        return
    planned_changes.require_carried_out(context)
    diagnosis, inventory = recorded_diagnosis(context), recorded_inventory(context)
    ends = planned_changes.ends_of_deletions(context, diagnosis, inventory)
    if ends:
        diagnosis = read_logs(context)  # what came in since then decides
        ends = planned_changes.ends_of_deletions(context, diagnosis, inventory)
    planned_changes.require_none_goes_on(context, ends)
    open_rows = (Decision.DELETE, Decision.CANNOT_TELL)
    now = plan_of(context, diagnosis, inventory)
    rows = (row for row in now.rows if row.decision in open_rows and row.place not in ends)
    left = [f"{row.server}: {row.key}: {row.decision}: {row.reason}" for row in rows]
    # Where one host may be an impostor, nothing is changed at this site, whether a row is about it or none.
    left += inventory.contradictions
    if left:
        raise errors.StageOutOfOrder(
            "A mismatch is open; nothing was changed",
            where=str(request),
            found="\n".join(left),
            next_step=planned_changes.NEW_PLAN,
        )


async def servers_are_two(context: Context, request: ChangeRequest) -> None:  # noqa: ARG001 - the same for all
    """A change that is meant for one server is not sent to the other; a connection may have been made anew since."""
    await require_two_servers(context.devices)


async def releases_are_equal(context: Context, request: ChangeRequest) -> None:
    """A pair of different releases cannot be registered; so it is not removed either, to be registered anew."""
    if request.change.target == "secondary" and not isinstance(request.change, PlanRow):
        await require_equal_releases(context.site, context.devices)


async def lock_is_held(context: Context, request: ChangeRequest) -> None:
    """No other run changes this site now, and none can begin to. Raises SiteLocked otherwise."""
    if not is_under_lock(context.site.name):
        raise errors.SiteLocked(
            "The site's lock is not held; nothing was changed",
            where=str(request),
            next_step="run the stage's own cell that makes this change",
        )


async def host_is_confirmed(context: Context, request: ChangeRequest) -> None:
    """The host shows, at this moment and from every vantage, the certificate that the plan confirmed.

    And no other host of the site may be an impostor by now: deletions and registrations before this one take their
    time. Raises CertificateMoved otherwise, and the errors of ``require_confirmed``.
    """
    target = request.change.target
    others = [require_unmoved(context, each.name) for each in targets(context.site) if each.name != target]
    judgement, *beside = await side_by_side(require_confirmed(context, target), *others)
    for other in beside:
        if other.verdict is Verdict.CONTRADICTED:
            raise errors.CertificateMoved(
                f"{other.target} may be an impostor by now; nothing was changed",
                where=str(request),
                found=other.reason,
                next_step=INTERCEPTION,
            )
    shown = judgement.facts.sha256 if judgement.facts else ""
    planned = request.change.confirmed_sha256
    # For a deletion it is not enough that the host is what it was: the new certificate has to be a confirmed one.
    weak = isinstance(request.change, PlanRow) and not (judgement.verdict.confirmed or request.change.override)
    if not shown or shown != planned or weak:
        raise errors.CertificateMoved(
            f"{target} does not present the certificate that the plan confirmed; nothing was changed",
            where=str(request),
            found=f"planned   {planned or 'none confirmed'}\npresented {shown or 'none'} ({judgement.verdict})",
            next_step=planned_changes.NEW_PLAN,
        )


CHECKS: tuple[Callable[[Context, ChangeRequest], Awaitable[None]], ...] = (
    production_is_named,
    not_sent_before,
    nothing_moved,
    no_mismatch_is_open,
    servers_are_two,
    releases_are_equal,
    lock_is_held,
    host_is_confirmed,
)
"""In this order: what the record says, what the servers say, and the look at the host right before it is sent."""
