"""Distinguished names in every spelling of logs and TOFU lists, and which of them fit each other. Pure."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from runbook_lib.device.answers import not_understood
from runbook_lib.errors import AnswerNotUnderstood

# -- The spellings of distinguished names, read into RDNs of types and values ----------------------

Attribute = tuple[str, str]

TYPES = {
    "CN": ("COMMONNAME", "2.5.4.3"),
    "SN": ("SURNAME", "2.5.4.4"),
    "SERIALNUMBER": ("2.5.4.5",),
    "C": ("COUNTRYNAME", "COUNTRY", "2.5.4.6"),
    "L": ("LOCALITYNAME", "LOCALITY", "2.5.4.7"),
    "ST": ("STATEORPROVINCENAME", "STATE", "S", "2.5.4.8"),
    "STREET": ("STREETADDRESS", "2.5.4.9"),
    "O": ("ORGANIZATIONNAME", "ORGANIZATION", "2.5.4.10"),
    "OU": ("ORGANIZATIONALUNITNAME", "ORGANIZATIONALUNIT", "2.5.4.11"),
    "TITLE": ("T", "2.5.4.12"),
    "DESCRIPTION": ("2.5.4.13",),
    "POSTALCODE": ("2.5.4.17",),
    "NAME": ("2.5.4.41",),
    "GN": ("GIVENNAME", "2.5.4.42"),
    "INITIALS": ("2.5.4.43",),
    "DNQ": ("DNQUALIFIER", "2.5.4.46"),
    "UID": ("USERID", "0.9.2342.19200300.100.1.1"),
    "DC": ("DOMAINCOMPONENT", "0.9.2342.19200300.100.1.25"),
    "EMAILADDRESS": ("E", "EMAIL", "1.2.840.113549.1.9.1"),
    "UNSTRUCTUREDNAME": ("1.2.840.113549.1.9.2",),
    "UNSTRUCTUREDADDRESS": ("1.2.840.113549.1.9.8",),
    "BUSINESSCATEGORY": ("2.5.4.15",),
    "JURISDICTIONL": ("1.3.6.1.4.1.311.60.2.1.1",),
    "JURISDICTIONST": ("1.3.6.1.4.1.311.60.2.1.2",),
    "JURISDICTIONC": ("1.3.6.1.4.1.311.60.2.1.3",),
}
"""One spelling of each attribute type, and its others."""

SPELLINGS = {spelling: name for name, others in TYPES.items() for spelling in (name, *others)}
"""Every spelling of an attribute type that is known, in capitals, and the one of them that stands for it."""

_TYPE = r"[A-Za-z][A-Za-z0-9-]{0,63}|(?:[Oo][Ii][Dd]\.)?[0-9]{1,20}(?:\.[0-9]{1,20}){1,32}"
_SLASH_TYPE = re.compile(rf"/({_TYPE})=")
_COMMA_TYPE = re.compile(rf"\s*+({_TYPE})\s*+=\s*+")
_PLAIN = re.compile(r'[^,;+"\\]+')
_SEPARATOR = re.compile(r"[,;+]")
_ESCAPED_BYTES = re.compile(r"(?:\\[0-9A-Fa-f]{2})+")
_QUOTED_PLAIN = re.compile(r'[^"\\]+')
_QUOTE_END = re.compile(r'"\s*+(?=[,;+]|\Z)')
_BYTE = re.compile(r"\\[xX]([0-9A-Fa-f]{2})")
_STRING_TAGS = {0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1A: "ascii"}
_WIDE_TAGS = {0x1C: "utf-32-be", 0x1E: "utf-16-be"}


def _kind(spelling: str) -> str:
    upper = spelling.upper().removeprefix("OID.")
    return SPELLINGS.get(upper, upper)


# -- /C=US/CN=x ------------------------------------------------------------------------------


def read_slash_form(text: str) -> list[list[Attribute]] | None:
    """A slash starts a new RDN where a known type or an OID and ``=`` follow; any other belongs to the value."""
    begins = [match for match in _SLASH_TYPE.finditer(text) if match[1].upper() in SPELLINGS or match[1][0].isdigit()]
    if not begins or begins[0].start() != 0:
        return None
    ends = [*(match.start() for match in begins[1:]), len(text)]
    places = zip(begins, ends, strict=True)
    return [[(_kind(match[1]), _printed_bytes(text[match.end() : end]))] for match, end in places]


def _printed_bytes(value: str) -> str:
    r"""Return a value in which OpenSSL printed bytes as ``\xC3\xA9``, where those bytes are UTF-8."""
    if not _BYTE.search(value):
        return value.strip()
    raw = re.sub(rb"\\[xX]([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), value.encode("utf-8", "surrogatepass"))
    try:
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        return value.strip()


# -- CN=x, O=y and CN = x, O = y ----------------------------------------------------------------


def read_comma_form(text: str) -> list[list[Attribute]] | None:
    """Return the RDNs of a name in the form ``CN=a,O=b`` (RFC 4514), None where it has another one."""
    rdns: list[list[Attribute]] = []
    position = 0
    separator = ","
    while True:
        match = _COMMA_TYPE.match(text, position)
        if match is None:
            return None
        value, position = _value(text, match.end())
        if value is None:
            return None
        if separator == "+":
            rdns[-1].append((_kind(match[1]), value))
        else:
            rdns.append([(_kind(match[1]), value)])
        if position >= len(text):
            return rdns
        separator = text[position]
        position += 1


def _value(text: str, start: int) -> tuple[str | None, int]:
    """Return the value that begins at ``start``, and where it ends; None where it is not well formed.

    A separator counts where a type and ``=`` follow; ``Cisco Systems, Inc.`` stays one value.
    """
    if text.startswith("#", start):
        match = _SEPARATOR.search(text, start)
        end = match.start() if match else len(text)
        return _hexadecimal(text[start + 1 : end].strip()), end
    if text.startswith('"', start):
        return _quoted(text, start + 1)
    parts: list[tuple[str, bool]] = []
    position = start
    while position < len(text):
        if plain := _PLAIN.match(text, position):
            parts.append((plain[0], False))
            position = plain.end()
        elif text[position] == "\\":
            value, position = _escaped(text, position)
            if value is None:
                return None, position
            parts.append((value, True))
        elif text[position] != '"' and _COMMA_TYPE.match(text, position + 1):
            break
        else:
            parts.append((text[position], False))
            position += 1
    return _without_outer_spaces(parts), position


def _without_outer_spaces(parts: list[tuple[str, bool]]) -> str:
    """Join the parts; spaces at the ends go, unless they were escaped."""
    if parts and not parts[0][1]:
        parts[0] = (parts[0][0].lstrip(), False)
    if parts and not parts[-1][1]:
        parts[-1] = (parts[-1][0].rstrip(), False)
    return "".join(part for part, _ in parts)


def _escaped(text: str, position: int) -> tuple[str | None, int]:
    r"""Return what the escapes from ``position`` on mean: ``\,`` one character, ``\C3\A9`` bytes of UTF-8."""
    if run := _ESCAPED_BYTES.match(text, position):
        try:
            return bytes.fromhex(run[0].replace("\\", "")).decode("utf-8"), run.end()
        except UnicodeDecodeError:
            return bytes.fromhex(run[0].replace("\\", "")).decode("latin-1"), run.end()
    if position + 1 >= len(text):
        return None, position
    return text[position + 1], position + 2


def _quoted(text: str, start: int) -> tuple[str | None, int]:
    """Return the quoted value, and the position of the separator after its closing mark."""
    parts: list[str] = []
    position = start
    while position < len(text) and text[position] != '"':
        if plain := _QUOTED_PLAIN.match(text, position):
            parts.append(plain[0])
            position = plain.end()
            continue
        value, position = _escaped(text, position)
        if value is None:
            return None, position
        parts.append(value)
    after = _QUOTE_END.match(text, position)
    return ("".join(parts), after.end()) if after else (None, position)


def _hexadecimal(digits: str) -> str | None:
    """Return the string that hexadecimal BER holds; other BER stays ``#`` and its digits in lower case."""
    if not re.fullmatch(r"(?:[0-9A-Fa-f]{2})+", digits):
        return None
    raw = bytes.fromhex(digits)
    encoding = _STRING_TAGS.get(raw[0]) or _WIDE_TAGS.get(raw[0])
    length = raw[1] if len(raw) > 1 else 0
    header = 2
    if length > 0x80 and len(raw) > 2 + (length & 0x7F):
        header += length & 0x7F
        length = int.from_bytes(raw[2:header], "big")
    if encoding is not None and len(raw) == header + length:
        with suppress(UnicodeDecodeError):
            return raw[header:].decode(encoding)
    return "#" + digits.lower()


