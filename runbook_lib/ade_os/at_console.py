"""What to type at a server's own console, so that a person can compare a key or a certificate by another way.

All of it is recalled, unproven: a console that knows none of it is asked by whoever installed the server.
"""

from __future__ import annotations

from runbook_lib.ade_os.tables import RECALLED, Row

HOST_KEY = Row("", "show crypto host_key", RECALLED)
"""Prints the SSH host key's fingerprints at the ADE-OS command line."""

HOST_KEY_IN_SHELL = Row("", "ssh-keygen -lf /etc/ssh/ssh_host_rsa_key.pub", RECALLED)
"""The same below ``shell``, where the release prints MD5 digits or none."""

_CERTIFICATE = "openssl s_client -connect 127.0.0.1:{port} </dev/null | openssl x509 -noout -fingerprint -sha256"
_ISE = "Administration > System > Certificates > System Certificates > View (SHA-256 Fingerprint)"


def certificate_at_console(port: int, *, ise: bool) -> str:
    """Return what shows the SHA-256 of the certificate that a server itself holds for a port of its own."""
    return f"{_ISE} (recalled)" if ise else f"shell, then: {_CERTIFICATE.format(port=port)} (recalled)"
