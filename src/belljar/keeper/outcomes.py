"""How a run ended, decided from what the keeper itself knows. Pure."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass, replace
from typing import Any

from belljar.records import MIB, LimitReached, Outcome, Status

TIMED_OUT_CODE = 124  # as timeout(1) has it
_MAX_LINES = 2000
_MAX_FRAMES = 32
_MAX_VALUES = 16
_MAX_HELP = 1000
"""Characters of each text that helps to mend code."""
_MAX_NUMBER = 2**31
_LESS = "Work in pieces, or with smaller types, and `del` what is not needed."
_NO_ROOM = ("[Errno 28] No space left", "[Errno 27] File too large", "database or disk is full")
"""What is said where a limit on files is met, be it for a moment only, or by one file that would be larger."""
_FULL = re.compile(
    r"\[errno (?:27|28|122)]|no space left on device|file too large|disk quota exceeded|disk is full|SIGXFSZ",
    re.IGNORECASE,
)
"""The same in any words, of a library's or of a child's."""
_KEPT = "The session's variables and files are kept."
_LOST = "The session's variables are lost with the interpreter, its files are kept."


@dataclass(frozen=True)
class Ending:
    """What was observed. `finished` is the guest's own word, and the only thing here that it can choose."""

    stop: str | None
    """Why the keeper stopped the run: a key of `_STOPS`."""
    finished: dict[str, Any] | None
    exit_status: int | None
    """Of the guest process, when it ended by itself: negative for a signal."""
    was_killed: bool
    has_begun: bool
    """The guest has said so, before it began with the code."""
    oom_kills: int
    """How many processes of the session the kernel has killed for its memory limit during the run."""
    pids_refused: int
    """How many processes or threads the kernel has refused the session for its limit during the run."""
    full: str | None
    """`disk_bytes` or `disk_inodes`, where there is no more of it after the run."""
    peaks: dict[str, float]
    """The most that was seen of each limit, by the limit's name."""
    stuck: dict[str, Any] | None = None
    """Where the code was that did not heed the interrupt, as an exception is told. In the guest's own words, too."""
    near: dict[str, Any] | None = None
    """Where it was when memory was nearly used up."""
    largest: str | None = None
    """What took most of the memory before, in the guest's own words as well."""


@dataclass(frozen=True)
class Decided:
    outcome: Outcome
    return_code: int
    raised: dict[str, Any] | None
    """{ename, evalue, traceback} for the reader, where the code raised."""


def decide(ending: Ending, values: dict[str, float], *, is_last: bool = False) -> Decided:
    """How the run ended. `values` are the limits by name. Where it `is_last`, nothing is said on what is kept."""
    decided = _decide(ending, values)
    if is_last:
        message = decided.outcome.message.removesuffix(_KEPT).removesuffix(_LOST).rstrip()
        return replace(decided, outcome=replace(decided.outcome, message=message))
    return decided


# By the reason to stop: the status, the name of the limit, what is said, and the code.
_STOPS: dict[str, tuple[Status, str | None, str, int]] = {
    "out_of_memory": (
        "out_of_memory",
        "memory_bytes",
        "The run needed more than the session's {value} of memory{peak}.",
        137,
    ),
    "timed_out": ("timed_out", "timeout_seconds", "The run was stopped after {value}.", TIMED_OUT_CODE),
    "output_exceeded": (
        "output_exceeded",
        "output_bytes",
        "The run was stopped: it wrote many times its output limit of {value}{peak}.",
        1,
    ),
    "disk_bytes": (
        "disk_full",
        "disk_bytes",
        "The run took more than the session's {value} of disk space{peak}.",
        1,
    ),
    "disk_inodes": (
        "disk_full",
        "disk_inodes",
        "The run made more than the {value} that a session may have{peak}.",
        1,
    ),
    "pids": ("crashed", "pids", "The run started more than the {value} that a session may have{peak}.", 1),
    "file_locks": (
        "crashed",
        "file_locks",
        "The run held more than the {value} that a session may have{peak}.",
        1,
    ),
    "hidden": (
        "crashed",
        None,
        "The run was stopped: it had started a program that it may not read, and what that holds cannot be seen.",
        1,
    ),
    "interrupted": ("interrupted", None, "The run was interrupted by its caller.", 130),
    "protocol": ("crashed", None, "The interpreter's channel to Belljar was broken by the code.", 1),
}
_REASONS = {"interrupted": "cancelled"}


