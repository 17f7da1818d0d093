"""The server's end: what is under way finishes, or is named."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from serving import Model, Server, Wait, ask, serving, text


def until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.01)


@pytest.fixture
def own_server(tmp_path: Path, model: Model) -> object:
    with serving(tmp_path, upstream=f"anthropic:{model.url}", preload={}) as server:
        yield server


class Asking:
    """A request in a thread of its own."""

    def __init__(self, url: str, path: str, body: dict[str, object]) -> None:
        self.answer: httpx2.Response | None = None
        self._request = (url + path, body)
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        url, body = self._request
        self.answer = httpx2.post(url, json=body, timeout=60)

    def wait(self) -> httpx2.Response:
        self._thread.join(60)
        assert self.answer is not None
        return self.answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_idle_server_ends(own_server: Server, number: int) -> None:
    assert httpx2.get(f"{own_server.url}/health").status_code == 200
    assert own_server.end(number) == 0


def test_it_has_one_keeper(own_server: Server) -> None:
    commands = [
        Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0") for child in children(own_server.process.pid)
    ]
    assert [b"belljar.keeper" in command for command in commands] == [True]


def test_a_setting_that_is_misspelt_is_in_the_log(tmp_path: Path) -> None:
    with serving(tmp_path, preload={}, memory_byte=2**28) as server:
        (line,) = [
            one for one in map(json.loads, server.log.read_text().splitlines()) if one["level"] == "warning"
        ]
    assert line["event"].startswith("BELLJAR_MEMORY_BYTE is no setting")


def test_what_is_under_way_finishes(own_server: Server, model: Model) -> None:
    release = threading.Event()
    model.play(Wait(release, [text("done")]))
    asking = Asking(own_server.url, "/v1/messages", ask("Go."))
    until(lambda: model.requests, "the upstream to be asked")
    own_server.process.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in own_server.log.read_text(), "the server to stop")
    release.set()
    answer = asking.wait()
    assert answer.status_code == 200
    assert answer.json()["content"] == [text("done")]
    assert own_server.process.wait(30) == 0
    assert "cut short" not in own_server.log.read_text()


def test_nohup_lets_it_live_on(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it inherits this
    try:
        with serving(tmp_path, preload={}) as server:
            server.process.send_signal(signal.SIGHUP)
            assert httpx2.get(f"{server.url}/health").status_code == 200
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_is_cut_short_is_named(own_server: Server) -> None:
    container = httpx2.post(f"{own_server.url}/v1/containers").json()["id"]
    body = {"code": "import time; time.sleep(600)", "container": container, "timeout_seconds": 600}
    asking = Asking(own_server.url, "/v1/executions", body)
    state = f"{own_server.url}/v1/containers/{container}"
    until(lambda: httpx2.get(state).json()["state"] == "running", "the code to run")
    own_server.process.send_signal(signal.SIGTERM)
    until(lambda: "stopping" in own_server.log.read_text(), "the server to stop")
    own_server.process.send_signal(signal.SIGTERM)  # a second one does not wait
    answer = asking.wait()
    assert answer.status_code == 503
    error = answer.json()
    assert "shutting down" in error["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert own_server.process.wait(30) == 0
    log = own_server.log.read_text()
    assert "cut short" in log
    assert container in log
    assert error["request_id"] in log


def test_a_small_answer_is_one_packet(server: Server) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as client:
        for _ in range(3):
            client.sendall(b"GET /health HTTP/1.1\r\nhost: here\r\n\r\n")
            head, _, body = client.recv(65536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert json.loads(body)["status"] == "ok"


@pytest.mark.parametrize("piece", [b"a" * 65536, b"x: %s\r\n" % (b"a" * 65530)], ids=["one", "many"])
def test_a_head_that_does_not_end_is_refused(server: Server, piece: bytes) -> None:
    with connected(server) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nx: ")
        answer = told_last(client, piece)
    assert answer.startswith(b"HTTP/1.1 400 ")
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert told["error"]["type"] == "invalid_request_error"
    assert told["request_id"] in server.log.read_text()
    assert httpx2.get(f"{server.url}/health").status_code == 200


def test_a_head_that_does_not_come_ends_the_connection(tmp_path: Path) -> None:
    with serving(tmp_path, preload={}, body_silence_seconds=0.5) as server:
        with connected(server) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nhost: here\r\n\r\nGET /hea")
            said = b"".join(iter(lambda: client.recv(65536), b""))
        first, _, second = said.rpartition(b"HTTP/1.1 ")
        assert first.startswith(b"HTTP/1.1 200 ")
        assert second.startswith(b"408 ")
        with connected(server) as client:
            assert client.recv(65536) == b""
        body = {"code": "import time; time.sleep(1.5)"}  # a request under way is none that is waited for
        assert httpx2.post(f"{server.url}/v1/executions", json=body, timeout=60).status_code == 200


def test_an_idle_connection_outlives_what_clients_keep_one_for(server: Server) -> None:
    """The official SDKs' pools keep one for five seconds."""
    with connected(server) as client:
        for _ in range(2):
            client.sendall(b"GET /health HTTP/1.1\r\nhost: here\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
            assert not select.select((client,), (), (), 6)[0], "it was closed"


def test_connections_leave_descriptors_for_all_else(own_server: Server) -> None:
    pid = own_server.process.pid
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (80, 4096))
    clients = [connected(own_server) for _ in range(60)]
    refused = b"".join(iter(lambda: clients[-1].recv(65536), b""))
    assert refused.startswith(b"HTTP/1.1 529 ")
    clients[0].sendall(b"GET /health HTTP/1.1\r\nhost: here\r\n\r\n")
    assert clients[0].recv(65536).startswith(b"HTTP/1.1 200 ")
    for client in clients:
        client.close()
    until(lambda: len(os.listdir(f"/proc/{pid}/fd")) < 40, "the connections to end")
    ran = httpx2.post(f"{own_server.url}/v1/executions", json={"code": "print(1)"}, timeout=60)
    assert ran.json()["stdout"] == "1\n"


