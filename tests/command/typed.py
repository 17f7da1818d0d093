"""The command as a person types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
            text=True,
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
