"""Which runtime code runs in, over HTTP: said by the request, a rule or a setting; kept by its container."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import Model, Server, ask, code, serving, text

sys.path.append(str(Path(__file__).parents[1] / "sandbox"))

import wheels

LITTLE = {"preload": {}, "parked": 0}
ANSWER = "import bell_fine; print(bell_fine.ANSWER)"
NONE = "try:\n    import bell_fine\nexcept ImportError:\n    print('none')"
SHELL = {"type": "code_execution_20250825", "name": "code_execution"}
ALL = {"type": "code_execution_20260521", "name": "code_execution"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels.make(tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, folder: Path, the_model: Model) -> Iterator[Server]:
    """A server with the runtimes `one` and `two`, and a rule that gives `two` to one of its models."""
    state = tmp_path_factory.mktemp("state")
    threads = ("--preload", "bell_fine,bell_threads")
    wheels.build(state, folder, "one", ["bell_fine==1.0", "bell_threads"], *threads)
    wheels.build(state, folder, "two", ["bell_fine==2.0"])
    table = state / "models.toml"
    table.write_text(
        f'[[upstream]]\nname = "it"\nkind = "anthropic"\nurl = "{the_model.url}"\n'
        '[[model]]\nid = "second"\nupstream = "it"\nruntime = "two"\n'
        '[[model]]\nid = "broken"\nupstream = "it"\nruntime = "three"\n'
        '[[model]]\nid = "*"\nupstream = "it"\n'
    )
    with serving(state, **LITTLE, models=str(table)) as server:
        yield server


@pytest.fixture
def client(own: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=own.url, timeout=120) as client:
        yield client


def ran(client: httpx2.Client, source: str, header: str | None = None, **asked: Any) -> dict[str, Any]:
    headers = {"belljar-runtime": header} if header is not None else {}
    answer = client.post("/v1/executions", json={"code": source, **asked}, headers=headers)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def refused(answer: httpx2.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    message: str = answer.json()["error"]["message"]
    return message


@pytest.mark.parametrize(
    ("header", "field", "runtime", "printed"),
    [
        (None, None, "default", "none"),
        (None, "one", "one", "fine one"),
        ("two", None, "two", "fine two"),
        ("one", "two", "two", "fine two"),
        ("default", None, "default", "none"),
    ],
)
def test_an_execution_says_which(
    client: httpx2.Client, header: str | None, field: str | None, runtime: str, printed: str
) -> None:
    source = NONE if printed == "none" else ANSWER
    done = ran(client, source, header, **({"runtime": field} if field else {}))
    assert (done["stdout"], done["runtime"]) == (f"{printed}\n", runtime)


def test_runtimes_that_are_not_there_are_refused_with_those_that_are(client: httpx2.Client) -> None:
    there = "Those that are there: default, one, two"
    for name in ("three", "", "../one", "ONE", "é", "one/current"):
        assert there in refused(client.post("/v1/executions", json={"code": "1", "runtime": name}), 404)
        assert there in refused(client.post("/v1/containers", json={"runtime": name}), 404)
    assert there in refused(messages(client, ask("Go.", tools=[ALL], container={"runtime": "three"})), 404)
    assert there in refused(messages(client, ask("Go."), "three"), 404)
    assert there in refused(client.get("/v1/runtimes/three"), 404)
    said = refused(client.post("/v1/executions", json={"code": "1", "runtime": "n" * 100_000}), 404)
    assert there in said
    assert len(said) < 200
    assert "runtime" in refused(client.post("/v1/executions", json={"code": "1", "runtime": 1}), 400)


def test_lines_of_a_batch_say_which(client: httpx2.Client) -> None:
    lines = [
        {"code": ANSWER, "runtime": "one"},
        {"code": ANSWER},
        {"code": NONE, "runtime": "default"},
        {"code": ANSWER, "runtime": "three"},
    ]
    body = "\n".join(map(json.dumps, lines))
    answer = client.post("/v1/executions/batch?at_once=2", content=body, headers={"belljar-runtime": "two"})
    told = {line["index"]: line for line in map(json.loads, filter(str.strip, answer.text.splitlines()))}
    assert [told[n]["execution"]["stdout"] for n in range(3)] == ["fine one\n", "fine two\n", "none\n"]
    assert told[3]["error"]["type"] == "not_found_error"


def test_a_container_keeps_its_runtime(client: httpx2.Client) -> None:
    made = client.post("/v1/containers", json={"runtime": "one"}).json()
    assert made["runtime"] == "one"
    first = ran(client, ANSWER + "; x = 5", container=made["id"])
    assert (first["stdout"], first["runtime"]) == ("fine one\n", "one")
    assert ran(client, "print(x)", "one", container=made["id"])["stdout"] == "5\n"
    for other in ("two", "default"):
        answer = client.post("/v1/executions", json={"code": "1", "container": made["id"], "runtime": other})
        assert "made with the runtime 'one', which does not change" in refused(answer, 400)
    assert client.get(f"/v1/containers/{made['id']}").json()["runtime"] == "one"
    by_header = client.post("/v1/containers", headers={"belljar-runtime": "two"}).json()
    assert by_header["runtime"] == "two"


def messages(client: httpx2.Client, asked: dict[str, Any], runtime: str | None = None) -> httpx2.Response:
    return client.post("/v1/messages", json=asked, headers={"belljar-runtime": runtime} if runtime else {})


def test_a_message_says_which(client: httpx2.Client, model: Model) -> None:
    model.play([code(ANSWER)], [text("So.")])
    answer = messages(client, ask("Go.", tools=[ALL], container={"runtime": "one"}))
    assert answer.status_code == 200, answer.text
    assert answer.headers["belljar-runtime"] == "one"
    assert "fine one" in str(answer.json()["content"])
    container = answer.json()["container"]["id"]
    tools = {tool["name"]: tool["description"] for tool in model.requests[0]["tools"]}
    assert "bell-fine 1.0, bell-threads 1.0" in tools["code_execution"]
    assert "bell-fine" in tools["bash_code_execution"]

    model.play([code("print(bell_fine.ANSWER, 'still')")], [text("So.")])
    answer = messages(client, ask("Go on.", tools=[ALL], container=container))
    assert answer.headers["belljar-runtime"] == "one"
    assert "fine one still" in str(answer.json()["content"])
    assert "bell-fine 1.0" in str(model.requests[0]["tools"])
    again = ask("Go on.", tools=[ALL], container={"id": container, "runtime": "two"})
    assert "does not change" in refused(messages(client, again), 400)
    model.play([code(ANSWER)], [text("So.")])
    answer = messages(
        client, ask("Go.", tools=[ALL], container={"runtime": "one"}), "two"
    )  # the body is stronger
    assert (answer.headers["belljar-runtime"], "fine one" in answer.text) == ("one", True)


def test_the_first_version_takes_the_header_only(client: httpx2.Client, model: Model) -> None:
    said = refused(messages(client, ask("Go.", container={"runtime": "one"})), 400)
    assert (
        said
        == "container: Input should be a valid string; the runtime is named by the header belljar-runtime"
    )
    model.play([code(ANSWER)], [text("So.")])
    answer = messages(client, ask("Go."), "one")
    assert (answer.headers["belljar-runtime"], "fine one" in answer.text) == ("one", True)


def test_a_shell_has_its_programs(client: httpx2.Client, model: Model) -> None:
    use = {
        "type": "tool_use",
        "id": "toolu_1",
        "name": "bash_code_execution",
        "input": {"command": "bell-fine"},
    }
    model.play([use], [text("So.")])
    answer = messages(client, ask("Go.", tools=[SHELL], container={"runtime": "two"}))
    assert "fine two" in str(answer.json()["content"])


def test_a_rule_of_the_model_and_what_is_stronger(client: httpx2.Client, model: Model) -> None:
    model.play([code(ANSWER)], [text("So.")])
    answer = messages(client, ask("Go.", tools=[ALL]) | {"model": "second"})
    assert (answer.headers["belljar-runtime"], "fine two" in answer.text) == ("two", True)
    container = answer.json()["container"]["id"]
    model.play([code(ANSWER)], [text("So.")])
    answer = messages(client, ask("Go.", tools=[ALL]) | {"model": "second"}, "one")
    assert (answer.headers["belljar-runtime"], "fine one" in answer.text) == ("one", True)
    model.play([code(ANSWER)], [text("So.")])
    answer = messages(client, ask("Go.", tools=[ALL], container=container))  # of a model without the rule
    assert (answer.headers["belljar-runtime"], "fine two" in answer.text) == ("two", True)
    said = refused(messages(client, ask("Go.", tools=[ALL]) | {"model": "broken"}), 503)  # the table's fault
    assert "no runtime 'three'" in said
    assert "the table of models" in said
    model.play([text("Without a tool it does not matter.")])
    assert messages(client, ask("Go.", tools=[]) | {"model": "broken"}).status_code == 200


def test_runtimes_are_described(client: httpx2.Client) -> None:
    assert ran(client, ANSWER, "one")["stdout"] == "fine one\n"
    listed = {one["name"]: one for one in client.get("/v1/runtimes").json()["data"]}
    assert list(listed) == ["default", "one", "two"]
    assert [name for name, one in listed.items() if one["is_default"]] == ["default"]
    assert "pandas" in listed["default"]["packages"]
    one = client.get("/v1/runtimes/one").json()
    assert one["packages"] == {"bell_fine": "1.0", "bell_threads": "1.0"}
    assert one["preload"]["preload-1"] == ["bell_fine"]
    assert [(no["module"], no["kind"]) for no in one["not_preloaded"]] == [("bell_threads", "threads")]
    assert "bell-fine" in one["programs"]
    assert "grep" in one["programs"]
    assert "bell-fine" not in listed["default"]["programs"]
    assert one["state"] in ("warming", "ready")
    assert [tier["name"] for tier in one["tiers"]] == ["bare", "preload-1"]
    (health,) = [now for now in client.get("/health").json()["runtimes"] if now["name"] == "one"]
    assert health["state"] in ("warming", "ready")
    metrics = client.get("/metrics").text
    assert 'belljar_runtime_sessions{runtime="one"}' in metrics
    assert 'belljar_runtime_state{runtime="one",state="failed"} 0.0' in metrics


def test_a_runtime_that_does_not_come_up_is_no_fault_of_the_request(tmp_path: Path, folder: Path) -> None:
    wheels.build(tmp_path, folder, "one", ["bell_fine==1.0"])
    environment = tmp_path / "runtimes/one/current/environment"
    python = environment / "bin" / "python"
    python.unlink()
    with serving(tmp_path, **LITTLE) as server, httpx2.Client(base_url=server.url, timeout=120) as client:
        answer = client.post("/v1/executions", json={"code": "1", "runtime": "one"})
        assert "belljar runtime rebuild one" in refused(answer, 503)
        assert client.get("/v1/runtimes/one").json()["state"] == "failed"
        assert ran(client, "print(1)")["stdout"] == "1\n"
        (environment.parent / "runtime.json").write_text("{")
        assert "cannot be read" in refused(
            client.post("/v1/executions", json={"code": "1", "runtime": "one"}), 503
        )
        assert [one["name"] for one in client.get("/v1/runtimes").json()["data"]] == ["default"]


def test_a_container_comes_back_in_its_runtime_or_says_that_it_is_gone(tmp_path: Path, folder: Path) -> None:
    wheels.build(tmp_path, folder, "one", ["bell_fine==1.0"])
    with serving(tmp_path, **LITTLE, default_runtime="one") as server:
        with httpx2.Client(base_url=server.url, timeout=120) as client:
            assert [one["is_default"] for one in client.get("/v1/runtimes").json()["data"]] == [False, True]
            kept = client.post("/v1/containers").json()
            assert kept["runtime"] == "one"
            ran(client, f"{ANSWER}\nopen('kept', 'w').write('mine')", container=kept["id"])
        assert server.end() == 0
    with serving(tmp_path, **LITTLE) as server, httpx2.Client(base_url=server.url, timeout=120) as client:
        back = ran(client, f"{ANSWER}; print(open('kept').read())", container=kept["id"])
        assert (back["restored"], back["runtime"], back["stdout"]) == (True, "one", "fine one\nmine\n")
        assert server.end() == 0
    wheels.belljar_runtime(tmp_path, folder, "remove", "one")
    with serving(tmp_path, **LITTLE) as server, httpx2.Client(base_url=server.url, timeout=120) as client:
        answer = client.post("/v1/executions", json={"code": "1", "container": kept["id"]})
        said = refused(answer, 404)
        assert "is asleep, and its runtime 'one' was removed" in said
        assert "belljar runtime create one" in said
        files = f"/v1/containers/{kept['id']}/files"
        for asked in (client.get(files), client.get(f"{files}/kept"), client.put(f"{files}/a", content=b"")):
            assert "its runtime 'one' was removed" in refused(asked, 404)
        assert client.get(f"/v1/containers/{kept['id']}").json()["state"] == "asleep"
        wheels.build(tmp_path, folder, "one", ["bell_fine==2.0"])
        back = ran(client, f"{ANSWER}; print(open('kept').read())", container=kept["id"])
        assert back["stdout"] == "fine two\nmine\n"
