"""``python -m runbook_lib.lab up|status|down|renew WHO|fault NAME``: steer the lab of a folder."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from runbook_lib.lab import daemon
from runbook_lib.lab.errors import LabError
from runbook_lib.lab.options import LabOptions
from runbook_lib.lab.scenarios import SCENARIOS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when done, 2 with a sentence on standard error when not."""
    told = _parser().parse_args(arguments)
    try:
        state = _run(told)
    except LabError as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return 2
    if state is not None:
        print(json.dumps(state, indent=2) if told.json else summary(state))  # noqa: T201
    return 0


def summary(state: dict[str, Any]) -> str:
    """A running lab's state in a few lines for people."""
    lines = [f"lab in {state['folder']}, scenario {state['options']['scenario']}, process {state['pid']}"]
    for key, server in state["servers"].items():
        ports = " ".join(f"{name} {port}" for name, port in server["ports"].items())
        lines.append(f"  {key:10} {server['address']:15} {ports:32} {server.get('ha_state', '')}".rstrip())
    lines.append(f"  site file  {state['site_file']}")
    return "\n".join(lines)


def _run(told: argparse.Namespace) -> dict[str, Any] | None:
    match told.verb:
        case "up":
            return daemon.up(told.folder, LabOptions.from_dict(_options(told)), exist_ok=told.exist_ok)
        case "renew":
            return daemon.renew(told.folder, told.who)
        case "fault":
            return daemon.fault(told.folder, told.name, told.server, **dict(told.setting))
        case "down":
            daemon.down(told.folder)
            return None
    return daemon.status(told.folder)


def _options(told: argparse.Namespace) -> dict[str, Any]:
    given = {field.name: getattr(told, field.name, None) for field in fields(LabOptions)}
    return {name: value for name, value in given.items() if value is not None}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runbook_lib.lab", description="A simulated site on loopback.")
    parser.add_argument("--folder", type=Path, default=Path(os.environ.get("RUNBOOK_LAB_DIR", ".lab")))
    parser.add_argument("--json", action="store_true", help="print the whole state")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start it; it lives on by itself")
    up.add_argument("--exist-ok", action="store_true", help="leave a lab that is up as it is")
    up.add_argument("--scenario", choices=sorted(SCENARIOS))
    for field in fields(LabOptions):
        if field.name != "scenario":
            _add_option(up, field.name, field.default)
    verbs.add_parser("status", help="say what it is like now")
    renew = verbs.add_parser("renew", help="give a server a new certificate")
    renew.add_argument("who", help="primary, secondary or ise")
    fault = verbs.add_parser("fault", help="make it misbehave; the name none ends that")
    fault.add_argument("name")
    fault.add_argument("server", nargs="?", default="*")
    fault.add_argument("setting", nargs="*", type=_setting, help="name=value")
    verbs.add_parser("down", help="end it")
    return parser


def _add_option(parser: argparse.ArgumentParser, name: str, default: object) -> None:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(default, bool):
        parser.add_argument(flag, dest=name, action=argparse.BooleanOptionalAction, default=None)
    else:
        kind = int if name == "seed" else type(default)
        parser.add_argument(flag, dest=name, type=kind)


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not name=value")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


if __name__ == "__main__":
    sys.exit(main())
