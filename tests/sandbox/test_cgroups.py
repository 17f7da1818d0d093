"""The cgroups that sessions get, on the version that this machine has. `make test-other-kernel` runs them on others."""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio
import pytest
from jail import children, until

from belljar.keeper import cgroups, outside
from belljar.records import MIB, Limits

pytestmark = pytest.mark.anyio

_WAITS = "import sys; sys.stdin.read()"


def found() -> cgroups.Tree:
    """A tree; where the caller of the tests has said which, nothing else will do."""
    tree, missing = cgroups.find()
    expected = os.environ.get("BELLJAR_TEST_CGROUPS")
    if tree is None:
        assert expected in (None, "none"), missing
        pytest.skip(missing[0])
    try:
        assert expected in (None, getattr(tree, "label", "")), tree
    except AssertionError:
        tree.close()
        raise
    return tree


@contextmanager
def ours() -> Iterator[cgroups.Tree]:
    tree = found()
    try:
        yield tree
    finally:
        tree.close()


@pytest.fixture(scope="module")
def tree() -> Iterator[cgroups.Tree]:
    with ours() as tree:
        yield tree


@asynccontextmanager
async def made(tree: cgroups.Tree, cpus: float) -> AsyncIterator[cgroups.Cgroup]:
    cgroup = tree.make("test", Limits(memory_bytes=64 * MIB, pids=8, cpus=cpus))
    try:
        yield cgroup
    finally:
        cgroup.kill()
        await until(lambda: removed(cgroup))


@pytest.fixture
async def cgroup(tree: cgroups.Tree) -> AsyncIterator[cgroups.Cgroup]:
    """One of 64 MiB and 8 pids."""
    async with made(tree, 1) as cgroup:
        yield cgroup


def removed(cgroup: cgroups.Cgroup) -> bool:
    try:
        cgroup.remove()
    except OSError:
        return False
    return True


@contextmanager
def process(code: str) -> Iterator[subprocess.Popen[str]]:
    """A Python that has begun and waits for a line before it runs `code`; killed at the end."""
    whole = f"print('up', flush=True); input()\n{code}"
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", whole], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert told(process) == "up"
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def places(pid: int) -> set[str]:
    """The names, in every hierarchy, of the cgroups of ours that a process is in."""
    return set(re.findall(r"/belljar-[0-9a-f]{12}/(\w+)", Path(f"/proc/{pid}/cgroup").read_text()))


def directories(pid: int) -> list[Path]:
    """The directories, in every hierarchy, that the keeper of a process in a session's cgroup has made."""
    names = set(re.findall(r"/(belljar-[0-9a-f]{12})/", Path(f"/proc/{pid}/cgroup").read_text()))
    walked = os.walk("/sys/fs/cgroup")  # it does not mind what others delete meanwhile
    return [Path(top, name) for top, below, _ in walked for name in names & set(below)]


async def test_what_is_not_used_goes_to_swap_and_comes_back() -> None:
    with ours() as tree:
        if os.environ.get("BELLJAR_TEST_SWAP"):
            assert outside.has_swap()
            assert tree.has_reclaim
        if not (tree.has_reclaim and outside.has_swap()):
            pytest.skip("this machine has no memory.reclaim, or no swap")
        code = f"import os; held = os.urandom({32 * MIB}); seen = hash(held); print('held', flush=True)"
        code += "; input(); print(hash(bytes(held)) == seen, flush=True)"
        async with made(tree, 1) as cgroup:
            with process(code) as holder:
                cgroup.attach(holder.pid)
                go(holder)
                assert told(holder) == "held"
                before = cgroup.memory_bytes()
                assert before > 32 * MIB
                cgroup.reclaim(16 * MIB, lambda: True)
                assert cgroup.memory_bytes() > 32 * MIB  # at other times it has no swap
                with cgroup.swapping():
                    cgroup.reclaim(MIB, lambda: False)
                    assert cgroup.memory_bytes() > 32 * MIB
                    cgroup.reclaim(16 * MIB, lambda: True)
                assert cgroup.memory_bytes() < 8 * MIB
                (directory,) = (path for path in directories(holder.pid))
                assert (directory / "test/memory.swap.max").read_text() == "0\n"
                go(holder)
                assert told(holder) == "True"


