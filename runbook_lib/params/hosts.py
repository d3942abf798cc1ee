"""Hosts and patterns as a site's file spells them: which are one host or this machine, and what a pattern may be."""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Any

# -- Hosts as people write them. Nothing is resolved.

_LOCALHOST = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
_LOCALHOST_NAMES = frozenset(
    {"localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"}
)


def any_same_host(host: str, others: tuple[str, ...]) -> bool:
    """Whether a host is one of the others."""
    return any(same_host(host, other) for other in others)


def same_host(one: str, other: str) -> bool:
    """Whether two spellings name one host: addresses by value, names of ASCII without regard to case.

    Other characters that look or fold alike make another host.
    """
    here, there = address_of(one), address_of(other)
    if here or there:
        return here == there
    return one.isascii() and other.isascii() and _folded(one) == _folded(other)


def split_port(text: str) -> tuple[str, int | None]:
    """Return the host and the number of the port in ``HOST:PORT`` or ``[v6]:PORT``; otherwise no port."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not (colon and port.isascii() and port.isdecimal()) or (":" in host and not bracketed):
        return text, None
    return (host[1:-1] if bracketed else host), int(port)


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is, None for a name; brackets and an IPv4 address written as IPv6 are read too."""
    try:
        address = ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _folded(host: str) -> str:
    return host.lower().rstrip(".")


def is_address(text: str) -> bool:
    """Whether a text is an IPv4 or IPv6 address, and nothing else."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_localhost(host: str) -> bool:
    """Whether a host is the one that it is asked from, by one of the names or addresses that mean that everywhere."""
    address = address_of(host)
    if address:
        return address in _LOCALHOST or address.is_unspecified
    name = _folded(host)
    return name in _LOCALHOST_NAMES or name.endswith(".localhost")


def is_loopback(host: str) -> bool:
    """Whether a host is an address of the loopback network; a name is not."""
    address = address_of(host)
    return bool(address and address.is_loopback)


# -- Patterns, which a site's file may hold where words are not enough ------------------------------

MOST_WAYS, LONGEST_FIT = 2_000_000, 1000
"""The most ways in which a site's pattern may fit a line, and how long a line: Python's engine may try each way."""


def checked_pattern(text: str) -> re.Pattern[str]:
    """Return a site's regular expression; ValueError for none, and for one that one line could keep busy for ever."""
    try:
        pattern = re.compile(text)
        ways = _ways(re._parser.parse(text))  # type: ignore[attr-defined]
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    if ways > MOST_WAYS:
        raise ValueError(
            "may fit a line in so many ways that trying them never ends; repeat nothing that itself repeats or"
            " branches, and use at most two repetitions that have no upper bound, such as + and *"
        )
    return pattern


def _ways(parsed: Any) -> int:
    """Return in how many ways a pattern may fit, as far as it matters; ``parsed`` is what Python's own parser says."""
    ways = 1
    for kind, argument in parsed:
        if str(kind) == "BRANCH":
            own = sum(map(_ways, argument[1]))
        else:
            parts = argument if isinstance(argument, tuple) else (argument,)
            own = math.prod(_ways(part) for part in parts if isinstance(part, type(parsed)))
        if str(kind).endswith("REPEAT"):
            least, most = (min(int(times), LONGEST_FIT) for times in argument[:2])
            own = (most - least + 1) * own**most
        ways = min(ways * own, MOST_WAYS + 1)
    return ways


def line_pattern(words: str) -> str:
    """Return the regular expression for a line of ``listing: ignore:``: one between slashes, or that of the text."""
    return words[1:-1] if is_pattern(words) else re.escape(" ".join(words.split()))


def is_pattern(words: str) -> bool:
    """Return whether words of a site's file are a regular expression: they stand between slashes."""
    return len(words) > 2 and words[0] == words[-1] == "/"
