"""What code prints and shows while the model waits for its end, for a client that asks for it: an extension of ours.

The official stream has a result when the code has ended. With the header `belljar-live: output` events `code_output`
come before it; who knows no such events does not ask for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio

from belljar import document, results
from belljar.errors import InvalidRequest
from belljar.gateway.sse import Emit, Event

HEADER = "belljar-live"
OUTPUT = "output"


def is_asked(header: str | None) -> bool:
    """Whether a request's header asks for it. Raises InvalidRequest."""
    if header not in (None, OUTPUT):
        raise InvalidRequest(f"{HEADER}: it has to be `{OUTPUT}`, or be left out")
    return header == OUTPUT


class Hearing:
    """Passes on what code says, in order, and no faster than the client reads."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._unsent: list[tuple[str, results.Event]] = []
        self._came = anyio.Event()
        self._turn = anyio.Lock()

    def of(self, use_id: str) -> Callable[[results.Event], None]:
        """What hears the code of one use, by the client's id of it."""

        def hear(event: results.Event) -> None:
            last = self._unsent[-1] if self._unsent else None
            if (
                last is not None
                and last[0] == use_id
                and isinstance(event, results.Stream)
                and isinstance(last[1], results.Stream)
                and last[1].name == event.name
            ):
                event = results.Stream(event.name, last[1].text + event.text)
                self._unsent.pop()
            self._unsent.append((use_id, event))
            self._came.set()

        return hear

    async def pass_on(self) -> None:
        """Until cancelled."""
        while True:
            await self._came.wait()
            self._came = anyio.Event()
            await self.catch_up()

    async def catch_up(self) -> None:
        """Pass on what is here, so that nothing of it comes behind what is sent next."""
        async with self._turn:
            while self._unsent:
                use_id, event = self._unsent.pop(0)
                await self._emit({"type": "code_output", "tool_use_id": use_id, "output": shown(event)})


def shown(event: results.Event) -> Event:
    """An event as a client gets it: an output as the document has it, or a word that what was shown is taken back."""
    if isinstance(event, results.Clear):
        return {"type": "clear_output", "wait": event.wait}
    output: dict[str, Any] = document.output_of(event).model_dump(mode="json")
    return output
