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
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from belljar import kernel, layout, packets
from belljar.errors import JailUnavailable, SessionLost
from belljar.keeper import connections, outside, policy
from belljar.keeper.boxes import UID_COUNT, Born, Fork, NoNamespaces, Places, Started, Use, identity, inodes
from belljar.keeper.cgroups import Tree
from belljar.keeper.channel import ANSWER_SECONDS, PacketChannel, first_answer
from belljar.keeper.inside import Runtime, write_zip

STOP_SECONDS = 5
_ARCHIVE = "belljar-inside-"
_LEFT_OVER_SECONDS = 600
"""It is needed for the first second of a keeper's life."""
PLACES = Places(layout.WORK, layout.INPUT, layout.OUTPUT, "/tmp", layout.RUNTIME, layout.PROGRAMS)


class InnerBox:
    """A `Box` of namespaces: its pid 1, as the keeper holds it, and a descriptor of its files."""

    places = PLACES

    def __init__(
        self, boxer: PacketChannel, pidfd: int, furniture: dict[str, int], *, has_own_uid: bool
    ) -> None:
        self._boxer = boxer
        self.pidfd = pidfd
        self.pid = outside.pid_of(pidfd)
        self.laps: dict[str, float] = {}
        self._files_fd = self._root_fd = -1
        self._connections: connections.Connections | None = None
        """Once it is furnished."""
        self.confinement: dict[str, Any] = {
            "identity": layout.GUEST_ID if has_own_uid else None,
            "reads": ["/"],
            "writes": [layout.FILES, "/tmp", "/dev/shm"],
            "devices": policy.devices(has_zero=True),
            "furniture": furniture,
        }

    def furnished(self, guest_pid: int) -> int:
        """Reached by the guest's root, before it has run any code."""
        try:
            self._root_fd = os.open(f"/proc/{guest_pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            path = layout.FILES.lstrip("/")
            self._connections = connections.Connections(self.pid)
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._root_fd)
        except OSError as error:
            raise SessionLost(f"a box's files cannot be reached: {error.strerror}") from error
        self._files_fd = fd
        self.confinement["furniture"] = None
        return fd

    def open_temporary(self) -> int:
        """By the root, which is read-only: no guest can put anything else in its place."""
        return os.open(
            "tmp", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._root_fd
        )

    def place(self) -> list[int]:
        """Where a guest is to go: a pidfd of pid 1, and the root where there is one already."""
        return [self.pidfd] if self._root_fd < 0 else [self.pidfd, self._root_fd]

    async def tell(self, op: str, keep: Sequence[int] = ()) -> None:
        """Have a warden signal everything in the box (see `Box`)."""
        ours, theirs = packets.pair()
        with ours, anyio.CancelScope(shield=True):  # what comes next relies on its effect
            with theirs:
                request = {"op": "warden", "signal": op, "keep": list(keep)}
                await self._boxer.ask(request, [self.pidfd, self._root_fd, theirs.fileno()])
            try:
                with anyio.fail_after(ANSWER_SECONDS):
                    await anyio.wait_readable(ours)
                    packets.receive(ours)
                    await anyio.wait_readable(ours)  # it has ended, and nobody sees it any more
            except (OSError, EOFError, TimeoutError) as error:
                raise SessionLost("the session's box has ended") from error

    def processes(self, guest_pid: int) -> list[int]:
        """What descends from the guest, and what was left to pid 1."""
        return outside.tree(guest_pid, self.pid)

    def connection_bytes(self) -> tuple[int, int]:
        """By its pid 1, which no guest can keep from answering."""
        return self._connections.sizes() if self._connections is not None else (0, 0)

    def network_bytes(self, *, is_counted: bool, enough_bytes: int) -> int:
        """By the same."""
        return connections.network_bytes(self.pid, is_counted=is_counted, enough_bytes=enough_bytes)

    def kept_bytes(self, *, enough_bytes: int) -> int:
        """By the same."""
        return connections.kept_bytes(self.pid, enough_bytes=enough_bytes)

    def use(self) -> Use:
        """Of its file system, which is bounded by the kernel."""
        status = os.fstatvfs(self._files_fd)
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
        os.close(self.pidfd)
        if self._root_fd >= 0:
            os.close(self._root_fd)
        if self._connections is not None:
            self._connections.close()


class OuterBox:
    """The running outer box: a `Site`. Made by `start`."""

    has_namespaces = True

    def __init__(self, boxer: PacketChannel, program: bytes, *, uid_base: int | None) -> None:
        self._boxer = boxer
        self.program = program
        self._uid_base = uid_base
        self.has_own_uids = uid_base is not None
        self.laps: dict[str, float] = {}

    @property
    def is_lost(self) -> bool:
        return self._boxer.is_gone

    def identity(self, index: int) -> tuple[int, int]:
        """The uid and gid, on this machine, of the guest of session number `index` (1 to 65,535)."""
        return identity(self._uid_base, index)

    async def make_box(self, index: int, disk_bytes: int) -> InnerBox:
        """A box whose guest has the identity `index`. Raises SessionLost when the kernel refuses."""
        started = time.perf_counter()
        mapped = f"0 0 1\n{layout.GUEST_ID} {index} 1\n" if self.has_own_uids else f"{layout.GUEST_ID} 0 1\n"
        reply = await self._boxer.ask({"op": "box", "map": mapped})
        furniture = {"owner": layout.GUEST_ID, "disk_bytes": disk_bytes, "inodes": inodes(disk_bytes)}
        box = InnerBox(self._boxer, reply.fds[0], furniture, has_own_uid=self.has_own_uids)
        box.laps["namespaces"] = time.perf_counter() - started
        return box

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
        """Have a zygote's `fork` make a guest in the box, with `fds` = (stdout, stderr, control)."""
        reply = await fork(packet, [*fds, *box.place()])
        return Born(reply.packet["pid"], reply.fds[0], reply.packet["laps"])


@asynccontextmanager
async def start(
    runtime: Runtime,
    uid_base: int,
    tasks: TaskGroup,
    tree: Tree | None,
) -> AsyncIterator[OuterBox]:
    """Start the outer box and its boxer. Raises NoNamespaces, with the step that failed, where there can be none."""
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
        outside.offer_first(process.pid)
        if tree is not None:
            tree.attach_own(process.pid)
        has_range = outside.has_uid_range(uid_base, UID_COUNT)
        view = policy.view(
            runtime.path, runtime.base_prefix, Path(archive.name), has_memory_cgroup=tree is not None
        )
        boxer = PacketChannel(ours, "boxer", lambda packet: None)
        try:
            # Made while that starts.
            program = policy.filter_program(
                has_memory_cgroup=tree is not None,
                has_own_network=True,
                has_own_uid=True,
                are_cores_piped=outside.are_cores_piped(),
            )
            try:
                laps = await _enter(ours, process.pid, view, uid_base if has_range else None)
                await first_answer(ours, "ready")
            except JailUnavailable as error:
                raise NoNamespaces(str(error)) from error
            archive.close()  # mounted by now: a name on disk would only be left over if we were killed
            outer = OuterBox(boxer, program, uid_base=uid_base if has_range else None)
            outer.laps = laps
            tasks.start_soon(boxer.run)
            yield outer
        finally:
            # Without its keeper the boxer ends, and as pid 1 it takes the outer box with it; its parent reaps it.
            boxer.close()
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
            "programs": view.programs,
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
