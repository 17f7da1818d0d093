"""A table or column that an SQLite database does not have: those that it has."""

from __future__ import annotations

import itertools
import re
import sys
from types import FrameType
from typing import Any

from belljar.guest import values
from belljar.guest.alike import close, listed

_MAX_TABLES = 20
_MAX_COLUMNS = 30


def hint(error: Any, frame: FrameType | None) -> str | None:
    """For an error of sqlite3, or one of pandas that says the same. `frame` is the innermost of the user's."""
    found = re.search(r"no such (table|column): (?:\w+\.)?(\S+)", error.args[0])
    connection = _connection(error, frame)
    if found is None or connection is None:
        return None
    tables = _tables(connection)
    near = close(found[2], tables if found[1] == "table" else itertools.chain.from_iterable(tables.values()))
    said = f"There is no {found[1]} {found[2][:80]!r}, but {listed(near)}. " if near else ""
    told = [f"{table} ({', '.join(columns)})" for table, columns in tables.items()]
    return f"{said}The tables are: {', '.join(told) or 'none'}."


def _connection(error: BaseException, frame: FrameType | None) -> Any:
    """The one connection that the frames have which the error came through."""
    sqlite3: Any = sys.modules.get("sqlite3")
    if sqlite3 is None:
        return None
    held: list[Any] = list(frame.f_globals.values()) if frame is not None else []
    at = error.__traceback__
    while at is not None:
        held += values.variables(at.tb_frame).values()
        at = at.tb_next
    found = {}
    for value in held:
        if type(value) is sqlite3.Cursor:
            value = value.connection
        if type(value) is sqlite3.Connection:
            found[id(value)] = value
    return next(iter(found.values())) if len(found) == 1 else None


def _tables(connection: Any) -> dict[str, list[str]]:
    """Tables and views, each with its columns. Raises sqlite3.Error."""
    cursor = connection.cursor()
    cursor.row_factory = None
    select = (
        "select name from sqlite_master where type in ('table', 'view') and name not like 'sqlite_%' limit ?"
    )
    names = [row[0] for row in cursor.execute(select, (_MAX_TABLES,))]
    columns = "select name from pragma_table_info(?) limit ?"
    return {name: [row[0] for row in cursor.execute(columns, (name, _MAX_COLUMNS))] for name in names}
