"""Many live sessions at once: `python bench/many.py [--sessions 1000]` opens them, and has each answer again."""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from compare import Client, server, until_warm
from workloads import Workload

CELL = Workload("cell", "x = globals().get('x', 0) + 1\nprint(x)\n")
LIBRARIES = Workload("libraries", "import numpy, pandas, matplotlib.pyplot\nx = 0\n")


def available_kib() -> int:
    """What the machine has left of its memory."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1])
    raise AssertionError("no MemAvailable")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    count = parser.parse_args().sessions
    with server(max_sessions=count) as (url, _):
        client = Client(url)
        until_warm(client)
        time.sleep(2)
        before = available_kib()
        started = time.perf_counter()
        containers = [client.ask("POST", "/v1/containers", {})[1]["id"] for _ in range(count)]
        for container in containers:
            client.run(LIBRARIES, container)
        print(f"{count} sessions made and used in {time.perf_counter() - started:.1f} s, ", end="")
        print(f"{(before - available_kib()) / 1024 / count:.1f} MiB of the machine's memory for each")
        for turn in (1, 2):
            times = []
            for container in containers:
                taken, document = client.run(CELL, container)
                times.append(taken)
                if document["stdout"] != f"{turn}\n":
                    raise SystemExit(f"{container} answers {document['stdout']!r} in turn {turn}")
            times.sort()
            print(
                f"each answers its next cell: p50 {statistics.median(times):.2f} ms, "
                f"p99 {times[count * 99 // 100]:.2f} ms, the slowest {times[-1]:.2f} ms"
            )


if __name__ == "__main__":
    main()
