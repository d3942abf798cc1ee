"""What can go wrong with a lab itself, as against what the simulated site does on purpose."""

from __future__ import annotations


class LabError(Exception):
    """Says what is wrong with which lab, and what to do next."""


class LabOptionInvalid(LabError):
    """An option or the name of a scenario, server or fault that does not exist."""


class LabAlreadyUp(LabError):
    """The folder's lab is running already."""


class LabNotUp(LabError):
    """No lab runs in the folder."""


class LabDied(LabError):
    """The lab ended while it was starting; its last words are in the message."""
