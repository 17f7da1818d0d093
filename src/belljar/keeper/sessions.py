"""A session: one box, one guest in it at a time, and the runs that the guest is given."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from belljar.errors import InvalidRequest, SessionLost
from belljar.frames import Message, encode
from belljar.keeper import birth, boxes, channel, collector, idle, outside, stuck, watch
from belljar.keeper.boxes import Box, Site
from belljar.keeper.cgroups import Cgroup
from belljar.keeper.collector import Listing
from belljar.keeper.guests import Guest
from belljar.keeper.journal import log, milliseconds
from belljar.keeper.outcomes import Decided, Ending, decide, lost
from belljar.keeper.runs import Emit, Run
from belljar.keeper.waiting import Hand
from belljar.keeper.workspace import Changes, Workspace
from belljar.keeper.zygotes import Zygote, Zygotes
from belljar.wire.execution import Limits

DEATH_SECONDS = 10
"""For the kernel to take a killed process apart."""
_MAX_DELETED = 1000
"""Paths that are told."""
_GUEST_FDS = 4  # stdin, stdout, stderr, control
_ATTACHED = b"a"


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
        self._zygotes = zygotes
        self._tier = tier
        self._box = box
        self._cgroup = cgroup
        self._grace_seconds = grace_seconds
        self._hand = hand
        self._tasks = tasks
        self.workspace: Workspace
        """Once its first guest is there, which furnishes the box."""
        self._has_files = False
        self._locks = watch.Locks(dear.locks)
        self._connections = watch.Connections(dear)
        self._zygote_pid = 0
        """Known where no cgroup counts memory."""
        self._pids_refused = 0
        """So far in the session's life."""
        self._cpu_before, self._oom_before = 0.0, 0
        self._is_counting = False
        """The next run's use, already."""
        self._turn = anyio.Lock(fast_acquire=True)
        self._guest: Guest | None = None
        self._run: Run | None = None
        self._runs = 0
        self._is_stopped = False
        """By the box, all that is in it."""
        self._is_alone = False
        """Stopped, being the only process."""
        self._is_closed = False
        self._is_forking = False
        self._idle_since = time.monotonic()
        self.is_given = False
        """To somebody; else it waits parked, or is being made to."""
        self.is_offered = False
        """Its memory, to the kernel, since it is idle."""
        self.zygote: Zygote | None = None
        """What its present guest was forked from."""
        self._guests: dict[int, Guest] = {}
        self._early: dict[int, tuple[int, float]] = {}
        """Ends of guests that we did not know yet: one may be over before we hear that it was born."""

    async def live(self, *, rehearsal: Sequence[str] = ()) -> dict[str, float]:
        """Fork the first guest, and have it rehearse. Returns the laps in seconds."""
        laps = await self._fork(rehearsal=rehearsal)
        assert self._guest is not None
        files_fd = self._box.furnished(self._guest.pid)
        if self._guest.is_spent:  # its number was perhaps another's by then
            os.close(files_fd)
            raise SessionLost("a guest has ended before it was given code")
        has_disk = self.site.has_namespaces
        self.workspace = Workspace(files_fd, self.site.identity(self.index)[0], has_disk=has_disk)
        self._has_files = True
        self._begin_count()
        self._is_counting = True
        if self._cgroup is not None:  # whose files are open then
            self._cgroup.tasks(), self._cgroup.pids_refused(), self._cgroup.watched_bytes()
        return self._box.laps | laps

    # -- the guest -----------------------------------------------------------------------------------------

    async def _fork(self, *, rehearsal: Sequence[str] = ()) -> dict[str, float]:
        """Fork a guest, and wait until it is locked in. Returns the laps in seconds; raises SessionLost."""
        started = time.perf_counter()
        uid, gid = self.site.identity(self.index)
        if self._runs > 1:
            await self._mend()
        self._early.clear()
        self._is_forking = True
        try:
            try:
                guest, laps = await self._born(rehearsal=rehearsal)
            except SessionLost:
                if self.zygote is None or not self.zygote.is_lost:
                    raise
                guest, laps = await self._born(rehearsal=rehearsal)  # from its successor
        finally:
            self._is_forking = False
        self._guest = self._guests[guest.number] = guest
        if guest.number in self._early:
            self.guest_exited(guest.number, *self._early[guest.number])
        guest.serve(self._stumbled)
        try:
            if self._cgroup is not None:
                # In a thread: the kernel makes the caller wait for every processor to pass a quiet point.
                await self._hand.do(functools.partial(self._cgroup.attach, guest.pid))
            await guest.send(_ATTACHED)
            laps["attach"] = time.perf_counter() - started - sum(laps.values())
            if not await guest.ready.within(channel.ANSWER_SECONDS) or guest.exited.is_set():
                guest.flush()
                why = guest.complaint.strip() or f"it ended with {guest.exit_status}"
                raise SessionLost(f"a guest could not lock itself in: {why}")
            # From outside, and before it is given a line of code: is it what it has to be?
            has_namespaces = self.site.has_namespaces
            if wrong := outside.unlocked(
                guest.pid,
                uid,
                gid,
                _GUEST_FDS,
                has_namespaces=has_namespaces,
                has_bounding_set=not (has_namespaces or self.site.has_own_uids),
            ):
                raise SessionLost(f"a guest is not locked in: {'; '.join(wrong)}")
            if self._cgroup is None:
                self._zygote_pid = outside.parent(guest.pid)
                if not has_namespaces:
                    self._zygote_pid = outside.parent(self._zygote_pid)  # between the two is the warden
        except BaseException:
            if (
                self._has_files
            ):  # else it is the first, of which no warden knows the root yet: `close` ends it
                with anyio.CancelScope(shield=True):
                    await self._kill_guest()
            raise
        laps |= guest.laps
        laps["guest"] = time.perf_counter() - started
        return laps

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

    async def _born(self, *, rehearsal: Sequence[str]) -> tuple[Guest, dict[str, float]]:
        """Have the zygote fork."""
        zygote = self.zygote = await self._zygotes.pick(self._tier)
        has_cgroup = self._cgroup is not None
        return await birth.fork(
            zygote,
            self.site,
            self._box,
            self.index,
            self.limits,
            has_cgroup=has_cgroup,
            rehearsal=rehearsal,
        )

    def guest_exited(self, number: int, status: int, cpu_seconds: float) -> None:
        """The zygote has reaped guest `number`."""
        guest = self._guests.pop(number, None)
        if guest is not None:
            guest.end(status, cpu_seconds)
        elif self._is_forking:
            self._early[number] = (status, cpu_seconds)

    def zygote_lost(self, zygote: Zygote) -> None:
        """It has died, and with it what was forked from it; nobody will say so of our guest."""
        guest = self._guest
        if guest is not None and self.zygote is zygote and not guest.exited.is_set():
            guest.end(-signal.SIGKILL, 0.0)
            self._tasks.start_soon(self._guarded, self._clear)

    async def _clear(self) -> None:
        """Kill what a guest that died between runs has left: it may have been woken by that death."""
        async with self._turn:
            if self._guest is not None and self._guest.is_spent and not self._is_closed:
                await self._kill_guest()

    async def _guarded(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Whatever a guest makes us stumble over ends its session, and no other."""
        try:
            await task(*arguments)
        except Exception as error:  # noqa: BLE001 - see above
            self._stumbled(error)

    def _stumbled(self, error: Exception) -> None:
        log("a reader of a guest", error, self._run.request_id if self._run is not None else "")
        self.kill()

    async def _kill_guest(self) -> None:
        """Kill everything in the box but its pid 1: files stay, variables go."""
        guest, self._guest = self._guest, None
        self._is_alone = self._is_stopped = False
        if guest is not None:
            try:
                await self._box.tell("kill")
                await guest.dead(DEATH_SECONDS)
                guest.flush()  # its last words
            finally:
                guest.close()

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
        run, guest = self._run, self._guest
        if run is not None and guest is not None and run.replied(ask):
            await guest.send(encode(Message("reply", {"ask": ask, "status": status}, text)))

    def idle_seconds(self) -> float:
        """Since its last run ended, or it was made; 0 while it runs code."""
        return 0.0 if self._run is not None else time.monotonic() - self._idle_since

    async def give_back(self) -> int:
        """Have the kernel take what it can until a run begins; how many bytes that were. Raises OSError."""
        if self._guest is None:
            return 0
        processes = self._box.processes(self._guest.pid)
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
            if self._guest is not None and self._guest.is_spent:
                await self._kill_guest()
            if self._guest is None:
                laps = await self._fork()
            guest = self._guest
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
            zygote_pid=self._zygote_pid,
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
            if self._guest is not None:
                # Without a look: whoever asks again and again is not to wait in turn with who looks after limits.
                memory += self._connections.known_bytes(self._box)
        elif (guest := self._guest) is not None:
            watched = self._watched(guest, is_asked=False)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
                memory = max(0, await watch.added_up(watched))
                pids = sum(map(outside.threads, watched.processes()))
        return {
            "memory_bytes": memory,
            "pids": pids,
            "disk_bytes": disk.disk_bytes,
            "cpu_seconds": self._cpu_seconds(),
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
        if not self._is_counting:
            self._begin_count()
        self._is_counting = False
        others = self._others(guest) if run.calls else []
        started = time.perf_counter()
        killed = await self._until_done(run, guest, request)
        laps["run"] = time.perf_counter() - started
        if guest.exited.is_set() and not run.has_begun:
            await guest.hear_out()  # its end came by another way, and may have overtaken its word
        if run.first_result_at is not None:
            laps["first_result"] = run.first_result_at - started
        if run.calls and not killed and not guest.exited.is_set():
            await self._end_calls(guest, others)
        if not killed and not guest.exited.is_set():
            killed = await self._stop(run, guest, watched, is_last=request["is_last"])
        has_counter = self._cgroup is not None and self._cgroup.cpu_seconds() is not None
        is_gone = guest.exited.is_set() and not has_counter
        cpu = (guest.cpu_seconds if is_gone else self._cpu_seconds()) - self._cpu_before
        refused = self._cgroup.pids_refused() if self._cgroup else 0
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
            oom_kills=(self._cgroup.oom_kills() - self._oom_before) if self._cgroup else 0,
            pids_refused=refused - self._pids_refused,
            full=use.full,
            peaks={
                "timeout_seconds": wall,
                "memory_bytes": self._peak_bytes(run),
                "output_bytes": run.most_output_bytes(),
                "disk_bytes": use.disk_bytes,
                "disk_inodes": use.inodes,
                "pids": max(run.peak_pids, self.limits.pids if refused > self._pids_refused else 0),
                "file_locks": run.peak_locks,
            },
            stuck=run.stuck,
            near=self._near(run, guest, request["code"] or ""),
            largest=run.largest,
        )
        self._pids_refused = refused
        if not killed and guest.exited.is_set():
            await self._kill_guest()
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

    def _others(self, guest: Guest) -> list[int]:
        """What an earlier run has left, as the guest has its numbers."""
        if self._count() == 1:
            return []
        found = []
        for pid in self._box.processes(guest.pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found.append(outside.pid_inside(pid))
        return found

    async def _end_calls(self, guest: Guest, others: list[int]) -> None:
        """Kill what shell commands have left behind: nothing of a call outlives it. `others` were there before."""
        if self._count() != 1:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the guest has ended since
                await self._box.tell("sweep", keep=[outside.pid_inside(guest.pid), *others])

    def _begin_count(self) -> None:
        """What the next run takes is counted from here on: until it begins nothing runs."""
        self._cpu_before = self._cpu_seconds()
        if self._cgroup is not None:
            self._oom_before = self._cgroup.oom_kills()
            self._cgroup.reset_peak()

    def _count(self) -> int:
        """Processes and threads of the session, by the kernel's own count; 0 where there is none."""
        return self._cgroup.tasks() if self._cgroup is not None else 0

    async def _stop(self, run: Run, guest: Guest, watched: watch.Watched, *, is_last: bool) -> bool:
        """Have nothing run between runs: no thread or child that outlives its run, no code behind a forged end of it,
        and nobody who changes files while we look at them. True when it had to be killed instead."""
        # By itself where it is alone, as is usual: by the kernel's count, taken when it cannot fork any more.
        if await guest.stop_alone() and self._count() == 1:
            self._is_alone = True
        else:
            await self._box.tell("stop")
            self._is_stopped = True
        guest.flush()  # what was written behind the guest's word that it is done
        # What a short run has taken, nobody has seen yet.
        if await watch.look_at_memory(run, watched, may_wait=True) > 1:
            run.stop = run.stop or "out_of_memory"
        elif not is_last and await watched.locks.are_too_many(run, watched.processes, may_wait=True):
            run.stop = run.stop or "file_locks"
        else:
            return False
        await self._kill_guest()
        return True

    async def _report(
        self,
        run: Run,
        decided: Decided,
        changes: Changes,
        cpu_seconds: float,
        laps: dict[str, float],
    ) -> dict[str, Any]:
        await run.tell_rest()
        kept = collector.within(changes.files, self.limits.disk_bytes)
        for file in kept:
            file["chart"] = run.chart_in(file.pop("inode"))
        deleted = changes.deleted
        return {
            "outcome": decided.outcome.model_dump(),
            "return_code": decided.return_code,
            "raised": decided.raised,
            "truncated": {name: capture.is_truncated for name, capture in run.captures.items()},
            "displays_left_out": run.displays_left_out,
            "calls": [
                {
                    "return_code": call.return_code,
                    "truncated": {name: capture.is_truncated for name, capture in call.captures.items()},
                }
                for call in run.calls
            ],
            "files": kept,
            "files_left_out": len(changes.files) - len(kept),
            "are_files_whole": changes.is_whole,
            "deleted": deleted[:_MAX_DELETED],
            "deleted_left_out": max(0, len(deleted) - _MAX_DELETED),
            "usage": {
                "wall_seconds": laps.get("run", 0.0),
                "cpu_seconds": max(0.0, cpu_seconds),
                "peak_memory_bytes": self._peak_bytes(run),
            },
            "laps": milliseconds(laps),
        }

    def _near(self, run: Run, guest: Guest, code: str) -> dict[str, Any] | None:
        """Where it was as its memory became short. What fills up between two looks is known by what it had before."""
        near = stuck.described(guest.place(), code, "MemoryError")
        return near or (stuck.unplaced("MemoryError") if run.largest else None)

    async def _until_done(self, run: Run, guest: Guest, request: dict[str, Any]) -> bool:
        """Hand the code over and wait for the end of the run, whatever ends it. True when the guest was killed."""
        env = request["env"] | {"OUTPUT_DIR": f"{self._box.places.output}/{request['output_dir']}"}
        if run.request_id:
            env["BELLJAR_REQUEST_ID"] = run.request_id
        asked = {"run": run.number, "code": request["code"], "stdin": request["stdin"], "env": env}
        asked["is_last"] = request["is_last"]
        if request["calls"]:
            asked["calls"] = [
                {**call, "output_dir": f"{self._box.places.output}/{call['output_dir']}"}
                for call in request["calls"]
            ]
        for more in ("argv", "tools", "charts", "chart"):
            if request[more]:
                asked[more] = request[more]
        body = json.dumps(asked).encode()
        with anyio.move_on_after(request["timeout_seconds"]) as run.clock:
            if self._is_stopped:
                await self._box.tell("continue")
            await guest.send(encode(Message("execute", {}, body)), is_stopped=self._is_alone)
            self._is_alone = self._is_stopped = False
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
        if run.done.is_set() and not guest.exited.is_set():
            # The interpreter came back; whatever else it had started has not been asked.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
                await self._box.tell("sweep", keep=[outside.pid_inside(guest.pid)])
                return False
        if run.stop == "timed_out" and request["code"] is not None and not guest.exited.is_set():
            run.stuck = stuck.described(await guest.stack(), request["code"])
        await self._kill_guest()
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
            if self._guest is not None and self._guest.is_spent:
                await self._kill_guest()  # its death may have woken what it has left
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

    def _cpu_seconds(self) -> float:
        """CPU time of everything in the session; where no cgroup counts it, without what was left to pid 1 and died."""
        counted = self._cgroup.cpu_seconds() if self._cgroup is not None else None
        if counted is not None:
            return counted
        guest = self._guest
        if guest is None:
            return 0.0
        if self._count() == 1:
            return guest.stat.cpu_seconds()
        return sum(map(outside.cpu_seconds, self._box.processes(guest.pid)))

    def _peak_bytes(self, run: Run) -> int:
        return max(run.peak_bytes, self._cgroup.peak_bytes() if self._cgroup is not None else 0)

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
            guest, self._guest = self._guest, None
            if guest is not None:
                guest.ignore()
                await guest.dead(DEATH_SECONDS)
                guest.close()
            await self._box.close()
            if self._has_files:
                await (
                    self.workspace.close()
                )  # last, and in a thread: the kernel takes a whole file system apart then
        deadline = time.monotonic() + DEATH_SECONDS
        while self._cgroup is not None and time.monotonic() < deadline:
            try:
                await self._hand.begin_short(self._cgroup.remove).outcome()
                return True
            except OSError:
                await anyio.sleep(0.02)  # EBUSY: an exiting process is still being taken apart
        return self._cgroup is None
