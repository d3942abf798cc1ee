"""Which parameters the engine takes."""

from __future__ import annotations

import pytest

from runbook_lib.errors import ParameterRefused
from runbook_lib.notebook.engine import check_parameters, declared_parameters

DECLARED = """\
# What the runbook is about
site = "lab"  # a name in params/, or a path = anything
retries: int = -3
spacing_s = 2.5
dry = True
"""


def cells(source: str = DECLARED) -> list[dict]:
    return [
        {"source": "# Title", "metadata": {}},
        {"source": source, "metadata": {"tags": ["parameters"]}},
        {"source": 'site = "injected"', "metadata": {"tags": ["injected-parameters"]}},
    ]


def test_the_literals_of_the_parameters_cell_are_what_it_declares():
    """Comments, annotations, negative numbers and a second `=` in a comment do not hide a parameter."""
    assert declared_parameters(cells()) == {"site": "lab", "retries": -3, "spacing_s": 2.5, "dry": True}


@pytest.mark.parametrize(
    "given",
    [{}, {"site": "0012"}, {"retries": 0}, {"spacing_s": 2.0}, {"spacing_s": 2}, {"dry": False}],
)
def test_known_names_with_the_type_of_their_default_are_taken(given):
    """Types match exactly, and an integer is taken for a float."""
    check_parameters(cells(), given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sit": "lab"}, "`sit` is unknown"),
        ({"site": 12}, "`site` is a text, and 12 arrived as int"),
        ({"site": 3.1}, "-r site"),
        ({"site": True}, "-r site"),
        ({"site": None}, "-r site"),
        ({"retries": "3"}, "`retries` is int"),
        ({"retries": True}, "`retries` is int"),
        ({"retries": 3.0}, "`retries` is int"),
        ({"spacing_s": True}, "`spacing_s` is float"),
        ({"dry": 1}, "`dry` is bool"),
        ({"dry": {"a": 1}}, "`dry` is bool"),
    ],
)
def test_unknown_names_and_other_types_are_refused_with_what_is_known(given, said):
    """The refusal says what is wrong and lists the parameters that the notebook knows."""
    with pytest.raises(ParameterRefused) as refused:
        check_parameters(cells(), given)
    assert said in refused.value.found
    assert "site (str), retries (int), spacing_s (float), dry (bool)" in refused.value.next_step


def test_all_problems_are_named_at_once():
    """Nobody has to start three times to hear of three mistakes."""
    with pytest.raises(ParameterRefused) as refused:
        check_parameters(cells(), {"sit": 1, "site": 2, "retries": 3, "dry": "no"})
    assert len(refused.value.found.splitlines()) == 3


@pytest.mark.parametrize(
    "name",
    ["password", "admin_password", "apiToken", "auth_key", "authkey", "keys", "client_secret", "userPass", "pin"],
)
def test_a_secret_is_refused_by_its_name_and_never_shown(name):
    """What looks like a secret is refused before anything stores it, and the refusal does not repeat it."""
    with pytest.raises(ParameterRefused, match="named like a secret") as refused:
        check_parameters(cells(), {name: "hunter2"})
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ParameterRefused, match="named like a secret"):
        declared_parameters(cells(f'{name} = ""'))


@pytest.mark.parametrize("name", ["bypassed", "keyword", "passed", "pinned", "spinner"])
def test_names_that_only_contain_such_letters_are_taken(name):
    """The rule goes by words."""
    assert declared_parameters(cells(f"{name} = 1")) == {name: 1}


def test_the_value_of_an_unknown_parameter_is_not_shown():
    """It may be anything, a secret under a misspelt name included."""
    with pytest.raises(ParameterRefused) as refused:
        check_parameters(cells(), {"passwrod": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_a_notebook_without_a_parameters_cell_takes_none():
    """Any parameter is unknown to it."""
    check_parameters(cells()[:1], {})
    with pytest.raises(ParameterRefused, match="it takes none"):
        check_parameters(cells()[:1], {"site": "lab"})


@pytest.mark.parametrize(
    "source",
    [
        "site = open('x')",
        "site = 'a'; other = 'b'",
        "site = other = 'a'",
        "site = 'a'\nsite = 'b'",
        "site = None",
        "sites = ['a']",
        "site = '''a\nb'''",
        "site = 1 +",
        "import os",
        "site: str",
        "a, b = 1, 2",
        "print('x')",
    ],
)
def test_a_parameters_cell_with_anything_but_literals_is_refused_unexecuted(source):
    """One plain literal a line is what the check can rely on."""
    with pytest.raises(ParameterRefused, match=r"line [12]"):
        declared_parameters(cells(source))
