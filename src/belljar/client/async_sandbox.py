"""The library's sandbox for programs with async: what is asked of it is looked at here, and done by its place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

import anyio
import anyio.to_thread
from pydantic import BaseModel, ValidationError

from belljar.client.places import File, Place, Program, Told
from belljar.client.places.local import open_local
from belljar.client.shown import Result
from belljar.errors import InvalidRequest, only
from belljar.settings import Settings
from belljar.wire.execution import ExecutionFile, ExecutionRequest, Isolation, LimitsRequest

M = TypeVar("M", bound=BaseModel)

Content = bytes | str | Path | IO[bytes]
"""Of a file: its bytes, its text (written as UTF-8), where it lies on this machine, or something to read it from."""
_PIECE_BYTES = 1024 * 1024


class AsyncSandbox:
    """A place where code runs that nobody trusts: variables and files live on from one run to the next.

    >>> async def main():
    ...     async with AsyncSandbox() as box:
    ...         result = await box.run("print(6 * 7)")
    ...         return result.text
    >>> anyio.run(main)
    '42\\n'

    Without `base_url` it is a jail on this machine, made for this sandbox by the settings in the environment
    (`BELLJAR_REQUIRE` and so on), and gone with it. The first takes a second or two; others with the same settings that
    are opened in this event loop, while one is open, take milliseconds. With the address of a server it is a container
    there: a new one that is deleted in the end, or the one named `container`, which stays. `api_key` is the server's
    ($BELLJAR_API_KEY).

    `runtime` is the name of one that was built (`belljar runtime create`), None for the default one.
    `memory_bytes`, `disk_bytes`, `pids` and `cpus` are limits of it all, `timeout_seconds` and `output_bytes` of each
    run; None is for the settings' own.

    `start` and `aclose` are for where a block does not fit.

    Entering raises InvalidRequest for limits that are none, JailUnavailable where this machine lacks what the jail
    needs, and Unreachable, NotFound or Unauthenticated by a server.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        container: str | None = None,
        runtime: str | None = None,
        timeout_seconds: float | None = None,
        memory_bytes: int | None = None,
        disk_bytes: int | None = None,
        output_bytes: int | None = None,
        pids: int | None = None,
        cpus: float | None = None,
        settings: Settings | None = None,
    ) -> None:
        if container is not None and base_url is None:
            raise InvalidRequest("container: only a server has containers by name; give its `base_url` too")
        limits = {
            "memory_bytes": memory_bytes,
            "disk_bytes": disk_bytes,
            "output_bytes": output_bytes,
            "pids": pids,
            "cpus": cpus,
        }
        self._limits = _valid(LimitsRequest, limits)
        _valid(ExecutionRequest, {"code": "", "timeout_seconds": timeout_seconds})
        self._base_url = base_url
        self._api_key = api_key if api_key is not None else os.environ.get("BELLJAR_API_KEY")
        self._container = container
        self._runtime = runtime
        self._timeout_seconds = timeout_seconds
        self._settings = settings
        self._stack = AsyncExitStack()
        self._place: Place | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<AsyncSandbox, {self._state}>"

    @property
    def _state(self) -> str:
        """For people, at a prompt."""
        if self._place is None:
            return "closed" if self._is_closed else "not open"
        return f"open, {self._place.container or 'on this machine'}"

    async def __aenter__(self) -> AsyncSandbox:
        return await self.start()

    async def start(self) -> AsyncSandbox:
        """Open it, as `async with` does, and return it: somebody has to `aclose` it. One that is open stays as it is.

        One that was closed begins anew, with nothing in it.
        """
        if self._place is not None:
            return self
        if self._base_url is not None:
            # A client of HTTP takes long to import, and a jail of one's own needs none.
            from belljar.client.places.server import open_server

            opened: Any = open_server(
                self._base_url, self._api_key, self._container, self._runtime, self._limits
            )
        else:
            opened = open_local(self._settings or Settings(), self._runtime, self._limits)
        self._place = await self._stack.enter_async_context(opened)
        return self

    async def aclose(self) -> None:
        """End it, and all that is in it. One that is not open stays as it is."""
        await self.__aexit__(None, None, None)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed = self._is_closed or self._place is not None
        self._place = None
        await self._stack.__aexit__(kind, error, trace)

    @property
    def _open(self) -> Place:
        if self._place is None:
            raise not_open(is_closed=self._is_closed)
        return self._place

    @property
    def container(self) -> str | None:
        """The id by which the server knows it; None where there is no server."""
        return self._open.container

    @property
    def isolation(self) -> Isolation:
        """The level of the jail, and which of its layers do not hold there."""
        return self._open.isolation

    async def run(
        self,
        code: str,
        *,
        on_output: Callable[[Told], object] | None = None,
        timeout_seconds: float | None = None,
        stdin: str = "",
        env: dict[str, str] | None = None,
    ) -> Result:
        """Run Python code, and return how it ended, whatever the code did: an exception of it is none here.

        `on_output` is called with what the code prints and shows, while it runs; what that raises ends the run and is
        raised. Runs that are asked for at once take turns, and `timeout_seconds` begins with the turn. Cancelling
        interrupts the code, or the waiting for its turn. Raises InvalidRequest, RequestTooLarge, and BelljarError
        where the session breaks.
        """
        place = self._open
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        asked = {"code": code, "timeout_seconds": seconds, "stdin": stdin, "env": env or {}}
        _valid(ExecutionRequest, asked)
        program = Program(code, seconds, stdin, env or {})
        if on_output is None:
            return Result(await place.run(program, lambda told: None))
        send, receive = anyio.create_memory_object_stream[Told](float("inf"))
        results: list[Result] = []

        async def run() -> None:
            with send:
                results.append(Result(await place.run(program, send.send_nowait)))

        with receive:
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(run)
                    async for told in receive:
                        on_output(told)
            except BaseExceptionGroup as group:
                raise only(group) from None
        return results[0]

    async def put(self, path: str, content: Content) -> None:
        """Write a file into the working directory, in place of one of that path; directories on the way are made.

        Raises InvalidRequest for what is no path or no content, or where there is no room, and OSError for a file of
        this machine.
        """
        if not isinstance(content, (bytes, str, Path)) and not hasattr(content, "read"):
            raise InvalidRequest(
                f"content: it is bytes, str, a Path of this machine or an open file, and not {_kind(content)}"
            )
        await self._open.put(_path(path), _pieces_of(content))

    async def get(self, file: str | ExecutionFile) -> bytes:
        """The bytes of a file of the working directory, by its path, or of one of a result's `files`.

        Raises NoSuchFile, InvalidRequest. What a result names can be read until the next run, on a server until it
        expires.
        """
        return b"".join([piece async for piece in self._pieces(file)])

    async def save(self, file: str | ExecutionFile, path: str | Path) -> Path:
        """The same into a file of this machine, of any size, or into a directory under the file's own name.

        Raises as `get`, and FileExistsError where there is such a file.
        """
        if not isinstance(path, (str, os.PathLike)):
            raise InvalidRequest(f"path: it is a str or a Path of this machine, and not {_kind(path)}")
        target = Path(path)
        name = file.path if isinstance(file, ExecutionFile) else _path(file)
        if await anyio.Path(target).is_dir():
            target /= name.rpartition("/")[2]
        pieces = self._pieces(file)
        first = await anext(pieces, b"")  # nothing is made for a file that is not there
        async with await anyio.open_file(target, "xb") as written:
            await written.write(first)
            async for piece in pieces:
                await written.write(piece)
        return target

    def _pieces(self, file: str | ExecutionFile) -> AsyncIterator[bytes]:
        if isinstance(file, ExecutionFile):
            return self._open.made(file)
        return self._open.get(_path(file))

    async def files(self) -> list[File]:
        """What lies in the working directory, by path."""
        return await self._open.files()

    async def remove(self, path: str) -> None:
        """Delete a file of the working directory. Raises NoSuchFile, InvalidRequest."""
        await self._open.remove(_path(path))


