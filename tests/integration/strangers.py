"""What another user of this machine meets at the ports that this software opens on loopback."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil
from descendants import each_descendant

NOBODY = 65534
_GREETING = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def listening(pids: Iterable[int] = ()) -> set[tuple[str, int]]:
    """Return the addresses at which this process, its descendants and ``pids`` wait for TCP or take UDP."""
    found = [_waits_at(psutil.Process(pid)) for pid in (None, *pids)]
    return set().union(*found, *each_descendant(_waits_at))


def _waits_at(process: psutil.Process) -> set[tuple[str, int]]:
    return {
        (connection.laddr.ip, connection.laddr.port)
        for connection in process.net_connections("inet")
        if connection.laddr and (connection.status == psutil.CONN_LISTEN or connection.type == socket.SOCK_DGRAM)
    }


def said_to(place: tuple[str, int], context: ssl.SSLContext | None = None, seconds: float = 3.0) -> bytes:
    """Return what somebody hears at a place who connects, in TLS with ``context``, and greets as a browser would."""
    try:
        plain = socket.create_connection(place, timeout=seconds)
        with context.wrap_socket(plain, do_handshake_on_connect=False) if context else plain as line:
            line.settimeout(seconds)
            line.sendall(_GREETING)
            return line.recv(4096)
    except OSError:  # refused, reset, an alert of TLS, silence
        return b""


def tls(certificate: Path | None = None) -> ssl.SSLContext:
    """Return the TLS of somebody who trusts everybody, and shows the certificate in a file, or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate)
    return context


def as_nobody(script: str, *words: object) -> object:
    """Run a script as user 65534, or as this one where it may not change; return what it prints, read as JSON.

    The script's imports are the first thing that it does; the user changes where it calls ``become_nobody()``.
    """
    change = f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})" if os.geteuid() == 0 else "pass"
    # What Python imports late it could not read as the other user, where this checkout is ours alone.
    become = f"import os, sys, json, encodings.idna\ndef become_nobody():\n    {change}\n"
    said = subprocess.run(
        [sys.executable, "-c", become + script, *map(str, words)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        cwd="/",
    )
    return json.loads(said.stdout)
