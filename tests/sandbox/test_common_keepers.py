"""The library's sandboxes on this machine have one keeper in common, and nothing else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import wheels

from belljar import AsyncSandbox, Sandbox, errors
from belljar.client import keepers
from belljar.client.places.local import LocalPlace
from belljar.settings import Settings

DEADLINE_SECONDS = 60

IS_LOADED = "import sys; 'colorsys' in sys.modules"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of no other test: the state directory is one of them."""
    return Settings(preload={"bare": (), "more": ("colorsys",)}, parked=2, state_dir=tmp_path)


def keeper_of(box: Sandbox | AsyncSandbox) -> int:
    """The pid of its keeper."""
    place = (box._box if isinstance(box, Sandbox) else box)._place
    assert isinstance(place, LocalPlace)
    return place._keeper.pid


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_at_once_have_one_keeper_and_nothing_else_in_common(settings: Settings) -> None:
    with Sandbox(settings=settings) as one, Sandbox(settings=settings, memory_bytes=2**28) as other:
        assert keeper_of(one) == keeper_of(other)
        one.put("a.txt", "one")
        assert one.run("x = 1; open('a.txt').read()").value == "'one'"
        assert other.run("'x' in globals()").value == "False"
        assert other.files() == []
        one.close()
        assert other.run("6 * 7").value == "42"


def test_one_after_the_other_too_and_the_second_has_more_made_ahead(settings: Settings) -> None:
    with Sandbox(settings=settings) as box:
        first = keeper_of(box)
        box.run("x = 1")
        time.sleep(0.5)
        assert box.run(IS_LOADED).value == "False"
    with Sandbox(settings=settings) as box:
        assert keeper_of(box) == first
        assert box.run("'x' in globals()").value == "False"

    def is_loaded() -> bool:
        with Sandbox(settings=settings) as box:
            assert keeper_of(box) == first
            return box.run(IS_LOADED).value == "True"

    until(is_loaded)


def test_other_settings_have_another_keeper(settings: Settings) -> None:
    with (
        Sandbox(settings=settings) as one,
        Sandbox(settings=settings.model_copy(update={"grace_seconds": 1.5})) as other,
    ):
        assert keeper_of(one) != keeper_of(other)


def test_a_keeper_that_was_killed_takes_its_sandboxes_and_the_next_one_has_a_new_one(
    settings: Settings,
) -> None:
    with Sandbox(settings=settings) as one, Sandbox(settings=settings) as other:
        os.kill(keeper_of(one), signal.SIGKILL)
        for box in (one, other):
            with pytest.raises(errors.KeeperLost):
                box.run("1")
        with Sandbox(settings=settings) as third:
            assert keeper_of(third) != keeper_of(one)
            assert third.run("1").value == "1"


def test_one_that_is_given_up_while_it_starts_is_not_open(settings: Settings) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    box = Sandbox(settings=settings)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            while True:  # where one comes up in less
                box.start()
                box.close()
                box = Sandbox(
                    settings=settings.model_copy(update={"grace_seconds": 1 + time.monotonic() % 1})
                )
    finally:
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(errors.InvalidRequest, match="with Sandbox"):
        box.files()
    with box:
        assert box.run("1").value == "1"


def test_a_runtime_that_is_not_there_leaves_nothing(settings: Settings) -> None:
    for _ in range(2):
        with pytest.raises(errors.NotFound), Sandbox(settings=settings, runtime="nowhere"):
            pass


def test_a_runtime_that_is_built_anew_is_that_of_the_next_sandbox(tmp_path: Path) -> None:
    folder, state = wheels.make(tmp_path / "wheels"), tmp_path / "state"
    settings = Settings(state_dir=state)
    code = "import bell_fine; bell_fine.ANSWER"
    wheels.build(state, folder, "mine", ["bell_fine==1.0"])
    with Sandbox(settings=settings, runtime="mine") as one:
        with Sandbox(settings=settings, runtime="mine") as other:
            assert keeper_of(one) == keeper_of(other)
        wheels.build(state, folder, "mine", ["bell_fine==2.0"], again=True)
        with Sandbox(settings=settings, runtime="mine") as new:
            assert new.run(code).value == "'fine two'"
        assert one.run(code).value == "'fine one'"


def test_a_process_that_was_forked_has_a_keeper_of_its_own(settings: Settings) -> None:
    with Sandbox(settings=settings) as box:
        read, write = os.pipe()
        if (pid := os.fork()) == 0:
            try:
                with Sandbox(settings=settings) as own:
                    os.write(write, f"{own.run('6 * 7').value} {keeper_of(own) != keeper_of(box)}".encode())
            finally:
                os._exit(0)
        os.close(write)
        with open(read) as said:
            assert said.read() == "42 True"
        os.waitpid(pid, 0)
        assert box.run("1").value == "1"


@pytest.mark.anyio
async def test_with_async_it_goes_with_the_last_of_them(settings: Settings) -> None:
    boxes = [AsyncSandbox(settings=settings) for _ in range(8)]
    said: list[Any] = []

    async def use(box: AsyncSandbox) -> None:
        await box.start()
        said.append((await box.run("6 * 7")).value)

    async with anyio.create_task_group() as tasks:
        for box in boxes:
            tasks.start_soon(use, box)
    assert said == ["42"] * 8
    [keeper] = {keeper_of(box) for box in boxes}
    for box in boxes:
        assert is_there(keeper)
        await box.aclose()
    assert not is_there(keeper)


@pytest.mark.anyio
async def test_where_the_first_is_cancelled_while_it_starts_the_next_does_it(settings: Settings) -> None:
    first = anyio.CancelScope()

    async def begin() -> None:
        with first:
            await AsyncSandbox(settings=settings).start()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(begin)
        await anyio.sleep(0.1)
        tasks.start_soon(_uses, settings)
        await anyio.sleep(0.1)
        first.cancel()
    assert keepers.of_this_loop()._common == {}


async def _uses(settings: Settings) -> None:
    async with AsyncSandbox(settings=settings) as box:
        assert (await box.run("6 * 7")).value == "42"


def test_a_keeper_that_lingers_ends_after_a_while_and_with_its_loop(settings: Settings) -> None:
    async def used() -> int:
        async with AsyncSandbox(settings=settings) as box:
            return keeper_of(box)

    async def waits(seconds: float) -> int:
        keepers.linger(seconds)
        pid = await used()
        assert is_there(pid)
        assert await used() == pid
        if seconds < 1:
            with anyio.fail_after(DEADLINE_SECONDS):
                while is_there(pid):
                    await anyio.sleep(0.05)
            assert await used() != pid
        return pid

    anyio.run(waits, 0.2)
    assert not is_there(anyio.run(waits, 60))
