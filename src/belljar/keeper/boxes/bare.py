"""Without namespaces: guests stand on the machine itself, held by Landlock, seccomp and rlimits alone.

Every guest has a *warden* for a parent: a process of ours to which everything that the guest starts and abandons is
given by the kernel (PR_SET_CHILD_SUBREAPER), so that it can be found, stopped and killed. When the keeper is gone the
warden's socket says so, and the warden kills all that it has. A session's files are a directory on disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from belljar import packets
from belljar.errors import JailUnavailable, SessionLost
from belljar.keeper import disk, outside, policy
from belljar.keeper.boxes import UID_COUNT, Born, Fork, OnExit, Places, Started, Use, identity, inodes
from belljar.keeper.cgroups import Tree
from belljar.keeper.channel import PacketChannel, Reply
from belljar.keeper.inside import Runtime, write_zip
from belljar.kernel import Landlock

NEEDED_ABI = 6
"""Of Landlock: without its scopes (Linux 6.12) guests could signal one another and all that is the user's."""
STOP_SECONDS = 5
_PREFIX = "belljar-bare-"
_LOCK = "lock"
_INSIDE = "inside.zip"
_PROGRAMS = "bin"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class BareBox:
    """A `Box` that is a directory, and at most one warden with its guest."""

    def __init__(
        self,
        directory: Path,
        owner: tuple[int, int],
        runtime: str,
        programs: str,
        confinement: dict[str, Any],
        disk_bytes: int,
    ) -> None:
        self.laps: dict[str, float] = {}
        self.confinement = confinement
        self._disk_bytes = disk_bytes
        self._directory = directory
        for path in (directory, directory / "files", directory / "files/work", directory / "files/output"):
            path.mkdir(mode=0o700)
        (directory / "tmp").mkdir(mode=0o700)
        for path in (directory, *directory.iterdir(), *(directory / "files").iterdir()):
            os.chown(path, *owner)
        self.places = Places(
            str(directory / "files/work"),
            str(directory / "files/work"),
            str(directory / "files/output"),
            str(directory / "tmp"),
            runtime,
            programs,
        )
        self._directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._warden: _Warden | None = None

    def furnished(self, guest_pid: int) -> int:
        """Which it was before."""
        return os.open(self._directory / "files", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def open_temporary(self) -> int:
        """Landlock lets no guest put anything else in its place."""
        return os.open("tmp", _DIRECTORY, dir_fd=self._directory_fd)

    def given(self, warden: _Warden) -> None:
        """A guest was forked; the warden before has ended with its own."""
        if self._warden is not None:
            self._warden.close()
        self._warden = warden

    async def tell(self, op: str, keep: Sequence[int] = ()) -> None:
        """Have the warden signal what descends from it (see `Box`)."""
        if self._warden is None:
            raise SessionLost("the session has no process")
        await self._warden.tell(op, keep)

    def processes(self, guest_pid: int) -> list[int]:
        """What descends from the warden, without itself."""
        if self._warden is None:
            return []
        return [pid for pid in outside.tree(self._warden.pid) if pid != self._warden.pid]

    def connection_bytes(self) -> tuple[int, int]:
        """None: seccomp leaves no such sockets."""
        return 0, 0

    def network_bytes(self, *, is_counted: bool, enough_bytes: int) -> int:
        """None either."""
        return 0

    def kept_bytes(self, *, enough_bytes: int) -> int:
        """None either."""
        return 0

    def use(self) -> Use:
        """By adding up: no file system bounds it. What was deleted and is still open counts."""
        most = inodes(self._disk_bytes)
        seen, names = disk.usage(self._directory_fd, most)
        device = os.fstat(self._directory_fd).st_dev
        for pid in self.processes(-1):
            seen |= outside.deleted_files(pid, device)
        total = sum(seen.values())
        full = "disk_bytes" if total > self._disk_bytes else "disk_inodes" if names > most else None
        return Use(total, names, full)

    def kill(self) -> None:
        """Close the warden's socket: it kills all that it has, and ends."""
        if self._warden is not None:
            self._warden.close()

    async def close(self) -> None:
        """Kill what is in the box, and delete its files."""
        warden, self._warden = self._warden, None
        if warden is not None:
            await warden.end()
        os.close(self._directory_fd)
        await anyio.to_thread.run_sync(disk.remove_tree, self._directory)


class _Warden:
    def __init__(self, sock: socket.socket, pid: int, pidfd: int, on_exit: OnExit, tasks: TaskGroup) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._sock = sock
        self._channel = PacketChannel(sock, "warden", on_exit)
        self._is_closed = False
        tasks.start_soon(self._channel.run)

    async def born(self) -> Reply:
        """The guest's pid, and its pidfd."""
        return await self._channel.ask({"op": "born"})

    async def tell(self, op: str, keep: Sequence[int]) -> None:
        # Not to be left half way: the next one relies on its effect.
        with anyio.CancelScope(shield=True):
            await self._channel.ask({"op": op, "keep": list(keep)})

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._sock.shutdown(socket.SHUT_RDWR)

    async def end(self) -> None:
        """Wait until it has killed everything and ended."""
        self.close()
        with anyio.move_on_after(STOP_SECONDS):
            await anyio.wait_readable(self._pidfd)
        self._channel.close()
        os.close(self._pidfd)


class BareSite:
    """A `Site` without namespaces. Made by `start`."""

    has_namespaces = False
    is_lost = False

    def __init__(
        self,
        home: Path,
        runtime: Runtime,
        program: bytes,
        uid_base: int | None,
        tree: Tree | None,
        tasks: TaskGroup,
        on_exit: OnExit,
    ) -> None:
        self._home = home
        self._runtime = runtime
        self.program = program
        self._tree = tree
        self._reads = policy.readable(runtime.path, runtime.base_prefix, home / _INSIDE)
        self._reads.append(str(home / _PROGRAMS))
        self._uid_base = uid_base
        self._tasks = tasks
        self._on_exit = on_exit
        self.has_own_uids = uid_base is not None
        self.laps: dict[str, float] = {}

    def identity(self, index: int) -> tuple[int, int]:
        """The uid and gid, on this machine, of the guest of session number `index` (1 to 65,535)."""
        return identity(self._uid_base, index)

    async def make_box(self, index: int, disk_bytes: int) -> BareBox:
        """A directory of its own for session number `index`. Raises SessionLost."""
        owner = self.identity(index)
        directory = self._home / f"session-{secrets.token_hex(8)}"
        confinement = {
            "identity": owner[0] if self.has_own_uids else None,
            "reads": self._reads,
            "writes": [str(directory / "files"), str(directory / "tmp")],
            # Where nothing can stand in for it: see `policy.view`.
            "devices": policy.devices(has_zero=self._tree is not None),
            "furniture": None,
        }
        try:
            return BareBox(
                directory,
                owner,
                str(self._runtime.path),
                str(self._home / _PROGRAMS),
                confinement,
                disk_bytes,
            )
        except OSError as error:
            raise SessionLost(f"a session's directory could not be made: {error}") from error

    async def start_zygote(self) -> Started:
        """Exec one as our own child."""
        ours, theirs = packets.pair()
        temporary = str(self._home / "zygote")
        os.makedirs(temporary, exist_ok=True)
        places = Places("", "", "", temporary, str(self._runtime.path), str(self._home / _PROGRAMS))
        command = [
            str(self._runtime.python), "-I", "-B", str(self._home / _INSIDE), "zygote", str(theirs.fileno())
        ]  # fmt: skip
        with theirs:
            process = subprocess.Popen(
                command,
                env=policy.zygote_environment(places),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=2,
                pass_fds=[theirs.fileno()],
            )
        outside.offer_first(process.pid)
        if self._tree is not None:
            self._tree.attach_own(process.pid)

        def end() -> None:
            process.kill()
            process.wait()

        return Started(ours, end)

    async def fork_guest(self, fork: Fork, box: BareBox, packet: dict[str, Any], fds: Sequence[int]) -> Born:
        """Have a zygote's `fork` make a warden and its guest for the box, with `fds` = (stdout, stderr, control)."""
        ours, theirs = packets.pair()
        started = time.perf_counter()
        with theirs:
            try:
                reply = await fork(packet, [*fds, theirs.fileno()])
                ours.setblocking(False)
            except BaseException:
                ours.close()
                raise
        warden_pidfd = reply.fds[0]
        warden = _Warden(ours, outside.pid_of(warden_pidfd), warden_pidfd, self._on_exit, self._tasks)
        box.given(warden)
        born = await warden.born()
        return Born(born.packet["pid"], born.fds[0], {"fork": time.perf_counter() - started})


@asynccontextmanager
async def start(
    runtime: Runtime,
    uid_base: int,
    tasks: TaskGroup,
    tree: Tree | None,
    on_exit: OnExit,
) -> AsyncIterator[BareSite]:
    """Make a place on the machine itself. Raises JailUnavailable where Landlock is too old for that."""
    if Landlock.abi() < NEEDED_ABI:
        raise JailUnavailable(
            "without user namespaces Landlock has to keep guests from signalling and connecting to all that is the "
            "user's: Linux 6.12 or newer (Landlock ABI 6)"
        )
    uids = _uids(uid_base, runtime)
    program = policy.filter_program(
        has_memory_cgroup=tree is not None,
        has_own_network=False,
        has_own_uid=uids is not None,
        are_cores_piped=outside.are_cores_piped(),
    )
    with _home(readable_by_all=uids is not None) as home:
        with (home / _INSIDE).open("wb") as archive:
            write_zip(archive)
            os.fchmod(archive.fileno(), 0o444)
        (home / _PROGRAMS).mkdir()
        for name, text in policy.programs(str(runtime.python), str(home / _INSIDE)).items():
            (home / _PROGRAMS / name).write_text(text)
            (home / _PROGRAMS / name).chmod(0o555)
        yield BareSite(home, runtime, program, uids, tree, tasks, on_exit)


def _uids(uid_base: int, runtime: Runtime) -> int | None:
    if not outside.has_uid_range(uid_base, UID_COUNT):
        return None
    if not outside.may_look_into_others():
        raise JailUnavailable(
            "guests have uids of their own, and without CAP_SYS_PTRACE nobody sees which files and memory they hold: "
            "add that capability (docker run --cap-add SYS_PTRACE), or start Belljar as an ordinary user"
        )
    for path in (runtime.path, runtime.base_prefix, Path(tempfile.gettempdir())):
        if closed := outside.closed_to_others(path):
            raise JailUnavailable(
                f"guests have uids of their own, and {closed} keeps them from {path}: `chmod o+x {closed}`, or set "
                "BELLJAR_RUNTIME to an environment, and TMPDIR to a directory, that all users may reach"
            )
    return uid_base


@contextmanager
def _home(*, readable_by_all: bool) -> Iterator[Path]:
    """A directory on disk for this keeper's sessions. Those of keepers that are dead, and left theirs, are deleted."""
    _remove_left_over()
    made = Path(tempfile.mkdtemp(prefix="belljar-new-"))
    lock = os.open(made / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    # Under this name it is locked from the first moment: without a lock another keeper deletes it.
    home = made.rename(made.with_name(_PREFIX + made.name.removeprefix("belljar-new-")))
    try:
        if readable_by_all:
            home.chmod(0o711)  # to be passed through, not to be listed
        yield home
    finally:
        disk.remove_tree(home)
        os.close(lock)


def _remove_left_over() -> None:
    for home in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or one that is just being made
            lock = os.open(home / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                disk.remove_tree(home)
            finally:
                os.close(lock)
