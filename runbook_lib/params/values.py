"""The kinds of values that a site's file may hold, each a type that says what is wrong.

Messages are ``what is wrong; what to write instead``. They never repeat a value that could be a
secret in the wrong place.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import zoneinfo
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from runbook_lib.params.hosts import checked_pattern, line_pattern
from runbook_lib.secrets import SecretRef

_OTHER_DIGESTS = {32: "MD5", 40: "SHA-1", 56: "SHA-224", 96: "SHA-384", 128: "SHA-512"}
_HOST_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}")
_KEY_TYPE = re.compile(r"(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+")
_OFFSET = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d")
_ENTRIES = ("host=192.0.2.1_8082; subject= /C=US/CN=x", "host=a.example.com_443; subject=CN = x")
_LINK_LOCAL = ipaddress.IPv6Network("fe80::/10")


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


def _host(text: str) -> str:
    """An IP address without brackets or zone, or a host name of ASCII letters, digits, hyphens and dots."""
    if text.startswith("[") or "%" in text:
        return _not_a_host("is not a plain address")
    with suppress(ValueError):
        return str(ipaddress.ip_address(text))
    labels = text.removesuffix(".").split(".")
    if not text or len(text) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels):
        return _not_a_host("is neither an IP address nor a host name")
    if labels[-1].isdecimal():
        return _not_a_host("looks like an IPv4 address but is not one")
    return text


def _not_a_host(problem: str) -> str:
    raise ValueError(
        f"{problem}; write an address such as 192.0.2.10 or 2001:db8::10, or a host name of letters, digits, - and ."
        " (no blanks, no port, no https://)"
    )


def _label(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError("is not a name; write up to 64 letters, digits, dots, hyphens or underscores")
    return text


def _line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("is empty or holds control characters; write one line of text")
    return text


def _ignored_line(text: str) -> str:
    """A line of a list that means nothing; one that could be an entry would hide it."""
    try:
        pattern = checked_pattern(line_pattern(_line(text)))
    except ValueError as error:
        raise ValueError(f"{error}; correct it, or write the line without slashes") from None
    if any(pattern.fullmatch(entry) for entry in _ENTRIES):
        raise ValueError("fits an entry of the list too, which is never left out; write a narrower pattern")
    return text


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError("is not an e-mail address; write one address an item, such as noc@example.com")
    return text


def _host_key(text: str) -> str:
    """``SHA256:`` with 43 base64 characters, or ``type base64 [comment]`` of a .pub file.

    The whole line of ``ssh-keygen -l`` comes back as the former, one of ``known_hosts`` as the latter.
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
    fitting = next((match for form in forms if (match := re.fullmatch(form, text))), None)
    return fitting[1] if fitting else text


def _key_type_inside(encoded: str) -> str:
    """Return the type that the wire form of a public key begins with, or "" where it is cut short."""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return ""
    length = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + length].decode("ascii", "replace") if 0 < length < len(blob) - 4 else ""


def _virtual(text: str, family: int, other: int) -> str:
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


def _subnet(text: str) -> str:
    if "/" not in text:
        raise ValueError("has no prefix length; write a subnet such as 192.0.2.0/24 or 2001:db8::/64")
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError("is not a subnet; write one such as 192.0.2.0/24 or 2001:db8::/64") from None


def _zone(text: str) -> str:
    """An IANA zone, or an offset; a machine without a zone database is taken as knowing every name."""
    if not text or text == "UTC" or _OFFSET.fullmatch(text):
        return text
    known = _known_zones()
    if text in known or (not known and "/" in text):
        return text
    raise ValueError("is not a time zone; write UTC, a name such as Europe/Berlin, or an offset such as +02:00")


@cache
def _known_zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())  # walks the zone database, which a fleet would ask for each site


def _web_address(text: str) -> str:
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


def _path(text: object) -> object:
    if isinstance(text, str) and (not text.strip() or not text.isprintable()):
        raise ValueError("is not a path; write the path of a file, relative ones from the folder of the site's file")
    return text


def or_empty(check: Callable[[str], str]) -> Callable[[str], str]:
    """The same check for a key that may be left empty."""
    return lambda text: check(text) if text else text


Secret = Annotated[SecretRef, BeforeValidator(SecretRef.parse), PlainSerializer(str)]
Host = Annotated[str, AfterValidator(_host)]
HostOrEmpty = Annotated[str, AfterValidator(or_empty(_host))]
Label = Annotated[str, AfterValidator(_label)]
Line = Annotated[str, AfterValidator(_line)]
IgnoredLine = Annotated[str, AfterValidator(_ignored_line)]
LineOrEmpty = Annotated[str, AfterValidator(or_empty(_line))]
Email = Annotated[str, AfterValidator(_email)]
HostKey = Annotated[str, AfterValidator(_host_key)]
FilePath = Annotated[Path, BeforeValidator(_path)]
Fingerprint = Annotated[str, AfterValidator(canonical_sha256)]
VirtualIPv4 = Annotated[str, AfterValidator(partial(_virtual, family=4, other=6))]
VirtualIPv6 = Annotated[str, AfterValidator(partial(_virtual, family=6, other=4))]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Subnet = Annotated[str, AfterValidator(_subnet)]
Zone = Annotated[str, AfterValidator(_zone)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
