"""The server that the official SDK serves: what a client may ask for, and who answers."""

from __future__ import annotations

from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Tool,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

import belljar
from belljar.errors import BelljarError, InvalidRequest, NotFound
from belljar.mcp import Call, Offer, Sessions, files, tools

Context = ServerRequestContext[Any, Any]

_INSTRUCTIONS = (
    "A sandbox for Python and shell commands, without network. run_python keeps variables and files from call to call; "
    "all tools share one working directory. Put data there with put_file, or in `files` of run_python."
)
_OF_CONTAINERS = (
    " Where an answer names a `container`, pass it on in the next call: without it a client that keeps no session gets "
    "a new, empty one each time."
)


class BelljarServer(Server[Any]):
    """The SDK's, which says that the list of resources changes."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        return super().create_initialization_options(
            notification_options or NotificationOptions(resources_changed=True),
            experimental_capabilities,
            extensions,
        )


class Catalogue:
    """The tools as clients are told of them, made anew where the offer is another one."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._made: tuple[Offer, dict[str, Tool]] | None = None

    def tools(self) -> dict[str, Tool]:
        offer = self._sessions.offer()
        if self._made is None or self._made[0] != offer:
            self._made = offer, {kind.name: kind.told(offer) for kind in tools.KINDS}
        return self._made[1]

    def input_schema(self, name: str) -> dict[str, Any] | None:
        tool = self.tools().get(name)
        return None if tool is None else tool.input_schema


def server_of(sessions: Sessions) -> BelljarServer:
    """A server whose tools run code in `sessions`."""

    catalogue = Catalogue(sessions)

    async def list_tools(context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=list(catalogue.tools().values()))

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        return await tools.call(sessions, context, params.name, params.arguments or {})

    async def list_resources(context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        cursor = params.cursor if params is not None else None
        try:
            return await files.listed(sessions, Call(context), cursor)
        except BelljarError as error:
            raise _refused(error) from error

    async def list_templates(
        context: Context, params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return files.templates(has_containers=sessions.offer().has_containers)

    async def read_resource(context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        is_modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        try:
            container, path = files.place_of(params.uri)
            call = Call(context, container)
            return await files.read(sessions, call, params.uri, path, is_modern=is_modern)
        except BelljarError as error:
            raise _refused(error) from error

    has_containers = sessions.offer().has_containers
    server = BelljarServer(
        "belljar",
        title="Belljar",
        version=belljar.__version__,
        description="Runs Python and shell commands in a jail.",
        instructions=_INSTRUCTIONS + (_OF_CONTAINERS if has_containers else ""),
        get_tool_input_schema=catalogue.input_schema,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )
    server.middleware.clear()  # spans of requests are the gateway's own
    return server


def _refused(error: BelljarError) -> MCPError:
    is_callers = isinstance(error, InvalidRequest | NotFound)
    return MCPError(INVALID_PARAMS if is_callers else INTERNAL_ERROR, str(error))
