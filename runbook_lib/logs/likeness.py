"""Whether a file looks like a log, judged on bounded samples, so that no all-clear is given for a picture. Pure.

Generous by intent: any dialect with a stamp, a level, a thread, a logger or a stack trace is a log, and a few such
lines among many others are enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runbook_lib.logs.lines import read_prefix
from runbook_lib.logs.search import decode

SAMPLE = 16384
"""Bytes of one sample: the window that is in reach at any time."""

APART = 1 << 20
MOST_SAMPLES = 64
"""A file is looked at once each ``APART`` bytes until it is recognised, and not more often than this."""

_LINE_REACH = 512
_ENOUGH = 3
"""So many lines that begin like a log's are one, whatever stands between them."""

_FEW = 0.1
"""The share of such lines that is enough where they are fewer."""

_SHARE = 0.05
"""The share that is enough of lines that only hold a level or a time somewhere; half of all where they are few."""

_ANY_CLOCK = r"\d{1,2}:[0-5]\d:[0-5]\d(?!:?[\dA-Fa-f]{2}\b)"
_ANY_LEVEL = "TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|FATAL|CRITICAL|CRIT|ALERT|EMERG|FINE|FINER|FINEST"
_STAMPS = (
    _ANY_CLOCK,
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}[ T,_@-]{1,2}\d{1,2}[:.h]\d{2}",  # a date and a time without seconds
    r"(?:19|20)\d{6}[T ]?\d{6}",
    r"\d{6} \d{6} \d+ ",
    r"1\d{9}(?:[.,]?\d{3,9})?\b",  # seconds since 1970
    r"\d{1,9}\.\d{3,9}s?[\]: ]",  # seconds since the start
    r"@4[0-9a-f]{23}",
)
_BEFORE = (
    r"(?:[\s\[\](){}<>|*#\"',;:&-]|\d{1,3}>|[A-Z](?=\d{4} )|[A-Z][a-z]{2,8},? |[\w.:-]{1,64} (?:[\w-]{1,32} ){0,2}\[)"
)
"""What may stand before a stamp: brackets, a priority, a letter, a day or a month, an address and a user."""

_BEGINS = re.compile(
    rf"(?:{_BEFORE}){{0,6}}(?:\d{{1,4}}[-/. ](?:\d{{1,2}}|[A-Z][a-z]{{2}})[-/. ]\d{{1,4}}[T :,_@-]{{1,2}}"
    rf"|\d{{1,2}}[-/. ]+(?:\d{{4}}[ ,:]+)?|\d{{8}}[ T-])?(?:{'|'.join(_STAMPS)})"
    rf"|\W{{0,3}}(?:{_ANY_LEVEL})\b\W{{0,3}}\[[^\]\n]"
    r"|[^\n]{0,80}\[[^\]\n]{0,40}(?:HealthMonitorThread|seqtaskexecutor-\d)"
    r"|(?:level|lvl|severity|time|ts)=\S"
    r"|%[A-Z][A-Z0-9_]+-[0-7]-[A-Z0-9_]+:|[\w: ]{1,30}: %[A-Z][A-Z0-9_]+-[0-7]-"
    r"|<(?:record|log4j:event|Event)\b|[VDIWEF]/\w[^\n(]{0,60}\( *\d+\):"
)
_JAVA = re.compile(
    r"\s+at [\w$.<>/@-]+\([^)\n]*\)|\s+\.\.\. \d+ (?:more|common)"
    r"|(?:Caused by: )?(?:[\w$]+\.){2,12}\w*(?:Exception|Error)\b"
    r"|(?:com|org|net|java|javax)\.(?:[\w$]+\.){1,12}[\w$]+[ \t]*(?:[|:]|-[ ]|\[)"
)
_LEVEL = re.compile(rf"\d[^\n]{{0,16}}[ \[|](?:{_ANY_LEVEL})[ \]|:]")
_LEVEL_WITHIN = 160
_WITHIN = re.compile(
    rf"^\W{{0,3}}(?:{_ANY_LEVEL})\b[\s:,|\]-]|(?<![A-Za-z\d:])(?:\d{{4}}:)?{_ANY_CLOCK}|\d[T ]\d{{2}}:\d{{2}}:\d{{2}}"
    r"|(?<![\w.:-])1\d{9}(?![\w:-])|HealthMonitorThread|seqtaskexecutor-\d|Received archive="
)
_VALIDITY = re.compile(r"not ?(?:before|after)|valid (?:from|until|to)", re.I)
_JSON = re.compile(
    rb'[^\n{]{0,200}\{.*"(?:message|msg|log|MESSAGE|event\.original|full_message|_raw)"\s?:|'
    rb'\s+"(?:message|msg|log|MESSAGE|_raw)"\s?:'
)

_CODE = r"[\da-fA-F]{24,}|(?P<code>[\w+/-]{16,})={0,2}|[*\u2588\u2022]{3,}"
_SEALED = re.compile(rf"(?:\S{{1,64}}[ \t]+){{0,3}}(?:{_CODE})\W*\Z", re.ASCII)
"""A message that is encoded (base64, hexadecimal) or blacked out, behind a few words or none."""
_RUN = re.compile(r"[a-z]+|[A-Z]+|\d+")
_MESSAGE = re.compile(r'"(?:message|msg|log|MESSAGE|_raw)"\s?:\s?"((?:[^"\\]|\\.)*)')

