"""The same conversations through every version of the official SDKs that is in use, each in a process of its own.

`scripts/setup tests` makes the environments: one for each `locks/sdk-VERSION.txt`, and the aliases of package.json.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from serving import BreakOff, Model, Server, serving, text, told

from belljar.gateway.turn import MessageFold
from belljar.gateway.upstream import scripted

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = sorted(path.stem.removeprefix("sdk-") for path in (ROOT / "locks").glob("sdk-*.txt"))
NODE = sorted(json.loads((HERE / "package.json").read_text())["dependencies"])
CLIENTS = [*(f"python {version}" for version in PYTHON), *(f"node {name}" for name in NODE)]
DEADLINE_SECONDS = 120
MODELS = {"data": [{"id": "model-1"}, {"id": "owner/model-2", "display_name": "Two"}, {"id": "model-3"}]}

SCRIPT = scripted.Script.model_validate(
    {
        "conversation": [
            {
                "when": "chart",
                "turn": [
                    {
                        "thinking": "I will draw.",
                        "text": "See.",
                        "code": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('drawn')",
                    },
                    {"code": "1 / 0"},
                    {"text": "Done."},
                ],
            },
            {"when": "set x", "turn": [{"thinking": "hm", "code": "x = 41"}, {"text": "Set."}]},
            {"when": "print x", "turn": [{"code": "print(x + 1)"}, {"text": "It is {{ stdout }}."}]},
        ]
    }
)
KINDS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    409: "conflict_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def refusal(status: int) -> Any:
    error = {"type": KINDS[status], "message": f"refused with {status}"}
    return told({"type": "error", "error": error}, status)


def played(path: str, request: dict[str, Any] | None) -> Any:
    """What the model server answers to a request, whoever sends it and whatever was before."""
    if request is None:
        return told(MODELS)
    if path.endswith("/count_tokens"):
        return told({"input_tokens": 512})
    prompt = next(
        block["text"]
        for message in reversed(request["messages"])
        for block in message["content"]
        if message["role"] == "user" and block["type"] == "text"
    )
    if prompt.startswith("refuse "):
        return refusal(int(prompt.removeprefix("refuse ")))
    if prompt.startswith("run and refuse "):
        has_run = request["messages"][-1]["content"][0]["type"] == "tool_result"
        code = {"type": "tool_use", "id": "toolu_1", "name": "code_execution", "input": {"code": "print(1)"}}
        return refusal(529) if has_run else [code]
    if prompt == "break off":
        return BreakOff([text("one two three four five")], 4)
    return scripted.answer(SCRIPT, request)


@pytest.fixture(scope="module")
def matrix_model() -> Iterator[Model]:
    with Model(played) as model:
        yield model


@pytest.fixture(scope="module")
def matrix_server(tmp_path_factory: pytest.TempPathFactory, matrix_model: Model) -> Iterator[Server]:
    state = tmp_path_factory.mktemp("matrix")
    with serving(state, upstream=f"anthropic:{matrix_model.url}", max_body_bytes=2_000_000) as server:
        yield server


def run(client: str, url: str) -> dict[str, Any]:
    language, version = client.split(" ")
    command = (
        [ROOT / ".venv-sdk" / version / "bin" / "python", HERE / "conversations.py", url]
        if language == "python"
        else ["node", HERE / "conversations.mjs", version, url]
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANTHROPIC_")}
    finished = subprocess.run(
        command,
        env=environment | {"NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert finished.returncode == 0, finished.stderr
    answer = json.loads(finished.stdout)
    assert answer["version"] == version
    return answer["told"]


def is_installed(client: str) -> bool:
    language, version = client.split(" ")
    if language == "python":
        return (ROOT / ".venv-sdk" / version / "bin" / "python").exists()
    return shutil.which("node") is not None and (HERE / "node_modules" / version).is_dir()


@pytest.fixture(scope="module")
def conversations(matrix_server: Server) -> Iterator[dict[str, Future[dict[str, Any]]]]:
    """What the conversations came to, by the client that had them: two clients at a time."""
    pool = ThreadPoolExecutor(2)
    try:
        yield {
            client: pool.submit(run, client, matrix_server.url) for client in CLIENTS if is_installed(client)
        }
    finally:
        pool.shutdown(cancel_futures=True)


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return request.param


Had = Callable[[str], Any]


@pytest.fixture
def had(client: str, conversations: dict[str, Future[dict[str, Any]]]) -> Had:
    """What one conversation of the client's came to. A client that is not installed is left out, and fails in CI."""
    if client not in conversations:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"{client} is not installed: scripts/setup tests"
        )

    def had(name: str) -> Any:
        came_to = conversations[client].result()[name]
        assert "failed" not in came_to, came_to["failed"]
        return came_to

    return had


def kinds(message: dict[str, Any]) -> list[str]:
    return [block["type"] for block in message["content"]]


INLINE = [
    "thinking",
    "text",
    "server_tool_use",
    "code_execution_result",
    "code_execution_result",
    "server_tool_use",
    "code_execution_result",
    "text",
]
OFFICIAL = [
    "thinking",
    "text",
    "server_tool_use",
    "code_execution_tool_result",
    "server_tool_use",
    "code_execution_tool_result",
    "text",
]

