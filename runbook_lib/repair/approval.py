"""The approval of a plan: who approved, whose word it is, and whether two names are one person's."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runbook_lib import paths
from runbook_lib.decisions import Approval, Plan, PlannedChange, PlanRow
from runbook_lib.errors import ApprovalMissing, DeletionRefused, ParameterRefused
from runbook_lib.processes import ProcessName, account, host
from runbook_lib.record import signing
from runbook_lib.record.incident import Record
from runbook_lib.record.journal import Artifact
from runbook_lib.record.stages import alarms_in_words
from runbook_lib.repair.confirmation import what_settles
from runbook_lib.repair.context import Context, now_utc
from runbook_lib.repair.plan import Change, essence
from runbook_lib.repair.planned_changes import unsent, unsent_changes
from runbook_lib.repair.sent_changes import about_deletion, sent_since
from runbook_lib.secrets import NotPrivate

# -- Whether two names may be one person's: what a reader cannot tell apart is the same ------------

_SELECTOR = re.compile("[\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def same_person(one: str, other: str) -> bool:
    """Whether two names look the same, in whole or before an ``@``: no case, no blanks, no letters of other scripts."""
    names = [name.strip() for name in (one, other)]
    bare = [name.partition("@")[0] for name in names]
    return _alike(*names) or _alike(*bare)


def _alike(one: str, other: str) -> bool:
    """Case is folded before or after: a Greek capital beta looks like B, and a small one like no b."""
    small = [skeleton(_compatible(name).casefold()) for name in (one, other)]
    large = [skeleton(_compatible(name)).casefold() for name in (one, other)]
    return small[0] == small[1] or large[0] == large[1]


def _compatible(name: str) -> str:
    """NFKC, without blanks and without what no reader sees."""
    shown = _SELECTOR.sub("", unicodedata.normalize("NFKC", name))
    return "".join(char for char in shown if unicodedata.category(char)[0] not in "CZ")


def skeleton(text: str) -> str:
    """The skeleton of Unicode Technical Standard 39: texts that look the same have the same."""
    parts = (_prototype(char) for char in unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFD", "".join(parts))


def _prototype(char: str) -> str:
    """What a character is drawn as: a prototype is confusable with all that look like it, they with it alone."""
    others = _confusable_with(char)
    if len(others) != 1:
        return char
    (other,) = others
    alone = len(other) == 1 and len(_confusable_with(other)) == 1
    return min(char, other) if alone else other


def _confusable_with(char: str) -> list[str]:
    from confusable_homoglyphs.confusables import is_confusable  # reads its tables

    alike = is_confusable(char, greedy=True)
    return [each["c"] for each in alike[0]["homoglyphs"]] if alike else []


# -- Whose word an approval is, and why one does not count -----------------------------------------

_TIME = "%Y-%m-%dT%H:%M:%SZ"
UNSIGNED = (
    "It is not signed: it counts for this account on this machine only, and whoever can use this account can approve."
)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """What this account trusts: its own key and others', and the approvals that it wrote here itself."""

    own: str
    trusted: tuple[signing.VerifyingKey, ...]
    seen: dict[str, str]

    @classmethod
    def here(cls) -> Judge:
        """Read the folder of the keys. Raises ``ParameterRefused`` where others have a hand in what lies there."""
        folder = paths.key_dir()
        key = signing.signing_key(folder)
        try:
            seen = signing.seen_here(folder)
        except NotPrivate as error:
            raise _not_counted(folder, error.why, error.next_step) from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise _not_counted(folder, why, "make this file readable, then run the same again") from None
        return cls(own=signing.key_id(key.public_key()) if key else "", trusted=signing.trusted_keys(folder), seen=seen)

    def refusal(self, context: Context, approval: Approval, artifact: Artifact) -> str:
        """Return why an approval does not count, or nothing where it does."""
        now = context.now()
        if approval.at_utc > now:
            return f"it is dated in the future: {approval.at_utc:{_TIME}}, and here it is {now:{_TIME}}"
        if approval.signature and not self.signed(approval, artifact):
            return f"it says that the key {approval.key[:16]}… signed it, but no key that is trusted here did"
        if not approval.signature and artifact.sha256 not in self.seen:
            return "it is not signed, and this account did not write it on this machine"
        if met := _met_since(context.record, artifact):
            return f"another certificate was met after it was given ({met}), which the approver could not know"
        return self._not_second(context, approval) if context.site.policy.second_person else ""

    def signed(self, approval: Approval, artifact: Artifact) -> bool:
        """Whether a trusted key signed it, or whoever sent this record here vouched that one had."""
        vouched = approval.key and self.seen.get(artifact.sha256) == approval.key
        return bool(vouched) or signing.signer_of(approval, self.trusted) is not None

    def vouches(self, record: Record) -> dict[str, str]:
        """Return the approvals that may be believed where this record is sent: each file's SHA-256 and signing key."""
        written = record.approvals()
        keys = {file.sha256: approval.key for approval, file in written if self.signed(approval, file)}
        own = {file.sha256: "" for approval, file in written if not approval.signature and file.sha256 in self.seen}
        return keys | own

    def _not_second(self, context: Context, approval: Approval) -> str:
        if same_person(approval.by, context.operator):
            return f"{context.operator} runs this stage, so it is not a second person's"
        if (approval.account, approval.host) == (account(), host()):
            return f"both were typed by one account, {account()} on {host()}, so it is not a second person's"
        if not approval.signature:
            return "it is not signed, so it is not proven that a second person gave it"
        if approval.key == self.own:
            return "it is signed with the key of the one who runs this stage, so it is not a second person's"
        return ""


