"""SSH connections with explicit algorithms, pinned host keys and nothing taken from the user's own set-up."""

from __future__ import annotations

import asyncio

import asyncssh

from runbook_lib.console.host_key import HostKeyPins
from runbook_lib.console.login import Login
from runbook_lib.errors import (
    DeviceError,
    DeviceSilent,
    DeviceUnreachable,
    LoginRefused,
    VantageUnavailable,
)
from runbook_lib.params import SshAccess, SshLogin

KEY_EXCHANGE = [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
]
ENCRYPTION = ["aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr"]
INTEGRITY = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"]

_NOTHING_KNOWN: tuple[list[str], list[str], list[str]] = ([], [], [])
_LOOK = "look whether the server is up and whether a firewall stands in between"


async def connect(server: str, address: str, access: SshAccess, *, connect_s: float) -> asyncssh.SSHClientConnection:
    """Connect, check the host key and log in, each once; through the site's jump host where it names one.

    Raises ``DeviceUnreachable``, ``DeviceSilent`` (it took the connection and said nothing),
    ``HostKeyUnknown``, ``HostKeyChanged``, ``LoginRefused``, ``SecretUnavailable``, ``SiteFileInvalid``, and
    ``VantageUnavailable`` where the jump host refuses to forward.
    """
    if access.jump is None:
        return await _connect(server, address, access, connect_s)
    jump = await _connect(f"jump host of {server}", access.jump.address, access.jump, connect_s)
    try:
        connection = await _connect(server, address, access, connect_s, jump)
    except BaseException:
        jump.close()
        raise
    connection.set_tunnel(jump)  # closed with the connection that it carries
    return connection


async def _connect(
    server: str,
    address: str,
    access: SshLogin,
    connect_s: float,
    tunnel: asyncssh.SSHClientConnection | None = None,
) -> asyncssh.SSHClientConnection:
    where = f"{server} ({address} port {access.port})"
    pins = HostKeyPins(server, access.host_key)
    login: Login | None = None
    try:
        async with asyncio.timeout(connect_s) as patience:
            login = Login(pins, access.password, patience)
            return await _dial(address, access, login, pins, tunnel)
    except asyncssh.HostKeyNotVerifiable:
        raise pins.refusal(where) from None
    except (TimeoutError, OSError, asyncssh.Error) as error:
        if login and login.failure:
            raise login.failure from None
        raise _failure(error, login, where, connect_s) from error


async def _dial(
    address: str,
    access: SshLogin,
    login: Login,
    pins: HostKeyPins,
    tunnel: asyncssh.SSHClientConnection | None,
) -> asyncssh.SSHClientConnection:
    return await asyncssh.connect(
        address,
        access.port,
        username=access.user,
        client_factory=lambda: login,
        tunnel=tunnel or (),
        config=None,
        known_hosts=_NOTHING_KNOWN,
        server_host_key_algs=pins.algorithms,
        kex_algs=KEY_EXCHANGE,
        encryption_algs=ENCRYPTION,
        mac_algs=INTEGRITY,
        compression_algs=["none"],
        keepalive_interval=60,  # so that no firewall forgets a session while a registration is waited for
        preferred_auth=["keyboard-interactive", "password"],
        public_key_auth=False,
        host_based_auth=False,
        gss_auth=False,
        gss_kex=False,
        client_keys=None,
        agent_path=None,
        agent_forwarding=False,
    )


def _failure(error: Exception, login: Login | None, where: str, connect_s: float) -> DeviceError:
    if isinstance(error, asyncssh.PermissionDenied):
        return _refused(login, where)
    if isinstance(error, asyncssh.ChannelOpenError):
        return channel_failure(error, where)
    if isinstance(error, TimeoutError) and login and login.connected:
        what = f"the connection was taken, and no login came about within {connect_s:g} s"
        return DeviceSilent(what, where=where, next_step=_LOOK)
    if isinstance(error, TimeoutError):
        return DeviceUnreachable(f"no connection within {connect_s:g} s", where=where, next_step=_LOOK)
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return DeviceUnreachable(
            "no SSH algorithm is in common: the server offers none that is safe to use (SHA-1 is not)",
            where=where,
            found=str(error),
            next_step="switch stronger algorithms on at the server; they are not weakened here",
        )
    return DeviceUnreachable("no SSH connection", where=where, found=str(error), next_step=_LOOK)


def _refused(login: Login | None, where: str) -> LoginRefused:
    sent = login is not None and login.password_sent
    what = "the password was sent once and not accepted" if sent else "it did not take a password"
    return LoginRefused(
        f"the server refuses the login: {what}; it is not tried again",
        where=where,
        found="\n".join(login.said) if login else "",
        next_step="log in by hand: the password may be wrong or expired, or the user locked",
    )


def channel_failure(error: asyncssh.ChannelOpenError, where: str) -> VantageUnavailable | DeviceUnreachable:
    """What a refused forwarding means: the server does not forward, or the far end did not answer it."""
    if error.code == asyncssh.OPEN_CONNECT_FAILED:
        what = "no connection through the SSH server"
        return DeviceUnreachable(what, where=where, found=error.reason, next_step=_LOOK)
    return VantageUnavailable(
        "the SSH server does not forward connections",
        where=where,
        found=error.reason,
        next_step="nothing can be seen from there; use another vantage, or allow TCP forwarding on the server",
    )
