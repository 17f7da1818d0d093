"""Run one program in a keeper of one's own: no server, nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import anyio

from belljar import document, link, results
from belljar.builds import DEFAULT, FOLDER, Runtimes
from belljar.errors import InvalidRequest
from belljar.settings import Settings
from belljar.wire.charts import MEDIA_TYPES
from belljar.wire.execution import Execution, ExecutionFile, LimitsRequest
from belljar.wire.media import HEAD_BYTES, IMAGES, extension_of

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SESSION = "run"
_SAVED_TYPES = IMAGES | set(MEDIA_TYPES.values())


async def run(
    settings: Settings,
    program: link.Run,
    *,
    inputs: Sequence[Path] = (),
    output_dir: Path | None = None,
    runtime: str = DEFAULT,
    limits: LimitsRequest | None = None,
    on_event: Callable[[results.Event], None] | None = None,
    until: Callable[[], Awaitable[None]] = anyio.sleep_forever,
) -> tuple[Execution, list[Path]]:
    """Run `program` in a fresh session with `inputs` in its working directory.

    What it made is saved below `output_dir` (nothing is, for None), and never over a file that is there. When
    `until` returns before the program has ended, the program is interrupted. Returns the document and the paths
    saved. Raises InvalidRequest, NotFound for the runtime, JailUnavailable, and OSError for a directory that cannot be
    made.
    """
    _check(inputs, output_dir)
    async with own_keeper(settings, runtime) as keeper:
        laps = await keeper.open(_SESSION, settings.limits(limits))
        for path in inputs:
            await keeper.put(_SESSION, path.name, _pieces(path))
        result = await _execute(keeper, program, on_event, until)
        saved: list[Path] = []
        files = []
        for file in result.files:
            files.append(await _keep(keeper, file, output_dir, saved))
        if output_dir is not None:
            _save_figures(result, output_dir, saved)
        result = replace(result, laps=laps | result.laps)
        answer = document.execution(
            result,
            container=None,
            runtime=runtime,
            files=files,
            isolation=keeper.description.isolation,
        )
    return answer, saved


@contextlib.asynccontextmanager
async def own_keeper(settings: Settings, runtime: str) -> AsyncIterator[link.Keeper]:
    """A keeper for one session, which does not pay back the import of libraries that it may not use: the guest imports
    them itself. Raises NotFound for the runtime, JailUnavailable."""
    own: dict[str, Any] = {"preload": {}, "parked": 0}
    async with contextlib.AsyncExitStack() as stack:
        if runtime != DEFAULT:
            use = Runtimes(settings.state_dir / FOLDER).use(runtime)
            stack.callback(use.release)
            own["runtime"] = use.build.environment
        yield await stack.enter_async_context(link.start(settings.model_copy(update=own)))


async def _execute(
    keeper: link.Keeper,
    program: link.Run,
    on_event: Callable[[results.Event], None] | None,
    until: Callable[[], Awaitable[None]],
) -> results.Result:
    async def interrupt() -> None:
        await until()
        await keeper.interrupt(_SESSION)

    ran: list[results.Result] = []
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(interrupt)
            ran.append(await keeper.execute(_SESSION, program, on_event))
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise only(group) from None
    return ran[0]


def only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error of a task group in which one task failed; else the group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _check(inputs: Sequence[Path], output_dir: Path | None) -> None:
    if output_dir is not None:
        output_dir.mkdir(parents=True, exist_ok=True)  # or fail now, and not after the work is done
    names: set[str] = set()
    for path in inputs:
        if not path.is_file():
            raise InvalidRequest(f"there is no file {path}")
        if path.name in names:
            raise InvalidRequest(f"two of the files are called {path.name}")
        names.add(path.name)


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(link.CHUNK_BYTES):
            yield piece


async def _keep(
    keeper: link.Keeper, file: results.WorkFile, output_dir: Path | None, saved: list[Path]
) -> ExecutionFile:
    head = b""
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(_create(output_dir, file.path, saved)) if output_dir else None
        async for piece in keeper.read(_SESSION, file):
            head += piece[: HEAD_BYTES - len(head)]
            if target is None and len(head) >= HEAD_BYTES:
                break
            if target is not None:
                target.write(piece)
    return document.local_file(file, head)


def _create(directory: Path, name: str, saved: list[Path]) -> IO[bytes]:
    """A new file below `directory` for one that the program called `name`: another name where it is taken.

    The program chose the name. It is made of components below one directory, and no link that lies there is followed.
    """
    *above, last = [_harmless(part) for part in name.split("/")]
    with contextlib.ExitStack() as stack:
        fd = os.open(directory, _DIRECTORY)
        stack.callback(os.close, fd)
        for part in above:
            fd, made = _free(part, lambda name, fd=fd: _enter(name, fd))  # type: ignore[misc]
            stack.callback(os.close, fd)
            directory = directory / made
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        file_fd, made = _free(last, lambda name: os.open(name, flags, 0o666, dir_fd=fd))
    saved.append(directory / made)
    return open(file_fd, "wb")


def _free(name: str, take: Callable[[str], int]) -> tuple[int, str]:
    """What `take` opens, by this name or by the next that is not another's."""
    tried = name
    for count in itertools.count(2):
        try:
            return take(tried), tried
        except (FileExistsError, NotADirectoryError):
            tried = f"{Path(name).stem} ({count}){Path(name).suffix}"
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            tried = f"{Path(name).stem} ({count}){Path(name).suffix}"
    raise AssertionError("unreachable")


def _enter(name: str, fd: int) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=fd)
    return os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)


def _harmless(part: str) -> str:
    """Without what a terminal, a shell or another program would take for something else than a result."""
    clean = results.harmless(part)
    return f"_{clean}" if clean.startswith((".", "-")) or not clean else clean


def _save_figures(result: results.Result, directory: Path, saved: list[Path]) -> None:
    count = 0
    for event in result.outputs:
        if not isinstance(event, results.Display):
            continue
        pictures = {kind: body for kind, body in event.data.items() if kind in _SAVED_TYPES}
        count += bool(pictures)
        for kind, body in pictures.items():
            with _create(directory, f"figure-{count}.{extension_of(kind)}", saved) as file:
                file.write(body)