_MAGIC = (
    (b"%PDF-", "a PDF document"),
    (b"\x7fELF", "a program (ELF)"),
    (b"MZ\x90", "a program (Windows)"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"SQLite format 3", "a database"),
    (b"LPKSHHRH", "a binary journal of systemd (export it with journalctl)"),
    (b"ElfFile", "a binary event log of Windows (export it as text)"),
    (b"\xd0\xcf\x11\xe0", "an office document"),
    (b"\xca\xfe\xba\xbe", "a program (Java)"),
)
_HTML = re.compile(rb"\s*(?:<!--.{0,500}?-->\s*)?<(?:!doctype html|html|head|body)\b", re.I | re.S)
_TOFU_LIST = re.compile(rb"host=[^\s;]+_\d+;\s+subject=")
_DOCUMENT = re.compile(rb'\s*(?:\{\s*["}]|\[\s*[\[{"\]])')
_CONTROLS = bytes((*range(1, 9), *range(14, 27), *range(28, 32), 127))  # a terminal's colours begin with 27
_NOT_TEXT = 0.05

MARKS = (b"HealthMonitor", b"seqtaskexecutor", b"TOFU", b"Received archive=", b"isco", b"CSCO", b"webacs", b"[Role]")
"""What the product's logs hold and others do not: one anywhere is enough, since its lines are not published.

The first three are published, the fourth is captured (docs/product-facts.md), the rest is recalled: Java packages of
Cisco's, paths, what a server prints of itself.
"""
OWN_NAME = re.compile(r"(?:.*/)?(?:[^/]*[^a-z/])?(?:hm|ncs)(?![a-z])[^/]*\.(?:log|out)[^/]*\Z", re.I)
"""The product's own names of its logs, recalled: one that bears such a name is taken for one, whatever its lines."""

EMPTY = "an empty file"
NO_FILE = "a folder without a file (links in it are not followed)"
NO_FILE_IN_IT = "an archive without a file"
SEALED = "stamps whose messages cannot be read as they stand (base64, hexadecimal, or another script)"
FOREIGN = "a log of something else (no HealthMonitorThread, seqtaskexecutor or Cisco in it, and not called hm or ncs)"
PROSE = "text without the stamps, levels, threads or stack traces of a log"


@dataclass(frozen=True)
class Likeness:
    """What the samples of one file have shown so far. ``begin`` and ``java`` count lines of a log, ``within`` lines
    that only hold a time somewhere, ``sealed`` those whose message cannot be read;
    ``looks_like`` is empty for a text of no known kind."""

    samples: int = 0
    lines: int = 0
    begin: int = 0
    java: int = 0
    within: int = 0
    sealed: int = 0
    looks_like: str = ""
    binary: bool = False

    @property
    def is_log(self) -> bool:
        """Whether this is enough to call it a log."""
        if self.binary or self.sealed > self.begin + self.java + self.within:
            return False
        sure = self.begin if self.looks_like else self.begin + self.java
        if sure >= _ENOUGH or (sure and sure >= _FEW * self.lines):
            return True
        known = sure + self.within
        least = _SHARE * self.lines if known >= _ENOUGH else max(self.lines / 2, 1)
        return not self.looks_like and known >= least

    def named(self) -> str:
        """Return what the file looks like where it is no log."""
        if 2 * self.sealed > self.lines:
            return SEALED
        return self.looks_like or (PROSE if self.lines or self.samples else EMPTY)


def likeness_after(before: Likeness, sample: bytes) -> Likeness:
    """Return what is known of a file after one more sample of it; the first is its beginning."""
    binary, looks_like = before.binary, before.looks_like
    if not before.samples:
        binary, looks_like = _kind(sample)
    lines, begin, java, within, sealed = before.lines, before.begin, before.java, before.within, before.sealed
    for raw in () if binary else sample.split(b"\n"):
        line = decode(raw[:_LINE_REACH])
        if not line.strip():
            continue
        lines += 1
        begins = _BEGINS.match(line) or _JSON.match(raw)
        if begins and _is_sealed(line):
            sealed += 1
        elif begins:
            begin += 1
        elif _JAVA.match(line) or _LEVEL.search(line, 0, _LEVEL_WITHIN):
            java += 1
        elif _WITHIN.search(line) and not _VALIDITY.search(line):
            within += 1
        if begin >= max(_ENOUGH, sealed):
            break
    return Likeness(before.samples + 1, lines, begin, java, within, sealed, looks_like, binary)


def _is_sealed(line: str) -> bool:
    """Return whether nothing can be understood of a log's line: its message is encoded, or in another script."""
    message = field[1] if (field := _MESSAGE.search(line)) else line
    message = message[read_prefix(message).length :]
    if 2 * sum(not letter.isascii() for letter in message) > len(message):
        return True
    sealed = _SEALED.match(message)  # a path or a name changes between small letters, capitals and digits less often
    if sealed is None:
        return False
    code = sealed["code"] or ""
    return 5 * len(_RUN.findall(code)) >= 2 * len(code)


def _kind(head: bytes) -> tuple[bool, str]:
    """Return whether a file that begins so is no text at all, and what it is; empty for a text of no known kind."""
    for mark, name in _MAGIC:
        if head.startswith(mark):
            return True, name
    if len(head.translate(None, _CONTROLS)) < (1 - _NOT_TEXT) * len(head):
        return False, "binary data"
    if _HTML.match(head):
        return False, "a saved web page (HTML)"
    if _TOFU_LIST.search(head):
        return False, "what listcerts prints (give it as --listcerts)"
    if head.lstrip().startswith(b"-----BEGIN "):
        return False, "a certificate or key (PEM)"
    return False, "data (JSON)" if _DOCUMENT.match(head) else ""
