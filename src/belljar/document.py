"""A run's result as the document that answers it: the same from the server and from `belljar run`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace

from belljar import results
from belljar.wire.execution import (
    DisplayOutput,
    ErrorOutput,
    Execution,
    ExecutionFile,
    Isolation,
    Output,
    StreamOutput,
)
from belljar.wire.ids import new_id
from belljar.wire.media import media_type

_TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml", "image/svg")
_TEXT_SUFFIXES = ("+json", "+xml")


def execution(
    result: results.Result,
    *,
    execution_id: str | None = None,
    container: str | None,
    runtime: str = "default",
    restored: str = "",
    also: str = "",
    files: Sequence[ExecutionFile],
    isolation: Isolation,
) -> Execution:
    """The document of `result`, with a new id where it has none.

    `restored` is what is to be said of a container that was asleep before, `also` what is to be said of its files.
    """
    outcome = result.outcome
    if restored or also:
        message = " ".join(filter(None, (outcome.message, also, restored)))
        outcome = replace(outcome, message=message)
    return Execution(
        id=execution_id or new_id("exec"),
        container=container,
        runtime=runtime,
        restored=bool(restored),
        outcome=outcome,
        return_code=result.return_code,
        stdout=result.stdout,
        stderr=result.stderr,
        truncated=result.truncated,
        outputs=[output_of(event) for event in result.outputs],
        files=list(files),
        deleted=result.deleted,
        usage=result.usage,
        isolation=isolation,
        laps=result.laps,
    )


def local_file(file: results.WorkFile, head: bytes) -> ExecutionFile:
    """A file of a run without a server, which would keep it; `head` is how it begins."""
    return ExecutionFile(
        file_id=None,
        filename=file.path.rpartition("/")[2],
        path=file.path,
        mime_type=media_type(file.path, head),
        size_bytes=file.size_bytes,
        change=file.change,
        chart=file.chart,
    )


def output_of(event: results.Output) -> Output:
    """An output as the document has it."""
    if isinstance(event, results.Stream):
        return StreamOutput(name=event.name, text=event.text)
    if isinstance(event, results.Raised):
        return ErrorOutput(**vars(event))
    data = {kind: _text(kind, body) for kind, body in event.data.items()}
    return DisplayOutput(type=event.type, data=data, metadata=event.metadata, display_id=event.display_id)


def _text(kind: str, body: bytes) -> str:
    if kind.startswith(_TEXT_TYPES) or kind.endswith(_TEXT_SUFFIXES):
        return body.decode("utf-8", "replace")
    return base64.b64encode(body).decode()
