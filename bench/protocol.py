"""What MCP costs: `python bench/protocol.py [--calls 200]` prints the time to a first result, and of calls after it.

Beside the library in a jail of its own, and beside plain HTTP on a container of the server's: the code is the same.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
from compare import Client as Http
from compare import server, until_warm
from mcp import Client, StdioServerParameters

from belljar import AsyncSandbox

CODE = "x = globals().get('x', 0) + 1\nx"
BELLJAR = str(Path(sys.executable).with_name("belljar"))
MODES = (("2026-07-28", "stateless"), ("legacy", "with a session"))
Run = Callable[[], Awaitable[str | None]]


@dataclass
class Way:
    name: str
    kind: str
    """What stands beside it: the first way of the same kind."""
    run: Run
    first_seconds: float
    times: list[float] = field(default_factory=list)


async def opened(name: str, kind: str, run: Run, started: float) -> Way:
    """A way whose code has run once. `started` is when there was nothing of it yet."""
    if await run() != "1":
        raise SystemExit(f"{name}: the code did not do what it does")
    return Way(name, kind, run, time.perf_counter() - started)


async def client(stack: AsyncExitStack, name: str, where: Any, mode: str, kind: str) -> Way:
    started = time.perf_counter()
    connected = await stack.enter_async_context(Client(where, mode=mode))
    container: dict[str, str] = {}

    async def run() -> str | None:
        answer = await connected.call_tool("run_python", {"code": CODE, **container})
        told = answer.structured_content
        if told["container"] is not None:
            container["container"] = told["container"]
        value: str | None = told["value"]
        return value

    return await opened(name, kind, run, started)


async def ways(stack: AsyncExitStack, url: str) -> AsyncIterator[Way]:
    started = time.perf_counter()
    box = await stack.enter_async_context(AsyncSandbox())

    async def in_library() -> str | None:
        return (await box.run(CODE)).value

    yield await opened("the library, a jail of its own", "own", in_library, started)
    own = StdioServerParameters(command=BELLJAR, args=["mcp"])
    for mode, name in MODES:
        yield await client(stack, f"`belljar mcp`, {name}", own, mode, "own")
    started = time.perf_counter()
    http = await stack.enter_async_context(httpx2.AsyncClient(base_url=url, timeout=60))
    container = (await http.post("/v1/containers")).json()["id"]

    async def over_http() -> str | None:
        answer = (await http.post("/v1/executions", json={"code": CODE, "container": container})).json()
        value: str = answer["outputs"][0]["data"]["text/plain"]
        return value

    yield await opened("`POST /v1/executions`", "server", over_http, started)
    for mode, name in MODES:
        yield await client(stack, f"`/mcp`, {name}", f"{url}/mcp", mode, "server")
    bridge = StdioServerParameters(command=BELLJAR, args=["mcp", "--url", url])
    yield await client(stack, "`belljar mcp --url`", bridge, MODES[0][0], "server")


async def main(calls: int, url: str) -> None:
    async with AsyncExitStack() as stack:
        found = [way async for way in ways(stack, url)]
        for number in range(calls):
            for way in found:  # in turn, so that whatever else the machine does is everybody's share
                began = time.perf_counter()
                value = await way.run()
                way.times.append((time.perf_counter() - began) * 1000)
                if value != str(number + 2):
                    raise SystemExit(f"{way.name}: call {number} answers {value!r}")
    print(f"| way | first result | call, p50 | p99 | beside |\n{'| --- ' * 5}|")
    beside: dict[str, float] = {}
    for way in found:
        median = statistics.median(way.times)
        ratio = median / beside.setdefault(way.kind, median)
        p99 = sorted(way.times)[len(way.times) * 99 // 100]
        print(f"| {way.name} | {way.first_seconds:.2f} s | {median:.1f} ms | {p99:.1f} ms | ×{ratio:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200, help="after the first one, of each way")
    count = parser.parse_args().calls
    with server() as (url, _):
        until_warm(Http(url))
        anyio.run(main, count, url)
