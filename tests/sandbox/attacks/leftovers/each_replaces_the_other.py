"""Keeps six processes that watch each other: when one dies, the next one starts another in its place.

Stopped by: clock, pid namespace
Succeeds by: surviving
Ends: timed_out
Timeout: 2
"""

import contextlib
import os
import signal
import time


def beat() -> None:
    """Say for some time that this process lives."""
    until = time.monotonic() + 20
    with open(os.path.join(os.environ["INPUT_DIR"], "heartbeat"), "ab", 0) as file:
        while time.monotonic() < until:
            file.write(b".")
            time.sleep(0.02)
    os._exit(0)


def turn_deaf() -> None:
    """Ignore every signal that can be ignored."""
    for number in range(1, 65):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)


def is_alive(pid: int) -> bool:
    """Whether there is such a process. The dead leave no trace here, for their parents are deaf to SIGCHLD."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def watch(pid: int) -> None:
    """Beat for as long as `pid` lives; then start another in its place, and watch each other again."""
    until = time.monotonic() + 20
    heartbeat = os.open(
        os.path.join(os.environ["INPUT_DIR"], "heartbeat"), os.O_CREAT | os.O_APPEND | os.O_WRONLY
    )
    for _ in range(50):
        while is_alive(pid) and time.monotonic() < until:
            os.write(heartbeat, b".")
            time.sleep(0.002)
        if time.monotonic() > until:
            break
        me = os.getpid()
        with contextlib.suppress(OSError):
            if (child := os.fork()) == 0:
                os.setsid()
                pid = me
            else:
                pid = child
    os._exit(0)


for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        turn_deaf()
        first = os.getpid()
        if (second := os.fork()) == 0:
            watch(first)
        watch(second)
time.sleep(30)
