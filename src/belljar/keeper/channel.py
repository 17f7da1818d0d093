"""Talking to our own helpers inside: the boxer, the zygote, and where there are no boxes a session's warden."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from belljar import packets
from belljar.errors import JailUnavailable, KeeperLost, SessionLost
from belljar.keeper.waiting import Flag

START_SECONDS = 120
"""Until the zygote has imported everything."""
ANSWER_SECONDS = 30


@dataclass(frozen=True)
class Reply:
    packet: dict[str, Any]
    fds: list[int]


class PacketChannel:
    """Requests with numbers over a packet socket; packets without one go to `on_event`.

    Use as a task: `run` reads until the other end is gone, and then fails every request under way. The socket is the
    channel's to close.
    """

    def __init__(self, sock: socket.socket, name: str, on_event: Callable[[dict[str, Any]], None]) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._name = name
        self._on_event = on_event
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[Flag, list[Reply]]] = {}
        self.is_gone = False
        self._reader = -1
        """The descriptor that the loop waits for, if it does."""
        self._over = Flag()
        self._fault: Exception | None = None

    async def run(self) -> None:
        if not self._over.is_set():
            self._reader = self._sock.fileno()
            asyncio.get_running_loop().add_reader(self._reader, self._readable)
        try:
            await self._over.wait()
        finally:
            self._stop_reading()
            self.is_gone = True
            for answered, _ in self._waiting.values():
                answered.set()
        if self._fault is not None:
            raise self._fault

    def _stop_reading(self) -> None:
        if self._reader >= 0:
            asyncio.get_running_loop().remove_reader(self._reader)
            self._reader = -1

    def _end(self) -> None:
        # At once: whoever holds the socket may close it next.
        self._stop_reading()
        self._over.set()

    def _readable(self) -> None:
        try:
            self._take(*packets.receive(self._sock))
        except BlockingIOError:
            return
        except (EOFError, OSError):
            self._end()  # the other end is gone
        except Exception as error:  # noqa: BLE001 - `run` raises it
            self._fault = error
            self._end()

    def _take(self, packet: dict[str, Any], fds: list[int]) -> None:
        number = packet.get("id")
        if number in self._waiting:
            answered, slot = self._waiting[number]
            slot.append(Reply(packet, fds))
            answered.set()
        else:
            for fd in fds:
                if packet.get("event") == "box":
                    # Nobody waits for it any more, and without its pidfd nobody could ever end it.
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(fd, signal.SIGKILL)
                os.close(fd)
            if number is None:
                self._on_event(packet)  # else it answers somebody who has stopped waiting

    def close(self) -> None:
        """Let go of the socket, which tells the other end to end; `run` returns."""
        if self._sock.fileno() >= 0:
            self._end()
            anyio.notify_closing(self._sock)
            self._sock.close()

    async def ask(self, packet: dict[str, Any], fds: Sequence[int] = ()) -> Reply:
        """Send a request and wait for its answer. Raises KeeperLost when the other end is gone,
        SessionLost when it refuses."""
        number = next(self._numbers)
        answered, slot = Flag(), list[Reply]()
        self._waiting[number] = (answered, slot)
        try:
            if self.is_gone:
                raise KeeperLost(f"the {self._name} has ended")
            await self._send({**packet, "id": number}, fds)
            if not await answered.within(ANSWER_SECONDS):
                raise TimeoutError
        except (OSError, TimeoutError) as error:
            if isinstance(error, ConnectionError):
                self.is_gone = True  # what is read will say so as well
            raise SessionLost(f"the {self._name} does not answer: {error}") from error
        finally:
            del self._waiting[number]
        if not slot:
            raise KeeperLost(f"the {self._name} has ended")
        if "error" in slot[0].packet:
            raise SessionLost(f"the {self._name} failed: {slot[0].packet['error']}")
        return slot[0]

    async def _send(self, packet: dict[str, Any], fds: Sequence[int]) -> None:
        try:
            packets.send(self._sock, packet, fds)
        except BlockingIOError:
            await self._send_slowly(packet, fds)

    async def _send_slowly(self, packet: dict[str, Any], fds: Sequence[int]) -> None:
        with anyio.fail_after(ANSWER_SECONDS):
            while True:
                await anyio.wait_writable(self._sock)
                with contextlib.suppress(BlockingIOError):
                    packets.send(self._sock, packet, fds)
                    return


async def first_answer(sock: socket.socket, event: str) -> dict[str, Any]:
    """The next packet of a helper that is being started: `event`. Raises JailUnavailable with what it says instead."""
    sock.setblocking(False)
    try:
        with anyio.fail_after(START_SECONDS):
            await anyio.wait_readable(sock)
        packet, _ = packets.receive(sock)
    except (EOFError, OSError, TimeoutError) as error:
        raise JailUnavailable(f"no word of {event!r} came; standard error says more") from error
    if packet["event"] != event:
        raise JailUnavailable(str(packet.get("error", packet)))
    return packet


async def zygote_ready(sock: socket.socket, preload: Sequence[str]) -> dict[str, Any]:
    """What the zygote says when it has imported everything. Raises JailUnavailable when it cannot be forked."""
    try:
        ready = await first_answer(sock, "ready")
    except JailUnavailable as error:
        raise JailUnavailable(f"the zygote did not come up: {error}") from error
    if ready["threads"]:
        raise JailUnavailable(
            f"imports have left threads in the zygote ({', '.join(ready['threads'])}), which cannot be forked then: "
            f"take the module that starts them out of BELLJAR_PRELOAD ({', '.join(preload)})"
        )
    return ready
