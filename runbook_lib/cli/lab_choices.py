"""What can be chosen of a lab on the command line."""

from __future__ import annotations

from enum import StrEnum


class Scenario(StrEnum):
    """The states in which a lab can begin."""

    HEALTHY = "healthy"
    RENEWED = "renewed"
    RENEWED_SECONDARY_ONLY = "renewed-secondary-only"
    RENEWED_ISE_ONLY = "renewed-ise-only"
    AFTER_REDEPLOY = "after-redeploy"


class Addresses(StrEnum):
    """Where a lab's servers listen."""

    AUTO = "auto"
    BLOCK = "block"
    SINGLE = "single"
