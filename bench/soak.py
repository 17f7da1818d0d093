"""Whether a keeper grows: `python bench/soak.py [--sessions 10000] [--preload]` runs that many
sessions, some at a time, which end in every way there is, and looks at what the keeper holds each time that it is idle.

Prints the curve. Exits with 1 and a sentence when a count is higher at the end than it ever was in the first
quarter, when memory grows with the sessions, when a session ended as it should not, or when anything is left
after the keeper's end.
10,000 sessions take some ten minutes on two processors; continuous integration runs 1,500.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from belljar import link, orders
from belljar.records import MIB, Limits
from belljar.settings import Settings

SAMPLES = 20
IDLE_SECONDS = 60
"""For everything to have gone that was closed."""
GROWTH_BYTES = 128
"""Of one process's memory, with each session: less than a name in a set that nobody empties."""
NOISE_BYTES = MIB // 4
"""What an allocator may take in each third of the time, however few the sessions."""
SEED = 1

Play = Callable[[link.Keeper, str], Awaitable[str]]
"""Runs one session of a name, and says how it ended."""


# -- the ways in which sessions end ------------------------------------------------------------------------

_DAEMON = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            continue
    if os.fork() == 0:
        os.setsid()
    while True:
        time.sleep(1000)
while True:
    time.sleep(1000)
"""
_FILES = """
import os
open("copy", "wb").write(open("given", "rb").read())
for n in range(20):
    os.makedirs(f"d{n % 3}/e", exist_ok=True)
    open(f"d{n % 3}/e/{n}", "w").write("x" * 10_000)
os.symlink("copy", "link")
"""


def code(text: str, timeout_seconds: float = 60, **limits: int) -> Play:
    """One run of `text`; without `limits` in a session that was parked."""

    async def play(keeper: link.Keeper, name: str) -> str:
        await keeper.open(name, Limits(**limits))
        return (await keeper.execute(name, orders.Run(text, timeout_seconds))).outcome.status

    return play


async def unused(keeper: link.Keeper, name: str) -> str:
    await keeper.open(name, Limits())
    return "unused"


async def twice(keeper: link.Keeper, name: str) -> str:
    await keeper.open(name, Limits())
    await keeper.execute(name, orders.Run("import os\nx = 6", 60))
    await keeper.execute(name, orders.Run("os.abort()", 60))
    return (await keeper.execute(name, orders.Run("x = 6; x * 7", 60))).outcome.status


async def files(keeper: link.Keeper, name: str) -> str:
    await keeper.open(name, Limits())
    await keeper.put(name, "given", os.urandom(100_000))
    result = await keeper.execute(name, orders.Run(_FILES, 60))
    for file in result.files[:3]:
        async for _ in keeper.read(name, file):
            pass
    return result.outcome.status


async def interrupted(keeper: link.Keeper, name: str) -> str:
    await keeper.open(name, Limits())
    is_up = anyio.Event()
    ends: list[str] = []

    async def run() -> None:
        run = orders.Run("import time\nprint('up', flush=True)\nwhile True: time.sleep(0.1)", 60)
        ends.append((await keeper.execute(name, run, lambda _: is_up.set())).outcome.status)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await is_up.wait()
        await keeper.interrupt(name)
    return ends[0]


async def closed_while_it_runs(keeper: link.Keeper, name: str) -> str:
    await keeper.open(name, Limits())
    is_up = anyio.Event()

    async def run() -> None:
        run = orders.Run("print('up', flush=True)\nwhile True: pass", 60)
        await keeper.execute(name, run, lambda _: is_up.set())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await is_up.wait()
        await keeper.close(name)
    return "closed"


@dataclass(frozen=True)
class End:
    name: str
    weight: int
    expected: tuple[str, ...]
    play: Play


ENDS = [
    End("completed", 40, ("completed",), code("print(sum(range(1000)))\n6 * 7")),
    End("raised", 10, ("raised",), code("def f(n): return 1 / n\nf(0)")),
    End("sys.exit", 4, ("exited",), code("import sys; sys.exit(3)")),
    End("os._exit", 6, ("exited",), code("import os; os._exit(3)")),
    End("killed", 6, ("crashed",), code("import os; os.kill(os.getpid(), 9)")),
    End("time-out, daemons", 4, ("timed_out",), code(_DAEMON, 0.3)),
    End("interrupted", 4, ("interrupted",), interrupted),
    End("flood", 4, ("output_exceeded",), code("while True: print('x' * 9999)", output_bytes=16384)),
    End("files", 10, ("completed",), files),
    End(
        "forged message",
        2,
        ("crashed",),
        code("import os; os.write(3, b'x' * 999); input()\nwhile True: pass"),
    ),
    End("leaves a child", 4, ("completed",), code("import subprocess; subprocess.Popen(['sleep', '99'])")),
    End("three runs", 2, ("completed",), twice),
    End("unused", 2, ("unused",), unused),
    End("closed while it runs", 2, ("closed",), closed_while_it_runs),
    # Without a cgroup it is an rlimit that the code hits, or a watcher that sees it.
    End(
        "out of memory",
        1,
        ("out_of_memory", "raised"),
        code("x = []\nwhile True: x.append(bytearray(2**20))", memory_bytes=64 * MIB),
    ),
]


# -- what is there -----------------------------------------------------------------------------------------


@dataclass
class Sample:
    """What a keeper and those that it relies on hold at one moment."""

    sessions: int
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)
    """To be the same whenever the keeper is idle."""
    bytes: dict[str, int] = field(default_factory=dict)
    """Memory of each process, as it stands (RSS) and as its share of what several have (PSS)."""


def descendants(pid: int) -> Iterator[int]:
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                yield child
                yield from descendants(child)
    except (FileNotFoundError, ProcessLookupError):
        return


def title(pid: int) -> str:
    """What a process of the jail calls itself, as `boxer`; the program's name for others, "" for what is gone."""
    try:
        words = (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").split()
        )
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return words[1] if words[:1] == ["belljar"] and len(words) > 1 else "other"


