"""How a run ended, decided from what the keeper itself knows. Pure."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass, replace
from typing import Any

from belljar.wire.execution import MIB, Limits, Outcome, Status

TIMED_OUT_CODE = 124  # as timeout(1) has it
_MAX_LINES = 2000
_KEPT = "The session's variables and files are kept."
_LOST = "The session's variables are lost with the interpreter, its files are kept."


@dataclass(frozen=True)
class Ending:
    """What was observed. `finished` is the guest's own word, and the only thing here that it can choose."""

    stop: str | None
    """Why the keeper stopped the run: timed_out, interrupted, output_exceeded, out_of_memory or protocol."""
    finished: dict[str, Any] | None
    exit_status: int | None
    """Of the guest process, when it ended by itself: negative for a signal."""
    was_killed: bool
    oom_kills: int
    disk_is_full: bool


@dataclass(frozen=True)
class Decided:
    outcome: Outcome
    return_code: int
    raised: dict[str, Any] | None
    """{ename, evalue, traceback} for the reader, where the code raised."""


def decide(
    ending: Ending, limits: Limits, timeout_seconds: float, peak_bytes: int, *, is_last: bool = False
) -> Decided:
    """How the run ended. Where it `is_last`, the message is silent on what the session keeps."""
    decided = _decide(ending, limits, timeout_seconds, peak_bytes)
    if is_last:
        message = decided.outcome.message.removesuffix(_KEPT).removesuffix(_LOST).rstrip()
        return replace(decided, outcome=decided.outcome.model_copy(update={"message": message}))
    return decided


def _decide(ending: Ending, limits: Limits, timeout_seconds: float, peak_bytes: int) -> Decided:
    """The first cause wins: the keeper's own stop, the kernel's kill, the exit, then the guest's word."""
    has_gone = ending.was_killed or ending.exit_status is not None
    after = _LOST if has_gone else _KEPT
    raised = _raised(ending.finished)
    if (ending.oom_kills and has_gone and ending.stop != "timed_out") or ending.stop == "out_of_memory":
        limit = f"The run needed more than the session's {limits.memory_bytes // MIB} MiB of memory"
        return _decided(
            "out_of_memory", "memory_bytes", f"{limit} (peak {peak_bytes // MIB} MiB). {_LOST}", 137
        )
    if ending.stop == "timed_out":
        message = f"The run was stopped after {timeout_seconds:g} s. {after}"
        return _decided("timed_out", "timeout_seconds", message, TIMED_OUT_CODE, raised)
    if ending.stop == "interrupted":
        return _decided(
            "interrupted", "cancelled", f"The run was interrupted by its caller. {after}", 130, raised
        )
    if ending.stop == "output_exceeded":
        message = f"The run was stopped: it wrote many times its output limit of {limits.output_bytes} bytes. {after}"
        return _decided("output_exceeded", "output_bytes", message, 1, raised)
    if ending.stop == "protocol":
        message = f"The interpreter's channel to Belljar was broken by the code. {_LOST}"
        return _decided("crashed", "protocol", message, 1)
    if ending.exit_status is not None:
        return _gone(ending.exit_status)
    return _own_word(ending.finished or {}, raised, disk_is_full=ending.disk_is_full)


def lost(why: str) -> Decided:
    """The run of a session that broke under it."""
    message = f"The session was lost, with its variables and files: {why}."
    return _decided("lost", "session", message, 1)


def _gone(status: int) -> Decided:
    if status >= 0:
        message = f"The interpreter ended itself with exit code {status}. {_LOST}"
        return _decided("exited", "exit", message, status)
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return _decided("crashed", name, f"The interpreter was ended by {name}. {_LOST}", 128 - status)


def _own_word(finished: dict[str, Any], raised: dict[str, Any] | None, *, disk_is_full: bool) -> Decided:
    code = finished.get("return_code")
    code = code if type(code) is int and 0 <= code <= 255 else 1
    status = finished.get("status")
    if status == "completed":
        return _decided("completed", "completed", "The code ran to its end.", 0)
    if status == "exited":
        return _decided("exited", "exit", f"The code called sys.exit({code}). {_KEPT}", code)
    name = raised["ename"] if raised else "unknown"
    if disk_is_full:
        message = f"The session's disk space is used up, and the code raised {name}. {_KEPT}"
        return _decided("disk_full", "disk_bytes", message, 1, raised)
    return _decided("raised", name, f"The code raised {name}. {_KEPT}", 1, raised)


def _decided(
    status: Status, reason: str, message: str, code: int, raised: dict[str, Any] | None = None
) -> Decided:
    return Decided(Outcome(status=status, reason=reason, message=message), code, raised)


def _plain(text: Any) -> str:
    """Text that can be written as UTF-8: JSON can carry half characters."""
    return str(text).encode("utf-8", "replace").decode()


def _raised(finished: dict[str, Any] | None) -> dict[str, Any] | None:
    """The guest's description of an exception, if it has the right shape."""
    if not finished or finished.get("status") != "raised":
        return None
    try:
        body = json.loads(finished.get("body") or b"")
        lines = [_plain(line) for line in body["traceback"][:_MAX_LINES]]
        return {"ename": _plain(body["ename"])[:200], "evalue": _plain(body["evalue"]), "traceback": lines}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {"ename": "unknown", "evalue": "", "traceback": []}
