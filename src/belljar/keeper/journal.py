"""What the keeper says on standard error, and how it writes times down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from belljar.errors import BelljarError
from belljar.logged import StandardError, traceback_of


def log(what: str, error: Exception, request_id: str = "") -> None:
    """A line of the gateway's form: one of our own errors in a sentence, any other with its traceback, but no words.

    `request_id` is that of the API's request that it belongs to.
    """
    is_ours = isinstance(error, BelljarError)
    told = str(error) if is_ours else traceback_of(error)
    stderr = StandardError()
    if stderr.isatty():
        whose = f" {request_id}" if request_id else ""
        print(f"belljar keeper{whose}: {what}: {told}", file=stderr, flush=True)
        return
    line = {"request_id": request_id} if request_id else {}
    line |= {"level": "error", "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z")}
    line |= {"process": "keeper", "error" if is_ours else "exception": told, "event": what}
    print(json.dumps(line), file=stderr, flush=True)


def milliseconds(laps: Mapping[str, float]) -> dict[str, float]:
    """Laps in seconds, as they are told."""
    return {name: round(seconds * 1000, 3) for name, seconds in laps.items()}
