"""Distinguished names as logs and TOFU lists spell them, and which of them fit each other.

Three spellings are read: RFC 2253 and 4514 (``CN=x, O=y``, most specific first, with escapes, quoted
and hexadecimal values and RDNs of several attributes), OpenSSL's ``CN = x, O = y``, and OpenSSL's
older ``/C=US/O=y/CN=x``, whose values may hold ``/``.

A fit is never proof of identity. Whoever makes a certificate chooses its subject, the order of the
RDNs is not compared, and the logs hold no address: a fit only says which entry a message may mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from runbook_lib.errors import AnswerNotUnderstood
from runbook_lib.parse._answers import not_understood
from runbook_lib.parse._spellings import Attribute, read_comma_form, read_slash_form


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
    """Return the name that ``text`` spells; raise AnswerNotUnderstood where it spells none."""
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


def same_subject(a: Name | str, b: Name | str) -> bool:
    """Return whether both hold the same RDNs; order, case and runs of spaces do not matter.

    A text that is no name is the same as nothing.
    """
    one, other = _as_name(a), _as_name(b)
    return one is not None and other is not None and name_key(one) == name_key(other)


def common_name(name: Name) -> str:
    """Return the name's one CN; empty where it has none, or several and nobody can say which counts."""
    found = [value for rdn in name.rdns for kind, value in rdn if kind == "CN"]
    return found[0] if len(found) == 1 else ""


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
    said, listed = _as_name(log_subject), _as_name(store_subject)
    if said is None or listed is None:
        return Fit.NONE
    if name_key(said) == name_key(listed):
        return Fit.EXACT
    wanted = lone_common_name(said)
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
