"""How many sessions wait follows what was asked for at once, of late."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from belljar.keeper.parking import BURST_SECONDS, MEMORY_SECONDS, Bursts


def _most(times: list[float], now: float) -> int:
    """By counting anew at each end."""
    ends = [end for end in times if end >= now - MEMORY_SECONDS]
    return max((sum(end - BURST_SECONDS <= at <= end for at in times) for end in ends), default=0)


@given(st.lists(st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.3, 20.0, 61.0]), max_size=40), st.floats(0, 100))
def test_the_largest_burst_within_memory_is_found(gaps: list[float], later: float) -> None:
    bursts, times, now = Bursts(), list[float](), 1000.0
    for gap in gaps:
        now += gap
        assert bursts.most(now) == _most(times, now)
        times.append(now)
        bursts.add(now)
    assert bursts.most(now + later) == _most(times, now + later)
