"""The store in one SQLite file.

One connection, used by one thread at a time: the lock makes it so, and SQLite's calls block, so they run
off the event loop. WAL lets another process read and write the same file beside us; and a second connection looks, from
the event loop, at a number that says whether there is something new.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from belljar import private
from belljar.errors import StoreFailed
from belljar.gateway.store import File, GroupBy, Key, KnownContainer, UsageRow, UsageTotal

_BUSY_SECONDS = 10
_OURS = 0x424A0000
"""In the file's `application_id`, with the layout's number (`user_version` counts the changes of keys)."""
_LAYOUT = 1
"""Another number once the version before could not use the file rightly. Columns with a default, it can."""
_AFTER_ALL_IDS = "~"
"""Ids are made of letters, digits and underscores."""
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
    """Those of every .sql file beside this one.

    `create_…` and `index_…` are run whenever the store is opened, and `column_TABLE.COLUMN` where that is missing.
    """
    found: dict[str, str] = {}
    for file in resources.files("belljar.gateway.store").iterdir():
        if file.name.endswith(".sql"):
            found |= queries(file.read_text("utf-8"))
    return found


@dataclass(frozen=True)
class _Connections:
    main: sqlite3.Connection
    looking: sqlite3.Connection
    """For the number of the keys, in the event loop's thread."""
    summing: sqlite3.Connection
    """For tables of what was used: a million requests take a second, in which all else goes on."""


class SqliteStore:
    """Made by `open_store`."""

    def __init__(self, connections: _Connections, statements: dict[str, str]) -> None:
        self._connection = connections.main
        self._looking = connections.looking
        self._summing = connections.summing
        self._statements = statements
        self._lock = anyio.Lock()
        self._sums = anyio.Lock()

    async def add_file(self, file: File, most_bytes: int, most_files: int) -> bool:
        values = vars(file) | {"most_bytes": most_bytes, "most_files": most_files}
        return await self._run(lambda: self._do("add_file", values).rowcount > 0)

    async def stored_bytes(self, tenant: str, now: int) -> int:
        rows = await self._run(lambda: self._do("stored_bytes", {"tenant": tenant, "now": now}).fetchall())
        return int(rows[0][0])

    async def find_file(self, tenant: str, file_id: str) -> File | None:
        rows = await self._run(lambda: self._do("find_file", {"id": file_id, "tenant": tenant}).fetchall())
        return File(*rows[0]) if rows else None

    async def find_files(self, tenant: str, file_ids: list[str]) -> list[File]:
        def find() -> list[File]:
            found = []
            for file_id in sorted(set(file_ids), reverse=True):
                rows = self._do("find_file", {"id": file_id, "tenant": tenant}).fetchall()
                found += [File(*row) for row in rows]
            return found

        return await self._run(find)

    async def older_files(
        self, tenant: str, than: str | None, container_id: str | None, most: int
    ) -> list[File]:
        return await self._files("older_files", tenant, than or _AFTER_ALL_IDS, container_id, most)

    async def newer_files(self, tenant: str, than: str, container_id: str | None, most: int) -> list[File]:
        return await self._files("newer_files", tenant, than, container_id, most)

    async def _files(
        self, name: str, tenant: str, than: str, container_id: str | None, most: int
    ) -> list[File]:
        values = {"tenant": tenant, "than": than, "container_id": container_id, "most": most}
        rows = await self._run(lambda: self._do(name, values).fetchall())
        return [File(*row) for row in rows]

    async def remove_file(self, tenant: str, file_id: str) -> bool:
        return await self._run(
            lambda: self._do("remove_file", {"id": file_id, "tenant": tenant}).rowcount > 0
        )

    async def expired_files(self, now: int) -> list[File]:
        rows = await self._run(lambda: self._do("expired_files", {"now": now}).fetchall())
        return [File(*row) for row in rows]

    async def mark_emptied(self, file_id: str) -> None:
        await self._run(lambda: self._do("mark_emptied", {"id": file_id}))

    async def remove_emptied_files(self, expired_before: int) -> None:
        await self._run(lambda: self._do("remove_emptied_files", {"expired_before": expired_before}))

    async def all_file_ids(self) -> set[str]:
        rows = await self._run(lambda: self._do("all_file_ids", {}).fetchall())
        return {row[0] for row in rows}

    async def add_key(self, key: Key) -> bool:
        return await self._run(lambda: self._changes_keys("add_key", vars(key)))

    async def all_keys(self) -> list[Key]:
        rows = await self._run(lambda: self._do("all_keys", {}).fetchall())
        return [Key(*row) for row in rows]

    async def revoke_key(self, name: str, now: int) -> bool:
        return await self._run(lambda: self._changes_keys("revoke_key", {"name": name, "now": now}))

    def keys_version(self) -> int | None:
        with contextlib.suppress(sqlite3.OperationalError):  # somebody mends or empties the log just now
            return _keys_version(self._looking)
        return None

    def _changes_keys(self, name: str, values: dict[str, Any]) -> bool:
        is_changed = self._do(name, values).rowcount > 0
        if is_changed:  # and nobody else writes until this is committed
            self._connection.execute(f"PRAGMA user_version = {_keys_version(self._connection) + 1}")
        return is_changed

    async def add_usage(self, rows: Iterable[UsageRow]) -> None:
        values = [vars(row) for row in rows]
        await self._run(lambda: self._connection.executemany(self._statements["add_usage"], values))

    async def usage_totals(
        self, group_by: GroupBy, start: int, end: int, tenant: str | None
    ) -> list[UsageTotal]:
        values = {"group_by": group_by, "start": start, "end": end, "tenant": tenant}
        query = self._statements["usage_totals"]
        async with self._sums:
            rows = await _in_thread(lambda: self._summing.execute(query, values).fetchall())
        return [UsageTotal(*row) for row in rows]

    async def spent_amount(self, key_id: str, start: int) -> int:
        values = {"key_id": key_id, "start": start}
        return int((await self._run(lambda: self._do("spent_amount", values).fetchall()))[0][0])

    async def billed_microseconds(self, tenant: str, start: int) -> int:
        values = {"tenant": tenant, "start": start}
        return int((await self._run(lambda: self._do("billed_microseconds", values).fetchall()))[0][0])

    async def remove_old_usage(self, before: int) -> None:
        # Others come between: millions of rows at once would hold up everybody for as long as they take.
        while await self._run(lambda: self._do("remove_old_usage", {"before": before}).rowcount):
            pass

    async def save_container(self, container: KnownContainer) -> None:
        await self._run(lambda: self._do("save_container", vars(container)))

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
            return await _in_thread(transaction)


