"""A program for the jail: `imported_alone.py MODULE` imports one module, and prints as JSON what that did.

It runs on the runtime's Python, and uses the standard library only.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
import threading
import time
from typing import Any

_SETTLE_SECONDS = 0.3
"""For threads that end by themselves."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = frozenset(
    ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
)
_MOST = 5

forks: list[str] = []
writes: list[str] = []


def hook(event: str, arguments: tuple[Any, ...]) -> None:
    """Hear of what is done through Python."""
    if event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & _WRITING:
            note_write(path)
    elif event in _CHANGES:
        for path in arguments[:2]:
            note_write(path)
    elif event in ("os.fork", "os.forkpty"):
        forks.append(f"{event} was called")


def note_write(path: object) -> None:
    """Keep in mind what is in the runtime's own directory."""
    if isinstance(path, bytes | os.PathLike):
        path = os.fsdecode(path)
    if isinstance(path, str):
        whole = os.path.abspath(path)
        if whole.startswith(sys.prefix + "/") and whole not in writes:
            writes.append(whole)


def open_files() -> dict[str, str]:
    """Descriptors, each with what it is of."""
    found = {}
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:  # without a /proc
        names = [str(fd) for fd in range(1024)]
    for name in names:
        try:
            os.fstat(int(name))
        except OSError:
            continue  # closed, or the one that the list was read by
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            found[name] = "a file"
    return found


def threads() -> list[str]:
    """All but the first: those of Python by name, and how many others there are."""
    named = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    try:
        others = len(os.listdir("/proc/self/task")) - 1 - len(named)
    except OSError:
        others = 0
    return named + ([f"{others} that Python does not know"] if others > 0 else [])


def is_parent() -> bool:
    """Whether there is a child, alive or not waited for."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def main() -> None:
    """Import, look, report."""
    module, report = sys.argv[1], os.dup(1)
    os.dup2(2, 1)  # what the module prints is not to stand in the report
    before = open_files()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    problems = []
    sys.addaudithook(hook)
    started = time.perf_counter()
    try:
        importlib.import_module(module)
    except BaseException as error:  # noqa: BLE001 - SystemExit too
        problems.append(("fails", f"{type(error).__name__}: {error}"))
    seconds = time.perf_counter() - started
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    deadline = time.monotonic() + _SETTLE_SECONDS
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    gc.collect()
    if left := threads():
        problems.append(("threads", f"left running: {', '.join(left[:_MOST])}"))
    opened = {fd: name for fd, name in open_files().items() if before.get(fd) != name}
    if opened:
        problems.append(("opens", f"left open: {', '.join(sorted(opened.values())[:_MOST])}"))
    if is_parent():
        forks.append("a child process is left")
    if forks:
        problems.append(("forks", ", ".join(dict.fromkeys(forks))))
    if writes:
        problems.append(("writes", f"into the runtime's own directory: {', '.join(writes[:_MOST])}"))
    answer = {"seconds": seconds, "memory_bytes": max(0, grown) * 1024, "problems": problems}
    os.write(report, json.dumps(answer).encode())
    os._exit(0)  # what it has left running is not waited for


if __name__ == "__main__":
    main()
