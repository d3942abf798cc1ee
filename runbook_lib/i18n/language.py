"""What is shown, in the reader's language; times, durations and counts as people read them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from runbook_lib.errors import ParameterRefused
from runbook_lib.processes import plain_environment

# -- Finding the template that a text was made from, so that a finished sentence can be said in another language.
#
# A template is a text with places, ``{0} lines read``. Texts are translated after they were made, and often after
# they were kept in a record and read back, so the values are taken out of the text again. Of several templates
# that fit, the one with the most words of its own is taken.

PLACE = re.compile(r"\{(\d+)\}")
DEPTH = 3
"""How deep sentences stand in sentences: a reason in a check in an error."""


class Templates:
    """Texts and their translations; both may hold places ``{0}``, ``{1}``, …"""

    def __init__(self, translations: Mapping[str, str]) -> None:
        self._exact = {text: shown for text, shown in translations.items() if not PLACE.search(text)}
        places = [_Template(text, shown) for text, shown in translations.items() if PLACE.search(text)]
        self._places = sorted(places, key=lambda each: -each.own)

    def translate(self, text: str, depth: int = DEPTH) -> str | None:
        """Return the translation of a text, its values translated too where they are known; None for an unknown."""
        bare = text.strip()
        translation = self._translate(bare, depth)
        return None if translation is None else text.replace(bare, translation, 1)

    def _translate(self, text: str, depth: int) -> str | None:
        exact = self._exact.get(text)
        if exact is not None or not depth:
            return exact
        for template in self._places:
            values = template.values(text)
            if values is not None:
                return template.filled([self._value(value, depth - 1) for value in values])
        return None

    def _value(self, value: str, depth: int) -> str:
        """Return a value in the language, part by part and both sides of a colon where it is not known as a whole."""
        head, colon, tail = value.partition(": ")
        whole = self.translate(value, depth)
        if whole is not None and not (colon and self._own(tail) > self._own(value)):
            return whole
        if "; " in value:
            return "; ".join(self._value(part, depth) for part in value.split("; "))
        return f"{self.translate(head, depth) or head}{colon}{self._value(tail, depth)}" if colon else value

    def _own(self, text: str) -> int:
        """How many letters of a text come from its template; all of them if the text is known as it stands."""
        if text in self._exact:
            return len(text)
        return next((each.own for each in self._places if each.values(text) is not None), 0)


class _Template:
    """One text with places: its own words in order, and a pattern that takes the values out."""

    def __init__(self, text: str, shown: str) -> None:
        self._shown = shown
        self._order = [int(number) for number in PLACE.findall(text)]
        words = PLACE.sub("\0", text.strip()).split("\0")
        self.own = sum(len(word) for word in words)
        self._words = [word for word in words if word]
        self._pattern = "(.*?)".join(re.escape(word) for word in words)
        self._compiled: re.Pattern[str] | None = None

    def values(self, text: str) -> list[str] | None:
        """Return what stands at the places, in the order of the text; None where the words are others."""
        if not all(word in text for word in self._words):
            return None
        if self._compiled is None:
            self._compiled = re.compile(self._pattern, re.DOTALL)
        match = self._compiled.fullmatch(text)
        return None if match is None else list(match.groups())

    def filled(self, values: list[str]) -> str:
        """Return the translation with these values, given in the order of the text."""
        at = dict(zip(self._order, values, strict=True))
        return PLACE.sub(lambda place: at[int(place[1])], self._shown)


# -- The catalogue of one language: which one is asked for, and how a text is found in it ----------

VARIABLE = "RUNBOOK_LANG"
ENGLISH = "en"
FILES = {"zh": Path(__file__).with_name("zh_CN.po")}
# Texts that were put together stand side by side, in lines, or around a middle dot, a semicolon or a colon; what stands
# between the first ones may be known as a whole though it holds one of the later ones.
_SEAMS = tuple(map(re.compile, (r"(\n|  +)", r"( · )", r"((?<=[.!?]) (?=[A-Z“«]))", r"(; )", r"(: )")))
_SENTENCE, _SEMICOLON, _COLON = _SEAMS[-3:]
"""What follows the first colon may be known as a whole, though it holds sentences, a semicolon or another colon."""


class AsIs(str):
    """Text that is shown as it is: what a device said, a command, a name."""

    __slots__ = ()


_spoken: list[str] = []
_here: ContextVar[str] = ContextVar("language of what is said here", default="")


def set_language(chosen: str) -> None:
    """Let this process say everything in one language, whatever ``RUNBOOK_LANG`` asks for."""
    _spoken[:] = [chosen]


@contextmanager
def using_language(chosen: str) -> Iterator[None]:
    """Say everything within in one language: what is kept, as a report is, is in English."""
    token = _here.set(chosen)
    try:
        yield
    finally:
        _here.reset(token)


def language() -> str:
    """Return the language that counts: that of ``using_language``, else of ``set_language``, else what is asked for."""
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


def gettext(text: str) -> str:
    """Return a text in the reader's language, and unchanged where it is marked ``AsIs`` or nothing is known of it."""
    chosen = language()
    if chosen == ENGLISH or not text or isinstance(text, AsIs):
        return text
    return _translated(chosen, text)