def _decide(ending: Ending, values: dict[str, float]) -> Decided:
    """The first cause wins: the keeper's own stop, the kernel's kill, the exit, then the guest's word."""
    has_gone = ending.was_killed or ending.exit_status is not None
    after = _LOST if has_gone else _KEPT
    stop = ending.stop
    # The channel that breaks is a sign of the death; a caller or a limit that ended the run is no such sign.
    if ending.oom_kills and (
        (stop is None and ending.exit_status == -signal.SIGKILL) or (stop == "protocol" and has_gone)
    ):
        stop = "out_of_memory"
    raised = _raised(ending.finished) or (ending.near if stop == "out_of_memory" else ending.stuck)
    if raised is not None and raised["ename"].endswith("MemoryError"):
        has = _said("The session has {value} of memory{peak}.", _limit("memory_bytes", values, ending))
        hint = raised.get("hint") or (ending.largest and _plain(ending.largest)[:_MAX_HELP])
        raised = {**raised, "hint": f"{has} {hint or _LESS}"}
    elif raised is not None and any(words in raised["evalue"] for words in _NO_ROOM):
        raised = {**raised, "hint": _of_disk(ending.full or "disk_bytes", values, ending)}
    if stop is not None:
        status, name, said, code = _STOPS[stop]
        limit = _limit(name, values, ending) if name else None
        message = f"{_said(said, limit) if limit else said} {after}"
        return _decided(status, name or _REASONS.get(stop, stop), message, code, raised, limit)
    if ending.exit_status is not None:
        return _gone(ending.exit_status) if ending.has_begun else _not_begun()
    return _own_word(ending, values, raised)


def _is_of_disk(raised: dict[str, Any]) -> bool:
    """Whether an exception is what a full disk causes, by itself or by one that it came from."""
    if raised["ename"] == "OSError" and "[Errno" not in raised["evalue"]:
        return True  # numpy's has no number: "1000 requested and 8 written"
    # A child's own words are somewhere else.
    is_of_child = raised["ename"].endswith("CalledProcessError")
    return is_of_child or any(_FULL.search(text) for text in (raised["evalue"], *raised["traceback"]))


def _limit(name: str, values: dict[str, float], ending: Ending) -> LimitReached:
    return LimitReached(name=name, value=values[name], peak=ending.peaks.get(name))


def _said(text: str, limit: LimitReached) -> str:
    peak = "" if limit.peak is None else f" (peak {_amount(limit.name, limit.peak)})"
    return text.format(value=_amount(limit.name, limit.value), peak=peak)


def _amount(name: str, value: float) -> str:
    if name.endswith("_seconds"):
        return f"{value:g} s"
    if name.endswith("_bytes"):
        return f"{value / MIB:.0f} MiB" if value >= MIB else f"{value:.0f} bytes"
    things = {"pids": "processes and threads", "file_locks": "record locks"}
    return f"{value:.0f} {things.get(name, 'files')}"


def _of_disk(name: str, values: dict[str, float], ending: Ending) -> str:
    """A limit on files, and what can be done about it; no exception of the kernel's names one."""
    if name == "disk_inodes":
        has = "The session may have {value} in all, directories among them{peak}."
        less = "Delete what is not needed, or put many into one: an archive, a table, a database."
    else:
        has = "The session has {value} for all its files together, in /tmp and /dev/shm too{peak}."
        less = "Delete what is not needed, or write less: compressed, with smaller types, without copies."
    return f"{_said(has, _limit(name, values, ending))} {less}"


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


