"""Progress, while code runs: for callers that gave a token, once a second at most."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext

from belljar import results
from belljar.errors import BelljarError

_EVERY_SECONDS = 1.0
_MOST_CHARACTERS = 200


class Watch:
    """Knows the last line that code has printed."""

    def __init__(self) -> None:
        self._line = ""
        self._open = ""
        """What has come of the next line."""

    def on_event(self, event: results.Event) -> None:
        if isinstance(event, results.Stream):
            # A bar that is drawn again and again returns to the line's beginning.
            *whole, rest = event.text.replace("\r", "\n").split("\n")
            for number, line in enumerate(whole):
                self._keep(self._open + line if number == 0 else line)
            self._open = ((self._open if not whole else "") + rest)[:_MOST_CHARACTERS]
        elif isinstance(event, results.Display):
            self._keep("(a figure or value was shown)")

    def _keep(self, line: str) -> None:
        self._line = line.strip()[:_MOST_CHARACTERS] or self._line

    @property
    def line(self) -> str:
        return self._open.strip() or self._line


@asynccontextmanager
async def watched(context: ServerRequestContext[Any, Any]) -> AsyncIterator[Watch]:
    """A block in which code runs, whose events go to the watch: `progress` is the time in seconds, `message` the last
    line that was printed."""
    watch = Watch()
    if context.meta is None or context.meta.get("progress_token") is None:
        yield watch
        return
    failure: BelljarError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_tell, context, watch)
        try:
            yield watch
        except BelljarError as error:
            failure = error  # as it is, and not as a group of one
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _tell(context: ServerRequestContext[Any, Any], watch: Watch) -> None:
    began = anyio.current_time()
    while True:
        await anyio.sleep(_EVERY_SECONDS)
        seconds = round(anyio.current_time() - began, 1)
        await context.session.report_progress(seconds, None, watch.line or f"running, {seconds:g} s")
