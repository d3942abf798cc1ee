"""The question before the first change of a real site: a person types its name."""

from __future__ import annotations

from collections.abc import Callable

from runbook_lib.views.forms.base import Form, Said, button, text_field, without_form
from runbook_lib.views.rows import Row, Table


class ProductionForm(Form[str]):
    """Asks for the name of the site. ``name`` is called with it, notes it and returns the sentence to say."""

    def __init__(self, site: str, servers: str, name: Callable[[str], str]) -> None:
        question = Table(
            title="PRODUCTION: change these servers?",
            headers=("what", "value"),
            rows=(Row(cells=("site", site)), Row(cells=("servers", servers))),
            note="Give the site's name. It is asked once in each notebook, before its first change.",
        )
        ways = without_form(("in a cell of its own", 'rb.production("NAME")'))
        said = Said()
        typed = text_field("Site's name", "as it stands in the sign over this notebook")
        press = button(
            "Yes, change this site", "Notes it in the record; sends nothing", lambda: name(typed.value), said
        )
        super().__init__(site, (question, ways), (typed, press, said))
