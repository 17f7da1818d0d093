"""What a keeper and its owner tell one another, and the wire's documents hold: how much a session may use, how a run
ended, and which walls there are.

Plain dataclasses, for a keeper comes up without pydantic, whose import takes as long as all else that it needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MIB = 1024 * 1024

Level = Literal["full", "limited", "reduced"]
Status = Literal[
    "completed",
    "raised",
    "exited",
    "timed_out",
    "out_of_memory",
    "output_exceeded",
    "disk_full",
    "interrupted",
    "crashed",
    "lost",
]
State = Literal["held", "weaker", "missing"]

MAX_RUN_DISPLAYS = 256
MAX_RUN_DISPLAY_BYTES = 32 * MIB
MAX_RUN_TEXT_BYTES = 8 * MIB
"""Of what is no picture: as JSON it can become six times as long."""
MAX_CHART_BYTES = 64 * 1024
"""Of what a guest says of one chart."""


@dataclass(frozen=True)
class Limits:
    """How much one session may use. Fixed when the session is made."""

    memory_bytes: int = 1024 * MIB
    pids: int = 128
    disk_bytes: int = 512 * MIB
    output_bytes: int = 1 * MIB
    cpus: float = 1.0


@dataclass(frozen=True)
class LimitReached:
    """A limit that ended a run, or that the kernel held a part of it to."""

    name: str
    """As in `Limits`, or `timeout_seconds` or `disk_inodes`."""
    value: float
    peak: float | None
    """The most that was seen; None where it cannot be told."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended. The keeper alone decides it, from its own clock and the kernel's counters."""

    status: Status
    reason: str
    """Machine-readable: which limit, signal or exception ended the run."""
    message: str
    """The same for a person, and what became of the session's variables and files."""
    limit: LimitReached | None = None


@dataclass(frozen=True)
class Layer:
    """One of the walls between a session and the machine."""

    name: str
    state: State
    detail: str
    """What it is here, or what is instead."""
    fix: str
    """What would make it hold; empty where it does."""


@dataclass(frozen=True)
class IdleMemory:
    """How memory of sessions that nobody uses is given back here."""

    way: Literal["memory.reclaim", "process_madvise", "none"]
    detail: str
    """What cannot be given back, or why nothing can; empty where all can."""
