"""Runs of code and of commands: what a call does, and what it tells of the run and of what that left.

A program that fails is told with `is_error`: the model is to see that what it asked for was not done, and has to mend
it. Everything that is known of the run comes with it all the same. A shell command says by its exit code alone how it
went, and that is no error: `grep` ends with 1 where it finds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from mcp_types import CallToolResult

from belljar import orders, results
from belljar.cutting import cut
from belljar.errors import InvalidRequest, NoSuchFile
from belljar.mcp import Call, Offer, Session, Sessions, answered, asked, files
from belljar.mcp.answered import Picture
from belljar.mcp.watching import watched
from belljar.wire.charts import Chart
from belljar.wire.media import HEAD_BYTES, IMAGES, media_type

_OUTPUT = "output"
"""The directory into which goes what code wrote to $OUTPUT_DIR, where no later call would find it."""
_MOST_DELETED = 1000


async def run_python(sessions: Sessions, call: Call, given: asked.RunPython) -> CallToolResult:
    bodies = [(file.path, file.body(f"files.{at}.")) for at, file in enumerate(given.files)]
    offer = sessions.offer()
    asked.encoded(given.code, "code")
    run = orders.Run(given.code, given.timeout_seconds or offer.timeout_seconds)
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


async def run_shell(sessions: Sessions, call: Call, given: asked.RunShell) -> CallToolResult:
    if "\0" in given.command:
        raise InvalidRequest("command: it cannot contain NUL")
    offer = sessions.offer()
    asked.encoded(given.command, "command")
    run = orders.Run(
        None, given.timeout_seconds or offer.timeout_seconds, calls=[orders.Command(given.command)]
    )
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
    return answered.result(run, content, is_error=is_error)


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
