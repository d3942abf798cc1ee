"""The SSH service of the simulated servers, over real connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncssh
import pytest
from lab_clients import DELETE, LIST, connected, listed, place, say, shown_through, terminal, until

from runbook_lib.lab import Lab

PROMPT = "prime-pri/admin# "
StartLab = Callable[..., Lab]


def test_the_primary_lists_as_published(healthy: Lab) -> None:
    """Banner, keys, spaces and subjects are those of the published listing, addresses aside."""
    own, ise, peer = (place(healthy, *where) for where in (("primary", "hm"), ("ise", "ise"), ("secondary", "hm")))
    subject = "/C=US/ST=CA/L=SJ/O=Cisco Systems/OU=Prime Infra/CN="
    (text,) = say(healthy, "primary", LIST)
    assert text.splitlines() == [
        "Host certificate are automatically added to this list on first connection,",
        "if trust-on-first-use is configured - ncs certvalidation certificate-check ...",
        f"host={own[0]}_{own[1]};  subject= {subject}prime-pri",
        f"host={ise[0]}_{ise[1]};  subject= {subject}ISE-server",
        f"host={peer[0]}_{peer[1]};  subject= {subject}prime-sec",
    ]


def test_the_secondary_lists_itself_twice(healthy: Lab) -> None:
    """Under its own address and under 127.0.0.1; its peer's line has the single space of the published one."""
    own, peer = place(healthy, "secondary", "hm"), place(healthy, "primary", "hm")
    assert listed(healthy, "secondary") == [f"{own[0]}_{own[1]}", f"127.0.0.1_{own[1]}", f"{peer[0]}_{peer[1]}"]
    assert f"host={peer[0]}_{peer[1]}; subject= /C=US" in say(healthy, "secondary", LIST)[0]


@pytest.mark.parametrize(
    ("server", "answer"),
    [
        ("primary", "[Role] Primary [State] Primary Active [Failover Type] Manual\n"),
        ("secondary", "[Role] Secondary [State] Secondary Syncing [Failover Type] Manual\n"),
    ],
)
def test_ha_status_of_a_pair(healthy: Lab, server: str, answer: str) -> None:
    """A healthy pair says so on both servers."""
    assert say(healthy, server, "ncs ha status") == [answer]


def test_a_wrong_password_is_refused(healthy: Lab) -> None:
    """And the truth log says who tried."""

    async def attempt() -> None:
        address, port = place(healthy, "primary", "ssh")
        key = asyncssh.import_public_key(healthy.world["host_keys"]["primary"])
        await asyncssh.connect(
            address,
            port,
            username="admin",
            password="wrong",
            known_hosts=([key], [], []),
            client_keys=None,
            config=None,
        )

    with pytest.raises(asyncssh.PermissionDenied):
        asyncio.run(attempt())
    assert any(line["what"] == "login" and line["accepted"] is False for line in healthy.truth())


def test_what_is_typed_ahead_is_answered_in_order(healthy: Lab) -> None:
    """Two commands in one write give two answers, one after the other."""

    async def ahead() -> str:
        async with connected(healthy, "primary") as connection:
            process = await terminal(connection)
            await until(process, PROMPT)
            process.stdin.write(b"ncs ha status\rshow version\rexit\r")
            return (await process.stdout.read()).decode()

    text = asyncio.run(ahead())
    assert text.index("Primary Active") < text.index("show version\r\n") < text.index("Version : 3.10.6")


@pytest.mark.parametrize("at", ["primary", "secondary"])
def test_forwarding_reaches_the_peer_and_itself(healthy: Lab, at: str) -> None:
    """Through a server's SSH service one sees what that server sees."""

    async def look() -> str:
        async with connected(healthy, "primary") as connection:
            return await shown_through(connection, place(healthy, at, "hm"))

    assert asyncio.run(look()) == healthy.world["servers"][at]["presents_sha256"]
    seen = [line for line in healthy.truth() if line["channel"] == "tls" and line["server"] == at]
    assert seen[-1]["seen_from"] == ("self" if at == "primary" else "peer")


def test_forwarding_can_be_refused(start_lab: StartLab) -> None:
    """The channel is refused as administratively prohibited, and the session goes on."""
    lab = start_lab("healthy")
    lab.set_fault("forwarding_off", "primary")

    async def look() -> None:
        async with connected(lab, "primary") as connection:
            await connection.open_connection(*place(lab, "secondary", "hm"))

    with pytest.raises(asyncssh.ChannelOpenError) as refused:
        asyncio.run(look())
    assert refused.value.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED


def test_nothing_beyond_loopback_is_forwarded_to(healthy: Lab) -> None:
    """The lab is no way out of the machine."""

    async def look() -> None:
        async with connected(healthy, "primary") as connection:
            await connection.open_connection("192.0.2.1", 443)

    with pytest.raises(asyncssh.ChannelOpenError):
        asyncio.run(look())


async def _send(lab: Lab, command: str) -> str:
    async with connected(lab, "primary") as connection:
        process = await terminal(connection)
        await until(process, PROMPT)
        process.stdin.write(command.encode() + b"\r")
        return await until(process, PROMPT)


