"""The catalogue of one language: which one is asked for, and how a text is found in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from runbook_lib.errors import ParameterRefused
from runbook_lib.words.templates import Templates

VARIABLE = "RUNBOOK_LANG"
ENGLISH = "en"
FILES = {"zh": Path(__file__).with_name("zh_CN.po")}
# Texts that were put together stand side by side, in lines, or around a middle dot, a semicolon or a colon; what stands
# between the first ones may be known as a whole though it holds one of the later ones.
_SEAMS = tuple(map(re.compile, (r"(\n|  +)", r"( · )", r"((?<=[.!?]) (?=[A-Z«]))", r"(; )", r"(: )")))


class AsIs(str):
    """Text that is shown as it is: what a device said, a command, a name."""

    __slots__ = ()


_spoken: list[str] = []
_here: ContextVar[str] = ContextVar("language of what is said here", default="")


def speak(chosen: str) -> None:
    """Let this process say everything in one language, whatever ``RUNBOOK_LANG`` asks for."""
    _spoken[:] = [chosen]


@contextmanager
def speaking(chosen: str) -> Iterator[None]:
    """Say everything within in one language: what is kept, as a report is, is in English."""
    token = _here.set(chosen)
    try:
        yield
    finally:
        _here.reset(token)


def language() -> str:
    """Return the language that counts: that of ``speaking``, else that of ``speak``, else what is asked for."""
    return _here.get() or (_spoken[0] if _spoken else asked_language())


def asked_language() -> str:
    """Return the language that ``RUNBOOK_LANG`` asks for, ``en`` or ``zh``; raises ParameterRefused for another.

    Regions and encodings are accepted: ``zh_CN.UTF-8`` is ``zh``.
    """
    asked = os.environ.get(VARIABLE, "")
    short = re.split(r"[_.@-]", asked.strip().lower())[0] or ENGLISH
    if short != ENGLISH and short not in FILES:
        raise ParameterRefused(
            "There is no catalogue of this language", where=VARIABLE, found=asked, next_step="set it to en or zh"
        )
    return short


def said(text: str) -> str:
    """Return a text in the reader's language, and unchanged where it is marked ``AsIs`` or nothing is known of it."""
    chosen = language()
    if chosen == ENGLISH or not text or isinstance(text, AsIs):
        return text
    return _said(chosen, text)


@lru_cache(maxsize=8192)
def _said(chosen: str, text: str) -> str:
    # A full-width stop needs no space behind it.
    return re.sub(r"(?<=[。！？；]) (?=\S)", "", _joined(catalogue(chosen), text, _SEAMS))


def _joined(templates: Templates, text: str, seams: tuple[re.Pattern[str], ...]) -> str:
    """Return a text whose whole is known, or whose parts between the first of the seams are."""
    whole = templates.translate(text)
    if whole is not None or not seams:
        return text if whole is None else whole
    parts = seams[0].split(text)
    return "".join(part if index % 2 else _joined(templates, part, seams[1:]) for index, part in enumerate(parts))


@lru_cache
def catalogue(chosen: str) -> Templates:
    """Return the templates of one language."""
    # Imported here: only who reads another language pays for it.
    from babel.messages.pofile import read_po

    with FILES[chosen].open("rb") as file:
        messages = read_po(file, locale=FILES[chosen].stem)
    return Templates({str(each.id): str(each.string) for each in messages if each.id and each.string})
