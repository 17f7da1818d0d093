"""API keys: who gets in, whose things are whose, and how much of everything a key may have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fakes import Keepers, open_placement, settings
from serving import Model, Server, Wait, ask, code, serving, text

from belljar import errors
from belljar.gateway.access import (
    Allowance,
    Client,
    KeyLimits,
    create_key,
    open_access,
    revoke_key,
    shown_key,
)
from belljar.gateway.store import DEFAULT_TENANT
from belljar.gateway.store.sqlite import open_store
from belljar.records import Limits


def keys(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`belljar keys …`, as an operator runs it."""
    return subprocess.run(
        [sys.executable, "-c", "from belljar.cli import main; main()", "keys", *arguments],
        env=os.environ | {"BELLJAR_STATE_DIR": str(state)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def made(state: Path, name: str, *options: str) -> str:
    done = keys(state, "create", name, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def by(key: str) -> dict[str, str]:
    return {"x-api-key": key}


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.02)


class Keyed:
    """A server that other machines may reach, with keys of two tenants, of the first one twice."""

    server: Server
    http: httpx2.Client

    def __init__(self, state: Path) -> None:
        self.state = state
        self.a = made(state, "a", "--tenant", "one")
        self.also_a = made(state, "also-a", "--tenant", "one")
        self.b = made(state, "b", "--tenant", "two")


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory, the_model: Model) -> Iterator[Keyed]:
    one = Keyed(tmp_path_factory.mktemp("keyed"))
    upstream = f"anthropic:{the_model.url}"
    with (
        serving(one.state, upstream=upstream, preload={}, host="0.0.0.0") as one.server,
        httpx2.Client(base_url=one.server.url, timeout=60) as one.http,
    ):
        yield one


def test_who_gets_in(keyed: Keyed) -> None:
    for headers in (
        {},
        by("bj_unknown"),
        {"authorization": "Bearer nobody"},
        {"authorization": f"Basic {keyed.a}"},
    ):
        for path in ("/v1/files", "/metrics", "/no/such/path"):
            answer = keyed.http.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"]["type"] == "authentication_error"
            assert answer.json()["request_id"] == answer.headers["request-id"]
    for headers in (
        by(keyed.a),
        {"authorization": f"Bearer {keyed.a}"},
        {"authorization": f"bearer  {keyed.a}"},
    ):
        assert keyed.http.get("/v1/files", headers=headers).status_code == 200
    assert keyed.http.get("/metrics", headers=by(keyed.a)).status_code == 200
    for path in ("/health", "/openapi.json"):
        assert keyed.http.get(path).status_code == 200
    # The page asks for a key itself, and may not have been built.
    assert keyed.http.get("/").status_code in {200, 503}
    assert keyed.http.get("/page/no-such-file.js").status_code == 404


def test_a_body_of_whoever_gets_not_in(keyed: Keyed) -> None:
    answer = keyed.http.post("/v1/files", files={"file": ("a", bytes(5_000_000))})
    assert answer.status_code == 401
    assert answer.headers["connection"] == "close"
    assert keyed.http.post("/v1/executions", json={"code": "x" * 5_000_000}).status_code == 401
    assert not list((keyed.state / "blobs").glob("*#*"))


def test_what_a_request_did_belongs_to_a_tenant(keyed: Keyed) -> None:
    ran = keyed.http.post("/v1/executions", json={"code": "1"}, headers=by(keyed.a))
    path = f"/v1/requests/{ran.headers['request-id']}"
    assert keyed.http.get(path, headers=by(keyed.also_a)).status_code == 200
    assert keyed.http.get(path, headers=by(keyed.b)).status_code == 404
    assert keyed.http.get(path).status_code == 401


def test_files_of_containers_belong_to_a_tenant(keyed: Keyed) -> None:
    container = keyed.http.post("/v1/containers", headers=by(keyed.a)).json()["id"]
    files = f"/v1/containers/{container}/files"
    assert keyed.http.put(f"{files}/a", content=b"secret", headers=by(keyed.a)).status_code == 200
    unknown = keyed.http.get("/v1/containers/container_1", headers=by(keyed.b)).json()["error"]["message"]
    for method, path in (
        ("GET", files),
        ("GET", f"{files}/a"),
        ("PUT", f"{files}/a"),
        ("DELETE", f"{files}/a"),
        ("GET", f"{files}/none"),
    ):
        answer = keyed.http.request(method, path, headers=by(keyed.b))
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == unknown.replace("container_1", container)
    assert keyed.http.get("/v1/containers", headers=by(keyed.b)).json()["data"] == []
    listed = keyed.http.get("/v1/containers", headers=by(keyed.also_a)).json()["data"]
    assert container in [one["id"] for one in listed]
    assert keyed.http.get(f"{files}/a", headers=by(keyed.also_a)).content == b"secret"


def test_files_belong_to_a_tenant(keyed: Keyed) -> None:
    file_id = keyed.http.post("/v1/files", files={"file": ("a", b"x")}, headers=by(keyed.a)).json()["id"]
    path = f"/v1/files/{file_id}"
    assert keyed.http.get(path, headers=by(keyed.also_a)).status_code == 200
    unknown = keyed.http.get("/v1/files/file_1", headers=by(keyed.b)).json()["error"]["message"]
    for method, place in (("GET", path), ("GET", f"{path}/content"), ("DELETE", path)):
        answer = keyed.http.request(method, place, headers=by(keyed.b))
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == unknown.replace("file_1", file_id)
    run = {"code": "1", "files": [{"name": "n", "file_id": file_id}]}
    assert keyed.http.post("/v1/executions", json=run, headers=by(keyed.b)).status_code == 404
    upload = ask([{"role": "user", "content": [{"type": "container_upload", "file_id": file_id}]}])
    assert keyed.http.post("/v1/messages", json=upload, headers=by(keyed.b)).status_code == 404
    for query in ({}, {"ids[]": file_id}):
        assert keyed.http.get("/v1/files", params=query, headers=by(keyed.b)).json()["data"] == []
    assert keyed.http.delete(path, headers=by(keyed.also_a)).status_code == 200


def test_containers_belong_to_a_tenant(keyed: Keyed) -> None:
    container = keyed.http.post("/v1/containers", headers=by(keyed.a)).json()["id"]
    path = f"/v1/containers/{container}"

    def ask_all(key: str) -> list[httpx2.Response]:
        headers = by(key)
        run = {"code": "1", "container": container}
        lines = keyed.http.post("/v1/executions/batch", content=json.dumps(run), headers=headers).json()
        if lines["error"]:
            assert lines["error"]["type"] == "not_found_error"
        return [
            keyed.http.get(path, headers=headers),
            keyed.http.post("/v1/executions", json=run, headers=headers),
            keyed.http.post("/v1/messages", json=ask("Go.", container=container), headers=headers),
            keyed.http.delete(path, headers=headers),
        ]

    assert [answer.status_code for answer in ask_all(keyed.b)] == [404] * 4
    assert [answer.status_code for answer in ask_all(keyed.also_a)] == [200] * 4
    # What became of it is its tenant's to know.
    said = [keyed.http.get(path, headers=by(key)).json()["error"]["message"] for key in (keyed.a, keyed.b)]
    assert "it was deleted" in said[0]
    assert "never made here" in said[1]


def test_a_key_of_ours_goes_no_further(keyed: Keyed, model: Model) -> None:
    model.play([text("Hello.")])
    answer = keyed.http.post("/v1/messages", json=ask("Go."), headers=by(keyed.a))
    assert answer.status_code == 200
    assert "x-api-key" not in model.headers[0]
    assert keyed.a not in json.dumps(model.headers)


def test_keys_are_kept_as_hashes(keyed: Keyed) -> None:
    for path in keyed.state.glob("belljar.sqlite3*"):
        assert keyed.a.encode() not in path.read_bytes()
    assert keyed.a not in keyed.server.log.read_text()
    listed = json.loads(keys(keyed.state, "list", "--json").stdout)
    assert {key["name"]: key["tenant"] for key in listed}["a"] == "one"
    assert not any("digest" in key or keyed.a in json.dumps(key) for key in listed)
    assert "also-a" in keys(keyed.state, "list").stdout


def test_a_revoked_key_is_refused(keyed: Keyed) -> None:
    key = made(keyed.state, "short")
    until(lambda: keyed.http.get("/v1/files", headers=by(key)).status_code == 200, "the key to be noticed")
    assert keys(keyed.state, "revoke", "short").returncode == 0
    until(lambda: keyed.http.get("/v1/files", headers=by(key)).status_code == 401, "its end to be noticed")
    assert keys(keyed.state, "revoke", "short").returncode == 125


def test_requests_a_minute(keyed: Keyed) -> None:
    key = made(keyed.state, "slow", "--requests-per-minute", "2")
    answers: list[httpx2.Response] = []
    until(
        lambda: (
            answers.append(keyed.http.get("/v1/files", headers=by(key))) or answers[-1].status_code == 429
        ),
        "too many requests",
    )
    last = answers[-1]
    assert [answer.status_code for answer in answers if answer.status_code != 401] == [200, 200, 429]
    assert last.json()["error"]["type"] == "rate_limit_error"
    assert 1 <= int(last.headers["retry-after"]) <= 30
    told = [a.headers.get("anthropic-ratelimit-requests-remaining") for a in answers if a.status_code != 401]
    assert told == ["1", "0", "0"]
    assert last.headers["anthropic-ratelimit-requests-limit"] == "2"
    assert last.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert keyed.http.get("/v1/files", headers=by(keyed.a)).status_code == 200


def test_limits_of_a_key(keyed: Keyed, model: Model) -> None:
    options = ["--tenant", "three", "--executions", "1", "--containers", "1", "--stored-bytes", "100"]
    headers = by(made(keyed.state, "small", *options))
    until(lambda: keyed.http.get("/v1/files", headers=headers).status_code == 200, "the key to be noticed")
    container = keyed.http.post("/v1/containers", headers=headers).json()["id"]
    refused = keyed.http.post("/v1/containers", headers=headers)
    assert refused.status_code == 429
    assert "containers" in refused.json()["error"]["message"]
    model.play([code("print(1)")], [text("Done.")])
    assert keyed.http.post("/v1/messages", json=ask("Go."), headers=headers).status_code == 429

    body = {"code": "import time; time.sleep(600)", "container": container, "timeout_seconds": 600}
    running = threading.Thread(
        target=lambda: httpx2.post(
            f"{keyed.server.url}/v1/executions", json=body, headers=headers, timeout=60
        )
    )
    running.start()
    path = f"/v1/containers/{container}"
    until(lambda: keyed.http.get(path, headers=headers).json()["state"] == "running", "the code to run")
    refused = keyed.http.post("/v1/executions", json={"code": "1"}, headers=headers)
    assert refused.status_code == 429
    assert "executions" in refused.json()["error"]["message"]
    assert refused.headers["retry-after"] == "1"
    assert keyed.http.delete(path, headers=headers).status_code == 200
    running.join(60)
    # Lines of a batch take turns, where single requests are refused.
    lines = "\n".join(json.dumps({"code": f"print({number})"}) for number in range(4))
    answers = keyed.http.post(
        "/v1/executions/batch?at_once=4", content=lines, headers=headers
    ).text.splitlines()
    assert len([line for line in answers if line and json.loads(line)["execution"]]) == 4

    def upload(size: int) -> int:
        sent = keyed.http.post("/v1/files", files={"file": ("a", bytes(size))}, headers=headers)
        return sent.status_code

    assert [upload(60), upload(41), upload(40), upload(1)] == [200, 400, 200, 400]


def test_a_log_names_the_tenant_and_no_key(keyed: Keyed, tmp_path: Path, the_model: Model) -> None:
    release = threading.Event()
    with serving(tmp_path, upstream=f"anthropic:{the_model.url}", preload={}) as server:
        assert server.process.stdout is not None
        assert "There are no API keys" in server.process.stdout.readline()
        key = made(tmp_path, "k", "--tenant", "acme")
        with httpx2.Client(base_url=server.url, timeout=60) as http:
            until(lambda: http.get("/v1/files", headers=by(key)).headers, "an answer")
            until(lambda: http.get("/v1/files").status_code == 401, "the key to be noticed")
            the_model.play(Wait(release, [text("late")]))
            asking = threading.Thread(
                target=lambda: httpx2.post(
                    f"{server.url}/v1/messages", json=ask("Go."), headers=by(key), timeout=60
                )
            )
            asking.start()
            until(lambda: the_model.requests, "the upstream to be asked")
        server.process.terminate()
        until(lambda: "stopping" in server.log.read_text(), "the server to stop")
        server.process.terminate()
        asking.join(60)
        assert server.process.wait(30) == 0
    release.set()
    log = server.log.read_text()
    (line,) = [line for line in log.splitlines() if "cut short" in line]
    assert json.loads(line)["tenant"] == "acme"
    assert key not in log


def started(state: Path, **more: str) -> tuple[int, str, str]:
    """`belljar serve` where it refuses; what it says."""
    done = subprocess.run(
        [sys.executable, "-c", "from belljar.cli import main; main()", "serve", "--port", "0"],
        env=os.environ | {"BELLJAR_STATE_DIR": str(state), **more},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_without_keys_it_is_for_this_machine_alone(tmp_path: Path, host: str) -> None:
    status, out, err = started(tmp_path, BELLJAR_HOST=host)
    assert (status, out) == (125, "")
    assert "belljar keys create" in err
    assert "BELLJAR_OPEN=yes-anyone-may-run-code" in err


def test_when_told_so_it_serves_other_machines(tmp_path: Path) -> None:
    with serving(tmp_path, preload={}, host="0.0.0.0", open="yes-anyone-may-run-code") as server:
        assert server.process.stdout is not None
        assert "There are no API keys" in server.process.stdout.readline()
        assert httpx2.get(f"{server.url}/v1/files").status_code == 200


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "a b"),
        ("create", ""),
        ("create", "x" * 65),
        ("create", "a", "--tenant", "ä"),
        ("create", "a", "--executions", "0"),
        ("revoke", "nobody"),
    ],
)
def test_keys_that_cannot_be(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = keys(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("belljar: ")


def test_what_was_not_used_adds_up_to_a_minute() -> None:
    allowance = Allowance(3, 100.0)
    assert [allowance.take(100.0) for _ in range(3)] == [0, 0, 0]
    assert allowance.take(100.0) == 20
    assert allowance.take(110.0) == 10
    assert allowance.take(120.0) == 0
    assert allowance.left == 0
    assert allowance.take(10_000.0) == 0
    assert allowance.left == 2
    assert allowance.seconds_until_full == 20


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([], None),
        ([(b"x-api-key", b"one"), (b"authorization", b"Bearer two")], b"one"),
        ([(b"authorization", b"Bearer two"), (b"x-api-key", b"one")], b"one"),
        ([(b"x-api-key", b""), (b"authorization", b"Bearer two")], b"two"),
        ([(b"authorization", b"BEARER two ")], b"two"),
        ([(b"authorization", b"Basic two")], None),
        ([(b"authorization", b"Bearer")], None),
    ],
)
def test_where_a_key_stands(headers: list[tuple[bytes, bytes]], key: bytes | None) -> None:
    assert shown_key({"headers": headers}) == key


