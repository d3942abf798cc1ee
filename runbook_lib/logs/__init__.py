"""Logs to a diagnosis: which mismatch is reported where, of whom, since when, and what only looks like one."""
