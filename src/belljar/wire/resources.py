"""The documents of everything that has an id and can be asked for again, and the error envelope."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from belljar.records import IdleMemory, Limits
from belljar.wire.execution import Isolation, LimitsRequest

Lifecycle = Literal["active", "deprecated", "retired"]


def rfc3339(microseconds: int) -> str:
    """A time of the store, microseconds since 1970, as on the wire: `2026-04-24T11:13:36.730129Z`."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest:06d}Z"


class FileScope(BaseModel):
    """The container in which a file was made, as the beta's clients call it."""

    type: Literal["session"] = "session"
    id: str


class FileDocument(BaseModel):
    """The answer of POST /v1/files and GET /v1/files/{id}."""

    id: str
    type: Literal["file"] = "file"
    filename: str
    mime_type: str
    size_bytes: int
    created_at: str
    expires_at: str | None
    downloadable: bool
    scope: FileScope | None


class FileList(BaseModel):
    """The answer of GET /v1/files: what clients of both of its forms look for."""

    data: list[FileDocument]
    next_page: str | None
    has_more: bool
    first_id: str | None
    last_id: str | None


class FileDeleted(BaseModel):
    """The answer of DELETE /v1/files/{id}."""

    id: str
    type: Literal["file_deleted"] = "file_deleted"


class ContainerRequest(BaseModel):
    """The body of POST /v1/containers."""

    model_config = ConfigDict(extra="forbid", strict=True)

    limits: LimitsRequest | None = None
    runtime: str | None = None
    """The name of what code in it runs in; else the server's own."""


class ContainerUse(BaseModel):
    """What a container's session holds at the moment."""

    memory_bytes: int
    pids: int
    """Processes and threads."""
    disk_bytes: int
    cpu_seconds: float
    """That it has taken since its session was made."""


class ContainerDocument(BaseModel):
    """The answer of POST /v1/containers and GET /v1/containers/{id}."""

    id: str
    type: Literal["container"] = "container"
    created_at: str
    last_used_at: str
    expires_at: str
    limits: Limits
    runtime: str
    isolation: Isolation
    state: Literal["running", "idle", "asleep"]
    use: ContainerUse | None = None
    """Of one that is asked for by its id and has a session; None otherwise."""


class ContainerList(BaseModel):
    """The answer of GET /v1/containers."""

    data: list[ContainerDocument]
    has_more: bool
    first_id: str | None
    last_id: str | None


class ContainerFileDocument(BaseModel):
    """The answer of PUT /v1/containers/{id}/files/{path}."""

    path: str
    """Relative to the working directory."""
    type: Literal["container_file"] = "container_file"
    size_bytes: int
    changed_at: str


class ContainerFileList(BaseModel):
    """The answer of GET /v1/containers/{id}/files."""

    data: list[ContainerFileDocument]
    is_whole: bool
    """Else there are more than one look takes in."""


class ContainerFileDeleted(BaseModel):
    """The answer of DELETE /v1/containers/{id}/files/{path}."""

    path: str
    type: Literal["container_file_deleted"] = "container_file_deleted"


class ContainerDeleted(BaseModel):
    """The answer of DELETE /v1/containers/{id}."""

    id: str
    type: Literal["container_deleted"] = "container_deleted"


class TokenCount(BaseModel):
    """The answer of POST /v1/messages/count_tokens."""

    input_tokens: int


class ModelDocument(BaseModel):
    """The answer of GET /v1/models/{id}."""

    id: str
    type: Literal["model"] = "model"
    display_name: str
    created_at: str
    lifecycle: Lifecycle = "active"
    deprecated_at: str | None = None
    retires_at: str | None = None
    line: str | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    capabilities: dict[str, Any]
    """By name, `{supported: bool, …}`: of this server for what it does itself, else as the model server says."""


class ModelList(BaseModel):
    """The answer of GET /v1/models."""

    data: list[ModelDocument]
    has_more: bool
    first_id: str | None
    last_id: str | None


class TierHealth(BaseModel):
    name: str
    state: Literal["warming", "ready", "failed"]
    why: str


class RuntimeHealth(BaseModel):
    python: str
    ready: bool
    tiers: list[TierHealth]
    """What sessions are forked from: each has imported more than the one before."""


RuntimeState = Literal["resting", "warming", "ready", "failed"]
"""Resting: it is not in memory, and comes up when a session asks for it."""


class BuiltRuntimeHealth(BaseModel):
    name: str
    state: RuntimeState
    why: str
    tiers: list[TierHealth]


class NotPreloaded(BaseModel):
    """Why a module is not imported ahead."""

    module: str
    kind: Literal["fails", "hangs", "threads", "opens", "forks", "writes"]
    detail: str


