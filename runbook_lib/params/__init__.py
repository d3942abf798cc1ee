"""A site's file, validated: what every other module knows of the servers that it talks to."""

from runbook_lib.params.lacking import lacking
from runbook_lib.params.load import (
    from_anywhere,
    known_sites,
    load_site,
    load_site_or_lab,
    secret_references,
    secret_variables,
    site_file,
    site_without_secrets,
)
from runbook_lib.params.model import (
    CaBundle,
    Deadlines,
    Expectation,
    HaSettings,
    IseServer,
    JumpHost,
    LabOptions,
    LabRequest,
    PiServer,
    Policy,
    Site,
    SshAccess,
    SshLogin,
    WebAccess,
)
from runbook_lib.params.values import Secret, canonical_sha256

__all__ = [
    "CaBundle",
    "Deadlines",
    "Expectation",
    "HaSettings",
    "IseServer",
    "JumpHost",
    "LabOptions",
    "LabRequest",
    "PiServer",
    "Policy",
    "Secret",
    "Site",
    "SshAccess",
    "SshLogin",
    "WebAccess",
    "canonical_sha256",
    "from_anywhere",
    "known_sites",
    "lacking",
    "load_site",
    "load_site_or_lab",
    "secret_references",
    "secret_variables",
    "site_file",
    "site_without_secrets",
]
