"""The command as a person types it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BELLJAR = Path(sys.executable).with_name("belljar")
SECONDS = 120

Seen = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Command:
    """The command as a person types it, with no settings but those given."""

    state: Path
    cwd: Path

    def environment(self, **more: str) -> dict[str, str]:
        foreign = ("BELLJAR_", "ANTHROPIC_", "OPENAI_", "KITTY_", "TERM", "NO_COLOR", "COLUMNS", "_BELLJAR")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return inherited | {"BELLJAR_STATE_DIR": str(self.state)} | more

    def __call__(self, *arguments: str, stdin: str = "", cwd: Path | None = None, **more: str) -> Seen:
        return subprocess.run(
            [str(BELLJAR), *arguments],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # for standard input that is no text
            timeout=SECONDS,
            cwd=cwd or self.cwd,
            env=self.environment(**more),
        )

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(BELLJAR), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.cwd,
            env=self.environment(**more),
        )

    def json(self, *arguments: str, **more: str) -> Any:
        seen = self(*arguments, "--json", **more)
        assert seen.returncode == 0, seen.stderr
        return json.loads(seen.stdout)

    @property
    def log(self) -> str:
        """Of the server in the background."""
        return (self.state / "server" / "log").read_text()

    def has_run(self, count: int) -> bool:
        """Whether that server has run so many programs, or does in the time that it takes to write a line."""
        until = time.monotonic() + 5
        while self.log.count('"ran": true') < count and time.monotonic() < until:
            time.sleep(0.01)
        return self.log.count('"ran": true') == count


SMALL = {"BELLJAR_PRELOAD": '{"bare": []}', "BELLJAR_PARKED": "1"}
"""A server that takes little to start."""


class Terminal:
    """A person at a terminal."""

    def __init__(self, belljar: Command, *arguments: str, columns: int = 80, **more: str) -> None:
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [str(BELLJAR), *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=belljar.cwd,
            env=belljar.environment(**{"TERM": "xterm-256color", **more}),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self._fd = ours
        self.raw = ""

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def wait_for(self, text: str, seconds: float = 60) -> str:
        """What is on the screen, without colours, until this is there behind all that was waited for before."""
        until = time.monotonic() + seconds
        while text not in (seen := _plain(self.raw)):
            assert time.monotonic() < until, seen
            if select.select((self._fd,), (), (), 1)[0]:
                with contextlib.suppress(OSError):
                    self.raw += os.read(self._fd, 65536).decode("utf-8", "replace")
        self.raw = ""
        return seen

    def read_to_end(self, answer: str = "") -> str:
        """All that comes, with colours; `answer` is what the terminal says of itself where it is asked."""
        with contextlib.suppress(OSError):  # that is how a terminal says that its other end is closed
            while piece := os.read(self._fd, 65536).decode("utf-8", "replace"):
                self.raw += piece
                if "\x1b[c" in piece and answer:
                    self.type(answer)
        self.process.wait(60)
        os.close(self._fd)
        return self.raw

    def end(self) -> int:
        """Ctrl-D, again where it has come before the command had begun to read."""
        try:
            for _ in range(30):
                self.type("\x04")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return self.process.wait(2)
            raise AssertionError("it does not end")
        finally:
            self.process.kill()
            os.close(self._fd)


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "")


def children(pid: int) -> list[int]:
    """What a command has started itself, and has not ended."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
