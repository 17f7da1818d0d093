"""A run as `belljar run` prints it: the frames of `belljar.warm`, for whoever sits at the terminal.

The same from a keeper of the command's own and from a server that is warm, so that nobody can tell them apart.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from belljar import document, results, warm
from belljar.records import MIB
from belljar.wire.charts import MEDIA_TYPES, ChartsRequest
from belljar.wire.execution import MOST_OUTPUT_MIB, Isolation, json_of
from belljar.wire.media import HEAD_BYTES, IMAGES, extension_of

Frame = tuple[bytes, bytes]
_RAISED_BY = {
    "timeout_seconds": "--timeout S",
    "memory_bytes": "--memory MIB",
    "disk_bytes": "BELLJAR_DISK_BYTES",
    "disk_inodes": "BELLJAR_DISK_BYTES",
    "pids": "BELLJAR_PIDS",
}
"""What one can say to have more of a limit."""
_SAVED_TYPES = IMAGES | set(MEDIA_TYPES.values())


@dataclass(frozen=True)
class Form:
    """How it is to be printed."""

    as_json: bool = False
    """As one document, at the end."""
    on_terminal: bool = False
    """An exception comes with values and a hint."""
    name: str | None = None
    """Of the file that the program is in, for tracebacks."""
    output_bytes: int = MIB
    """That are kept of each stream."""


def charts_of(formats: Sequence[str], dpi: str | None) -> ChartsRequest | None:
    """How charts are to be drawn; None where nothing was said. Raises pydantic.ValidationError."""
    if not formats and dpi is None:
        return None
    return ChartsRequest.model_validate(
        {"formats": list(dict.fromkeys(formats)) or ["png"], "dpi": None if dpi is None else float(dpi)}
    )


def heard(event: results.Event, form: Form) -> Iterator[Frame]:
    """What an event prints while the program runs."""
    if form.as_json:
        return
    if isinstance(event, results.Stream):
        yield (warm.ERR if event.name == "stderr" else warm.OUT), event.text.encode()
    elif isinstance(event, results.Raised):
        lines = [_named(line, form.name) for line in event.traceback]
        yield warm.ERR, _line("\n".join([*lines, *(results.notes(event) if form.on_terminal else ())]))
    elif isinstance(event, results.Display) and event.type != "execute_result":
        is_saved_chart = event.chart is not None and not _SAVED_TYPES.isdisjoint(event.data)
        text = "" if is_saved_chart else results.text_of(event)
        yield warm.OUT, _line(text) if text else b""


def argv(name: str | None, arguments: Sequence[str]) -> list[str]:
    """As Python would have it for a file, `-` or, without a name, `-c`."""
    return ["-c" if name is None else name, *arguments]


def _named(line: str, name: str | None) -> str:
    return line if name in (None, "-") else line.replace('File "<cell 1>", line ', f'File "{name}", line ')


async def ended(
    result: results.Result,
    read: Callable[[results.WorkFile], AsyncIterator[bytes]],
    form: Form,
    *,
    runtime: str,
    isolation: Isolation,
) -> AsyncIterator[Frame]:
    """What the program made, how it ended, and its exit code."""
    files = []
    for file in result.files:
        head = b""
        yield warm.FILE, file.path.encode("utf-8", "replace")
        async with aclosing(read(file)) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                head += piece[: HEAD_BYTES - len(head)]
                yield warm.PIECE, piece
        files.append(document.local_file(file, head))
    count = 0
    for output in result.outputs:
        if not isinstance(output, results.Display):
            continue
        pictures = {kind: body for kind, body in output.data.items() if kind in _SAVED_TYPES}
        count += bool(pictures)
        for kind, body in pictures.items():
            yield warm.PICTURE, f"figure-{count}.{extension_of(kind)}".encode()
            yield warm.PIECE, body
    outcome = result.outcome
    if form.as_json:
        answer = document.execution(result, container=None, runtime=runtime, files=files, isolation=isolation)
        text = json.dumps(json_of(answer), ensure_ascii=False, indent=2)
        yield warm.OUT, f"{text}\n".encode("utf-8", "backslashreplace")
    elif outcome.limit is not None or outcome.status not in ("completed", "raised", "exited"):
        name = outcome.limit.name if outcome.limit is not None else ""
        more = f" {_RAISED_BY[name]} gives it more." if name in _RAISED_BY else ""
        yield warm.ERR, _line(f"belljar: {outcome.message}{more}")
    cut = [name for name in ("stdout", "stderr") if getattr(result.truncated, name)]
    if cut and not form.as_json:
        # It stands in the middle of what was printed as well, where a pipe does not look.
        mib = form.output_bytes / MIB
        more = " (--max-output MIB)" if mib < MOST_OUTPUT_MIB else ""
        yield (
            warm.ERR,
            _line(f"belljar: the middle of {' and of '.join(cut)} was left out: {mib:g} MiB are kept{more}"),
        )
    yield warm.EXIT, str(result.return_code).encode()


def _line(text: str) -> bytes:
    return f"{text}\n".encode("utf-8", "backslashreplace")
