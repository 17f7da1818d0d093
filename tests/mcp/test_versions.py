"""The newest version of the protocol and older ones: by the official client, by an older one, and on the wire."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest
from connecting import BELLJAR, CLEAN, NEWEST, Keyed, connected
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_PROTOCOL_VERSION
from talking import Wire, piped, request, stateless

ROOT = Path(__file__).resolve().parents[2]
SDKS = ROOT / "tests" / "sdk"
OLDER = sorted(path.stem.removeprefix("mcp-") for path in (ROOT / "locks").glob("mcp-*.txt"))
SPEAKS = {"1.12.4": "2025-06-18"}
"""The newest version of the protocol that an older client knows."""


def test_the_newest_is_the_newest() -> None:
    assert NEWEST == LATEST_PROTOCOL_VERSION
    assert set(OLDER) == set(SPEAKS)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["stdio", "http"])
async def test_the_official_client_finds_the_newest(kind: str, keyed_server: Keyed) -> None:
    async with connected((kind, "auto"), keyed_server) as box:
        assert box.client.protocol_version == NEWEST
        assert (await box.run("6 * 7"))["value"] == "42"


def told_by(client: list[str | Path], kind: str, server: Keyed) -> Any:
    """What a client in a program of its own has seen."""
    arguments = [BELLJAR] if kind == "stdio" else [server.url, server.keys["ada"]]
    done = subprocess.run([*client, kind, *arguments], env=CLEAN, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("version", OLDER)
@pytest.mark.parametrize("kind", ["stdio", "http"])
def test_an_older_client(kind: str, version: str, keyed_server: Keyed) -> None:
    python = ROOT / ".venv-sdk" / f"mcp-{version}" / "bin" / "python"
    assert python.exists(), "make setup-tests makes the environments of older clients"
    told = told_by([python, Path(__file__).with_name("older_client.py")], kind, keyed_server)
    assert (told["version"], told["protocol"], told["server"]) == (version, SPEAKS[version], "belljar")
    assert told["tools"][0] == "run_python"
    assert told["value"] == "42"
    assert told["progress"]
    assert told["kinds"] == ["image", "resource_link", "text"]
    assert told["is_png"]
    assert told["read"] == "é"
    assert told["shell"] == ["é", 2]
    assert told["raised"] == [True, "ZeroDivisionError"]
    assert told["resources"] == ["a ü.txt"]


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
def test_on_the_wire(version: str, keyed_server: Keyed) -> None:
    with httpx2.Client(
        base_url=keyed_server.url, headers={"x-api-key": keyed_server.keys["ada"]}, timeout=60
    ) as http:
        wire = Wire(http)
        told = wire.greet(version)["result"]
        assert told["protocolVersion"] == version
        assert told["serverInfo"]["name"] == "belljar"
        assert set(told["capabilities"]) >= {"tools", "resources"}
        assert wire.run("6 * 7")["value"] == "42"
        assert wire.ask(request("ping", 8))["result"] == {}


def test_on_a_pipe() -> None:
    """One connection has one version; a version that is not known is answered with one that is."""
    with piped() as pipe:
        assert pipe.greet(HANDSHAKE_PROTOCOL_VERSIONS[0])["result"]["protocolVersion"] == "2024-11-05"
        assert pipe.run("6 * 7")["value"] == "42"
    with piped() as pipe:
        assert pipe.greet("1900-01-01")["result"]["protocolVersion"] == HANDSHAKE_PROTOCOL_VERSIONS[-1]
        assert pipe.run("6 * 7")["value"] == "42"
    with piped() as pipe:
        found = pipe.ask(request("server/discover", 1, _meta=stateless(NEWEST)))["result"]
        assert found["supportedVersions"] == [NEWEST]
        told = pipe.ask(
            request("tools/call", 2, name="run_python", arguments={"code": "6 * 7"}, _meta=stateless(NEWEST))
        )
        assert told["result"]["structuredContent"]["value"] == "42"
        refused = pipe.ask(request("tools/list", 3, _meta=stateless("2999-01-01")))
        assert refused["error"]["code"] == -32022


@pytest.mark.parametrize("kind", ["stdio", "http"])
@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm here, which brings it")
def test_the_client_for_typescript(kind: str, keyed_server: Keyed) -> None:
    """On which most applications are built."""
    assert (SDKS / "node_modules" / "@modelcontextprotocol").exists(), "make setup-tests brings it, by npm"
    told = told_by(["node", SDKS / "mcp_client.mjs"], kind, keyed_server)
    assert (told["server"], told["tools"][0]) == ("belljar", "run_python")
    assert told["value"] == "42"
    assert told["kinds"] == ["image", "resource_link", "text"]
    assert told["isPng"]
    assert told["read"] == "é"
    assert told["resources"] == ["ü.txt"]
    assert told["isChanged"]
    assert told["shell"] == [False, "é", 2]
    assert told["raised"]
    assert told["progress"] == "on"
    assert "enough" in told["cancelled"]
    assert told["after"] == "6"
