"""YAML as a site's file may use it: plain values with their lines, nothing that YAML would guess.

The parser is PyYAML's; what its events mean is decided here, because a loader (ruamel.yaml's as well) stops at the
first duplicate key, where all problems are named at once, and reads ``0012`` as 12, where the author is asked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel

from runbook_lib.errors import cut
from runbook_lib.paths import delivered

# A file that says ``no`` or ``12:34:56`` or ``0012`` means a text, and YAML 1.1 reads false, 45296
# and 10. Such values are problems with advice, and are never converted. Aliases, anchors, tags,
# merge keys and duplicate keys are problems too. Messages do not quote a value under a key that
# could name a secret.

LARGEST_FILE = 1_000_000
DEEPEST = 20

Key = str | int
Where = tuple[Key, ...]
Value = None | str | int | float | bool | list["Value"] | dict[str, "Value"]

_NAMED_BY_CONTENT = re.compile(r"-([0-9a-f]{64})(?:-\d+)?\.json\Z")
"""The end of a file's name that says what is in it: others may write where it lies, and whoever names it knows it."""
_SECRET_KEY = re.compile(r"pass|secret|key|token|pwd|kennwort|credential", re.IGNORECASE)
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+")
_TRAPS = re.compile(
    r"0x[0-9a-f_]+|0[ob]?[0-9_]+|[-+]?[0-9][0-9_]*|[-+]?[0-9]+(?::[0-9]+)+|[-+]?\.(?:inf|nan)", re.IGNORECASE
)
_TRAP_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "timestamp", "merge", "value"))


@dataclass(frozen=True, kw_only=True)
class SiteFileProblem:
    """One thing that is wrong: its line from 1 (0: the file as a whole), its key, and what to write instead."""

    line: int
    where: Where
    text: str


@dataclass
class Document:
    """What a file holds, as far as it was read; ``complete`` is false where nothing can be said of the rest.

    ``lines`` has the line of every key and item, ``plain`` the spelling of every unquoted value.
    """

    data: dict[str, Value] = field(default_factory=dict)
    lines: dict[Where, int] = field(default_factory=dict)
    plain: dict[Where, str] = field(default_factory=dict)
    problems: list[SiteFileProblem] = field(default_factory=list)
    complete: bool = False

    def at(self, *where: Key) -> Value:
        """Return the value at a place; None where there is none."""
        value: Value = self.data
        for key in where:
            if isinstance(value, dict) and isinstance(key, str):
                value = value.get(key)
            elif isinstance(value, list) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                return None
        return value

    def line_of(self, where: Where) -> int:
        """Return the line of the key, or of the nearest section around it."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)

    def problem(self, where: Where, text: str, line: int | None = None) -> None:
        """Add a problem; its line is that of the key where none is given."""
        line = self.line_of(where) if line is None else line
        self.problems.append(SiteFileProblem(line=line, where=where, text=text))


_INDICATOR = "{}; write the value itself, and put a text that begins so in quotes"


class _Unreadable(Exception):
    """Nothing after this point can be read; the problem is in the document already."""


def dotted(where: Where) -> str:
    """Return ``ise[0].expect.sha256``."""
    shown = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in where)
    return shown.removeprefix(".")


def shown_key(where: Where) -> str:
    """Return the key as it may be shown: nothing below a key that could name a secret, and not all of a long one."""
    for number, key in enumerate(where[:-1]):
        if may_be_secret((key,)) and isinstance(where[number + 1], str):
            where = where[: number + 1]
            break
    key = dotted(where)
    return key if len(key) <= 120 else f"{cut(key, 120)}…"


def may_be_secret(where: Where) -> bool:
    """Whether a key's name suggests that its value must not be shown."""
    return any(isinstance(key, str) and _SECRET_KEY.search(key) for key in where)