def _not_counted(folder: Path, why: str, next_step: str) -> ParameterRefused:
    what = f"What this account approved does not count: {why}"
    return ParameterRefused(what, where=str(folder / signing.SEEN), next_step=next_step)


def _met_since(record: Record, approval: Artifact) -> str:
    """Return at which hosts somebody else may have answered after an approval was written; nothing where nobody did."""
    lines = record.journal.read().lines
    return ", ".join(alarms_in_words(lines, next(line.n for line in lines if line.artifact == approval)))


def standing_approvals(record: Record, plan: Plan) -> tuple[Approval, ...]:
    """Return the approvals that name a plan and that no look since has undone; whose word they are is not asked."""
    return tuple(
        approval
        for approval, file in record.approvals()
        if approval.digest == plan.digest and not _met_since(record, file)
    )


# -- The approval of a plan: writing it, and whether a plan may be carried out by it ---------------


def approver(name: str) -> str:
    """Return the name of the person who approves; raises ParameterRefused where there is none."""
    if not name.strip():
        raise ParameterRefused("An approval needs a name", next_step="give the name of the person who approves")
    return name.strip()


def approve(record: Record, digest: str, *, by: str, how: str, reason: str = "") -> Approval:
    """Write an approval of the plan with this digest, signed where this account has a key, and return it.

    Raises ParameterRefused without a name, or with a key that cannot be used; StageOutOfOrder where the incident ended.
    """
    record.require_open()
    approval = Approval(
        digest=digest,
        by=approver(by),
        at_utc=now_utc(),
        how=how,
        reason=reason.strip(),
        account=account(),
        host=host(),
        process=str(ProcessName.current()),
    )
    approval = signing.signed_approval(approval, signing.signing_key(paths.key_dir()))
    record.write_approval(approval)
    return approval


def approval_of(context: Context, plan: Plan) -> Approval | None:
    """Return the approval that holds for every change of this plan that is left, or None.

    It holds for none that was sent since, so that nothing is ever sent twice on it.
    """
    return _unspent(context, plan, (*unsent(context, plan), *unsent_changes(context, plan)))


def approval_naming(context: Context, plan: Plan, change: Change) -> Approval | None:
    """Return the newest approval that names this change, sent since or not; None where nobody has approved it."""
    return next((each for each, covered in _approvals(context, plan) if essence(change) in covered), None)


def _unspent(context: Context, plan: Plan, left: Sequence[Change]) -> Approval | None:
    for approval, covered in _approvals(context, plan):
        if not _sent_again(context, approval, left) and covered.issuperset(map(essence, left)):
            return approval
    return None


def _sent_again(context: Context, approval: Approval, left: Iterable[Change]) -> str:
    """Say which deletions of ``left`` were sent after an approval, so that it allows none of them any more."""
    since = sent_since(context.record, approval)
    rows = (row for row in left if isinstance(row, PlanRow))
    again = [f"{row.server}: {row.key}" for row in rows if (row.server, about_deletion(row.key)) in since]
    return f"{', '.join(again)} was sent after it" if again else ""


def _approvals(context: Context, plan: Plan) -> Iterator[tuple[Approval, set[tuple[object, ...]]]]:
    """Yield the approvals that count for this plan, newest first, each with what it covers.

    An approval names one plan by its digest and covers that plan's changes; where an interruption
    left some of them, those too, although the plan of the rest has another digest. One that does not
    count (``Judge``) is passed over. An approval of a plan of release 0.1.0 covers its deletions and nothing else.
    """
    judge = Judge.here()
    for approval, artifact in reversed(context.record.approvals()):
        if judge.refusal(context, approval, artifact):
            continue
        approved = context.record.read_plan(approval.digest)
        if approval.digest == plan.digest or _sent_again(context, approval, approved.deletions):
            yield approval, set(map(essence, approved.every_change))


