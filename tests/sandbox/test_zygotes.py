"""Sessions are forked from tiers of zygotes, which come up by themselves, are replaced, and may die."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import anyio
import jail
import pytest
from jail import DEADLINE_SECONDS, Session, Started, descendants, opened, until

from belljar import link
from belljar.records import Limits

pytestmark = pytest.mark.anyio

TIERS = {"bare": ("colorsys",), "more": ("xmlrpc.client",), "most": ("turtledemo", "wsgiref.headers")}
LOADED = """
import json, sys
print(json.dumps([name for name in ("colorsys", "xmlrpc.client", "wsgiref.headers") if name in sys.modules]))
"""


def title(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read().strip("\0 ").removeprefix("belljar ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def zygotes(started: Started) -> list[int]:
    return [pid for pid in descendants(started.pid) if title(pid) == "zygote"]


@pytest.fixture(scope="module")
async def tiered(anyio_backend: str) -> AsyncIterator[Started]:
    async with jail.started(preload=TIERS) as here:
        await here.keeper.warm()
        yield here


async def loaded(keeper: link.Keeper, name: str, imports: list[str] | None) -> list[str]:
    await keeper.open(name, Limits(), imports)
    session = Session(keeper, name)
    try:
        return list(await session.value(LOADED))
    finally:
        await session.close()


async def test_tiers_say_what_they_are_and_what_they_lack(tiered: Started) -> None:
    bare, more, most = tiered.keeper.tiers
    assert [tier.name for tier in tiered.keeper.tiers] == list(TIERS)
    assert {tier.state for tier in tiered.keeper.tiers} == {"ready"}
    assert bare.why == more.why == ""
    # It is not there without a display's library, and its absence is said, not hidden.
    assert "turtledemo" in most.why or most.why == ""


async def test_imports_choose_the_tier(tiered: Started) -> None:
    assert await loaded(tiered.keeper, "bare", []) == ["colorsys"]
    assert await loaded(tiered.keeper, "unheard", ["nowhere"]) == ["colorsys"]
    assert await loaded(tiered.keeper, "more", ["json", "xmlrpc"]) == ["colorsys", "xmlrpc.client"]
    assert await loaded(tiered.keeper, "most", ["wsgiref"]) == [
        "colorsys",
        "xmlrpc.client",
        "wsgiref.headers",
    ]
    assert await loaded(tiered.keeper, "unknown", None) == ["colorsys", "xmlrpc.client", "wsgiref.headers"]


async def test_a_guest_of_a_high_tier_has_no_descriptor_more(tiered: Started) -> None:
    async with opened(tiered.keeper) as session:
        assert await session.value(
            "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
        ) == [0, 1, 2, 3]


async def test_a_server_answers_before_its_tiers_are_there() -> None:
    async with jail.started(
        preload={"bare": (), "slow": ("antigravity_that_is_not_there", "idlelib.pyshell")}
    ) as here:
        assert here.keeper.description.python
        async with opened(here.keeper) as session:
            assert await session.says("print('first')") == "first"


async def test_a_tier_is_not_grown_in_the_environment_of_a_guest() -> None:
    """pyarrow begins a thread as it is imported, unless the zygote's own environment tells it not to."""
    tiers = {"bare": (), "columns": ("pyarrow",)}
    async with link.start(jail.settings(preload=tiers), ahead=False) as keeper:
        await keeper.open("first", Limits())
        assert await Session(keeper, "first").says("print('first')") == "first"
        assert [tier.state for tier in keeper.tiers] == ["ready", "warming"]
        await keeper.make_ahead()
        with anyio.fail_after(DEADLINE_SECONDS):
            await keeper.warm()
        assert [(tier.state, tier.why) for tier in keeper.tiers] == [("ready", "")] * 2


