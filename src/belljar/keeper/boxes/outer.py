"""The outer box and what lives in it: starting it, and asking its boxer and its zygote for boxes and guests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from belljar import kernel, layout, packets
from belljar.errors import JailUnavailable, SessionLost
from belljar.keeper import outside, policy
from belljar.keeper.boxes import UID_COUNT, Born, Fork, NoNamespaces, Places, Started, Use, identity, inodes
from belljar.keeper.cgroups import Tree
from belljar.keeper.channel import ANSWER_SECONDS, PacketChannel, first_answer
from belljar.keeper.inside import Runtime, write_zip

STOP_SECONDS = 5
_ARCHIVE = "belljar-inside-"
_LEFT_OVER_SECONDS = 600
"""It is needed for the first second of a keeper's life."""
PLACES = Places(layout.WORK, layout.OUTPUT, "/tmp", layout.RUNTIME)


@dataclass
class InnerBox:
    """A `Box` of namespaces: its pid 1, as the keeper holds it, and a descriptor of its files."""

    pidfd: int
    sock: socket.socket
    files_fd: int
    laps: dict[str, float]
    confinement: dict[str, Any]
    places: Places = PLACES

    def __post_init__(self) -> None:
        self._turn = anyio.Lock()
        self.pid = outside.pid_of(self.pidfd)

    async def tell(self, op: str, keep: int | None = None) -> None:
        """Have pid 1 signal everything in the box (see `Box`)."""
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

    def processes(self, guest_pid: int) -> list[int]:
        """What descends from the guest, and what was left to pid 1."""
        return outside.tree(guest_pid, self.pid)

    def network_bytes(self) -> int:
        """By its pid 1, which no guest can keep from answering."""
        return outside.network_bytes(self.pid)

    def use(self) -> Use:
        """Of its file system, which is bounded by the kernel."""
        status = os.fstatvfs(self.files_fd)
        full = "disk_inodes" if status.f_ffree == 0 else "disk_bytes" if status.f_bfree == 0 else None
        return Use(
            (status.f_blocks - status.f_bfree) * status.f_frsize, status.f_files - status.f_ffree, full
        )

    def kill(self) -> None:
        """Kill pid 1: the kernel kills everything in its pid namespace with it."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    async def close(self) -> None:
        """Kill the box, and let go of it."""
        self.kill()
        anyio.notify_closing(self.sock)
        self.sock.close()
        os.close(self.pidfd)


class OuterBox:
    """The running outer box: a `Site`. Made by `start`."""

    has_namespaces = True

    def __init__(self, boxer: PacketChannel, program: bytes, *, uid_base: int | None) -> None:
        self._boxer = boxer
        self.program = program
        self._uid_base = uid_base
        self.has_own_uids = uid_base is not None
        self.laps: dict[str, float] = {}

    def identity(self, index: int) -> tuple[int, int]:
        """The uid and gid, on this machine, of the guest of session number `index` (1 to 65,535)."""
        return identity(self._uid_base, index)

    async def make_box(self, index: int, disk_bytes: int) -> InnerBox:
        """A box whose guest has the identity `index`. Raises SessionLost when the kernel refuses."""
        ours, theirs = packets.pair()
        started = time.perf_counter()
        mapped = f"0 0 1\n{layout.GUEST_ID} {index} 1\n" if self.has_own_uids else f"{layout.GUEST_ID} 0 1\n"
        with theirs:
            request = {
                "op": "box",
                "map": mapped,
                "has_root": self.has_own_uids,
                "guest_id": layout.GUEST_ID,
                "disk_bytes": disk_bytes,
                "inodes": inodes(disk_bytes),
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
        confinement = {
            "identity": layout.GUEST_ID if self.has_own_uids else None,
            "reads": ["/"],
            "writes": [layout.FILES, "/tmp", "/dev/shm"],
        }
        return InnerBox(pidfd, ours, fds[0], {"namespaces": namespaces, **ready["laps"]}, confinement)

    async def start_zygote(self) -> Started:
        """Have the boxer exec one. It ends when its socket is closed."""
        ours, theirs = packets.pair()
        with theirs:
            try:
                await self._boxer.ask({"op": "zygote", **_zygote_command()}, [theirs.fileno()])
            except BaseException:
                ours.close()
                raise
        return Started(ours, lambda: None)

    async def fork_guest(self, fork: Fork, box: InnerBox, packet: dict[str, Any], fds: Sequence[int]) -> Born:
        """Have a zygote's `fork` make a guest in the box, with `fds` = (control, stdout, stderr)."""
        reply = await fork(packet, [box.pidfd, *fds])
        return Born(reply.packet["pid"], reply.fds[0], reply.packet["laps"])