async def _in_thread(call: Callable[[], T]) -> T:
    # Not abandoned on cancellation: a lock is let go only when the thread is done.
    try:
        return await anyio.to_thread.run_sync(call)
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # a fault of ours
    except sqlite3.DatabaseError as error:
        raise StoreFailed(f"What the server keeps cannot be read or written: {error}.") from error


def _keys_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _has_column(connection: sqlite3.Connection, name: str) -> bool:
    """Whether the table of a statement `column_TABLE.COLUMN` has its column: SQLite knows no IF NOT EXISTS there."""
    table, _, column = name.removeprefix("column_").partition(".")
    found = connection.execute("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", (table, column))
    return found.fetchone() is not None


def _mend(error: sqlite3.Error, path: Path) -> str:
    """What can be done about a file that cannot be opened, where that is known."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return (
                " Put a copy of it in its place, or what `sqlite3 FILE .recover` saves of it. To begin anew, with no "
                "API keys, move it and the directory blobs beside it away."
            )
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return f" Its disk is full, or fails: see `df -h {shlex.quote(str(path.parent))}`, and make room there."
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return (
                f" The user with the uid {os.geteuid()} has to be able to write it, and new files beside it: see "
                f"`ls -lna {shlex.quote(str(path.parent))}`. Run commands such as `belljar keys` as the server's user."
            )
    return ""


def _layout(connection: sqlite3.Connection, path: Path) -> int:
    """The number in the file, 0 for none. Raises StoreFailed for one of a newer version, or of another program."""
    number: int = connection.execute("PRAGMA application_id").fetchone()[0]
    if number and number & ~0xFFFF != _OURS:
        raise StoreFailed(
            f"{path} is a database of another program. Move it away, or choose another --state-dir."
        )
    if number & 0xFFFF > _LAYOUT:
        raise StoreFailed(
            f"{path} was written by a newer Belljar (layout {number & 0xFFFF}; this one has {_LAYOUT}). Start that "
            "one, or put a copy from before it in its place."
        )
    return number


def _refuse_to_forget(connection: sqlite3.Connection, path: Path) -> None:
    """Raises StoreFailed for a database without a table where blobs lie beside it: they would be deleted, for nobody
    knows whose they are, and the API keys are lost with the file that is missing."""
    blobs = path.with_name("blobs")
    if connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is None and blobs.is_dir():
        # Files: a disk of its own has a directory lost+found.
        number = sum(path.is_file() for path in blobs.iterdir())
        if number:
            raise StoreFailed(
                f"{path} is missing or empty, and it alone knows whose the {number:,} files in {blobs} are. Put a copy "
                "of it in its place. To begin anew, with no API keys, move that directory away."
            )


@asynccontextmanager
async def open_store(path: Path) -> AsyncIterator[SqliteStore]:
    """Open the store in the file at `path`, making it where it is missing. Raises StoreFailed, OSError."""
    statements = _all_queries()

    def connect() -> _Connections:
        private.make_directory(path.parent)
        private.make_file(path)
        # SQLite makes them with the same mode, and takes those that were left.
        for beside in ("-wal", "-shm"):
            private.close(path.with_name(f"{path.name}{beside}"))
        connection = sqlite3.connect(path, check_same_thread=False, timeout=_BUSY_SECONDS)
        try:
            layout = _layout(connection, path)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            with connection:
                connection.execute("BEGIN IMMEDIATE")  # another process may open it at the same time
                _refuse_to_forget(connection, path)
                for kind in ("create_", "column_", "index_"):
                    for name, statement in statements.items():
                        if name.startswith(kind) and not _has_column(connection, name):
                            connection.execute(statement)
                if layout != _OURS | _LAYOUT:
                    connection.execute(f"PRAGMA application_id = {_OURS | _LAYOUT}")
            looking = sqlite3.connect(path, check_same_thread=False, timeout=0)
            summing = sqlite3.connect(path, check_same_thread=False, timeout=_BUSY_SECONDS)
            return _Connections(connection, looking, summing)
        except BaseException:
            connection.close()
            raise

    def close() -> None:
        connections.looking.close()
        connections.summing.close()
        connections.main.close()  # last, which empties the log

    try:
        connections = await anyio.to_thread.run_sync(connect)
    except sqlite3.Error as error:
        raise StoreFailed(f"{path}: {error}.{_mend(error, path)}") from error
    try:
        yield SqliteStore(connections, statements)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(close)
