"""Any end that a guest may forge: the outcome follows from what the keeper has seen, and can be written down."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import hostile
from hypothesis import assume, given
from hypothesis import strategies as st

from belljar.keeper.outcomes import Ending, decide
from belljar.records import Limits
from belljar.wire.execution import ErrorOutput

VALUES = {**asdict(Limits()), "timeout_seconds": 30.0, "disk_inodes": 1024.0}
_OF_STOPS = {
    "timed_out": {"timed_out", "out_of_memory"},
    "interrupted": {"interrupted", "out_of_memory"},
    "output_exceeded": {"output_exceeded", "out_of_memory"},
    "out_of_memory": {"out_of_memory"},
    "protocol": {"crashed", "out_of_memory"},
}

_endings = st.builds(
    Ending,
    stop=st.none() | st.sampled_from(sorted(_OF_STOPS)),
    finished=st.none(),
    exit_status=st.none() | st.integers(-64, 255),
    was_killed=st.booleans(),
    oom_kills=st.integers(0, 2),
    pids_refused=st.integers(0, 2),
    full=st.sampled_from([None, "disk_bytes", "disk_inodes"]),
    peaks=st.just({}),
)
_forged = st.builds(lambda head, body: head | {"body": body}, hostile.finished, hostile.descriptions)


@given(_endings, _forged, st.booleans())
def test_any_forged_end_can_be_told(ending: Ending, forged: dict[str, Any], is_last: bool) -> None:
    told = decide(replace(ending, finished=forged), VALUES, is_last=is_last)
    facts = {"outcome": asdict(told.outcome), "code": told.return_code, "raised": told.raised}
    assert json.loads(json.dumps(facts, ensure_ascii=False, allow_nan=False).encode()) == facts
    assert 0 <= told.return_code <= 255
    assert len(told.outcome.reason) <= 200
    assert len(told.outcome.message) <= 1000
    if told.raised is not None:
        ErrorOutput(**told.raised)
        assert told.raised.keys() >= {"ename", "evalue", "traceback"}
        assert len(told.raised.get("frames", ())) <= 32
        assert len(told.raised.get("hint") or "") <= 1100  # with the limit on memory before it
        assert len(told.raised["traceback"]) <= 2000
        assert all(isinstance(line, str) for line in told.raised["traceback"])


@given(_endings, _forged, _forged)
def test_a_forged_end_changes_nothing_that_was_seen(
    ending: Ending, one: dict[str, Any], other: dict[str, Any]
) -> None:
    assume(ending.stop is not None or ending.exit_status is not None)  # else its own word is all there is
    first, second = (decide(replace(ending, finished=forged), VALUES).outcome for forged in (one, other))
    assert first == second


_NOTHING_SEEN = Ending(
    stop=None,
    finished=None,
    exit_status=None,
    was_killed=False,
    has_begun=True,
    oom_kills=0,
    pids_refused=0,
    full=None,
    peaks={},
)


@given(_endings | st.just(_NOTHING_SEEN), _forged)
def test_what_the_keeper_saw_is_what_is_told(ending: Ending, forged: dict[str, Any]) -> None:
    status = decide(replace(ending, finished=forged), VALUES).outcome.status
    if ending.stop is not None:
        assert status in _OF_STOPS[ending.stop]
    elif ending.exit_status is not None and not ending.has_begun:
        assert status in {"crashed", "out_of_memory"}
    elif ending.exit_status is not None:
        assert status in ({"exited"} if ending.exit_status >= 0 else {"crashed", "out_of_memory"})
    else:
        assert status in {"completed", "raised", "exited"} | ({"disk_full"} if ending.full else set())
