"""Whose word an approval is, and why one does not count."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runbook_lib import places
from runbook_lib.errors import ParameterRefused
from runbook_lib.models import Approval
from runbook_lib.private import NotPrivate
from runbook_lib.record import Artifact, Record
from runbook_lib.record.approvals import SEEN, seen_here, signer
from runbook_lib.record.keys import VerifyingKey, key_id, signing_key, trusted_keys
from runbook_lib.record.process import account, host
from runbook_lib.steps.context import Context
from runbook_lib.steps.same_person import same_person

_TIME = "%Y-%m-%dT%H:%M:%SZ"
UNSIGNED = (
    "It is not signed: it counts for this account on this machine only, and whoever can use this account can approve."
)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """What this account trusts: its own key and others', and the approvals that it wrote here itself."""

    own: str
    trusted: tuple[VerifyingKey, ...]
    seen: dict[str, str]

    @classmethod
    def here(cls, folder: Path | None = None) -> Judge:
        """Read the folder of the keys. Raises ``ParameterRefused`` where others have a hand in what lies there."""
        folder = folder or places.key_dir()
        key = signing_key(folder)
        try:
            seen = seen_here(folder)
        except NotPrivate as error:
            raise ParameterRefused(
                f"What this account approved is not believed: {error.why}",
                where=str(folder / SEEN),
                next_step=error.next_step,
            ) from None
        return cls(own=key_id(key.public_key()) if key else "", trusted=trusted_keys(folder), seen=seen)

    def refusal(self, context: Context, approval: Approval, artifact: Artifact) -> str:
        """Return why an approval does not count, or nothing where it does."""
        now = context.now()
        if approval.at_utc > now:
            return f"it is dated in the future: {approval.at_utc:{_TIME}}, and here it is {now:{_TIME}}"
        if approval.signature and not self.signed(approval, artifact):
            return f"it says that the key {approval.key[:16]}… signed it, and no key that is trusted here did"
        if not approval.signature and artifact.sha256 not in self.seen:
            return "it is not signed, and this account did not write it on this machine"
        return self._not_second(context, approval) if context.site.policy.second_person else ""

    def signed(self, approval: Approval, artifact: Artifact) -> bool:
        """Whether a trusted key signed it, or whoever sent this record here vouched that one had."""
        vouched = approval.key and self.seen.get(artifact.sha256) == approval.key
        return bool(vouched) or signer(approval, self.trusted) is not None

    def vouches(self, record: Record) -> dict[str, str]:
        """Return the approvals that may be believed where this record is sent: each file's SHA-256 and signing key."""
        told = record.approvals()
        keys = {file.sha256: approval.key for approval, file in told if self.signed(approval, file)}
        return keys | {
            file.sha256: "" for approval, file in told if not approval.signature and file.sha256 in self.seen
        }

    def _not_second(self, context: Context, approval: Approval) -> str:
        if same_person(approval.by, context.operator):
            return f"{context.operator} runs this stage, so it is not a second person's"
        if (approval.account, approval.host) == (account(), host()):
            return f"both were typed by one account, {account()} on {host()}, so it is not a second person's"
        if not approval.signature:
            return "it is not signed, so nobody knows that a second person gave it"
        if approval.key == self.own:
            return "it is signed with the key of the one who runs this stage, so it is not a second person's"
        return ""
