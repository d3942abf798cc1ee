"""The look-alikes: each rule against a log that it matches and one that it nearly does."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook_lib.logs.diagnosis import diagnose_sources
from runbook_lib.logs.mismatch import LITERAL
from runbook_lib.logs.rules import PLACES, RULES, Place
from runbook_lib.logs.search import Rule

FIXTURES = Path(__file__).parent.parent / "fixtures" / "log-rules"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_matches_and_nearly_matches(rule: Rule) -> None:
    """Each rule finds its message once, says what to do, and does not find the near miss."""
    match, near_miss = FIXTURES / f"{rule.name}.match.log", FIXTURES / f"{rule.name}.near-miss.log"
    found = {x.rule: x for x in diagnose_sources({"primary": [match]}).look_alikes}
    assert found[rule.name].count == 1
    assert found[rule.name].advice == rule.advice
    assert any(literal in near_miss.read_bytes() for literal in rule.literals) or rule.name == "path_building_failed"
    assert diagnose_sources({"primary": [near_miss]}).look_alikes == ()


@pytest.mark.parametrize(
    ("said", "rules"),
    [
        (
            "SSLPeerUnverifiedException: Certificate for <10.0.0.2> doesn't match any of the subject",
            "host_name_mismatch",
        ),
        ("SSLPeerUnverifiedException: Hostname 10.0.0.2 not verified:", "host_name_mismatch"),
        ("SSLPeerUnverifiedException: Host name '10.0.0.2' does not match the certificate", "host_name_mismatch"),
        ("SSLPeerUnverifiedException: peer not authenticated", "handshake_failed"),
        ("SSLHandshakeException: Remote host terminated the handshake", "handshake_failed"),
        ("SSLHandshakeException: No appropriate protocol (protocol is disabled)", "handshake_failed"),
        ("SSLException: Unsupported or unrecognized SSL message", "handshake_failed"),
        ("SSLHandshakeException: Received fatal alert: unknown_ca", "certificate_refused"),
        ("SSLHandshakeException: Trust anchor for certification path not found.", "path_validation_failed"),
        ("SSLHandshakeException: java.security.cert.CertificateException: Trust-on-first-use", ""),
        ("SSLHandshakeException: java.security.cert.", ""),
    ],
)
def test_what_java_says_of_tls_is_a_look_alike(tmp_path: Path, said: str, rules: str) -> None:
    """A log with such lines is not called free of anything; the words of the mismatch are no look-alike."""
    (log := tmp_path / "hm-0-0.log").write_text(f"2026-11-23 12:00:01,123 ERROR [system] javax.net.ssl.{said}\n")
    assert [each.rule for each in diagnose_sources({"primary": [log]}).look_alikes] == ([rules] if rules else [])


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_place_matches_and_nearly_matches(place: Place) -> None:
    """Each place is told by its log and not by one that nearly is such a log, of any server."""
    match, near_miss = FIXTURES / f"{place.name}.match.log", FIXTURES / f"{place.name}.near-miss.log"
    (found,) = diagnose_sources({place.server: [match]}).mismatches
    assert (found.place, found.count) == (place.name, 1)
    assert LITERAL in near_miss.read_bytes()
    nearly = diagnose_sources({server: [near_miss] for server in ("primary", "secondary")})
    assert place.name not in {m.place for m in nearly.mismatches}


def test_every_fixture_has_a_rule_and_every_rule_its_two() -> None:
    """No rule is without a log that it matches and one that it nearly does, and none of a rule that is gone is left."""
    wanted = {f"{rule.name}.{kind}.log" for rule in (*RULES, *PLACES) for kind in ("match", "near-miss")}
    assert {path.name for path in FIXTURES.iterdir()} == wanted


def test_look_alike_is_no_mismatch_and_counts_lines(tmp_path: Path) -> None:
    """A look-alike is counted by lines, with bounded evidence, and is never a mismatch."""
    log = tmp_path / "hm-0-0.log"
    log.write_text("x\nPKIX path building failed: unable to find valid certification path\n" * 100)
    found = diagnose_sources({"secondary": [log]})
    assert found.mismatches == ()
    assert [(x.rule, x.server, x.count) for x in found.look_alikes] == [("path_building_failed", "secondary", 100)]
    assert [line.number for line in found.look_alikes[0].evidence] == [2, 4, 6, 8, 10, 192, 194, 196, 198, 200]
