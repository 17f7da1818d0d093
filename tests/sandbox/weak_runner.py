"""The sandbox that everybody writes first: weak on purpose. Run inside the world of `weak_world.py`, and nowhere else.

It believes what it is told. Each weakness stands at its place:

- exit codes and the names of exceptions are taken for what a limit would have done;
- a message on the control channel is taken at its word, whichever run it names;
- output and messages are read into memory without an end, and an error that nobody thought of ends the runner;
- at the time-out the direct child is killed, and nobody else;
- results are collected by name, following links, and by opening whatever is there;
- two sessions share files, processes, network and memory;
- (`forks/` and what may repeat itself) a session is a bare clone of a warm process, with its random numbers,
  descriptors, mappings, signal handlers and environment, and with the same pid as all others.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import importlib
import json
import mmap
import os
import platform
import select
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from belljar import kernel
from belljar.frames import Decoder, Message, encode

WORK, OUTPUT = Path("/files/work"), Path("/files/output/0")
MAX_FILES, MAX_BYTES = 256, 1024 * 1024
_CODES = {137: "out_of_memory", -9: "out_of_memory", 124: "timed_out", 130: "interrupted", -2: "interrupted"}
_NAMES = {
    "MemoryError": "out_of_memory",
    "No space": "disk_full",
    "KeyboardInterrupt": "interrupted",
    "TimeoutError": "timed_out",
    "output limit": "output_exceeded",
}


class Session:
    """One run of the program, from the runner's side."""

    def __init__(self, pid: int, out: int, err: int, control: socket.socket) -> None:
        self.pid = pid
        self.stdout, self.stderr = bytearray(), bytearray()
        self.displays: list[bytes] = []
        self.finished: Message | None = None
        self._control = control
        self._over = threading.Event()
        self._readers = [
            threading.Thread(target=target, args=arguments, daemon=True)
            for target, *arguments in (
                (_read, out, self.stdout),
                (_read, err, self.stderr),
                (self._listen,),
            )
        ]

    def wait(self, deadline: float) -> dict[str, Any]:
        """How it ended, as far as this runner can tell."""
        for reader in self._readers:
            reader.start()
        pidfd = os.pidfd_open(self.pid)
        has_ended = False
        while not has_ended and self.finished is None and time.monotonic() < deadline:
            has_ended = bool(select.select([pidfd], [], [], 0.02)[0])
        if not has_ended:
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            status = os.waitpid(self.pid, 0)[1]
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        # All of them, for a clone made beside a thread is born with the locks that it held. Whoever has inherited a
        # pipe keeps it open.
        for reader in self._readers:
            reader.join(1)
        code = os.waitstatus_to_exitcode(status)
        return {
            "status": self._status(code, is_late=not has_ended and self.finished is None),
            "stdout": _text(self.stdout),
            "stderr": _text(self.stderr),
            "returned": self.displays,
        }

    def _status(self, code: int, *, is_late: bool) -> str:
        if self.finished is not None:
            return str(self.finished.head.get("status"))
        if is_late:
            return "timed_out"
        if code in _CODES:
            return _CODES[code]
        if code == 0:
            return "completed"
        if code < 0:
            return "crashed"
        last = self.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        for name, status in _NAMES.items():
            if name in last:
                return status
        return "raised" if b"Traceback" in self.stderr else "exited"

    def _listen(self) -> None:
        decoder = Decoder(1 << 40)
        while data := self._control.recv(1 << 20):
            for message in decoder.feed(data):
                if message.kind == "display":
                    self._show(message)
                else:
                    self.displays.append(message.body)
                    self.finished = message

    def _show(self, message: Message) -> None:
        at = 0
        for _, size in message.head["parts"]:
            self.displays.append(message.body[at : at + size])
            at += size
        self._control.sendall(encode(Message("shown", {"number": message.head.get("number")})))


def _read(fd: int, into: bytearray) -> None:
    while data := os.read(fd, 1 << 16):
        into += data


def _text(data: bytearray) -> str:
    return bytes(data[-4 * MAX_BYTES :]).decode(errors="replace")


# -- starting sessions -------------------------------------------------------------------------------------


def start(spec: dict[str, Any], role: str, *, is_forked: bool) -> Session:
    """A session in a process of its own: a new interpreter, or a copy of this one."""
    ours, theirs = socket.socketpair()
    out, err = os.pipe(), os.pipe()
    flags = kernel.CLONE_NEWPID if is_forked else 0
    # Past Python's and libc's fork hooks, and with the pid that every other session has, too.
    pid = _clone(flags | signal.SIGCHLD) if is_forked else os.fork()
    if pid:
        for fd in (out[1], err[1]):
            os.close(fd)
        theirs.close()
        return Session(pid, out[0], err[0], ours)
    code = 1
    try:
        os.dup2(theirs.fileno(), 3)
        os.dup2(out[1], 1)
        os.dup2(err[1], 2)
        os.chdir(WORK)
        env = spec["env"] | ({"ROLE": role} if role else {})
        if is_forked:
            os.environ.update(env)
            code = _run_here(spec["code"])
        else:
            os.closerange(4, 1024)
            os.execve(sys.executable, [sys.executable, spec["program"]], env)
    finally:
        os._exit(code)


