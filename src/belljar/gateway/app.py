"""The gateway, put together in one place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from belljar.gateway import page, pricing
from belljar.gateway.access import open_access
from belljar.gateway.activity import UnderWay
from belljar.gateway.blobs import Blobs
from belljar.gateway.bodies import InHand
from belljar.gateway.envelope import Envelope
from belljar.gateway.files import Files
from belljar.gateway.mcp import open_endpoint
from belljar.gateway.parts import Parts
from belljar.gateway.pending import PendingRuns, open_pending_runs
from belljar.gateway.pictures import Pictures
from belljar.gateway.placement import Placement
from belljar.gateway.placement.local import KeeperStart, open_placement
from belljar.gateway.placement.sleeping import Shelf
from belljar.gateway.routes import route_names, routes, streamed
from belljar.gateway.runtimes import Choices
from belljar.gateway.search.opening import open_search
from belljar.gateway.store.sqlite import open_store
from belljar.gateway.telemetry import Telemetry
from belljar.gateway.timeline import Timelines
from belljar.gateway.tracing import open_tracing
from belljar.gateway.upstream.opening import open_upstream
from belljar.gateway.usage import Ledger, open_ledger
from belljar.settings import Settings

log = structlog.get_logger("belljar.gateway")

_SWEEP_SECONDS = 60
_ORPHANS_SECONDS = 3600
"""Blobs without a record are looked for so often: that reads all there is."""


def application(settings: Settings, under_way: UnderWay, parts: Parts) -> ASGIApp:
    """The endpoints, on parts that live longer than the application."""
    endpoints = routes()
    parts.telemetry.name_routes(route_names(endpoints))
    app = Starlette(routes=endpoints)
    app.state.parts = parts
    app.router.redirect_slashes = False  # an unknown path is an error, in the envelope

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        # Past Starlette's own middlewares: what they do with errors, the envelope does.
        scope["app"] = app
        try:
            await app.router(scope, receive, send)
        except HTTPException as error:
            if error.status_code != 405:
                raise
            # The router knows of the first route with this path only, and several methods may have one each.
            found = (route for route in endpoints if route.matches(scope)[0] is not Match.NONE)
            allowed = sorted({method for route in found for method in route.methods or ()})
            raise HTTPException(405, headers={"allow": ", ".join(allowed)}) from error

    return Envelope(
        routed,
        parts.access,
        settings.max_body_bytes,
        InHand(settings.all_bodies_bytes),
        streamed(settings),
        under_way,
        parts.telemetry,
        parts.ledger,
        parts.timelines,
        settings.body_silence_seconds,
        parts.tracing,
    )


@asynccontextmanager
async def open_parts(settings: Settings, keeper_start: KeeperStart) -> AsyncIterator[Parts]:
    """Everything that lives as long as the gateway. What cannot work is found before the keeper starts."""
    telemetry, plan = Telemetry(), pricing.load(settings.price_plan)
    async with (
        open_tracing(settings.otel_endpoint) as tracing,
        open_upstream(settings) as upstream,
        open_search(settings, upstream.kind) as search,
        open_store(settings.state_dir / "belljar.sqlite3") as store,
    ):
        blobs = Blobs(settings.state_dir / "blobs")
        files = Files(store, blobs, settings.file_keep_seconds, settings.tenant_stored_files)
        shelf = Shelf(store, blobs)
        await files.remove_orphans(await shelf.archive_keys())
        access = await open_access(store, settings.tenant_stored_bytes)
        async with (
            open_placement(settings, keeper_start, shelf, telemetry) as placement,
            open_pending_runs(placement, settings.tool_reply_seconds) as pending,
            open_ledger(store, plan) as ledger,
            open_endpoint() as endpoint,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(_sweep, files, shelf, placement, pending, ledger, settings)
            yield Parts(
                settings,
                placement,
                pending,
                files,
                Choices(settings, placement),
                upstream,
                telemetry,
                access,
                Pictures(placement, settings),
                search,
                ledger,
                store,
                endpoint,
                Timelines(),
                page.load() if settings.page else None,
                tracing,
            )
            tasks.cancel_scope.cancel()


async def _sweep(
    files: Files,
    shelf: Shelf,
    placement: Placement,
    pending: PendingRuns,
    ledger: Ledger,
    settings: Settings,
) -> None:
    """Delete what has expired and put away what is not used, now and then."""
    orphans_at = anyio.current_time() + _ORPHANS_SECONDS
    while True:
        await anyio.sleep(
            min(
                _SWEEP_SECONDS,
                settings.container_idle_seconds / 4,
                settings.container_sleep_seconds / 4,
                settings.file_keep_seconds / 4,
            )
        )
        try:
            await placement.sweep()
            pending.sweep()
            await files.sweep()
            await ledger.prune(settings.usage_keep_days)
            if anyio.current_time() >= orphans_at:
                orphans_at = anyio.current_time() + _ORPHANS_SECONDS
                await files.remove_orphans(await shelf.archive_keys())
        except Exception:  # a full disk must not end the server; the next sweep comes
            log.exception("the sweep failed")
