"""The official client, connected in every way that there is."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
import jsonschema
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ImageContent, ResourceLink, TextContent
from serving import serving

from belljar.gateway.access import KeyLimits, create_key
from belljar.gateway.store.sqlite import open_store

BELLJAR = Path(sys.executable).with_name("belljar")
NEWEST, SHAKING_HANDS = "2026-07-28", "legacy"
WAYS = [
    ("stdio", NEWEST),
    ("stdio", SHAKING_HANDS),
    ("http", NEWEST),
    ("http", SHAKING_HANDS),
    ("bridge", NEWEST),
]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("BELLJAR_")} | {
    "NO_PROXY": "127.0.0.1"
}


@dataclass
class Keyed:
    url: str
    keys: dict[str, str]
    state: Path


async def _make_keys(state: Path) -> dict[str, str]:
    tenants = {
        "ada": ("one", KeyLimits()),
        "bob": ("one", KeyLimits()),
        "eve": ("two", KeyLimits(executions=1)),
    }
    async with open_store(state / "belljar.sqlite3") as store:
        return {
            name: (await create_key(store, name, tenant, limits))[1]
            for name, (tenant, limits) in tenants.items()
        }


@contextmanager
def keyed(state: Path, **settings: object) -> Iterator[Keyed]:
    keys = anyio.run(_make_keys, state)
    with serving(state, **settings) as server:
        yield Keyed(server.url, keys, state)


@dataclass
class Box:
    """A connection whose calls are held against the tools' own schemas."""

    client: Client
    names_container: bool
    """It is the client that keeps the container in mind."""
    container: str | None = None
    changes: int = 0
    """How often the server said that the list of resources has changed."""

    async def call(self, tool: str, /, *, progress: Any = None, **arguments: Any) -> CallToolResult:
        if self.names_container and self.container is not None:
            arguments.setdefault("container", self.container)
        listed = (await self.client.list_tools()).tools
        [told] = [one for one in listed if one.name == tool]
        answer = await self.client.call_tool(tool, arguments, progress_callback=progress)
        if answer.structured_content is not None:
            jsonschema.validate(answer.structured_content, told.output_schema)
            self.container = answer.structured_content["container"] or self.container
        return answer

    async def run(self, code: str, **more: Any) -> dict[str, Any]:
        """The structured answer of code that goes well."""
        answer = await self.call("run_python", code=code, **more)
        assert not answer.is_error, answer.content
        return answer.structured_content


def text_of(answer: CallToolResult) -> str:
    return "\n".join(block.text for block in answer.content if isinstance(block, TextContent))


def images_of(answer: CallToolResult) -> list[ImageContent]:
    return [block for block in answer.content if isinstance(block, ImageContent)]


def links_of(answer: CallToolResult) -> list[ResourceLink]:
    return [block for block in answer.content if isinstance(block, ResourceLink)]


def on_stdio(*arguments: str, **environment: str) -> StdioServerParameters:
    return StdioServerParameters(command=str(BELLJAR), args=["mcp", *arguments], env=environment)


@asynccontextmanager
async def over_http(url: str, key: str | None, mode: str, **more: Any) -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode, **more) as client,
    ):
        yield client


@asynccontextmanager
async def connected(way: tuple[str, str], server: Keyed, key: str = "ada") -> AsyncIterator[Box]:
    kind, mode = way
    boxes: list[Box] = []

    async def hear(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/list_changed":
            for box in boxes:
                box.changes += 1

    async def use(client: Client) -> Box:
        boxes.append(Box(client, names_container=way == ("http", NEWEST)))
        return boxes[0]

    if kind == "http":
        async with over_http(server.url, server.keys[key], mode, message_handler=hear) as client:
            yield await use(client)
        return
    arguments = ["--url", server.url] if kind == "bridge" else []
    parameters = on_stdio(*arguments, BELLJAR_API_KEY=server.keys[key], NO_PROXY="127.0.0.1")
    async with Client(parameters, mode=mode, message_handler=hear) as client:
        yield await use(client)
