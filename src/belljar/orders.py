"""What an owner asks of its keeper: sessions, and what they run."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from belljar.errors import RequestTooLarge
from belljar.frames import MAX_RUN_BYTES
from belljar.records import Limits
from belljar.wire.charts import ChartFormat, ChartsRequest


@dataclass(frozen=True)
class Command:
    """A shell command. It has a new, empty $OUTPUT_DIR of its own, and all that it starts ends with it."""

    text: str


@dataclass(frozen=True)
class Edit:
    """A look at a file, or a change of one: see `guest.editor`."""

    input: dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """A tool of the caller's that code may call, as an async function of that name."""

    name: str
    description: str


@dataclass(frozen=True)
class Drawing:
    """A chart of an earlier run in the session, to be drawn again; pixels are of width and height."""

    chart_id: str
    format: ChartFormat
    dpi: float | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Run:
    """What to run: Python code, calls that run side by side, or the drawing of a chart. Each run has a new, empty
    $OUTPUT_DIR beside the working directory."""

    code: str | None
    timeout_seconds: float
    stdin: str = ""
    env: dict[str, str] = field(default_factory=dict)
    argv: Sequence[str] = ()
    """What the code has in `sys.argv`; as it is, where there is nothing."""
    is_last: bool = False
    """The session ends after this run, so there is nothing to say on what it keeps."""
    calls: Sequence[Command | Edit] = ()
    """Where there is no code."""
    tools: Sequence[Tool] = ()
    """Where there is code, and somebody who hears of what it asks."""
    charts: ChartsRequest | None = None
    """How the code's charts are drawn, where it is not as usual."""
    drawing: Drawing | None = None
    """Where there is neither code nor calls."""


@dataclass(frozen=True)
class Opening:
    """A session that is to be made: see `Keeper.open`."""

    limits: Limits
    imports: Sequence[str] | None = None
    runtime: str | None = None
    """The name of one that was built (see `builds`); None for the default one."""

    def asked(self) -> dict[str, Any]:
        """As the keeper is told."""
        return {"limits": asdict(self.limits), "imports": self.imports, "runtime": self.runtime}


ReplyStatus = Literal["answered", "failed", "timed_out"]
"""Of a tool's answer: what the code gets is the text, a RuntimeError, or a TimeoutError."""


def of_run(run: Run, opening: Opening | None, files: Mapping[str, bytes]) -> bytes:
    """A run as the keeper is told; the files themselves come behind it. Raises RequestTooLarge."""
    # In the body, for all that a program chooses may be longer than a head: names of files, and of imports.
    asked: dict[str, Any] = {
        "code": run.code,
        "timeout_seconds": run.timeout_seconds,
        "stdin": run.stdin,
        "env": run.env,
        "argv": list(run.argv),
        "is_last": run.is_last,
        "output_dir": secrets.token_hex(8),
        "calls": [_call(call) for call in run.calls],
        "tools": [{"name": tool.name, "description": tool.description} for tool in run.tools],
        "charts": run.charts.model_dump() if run.charts is not None else None,
        "chart": asdict(run.drawing) if run.drawing is not None else None,
        "files": [[name, len(body)] for name, body in files.items()],
    }
    if opening is not None:
        asked["open"] = opening.asked()
    request = json.dumps(asked).encode()
    if len(request) > MAX_RUN_BYTES:
        raise too_large()
    return request


def too_large() -> RequestTooLarge:
    """For a run over `MAX_RUN_BYTES`."""
    return RequestTooLarge(
        f"The program, or its input, is too large: for all that goes with a run, {MAX_RUN_BYTES:,} bytes of JSON are"
        " allowed. Put what is large into a file of the working directory."
    )


def _call(call: Command | Edit) -> dict[str, Any]:
    output_dir = secrets.token_hex(8)
    if isinstance(call, Command):
        return {"kind": "bash", "command": call.text, "output_dir": output_dir}
    return {"kind": "edit", "input": call.input, "output_dir": output_dir}
