"""The store in one SQLite file.

One connection, used by one thread at a time: the lock makes it so, and SQLite's calls block, so they run
off the event loop. WAL lets another process read and write the same file beside us.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from belljar.gateway.store import File, KnownContainer

_BUSY_SECONDS = 10
T = TypeVar("T")


def queries(text: str) -> dict[str, str]:
    """The statements of an .sql file by name: `-- name`, a line that says what for, the statement."""
    found: dict[str, str] = {}
    for part in text.split("\n\n"):
        name, _, body = part.strip().partition("\n")
        if name:
            found[name.removeprefix("--").strip()] = body
    return found


def _all_queries() -> dict[str, str]:
    """Those of every .sql file beside this one; `create_…` and `index_…` are run whenever the store is opened."""
    found: dict[str, str] = {}
    for file in resources.files("belljar.gateway.store").iterdir():
        if file.name.endswith(".sql"):
            found |= queries(file.read_text("utf-8"))
    return found


class SqliteStore:
    """Made by `open_store`."""

    def __init__(self, connection: sqlite3.Connection, statements: dict[str, str]) -> None:
        self._connection = connection
        self._statements = statements
        self._lock = anyio.Lock()

    async def add_file(self, file: File) -> None:
        await self._run(lambda: self._do("add_file", asdict(file)))

    async def find_file(self, tenant: str, file_id: str) -> File | None:
        rows = await self._run(lambda: self._do("find_file", {"id": file_id, "tenant": tenant}).fetchall())
        return File(*rows[0]) if rows else None

    async def remove_file(self, tenant: str, file_id: str) -> bool:
        return await self._run(
            lambda: self._do("remove_file", {"id": file_id, "tenant": tenant}).rowcount > 0
        )

    async def expired_files(self, now: int) -> list[File]:
        rows = await self._run(lambda: self._do("expired_files", {"now": now}).fetchall())
        return [File(*row) for row in rows]

    async def all_file_ids(self) -> set[str]:
        rows = await self._run(lambda: self._do("all_file_ids", {}).fetchall())
        return {row[0] for row in rows}

    async def save_container(self, container: KnownContainer) -> None:
        await self._run(lambda: self._do("save_container", asdict(container)))

    async def touch_containers(self, times: Iterable[tuple[str, int, int]]) -> None:
        def touch() -> None:
            for container_id, last_used_at, expires_at in times:
                values = {"id": container_id, "last_used_at": last_used_at, "expires_at": expires_at}
                self._do("touch_container", values)

        await self._run(touch)

    async def all_containers(self) -> list[KnownContainer]:
        rows = await self._run(lambda: self._do("all_containers", {}).fetchall())
        return [KnownContainer(*row) for row in rows]

    async def expired_containers(self, now: int) -> list[KnownContainer]:
        rows = await self._run(lambda: self._do("expired_containers", {"now": now}).fetchall())
        return [KnownContainer(*row) for row in rows]

    async def remove_container(self, container_id: str) -> bool:
        return await self._run(lambda: self._do("remove_container", {"id": container_id}).rowcount > 0)

    def _do(self, name: str, values: dict[str, Any]) -> sqlite3.Cursor:
        return self._connection.execute(self._statements[name], values)

    async def _run(self, call: Callable[[], T]) -> T:
        def transaction() -> T:
            with self._connection:
                return call()

        async with self._lock:
            # Not abandoned on cancellation: the lock is let go only when the thread is done.
            return await anyio.to_thread.run_sync(transaction)


@asynccontextmanager
async def open_store(path: Path) -> AsyncIterator[SqliteStore]:
    """Open the store in the file at `path`, making it where it is missing."""
    statements = _all_queries()

    def connect() -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(path, check_same_thread=False, timeout=_BUSY_SECONDS)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        with connection:
            for kind in ("create_", "index_"):
                for name, statement in statements.items():
                    if name.startswith(kind):
                        connection.execute(statement)
        return connection

    connection = await anyio.to_thread.run_sync(connect)
    store = SqliteStore(connection, statements)
    try:
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(connection.close)
