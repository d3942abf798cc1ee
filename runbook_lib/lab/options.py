"""The options of one lab: how large, how quick, and with which of the quirks that a real site may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from runbook_lib.lab.errors import LabOptionInvalid

_CHOICES = {
    "monitor_style": ("quick", "slow", "on_registration"),
    "addresses": ("auto", "block", "single"),
    "deletecert": ("silent", "message", "question"),
    "listing": ("published", "spaced", "bare", "uneven"),
    "list_order": ("stored", "turning"),
    "log_lines": ("published", "one_line"),
    "keys": ("rsa", "ec"),
    "kind": ("lab", "production"),
}


@dataclass(frozen=True, kw_only=True)
class LabOptions:
    """All options have defaults; times are seconds.

    ``monitor_style``: ``quick`` monitors connect every ``monitor_interval_s``, ``slow`` ones twenty times as
    rarely, ``on_registration`` ones only while HA is configured or being registered.
    ``addresses``: ``block`` gives each server an address of its own in 127.0.0.0/8, ``single`` puts all on
    127.0.0.1 with ports that the system chooses, ``auto`` takes the first that works here.
    ``seed`` fixes the choice of addresses and the secrets; keys are always new.
    ``ise_servers`` is how many ISE servers exist (1 or 2).
    ``terminal_length`` is the number of lines after which an SSH session pages, until it is told otherwise;
    with ``pages_always`` it does not listen.
    ``keys``: ``rsa`` of 2048 bits, as the product makes them, or ``ec``, which cost no time.
    ``listing`` is how ``listcerts`` spells its lines: ``published`` as in the procedure, ``spaced`` as on a
    DNA Center (``CN = x`` and a space at the end), ``bare`` without any optional space,
    ``uneven`` with blanks that differ from line to line and so move
    when an entry goes. ``list_order``: ``turning`` lists the entries in another order after each change.
    ``list_footer`` is a line behind the list.
    ``question`` is what ``deletecert`` asks where it asks, with ``{entry}`` in the place of the entry.
    ``login_question`` is asked before the first prompt, and takes nothing but yes or no; ``ssh_banner`` is sent before
    the login, with surrogate escapes for bytes that are no UTF-8. ``ade_block``: whether ``show version`` begins with
    the ADE-OS; ``fixes`` are lines under its fixes, one a line; ``secondary_release`` is the secondary's, if another.
    ``forwarding``: whether the SSH servers forward TCP connections.
    ``name`` is the site's name in its file, and ``kind`` what the file calls itself: a site of kind ``production`` has
    its plans approved by people, as a real one.
    ``log_time`` is a ``strftime`` format whose ``%L`` stands for milliseconds; empty for lines without times.
    """

    scenario: str = "renewed"
    monitor_interval_s: float = 5.0
    monitor_style: str = "quick"
    registration_s: float = 3.0
    ise_servers: int = 1
    addresses: str = "auto"
    seed: int | None = None
    idle_hours: float = 12.0
    release: str = "3.10.6"
    deletecert: str = "message"
    listing: str = "published"
    list_order: str = "stored"
    list_footer: str = ""
    question: str = "Do you want to delete the certificate of host {entry}? (yes/no): "
    login_question: str = ""
    ssh_banner: str = ""
    ade_block: bool = True
    fixes: str = ""
    secondary_release: str = ""
    banner: bool = True
    login_banner: str = ""
    resume_question: bool = False
    terminal_length: int = 24
    pages_always: bool = False
    command_delay_s: float = 0.0
    subject_alt_names: bool = True
    keys: str = "rsa"
    log_time: str = "%m/%d/%y %H:%M:%S.%L "
    log_lines: str = "published"
    skin: str = "default"
    page_delay_s: float = 0.0
    lock_after: int = 5
    forwarding: bool = True
    name: str = "lab"
    kind: str = "lab"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise LabOptionInvalid(f"{name} is one of {', '.join(choices)}, not {getattr(self, name)!r}")
        if not 1 <= self.ise_servers <= 2:
            raise LabOptionInvalid(f"ise_servers is 1 or 2, as many as the product takes, not {self.ise_servers}")
        for name in ("monitor_interval_s", "registration_s", "idle_hours"):
            if not getattr(self, name) > 0:
                raise LabOptionInvalid(f"{name} is a number above 0, not {getattr(self, name)!r}")

    @property
    def monitor_pause_s(self) -> float:
        """How long a Health Monitor waits between two connections to its peer."""
        return self.monitor_interval_s * (20 if self.monitor_style == "slow" else 1)

    def release_of(self, server: str) -> str:
        """The release that a PI server was installed with."""
        return (self.secondary_release if server == "secondary" else "") or self.release

    def as_dict(self) -> dict[str, Any]:
        """The options as plain values; ``from_dict`` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LabOptions:
        """Make options of plain values; names that do not exist are refused, all at once."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise LabOptionInvalid(f"the lab has no option {', '.join(unknown)}")
        return cls(**values)
