"""What command lines print around an answer, as data: pagers, questions and refusals.

Only the prompt and the session-resume question are published for the product; the rest is what
command lines of this family are known to print. Add a row where a device says it otherwise.
"""

from __future__ import annotations

import re

PROMPT_SHAPE = re.compile(r"(?P<host>[^\s/#]+)/(?P<user>[^\s/#]+)#")
"""``<hostname>/<user># `` without its last space; the whole line."""

PAGERS = re.compile(r"(?i)(?:-{2,} ?more ?-{2,}|<-+ ?more ?-+>)(?: ?\(?\d{1,3} ?%\)?)?")
"""A pager's line, whole; a space brings the next page."""

ERASED = re.compile(
    rb"\r {2,}\r(?!\n)"  # overwritten with spaces
    rb"|\x08+ +\x08+"
    rb"|\x08+(?:\x1b\[[0-9;]*[KJ])?"
    rb"|(?:\r(?!\n)|\x1b\[[0-9;]*[KJm])+"
    rb"|\r*\n"  # left standing
)
"""How a pager's line is taken off the screen again, directly behind it."""

WHEN_LOGGING_IN = (
    (r"(?i)enter session number to resume or press <enter> to start a new one\s*:\s*$", ""),
    (r"(?i)press (?:<?enter>?|<?return>?|any key) to continue\s*\.*\s*$", ""),
)
"""Questions before the first prompt, and what is typed (with Enter behind it)."""

EXPIRED = re.compile(
    r"(?i)password (?:has |is )?expired|must (?:now )?(?:be changed|change your password)|new password\s*:"
)
"""Said instead of a prompt where the password is no longer good."""

QUESTION = re.compile(r"(?i)[?:]\s*$|[(\[]\s*y(?:es)?\s*[/|]\s*\[?n(?:o)?\]?\s*[)\]]\s*[?:>]?\s*$")
"""The last line of something that waits to be answered."""

REFUSALS = re.compile(
    r"(?im)^\s*(?:"
    r"%\s*(?:invalid|unknown|incomplete|ambiguous|unrecogni[sz]ed|bad|command)\b"
    r"|(?:error:\s*)?(?:unknown|invalid|unrecogni[sz]ed|incomplete|ambiguous) (?:command|input|argument|token)\b"
    r"|syntax error\b"
    r"|[^\n]{0,300}: (?:command )?not found\s*$"
    r"|command not found\b"
    r"|(?:%\s*)?(?:permission denied|not authori[sz]ed|command authori[sz]ation failed)\b"
    r")"
)
"""A command line that does not know or allow a command; looked for in short answers only."""

REFUSAL_LINES = 8
"""An answer of more lines is not a refusal, whatever stands in it."""
