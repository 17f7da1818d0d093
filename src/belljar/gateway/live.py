"""An execution as it happens: events for a client that asked for a stream."""

from __future__ import annotations

import anyio

from belljar.errors import BelljarError
from belljar.gateway import executions
from belljar.gateway.envelope import Activity
from belljar.gateway.feed import Feed
from belljar.gateway.loop import Parts
from belljar.gateway.sse import Emit
from belljar.wire.execution import Execution, ExecutionRequest, json_of


async def answer(
    parts: Parts, asked: ExecutionRequest, activity: Activity, runtime: str | None, emit: Emit
) -> None:
    """Run code, and tell what it prints and shows while it does; the last event has the whole document.

    `runtime` is that of the header.
    """
    feed = Feed()
    done: list[Execution] = []
    failure: BelljarError | None = None

    async def pass_on() -> None:
        async for event in feed.events():
            await emit(event)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pass_on)
        try:
            with activity.client.execution():
                watching = executions.Watching(feed.begin, feed.add)
                done.append(await executions.run(parts, asked, activity, runtime, watching))
        except BelljarError as error:
            failure = error  # as it is, and not as a group of one
        finally:
            feed.close()
    if failure is not None:
        raise failure
    await emit({"type": "finished", "execution": json_of(done[0])})
