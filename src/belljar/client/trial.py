"""Try hostile programs on this machine's jail.

Each program gets bait of its own and a neighbour: another session, of which it is not told, and which has to be what it
was afterwards. What is seen is judged by `attack.succeeded`, which knows neither the jail nor this file.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import anyio

from belljar import errors, link, orders, results
from belljar.client import bait as baits
from belljar.client.attack import Attack, Evidence, Seen, Verdict, judge
from belljar.client.bait import Bait
from belljar.client.sighting import Sighting
from belljar.records import Limits

AT_ONCE = 4
"""Programs under way at the same time."""
ANSWER_SECONDS = 30
"""For the keeper, beyond the time that a run may take by itself."""
GONE_SECONDS = 15
"""For the kernel to take a closed session's processes apart."""
MAX_FILES = 64
MAX_FILE_BYTES = 1024 * 1024

_HEARTBEAT = "heartbeat"
_LOOK_TWICE = f"""
import os, time
path = os.path.join(os.environ["INPUT_DIR"], "{_HEARTBEAT}")
sizes = []
for wait in (0.4, 0):
    sizes.append(os.path.getsize(path) if os.path.exists(path) else 0)
    time.sleep(wait)
print("grown" if sizes[1] > sizes[0] else "still")
"""
_names = itertools.count(1)


async def try_all(
    keeper: link.Keeper,
    attacks: Iterable[Attack],
    on_result: Callable[[Verdict], None],
    *,
    at_once: int = AT_ONCE,
    addresses: Sequence[str] = baits.LOOPBACK,
) -> None:
    """Try the programs, `at_once` at a time, and tell `on_result` of each as it ends.

    The keeper must keep no sessions parked: what it makes ahead could not be told from what a program leaves behind.
    Raises KeeperLost when the keeper has ended before all were tried.
    """
    pending = list(reversed(list(attacks)))
    opening = anyio.Lock()

    async def work() -> None:
        while pending and not keeper.is_lost:
            attack = pending.pop()
            with Bait(addresses) as bait:
                evidence = await attempt(keeper, attack, bait, opening)
            on_result(judge(attack, evidence))

    async with anyio.create_task_group() as tasks:
        for _ in range(at_once):
            tasks.start_soon(work)
    if pending:
        raise errors.KeeperLost(f"the keeper has ended, and {len(pending)} programs were not tried")


async def attempt(
    keeper: link.Keeper, attack: Attack, bait: Bait, opening: anyio.Lock | None = None
) -> Evidence:
    """Run the program in sessions of its own, and look at what it has left.

    `opening` is held while a session is made, so that of several attempts at once each knows its own processes.
    """
    trial = _Trial(keeper, attack, bait, opening or anyio.Lock())
    try:
        async with trial.neighbour():
            await trial.run()
    except errors.KeeperLost:
        trial.harmed.append("the keeper has ended")
    except (errors.BelljarError, TimeoutError) as error:
        trial.harmed.append(f"{trial.doing}: {type(error).__name__}: {error}")
    return Evidence(
        secret=bait.secret,
        seen=tuple(trial.seen),
        has_survived=trial.has_survived,
        harmed=tuple(dict.fromkeys([*trial.harmed, *bait.harmed()])),
    )


