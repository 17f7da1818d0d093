"""Every setting of Belljar, with its default. Each is read from `BELLJAR_<NAME>` in the environment."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from belljar.records import MIB, Level, Limits
from belljar.tiers import DATA_TIERS
from belljar.wire.execution import Cpus, DiskBytes, LimitsRequest, MemoryBytes, OutputBytes, Pids

_PREFIX = "BELLJAR_"
YES_OPEN = "yes-anyone-may-run-code"
BY_UPSTREAM = "upstream"
"""As `search`: the model server searches itself."""


def _default_state_dir() -> Path:
    return Path(platformdirs.user_data_dir("belljar", appauthor=False))


def _default_runtime() -> Path:
    """A checkout's, in its environment; else where `belljar setup` makes it."""
    own = Path(sys.prefix) / "share" / "belljar" / "runtimes" / "data"
    return own if own.exists() else _default_state_dir() / "default-runtime"


def _default_bodies_bytes() -> int:
    """Of the machine's memory, or of what a container with its own view of cgroups may have."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # ValueError: there is none, which is `max`
            found.append(int(Path("/sys/fs/cgroup", limit).read_text()))
    return min(found) // 16


class Settings(BaseSettings):
    """What the operator decides. Sizes are in bytes, times in seconds.

    What stands under a field is Markdown, and its line in the reference (`make reference`).
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore")

    state_dir: Path = Field(
        default_factory=_default_state_dir, json_schema_extra={"default": "the user's data directory"}
    )
    """All that is kept lies below it."""

    # the command
    warm: Literal["auto", "always", "never"] = "auto"
    """Whether `belljar run` uses the [server that is up](command.md#the-server-in-the-background) for this user:
    `auto`, `always` (else it is an error) or `never`."""
    pictures: Literal["auto", "kitty", "iterm", "sixel", "none"] = "auto"
    """How the terminal [shows pictures](command.md#what-all-commands-have-in-common): `kitty`, `iterm`, `sixel`,
    `none`, or `auto`: as it says itself."""

    # the server
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(8421, ge=0, le=65535)
    """Port to listen on; 0 for a free one."""
    upstream: str = "direct"
    """The model: `anthropic:URL`, `openai:URL` ([chat completions](#chat-completions)), `direct` (none:
    fenced Python in the last message is run), `scripted:FILE` (plays turns from a TOML file)."""
    upstream_api_key: str | None = Field(None, repr=False)
    """Key for the upstream; without it `ANTHROPIC_API_KEY` or `OPENAI_API_KEY`, by its kind, without that the
    caller's own is passed on, unless it is one of [ours](#api-keys)."""
    upstream_timeout_seconds: float = Field(600, gt=0)
    """Longest silence of the upstream."""
    upstream_retries: int = Field(2, ge=0, le=10)
    """How often a model server that cannot be reached, or answers 429, 502, 503 or 529, is asked again before
    anything of its answer has come: after half a second, doubled each time, or after its `retry-after`, if
    that is 30 seconds or less."""
    models: Path | None = None
    """A [table of models](#models-by-name): a TOML file, in place of `BELLJAR_UPSTREAM`."""
    search: str = Field("", repr=False)
    """Who [searches the web](#web-search): `searxng:URL`, `brave`, `tavily` (each also with `:URL`, for a
    proxy), or `upstream`: the model server does so itself, for `anthropic` upstreams. Without it searches are
    `unavailable`."""
    search_key: str | None = Field(None, repr=False)
    """Key of Brave or Tavily; without it `BRAVE_API_KEY` or `TAVILY_API_KEY`."""
    search_timeout_seconds: float = Field(15, gt=0)
    """For the search engine to answer; then the search is `unavailable`."""
    search_citations: Literal["auto", "on", "off"] = "auto"
    """Whether an `anthropic` upstream is sent what was found as `search_result` blocks, which it cites: `on`,
    `off` (as text with numbers), or `auto`: if its host is `anthropic.com`, for local servers of this API
    refuse such blocks."""
    open: Literal["", "yes-anyone-may-run-code"] = ""
    """`yes-anyone-may-run-code` to listen on other addresses than loopback without [API keys](#api-keys)."""
    page: bool = True
    """Whether there is [a page](page.md) at `/`."""
    profile: Literal["auto", "anthropic", "inline"] = "auto"
    """`anthropic`, `inline`, or `auto`: see [profiles](#profiles)."""
    max_body_bytes: int = Field(32 * MIB, gt=0)
    """A larger request is refused with 413."""
    all_bodies_bytes: int = Field(
        default_factory=_default_bodies_bytes,
        gt=0,
        json_schema_extra={"default": "a sixteenth of the memory"},
    )
    """Bodies of all requests that are not answered yet, together, for each takes four times its size meanwhile; half of
    it for one tenant. What is more gets 529, a tenant's 429, unless there is no other. Bodies of up to 1 MiB have a
    quarter as much for themselves; an upload, which is passed on as it comes in, counts as 512 KiB."""
    max_file_bytes: int = Field(500_000_000, gt=0)
    """A larger upload is refused with 413."""
    tenant_stored_bytes: int = Field(100 * 1024 * MIB, gt=0)
    """All files of a tenant together, where its key does not say otherwise."""
    tenant_stored_files: int = Field(200_000, gt=0)
    """The same by their number, for small files cost the disk more than their bytes."""
    body_silence_seconds: float = Field(60, gt=0)
    """Of a client in the middle of what it sends, an upload too; then it gets 408 and the connection ends."""
    max_turns: int = Field(64, gt=0)
    """Upstream calls in one request; past it the answer is `pause_turn`."""
    pause_seconds: float = Field(480, gt=0)
    """A request that has taken so long gets `pause_turn` in place of one more run or turn: SDKs give up after 600."""
    tool_reply_seconds: float = Field(240, gt=0)
    """For the caller to answer a tool that code has called; then the code gets a `TimeoutError`."""
    result_tokens: int = Field(12_500, ge=100)
    """Of one result, as the model gets it (four bytes are taken for a token): a longer text is cut in the
    middle, and lies whole in the container for code to read; clients get all of it. A
    [table](#models-by-name) can say another number for a model."""
    container_idle_seconds: float = Field(3600, gt=0, le=30 * 24 * 3600)
    """A container that is not used for so long is deleted with everything in it; up to 30 days, `2592000`."""
    container_sleep_seconds: float = Field(300, gt=0)
    """One that is not used for so long is [put away](#containers): its files are kept, its interpreter is
    ended."""
    container_missing: Literal["refuse", "renew"] = "refuse"
    """What becomes of a request that names a container that is not there: `refuse` it with 404, or `renew`,
    and it gets a new container, whose id is in the answer."""
    max_containers: int = Field(10_000, gt=0)
    """Containers, asleep or not; one more is refused with 429."""
    file_keep_seconds: float = Field(24 * 3600, gt=0)
    """Files that runs made can be fetched for so long; uploads say themselves."""
    max_sessions: int = Field(64, gt=0)
    """Live sessions at once; for another one the container that idles longest is put away."""
    queue_seconds: float = Field(30, gt=0, le=3600)
    """How long a request waits for a place when every session is in use; then it gets 529. Tenants take
    turns."""
    batch_silence_seconds: float = Field(15, gt=0)
    """While nothing of a batch finishes, an empty line goes out so often, so that no client or proxy gives up
    on it."""
    usage_keep_days: float = Field(400, gt=0)
    """What requests have used is forgotten after so many days; what a key with `--budget-period total` has
    spent is added up from the rows that are there."""
    price_plan: str = ""
    """`tutorial`, `container-hours`, or a TOML file: [what requests cost](#usage-prices-budgets); without one
    nothing is priced, and budgets do not bind."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """`debug`, `info`, `warning` or `error`; at `info` and below [each request has a line](#the-log)."""
    log_content: bool = False
    """`true`: the log also has what users and models say, code and its results, [clipped](#the-log)."""
    otel_endpoint: str = Field("", repr=False)
    """The URL of an OpenTelemetry collector that takes OTLP over HTTP, as `http://127.0.0.1:4318`, with or
    without `/v1/traces`: requests leave [spans](#spans) there. It needs the extra `otel` (`make setup-otel`)."""
    max_queued: int = Field(1000, gt=0)
    """Requests of one tenant that may wait; one more gets 429."""

    # the jail
    runtime: Path = Field(
        default_factory=_default_runtime,
        json_schema_extra={
            "default": "`share/belljar/runtimes/data` in Belljar's environment, if there is one, else "
            "`default-runtime` in the user's data directory"
        },
    )
    """The Python environment of the runtime `default`, which [`belljar setup`](command.md#belljar-setup) makes."""
    default_runtime: str = "default"
    """The runtime that code gets where neither its request nor a rule of its model names one: `default`, or
    one [of your own](runtimes.md)."""
    runtime_idle_seconds: float = Field(600, gt=0)
    """A runtime of your own is held in memory until it had no session for so long."""
    preload: dict[str, tuple[str, ...]] = Field(
        DATA_TIERS, json_schema_extra={"default": "four tiers of the data libraries"}
    )
    """Modules of the runtime `default` that are imported ahead, as a JSON object of lists: a tier each, by
    name, which has the modules of those before it as well. [Tiers](architecture.md#tiers)."""
    zygote_sessions: int = Field(10_000, gt=0)
    """After so many sessions the zygotes are replaced."""
    zygote_seconds: float = Field(6 * 3600, gt=0)
    """And at this age."""
    parked: int = Field(8, ge=0, le=1024)
    """Sessions with the default limits that are made ahead, at most, in all tiers of a runtime together."""
    idle_memory_seconds: float = Field(60, ge=0)
    """After so long without a run [its memory is offered](architecture.md#idle-sessions) to the kernel, for
    its swap; 0 for never."""
    uid_base: int = Field(1_900_000_000, ge=65536, le=4_000_000_000)
    """As root: the first of 65,536 uids of this machine that belong to guests."""
    require: Level = "limited"
    """The lowest isolation level at which to start: `full`, `limited`, or `reduced` for a machine without
    user namespaces ([what that means](security.md#three-levels))."""

    # defaults for one session and one run
    timeout_seconds: float = Field(30, gt=0, le=3600)
    """For one run."""
    grace_seconds: float = Field(2, gt=0, le=60)
    """Between SIGINT at the time-out and the kill of the whole tree."""
    memory_bytes: MemoryBytes = 1024 * MIB
    """For all processes of a session, and the files that they wrote."""
    pids: Pids = 128
    """Processes and threads of a session."""
    disk_bytes: DiskBytes = 512 * MIB
    """The working directory, `/tmp` and `/dev/shm` together."""
    output_bytes: OutputBytes = 1 * MIB
    """Of each of stdout and stderr of one run; head and tail are kept."""
    cpus: Cpus = 1.0
    """Processors that a session may keep busy."""

    def limits(self, asked: LimitsRequest | None = None) -> Limits:
        """The limits of a new session: the defaults, overridden by what was asked for.

        Raises pydantic.ValidationError for a value out of range, which settings have that were never validated.
        """
        wanted = asked.model_dump(exclude_none=True) if asked else {}
        defaults = {field.name: getattr(self, field.name) for field in dataclasses.fields(Limits)}
        return Limits(**LimitsRequest.model_validate(defaults | wanted).model_dump())


def unknown(environment: Iterable[str]) -> list[str]:
    """What is to be said of each name there that looks like a setting and is none: it has no effect, and whoever has
    misspelt one would not know. No more than said, for others may have names like these."""
    known = [
        *Settings.model_fields,
        "url",
        "api_key",
        "request_id",
    ]  # the last are read by clients, and in the jail
    said = []
    for name in sorted(environment):
        prefix, own = name[: len(_PREFIX)], name[len(_PREFIX) :].lower()
        if prefix.upper() == _PREFIX and own not in known:
            near = difflib.get_close_matches(own, known, n=1, cutoff=0.55)
            meant = (
                f"is {_PREFIX}{near[0].upper()} meant?"
                if near
                else "docs/reference.md has those that there are"
            )
            said.append(f"{name} is no setting, and has no effect: {meant}")
    return said
