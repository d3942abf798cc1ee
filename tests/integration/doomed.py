"""Deadlines that expire where nothing is answered, and nowhere else, however slow the machine is.

A site has one deadline for a kind of step. One that is short enough to wait for in a test is too short for the same
steps of the other servers on a busy machine, so these are given all the time that they need.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from waiting import PATIENCE_S, wait_until_async

from runbook_lib.device import ssh
from runbook_lib.device.dialog import Dialog
from runbook_lib.lab import Lab

GIVEN_UP_S = 2.0
"""After which a connection is given up that is taken and not answered."""


def only_here(patch: pytest.MonkeyPatch, lab: Lab, server: str, fault: str, answer_s: float | None = None) -> None:
    """Let deadlines expire at ``server`` for what the fault keeps from being answered, and nowhere else.

    ``answer_s``: what a command is given that is never answered, in place of the site's ``command_s``.
    """
    lead, connect = Dialog.read_answer, ssh.connect
    suffered = lab.happened(fault, server)  # a quick server meets the command before its answer is waited for

    async def patient_lead(self: Dialog, *given: Any, **more: Any) -> None:
        feed, transcript, deadline_s = given
        if self.server != server:
            return await lead(self, feed, transcript, PATIENCE_S, **more)
        if fault == "slow_bytes":  # each exchange suffers from it
            return await lead(self, feed, transcript, deadline_s, **more)
        nonlocal suffered
        patient = asyncio.ensure_future(lead(self, feed, transcript, PATIENCE_S, **more))
        happens = asyncio.ensure_future(wait_until_async(lambda: lab.happened(fault, server) > suffered, fault))
        try:
            await asyncio.wait({patient, happens}, return_when=asyncio.FIRST_COMPLETED)
            if patient.done():
                return patient.result()
            suffered = lab.happened(fault, server)
        finally:
            for task in (patient, happens):
                task.cancel()
            await asyncio.gather(patient, happens, return_exceptions=True)
        return await lead(self, feed, transcript, answer_s or deadline_s, **more)

    async def patient_connect(name: str, *given: Any, connect_s: float) -> Any:
        del connect_s
        doomed = (name, fault) == (server, "silent")
        return await connect(name, *given, connect_s=GIVEN_UP_S if doomed else PATIENCE_S)

    patch.setattr(Dialog, "read_answer", patient_lead)
    patch.setattr(ssh, "connect", patient_connect)
