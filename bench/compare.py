"""What a fresh session costs, beside what a user would pick instead: `make bench`.

Everything is measured in one run, turn by turn, so that a busy machine slows all alike: read the ratios. It starts a
server of its own.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import peers
from rich.console import Console
from rich.table import Table
from workloads import GROUP_BY, PRINT, WORKLOADS, Workload, table

BELLJAR = Path(sys.executable).parent / "belljar"
PAUSE_SECONDS = 0.3
"""Between turns, for a pool to fill again: this is how long one waits, and below is how many come through."""


class Client:
    """One connection."""

    def __init__(self, url: str) -> None:
        self._netloc = urlsplit(url).netloc
        self._connection = http.client.HTTPConnection(self._netloc)

    def ask(self, method: str, path: str, document: object = None) -> tuple[float, Any]:
        """Milliseconds and the answer."""
        body = None if document is None else json.dumps(document)
        started = time.perf_counter()
        self._connection.request(method, path, body, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        taken = (time.perf_counter() - started) * 1000
        if answer.status != 200:
            sys.exit(f"{method} {path}: {answer.status} {text.decode()}")
        return taken, json.loads(text)

    def run(self, workload: Workload, container: str | None = None) -> tuple[float, Any]:
        """A program that has to run to its end."""
        files = [
            {"name": name, "data": base64.b64encode(body).decode()} for name, body in workload.files.items()
        ]
        asked: dict[str, Any] = {"code": workload.code, "files": files}
        if container is not None:
            asked["container"] = container
        taken, document = self.ask("POST", "/v1/executions", asked)
        if document["outcome"]["status"] != "completed":
            sys.exit(f"{workload.name}: {document['outcome']} {document['stderr']}")
        return taken, document

    def again(self) -> None:
        """Another connection: a server closes one that idles for seconds."""
        self._connection.close()
        self._connection = http.client.HTTPConnection(self._netloc)
        self.ask("GET", "/health")


@contextlib.contextmanager
def server(**settings: object) -> Iterator[tuple[str, float]]:
    """A server with its state in a directory of its own; its URL, and seconds until it answered."""
    with tempfile.TemporaryDirectory() as state:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLJAR_")}
        environment |= {f"BELLJAR_{name.upper()}": str(value) for name, value in settings.items()}
        environment["BELLJAR_STATE_DIR"] = state
        started = time.perf_counter()
        process = subprocess.Popen(
            [BELLJAR, "serve", "--port", "0"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        taken = time.perf_counter() - started
        try:
            if not line.startswith("Belljar listens on "):
                sys.exit("the server does not start: run `belljar doctor`")
            yield line.split()[-1], taken
        finally:
            process.terminate()
            process.wait(30)


def until_warm(client: Client) -> float:
    """Seconds until every tier is there."""
    started = time.perf_counter()
    while any(tier["state"] == "warming" for tier in client.ask("GET", "/health")[1]["runtime"]["tiers"]):
        time.sleep(0.1)
    return time.perf_counter() - started


def fresh(client: Client, rounds: int) -> list[list[str]]:
    """Each program in a fresh place, turn by turn."""
    rows = []
    has_bubblewrap = peers.has_bubblewrap()
    for workload in WORKLOADS:
        times: dict[str, list[float]] = {
            name: [] for name in ("cold", "bubblewrap", "warm", "belljar", "first", "health")
        }
        with peers.folder(workload) as place, peers.warm(workload, place) as again:
            for _ in range(rounds * 4 if workload.code == PRINT else rounds):
                times["cold"].append(_timed(lambda place=place: peers.cold(place)))  # type: ignore[misc]
                if has_bubblewrap:
                    times["bubblewrap"].append(_timed(lambda place=place: peers.bubblewrap(place)))  # type: ignore[misc]
                # Each after a pause, in which others had the processor's caches.
                time.sleep(PAUSE_SECONDS)
                times["warm"].append(again())
                time.sleep(PAUSE_SECONDS)
                client.again()
                times["health"].append(client.ask("GET", "/health")[0])
                taken, document = client.run(workload)
                times["belljar"].append(taken)
                times["first"].append(document["laps"]["first_result"])
        jupyter = peers.jupyter(_with_files(workload), 1)
        cold, warm, ours = (statistics.median(times[name]) for name in ("cold", "warm", "belljar"))
        rows.append([
            workload.name,
            f"{cold:.1f}",
            f"{statistics.median(times['bubblewrap']):.1f}" if has_bubblewrap else "not here",
            f"{jupyter[0]:.0f}" if jupyter else "not here",
            f"{ours:.2f}",
            f"×{cold / ours:.1f}",
            f"{statistics.median(times['first']):.2f}",
            f"{warm:.2f}",
            f"{ours / warm:.2f}" if warm > 1 else "–",
            f"{ours / statistics.median(times['health']):.1f}",
        ])  # fmt: skip
    return rows


def throughput(url: str, counts: dict[str, int]) -> list[list[str]]:
    """How many come through, with so many at once."""
    rows = []
    for workload in (Workload("print(1+1)", PRINT), Workload("group-by", GROUP_BY, {"data.csv": table()})):
        count = counts[workload.name]
        for at_once in (1, 2, 8, 32):
            ours = _rate(count, at_once, lambda workload=workload: _asker(url, workload))  # type: ignore[misc]
            with peers.folder(workload) as place:
                cold = _rate(
                    max(8, count // 8),
                    at_once,
                    lambda place=place: lambda: _timed(lambda: peers.cold(place)),  # type: ignore[misc]
                )
            late = ours[1][min(len(ours[1]) - 1, int(len(ours[1]) * 0.99))]
            middle = statistics.median(ours[1])
            rows.append([
                workload.name, str(at_once), f"{ours[0]:.1f}", f"{cold[0]:.1f}", f"×{ours[0] / cold[0]:.2f}",
                f"{middle:.1f}", f"{late:.1f}", f"{late / middle:.1f}",
            ])  # fmt: skip
    return rows


def cells(client: Client, count: int) -> list[list[str]]:
    """One session after its first cell."""
    _, container = client.ask("POST", "/v1/containers", {})
    workload = Workload("cell", PRINT)
    client.run(workload, container["id"])
    time.sleep(PAUSE_SECONDS)
    ours = [client.run(workload, container["id"])[0] for _ in range(count)]
    client.ask("DELETE", f"/v1/containers/{container['id']}")
    middle = statistics.median(ours)
    jupyter = peers.jupyter("1", count)
    theirs = statistics.median(jupyter[1]) if jupyter else 0.0
    late = sorted(ours)[count * 95 // 100]
    beside = [f"{theirs:.2f}", f"×{theirs / middle:.1f}"] if theirs else ["not here", "–"]
    return [[str(count), f"{middle:.2f}", f"{late:.2f}", *beside]]


def idle_memory(client: Client, count: int) -> list[list[str]]:
    """What a session with the libraries has for itself, when it has run a cell and waits."""
    workload = Workload("import", "import numpy, pandas, matplotlib.pyplot, scipy.stats, sympy, seaborn")
    before = _private()
    containers = [client.ask("POST", "/v1/containers", {})[1]["id"] for _ in range(count)]
    for container in containers:
        client.run(workload, container)
    time.sleep(1)
    taken = (_private() - before) / count
    for container in containers:
        client.ask("DELETE", f"/v1/containers/{container}")
    return [[str(count), f"{taken / 1024:.1f}"]]


def _private() -> int:
    """KiB that all guests of this machine and their boxes have for themselves."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "cmdline").read_bytes().startswith((b"belljar guest", b"belljar box\0")):
                    for line in (entry / "smaps_rollup").read_text().splitlines():
                        if line.startswith(("Private_Clean:", "Private_Dirty:")):
                            total += int(line.split()[1])
    return total


