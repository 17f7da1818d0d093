"""Belljar's tools for clients of the Model Context Protocol (MCP): written once, for both of its transports.

`server` puts them together into a server of the official SDK's. Whoever serves says by `Sessions` where code runs: in
the gateway that is a container of the caller's tenant, in `belljar mcp` a jail of its own.

    tools     what there is to call: names, descriptions, schemas, and what those for files do
    runs      what those that run code do
    asked     what the tools take              answered  what they give back, as data and as blocks
    files     what lies in a session, by URI   watching  progress, while code runs
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from belljar import orders, results, states
from belljar.records import Limits

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

URI = "belljar://"
PATH = "/mcp"
"""Of a server, where these tools are over HTTP."""


@dataclass(frozen=True)
class Offer:
    """What the tools' descriptions tell of the place where code runs."""

    python: str
    packages: Mapping[str, str]
    """Versions by name."""
    direct: Sequence[str]
    """Packages that were asked for by name."""
    limits: Limits
    timeout_seconds: float
    most_text_bytes: int
    """Of each text that goes back to a model; a longer one is cut in its middle."""
    has_containers: bool
    """Calls may name the container and the runtime."""


@dataclass(frozen=True)
class Call:
    """Whose call it is, and which session it means."""

    context: ServerRequestContext[Any, Any]
    container: str | None = None
    """By name; None for the connection's own."""
    runtime: str | None = None
    """For a session that is made; None for the usual one."""


class Session(Protocol):
    """A place where code runs, while it is ours alone."""

    container: str | None
    """By which the caller may name it; None where there is but one."""
    has_to_be_named: bool
    """Nobody keeps it in mind: the next call has to name it, or gets another one."""
    note: str
    """What the caller is to know of it: that it is not what it was."""

    async def execute(
        self, run: orders.Run, on_event: Callable[[results.Event], None] | None = None
    ) -> results.Result:
        """Run code or calls; cancelling interrupts them. Raises BelljarError."""

    def read(self, file: results.WorkFile | results.Lying, offset: int = 0) -> AsyncIterator[bytes]:
        """A file of the last run, or one that was found. Raises InvalidRequest where it is not there any more."""

    async def files(self) -> states.Files:
        """What lies in the working directory."""

    async def find(self, path: str) -> results.Lying:
        """One of these. Raises NoSuchFile, InvalidRequest."""

    async def put(self, path: str, body: bytes | AsyncIterator[bytes]) -> None:
        """Write a file into the working directory, in place of one of that path. Raises InvalidRequest."""


class Sessions(Protocol):
    """Where the calls' code runs. Every method raises BelljarError where something outside of the code fails."""

    def offer(self) -> Offer:
        """What there is at the moment."""

    def use(self, call: Call, *, runs: bool) -> AbstractAsyncContextManager[Session]:
        """The session that the call means, alone: others wait in turn. It is made where the call names none and there
        is none. `runs` says that code will be run, which callers pay for."""

    def is_there(self, call: Call) -> bool:
        """Whether there is such a session, without making one."""

    async def reset(self, call: Call) -> None:
        """End it, and everything in it."""