@asynccontextmanager
async def start(
    runtime: Runtime,
    uid_base: int,
    tasks: TaskGroup,
    tree: Tree | None,
) -> AsyncIterator[OuterBox]:
    """Start the outer box and its boxer. Raises NoNamespaces, with the step that failed, where there can be none."""
    program = policy.filter_program(
        has_memory_cgroup=tree is not None,
        has_own_network=True,
        has_own_uid=True,
        are_cores_piped=outside.are_cores_piped(),
    )
    _remove_left_over()
    ours, theirs = packets.pair()
    with (
        contextlib.ExitStack() as stack,
        ours,
        tempfile.NamedTemporaryFile(prefix=_ARCHIVE, suffix=".zip") as archive,
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
        if tree is not None:
            tree.attach_own(process.pid)
        has_range = outside.has_uid_range(uid_base, UID_COUNT)
        view = policy.view(runtime.path, runtime.base_prefix, Path(archive.name))
        try:
            try:
                laps = await _enter(ours, process.pid, view, uid_base if has_range else None)
                await first_answer(ours, "ready")
            except JailUnavailable as error:
                raise NoNamespaces(str(error)) from error
            archive.close()  # mounted by now: a name on disk would only be left over if we were killed
            boxer = PacketChannel(ours, "boxer", lambda packet: None)
            outer = OuterBox(boxer, program, uid_base=uid_base if has_range else None)
            outer.laps = laps
            tasks.start_soon(boxer.run)
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


def _remove_left_over() -> None:
    """A keeper that was killed in its first moments has left its archive."""
    for path in Path(tempfile.gettempdir()).glob(f"{_ARCHIVE}*.zip"):
        with contextlib.suppress(OSError):  # somebody else's
            if path.stat().st_mtime < time.time() - _LEFT_OVER_SECONDS:
                path.unlink()


def _zygote_command() -> dict[str, Any]:
    return {
        "argv": [f"{layout.RUNTIME}/bin/python", "-I", "-B", layout.INSIDE, "zygote", "3"],
        "env": policy.zygote_environment(PLACES),
    }


async def _enter(sock: socket.socket, pid: int, view: policy.View, uid_base: int | None) -> dict[str, float]:
    """Lead the outer process into its namespaces, and give it its uid map from outside."""
    sock.setblocking(False)
    started = time.perf_counter()
    packets.send(
        sock,
        {
            "binds": view.binds,
            "links": view.links,
            "files": view.files,
            "directories": view.directories,
            "has_own_uids": uid_base is not None,
        },
    )
    await first_answer(sock, "unshared")
    if uid_base is not None:
        maps = {"uid_map": f"0 {uid_base} {UID_COUNT}", "gid_map": f"0 {uid_base} {UID_COUNT}"}
    else:
        maps = {"setgroups": "deny", "uid_map": f"0 {os.geteuid()} 1", "gid_map": f"0 {os.getegid()} 1"}
    try:
        for name, text in maps.items():
            kernel.write_file(f"/proc/{pid}/{name}", text)
    except OSError as error:
        raise NoNamespaces(f"the kernel refused the guests' {name}: {error.strerror}") from error
    packets.send(sock, {"op": "go"})
    return {"outer": time.perf_counter() - started}