async def test_a_module_that_is_not_there_is_named() -> None:
    async with jail.started(preload={"bare": ("colorsys",), "broken": ("this_is_nowhere",)}) as here:
        await here.keeper.warm()
        assert "this_is_nowhere" in here.keeper.tiers[1].why
        assert await loaded(here.keeper, "top", None) == ["colorsys"]


@pytest.mark.parametrize("which", [0, -1])
async def test_a_zygote_that_dies_is_replaced_and_its_sessions_keep_their_files(which: int) -> None:
    async with jail.started(preload=TIERS) as here:
        await here.keeper.warm()
        before = zygotes(here)
        assert len(before) == 3
        async with opened(here.keeper) as session:
            await session.run("open('kept', 'w').write('yes'); x = 1")
            victim = before[which]
            os.kill(victim, signal.SIGKILL)
            if which == 0:
                # All others descend from it.
                await until(lambda: not set(before) & set(zygotes(here)))
            said = "yes True"
            with anyio.fail_after(DEADLINE_SECONDS):
                while said == "yes True":  # it takes a while to die, and its guests die after it
                    result = await session.run("print(open('kept').read(), 'x' in globals())")
                    assert result.outcome.status in ("completed", "crashed")
                    said = result.stdout.strip()
            assert await session.says("print(open('kept').read(), 'x' in globals())") == "yes False"
            await until(lambda: len(set(zygotes(here)) - set(before)) == 3, DEADLINE_SECONDS)
        with anyio.fail_after(DEADLINE_SECONDS):
            while await loaded(here.keeper, f"again-{os.urandom(4).hex()}", None) != [
                "colorsys",
                "xmlrpc.client",
                "wsgiref.headers",
            ]:
                await anyio.sleep(0.1)
        # The old ones go with their last guest.
        await until(lambda: not set(before) & set(zygotes(here)))


async def test_a_run_whose_zygote_dies_ends_as_crashed() -> None:
    async with jail.started() as here, opened(here.keeper) as session:
        async with anyio.create_task_group() as tasks:

            async def kill() -> None:
                await anyio.sleep(0.5)
                for pid in zygotes(here):
                    os.kill(pid, signal.SIGKILL)

            tasks.start_soon(kill)
            result = await session.run("import time; time.sleep(30)")
        assert (result.outcome.status, result.outcome.reason) == ("crashed", "SIGKILL")
        assert await session.says("print('again')") == "again"


async def test_zygotes_are_replaced_after_so_many_sessions() -> None:
    async with jail.started(preload=TIERS, zygote_sessions=5) as here:
        await here.keeper.warm()
        before = set(zygotes(here))
        async with opened(here.keeper) as old:
            await old.run("x = 'of the old'")
            for n in range(6):
                async with opened(here.keeper) as session:
                    assert await session.says(f"print({n})") == str(n)
            await until(lambda: len(set(zygotes(here)) - before) == 3, DEADLINE_SECONDS)
            assert await old.says("print(x)") == "of the old"
        await until(lambda: not before & set(zygotes(here)), DEADLINE_SECONDS)
        async with opened(here.keeper) as session:
            assert await session.says("print('new')") == "new"


async def test_zygotes_are_replaced_at_an_age() -> None:
    async with jail.started(zygote_seconds=0.5) as here:
        before = set(zygotes(here))
        await until(
            lambda: bool(set(zygotes(here)) - before) and not before & set(zygotes(here)), DEADLINE_SECONDS
        )


async def test_random_numbers_differ_whichever_tier_a_session_is_forked_from() -> None:
    code = """
import json, random
import numpy
rng = numpy.random.get_bit_generator()
print(json.dumps([numpy.random.rand(), rng.seed_seq.entropy, rng.spawn(1)[0].random_raw(), random.random()]))
"""
    tiers = {"bare": ("random",), "tables": ("numpy", "numpy.random"), "more": ("json.tool",)}
    async with jail.started(preload=tiers) as here:
        await here.keeper.warm()
        for imports in (["numpy"], None):
            seen = []
            for n in range(2):
                await here.keeper.open(f"{imports}{n}", Limits(), imports)
                seen.append(await Session(here.keeper, f"{imports}{n}").value(code))
            assert all(one != two for one, two in zip(*seen, strict=True)), (imports, seen)


