"""The tools: what a client is told of each, and what each does.

What goes wrong outside of the code is told in the result, with `is_error`, so that the model can do something about it.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    Tool,
    ToolAnnotations,
)
from pydantic import BaseModel

from belljar import results
from belljar.cutting import cut
from belljar.errors import BelljarError, InvalidRequest
from belljar.installed import Installed, installed
from belljar.mcp import Call, Offer, Session, Sessions, answered, asked, files, runs
from belljar.mcp.answered import Picture
from belljar.records import MIB
from belljar.wire.media import HEAD_BYTES, IMAGES, media_type
from belljar.wire.resources import rfc3339

_MOST_BLOB_BYTES = 1 * MIB
"""Of a binary file that comes with an answer; a larger one is to be read as a resource."""


@dataclass(frozen=True)
class Kind:
    """A tool."""

    name: str
    title: str
    takes: type[asked.Asked]
    gives: type[BaseModel]
    description: Callable[[Offer], str]
    run: Callable[[Sessions, Call, Any], Awaitable[CallToolResult]]
    is_reading: bool = False
    """It changes nothing."""
    is_destructive: bool = False
    is_idempotent: bool = False

    def told(self, offer: Offer) -> Tool:
        """As clients are told of it."""
        has_containers = offer.has_containers
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description(offer),
            input_schema=asked.schema_of(self.takes, mode="validation", has_containers=has_containers),
            output_schema=asked.schema_of(self.gives, mode="serialization", has_containers=has_containers),
            annotations=ToolAnnotations(
                title=self.title,
                read_only_hint=self.is_reading,
                destructive_hint=self.is_destructive,
                idempotent_hint=self.is_idempotent or self.is_reading,
                open_world_hint=False,  # there is no network
            ),
        )


async def call(sessions: Sessions, context: Any, name: str, arguments: dict[str, Any]) -> CallToolResult:
    """Do what a client calls. Raises MCPError where there is no such tool."""
    kind = BY_NAME.get(name)
    if kind is None:
        raise MCPError(INVALID_PARAMS, f"Unknown tool: {name[:100]}. There are {', '.join(BY_NAME)}.")
    try:
        offer = sessions.offer()
        given = asked.read(kind.takes, arguments, has_containers=offer.has_containers)
        runtime = getattr(given, "runtime", None)
        return await kind.run(sessions, Call(context, given.container, runtime), given)
    except BelljarError as error:
        return CallToolResult(content=[answered.text(f"{name} failed: {error}")], is_error=True)


# -- files ---------------------------------------------------------------------------------------------------


async def _put_file(sessions: Sessions, call: Call, given: asked.PutFile) -> CallToolResult:
    body = given.given.body()
    async with sessions.use(call, runs=False) as session:
        await session.put(given.path, body)
        file = await session.find(given.path)
        answer = answered.Written(container=session.container, file=_facts(session, file))
        words = f"Wrote {given.path} ({file.size_bytes:,} bytes)." + _name_it(session)
    await call.context.session.send_resource_list_changed()
    return answered.result(answer, [answered.text(words)])


async def _get_file(sessions: Sessions, call: Call, given: asked.GetFile) -> CallToolResult:
    _has_to_be_there(sessions, call)
    async with sessions.use(call, runs=False) as session:
        file = await session.find(given.path)
        body = await files.content(session, file)
        facts, container = _facts(session, file), session.container
    kind = media_type(given.path, body[:HEAD_BYTES])
    words = files.text_of(kind, body)
    short = None if words is None else cut(words, sessions.offer().most_text_bytes)
    answer = answered.Content(
        container=container, file=facts, media_type=kind, text=short, is_cut=short != words
    )
    content: list[ContentBlock] = []
    if short is not None:
        content.append(answered.text(short or "(empty)"))
        if answer.is_cut:
            content.append(
                answered.text(
                    "The middle was left out. Read it in parts: run_shell with `sed -n 100,200p FILE`."
                )
            )
    elif kind in IMAGES and len(body) <= answered.MOST_IMAGE_BYTES:
        content.append(answered.text(f"{given.path} ({kind}, {len(body):,} bytes)"))
        content.append(answered.image(Picture(kind, body, given.path, None)))
    elif len(body) <= _MOST_BLOB_BYTES:
        content.append(answered.text(f"{given.path} ({kind}, {len(body):,} bytes)"))
        blob = base64.b64encode(body).decode()
        resource = BlobResourceContents(uri=facts.uri, mime_type=kind, blob=blob)
        content.append(EmbeddedResource(resource=resource))
    else:
        content.append(
            answered.text(f"{given.path} is {kind} of {len(body):,} bytes: read it as a resource.")
        )
        made = answered.MadeFile(**facts.model_dump(), media_type=kind, change="created")
        content.append(answered.link(made).model_copy(update={"description": None}))
    return answered.result(answer, content)


async def _list_files(sessions: Sessions, call: Call, given: asked.ListFiles) -> CallToolResult:
    if call.container is None and not sessions.is_there(call):
        answer = answered.Listed(files=[], is_whole=True)
        return answered.result(
            answer, [answered.text("There are no files: nothing has been run or put here yet.")]
        )
    async with sessions.use(call, runs=False) as session:
        found = await session.files()
        container = session.container
        lying = sorted(found.files, key=lambda file: file.path)
        listed = [
            answered.LyingFile(
                path=file.path,
                size_bytes=file.size_bytes,
                uri=files.uri_of(container, file.path),
                changed_at=rfc3339(file.changed_at),
            )
            for file in lying[: files.MOST_LISTED]
        ]
    is_whole = found.is_whole and len(lying) <= files.MOST_LISTED
    answer = answered.Listed(container=container, files=listed, is_whole=is_whole)
    lines = [f"{file.size_bytes:>12,}  {file.path}" for file in listed]
    if not is_whole:
        lines.append("[... and more: run_shell with `find . -type f` ...]")
    words = cut("\n".join(lines), sessions.offer().most_text_bytes)
    return answered.result(answer, [answered.text(words or "There are no files.")])


async def _reset(sessions: Sessions, call: Call, given: asked.Reset) -> CallToolResult:
    if call.container is None and not sessions.is_there(call):
        answer = answered.Ended(message="There was no session yet; the next call has a fresh one.")
        return answered.result(answer, [answered.text(answer.message)])
    await sessions.reset(call)
    answer = answered.Ended(
        container=None, message="Variables and files are gone; the next call has a fresh session."
    )
    await call.context.session.send_resource_list_changed()
    return answered.result(answer, [answered.text(answer.message)])


def _has_to_be_there(sessions: Sessions, call: Call) -> None:
    if call.container is None and not sessions.is_there(call):
        raise InvalidRequest("there are no files: nothing has been run or put here yet")


def _facts(session: Session, file: results.Lying) -> answered.FileFacts:
    uri = files.uri_of(session.container, file.path)
    return answered.FileFacts(path=file.path, size_bytes=file.size_bytes, uri=uri)


def _name_it(session: Session) -> str:
    if not session.has_to_be_named:
        return ""
    return f" container: {session.container} (pass it on, to find the file again)"


# -- what clients are told -----------------------------------------------------------------------------------


def _limits(offer: Offer) -> str:
    limits = offer.limits
    return (
        f"There is no network and nothing can be installed. Limits: {offer.timeout_seconds:g} seconds a call unless "
        f"`timeout_seconds` says otherwise, {limits.memory_bytes // MIB} MiB of memory, {limits.disk_bytes // MIB} MiB "
        f"of files, text beyond {offer.most_text_bytes // 1000} kB is cut."
    )


def _of_python(offer: Offer) -> str:
    about = Installed(offer.python, offer.packages, offer.direct)
    return (
        f"Run Python {offer.python} in a sandbox, as a notebook cell: variables, imports and files live on from call "
        "to call. Printed text and the last expression's value come back; matplotlib and plotly figures come back as "
        "pictures without savefig. Read and write files in the working directory: what is written there comes back. "
        f"{_limits(offer)}{installed(about)}"
    )


def _of_shell(offer: Offer) -> str:
    return (
        "Run a bash command in the same sandbox, in the working directory of run_python's code. Files live on from "
        "call to call; the shell itself, its variables and what it leaves in the background do not. `python` is Python "
        f"{offer.python} with the same packages. {_limits(offer)}"
    )


KINDS = (
    Kind(
        "run_python",
        "Run Python",
        asked.RunPython,
        answered.Run,
        _of_python,
        runs.run_python,
        is_destructive=True,
    ),
    Kind(
        "run_shell",
        "Run a shell command",
        asked.RunShell,
        answered.Run,
        _of_shell,
        runs.run_shell,
        is_destructive=True,
    ),
    Kind(
        "put_file",
        "Put a file",
        asked.PutFile,
        answered.Written,
        lambda _: (
            "Write a file into the sandbox's working directory, in place of one of that path. Give `text` or `base64`."
        ),
        _put_file,
        is_destructive=True,
        is_idempotent=True,
    ),
    Kind(
        "get_file",
        "Get a file",
        asked.GetFile,
        answered.Content,
        lambda _: "Read a file of the sandbox's working directory: text as text, pictures as pictures.",
        _get_file,
        is_reading=True,
    ),
    Kind(
        "list_files",
        "List files",
        asked.ListFiles,
        answered.Listed,
        lambda _: "List the files of the sandbox's working directory, with their sizes.",
        _list_files,
        is_reading=True,
    ),
    Kind(
        "reset",
        "Start afresh",
        asked.Reset,
        answered.Ended,
        lambda _: "End the session: its variables and files are deleted. The next call has a fresh one.",
        _reset,
        is_destructive=True,
        is_idempotent=True,
    ),
)
BY_NAME = {kind.name: kind for kind in KINDS}
