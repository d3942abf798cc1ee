"""One whole simulated site in one event loop: builds it, serves it, and does to it what operators and time do."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from runbook_lib.lab import addresses
from runbook_lib.lab.backend import HaForm
from runbook_lib.lab.core import Core, Passwords, new_password, utc_now
from runbook_lib.lab.desk import Desk, write_whole
from runbook_lib.lab.doors import Door, TlsHandler
from runbook_lib.lab.errors import LabError, LabOptionInvalid
from runbook_lib.lab.https_server import health_monitor_application, ise_application, web_application
from runbook_lib.lab.logbook import Logbook
from runbook_lib.lab.monitors import HealthMonitor, IseTask
from runbook_lib.lab.options import LabOptions
from runbook_lib.lab.pages_backend import USER as WEB_USER
from runbook_lib.lab.pages_backend import SiteBackend
from runbook_lib.lab.pki import Authority, Identity
from runbook_lib.lab.registration import Registrar
from runbook_lib.lab.scenarios import SCENARIOS
from runbook_lib.lab.ssh_server import USER as SSH_USER
from runbook_lib.lab.ssh_server import SshHandler
from runbook_lib.lab.truth import Truth
from runbook_lib.lab.world import PEER, Ise, IseIntegration, Pi, World
