"""What one value of a site's file may be, and which spellings of hosts, digests and patterns mean the same. Pure.

Messages are ``what is wrong; what to write instead``. They never repeat a value that could be a
secret in the wrong place.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import math
import re
import zoneinfo
from contextlib import suppress
from functools import cache
from typing import Any
from urllib.parse import urlsplit

# -- Hosts as people write them. Nothing is resolved.

_LOCALHOST = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
_LOCALHOST_NAMES = frozenset(
    {"localhost", "localhost.localdomain", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"}
)
_HOST_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LINK_LOCAL = ipaddress.IPv6Network("fe80::/10")


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


def checked_host(text: str) -> str:
    """Return an IP address without brackets or zone, or a host name of ASCII letters, digits, hyphens and dots.

    Raises ValueError for anything else.
    """
    if text.startswith("[") or "%" in text:
        raise _not_a_host("is not a plain address")
    with suppress(ValueError):
        return str(ipaddress.ip_address(text))
    labels = text.removesuffix(".").split(".")
    if not text or len(text) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        raise _not_a_host("is neither an IP address nor a host name")
    if labels[-1].isdecimal():
        raise _not_a_host("looks like an IPv4 address but is not one")
    return text


def _not_a_host(problem: str) -> ValueError:
    return ValueError(
        f"{problem}; write an address such as 192.0.2.10 or 2001:db8::10, or a host name of letters, digits, - and ."
        " (no blanks, no port, no https://)"
    )


def checked_virtual_address(text: str, family: int, other: int) -> str:
    """Return an address of ``family`` that two servers can share, or nothing; ValueError for anything else."""
    if not text:
        return text
    advice = f"write an IPv{family} address of the servers' subnet, or leave the key out"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"is not an IP address; {advice}") from None
    if address.version != family:
        raise ValueError(f"is an IPv{address.version} address; {advice} (the other kind is virtual_ipv{other})")
    if address in _LINK_LOCAL:
        raise ValueError(f"is a link-local address (fe80::/10), which the product refuses; {advice}")
    if address.is_multicast or address.is_unspecified:
        raise ValueError(f"is not an address that a server can have; {advice}")
    return str(address)


def checked_subnet(text: str) -> str:
    """Return a subnet with its prefix length; ValueError for anything else."""
    if "/" not in text:
        raise ValueError("has no prefix length; write a subnet such as 192.0.2.0/24 or 2001:db8::/64")
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError("is not a subnet; write one such as 192.0.2.0/24 or 2001:db8::/64") from None


# -- Digests, keys, names, zones and addresses of the web ------------------------------------------

_OTHER_DIGESTS = {32: "MD5", 40: "SHA-1", 56: "SHA-224", 96: "SHA-384", 128: "SHA-512"}
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}")
_KEY_TYPE = re.compile(r"(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+")
_OFFSET = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d")


def canonical_sha256(text: str) -> str:
    """Return a SHA-256 fingerprint as 64 lower-case hex digits; raises ValueError for anything else.

    Colons, blanks and the ``sha256 Fingerprint=`` or ``SHA256:`` that tools print before it are accepted.
    """
    bare = re.sub(r"^\s*sha-?256(?:\s*fingerprint)?\s*[:=]", "", text, flags=re.IGNORECASE)
    digits = re.sub(r"[\s:]", "", bare).lower()
    if re.fullmatch(r"[0-9a-f]{64}", digits):
        return digits
    if re.fullmatch(r"[0-9a-f]+", digits):
        digest = _OTHER_DIGESTS.get(len(digits))
        problem = f"has {len(digits)} hex digits, as {digest} has" if digest else f"has {len(digits)} hex digits"
    else:
        problem = "holds something other than hex digits" if digits else "is empty"
    raise ValueError(
        f"the fingerprint {problem}; write the 64 hex digits that"
        " 'openssl x509 -in FILE -noout -fingerprint -sha256' prints"
    )


def checked_label(text: str) -> str:
    """Return a name of letters, digits, dots, hyphens and underscores; ValueError for anything else."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError("is not a name; write up to 64 letters, digits, dots, hyphens or underscores")
    return text


def checked_line(text: str) -> str:
    """Return one line of text; ValueError for nothing, and for control characters."""
    if not text.strip() or not text.isprintable():
        raise ValueError("is empty or holds control characters; write one line of text")
    return text


def checked_email(text: str) -> str:
    """Return one e-mail address; ValueError for anything else."""
    if not _EMAIL.fullmatch(text):
        raise ValueError("is not an e-mail address; write one address an item, such as noc@example.com")
    return text


