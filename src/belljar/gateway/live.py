"""An execution as it happens: events for a client that asked for a stream."""

from __future__ import annotations

from belljar.gateway import executions
from belljar.gateway.activity import Activity
from belljar.gateway.feed import Feed, watched
from belljar.gateway.parts import Parts
from belljar.gateway.sse import Emit
from belljar.wire.execution import Execution, ExecutionRequest, json_of


async def answer(
    parts: Parts, asked: ExecutionRequest, activity: Activity, runtime: str | None, emit: Emit
) -> None:
    """Run code, and tell what it prints and shows while it does; the last event has the whole document.

    `runtime` is that of the header.
    """

    async def run(feed: Feed) -> Execution:
        with activity.client.execution():
            watching = executions.Watching(feed.begin, feed.add)
            return await executions.run(parts, asked, activity, runtime, watching)

    done = await watched(run, emit)
    await emit({"type": "finished", "execution": json_of(done)})
