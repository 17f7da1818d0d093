"""The list of a tenant's files, in one answer that clients of both forms of the API can go through.

Those of the newer one follow `next_page`; those of the older one `first_id` and `last_id` as long as there is more.
A cursor is a file's id, which need not exist any more: who deletes what is listed can go on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from belljar.errors import InvalidRequest
from belljar.gateway.files import TenantFiles
from belljar.gateway.store import NEVER, File
from belljar.wire.resources import FileDocument, FileList, FileScope, rfc3339

_DEFAULT_LIMIT, MOST = 20, 1000
MOST_IDS = 100
_PAGE = "page_"
_NAMES = ("limit", "page", "after_id", "before_id", "scope_id")
ID_PATTERN = r"[A-Za-z]+_[1-9A-Za-z]{1,64}"
_ID = re.compile(ID_PATTERN, re.ASCII)


@dataclass(frozen=True)
class Query:
    """What is asked for: files older than an id, or newer, or from the newest on; or these alone."""

    limit: int = _DEFAULT_LIMIT
    older_than: str | None = None
    newer_than: str | None = None
    container_id: str | None = None
    ids: tuple[str, ...] | None = None


def query(parameters: list[tuple[str, str]]) -> Query:
    """Read the parameters of a URL; unknown ones are ignored. Raises InvalidRequest that names the wrong one.

    Of several that say which files, one counts: the ids, else `page`, else `after_id`, else `before_id`.
    """
    given: dict[str, str] = {}
    ids: list[str] = []
    for name, value in parameters:
        if name in {"ids", "ids[]"}:
            ids.append(_checked("ids", value))
        elif name in given:
            raise InvalidRequest(f"{name}: it is given twice")
        elif name in _NAMES:
            given[name] = value
    most = limit(given.get("limit"))
    page = given.get("page")
    if page is not None and not page.startswith(_PAGE):
        raise InvalidRequest("page: it has to be the `next_page` of an earlier answer")
    if page is not None:
        given["page"] = page.removeprefix(_PAGE)
    cursors = {name: _checked(name, given[name]) for name in _NAMES[1:] if name in given}
    unique = tuple(dict.fromkeys(ids))
    if len(unique) > MOST_IDS:
        raise InvalidRequest(f"ids: there may be {MOST_IDS} of them, and these are {len(unique)}")
    if unique:
        return Query(ids=unique)
    older_than = cursors.get("page") or cursors.get("after_id")
    return Query(
        limit=most,
        older_than=older_than,
        newer_than=cursors.get("before_id") if older_than is None else None,
        container_id=cursors.get("scope_id"),
    )


def limit(text: str | None) -> int:
    """How many a page is to have, of what a URL says. Raises InvalidRequest."""
    if text is None:
        return _DEFAULT_LIMIT
    if not re.fullmatch("[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= MOST:
        raise InvalidRequest(f"limit: it has to be a number from 1 to {MOST}")
    return int(text)


def _checked(name: str, value: str) -> str:
    if not _ID.fullmatch(value):
        raise InvalidRequest(f"{name}: {value!r} is no id")
    return value


async def answer(files: TenantFiles, asked: Query) -> FileList:
    """A page of the list, the newest first."""
    if asked.ids is not None:
        return _page(await files.some(list(asked.ids)), has_more=False, next_page=None)
    most = asked.limit + 1  # one more, to know whether there is more
    if asked.newer_than is not None:
        found = await files.newer(asked.newer_than, asked.container_id, most)
        page = found[: asked.limit][::-1]
        return _page(page, has_more=len(found) == most, next_page=None)
    found = await files.older(asked.older_than, asked.container_id, most)
    page, has_more = found[: asked.limit], len(found) == most
    return _page(page, has_more, _PAGE + page[-1].id if has_more else None)


def _page(files: list[File], has_more: bool, next_page: str | None) -> FileList:
    return FileList(
        data=[document(file) for file in files],
        next_page=next_page,
        has_more=has_more,
        first_id=files[0].id if files else None,
        last_id=files[-1].id if files else None,
    )


def document(file: File) -> FileDocument:
    return FileDocument(
        id=file.id,
        filename=file.filename,
        mime_type=file.mime_type,
        size_bytes=file.size_bytes,
        created_at=rfc3339(file.created_at),
        expires_at=None if file.expires_at == NEVER else rfc3339(file.expires_at),
        downloadable=file.is_downloadable,
        scope=None if file.container_id is None else FileScope(id=file.container_id),
    )