# -- Distinguished names as logs and TOFU lists spell them, and which of them fit each other. ------
#
# Three spellings are read: RFC 2253 and 4514 (``CN=x, O=y``, most specific first, with escapes, quoted
# and hexadecimal values and RDNs of several attributes), OpenSSL's ``CN = x, O = y``, and OpenSSL's
# older ``/C=US/O=y/CN=x``, whose values may hold ``/``.
#
# A fit is never proof of identity. Whoever makes a certificate chooses its subject, the order of the
# RDNs is not compared, and the logs hold no address: a fit only says which entry a message may mean.


class Fit(StrEnum):
    """How a subject from a log fits one from a store; ``cn_only`` says that the log held no more than the CN."""

    NONE = "none"
    CN_ONLY = "cn_only"
    EXACT = "exact"

    def __bool__(self) -> bool:
        return self is not Fit.NONE


@dataclass(frozen=True)
class Name:
    """A parsed name. ``rdns`` stand in one canonical order whatever the spelling was, attributes likewise.

    Attribute types are upper case and in one spelling each; values are as written, unescaped.
    """

    rdns: tuple[tuple[Attribute, ...], ...]


def parse_name(text: str) -> Name:
    """Return the name that ``text`` spells, as OpenSSL prints it or by RFC 4514, in whatever order.

    That logs hold subjects in the order of RFC 2253 is published (docs/product-facts.md).
    Raises AnswerNotUnderstood where it spells none.
    """
    stripped = text.strip()
    rdns = read_slash_form(stripped) if stripped.startswith("/") else read_comma_form(stripped)
    if not rdns:
        raise not_understood(
            "This is not a distinguished name.",
            text,
            server="",
            next_step="Compare it with the raw text in the record.",
        )
    ordered = (tuple(sorted(rdn, key=_folded)) for rdn in rdns)
    return Name(tuple(sorted(ordered, key=_folded_rdn)))


