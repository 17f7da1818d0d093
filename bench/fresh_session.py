"""How long a fresh session takes over HTTP: `python bench/fresh_session.py URL [COUNT]`, against a running server."""

from __future__ import annotations

import http.client
import json
import sys
import time
from urllib.parse import urlsplit


def main(url: str, count: int) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    rows = {
        "GET /health": lambda: _ask(connection, "GET", "/health"),
        "print(1+1), fresh session": lambda: _ask(
            connection, "POST", "/v1/executions", {"code": "print(1+1)"}
        ),
    }
    print(f"{'':28} {'p50 ms':>8} {'p95 ms':>8} {'min ms':>8}   of {count}")
    for name, ask in rows.items():
        times = sorted(_timed(ask) for _ in range(count))
        print(f"{name:28} {times[count // 2]:8.2f} {times[count * 95 // 100]:8.2f} {times[0]:8.2f}")


def _timed(ask) -> float:  # type: ignore[no-untyped-def]
    started = time.perf_counter()
    ask()
    return (time.perf_counter() - started) * 1000


def _ask(connection: http.client.HTTPConnection, method: str, path: str, document: object = None) -> None:
    body = None if document is None else json.dumps(document)
    connection.request(method, path, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        sys.exit(f"{path}: {answer.status} {text.decode()}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200)
