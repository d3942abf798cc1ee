"""What the simulated command line prints: published where it is published, recalled where it is not."""

from __future__ import annotations

from collections.abc import Iterable

from runbook_lib.lab.pki import openssl_subject

BANNER = (
    "Host certificate are automatically added to this list on first connection,\n"
    "if trust-on-first-use is configured - ncs certvalidation certificate-check ...\n"
)


def listing(
    entries: Iterable[tuple[str, bytes]], style: str, banner: bool, *, narrow: str = "", footer: str = ""
) -> str:
    """The answer to ``listcerts``, in one of the spellings of the published ones.

    The published listing of the secondary has one space instead of two before the subject of its peer's entry,
    here ``narrow``.
    """
    lines = [_line(entry, der, _style(style, number, entry == narrow)) for number, (entry, der) in enumerate(entries)]
    return (BANNER if banner else "") + "".join(f"{line}\n" for line in (*lines, *([footer] if footer else ())))


def _style(style: str, number: int, narrow: bool) -> str:
    if style == "uneven":
        return ("published", "narrow", "bare", "trailing")[number % 4]
    return "narrow" if narrow and style == "published" else style


def _line(entry: str, der: bytes, style: str) -> str:
    subject = openssl_subject(der)
    if style == "spaced":
        return f"host={entry};  subject={subject.lstrip('/').replace('=', ' = ').replace('/', ', ')} "
    if style == "trailing":
        return f"host={entry};   subject={subject}  "
    if style == "bare":
        return f"host={entry}; subject={subject}"
    return f"host={entry};{' ' if style == 'narrow' else '  '}subject= {subject}"


def ha_status(role: str, state: str, failover: str) -> str:
    """The answer to ``ncs ha status``; the failover type is said where HA is configured."""
    tail = "" if state == "HA not Configured" else f" [Failover Type] {failover}"
    return f"[Role] {role} [State] {state}{tail}\n"


def ncs_status(role: str, state: str) -> str:
    """The answer to ``ncs status``."""
    return (
        f"Health Monitor Server is running. ( [Role] {role} [State] {state} )\n"
        "Database server is running\n"
        "Matlab Server is running\n"
        "Compliance engine is running\n"
        "NCS Server is running.\n"
    )


def version(host_name: str, release: str, *, fixes: Iterable[str] = (), ade_block: bool = True) -> str:
    """The answer to ``show version``; with and without the block of the ADE-OS, as both are captured."""
    product = f"""
Cisco Prime Infrastructure
********************************************************
Version : {release}
Build : {release}.0.1
"""
    listed = "".join(f"        {fix}\n" for fix in fixes)
    return (_ade(host_name) if ade_block else "") + product + (f"Critical Fixes:\n{listed}" if listed else "")


def _ade(host_name: str) -> str:
    return f"""
Cisco Application Deployment Engine OS Release: 4.1
ADE-OS Build Version: 4.1.0.001
ADE-OS System Architecture: x86_64

Copyright (c) 2009-2026 by Cisco Systems, Inc.
All rights reserved.
Hostname: {host_name}


Version information of installed applications
---------------------------------------------
"""
