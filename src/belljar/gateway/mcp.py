"""MCP over HTTP: `/mcp`, by the official SDK, on the containers of the caller's tenant.

Clients of up to 2025-11-25 shake hands, and have a session of the protocol's, which has a container of its own; it
ends with the session. From 2026-07-28 on there are no such sessions: each answer names the container, and the next call
takes its name along. A client of the older kind may name one too.

The SDK takes half a second to import, so that is done when the first request comes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from importlib import import_module
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import anyio.abc
import anyio.to_thread
import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from belljar import orders, results, states
from belljar.cutting import BYTES_A_TOKEN
from belljar.errors import BelljarError, InvalidRequest, NotFound, RateLimited
from belljar.gateway import placement as places
from belljar.gateway import tokens
from belljar.gateway.activity import Activity, activity_of
from belljar.gateway.runtimes import HEADER
from belljar.gateway.tools import BASH, CODE, Ran
from belljar.mcp import Call, Offer, Session

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from belljar.gateway.parts import Parts

log = structlog.get_logger("belljar.gateway")

_MOST_SESSIONS = 1000
"""Of the protocol's, for each tenant: each holds a few tasks, while nobody uses it."""
_RETRY_SECONDS = 60
_ENDED = "the MCP session that it belonged to ended"
_UNANSWERED = "the call that it was made for has no answer that names it"
_RENEWED = "The container before this one is gone, with its variables and files. This one is new."


class OriginRefused(BelljarError):
    """A page of somebody else's, in a browser, would have code run here."""

    status = 403
    kind = "permission_error"


class Hung(BelljarError):
    """The caller is gone, and nobody waits for the answer."""


class Endpoint:
    """What answers at `/mcp`. Made by `open_endpoint`."""

    def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
        self._tasks = tasks
        self._lock = anyio.Lock()
        self._apps: dict[str, ASGIApp] = {}
        """By tenant, so that none takes up the sessions of another."""
        self._managers: set[StreamableHTTPSessionManager] = set()
        self.is_ending = False
        """The server ends, and containers outlive it."""

    async def app(self, parts: Parts, tenant: str) -> ASGIApp:
        """The SDK's application for a tenant, made when it is first asked for."""
        async with self._lock:
            if tenant not in self._apps:
                for module in ("belljar.mcp.server", "mcp.server.streamable_http_manager"):
                    await anyio.to_thread.run_sync(import_module, module)
                self._apps[tenant] = await self._tasks.start(self._serve, parts, tenant)
            return self._apps[tenant]

    async def _serve(self, parts: Parts, tenant: str, *, task_status: anyio.abc.TaskStatus[ASGIApp]) -> None:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        from belljar.mcp.server import server_of

        settings = parts.settings
        manager = StreamableHTTPSessionManager(
            app=server_of(ContainerSessions(parts, self)),
            max_request_body_size=settings.max_body_bytes,
            session_idle_timeout=settings.container_idle_seconds,
            max_sessions=_MOST_SESSIONS,
        )
        use = _Use()
        self._managers.add(manager)
        try:
            async with manager.run():
                app = self._bounded(manager.asgi_app, settings.max_containers)
                task_status.started(_of_their_keys(use.counted(app)))
                try:
                    # A session ends when it was idle for so long: after twice that there is none.
                    await use.is_idle(2 * settings.container_idle_seconds)
                finally:
                    self._apps.pop(tenant, None)  # the next request begins anew
        except Exception:  # no fault of the SDK's ends the server: its sessions are gone
            log.exception("what answers at /mcp has failed", tenant=tenant)
        finally:
            self._managers.discard(manager)

    def _bounded(self, app: ASGIApp, most: int) -> ASGIApp:
        """The application, which opens a session only where all tenants together have fewer than `most`."""
        from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            headers = Headers(scope=scope)
            has_none = "mcp-session-id" not in headers
            version = headers.get("mcp-protocol-version", HANDSHAKE_PROTOCOL_VERSIONS[0])
            if has_none and version in HANDSHAKE_PROTOCOL_VERSIONS:
                # The SDK has no other way to them.
                there = sum(len(manager._server_instances) for manager in self._managers)
                if there >= most:
                    raise RateLimited(
                        f"There are {there:,} MCP sessions, as many as may be containers (BELLJAR_MAX_CONTAINERS). End "
                        "one (DELETE /mcp), or wait until one has not been used for a while.",
                        retry_after=_RETRY_SECONDS,
                    )
            await app(scope, receive, send)

        return answer


