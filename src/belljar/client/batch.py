"""Run programs by the thousand in a keeper of one's own."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable

import anyio

from belljar import document, link, orders
from belljar.batch import item_of
from belljar.builds import DEFAULT, FOLDER, Runtimes, link_name
from belljar.errors import BelljarError, InvalidRequest
from belljar.imports import imported
from belljar.inputs import checked_names, decoded
from belljar.settings import Settings
from belljar.wire.execution import BatchItem, BatchLine, Execution, ExecutionFile
from belljar.wire.media import media_type

_names = itertools.count(1)
_NAMED = 1000
"""Files in one answer."""


async def run(
    settings: Settings, lines: list[bytes], at_once: int, on_answer: Callable[[BatchLine], Awaitable[None]]
) -> None:
    """Run each line in a session of its own, `at_once` at a time; `on_answer` gets the answers as they finish, and
    holds up what has not begun as long as it takes.

    Files that programs make are named in the answers, and not kept. Raises JailUnavailable, and OSError where
    `on_answer` does.
    """
    runtimes = Runtimes(settings.state_dir / FOLDER)
    async with link.start(settings) as keeper:
        numbered = iter(enumerate(lines))

        failures: list[BelljarError | OSError] = []

        async def work() -> None:
            try:
                for index, line in numbered:
                    await on_answer(await _answered(keeper, settings, runtimes, index, line))
            except (BelljarError, OSError) as error:
                # With the keeper's end, or where answers cannot be written, all that is under way fails, each for the
                # same reason: the first is told, and no group.
                failures.append(error)
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for _ in range(min(at_once, len(lines))):
                tasks.start_soon(work)
        if failures:
            raise failures[0]


async def _answered(
    keeper: link.Keeper, settings: Settings, runtimes: Runtimes, index: int, line: bytes
) -> BatchLine:
    custom_id: str | None = None
    try:
        custom_id, item = item_of(line)
        if isinstance(item, BelljarError):
            raise item
        done = await _executed(keeper, settings, runtimes, item)
        return BatchLine(index=index, custom_id=custom_id, execution=done)
    except BelljarError as error:
        if keeper.is_lost:
            raise
        failed = {"type": error.kind, "message": str(error)}
        return BatchLine(index=index, custom_id=custom_id, error=failed)


async def _executed(
    keeper: link.Keeper, settings: Settings, runtimes: Runtimes, item: BatchItem
) -> Execution:
    if item.container is not None:
        raise InvalidRequest(
            "container: there are none here: each program of a batch has a session of its own"
        )
    checked_names(item.files)
    files = {}
    for index, file in enumerate(item.files):
        if file.data is None or file.file_id is not None:
            raise InvalidRequest(f"files.{index}: give `data` (base64): there are no kept files here")
        files[file.name] = decoded(file.data, f"files.{index}.data")
    program = orders.Run(
        item.code,
        item.timeout_seconds or settings.timeout_seconds,
        item.stdin or "",
        item.env,
        is_last=True,
        charts=item.charts,
    )
    session = f"batch-{next(_names)}"
    runtime = item.runtime or settings.default_runtime
    if runtime != DEFAULT:
        runtimes.find(runtime)
    opening = orders.Opening(settings.limits(item.limits), imported(item.code, files), link_name(runtime))
    try:
        result = await keeper.execute(session, program, opening=opening, files=files, closes=True)
    finally:
        if not keeper.is_lost:
            with anyio.CancelScope(shield=True):
                await keeper.close(session)
    made = [
        ExecutionFile(
            file_id=None,
            filename=file.path.rpartition("/")[2],
            path=file.path,
            mime_type=media_type(file.path, b""),
            size_bytes=file.size_bytes,
            change=file.change,
            chart=file.chart,
        )
        for file in result.files[:_NAMED]
    ]
    more = len(result.files) - len(made)
    return document.execution(
        result,
        container=None,
        also=f"It made {more:,} more files." if more else "",
        runtime=runtime,
        files=made,
        isolation=keeper.description.isolation,
    )