@pytest.mark.anyio
async def test_a_client_is_its_key(tmp_path: Path) -> None:
    async with open_store(tmp_path / "belljar.sqlite3") as store:
        access = await open_access(store, 100)

        async def admit(key: str) -> Client:
            return await access.admit({"path": "/v1/files", "headers": [(b"x-api-key", key.encode())]}, {})

        assert (await admit("any")).tenant == DEFAULT_TENANT
        key, secret = await create_key(store, "k", "acme", KeyLimits(stored_bytes=5))
        access.look_again()
        client = await admit(secret)
        assert (client.tenant, client.most_stored_bytes, client.has_key) == ("acme", 5, True)
        access.look_again()
        assert await admit(secret) is client  # with what it has used of its limits
        await revoke_key(store, key.id)
        access.look_again()
        with pytest.raises(errors.Unauthenticated):
            await admit(secret)
        with pytest.raises(errors.Unauthenticated, match="keys create"):
            await access.admit({"path": "/v1/files", "headers": []}, {})  # it opens nothing


@pytest.mark.anyio
async def test_only_keys_that_changed_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "belljar.sqlite3"
    async with open_store(path) as ours, open_store(path) as theirs:
        first = ours.keys_version()
        await theirs.remove_old_usage(0)
        await theirs.revoke_key("nobody", 1)
        assert ours.keys_version() == first is not None
        key, _ = await create_key(theirs, "k", "acme", KeyLimits())
        second = ours.keys_version()
        await revoke_key(theirs, key.id)
        assert len({first, second, ours.keys_version()}) == 3


