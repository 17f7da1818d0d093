"""A keeper without a jail, for what is about placement and the loop and not about running code.

It is checked against the real one by the tests over HTTP, which use no other.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import anyio

from belljar import errors, link, orders, results, states
from belljar.gateway.blobs import Blobs
from belljar.gateway.placement import local
from belljar.gateway.placement.sleeping import Shelf
from belljar.gateway.store.sqlite import open_store
from belljar.gateway.telemetry import Telemetry
from belljar.records import IdleMemory, Limits, Outcome
from belljar.settings import Settings
from belljar.wire.execution import Isolation, Truncated, Usage

ABOUT = states.Description(
    Isolation(level="full"), [], "3.11.7", {"numpy": "2.0"}, {}, IdleMemory(way="none", detail="")
)


def result(
    stdout: str = "", return_code: int = 0, status: str = "completed", **more: object
) -> results.Result:
    parts: dict[str, object] = {
        "outcome": Outcome(status=status, reason="", message=f"It was {status}."),
        "return_code": return_code,
        "stdout": stdout,
        "stderr": "",
        "truncated": Truncated(),
        "outputs": [],
        "files": [],
        "files_left_out": 0,
        "displays_left_out": 0,
        "usage": Usage(wall_seconds=0, cpu_seconds=0, peak_memory_bytes=0),
        "laps": {},
    }
    return results.Result(**(parts | more))  # type: ignore[arg-type]


EDITED = results.CallResult("", "", 0, Truncated(), b'{"result": "create", "is_file_update": false}')


class FakeKeeper:
    """Echoes the code as its output.

    `asks` calls the first of the caller's tools, and prints the reply. `dies` in the code ends the keeper, `waits`
    waits for `release`.
    """

    def __init__(self) -> None:
        self.description = ABOUT
        self.tiers = [states.Tier("bare", "ready", "")]
        self.runtimes: dict[str, states.RuntimeState] = {}
        self.runtime_of: dict[str, str | None] = {}
        self.lost = anyio.Event()
        self.sessions: dict[str, list[str]] = {}
        self.replies: list[str] = []
        self.release = anyio.Event()
        self.running = anyio.Event()
        self.packing = anyio.Event()
        self.holds_packing = self.refuses_to_pack = self.refuses_to_unpack = False

    @property
    def is_lost(self) -> bool:
        return self.lost.is_set()

    def _check(self, session: str) -> None:
        if self.is_lost:
            raise errors.KeeperLost("the keeper has ended")
        if session not in self.sessions:
            raise errors.NotFound(f"no session {session}")

    async def open(
        self,
        session: str,
        limits: Limits,
        imports: Sequence[str] | None = None,
        runtime: str | None = None,
    ) -> dict[str, float]:
        self.sessions[session] = []
        self.runtime_of[session] = runtime
        self._check(session)
        return {"fork": 1.0}

    async def put(self, session: str, name: str, body: bytes | AsyncIterator[bytes]) -> None:
        self._check(session)
        if not isinstance(body, bytes):
            async for _ in body:
                pass
        self.sessions[session].append(name)

    async def execute(
        self,
        session: str,
        run: orders.Run,
        on_event: Callable[[results.Event], None] | None = None,
        *,
        on_asks: Callable[[results.Asks], None] | None = None,
        opening: orders.Opening | None = None,
        files: Mapping[str, bytes] = MappingProxyType({}),
        closes: bool = False,
    ) -> results.Result:
        if opening is not None:
            await self.open(session, opening.limits, opening.imports, opening.runtime)
        for name, body in files.items():
            await self.put(session, name, body)
        self._check(session)
        if run.code == "asks" and on_asks is not None:
            on_asks(results.Asks([results.Ask(1, run.tools[0].name, {"x": 1})]))
            self.running.set()
            await self.release.wait()
        if run.code == "dies":
            self.lost.set()
        if run.code == "waits":
            self.running.set()
            await self.release.wait()
        self._check(session)
        if closes:
            await self.close(session)
        calls = [
            results.CallResult(call.text, "", 0, Truncated(), b"")
            if isinstance(call, orders.Command)
            else EDITED
            for call in run.calls
        ]
        printed = self.replies.pop() if run.code == "asks" else run.code or ""
        return result(printed, laps={"fork": 1.0} if opening else {}, is_closed=closes, calls=calls)

    async def reply(self, session: str, ask: int, status: orders.ReplyStatus, text: str) -> None:
        self._check(session)
        self.replies.append(f"{ask} {status} {text}")
        self.release.set()

    async def read(self, session: str, file: results.WorkFile) -> AsyncIterator[bytes]:
        yield b""

    async def pack(self, session: str) -> AsyncIterator[bytes]:
        self._check(session)
        if self.refuses_to_pack:
            raise errors.NotKept("more than its disk would hold")
        yield b"names:"
        if self.holds_packing:
            self.packing.set()
            await self.release.wait()
            self._check(session)
        yield json.dumps(self.sessions[session]).encode()

    async def unpack(self, session: str, archive: AsyncIterator[bytes]) -> None:
        self._check(session)
        body = b"".join([piece async for piece in archive])
        if self.holds_packing:
            self.packing.set()
            await self.release.wait()
        self._check(session)
        if self.refuses_to_unpack:
            raise errors.NotKept("no archive of ours")
        self.sessions[session] = json.loads(body.removeprefix(b"names:"))

    async def state(self) -> states.State:
        if self.is_lost:
            raise errors.KeeperLost("the keeper has ended")
        return states.State(os.getpid(), len(self.sessions), {"bare": 0}, 1, 1, 0, 0, 0, self.runtimes)

    async def close(self, session: str) -> None:
        if self.is_lost:
            raise errors.KeeperLost("the keeper has ended")
        self.sessions.pop(session, None)


class Keepers:
    """Starts fake keepers, and remembers them."""

    def __init__(self) -> None:
        self.all: list[FakeKeeper] = []

    @asynccontextmanager
    async def start(self, settings: Settings) -> AsyncIterator[link.Keeper]:
        keeper = FakeKeeper()
        self.all.append(keeper)
        yield keeper  # type: ignore[misc]


@asynccontextmanager
async def open_placement(
    settings: Settings, keeper_start: local.KeeperStart, telemetry: Telemetry | None = None
) -> AsyncIterator[local.LocalPlacement]:
    """A placement with the store and the blobs in the state directory."""
    async with open_store(settings.state_dir / "belljar.sqlite3") as store:
        shelf = Shelf(store, Blobs(settings.state_dir / "blobs"))
        async with local.open_placement(settings, keeper_start, shelf, telemetry) as placement:
            yield placement


def settings(state: Path, **more: object) -> Settings:
    return Settings(state_dir=state, **more)  # type: ignore[arg-type]
