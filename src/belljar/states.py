"""What a keeper says of itself, of the machine, and of what lies in its sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from belljar.records import IdleMemory, Layer
from belljar.results import Lying
from belljar.wire.execution import Isolation


@dataclass(frozen=True)
class Files:
    """What lies in a working directory."""

    files: list[Lying]
    is_whole: bool
    """Else there are more than one look takes in."""


TierState = Literal["warming", "ready", "failed"]


@dataclass(frozen=True)
class Tier:
    """A zygote that sessions are forked from, by what it has imported (`Settings.preload`)."""

    name: str
    state: TierState
    why: str
    """Why it failed; or which of its modules could not be imported or used ahead, and why: code will see the same."""


@dataclass(frozen=True)
class RuntimeState:
    """A runtime that was built, and that the keeper has in memory or has tried to."""

    state: TierState
    why: str
    """Why it failed."""
    tiers: list[Tier]
    sessions: int
    """Those that are in use; those that are parked are not among them."""


@dataclass(frozen=True)
class Description:
    """The keeper's word on this machine."""

    isolation: Isolation
    layers: list[Layer]
    python: str
    """The default runtime's version, as `3.11.7`."""
    packages: dict[str, str]
    """What the default runtime has installed, by distribution name."""
    laps: dict[str, float]
    idle_memory: IdleMemory
    """How memory of idle sessions is given back."""


@dataclass(frozen=True)
class State:
    """What the keeper has at the moment."""

    pid: int
    """Of its process."""
    sessions: int
    """All that are not gone yet: those with a name, those that are parked, and those that are being made or ended."""
    parked: dict[str, int]
    """By the name of the tier."""
    generations: int
    """Chains of zygotes that live."""
    begun: int
    """Chains of zygotes that came up so far."""
    idle_offered: int
    """Idle sessions whose memory was offered to the kernel, each once for each time that it is idle."""
    idle_given_back_bytes: int
    idle_failed: int
    runtimes: dict[str, RuntimeState]
    """By name. One that is not there is at rest: it comes up when a session asks for it."""


def tiers(told: list[dict[str, Any]]) -> list[Tier]:
    """As the keeper tells of them."""
    return [Tier(**tier) for tier in told]


def runtimes(told: dict[str, dict[str, Any]]) -> dict[str, RuntimeState]:
    """The same of the runtimes that were built."""
    return {
        name: RuntimeState(facts["state"], facts["why"], tiers(facts["tiers"]), facts["sessions"])
        for name, facts in told.items()
    }


def described(facts: dict[str, Any]) -> Description:
    """What it says when it has started."""
    return Description(
        isolation=Isolation.model_validate(facts["isolation"]),
        layers=[Layer(**layer) for layer in facts["layers"]],
        python=facts["python"],
        packages=facts["packages"],
        laps=facts["laps"],
        idle_memory=IdleMemory(**facts["idle_memory"]),
    )
