"""The tools: what a client is told of each, and what each does.

What goes wrong outside of the code is told in the result, with `is_error`, so that the model can do something about it.
So is a program that fails: the model is to see that what it asked for was not done, and has to mend it. Everything that
is known of the run comes with it all the same. A shell command says by its exit code alone how it went, and that is no
error: `grep` ends with 1 where it finds nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

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

from belljar import link, results
from belljar.cutting import cut
from belljar.errors import BelljarError, InvalidRequest, NoSuchFile
from belljar.installed import Installed, installed
from belljar.mcp import Call, Offer, Session, Sessions, answered, asked, files
from belljar.mcp.answered import Picture
from belljar.mcp.watching import watched
from belljar.wire.charts import Chart
from belljar.wire.execution import MIB
from belljar.wire.media import HEAD_BYTES, IMAGES, media_type
from belljar.wire.resources import rfc3339

A = TypeVar("A", bound=asked.Asked)

_OUTPUT = "output"
"""The directory into which goes what code wrote to $OUTPUT_DIR, where no later call would find it."""
_MOST_DELETED = 1000
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


# -- running -------------------------------------------------------------------------------------------------


async def _run_python(sessions: Sessions, call: Call, given: asked.RunPython) -> CallToolResult:
    bodies = [(file.path, file.body(f"files.{at}.")) for at, file in enumerate(given.files)]
    offer = sessions.offer()
    run = link.Run(_unicode(given.code, "code"), given.timeout_seconds or offer.timeout_seconds)
    async with sessions.use(call, runs=True) as session:
        for path, body in bodies:
            await session.put(path, body)
        async with watched(call.context) as watch:
            result = await session.execute(run, watch.on_event)
        left = await _left(session, result)
        shown = [output for output in result.outputs if isinstance(output, results.Display)]
        pictures = await _pictures(session, shown, left.made)
        values = [words for output in shown if (words := results.text_of(output))]
        is_error = result.return_code != 0 or result.outcome.status not in ("completed", "exited")
        told = _Told(result.stdout, result.stderr, values, result.return_code)
        return await _ran(call, session, offer, result, told, left, pictures, is_error=is_error)


async def _run_shell(sessions: Sessions, call: Call, given: asked.RunShell) -> CallToolResult:
    if "\0" in given.command:
        raise InvalidRequest("command: it cannot contain NUL")
    offer = sessions.offer()
    command = link.Command(_unicode(given.command, "command"))
    run = link.Run(None, given.timeout_seconds or offer.timeout_seconds, calls=[command])
    async with sessions.use(call, runs=True) as session:
        before = {file.path: file for file in (await session.files()).files}
        async with watched(call.context) as watch:
            result = await session.execute(run, watch.on_event)
        own = result.calls[0]
        left = await _left(session, result, before)
        pictures = await _pictures(session, [], left.made)
        # Where it did not end, the outcome says why.
        code = own.return_code if own.return_code is not None else result.return_code or 1
        told = _Told(own.stdout, own.stderr, [], code)
        is_error = own.return_code is None
        return await _ran(call, session, offer, result, told, left, pictures, is_error=is_error)


@dataclass(frozen=True)
class _Told:
    """What a run has said."""

    stdout: str
    stderr: str
    values: Sequence[str]
    exit_code: int


@dataclass(frozen=True)
class _Made:
    """A file that a run made or changed, which lies in the working directory."""

    facts: answered.MadeFile
    file: results.WorkFile | results.Lying
    chart: Chart | None = None


@dataclass(frozen=True)
class _Left:
    """What a run has left in the working directory."""

    made: list[_Made]
    more: int = 0
    """Files beside these."""
    deleted: Sequence[str] = ()


async def _ran(
    call: Call,
    session: Session,
    offer: Offer,
    result: results.Result,
    told: _Told,
    left: _Left,
    pictures: _Pictures,
    *,
    is_error: bool,
) -> CallToolResult:
    """A run as a result."""
    most = offer.most_text_bytes
    raised = next((output for output in result.outputs if isinstance(output, results.Raised)), None)
    stdout, stderr = cut(told.stdout, most), cut(told.stderr, most)
    value = "\n".join(told.values)
    short = cut(value, most)
    truncated = result.calls[0].truncated if result.calls else result.truncated
    run = answered.Run(
        container=session.container,
        status=result.outcome.status,
        message=" ".join(filter(None, (result.outcome.message, session.note))),
        exit_code=told.exit_code,
        stdout=stdout,
        stderr=stderr,
        is_cut=truncated.stdout
        or truncated.stderr
        or (stdout, stderr, short) != (told.stdout, told.stderr, value),
        value=short if told.values else None,
        error=None
        if raised is None
        else answered.Fault(name=raised.ename, message=cut(raised.evalue, most), hint=raised.hint),
        charts=[answered.facts_of(picture) for picture in pictures.told],
        charts_left_out=pictures.more,
        files=[one.facts for one in left.made],
        files_left_out=left.more,
        deleted=list(left.deleted),
        seconds=round(result.usage.wall_seconds, 4),
    )
    with_help = results.with_help(told.stderr, result.outputs)
    parts = (told.stdout.rstrip("\n"), value, with_help.rstrip("\n"))
    words = cut("\n".join(part for part in parts if part), most)
    if truncated.stdout or truncated.stderr:
        words += f"\n[... more was printed than the {offer.limits.output_bytes:,} bytes that are kept ...]"
    if session.note:
        words += f"\n{session.note}"
    content = answered.blocks(run, words, pictures.told, has_to_be_named=session.has_to_be_named)
    if left.made or left.deleted:
        await call.context.session.send_resource_list_changed()
    return _result(run, content, is_error=is_error)


async def _left(
    session: Session, result: results.Result, before: dict[str, results.Lying] | None = None
) -> _Left:
    """What a run has left, of files at most so many.

    What lies in $OUTPUT_DIR, where the next run has another one, is copied into the working directory. `before` is what
    lay there before a command, whose changes nobody else tells.
    """
    if result.outcome.status == "lost" or (not result.files and before is None):
        return _Left([], deleted=result.deleted)
    lying = {file.path: file for file in (await session.files()).files}
    work: dict[str, tuple[results.WorkFile | results.Lying, bool]] = {}
    outside: list[results.WorkFile] = []
    for file in result.files:
        # The working directory's come first, and a path that comes again is the other's.
        if before is None and file.path in lying and file.path not in work:
            work[file.path] = file, file.change == "modified"
        else:
            outside.append(file)
    deleted = result.deleted
    if before is not None:
        for path, one in lying.items():
            was = before.get(path)
            if was is None or (was.size_bytes, was.changed_at) != (one.size_bytes, one.changed_at):
                work[path] = one, was is not None
        deleted = sorted(before.keys() - lying.keys())[:_MOST_DELETED]
    made: list[_Made] = []
    for path, (its, is_modified) in work.items():
        if len(made) == answered.MOST_LINKS:
            break
        # One whose name is no text cannot be asked for by it.
        with suppress(InvalidRequest, NoSuchFile):
            made.append(await _one(session, path, its, is_modified=is_modified))
    for file in outside:
        if len(made) == answered.MOST_LINKS:
            break
        with suppress(InvalidRequest, NoSuchFile):  # there is no room for it twice
            made.append(await _moved(session, file, is_modified=f"{_OUTPUT}/{file.path}" in lying))
    more = len(work) + len(outside) - len(made) + result.files_left_out
    return _Left(made, more, deleted)


async def _moved(session: Session, file: results.WorkFile, *, is_modified: bool) -> _Made:
    """A file of $OUTPUT_DIR, in the working directory."""
    path = f"{_OUTPUT}/{file.path}"
    await session.put(path, session.read(file))
    made = await _one(session, path, await session.find(path), is_modified=is_modified)
    return replace(made, chart=file.chart)


async def _one(
    session: Session, path: str, file: results.WorkFile | results.Lying, *, is_modified: bool
) -> _Made:
    if isinstance(file, results.Lying):
        file = await session.find(path)  # so that it can be read
    head = b""
    async for piece in session.read(file):
        head = piece[:HEAD_BYTES]
        break
    facts = answered.MadeFile(
        path=path,
        size_bytes=file.size_bytes,
        uri=files.uri_of(session.container, path),
        media_type=media_type(path, head),
        change="modified" if is_modified else "created",
    )
    return _Made(facts, file, file.chart if isinstance(file, results.WorkFile) else None)


@dataclass(frozen=True)
class _Pictures:
    """What there is to look at."""

    told: list[Picture]
    more: int
    """Pictures beside these."""


async def _pictures(session: Session, shown: Sequence[results.Display], made: Sequence[_Made]) -> _Pictures:
    """Figures and images that were shown, then those in files, each once."""
    told: list[Picture] = []
    seen: set[str] = set()
    left = answered.MOST_IMAGES_BYTES
    found: list[tuple[str, bytes | _Made, Chart | None]] = [
        (kind, output.data[kind], output.chart)
        for output in shown
        for kind in sorted(IMAGES & output.data.keys())
    ]
    seen.update(chart.id for _, _, chart in found if chart is not None and chart.id)
    found += [
        (one.facts.media_type, one, one.chart)
        for one in made
        if one.facts.media_type in IMAGES and not (one.chart is not None and one.chart.id in seen)
    ]
    for kind, what, chart in found[: answered.MOST_IMAGES]:
        size = len(what) if isinstance(what, bytes) else what.facts.size_bytes
        body: bytes | None = None
        if size <= min(left, answered.MOST_IMAGE_BYTES):
            body = what if isinstance(what, bytes) else await files.content(session, what.file)
            left -= size
        told.append(Picture(kind, body, None if isinstance(what, bytes) else what.facts.path, chart))
    return _Pictures(told, len(found) - len(told))


# -- files ---------------------------------------------------------------------------------------------------


async def _put_file(sessions: Sessions, call: Call, given: asked.PutFile) -> CallToolResult:
    body = given.given.body()
    async with sessions.use(call, runs=False) as session:
        await session.put(given.path, body)
        file = await session.find(given.path)
        answer = answered.Written(container=session.container, file=_facts(session, file))
        words = f"Wrote {given.path} ({file.size_bytes:,} bytes)." + _name_it(session)
    await call.context.session.send_resource_list_changed()
    return _result(answer, [answered.text(words)])


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
    return _result(answer, content)


async def _list_files(sessions: Sessions, call: Call, given: asked.ListFiles) -> CallToolResult:
    if call.container is None and not sessions.is_there(call):
        answer = answered.Listed(files=[], is_whole=True)
        return _result(answer, [answered.text("There are no files: nothing has been run or put here yet.")])
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
    return _result(answer, [answered.text(words or "There are no files.")])


async def _reset(sessions: Sessions, call: Call, given: asked.Reset) -> CallToolResult:
    if call.container is None and not sessions.is_there(call):
        answer = answered.Ended(message="There was no session yet; the next call has a fresh one.")
        return _result(answer, [answered.text(answer.message)])
    await sessions.reset(call)
    answer = answered.Ended(
        container=None, message="Variables and files are gone; the next call has a fresh session."
    )
    await call.context.session.send_resource_list_changed()
    return _result(answer, [answered.text(answer.message)])


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


def _result(
    answer: answered._Answered, content: list[ContentBlock], *, is_error: bool = False
) -> CallToolResult:
    return CallToolResult(
        content=content, structured_content=answer.model_dump(mode="json"), is_error=is_error
    )


def _unicode(text: str, name: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{name}: not valid Unicode: {error}") from error
    return text


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
        _run_python,
        is_destructive=True,
    ),
    Kind(
        "run_shell",
        "Run a shell command",
        asked.RunShell,
        answered.Run,
        _of_shell,
        _run_shell,
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
