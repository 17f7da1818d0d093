"""The caller's own tools as async functions inside the code: what they are asked goes out, their answers come in.

All that asks in one step of the code's event loop goes out together, so that calls made side by side arrive side by
side.
"""

from __future__ import annotations

import asyncio
import json
import select
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from belljar.frames import Message

_STEPS = 3
"""How many steps of the event loop nobody may have asked anything, before what was asked goes out: a task that was
started by a task asks one step later."""

Tool = Callable[..., Coroutine[Any, Any, str]]


class ClientTools:
    """The tools of one run. `listen` reads what has come from the keeper, and hands replies to `take`."""

    def __init__(self, control: int, send: Callable[[Message], None], listen: Callable[[], None]) -> None:
        self._control = control
        self._send = send
        self._listen = listen
        self._count = 0
        self._waiting: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Future[str]]] = {}
        self._asked: list[dict[str, Any]] = []
        self._reading: asyncio.AbstractEventLoop | None = None
        self._is_over = False

    def close(self) -> None:
        """The run is over: its functions are there still, for code that has kept them, and have nobody to ask."""
        self._is_over = True

    def function(self, name: str, description: str) -> Tool:
        """What the code calls: `await name({...})`, or with keywords. It returns the text of the answer."""

        async def call(given: dict[str, Any] | None = None, /, **more: Any) -> str:
            if given is not None and not isinstance(given, dict):
                raise TypeError(f"{name}() takes one dict of arguments, not {type(given).__name__}")
            return await self._ask(name, {**(given or {}), **more})

        call.__name__ = call.__qualname__ = name
        call.__doc__ = description
        return call

    async def _ask(self, name: str, given: dict[str, Any]) -> str:
        if self._is_over:
            raise RuntimeError(f"{name}() is not offered to this run")
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(f"{name}() can be called in the main thread only")
        json.dumps(given, allow_nan=False)  # raises here, where the code can see why
        loop = asyncio.get_running_loop()
        self._count += 1
        number = self._count
        future: asyncio.Future[str] = loop.create_future()
        self._waiting[number] = (loop, future)
        if not self._asked:
            loop.call_soon(self._ask_soon, loop, 0, _STEPS)
        self._asked.append({"ask": number, "name": name, "input": given})
        if self._reading is not loop:
            loop.add_reader(self._control, self._hear)
            self._reading = loop
        try:
            return await future
        finally:
            self._waiting.pop(number, None)
            if not self._waiting and self._reading is loop:
                loop.remove_reader(self._control)
                self._reading = None

    def _hear(self) -> None:
        """There was something to read when the loop looked; what it did first may have read that, to show a value."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        if poll.poll(0):
            self._listen()

    def _ask_soon(self, loop: asyncio.AbstractEventLoop, known: int, steps: int) -> None:
        """Send what was asked, unless more has been asked since the last step."""
        if len(self._asked) != known:
            steps = _STEPS
        if steps > 0:
            loop.call_soon(self._ask_soon, loop, len(self._asked), steps - 1)
            return
        asked, self._asked = self._asked, []
        self._send(Message("ask", {}, json.dumps(asked).encode("utf-8", "replace")))

    def take(self, reply: Message) -> None:
        """The answer to something that was asked; to what nobody waits for any more it is nothing."""
        loop, future = self._waiting.get(reply.head["ask"], (None, None))
        if loop is None or future is None or future.done():
            return
        text = reply.body.decode("utf-8", "replace")
        if reply.head["status"] == "answered":
            loop.call_soon_threadsafe(_set, future, text, None)
        else:
            error = TimeoutError(text) if reply.head["status"] == "timed_out" else RuntimeError(text)
            loop.call_soon_threadsafe(_set, future, "", error)


def _set(future: asyncio.Future[str], text: str, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(text)
    else:
        future.set_exception(error)