class _Use:
    """Whether anybody still asks a tenant's application: thousands of tenants may have asked it once."""

    def __init__(self) -> None:
        self._under_way = 0
        self._last = anyio.current_time()

    def counted(self, app: ASGIApp) -> ASGIApp:
        """The application, whose requests are seen here."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            self._under_way += 1
            try:
                await app(scope, receive, send)
            finally:
                self._under_way -= 1
                self._last = anyio.current_time()

        return answer

    async def is_idle(self, seconds: float) -> None:
        """Waits until nobody has asked for so long, and nobody listens."""
        while True:
            left = self._last + seconds - anyio.current_time()
            if left <= 0 and not self._under_way:
                return
            await anyio.sleep(left if left > 0 else seconds)


@asynccontextmanager
async def open_endpoint() -> AsyncIterator[Endpoint]:
    async with anyio.create_task_group() as tasks:
        endpoint = Endpoint(tasks)
        try:
            yield endpoint
        finally:
            endpoint.is_ending = True
            tasks.cancel_scope.cancel()


def _of_their_keys(app: ASGIApp) -> ASGIApp:
    """The SDK's application, to which a request says whose it is: a session answers to the key alone that opened it."""
    from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
    from mcp.server.auth.provider import AccessToken

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        client = activity_of(scope).client
        if client.has_key:
            token = AccessToken(token="", client_id=client.key_id, scopes=[])
            scope = {**scope, "user": AuthenticatedUser(token)}
        await app(scope, receive, send)

    return answer


def check_origin(host: str | None, origin: str | None, *, is_open: bool) -> None:
    """Raises OriginRefused where a browser shows a page of somebody else's.

    Where no API key is asked for, a page could reach the server by a name of its own that it has lead to this machine:
    so the host has to be an address, or `localhost`. A page knows no key; and who `is_open` on purpose has any name.
    A page's origin has to be that of the host, or of this machine.
    """
    name = _name_of(f"//{host}") if host else None
    if not is_open and name != "localhost" and _address(name) is None:
        raise OriginRefused(
            f"The host {host!r} is a name, and without API keys it might be anybody's: use http://127.0.0.1, or make a "
            "key (belljar keys create)."
        )
    if origin is None:
        return
    page = _name_of(origin)
    address = _address(page)
    is_here = page == "localhost" or (address is not None and address.is_loopback)
    if not is_here and (page is None or urlsplit(origin).netloc != host):
        raise OriginRefused(
            f"Pages of {origin!r} may not use this server: its origin is none of the server's."
        )


def _name_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _address(name: str | None) -> IPv4Address | IPv6Address | None:
    try:
        return None if name is None else ip_address(name)
    except ValueError:
        return None


class ContainerSession:
    """See `mcp.Session`."""

    def __init__(
        self, parts: Parts, activity: Activity, own: places.Session, *, has_to_be_named: bool, note: str
    ) -> None:
        self._parts = parts
        self._activity = activity
        self._own = own
        self.container: str | None = own.container_id
        self.has_to_be_named = has_to_be_named
        self.note = " ".join(filter(None, (note, own.restored)))

    async def execute(
        self, run: orders.Run, on_event: Callable[[results.Event], None] | None = None
    ) -> results.Result:
        activity, meter = self._activity, self._activity.meter
        activity.has_run_code = True
        kind = BASH if run.calls else CODE
        code = run.code or "".join(call.text for call in run.calls if isinstance(call, orders.Command))
        meter.began(kind)
        meter.code_tokens += tokens.of_text(code)
        result = (await activity.execution([kind], self._run(run, on_event))).result
        printed = [result.stdout, result.stderr]
        for call in result.calls:
            printed += call.stdout, call.stderr
        meter.result_tokens += sum(map(tokens.of_text, printed))
        return result

    async def _run(self, run: orders.Run, on_event: Callable[[results.Event], None] | None) -> Ran:
        return Ran(await self._own.execute(run, on_event), [], call=0 if run.calls else None)

    def read(self, file: results.WorkFile | results.Lying, offset: int = 0) -> AsyncIterator[bytes]:
        return self._own.read(file, offset)

    async def files(self) -> states.Files:
        return await self._own.files()

    async def find(self, path: str) -> results.Lying:
        return await self._own.find(path)

    async def put(self, path: str, body: bytes | AsyncIterator[bytes]) -> None:
        await self._own.put(path, "", body if isinstance(body, bytes) else lambda: body)


