"""Commands that say that they contact nothing: no name is looked up, no connection made, no packet sent."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from incident_kit import Incident

from runbook_lib.cli import lab
from runbook_lib.cli.plans import approve_command, plan_command, status_command
from runbook_lib.cli.records import close_command
from runbook_lib.cli.site_file import check_command

SITE = """\
name: berlin
primary:
  address: pi-primary.example.com
  ssh: {user: admin, password: env:PI_PASSWORD, host_key: ["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]}
secondary:
  address: pi-secondary.example.com
  ssh: {user: admin, password: env:PI_PASSWORD, host_key: ["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]}
ha: {auth_key: env:PI_PASSWORD}
web: guided
"""


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have gone to the network; each of it is refused."""
    found: list[str] = []

    def refuse(name: str) -> Any:
        def refused(*given: Any, **_: Any) -> None:
            found.append(f"{name} {given[-1]}")
            raise OSError("no network")

        return refused

    class Silent(socket.socket):
        connect = connect_ex = sendto = sendmsg = refuse("socket")

    monkeypatch.setattr(socket, "socket", Silent)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse(name))
    return found


def test_a_check_without_live_contacts_nothing(
    tmp_path: Path, tried: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the servers of a valid file nor the resolver of their names; what it says of that is so."""
    (tmp_path / "berlin.yaml").write_text(SITE, encoding="utf-8")
    monkeypatch.setenv("PI_PASSWORD", "correct-horse")
    assert check_command(str(tmp_path / "berlin.yaml"), live=False) == 0
    assert "Nothing was contacted" in capsys.readouterr().out
    assert tried == []


def test_opening_a_site_in_jupyterlab_contacts_nothing_by_itself(
    tmp_path: Path, tried: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The site is named and JupyterLab started; its servers hear of it when a cell is run."""
    (tmp_path / "berlin.yaml").write_text(SITE, encoding="utf-8")
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    monkeypatch.setattr(lab, "_serve", lambda *_: 0)
    assert lab.notebook_command(str(tmp_path / "berlin.yaml")) == 0
    assert "pi-primary.example.com" in capsys.readouterr().out
    assert tried == []


def test_neither_status_nor_plan_nor_approval_nor_closing_contacts_anything(
    tmp_path: Path, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are read from the record and written into it."""
    monkeypatch.setenv("RUNBOOK_RECORDS", str(tmp_path / "records"))
    incident = Incident(tmp_path)
    plan = incident.write_plan()
    status_command("lab")
    plan_command("lab", as_json=False)
    approve_command(plan.incident, plan.digest, by="Ada Example")
    close_command(plan.incident, by="Ada Example", reason="PI was replaced")
    assert [each.by for each in incident.record.read_approvals()] == ["Ada Example"]
    assert tried == []
