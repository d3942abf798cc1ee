"""The skin of real widgets: where Dojo, dijit and dojox lie on this machine, and the knobs of the pages made of them.

Nothing of Dojo is kept here. It is looked for in the folder that the site names, where Debian's packages put it, and
where npm puts packages of the same names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl

from runbook_lib.lab.errors import LabOptionInvalid

PARTS = ("dojo", "dijit", "dojox")
_DEBIAN = Path("/usr/share/javascript")
_NPM = (Path("/usr/local/lib/node_modules"), Path("/usr/lib/node_modules"), Path("/opt/homebrew/lib/node_modules"))
INSTALL = (
    "the skin dojo needs Dojo, dijit and dojox: apt-get install libjs-dojo-core libjs-dojo-dijit libjs-dojo-dojox, "
    "or npm install dojo dijit dojox, or RUNBOOK_DOJO=/folder that holds the three"
)
KNOBS: Mapping[str, tuple[str, ...]] = {
    "menu": ("icon", "title", "tabindex"),
    "opens": ("click", "pointer"),
    "closes": ("chosen", "left"),
    "login": ("labels", "placeholders"),
    "content": ("pane", "frame"),
    "covers": ("none", "five"),
    "loading": ("none", "standby", "late"),
    "question": ("dialogue", "native", "none"),
    "parts": ("tabs", "accordion", "links"),
    "choice": ("select", "filtering", "native"),
    "grid": ("datagrid", "table", "dialogue"),
    "says": ("toaster", "inline"),
    "bars": ("progressbar", "text"),
    "search": ("none", "devices"),
    "keys": ("values", "keys"),
    "tips": ("none", "tooltips"),
    "names": ("published", "other"),
    "theme": ("claro", "nihilo", "soria", "tundra"),
    "layout": ("top", "side"),
}
"""Each knob with its values, the usual one first."""
HELD_OUT = frozenset({"theme", "layout"})


def find_dojo(folder: str = "") -> Path:
    """Return the folder that holds Dojo, dijit and dojox; LabOptionInvalid says what to install where none does."""
    named = folder or os.environ.get("RUNBOOK_DOJO", "")
    for place in [Path(named)] if named else _places():
        if all((place / part).is_dir() for part in PARTS) and (place / "dojo" / "dojo.js").is_file():
            return place
    raise LabOptionInvalid(f"{INSTALL}{f'; {named} does not hold them' if named else ''}")


def has_dojo() -> bool:
    """Whether the skin can be shown on this machine."""
    try:
        find_dojo()
    except LabOptionInvalid:
        return False
    return True


def _places() -> Iterator[Path]:
    yield _DEBIAN
    here = Path.cwd()
    yield from (folder / "node_modules" for folder in (here, *here.parents))
    yield from _NPM


def knobs_in(words: str) -> dict[str, str]:
    """Return the knobs that stand behind a skin's name, as in ``dojo?menu=title&grid=table``, over the usual ones.

    LabOptionInvalid for knobs and values that do not exist.
    """
    chosen = {name: values[0] for name, values in KNOBS.items()}
    for name, value in parse_qsl(words, keep_blank_values=True):
        if value not in KNOBS.get(name, ()):
            known = "; ".join(f"{knob}: {', '.join(values)}" for knob, values in KNOBS.items())
            raise LabOptionInvalid(f"the skin dojo has no {name}={value}; it has {known}")
        chosen[name] = value
    return chosen