def not_open(*, is_closed: bool) -> InvalidRequest:
    state = "closed, and what was in it is gone" if is_closed else "not open"
    return InvalidRequest(
        f"the sandbox is {state}: use it inside of `with Sandbox() as box:`, or between `start()` and `close()`"
        " (`async with`, `await start()` and `await aclose()` of an AsyncSandbox)"
    )


async def _pieces_of(content: Content) -> AsyncIterator[bytes]:
    if isinstance(content, str):
        content = content.encode()
    if isinstance(content, bytes):
        for start in range(0, len(content), _PIECE_BYTES):
            yield content[start : start + _PIECE_BYTES]
        return
    with content.open("rb") if isinstance(content, Path) else contextlib.nullcontext(content) as file:
        while piece := await anyio.to_thread.run_sync(file.read, _PIECE_BYTES):
            if not isinstance(piece, (bytes, bytearray, memoryview)):
                raise InvalidRequest("content: the file gives text; open it with 'rb'")
            yield piece


def _path(path: object) -> str:
    """A path in the working directory, which the place looks at further. Raises InvalidRequest."""
    if not isinstance(path, str):
        raise InvalidRequest(f"path: of a file in the working directory it is a str, and not {_kind(path)}")
    return path


def _kind(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _valid(model: type[M], asked: dict[str, Any]) -> M:
    """What is asked for, by the rules of the API. Raises InvalidRequest."""
    try:
        return model.model_validate(asked)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidRequest(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
