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


SHARES = [
    "Rss: 900 kB",
    "Pss: 700 kB",
    "Pss_Anon: 300 kB",
    "Pss_File: 350 kB",
    "Pss_Shmem: 50 kB",
    "SwapPss: 40 kB",
]
STATUS = [
    "Name:\tpython",
    "RssAnon:\t 500 kB",
    "RssFile:\t 350 kB",
    "RssShmem:\t 50 kB",
    "VmPTE:\t 8 kB",
    "VmSwap:\t 60 kB",
]


@pytest.mark.parametrize(("shares", "kib"), [(SHARES, 300 + 50 + 40 + 8), ([], 500 + 50 + 60 + 8)])
def test_what_was_put_away_is_still_a_process_memory(
    shares: list[str], kib: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"smaps_rollup": shares, "status": STATUS}
    monkeypatch.setattr(outside, "_of_a_live_thread", lambda pid, name: files[name])
    assert outside.memory_bytes(1) == kib * 1024


MEMORY = """MemTotal:        8000 kB
MemFree:         1000 kB
MemAvailable:    3000 kB
Buffers:          100 kB
Cached:          2000 kB
SwapCached:         0 kB
AnonPages:       1500 kB
Slab:             500 kB
KernelStack:       60 kB
PageTables:        50 kB
VmallocUsed:      350 kB
"""
ZONES = """Node 0, zone   Normal
      nr_zspages   25
  pagesets
    cpu: 0
              count:    10
              high:     378
"""
SOCKETS = "TCP: inuse 9 orphan 0 tw 3 alloc 11 mem 5\nUDP: inuse 1 mem 0\n"


def test_what_the_machine_has_lost_is_what_nobody_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"/proc/zoneinfo": ZONES, "/proc/net/sockstat": SOCKETS}
    monkeypatch.setattr(outside, "machine_bytes", lambda: 8000 * 1024)
    monkeypatch.setattr(outside, "_memory", MEMORY.encode)
    monkeypatch.setattr(outside, "_all", lambda path: files[path].encode())
    monkeypatch.setattr(outside, "_PAGE_BYTES", 4096)
    monkeypatch.setattr(outside, "no_zone_counts", lambda: "")
    assert outside.available_share() == 3 / 8
    lost_kib = (
        8000 - 1000 - 100 - 2000 - 1500 - 500 - 50 - 350
    )  # a thread's stack lies in what vmalloc has used
    assert outside.unexplained_bytes() == lost_kib * 1024 - (25 + 10 + 5) * 4096
    monkeypatch.setattr(outside, "no_zone_counts", lambda: "/proc/zoneinfo: Permission denied")
    assert outside.unexplained_bytes() == 0
