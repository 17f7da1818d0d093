"""Several runtimes in one keeper: each with zygotes, parked sessions and a root of its own, while it is needed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import jail
import pytest
import wheels
from jail import DEADLINE_SECONDS, Session, Started, until

from belljar import errors, link
from belljar.builds import Build, Runtimes
from belljar.records import Limits

pytestmark = pytest.mark.anyio

PRELOAD = ("--preload", "bell_fine,bell_threads")
LOADED = "import sys; print('bell_fine' in sys.modules, 'bell_threads' in sys.modules)"
ANSWER = "import bell_fine; print(bell_fine.ANSWER)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels.make(tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """With two runtimes: `one` has the first version of a package, `two` the second."""
    state = tmp_path_factory.mktemp("state")
    wheels.build(state, folder, "one", ["bell_fine==1.0", "bell_threads"], *PRELOAD)
    wheels.build(state, folder, "two", ["bell_fine==2.0"])
    return state


@pytest.fixture(scope="module")
async def here(state: Path, anyio_backend: str) -> AsyncIterator[Started]:
    async with jail.started(state_dir=state) as started:
        yield started


def built(state: Path, name: str) -> Build:
    return Runtimes(state / "runtimes").find(name)


async def opened(keeper: link.Keeper, name: str, runtime: str | None) -> Session:
    with anyio.fail_after(DEADLINE_SECONDS):
        await keeper.open(name, Limits(), runtime=runtime)
    return Session(keeper, name)


async def warm(keeper: link.Keeper, name: str) -> None:
    """Until all tiers of a runtime that is up are ready."""
    await until(lambda: name in keeper.runtimes and keeper.runtimes[name].state == "ready", DEADLINE_SECONDS)


def title(pid: int) -> bytes:
    """What a process calls itself; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def zygotes(here: Started) -> list[int]:
    """The fork servers of all runtimes."""
    return [pid for pid in here.processes() if title(pid).startswith(b"belljar zygote")]


def is_used(build: Build) -> bool:
    """Whether anybody keeps the build from being deleted."""
    with (build.directory / "in-use").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


async def test_each_session_has_its_own_runtime(here: Started) -> None:
    sessions = {name: await opened(here.keeper, f"own-{name}", name) for name in ("one", "two", None)}
    assert await sessions["one"].says(ANSWER) == "fine one"
    assert await sessions["two"].says(ANSWER) == "fine two"
    assert "ModuleNotFoundError" in (await sessions[None].run(ANSWER)).stderr
    assert (
        await sessions["one"].says("import subprocess; print(subprocess.getoutput('bell-fine'))")
        == "fine one"
    )
    for session in sessions.values():
        await session.close()


async def test_what_was_reported_is_not_imported_ahead_and_can_be_used(here: Started) -> None:
    first = await opened(here.keeper, "ahead-1", "one")
    await warm(here.keeper, "one")
    second = await opened(here.keeper, "ahead-2", "one")
    assert await second.says(LOADED) == "True False"
    code = "import bell_threads, threading; print([t.name for t in threading.enumerate()])"
    assert "watcher" in await second.says(code)
    with anyio.fail_after(DEADLINE_SECONDS):
        await here.keeper.open(
            "ahead-3", Limits(), ["json"], "one"
        )  # which needs nothing that is imported ahead
        await here.keeper.open("ahead-4", Limits(), ["bell_fine"], "one")
    assert await Session(here.keeper, "ahead-3").says(LOADED) == "False False"
    assert await Session(here.keeper, "ahead-4").says(LOADED) == "True False"
    for name in ("ahead-3", "ahead-4"):
        await here.keeper.close(name)
    await first.close()
    await second.close()


async def test_no_session_reads_another_ones_runtime(here: Started, state: Path) -> None:
    one, two = built(state, "one"), built(state, "two")
    secret = "lib/python*/site-packages/bell_fine/__init__.py"
    (theirs,) = two.environment.glob(secret)
    code = f"""
        import glob, os, sys
        found = []
        for top in ("/", "/opt", "/opt/belljar", {str(state)!r}, {str(two.directory)!r}, {str(two.environment)!r}):
            try:
                found += [os.path.join(top, name) for name in os.listdir(top)]
            except OSError:
                continue
        try:
            open({str(theirs)!r}).read()
            found.append("read it")
        except OSError:
            pass
        print([path for path in found if "two" in path or path == "read it"])
        print(sorted(glob.glob(os.path.join(sys.prefix, {secret!r})))[0], sys.prefix)
    """
    session = await opened(here.keeper, "spy", "one")
    seen, own = (await session.says(code)).splitlines()
    assert seen == "[]"
    path, prefix = own.split()
    assert path.startswith(prefix)
    assert prefix in ("/opt/belljar/runtime", str(one.environment))
    assert "fine one" in await session.says(f"print(open({path!r}).read())")
    # Nor does it change its own.
    assert "OSError" in (await session.run(f"open({path!r}, 'a')")).stderr.replace(
        "PermissionError", "OSError"
    )
    await session.close()


