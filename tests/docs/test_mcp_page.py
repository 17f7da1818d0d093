"""The page on MCP: what each block of it says is started, and runs code."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from connecting import BELLJAR, CLEAN, Keyed, keyed
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
COMMAND, URL, KEY = "/path/to/belljar/.venv/bin/belljar", "http://127.0.0.1:8421", "bj_yours"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def entries() -> Iterator[dict[str, Any]]:
    """What a client is told of each server: a command, or an address with headers."""
    for block in (*map(json.loads, blocks("json")), *map(yaml.safe_load, blocks("yaml"))):
        if isinstance(block, list):
            yield from (
                {"url": one["url"] + one["path"], "headers": {"authorization": f"Bearer {one['key']}"}}
                for one in block
                if (one["type"], one["auth_type"]) == ("mcp", "bearer")
            )
        else:
            [servers] = block.values()
            yield from servers.values()
    for line in "".join(blocks("sh")).splitlines():
        words = shlex.split(line)
        if words[:3] == ["claude", "mcp", "add"] and "--" in words:
            command, *arguments = words[words.index("--") + 1 :]
            yield {"command": command, "args": arguments}
        elif words[:3] == ["claude", "mcp", "add"]:
            name, _, value = words[words.index("--header") + 1].partition(": ")
            yield {"url": next(word for word in words if word.startswith("http:")), "headers": {name: value}}


def different() -> list[dict[str, Any]]:
    """Each once: clients that start commands are told the same."""
    told = {json.dumps({**entry, "type": ""}, sort_keys=True): entry for entry in entries()}
    return list(told.values())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with keyed(tmp_path_factory.mktemp("mcp_page"), preload={}) as server:
        yield server


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def test_there_are_as_many_as_clients_on_the_page() -> None:
    found = list(entries())
    assert len([entry for entry in found if "command" in entry]) == 5
    assert len([entry for entry in found if "url" in entry]) == 5


@pytest.mark.anyio
@pytest.mark.parametrize("entry", different(), ids=lambda entry: entry.get("url", "command"))
async def test_what_a_client_is_told_works(entry: dict[str, Any], server: Keyed) -> None:
    if "command" in entry:
        assert entry["command"] == COMMAND
        arguments = [word.replace(URL, server.url) for word in entry["args"]]
        environment = {
            name: value.replace(KEY, server.keys["ada"]) for name, value in entry.get("env", {}).items()
        }
        parameters = StdioServerParameters(
            command=str(BELLJAR), args=arguments, env={**environment, "NO_PROXY": "127.0.0.1"}
        )
        async with Client(parameters) as client:
            answer = await client.call_tool("run_python", {"code": "6 * 7"})
    else:
        headers = {name: value.replace(KEY, server.keys["ada"]) for name, value in entry["headers"].items()}
        assert list(headers.values()) != list(entry["headers"].values())
        transport_url = entry["url"].replace(URL, server.url)
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(transport_url, http_client=http), mode="legacy") as client,
        ):
            answer = await client.call_tool("run_python", {"code": "6 * 7"})
    assert answer.structured_content["value"] == "42"


@pytest.mark.parametrize(("at", "reaches"), list(enumerate((COMMAND, URL))))
def test_the_program_prints_what_it_says(server: Keyed, at: int, reaches: str) -> None:
    program = blocks("python")[at]
    promised = re.search(r"# (\d+)$", program, re.MULTILINE)
    assert promised
    assert reaches in program
    program = program.replace(COMMAND, str(BELLJAR))
    program = program.replace(URL, server.url).replace(KEY, server.keys["ada"])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, env=CLEAN
    )
    assert done.stdout == f"{promised[1]}\n", done.stderr


def test_every_tool_is_in_the_table() -> None:
    from belljar.mcp.tools import KINDS

    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert rows[: len(KINDS)] == [kind.name for kind in KINDS]


def test_the_versions_are_those_of_the_sdk() -> None:
    from mcp_types.version import KNOWN_PROTOCOL_VERSIONS

    line = next(line for line in PAGE.splitlines() if "official SDK, and speaks" in line)
    assert set(re.findall(r"\d{4}-\d\d-\d\d", line)) == set(KNOWN_PROTOCOL_VERSIONS)


def test_the_limits_are_those_of_the_code() -> None:
    from belljar.mcp import answered, files

    said = (
        f"at most {answered.MOST_IMAGES}, {answered.MOST_IMAGE_BYTES // 2**20} MiB each and "
        f"{answered.MOST_IMAGES_BYTES // 2**20} MiB together"
    )
    assert said in PAGE
    assert f"resource links, at most {answered.MOST_LINKS};" in PAGE
    assert f"working directory up to {files.MOST_BYTES // 2**20} MiB" in PAGE
