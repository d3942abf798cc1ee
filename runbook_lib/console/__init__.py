"""SSH to a server's ADE-OS command line: pinned host key, prompt, paging, questions, deadlines, forwarding.

Who answers at the other end is decided by the pinned host key alone; without it no password leaves.
"""

from runbook_lib.console.command_line import Console, raise_if_refused

__all__ = ["Console", "raise_if_refused"]