# -- parked sessions ---------------------------------------------------------------------------------------


def guests(started: Started) -> list[int]:
    return [pid for pid in descendants(started.pid) if title(pid) == "guest"]


async def test_sessions_are_parked_in_every_tier_and_each_serves_one() -> None:
    async with jail.started(preload=TIERS, parked=6) as here:
        await here.keeper.warm()
        await until(lambda: len(guests(here)) >= 3, DEADLINE_SECONDS)
        for imports in ([], ["xmlrpc"], ["wsgiref"]):
            waiting = set(guests(here))
            name = f"s{len(imports)}{imports}"
            laps = await here.keeper.open(name, Limits(), imports)
            assert any(lap.startswith("parked.") for lap in laps), imports
            session = Session(here.keeper, name)
            assert await session.says("print('mine')") == "mine"
            await session.close()
            # Used up, and another one made in its place.
            await until(lambda waiting=waiting: bool(set(guests(here)) - waiting), DEADLINE_SECONDS)  # type: ignore[misc]


async def test_what_comes_at_once_is_parked_for_and_forgotten_again() -> None:
    async with jail.started(parked=6) as here:
        await until(lambda: len(guests(here)) == 1, DEADLINE_SECONDS)
        for n in range(5):
            await here.keeper.open(f"s{n}", Limits(), [])
        await until(lambda: len(guests(here)) == 5 + 6, DEADLINE_SECONDS)


async def test_other_limits_are_not_parked_for() -> None:
    async with jail.started(parked=2) as here:
        await until(lambda: len(guests(here)) >= 1, DEADLINE_SECONDS)
        laps = await here.keeper.open("s", Limits(pids=20), [])
        assert not any(lap.startswith("parked.") for lap in laps)


async def test_parked_sessions_of_zygotes_that_are_gone_are_not_given_out() -> None:
    async with jail.started(parked=3) as here:
        await until(lambda: len(guests(here)) >= 1, DEADLINE_SECONDS)
        old = set(guests(here))
        for pid in zygotes(here):
            os.kill(pid, signal.SIGKILL)
        await until(lambda: bool(set(guests(here)) - old) and not old & set(guests(here)), DEADLINE_SECONDS)
        async with opened(here.keeper) as session:
            assert await session.says("print('new')") == "new"


async def test_a_rehearsed_session_shows_nothing_of_it() -> None:
    modules = ("numpy", "pandas", "matplotlib.pyplot", "matplotlib.backends.backend_agg")
    code = """
import json, os, sys, warnings
before = sorted(globals())
import matplotlib.pyplot as plt, numpy, pandas
figures = plt.get_fignums()
print(json.dumps([
    before, figures, sorted(os.listdir("/tmp")), os.listdir("."), plt.figure().number,
    sorted(map(int, os.listdir("/proc/self/fd")))[:-1], [str(entry) for entry in warnings.filters],
    sys._getframe().f_code.co_filename, sys.stdin.read(), sorted(set(os.environ)),
    sorted(sys.modules["linecache"].cache),
]))
plt.close("all")
"""
    async with (
        jail.started(preload={"charts": modules}, parked=0) as plain,
        jail.started(preload={"charts": modules}, parked=1) as parked,
    ):
        async with opened(plain.keeper) as session:
            expected = await session.value(code)
        await until(lambda: len(guests(parked)) >= 1, DEADLINE_SECONDS)
        with anyio.fail_after(DEADLINE_SECONDS):
            while "parked.rehearsed" not in (
                await parked.keeper.open(name := f"s{os.urandom(4).hex()}", Limits())
            ):
                await anyio.sleep(0.2)
        assert await Session(parked.keeper, name).value(code) == expected
