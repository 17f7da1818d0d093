"""A server of chat completions that stands in for Ollama, vLLM and llama.cpp: its model has the Python in the last
question run by the tool that takes code, and repeats what comes back."""

from __future__ import annotations

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "qwen3-coder:30b"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer("application/json", json.dumps({"object": "list", "data": [{"id": MODEL}]}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        delta = _delta(body)
        reason = "tool_calls" if "tool_calls" in delta else "stop"
        usage = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
        pieces = (
            [{"content": word} for word in re.findall(r"\S+\s*", delta["content"])]
            if "content" in delta
            else [delta]
        )
        chunks: list[dict[str, Any]] = [
            {"choices": [{"index": 0, "delta": piece, "finish_reason": None}]} for piece in pieces
        ]
        chunks += [
            {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
            {"choices": [], "usage": usage},
        ]
        lines = [f"data: {json.dumps({'model': MODEL, **chunk})}\n\n" for chunk in chunks]
        self._answer("text/event-stream", "".join([*lines, "data: [DONE]\n\n"]).encode())

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: what it prints would stand between what the page's commands print."""


def _delta(body: dict[str, Any]) -> dict[str, Any]:
    messages = body["messages"]
    last = next(place for place, one in reversed(list(enumerate(messages))) if one["role"] == "user")
    results = [one["content"] for one in messages[last:] if one["role"] == "tool"]
    if results:
        return {"content": f"It printed: {results[-1]}"}
    asked = messages[last]["content"]
    asked = asked if isinstance(asked, str) else "".join(part.get("text", "") for part in asked)
    code = re.search(r"```python\n(.*?)```", asked, re.DOTALL)
    for tool in body.get("tools", ()):
        wanted = tool["function"]["parameters"].get("properties", {})
        if code and "code" in wanted:
            call = {"name": tool["function"]["name"], "arguments": json.dumps({"code": code[1]})}
            return {"tool_calls": [{"index": 0, "id": "call-1", "type": "function", "function": call}]}
    return {"content": "One two three."}


port = int(sys.argv[1])
server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
print(f"listens on {port}", flush=True)
try:
    server.serve_forever()
except KeyboardInterrupt:
    server.server_close()
