from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai_function
import pytest
from openai import OpenAI

import page
from belljar import Sandbox

CHART = "import matplotlib.pyplot as plt\nx = 41\nplt.plot([1, 2])\nprint('drawn')"


class Server:
    """Speaks both APIs on the loopback, and refuses what is wrong. A turn is a list of (name, arguments), or a text."""

    def __init__(self) -> None:
        self.turns: list[list[tuple[str, str]] | str] = []
        self.requests: list[dict[str, Any]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.requests.append(body)
                speak = server.complete if self.path.endswith("/chat/completions") else server.respond
                try:
                    status, answer = 200, speak(body)
                except AssertionError as wrong:
                    status, answer = 400, {"error": {"message": str(wrong), "type": "invalid_request_error"}}
                written = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(written)))
                self.end_headers()
                self.wfile.write(written)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        self.client = OpenAI(base_url=url, api_key="none", max_retries=0)

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        waiting: set[str] = set()
        for message in body["messages"]:
            if message["role"] == "tool":
                assert isinstance(message["content"], str), "the content of a tool message is a string"
                assert message["tool_call_id"] in waiting, "a tool message answers no call"
                waiting.remove(message["tool_call_id"])
                continue
            assert not waiting, f"the calls {waiting} have no tool message right behind them"
            waiting |= {made["id"] for made in message.get("tool_calls", [])}
        assert not waiting, f"the calls {waiting} are not answered"
        assert body["tools"][0]["function"]["parameters"]["required"] == ["code"]
        turn = self.turns.pop(0)
        message: dict[str, Any] = {"role": "assistant", "content": turn if isinstance(turn, str) else None}
        if not isinstance(turn, str):
            message["tool_calls"] = [
                {
                    "id": f"call_{len(body['messages'])}_{n}",
                    "type": "function",
                    "function": {"name": name, "arguments": given},
                }
                for n, (name, given) in enumerate(turn)
            ]
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
        }
        return {
            "id": "c",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [choice],
        }

    def respond(self, body: dict[str, Any]) -> dict[str, Any]:
        called = {item["call_id"] for item in body["input"] if item.get("type") == "function_call"}
        answered = [item["call_id"] for item in body["input"] if item.get("type") == "function_call_output"]
        assert sorted(called) == sorted(answered), "a call has no output, or an output no call"
        assert body["tools"][0]["name"] == "run_python", "the function stands in the tool itself"
        turn = self.turns.pop(0)
        output: list[dict[str, Any]] = [
            {
                "type": "function_call",
                "id": f"fc_{n}",
                "call_id": f"call_{len(called)}_{n}",
                "name": name,
                "arguments": given,
                "status": "completed",
            }
            for n, (name, given) in enumerate(turn if not isinstance(turn, str) else [])
        ]
        if isinstance(turn, str):
            text = {"type": "output_text", "text": turn, "annotations": []}
            output = [
                {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
            ]
        return {
            "id": "r",
            "object": "response",
            "created_at": 0,
            "model": body["model"],
            "status": "completed",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box


def run(code: str) -> tuple[str, str]:
    return "run_python", json.dumps({"code": code})


def png(url: str) -> bool:
    kind, _, data = url.partition(",")
    return kind == "data:image/png;base64" and base64.b64decode(data).startswith(b"\x89PNG")


def test_chat_completions(server: Server) -> None:
    server.turns = [[run(CHART), run("x + 1")], "It is 42."]
    assert openai_function.main("model-1", "What?", server.client) == "It is 42."
    last = server.requests[-1]["messages"]
    assert [message["content"] for message in last if message["role"] == "tool"] == ["drawn\n", "42\n"]
    words, picture = last[-1]["content"]
    assert last[-1]["role"] == "user"
    assert words["type"] == "text"
    assert png(picture["image_url"]["url"])


def test_the_responses_api(server: Server, box: Sandbox) -> None:
    server.turns = [[run(CHART), run("x + 1")], [run("print(x)")], "It is 42."]
    assert openai_function.respond(server.client, "model-1", "What?", box) == "It is 42."
    outputs = [
        item["output"] for item in server.requests[-1]["input"] if item.get("type") == "function_call_output"
    ]
    assert [output[0] for output in outputs] == [
        {"type": "input_text", "text": text} for text in ("drawn\n", "42\n", "41\n")
    ]
    assert png(outputs[0][1]["image_url"])
    assert server.requests[-1]["store"] is False


@pytest.mark.parametrize("speak", [openai_function.complete, openai_function.respond])
def test_calls_that_are_none_are_told_to_the_model(server: Server, box: Sandbox, speak: Any) -> None:
    wrong = [("run_python", '{"code": '), ("run_python", "[]"), ("run_python", '{"code": 1}'), ("rm", "{}")]
    server.turns = [wrong, [run("1/0")], [run("pass")], "I see."]
    assert speak(server.client, "model-1", "Go", box) == "I see."
    said = json.dumps(server.requests[-1], ensure_ascii=False)
    assert said.count("The arguments are not as they have to be") == 3
    assert "There is no function 'rm'" in said
    assert "ZeroDivisionError" in said
    assert "(no output)" in said


@pytest.mark.parametrize("speak", [openai_function.complete, openai_function.respond])
def test_a_model_that_calls_on_and_on_is_left(server: Server, box: Sandbox, speak: Any) -> None:
    server.turns = [[run("pass")]] * 9
    with pytest.raises(RuntimeError, match="after 3 turns"):
        speak(server.client, "model-1", "Go", box, turns=3)
    assert len(server.requests) == 3


def test_the_page(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", str(server.client.base_url))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    server.turns = [[run(CHART)], "See.", [run("print(x)")], "It is 285."]
    assert page.run("openai_function", "model-1") == "See.\nIt is 285.\n"
    assert server.requests[-1]["input"][-1]["output"][0]["text"] == "41\n"  # the sandbox is the same
