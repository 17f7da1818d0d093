"""What `/mcp` keeps for each tenant, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from fakes import Keepers, settings
from starlette.types import ASGIApp, Message

from belljar.gateway.activity import ACTIVITY, Activity
from belljar.gateway.app import open_parts
from belljar.gateway.loop import Parts

pytestmark = pytest.mark.anyio


async def replaced(parts: Parts, tenant: str, app: ASGIApp) -> ASGIApp:
    """The one that comes after it."""
    with anyio.fail_after(30):
        while (found := await parts.mcp.app(parts, tenant)) is app:
            await anyio.sleep(0.01)
    return found


async def test_a_tenant_that_asks_no_more_is_let_go_of(tmp_path: Path) -> None:
    async with (
        open_parts(settings(tmp_path, container_idle_seconds=0.1), Keepers().start) as parts,
        anyio.create_task_group() as tasks,
    ):
        asking, idle = [await parts.mcp.app(parts, tenant) for tenant in ("asking", "idle")]
        assert await parts.mcp.app(parts, "asking") is asking
        is_read, goes_on = anyio.Event(), anyio.Event()

        async def receive() -> Message:
            is_read.set()
            await goes_on.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            pass

        headers = [
            (b"content-type", b"application/json"),
            (b"accept", b"application/json, text/event-stream"),
        ]
        scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/mcp", "headers": headers}
        tasks.start_soon(asking, {**scope, ACTIVITY: Activity("req_1", "POST /mcp")}, receive, send)
        await is_read.wait()
        later = await replaced(parts, "idle", idle)
        await replaced(parts, "idle", later)
        assert await parts.mcp.app(parts, "asking") is asking, "a request of its own is under way"
        goes_on.set()
        await replaced(parts, "asking", asking)
