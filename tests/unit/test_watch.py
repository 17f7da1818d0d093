"""Record locks are counted, whatever else the machine's memory does meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from belljar.frames import Message
from belljar.keeper import connections, outside, waiting, watch
from belljar.keeper.runs import Run
from belljar.keeper.waiting import Turns
from belljar.records import Limits

HOLD = """
import fcntl, sys
with open(sys.argv[1], "w") as file:
    for place in range(int(sys.argv[2]), 0, -1):
        fcntl.lockf(file, fcntl.LOCK_EX, 1, 2 * place)
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def _held(program: str, *arguments: str) -> Iterator[int]:
    """The pid of a program that holds what it has made until the block ends."""
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.communicate("")


@pytest.fixture
def holder(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[int]:
    with _held(HOLD, str(tmp_path / "locked"), str(request.param)) as pid:
        yield pid


async def _nobody(message: Message) -> None:
    pass


def _looks(pid: int, *ways: bool) -> list[int]:
    """What is known of the locks after one look after the other, each of which may wait or not."""

    async def look() -> list[int]:
        locks, run, known = watch.Locks(Turns()), Run(1, _nobody, Limits()), []
        for may_wait in ways:
            is_over = await locks.are_too_many(run, lambda: [pid], may_wait=may_wait)
            assert is_over is (run.peak_locks > watch.MAX_LOCKS)
            known.append(run.peak_locks)
        return known

    return asyncio.run(look())


@pytest.mark.parametrize("holder", [200], indirect=True)
def test_they_are_counted_though_the_machine_gives_back_more_than_they_take(
    holder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = iter(range(100 * 2**20, 0, -(2**20)))
    monkeypatch.setattr(outside, "unreclaimable_bytes", lambda: next(memory))
    assert _looks(holder, True, False) == [0, 200]


@pytest.mark.parametrize("holder", [watch.MAX_LOCKS + 1], indirect=True)
def test_they_are_counted_at_once_when_the_machine_has_less_than_it_had_at_best(
    holder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mib = 2**20
    memory = iter([100 * mib, 50 * mib, 53 * mib, 55 * mib])
    monkeypatch.setattr(outside, "unreclaimable_bytes", lambda: next(memory))
    assert _looks(holder, True, True, True) == [0, 0, watch.MAX_LOCKS + 1]


@pytest.mark.parametrize("holder", [2000], indirect=True)
def test_they_are_not_counted_again_for_what_was_gone_by_then(
    holder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mib = 2**20
    memory = iter(mib * n for n in (100, 103, 105, 106, 108.5, 108.7))
    monkeypatch.setattr(outside, "unreclaimable_bytes", lambda: int(next(memory)))
    counted = 0

    def members() -> list[int]:
        nonlocal counted
        counted += 1
        return [holder]

    async def look() -> list[int]:
        locks, run, counts = watch.Locks(Turns()), Run(1, _nobody, Limits()), []
        for _ in range(5):
            assert not await locks.are_too_many(run, members, may_wait=True)
            counts.append(counted)
        return counts

    assert asyncio.run(look()) == [0, 1, 1, 1, 2]  # the 2,000 take 0.4 MiB of the next 4


@pytest.mark.parametrize("holder", [2000], indirect=True)
def test_what_takes_too_long_to_count_is_too_much(holder: int) -> None:
    assert outside.record_locks([holder], 9000, seconds=5) == 2000
    assert outside.record_locks([holder, holder], 3000, seconds=5) == 3001
    assert outside.record_locks([holder], 9000, seconds=0) == 9001


@pytest.mark.parametrize("holder", [200], indirect=True)
def test_a_machine_that_was_halted_meanwhile_has_not_counted_too_long(holder: int) -> None:
    assert outside.record_locks([holder], 1000, seconds=0) == 200


UNSHARE = """
import ctypes, sys, threading
started = threading.Barrier(4)
def share():
    started.wait()
    sys.stdin.read()
def unshare():
    assert ctypes.CDLL(None).unshare(0x400) == 0  # CLONE_FILES
    share()
for target in (share, share, unshare):
    threading.Thread(target=target, daemon=True).start()
started.wait()
print("held", flush=True)
sys.stdin.read()
"""


def test_threads_are_looked_at_once_for_each_table_of_descriptors() -> None:
    with _held(UNSHARE) as pid:
        assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 4
        assert len(outside.with_own_descriptors(pid)) == 2


NAMED = """
import ctypes, mmap, sys
with open(sys.argv[1], "wb+") as file:
    file.truncate(mmap.PAGESIZE)
    mapped = mmap.mmap(file.fileno(), 0)
held = b"x" * 2**25
ctypes.CDLL(None).prctl(15, b"\\x0bVmPTE: -999999", 0, 0, 0)
print("held", flush=True)
sys.stdin.read()
"""


def test_names_that_a_process_has_chosen_say_nothing_of_its_memory(tmp_path: Path) -> None:
    with _held(NAMED, str(tmp_path / "one\x0banother\x85third")) as pid:
        assert outside.memory_bytes(pid) > 2**25
        assert all(start < end for start, end in outside.mappings(pid, with_anonymous=True))


DELETED = """
import ctypes, os, sys, threading
def hold(number):
    assert ctypes.CDLL(None).unshare(0x400) == 0  # CLONE_FILES
    name = f"{sys.argv[1]}-{number}"
    held = os.open(name, os.O_CREAT | os.O_WRONLY)
    os.unlink(name)
    os.write(held, bytes(2**20))
    ready.wait()
    if number == 0:
        print("held", flush=True)
    sys.stdin.read()
    os._exit(0)
ready = threading.Barrier(2)
for number in range(2):
    threading.Thread(target=hold, args=[number]).start()
ctypes.CDLL(None).pthread_exit(0)
"""


def test_deleted_files_of_all_threads_are_seen_when_the_first_has_ended(tmp_path: Path) -> None:
    with _held(DELETED, str(tmp_path / "deleted")) as pid:
        device = tmp_path.stat().st_dev
        assert sum(outside.deleted_files(pid, device).values()) >= 2**21


HIDDEN = """
import os, sys
if len(sys.argv) > 1:
    with open(os.path.realpath(sys.executable), "rb") as program:
        with open(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY, 0o111), "wb") as copy:
            copy.write(program.read())
    home = {"PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": sys.base_prefix + "/lib"}
    os.execve(sys.argv[1], ["python", "-I", "-S", "-c", sys.orig_argv[2]], os.environ | home)
held = b"x" * 2**25
print("held", flush=True)
sys.stdin.read()
"""


def test_a_program_that_may_not_be_read_hides_what_it_holds_but_not_its_memory(tmp_path: Path) -> None:
    with _held(HIDDEN, str(tmp_path / "hidden")) as pid:
        assert outside.is_hidden(pid) is (os.geteuid() != 0)  # root may look into everybody
        assert outside.memory_bytes(pid) > 2**25


def test_dear_work_is_done_in_turn_and_followed_by_a_rest() -> None:
    under_way, most, turns = 0, 0, Turns(rest=1000.0)

    def work() -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        time.sleep(0.01)
        under_way -= 1
        return most

    async def many() -> None:
        quick = Turns(rest=0.0)
        assert await asyncio.gather(*(quick.take(work) for _ in range(5))) == [1] * 5
        assert quick.is_free()
        assert turns.is_free()
        await turns.take(lambda: _work(0.01))
        assert not turns.is_free()

    asyncio.run(many())


def test_nobody_rests_for_what_the_machine_did_besides() -> None:
    async def halted() -> None:
        turns = Turns(rest=1.0)
        await turns.take(lambda: time.sleep(0.3))
        await asyncio.sleep(0.05)
        assert turns.is_free()

    asyncio.run(halted())


def test_no_rest_is_longer_than_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    async def long_work() -> None:
        turns = Turns(rest=1000.0)
        await turns.take(lambda: _work(0.01))
        assert turns.is_free()

    monkeypatch.setattr(waiting, "_MOST_REST_SECONDS", 0.0)
    asyncio.run(long_work())


def _work(seconds: float) -> None:
    """Take so much of a processor."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


class Busy:
    """What is looked at of a session with connections, as far as that asks for it."""

    def __init__(self, dear: watch.Dear, *, most: int, counted: int, limit: int) -> None:
        self.connections = watch.Connections(dear)
        self.limits = Limits(memory_bytes=limit)
        self.most, self.counted, self.kept = most, counted, 0

    def connection_bytes(self) -> tuple[int, int]:
        return self.most, 0

    def memory_bytes(self) -> int:
        return self.counted

    def network_bytes(self, *, is_counted: bool, enough_bytes: int) -> int:
        assert is_counted
        assert enough_bytes == self.limits.memory_bytes
        return self.most // 2

    def kept_bytes(self, *, enough_bytes: int) -> int:
        assert enough_bytes > self.limits.memory_bytes
        return self.kept

    async def uncounted(self) -> int:
        return await self.connections.uncounted_bytes(
            self,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            self.limits,
            may_wait=False,
        )

    def known(self) -> int:
        return self.connections.known_bytes(self)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def _taken(turns: Turns) -> AsyncIterator[None]:
    """Somebody is at it until the block ends."""
    loop, has_begun, is_over = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def work() -> None:
        loop.call_soon_threadsafe(has_begun.set)
        is_over.wait()

    taking = asyncio.create_task(turns.take(work))
    try:
        await has_begun.wait()
        yield
    finally:
        is_over.set()
        await taking


def test_who_may_be_over_its_memory_waits_for_its_turn_at_being_looked_at() -> None:
    async def look() -> None:
        dear = watch.Dear()
        limit = 64 * watch.MIB
        async with _taken(dear.connections):
            assert await Busy(dear, most=40 * watch.MIB, counted=24 * watch.MIB, limit=limit).uncounted() == 0
            looking = asyncio.create_task(
                Busy(dear, most=40 * watch.MIB, counted=25 * watch.MIB, limit=limit).uncounted()
            )
        assert await looking == 20 * watch.MIB

    asyncio.run(look())


def test_locks_that_take_long_to_count_keep_nobody_from_looking_at_connections() -> None:
    async def look() -> None:
        dear = watch.Dear()
        async with _taken(dear.locks):
            busy = Busy(dear, most=40 * watch.MIB, counted=0, limit=64 * watch.MIB)
            assert await busy.uncounted() == 20 * watch.MIB

    asyncio.run(look())


def test_who_does_not_look_is_told_what_was_known_last() -> None:
    async def look() -> None:
        dear = watch.Dear()
        busy = Busy(dear, most=40 * watch.MIB, counted=0, limit=64 * watch.MIB)
        assert busy.known() == 0
        assert await busy.uncounted() == 20 * watch.MIB
        async with _taken(dear.connections):
            assert busy.known() == 20 * watch.MIB
        busy.most = 0
        assert await busy.uncounted() == 0 == busy.known()

    asyncio.run(look())


@pytest.mark.parametrize(
    ("spare", "lost", "kept", "is_over"),
    [
        (0.1, 200, 2**30, True),
        (0.1, 200, 150, True),
        (0.1, 200, 60, False),  # it cannot have so much
        (0.1, 120, 2**30, False),  # little, of such a machine
        (0.5, 200, 2**30, False),  # there is enough for all
    ],
)
def test_what_a_short_machine_has_lost_is_a_sessions_as_far_as_its_connections_may_keep_it(
    spare: float, lost: int, kept: int, *, is_over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    unexplained = 900 * watch.MIB
    monkeypatch.setattr(outside, "unexplained_bytes", lambda: unexplained)
    monkeypatch.setattr(outside, "available_share", lambda: spare)
    monkeypatch.setattr(outside, "machine_bytes", lambda: 1000 * watch.MIB)

    async def look() -> None:
        nonlocal unexplained
        busy = Busy(watch.Dear(), most=watch.MIB, counted=0, limit=64 * watch.MIB)
        busy.kept = kept * watch.MIB
        assert await busy.uncounted() < busy.limits.memory_bytes
        unexplained += lost * watch.MIB
        assert (await busy.uncounted() > busy.limits.memory_bytes) is is_over
        unexplained -= lost * watch.MIB
        assert await busy.uncounted() < busy.limits.memory_bytes
        busy.most = 0
        unexplained += lost * watch.MIB
        assert await busy.uncounted() == 0  # it has no connections

    asyncio.run(look())


SINGLE_BYTES = """
import socket, sys
def pair():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server.accept()[0]
rest, reader = pair()
held = [pair() for _ in range(4)]
for client, _ in held:
    for _ in range(1000):
        client.send(b"x")
        rest.send(bytes(2**15 - 8))
        reader.recv(2**15 - 8, socket.MSG_WAITALL)
print("held", flush=True)
sys.stdin.read()
"""


def _unexplained() -> int:
    """At best: in one look, what moves meanwhile may be missing."""
    looks = []
    for _ in range(20):
        looks.append(outside.unexplained_bytes())
        time.sleep(0.01)
    return min(looks)


def _lost_and_kept() -> tuple[int, int]:
    before = _unexplained()
    with _held(SINGLE_BYTES) as pid:
        lost, kept = _unexplained() - before, connections.kept_bytes(pid, enough_bytes=2**40)
    return lost, kept


def test_pages_that_single_bytes_keep_are_missing_and_may_be_theirs() -> None:
    rounds = []
    while len(rounds) < 5 and not any(lost > 40 * watch.MIB for lost, _ in rounds):
        rounds.append(_lost_and_kept())  # others on the machine may give as much back meanwhile
    assert rounds[-1][0] > 40 * watch.MIB, rounds  # it is 125
    assert rounds[-1][1] > 4000 * 2**15


UNACCEPTED = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0), backlog=100)
held = [socket.create_connection(server.getsockname()) for _ in range(50)]
for client in held:
    client.send(b"x")
print("held", flush=True)
sys.stdin.read()
"""


def test_what_is_too_much_is_not_looked_at_to_its_end() -> None:
    with _held(UNACCEPTED) as pid:
        whole = connections.network_bytes(pid, is_counted=True, enough_bytes=2**40)
        some = connections.network_bytes(pid, is_counted=True, enough_bytes=watch.MIB)
    assert whole >= 50 * 2**16
    assert watch.MIB < some < whole


def _looks_of_a_run(monkeypatch: pytest.MonkeyPatch, look: Callable[[], Awaitable[None]]) -> list[str]:
    """What is looked at from the begin of one look at everything, which takes as long as `look`, to the next."""
    looks: list[str] = []
    run = Run(1, _nobody, Limits())

    class Counted:
        async def are_too_many(self, *_: object, **__: object) -> bool:
            looks.append("locks")
            return False

    async def look_at_all(*_: object) -> float:
        looks.append("all")
        run.is_over = looks.count("all") == 2
        await look()
        return 0.0

    monkeypatch.setattr(watch, "_look", look_at_all)
    monkeypatch.setattr(run, "has_begun", True)
    watched = SimpleNamespace(cgroup=None, has_namespaces=True, locks=Counted(), processes=list)
    asyncio.run(watch.until_over(run, watched))  # type: ignore[arg-type]
    return looks[looks.index("all") : -1]


def test_locks_are_looked_at_while_the_other_looks_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        _work(2 * watch.WATCH_SECONDS)  # and it rests four times as long

    looks = _looks_of_a_run(monkeypatch, work)
    assert looks.count("locks") > 1, looks


def test_a_look_does_not_rest_for_what_the_machine_did_besides(monkeypatch: pytest.MonkeyPatch) -> None:
    async def halted() -> None:
        await asyncio.sleep(6 * watch.WATCH_SECONDS)

    assert _looks_of_a_run(monkeypatch, halted) == ["all", "locks"]


def test_a_look_rests_for_no_longer_than_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        _work(2 * watch.WATCH_SECONDS)

    monkeypatch.setattr(watch, "_MOST_REST_SECONDS", 0.0)
    assert _looks_of_a_run(monkeypatch, work) == ["all", "locks"]
