"""Who decides how a run ended: the keeper and the kernel first, the exit status next, the guest's word last."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belljar.keeper.outcomes import Decided, Ending, decide
from belljar.records import MIB, Limits
from belljar.wire.execution import ErrorOutput

LIMITS = Limits(memory_bytes=100 * MIB)
VALUES = {**asdict(LIMITS), "timeout_seconds": 30.0, "disk_inodes": 1024.0}
NOTHING = Ending(
    stop=None,
    finished=None,
    exit_status=None,
    was_killed=False,
    has_begun=True,
    oom_kills=0,
    pids_refused=0,
    full=None,
    peaks={"memory_bytes": 77 * MIB, "pids": 200, "disk_inodes": 1024},
)
COMPLETED = {"status": "completed", "return_code": 0, "body": b""}
RAISED = {
    "status": "raised",
    "return_code": 1,
    "body": json.dumps({"ename": "OSError", "evalue": "[Errno 28]", "traceback": ["a", "b"]}).encode(),
}


def decided(**observed: Any) -> Decided:
    return decide(replace(NOTHING, **observed), VALUES)


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        ({"finished": COMPLETED}, ("completed", "completed", 0)),
        ({"finished": RAISED}, ("raised", "OSError", 1)),
        ({"finished": {"status": "exited", "return_code": 0}}, ("exited", "exit", 0)),
        ({"finished": {"status": "exited", "return_code": 3}}, ("exited", "exit", 3)),
        # the process is gone
        ({"exit_status": 0}, ("exited", "exit", 0)),
        ({"exit_status": 137}, ("exited", "exit", 137)),
        ({"exit_status": -signal.SIGSEGV}, ("crashed", "SIGSEGV", 139)),
        ({"exit_status": -signal.SIGKILL}, ("crashed", "SIGKILL", 137)),
        ({"exit_status": -signal.SIGSYS}, ("crashed", "SIGSYS", 159)),
        ({"exit_status": -40}, ("crashed", "signal 40", 168)),
        ({"finished": COMPLETED, "exit_status": 4}, ("exited", "exit", 4)),
        ({"exit_status": 0, "has_begun": False}, ("crashed", "not_begun", 1)),
        ({"exit_status": -9, "has_begun": False}, ("crashed", "not_begun", 1)),
        # the kernel's memory limit
        ({"oom_kills": 1, "exit_status": -9}, ("out_of_memory", "memory_bytes", 137)),
        ({"oom_kills": 1, "finished": COMPLETED}, ("completed", "completed", 0)),
        ({"oom_kills": 1, "finished": RAISED}, ("raised", "OSError", 1)),
        ({"stop": "out_of_memory", "was_killed": True}, ("out_of_memory", "memory_bytes", 137)),
        ({"stop": "out_of_memory", "finished": COMPLETED}, ("out_of_memory", "memory_bytes", 137)),
        # the keeper's own stops
        ({"stop": "timed_out", "finished": RAISED}, ("timed_out", "timeout_seconds", 124)),
        ({"stop": "timed_out", "was_killed": True}, ("timed_out", "timeout_seconds", 124)),
        ({"stop": "timed_out", "was_killed": True, "oom_kills": 1}, ("timed_out", "timeout_seconds", 124)),
        ({"stop": "timed_out", "exit_status": 0}, ("timed_out", "timeout_seconds", 124)),
        ({"stop": "interrupted", "finished": RAISED}, ("interrupted", "cancelled", 130)),
        ({"stop": "interrupted", "was_killed": True}, ("interrupted", "cancelled", 130)),
        ({"stop": "output_exceeded", "finished": RAISED}, ("output_exceeded", "output_bytes", 1)),
        ({"stop": "protocol", "was_killed": True}, ("crashed", "protocol", 1)),
        # the disk
        ({"finished": RAISED, "full": "disk_bytes"}, ("disk_full", "disk_bytes", 1)),
        ({"finished": RAISED, "full": "disk_inodes"}, ("disk_full", "disk_inodes", 1)),
        ({"finished": COMPLETED, "full": "disk_bytes"}, ("completed", "completed", 0)),
        ({"stop": "disk_bytes", "was_killed": True}, ("disk_full", "disk_bytes", 1)),
        ({"stop": "pids", "was_killed": True}, ("crashed", "pids", 1)),
        # memory was short, but that is not what ended the interpreter
        ({"oom_kills": 1, "exit_status": 137}, ("exited", "exit", 137)),
        ({"oom_kills": 1, "exit_status": -11}, ("crashed", "SIGSEGV", 139)),
    ],
)
def test_endings(observed: dict[str, Any], expected: tuple[str, str, int]) -> None:
    seen = decided(**observed)
    assert (seen.outcome.status, seen.outcome.reason, seen.return_code) == expected


@pytest.mark.parametrize(
    ("observed", "kept"),
    [
        ({"finished": RAISED}, True),
        ({"stop": "timed_out", "finished": RAISED}, True),
        ({"stop": "timed_out", "was_killed": True}, False),
        ({"stop": "interrupted", "finished": COMPLETED}, True),
        ({"stop": "interrupted", "was_killed": True}, False),
        ({"stop": "output_exceeded", "exit_status": 1}, False),
        ({"exit_status": 0}, False),
        ({"oom_kills": 1, "exit_status": -9}, False),
    ],
)
def test_the_message_says_what_became_of_the_session(observed: dict[str, Any], kept: bool) -> None:
    message = decided(**observed).outcome.message
    assert ("variables and files are kept" in message) == kept
    assert ("variables are lost" in message) != kept


def test_out_of_memory_names_limit_and_peak() -> None:
    message = decided(oom_kills=1, exit_status=-9).outcome.message
    assert "100 MiB" in message
    assert "peak 77 MiB" in message


def test_out_of_memory_tells_where_it_was_that_near() -> None:
    near = {"ename": "MemoryError", "evalue": "", "traceback": ["a"], "brief": ["a"], "frames": []}
    seen = decided(oom_kills=1, exit_status=-9, near=near)
    assert seen.raised is not None
    assert seen.raised["traceback"] == ["a"]
    assert seen.raised["hint"].startswith("The session has ")
    seen = decided(oom_kills=1, exit_status=-9, near=near, largest="The largest: \ud800" + "x" * 2000)
    assert seen.raised is not None
    assert "The largest: " in seen.raised["hint"]
    assert len(seen.raised["hint"].encode()) < 1200
    for other in ({"exit_status": -9}, {"stop": "timed_out"}, {}):
        assert decided(near=near, **other).raised is None


def test_the_limit_is_named_with_its_value_and_the_peak() -> None:
    reached = decided(stop="pids", was_killed=True).outcome
    assert reached.limit is not None
    assert asdict(reached.limit) == {"name": "pids", "value": 128, "peak": 200}
    assert "128 processes" in reached.message
    assert "peak 200" in reached.message
    assert decided(finished=COMPLETED).outcome.limit is None


def test_a_session_that_lost_a_child_for_lack_of_memory_says_so() -> None:
    for finished in (COMPLETED, RAISED):
        outcome = decided(oom_kills=2, finished=finished).outcome
        assert "2 processes" in outcome.message
        assert outcome.limit is not None
        assert (outcome.limit.name, outcome.limit.peak) == ("memory_bytes", 77 * MIB)


@pytest.mark.parametrize(
    ("full", "evalue", "said"),
    [
        ("disk_bytes", "[Errno 28] No space left on device", "512 MiB for all its files"),
        ("disk_inodes", "[Errno 28] No space left on device: 'x'", "1024 files in all"),
        (None, "[Errno 28] No space left on device: 'x'", "512 MiB for all its files"),
        (None, "[Errno 27] File too large", "512 MiB for all its files"),
        (None, "database or disk is full", "512 MiB for all its files"),
    ],
)
def test_an_error_for_want_of_disk_names_the_limit(full: str | None, evalue: str, said: str) -> None:
    body = {"ename": "OSError", "evalue": evalue, "traceback": ["a"]}
    seen = decided(full=full, finished={**RAISED, "body": json.dumps(body).encode()})
    assert seen.raised is not None
    assert said in seen.raised["hint"]
    assert "Delete what is not needed" in seen.raised["hint"]


def test_an_error_that_speaks_of_something_else_has_no_hint_on_the_disk() -> None:
    body = {"ename": "ValueError", "evalue": "File too large: 12 MB, at most 10", "traceback": ["a"]}
    seen = decided(finished={**RAISED, "body": json.dumps(body).encode()})
    assert seen.raised is not None
    assert not seen.raised.get("hint")


def test_another_error_on_a_full_disk_keeps_its_own_hint() -> None:
    body = {"ename": "KeyError", "evalue": "'a'", "traceback": ["a"], "hint": "There is 'A'."}
    seen = decided(full="disk_bytes", finished={**RAISED, "body": json.dumps(body).encode()})
    assert seen.raised is not None
    assert seen.raised["hint"] == "There is 'A'."


@pytest.mark.parametrize(
    ("ename", "evalue", "traceback", "status"),
    [
        ("OSError", "[Errno 28] No space left on device: 'x'", [], "disk_full"),
        ("OSError", "[Errno 122] Disk quota exceeded", [], "disk_full"),
        ("OSError", "1000 requested and 8 written", [], "disk_full"),
        ("OSError", "[Errno 27] Error writing bytes. Detail: [errno 27] File too large", [], "disk_full"),
        ("OperationalError", "database or disk is full", [], "disk_full"),
        ("CalledProcessError", "Command 'dd' returned non-zero exit status 1.", [], "disk_full"),
        (
            "ValueError",
            "not saved",
            ["OSError: [Errno 28] No space left on device", "ValueError"],
            "disk_full",
        ),
        ("ZeroDivisionError", "division by zero", ["1 / 0"], "raised"),
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'x'", [], "raised"),
        ("OSError", "[Errno 9] Bad file descriptor", [], "raised"),
    ],
)
def test_only_what_a_full_disk_causes_is_its_fault(
    ename: str, evalue: str, traceback: list[str], status: str
) -> None:
    body = {"ename": ename, "evalue": evalue, "traceback": traceback}
    outcome = decided(full="disk_bytes", finished={**RAISED, "body": json.dumps(body).encode()}).outcome
    assert outcome.status == status
    assert "512 MiB of disk space are used up" in outcome.message
    assert outcome.limit is not None
    assert outcome.limit.name == "disk_bytes"


def test_a_disk_that_code_found_full_and_went_on_is_told() -> None:
    for finished in (COMPLETED, {"status": "exited", "return_code": 3}):
        outcome = decided(full="disk_bytes", finished=finished).outcome
        assert "512 MiB of disk space are used up." in outcome.message
        assert outcome.limit is not None
        assert outcome.limit.name == "disk_bytes"


def test_what_the_code_raised_when_it_was_stopped_is_shown() -> None:
    for stop in ("timed_out", "interrupted", "output_exceeded"):
        assert decided(stop=stop, finished=RAISED).raised == {
            "ename": "OSError",
            "evalue": "[Errno 28]",
            "traceback": ["a", "b"],
            "brief": [],
            "frames": [],
            "values": [],
            "hint": None,
        }


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_statuses = st.sampled_from(
    [
        "completed",
        "raised",
        "exited",
        "timed_out",
        "out_of_memory",
        "crashed",
        "interrupted",
        "lost",
        "disk_full",
    ]
)
_words = st.fixed_dictionaries(
    {},
    optional={
        "status": _statuses | _values,
        "return_code": st.integers() | _values,
        "reason": _values,
        "body": st.binary(max_size=60) | _values.map(lambda value: json.dumps(value).encode()),
    },
)


_FRAME = {"file": "<cell 1>", "line": 3, "function": "f", "code": "f()", "is_own": True, "left_out": 2}


def _told(**more: Any) -> dict[str, Any]:
    body = {"ename": "OSError", "evalue": "", "traceback": ["a"]} | more
    found = decided(finished={"status": "raised", "return_code": 1, "body": json.dumps(body).encode()}).raised
    assert found is not None
    return found


def test_what_helps_to_mend_code_is_told_within_bounds() -> None:
    value = {"name": "x", "type": "int", "text": "3"}
    told = _told(brief=["b"], frames=[_FRAME], values=[value], hint="h")
    assert (told["brief"], told["frames"], told["values"], told["hint"]) == (["b"], [_FRAME], [value], "h")
    told = _told(
        brief=["b"] * 9000,
        frames=[_FRAME | {"code": "c" * 9000, "line": -1, "left_out": 1e300, "is_own": 1}] * 900,
        values=[{"name": "x", "type": "int", "text": "3" * 9000}] * 900,
        hint="h" * 9000,
    )
    assert len(told["brief"]) == 2000
    assert len(told["frames"]) == 32
    assert told["frames"][0] == _FRAME | {"code": "c" * 1000, "line": None, "left_out": 0, "is_own": False}
    assert len(told["values"]) == 16
    assert len(told["values"][0]["text"]) == len(told["hint"]) == 1000


_KEYS = ("brief", "frames", "values", "hint")


@given(st.fixed_dictionaries({}, optional={name: _values | st.lists(_values, max_size=3) for name in _KEYS}))
def test_forged_help_has_a_right_shape_or_is_left_out(more: dict[str, Any]) -> None:
    told = _told(**more)
    assert told["ename"] == "OSError"
    ErrorOutput(**told)


@given(_words)
def test_a_guest_can_say_only_what_it_could_have_done(finished: dict[str, Any]) -> None:
    seen = decided(finished=finished)
    assert seen.outcome.status in ("completed", "raised", "exited")
    assert 0 <= seen.return_code <= 255
    if seen.raised is not None:
        assert isinstance(seen.raised["ename"], str)
        assert isinstance(seen.raised["evalue"], str)
        assert all(isinstance(line, str) for line in seen.raised["traceback"])


@given(
    _words,
    st.sampled_from(
        [
            {"stop": "timed_out"},
            {"stop": "out_of_memory"},
            {"stop": "interrupted"},
            {"stop": "output_exceeded"},
            {"stop": "protocol"},
            {"exit_status": 9},
            {"exit_status": -11},
            {"oom_kills": 1, "exit_status": -9},
        ]
    ),
)
def test_a_guest_cannot_talk_its_way_out_of_what_was_observed(
    finished: dict[str, Any], observed: dict[str, Any]
) -> None:
    silent, talking = decided(**observed), decided(finished=finished, **observed)
    assert (talking.outcome, talking.return_code) == (silent.outcome, silent.return_code)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"null",
        b"[]",
        b'{"ename": "a"}',
        b'{"ename": {}, "evalue": [], "traceback": 7}',
        b'{"ename": "' + b"a" * 100_000 + b'", "evalue": "b", "traceback": []}',
    ],
)
def test_a_malformed_description_of_an_exception_is_still_an_exception(body: bytes) -> None:
    seen = decided(finished={"status": "raised", "return_code": 1, "body": body})
    assert seen.outcome.status == "raised"
    assert seen.raised is not None
    assert len(seen.raised["ename"]) <= 200
    assert len(seen.outcome.reason) <= 200
