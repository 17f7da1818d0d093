"""What requests have used, added up: the answer of GET /v1/usage, and what `belljar usage` prints."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import cast, get_args

from belljar.errors import InvalidRequest
from belljar.gateway.files import now_microseconds
from belljar.gateway.store import GroupBy, Store, UsageTotal
from belljar.gateway.usage import money
from belljar.wire.resources import UsageLine, UsageTable, rfc3339

TIME = r"20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z)?"
"""A day or a time in UTC, as a pattern; longer months have the days that it leaves out, too."""
_TEXT = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}(T[0-9:]{8}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2}))?")
_USUAL_DAYS = 30


@dataclass(frozen=True)
class Asked:
    """Of which requests, from `start` to before `end`, and in which groups."""

    start: int
    end: int
    group_by: GroupBy = "day"


def asked_for(query: Iterable[tuple[str, str]], *, start_name: str = "from", end_name: str = "to") -> Asked:
    """A query, in which the start and the end have these names. Raises InvalidRequest that names what is wrong."""
    given = dict(query)
    end = _time(given[end_name], end_name) if end_name in given else now_microseconds() + 1
    usual = end - _USUAL_DAYS * 86_400_000_000
    start = _time(given[start_name], start_name) if start_name in given else usual
    group_by = given.get("group_by", "day")
    if group_by not in get_args(GroupBy):
        raise InvalidRequest(f"group_by: {group_by!r} is none of {', '.join(get_args(GroupBy))}")
    return Asked(start, end, cast("GroupBy", group_by))


async def table(store: Store, asked: Asked, tenant: str | None) -> UsageTable:
    """Of one tenant, or of all."""
    found = await store.usage_totals(asked.group_by, asked.start, asked.end, tenant)
    return UsageTable(
        start=rfc3339(asked.start),
        end=rfc3339(asked.end),
        group_by=asked.group_by,
        data=[_line(total, asked.group_by) for total in found],
    )


def _line(total: UsageTotal, group_by: GroupBy) -> UsageLine:
    days = group_by == "day"
    return UsageLine(
        what=(date(1970, 1, 1) + timedelta(days=int(total.what))).isoformat() if days else total.what,
        requests=total.requests,
        estimated_requests=total.estimated_requests,
        input_tokens=total.input_tokens,
        output_tokens=total.output_tokens,
        cache_creation_tokens=total.cache_creation_tokens,
        cache_read_tokens=total.cache_read_tokens,
        thinking_tokens=total.thinking_tokens,
        code_executions=total.code_executions,
        bash_executions=total.bash_executions,
        editor_executions=total.editor_executions,
        container_seconds=total.container_microseconds / 1_000_000,
        images=total.images,
        searches=total.searches,
        amount=money(total.amount),
        currency=total.currency,
    )


def _time(text: str, name: str) -> int:
    try:
        if _TEXT.fullmatch(text):
            when = datetime.fromisoformat(text)
            return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()) * 1_000_000
    except ValueError:
        pass
    raise InvalidRequest(f"{name}: {text!r} is no day (2026-11-30) and no time (2026-11-30T12:00:00Z)")
