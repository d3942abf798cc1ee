"""The verdict: what a host presents, compared with what the operator knows by another way.

The order of the questions is the order of the risks. A certificate that changes between two looks
comes first (``unstable``), then anything that differs from what is known, or between two vantages
(``contradicted``), then whether the host shows the certificate that was there before
(``unchanged``), and only then what confirms it. Subject and CN are shown to people and compare
with nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from runbook_lib.certificates.expectation import Knowledge
from runbook_lib.certificates.facts import facts_as_far_as_read, issued_for, key_sha256, load, sha256_of
from runbook_lib.models import Judgement, Presented, Vantage, Verdict

NOTHING_KNOWN = "the operator has given nothing to compare this certificate with"


@dataclass(frozen=True, kw_only=True)
class _Comparison:
    """One thing known against one certificate seen; ``same`` is None where it cannot be told."""

    look: Presented
    same: bool | None
    verdict: Verdict
    words: str


def judge(
    target: str,
    seen: Sequence[Presented],
    known: Knowledge,
    *,
    now_utc: datetime,
    previous_sha256: str = "",
) -> Judgement:
    """Return the verdict on one host and port from all that was seen of it.

    ``seen`` holds one value per vantage, all of the same host and port, at least one;
    ``previous_sha256`` is the certificate that the host was last known to present, where it is
    known. Never raises for what a host presents.
    """
    looks = [p for p in seen if p.available and p.chain]
    verdict, reason, judged = _decide(seen, looks, known, now_utc, previous_sha256)
    return Judgement(
        target=target,
        host=seen[0].host,
        port=seen[0].port,
        verdict=verdict,
        reason=reason,
        expectation=known.words,
        facts=facts_as_far_as_read(judged.chain[0], now_utc) if judged else None,
        seen_from=tuple(p.vantage for p in looks),
        not_available=tuple((p.vantage, p.problem) for p in seen if p not in looks),
    )


def _decide(
    seen: Sequence[Presented], looks: list[Presented], known: Knowledge, now_utc: datetime, previous: str
) -> tuple[Verdict, str, Presented | None]:
    if not looks:
        problems = "; ".join(f"{p.vantage}: {p.problem}" for p in seen)
        return Verdict.UNREACHABLE, f"no answer from any vantage ({problems})", None
    compared = [comparison for look in looks for comparison in _compare(look, looks, known, now_utc)]
    # What contradicts the operator's knowledge says more than two vantages that differ.
    against = [*(c for c in compared if c.same is False), *_differences(looks)]
    alarm = "; ".join(dict.fromkeys(f"seen from {c.look.vantage}: {c.words}" for c in against))
    for look in looks:
        if not look.stable:
            words = f"two probes from {look.vantage} showed different certificates"
            return Verdict.UNSTABLE, "; ".join(filter(None, (words, alarm))), look
    if against:
        judged = against[0].look
        if previous == sha256_of(judged.chain[0]):
            alarm += " (it is the one that was there before: is the new one in use yet?)"
        return Verdict.CONTRADICTED, alarm, judged
    # From here on every vantage shows one and the same certificate.
    if previous == sha256_of(looks[0].chain[0]):
        return Verdict.UNCHANGED, "the host presents the certificate that was there before", looks[0]
    undecided = tuple(dict.fromkeys(c.words for c in compared if c.same is None))
    confirming = sorted((c for c in compared if c.same), key=lambda c: list(Verdict).index(c.verdict))
    if confirming:
        reasons = dict.fromkeys((*(c.words for c in confirming), *undecided))
        return confirming[0].verdict, "; ".join(reasons), looks[0]
    return Verdict.UNCONFIRMED, "; ".join(undecided) or NOTHING_KNOWN, looks[0]


def _compare(look: Presented, looks: list[Presented], known: Knowledge, now_utc: datetime) -> Iterator[_Comparison]:
    """Yield one comparison per thing that is known."""
    leaf = look.chain[0]
    if known.spki_sha256:
        same = {_key_of(leaf)} == set(known.spki_sha256)
        words = "its key is the CSR's" if same else "its key is not the CSR's"
        yield _Comparison(look=look, same=same, verdict=Verdict.CONFIRMED_KEY, words=words)
    sent = tuple(dict.fromkeys(der for one in looks for der in one.chain[1:]))
    for issuer in known.issuers:
        issued, words = issued_for(leaf, sent, issuer.ca, issuer.names, now_utc)
        yield _Comparison(look=look, same=issued, verdict=Verdict.CONFIRMED_CHAIN, words=words)
    if known.sha256:
        same = {sha256_of(leaf)} == set(known.sha256)
        words = "it is the expected certificate" if same else "it is not the expected certificate"
        yield _Comparison(look=look, same=same, verdict=Verdict.CONFIRMED_FINGERPRINT, words=words)
    if known.self_:
        own = _own(looks)
        words = (
            "it is what the host shows through its own SSH server"
            if own
            else "the vantage self is not available, so there is nothing to compare with"
        )
        yield _Comparison(look=look, same=True if own else None, verdict=Verdict.CONFIRMED_SELF, words=words)


def _differences(looks: list[Presented]) -> Iterator[_Comparison]:
    """Yield every look that differs from what the host shows through its own SSH server, or else from the first.

    Two vantages that disagree contradict each other even where nothing else is known.
    """
    reference = _own(looks) or looks[0]
    for look in looks:
        if look.chain[0] != reference.chain[0]:
            words = f"it differs from what is seen from {reference.vantage}"
            yield _Comparison(look=look, same=False, verdict=Verdict.CONTRADICTED, words=words)


def _own(looks: list[Presented]) -> Presented | None:
    return next((look for look in looks if look.vantage is Vantage.SELF), None)


def _key_of(der: bytes) -> str:
    try:
        return key_sha256(load(der))
    except ValueError:
        return ""
