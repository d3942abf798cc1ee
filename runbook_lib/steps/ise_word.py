"""What ISE's own API says of its admin certificate, beside what was probed."""

from __future__ import annotations

from collections.abc import Iterator

from runbook_lib.errors import CertificateMoved, DeletionRefused
from runbook_lib.ise_api import NotAvailable, admin_fingerprints
from runbook_lib.models import CertificateFacts, Check
from runbook_lib.params import IseServer
from runbook_lib.steps.confirmed import require_confirmed
from runbook_lib.steps.context import Context

NAME = "ISE's own word on its certificate"


async def ise_word(context: Context, settings: IseServer) -> Check:
    """Return one check per ISE server: ISE's fingerprint of its admin certificate against the one that it presents.

    ISE is asked only where its certificate is confirmed. An API that is absent or refuses is said, and is no failure.
    """
    name = f"{NAME}: {settings.name}"
    try:
        judgement = await require_confirmed(context, settings.name)
    except (DeletionRefused, CertificateMoved) as error:
        return _not_known(name, f"not asked: {error.what}")
    facts = judgement.facts
    if facts is None:
        return _not_known(name, "not asked: it presents no certificate")
    try:
        said = await admin_fingerprints(
            settings.address,
            settings.port,
            _node_names(settings, facts),
            (settings.user, settings.password.resolve()),
            pin=facts.sha256,
            deadline_s=context.site.deadlines.connect_s,
        )
    except NotAvailable as problem:
        return _not_known(name, f"not available: {problem}", facts.sha256)
    return Check(
        name=name,
        expected=facts.sha256,
        actual=", ".join(said),
        ok=facts.sha256 in said,
        note="sha256Fingerprint of the certificate that is used by Admin",
    )


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
