"""MCP on standard input and output, whose tools are those of a Belljar server: for clients that start commands only.

What the client asks for is asked of the server's `/mcp`, in a session that is opened anew where the server has
forgotten it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import anyio.abc
import httpx2
from mcp import Client
from mcp.client.session import IncomingMessage
from mcp.client.streamable_http import streamable_http_client
from mcp.server.context import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    INTERNAL_ERROR,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    ResourceListChangedNotification,
)

from belljar.client.mcp import on_stdio
from belljar.client.refused import for_command, no_answer, words_of
from belljar.errors import BelljarError, Unauthenticated, Unreachable, only
from belljar.mcp import PATH
from belljar.mcp.server import BelljarServer

R = TypeVar("R")
Context = ServerRequestContext[Any, Any]

_CONNECT_SECONDS = 30
_SILENCE_SECONDS = 300
"""Of the server's; it says every 15 seconds that it goes on."""
_RUNTIME = "belljar-runtime"
_FORGOTTEN = ("Session not found", "Session terminated")
"""The SDK's words, at either end, for a session that is not known (any more): what was asked of it was not done."""


class Bridge:
    """A session with the server, opened when it is first needed."""

    def __init__(self, tasks: anyio.abc.TaskGroup, url: str, headers: dict[str, str]) -> None:
        self._tasks = tasks
        self._url = url.rstrip("/") + PATH
        self._headers = headers
        self._lock = anyio.Lock()
        self._client: Client | None = None
        self._over = anyio.Event()
        self.session: ServerSession | None = None
        """Of our own client's last call, to whom what the server says unasked is said."""

    async def client(self) -> Client:
        """Raises Unreachable, Unauthenticated."""
        async with self._lock:
            if self._client is None:
                self._over = anyio.Event()
                self._client = await self._tasks.start(self._hold, self._over)
            return self._client

    async def asked(self, ask: Callable[[Client], Awaitable[R]]) -> R:
        """What the server answers; in a new session where it has forgotten this one. Raises MCPError.

        A call that was broken off is not made again: its code may have run.
        """
        while True:
            try:
                client = await self.client()
            except BelljarError as error:
                raise MCPError(INTERNAL_ERROR, str(error)) from error
            try:
                return await ask(client)
            except MCPError as error:
                if error.message in _FORGOTTEN:
                    self.drop(client)
                    continue
                if error.code in (CONNECTION_CLOSED, INTERNAL_ERROR):
                    self.drop(client)
                raise await self._why(error) from error

    async def _why(self, error: MCPError) -> MCPError:
        """The error, or, where the server cannot be used at all, what is to be done about that."""
        if error.code not in (CONNECTION_CLOSED, INTERNAL_ERROR):
            return error
        try:
            await self.client()
        except BelljarError as cause:
            return MCPError(INTERNAL_ERROR, str(cause))
        return error

    def drop(self, client: Client) -> None:
        """The session is of no use any more."""
        if self._client is client:
            self._client = None
            self._over.set()

    async def _hold(self, over: anyio.Event, *, task_status: anyio.abc.TaskStatus[Client]) -> None:
        timeout = httpx2.Timeout(_CONNECT_SECONDS, read=_SILENCE_SECONDS)
        is_up = False
        try:
            async with httpx2.AsyncClient(headers=self._headers, timeout=timeout) as http:
                await self._look(http)
                transport = streamable_http_client(self._url, http_client=http)
                # A session, and not the stateless form: so the server keeps in mind which container is ours.
                async with Client(transport, mode="legacy", cache=None, message_handler=self._hear) as client:
                    is_up = True
                    task_status.started(client)
                    await over.wait()
        except (Exception, BaseExceptionGroup) as error:
            if is_up:
                return  # whoever asks next is told, or has another session
            raise self._unreachable(error) from error

    async def _hear(self, message: IncomingMessage) -> None:
        if isinstance(message, ResourceListChangedNotification) and self.session is not None:
            await self.session.send_resource_list_changed()

    async def _look(self, http: httpx2.AsyncClient) -> None:
        """Whether the server lets us in, which the SDK's client would not say so well."""
        answer = await http.get(self._url, headers={"accept": "text/event-stream"})
        if answer.status_code in (401, 402, 403, 429):
            words = for_command(words_of(answer) or "") or f"{answer.status_code} {answer.reason_phrase}"
            raise Unauthenticated(f"The server at {self._url} refuses: {words}")
        if answer.status_code == 404:
            raise Unreachable(f"What answers at {self._url} is no Belljar server that speaks MCP.")

    def _unreachable(self, error: BaseException) -> BelljarError:
        first: BaseException = error
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        if isinstance(first, BelljarError):
            return first
        return Unreachable(no_answer(self._url.removesuffix(PATH), first))


async def serve(url: str, api_key: str | None, runtime: str | None) -> int:
    """Serve until standard input ends, or a signal comes. Returns the exit code.

    Raises Unreachable and Unauthenticated where the server cannot be used at the beginning.
    """
    headers = {"x-api-key": api_key} if api_key else {}
    if runtime is not None:
        headers[_RUNTIME] = runtime

    @asynccontextmanager
    async def ready() -> AsyncIterator[BelljarServer]:
        try:
            async with anyio.create_task_group() as tasks:
                bridge = Bridge(tasks, url, headers)
                yield await _server(bridge)
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise only(group) from None

    return await on_stdio(ready)


async def _server(bridge: Bridge) -> BelljarServer:
    """A server that asks another one."""

    asked = bridge.asked

    async def list_tools(context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return await asked(lambda client: client.list_tools(cursor=params.cursor if params else None))

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        async def pass_on(progress: float, total: float | None, message: str | None) -> None:
            await context.session.report_progress(progress, total, message)

        has_token = context.meta is not None and context.meta.get("progress_token") is not None
        bridge.session = context.session
        return await asked(
            lambda client: client.call_tool(
                params.name, params.arguments, progress_callback=pass_on if has_token else None
            )
        )

    async def list_resources(context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        return await asked(lambda client: client.list_resources(cursor=params.cursor if params else None))

    async def list_templates(
        context: Context, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return await asked(lambda client: client.list_resource_templates())

    async def read_resource(context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        return await asked(lambda client: client.read_resource(params.uri))

    client = await bridge.client()
    about = client.server_info
    assert about is not None  # a server that shakes hands says it
    server = BelljarServer(
        about.name,
        title=about.title,
        version=about.version,
        description=about.description,
        instructions=client.instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )
    server.middleware.clear()
    return server
