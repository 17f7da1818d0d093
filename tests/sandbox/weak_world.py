"""The world of the weak box: everything that a hostile program may break, and nothing else. Run by `weak.py`.

`main` reads what to do as JSON, enters fresh namespaces of every kind, and as their pid 1 builds a machine of its own:
a root whose directories are this machine's, with every change kept in memory; its own /proc, /dev, /tmp and loopback;
the bait, and a neighbour. It starts the naive runner, looks at what is left, answers with JSON and ends; with pid 1
the kernel ends everything that is in here.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import loopback

from belljar import kernel
from belljar.client.bait import Bait

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
WORK, OUTPUT = Path("/files/work"), Path("/files/output/0")
BUILT = "weak world: built"
"""On standard error; what goes wrong from there on is the program's work."""
_SCRATCH = "/mnt"
_NOT_COPIED = {"dev", "files", "mnt", "proc", "run", "sys", "tmp"}
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_PATIENCE_SECONDS = 5
"""With the runner, beyond the time that its program may take, and with what it then does to the files."""


def main() -> None:
    """Enter the world and wait for its end."""
    spec: dict[str, Any] = json.load(sys.stdin)
    for name, value in spec["rlimits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    uid, gid = os.geteuid(), os.getegid()
    flags = kernel.NAMESPACES & ~(kernel.CLONE_NEWUSER if spec["has_root"] else 0)
    kernel.unshare(flags)
    if not spec["has_root"]:
        kernel.write_file("/proc/self/setgroups", "deny")
        kernel.write_file("/proc/self/uid_map", f"0 {uid} 1")
        kernel.write_file("/proc/self/gid_map", f"0 {gid} 1")
    # Out of the way of what the program inherits, and closed by each exec.
    answer = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 100)
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    # With the default action the kernel protects pid 1 from what is sent inside its namespace.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.dup2(2, 1)
    os.setsid()
    _build_root()
    loopback.bring_up()
    print(BUILT, file=sys.stderr, flush=True)
    text = json.dumps(_seen(spec)).encode()
    with open(answer, "wb") as file:
        file.write(text)
    os._exit(0)


def _build_root() -> None:
    """This machine's directories, each below a layer of memory, so that what is changed is changed in here only."""
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    names = os.listdir("/")
    kernel.mount("weak", _SCRATCH, "tmpfs", 0, "mode=755,size=300m")
    root = f"{_SCRATCH}/root"
    os.mkdir(root)
    kernel.mount(root, root, None, kernel.MS_BIND)  # pivot_root wants a mount
    for name in sorted({*names, *_NOT_COPIED}):
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
        elif name in _NOT_COPIED or os.path.isdir(f"/{name}"):
            os.mkdir(f"{root}/{name}")
            if name not in _NOT_COPIED:
                _overlay(f"/{name}", root)
    kernel.mount("proc", f"{root}/proc", "proc", 0)
    # Read-only, because not all of it belongs to a namespace.
    kernel.mount("sysfs", f"{root}/sys", "sysfs", 1)
    kernel.mount("tmp", f"{root}/tmp", "tmpfs", 0, "mode=1777,size=300m")
    for path in sorted({sys.prefix, sys.base_prefix, str(CHECKOUT)}):
        if path.split("/")[1] in _NOT_COPIED and not os.path.isdir(f"{root}{path}"):
            os.makedirs(f"{root}{path}")
            _overlay(path, root)
    kernel.mount("run", f"{root}/run", "tmpfs", 0, "mode=755,size=300m")
    kernel.mount("dev", f"{root}/dev", "tmpfs", 0, "mode=755,size=4m")
    for name in _DEVICES:
        Path(f"{root}/dev/{name}").touch()
        kernel.mount(f"/dev/{name}", f"{root}/dev/{name}", None, kernel.MS_BIND)
    for name, kind, options in (
        ("pts", "devpts", "newinstance,ptmxmode=0666"),
        ("shm", "tmpfs", "mode=1777,size=300m"),
        ("mqueue", "mqueue", ""),
    ):
        os.mkdir(f"{root}/dev/{name}")
        kernel.mount(name, f"{root}/dev/{name}", kind, 0, options)
    os.symlink("pts/ptmx", f"{root}/dev/ptmx")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{root}/dev/{name}")
    os.symlink("/proc/self/fd", f"{root}/dev/fd")
    os.chdir(root)
    kernel.pivot_root(".", ".")
    kernel.umount(".", kernel.MNT_DETACH)
    os.chdir("/")
    for path in (WORK, OUTPUT):
        path.mkdir(parents=True)