# -- what a session may use, and has used ------------------------------------------------------------------


async def test_a_process_over_the_limit_dies_alone(cgroup: cgroups.Cgroup) -> None:
    with process("") as bystander, process(f"held = b'x' * {200 * MIB}; print('held')") as hungry:
        cgroup.attach(bystander.pid)
        cgroup.attach(hungry.pid)
        assert cgroup.oom_kills() == 0
        go(hungry)
        assert told(hungry) == ""
        assert hungry.wait(60) == -signal.SIGKILL
        assert cgroup.oom_kills() == 1
        assert 50 * MIB < cgroup.peak_bytes() <= 64 * MIB
        assert bystander.poll() is None


async def test_the_peak_is_measured_from_its_reset(cgroup: cgroups.Cgroup) -> None:
    code = f"held = b'x' * {40 * MIB}\ndel held\nprint('freed', flush=True)\nsys.stdin.read()"
    with process(f"import sys\n{code}") as one:
        cgroup.attach(one.pid)
        cgroup.reset_peak()
        before = cgroup.peak_bytes()
        assert before < 30 * MIB
        go(one)
        assert told(one) == "freed"
        assert 40 * MIB <= cgroup.peak_bytes() < 64 * MIB
        cgroup.reset_peak()
        if can_reset_peak(cgroup):
            assert cgroup.peak_bytes() < 30 * MIB
        else:
            assert cgroup.peak_bytes() >= 40 * MIB


def can_reset_peak(cgroup: cgroups.Cgroup) -> bool:
    major, minor = map(int, platform.release().split(".")[:2])
    return type(cgroup).__name__ == "_CgroupV1" or (major, minor) >= (6, 12)


async def test_refused_forks_are_counted(cgroup: cgroups.Cgroup) -> None:
    code = """
import os, sys
made = 0
try:
    while os.fork():
        made += 1
    sys.stdin.read()
except OSError as error:
    print(made, type(error).__name__, flush=True)
    sys.stdin.read()
"""
    with process(code) as one:
        cgroup.attach(one.pid)
        assert cgroup.pids_refused() == 0
        go(one)
        assert told(one) == "7 BlockingIOError"
        assert cgroup.pids_refused() == 1
        cgroup.kill()  # its children hold the pipe


async def test_the_time_without_a_processor_is_counted(tree: cgroups.Tree) -> None:
    async with made(tree, 0.05) as cgroup:
        with process("while True: pass") as busy:
            cgroup.attach(busy.pid)
            before = cgroup.throttled_seconds()
            go(busy)
            await until(lambda: cgroup.throttled_seconds() > before + 0.5)
    async with made(tree, 1000) as cgroup:
        with process("sum(range(10**6)); print('ended', flush=True)") as busy:
            cgroup.attach(busy.pid)
            go(busy)
            assert told(busy) == "ended"
            assert cgroup.throttled_seconds() == 0


async def test_kill_leaves_nothing_alive_and_remove_needs_that(cgroup: cgroups.Cgroup) -> None:
    code = """
import os, signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        break
else:
    print("all", flush=True)
while True: time.sleep(1000)
"""
    with process(code) as one:
        cgroup.attach(one.pid)
        go(one)
        assert told(one) == "all"
        family = [one.pid, *children(one.pid)]
        assert len(family) == 6
        assert not removed(cgroup)
        cgroup.kill()
        assert one.wait(20) == -signal.SIGKILL
        await until(lambda: removed(cgroup))
        assert removed(cgroup)  # a second time it is gone, and that is no error
        await until(lambda: not any(is_alive(pid) for pid in family))


