"""One run of one piece of code: what is asked, and the document that answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from belljar.records import MIB, Level, Outcome
from belljar.wire.charts import Chart, ChartsRequest
from belljar.wire.numbers import WHOLE

FILE_NAME_PATTERN = r"^(?!\.{1,2}$)[^/\u0000-\u001f\u007f]+$"
BASE64_PATTERN = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


MemoryBytes = Annotated[int, Field(ge=64 * MIB, le=1024 * 1024 * MIB), WHOLE]
Pids = Annotated[int, Field(ge=8, le=32768), WHOLE]
DiskBytes = Annotated[int, Field(ge=1 * MIB, le=1024 * 1024 * MIB), WHOLE]
MOST_OUTPUT_MIB = 64
OutputBytes = Annotated[int, Field(ge=1024, le=MOST_OUTPUT_MIB * MIB), WHOLE]
Cpus = Annotated[float, Field(ge=0.05, le=1024)]


class LimitsRequest(BaseModel):
    """The limits that a caller asks for; what is left out is the server's default."""

    model_config = ConfigDict(extra="forbid", strict=True)

    memory_bytes: MemoryBytes | None = None
    pids: Pids | None = None
    disk_bytes: DiskBytes | None = None
    output_bytes: OutputBytes | None = None
    cpus: Cpus | None = None


class Truncated(BaseModel):
    stdout: bool = False
    stderr: bool = False


class Isolation(BaseModel):
    level: Level
    missing: list[str] = []
    """What does not hold, or not in full."""


class Usage(BaseModel):
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int


def _is_empty(value: object) -> bool:
    return not value


class StreamOutput(BaseModel):
    type: Literal["stream"] = "stream"
    name: Literal["stdout", "stderr"]
    text: str


class DisplayOutput(BaseModel):
    type: Literal["display_data", "execute_result", "update_display_data"]
    """The last in a stream only."""
    data: dict[str, str]
    """By media type; binary types are base64."""
    metadata: Annotated[dict[str, Any], Field(exclude_if=_is_empty)] = {}
    """As the code gave it; left out where there is none."""
    display_id: Annotated[str | None, Field(exclude_if=_is_empty)] = None
    """By which the code may replace it; left out where there is none."""


class ErrorFrame(BaseModel):
    """A call that was under way when the code raised, the outermost first."""

    file: str
    """`<cell N>`, the path of a module in the working directory, or a library's file."""
    line: int | None
    function: str
    """Empty for a SyntaxError."""
    code: str
    """The line's text, where it is known."""
    is_own: bool
    """Of the code itself; else of a library, of which the last one alone is here."""
    left_out: int = 0
    """Calls before this one that are left out: of libraries, or the same ones again and again."""


class ErrorValue(BaseModel):
    """What a name stood for in the innermost call of the code's own."""

    name: str
    type: str
    text: str
    """Its value, or its size, shape and types."""


class ErrorOutput(BaseModel):
    """The exception that ended the code. All but the first three is empty where it could not be told."""

    type: Literal["error"] = "error"
    ename: str
    evalue: str
    traceback: list[str]
    brief: list[str] = []
    """The traceback with the calls of libraries in a line each."""
    frames: list[ErrorFrame] = []
    values: list[ErrorValue] = []
    hint: str | None = None
    """What there is instead of what was asked for, where that is known."""


Output = Annotated[StreamOutput | DisplayOutput | ErrorOutput, Field(discriminator="type")]


Change = Literal["created", "modified"]


class ExecutionFile(BaseModel):
    file_id: str | None
    """None where there is no server to keep the file (`belljar run`)."""
    filename: str
    path: str
    """Relative to the working directory; differs from `filename` for files in sub-folders."""
    mime_type: str
    size_bytes: int
    change: Change = "created"
    """`modified` where there was a file at this path before."""
    holds: int = 0
    """How many files, where it is the archive of those that do not come one by one."""
    chart: Chart | None = None
    """What it shows, where the code has saved a figure in it."""


# What `belljar.inputs` asks of names and contents, as far as a pattern can say it: for the API's description. They
# are checked there, where what is wrong with one is known.
FileName = Annotated[
    str,
    WithJsonSchema({"type": "string", "maxLength": 255, "pattern": FILE_NAME_PATTERN}),
]
Base64 = Annotated[
    str, WithJsonSchema({"type": "string", "contentEncoding": "base64", "pattern": BASE64_PATTERN})
]


class InputFile(BaseModel):
    """A file to be there before the code runs: its bytes, or those of a file that is kept here."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "oneOf": [
                {"required": [name], "properties": {name: {"type": "string"}}} for name in ("data", "file_id")
            ]
        },
    )

    name: FileName
    data: Base64 | None = None
    """Base64."""
    file_id: str | None = None


def _env_name(name: str) -> str:
    if not name or "=" in name or "\0" in name:
        raise PydanticCustomError("env", "a variable's name is not empty and has neither '=' nor NUL")
    if name == "OUTPUT_DIR":
        raise PydanticCustomError("env", "OUTPUT_DIR is set for each run")
    return name


def _env_value(value: str) -> str:
    if "\0" in value:
        raise PydanticCustomError("env", "a variable's value has no NUL")
    return value


Env = Annotated[
    dict[Annotated[str, AfterValidator(_env_name)], Annotated[str, AfterValidator(_env_value)]],
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": r"^(?!OUTPUT_DIR$)[^=\u0000]+$"},
            "additionalProperties": {"type": "string", "pattern": r"^[^\u0000]*$"},
        }
    ),
]


class ExecutionRequest(BaseModel):
    """The body of POST /v1/executions."""

    model_config = ConfigDict(extra="forbid", strict=True)

    code: str
    language: Literal["python"] = "python"
    container: str | None = None
    runtime: str | None = None
    """The name of what it runs in; else the server's rules say so."""
    files: list[InputFile] = []
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    limits: LimitsRequest | None = None
    stdin: str | None = None
    env: Env = {}
    stream: bool = False
    """Answer with server-sent events, while it runs."""
    charts: ChartsRequest | None = None
    """How the code's charts are drawn: each of them, also those that it saves, comes among `outputs` then."""


class Execution(BaseModel):
    """The answer of POST /v1/executions and of `belljar run --json`."""

    id: str
    type: Literal["execution"] = "execution"
    container: str | None
    runtime: str = "default"
    """The name of what it ran in."""
    restored: bool = False
    """The container had been asleep: its files were brought back, and its variables are gone."""
    outcome: Outcome
    return_code: int
    stdout: str
    stderr: str
    truncated: Truncated
    outputs: list[Output]
    files: list[ExecutionFile]
    deleted: list[str] = []
    """Paths in the working directory at which there was a file before the run; at most 1,000."""
    usage: Usage
    isolation: Isolation
    laps: dict[str, float] = {}
    """Milliseconds for each step of making the session and of the run."""


class BatchItem(ExecutionRequest):
    """A line of the body of POST /v1/executions/batch, and of what `belljar batch` reads."""

    custom_id: Annotated[str, Field(max_length=200)] | None = None
    """Comes back with the answer, for the caller to know it by."""
    stream: Literal[False] = False


class BatchLine(BaseModel):
    """A line of the answer. They come in the order in which they finish."""

    index: int
    """The item's place in the batch, from 0."""
    custom_id: str | None
    execution: Execution | None = None
    error: dict[str, Any] | None = None
    """{type, message} where the item could not be run; else null."""


def json_of(model: BaseModel) -> dict[str, Any]:
    """The model as JSON-ready data, with every field of the contract present."""
    return model.model_dump(mode="json")
