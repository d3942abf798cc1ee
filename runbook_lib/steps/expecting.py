"""What is known of each host's certificate by another way: the site's file, and what was given to stage 20."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from runbook_lib.certificates import Knowledge, combine, read_expectation
from runbook_lib.errors import ExpectationInvalid
from runbook_lib.models import Stage
from runbook_lib.params import CaBundle, Expectation, Site, canonical_sha256
from runbook_lib.steps.context import Context
from runbook_lib.steps.history import facts_or
from runbook_lib.steps.targets import targets

FACTS = "expectations"
FORM = "HOST=sha256:DIGITS, HOST=csr:FILE, HOST=certificate:FILE, HOST=ca:FILE#NAME or HOST=self; several with ;"

_GIVEN = re.compile(r"(?P<host>[^=\s]+)\s*=\s*(?P<kind>self|sha256|csr|certificate|ca)(?::(?P<value>.+))?")


def parse_given(text: str, site: Site) -> dict[str, Expectation]:
    """Return the expectations that a stage's parameter gives, by host (``secondary=sha256:…; ise=csr:FILE``).

    Raises ExpectationInvalid for anything else; nothing is contacted and no file is read yet.
    """
    given: dict[str, Expectation] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = _GIVEN.fullmatch(part)
        if not match or (match["value"] is None) != (match["kind"] == "self"):
            raise ExpectationInvalid("This is not an expectation", found=part, next_step=f"write {FORM}")
        host = match["host"]
        known = [target.name for target in targets(site)]
        if host not in known or host in given:
            problem = "is given twice" if host in given else "is no host of this site"
            raise ExpectationInvalid(f"{host} {problem}", found=part, next_step=f"one of: {', '.join(known)}")
        given[host] = _expectation(match["kind"], match["value"] or "")
    return given


def _expectation(kind: str, value: str) -> Expectation:
    if kind == "self":
        return Expectation.model_validate({"self": True})
    if kind == "sha256":
        try:
            return Expectation(sha256=canonical_sha256(value))
        except ValueError as error:
            raise ExpectationInvalid(str(error), found=value) from None
    if kind == "ca":
        path, _, names = value.partition("#")
        if not names:
            raise ExpectationInvalid("A CA bundle needs the names that it may vouch for", next_step=f"write {FORM}")
        bundle = CaBundle(bundle=Path(path).expanduser(), names=tuple(name.strip() for name in names.split(",")))
        return Expectation(ca=bundle)
    path_of = Path(value).expanduser()
    return Expectation(csr=path_of) if kind == "csr" else Expectation(certificate=path_of)


def check_given(text: str, site: Site) -> None:
    """Raise ExpectationInvalid for what the stage would refuse, its files included; nothing is contacted."""
    for expectation in parse_given(text, site).values():
        read_expectation(expectation)


def gather_knowledge(context: Context, given: Mapping[str, Expectation]) -> dict[str, Knowledge]:
    """Read every expectation and leave what they say in the record, for the stages that look again.

    Raises ExpectationInvalid before anything is contacted.
    """
    nothing = Knowledge()
    known = {
        target.name: combine(
            read_expectation(target.expect), read_expectation(given[target.name]) if target.name in given else nothing
        )
        for target in targets(context.site)
    }
    context.record.write_facts(context.stage, FACTS, known)
    return known


def knowledge_of(context: Context, name: str) -> Knowledge:
    """Return what stage 20 of this incident knew of a host; what the site's file says where it has not run."""
    recorded = facts_or(context.record, Stage.LIST, FACTS, dict[str, Knowledge], {})
    if name in recorded:
        return recorded[name]
    return read_expectation(next(target.expect for target in targets(context.site) if target.name == name))