class _Trial:
    """One attempt, and what it has seen so far."""

    def __init__(self, keeper: link.Keeper, attack: Attack, bait: Bait, opening: anyio.Lock) -> None:
        self._keeper = keeper
        self._attack = attack
        self._bait = bait
        self._opening = opening
        self.seen: list[Seen] = []
        self.harmed: list[str] = []
        self.has_survived = False
        self.doing = ""
        """What is asked of the keeper: the words for when that fails."""

    async def run(self) -> None:
        """The program in one session or two; where it may repeat itself, in a third as well."""
        is_repeating = self._attack.succeeds_by == "repeating"
        roles = ("one", "two") if self._attack.sessions == 2 else ("", "") if is_repeating else ("",)
        async with anyio.create_task_group() as tasks:
            for role in roles:
                tasks.start_soon(self._guarded, role)
        if is_repeating and not self._keeper.is_lost:
            await self._in_session("")

    async def _guarded(self, role: str) -> None:
        """In a session, and what goes wrong is noted here, so that the program's other session goes on."""
        try:
            await self._in_session(role)
        except errors.KeeperLost:
            self.harmed.append("the keeper has ended")
        except (errors.BelljarError, TimeoutError) as error:
            self.harmed.append(f"{self.doing}: {type(error).__name__}: {error}")

    async def _in_session(self, role: str) -> None:
        async with self._session(self._attack.limits) as session:
            self.doing = "the run of the program"
            env = {"BAIT": self._bait.told()} | ({"ROLE": role} if role else {})
            result = await self._execute(session, self._attack.code, self._attack.timeout_seconds, env)
            self.doing = "its files"
            self.seen.append(await self._look_at(session, result))
            if self._attack.succeeds_by == "surviving":
                self.doing = "a second run, to see whether something survived"
                await self._look_for_survivors(session)
            self.doing = "a run in the same session afterwards"
            again = await self._execute(session, "print('alive')", 5)
            if again.outcome.status == "completed" and "alive" not in again.stdout.split():
                self.harmed.append(f"the session answers {again.stdout[:100]!r} to print('alive')")

    async def _look_for_survivors(self, session: str) -> None:
        result = await self._execute(session, _LOOK_TWICE, 5)
        # What the keeper has seen to change while nobody but a survivor could write counts as well.
        if result.stdout.strip() == "grown" or any(file.path == _HEARTBEAT for file in result.files):
            self.has_survived = True

    @asynccontextmanager
    async def neighbour(self) -> AsyncIterator[None]:
        """Another session, with a variable in it that has to be there at the end."""
        word = secrets.token_hex(8)
        self.doing = "another session"
        async with self._session(Limits()) as session:
            await self._execute(session, f"kept = {word!r}")
            yield
            self.doing = "another session that was there before"
            result = await self._execute(session, "print(kept)")
            if result.stdout != f"{word}\n":
                self.harmed.append(
                    f"another session is not what it was: {result.outcome.status} {result.stdout!r}"
                )
        self.doing = "another session that is opened afterwards"
        async with self._session(Limits()) as session:
            result = await self._execute(session, "print(6 * 7)")
            if result.stdout != "42\n":
                self.harmed.append(f"a new session answers {result.outcome.status} {result.stdout!r}")

    @asynccontextmanager
    async def _session(self, limits: Limits) -> AsyncIterator[str]:
        name = f"trial-{next(_names)}"
        with contextlib.ExitStack() as stack:
            async with self._opening:
                sighting = stack.enter_context(Sighting(self._keeper.pid))
                with anyio.fail_after(ANSWER_SECONDS):
                    await self._keeper.open(name, limits)
                # A list of children that is read while one of them ends may lack others: it is looked at again.
                # Of a keeper that has ended there is nothing to be found, and what is asked of it next says so.
                if not await _comes_true(lambda: sighting.find() or self._keeper.is_lost, GONE_SECONDS):
                    self.harmed.append("a session without processes of its own cannot be watched")
            try:
                yield name
            finally:
                with anyio.CancelScope(shield=True), anyio.fail_after(ANSWER_SECONDS):
                    if not self._keeper.is_lost:
                        await self._keeper.close(name)
            if not await _comes_true(lambda: not sighting.left(), GONE_SECONDS) and (left := sighting.left()):
                self.harmed.append(f"processes are there after their session was closed: {', '.join(left)}")

    async def _execute(
        self, session: str, code: str, timeout: float = 10, env: dict[str, str] | None = None
    ) -> results.Result:
        with anyio.fail_after(timeout + ANSWER_SECONDS):
            return await self._keeper.execute(session, orders.Run(code, timeout, env=env or {}))

    async def _look_at(self, session: str, result: results.Result) -> Seen:
        returned = [result.outcome.message.encode(), result.outcome.reason.encode()]
        for event in result.outputs:
            if isinstance(event, results.Display):
                returned += event.data.values()
        for file in result.files[:MAX_FILES]:
            returned += [file.path.encode("utf-8", "replace"), await self._content(session, file)]
        return Seen(
            status=result.outcome.status,
            stdout=result.stdout,
            stderr=result.stderr,
            is_whole=not result.truncated.stdout,
            returned=tuple(returned),
        )

    async def _content(self, session: str, file: results.WorkFile) -> bytes:
        """The beginning of a file."""
        content = b""
        with anyio.fail_after(ANSWER_SECONDS):
            async for piece in self._keeper.read(session, file):
                content += piece
                if len(content) >= MAX_FILE_BYTES:
                    break
        return content


async def _comes_true(holds: Callable[[], bool], seconds: float) -> bool:
    """Wait for what the kernel does without a word: that processes appear or go."""
    with anyio.move_on_after(seconds):
        while not holds():  # noqa: ASYNC110 - see above
            await anyio.sleep(0.01)
        return True
    return False
