"""What bodies of requests may take together: large ones are refused before they are read, small ones are not."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import Model, Wait, ask, serving, text

from belljar.errors import Overloaded, RateLimited
from belljar.gateway.access import KeyLimits, create_key
from belljar.gateway.bodies import InHand
from belljar.gateway.store.sqlite import open_store

LARGE = 1_500_000
ALL = 4_000_000
DEADLINE_SECONDS = 30


@dataclass
class Keyed:
    url: str
    keys: dict[str, str]

    def begin(self, stack: ExitStack, tenant: str | None, path: str = "/v1/messages") -> tuple[str, str]:
        """Ask to send a large body, and send none of it. Returns the status of what the server says to that, and all
        of it."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        client = stack.enter_context(socket.create_connection((host, int(port)), timeout=DEADLINE_SECONDS))
        key = f"x-api-key: {self.keys[tenant]}\r\n" if tenant else ""
        client.sendall(
            f"POST {path} HTTP/1.1\r\nhost: here\r\n{key}content-length: {LARGE}\r\n"
            "content-type: multipart/form-data; boundary=b\r\n"
            "expect: 100-continue\r\n\r\n".encode()
        )
        said = client.recv(65536).decode()
        return said.split()[1], said

    def post(self, tenant: str, **content: Any) -> httpx2.Response:
        return httpx2.post(
            f"{self.url}/v1/messages", headers={"x-api-key": self.keys[tenant]}, timeout=60, **content
        )

    def until_read(self, stack: ExitStack, tenant: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.begin(stack, tenant)[0] != "100":
            assert time.monotonic() < deadline, "what was held is let go"


@pytest.fixture
async def keys(tmp_path: Path) -> dict[str, str]:
    async with open_store(tmp_path / "belljar.sqlite3") as store:
        return {
            tenant: (await create_key(store, tenant, tenant, KeyLimits()))[1]
            for tenant in ("one", "two", "three")
        }


@pytest.fixture
def keyed(tmp_path: Path, keys: dict[str, str], the_model: Model) -> Iterator[Keyed]:
    limits = {"all_bodies_bytes": ALL, "max_body_bytes": 3_000_000}
    little = {"upstream": f"anthropic:{the_model.url}", "preload": {}, "parked": 0}
    with serving(tmp_path, **little, **limits) as server:
        yield Keyed(server.url, keys)


@pytest.mark.anyio
async def test_large_bodies_have_bounds_and_small_ones_come_through(keyed: Keyed, model: Model) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        assert keyed.begin(first, "one")[0] == "100"
        status, said = keyed.begin(stack, "one")
        assert status == "429"
        assert json.loads(said.partition("\r\n\r\n")[2])["error"]["type"] == "rate_limit_error"
        assert "retry-after: 5\r\n" in said
        assert keyed.begin(stack, "two")[0] == "100"
        status, said = keyed.begin(stack, "three")
        assert status == "529"
        assert json.loads(said.partition("\r\n\r\n")[2])["error"]["type"] == "overloaded_error"
        assert "retry-after: 5\r\n" in said
        model.play(*[[text("Hello.")]] * 2)
        for tenant in ("one", "three"):
            assert keyed.post(tenant, json=ask("Hello.")).status_code == 200
        unannounced = keyed.post("two", content=iter([b" " * 100_000] * 15))
        assert unannounced.status_code == 429
        first.close()
        keyed.until_read(stack, "one")


@pytest.mark.anyio
async def test_a_body_is_in_hand_until_its_request_is_answered(keyed: Keyed, model: Model) -> None:
    answers = threading.Event()
    model.play(Wait(answers, [text("Hello.")]))
    with ExitStack() as stack, ThreadPoolExecutor() as threads:
        waiting = threads.submit(keyed.post, "one", json=ask("x" * LARGE))
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not model.requests:
            assert time.monotonic() < deadline, "the model is asked"
        assert keyed.begin(stack, "one")[0] == "429"
        answers.set()
        assert waiting.result().status_code == 200
        keyed.until_read(stack, "one")


@pytest.mark.anyio
async def test_uploads_at_once_have_a_bound_too(keyed: Keyed, model: Model) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        begun = [keyed.begin(first, "one", "/v1/files")[0] for _ in range(4)]
        assert begun == ["100", "100", "100", "429"]
        file = {"file": ("a.txt", b"a")}
        sent = httpx2.post(f"{keyed.url}/v1/files", files=file, headers={"x-api-key": keyed.keys["two"]})
        assert sent.status_code == 200
        model.play([text("Hello.")])
        assert keyed.post("one", json=ask("Hello.")).status_code == 200
        first.close()
        keyed.until_read(stack, "one")


@pytest.mark.anyio
async def test_who_needs_no_key_takes_up_no_share(keyed: Keyed) -> None:
    with ExitStack() as stack:
        assert keyed.begin(stack, None, "/health")[0] == "100"
        assert keyed.begin(stack, None, "/health")[0] == "429"
        assert keyed.begin(stack, "one")[0] == "100"


def test_one_alone_finds_room_and_all_of_it_comes_back() -> None:
    in_hand = InHand(2_000_000)
    for _ in range(2):
        with in_hand.holding("one") as held, in_hand.holding("two") as other, in_hand.holding("one") as third:
            held.hold(100)
            held.hold(9_000_000)
            with pytest.raises(Overloaded):
                other.hold(1_100_000)
            with pytest.raises(RateLimited):
                third.hold(1_100_000)
            other.hold(500_000)
            with pytest.raises(Overloaded):
                third.hold(1)
