"""One stage at work: what notebooks open. Synchronous; the devices are talked to on a loop of their own."""

from runbook_lib.session.choosing import choose_site
from runbook_lib.session.opening import open_incident, open_runbook, open_site
from runbook_lib.session.runbook import Runbook

__all__ = ["Runbook", "choose_site", "open_incident", "open_runbook", "open_site"]