def lasting(keeper: int) -> dict[str, int]:
    """The pids of those that live as long as the keeper."""
    # The first of each name, which comes before its children: a fork has its parent's name until it takes its own.
    found = {title(pid): pid for pid in reversed(list(descendants(keeper)))}
    return {"keeper": keeper} | {name: found[name] for name in ("outer", "boxer", "zygote") if name in found}


def places(keeper: int) -> set[Path]:
    """The keeper's directories of cgroups and of temporary files, by its parked sessions and its descriptors."""
    names, found = set(), set()
    for pid in descendants(keeper):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            names |= set(re.findall(r"/(belljar-[0-9a-f]{12})", Path(f"/proc/{pid}/cgroup").read_text()))
    # By os.walk, which passes over what goes while it walks: others have cgroups too.
    for top, directories, _ in os.walk("/sys/fs/cgroup"):
        found |= {Path(top, name) for name in names.intersection(directories)}
    for held in Path(f"/proc/{keeper}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            parts = held.readlink().parts
            ours = [n for n, part in enumerate(parts) if part.startswith("belljar-")]
            found |= {path for n in ours[:1] if (path := Path(*parts[: n + 1])).exists()}
    return found


def look(keeper: int, kept: set[Path], sample: Sample) -> None:
    """Fill in the sample; `kept` are the keeper's directories."""
    below = [title(pid) for pid in descendants(keeper)]
    sample.counts["processes"] = len(below)
    for name, pid in lasting(keeper).items():
        proc = Path(f"/proc/{pid}")
        if os.access(proc / "fd", os.R_OK):
            sample.counts[f"{name} descriptors"] = len(list((proc / "fd").iterdir()))
            sample.counts[f"{name} mounts"] = len((proc / "mountinfo").read_text().splitlines())
        sample.counts[f"{name} children"] = len((proc / f"task/{pid}/children").read_text().split())
        if name != "keeper":  # which has some for calls that wait, as many as were ever needed at once
            sample.counts[f"{name} threads"] = len(list((proc / "task").iterdir()))
        if os.access(proc / "smaps_rollup", os.R_OK):
            memory = re.findall(r"^(Rss|Pss): +(\d+) kB", (proc / "smaps_rollup").read_text(), re.MULTILINE)
            for kind, kib in memory:
                sample.bytes[f"{name} {kind.upper()}"] = int(kib) * 1024
    walked = [directories for place in kept for _, directories, _ in os.walk(place)]
    sample.counts["cgroups and files"] = sum(map(len, walked))
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    sample.counts["mounts of the machine"] = len([line for line in mounts if "belljar" in line])


async def idle(keeper: link.Keeper, kept: set[Path], wanted: dict[str, int], sample: Sample) -> Sample:
    """The sample as soon as its counts are those wanted, or as it is after IDLE_SECONDS."""
    deadline = time.monotonic() + IDLE_SECONDS
    while True:
        sample.counts.clear()
        look(keeper.pid, kept, sample)
        if all(sample.counts.get(name, 0) <= count for name, count in wanted.items()):
            return sample
        if time.monotonic() > deadline:
            return sample
        await anyio.sleep(0.05)


async def settled(keeper: link.Keeper, parked: int) -> None:
    """Wait until all parked sessions are there."""
    deadline = time.monotonic() + IDLE_SECONDS
    while [title(pid) for pid in descendants(keeper.pid)].count("guest") < parked:
        if time.monotonic() > deadline:
            sys.exit("No session could be parked; the keeper's words are above.")
        await anyio.sleep(0.05)


# -- the run -----------------------------------------------------------------------------------------------


async def soak(sessions: int, at_once: int, preload: bool) -> list[str]:
    """Run it all; returns what is wrong, in sentences."""
    # One parked session, whatever was asked for, and the same zygotes all the time: what is counted is to stay.
    steady = Settings(grace_seconds=0.2, parked=1, zygote_sessions=1_000_000)
    settings = steady if preload else steady.model_copy(update={"preload": {}})
    draw = random.Random(SEED).choices  # noqa: S311 - the same mix each time
    chosen = draw(ENDS, [end.weight for end in ENDS], k=sessions)
    ended: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    async with link.start(settings) as keeper:
        await keeper.warm()
        await settled(keeper, settings.parked)
        processes, kept = list(descendants(keeper.pid)), places(keeper.pid)
        samples = [await idle(keeper, kept, {}, Sample(0, 0.0))]
        head(keeper, sessions, at_once, settings)
        show(samples[0])
        wanted, names = samples[0].counts, itertools.count(1)
        started = time.monotonic()

        async def play(pending: Iterator[End]) -> None:
            for end in pending:
                name = f"soak-{next(names)}"
                status = await end.play(keeper, name)
                await keeper.close(name)
                ended[status] += 1
                if status not in end.expected:
                    wrong[f"{end.name}: {status}"] += 1

        for step in range(1, SAMPLES + 1):
            pending = iter(chosen[sessions * (step - 1) // SAMPLES : sessions * step // SAMPLES])
            async with anyio.create_task_group() as tasks:
                for _ in range(at_once):
                    tasks.start_soon(play, pending)
            sample = await idle(keeper, kept, wanted, Sample(sum(ended.values()), time.monotonic() - started))
            samples.append(sample)
            show(sample)
        processes += [pid for pid in descendants(keeper.pid) if pid not in processes]
    print("ends:", ", ".join(f"{status} {count}" for status, count in ended.most_common()))
    sentences = [f"{count} sessions ended as they should not, {name}." for name, count in wrong.most_common()]
    sentences += grown(samples)
    if left := [str(pid) for pid in processes if title(pid)] + [str(path) for path in kept if path.exists()]:
        sentences.append(f"After the keeper's end there is still {', '.join(left)}.")
    return sentences


def grown(samples: list[Sample]) -> list[str]:
    """What grew after the first quarter. The very first sample is of a keeper that has done nothing."""
    later = samples[1:]
    first, rest = later[: len(later) // 4], later[len(later) // 4 :]
    sentences = []
    for name, last in samples[-1].counts.items():
        most = max(sample.counts.get(name, 0) for sample in first)
        if last > most:
            sentences.append(f"{name}: {last} at the end, and at most {most} in the first quarter.")
    thirds = [rest[len(rest) * n // 3 : len(rest) * (n + 1) // 3] for n in range(3)]
    for name in samples[-1].bytes:
        if not name.endswith("RSS"):
            continue
        # What grows with the sessions does so all the time; an allocator takes half a mebibyte once, and then no more.
        each = min(
            slope([(sample.sessions, sample.bytes[name]) for sample in third if name in sample.bytes])
            for third in thirds
        )
        total = thirds[0][-1].sessions - thirds[0][0].sessions
        if each * total > NOISE_BYTES + GROWTH_BYTES * total:
            sentences.append(
                f"{name} grows by {each:.0f} bytes a session and more, in each third of the time; "
                f"{GROWTH_BYTES} and {NOISE_BYTES // 1024} KiB in all are allowed."
            )
    return sentences


def slope(points: list[tuple[int, int]]) -> float:
    """Of the line through the points that has the least squares."""
    x_mean = sum(x for x, _ in points) / len(points)
    y_mean = sum(y for _, y in points) / len(points)
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / spread if spread else 0.0


_COLUMNS = ("keeper", "outer", "boxer", "zygote")


def head(keeper: link.Keeper, sessions: int, at_once: int, settings: Settings) -> None:
    isolation = keeper.description.isolation.level
    libraries = f"{len(settings.preload)} libraries preloaded" if settings.preload else "nothing preloaded"
    print(f"{sessions} sessions, {at_once} at once, {settings.parked} parked, {libraries}, level {isolation}")
    print(f"{'':32}{'descriptors, RSS and PSS in MiB of':-^80}")
    columns = "".join(f"{name:>20}" for name in _COLUMNS)
    print(f"{'sessions':>8} {'s':>6} {'procs':>6} {'groups':>8}{columns}")


def show(sample: Sample) -> None:
    cells = []
    for name in _COLUMNS:
        rss, pss = (sample.bytes.get(f"{name} {kind}", 0) / MIB for kind in ("RSS", "PSS"))
        cells.append(f"{sample.counts.get(f'{name} descriptors', 0):>5}{rss:>8.1f}{pss:>7.1f}")
    counts = sample.counts
    print(
        f"{sample.sessions:>8} {sample.seconds:>6.0f} {counts['processes']:>6} {counts['cgroups and files']:>8}"
        + "".join(cells),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=6)
    parser.add_argument("--preload", action="store_true", help="with the data libraries in the zygote")
    asked = parser.parse_args()
    if asked.sessions < 10 * SAMPLES:
        parser.error(f"fewer than {10 * SAMPLES} sessions say nothing")
    wrong = anyio.run(soak, asked.sessions, asked.at_once, asked.preload)
    print("\n".join(wrong) if wrong else "Nothing grew, and nothing is left.")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
