"""One run of one piece of code: what is asked, and the document that answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Level = Literal["full", "limited", "reduced"]
Status = Literal[
    "completed",
    "raised",
    "exited",
    "timed_out",
    "out_of_memory",
    "output_exceeded",
    "disk_full",
    "interrupted",
    "crashed",
    "lost",
]

MIB = 1024 * 1024


class Limits(BaseModel):
    """How much one session may use. Fixed when the session is made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory_bytes: int = Field(1024 * MIB, ge=64 * MIB, le=1024 * 1024 * MIB)
    pids: int = Field(128, ge=8, le=32768)
    disk_bytes: int = Field(512 * MIB, ge=1 * MIB, le=1024 * 1024 * MIB)
    output_bytes: int = Field(1 * MIB, ge=1024, le=64 * MIB)
    cpus: float = Field(1.0, ge=0.05, le=1024)


class LimitsRequest(BaseModel):
    """The limits that a caller asks for; what is left out is the server's default."""

    model_config = ConfigDict(extra="forbid")

    memory_bytes: int | None = None
    pids: int | None = None
    disk_bytes: int | None = None
    output_bytes: int | None = None
    cpus: float | None = None


class LimitReached(BaseModel):
    """A limit that ended a run, or that the kernel held a part of it to."""

    name: str
    """As in `Limits`, or `timeout_seconds` or `disk_inodes`."""
    value: float
    peak: float | None
    """The most that was seen; None where it cannot be told."""


class Outcome(BaseModel):
    """How a run ended. The keeper alone decides it, from its own clock and the kernel's counters."""

    status: Status
    reason: str
    """Machine-readable: which limit, signal or exception ended the run."""
    message: str
    """The same for a person, and what became of the session's variables and files."""
    limit: LimitReached | None = None


class Truncated(BaseModel):
    stdout: bool = False
    stderr: bool = False


State = Literal["held", "weaker", "missing"]


class Layer(BaseModel):
    """One of the walls between a session and the machine."""

    name: str
    state: State
    detail: str
    """What it is here, or what is instead."""
    fix: str
    """What would make it hold; empty where it does."""


class IdleMemory(BaseModel):
    """How memory of sessions that nobody uses is given back here."""

    way: Literal["memory.reclaim", "process_madvise", "none"]
    detail: str
    """What cannot be given back, or why nothing can; empty where all can."""


class Isolation(BaseModel):
    level: Level
    missing: list[str] = []
    """What does not hold, or not in full."""


class Usage(BaseModel):
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int


class StreamOutput(BaseModel):
    type: Literal["stream"] = "stream"
    name: Literal["stdout", "stderr"]
    text: str


class DisplayOutput(BaseModel):
    type: Literal["display_data", "execute_result"]
    data: dict[str, str]
    """By media type; binary types are base64."""


class ErrorOutput(BaseModel):
    type: Literal["error"] = "error"
    ename: str
    evalue: str
    traceback: list[str]


Output = Annotated[StreamOutput | DisplayOutput | ErrorOutput, Field(discriminator="type")]


class ExecutionFile(BaseModel):
    file_id: str | None
    """None where there is no server to keep the file (`belljar run`)."""
    filename: str
    path: str
    """Relative to the working directory; differs from `filename` for files in sub-folders."""
    mime_type: str
    size_bytes: int


class InputFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    data: str | None = None
    """Base64."""
    file_id: str | None = None


def _env_name(name: str) -> str:
    if not name or "=" in name or "\0" in name:
        raise ValueError("a variable's name is not empty and has neither '=' nor NUL")
    if name == "OUTPUT_DIR":
        raise ValueError("OUTPUT_DIR is set for each run")
    return name


def _env_value(value: str) -> str:
    if "\0" in value:
        raise ValueError("a variable's value has no NUL")
    return value


EnvName = Annotated[str, AfterValidator(_env_name)]
EnvValue = Annotated[str, AfterValidator(_env_value)]


class ExecutionRequest(BaseModel):
    """The body of POST /v1/executions."""

    model_config = ConfigDict(extra="forbid")

    code: str
    language: Literal["python"] = "python"
    container: str | None = None
    files: list[InputFile] = []
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    limits: LimitsRequest | None = None
    stdin: str | None = None
    env: dict[EnvName, EnvValue] = {}


class Execution(BaseModel):
    """The answer of POST /v1/executions and of `belljar run --json`."""

    id: str
    type: Literal["execution"] = "execution"
    container: str | None
    restored: bool = False
    """The container had been asleep: its files were brought back, and its variables are gone."""
    outcome: Outcome
    return_code: int
    stdout: str
    stderr: str
    truncated: Truncated
    outputs: list[Output]
    files: list[ExecutionFile]
    usage: Usage
    isolation: Isolation
    laps: dict[str, float] = {}
    """Milliseconds for each step of making the session and of the run."""


class BatchItem(ExecutionRequest):
    """A line of the body of POST /v1/executions/batch, and of what `belljar batch` reads."""

    custom_id: Annotated[str, Field(max_length=200)] | None = None
    """Comes back with the answer, for the caller to know it by."""


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