def _run_here(code: str) -> int:
    try:
        exec(compile(code, "program.py", "exec"), {"__name__": "__main__"})
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status & 0xFF


def _clone(flags: int) -> int:
    """clone(2) with the caller's memory copied, and none of the hooks that Python and libc have for forks."""
    number = {"x86_64": 56, "aarch64": 220}[platform.machine()]
    pid: int = kernel.libc.syscall(number, flags, 0, 0, 0, 0, 0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "clone")
    return pid


def warm_up(spec: dict[str, Any]) -> list[Any]:
    """Make this process what a fork server must not be. Returns what has to stay alive."""
    import email.utils
    import http.cookiejar
    import multiprocessing
    import random
    import sqlite3
    import ssl
    import tempfile
    import uuid

    os.environ["SERVICE_TOKEN"] = spec["secret"]
    random.seed(20)
    random.random()
    uuid.uuid1()
    ssl.RAND_bytes(8)
    email.utils.make_msgid()
    multiprocessing.current_process().authkey  # noqa: B018 - made when it is first asked for
    names = tempfile._get_candidate_names()  # type: ignore[attr-defined]
    next(names)
    libc = ctypes.CDLL(None)
    libc.srand(20)
    libc.srandom(20)
    libc.srand48(20)
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.execute("select random()").fetchone()
    with contextlib.suppress(ImportError):
        importlib.import_module("numpy.random").seed(20)
    log = open("/run/runner/log", "w+")  # noqa: SIM115 - left open for every session, with one offset
    log.write(f"token {spec['secret']}\n")
    log.flush()
    os.set_inheritable(log.fileno(), True)
    shared = mmap.mmap(-1, 4096)
    shared.write(spec["secret"].encode())
    listening = socket.socketpair()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    return [names, database, log, shared, listening, http.cookiejar]


# -- results -----------------------------------------------------------------------------------------------


def collect() -> list[bytes]:
    """The files, as `os.walk` and `open` give them."""
    found: list[bytes] = []
    for top in (OUTPUT, WORK):
        for directory, _, names in os.walk(top, followlinks=True):
            for name in names:
                with contextlib.suppress(OSError), open(os.path.join(directory, name), "rb") as file:
                    found += [os.fsencode(name), file.read(MAX_BYTES)]
                if len(found) >= 2 * MAX_FILES:
                    return found
    return found


def _write(path: str, runs: list[dict[str, Any]]) -> None:
    def readable(run: dict[str, Any]) -> dict[str, Any]:
        returned = [base64.b64encode(data[:MAX_BYTES]).decode() for data in run["returned"][: 2 * MAX_FILES]]
        return run | {"returned": returned}

    Path(path).write_text(json.dumps([readable(run) for run in runs]))


def run_all(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """All the program's sessions: those that are there at the same time, and a third where it may repeat itself."""
    is_forked: bool = spec["is_forked"]
    held = warm_up(spec) if is_forked else []
    runs: list[dict[str, Any]] = []
    for roles in spec["rounds"]:
        sessions = [start(spec, role, is_forked=is_forked) for role in roles]
        deadline = time.monotonic() + spec["timeout_seconds"]
        runs += [session.wait(deadline) for session in sessions]
    del held
    return runs


def main() -> None:
    """Run what the file that was named asks for."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    # What one of our threads cannot bear ends us all: nobody thought of it.
    threading.excepthook = lambda error: (traceback.print_exception(error.exc_value), os._exit(70))[0]
    os.dup2(os.open("/dev/null", os.O_RDONLY), 3)  # the number is taken in each session
    place = Path("/tmp/session-1")
    place.mkdir()
    spec["program"] = str(place / "program.py")
    Path(spec["program"]).write_text(spec["code"])
    spec["env"] = {
        "PATH": os.defpath,
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "INPUT_DIR": str(WORK),
        "OUTPUT_DIR": str(OUTPUT),
        "BAIT": spec["bait"],
    }
    if spec["is_forked"]:
        kernel.unshare(kernel.CLONE_NEWPID)
        if pid := os.fork():
            os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF)
    runs = run_all(spec)
    _write(spec["answer"], runs)
    shutil.rmtree(place, ignore_errors=True)
    runs[-1]["returned"] += collect()
    _write(spec["files"], runs)
    os._exit(0)


if __name__ == "__main__":
    main()
