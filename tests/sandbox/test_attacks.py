"""Each program of `attacks/` tries one way out: it finds none in the jail, and one in a box that is weak on purpose."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import jail
import loopback
import pytest
import weak
from anyio.from_thread import BlockingPortal, start_blocking_portal

from belljar import kernel, link
from belljar.client import attack as attacks
from belljar.client import trial
from belljar.client.attack import Attack, Evidence, Verdict
from belljar.client.bait import Bait
from belljar.records import MIB, Level

PLACE = Path(__file__).parent / "attacks"
PATHS = sorted(PLACE.glob("*/*.py"))
MINIMUM = 250
_DEADLINE_SECONDS = 900
"""For all of them; what is waited for is always under way."""
_WEAK_AT_ONCE = 4

_ONE_AFTER_THE_OTHER = {"kernel", "strangers"}
"""Folders whose programs may follow each other in one session."""
_ONLY_IN_A_FRESH_SESSION = {"strangers/shared_memory"}
"""They look for what others have left, and would find what came before them."""


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


every_program = pytest.mark.parametrize("path", PATHS, ids=_name)


def _selected(request: pytest.FixtureRequest, test: str) -> list[Path]:
    """The programs that `test` is going to ask for, so that several can be tried at once."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    return [
        Path(str(item.callspec.params["path"]))
        for item in items
        if item.originalname == test and item.module is request.module
    ]


# -- the jail ----------------------------------------------------------------------------------------------


@dataclass
class Jail:
    """What came of the programs in the jail. They are tried in a thread of its own, several at a time."""

    paths: list[Path]
    verdicts: dict[str, Future[Verdict]] = field(default_factory=dict)
    level: Level = "full"
    in_one_session: Future[list[str]] = field(default_factory=Future)
    left: Future[list[str]] = field(default_factory=Future)
    """What is there when all sessions are closed."""

    async def main(self) -> None:
        try:
            await self._try_all()
        except BaseException as error:
            futures: list[Future[Any]] = [*self.verdicts.values(), self.in_one_session, self.left]
            for future in futures:
                if not future.done():
                    future.set_exception(RuntimeError(f"the trials have ended: {error!r}"))
            raise

    async def _try_all(self) -> None:
        known = []
        for path in self.paths:
            with contextlib.suppress(ValueError):  # which is what test_the_form is for
                known.append(attacks.parse(path))
        if os.geteuid() == 0:
            # For this thread alone, and the keeper that it starts: what gets out of the jail gets no further.
            kernel.unshare(kernel.CLONE_NEWNET)
            loopback.bring_up()
        addresses = loopback.ADDRESSES if os.geteuid() == 0 else ("127.0.0.1", "::1")
        ports = loopback.SERVICES if os.geteuid() == 0 else (0,)
        with Bait(addresses, ports) as services:
            async with jail.started() as started:
                self.level = started.keeper.description.isolation.level
                before = len(started.processes())
                await trial.try_all(
                    started.keeper,
                    known,
                    lambda verdict: self.verdicts[verdict.attack.name].set_result(verdict),
                    addresses=addresses,
                )
                self.in_one_session.set_result(await _in_one_session(started.keeper, known, services))
                with anyio.move_on_after(20):
                    await jail.until(lambda: len(started.processes()) <= before)
                count = len(started.processes()) - before
                left = [f"{count} processes"] if count > 0 else []
                self.left.set_result(left + services.harmed())


async def _in_one_session(keeper: link.Keeper, known: list[Attack], bait: Bait) -> list[str]:
    """One after the other: what one leaves behind may be what the next one lacked. Returns who got out."""
    escaped = []
    async with jail.opened(keeper, memory_bytes=512 * MIB, disk_bytes=64 * MIB) as session:
        for program in known:
            if (
                program.folder in _ONE_AFTER_THE_OTHER
                and program.name not in _ONLY_IN_A_FRESH_SESSION
                and program.succeeds_by == "saying"
                and program.sessions == 1
                and program.ends == ("completed",)
                and program.limits == attacks.DEFAULT_LIMITS
                and program.is_stopped_at(keeper.description.isolation.level)
            ):
                result = await session.run(program.code, timeout=20, env={"BAIT": bait.told()})
                said = [line for line in result.stdout.splitlines() if line.startswith("ESCAPED")]
                if said or bait.secret in result.stdout:
                    escaped.append(f"{program.name}: {said[:3]}")
    return escaped


