"""Where a sandbox's code runs. One Protocol; `local` is a keeper of one's own, `server` a server over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from belljar.wire.execution import Execution, ExecutionFile, Isolation, Output


@dataclass(frozen=True)
class Program:
    """Code, and what goes with one run of it."""

    code: str
    timeout_seconds: float | None = None
    """None for the settings' own."""
    stdin: str = ""
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class File:
    """A file that lies in the working directory."""

    path: str
    """Relative to the working directory, with `/`."""
    size_bytes: int
    changed_at: datetime


@dataclass(frozen=True)
class Cleared:
    """What was shown so far was taken back; with `wait` as soon as something else is shown."""

    wait: bool


Told = Output | Cleared
"""What comes while code runs, in the order in which it happens."""


class Place(Protocol):
    """Every method raises BelljarError where something outside of the code fails."""

    @property
    def container(self) -> str | None:
        """By which a server knows it; None where there is none."""

    @property
    def isolation(self) -> Isolation: ...

    async def run(self, program: Program, tell: Callable[[Told], None]) -> Execution:
        """Run code, behind the runs that were asked for before; `tell` is called while it runs, and does not wait or
        raise. To be cancelled interrupts the code, or ends the waiting."""

    async def put(self, path: str, pieces: AsyncIterator[bytes]) -> None:
        """Write a file into the working directory, in place of one of that path. Raises InvalidRequest."""

    def get(self, path: str) -> AsyncIterator[bytes]:
        """A file of the working directory. Raises NoSuchFile, InvalidRequest."""

    def made(self, file: ExecutionFile) -> AsyncIterator[bytes]:
        """A file of a result. Raises NotFound, InvalidRequest where it is not there any more."""

    async def files(self) -> list[File]:
        """What lies in the working directory, by path."""

    async def remove(self, path: str) -> None:
        """Delete one of these files. Raises NoSuchFile, InvalidRequest."""
