"""`/mcp` of a server: whose sessions are whose, who gets in, and what becomes of what nobody uses."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import httpx2
import pytest
from connecting import NEWEST, Keyed, keyed, over_http, text_of
from mcp import MCPError
from serving import serving
from talking import Wire, hello, request, said, stateless

from belljar.gateway.mcp import _MOST_SESSIONS, OriginRefused, check_origin


@pytest.fixture
def wire(keyed_server: Keyed) -> Iterator[Callable[[str], Wire]]:
    clients: list[httpx2.Client] = []

    def made(key: str) -> Wire:
        headers = {"x-api-key": keyed_server.keys[key]}
        clients.append(httpx2.Client(base_url=keyed_server.url, headers=headers, timeout=60))
        return Wire(clients[-1])

    yield made
    for client in clients:
        client.close()


@pytest.fixture
def brief(brief_url: str) -> Iterator[Wire]:
    with httpx2.Client(base_url=brief_url, timeout=60) as http:
        yield Wire(http)


def wait_for(happened: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_session_answers_to_the_key_that_opened_it(wire: Callable[[str], Wire]) -> None:
    ada, bob, eve = wire("ada"), wire("bob"), wire("eve")
    ada.greet()
    told = ada.run("open('secret.txt', 'w').write('s'); mine = 1")
    container, uri = told["container"], told["files"][0]["uri"]
    for other in (bob, eve):
        other.headers |= {name: ada.headers[name] for name in ("mcp-session-id", "mcp-protocol-version")}
        assert other.post(request("tools/list", 2)).status_code == 404
        assert other.http.delete("/mcp", headers=other.headers).status_code == 404
        del other.headers["mcp-session-id"]
        other.greet()
    assert ada.run("mine")["status"] == "raised" or ada.run("mine")["value"] == "1"
    # The container is the tenant's: of two keys of one both find it, and nobody else does.
    named = {"code": "mine", "container": container}
    found = bob.ask(request("tools/call", 3, name="run_python", arguments=named))["result"]
    assert found["structuredContent"]["value"] == "1"
    refused = eve.ask(request("tools/call", 3, name="run_python", arguments=named))["result"]
    assert refused["isError"]
    assert "container" in refused["content"][0]["text"]
    for tool in ("get_file", "list_files", "reset"):
        arguments = {"container": container} | ({"path": "secret.txt"} if tool == "get_file" else {})
        assert eve.ask(request("tools/call", 4, name=tool, arguments=arguments))["result"]["isError"]
    assert "contents" in bob.ask(request("resources/read", 5, uri=uri))["result"]
    assert eve.ask(request("resources/read", 5, uri=uri))["error"]["code"] == -32002
    assert ada.run("mine")["value"] == "1"


def test_deleting_a_session_ends_its_container(wire: Callable[[str], Wire]) -> None:
    ada = wire("ada")
    ada.greet()
    container = ada.run("1")["container"]
    assert ada.http.get(f"/v1/containers/{container}").status_code == 200
    assert ada.http.delete("/mcp", headers=ada.headers).status_code == 200
    assert ada.post(request("ping", 9)).status_code == 404
    wait_for(lambda: ada.http.get(f"/v1/containers/{container}").status_code == 404)


def test_sessions_of_one_tenant_take_none_from_another(tmp_path: Path) -> None:
    with keyed(tmp_path, preload={}) as server:
        ada, bob, eve = (httpx2.Client(base_url=server.url, timeout=60) for _ in range(3))
        for http, name in ((ada, "ada"), (bob, "bob"), (eve, "eve")):
            http.headers["x-api-key"] = server.keys[name]
        with ada, bob, eve:
            for _ in range(_MOST_SESSIONS):
                Wire(ada).greet()
            refused = Wire(bob).post(hello("2025-11-25"))  # of the same tenant
            assert (refused.status_code, refused.json()["error"]["message"]) == (
                503,
                "Too many open sessions",
            )
            other = Wire(eve)
            other.greet()
            assert other.run("6 * 7")["value"] == "42"


def test_sessions_of_all_tenants_have_a_bound(tmp_path: Path) -> None:
    with (
        keyed(tmp_path, preload={}, max_containers=3) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):

        def greeted(name: str) -> Wire:
            http.headers["x-api-key"] = server.keys[name]
            wire = Wire(http)
            wire.greet()
            return wire

        first = [greeted("ada"), greeted("eve"), greeted("eve")][0]
        refused = Wire(http).post(hello("2025-11-25"))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
        assert "BELLJAR_MAX_CONTAINERS" in refused.json()["error"]["message"]
        assert Wire(http).post(request("ping", 9)).status_code == 429
        http.headers["x-api-key"] = server.keys["ada"]
        assert first.run("6 * 7")["value"] == "42"
        assert http.delete("/mcp", headers=first.headers).status_code == 200
        assert greeted("eve").run("6 * 7")["value"] == "42"


def test_what_is_not_used_is_forgotten(brief: Wire) -> None:
    brief.greet()
    container = brief.run("1")["container"]
    wait_for(lambda: brief.post(request("ping", 9)).status_code == 404 if time.sleep(1.2) is None else False)
    assert brief.http.get(f"/v1/containers/{container}").status_code == 404


def test_a_container_that_is_gone_is_replaced_and_that_is_said(wire: Callable[[str], Wire]) -> None:
    ada = wire("ada")
    ada.greet()
    container = ada.run("x = 1")["container"]
    assert ada.http.delete(f"/v1/containers/{container}").status_code == 200
    told = ada.run("'x' in globals()")
    assert told["value"] == "False"
    assert told["container"] != container
    assert "This one is new" in told["message"]


def test_a_caller_that_hangs_up_leaves_nothing_running(
    wire: Callable[[str], Wire], keyed_server: Keyed
) -> None:
    ada = wire("ada")
    ada.greet()
    container = ada.run("kept = 1")["container"]

    def state() -> str:
        return ada.http.get(f"/v1/containers/{container}").json()["state"]

    def used() -> tuple[int, float]:
        data = ada.http.get("/v1/usage").json()["data"]
        return sum(line["code_executions"] for line in data), sum(line["container_seconds"] for line in data)

    before = (0, 0.0)
    while not before[0] or used() != before:  # the rows of what ran before come within a second
        before = used()
        time.sleep(1.5)
    call = request("tools/call", 8, name="run_python", arguments={"code": "import time; time.sleep(25)"})
    content = json.dumps(call).encode()
    with (
        httpx2.Client(base_url=keyed_server.url, headers=dict(ada.http.headers), timeout=60) as other,
        other.stream("POST", "/mcp", content=content, headers=ada.headers),
    ):
        wait_for(lambda: state() == "running")
    wait_for(lambda: state() == "idle", 15)
    wait_for(lambda: used()[0] == before[0] + 1)
    assert used()[1] > before[1]
    assert ada.run("kept")["value"] == "1"


def test_who_shows_no_good_key_is_not_let_in(keyed_server: Keyed) -> None:
    for headers in ({}, {"x-api-key": "bj_wrong"}, {"authorization": "Bearer bj_wrong"}):
        with httpx2.Client(base_url=keyed_server.url, headers=headers, timeout=60) as http:
            for answer in (Wire(http).post(request("ping")), http.get("/mcp"), http.delete("/mcp")):
                assert answer.status_code == 401
                assert answer.json()["error"]["type"] == "authentication_error"


@pytest.mark.parametrize(
    ("host", "origin", "is_open", "is_let_in"),
    [
        ("127.0.0.1:8421", None, False, True),
        ("localhost:8421", "http://localhost:6274", False, True),
        ("[::1]:8421", None, False, True),
        ("evil.example:8421", None, False, False),
        ("127.0.0.1.evil.example", None, False, False),
        ("192.168.1.7:8421", None, False, True),
        ("192.168.1.7:8421", "http://192.168.1.8", False, False),
        (None, None, False, False),
        ("127.0.0.1:8421", "https://evil.example", False, False),
        ("127.0.0.1:8421", "null", False, False),
        ("belljar.example", None, True, True),
        ("belljar.example", "https://belljar.example", True, True),
        ("belljar.example", "https://evil.example", True, False),
        ("belljar.example", "http://127.0.0.1:6274", True, True),
        ("belljar.example", "http://[", True, False),
    ],
)
def test_pages_of_others_are_refused(
    host: str | None, origin: str | None, is_open: bool, is_let_in: bool
) -> None:
    if is_let_in:
        check_origin(host, origin, is_open=is_open)
    else:
        with pytest.raises(OriginRefused):
            check_origin(host, origin, is_open=is_open)


def test_a_refused_page_gets_403(brief: Wire, wire: Callable[[str], Wire]) -> None:
    for answer in (
        brief.post(request("ping"), host="evil.example"),
        brief.post(request("ping"), origin="https://evil.example"),
        brief.http.get("/mcp", headers={"origin": "https://evil.example"}),
        wire("ada").post(request("ping"), origin="https://evil.example"),
    ):
        assert answer.status_code == 403
        assert answer.json()["error"]["type"] == "permission_error"


def test_whatever_comes_it_is_answered(wire: Callable[[str], Wire]) -> None:
    ada = wire("ada")
    ada.greet()
    noise = random.Random(11)
    bodies: list[bytes] = [
        b"",
        b"garbage",
        b"{",
        b"[]",
        b"null",
        b"7",
        b"[" * 5000,
        b'{"jsonrpc": "2.0"}',
        json.dumps([request("ping", 1), request("ping", 2)]).encode(),
        b"\xff\xfe\x00\x80",
        *(noise.randbytes(noise.randrange(1, 300)) for _ in range(60)),
    ]
    for body in bodies:
        for version in ({}, {"mcp_protocol_version": NEWEST}, {"mcp_protocol_version": "1900-01-01"}):
            answer = ada.post(body, **version)
            assert 400 <= answer.status_code < 500, (body[:80], version, answer.text)
            assert answer.headers["content-type"].startswith("application/json")
    assert ada.post(b'{"a": "' + b"x" * 5_000_000 + b'"}').status_code == 413
    assert ada.http.put("/mcp").status_code == 405
    assert ada.post(request("ping"), accept="text/plain").status_code == 406
    assert ada.post(request("ping"), content_type="text/plain").status_code == 400
    assert ada.post(request("ping"), mcp_session_id="no such").status_code == 404
    for params in ([], "text", {"name": 7}, {"name": "run_python", "arguments": 3}, {}):
        answer = said(ada.post({"jsonrpc": "2.0", "id": 6, "method": "tools/call", "params": params}))[-1]
        assert "error" in answer or answer["result"]["isError"], params
    assert ada.run("6 * 7")["value"] == "42"


def test_the_newest_protocol_needs_no_session(wire: Callable[[str], Wire]) -> None:
    ada = wire("ada")
    headers = {"mcp_protocol_version": NEWEST, "mcp_method": "tools/call", "mcp_name": "run_python"}

    def call(**arguments: str) -> dict[str, object]:
        asked = request("tools/call", 1, name="run_python", arguments=arguments, _meta=stateless(NEWEST))
        answer = ada.post(asked, **headers)
        assert answer.status_code == 200, answer.text
        assert "mcp-session-id" not in answer.headers
        return said(answer)[-1]["result"]["structuredContent"]

    first = call(code="x = 1")
    assert call(code="x + 1", container=str(first["container"]))["value"] == "2"
    other = call(code="'x' in globals()")
    assert other["value"] == "False"
    assert other["container"] != first["container"]


def test_a_container_that_nobody_was_told_of_ends_with_its_call(
    wire: Callable[[str], Wire], keyed_server: Keyed
) -> None:
    eve = wire("eve")
    headers = {"mcp_protocol_version": NEWEST, "mcp_method": "tools/call", "mcp_name": "run_python"}

    def containers() -> set[str]:
        return {one["id"] for one in eve.http.get("/v1/containers").json()["data"]}

    def states() -> set[str]:
        return {one["state"] for one in eve.http.get("/v1/containers").json()["data"]}

    def calling(**arguments: object) -> dict[str, object]:
        return request("tools/call", 1, name="run_python", arguments=arguments, _meta=stateless(NEWEST))

    before = containers()
    sent = eve.headers | {name.replace("_", "-"): value for name, value in headers.items()}
    content = json.dumps(calling(code="import time; time.sleep(25)")).encode()
    with httpx2.Client(base_url=keyed_server.url, headers=dict(eve.http.headers), timeout=60) as other:

        def hang_up() -> None:
            wait_for(lambda: "running" in states())
            other.close()

        closing = threading.Thread(target=hang_up)
        closing.start()
        with (
            suppress(httpx2.HTTPError, RuntimeError),
            other.stream("POST", "/mcp", content=content, headers=sent),
        ):
            closing.join()
    closing.join()
    wait_for(lambda: containers() == before)
    refused = said(eve.post(calling(code="1", files=[{"path": "../out", "text": "x"}]), **headers))[-1][
        "result"
    ]
    assert refused["isError"]
    assert containers() == before


def test_runs_are_counted(wire: Callable[[str], Wire]) -> None:
    ada = wire("bob")

    def count() -> int:
        rows = ada.http.get("/v1/usage", params={"group_by": "key"}).json()["data"]
        return sum(row["requests"] for row in rows)

    before = count()
    ada.greet()
    ada.run("1")
    ada.ask(request("tools/call", 7, name="run_shell", arguments={"command": "true"}))
    wait_for(lambda: count() == before + 2)
    numbers = ada.http.get("/metrics").text
    assert 'route="POST /mcp"' in numbers


def test_a_container_outlives_sleep_and_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    state = tmp_path_factory.mktemp("ending")
    with serving(state, preload={}, container_sleep_seconds=0.5) as server:
        with httpx2.Client(base_url=server.url, timeout=60) as http:
            wire = Wire(http)
            wire.greet()
            container = wire.run("x = 1; open('kept.txt', 'w').write('kept')")["container"]
            wait_for(lambda: http.get(f"/v1/containers/{container}").json()["state"] == "asleep")
            told = wire.run("open('kept.txt').read(), 'x' in globals()")
            assert (told["value"], told["container"]) == ("('kept', False)", container)
            assert "variables" in told["message"]
            heard = threading.Event()

            def listen() -> None:
                with (
                    httpx2.Client(base_url=server.url, timeout=60) as other,
                    other.stream("GET", "/mcp", headers=wire.headers) as answer,
                ):
                    heard.set()
                    for _ in answer.iter_bytes():
                        pass

            listening = threading.Thread(target=listen)
            listening.start()
            assert heard.wait(20)
            assert server.end() == 0  # whoever only listens is let go of
            listening.join(20)
            assert not listening.is_alive()
        assert "Traceback" not in server.log.read_text()
    with serving(state, preload={}) as server, httpx2.Client(base_url=server.url, timeout=60) as http:
        again = Wire(http)
        again.headers |= wire.headers
        assert again.post(request("ping")).status_code == 404  # so a client shakes hands anew
        del again.headers["mcp-session-id"]
        again.greet()
        call = {"code": "open('kept.txt').read()", "container": container}
        answer = again.ask(request("tools/call", 2, name="run_python", arguments=call))["result"]
        assert answer["structuredContent"]["value"] == "'kept'"


@pytest.mark.anyio
async def test_how_much_a_key_may_run_at_once(keyed_server: Keyed) -> None:
    answers = []

    async def run() -> None:
        async with over_http(keyed_server.url, keyed_server.keys["eve"], NEWEST) as client:
            code = "import time; time.sleep(1.5)"
            answers.append(await client.call_tool("run_python", {"code": code}))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        tasks.start_soon(run)
    refused, done = sorted(answers, key=lambda answer: not answer.is_error)
    assert not done.is_error
    assert refused.is_error
    assert "1 executions are under way with this API key" in text_of(refused)


@pytest.mark.anyio
async def test_limits_of_a_key_are_told(
    tmp_path_factory: pytest.TempPathFactory, keyed_server: Keyed
) -> None:
    async with over_http(keyed_server.url, keyed_server.keys["eve"], "legacy") as client:
        answer = await client.call_tool("run_python", {"code": "1", "runtime": "nowhere"})
        assert answer.is_error
        assert "nowhere" in text_of(answer)
        with pytest.raises(MCPError):
            await client.read_resource("belljar://containers/container_none/files/a")
