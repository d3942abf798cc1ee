"""What is looked for, as data: the mismatch (read by ``mismatch.py``) in its three places, and look-alikes of it.

A rule counts lines. One of its ``literals`` is searched in the bytes; the line (with ``lines_before`` it) then has
to hold every one of the ``patterns``. Wordings of Java and of the product's published messages; a site can add rules
(``load_rules``). Every rule has a log that it matches and one that it nearly does in ``tests/fixtures/log-rules``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, cast, get_args

from runbook_lib.errors import UsageError, cut
from runbook_lib.logs.mismatch import LITERAL
from runbook_lib.logs.scanner import Scanner
from runbook_lib.logs.search import SITE_PARAMETERS, Confidence, Rule
from runbook_lib.models import Stage
from runbook_lib.observations import NextStep
from runbook_lib.params.values import checked_pattern
from runbook_lib.paths import delivered, read_within


@dataclass(frozen=True, kw_only=True)
class Place:
    """One of the published places of the mismatch: whose log it is, and the kind of thread that reports it.

    ``where`` is where what every mismatch asks for is to be done, and what follows there.
    """

    name: str
    server: str
    thread: str
    meaning: str
    where: str
    confidence: Confidence = "certain"
    notebook: str = "20_list_certificates"
    parameters: tuple[tuple[str, str], ...] = SITE_PARAMETERS

    @property
    def advice(self) -> str:
        """What to do there, in a sentence."""
        return f"{LIST_FIRST} {self.where}"


def next_step(rule: Rule | Place, known: dict[str, str]) -> NextStep:
    """Return the rule's next step with its parameters filled in from ``known`` (``site``, ``incident``)."""
    filled = {name: value.format_map({"site": "", "incident": ""} | known) for name, value in rule.parameters}
    parameters = {name: value for name, value in filled.items() if value} if rule.notebook else {}
    place = rule.name if isinstance(rule, Place) else ""
    return NextStep(advice=rule.advice, place=place, notebook=rule.notebook, parameters=parameters)


LIST_FIRST = "List both stores, confirm the certificate that is presented now by another way, and plan the deletion"
"""What every mismatch asks for."""

PLACES = (
    Place(
        name="primary_health_monitor",
        server="primary",
        thread="health_monitor",
        meaning="The primary's Health Monitor trusts an older certificate of the secondary: that one has changed.",
        where="on the primary; HA is registered again afterwards (40_register_ha).",
    ),
    Place(
        name="primary_infrastructure",
        server="primary",
        thread="infrastructure",
        meaning="The primary trusts an older certificate of an ISE server: that one has changed.",
        where="on the primary; the ISE server is added again afterwards (50_readd_ise).",
    ),
    Place(
        name="secondary_health_monitor",
        server="secondary",
        thread="health_monitor",
        meaning="The secondary's Health Monitor trusts an older certificate of the primary: that one has changed.",
        where="on the secondary; HA is registered again afterwards (40_register_ha).",
    ),
)
"""The three places, as published."""

ELSEWHERE = Place(
    name="unknown",
    server="",
    thread="",
    meaning="A server trusts an older certificate of this host; the log does not show which of the three places it is.",
    where="on the server whose log it is.",
    confidence="likely",
)
"""The mismatch where the server or the thread is not one of the published ones."""


def place_named(name: str) -> Place:
    """Return the place of this name, ``ELSEWHERE`` where there is none."""
    return next((place for place in PLACES if place.name == name), ELSEWHERE)