def _overlay(path: str, root: str) -> None:
    name = path.strip("/").replace("/", "-")
    changes, scratch = f"{_SCRATCH}/changes-{name}", f"{_SCRATCH}/scratch-{name}"
    os.mkdir(changes)
    os.mkdir(scratch)
    options = f"lowerdir={path},upperdir={changes},workdir={scratch},userxattr"
    # One with mounts in it cannot be a layer; then the program does without, as /home where it is a disk of its own.
    with contextlib.suppress(OSError):
        kernel.mount("overlay", f"{root}{path}", "overlay", 0, options)


def _seen(spec: dict[str, Any]) -> dict[str, Any]:
    """Have the program run, and say what came of it."""
    with Bait(loopback.ADDRESSES, (0, *loopback.SERVICES)) as bait, _neighbour() as asked:
        own = _processes()
        before = asked()
        seen, harmed = _run(spec, bait)
        has_survived = spec["is_surviving"] and _grows(WORK / "heartbeat")
        if (after := asked()) != before:
            harmed.append(f"another session answers {after!r}, and said {before!r} before")
        harmed += bait.harmed()
        if left := _left(own):
            harmed.append(f"{left} processes are left")
        return {"secret": bait.secret, "seen": seen, "has_survived": has_survived, "harmed": harmed}


def _run(spec: dict[str, Any], bait: Bait) -> tuple[list[dict[str, Any]], list[str]]:
    place = Path("/run/runner")
    place.mkdir()
    asked = spec | {
        "bait": bait.told(),
        "secret": bait.secret,
        "answer": str(place / "answer"),
        "files": str(place / "files"),
    }
    (place / "spec").write_text(json.dumps(asked))
    runner = subprocess.Popen(
        [sys.executable, str(HERE / "weak_runner.py"), str(place / "spec")],
        stdin=subprocess.DEVNULL,
        stdout=2,
    )
    harmed = []
    code = _wait(runner, place / "answer", spec["runs"] * spec["timeout_seconds"])
    if code is None:
        harmed.append("the runner does not come back")
    elif code:
        harmed.append(f"the runner has ended ({code})")
    seen: list[dict[str, Any]] = []
    # It writes down what was printed before it looks at the files, which is where it may well hang.
    for name in ("files", "answer"):
        with contextlib.suppress(OSError, ValueError):
            seen = seen or json.loads((place / name).read_text())
    return seen, harmed


def _wait(runner: subprocess.Popen[bytes], answer: Path, seconds: float) -> int | None:
    """How the runner ended; None when it did not, in the time of its program and some more, and was killed."""
    deadline = time.monotonic() + seconds + _PATIENCE_SECONDS
    is_collecting = False
    while time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return runner.wait(0.05)
        if not is_collecting and answer.exists():
            is_collecting, deadline = True, time.monotonic() + _PATIENCE_SECONDS
    runner.kill()
    runner.wait()
    return None


@contextlib.contextmanager
def _neighbour() -> Iterator[Callable[[], str]]:
    """Another session's process, which keeps a word and says it whenever it is asked."""
    code = "kept = input()\nwhile True:\n    input()\n    print(kept, flush=True)"
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(f"{secrets.token_hex(8)}\n")
    process.stdin.flush()
    try:
        yield lambda: _ask(process)
    finally:
        process.kill()


def _ask(process: subprocess.Popen[str]) -> str:
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write("?\n")
        process.stdin.flush()
    except OSError:
        return "nothing, and is gone"
    if not select.select([process.stdout], [], [], 2)[0]:
        return "nothing"
    return process.stdout.readline()


def _grows(path: Path) -> bool:
    sizes = []
    for wait in (0.4, 0.0):
        sizes.append(path.stat().st_size if path.is_file() else 0)
        time.sleep(wait)
    return sizes[1] > sizes[0]


def _processes() -> set[int]:
    """All that live in here."""
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state = Path(f"/proc/{name}/stat").read_text().rpartition(") ")[2][0]
            if state not in "ZX":
                found.add(int(name))
    return found


def _left(own: set[int]) -> int:
    """How many processes there are still, when those that were about to end have ended."""
    deadline = time.monotonic() + 1
    while (left := _processes() - own) and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(left)


if __name__ == "__main__":
    main()
