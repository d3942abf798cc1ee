"""What ISE's own API says of its admin certificate, beside what was probed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from runbook_lib.errors import CertificateMoved, DeletionRefused
from runbook_lib.ise_api import NotAvailable, admin_certificates
from runbook_lib.models import CertificateFacts, Check
from runbook_lib.params import IseServer
from runbook_lib.parse.ise_certificates import IseCertificate
from runbook_lib.secrets import NOT_NAMED
from runbook_lib.steps.confirmed import require_confirmed
from runbook_lib.steps.context import Context

NAME = "ISE's own word on its certificate"
IMPORTED = "ISE's imported certificate"
_UNSURE = timedelta(days=1)
"""How far off a date of ISE's may be: the names of some zones mean several."""


async def ise_word(context: Context, settings: IseServer) -> Check:
    """Return one check per ISE server: ISE's fingerprint of its admin certificate against the one that it presents.

    ISE is asked only where its certificate is confirmed. An API that is absent or refuses is said, and is no failure.
    A newer certificate than the presented one waits for a restart: a check of its own, of which nobody knows the end.
    """
    name = f"{NAME}: {settings.name}"
    try:
        judgement = await require_confirmed(context, settings.name)
    except (DeletionRefused, CertificateMoved) as error:
        return _not_known(name, f"not asked: {error.what}")
    facts = judgement.facts
    if settings.password == NOT_NAMED:
        return _not_known(name, "not asked: the site's file names no login to it")
    if facts is None:
        return _not_known(name, "not asked: it presents no certificate")
    try:
        said = await admin_certificates(
            settings.address,
            settings.port,
            _node_names(settings, facts),
            (settings.user, settings.password.resolve()),
            pin=facts.sha256,
            deadline_s=context.site.deadlines.connect_s,
        )
    except NotAvailable as problem:
        return _not_known(name, f"not available: {problem}", facts.sha256)
    if waiting := _not_yet_presented(said, facts):
        return _imported(settings, waiting)
    presented = next((one for one in said if one.sha256 == facts.sha256), None)
    return Check(
        name=name,
        expected=facts.sha256,
        actual=", ".join(one.sha256 for one in said),
        ok=presented is not None,
        note=f"sha256Fingerprint of the certificate that is used by Admin{_until(presented)}",
    )


def _not_yet_presented(said: Sequence[IseCertificate], facts: CertificateFacts) -> IseCertificate | None:
    """Return the certificate that ISE uses by its own word and does not show yet; one that is older is none."""
    if any(one.sha256 == facts.sha256 for one in said):
        return None
    oldest = facts.not_before_utc - _UNSURE
    return next((one for one in said if one.begins_utc is None or one.begins_utc >= oldest), None)


def _imported(settings: IseServer, waiting: IseCertificate) -> Check:
    return Check(
        name=f"{IMPORTED}: {settings.name}",
        expected=f"presented on port {settings.port}",
        actual=f"imported, not yet presented: {waiting.sha256}{_until(waiting)}",
        ok=None,
        note="its restart after the import was put off: wait for it, or restart it; the mismatch comes only after that",
    )


def _until(one: IseCertificate | None) -> str:
    return f", valid until {_day(one.ends_utc)}" if one and one.ends_utc else ""


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _not_known(name: str, words: str, expected: str = "the presented certificate") -> Check:
    return Check(name=name, expected=expected, actual=words, ok=None, note="ISE 3.1 and later tell")


def _node_names(settings: IseServer, facts: CertificateFacts) -> tuple[str, ...]:
    """Return what ISE may call its node: the host's names, whole and without their domain."""

    def names() -> Iterator[str]:
        for name in (*settings.names, settings.address, *facts.names):
            if name and not name.replace(".", "").isdigit() and ":" not in name and "*" not in name:
                yield name.split(".")[0]
                yield name

    return tuple(dict.fromkeys(names()))
