"""A search engine on the loopback, in the dialects that backends know: it answers what a test tells it to."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SEARCH: dict[str, Any] = {"type": "web_search_20250305", "name": "web_search"}
PAGES = [
    {"url": "https://shares.example.com/today", "title": "Shares today", "content": "A: 10, B: 20, C: 30"},
    {"url": "https://news.example.org/tech/shares", "title": "Tech shares", "content": "B leads at 20."},
]


def search(query: str, use_id: str = "toolu_s") -> dict[str, Any]:
    """The model searches."""
    return {"type": "tool_use", "id": use_id, "name": "web_search", "input": {"query": query}}


@dataclass
class Asked:
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any] | None


@dataclass
class Answer:
    body: bytes
    status: int = 200
    until: threading.Barrier | threading.Event | None = None
    """The answer waits for it."""
    drips: bool = False
    """It comes byte by byte."""


def found(pages: list[dict[str, Any]], **more: Any) -> Answer:
    """SearXNG's answer, and Tavily's."""
    return Answer(json.dumps({"query": "q", "results": pages, **more}).encode())


class Engine:
    """Gives an answer for each request, and then PAGES; remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque()
        self.asked: list[Asked] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))

    def __enter__(self) -> Engine:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def play(self, *answers: Answer) -> None:
        self.answers = deque(answers)
        self.asked.clear()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                self.do_GET(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def do_GET(self, body: dict[str, Any] | None = None) -> None:
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                engine.asked.append(Asked(url.path, query, headers, body))
                answer = engine.answers.popleft() if engine.answers else found(PAGES)
                if answer.until is not None:
                    answer.until.wait(30)
                self.send_response(answer.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                with contextlib.suppress(OSError):  # who asked has had enough
                    for piece in [bytes([byte]) for byte in answer.body] if answer.drips else [answer.body]:
                        self.wfile.write(piece)
                        if answer.drips:
                            time.sleep(0.02)

        return Handler