class ContainerSessions:
    """The containers of whoever calls. See `mcp.Sessions`."""

    def __init__(self, parts: Parts, endpoint: Endpoint) -> None:
        self._parts = parts
        self._endpoint = endpoint

    def offer(self) -> Offer:
        settings = self._parts.settings
        about = self._parts.runtimes.installed(settings.default_runtime)
        return Offer(
            python=about.python,
            packages=about.packages,
            direct=about.direct,
            limits=settings.limits(),
            timeout_seconds=settings.timeout_seconds,
            most_text_bytes=settings.result_tokens * BYTES_A_TOKEN,
            has_containers=True,
        )

    @asynccontextmanager
    async def use(self, call: Call, *, runs: bool) -> AsyncIterator[Session]:
        activity = _activity(call)
        parts, client = self._parts, activity.client
        # The SDK runs an older client's call in the session's task, and not in the request's, with which it has to end.
        with activity.ending_with_it() as scope:
            if runs:
                await parts.admit(activity)
            with client.execution() if runs else nullcontext():
                async with self._container(call, activity) as (container, note):
                    activity.container_id = container
                    async with parts.placement.use(container) as own:
                        is_kept_in_mind = _memory(call) is not None
                        yield ContainerSession(
                            parts, activity, own, has_to_be_named=not is_kept_in_mind, note=note
                        )
        if scope.cancelled_caught:
            raise Hung("The caller has hung up, and what was under way was interrupted.")

    @asynccontextmanager
    async def _container(self, call: Call, activity: Activity) -> AsyncIterator[tuple[str, str]]:
        """The id of the container that a call means, made where there is none, and what is to be said of that.

        One that only the call's answer would have named ends where there is no such answer: nobody could ever use it.
        """
        container, note, is_known = await self._found(call, activity)
        try:
            yield container, note
        except BaseException:
            if not is_known:
                await self._parts.placement.discard(container, _UNANSWERED)
            raise

    async def _found(self, call: Call, activity: Activity) -> tuple[str, str, bool]:
        """The same, and whether anybody knows it before the answer."""
        parts, tenant = self._parts, activity.client.tenant
        runtime = call.runtime if call.runtime is not None else _request(call).headers.get(HEADER)
        if call.container is not None:
            named = parts.placement.named(call.container, tenant)
            runtime = parts.runtimes.chosen(runtime, named)
            if named is not None:
                return named.id, "", True
            return await self._made(activity, runtime), _RENEWED, False
        memory = _memory(call)
        if memory is None:
            return await self._made(activity, parts.runtimes.chosen(runtime, None)), "", False
        async with memory.setdefault("lock", anyio.Lock()):
            own, note = memory.get("container"), ""
            if own is not None:
                try:
                    container = parts.placement.find(own, tenant)
                except NotFound:
                    note = _RENEWED
                else:
                    parts.runtimes.chosen(call.runtime, container)
                    return own, "", True
            made = await self._made(activity, parts.runtimes.chosen(runtime, None))
            if "container" not in memory:
                call.context.session._connection.exit_stack.push_async_callback(self._forget, memory)
            memory["container"] = made
            return made, note, True

    async def _made(self, activity: Activity, runtime: str) -> str:
        client = activity.client
        made = await self._parts.placement.create(
            self._parts.settings.limits(), client.tenant, client.most_containers, runtime=runtime
        )
        return made.id

    async def _forget(self, memory: dict[str, Any]) -> None:
        """The session has ended, and its container with it; but where the server ends, it is put away as all others."""
        if not self._endpoint.is_ending and memory["container"] is not None:
            await self._parts.placement.discard(memory["container"], _ENDED)

    def is_there(self, call: Call) -> bool:
        tenant = _activity(call).client.tenant
        container = self._meant(call)
        if container is None:
            return False
        try:
            self._parts.placement.find(container, tenant)
        except NotFound:
            return False
        return True

    async def reset(self, call: Call) -> None:
        tenant = _activity(call).client.tenant
        container = self._meant(call)
        if container is None:
            raise InvalidRequest("container: say which one is to be ended")
        self._parts.placement.find(container, tenant)
        await self._parts.placement.delete(container, "it was reset")
        memory = _memory(call)
        if memory is not None and memory.get("container") == container:
            memory["container"] = None

    def _meant(self, call: Call) -> str | None:
        if call.container is not None:
            return call.container
        memory = _memory(call)
        return None if memory is None else memory.get("container")


def _request(call: Call) -> Request:
    request = call.context.request
    assert isinstance(request, Request)  # over HTTP there always is one
    return request


def _activity(call: Call) -> Activity:
    return activity_of(_request(call).scope)


def _memory(call: Call) -> dict[str, Any] | None:
    """What is kept in mind of the session of a client that shook hands; None where there is no session."""
    connection = call.context.session._connection  # the SDK has no other way to it
    state: dict[str, Any] = connection.state
    return None if connection.session_id is None else state
