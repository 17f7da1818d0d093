"""What remains on the machine: nothing, however a session, a keeper or its owner ends."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import jail
import pytest
from jail import Session, Started, children, descendants, opened, started, until

from belljar import link
from belljar.errors import KeeperLost, SessionLost
from belljar.orders import Opening, Run
from belljar.process import KeeperProcess
from belljar.records import Limits

pytestmark = pytest.mark.anyio

_DAEMON = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in range(1, 65):
        try: signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError): pass
    open("/files/work/up", "w").close()
    while True: time.sleep(1000)
while not os.path.exists("/files/work/up"): time.sleep(0.01)
"""


@dataclass(frozen=True)
class Traces:
    """What a keeper has of this machine."""

    processes: list[tuple[int, str]]
    """Pid and start time: pids are used again."""
    cgroups: list[Path]
    files: list[Path]

    def clear(self) -> None:
        """Remove what is known to remain, so that a failure here is not the next one's."""
        for base in self.cgroups:
            if base.exists():
                for path in [*(path for path in base.iterdir() if path.is_dir()), base]:
                    path.rmdir()
        for path in self.files:
            path.unlink(missing_ok=True)

    def remaining(self) -> list[object]:
        return [
            *(pid for pid, at in self.processes if _started_at(pid) == at),
            *(path for path in [*self.cgroups, *self.files] if path.exists()),
        ]


def _started_at(pid: int) -> str:
    """Empty for one that is gone, or dead: how soon a dead orphan is reaped is the business of the machine's init."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _cgroups(keeper: int) -> list[Path]:
    """The directories of a keeper's cgroups, as its live guests tell."""
    names = set()
    for pid in descendants(keeper):
        try:
            names |= set(re.findall(r"/(belljar-[0-9a-f]+)", Path(f"/proc/{pid}/cgroup").read_text()))
        except (FileNotFoundError, ProcessLookupError):
            continue
    # Others' come and go meanwhile.
    return [
        Path(place) / name for place, folders, _ in os.walk("/sys/fs/cgroup") for name in names & {*folders}
    ]


def _sessions(base: Path) -> list[Path]:
    """The cgroups of sessions in a keeper's own; `outer` is that of its helpers."""
    return [path for path in base.iterdir() if path.is_dir() and path.name != "outer"]


def traces(pid: int) -> Traces:
    links = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it is at work
            links.append(Path(os.readlink(fd)))
    return Traces(
        processes=[(one, at) for one in [pid, *descendants(pid)] if (at := _started_at(one))],
        cgroups=_cgroups(pid),
        files=[path for path in links if path.name.startswith("belljar-") and path.exists()],
    )


