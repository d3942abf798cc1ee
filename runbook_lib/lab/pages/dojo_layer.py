"""All that the pages of real widgets load, as one script and one style sheet.

A page would ask for some 170 files one after another, each over TLS. So the modules that the pages name, and those that
these name in turn, are put into the form that Dojo's own loader takes modules from: ``require({cache: {...}})``. The
modules stay as they were installed. One that is not found here is loaded by the page itself, as are the pictures.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
_OWN = ("dojokit", "dojopages", "dojoshell")
_NAMES = re.compile(r"\b(?:define|require)\(\s*(?:\"[^\"]*\"\s*,\s*)?\[([^\]]*)\]")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_QUOTED = re.compile(r"[\"']([^\"']+)[\"']")
_IMPORT = re.compile(r"@import\s+(?:url\()?[\"']?([^\"')]+)[\"']?\)?\s*;")
_URL = re.compile(r"url\(\s*[\"']?(?!data:)([^\"')]+)[\"']?\s*\)")
_LOCALES = ("en", "en-us")
"""The languages of a browser whose language nobody has chosen."""


@cache
def script(dojo: Path) -> bytes:
    """Return Dojo's loader, and after it every module that the pages need, from the folder that ``dojo`` names."""
    modules: dict[str, str] = {}
    own = {f"lab/{name}": (STATIC / f"{name}.js").read_text(encoding="utf-8") for name in _OWN}
    waiting = [*own.items(), ("", (STATIC / "dojologin.js").read_text(encoding="utf-8"))]
    while waiting:
        for name in _named(*waiting.pop()):
            file = dojo / (name.removeprefix("url:") if name.startswith("url:") else f"{name}.js")
            if name not in modules and file.is_file():
                modules[name] = file.read_text(encoding="utf-8")
                waiting.append((name, modules[name]))
    entries = ",\n".join(_entry(name, text) for name, text in (modules | own).items())
    loader = (dojo / "dojo" / "dojo.js").read_text(encoding="utf-8")
    return f'{loader}\n;require({{cache: {{"*noref": 1,\n{entries}\n}}}});\n'.encode()


def _entry(name: str, text: str) -> str:
    content = json.dumps(text) if name.startswith("url:") else f"function () {{\n{text}\n}}"
    return f"{json.dumps(name)}: {content}"


def _named(module: str, text: str) -> Iterator[str]:
    """Yield the modules that a module may load, ``url:`` before those that are text. Too many do no harm."""
    if module.startswith("url:"):
        return
    for found in _NAMES.finditer(text):
        for name in _QUOTED.findall(_COMMENT.sub("", found[1])):
            plugin, _, resource = name.partition("!")
            yield _whole(module, plugin)
            if plugin.endswith("text"):
                yield f"url:{_whole(module, resource)}"
            elif plugin.endswith("i18n"):
                whole = _whole(module, resource.rstrip("!"))
                folder, _, bundle = whole.rpartition("/")
                yield whole
                yield from (f"{folder}/{locale}/{bundle}" for locale in _LOCALES)
            elif plugin.endswith("has"):
                yield from (_whole(module, each) for each in resource.split("?")[-1].split(":"))
            elif plugin:
                yield _whole(module, resource)


def _whole(module: str, name: str) -> str:
    """Return a module's whole name; a package's own name is that of its module ``main``."""
    if name.startswith("."):
        name = posixpath.normpath(posixpath.join(posixpath.dirname(module), name))
    return name if "/" in name else f"{name}/main"


@cache
def style(dojo: Path, theme: str) -> bytes:
    """Return the styles of one theme, its pictures named by their place below ``/webacs/lib``."""
    sheets = (
        f"dijit/themes/{theme}/{theme}.css",
        f"dojox/grid/resources/{theme}Grid.css",
        "dojox/widget/Toaster/Toaster.css",
    )
    return "\n".join(_flat(dojo, name) for name in sheets).encode()


def _flat(dojo: Path, name: str) -> str:
    """Return a sheet with those that it imports in their places."""
    folder = posixpath.dirname(name)

    def at(found: re.Match[str]) -> str:
        return posixpath.normpath(posixpath.join(folder, found[1]))

    file = dojo / name
    if not file.is_file():
        return ""
    text = _IMPORT.sub(lambda found: f"@import {at(found)};", file.read_text(encoding="utf-8"))
    text = _URL.sub(lambda found: f"url(/webacs/lib/{at(found)})", text)
    return re.sub(r"@import ([^;]+);", lambda found: _flat(dojo, found[1]), text)
