"""What becomes of the memory of a session that nobody uses. `make test-other-kernel` runs this where there is swap."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest
from jail import Started, children, opened, started, status

from belljar import link, states
from belljar.keeper import idle, outside
from belljar.records import MIB

pytestmark = pytest.mark.anyio

HAS_SWAP = outside.has_swap()


@pytest.fixture(scope="module")
async def idling(anyio_backend: str) -> AsyncIterator[Started]:
    """A keeper that offers the memory of sessions soon."""
    async with started(idle_memory_seconds=0.2) as idling:
        yield idling


def way(idling: Started) -> str:
    return idling.keeper.description.idle_memory.way


async def reached(keeper: link.Keeper, holds: Callable[[states.State], bool]) -> states.State:
    """What the keeper has as soon as that holds."""
    with anyio.fail_after(120):
        while not holds(now := await keeper.state()):
            assert now.idle_failed == 0
            await anyio.sleep(0.05)
    return now


def guests(idling: Started) -> list[int]:
    """The processes in sessions: they, and nobody else, are under the filter."""
    return [pid for pid in idling.processes() if status(pid).get("Seccomp") == "2" and not children(pid)]


def resident(pid: int, name: str) -> int:
    """How much of a file a process has mapped in memory."""
    inside, total = False, 0
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            inside = line.endswith(name)
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


async def test_what_works_here_is_found_by_trying(idling: Started) -> None:
    about = idling.keeper.description.idle_memory
    if os.environ.get("BELLJAR_TEST_SWAP"):
        assert HAS_SWAP
        expected = "none" if os.environ["BELLJAR_TEST_CGROUPS"] == "none" else "memory.reclaim"
        assert about.way == expected
    if about.way == "none":
        assert "process_madvise: Operation not permitted" in about.detail
    else:
        assert ("no swap" in about.detail) == (not HAS_SWAP)


def test_a_process_that_ends_while_it_is_found_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    monkeypatch.setattr(outside, "tree", lambda *roots: [*roots, ended.pid])
    assert idle.found(1, None).way == "process_madvise"


async def test_where_it_may_not_be_done_nothing_is_offered(idling: Started) -> None:
    async with started(idle_memory_seconds=0) as other:
        assert other.keeper.description.idle_memory.way == "none"
        assert "BELLJAR_IDLE_MEMORY_SECONDS" in other.keeper.description.idle_memory.detail
        keepers = [other.keeper] if way(idling) != "none" else [other.keeper, idling.keeper]
        for keeper in keepers:
            async with opened(keeper) as session:
                await session.says("print(1)")
                await anyio.sleep(1)
            assert (await keeper.state()).idle_offered == 0


_MAP = """
import glob, hashlib, json, mmap, sys
(path,) = glob.glob(sys.prefix + "/lib/python*/site-packages/pyarrow/libarrow_flight.so.*")
with open(path, "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
digest = hashlib.sha256(mapped).hexdigest()
with open("/proc/self/smaps") as smaps:
    lines = smaps.read().splitlines()
at = next(n for n, line in enumerate(lines) if line.endswith(path))
print(json.dumps([path, next(line for line in lines[at:] if line.startswith("Rss:"))]))
"""


async def test_clean_pages_of_files_are_dropped_and_read_again(idling: Started) -> None:
    if way(idling) != "process_madvise":
        pytest.skip(f"{way(idling)} takes what is charged to the session, or nothing: not what it has mapped")
    before = await idling.keeper.state()
    async with opened(idling.keeper) as session:
        path, seen = await session.value(_MAP)
        mapped_bytes = int(seen.split()[1]) * 1024
        assert mapped_bytes > 8 * MIB
        enough = before.idle_given_back_bytes + mapped_bytes - MIB
        await reached(idling.keeper, lambda now: now.idle_given_back_bytes > enough)
        (guest,) = guests(idling)
        assert resident(guest, path) < MIB
        assert await session.says("print(hashlib.sha256(mapped).hexdigest() == digest)") == "True"


@pytest.mark.skipif(not HAS_SWAP, reason="this machine has no swap")
async def test_variables_and_files_go_to_swap_and_come_back(idling: Started) -> None:
    if way(idling) == "none":
        pytest.skip("an ordinary user without a cgroup may not")
    before = await idling.keeper.state()
    async with opened(idling.keeper) as session:
        await session.says(
            """
            import hashlib, random
            held = random.Random(1).randbytes(48 << 20)
            open("file", "wb").write(held[:16 << 20])
            """
        )
        enough = before.idle_given_back_bytes + 40 * MIB
        await reached(idling.keeper, lambda now: now.idle_given_back_bytes > enough)
        (guest,) = guests(idling)
        assert int(status(guest)["VmSwap"].split()[0]) > 40 * 1024
        same = "held == random.Random(1).randbytes(48 << 20) and open('file', 'rb').read() == held[:16 << 20]"
        assert await session.says(f"print({same})") == "True"


@pytest.mark.skipif(not HAS_SWAP, reason="this machine has no swap")
@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user may not")
def test_without_a_cgroup_advice_puts_it_away_until_it_is_to_end() -> None:
    code = f"import os; held = os.urandom({48 * MIB}); print(hash(held), flush=True); input()"
    code += "; print(hash(bytes(bytearray(held))))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        seen = holder.stdout.readline()
        assert idle.give_back(None, [holder.pid], lambda: False) == 0
        assert idle.give_back(None, [holder.pid], lambda: True) > 40 * MIB
        assert int(status(holder.pid)["VmSwap"].split()[0]) > 40 * 1024
        assert holder.communicate("\n", timeout=60)[0] == seen


async def test_each_time_a_session_is_idle_it_is_offered_once_and_not_while_it_runs(idling: Started) -> None:
    if way(idling) == "none":
        pytest.skip("an ordinary user without a cgroup may not")
    keeper, up = idling.keeper, anyio.Event()
    before = await keeper.state()
    async with opened(keeper) as session, anyio.create_task_group() as tasks:
        await session.says("print(1)")
        await reached(keeper, lambda now: now.idle_offered > before.idle_offered)
        await anyio.sleep(1)
        offered = (await keeper.state()).idle_offered
        code = "import time; print('up'); time.sleep(60)"
        tasks.start_soon(partial(session.run, code, timeout=60, on_event=lambda _: up.set()))
        await up.wait()
        await anyio.sleep(1)
        assert (await keeper.state()).idle_offered == offered
        await keeper.interrupt(session.name)
        await reached(keeper, lambda now: now.idle_offered > offered)
        await anyio.sleep(1)
        assert (await keeper.state()).idle_offered == offered + 1


async def test_a_long_run_leaves_no_heap_that_it_does_not_use(idling: Started) -> None:
    """What is between blocks in use malloc would keep, for as long as the session lives."""
    async with opened(idling.keeper) as session:
        resident_kib = "int(open('/proc/self/statm').read().split()[1]) * 4"
        during = await session.value(
            f"""
            import time
            many = [bytes(1000) for _ in range(60_000)]
            kept = bytes(1000)
            del many
            time.sleep(0.2)
            print({resident_kib})
            """
        )
        assert await session.value(f"print({resident_kib})") < during - 40_000
