"""Servers in the background: whether one is up, how one is started, and how it ends."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from belljar import private, warm
from belljar.commands import Failure

_START_SECONDS = 180
_END_SECONDS = 150
"""A server gives requests ten seconds, and puts containers away for a minute."""
_TURN = "turn"


@dataclass(frozen=True)
class Server:
    """One that has a state directory."""

    place: Path
    pid: int
    facts: dict[str, str] | None
    """What it says of itself; None while it starts or ends."""


def find(state_dir: Path) -> Server | None:
    """The server of a state directory. What one has left that was killed is none."""
    place = state_dir.absolute() / warm.FOLDER
    try:
        with open(place / warm.LOCK) as lock:
            if _is_free(lock.fileno()):
                return None
            pid = lock.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    facts = warm.read_record(str(place))
    return Server(place, int(pid) if pid.isdigit() else 0, facts if facts and facts["pid"] == pid else None)


def _is_free(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(fd, fcntl.LOCK_UN)
    return True


@contextmanager
def turn(state_dir: Path) -> Iterator[Path]:
    """Be the only one that starts a server; yields the place of its sockets."""
    place = state_dir.absolute() / warm.FOLDER
    private.make_directory(state_dir.absolute())
    place.mkdir(exist_ok=True, mode=0o700)
    with open(place / _TURN, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield place


@contextmanager
def starting(
    place: Path, settings: dict[str, str], arguments: Sequence[str], *, ends_with_us: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server, and wait until it is ready. Where the block fails it is ended again. Raises Failure.

    `settings` are of the environment, by their whole names.
    """
    log = place / warm.LOG
    if log.exists():
        log.replace(log.with_suffix(".old"))
    ready, told = os.pipe()
    try:
        # To append is what lets the server empty it while the keeper writes there too.
        with open(log, "ab", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", "belljar.gateway.background", str(told), *arguments],
                stdin=subprocess.PIPE if ends_with_us else subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                pass_fds=[told],
                env=os.environ | settings,
                start_new_session=True,  # neither Ctrl-C nor the end of the terminal is for it
            )
        os.close(told)
        told = -1
        try:
            _wait_until_ready(ready, process, log)
            yield process
        except BaseException:
            process.terminate()
            process.wait()
            raise
    finally:
        os.close(ready)
        if told >= 0:
            os.close(told)


def _wait_until_ready(ready: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    said = b""
    has_let_go = False
    while not has_let_go and select.select((ready,), (), (), max(0.0, until - time.monotonic()))[0]:
        piece = os.read(ready, 4096)
        said += piece
        has_let_go = not piece
    word, _, rest = said.decode("utf-8", "replace").partition(" ")
    if word == "ready":
        return
    if word == "failed":
        process.wait()
        raise Failure(rest)
    if not has_let_go:
        raise Failure(f"The server was not ready after {_START_SECONDS} s. Its log says more: {log}")
    raise Failure(f"The server has ended before it was ready ({process.wait()}). Its log says more: {log}")


def end(server: Server) -> None:
    """Have it end, and wait for that. Raises Failure."""
    try:
        process = os.pidfd_open(server.pid)
    except ProcessLookupError:
        return
    try:
        now = find(server.place.parent)
        if now is None or now.pid != server.pid:
            return  # it has ended meanwhile, and the number may be another's
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if not select.select((process,), (), (), _END_SECONDS)[0]:
            raise Failure(
                f"The server (pid {server.pid}) is still ending after {_END_SECONDS} s; its log says more: "
                f"{server.place / warm.LOG}. kill -9 {server.pid} ends it at once, and containers come back as they "
                "were last put away."
            )
    except PermissionError as error:
        raise Failure(f"The server (pid {server.pid}) is another user's, who can end it.") from error
    finally:
        os.close(process)


def memory_bytes(pid: int) -> tuple[int, int]:
    """What a process and all below it have in memory, each page once as far as this user may know; and how many they
    are."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            words = _read(f"/proc/{entry.name}/stat").rpartition(b")")[2].split()
            if len(words) > 1:
                children.setdefault(int(words[1]), []).append(int(entry.name))
    total, found = 0, [pid]
    for one in found:
        found += children.get(one, [])
        total += _own_bytes(one)
    return total, len(found)


def _own_bytes(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    words = _read(f"/proc/{pid}/statm").split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE") if len(words) > 1 else 0


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # it has ended, or is nothing for this user to see
        return b""
