"""What a run prints and shows, on its way to a client that watches it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import anyio

from belljar import document, results
from belljar.errors import BelljarError
from belljar.gateway.sse import Emit, Event
from belljar.wire.execution import json_of

R = TypeVar("R")


class Feed:
    """Events that have not been sent yet.

    Where a client reads slowly they are folded: text is joined, what was replaced or taken back meanwhile is dropped.
    So they are never more than what the run may give back at all.
    """

    def __init__(self) -> None:
        self._begun: Event | None = None
        self._unsent: list[results.Event] = []
        self._sent: set[str | None] = set()
        """Ids of displays that the client has."""
        self._came = anyio.Event()
        self._is_closed = False

    def begin(self, execution_id: str, container: str | None) -> None:
        """The code is about to be run."""
        self._begun = {"type": "started", "id": execution_id, "container": container}
        self._came.set()

    def add(self, event: results.Event) -> None:
        unsent = self._unsent
        last = unsent[-1] if unsent else None
        if (
            isinstance(event, results.Stream)
            and isinstance(last, results.Stream)
            and (last.name, last.call) == (event.name, event.call)
        ):
            unsent[-1] = replace(event, text=last.text + event.text)
        elif not (isinstance(event, results.Display) and self._replaces(event)):
            if isinstance(event, results.Clear) and not event.wait:
                unsent[:] = [one for one in unsent if isinstance(one, results.Stream)]
            unsent.append(event)
        self._came.set()

    def _replaces(self, event: results.Display) -> bool:
        """Whether it has taken the place of the one unsent event of its id. Where the client has others, or is about
        to, it needs to hear of it besides."""
        if event.type != "update_display_data":
            return False
        unsent, name = self._unsent, event.display_id
        places = [
            (at, one)
            for at, one in enumerate(unsent)
            if isinstance(one, results.Display) and one.display_id == name
        ]
        match places:
            case [(at, one)] if one.type == event.type or name not in self._sent:
                unsent[at] = replace(event, type=one.type)
                return True
        for at, one in reversed(places):
            if one.type == event.type:
                del unsent[at]
        return False

    def close(self) -> None:
        """Nothing more comes."""
        self._is_closed = True
        self._came.set()

    async def events(self) -> AsyncIterator[Event]:
        """Each as the client gets it, until nothing more comes."""
        while True:
            if self._begun is not None:
                begun, self._begun = self._begun, None
                yield begun
            while self._unsent:
                event = self._unsent.pop(0)
                if isinstance(event, results.Display):
                    self._sent.add(event.display_id)
                yield shown(event)
            if self._is_closed:
                return
            self._came = anyio.Event()
            await self._came.wait()


async def watched(run: Callable[[Feed], Awaitable[R]], emit: Emit) -> R:
    """What `run` comes to, while what it tells its feed is passed on; all of it has been when this ends.

    The run waits for nobody: where the client reads slowly, it ends before that.
    """
    feed = Feed()
    done: list[R] = []
    failure: BelljarError | None = None

    async def pass_on() -> None:
        async for event in feed.events():
            await emit(event)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pass_on)
        try:
            done.append(await run(feed))
        except BelljarError as error:
            failure = error  # as it is, and not as a group of one
        finally:
            feed.close()
    if failure is not None:
        raise failure
    return done[0]


def shown(event: results.Event) -> Event:
    """An event as the client gets it: an output as the document has it, or a word that what was shown is taken back.

    What one of several calls has written has its number besides, as `call`.
    """
    if isinstance(event, results.Clear):
        return {"type": "clear_output", "wait": event.wait}
    output: dict[str, Any] = json_of(document.output_of(event))
    if isinstance(event, results.Stream) and event.call is not None:
        output["call"] = event.call
    return output
