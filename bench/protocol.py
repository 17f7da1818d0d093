"""What MCP costs: `python bench/protocol.py [--calls 200]` prints the time to a first result, and of calls after it.

Beside the library in a jail of its own, and beside plain HTTP on a container of the server's: the code is the same.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
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
WAYS = (("2026-07-28", "stateless"), ("legacy", "with a session"))
Run = Callable[[], Awaitable[str | None]]


class Table:
    def __init__(self, calls: int) -> None:
        self._calls = calls
        self._beside: dict[str, float] = {}
        print(f"| way | first result | call, p50 | p99 | beside |\n{'| --- ' * 5}|")

    async def measure(self, way: str, run: Run, started: float, kind: str) -> None:
        """`started` is when there was nothing yet; the first way of a kind is what the others stand beside."""
        if await run() != "1":
            raise SystemExit(f"{way}: the code did not do what it does")
        first = time.perf_counter() - started
        times = []
        for number in range(self._calls):
            began = time.perf_counter()
            value = await run()
            times.append((time.perf_counter() - began) * 1000)
            if value != str(number + 2):
                raise SystemExit(f"{way}: call {number} answers {value!r}")
        median = statistics.median(times)
        beside = median / self._beside.setdefault(kind, median)
        p99 = sorted(times)[len(times) * 99 // 100]
        print(f"| {way} | {first:.2f} s | {median:.2f} ms | {p99:.2f} ms | ×{beside:.2f} |", flush=True)


async def of_client(table: Table, way: str, where: Any, mode: str, kind: str) -> None:
    started = time.perf_counter()
    async with Client(where, mode=mode) as client:
        container: dict[str, str] = {}

        async def run() -> str | None:
            answer = await client.call_tool("run_python", {"code": CODE, **container})
            told = answer.structured_content
            if told["container"] is not None:
                container["container"] = told["container"]
            value: str | None = told["value"]
            return value

        await table.measure(way, run, started, kind)


async def main(calls: int, url: str) -> None:
    table = Table(calls)
    started = time.perf_counter()
    async with AsyncSandbox() as box:

        async def in_library() -> str | None:
            return (await box.run(CODE)).value

        await table.measure("the library, a jail of its own", in_library, started, "own")
    for mode, name in WAYS:
        await of_client(
            table, f"`belljar mcp`, {name}", StdioServerParameters(command=BELLJAR, args=["mcp"]), mode, "own"
        )
    started = time.perf_counter()
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
        container = (await http.post("/v1/containers")).json()["id"]

        async def over_http() -> str | None:
            answer = (await http.post("/v1/executions", json={"code": CODE, "container": container})).json()
            value: str = answer["outputs"][0]["data"]["text/plain"]
            return value

        await table.measure("`POST /v1/executions`", over_http, started, "server")
    for mode, name in WAYS:
        await of_client(table, f"`/mcp`, {name}", f"{url}/mcp", mode, "server")
    bridge = StdioServerParameters(command=BELLJAR, args=["mcp", "--url", url])
    await of_client(table, "`belljar mcp --url`", bridge, "2026-07-28", "server")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200, help="after the first one, of each way")
    with server() as (url, _):
        until_warm(Http(url))
        anyio.run(main, parser.parse_args().calls, url)