@pytest.fixture(scope="module")
def tried(request: pytest.FixtureRequest) -> Iterator[Jail]:
    here = Jail(_selected(request, "test_no_way_out_of_the_jail"))
    here.verdicts = {_name(path): Future() for path in here.paths}
    portal: BlockingPortal
    with start_blocking_portal("asyncio") as portal:
        under_way = portal.start_task_soon(here.main)
        try:
            yield here
        finally:
            under_way.cancel()


# -- the weak box ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weakly_tried(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Evidence]]]:
    with weak.WeakBoxes() as boxes, ThreadPoolExecutor(_WEAK_AT_ONCE) as pool:
        under_way = {}
        for path in _selected(request, "test_a_way_out_of_the_weak_box"):
            with contextlib.suppress(ValueError):
                program = attacks.parse(path)
                if not weak.missing(program):
                    under_way[_name(path)] = pool.submit(_until_it_wins, boxes, program)
        try:
            yield under_way
        finally:
            for future in under_way.values():
                future.cancel()


def _until_it_wins(boxes: weak.WeakBoxes, program: Attack) -> Evidence:
    """Up to three tries: it is to be shown that it can win, and a busy machine may keep it from winning at once."""
    for _ in range(2):
        evidence = boxes.attempt(program)
        if _has_won(program, evidence):
            return evidence
    return boxes.attempt(program)


def _has_won(program: Attack, evidence: Evidence) -> bool:
    # By its own way: that it upsets the weak box in passing says nothing on what it is after.
    return attacks.succeeded(program, evidence).startswith((program.succeeds_by, "secret"))


# -- tests -------------------------------------------------------------------------------------------------


def test_there_are_programs_in_every_folder() -> None:
    assert len(PATHS) >= MINIMUM
    assert {path.parent.name for path in PATHS} == set(attacks.FOLDERS)
    assert attacks.PLACE.samefile(PLACE)  # what `belljar doctor --attack` runs is what is tested here


@every_program
def test_the_form(path: Path) -> None:
    program = attacks.parse(path)
    assert program.says_what.endswith("."), program.says_what
    if "completed" in program.ends:
        assert "tried" in program.code


@every_program
def test_no_way_out_of_the_jail(tried: Jail, path: Path) -> None:
    program = attacks.parse(path)
    verdict = tried.verdicts[program.name].result(_DEADLINE_SECONDS)
    if program.is_stopped_at(tried.level):
        assert not verdict.how, (verdict.how, _said(verdict.evidence))
    assert not verdict.unclear, (verdict.unclear, _said(verdict.evidence))


@every_program
def test_a_way_out_of_the_weak_box(weakly_tried: dict[str, Future[Evidence]], path: Path) -> None:
    program = attacks.parse(path)
    if reason := weak.missing(program):
        pytest.skip(reason)
    evidence = weakly_tried[program.name].result(_DEADLINE_SECONDS)
    assert _has_won(program, evidence), (evidence.harmed, _said(evidence))


def test_one_after_the_other_in_one_session(tried: Jail) -> None:
    assert tried.in_one_session.result(_DEADLINE_SECONDS) == []


def test_nothing_is_left_and_nobody_knocked(tried: Jail) -> None:
    assert tried.left.result(_DEADLINE_SECONDS) == []


def _said(evidence: Evidence) -> list[tuple[str, str, str]]:
    return [(seen.status, seen.stdout[-500:], seen.stderr[-1000:]) for seen in evidence.seen]
