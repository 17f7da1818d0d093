"""The socket between an owner and its keeper, with a real one at either end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import anyio
import pytest

from belljar.frames import Decoder, Message, encode
from belljar.line import Line, open_line

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Peer:
    """A line, and the bare socket at its other end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.line: Line
        self.taken: list[Message] = []
        self.ended = anyio.Event()
        self._decoder = Decoder(1 << 30)

    async def read(self, count: int) -> list[Message]:
        seen: list[Message] = []
        while len(seen) < count:
            await anyio.wait_readable(self.sock)
            seen += self._decoder.feed(self.sock.recv(65536))
        return seen


@pytest.fixture
async def peer(anyio_backend: str) -> AsyncIterator[Peer]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with theirs, anyio.fail_after(60):
        peer = Peer(theirs)
        peer.line = await open_line(ours, 1 << 30, peer.taken.append, peer.ended.set)
        yield peer
        peer.line.abort()
        await peer.ended.wait()


async def test_what_waits_for_company_goes_out_with_it_and_before_it(peer: Peer) -> None:
    messages = [Message("stream", {"n": n}, b"x") for n in range(3)]
    await peer.line.send_soon(messages[0])
    await peer.line.send_soon(messages[1])
    with pytest.raises(BlockingIOError):
        peer.sock.recv(1)
    await peer.line.send(messages[2])
    assert list(Decoder(10).feed(peer.sock.recv(65536))) == messages


async def test_what_waits_in_vain_goes_out_by_itself(peer: Peer) -> None:
    for n in range(3):
        await peer.line.send_soon(Message("stream", {"n": n}))
        assert await peer.read(1) == [Message("stream", {"n": n})]


@pytest.mark.parametrize("size", [0, 10_000, 20_000, 3_000_000])
async def test_large_and_small_arrive_in_their_order(peer: Peer, size: int) -> None:
    messages = [Message("m", {"n": n}, bytes(size if n % 3 else 7)) for n in range(12)]

    async def send() -> None:
        for n, message in enumerate(messages):
            await (peer.line.send(message) if n % 4 == 3 else peer.line.send_soon(message))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        assert await peer.read(len(messages)) == messages


async def test_who_sends_to_a_slow_peer_waits(peer: Peer) -> None:
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(8):
            await peer.line.send(Message("m", {}, bytes(2_000_000)))
            sent += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert sent < 4  # what the kernel holds, and one message
        assert len(await peer.read(24)) == 24
    assert sent == 24


async def test_who_comes_when_there_is_room_again_does_not_overtake(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[asyncio.Task[None]] = []

    def resume_writing(line: Line) -> None:
        resume(line)
        late.append(asyncio.create_task(line.send(Message("late", {}))))

    resume = Line.resume_writing
    monkeypatch.setattr(Line, "resume_writing", resume_writing)
    await peer.line.send(Message("m", {}, bytes(5_000_000)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.line.send_soon, Message("waits", {}))
        await anyio.wait_all_tasks_blocked()
        assert [message.kind for message in await peer.read(3)] == ["m", "waits", "late"]
    monkeypatch.undo()
    await asyncio.gather(*late)


async def test_a_wait_that_is_given_up_holds_up_nobody(peer: Peer) -> None:
    big = Message("m", {}, bytes(5_000_000))
    await peer.line.send(big)
    with anyio.move_on_after(0.01) as scope:
        await peer.line.send(Message("never", {}))
    assert scope.cancelled_caught
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.line.send, Message("after", {}))
        assert [message.kind for message in await peer.read(2)] == ["m", "after"]


async def test_to_a_peer_that_is_gone_nothing_is_sent(peer: Peer) -> None:
    await peer.line.send(Message("m", {}, bytes(5_000_000)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.line.send, Message("late", {}))
        await anyio.wait_all_tasks_blocked()
        peer.sock.close()
    await peer.ended.wait()
    await peer.line.send(Message("m", {}))
    await peer.line.send_soon(Message("m", {}))


async def test_what_is_no_message_ends_the_line(peer: Peer) -> None:
    peer.sock.send(encode(Message("good", {})) + b"\xff" * 8)
    await peer.ended.wait()
    assert peer.taken == [Message("good", {})]
