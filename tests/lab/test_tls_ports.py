"""What answers on the TLS ports: the web pages, the Health Monitor's page, the ISE server."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.parse
import urllib.request

import pytest
from lab_clients import place
from waiting import PATIENCE_S

from runbook_lib.lab import Lab


def fetch(lab: Lab, server: str, service: str, path: str, fields: dict[str, str] | None = None) -> tuple[int, str]:
    """The status and text of one page, whatever the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    body = urllib.parse.urlencode(fields).encode() if fields else None
    address, port = place(lab, server, service)
    try:
        with urllib.request.urlopen(
            f"https://{address}:{port}{path}", body, timeout=PATIENCE_S, context=context
        ) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


@pytest.mark.parametrize("server", ["primary", "secondary"])
def test_the_web_port_serves_the_login_page(healthy: Lab, server: str) -> None:
    """Both servers have pages; what they show is tested beside them."""
    status, text = fetch(healthy, server, "web", "/webacs/login")
    assert status == 200
    assert "password" in text.lower()


def test_the_health_monitor_page_is_entered_with_the_key(healthy: Lab) -> None:
    """The right key shows the state, a wrong one does not."""
    assert (
        "Secondary Syncing" in fetch(healthy, "secondary", "hm", "/login", {"authKey": healthy.secret("auth_key")})[1]
    )
    status, text = fetch(healthy, "secondary", "hm", "/login", {"authKey": "wrong"})
    assert status == 401
    assert "Syncing" not in text


def test_the_ise_server_asks_for_a_login(healthy: Lab) -> None:
    """Without a password there is nothing to see, and the truth log has the request."""
    begun = len(healthy.truth())
    assert fetch(healthy, "ise", "ise", "/api/v1/deployment/node")[0] == 401
    # The primary asks the ISE server as well, with its password, whenever it likes.
    asked = [line for line in healthy.truth()[begun:] if line["server"] == "ise" and "GET" in line["what"]]
    assert [line for line in asked if line["accepted"] is False]