@pytest.mark.parametrize(("fault", "stays"), [("reset_before", True), ("reset_after", False)])
def test_a_reset_around_a_command(start_lab: StartLab, fault: str, stays: bool) -> None:
    """Reset before: the entry stays. Reset after: it is gone. The client sees no answer either way."""
    lab = start_lab("renewed", monitor_style="on_registration")
    entry = "{}_{}".format(*place(lab, "secondary", "hm"))
    lab.set_fault(fault, "primary", times=1, command="ncs certvalidation tofu-certs deletecert")
    with pytest.raises((ConnectionError, asyncssh.Error)):
        asyncio.run(_send(lab, DELETE.format(entry)))
    assert (entry in lab.world["servers"]["primary"]["tofu"]) is stays


def test_a_command_can_stay_without_answer(start_lab: StartLab) -> None:
    """The session is open and says nothing; ending it does no harm."""
    lab = start_lab("healthy")
    lab.set_fault("silent_command", "primary", command="ncs ha")
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(_send(lab, "ncs ha status"), 0.5))


def test_a_port_can_accept_and_say_nothing(start_lab: StartLab) -> None:
    """The connection is made, and not even the protocol's first line comes."""
    lab = start_lab("healthy")
    lab.set_fault("silent", "primary", service="ssh")

    async def read() -> None:
        reader, writer = await asyncio.open_connection(*place(lab, "primary", "ssh"))
        try:
            await asyncio.wait_for(reader.read(1), 0.3)
        finally:
            writer.close()

    with pytest.raises(TimeoutError):
        asyncio.run(read())


@pytest.mark.parametrize(
    ("how", "gone", "said"),
    [
        ("done_but_stays", set(), "deleted"),
        ("error_but_gone", {"secondary"}, "could not be deleted"),
        ("deletes_another", {"ise"}, "deleted"),
    ],
)
def test_deletecert_can_lie(start_lab: StartLab, how: str, gone: set[str], said: str) -> None:
    """What it prints and what it does differ."""
    lab = start_lab("renewed", monitor_style="on_registration")
    entries = {key: "{}_{}".format(*place(lab, key, port)) for key, port in (("secondary", "hm"), ("ise", "ise"))}
    lab.set_fault("deletecert_lie", "primary", how=how)
    (text,) = say(lab, "primary", DELETE.format(entries["secondary"]))
    left = lab.world["servers"]["primary"]["tofu"]
    assert said in text
    assert {key for key, entry in entries.items() if entry not in left} == gone


@pytest.mark.parametrize("style", ["silent", "message", "question"])
def test_deletecert_answers_in_three_styles(start_lab: StartLab, style: str) -> None:
    """Silence, a message, and a question that has to be answered; the entry is gone in the end."""
    lab = start_lab("renewed", monitor_style="on_registration", deletecert=style)
    entry = "{}_{}".format(*place(lab, "secondary", "hm"))

    async def delete() -> str:
        async with connected(lab, "primary") as connection:
            process = await terminal(connection)
            await until(process, PROMPT)
            process.stdin.write(DELETE.format(entry).encode() + b"\r")
            if style == "question":
                await until(process, "(yes/no): ")
                process.stdin.write(b"yes\r")
            return await until(process, PROMPT)

    assert ("deleted" in asyncio.run(delete())) is (style != "silent")
    assert entry not in lab.world["servers"]["primary"]["tofu"]


def test_quirks_of_a_session(start_lab: StartLab) -> None:
    """A banner, the resume question, paging after three lines, and an older release, all in one session."""
    lab = start_lab(
        "healthy", login_banner="Authorized use only", resume_question=True, terminal_length=3, release="3.4.1"
    )

    async def look() -> tuple[str, str, str]:
        async with connected(lab, "primary") as connection:
            process = await terminal(connection)
            start = await until(process, "to start a new one: ")
            process.stdin.write(b"\r")
            await until(process, PROMPT)
            process.stdin.write(b"show version\r")
            paged = await until(process, "--More--")
            process.stdin.write(b"qterminal length 0\r")
            await until(process, f"length 0\r\n{PROMPT}")
            process.stdin.write(b"show version\r")
            return start, paged, await until(process, PROMPT)

    start, paged, version = asyncio.run(look())
    assert start.startswith("Authorized use only\r\n")
    assert "Version :" not in paged
    assert "Version : 3.4.1" in version


def test_the_authentication_key_is_not_in_the_truth_log(start_lab: StartLab) -> None:
    """A command that carries a secret is logged with the secret masked."""
    lab = start_lab("healthy")
    say(lab, "secondary", "ncs ha authkey Sup3rSecret")
    text = (lab.folder / "truth.jsonl").read_text()
    assert "ncs ha authkey [secret]" in text
    assert "Sup3rSecret" not in text


def test_sessions_beyond_the_limit_are_turned_away(start_lab: StartLab) -> None:
    """The second session is told so and ended."""
    lab = start_lab("healthy")
    lab.set_fault("session_limit", "primary", limit=1)

    async def two() -> str:
        async with connected(lab, "primary") as connection:
            first: Any = await terminal(connection)
            await until(first, PROMPT)
            return (await (await terminal(connection)).stdout.read()).decode()

    assert "Maximum number of sessions" in asyncio.run(two())
