"""The outer box and what lives in it: starting it, and asking its boxer and its zygote for boxes and guests."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from belljar import kernel, layout, packets
from belljar.errors import JailUnavailable, KeeperLost, SessionLost
from belljar.keeper import outside, policy
from belljar.keeper.inside import Runtime, write_zip

START_SECONDS = 120
"""Until the zygote has imported everything."""
ANSWER_SECONDS = 30
STOP_SECONDS = 5
UID_COUNT = 65536


@dataclass(frozen=True)
class Reply:
    packet: dict[str, Any]
    fds: list[int]


class PacketChannel:
    """Requests with numbers over a packet socket; packets without one go to `on_event`.

    Use as a task: `run` reads until the other end is gone, and then fails every request under way.
    """

    def __init__(self, sock: socket.socket, name: str, on_event: Callable[[dict[str, Any]], None]) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._name = name
        self._on_event = on_event
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[anyio.Event, list[Reply]]] = {}
        self.is_gone = False

    async def run(self) -> None:
        try:
            while True:
                await anyio.wait_readable(self._sock)
                packet, fds = packets.receive(self._sock)
                number = packet.get("id")
                if number in self._waiting:
                    event, slot = self._waiting[number]
                    slot.append(Reply(packet, fds))
                    event.set()
                else:
                    for fd in fds:
                        os.close(fd)
                    if number is None:
                        self._on_event(packet)  # else it answers somebody who has stopped waiting
        except (EOFError, OSError, anyio.ClosedResourceError):
            return
        finally:
            self.is_gone = True
            for event, _ in self._waiting.values():
                event.set()

    async def ask(self, packet: dict[str, Any], fds: Sequence[int] = ()) -> Reply:
        """Send a request and wait for its answer. Raises KeeperLost when the other end is gone,
        SessionLost when it refuses."""
        number = next(self._numbers)
        event, slot = anyio.Event(), list[Reply]()
        self._waiting[number] = (event, slot)
        try:
            if self.is_gone:
                raise KeeperLost(f"the {self._name} has ended")
            with anyio.fail_after(ANSWER_SECONDS):
                await self._send({**packet, "id": number}, fds)
                await event.wait()
        except (OSError, TimeoutError) as error:
            raise SessionLost(f"the {self._name} does not answer: {error}") from error
        finally:
            del self._waiting[number]
        if not slot:
            raise KeeperLost(f"the {self._name} has ended")
        if "error" in slot[0].packet:
            raise SessionLost(f"the {self._name} failed: {slot[0].packet['error']}")
        return slot[0]

    async def _send(self, packet: dict[str, Any], fds: Sequence[int]) -> None:
        while True:
            try:
                packets.send(self._sock, packet, fds)
                return
            except BlockingIOError:
                await anyio.wait_writable(self._sock)


@dataclass
class Box:
    """A box's pid 1, as the keeper holds it, and a descriptor of its files for whoever takes it over.

    `close` lets go of the first.
    """

    pidfd: int
    sock: socket.socket
    files_fd: int
    laps: dict[str, float]

    def __post_init__(self) -> None:
        self._turn = anyio.Lock()
        self.pid = outside.pid_of(self.pidfd)

    async def tell(self, op: str, keep: int | None = None) -> None:
        """Have pid 1 signal everything in the box, and return when it has.

        `op` is `interrupt`, `stop`, `continue`, `kill`, or `sweep`: kill all but the process `keep`, a pid of
        the box. Raises SessionLost when pid 1 is gone.
        """
        # Not to be left between the request and its answer: the next one would get this one's.
        with anyio.CancelScope(shield=True):
            async with self._turn:
                await self._tell(op, keep)

    async def _tell(self, op: str, keep: int | None) -> None:
        try:
            packets.send(self.sock, {"op": op, "keep": keep})
            with anyio.fail_after(ANSWER_SECONDS):
                await anyio.wait_readable(self.sock)
            packets.receive(self.sock)
        except (OSError, EOFError, TimeoutError) as error:
            raise SessionLost("the session's box has ended") from error

    def kill(self) -> None:
        """Kill pid 1: the kernel kills everything in its pid namespace with it."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        """Kill the box, and let go of it."""
        self.kill()
        anyio.notify_closing(self.sock)
        self.sock.close()
        os.close(self.pidfd)


class OuterBox:
    """The running outer box. Made by `start`."""

    def __init__(self, boxer: PacketChannel, zygote: PacketChannel, *, is_root: bool, uid_base: int) -> None:
        self._boxer = boxer
        self._zygote = zygote
        self.is_root = is_root
        self.uid_base = uid_base
        self.laps: dict[str, float] = {}
        self.preload_failed: dict[str, str] = {}
        self.zygote_data_bytes = 0

    def identity(self, index: int) -> tuple[int, int]:
        """The uid and gid, on this machine, of the guest of session number `index` (1 to 65,535)."""
        return (
            (self.uid_base + index, self.uid_base + index) if self.is_root else (os.geteuid(), os.getegid())
        )

    async def make_box(self, index: int, disk_bytes: int) -> Box:
        """A box whose guest has the identity `index`. Raises SessionLost when the kernel refuses."""
        ours, theirs = packets.pair()
        started = time.perf_counter()
        mapped = f"0 0 1\n{layout.GUEST_ID} {index} 1\n" if self.is_root else f"{layout.GUEST_ID} 0 1\n"
        with theirs:
            request = {
                "op": "box",
                "map": mapped,
                "has_root": self.is_root,
                "guest_id": layout.GUEST_ID,
                "disk_bytes": disk_bytes,
                "inodes": max(1024, min(65536, disk_bytes // 4096)),
            }
            try:
                reply = await self._boxer.ask(request, [theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        pidfd = reply.fds[0]
        namespaces = time.perf_counter() - started
        try:
            with anyio.fail_after(ANSWER_SECONDS):
                await anyio.wait_readable(ours)
            ready, fds = packets.receive(ours)
        except (EOFError, OSError, TimeoutError) as error:
            ours.close()
            os.close(pidfd)
            raise SessionLost("a box could not be furnished; the keeper's standard error says why") from error
        return Box(pidfd, ours, fds[0], {"namespaces": namespaces, **ready["laps"]})

    async def fork_guest(
        self, box: Box, packet: dict[str, Any], fds: Sequence[int]
    ) -> tuple[int, int, dict[str, float]]:
        """Fork a guest into the box, with `fds` = (control, stdout, stderr). Returns its number, pidfd and laps."""
        reply = await self._zygote.ask({"op": "fork", **packet}, [box.pidfd, *fds])
        return reply.packet["pid"], reply.fds[0], reply.packet["laps"]


@asynccontextmanager
async def start(
    runtime: Runtime,
    program: bytes,
    preload: Sequence[str],
    uid_base: int,
    tasks: TaskGroup,
    on_exit: Callable[[dict[str, Any]], None],
) -> AsyncIterator[OuterBox]:
    """Start the outer box, its boxer and its zygote. `on_exit` is told of each guest's end:
    {pid, status, cpu_seconds}.

    Raises JailUnavailable, with the step that failed, where the machine does not allow one.
    """
    ours, theirs = packets.pair()
    zygote_ours, zygote_theirs = packets.pair()
    with (
        contextlib.ExitStack() as stack,
        ours,
        zygote_ours,
        tempfile.NamedTemporaryFile(prefix="belljar-inside-", suffix=".zip") as archive,
    ):
        write_zip(archive)
        archive.flush()
        os.fchmod(archive.fileno(), 0o444)  # its readers have other uids
        # Read-only: it is inherited by everything in the outer box.
        archive_fd = os.open(archive.name, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, archive_fd)
        command = [
            str(runtime.python),
            "-I",
            "-S",
            "-B",
            f"/proc/self/fd/{archive_fd}",
            "outer",
            str(theirs.fileno()),
        ]
        process = subprocess.Popen(
            command, env={}, stdin=subprocess.DEVNULL, stdout=2, pass_fds=[archive_fd, theirs.fileno()]
        )
        theirs.close()
        try:
            laps = await _enter(
                ours,
                process.pid,
                policy.view(runtime.path, runtime.base_prefix, Path(archive.name)),
                uid_base,
            )
            with zygote_theirs:
                packets.send(ours, _zygote_command(), [zygote_theirs.fileno()])
            await _answer(ours, "ready")
            archive.close()  # mounted by now: a name on disk would only be left over if we were killed
            packets.send(zygote_ours, {"preload": list(preload), "filter": program.hex()})
            ready = await _answer(zygote_ours, "ready", "the zygote did not come up")
            if ready["threads"] != 1:
                raise JailUnavailable(
                    f"after its imports the zygote has {ready['threads']} threads, and a fork needs one: "
                    f"take the module that starts them out of BELLJAR_PRELOAD ({', '.join(preload)})"
                )
            boxer = PacketChannel(ours, "boxer", lambda packet: None)
            zygote = PacketChannel(zygote_ours, "zygote", on_exit)
            outer = OuterBox(boxer, zygote, is_root=os.geteuid() == 0, uid_base=uid_base)
            outer.laps = laps | ready["laps"]
            outer.preload_failed = ready["failed"]
            outer.zygote_data_bytes = ready["data_bytes"]
            tasks.start_soon(boxer.run)
            tasks.start_soon(zygote.run)
            yield outer
        finally:
            # Without its keeper the boxer ends, and as pid 1 it takes the outer box with it; its parent reaps it.
            anyio.notify_closing(ours)
            ours.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _zygote_command() -> dict[str, Any]:
    # One thread each before the fork: a pool's threads do not survive it, and setns refuses to run beside them.
    single = dict.fromkeys(
        ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
    )
    environment = policy.environment(1) | single | {"MPLCONFIGDIR": "/tmp/matplotlib"}
    return {"argv": [f"{layout.RUNTIME}/bin/python", "-I", "-B", layout.INSIDE, "zygote"], "env": environment}


async def _enter(sock: socket.socket, pid: int, view: policy.View, uid_base: int) -> dict[str, float]:
    """Lead the outer process into its namespaces, and give it its uid map from outside."""
    sock.setblocking(False)
    started = time.perf_counter()
    packets.send(
        sock, {"binds": view.binds, "links": view.links, "files": view.files, "directories": view.directories}
    )
    await _answer(sock, "unshared", "the kernel refused new namespaces (user.max_user_namespaces, AppArmor?)")
    if os.geteuid() == 0:
        maps = {"uid_map": f"0 {uid_base} {UID_COUNT}", "gid_map": f"0 {uid_base} {UID_COUNT}"}
    else:
        maps = {"setgroups": "deny", "uid_map": f"0 {os.geteuid()} 1", "gid_map": f"0 {os.getegid()} 1"}
    try:
        for name, text in maps.items():
            kernel.write_file(f"/proc/{pid}/{name}", text)
    except OSError as error:
        raise JailUnavailable(f"the kernel refused the guests' {name}: {error.strerror}") from error
    packets.send(sock, {"op": "go"})
    return {"outer": time.perf_counter() - started}


async def _answer(
    sock: socket.socket, event: str, failure: str = "the outer box could not be built"
) -> dict[str, Any]:
    sock.setblocking(False)
    try:
        with anyio.fail_after(START_SECONDS):
            await anyio.wait_readable(sock)
        packet, _ = packets.receive(sock)
    except (EOFError, OSError, TimeoutError) as error:
        raise JailUnavailable(f"{failure}; standard error says more") from error
    if packet["event"] != event:
        raise JailUnavailable(f"the outer box could not be built: {packet.get('error', packet)}")
    return packet