@lru_cache(maxsize=8192)
def _translated(chosen: str, text: str) -> str:
    # A full-width stop needs no space behind it.
    return re.sub(r"(?<=[。！？；]) (?=\S)", "", _joined(catalogue(chosen), text, _SEAMS))


def _joined(templates: Templates, text: str, seams: tuple[re.Pattern[str], ...]) -> str:
    """Return a text whose whole is known, or whose parts between the first of the seams are."""
    whole = templates.translate(text)
    if whole is not None or not seams:
        return text if whole is None else whole
    if seams[0] in (_SENTENCE, _SEMICOLON, _COLON) and (match := _COLON.search(text)):
        head, tail = text[: match.start()], text[match.end() :]
        within = ";" in head or _SENTENCE.search(head)
        if seams[0] is _COLON or (not within and templates.translate(tail) is not None):
            return f"{_joined(templates, head, seams[1:])}{match[0]}{_joined(templates, tail, seams)}"
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


# -- A time as people read it ----------------------------------------------------------------------


def utc_time(time: datetime | None, otherwise: str = "not known") -> str:
    """Return a time in UTC where the words around it say that it is: ``2026-11-23 12:00:00``.

    ``otherwise`` where there is none.
    """
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if time else otherwise


def stamp(time: datetime | None, otherwise: str = "not known") -> str:
    """Return a time in UTC that says so itself, ``2026-11-23 12:00:00Z``; ``otherwise`` where there is none."""
    return f"{utc_time(time)}Z" if time else otherwise


# -- Times, durations and counts as a report says them ---------------------------------------------

NOT_RECORDED = "not recorded"


def duration(length: timedelta | None, otherwise: str = "not known") -> str:
    """Return a length of time in full, to the second; below a minute to the tenth of one."""
    if length is None:
        return otherwise
    if length.total_seconds() < 60:
        return f"{length.total_seconds():.1f} s"
    return " ".join(f"{amount} {unit}" for amount, unit in _in_units(length))


def span(length: timedelta) -> str:
    """Return a length of time in its two largest units, for pictures: ``3 d 4 h``, ``12 min 5 s``."""
    return " ".join(f"{amount} {unit}" for amount, unit in _in_units(length)[:2] if amount) or "0 s"


def _in_units(length: timedelta) -> list[tuple[int, str]]:
    """Return a length of time in days, hours, minutes and seconds, from the first of which there is one."""
    whole = round(length.total_seconds())
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    while len(parts) > 1 and not parts[0][0]:
        del parts[0]
    return parts


def count(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


# -- Whether this machine has a font for the language that is asked for ----------------------------

_PATIENCE_S = 10.0


def font_hint() -> str:
    """Return what to install where Chinese is asked for and this machine has no font for it, else nothing.

    Only fontconfig is asked; without it, nothing is known and nothing is said. Raises
    ParameterRefused for a language that does not exist here.
    """
    program = shutil.which("fc-list") if asked_language() != ENGLISH else None
    if program is None:
        return ""
    try:
        fonts = subprocess.run(  # noqa: S603 - a program of the system, with words of ours
            [program, ":lang=zh-cn", "family"],
            capture_output=True,
            check=True,
            timeout=_PATIENCE_S,
            env=plain_environment(),
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    if fonts.stdout.strip():
        return ""
    return (
        "This machine has no font with Chinese characters: a browser here shows boxes. Install one, for example the"
        " package fonts-noto-cjk (Debian, Ubuntu) or google-noto-sans-cjk-fonts (Fedora, RHEL)."
    )