async def test_guests_of_two_sites_are_told_apart(here: Started) -> None:
    """Each site numbers its guests by itself: the end of one is not taken for the end of another's."""
    sessions = [await opened(here.keeper, f"end-{n}", ("one", "two", None)[n % 3]) for n in range(6)]
    for session in sessions:
        await session.says("x = 1")
    for dying in sessions[:3]:
        assert (
            await dying.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        ).outcome.status == "crashed"
    for living in sessions[3:]:
        assert await living.says("print(x)") == "1"
    for session in sessions:
        await session.close()


async def test_a_runtime_that_is_not_there(here: Started) -> None:
    with pytest.raises(errors.RuntimeUnavailable, match="three is not there any more"):
        await here.keeper.open("nowhere", Limits(), runtime="three")
    with pytest.raises(errors.RuntimeUnavailable, match="is not there any more"):
        await here.keeper.open("nowhere", Limits(), runtime="../one")


async def test_it_is_let_go_when_nobody_uses_it(tmp_path: Path, folder: Path) -> None:
    state = tmp_path  # of its own: another keeper of these tests may hold what they share
    wheels.build(state, folder, "two", ["bell_fine==2.0"])
    async with jail.started(state_dir=state, runtime_idle_seconds=0.5, parked=1) as here:
        assert len(zygotes(here)) == 1
        session = await opened(here.keeper, "s", "two")
        assert await session.says(ANSWER) == "fine two"
        assert (await here.keeper.state()).runtimes["two"].sessions == 1
        await anyio.sleep(2.5)  # in use, it stays
        assert (await here.keeper.state()).runtimes["two"].sessions == 1
        assert is_used(built(state, "two"))
        assert len(zygotes(here)) == 2
        await session.close()
        await until(lambda: here.keeper.runtimes == {}, DEADLINE_SECONDS)
        await until(lambda: len(zygotes(here)) == 1, DEADLINE_SECONDS)
        await until(lambda: not is_used(built(state, "two")), DEADLINE_SECONDS)
        again = await opened(here.keeper, "t", "two")
        assert await again.says(ANSWER) == "fine two"


async def test_sessions_of_each_runtime_wait_parked(state: Path) -> None:
    async with jail.started(state_dir=state, parked=6) as here:
        first = await opened(here.keeper, "first", "one")
        await warm(here.keeper, "one")

        async def took_a_parked_one(n: int) -> bool:
            laps = await here.keeper.open(f"s{n}", Limits(), runtime="one")
            return any(lap.startswith("parked.") for lap in laps)

        with anyio.fail_after(DEADLINE_SECONDS):
            n = 0
            while not await took_a_parked_one(n):
                await here.keeper.close(f"s{n}")
                n += 1
                await anyio.sleep(0.1)
        assert await Session(here.keeper, f"s{n}").says(ANSWER) == "fine one"
        with anyio.fail_after(DEADLINE_SECONDS):  # those that were closed take a moment to go
            while (await here.keeper.state()).runtimes["one"].sessions != 2:
                await anyio.sleep(0.05)
        await first.close()


async def test_many_ask_at_once_for_what_is_not_up_yet(state: Path) -> None:
    async with jail.started(state_dir=state) as here:
        answers: list[str] = []

        async def ask(n: int, runtime: str) -> None:
            session = await opened(here.keeper, f"s{n}", runtime)
            answers.append(await session.says(ANSWER))

        async with anyio.create_task_group() as tasks:
            for n in range(8):
                tasks.start_soon(ask, n, ("one", "two")[n % 2])
        assert sorted(answers) == ["fine one"] * 4 + ["fine two"] * 4
        assert len(here.keeper.runtimes) == 2


