"""A program that does succeed is seen to, in each way: what the trial of the hostile ones is worth."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import jail
import pytest
from jail import Started

from belljar import errors, link, orders
from belljar.client import attack as attacks
from belljar.client import trial
from belljar.client.attack import Attack, Verdict
from belljar.client.bait import Bait
from belljar.client.sighting import Sighting
from belljar.records import Limits

pytestmark = pytest.mark.anyio

_BEATS = """
import os, subprocess, sys
beat = "import time\\nwhile True: print('.', flush=True); time.sleep(0.01)"
with open(os.path.join(os.environ["INPUT_DIR"], "heartbeat"), "w") as file:
    subprocess.Popen([sys.executable, "-c", beat], stdout=file)
"""
SUCCESSES = {
    "saying": "print('ESCAPED: so it says')",
    "outcome raised": "raise ValueError",
    "surviving": _BEATS,
    "repeating": "print('VALUE always the same')",
}
HELD = {
    "saying": "import json, os; assert json.loads(os.environ['BAIT'])['pid']",
    "outcome raised": "import sys",
    "surviving": "open('heartbeat', 'w').write('one beat')",
    "repeating": "import os; print('VALUE', os.urandom(8).hex())",
    "harm": "import os; assert os.environ['ROLE'] in ('one', 'two')",
}


def program(tmp_path: Path, way: str, code: str, *fields: str) -> Attack:
    path = tmp_path / f"{way.replace(' ', '_')}.py"
    head = ['"""Tries.', "", "Stopped by: seccomp", f"Succeeds by: {way}", *fields, '"""']
    path.write_text("\n".join([*head, code, 'print("tried")', ""]))
    return attacks.parse(path)


async def tried(keeper: link.Keeper, program: Attack) -> Verdict:
    with Bait() as bait:
        return attacks.judge(program, await trial.attempt(keeper, program, bait))


@pytest.mark.parametrize("way", SUCCESSES)
async def test_a_success_is_seen(keeper: link.Keeper, tmp_path: Path, way: str) -> None:
    verdict = await tried(keeper, program(tmp_path, way, SUCCESSES[way]))
    assert verdict.how.startswith(f"{way}: ")


@pytest.mark.parametrize("way", HELD)
async def test_a_failure_is_no_success(keeper: link.Keeper, tmp_path: Path, way: str) -> None:
    fields = ["Sessions: 2"] if way == "harm" else []
    verdict = await tried(keeper, program(tmp_path, way, HELD[way], *fields))
    assert (verdict.how, verdict.unclear) == ("", "")
    assert len(verdict.evidence.seen) == {"repeating": 3, "harm": 2}.get(way, 1)


async def test_a_secret_in_what_comes_back(keeper: link.Keeper, tmp_path: Path) -> None:
    places = (
        "open('file', 'w').write('x' * 70_000 + {0!r})",
        "open({0!r}, 'w').close()",
        "raise ValueError({0!r})",
        "import sys; sys.stderr.write({0!r})",
    )
    for code in places:
        with Bait() as bait:
            told = program(tmp_path, "saying", code.format(bait.secret))
            verdict = attacks.judge(told, await trial.attempt(keeper, told, bait))
        assert verdict.how.startswith("secret: "), code


async def test_a_typing_error_is_no_wall(keeper: link.Keeper, tmp_path: Path) -> None:
    verdict = await tried(keeper, program(tmp_path, "saying", "prnt('ESCAPED')"))
    assert "ended as raised" in verdict.unclear
    assert "NameError" in verdict.unclear


async def test_a_keeper_that_ends_is_harm(tmp_path: Path) -> None:
    waiting = program(tmp_path, "saying", "import time; time.sleep(15)")
    others = [program(tmp_path, "harm", HELD["harm"], "Sessions: 2") for _ in range(20)]
    verdicts: list[Verdict] = []
    async with jail.started() as started:

        async def kill() -> None:
            # As soon as the program, its neighbour and their helpers are there.
            await jail.until(lambda: len(started.processes()) >= 7)
            os.kill(started.pid, signal.SIGKILL)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill)
            with pytest.raises(errors.KeeperLost, match="programs were not tried"):
                await trial.try_all(started.keeper, [waiting, *others], verdicts.append, at_once=1)
    assert [verdict.how for verdict in verdicts] == ["harm: the keeper has ended"]


async def test_a_sessions_processes_are_seen_until_they_have_gone(
    started: Started, keeper: link.Keeper
) -> None:
    async with jail.opened(keeper):
        with Sighting(started.pid) as sighting:
            await keeper.open("seen", Limits())
            await jail.until(sighting.find)
            assert len(sighting.left()) >= 2
            before = len(sighting.left())
            await keeper.execute(
                "seen", orders.Run("import subprocess; subprocess.Popen(['sleep', '60'])", 20)
            )
            # A warden that has stopped the code may be about to end.
            await jail.until(lambda: len(sighting.left()) == before + 1)
            assert any("sleep" in name for name in sighting.left())
            async with jail.opened(keeper):
                assert len(sighting.left()) == before + 1
            await keeper.close("seen")
            await jail.until(lambda: not sighting.left())
