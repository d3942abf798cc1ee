"""What holds for every test, however the tests were started."""

from __future__ import annotations

import signal

# A shell that starts the tests in the background lets them inherit that Ctrl-C is ignored, and so would every
# process that a test starts and then interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
