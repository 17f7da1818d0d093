"""Every setting of Belljar, with its default. Each is read from `BELLJAR_<NAME>` in the environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from belljar.wire.execution import MIB, Level, Limits, LimitsRequest

YES_OPEN = "yes-anyone-may-run-code"
BY_UPSTREAM = "upstream"
"""As `search`: the model server searches itself."""

DATA_TIERS: dict[str, tuple[str, ...]] = {
    "bare": (
        "base64",
        "csv",
        "datetime",
        "decimal",
        "hashlib",
        "itertools",
        "math",
        "pathlib",
        "random",
        "statistics",
        "string",
        "subprocess",
        "textwrap",
    ),
    "tables": ("numpy", "pandas"),
    "charts": ("matplotlib.pyplot", "matplotlib.backends.backend_agg"),
    "everything": (
        "scipy.stats",
        "scipy.optimize",
        "scipy.integrate",
        "sympy",
        "seaborn",
        "openpyxl",
    ),
}
"""A fork costs what its parent has in memory, and an import costs more: so there is a zygote for each."""


def _default_state_dir() -> Path:
    return Path(platformdirs.user_data_dir("belljar", appauthor=False))


def _default_runtime() -> Path:
    return Path(sys.prefix) / "share" / "belljar" / "runtimes" / "data"


class Settings(BaseSettings):
    """What the operator decides. Sizes are in bytes, times in seconds."""

    model_config = SettingsConfigDict(env_prefix="BELLJAR_", extra="ignore")

    state_dir: Path = Field(default_factory=_default_state_dir)
    """All that is kept lies below this directory."""

    # the command
    warm: Literal["auto", "always", "never"] = "auto"
    """Whether `belljar run` uses the server that is up for this user."""
    pictures: Literal["auto", "kitty", "iterm", "sixel", "none"] = "auto"
    """How the terminal shows pictures; `auto`: as it says itself."""

    # the server
    host: str = "127.0.0.1"
    port: int = Field(8421, ge=0, le=65535)
    upstream: str = "direct"
    """`anthropic:URL`, `openai:URL`, `direct` (no model) or `scripted:FILE`."""
    upstream_api_key: str | None = Field(None, repr=False)
    """Sent to the upstream; without it `ANTHROPIC_API_KEY` or `OPENAI_API_KEY`, by the upstream's kind, without that
    the caller's own key is passed on."""
    upstream_timeout_seconds: float = Field(600, gt=0)
    upstream_retries: int = Field(2, ge=0, le=10)
    """How often a model server that is down or busy is asked again, as long as nothing of its answer has come."""
    models: Path | None = None
    """A TOML file that says which models there are, and at which upstreams; in place of `upstream`."""
    search: str = Field("", repr=False)
    """`searxng:URL`, `brave`, `tavily` or `upstream`; without it web searches are `unavailable`."""
    search_key: str | None = Field(None, repr=False)
    """Of Brave or Tavily; without it `BRAVE_API_KEY` or `TAVILY_API_KEY`."""
    search_timeout_seconds: float = Field(15, gt=0)
    """For one search."""
    search_citations: Literal["auto", "on", "off"] = "auto"
    """Whether an `anthropic` upstream gets what was found as blocks that it cites; `auto`: if it is Anthropic's."""
    open: Literal["", "yes-anyone-may-run-code"] = ""
    """Listen on other addresses than loopback although there are no API keys."""
    profile: Literal["auto", "anthropic", "inline"] = "auto"
    max_body_bytes: int = Field(32 * MIB, gt=0)
    max_file_bytes: int = Field(500_000_000, gt=0)
    """Of an uploaded file."""
    tenant_stored_bytes: int = Field(100 * 1024 * MIB, gt=0)
    """All files of a tenant together, where its key does not say otherwise."""
    tenant_stored_files: int = Field(200_000, gt=0)
    """The same by number: each small file costs the server's disk more than its bytes."""
    body_silence_seconds: float = Field(60, gt=0)
    """Of a client, in the middle of what it sends."""
    max_turns: int = Field(64, gt=0)
    """Upstream calls in one request; past it the answer is `pause_turn`."""
    pause_seconds: float = Field(480, gt=0)
    """A request that has taken so long gets `pause_turn` instead of another turn: clients give up after 600."""
    tool_reply_seconds: float = Field(240, gt=0)
    """For the caller to answer a tool that code has called; then the code gets a TimeoutError."""
    result_tokens: int = Field(12_500, ge=100)
    """Of one result, for the model; a longer one is cut in the middle, and lies whole in the container."""
    container_idle_seconds: float = Field(3600, gt=0, le=30 * 24 * 3600)
    """A container that is not used for so long is deleted with everything in it."""
    container_sleep_seconds: float = Field(300, gt=0)
    """One that is not used for so long is put away: its interpreter ends, its files are kept."""
    container_missing: Literal["refuse", "renew"] = "refuse"
    """What becomes of a request that names a container that is not there: 404, or a new container."""
    max_containers: int = Field(10_000, gt=0)
    """Containers, asleep or not; one more is refused with 429."""
    file_keep_seconds: float = Field(24 * 3600, gt=0)
    """Files that runs made can be fetched for so long."""
    max_sessions: int = Field(64, gt=0)
    """Live sessions at once; for a new one the container that idles longest is put away."""
    queue_seconds: float = Field(30, gt=0, le=3600)
    """How long a request waits for a place when every session is in use; then it is refused with 529."""
    batch_silence_seconds: float = Field(15, gt=0)
    """While nothing of a batch finishes, an empty line goes out so often: clients give up on a silent connection."""
    usage_keep_days: float = Field(400, gt=0)
    """What requests have used is forgotten after so long."""
    price_plan: str = ""
    """`tutorial`, `container-hours`, or a TOML file: what requests cost. Without one nothing is priced."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """At `info` each request has a line."""
    log_content: bool = False
    """The log has prompts, code and results, clipped; without it never anything of them."""
    otel_endpoint: str = Field("", repr=False)
    """Where an OpenTelemetry collector takes OTLP over HTTP; with it requests leave spans (needs `belljar[otel]`)."""
    max_queued: int = Field(1000, gt=0)
    """Requests of one tenant that may wait at once; one more is refused with 429."""

    # the jail
    runtime: Path = Field(default_factory=_default_runtime)
    """The Python environment of the runtime `default`: a directory with `bin/python`."""
    default_runtime: str = "default"
    """What code runs in where nothing else says so: `default`, or a runtime made by `belljar runtime create`."""
    runtime_idle_seconds: float = Field(600, gt=0)
    """A runtime that was made so is held in memory from its first session until it had none for so long."""
    preload: dict[str, tuple[str, ...]] = DATA_TIERS
    """Modules that zygotes import ahead: a tier each, by name, which has those of the tiers before it as well."""
    zygote_sessions: int = Field(10_000, gt=0)
    """A zygote is replaced after so many: what is forked from one has the layout of its memory in common."""
    zygote_seconds: float = Field(6 * 3600, gt=0)
    """It is replaced at this age, too."""
    parked: int = Field(8, ge=0, le=1024)
    """Sessions with the default limits that are made ahead, at most, so that a request finds one ready."""
    idle_memory_seconds: float = Field(60, ge=0)
    """After so long without a run a session's memory is offered to the kernel, for its swap; 0 for never."""
    uid_base: int = Field(1_900_000_000, ge=65536, le=4_000_000_000)
    """As root: the first of 65,536 host uids that belong to guests and to nobody else."""
    require: Level = "limited"
    """The lowest isolation level at which to start. `reduced` is for a machine without user namespaces: sessions
    share its file tree and network under Landlock and seccomp alone, so it is for one tenant."""

    # defaults for one session and one run
    timeout_seconds: float = Field(30, gt=0, le=3600)
    grace_seconds: float = Field(2, gt=0, le=60)
    """Between SIGINT at the time-out and the kill of the whole tree."""
    memory_bytes: int = Field(1024 * MIB, ge=64 * MIB)
    pids: int = Field(128, ge=8)
    disk_bytes: int = Field(512 * MIB, ge=1 * MIB)
    output_bytes: int = Field(1 * MIB, ge=1024)
    cpus: float = Field(1.0, ge=0.05)

    def limits(self, asked: LimitsRequest | None = None) -> Limits:
        """The limits of a new session: the defaults, overridden by what was asked for.

        Raises pydantic.ValidationError for a value out of range.
        """
        wanted = asked.model_dump(exclude_none=True) if asked else {}
        defaults = {name: getattr(self, name) for name in Limits.model_fields}
        return Limits.model_validate(defaults | wanted)