@pytest.mark.anyio
async def test_so_many_executions_at_once() -> None:
    client = Client(most_executions=1)
    with client.execution(), pytest.raises(errors.RateLimited), client.execution():
        pass
    async with client.execution_in_turn():
        with pytest.raises(errors.RateLimited), client.execution():
            pass
    with client.execution():
        pass
    with Client().execution(), Client().execution():
        pass


@pytest.mark.anyio
async def test_containers_are_counted_by_tenant(tmp_path: Path) -> None:
    async with open_placement(settings(tmp_path), Keepers().start) as placement:
        one = await placement.create(Limits(), "a", 1)
        for most in (0, 1):
            with pytest.raises(errors.RateLimited, match="1 containers"):
                await placement.create(Limits(), "a", most)
        await placement.create(Limits(), "a", is_kept=False)
        await placement.create(Limits(), "b", 1)
        with pytest.raises(errors.NotFound, match="never made here"):
            placement.find(one.id, "b")
        await placement.delete(one.id, "it was deleted")
        await placement.create(Limits(), "a", 1)


def test_what_keys_take(keyed: Keyed) -> None:
    listed: list[dict[str, Any]] = json.loads(keys(keyed.state, "list", "--json").stdout)
    known = {key["name"] for key in listed}
    document = json.loads(keys(keyed.state, "create", "doc", "--executions", "3", "--json").stdout)
    assert "doc" not in known
    assert document["key"].startswith("bj_")
    assert len(document["key"]) == 46
    assert (document["tenant"], document["executions"], document["containers"]) == ("default", 3, None)
