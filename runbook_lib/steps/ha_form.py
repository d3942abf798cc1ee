"""What is typed into *HA Configuration*: for the browser as values, for people with the key as a reference."""

from __future__ import annotations

from runbook_lib.params import Site
from runbook_lib.web import HaForm


def typed_form(site: Site) -> HaForm:
    """Return the values that are typed, the key resolved from its reference just now."""
    return HaForm(
        secondary_server=secondary_address(site),
        auth_key=site.ha.auth_key.resolve(),
        email=site.ha.email,
        failover=site.ha.failover,
        virtual_ipv4=site.ha.virtual_ipv4,
        virtual_ipv6=site.ha.virtual_ipv6,
    )


def secondary_address(site: Site) -> str:
    """Return what is typed as *Secondary Server*."""
    return site.ha.secondary_address or site.secondary.address


def form_rows(site: Site) -> tuple[tuple[str, str], ...]:
    """Return the fields and their values as they may be shown; the key is named by its reference."""
    return (
        ("Secondary Server", secondary_address(site)),
        ("Authentication Key", site.ha.auth_key.source),
        ("Email Address", ", ".join(site.ha.email) or "-"),
        ("Failover Type", site.ha.failover),
        ("IPV4 Virtual IP", site.ha.virtual_ipv4 or "-"),
        ("IPV6 Virtual IP", site.ha.virtual_ipv6 or "-"),
    )
