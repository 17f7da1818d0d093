"""Run one program in a keeper of one's own: no server, nothing left behind."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import anyio

from belljar import link, orders, paths, printed, results
from belljar.builds import DEFAULT
from belljar.client.keepers import own_keeper
from belljar.errors import only
from belljar.process import KeeperProcess
from belljar.settings import Settings
from belljar.wire.execution import LimitsRequest

_SESSION = "run"


async def run(
    settings: Settings,
    program: orders.Run,
    say: Callable[[bytes, bytes], object],
    form: printed.Form,
    *,
    inputs: Sequence[Path] = (),
    runtime: str = DEFAULT,
    process: KeeperProcess | None = None,
    until: Callable[[], Awaitable[None]] = anyio.sleep_forever,
) -> None:
    """Run `program` in a fresh session with `inputs` in its working directory; `say` gets the frames of `belljar.warm`
    that tell of it, the last with its exit code. `process` is a keeper's that was begun for it.

    When `until` returns before the program has ended, the program is interrupted. Raises NotFound for the runtime,
    JailUnavailable, and whatever `say` raises.
    """
    async with own_keeper(settings, runtime, process=process) as keeper:
        laps = await keeper.open(_SESSION, settings.limits(LimitsRequest()))
        for path in inputs:
            await keeper.put(_SESSION, paths.shown(os.fsencode(path.name)), _pieces(path))

        def heard(event: results.Event) -> None:
            for kind, body in printed.heard(event, form):
                say(kind, body)

        result = await _execute(keeper, program, heard, until)
        result = replace(result, laps=laps | result.laps)
        isolation = keeper.description.isolation
        async for kind, body in printed.ended(
            result, lambda file: keeper.read(_SESSION, file), form, runtime=runtime, isolation=isolation
        ):
            say(kind, body)


async def _execute(
    keeper: link.Keeper,
    program: orders.Run,
    on_event: Callable[[results.Event], None],
    until: Callable[[], Awaitable[None]],
) -> results.Result:
    async def interrupt() -> None:
        await until()
        await keeper.interrupt(_SESSION)

    ran: list[results.Result] = []
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(interrupt)
            ran.append(await keeper.execute(_SESSION, program, on_event))
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise only(group) from None
    return ran[0]


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(link.CHUNK_BYTES):
            yield piece