CODE = SCRIPT.conversation[0].turn[0].code
FORGETS_CONTAINER = {"python 0.52.0", "python 0.75.0", "node sdk-0.52.0", "node sdk-0.71.0"}
"""Whose stream helpers, but for the beta ones, do not take the container over from the end of the message."""
CLASSES = {
    "400": {"BadRequestError"},
    "401": {"AuthenticationError"},
    "402": {"PaymentRequiredError", "APIStatusError", "APIError"},
    "403": {"PermissionDeniedError"},
    "404": {"NotFoundError"},
    "409": {"ConflictError"},
    "413": {"ContentTooLargeError", "RequestTooLargeError", "APIError"},
    "422": {"UnprocessableEntityError"},
    "429": {"RateLimitError"},
    "500": {"InternalServerError"},
    "503": {"ServiceUnavailableError", "InternalServerError"},
    "504": {"GatewayTimeoutError", "InternalServerError"},
    "529": {"OverloadedError", "InternalServerError"},
}
"""The most special class for each status: old versions have fewer, and fall back on a general one."""


def assert_official(message: dict[str, Any]) -> None:
    assert kinds(message) == OFFICIAL
    assert message["stop_reason"] == "end_turn"
    first, second = (block for block in message["content"] if block["type"] == "code_execution_tool_result")
    assert (first["content"]["stdout"], first["content"]["return_code"]) == ("drawn\n", 0)
    (figure,) = first["content"]["content"]
    assert figure["file_id"].startswith("file_")
    assert second["content"]["return_code"] == 1
    assert "ZeroDivisionError" in second["content"]["stderr"]


def assert_inline(message: dict[str, Any]) -> None:
    assert kinds(message) == INLINE
    assert message["content"][2]["input"] == {"code": CODE}
    printed, image, failed = (
        block for block in message["content"] if block["type"] == "code_execution_result"
    )
    assert printed["output"] == {"type": "text", "text": "drawn"}
    assert image["output"]["media_type"] == "image/png"
    assert failed["is_error"] is True


def test_the_loops_that_tutorials_teach(had: Had, client: str) -> None:
    answer = had("tutorial")
    assert_inline(answer["message"])
    assert answer["request_id"].startswith("req_")
    assert answer["message"]["container"]["id"].startswith("container_")
    if client.startswith("python"):
        error = answer["lines"].pop(4)
        assert answer["lines"] == ["I will draw.", "See.", "Result: drawn", "[Chart generated]", "Done."]
    else:
        assert answer["text"] == ["See.", "drawn", "Done."]
        assert answer["images"] == ["image/png"]
        (error,) = answer["errors"]
    assert "ZeroDivisionError" in error


@pytest.mark.parametrize("name", ["official", "beta"])
def test_the_official_blocks(had: Had, name: str) -> None:
    message = had(name)["message"]
    assert_official(message)
    assert message["content"][2]["input"] == {"code": CODE}
    assert message["container"]["id"].startswith("container_")


@pytest.mark.parametrize("name", ["stream_tutorial", "stream_official", "stream_beta"])
def test_the_stream_helpers(had: Had, client: str, name: str) -> None:
    answer = had(name)
    message = answer["message"]
    assert answer["words"] == "See.Done."
    if name == "stream_tutorial":
        assert_inline(message)
    else:
        assert_official(message)
        assert message["content"][2]["input"] == {"code": CODE}
    if name == "stream_beta" or client not in FORGETS_CONTAINER:
        assert message["container"]["id"].startswith("container_")
    assert message["usage"]["output_tokens"] == 30, "ten in each of three turns"


def test_a_stream_without_a_helper(had: Had) -> None:
    fold = MessageFold()
    for event in had("stream_raw")["events"]:
        fold.add(event)
    assert fold.stopped
    message = fold.result()
    assert_official(message)
    assert message["content"][2]["input"] == {"code": CODE}
    assert message["container"]["id"].startswith("container_")


@pytest.mark.parametrize("name", ["history_tutorial", "history_official", "history_beta"])
def test_an_answer_goes_back_and_its_container_goes_on(had: Had, name: str) -> None:
    first, second = had(name)["first"], had(name)["second"]
    assert second["container"]["id"] == first["container"]["id"]
    result = second["content"][1]
    assert (result["text"] if name == "history_tutorial" else result["content"]["stdout"]) in {
        "Result: 42",
        "42\n",
    }
    assert second["content"][2]["text"] == "It is 42."


def test_errors_are_told_by_their_classes(had: Had) -> None:
    errors = had("errors")
    assert errors.keys() == {*CLASSES, "stream"}
    for status, classes in CLASSES.items():
        error = errors[status]
        assert error["classes"][0] in classes, status
        assert error["status"] == int(status)
        assert error["type"] == (KINDS | {400: "invalid_request_error", 404: "not_found_error"}).get(
            int(status), "request_too_large"
        )
    assert errors["stream"]["type"] == "api_error"
    for error in errors.values():
        assert error["request_id"] == error["body_request_id"]
        assert error["request_id"].startswith("req_")


def test_code_is_not_run_twice_by_a_retry(had: Had, matrix_model: Model) -> None:
    retried = had("retried")
    assert retried["error"]["classes"][0] in CLASSES["529"]
    asked = [request for request in matrix_model.requests if retried["prompt"] in json.dumps(request)]
    assert len(asked) == 2, "for the code, and then with what came of it"


def test_tokens_and_models(had: Had) -> None:
    around = had("around")
    ids = [model["id"] for model in MODELS["data"]]
    assert around["tokens"] == around["beta_tokens"] == 512
    assert around["models"] == around["beta_models"] == ids, "all pages, of one and of two"
    assert around["model"] == "Two"
    assert around["missing"]["classes"][0] == "NotFoundError"