def _with_files(workload: Workload) -> str:
    """For a kernel, which is given its files by the program itself."""
    bodies = {name: base64.b64encode(body).decode() for name, body in workload.files.items()}
    return f"""import base64, os
os.chdir("/tmp")
for name, body in {bodies!r}.items():
    open(name, "wb").write(base64.b64decode(body))
{workload.code}"""


def _asker(url: str, workload: Workload) -> Callable[[], float]:
    client = Client(url)
    return lambda: client.run(workload)[0]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _rate(count: int, at_once: int, make: Callable[[], Callable[[], float]]) -> tuple[float, list[float]]:
    """So many a second, and the milliseconds of each, sorted."""
    left, taken = list(range(count)), list[float]()

    def work() -> None:
        ask = make()
        with contextlib.suppress(IndexError):
            while True:
                left.pop()
                taken.append(ask())

    threads = [threading.Thread(target=work) for _ in range(at_once)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.perf_counter() - started), sorted(taken)


def _show(console: Console, title: str, columns: list[str], rows: list[list[str]]) -> None:
    shown = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        shown.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        shown.add_row(*row)
    console.print(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="turns for each program")
    parser.add_argument("--quick", action="store_true", help="few of everything: to see that it works")
    asked = parser.parse_args()
    rounds, many = (2, 16) if asked.quick else (asked.rounds, 400)
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(f"{os.cpu_count()} processors, Linux {platform.release()}, times in ms (medians)")
    with server() as (url, boot):
        client = Client(url)
        first = time.perf_counter()
        client.run(WORKLOADS[0])
        boot_row = [
            f"{boot:.2f}",
            f"{boot + time.perf_counter() - first:.2f}",
            f"{boot + until_warm(client):.2f}",
        ]
        time.sleep(3)
        columns = "program;cold python;bubblewrap;Jupyter kernel;belljar;of cold;first result;warm python"
        _show(
            console,
            "One program in a fresh session, over HTTP",
            [*columns.split(";"), "belljar/warm", "belljar/health"],
            fresh(client, rounds),
        )
        client.again()
        _show(
            console,
            "The next cell of a session",
            ["cells", "belljar", "p95", "Jupyter kernel", "faster"],
            cells(client, 8 if asked.quick else 50),
        )
        _show(
            console, "Fresh sessions a second",
            ["program", "at once", "belljar", "cold python", "of cold", "p50", "p99", "p99/p50"],
            throughput(url, {"print(1+1)": many, "group-by": many // 3}),
        )  # fmt: skip
        client.again()
        _show(
            console,
            "Memory of an idle session, all libraries imported",
            ["sessions", "MiB of its own"],
            idle_memory(client, 4 if asked.quick else 10),
        )
        _show(console, "Seconds from the start", ["listens", "first result", "all tiers"], [boot_row])


if __name__ == "__main__":
    main()