def common_name(name: Name) -> str:
    """Return the name's one CN; empty where it has none, or several and nobody can say which counts."""
    names = [value for rdn in name.rdns for kind, value in rdn if kind == "CN"]
    return names[0] if len(names) == 1 else ""


def name_key(name: Name) -> tuple[tuple[Attribute, ...], ...]:
    """Return what two names that are the same subject have in common."""
    return tuple(_folded_rdn(rdn) for rdn in name.rdns)


def lone_common_name(name: Name) -> str:
    """Return the CN of a name that holds nothing else, folded; empty for every other name."""
    return fold_value(common_name(name)) if len(name.rdns) == 1 and len(name.rdns[0]) == 1 else ""


def fits(log_subject: Name | str, store_subject: Name | str) -> Fit:
    """Return whether a subject in a log can mean this subject of a store.

    A log subject that is a CN and nothing else fits every store subject with that one CN. A text
    that is no name fits nothing.
    """
    logged, listed = _as_name(log_subject), _as_name(store_subject)
    if logged is None or listed is None:
        return Fit.NONE
    if name_key(logged) == name_key(listed):
        return Fit.EXACT
    wanted = lone_common_name(logged)
    return Fit.CN_ONLY if wanted and wanted == fold_value(common_name(listed)) else Fit.NONE


def fold_value(value: str) -> str:
    """Return ``value`` as caseIgnoreMatch compares it: spaces at the ends off, runs of them one, case folded."""
    return " ".join(value.split()).casefold()


def _as_name(subject: Name | str) -> Name | None:
    if isinstance(subject, Name):
        return subject
    try:
        return parse_name(subject)
    except AnswerNotUnderstood:
        return None


def _folded(attribute: Attribute) -> Attribute:
    return attribute[0], fold_value(attribute[1])


def _folded_rdn(rdn: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return tuple(_folded(attribute) for attribute in rdn)