def mounts() -> list[str]:
    """Mounts of this machine that a jail could have made."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "belljar" in line]


@pytest.fixture
async def here() -> AsyncIterator[Started]:
    """A keeper for this test alone, with a session in which a daemon runs that ignores all signals."""
    async with started() as here:
        with anyio.fail_after(30):
            await here.keeper.open("daemon", Limits())
        await Session(here.keeper, "daemon").run(_DAEMON)
        yield here


async def test_a_closed_session_leaves_nothing(here: Started) -> None:
    assert mounts() == []
    before, files = here.processes(), traces(here.pid)
    with anyio.fail_after(30):
        await here.keeper.close("daemon")
    # what is left: outer, boxer, zygote
    await until(lambda: len(here.processes()) == 3)
    assert len(before) > 5
    for base in files.cgroups:
        await until(lambda base=base: _sessions(base) == [])  # type: ignore[misc]


async def test_a_keeper_that_ends_leaves_nothing() -> None:
    async with started() as here:
        async with opened(here.keeper) as session:
            await session.run(_DAEMON)
            seen = traces(here.pid)
            assert len(seen.processes) > 6
            assert bool(seen.cgroups) == (here.keeper.description.isolation.level == "full")
        await here.keeper.open("left open", Limits())
    await until(lambda: seen.remaining() == [])
    assert mounts() == []


async def test_a_keeper_that_ends_right_after_an_answer_has_nothing_to_say(
    capfd: pytest.CaptureFixture[str],
) -> None:
    program, opening = Run("1", 10, is_last=True), Opening(Limits(), [])
    for _ in range(3):
        async with started() as here:
            await here.keeper.execute("session", program, opening=opening, closes=True)
    assert capfd.readouterr().err == ""


async def test_a_process_that_was_begun_is_that_of_the_first_keeper() -> None:
    with KeeperProcess() as process:
        start = link.starting_with(process)
        async with start(jail.settings()) as first:
            assert first.pid == process.process.pid
        assert process.process.returncode == 0
        async with start(jail.settings()) as second:
            assert second.pid != first.pid


def _waits(pid: int) -> bool:
    """Whether it has imported what it needs: its event loop is there."""
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it is at work
            if os.readlink(fd) == "anon_inode:[eventpoll]":
                return True
    return False


@pytest.mark.parametrize("is_up", [False, True])
async def test_a_process_that_was_begun_for_nothing_ends_without_a_word(
    is_up: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    with KeeperProcess() as process:
        pid = process.process.pid
        if is_up:
            await until(lambda: _waits(pid))
    assert not Path(f"/proc/{pid}").exists()
    orphan = KeeperProcess()
    if is_up:
        await until(lambda: _waits(orphan.process.pid))
    orphan.socket.close()  # as the kernel does when the owner is killed
    assert await anyio.to_thread.run_sync(orphan.process.wait, 30) == 0
    assert capfd.readouterr().err == ""


async def _started_in(process: KeeperProcess) -> None:
    async with link.start(jail.settings(), process=process):
        await anyio.sleep_forever()


async def test_a_keeper_that_is_not_wanted_any_more_while_it_starts_leaves_nothing_and_says_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for moments in range(0, 60, 3):
        with KeeperProcess() as process:
            pid = process.process.pid
            async with anyio.create_task_group() as starting:
                starting.start_soon(_started_in, process)
                await until(lambda pid=pid: children(pid) != [])  # type: ignore[misc]
                await anyio.sleep(moments / 100)
                seen = traces(pid)
                starting.cancel_scope.cancel()
        assert process.process.returncode == 0
        await until(lambda seen=seen: seen.remaining() == [])  # type: ignore[misc]
    assert mounts() == []
    assert capfd.readouterr().err == ""


async def test_a_keeper_that_is_told_to_end_leaves_nothing(here: Started) -> None:
    seen = traces(here.pid)
    os.kill(here.pid, signal.SIGTERM)
    await until(lambda: here.keeper.is_lost)
    await until(lambda: [item for item in seen.remaining() if item != here.pid] == [])
    with pytest.raises(KeeperLost):
        await Session(here.keeper, "daemon").run("1")


async def test_a_keeper_that_is_killed_takes_all_processes_with_it(here: Started) -> None:
    seen = traces(here.pid)
    os.kill(here.pid, signal.SIGKILL)
    await until(lambda: here.keeper.is_lost)
    with pytest.raises(KeeperLost):
        await Session(here.keeper, "daemon").run("1")
    # The keeper itself is our zombie until the end of its block. Its cgroups are another test's matter.
    await until(
        lambda: [pid for pid, at in seen.processes if pid != here.pid and _started_at(pid) == at] == []
    )
    assert mounts() == []
    seen.clear()


async def test_a_keeper_that_is_killed_leaves_no_cgroup_and_no_file() -> None:
    """It cannot clean up itself then: its owner does, or the next keeper."""
    async with started() as here:
        await here.keeper.open("left open", Limits())
        seen = traces(here.pid)
        os.kill(here.pid, signal.SIGKILL)
    try:
        async with started():
            await until(lambda: seen.remaining() == [], 3)
    finally:
        seen.clear()


_OWNER = """
import anyio, sys
from belljar import link, orders
from belljar.settings import Settings
async def main():
    async with link.start(Settings(preload={}, parked=2)) as keeper:
        await keeper.open("s", Settings().limits())
        print("up", flush=True)
        await keeper.execute("s", orders.Run("import signal; signal.signal(2, 1)\\nwhile True: pass", 3600))
