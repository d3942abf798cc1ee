"""Before the first change by hand, once in each kernel: whoever changes a real site has to give its name.

A batch job is not asked: its approval names the plan's digest, and its command the site.
"""

from __future__ import annotations

from runbook_lib.errors import DecisionNeeded, ParameterRefused
from runbook_lib.record import Kind
from runbook_lib.steps.context import Context

_NAMED: set[str] = set()
"""The sites that were named in this process, which a kernel is."""


def is_asked(context: Context) -> bool:
    """Whether the site's name is to be given first: a person is there, the site is real, and nobody has given it."""
    return context.attended and context.site.kind != "lab" and context.site.name not in _NAMED


def name_site(context: Context, typed: str) -> str:
    """Note that a person has given the site's name, and return the sentence to say; raises ParameterRefused."""
    if typed.strip() != context.site.name:
        raise ParameterRefused(
            "This is not the name of the site; nothing was changed",
            found=f"given {typed.strip() or 'nothing'}",
            next_step="look at the sign over this notebook, and give the name of the site that stands there",
        )
    if is_asked(context):
        context.record.journal.append(
            Kind.NOTED, stage=context.stage, seen=context.operator, text="the production site was named before a change"
        )
        _NAMED.add(context.site.name)
    return f"{context.site.name} may be changed from this notebook. Run the cell again."


def question(context: Context) -> str:
    """Return what is asked, as the error says it."""
    return f"This changes the production site {context.site.name}; nothing was changed yet"


def require_named(context: Context) -> None:
    """Raise DecisionNeeded while the site's name has not been given."""
    if is_asked(context):
        raise DecisionNeeded(
            question(context),
            next_step="give the site's name in the form above, press its button, and run this cell again;"
            ' without the form: rb.production("NAME") in a cell of its own',
        )
