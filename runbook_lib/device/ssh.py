"""SSH connections: explicit algorithms, pinned host keys, nothing taken from the user's own set-up."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import asyncssh

from runbook_lib import errors
from runbook_lib.device.login import ALGORITHMS, HostKeyPins, Login, read_offers
from runbook_lib.params.model import SshAccess, SshLogin
from runbook_lib.processes import user_name

# -- Which SSH algorithms are used, which of the old ones a site may allow by name, and which a server would need

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
SIGNATURES = [signature for signatures in ALGORITHMS.values() for signature in signatures]

OLD_KEY_EXCHANGE, OLD_INTEGRITY, OLD_SIGNATURE = "diffie-hellman-group14-sha1", "hmac-sha1", "ssh-rsa"

MEANING = (
    "they rest on SHA-1: an attacker who can afford to forge its collisions can intercept the connection unnoticed."
    " The host key stays pinned"
)
"""What it means to allow the old ones; an operator reads this before doing so."""

Offers = Mapping[str, Sequence[str]]
_USED = {"key exchange": KEY_EXCHANGE, "host key": SIGNATURES, "encryption": ENCRYPTION, "integrity": INTEGRITY}
_OLD = {"key exchange": OLD_KEY_EXCHANGE, "host key": OLD_SIGNATURE, "integrity": OLD_INTEGRITY}


def missing_algorithms(offers: Offers) -> list[str] | None:
    """Return the old algorithms that a site would have to allow for a server; None where these are not enough."""
    apart = _nothing_shared(offers)
    return [_OLD[kind] for kind in apart] if all(_OLD.get(kind) in offers.get(kind, ()) for kind in apart) else None


def _nothing_shared(offers: Offers) -> list[str]:
    """Return the kinds of algorithms of which a server offers none that is used here."""
    apart = [kind for kind, used in _USED.items() if not set(used) & set(offers.get(kind, ()))]
    own = any("gcm" in name for name in offers.get("encryption", ()) if name in ENCRYPTION)  # it protects itself
    return [kind for kind in apart if kind != "integrity" or not own]


# -- The SSH host key that a server shows before any is pinned: for a person to compare, trusted by nobody here


async def presented_host_key(address: str, port: int, *, connect_s: float) -> tuple[str, str]:
    """Return the SHA-256 fingerprint (``SHA256:…``) and the type of the host key that a server shows.

    Nobody logs in and nothing of ours is sent. Raises DeviceUnreachable where no key is shown in time.
    """
    problem: Exception = TimeoutError()
    key = None
    _name_user()
    try:
        async with asyncio.timeout(connect_s):
            key = await asyncssh.get_server_host_key(
                address, port, config=None, server_host_key_algs=SIGNATURES, kex_algs=KEY_EXCHANGE
            )
    except (OSError, ValueError, asyncssh.Error) as error:  # a name that cannot be one is a ValueError
        problem = error
    if key is None:
        then = "check that the name resolves here and that the server is up; pin its key later (ssh: host_key:)"
        raise errors.DeviceUnreachable(
            "no SSH host key was shown",
            where=f"{address} port {port}",
            found=str(problem) or f"no answer within {connect_s:g} s",
            next_step=errors.step_after(problem, then),
        )
    return key.get_fingerprint(), key.get_algorithm()


# -- SSH connections with explicit algorithms, pinned host keys and nothing taken from the user's own set-up

_NOTHING_KNOWN: tuple[list[str], list[str], list[str]] = ([], [], [])
_RESET = "run the stage again; the server may accept no more logins now, or something in between resets connections"
_LOOK = "check that the server is up and that no firewall blocks the way"
NO_NAME = "write its address into the site's file, or fix the name there or in this machine's DNS or hosts file"
_ONE_STEP = "use an account for which the password alone is enough, on the PI server or on the jump host"
_JUMP_FORWARDS_NOT = (
    "the jump host does not forward connections; the server itself was not asked",
    "allow TCP forwarding on the jump host, or name another one in the site's file, ssh: jump:",
)
_SERVER_FORWARDS_NOT = (
    "the SSH server does not forward connections",
    "nothing can be seen from there; use another vantage, or allow TCP forwarding on the server",
)


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
    server: str, address: str, access: SshLogin, connect_s: float, tunnel: asyncssh.SSHClientConnection | None = None
) -> asyncssh.SSHClientConnection:
    where = f"{server} ({address} port {access.port})"
    pins = HostKeyPins(server, access.host_key, sha1=OLD_SIGNATURE in access.legacy)
    while True:
        login: Login | None = None
        try:
            async with asyncio.timeout(connect_s) as patience:
                login = Login(pins, access.password, patience)
                return await _dial(address, access, login, pins, tunnel)
        except asyncssh.HostKeyNotVerifiable:
            if not pins.may_be_another:
                raise pins.refusal(where) from None
        except (TimeoutError, OSError, asyncssh.Error) as error:
            if login and login.failure:
                raise login.failure from None
            if pins.presented and not pins.met:
                raise pins.refusal(where) from None  # it has no further key
            raise await _failure(error, login, where, connect_s, (address, access, tunnel)) from error


def _name_user() -> None:
    os.environ.update(LOGNAME=user_name())  # asyncssh asks for it, and nothing uses it


async def _dial(
    address: str, access: SshLogin, login: Login, pins: HostKeyPins, tunnel: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHClientConnection:
    _name_user()
    return await asyncssh.connect(
        address,
        access.port,
        username=access.user,
        client_factory=lambda: login,
        tunnel=tunnel or (),
        config=None,
        known_hosts=_NOTHING_KNOWN,
        server_host_key_algs=pins.algorithms,
        kex_algs=_with_old(KEY_EXCHANGE, OLD_KEY_EXCHANGE, access),
        encryption_algs=ENCRYPTION,
        mac_algs=_with_old(INTEGRITY, OLD_INTEGRITY, access),
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
        utf8_decode_errors="backslashreplace",  # a banner in Latin-1 is no reason to end a connection
    )


def _with_old(names: list[str], old: str, access: SshLogin) -> list[str]:
    return [*names, *(name for name in access.legacy if name == old)]


Place = tuple[str, SshLogin, asyncssh.SSHClientConnection | None]


async def _failure(
    error: Exception, login: Login | None, where: str, connect_s: float, place: Place
) -> errors.DeviceError:
    words = "\n".join(login.said) if login else ""
    if isinstance(error, socket.gaierror):
        what = "the name of this server does not resolve on this machine; no server was contacted"
        return errors.DeviceUnreachable(what, where=where, found=str(error), next_step=NO_NAME)
    if isinstance(error, asyncssh.PermissionDenied):
        return _refused(login, where, words)
    if isinstance(error, asyncssh.ChannelOpenError):
        return channel_failure(error, f"jump host of {where}", jump=True)
    if login and login.password_sent:
        return _ended_behind_password(error, login, where, words)
    if isinstance(error, TimeoutError) and login and login.connected:
        what = f"the connection was accepted, but no login was completed within {connect_s:g} s"
        return errors.DeviceSilent(what, where=where, found=words, next_step=_LOOK)
    if isinstance(error, TimeoutError):
        return errors.DeviceUnreachable(f"no connection within {connect_s:g} s", where=where, next_step=_LOOK)
    if login and login.connected and (login.greeted or not isinstance(error, OSError)):
        return await _ended_before_password(error, where, words, connect_s, place)
    if login and login.connected:
        what = "the connection was accepted and reset before the server sent anything"
        return errors.DeviceUnreachable(what, where=where, found=errors.system_words(error), next_step=_RESET)
    then = errors.step_after(error, _LOOK)
    return errors.DeviceUnreachable("no SSH connection", where=where, found=errors.system_words(error), next_step=then)


def _ended_behind_password(error: Exception, login: Login, where: str, words: str) -> errors.LoginRefused:
    taken = "it was right" if login.password_taken else "whether it was right is not known"
    if isinstance(error, TimeoutError):
        what = f"the server did not answer the password in time ({taken}); it is not tried again"
        then = f"if it waits for somebody's approval: {_ONE_STEP}; or give it more time, deadlines: connect_s"
        return errors.LoginRefused(what, where=where, found=words, next_step=then)
    return errors.LoginRefused(
        f"the server ended the connection after the password was sent ({taken}); it is not tried again",
        where=where,
        found=f"{words}\n{error}".strip(),
        next_step="log in by hand: the account may be denied by the server's own rules (PAM), expired or locked, or the"
        " server gives less time for a login than it takes",
    )


async def _ended_before_password(
    error: Exception, where: str, words: str, connect_s: float, place: Place
) -> errors.DeviceError:
    offers = await _offers(place, connect_s)
    needed = missing_algorithms(offers) if offers else []
    if isinstance(error, asyncssh.KeyExchangeFailed) or needed or needed is None:
        return _nothing_in_common(error, where, offers, needed)
    return errors.ConnectionLost(
        "the server accepted the connection and closed it before the password was sent",
        where=where,
        found=f"{words}\n{error}".strip(),
        next_step="run the stage again; if that does not help, the server has too many logins open or gives too little"
        " time for one, or something in between cuts the connection",
    )


def _nothing_in_common(
    error: Exception, where: str, offers: Offers, needed: list[str] | None
) -> errors.DeviceUnreachable:
    kinds = _nothing_shared(offers) if offers else ()
    apart = [f"{each}: the server has {', '.join(offers[each])}; used here: {', '.join(_USED[each])}" for each in kinds]
    advice = "enable one of those that are used here on the server; they are not weakened here"
    if needed:
        advice += (
            f" by default. If that cannot be, allow the old ones for this server alone, in the site's file:"
            f" ssh: legacy: [{', '.join(needed)}]; {MEANING}"
        )
    return errors.DeviceUnreachable(
        "no SSH algorithm is in common: the server offers none of those that are used here",
        where=where,
        found="\n".join(apart) or str(error),
        next_step=advice,
    )


async def _offers(place: Place, connect_s: float) -> Offers:
    """What the server offers, by a look of its own; nothing where it does not say."""
    address, access, tunnel = place
    try:
        async with asyncio.timeout(connect_s):
            ends: tuple[Any, Any] = await (
                tunnel.open_connection(address, access.port, encoding=None)
                if tunnel
                else asyncio.open_connection(address, access.port)
            )
            try:
                return await read_offers(*ends)
            finally:
                ends[1].close()
    except (OSError, ValueError, EOFError, TimeoutError, asyncio.LimitOverrunError, asyncssh.Error):
        return {}


def _refused(login: Login | None, where: str, words: str) -> errors.LoginRefused:
    advice = (
        "log in by hand first: each further run sends the password once more, which may lock the user. It may be wrong"
        " where the site's file has it from, or expired, or the user may be locked already"
    )
    if login is None or not login.password_sent:
        what = "the server refuses the login: it did not accept a password"
        advice = "let this user log in there by password or keyboard-interactive, or name another one (ssh: user:)"
        if login and login.asked:
            what += " alone, but asked for something else beside it"
            advice = _ONE_STEP
    elif login.wants_new_password:
        what = "the password was accepted, and the server wants a new one before it lets the user in"
        advice = "log in by hand, change the password, then store the new one where the site's file keeps it"
    elif login.asked or login.password_taken:
        what = "the password was accepted, and the server asks for a second factor, which cannot be answered here"
        advice = _ONE_STEP
    else:
        what = "the server refuses the login: the password was sent once and not accepted"
    return errors.LoginRefused(f"{what}; it is not tried again", where=where, found=words, next_step=advice)


def channel_failure(
    error: asyncssh.ChannelOpenError, where: str, *, jump: bool = False
) -> errors.VantageUnavailable | errors.DeviceUnreachable:
    """What a refused forwarding means: who was asked does not forward, or the far end did not answer it.

    With ``jump`` it is the jump host that speaks: the server behind it was not reached.
    """
    if error.code == asyncssh.OPEN_CONNECT_FAILED:
        what = "the jump host cannot reach the server" if jump else "no connection through the SSH server"
        return errors.DeviceUnreachable(what, where=where, found=error.reason, next_step=_LOOK)
    what, advice = _JUMP_FORWARDS_NOT if jump else _SERVER_FORWARDS_NOT
    return errors.VantageUnavailable(what, where=where, found=error.reason, next_step=advice)