class RuntimeDocument(BaseModel):
    """The answer of GET /v1/runtimes/{name}."""

    name: str
    type: Literal["runtime"] = "runtime"
    is_default: bool
    """Code runs in it where nothing says otherwise."""
    python: str
    packages: dict[str, str]
    """Versions by name."""
    preload: dict[str, list[str]]
    """Modules that are imported ahead, by tier; each tier has those of the ones before it as well."""
    not_preloaded: list[NotPreloaded]
    state: RuntimeState
    why: str
    tiers: list[TierHealth]
    """What sessions are forked from now; none while it rests."""
    programs: list[str]
    """For a shell: what packages have brought, and the better known ones of the machine."""
    built_at: str | None


class RuntimeList(BaseModel):
    """The answer of GET /v1/runtimes."""

    data: list[RuntimeDocument]


class SessionsHealth(BaseModel):
    live: int
    max: int
    waiting: int
    """Requests that wait for a place."""
    asleep: int
    """Containers that have no session, and whose files are kept."""


class Health(BaseModel):
    """The answer of GET /health."""

    status: Literal["ok", "degraded"]
    version: str
    isolation: Isolation
    runtime: RuntimeHealth
    """The default one."""
    runtimes: list[BuiltRuntimeHealth]
    """Those that were built and are in memory, or did not come up."""
    sessions: SessionsHealth
    idle_memory: IdleMemory
    upstream: str


class UsageLine(BaseModel):
    """The requests of one tenant, model, key or day, added up."""

    what: str
    requests: int
    estimated_requests: int
    """Those of which tokens were estimated, for the model server had not counted them."""
    input_tokens: int
    output_tokens: int
    cache_creation_tokens: int
    cache_read_tokens: int
    thinking_tokens: int
    code_executions: int
    bash_executions: int
    editor_executions: int
    container_seconds: float
    images: int
    searches: int
    amount: str
    currency: str | None
    """None where no plan has priced them."""


class UsageTable(BaseModel):
    """The answer of GET /v1/usage."""

    start: str
    end: str
    group_by: Literal["tenant", "model", "day", "key"]
    data: list[UsageLine]


def _is_none(value: object) -> bool:
    return value is None


T = TypeVar("T")
_Told = Annotated[T | None, Field(exclude_if=_is_none)]


class RequestStep(BaseModel):
    """A part of a request. What it has nothing to say of is left out."""

    kind: Literal["turn", "execution", "session", "fork", "run"]
    name: str
    """Of the model or the tools; else the kind."""
    below: int | None = None
    """The number, in the list, of the step that it is a part of."""
    begins_ms: float
    """Since the request came."""
    milliseconds: float | None = None
    """None while it is under way."""
    input_tokens: _Told[int] = None
    output_tokens: _Told[int] = None
    stop_reason: _Told[str] = None
    calls: _Told[int] = None
    """That ran side by side in it."""
    outcome: _Told[str] = None
    return_code: _Told[int] = None
    limit: _Told[str] = None
    """That has ended it."""
    cpu_seconds: _Told[float] = None
    peak_memory_bytes: _Told[int] = None
    made: _Told[str] = None
    """Of a session: `parked`, ahead of the request, or `forked` for it."""
    error: _Told[str] = None
    """The type of the error with which it ended, or `cancelled`."""


class RequestUsage(BaseModel):
    turns: int
    executions: int
    input_tokens: int
    output_tokens: int
    cache_creation_tokens: int
    cache_read_tokens: int
    thinking_tokens: int
    searches: int
    is_estimated: bool
    """Tokens that the model server has not counted."""


class RequestDocument(BaseModel):
    """The answer of GET /v1/requests/{id}."""

    id: str
    type: Literal["request"] = "request"
    what: str
    """Its method and path."""
    state: Literal["running", "ended"]
    status: int | None
    """Of HTTP, once it has ended; 0 where the client was gone before an answer began."""
    started_at: str
    milliseconds: float
    """So far, or in all."""
    model: str | None
    container: str | None
    usage: RequestUsage
    steps: list[RequestStep]
    is_whole: bool
    """Else there were more steps than are kept."""


class ErrorDetail(BaseModel):
    type: str
    message: str
    details: dict[str, Any] | None = None
    """With a `error_code` where one status has several meanings."""


class ErrorDocument(BaseModel):
    """The envelope in which the API reports every failure."""

    type: Literal["error"] = "error"
    error: ErrorDetail
    request_id: str


def error_document(
    kind: str, message: str, request_id: str, details: dict[str, Any] | None = None
) -> dict[str, Any]:
    """An `ErrorDocument`; without `details` where there are none."""
    error: dict[str, Any] = {"type": kind, "message": message}
    if details:
        error["details"] = details
    return {"type": "error", "error": error, "request_id": request_id}
