"""What a valid site's file lacks is told before the stage that it stops; a name that nobody knows is no firewall's."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from incident_kit import Incident
from site_kit import site_with

from runbook_lib.device import ssh
from runbook_lib.device.probe import present
from runbook_lib.errors import RecordNotWritable
from runbook_lib.models import Vantage
from runbook_lib.params.model import Expectation, HaSettings, Site, lacking
from runbook_lib.record.signing import new_key
from runbook_lib.repair import preflight
from runbook_lib.repair.preflight import _port
from runbook_lib.secrets import NOT_NAMED

NO_HOST = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def told(site: Site, who: str) -> str:
    return " ".join(line for line in lacking(site) if line.startswith(f"{who}:"))


def test_what_a_later_stage_needs_is_named() -> None:
    """No logs, host key, expectation or login to the web pages: each is named with what stops and what to write."""
    site = site_with()
    bare = site.model_copy(
        update={
            "primary": site.primary.model_copy(
                update={
                    "logs": (),
                    "web": None,
                    "expect": Expectation(),
                    "ssh": site.primary.ssh.model_copy(update={"host_key": ()}),
                }
            ),
            "ise": tuple(each.model_copy(update={"expect": Expectation(), "ssh": None}) for each in site.ise),
        }
    )
    said = told(bare, "primary")
    for words in ("stage 10", "logs:", "ssh: host_key:", "expect: {self: true}", "stages 40 and 50", "primary: web:"):
        assert words in said, words
    assert "sha256" in told(bare, site.ise[0].name)
    assert "self: true" not in told(bare, site.ise[0].name)


def test_named_entries_need_no_logs() -> None:
    """Where the operator names the stale entries of a server, its missing logs stop nothing."""
    site = site_with(policy={"named_entries": ("primary 192.0.2.20_8082",)})
    site = site.model_copy(
        update={key: getattr(site, key).model_copy(update={"logs": ()}) for key in ("primary", "secondary")}
    )
    assert "no logs" not in told(site, "primary")
    assert "no logs" in told(site, "secondary")


def test_a_name_that_does_not_resolve_is_no_firewalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """SSH and the certificate's port say that the name is not known here, and what to mend; nothing of a firewall."""

    async def nobody(*_: Any, **__: Any) -> Any:
        raise NO_HOST

    monkeypatch.setattr(asyncio, "open_connection", nobody)
    site = site_with()
    error = asyncio.run(ssh._failure(NO_HOST, None, "primary", 1.0, ("", site.primary.ssh, None)))
    assert "does not resolve" in error.what
    assert "firewall" not in error.next_step
    look = asyncio.run(present("pri", 443, vantage=Vantage.HERE, deadlines=site.deadlines, times=1))
    assert not look.resolved
    (check,) = asyncio.run(_port(site, "ise", "pri", 443))
    assert "does not resolve" in check.actual
    assert "DNS" in check.note


def test_a_plan_that_needs_the_key_is_blocked_without_it(tmp_path: Path) -> None:
    """The reading stages need no key: `check` warns of it, and only the plan that would type it says that it lacks."""
    site = site_with()
    bare = site.model_copy(
        update={
            "ha": HaSettings(),
            "ise": tuple(each.model_copy(update={"user": "", "password": NOT_NAMED}) for each in site.ise),
        }
    )
    assert "stage" not in told(bare, "ha")
    assert "auth_key" in told(bare, "ha")
    assert "user: and password:" in told(bare, "ise")
    made = Incident(tmp_path, site=bare)
    assert any("does not name" in each for each in preflight.lacking_means(made.context, made.plan()))


def test_a_folder_of_keys_that_cannot_be_written_is_told_before_anything_is_approved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An approval is noted there: a container's home may be nobody's, and stage 30 would be the first to say so."""
    (tmp_path / "taken").touch(mode=0o600)
    made = Incident(tmp_path)
    assert not preflight._keys()
    monkeypatch.setenv("RUNBOOK_KEY_DIR", str(tmp_path / "taken" / "keys"))
    (check,) = preflight._keys()
    assert check.ok is False
    assert "RUNBOOK_KEY_DIR" in check.note
    assert any("RUNBOOK_KEY_DIR" in each for each in preflight.lacking_means(made.context, made.plan()))
    with pytest.raises(RecordNotWritable, match="folder of keys"):
        new_key(tmp_path / "taken" / "keys")