def checked_host_key(text: str) -> str:
    """Return ``SHA256:`` with 43 base64 characters, or ``type base64 [comment]`` of a .pub file.

    Raises ValueError for anything else. The whole line of ``ssh-keygen -l`` comes back as the former, one of
    ``known_hosts`` as the latter.
    """
    text = _without_size(text.strip())
    if re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", text.removesuffix("=")):
        return text.removesuffix("=")
    advice = "write SHA256:… or the line that 'ssh-keygen -lf' prints, or a line such as 'ssh-ed25519 AAAA…'"
    if text.upper().startswith("MD5:") or re.fullmatch(r"(?:[0-9a-fA-F]{2}:){15}[0-9a-fA-F]{2}", text):
        raise ValueError(f"is an MD5 fingerprint, which proves nothing; {advice}")
    if text.startswith("SHA256:"):
        raise ValueError(f"does not have 43 base64 characters after SHA256:; {advice}")
    if text.startswith(("@", "|")):
        what = "is marked @revoked or @cert-authority" if text[0] == "@" else "is hashed, and does not show whose it is"
        raise ValueError(f"{what}, as in a known_hosts file; {advice}")
    words = text.split(None, 2)
    if len(words) > 2 and _KEY_TYPE.fullmatch(words[1]):  # the hosts of a line of known_hosts
        text = text.split(None, 1)[1]
        words = text.split(None, 2)
    if len(words) < 2 or not _KEY_TYPE.fullmatch(words[0]) or not text.isprintable():
        raise ValueError(f"is not an SSH host key; {advice}")
    if _key_type_inside(words[1]) != words[0]:
        raise ValueError(f"is damaged: its base64 part is not a key of type {words[0]}; {advice}")
    return text


def _without_size(text: str) -> str:
    """Return the fingerprint of a line of ``ssh-keygen -l``, else the text.

    ``256 SHA256:… comment (ED25519)`` with -f, ``host ED25519 SHA256:… comment`` with -F.
    """
    forms = (r"\d{3,5} ((?:SHA256|MD5):\S+)(?: .*)? \([A-Z0-9-]+\)", r"\S+ [A-Z0-9-]+ ((?:SHA256|MD5):\S+)(?: .*)?")
    for form in forms:
        if match := re.fullmatch(form, text):
            return match[1]
    return text


def _key_type_inside(encoded: str) -> str:
    """Return the type that the wire form of a public key begins with, or "" where it is cut short."""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return ""
    length = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + length].decode("ascii", "replace") if 0 < length < len(blob) - 4 else ""


def checked_zone(text: str) -> str:
    """Return an IANA zone or an offset; ValueError for anything else. Without a zone database every name is known."""
    if not text or text == "UTC" or _OFFSET.fullmatch(text):
        return text
    known = _known_zones()
    if text in known or (not known and "/" in text):
        return text
    raise ValueError("is not a time zone; write UTC, a name such as Europe/Berlin, or an offset such as +02:00")


@cache
def _known_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())  # walks the zone database, which a fleet would ask for each site


def checked_web_address(text: str) -> str:
    """Return an ``http`` or ``https`` address without a user in it; ValueError for anything else."""
    try:
        url = urlsplit(text)
        whole = url.scheme in ("http", "https") and url.hostname and url.port != 0 and text.isprintable()
    except ValueError:
        whole = ""
    if not whole or " " in text or url.fragment:
        raise ValueError("is not a web address; write one such as https://tsa.example.com/tsr")
    if "@" in url.netloc:
        raise ValueError("holds a user or a password; write the address without them, no name is sent there")
    return text


def checked_path(text: object) -> object:
    """Return what is to become a path; ValueError for a text that cannot be one."""
    if isinstance(text, str) and (not text.strip() or not text.isprintable()):
        raise ValueError("is not a path; write the path of a file, relative ones from the folder of the site's file")
    return text


# -- Patterns, which a site's file may hold where words are not enough ------------------------------

_ENTRIES = ("host=192.0.2.1_8082; subject= /C=US/CN=x", "host=a.example.com_443; subject=CN = x")
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


def checked_ignored_line(text: str) -> str:
    """Return a line of a list that means nothing; ValueError for one that fits an entry, which it would hide."""
    try:
        pattern = checked_pattern(line_pattern(checked_line(text)))
    except ValueError as error:
        raise ValueError(f"{error}; correct it, or write the line without slashes") from None
    if any(pattern.fullmatch(entry) for entry in _ENTRIES):
        raise ValueError("fits an entry of the list too, which is never left out; write a narrower pattern")
    return text
