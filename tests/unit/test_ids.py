from __future__ import annotations

import re

import pytest

from belljar.wire import ids


def test_ids_sort_as_their_times_do(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for milliseconds in (0, 1, 57, 58, 10**12, 1_700_000_000_000, 1_700_000_000_001, 4_000_000_000_000):
        monkeypatch.setattr(ids.time, "time_ns", lambda at=milliseconds: at * 1_000_000)
        made.append(ids.new_id("x"))
    assert made == sorted(made)
    assert [ids.made_at(name) for name in made[-2:]] == [1_700_000_000_001_000, 4_000_000_000_000_000]


def test_ids_of_one_moment_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1_700_000_000_000_000_000)
    assert len({ids.new_id("x") for _ in range(1000)}) == 1000


def test_ids_have_a_prefix_and_one_length() -> None:
    for _ in range(100):
        assert re.fullmatch(r"exec_[1-9A-HJ-NP-Za-km-z]{24}", ids.new_id("exec"))
