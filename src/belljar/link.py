"""The owner's end of a keeper: start one, and ask it for sessions and runs.

A keeper serves exactly one owner (the gateway, `belljar run`, the library) over a socket pair that the
owner makes. When the owner ends, however it ends, the socket closes and the keeper takes every session
down with it: nothing has to be cleaned up by name.

Requests are messages (see `frames`) with a number; answers carry the same number, and several may be
under way at once. While code runs, its outputs arrive as events of the run's request.
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
from anyio.abc import SocketStream

from belljar import errors
from belljar.frames import Decoder, Message, ProtocolError, encode
from belljar.settings import Settings
from belljar.wire.execution import Isolation, Limits, Outcome, Truncated, Usage

CHUNK_BYTES = 1024 * 1024
"""Of a file, in one message."""

_KEEPER_BODY_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Stream:
    """Text that the program wrote. Arrives in pieces, in the order in which it was written."""

    name: Literal["stdout", "stderr"]
    text: str


@dataclass(frozen=True)
class Display:
    """A rich value: an open figure (`display_data`) or the value of the last expression (`execute_result`)."""

    type: Literal["display_data", "execute_result"]
    data: dict[str, bytes]
    """By media type; text types are UTF-8."""


@dataclass(frozen=True)
class Raised:
    """The exception that ended the code, as the code's own interpreter describes it."""

    ename: str
    evalue: str
    traceback: list[str]


Event = Stream | Display | Raised


@dataclass(frozen=True)
class WorkFile:
    """A regular file that the run made or changed."""

    path: str
    """Relative to the working directory (or to the run's $OUTPUT_DIR), with `/`; undecodable bytes escaped."""
    size_bytes: int
    handle: str
    """For `Keeper.read`; good until the next run in the session, or its end."""


@dataclass(frozen=True)
class Run:
    """What to run. `output_dir` is a fresh 16-digit hex name: the run's own $OUTPUT_DIR."""

    code: str
    timeout_seconds: float
    stdin: str = ""
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """How a run ended and what it left behind. `outputs` is complete, in order, and within the limits."""

    outcome: Outcome
    return_code: int
    stdout: str
    stderr: str
    truncated: Truncated
    outputs: list[Event]
    files: list[WorkFile]
    files_left_out: int
    """Files beyond the limit on how many one run gives back."""
    usage: Usage
    laps: dict[str, float]


@dataclass(frozen=True)
class Description:
    """The keeper's word on this machine."""

    isolation: Isolation
    python: str
    """The runtime's version, as `3.11.7`."""
    packages: dict[str, str]
    """What the runtime has installed, by distribution name."""
    laps: dict[str, float]


class Keeper:
    """A started keeper. Made by `start`; every method raises KeeperLost once the process is gone."""

    def __init__(self, stream: SocketStream, tasks: anyio.abc.TaskGroup) -> None:
        raise NotImplementedError

    @property
    def description(self) -> Description:
        raise NotImplementedError

    async def open(self, session: str, limits: Limits) -> dict[str, float]:
        """Make a session named `session` (any new id). Returns its laps in milliseconds."""
        raise NotImplementedError

    async def put(self, session: str, name: str, body: bytes | AsyncIterator[bytes]) -> None:
        """Write a file into the session's working directory, replacing one of that name.

        `name` is one component: no `/`, no NUL, not `.` or `..`, at most 255 bytes. Raises InvalidRequest.
        """
        raise NotImplementedError

    async def execute(self, session: str, run: Run, on_event: Callable[[Event], None] | None = None) -> Result:
        """Run code in the session; one run at a time in a session.

        Cancelling interrupts the code (SIGINT, then SIGKILL after the grace time). Raises NotFound when there
        is no such session.
        """
        raise NotImplementedError

    def read(self, session: str, file: WorkFile) -> AsyncIterator[bytes]:
        """The content of a file of the last result, in pieces; at most `file.size_bytes`."""
        raise NotImplementedError

    async def close(self, session: str) -> None:
        """End the session and everything in it. Closing one that is gone does nothing."""
        raise NotImplementedError


@asynccontextmanager
async def start(settings: Settings) -> AsyncIterator[Keeper]:
    """Start a keeper and wait until its zygote is ready; the block's end ends it and all its sessions.

    Raises JailUnavailable, with what is missing and the command that provides it, when this machine does not
    reach `settings.require`.
    """
    raise NotImplementedError
    yield
