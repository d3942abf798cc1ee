"""SSH to a server's ADE-OS command line: pinned host key, prompt, paging, questions, deadlines, forwarding.

Who answers at the other end is decided by the pinned host key alone; without it no password leaves.
"""

from runbook_lib.console.command_line import Console, raise_if_refused
from runbook_lib.console.dialog import no_reply

__all__ = ["Console", "no_reply", "raise_if_refused"]
