"""MCP as it lies on the wire, without a client's help."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from connecting import BELLJAR, CLEAN

SECONDS = 60


def request(method: str, number: int = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def hello(version: str) -> dict[str, Any]:
    about = {"name": "test", "version": "1"}
    return request("initialize", 0, protocolVersion=version, capabilities={}, clientInfo=about)


INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def stateless(version: str) -> dict[str, Any]:
    """What each request of the newest protocol has with it."""
    return {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }


class Pipe:
    """`belljar mcp` as a process, line by line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: list[bytes] = []
        """All that came on standard output."""

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message: object) -> None:
        self.write(json.dumps(message).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.lines.append(line)
        return json.loads(line)

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        self.send(message)
        while (heard := self.hear()).get("id") != message["id"]:
            pass
        return heard

    def greet(self, version: str = "2025-11-25") -> dict[str, Any]:
        answer = self.ask(hello(version))
        self.send(INITIALIZED)
        return answer

    def run(self, code: str, number: int = 7) -> dict[str, Any]:
        answer = self.ask(request("tools/call", number, name="run_python", arguments={"code": code}))
        return answer["result"]["structuredContent"]


@contextmanager
def piped(*arguments: str, **environment: str) -> Iterator[Pipe]:
    process = subprocess.Popen(
        [BELLJAR, "mcp", *arguments],
        env=CLEAN | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    try:
        yield Pipe(process)
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
        process.wait(SECONDS)
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue  # what was not read is of no use any more


def below(pid: int) -> list[int]:
    """The processes that a process has started, with all that those have."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    found, new = [], [pid]
    while new:
        new = [child for child, parent in parents.items() if parent in new]
        found += new
    return found


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Wire:
    """`/mcp` of a server."""

    ACCEPTS = "application/json, text/event-stream"

    def __init__(self, http: httpx2.Client) -> None:
        self.http = http
        self.headers = {"accept": self.ACCEPTS, "content-type": "application/json"}

    def post(self, message: object, **headers: str) -> httpx2.Response:
        content = message if isinstance(message, bytes) else json.dumps(message).encode()
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post("/mcp", content=content, headers=self.headers | more)

    def ask(self, message: dict[str, Any], **headers: str) -> dict[str, Any]:
        answer = self.post(message, **headers)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return said(answer)[-1]

    def greet(self, version: str = "2025-11-25") -> dict[str, Any]:
        answer = self.post(hello(version))
        assert answer.status_code == 200, answer.text
        told = said(answer)[-1]
        self.headers["mcp-session-id"] = answer.headers["mcp-session-id"]
        self.headers["mcp-protocol-version"] = told["result"]["protocolVersion"]
        answer = self.post(INITIALIZED)
        assert answer.status_code == 202, (answer.status_code, answer.text)
        return told

    def run(self, code: str) -> dict[str, Any]:
        answer = self.ask(request("tools/call", 7, name="run_python", arguments={"code": code}))
        return answer["result"]["structuredContent"]


def said(answer: httpx2.Response) -> list[dict[str, Any]]:
    """The messages of an answer, of either form."""
    if answer.headers["content-type"].startswith("application/json"):
        return [answer.json()]
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line]