anyio.run(main)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_an_owner_that_is_killed_takes_all_with_it(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", _OWNER], stdout=subprocess.PIPE, text=True) as owner:
        try:
            assert owner.stdout is not None
            with anyio.fail_after(60):
                assert await anyio.to_thread.run_sync(owner.stdout.readline) == "up\n"
            (keeper,) = children(owner.pid)
            await anyio.sleep(0.5)  # until it has parked what it will
            seen = traces(keeper)
        except BaseException:
            owner.kill()
            raise
        owner.send_signal(number)
    await until(lambda: seen.remaining() == [])
    assert mounts() == []


async def test_fifty_sessions_later_the_keeper_is_what_it_was() -> None:
    def held(here: Started, cgroups: list[Path]) -> dict[str, int]:
        """Descriptors and children of the keeper and of those that it relies on."""
        counts = {"processes": len(here.processes())}
        for pid in [here.pid, *descendants(here.pid)]:
            if (fds := Path(f"/proc/{pid}/fd")).exists() and os.access(fds, os.R_OK):
                counts[f"descriptors of {pid}"] = len(list(fds.iterdir()))
        counts["cgroups"] = sum(len(_sessions(base)) for base in cgroups)
        return counts

    ends = ("1", "import os; os._exit(1)", "import os; os.write(3, b'x' * 9)", "1 / 0")
    async with started() as here:
        async with opened(here.keeper) as session:
            await session.run("1")
            cgroups = _cgroups(here.pid)
        await until(lambda: len(here.processes()) == 3 and held(here, cgroups)["cgroups"] == 0)
        before = held(here, cgroups)
        for number in range(50):
            async with opened(here.keeper) as session:
                await session.run(ends[number % 4])
        await until(lambda: held(here, cgroups) == before)


async def test_a_crashed_guest_is_reaped_while_its_session_lives(here: Started) -> None:
    session = Session(here.keeper, "daemon")
    await session.run("1")
    count = len(here.processes())
    for _ in range(5):
        await session.run("import os; os.abort()")
    await session.run("1")
    await until(lambda: len(here.processes()) <= count)


async def test_children_that_the_code_gives_to_the_fork_server_are_reaped(here: Started) -> None:
    """clone(CLONE_PARENT) makes a sibling of the guest: a child of the fork server, which knows nothing of it."""
    before = len(here.processes())
    numbers = {"x86_64": 56, "aarch64": 220}
    async with opened(here.keeper) as session:
        result = await session.run(
            f"""
            import ctypes, os
            libc, me = ctypes.CDLL(None, use_errno=True), os.getpid()
            for _ in range(20):
                libc.syscall(ctypes.c_long({numbers[os.uname().machine]}), ctypes.c_long(0x8000 | 17), 0, 0, 0, 0)
                if os.getpid() != me:
                    os._exit(0)
            print("made")
            """
        )
        assert result.stdout == "made\n"
    await until(lambda: len(here.processes()) <= before, 5)


async def test_a_first_guest_that_dies_too_soon_is_told_as_what_it_is() -> None:
    async with started() as here:
        before = set(descendants(here.pid))
        died: list[str] = []

        async def open_one() -> None:
            try:
                await here.keeper.open("dies", Limits())
            except SessionLost as error:
                died.append(str(error))
            await here.keeper.close("dies")

        for _ in range(100):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(open_one)
                while True:
                    new = set(descendants(here.pid)) - before
                    if len(new) > 1:  # pid 1 of the box, and the guest
                        for pid in new:
                            with contextlib.suppress(ProcessLookupError):
                                os.kill(pid, signal.SIGKILL)
                        break
                    await anyio.sleep(0)
            await until(lambda: set(descendants(here.pid)) <= before)
            if died:
                break
        assert "the boxer" not in died[0]  # it was asked for nothing that it could not do
