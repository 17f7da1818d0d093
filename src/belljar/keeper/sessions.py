"""A session: one box, one guest in it at a time, and the runs that the guest is given."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from belljar.errors import InvalidRequest, SessionLost
from belljar.frames import Message, encode
from belljar.keeper import boxes, exchange, idle, outside, stuck, watch
from belljar.keeper.boxes import Box, Site
from belljar.keeper.cgroups import Cgroup
from belljar.keeper.collector import Listing
from belljar.keeper.guests import Guest
from belljar.keeper.journal import log
from belljar.keeper.meter import Meter
from belljar.keeper.outcomes import Decided, Ending, decide, lost
from belljar.keeper.runs import Emit, Run
from belljar.keeper.succession import DEATH_SECONDS, Succession
from belljar.keeper.waiting import Hand
from belljar.keeper.workspace import Changes, Workspace
from belljar.keeper.zygotes import Zygote, Zygotes
from belljar.records import Limits


class Session:
    """Made by `Supervisor`; what it has looked at runs in `tasks`, and `hand` works with its cgroup; looks
    at it that are `dear` wait for their turn.

    `close` ends everything in it.
    """

    def __init__(
        self,
        site: Site,
        zygotes: Zygotes,
        tier: int,
        box: Box,
        index: int,
        limits: Limits,
        cgroup: Cgroup | None,
        grace_seconds: float,
        hand: Hand,
        dear: watch.Dear,
        tasks: TaskGroup,
    ) -> None:
        self.index = index
        self.limits = limits
        self.site = site
        self._box = box
        self._cgroup = cgroup
        self._guests = Succession(site, zygotes, tier, box, index, limits, cgroup, hand, self._stumbled)
        self._meter = Meter(self._guests, cgroup)
        self._grace_seconds = grace_seconds
        self._hand = hand
        self._tasks = tasks
        self.workspace: Workspace
        """Once its first guest is there, which furnishes the box."""
        self._has_files = False
        self._locks = watch.Locks(dear.locks)
        self._connections = watch.Connections(dear)
        self._turn = anyio.Lock(fast_acquire=True)
        self._run: Run | None = None
        self._runs = 0
        self._is_closed = False
        self._idle_since = time.monotonic()
        self.is_given = False
        """To somebody; else it waits parked, or is being made to."""
        self.is_offered = False
        """Its memory, to the kernel, since it is idle."""

    @property
    def zygote(self) -> Zygote | None:
        """What its present guest was forked from."""
        return self._guests.zygote

    async def live(self, *, rehearsal: Sequence[str] = ()) -> dict[str, float]:
        """Fork the first guest, and have it rehearse. Returns the laps in seconds."""
        laps = await self._guests.fork(is_first=True, rehearsal=rehearsal)
        guest = self._guests.guest
        assert guest is not None
        files_fd = self._box.furnished(guest.pid)
        if guest.is_spent:  # its number was perhaps another's by then
            os.close(files_fd)
            raise SessionLost("a guest has ended before it was given code")
        has_disk = self.site.has_namespaces
        self.workspace = Workspace(files_fd, self.site.identity(self.index)[0], has_disk=has_disk)
        self._has_files = True
        self._meter.begin()
        self._meter.open()
        return self._box.laps | laps

    # -- the guest -----------------------------------------------------------------------------------------

    async def _mend(self) -> None:
        """Make the directories again that code has moved or deleted. Raises SessionLost where that cannot be: without
        them no guest begins, and so no code that could make room."""
        try:
            await self.workspace.mend()
        except OSError as error:
            most = boxes.inodes(self.limits.disk_bytes)
            is_full = error.errno == errno.ENOSPC and self.site.has_namespaces
            why = f"it has the {most} files that it may have" if is_full else str(error.strerror)
            raise SessionLost(
                f"code has moved or deleted its working directory, and another could not be made: {why}"
            ) from error

    def guest_exited(self, number: int, status: int, cpu_seconds: float) -> None:
        """The zygote has reaped guest `number`."""
        self._guests.exited(number, status, cpu_seconds)

    def zygote_lost(self, zygote: Zygote) -> None:
        """It has died, and what was forked from it."""
        if self._guests.lost(zygote):
            self._tasks.start_soon(self._guarded, self._clear)

    async def _clear(self) -> None:
        """Kill what a guest that died between runs has left: it may have been woken by that death."""
        async with self._turn:
            if not self._is_closed:
                await self._guests.kill_spent()

    async def _guarded(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Whatever a guest makes us stumble over ends its session, and no other."""
        try:
            await task(*arguments)
        except Exception as error:  # noqa: BLE001 - see above
            self._stumbled(error)

    def _stumbled(self, error: Exception) -> None:
        log("a reader of a guest", error, self._run.request_id if self._run is not None else "")
        self.kill()

    # -- runs ----------------------------------------------------------------------------------------------

    async def execute(self, request: dict[str, Any], emit: Emit) -> dict[str, Any]:
        """Run `request` = {code, timeout_seconds, stdin, env, argv, output_dir, is_last, calls, tools, charts, chart,
        request_id}; events go to `emit` while it runs. `calls`, shell commands and edits, come instead of `code`, and
        so does `chart`, one of an earlier run that is to be drawn again; `charts` says how code has its own drawn."""
        if self._run is not None:
            raise InvalidRequest("the session is running code already; one run at a time")
        # Taken before anything is awaited: the second of two callers is refused above.
        self._runs += 1
        run = self._run = Run(
            self._runs,
            emit,
            self.limits,
            calls=len(request["calls"]),
            timeout_seconds=request["timeout_seconds"],
            request_id=request["request_id"],
        )
        if request["tools"]:
            run.offer_tools(tool["name"] for tool in request["tools"])
        try:
            async with self._turn:
                return await self._execute(run, request)
        finally:
            self._run = None
            self._idle_since, self.is_offered = time.monotonic(), False

    async def reply(self, ask: int, status: str, text: bytes) -> None:
        """Hand the code the answer of one of its caller's tools. One that nobody waits for is nothing."""
        run, guest = self._run, self._guests.guest
        if run is not None and guest is not None and run.replied(ask):
            await guest.send(encode(Message("reply", {"ask": ask, "status": status}, text)))

    def idle_seconds(self) -> float:
        """Since its last run ended, or it was made; 0 while it runs code."""
        return 0.0 if self._run is not None else time.monotonic() - self._idle_since

    async def give_back(self) -> int:
        """Have the kernel take what it can until a run begins; how many bytes that were. Raises OSError."""
        if not (processes := self._guests.processes()):
            return 0
        try:
            return await anyio.to_thread.run_sync(
                idle.give_back,
                self._cgroup,
                processes,
                lambda: self._run is None and not self._is_closed,
                abandon_on_cancel=True,  # with the keeper's end, which closes us: it stops by itself then
            )
        except (OSError, SessionLost):
            if self._is_closed:
                return 0  # its end came in between
            raise

    async def _execute(self, run: Run, request: dict[str, Any]) -> dict[str, Any]:
        laps: dict[str, float] = {}
        try:
            await self._guests.kill_spent()
            if self._guests.guest is None:
                if self._runs > 1:
                    await self._mend()
                laps = await self._guests.fork()
            guest = self._guests.guest
            assert guest is not None
            guest.begin(run)
            try:
                return await self._observe(run, guest, request, laps)
            finally:
                guest.leave()
        except (SessionLost, OSError) as error:
            # What fails because it is being ended is no news.
            why = "it was ended while the code ran" if self._is_closed else str(error)
            self.kill()
            return await self._report(run, lost(why), Changes(), 0.0, laps)

    def _watched(self, guest: Guest, *, is_asked: bool) -> watch.Watched:
        """All that is looked at; the code's interpreter may be asked where it is."""
        return watch.Watched(
            self._box,
            self.workspace,
            self.limits,
            self._cgroup,
            has_namespaces=self.site.has_namespaces,
            zygote_pid=self._guests.zygote_pid,
            locks=self._locks,
            connections=self._connections,
            guest=guest,
            is_asked=is_asked,
        )

    async def use(self) -> dict[str, float]:
        """What it holds now; raises SessionLost when it is closed."""
        disk = await self.workspace.in_thread(self._box.use)
        memory = pids = 0
        if self._cgroup is not None:
            memory, pids = self._cgroup.memory_bytes(), self._cgroup.tasks()
            if self._guests.guest is not None:
                # Without a look: whoever asks again and again is not to wait in turn with who looks after limits.
                memory += self._connections.known_bytes(self._box)
        elif (guest := self._guests.guest) is not None:
            watched = self._watched(guest, is_asked=False)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
                memory = max(0, await watch.added_up(watched))
                pids = sum(map(outside.threads, watched.processes()))
        return {
            "memory_bytes": memory,
            "pids": pids,
            "disk_bytes": disk.disk_bytes,
            "cpu_seconds": self._meter.cpu_seconds(),
        }

    async def _observe(
        self, run: Run, guest: Guest, request: dict[str, Any], laps: dict[str, float]
    ) -> dict[str, Any]:
        watched = self._watched(guest, is_asked=request["code"] is not None)
        # Most runs are over before it is time for the first look.
        watcher = asyncio.get_running_loop().call_later(
            watch.WATCH_SECONDS, self._tasks.start_soon, self._guarded, watch.until_over, run, watched
        )
        try:
            return await self._observed(run, guest, request, watched, laps)
        finally:
            run.is_over = True
            watcher.cancel()

    async def _observed(
        self, run: Run, guest: Guest, request: dict[str, Any], watched: watch.Watched, laps: dict[str, float]
    ) -> dict[str, Any]:
        has_code = request["code"] is not None
        before = await self.workspace.before(request["output_dir"]) if has_code else Listing()
        self._meter.run_begins()
        others = self._guests.others() if run.calls else []
        started = time.perf_counter()
        killed = await self._until_done(run, guest, request)
        laps["run"] = time.perf_counter() - started
        if guest.exited.is_set() and not run.has_begun:
            await guest.hear_out()  # its end came by another way, and may have overtaken its word
        if run.first_result_at is not None:
            laps["first_result"] = run.first_result_at - started
        if run.calls and not killed and not guest.exited.is_set() and self._guests.tasks() != 1:
            await self._guests.sweep(guest, others)  # nothing of a call outlives it
        if not killed and not guest.exited.is_set():
            killed = await self._stop(run, guest, watched, is_last=request["is_last"])
        cpu = self._meter.taken_cpu_seconds(guest)
        refused = self._meter.newly_refused()
        use = (
            self.workspace.at_once(self._box.use)
            if self.site.has_namespaces
            else await self.workspace.in_thread(self._box.use)
        )
        wall = laps["run"]
        ending = Ending(
            stop=run.stop,
            finished=run.finished,
            exit_status=guest.exit_status if guest.exited.is_set() else None,
            was_killed=killed,
            has_begun=run.has_begun,
            oom_kills=self._meter.oom_kills(),
            pids_refused=refused,
            full=use.full,
            peaks={
                "timeout_seconds": wall,
                "memory_bytes": self._meter.peak_bytes(run),
                "output_bytes": run.most_output_bytes(),
                "disk_bytes": use.disk_bytes,
                "disk_inodes": use.inodes,
                "pids": max(run.peak_pids, self.limits.pids if refused else 0),
                "file_locks": run.peak_locks,
            },
            stuck=run.stuck,
            near=self._near(run, guest, request["code"] or ""),
            largest=run.largest,
        )
        if not killed and guest.exited.is_set():
            await self._guests.kill()
        run.is_over = True
        values = {
            **vars(self.limits),
            "timeout_seconds": request["timeout_seconds"],
            "disk_inodes": boxes.inodes(self.limits.disk_bytes),
            "file_locks": watch.MAX_LOCKS,
        }
        decided = decide(ending, values, is_last=request["is_last"])
        if has_code:
            changes = await self.workspace.changes(before, request["output_dir"])
        else:
            changes = await self.workspace.outputs(
                [None if call["kind"] == "edit" else call["output_dir"] for call in request["calls"]]
            )
        return await self._report(run, decided, changes, cpu, laps)

    async def _stop(self, run: Run, guest: Guest, watched: watch.Watched, *, is_last: bool) -> bool:
        """Have nothing run between runs: no thread or child that outlives its run, no code behind a forged end of it,
        and nobody who changes files while we look at them. True when it had to be killed instead."""
        await self._guests.stop(guest)
        guest.flush()  # what was written behind the guest's word that it is done
        # What a short run has taken, nobody has seen yet.
        if await watch.look_at_memory(run, watched, may_wait=True) > 1:
            run.stop = run.stop or "out_of_memory"
        elif not is_last and await watched.locks.are_too_many(run, watched.processes, may_wait=True):
            run.stop = run.stop or "file_locks"
        elif watch.has_hidden(watched):
            run.stop = run.stop or "hidden"
        else:
            return False
        await self._guests.kill()
        return True

    async def _report(
        self, run: Run, decided: Decided, changes: Changes, cpu_seconds: float, laps: dict[str, float]
    ) -> dict[str, Any]:
        await run.tell_rest()
        return exchange.report(
            run,
            decided,
            changes,
            disk_bytes=self.limits.disk_bytes,
            cpu_seconds=cpu_seconds,
            peak_bytes=self._meter.peak_bytes(run),
            laps=laps,
        )

    def _near(self, run: Run, guest: Guest, code: str) -> dict[str, Any] | None:
        """Where it was as its memory became short. What fills up between two looks is known by what it had before."""
        near = stuck.described(guest.place(), code, "MemoryError")
        return near or (stuck.unplaced("MemoryError") if run.largest else None)

    async def _until_done(self, run: Run, guest: Guest, request: dict[str, Any]) -> bool:
        """Hand the code over and wait for the end of the run, whatever ends it. True when the guest was killed."""
        order = exchange.order(run, request, self._box.places.output)
        with anyio.move_on_after(request["timeout_seconds"]) as run.clock:
            await self._guests.go_on(guest, order)
            guest.see_it_begin(run)
            await run.attention.wait()
        if run.done.is_set():
            return False
        run.ask_to_stop("timed_out")
        if run.stop in ("timed_out", "interrupted", "output_exceeded"):
            with anyio.move_on_after(self._grace_seconds):
                await run.started.wait()
                await self._box.tell("interrupt")
                await run.settled.wait()
        # Where the interpreter came back, whatever else it had started has not been asked.
        if run.done.is_set() and not guest.exited.is_set() and await self._guests.sweep(guest):
            return False
        if run.stop == "timed_out" and request["code"] is not None and not guest.exited.is_set():
            run.stuck = stuck.described(await guest.stack(), request["code"])
        await self._guests.kill()
        return True

    # -- putting away --------------------------------------------------------------------------------------

    async def pack(self, *, is_first: bool) -> bytes:
        """The next piece of an archive of its files; nothing after the last. Raises InvalidRequest, NotKept.

        Between runs all that is in it is stopped, and what is variable stays: where the archive cannot be made, the
        session goes on.
        """
        if self._run is not None:
            raise InvalidRequest("the session is running code: its files change")
        async with self._turn:
            await self._guests.kill_spent()
            return await self.workspace.pack(
                self._box.open_temporary, self.limits.disk_bytes, is_first=is_first
            )

    async def unpack(self, data: bytes, *, is_last: bool) -> None:
        """Take in the next piece of an archive. Raises InvalidRequest where code has run, NotKept where it is none."""
        if self._runs:
            raise InvalidRequest("the session has run code: its files are its own")
        async with self._turn:
            await self.workspace.unpack(
                self._box.open_temporary, self.limits.disk_bytes, data, is_last=is_last
            )

    def interrupt(self) -> None:
        """Have the run under way, if any, end as `interrupted`."""
        if self._run is not None:
            self._run.ask_to_stop("interrupted")

    def kill(self) -> None:
        """Kill everything in the session, at once and for good."""
        if not self._is_closed:
            self._box.kill()

    async def close(self) -> bool:
        """End everything in the session. False when the kernel does not let go of it in DEATH_SECONDS."""
        if self._is_closed:
            return True
        self._is_closed = True
        self.interrupt()
        self._box.kill()
        async with self._turn:  # a run that is under way sees its guest die
            await self._guests.close()
            await self._box.close()
            if self._has_files:
                # Last, and in a thread: the kernel takes a whole file system apart then.
                await self.workspace.close()
        deadline = time.monotonic() + DEATH_SECONDS
        while self._cgroup is not None and time.monotonic() < deadline:
            try:
                await self._hand.begin_short(self._cgroup.remove).outcome()
                return True
            except OSError:
                await anyio.sleep(0.02)  # EBUSY: an exiting process is still being taken apart
        return self._cgroup is None