def read_document(path: Path, *, largest: int = LARGEST_FILE) -> Document:
    """Read a file as far as it can be read; raises OSError where it cannot be opened, never for what it holds."""
    with path.open("rb") as file:
        raw = file.read(largest + 1)
    named = _NAMED_BY_CONTENT.search(path.name)
    if len(raw) > largest:
        problem = f"the file is larger than {largest // 1_000_000} MB; a site's file holds settings only"
    elif named and named[1] != hashlib.sha256(raw).hexdigest():
        problem = "the file was changed since it was written: its name holds another SHA-256"
    else:
        return document_of(raw)
    return Document(problems=[SiteFileProblem(line=0, where=(), text=problem)])


def document_of(raw: bytes) -> Document:
    """Read what a file holds, or would hold, as far as it can be read."""
    document = Document()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        document.problem((), "the file is not UTF-8 text; save it as UTF-8", line=line)
        return document
    try:
        _YamlReader(text, document).read()
    except _Unreadable:
        pass
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        document.problem((), "a control character; remove it", line=line)
    except yaml.MarkedYAMLError as error:
        # Neither the snippet nor the words of the error are shown: both may quote a password.
        unclosed = "quoted scalar" in (error.context or "") and "end of stream" in (error.problem or "")
        mark = error.context_mark if unclosed else error.problem_mark or error.context_mark
        document.problem((), f"this is not YAML; {_syntax_advice(error)}", line=mark.line + 1 if mark else 0)
    return document


