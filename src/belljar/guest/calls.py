"""Shell commands and edits, side by side.

What a command prints comes by pipes of its own and goes to the keeper as it comes, with the number of the call. A call
is over with its own process: what that has left behind in its process group is killed, and what has left the group is
for the keeper to kill.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from belljar.frames import Message
from belljar.guest import bash, editor

Send = Callable[[Message], None]

_AT_ONCE = 16
"""Commands; each may start processes of its own, and together they have the session's limit."""
_PIECE_BYTES = 65536
_CRUMB_BYTES = 4096
_GATHER_SECONDS = 0.02
"""Who writes byte by byte is not to be a message for each."""
_GRACE_SECONDS = 0.5
"""For commands that were interrupted, to end by themselves."""
_LEFT_BYTES = 1024 * 1024
"""Of what is still in a pipe when its command has ended; others may go on writing into it for ever."""


class Calls:
    """The calls of one run."""

    def __init__(self, calls: list[dict[str, Any]], send: Send) -> None:
        self._calls = calls
        self._send = send
        self._commands: list[_Command] = []
        self._waiting: deque[tuple[int, dict[str, Any]]] = deque()

    def run(self) -> None:
        """Run all. Where KeyboardInterrupt ends that, `end` has to be called."""
        self._waiting.extend(
            (number, call) for number, call in enumerate(self._calls) if call["kind"] == "bash"
        )
        self._begin_some()
        # While the commands run: an edit that takes long is one of a large file, and keeps no command from starting.
        for number, call in enumerate(self._calls):
            if call["kind"] == "edit":
                result = editor.edit(call["input"], os.environ)
                self._send(Message("called", {"call": number, "return_code": 0}, json.dumps(result).encode()))
        self._pump(None)

    def end(self) -> None:
        """End what still runs, after SIGINT, which all of it has had as well, and pass on what it wrote."""
        self._waiting.clear()
        self._pump(time.monotonic() + _GRACE_SECONDS)
        for command in self._commands:
            command.signal(signal.SIGKILL)
        self._pump(time.monotonic() + _GRACE_SECONDS)

    def _begin_some(self) -> None:
        """Start as many commands as may run at once."""
        while self._waiting and sum(command.is_running for command in self._commands) < _AT_ONCE:
            self._begin(*self._waiting.popleft())

    def close(self) -> None:
        """Let go of what the calls had."""
        for command in self._commands:
            command.close()

    def _begin(self, number: int, call: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # no space left, say: for the command to find, and to mend
            os.makedirs(call["output_dir"], exist_ok=True)
        try:
            process = subprocess.Popen(
                [*bash.COMMAND, "-c", call["command"]],
                env={**os.environ, "OUTPUT_DIR": call["output_dir"]},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            self._send(
                Message(
                    "said", {"call": number, "name": "stderr"}, f"bash: {error}\n".encode(errors="replace")
                )
            )
            self._send(Message("called", {"call": number, "return_code": 126}))
            return
        self._commands.append(_Command(number, process, self._send))

    def _pump(self, deadline: float | None) -> None:
        """Pass on what the commands write, until all have ended, or the deadline has come."""
        is_gathering = False
        while running := [command for command in self._commands if command.is_running]:
            poll = select.poll()
            fds = {}
            for command in running:
                for fd in command.fds(with_pipes=not is_gathering):
                    poll.register(fd, select.POLLIN)
                    fds[fd] = command
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if is_gathering:
                left = _GATHER_SECONDS if left is None else min(left, _GATHER_SECONDS)
            ready = [fd for fd, _ in poll.poll(None if left is None else left * 1000)]
            if deadline is not None and time.monotonic() > deadline:
                return
            taken = sum(fds[fd].take(fd) for fd in ready)
            is_gathering = 0 < taken < _CRUMB_BYTES
            for command in running:
                command.end_if_over()
            self._begin_some()


def _end_of(pid: int) -> int:
    """A descriptor that becomes readable when the child ends, which is not reaped by that."""
    with contextlib.suppress(
        PermissionError
    ):  # of a guest that stands on the machine, among others' processes
        return os.pidfd_open(pid)
    ended, ends = os.pipe()

    def wait() -> None:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        os.close(ends)

    threading.Thread(target=wait, daemon=True).start()
    return ended


class _Command:
    """One shell, and its pipes."""

    def __init__(self, number: int, process: subprocess.Popen[bytes], send: Send) -> None:
        self._number = number
        self._process = process
        self._send = send
        self._ended = _end_of(process.pid)
        assert process.stdout is not None and process.stderr is not None
        self._pipes = {process.stdout.fileno(): "stdout", process.stderr.fileno(): "stderr"}
        for fd in self._pipes:
            os.set_blocking(fd, False)
        self.is_running = True

    def fds(self, *, with_pipes: bool) -> list[int]:
        """What becomes readable when it has ended, or has written something."""
        return [self._ended, *(self._pipes if with_pipes else ())]

    def signal(self, number: int) -> None:
        """Signal what is in its process group; not reaped, its number is no other's."""
        if self.is_running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def take(self, fd: int) -> int:
        """Pass on what is in a pipe; how many bytes that are."""
        name = self._pipes.get(fd)
        if name is None:
            return 0  # the shell itself: see `end_if_over`
        try:
            data = os.read(fd, _PIECE_BYTES)
        except BlockingIOError:
            return 0
        if data:
            self._send(Message("said", {"call": self._number, "name": name}, data))
        else:
            del self._pipes[fd]  # closed by all who had it; the shell may go on
        return len(data)

    def end_if_over(self) -> None:
        """Where the shell has ended, kill what it has left in the background, and say how it ended."""
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        if not poll.poll(0):
            return
        self.signal(signal.SIGKILL)
        self.is_running = False
        for fd in list(self._pipes):
            left = _LEFT_BYTES
            while left > 0 and (taken := self.take(fd)):
                left -= taken
        code = self._process.wait()
        self._send(
            Message("called", {"call": self._number, "return_code": code if code >= 0 else 128 - code})
        )

    def close(self) -> None:
        os.close(self._ended)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        if self.is_running:
            self.signal(signal.SIGKILL)
            self._process.wait()
