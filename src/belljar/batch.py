"""Programs by the thousand, as JSON lines: what a batch may hold, and how a line is understood."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from belljar.errors import InvalidRequest
from belljar.wire.execution import BatchItem

MAX_ITEMS = 100_000


def lines_of(body: bytes) -> list[bytes]:
    """The lines of a batch that are not empty. Raises InvalidRequest where there are none, or too many."""
    lines = [line for line in body.splitlines() if line.strip()]
    if not lines:
        raise InvalidRequest("A batch is JSON lines: one execution in each, as for POST /v1/executions")
    if len(lines) > MAX_ITEMS:
        raise InvalidRequest(f"The batch has {len(lines)} lines, and {MAX_ITEMS} are allowed")
    return lines


def item_of(line: bytes) -> tuple[str | None, BatchItem | InvalidRequest]:
    """What a line asks for, or why that cannot be told, with the path of what is wrong. Before it stands by which its
    caller knows the line, also one that is refused for something else."""
    try:
        document: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        return None, InvalidRequest(f"The line is not valid JSON: {error}")
    if not isinstance(document, dict):
        return None, InvalidRequest("The line has to be a JSON object")
    given = document.get("custom_id")
    custom_id = given if isinstance(given, str) else None
    try:
        return custom_id, BatchItem.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return custom_id, InvalidRequest(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