def _syntax_advice(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or ""
    if "'\\t'" in problem:
        return "indent with blanks, not with tabs"
    if "mapping values are not allowed" in problem:
        return "put a text that holds ': ' in quotes, and check the indentation"
    if "expected ':'" in problem:
        return "a key needs a colon and a blank after it"
    return "check quotes, brackets and indentation here and just before"


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


class _YamlReader:
    def __init__(self, text: str, document: Document) -> None:
        self._loader = yaml.SafeLoader(text)
        self._document = document

    def read(self) -> None:
        events = self._events()
        first = next(events, None)
        if first is None:
            self._document.problem((), f"the file is empty; {delivered()} shows what belongs in it", line=0)
            return
        data = self._value(first, (), events)
        if next(events, None) is not None:
            self._document.problem((), "a second document begins; remove the line ---")
        if isinstance(data, dict):
            self._document.data = data
            self._document.complete = True
        else:
            self._document.problem((), f"the file holds no keys; {delivered()} shows what belongs in it", line=1)

    def _events(self) -> Iterator[yaml.Event]:
        boundaries = (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)
        while self._loader.check_event():
            event = self._loader.get_event()  # type: ignore[no-untyped-call]
            if not isinstance(event, boundaries):
                yield event

    def _value(self, event: yaml.Event, where: Where, events: Iterator[yaml.Event]) -> Value:
        line = _line(event)
        self._document.lines.setdefault(where, line)
        if len(where) > DEEPEST:
            self._document.problem(where[:3], f"more than {DEEPEST} sections deep; no key needs that", line)
            raise _Unreadable
        if isinstance(event, yaml.AliasEvent):
            self._document.problem(where, _INDICATOR.format("* begins a YAML alias"), line)
            return None
        if getattr(event, "anchor", None) is not None:
            self._document.problem(where, _INDICATOR.format("& begins a YAML anchor"), line)
        if getattr(event, "tag", None) is not None:
            self._document.problem(where, _INDICATOR.format("! begins a YAML tag"), line)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(where, events)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(where, events)
        return self._scalar(event, where, line) if isinstance(event, yaml.ScalarEvent) else None

    def _mapping(self, where: Where, events: Iterator[yaml.Event]) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                self._document.problem(where, "a key that is not a text; write key: value", line)
                raise _Unreadable
            key = event.value
            inside = (*where, key)
            if self._means_something_else(event):
                self._document.problem(inside, "YAML does not read this key as text; put it in quotes", line)
            if key in values:
                first = self._document.lines[inside]
                self._document.problem(inside, f"given twice (first in line {first}); keep one", line)
                self._value(next(events), (*where, f"{key} (again)"), events)
                continue
            self._document.lines[inside] = line
            values[key] = self._value(next(events), inside, events)
        return values

    def _sequence(self, where: Where, events: Iterator[yaml.Event]) -> list[Value]:
        values: list[Value] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            values.append(self._value(event, (*where, len(values)), events))
        return values

    def _scalar(self, event: yaml.ScalarEvent, where: Where, line: int) -> Value:
        text: str = event.value
        if event.style is not None:
            return text
        self._document.plain[where] = text
        if text in _BOOL:
            return _BOOL[text]
        if _INT.fullmatch(text) and len(text) < 19:
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        if self._tag(text) == "tag:yaml.org,2002:null":
            self._document.problem(where, "has no value; give one, or remove the key", line)
            return None
        if self._means_something_else(event):
            shown = "this value" if may_be_secret(where) else cut(text, 40)
            self._document.problem(where, f"{shown} is ambiguous in YAML; {self._meant(text)}", line)
            return None
        return text

    def _means_something_else(self, event: yaml.ScalarEvent) -> bool:
        if event.style is not None:
            return False
        return self._tag(event.value) in _TRAP_TAGS or bool(_TRAPS.fullmatch(event.value))

    def _tag(self, text: str) -> str:
        """Return how YAML 1.1 reads an unquoted value."""
        return str(self._loader.resolve(yaml.ScalarNode, text, (True, False)))  # type: ignore[no-untyped-call]

    @staticmethod
    def _meant(text: str) -> str:
        if text.lower() in ("yes", "no", "on", "off", "y", "n"):
            return "write true or false, or put a text in quotes"
        return "put a text in quotes, write a number with plain decimal digits"


# -- One value where a list is meant: taken as a list of one, for every list of a site's file ------


def one_as_list(document: Document, model: type[BaseModel]) -> None:
    """Put each single value of the document whose key takes a list into one; its lines are those of the value."""
    singles = list(_singles(document.data, model, ()))
    for where in singles:
        around: Any = document.at(*where[:-1])
        around[where[-1]] = [around[where[-1]]]
    document.lines = _in_lists(document.lines, set(singles))
    document.plain = _in_lists(document.plain, set(singles))


def _singles(value: Value, model: type[BaseModel], where: Where) -> Iterator[Where]:
    """Yield the places of the single values, outer ones first."""
    if not isinstance(value, dict):
        return
    for name, info in model.model_fields.items():
        key = info.alias or name
        given = value.get(key)
        if given is None:
            continue
        is_list, section = kind_of_key(info.annotation)
        single = is_list and not isinstance(given, list)
        if single:
            yield (*where, key)
        if section is None:
            continue
        if is_list:
            items = given if isinstance(given, list) else [given]
            for number, item in enumerate(items):
                yield from _singles(item, section, (*where, key, number))
        else:
            yield from _singles(given, section, (*where, key))


def kind_of_key(annotation: Any) -> tuple[bool, type[BaseModel] | None]:
    """Return whether a key takes a list, and the section that it, or an item of it, is."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return False, annotation
    if get_origin(annotation) is tuple:
        return True, kind_of_key(get_args(annotation)[0])[1]
    if get_origin(annotation) is dict:
        return False, None
    kinds = [kind_of_key(part) for part in get_args(annotation)]
    return any(is_list for is_list, _ in kinds), next((section for _, section in kinds if section), None)


def _in_lists(places: dict[Where, Any], singles: set[Where]) -> dict[Where, Any]:
    """Return the places as they are once each single value is the first item of a list; the list has its place too."""
    moved: dict[Where, Any] = {}
    for place, told in places.items():
        new: Where = ()
        for key in place:
            new = (*new, key)
            if new in singles:
                moved.setdefault(new, told)
                new = (*new, 0)
        moved[new] = told
    return moved


def is_within(place: Where, where: Where) -> bool:
    """Whether a key is another one, or lies below it."""
    return place[: len(where)] == where
