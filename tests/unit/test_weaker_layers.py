"""What a machine does not give is named, with what is instead of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from belljar.keeper import layers, outside

WHOLE = layers.Facts(
    no_namespaces="",
    has_own_uids=True,
    no_cgroups="",
    no_zone_counts="",
    landlock_abi=7,
    machine="x86_64",
)


def test_where_all_is_there_nothing_is_missing() -> None:
    assert layers.missing(layers.found(WHOLE)) == []


def test_memory_that_cannot_be_seen_is_named_where_there_are_connections() -> None:
    hidden = replace(WHOLE, no_zone_counts="/proc/zoneinfo: Permission denied")
    (clock,) = (layer for layer in layers.found(hidden) if layer.state != "held")
    assert clock.name == "clock"
    assert "/proc/zoneinfo: Permission denied" in clock.detail
    assert clock.fix
    reduced = replace(hidden, no_namespaces="Operation not permitted")
    assert "clock" not in {layer.name for layer in layers.found(reduced) if layer.state != "held"}


def test_where_it_cannot_be_seen_nothing_is_taken_for_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outside.unexplained_bytes() > 0
    monkeypatch.setattr(outside, "no_zone_counts", lambda: "/proc/zoneinfo: Permission denied")
    assert outside.unexplained_bytes() == 0
