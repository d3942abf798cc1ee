"""Which release each server runs: whether these runbooks are written for it, and whether both run the same.

Two servers of a pair have to match in the release that was installed and in the one that runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from runbook_lib.errors import VersionUnsupported
from runbook_lib.models import Check, ProductVersion
from runbook_lib.params import Site
from runbook_lib.steps.devices import Devices
from runbook_lib.steps.targets import PI_SERVERS, pi_server

OLDEST_RELEASE = (3, 5)


async def require_release(site: Site, devices: Devices) -> None:
    """Raise VersionUnsupported where a server is older than 3.5; asks nobody where the site's file allows that.

    Every step that changes something asks first, whichever way it was reached. Raises DeviceError where the
    release cannot be read.
    """
    if site.policy.allow_older_release:
        return
    for key in PI_SERVERS:
        require_supported(site, key, await devices.prime(key).version())


async def require_equal_releases(site: Site, devices: Devices) -> None:
    """Raise VersionUnsupported where both servers run different releases; asks nobody where the site's file allows it.

    Raises DeviceError where a release cannot be read.
    """
    if site.policy.allow_unequal_releases:
        return
    versions = [await devices.prime(key).version() for key in PI_SERVERS]
    if _differ(versions):
        raise VersionUnsupported(
            "The servers run different releases, so they cannot be registered with each other; nothing was changed",
            where=f"site {site.name}",
            found="\n".join(f"{version.server}: {in_words(version)}" for version in versions),
            next_step="update one of them, or accept it in the site's file: policy: allow_unequal_releases: true",
        )


def require_supported(site: Site, key: str, version: ProductVersion) -> None:
    """Raise VersionUnsupported where this release is older than 3.5, and the site's file does not allow that."""
    if version.release < OLDEST_RELEASE and not site.policy.allow_older_release:
        raise VersionUnsupported(
            f"The {key} runs release {in_words(version)}; these runbooks are written for 3.5 and later",
            where=f"{key} {pi_server(site, key).address}",
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
            actual=" and ".join(in_words(version) for version in known),
            ok=None,
            note="servers of different releases or fixes cannot be registered with each other; update one of them",
        ),
    )


def in_words(version: ProductVersion) -> str:
    """Return the release that runs, what it was installed as, and the fixes that nobody knows."""
    words = _dotted(version.release)
    if version.base not in ((), version.release):
        words += f" (installed as {_dotted(version.base)})"
    if version.not_understood:
        words += f"; not understood: {', '.join(version.not_understood)}"
    return words


def _differ(versions: Sequence[ProductVersion]) -> bool:
    return len({(_trimmed(version.base), _trimmed(version.release)) for version in versions}) > 1


def _trimmed(release: tuple[int, ...]) -> tuple[int, ...]:
    """Return ``release`` without trailing zeros: 3.10 and 3.10.0 are the same."""
    while release[-1:] == (0,):
        release = release[:-1]
    return release


def _dotted(release: tuple[int, ...]) -> str:
    return ".".join(map(str, release))
