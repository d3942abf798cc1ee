"""What is looked for besides the mismatch itself, as data: look-alikes that no deletion repairs.

A rule counts lines. ``literals`` are searched in the bytes; the line (with ``lines_before`` it) then has
to hold every one of the ``patterns``. Wordings of Java and of the product's published messages; a site can add rules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One kind of message: how to find it, what it means, and the next step."""

    name: str
    literals: tuple[bytes, ...]
    patterns: tuple[re.Pattern[str], ...]
    meaning: str
    advice: str
    lines_before: int = 0


RULES = (
    Rule(
        name="certificate_expired",
        literals=(b"CertificateExpiredException", b"NotAfter:", b"ertificate has expired", b"ertificate expired"),
        patterns=(re.compile(r"CertificateExpiredException|NotAfter: |[Cc]ertificate (?:has )?expired"),),
        meaning="A certificate is past its last day.",
        advice="Renew the certificate on the host that presents it, and check both clocks (`show clock`).",
    ),
    Rule(
        name="certificate_not_yet_valid",
        literals=(b"CertificateNotYetValidException", b"NotBefore:", b"not yet valid"),
        patterns=(re.compile(r"CertificateNotYetValidException|NotBefore: |[Cc]ertificate (?:is )?not yet valid"),),
        meaning="A certificate is not valid yet: most often one of the two clocks is wrong.",
        advice="Compare the clocks of both hosts (`show clock`) and mend NTP before anything else.",
    ),
    Rule(
        name="path_building_failed",
        literals=(b"PKIX path building failed", b"unable to find valid certification path"),
        patterns=(re.compile(r"PKIX path building failed|unable to find valid certification path"),),
        meaning="The certificate's issuer is not trusted: validation by a CA is on, and the CA is not known.",
        advice="Import the issuing CA's certificates on the server that logs this.",
    ),
    Rule(
        name="host_name_mismatch",
        literals=(b"No subject alternative", b"No name matching", b"ostname in certificate", b"HostnameVerifi"),
        patterns=(
            re.compile(r"No subject alternative|No name matching|[Hh]ostname in certificate|HostnameVerif"),
            re.compile(
                r"No subject alternative (?:DNS )?names? |No name matching \S|n't match|not match|mismatch|[Ff]ail"
            ),
        ),
        meaning="The certificate does not hold the name or address by which the host was called.",
        advice="Call the host by a name that its certificate holds, or issue one that holds this name.",
    ),
    Rule(
        name="authentication_key_mismatch",
        literals=(b"uthentication key does not match",),
        patterns=(re.compile(r"[Aa]uthentication key does not match between primary"),),
        meaning="The HA authentication keys of the primary and the secondary differ.",
        advice="Set the same key on both servers with `ncs ha authkey <newkey>`, then register again.",
    ),
    Rule(
        name="health_monitor_unreachable",
        literals=(b"onnection refused", b"onnect timed out", b"onnection timed out", b"No route to host"),
        patterns=(
            re.compile(r"(?<!\d)8082(?!\d)"),
            re.compile(r"[Cc]onnection refused|[Cc]onnect(?:ion)? timed out|No route to host"),
        ),
        meaning="The peer's Health Monitor port 8082 does not answer.",
        advice="See that services run there (`ncs status`) and that no firewall blocks port 8082.",
        lines_before=1,
    ),
    Rule(
        name="cloud_connection",
        literals=(b"QuoVadis", b"FN72110", b"tools.cisco.com", b"cloudsso.cisco.com"),
        patterns=(
            re.compile(r"QuoVadis|FN72110|(?:tools|cloudsso)\.cisco\.com"),
            re.compile(r"QuoVadis|FN72110|SSLHandshakeException|PKIX|[Cc]ertificate|[Hh]andshake"),
        ),
        meaning="The connection to Cisco's cloud fails because of its root certificate (PI 3.7 to 3.9, FN72110).",
        advice="Follow field notice FN72110; no entry of a TOFU list has to do with it.",
    ),
)
"""The rules that every diagnosis uses."""
