"""What the tests of the jail share: sessions with a deadline on every wait, and a look at processes from outside."""

from __future__ import annotations

import itertools
import json
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from belljar import link, orders, results
from belljar.records import Limits
from belljar.settings import Settings

DEADLINE_SECONDS = 60
"""For one request, on a machine that is busy with other things."""

SPEAKING = """
import json, os, struct, sys, threading, time
def frame(kind, payload, length=None):
    return struct.pack("!B3sI", kind, bytes(3), len(payload) if length is None else length) + payload
def message(kind, body=b"", **head):
    head = json.dumps({**head, "kind": kind, "body": len(body)}).encode()
    return frame(1, head) + b"".join(frame(2, body[i:i + 65536]) for i in range(0, len(body), 65536))
def say(data):
    view = memoryview(data)
    while view:
        view = view[os.write(3, view):]
"""
"""For code that speaks on the control socket itself."""

_numbers = itertools.count(1)


def settings(**changed: Any) -> Settings:
    """Nothing preloaded and nothing parked: a keeper of these starts in a fraction of a second."""
    return Settings(**{"preload": {}, "parked": 0, "grace_seconds": 1} | changed)


@dataclass
class Session:
    keeper: link.Keeper
    name: str

    async def run(
        self,
        code: str,
        *,
        timeout: float = 30,
        on_event: Callable[[results.Event], None] | None = None,
        **asked: Any,
    ) -> results.Result:
        program = orders.Run(textwrap.dedent(code), timeout, **asked)
        with anyio.fail_after(DEADLINE_SECONDS):
            return await self.keeper.execute(self.name, program, on_event)

    async def says(self, code: str, timeout: float = 30) -> str:
        """What code that has to run to its end prints."""
        result = await self.run(code, timeout=timeout)
        assert result.outcome.status == "completed", (result.outcome, result.stderr)
        return result.stdout.strip()

    async def value(self, code: str) -> Any:
        """What code prints as JSON."""
        return json.loads(await self.says(code))

    async def put(self, name: str, data: bytes) -> None:
        with anyio.fail_after(DEADLINE_SECONDS):
            await self.keeper.put(self.name, name, data)

    async def content(self, file: results.WorkFile) -> bytes:
        with anyio.fail_after(DEADLINE_SECONDS):
            return b"".join([piece async for piece in self.keeper.read(self.name, file)])

    async def close(self) -> None:
        with anyio.fail_after(DEADLINE_SECONDS):
            await self.keeper.close(self.name)


@asynccontextmanager
async def opened(keeper: link.Keeper, **limits: Any) -> AsyncIterator[Session]:
    """A session with the default limits and those given, closed at the end of the block."""
    session = Session(keeper, f"test-{next(_numbers)}")
    with anyio.fail_after(DEADLINE_SECONDS):
        await keeper.open(session.name, Limits(**limits))
    try:
        yield session
    finally:
        if not keeper.is_lost:
            with anyio.CancelScope(shield=True):
                await session.close()


def is_full(keeper: link.Keeper) -> bool:
    """Whether each session has a cgroup and a uid of its own here."""
    return keeper.description.isolation.level == "full"


def has_cgroups(keeper: link.Keeper) -> bool:
    return not any(item.startswith("cgroup: ") for item in keeper.description.isolation.missing)


def has_own_uids(keeper: link.Keeper) -> bool:
    """Whether each session has a uid that nobody else has."""
    return any(layer.name == "own uid" and layer.state == "held" for layer in keeper.description.layers)


# -- processes, from outside -------------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    """The live children of a process."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        return []
    return found


def descendants(pid: int) -> list[int]:
    found = []
    pending = children(pid)
    while pending:
        child = pending.pop()
        found.append(child)
        pending += children(child)
    return found


def status(pid: int) -> dict[str, str]:
    """The fields of /proc/PID/status; none when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something outside of any protocol (a process that the kernel takes apart) to come true."""
    with anyio.fail_after(seconds):
        while not holds():
            await anyio.sleep(0.01)


@dataclass(frozen=True)
class Started:
    """A keeper and its process."""

    keeper: link.Keeper
    pid: int

    def processes(self) -> set[int]:
        """Everything that descends from the keeper."""
        return set(descendants(self.pid))


@asynccontextmanager
async def started(**changed: Any) -> AsyncIterator[Started]:
    """A keeper of its own, with the settings given."""
    async with link.start(settings(**changed)) as keeper:
        yield Started(keeper, keeper.pid)