def connected(server: Server) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def told_last(client: socket.socket, piece: bytes) -> bytes:
    """What the server says to one that goes on sending."""
    with contextlib.suppress(ConnectionError):  # it has closed the connection meanwhile
        while not select.select((client,), (), (), 0)[0]:
            client.sendall(piece)
    return client.recv(65536)


def test_who_hangs_up_at_once_leaves_nothing_running(own_server: Server) -> None:
    host, _, port = own_server.url.removeprefix("http://").partition(":")
    body = b'{"code": "import time; time.sleep(60)"}'
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(
            b"POST /v1/executions HTTP/1.1\r\nhost: here\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        client.sendall(body)
    until(
        lambda: httpx2.get(f"{own_server.url}/health").json()["sessions"]["live"] == 0,
        "the session's end",
        20,
    )
    seen = httpx2.post(f"{own_server.url}/v1/executions", json={"code": "print(1)"}, timeout=60)
    assert seen.json()["stdout"] == "1\n"


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_state_directory_that_is_gone_ends_the_server(tmp_path: Path, is_replaced: bool) -> None:
    state, moved = tmp_path / "state", tmp_path / "moved"
    with serving(state, preload={}) as server:
        state.rename(moved)
        if is_replaced:  # by a copy, as of a backup
            (state / "server").mkdir(parents=True)
            (state / "server" / "lock").write_text("")
        assert server.process.wait(60) == 125
    said = (moved / "server.log").read_text()
    assert f"belljar: The server has ended, for its state directory {state} was deleted or moved" in said


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(
                AssertionError, match=f"Cannot listen on 127.0.0.1:{port}: Address already in use. Choose"
            ),
            serving(tmp_path, port=port),
        ):
            pass


@pytest.mark.parametrize("depth", [0, 1, 2], ids=["keeper", "outer", "boxer"])
def test_a_keeper_that_is_killed(own_server: Server, depth: int) -> None:
    with httpx2.Client(base_url=own_server.url, timeout=60) as http:
        container = http.post("/v1/containers").json()["id"]
        run = {"code": "x = 1", "container": container}
        assert http.post("/v1/executions", json=run).status_code == 200
        (keeper,) = children(own_server.process.pid)
        killed = keeper
        for _ in range(depth):  # without any of these there is no session any more
            (killed,) = children(killed)
        os.kill(killed, signal.SIGKILL)
        until(
            lambda: (
                http.get("/health").json()["status"] == "degraded"
                or children(own_server.process.pid) != [keeper]
            ),
            "the death to be noticed",
        )
        gone = http.post("/v1/executions", json=run)
        assert gone.status_code == 404
        assert "keeper" in gone.json()["error"]["message"]
        fresh = http.post("/v1/executions", json={"code": "print('back')"})
        assert fresh.json()["stdout"] == "back\n"
        assert http.get("/health").json()["status"] == "ok"


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found
