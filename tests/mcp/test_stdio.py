"""`belljar mcp` as a process: what it writes, what it bears, and that nothing of it stays."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from connecting import BELLJAR, CLEAN, Keyed
from serving import serving
from talking import Pipe, below, is_alive, piped, request

from belljar.commands import main

SLEEP = (
    "import subprocess, time; subprocess.Popen(['sleep', '100']); print('on', flush=True); time.sleep(100)"
)


def gone(pids: list[int], seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while any(map(is_alive, pids)):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def begin(pipe: Pipe) -> list[int]:
    """Code that goes on for long; all processes that there are for it."""
    pipe.greet()
    call = request("tools/call", 5, name="run_python", arguments={"code": SLEEP}) | {}
    call["params"]["_meta"] = {"progressToken": "p"}
    pipe.send(call)
    assert pipe.hear()["method"] == "notifications/progress"  # it has begun
    return below(pipe.process.pid)


@pytest.mark.parametrize("how", ["eof", "SIGTERM", "SIGINT", "SIGKILL"])
def test_its_end_is_the_end_of_all_that_it_started(how: str) -> None:
    with piped() as pipe:
        started = begin(pipe)
        assert len(started) > 2
        if how == "eof":
            assert pipe.process.stdin is not None
            pipe.process.stdin.close()
            assert pipe.process.wait(30) == 0
        else:
            number = signal.Signals[how]
            pipe.process.send_signal(number)
            expected = -number if how == "SIGKILL" else 128 + number
            assert pipe.process.wait(30) == expected
        assert gone(started)
        assert pipe.process.stderr is not None
        assert pipe.process.stderr.read() == b""


def test_it_does_not_outlive_its_keeper() -> None:
    with piped() as pipe:
        started = begin(pipe)
        os.kill(started[0], signal.SIGKILL)
        assert pipe.process.wait(30) == 125
        assert gone(started)
        assert pipe.process.stderr is not None
        assert pipe.process.stderr.read() == b"belljar: the keeper has ended, and the session with it\n"


def test_a_signal_before_the_first_word_ends_it() -> None:
    with piped() as pipe:
        time.sleep(0.5)  # at whatever it is just then
        pipe.process.send_signal(signal.SIGTERM)
        assert pipe.process.wait(30) in (-signal.SIGTERM, 128 + signal.SIGTERM)


def test_whatever_comes_it_goes_on_and_writes_nothing_but_messages() -> None:
    noise = random.Random(7)
    lines = [
        b"",
        b"garbage",
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b"[" * 5000,
        b'{"jsonrpc": "2.0"}',
        b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": null, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": {"a": 1}, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": 1e400, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": 99, "result": {}}',
        b'{"jsonrpc": "2.0", "id": 98, "error": {"code": 1, "message": "m"}}',
        b'{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 12345}}',
        b'{"jsonrpc": "2.0", "method": "notifications/cancelled"}',
        b'{"jsonrpc": "2.0", "method": "notifications/unheard"}',
        json.dumps([request("ping", 1), request("ping", 2)]).encode(),
        b'{"jsonrpc": "2.0", "id": 3, "method": "ping", "params": {"a": "' + b"x" * 5_000_000 + b'"}}',
        b"\xff\xfe\x00\x80",
        *(noise.randbytes(noise.randrange(1, 300)).replace(b"\n", b"") for _ in range(200)),
    ]
    with piped() as pipe:
        pipe.greet()
        for line in lines:
            pipe.write(line + b"\n")
        for message in ([], {"jsonrpc": "2.0", "id": 19, "method": "ping", "params": []}, "text"):
            pipe.send(message)
        for number, params in enumerate(({"name": 7}, {"name": "run_python", "arguments": 3}, {}), 20):
            answer = pipe.ask({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params})
            assert "error" in answer or answer["result"]["isError"]
        assert pipe.ask(request("no/such", 40))["error"]["code"] == -32601
        assert pipe.run("6 * 7", 41)["value"] == "42"
        # What code writes is in the answers, and nowhere else.
        written = pipe.run("import sys, os\nprint('{}')\nos.write(1, b'raw\\n')\nsys.stderr.write('err')", 42)
        assert written["stdout"].splitlines() == ["{}", "raw"]
        pipe.run("print('\\u2028 \\x00 \\x1b[0m', end='\\r\\n')", 43)
        assert {json.loads(line)["jsonrpc"] for line in pipe.lines} == {"2.0"}
        codes = [
            answer["error"]["code"] for answer in map(json.loads, pipe.lines) if answer.get("id", 0) is None
        ]
        assert codes.count(-32700) > 200
        assert codes.count(-32600) > 8


def test_what_cannot_work_is_said_on_one_line(keyed_server: Keyed) -> None:
    for arguments, environment, word in (
        (["--url", "http://127.0.0.1:1"], {}, "does not answer"),
        (["--url", keyed_server.url, "--api-key", "wrong"], {}, "not known"),
        (["--runtime", "nowhere"], {}, "nowhere"),
    ):
        done = subprocess.run(
            [BELLJAR, "mcp", *arguments],
            env=CLEAN | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (125, ""), arguments
        assert word in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr


def test_options_that_do_not_go_together() -> None:
    for arguments in (["--url", "http://127.0.0.1:1", "--memory", "100"], ["--timeout", "0"]):
        answer = CliRunner().invoke(main, ["mcp", *arguments])
        assert answer.exit_code == 125
        assert arguments[-2] in answer.output


def test_limits_are_those_of_the_options() -> None:
    with piped("--timeout", "0.5", "--memory", "128") as pipe:
        pipe.greet()
        [told] = [
            t for t in pipe.ask(request("tools/list", 2))["result"]["tools"] if t["name"] == "run_python"
        ]
        assert "0.5 seconds" in told["description"]
        assert "128 MiB of memory" in told["description"]
        assert pipe.run("while True: pass")["status"] == "timed_out"
        assert pipe.run("x = bytearray(300_000_000)")["status"] in ("out_of_memory", "raised")


def test_a_bridge_outlives_its_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    call = request("tools/call", 5, name="run_python", arguments={"code": "1"})
    with serving(tmp_path, preload={}, port=port) as server, piped("--url", server.url) as pipe:
        pipe.greet()
        assert pipe.run("x = 1; x")["value"] == "1"
        server.end()
        assert "does not answer" in pipe.ask(call)["error"]["message"]
        with serving(tmp_path, preload={}, port=port):
            assert pipe.run("'x' in globals()")["value"] == "False"
        with serving(tmp_path, preload={}, port=port):  # it has not noticed that this is another one
            assert pipe.run("6 * 7")["value"] == "42"
