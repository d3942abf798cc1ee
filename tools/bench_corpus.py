"""Logs for the bench: deterministic, a gigabyte in seconds, with rare mismatches among much that nearly is one."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

SEED = 215335
THREADS = (
    *("HealthMonitorThread", "seqtaskexecutor-3069", "seqtaskexecutor-12", "main"),
    *("http-bio-443-exec-7", "InventoryCollector-12", "pool-9-thread-3", "EventDispatcher"),
)
SUBJECT = "CN=prime-sec, OU=Prime Infra, O=Cisco Systems, L=SJ, ST=CA, C=US"
WORDS = (
    "TOFU failed. Check local trust Trust-on-first-use is configure for this connection. "
    f"Current certificate of the remote host is different from what was used earlier - {SUBJECT}"
)
EVENT = f"2026-11-23 12:00:00,000 ERROR [system] [HealthMonitorThread] {WORDS}\n".encode()
BLOCKS = 32
BLOCK_LINES = 9000
EVENTS_PER_GIGABYTE = 20


@dataclass(frozen=True)
class Corpus:
    """A log, how many bytes it has, and the line numbers of its mismatches."""

    path: Path
    size: int
    events: tuple[int, ...]


def write_log(path: Path, size: int) -> Corpus:
    """Write a log of ``size`` bytes or a block more."""
    chance = random.Random(SEED)  # noqa: S311 - the same log every time
    blocks = [b"".join(_line(chance) for _ in range(BLOCK_LINES)) for _ in range(BLOCKS)]
    feeds = [block.count(b"\n") for block in blocks]
    every = max(size // EVENTS_PER_GIGABYTE, 1) if size >= 1 << 30 else max(size // 2, 1)
    written = lines = 0
    events: list[int] = []
    with path.open("wb") as file:
        while written < size:
            number = chance.randrange(BLOCKS)
            written += file.write(blocks[number])
            lines += feeds[number]
            if written // every > len(events):
                written += file.write(EVENT)
                lines += 1
                events.append(lines)
    return Corpus(path, written, tuple(events))


def write_sparse(path: Path, size: int) -> None:
    """Write a file that claims ``size`` bytes and holds a mismatch at its beginning, in its middle and at its end."""
    with path.open("wb") as file:
        for place in (0, size // 2, size - len(EVENT)):
            file.seek(place)
            file.write(EVENT)


def _line(chance: random.Random) -> bytes:
    clock = f"{chance.randrange(24):02}:{chance.randrange(60):02}:{chance.randrange(60):02}"
    level = "DEBUG" if chance.random() < 0.6 else "INFO"
    thread = chance.choice(THREADS)
    return f"2026-11-23 {clock},{chance.randrange(1000):03} {level} [system] [{thread}] {_message(chance)}\n".encode()


def _message(chance: random.Random) -> str:
    kind = chance.random()
    number = chance.randrange(10_000)
    if kind < 0.5:
        return f"polling device 10.{number % 251}.{number % 241}.{number % 239} took {number} ms"
    if kind < 0.53:
        return f"TOFU check passed for peer {number}"
    if kind < 0.535:
        return f"certificate of peer {number} unchanged, next look in {number % 97} s"
    if kind < 0.537:
        return f"java.io.IOException: Broken pipe\n\tat com.cisco.xmp.Foo.bar(Foo.java:{number})"
    if kind < 0.538:
        return f"connection to device {number} refused by policy"
    if kind < 0.5381:
        return f"Trust-on-first-use is enabled for {number} hosts"
    if kind < 0.56:
        return f"session {chance.getrandbits(128):032x} of user admin renewed"
    return f"job inventory-{number % 53} state RUNNING, {number} of 10000 devices done, heap used {number % 997} MB"