async def test_a_rebuild_leaves_running_sessions_alone(tmp_path: Path, folder: Path) -> None:
    wheels.build(tmp_path, folder, "own", ["bell_fine==1.0"])
    old = built(tmp_path, "own")
    async with jail.started(state_dir=tmp_path, parked=1) as here:
        session = await opened(here.keeper, "before", "own")
        assert await session.says("import sys; x = 5; print(sys.version_info[0])") == "3"
        await anyio.to_thread.run_sync(
            lambda: wheels.build(tmp_path, folder, "own", ["bell_fine==2.0"], again=True)
        )
        new = built(tmp_path, "own")
        assert new.directory != old.directory
        after = await opened(here.keeper, "after", "own")
        assert await after.says(ANSWER) == "fine two"
        assert await session.says(f"print(x); {ANSWER}") == "5\nfine one"
        assert old.directory.exists()
        await session.close()
        await until(lambda: not old.directory.exists(), DEADLINE_SECONDS)
        assert await after.says("import bell_fine; print(open(bell_fine.__file__).read()[:8])") == "ANSWER ="
        # Removed, it is nobody's any more, and stays for who has it.
        done = await anyio.to_thread.run_sync(
            lambda: wheels.belljar_runtime(tmp_path, folder, "remove", "own")
        )
        assert "sessions still use it" in done.stderr
        assert new.directory.exists()
        assert await after.says(ANSWER) == "fine two"
        with pytest.raises(errors.RuntimeUnavailable):
            await here.keeper.open("late", Limits(), runtime="own")
        await after.close()
        await until(lambda: not (tmp_path / "runtimes" / "own").exists(), DEADLINE_SECONDS)


async def test_what_a_killed_keeper_has_used_is_free(tmp_path: Path, folder: Path) -> None:
    wheels.build(tmp_path, folder, "own", ["bell_fine"])
    build = built(tmp_path, "own")
    async with jail.started(state_dir=tmp_path) as here:
        await opened(here.keeper, "s", "own")
        assert is_used(build)
        os.kill(here.pid, signal.SIGKILL)
        await here.keeper.lost.wait()
    await until(lambda: not is_used(build), DEADLINE_SECONDS)


async def test_a_runtime_that_does_not_come_up_says_why_and_is_tried_again(
    tmp_path: Path, folder: Path
) -> None:
    wheels.build(tmp_path, folder, "own", ["bell_fine"])
    python = built(tmp_path, "own").environment / "bin" / "python"
    target = os.readlink(python)
    python.unlink()
    python.symlink_to("/nowhere/python3")
    async with jail.started(state_dir=tmp_path) as here:
        with pytest.raises(errors.RuntimeUnavailable, match="belljar runtime rebuild own"):
            await here.keeper.open("s", Limits(), runtime="own")
        await until(lambda: "own" in here.keeper.runtimes, DEADLINE_SECONDS)
        assert here.keeper.runtimes["own"].state == "failed"
        async with jail.opened(here.keeper) as other:
            assert await other.says("print('others go on')") == "others go on"
        python.unlink()
        python.symlink_to(target)
        with anyio.fail_after(DEADLINE_SECONDS):
            while True:
                try:
                    await here.keeper.open("s", Limits(), runtime="own")
                    break
                except errors.RuntimeUnavailable:
                    await anyio.sleep(0.5)
        assert await Session(here.keeper, "s").says(ANSWER) == "fine two"


async def test_a_zygote_of_its_own_that_dies_is_replaced(state: Path) -> None:
    async with jail.started(state_dir=state) as here:
        before = zygotes(here)
        session = await opened(here.keeper, "s", "one")
        await warm(here.keeper, "one")
        own = set(zygotes(here)) - set(before)
        assert own
        for pid in own:
            with contextlib.suppress(ProcessLookupError):  # one dies with another
                os.kill(pid, signal.SIGKILL)
        await until(lambda: not own & set(zygotes(here)), DEADLINE_SECONDS)
        # Its guest dies with it, perhaps in a run that the keeper has begun before it knew.
        result = await session.run(ANSWER)
        if result.outcome.status == "crashed":
            result = await session.run(ANSWER)
        assert result.stdout == "fine one\n"  # in a guest of the next one


async def test_a_site_that_dies_is_made_again(state: Path) -> None:
    async with jail.started(state_dir=state) as here:
        if any("namespace" in missing for missing in here.keeper.description.isolation.missing):
            return  # it is no process there
        before = here.processes()
        await opened(here.keeper, "s", "two")
        (outer,) = [
            pid
            for pid in here.processes() - before
            if title(pid).startswith(b"belljar boxer")
            and jail.status(pid)["PPid"] != "1"
            and len(jail.children(int(jail.status(pid)["PPid"]))) == 1
        ][:1]
        os.kill(outer, signal.SIGKILL)
        async with jail.opened(here.keeper) as other:
            assert await other.says("print('others go on')") == "others go on"
        with anyio.fail_after(DEADLINE_SECONDS):
            while True:
                try:
                    await here.keeper.open("t", Limits(), runtime="two")
                    break
                except errors.SessionLost:
                    await anyio.sleep(0.2)
        assert await Session(here.keeper, "t").says(ANSWER) == "fine two"
