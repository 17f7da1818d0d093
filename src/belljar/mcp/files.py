"""What lies in a session's working directory, by URI.

`belljar://containers/{id}/files/{path}` where sessions have names, `belljar://files/{path}` where there is but one.
"""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, unquote

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    BlobResourceContents,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from belljar import results
from belljar.errors import InvalidRequest, NoSuchFile
from belljar.mcp import URI, Call, Session, Sessions
from belljar.wire.media import HEAD_BYTES, media_type

MOST_BYTES = 16 * 1024 * 1024
"""Of a file that is handed out in one message."""
MOST_LISTED = 1000
_PAGE = 200
NO_RESOURCE = -32002
"""The specification's own code, up to 2025-11-25; from 2026-07-28 on it is that of parameters that are wrong."""


def uri_of(container: str | None, path: str) -> str:
    top = f"{URI}containers/{container}/files/" if container else f"{URI}files/"
    return top + quote(path, safe="/")


def place_of(uri: str) -> tuple[str | None, str]:
    """The container and the path that a URI names. Raises InvalidRequest."""
    kind, _, rest = uri.removeprefix(URI).partition("/")
    container = None
    if kind == "containers":
        container, _, rest = rest.partition("/")
        kind, _, rest = rest.partition("/")
    if not uri.startswith(URI) or kind != "files" or not rest:
        raise InvalidRequest(
            f"{uri[:200]}: no such resource; there are {URI}files/PATH and {URI}containers/ID/files/PATH"
        )
    return container, unquote(rest, errors="replace")


def templates(*, has_containers: bool) -> ListResourceTemplatesResult:
    top = f"{URI}containers/{{container}}/files/" if has_containers else f"{URI}files/"
    template = ResourceTemplate(
        name="file",
        title="A file of the working directory",
        uri_template=f"{top}{{+path}}",
        description="What code wrote, or was put there. Tools' answers have the URIs.",
    )
    return ListResourceTemplatesResult(resource_templates=[template])


async def listed(sessions: Sessions, call: Call, cursor: str | None) -> ListResourcesResult:
    """The files of the connection's own session; none is made for it. `cursor` is the path of the last one."""
    if not sessions.is_there(call):
        return ListResourcesResult(resources=[])
    async with sessions.use(call, runs=False) as session:
        files = (await session.files()).files
        after = "" if cursor is None else _cursor(cursor)
        files = sorted((file for file in files if file.path > after), key=lambda file: file.path)
        page = files[:_PAGE]
        return ListResourcesResult(
            resources=[
                Resource(
                    name=file.path,
                    uri=uri_of(session.container, file.path),
                    size=file.size_bytes,
                    mime_type=media_type(file.path, b""),
                )
                for file in page
            ],
            next_cursor=json.dumps(page[-1].path) if len(files) > len(page) else None,
        )


def _cursor(cursor: str) -> str:
    try:
        after = json.loads(cursor)
    except ValueError:
        after = None
    if not isinstance(after, str):
        raise InvalidRequest("cursor: it has to be the `nextCursor` of an earlier answer")
    return after


async def read(sessions: Sessions, call: Call, uri: str, path: str, *, is_modern: bool) -> ReadResourceResult:
    """A file: text as text, all else as base64. Raises MCPError where there is none."""
    if not sessions.is_there(call):
        raise _missing(uri, "there is no such session (any more)", is_modern=is_modern)
    async with sessions.use(call, runs=False) as session:
        try:
            file = await session.find(path)
        except NoSuchFile as error:
            raise _missing(uri, str(error), is_modern=is_modern) from error
        body = await content(session, file)
    kind = media_type(path, body[:HEAD_BYTES])
    words = text_of(kind, body)
    if words is None:
        blob = base64.b64encode(body).decode()
        return ReadResourceResult(contents=[BlobResourceContents(uri=uri, mime_type=kind, blob=blob)])
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=kind, text=words)])


def _missing(uri: str, why: str, *, is_modern: bool) -> MCPError:
    return MCPError(
        code=INVALID_PARAMS if is_modern else NO_RESOURCE,
        message=f"Resource not found: {why}",
        data={"uri": uri},
    )


async def content(session: Session, file: results.WorkFile | results.Lying) -> bytes:
    """All of a file. Raises InvalidRequest where it is too large for one message."""
    if file.size_bytes > MOST_BYTES:
        raise InvalidRequest(
            f"{file.path!r} has {file.size_bytes:,} bytes, and {MOST_BYTES:,} are handed out at most. Let code read "
            "what is needed of it, or split it (split -b 10M)."
        )
    return b"".join([piece async for piece in session.read(file)])


def text_of(kind: str, body: bytes) -> str | None:
    """The content as text, where it is some."""
    if kind.startswith(("image/", "audio/", "video/")) and kind != "image/svg+xml":
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