def is_alive(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    return False


# -- where they are, and what becomes of them --------------------------------------------------------------


async def test_the_outer_box_is_in_a_cgroup_of_ours_with_all_that_it_starts() -> None:
    with process("import subprocess, time\nsubprocess.run(['sleep', '1000'])\ntime.sleep(1000)") as outer:
        with ours() as tree:
            tree.attach_own(outer.pid)
            go(outer)
            await until(lambda: len(children(outer.pid)) == 1)
            (child,) = children(outer.pid)
            assert places(outer.pid) == places(child) == {"outer"}
            directories_made = directories(outer.pid)
            assert directories_made
            # It can move on to a session's from there.
            tree.make("session", Limits()).attach(child)
            assert places(child) == {"session"}
        assert [path for path in directories_made if path.exists()] == []
        assert outer.wait(20) == -signal.SIGKILL
        await until(lambda: not is_alive(child))


async def test_keepers_of_one_service_are_neighbours() -> None:
    """Also where the first has moved the service's processes down, so that its cgroup may have others below."""
    parents = []
    for _ in range(3):
        with ours() as tree, process("") as one:
            tree.make("session", Limits()).attach(one.pid)
            parents.append({path.parent for path in directories(one.pid)})
    assert parents[0]
    assert parents[0] == parents[1] == parents[2]


_KEEPER = f"""
import subprocess, sys
from belljar.keeper import cgroups, outside
from belljar.records import Limits
tree, missing = cgroups.find()
cgroup = tree.make("session", Limits())
member = subprocess.Popen([sys.executable, "-c", {_WAITS!r}], stdin=subprocess.PIPE)
cgroup.attach(member.pid)
print("up", flush=True)
input()
tree.make("another", Limits()).attach(member.pid)
print("well", flush=True)
input()
"""


@contextmanager
def another_keeper(*wrapper: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process with a tree, and the process that it has put into a cgroup there."""
    command = [*wrapper, sys.executable, "-c", _KEEPER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as keeper:
        members: list[int] = []
        try:
            assert told(keeper) == "up"
            members = [pid for pid in _below(keeper.pid) if places(pid)]
            assert len(members) == 1
            yield keeper, members[0]
        finally:
            keeper.kill()


def _below(pid: int) -> list[int]:
    return [each for child in children(pid) for each in (child, *_below(child))]


_ELSEWHERE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")


@pytest.mark.parametrize("wrapper", [(), _ELSEWHERE], ids=["here", "in another pid namespace"])
async def test_what_a_live_keeper_has_is_left_alone(tree: cgroups.Tree, wrapper: tuple[str, ...]) -> None:
    with another_keeper(*wrapper) as (keeper, member):
        theirs = directories(member)
        found().close()
        assert theirs
        assert all(path.exists() for path in theirs)
        # Also an empty one, between two sessions.
        go(keeper)
        assert told(keeper) == "well"
        assert places(member) == {"another"}


@pytest.mark.parametrize("wrapper", [(), _ELSEWHERE], ids=["here", "in another pid namespace"])
async def test_what_a_killed_keeper_had_is_deleted(tree: cgroups.Tree, wrapper: tuple[str, ...]) -> None:
    with another_keeper(*wrapper) as (keeper, member):
        theirs = directories(member)
        assert theirs
        with process("") as survivor:
            # Whatever became of the rest: something in there that does not end with its keeper.
            for path in theirs:
                (path / "session" / "cgroup.procs").write_text(str(survivor.pid))
            keeper.kill()
            with anyio.fail_after(20):
                await anyio.to_thread.run_sync(keeper.wait)
            await until(lambda: not is_alive(member) or not wrapper)
            found().close()
            assert [path for path in theirs if path.exists()] == []
            assert survivor.wait(20) == -signal.SIGKILL
            await until(lambda: not is_alive(member))


async def test_who_may_have_none_is_told_how_to_get_one() -> None:
    tree, missing = cgroups.find()
    if tree is not None:
        tree.close()
        assert missing == []
    else:
        assert missing[0].startswith("a cgroup for each session (version 2: ")
        if os.environ.get("BELLJAR_TEST_CGROUPS") == "none":
            assert "Delegate=yes" in missing[0]
