"""What a valid site's file lacks, and which later stage that will stop. Pure: nothing is contacted or resolved."""

from __future__ import annotations

from collections.abc import Iterator

from runbook_lib.params.model import Expectation, IseServer, PiServer, Site
from runbook_lib.secrets import NOT_NAMED


def lacking(site: Site) -> tuple[str, ...]:
    """Return in a sentence each what will stop a stage that comes later, the earliest stage first."""
    return (*_logs(site), *_host_keys(site), *_expectations(site), *_typed(site))


def _servers(site: Site) -> tuple[tuple[str, PiServer], ...]:
    return ("primary", site.primary), ("secondary", site.secondary)


def _hosts(site: Site) -> tuple[tuple[str, PiServer | IseServer], ...]:
    return (*_servers(site), *((server.name, server) for server in site.ise))


def _logs(site: Site) -> Iterator[str]:
    for name, server in _servers(site):
        if not server.logs and not any(entry.startswith(f"{name} ") for entry in site.policy.named_entries):
            yield (
                f"{name}: no logs are named, so stage 10 finds nothing there and stage 20 calls no entry of it stale;"
                f" write {name}: logs:, or name the stale entries (policy: named_entries)"
            )


def _host_keys(site: Site) -> Iterator[str]:
    for name, server in _hosts(site):
        if server.ssh is None:
            continue
        jump = server.ssh.jump
        for what, login in ((name, server.ssh), *(((f"{name}'s jump host", jump),) if jump else ())):
            if not login.host_key:
                yield (
                    f"{what}: no SSH host key is pinned, so no stage logs in there; compare it on the server's console"
                    " and write it to ssh: host_key:"
                )


def _expectations(site: Site) -> Iterator[str]:
    for name, server in _hosts(site):
        if server.expect == Expectation():
            simplest = "expect: {self: true}" if server.ssh else "expect: {sha256: …} from its console"
            yield (
                f"{name}: nothing is known of its certificate by another way, so stage 20 blocks the plan where its"
                f" entries are stale; write {simplest}, or what else you have (expect:)"
            )


def _typed(site: Site) -> Iterator[str]:
    if site.web != "guided" and site.ha.auth_key == NOT_NAMED:
        yield "ha: no authentication key is named, so a plan that registers HA is blocked; write ha: auth_key:"
    for server in site.ise:
        if site.web != "guided" and server.password == NOT_NAMED:
            advice = "write its user: and password:"
            yield f"{server.name}: no login is named, so a plan that adds it again is blocked; {advice}"
    if site.web != "guided" and site.primary.web is None:
        advice = "write primary: web:, or web: guided"
        yield f"primary: no login to the web pages is named, so stages 40 and 50 stop; {advice}"
