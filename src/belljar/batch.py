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


def document_of(line: bytes) -> dict[str, Any]:
    """One line, as far as any has to be. Raises InvalidRequest."""
    try:
        document: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The line is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidRequest("The line has to be a JSON object")
    return document


def custom_id_of(document: dict[str, Any]) -> str | None:
    """By which its caller knows a line, also one that is refused for something else."""
    given = document.get("custom_id")
    return given if isinstance(given, str) else None


def item_of(document: dict[str, Any]) -> BatchItem:
    """What a line asks for. Raises InvalidRequest, with the path of what is wrong."""
    try:
        return BatchItem.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise InvalidRequest(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
