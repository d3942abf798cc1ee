"""A whole incident in a record, as a run leaves it, with texts of one's own where devices and people speak."""

from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from incident_kit import PRIMARYS, SECONDARYS, STALE, Incident
from site_kit import ISE

from runbook_lib.decisions import Approval
from runbook_lib.models import Answer, Outcome, Stage, StageState, TofuEntry, TofuStore
from runbook_lib.observations import Check, Diagnosis, LogLine, Mismatch
from runbook_lib.record.incident import Record

LISTCERTS = "ncs certvalidation tofu-certs listcerts"
PLAIN = "nothing special"


def whole_record(folder: Path, text: str = PLAIN, *, outcome: Outcome | None = Outcome.REPAIRED) -> Record:
    """Return the record of a repair from the diagnosis to the checks; ``text`` stands wherever others speak."""
    incident = Incident(folder, operator=text, listed=False)
    record = incident.record
    _stage(record, Stage.START, text)
    began = datetime.now(UTC) - timedelta(hours=2, minutes=3, seconds=4)
    record.start_stage(Stage.DIAGNOSE, text=text)
    record.write_facts(Stage.DIAGNOSE, "diagnosis", diagnosis(began, text))
    record.end_stage(Stage.DIAGNOSE, StageState.DONE)
    record.start_stage(Stage.LIST, text=text)
    for server in ("primary", "secondary"):
        read_store(record, Stage.LIST, server, text)
    incident.list({})
    plan = incident.write_plan()
    record.end_stage(Stage.LIST, StageState.DONE)
    record.write_approval(
        Approval(digest=plan.digest, by=f"Ada {text}", at_utc=datetime.now(UTC), how=text, reason=text)
    )
    record.start_stage(Stage.DELETE, text=text)
    for server, key in sorted(STALE):
        incident.sent(server, key)
    record.end_stage(Stage.DELETE, StageState.DONE)
    record.start_stage(Stage.REGISTER, text=text)
    change = record.intend(Stage.REGISTER, "primary", "register HA", expected="Primary Active")
    record.keep_bytes("screenshots/40_register_ha-register-after.png", png(), stage=Stage.REGISTER, text=text)
    change.sent()
    change.result("Primary Active")
    record.end_stage(Stage.REGISTER, StageState.DONE)
    _stage(record, Stage.READD_ISE, text)
    record.start_stage(Stage.VERIFY, text=text)
    for server in ("primary", "secondary"):
        read_store(record, Stage.VERIFY, server, text)
    record.write_facts(Stage.VERIFY, "checks", checks(text))
    if outcome:
        record.set_outcome(outcome)
    record.end_stage(Stage.VERIFY, StageState.DONE, text)
    return record


def diagnosis(began: datetime, text: str) -> Diagnosis:
    """Return mismatches of the secondary's and the ISE server's certificate since ``began``."""
    places = (("primary_health_monitor", "prime-sec"), ("primary_infrastructure", "ISE-server"))
    return Diagnosis(
        mismatches=tuple(
            Mismatch(
                server="primary",
                place=place,
                subject=f"CN={name} {text}",
                threads=("HealthMonitorThread",),
                count=2,
                first_utc=began,
                last_utc=began + timedelta(minutes=1),
                evidence=(LogLine(source="/logs/hm-0-0.log", number=4, text=f"TOFU failed. {text}"),),
            )
            for place, name in places
        ),
        zones={"primary": "UTC", "secondary": "UTC"},
    )


def read_store(record: Record, stage: Stage, server: str, text: str) -> None:
    """Leave what reading a list leaves; its subjects hold ``text``."""
    now = datetime.now(UTC)
    keys = PRIMARYS if server == "primary" else SECONDARYS
    entries = tuple(
        TofuEntry(key=key, host=key.rpartition("_")[0], port=1, subject=f"/CN={text}", line=key) for key in keys
    )
    answer = Answer(
        server=server,
        command=LISTCERTS,
        raw=text.encode("utf-8", "replace"),
        text=text,
        started_utc=now,
        finished_utc=now,
    )
    record.keep_answer(answer, TofuStore(server=server, entries=entries, read_utc=now), stage=stage.value)


def checks(text: str, *, ha: bool | None = True) -> tuple[Check, ...]:
    """Return checks that hold, but for what is said of HA."""
    return (
        Check(name="HA state of the primary", expected="healthy", actual=text, ok=ha, note=text),
        Check(name="HA state of the secondary", expected="healthy", actual=text, ok=True),
        Check(name=f"ISE server ise ({ISE})", expected="listed and answers", actual=text, ok=True),
    )


def png() -> bytes:
    """Return a picture of one white pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\x00\xff")) + chunk(b"IEND", b"")
    )


def _stage(record: Record, stage: Stage, text: str) -> None:
    record.start_stage(stage, text=text)
    record.end_stage(stage, StageState.DONE)