def _all(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(map(re.compile, patterns))


RULES = (
    Rule(
        name="certificate_expired",
        confidence="certain",
        literals=(b"CertificateExpiredException", b"NotAfter:", b"ertificate has expired", b"ertificate expired"),
        patterns=_all(r"CertificateExpiredException|NotAfter: |[Cc]ertificate (?:has )?expired"),
        meaning="A certificate is past its last day.",
        advice="Renew the certificate on the host that presents it, and check both clocks (`show clock`).",
    ),
    Rule(
        name="certificate_not_yet_valid",
        confidence="certain",
        literals=(b"CertificateNotYetValidException", b"NotBefore:", b"not yet valid"),
        patterns=_all(r"CertificateNotYetValidException|NotBefore: |[Cc]ertificate (?:is )?not yet valid"),
        meaning="A certificate is not valid yet: most often one of the two clocks is wrong.",
        advice="Compare the clocks of both hosts (`show clock`) and fix NTP before anything else.",
    ),
    Rule(
        name="path_building_failed",
        confidence="certain",
        literals=(b"PKIX path building failed", b"valid certification path"),
        patterns=_all(r"PKIX path building failed|unable to find valid certification path"),
        meaning="The certificate's issuer is not trusted: validation by a CA is on, and the CA is not known.",
        advice="Import the issuing CA's certificates on the server that logs this.",
    ),
    Rule(
        name="path_validation_failed",
        literals=(b"PKIX path validation failed", b"CertPathValidatorException: ", b"Trust anchor for certification"),
        patterns=_all(r"PKIX path validation failed|CertPathValidatorException: \S|Trust anchor for certif"),
        meaning="A certificate's chain failed a check: a date, a signature, an algorithm, revocation, or its CA.",
        advice="Read the reason behind it, and mend the certificate, its CA on the server that logs this, or a clock.",
    ),
    Rule(
        name="handshake_failed",
        confidence="possible",
        literals=(b"SSLHandshakeException: ", b"SSLPeerUnverifiedException: peer", b"javax.net.ssl.SSLException: "),
        patterns=_all(
            r"peer not authenticated|Received fatal alert: (?!certificate_unknown|bad_certificate|unknown_ca)\w"
            r"|no cipher suites in common|No appropriate protocol|Remote host (?:closed connection|terminated)"
            r"|not conform to algorithm constraints|[Uu]nsupported or unrecognized SSL|[Nn]o negotiable cipher"
        ),
        meaning="A TLS connection was not made, and the message does not say that a certificate changed.",
        advice="Read what stands above it, and the log of the host at the other end; compare both hosts' TLS settings.",
    ),
    Rule(
        name="certificate_refused",
        literals=(b"eceived fatal al",),
        patterns=_all(r"[Rr]eceived fatal alert: (?:certificate_unknown|bad_certificate|unknown_ca)\b"),
        meaning="The host at the other end refused this server's certificate: it may trust an older one.",
        advice="Diagnose the log of the host at the other end: if it is a mismatch, it is reported there and not here.",
    ),
    Rule(
        name="host_name_mismatch",
        literals=(b"No subject alt", b"No name matching", b"ostname in certificate", b"HostnameVerifi", b"PeerUnverif"),
        patterns=_all(
            r"No subject alternative|No name matching|[Hh]ostname in certificate|HostnameVerif|PeerUnverif",
            r"No subject alternative (?:DNS )?names? |No name matching \S|n't match|not match|mismatch|[Ff]ail"
            r"|not verified",
        ),
        meaning="The certificate does not hold the name or address by which the host was called.",
        advice="Call the host by a name that its certificate holds, or issue one that holds this name.",
    ),
    Rule(
        name="authentication_key_mismatch",
        confidence="certain",
        notebook="40_register_ha",
        literals=(b"uthentication key does not match",),
        patterns=_all(r"[Aa]uthentication key does not match between primary"),
        meaning="The HA authentication keys of the primary and the secondary differ.",
        advice="Set the same key on both servers with `ncs ha authkey <newkey>`, then register again.",
    ),
    Rule(
        name="health_monitor_unreachable",
        notebook="00_start_here",
        literals=(b"onnection refused", b"onnect timed out", b"onnection timed out", b"No route to host"),
        patterns=_all(r"(?<!\d)8082(?!\d)", r"[Cc]onnection refused|[Cc]onnect(?:ion)? timed out|No route to host"),
        meaning="The peer's Health Monitor port 8082 does not answer.",
        advice="Check that services are running there (`ncs status`) and that no firewall blocks port 8082.",
        lines_before=1,
    ),
    Rule(
        name="cloud_connection",
        literals=(b"QuoVadis", b"FN72110", b"tools.cisco.com", b"cloudsso.cisco.com"),
        patterns=_all(
            r"QuoVadis|FN72110|(?:tools|cloudsso)\.cisco\.com",
            r"QuoVadis|FN72110|SSLHandshakeException|PKIX|[Cc]ertificate|[Hh]andshake",
        ),
        meaning="The connection to Cisco's cloud fails because of its root certificate (PI 3.7 to 3.9, FN72110).",
        advice="Follow field notice FN72110; it has nothing to do with TOFU entries.",
    ),
    Rule(
        name="clock_skew",
        confidence="possible",
        literals=(b"lock skew", b"lock is not synchroni", b"locks are not synchroni"),
        patterns=_all(
            r"[Cc]lock skew (?:too great|detected|of \d|is \d|between)|[Cc]lock(?: is|s are) not synchroni[sz]ed"
        ),
        meaning="The clocks of two servers differ, which alone makes certificates look expired or not yet valid.",
        advice="Compare the clocks of all servers (`show clock`, `show ntp`) and fix NTP before anything else.",
    ),
    Rule(
        name="quoted_message",
        confidence="certain",
        quoted=True,
        literals=(LITERAL,),
        patterns=(),
        meaning="The mismatch is only quoted here: by an audit trail, a search, or somebody's text.",
        advice="It proves nothing here; read the log of the server that it was quoted from.",
    ),
)
"""The rules that every diagnosis uses."""


# -- Rules that a site adds: a YAML list, each with a text that it must match and one that it must not.
#
#     - name: ntp_lost
#       literals: ["NTP daemon lost"]
#       patterns: ["NTP daemon lost \d+ peers"]
#       meaning: "The server has lost its time sources."
#       advice: "Mend NTP on the server that logs this."
#       confidence: likely          # certain, likely or possible; optional
#       notebook: 00_start_here     # the stage that goes on from here; optional
#       lines_before: 0             # lines above that count as well, 3 at most; optional
#       match: "12:00:01 NTP daemon lost 3 peers"
#       near_miss: "12:00:01 NTP daemon lost no peers"

SHORTEST_LITERAL = 4
MOST_LINES_BEFORE = 3
LONGEST_FILE = 1 << 20

_NEEDED = ("name", "literals", "meaning", "advice", "match", "near_miss")
_OPTIONAL = ("patterns", "confidence", "notebook", "lines_before")


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Return the rules of a site's file.

    Raises UsageError that names every problem: a key that is missing, unknown or of the wrong kind, a pattern that
    is not one, a name that is taken, and a rule that its own two texts contradict.
    """
    problems: list[str] = []
    rules: list[Rule] = []
    taken = {rule.name for rule in RULES}
    for number, item in enumerate(_items(path), 1):
        label = str(item.get("name", "")) if isinstance(item, Mapping) else ""
        wrong = _problems(item, taken)
        if not wrong:
            rule = Rule(
                name=item["name"],
                literals=tuple(map(_bytes, item["literals"])),
                patterns=tuple(re.compile(text) for text in item.get("patterns", [])),
                meaning=item["meaning"],
                advice=item["advice"],
                confidence=cast("Confidence", item.get("confidence", "likely")),
                notebook=item.get("notebook", ""),
                lines_before=item.get("lines_before", 0),
            )
            if not _counts(rule, item["match"]):
                wrong.append("match: the rule does not find its message in this text")
            if _counts(rule, item["near_miss"]):
                wrong.append("near_miss: the rule finds its message in this text too")
            rules.append(rule)
            taken.add(rule.name)
        problems += [f"rule {number} {label}".rstrip() + f": {problem}" for problem in wrong]
    if problems:
        raise _invalid(path, "\n".join(problems))
    return tuple(rules)


def _items(path: Path) -> list[Any]:
    import yaml

    try:
        data = yaml.safe_load(read_within(path, LONGEST_FILE).decode("utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:  # ValueError: a date that does not exist
        raise _invalid(path, getattr(error, "strerror", "") or str(error)) from error
    if data is None:
        return []
    if not isinstance(data, list):
        raise _invalid(path, "the file is not a list of rules")
    return data


def _problems(item: object, taken: set[str]) -> list[str]:
    if not isinstance(item, Mapping):
        return ["is not a mapping of keys"]
    known = (*_NEEDED, *_OPTIONAL)
    wrong = [f"{key!s:.40}: unknown key; known are {', '.join(known)}" for key in item if key not in known]
    wrong += [f"{key}: is missing" for key in _NEEDED if key not in item]
    for key in ("name", "meaning", "advice", "match", "near_miss", "confidence", "notebook"):
        if key in item and (not isinstance(item[key], str) or not item[key].strip()):
            wrong.append(f"{key}: write a text")
    for key in ("literals", "patterns"):
        value = item.get(key, [])
        if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
            wrong.append(f"{key}: write a list of texts")
    return wrong or [*_worse_problems(item, taken)]


def _worse_problems(item: Mapping[str, Any], taken: set[str]) -> Iterator[str]:
    """Yield what is wrong with values that are of the right kind."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", item["name"]):
        yield "name: write small letters, digits and underscores"
    if item["name"] in taken:
        yield "name: there is a rule of that name already"
    if min((len(_bytes(text)) for text in item["literals"]), default=0) < SHORTEST_LITERAL:
        yield f"literals: write at least one, of {SHORTEST_LITERAL} bytes or more: rare words are quick to find"
    for text in item.get("patterns", []):
        try:
            checked_pattern(text)
        except ValueError as error:
            yield f"patterns: {cut(text, 60)!r} {error}"
    if item.get("confidence", "likely") not in get_args(Confidence):
        yield f"confidence: write one of {', '.join(get_args(Confidence))}"
    if item.get("notebook", Stage.START) not in set(Stage):
        yield f"notebook: write one of {', '.join(Stage)}"
    lines = item.get("lines_before", 0)
    if type(lines) is not int or not 0 <= lines <= MOST_LINES_BEFORE:
        yield f"lines_before: write a number from 0 to {MOST_LINES_BEFORE}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _counts(rule: Rule, text: str) -> int:
    scanner = Scanner((rule,), UTC)
    scanner.begin_file("example")
    scanner.feed(_bytes(text))
    scanner.finish()
    return scanner.findings.tallies[rule.name].count


def _invalid(path: Path, found: str) -> UsageError:
    return UsageError(
        "The site's rules for logs cannot be used.",
        where=str(path),
        found=found,
        next_step=f"Correct the file; {delivered('docs/diagnosis.md')} shows what a rule looks like.",
    )