def refused_approvals(context: Context, plan: Plan) -> tuple[str, ...]:
    """Return a sentence for each approval of this plan that does not count."""
    judge = Judge.here()
    reasons = (
        (approval, judge.refusal(context, approval, file) or _sent_again(context, approval, unsent(context, plan)))
        for approval, file in context.record.approvals()
    )
    return tuple(
        f"the approval by {approval.by} does not count: {why}"
        for approval, why in reasons
        if why and approval.digest == plan.digest
    )


def require_approval(context: Context, plan: Plan) -> Approval | None:
    """Return the approval, None where the plan needs none as things stand: what comes up later is asked for then.

    Raises DeletionRefused where the plan is blocked, ApprovalMissing where nobody has approved its deletions or,
    where nothing is left to delete, what else has to be done.
    """
    require_not_blocked(context.record, plan)
    if not plan.needs_approval:
        return None
    expected = (each for each in unsent_changes(context, plan) if each.expected)
    approval = _unspent(context, plan, unsent(context, plan) or tuple(expected))
    if approval is None:
        raise approval_missing(context, plan)
    return approval


def approval_command(plan: Plan) -> str:
    """Return the command that approves a plan; where nobody is asked, as in a batch, it needs ``--by`` too."""
    return f"runbook approve {plan.incident} {plan.digest}"


def approval_missing(context: Context, plan: Plan, change: Change | None = None) -> ApprovalMissing:
    """Return the error that says what nobody has approved: the plan, or one change of it."""
    first = ""
    if context.record.read_approvals(plan.digest) and not standing_approvals(context.record, plan):
        first = "find out who answered there, look again (20_list_certificates), and only then: "
    if context.attended:
        first += "give your name in the form above, press its button, and run this cell again; or: "
    who = "nobody else has" if context.site.policy.second_person else "nobody has"
    what, refused = _in_words(plan, change), refused_approvals(context, plan)
    return ApprovalMissing(
        f"{what} and no approval of it counts" if refused else f"{what} and {who} approved it",
        where=f"incident {plan.incident}, plan {plan.digest}",
        found="\n".join(refused),
        next_step=f"{first}runbook approve {plan.incident} {plan.digest} --by NAME",  # one sentence to translate
    )


_NEW_PLAN = (
    "settle each point, then make a new plan (20_list_certificates); what settles which verdict: {0},"
    " “A plan is blocked”"
)


def require_not_blocked(record: Record, plan: Plan) -> None:
    """Raise DeletionRefused where the plan is blocked; its next step says what settles it, as stage 20 does."""
    if plan.blocked:
        settled_by = [sentence for _, sentence in what_settles(record, plan)]
        raise DeletionRefused(
            "The plan is blocked; nothing is changed",
            where=f"incident {plan.incident}",
            found="\n".join(plan.blocked),
            next_step="\n".join((*settled_by, _NEW_PLAN.format(paths.docs_dir() / "troubleshooting.md"))),
        )


def _in_words(plan: Plan, change: Change | None) -> str:
    if isinstance(change, PlannedChange):
        return f"The plan holds this change: {change.kind} ({change.target}),"
    if plan.deletions:
        many = len(plan.deletions)
        return "The plan deletes 1 entry" if many == 1 else f"The plan deletes {many} entries"
    return f"The plan changes something: {', '.join(each.kind for each in plan.changes if each.expected)},"


LAB = "the lab itself"


def approve_as_asked(context: Context, plan: Plan, digest: str) -> Approval | None:
    """Write the approval that was asked for, and return the one that holds for this plan.

    ``digest`` is the parameter ``approve``: empty, or the plan's digest to the letter; another
    one raises ParameterRefused. Only a site that says it is the lab approves by itself.
    """
    if digest and digest != plan.digest:
        raise ParameterRefused(
            "The parameter approve is not this plan's digest; nothing was approved",
            where=f"incident {plan.incident}",
            found=f"approve {digest}\nplan    {plan.digest}",
            next_step=f"look at the plan (runbook plan {plan.incident}) and approve it with its own digest",
        )
    if approval_of(context, plan) or plan.empty or plan.blocked:
        return approval_of(context, plan)
    if digest:
        approve(context.record, plan.digest, by=context.operator, how="parameter approve")
    elif context.site.kind == "lab" and not context.attended:
        approve(context.record, plan.digest, by=LAB, how="the site's file says that it is the lab")
    return approval_of(context, plan)
