"""Code without a model: one execution."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

import structlog

from belljar import document, errors, orders, results
from belljar.gateway import attachments, blocks, tokens
from belljar.gateway.activity import Activity
from belljar.gateway.files import TenantFiles
from belljar.gateway.kept import run_code
from belljar.gateway.parts import Parts
from belljar.gateway.placement import Container
from belljar.gateway.store import File
from belljar.gateway.tools import CODE, Ran
from belljar.imports import imported
from belljar.inputs import checked_names, decoded
from belljar.logged import clipped
from belljar.wire import media
from belljar.wire.execution import Execution, ExecutionFile, ExecutionRequest, LimitsRequest
from belljar.wire.ids import new_id

log = structlog.get_logger("belljar.gateway")

_READ_BYTES = 1024 * 1024
"""Of all kept files that go with one run, that are read ahead, to be looked at for imports and to travel with the code.
The others are passed on in pieces."""

Inputs = Mapping[str, tuple[str, bytes | Callable[[], AsyncIterator[bytes]]]]
"""By name: what a container knows the file by, and its content, or a way to read it."""


@dataclass(frozen=True)
class Watching:
    """Somebody who is told of an execution while it goes on."""

    begun: Callable[[str, str | None], None]
    """Its id, and its container's if it has one: a place has been found, and the code is about to be run."""
    on_event: Callable[[results.Event], None]


async def run(
    parts: Parts,
    asked: ExecutionRequest,
    activity: Activity,
    runtime: str | None = None,
    watching: Watching | None = None,
) -> Execution:
    """Run code as asked: in the container that is named, else in a fresh session that is gone afterwards.

    `runtime` is that of the header, for a request whose body names none.
    """
    execution_id = new_id("exec")
    if asked.runtime is not None:
        runtime = asked.runtime
    limits = parts.settings.limits(asked.limits)
    client = activity.client
    files = parts.files.of(client.tenant, client.most_stored_bytes)
    inputs = await _inputs(files, asked)
    if asked.container is not None:
        container = parts.placement.named(asked.container, client.tenant)
        runtime = parts.runtimes.chosen(runtime, container)
        if container is None:
            container = await parts.placement.create(
                limits, client.tenant, client.most_containers, runtime=runtime
            )
        else:
            _check_limits(container, asked.limits)
        ran, restored = await _run_in(
            parts, container, asked, inputs, files, activity, execution_id, watching
        )
    else:
        runtime = parts.runtimes.chosen(runtime, None)
        container = await parts.placement.create(limits, client.tenant, is_kept=False, runtime=runtime)
        try:
            ran, restored = await _run_in(
                parts, container, asked, inputs, files, activity, execution_id, watching
            )
        finally:
            await parts.placement.discard(container.id, "it was made for one execution")
    return document.execution(
        ran.result,
        execution_id=execution_id,
        container=container.id if asked.container is not None else None,
        runtime=runtime,
        restored=restored,
        also=ran.archive.word if ran.archive is not None else "",
        files=[_file(file, ran) for file in ran.files],
        isolation=parts.placement.description.isolation,
    )


async def _run_in(
    parts: Parts,
    container: Container,
    asked: ExecutionRequest,
    inputs: Inputs,
    files: TenantFiles,
    activity: Activity,
    execution_id: str,
    watching: Watching | None,
) -> tuple[Ran, str]:
    """The run, and what is to be said of a container that was asleep before."""
    is_fresh = asked.container is None
    bodies = {name: body for name, (_, body) in inputs.items() if isinstance(body, bytes)}
    imports = imported(asked.code, bodies) if is_fresh else None
    what = orders.Run(
        asked.code,
        asked.timeout_seconds or parts.settings.timeout_seconds,
        asked.stdin or "",
        asked.env,
        is_last=is_fresh,
        charts=asked.charts,
    )
    activity.container_id = container.id
    async with parts.placement.use(container.id, imports) as session:
        for name, (digest, body) in inputs.items():
            await session.put(name, digest, body)
        if watching is not None:
            watching.begun(execution_id, None if is_fresh else container.id)
        activity.has_run_code = True
        activity.meter.began(CODE)  # before: whoever hangs up has had it run all the same
        activity.meter.code_tokens += tokens.of_text(asked.code)
        on_event = watching.on_event if watching is not None else None
        ran = await activity.execution([CODE], run_code(session, what, files, on_event=on_event))
    meter = activity.meter
    if parts.settings.log_content:
        log.info("code was run", code=clipped(asked.code))
        log.info("code has printed", stdout=clipped(ran.result.stdout), stderr=clipped(ran.result.stderr))
    meter.result_tokens += tokens.of_text(ran.result.stdout) + tokens.of_text(ran.result.stderr)
    pictures = sum(
        not media.IMAGES.isdisjoint(o.data) for o in ran.result.outputs if isinstance(o, results.Display)
    )
    meter.images += pictures
    meter.image_tokens += pictures * tokens.IMAGE_TOKENS
    return ran, session.restored


def _check_limits(container: Container, asked: LimitsRequest | None) -> None:
    for name, value in (asked.model_dump(exclude_none=True) if asked else {}).items():
        own = getattr(container.limits, name)
        if value != own:
            raise errors.InvalidRequest(
                f"limits.{name}: the container {container.id} was made with {own}, and limits do not change "
                "in a container's life. Leave `limits` out, or make a new container."
            )


async def _inputs(files: TenantFiles, asked: ExecutionRequest) -> Inputs:
    """The files that are asked for. Many names may be of one large file."""
    checked_names(asked.files)
    is_fresh = asked.container is None
    found: dict[str, tuple[str, bytes | Callable[[], AsyncIterator[bytes]]]] = {}
    left = _READ_BYTES
    for index, file in enumerate(asked.files):
        path = f"files.{index}"
        if (file.data is None) == (file.file_id is None):
            raise errors.InvalidRequest(f"{path}: give either `data` (base64) or `file_id`")
        body: bytes | Callable[[], AsyncIterator[bytes]]
        if file.data is not None:
            body = decoded(file.data, f"{path}.data")
        else:
            blocks.check_id(file.file_id or "", f"{path}.file_id")
            kept = await files.find(file.file_id or "")
            pieces = await files.open(kept)  # here it is said where it is gone
            if kept.size_bytes <= left:
                left -= kept.size_bytes
                body = b"".join([piece async for piece in pieces])
            else:
                body = files.reader(kept.id)
        # By its digest an attachment of a later request knows it; a session of one run has none.
        digest = ""
        if not is_fresh:
            digest = attachments.digest_of(body) if isinstance(body, bytes) else file.file_id or ""
        found[file.name] = (digest, body)
    return found


def _file(file: File, ran: Ran) -> ExecutionFile:
    is_archive = ran.archive is not None and file.id == ran.archive.file_id
    return ExecutionFile(
        file_id=file.id,
        filename=file.filename,
        path=file.path,
        mime_type=file.mime_type,
        size_bytes=file.size_bytes,
        change="modified" if file.id in ran.modified else "created",
        holds=len(ran.archive.paths) if ran.archive is not None and is_archive else 0,
        chart=ran.charts.get(file.id),
    )