def _not_begun() -> Decided:
    message = (
        "The code did not run: the interpreter ended before it began, by what an earlier run had left behind or with "
        f"the process that it was forked from. Send the code again. {_LOST}"
    )
    return _decided("crashed", "not_begun", message, 1)


def _own_word(ending: Ending, values: dict[str, float], raised: dict[str, Any] | None) -> Decided:
    finished = ending.finished or {}
    code = finished.get("return_code")
    code = code if type(code) is int and 0 <= code <= 255 else 1
    status = finished.get("status")
    # The kernel chose a child of the interpreter: the code goes on as it likes, but the reader is to know.
    reached = _limit("memory_bytes", values, ending) if ending.oom_kills else None
    also = ""
    if reached is not None:
        ended = "a process" if ending.oom_kills == 1 else f"{ending.oom_kills} processes"
        also = _said(
            f" The kernel ended {ended}: the session's {{value}} of memory were used up{{peak}}.", reached
        )
    name = raised["ename"] if raised else "unknown"
    if ending.full is not None:
        full = _limit(ending.full, values, ending)
        used_up = _said(
            "The session's {value} of disk space are used up{peak}"
            if ending.full == "disk_bytes"
            else "The session has the {value} that it may have{peak}",
            full,
        )
        if raised is not None and _is_of_disk(raised):
            message = f"{used_up}, and the code raised {name}.{also} {_KEPT}"
            return _decided("disk_full", ending.full, message, 1, raised, full)
        also += f" {used_up}."  # it has caught the error, or a child has met it, or nobody has
        reached = reached or full
    if status == "completed":
        return _decided("completed", "completed", f"The run came to its end.{also}", 0, limit=reached)
    if status == "exited":
        return _decided(
            "exited", "exit", f"The code called sys.exit({code}).{also} {_KEPT}", code, limit=reached
        )
    if ending.pids_refused:
        pids = _limit("pids", values, ending)
        also += _said(" The session had the {value} that it may have{peak}.", pids)
        reached = reached or pids
    return _decided("raised", name, f"The code raised {name}.{also} {_KEPT}", 1, raised, reached)


def _decided(
    status: Status,
    reason: str,
    message: str,
    code: int,
    raised: dict[str, Any] | None = None,
    limit: LimitReached | None = None,
) -> Decided:
    return Decided(Outcome(status=status, reason=reason, message=message, limit=limit), code, raised)


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
        told = {"ename": _plain(body["ename"])[:200], "evalue": _plain(body["evalue"]), "traceback": lines}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {"ename": "unknown", "evalue": "", "traceback": []}
    return told | _helpful(body)


def _helpful(body: dict[str, Any]) -> dict[str, Any]:
    """What else the guest says of the exception, for who is to mend the code; nothing where it has no right shape."""
    try:
        hint = body.get("hint")
        return {
            "brief": [_plain(line) for line in body.get("brief", ())[:_MAX_LINES]],
            "frames": [_frame(frame) for frame in body.get("frames", ())[:_MAX_FRAMES]],
            "values": [
                {name: _plain(value[name])[:_MAX_HELP] for name in ("name", "type", "text")}
                for value in body.get("values", ())[:_MAX_VALUES]
            ],
            "hint": _plain(hint)[:_MAX_HELP] if hint else None,
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _frame(frame: dict[str, Any]) -> dict[str, Any]:
    line, left_out = frame["line"], frame["left_out"]
    return {
        "file": _plain(frame["file"])[:_MAX_HELP],
        "line": line if type(line) is int and 0 <= line < _MAX_NUMBER else None,
        "function": _plain(frame["function"])[:_MAX_HELP],
        "code": _plain(frame["code"])[:_MAX_HELP],
        "is_own": frame["is_own"] is True,
        "left_out": left_out if type(left_out) is int and 0 <= left_out < _MAX_NUMBER else 0,
    }
