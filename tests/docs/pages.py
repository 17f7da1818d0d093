"""The pages of the documentation, the blocks of code in them, and a shell in which a page is followed word for word.

The shell has a network of its own, so that the ports which a page names are free, and nothing is asked of others. What
is not ours and not on this machine stands in `stand_ins/`, by its own name: servers of models, `pip`, and what brings
that.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = Path(__file__).with_name("stand_ins")
BELLJAR = Path(sys.executable).with_name("belljar")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(
    r"^(?P<fence>```+)(?P<language>[a-z]*)\n(?P<text>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL
)
_SAVED = re.compile(r"this as `([\w.-]+)`")
_SERVER = re.compile(r"^(?:\w+=\S+ )*(?:\.venv/bin/)?(belljar|vllm|ollama|llama)(?: serve|-server)\b")
_READY_SECONDS = 60


def environment(**more: str) -> dict[str, str]:
    """What programs are started with: nothing of the caller's settings and keys."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANTHROPIC_", "BELLJAR_", "OPENAI_", "UV_"))
    }
    return kept | {"NO_PROXY": "127.0.0.1"} | more


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str
    saved_as: str | None
    """The name under which the page has its reader save it."""
    is_example: bool
    """Its numbers are those of some machine."""


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    end = 0
    for found in _BLOCK.finditer(text):
        before = text[end : found.start()].rstrip().rpartition("\n\n")[2]
        end = found.end()
        saved = _SAVED.search(before)
        line = text.count("\n", 0, found.start()) + 1
        yield Block(
            page.name,
            line,
            found["language"],
            found["text"],
            saved_as=saved[1] if saved else None,
            is_example=before.endswith("for example:"),
        )


class Shell:
    """bash, in a folder of its own, with the servers that the page has started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = secrets.token_hex(8)
        self._servers: list[str] = []
        its_own = environment(
            PATH=f"{STAND_INS}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            BELLJAR_STATE_DIR=str(folder / "state"),
            UV_OFFLINE="1",
            UV_NO_INDEX="1",
            UV_CACHE_DIR=str(folder / "cache"),
            UV_FIND_LINKS=str(folder / "wheels"),
            CHECKOUT=str(ROOT),
            STAND_IN_PYTHON=sys.executable,
        )
        work = folder / "work"
        work.mkdir()
        (work / ".venv").symlink_to(Path(sys.prefix))
        self._bash = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("alone.py"), "bash"],
            cwd=work,
            env=its_own,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.work = work
        # Pages put folders of their own before the others of PATH.
        self._say(f'python3() {{ {STAND_INS}/python3 "$@"; }}\n')
        self._say(f"set -E -o pipefail; trap 'echo {self._mark} failed: $BASH_COMMAND' ERR\n")

    def run(self, block: str) -> str:
        """What the commands print; servers are started behind the others. Raises AssertionError where one fails."""
        printed = ""
        for command in _commands(block):
            if found := _SERVER.match(command):
                self._start(found[1], command)
            else:
                printed += self._say(command)
        return printed

    def _start(self, name: str, command: str) -> None:
        if name in self._servers:
            self._stop(name)  # the page starts it again in another way
        log = self._folder / f"{name}.log"
        log.unlink(missing_ok=True)
        self._say(f"{re.sub(' #.*', '', command).strip()} >{log} 2>&1 & {name}=$!\n")
        self._servers.append(name)
        deadline = time.monotonic() + _READY_SECONDS
        while "listens on" not in (said := log.read_text() if log.exists() else ""):
            assert time.monotonic() < deadline, f"{command} does not come up: {said}"
            time.sleep(0.05)

    def _stop(self, name: str) -> None:
        self._servers.remove(name)
        self._say(f"kill ${name}; wait ${name} || true\n")

    def _say(self, command: str) -> str:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{command.rstrip()}\nprintf '\\n%s end\\n' {self._mark}\n".encode())
        self._bash.stdin.flush()
        printed = ""
        for line in self._bash.stdout:
            text = line.decode()
            if text == f"{self._mark} end\n":
                return printed.removesuffix("\n")
            assert not text.startswith(self._mark), f"{text.split(' ', 1)[1]}after {printed!r}"
            printed += text
        raise AssertionError(f"the shell has ended: {printed}")

    def close(self) -> None:
        for name in list(self._servers):
            self._stop(name)
        self._bash.communicate(timeout=60)
        # One in the background outlives the shell, where the page was not followed to its end.
        state = environment(BELLJAR_STATE_DIR=str(self._folder / "state"))
        subprocess.run([BELLJAR, "down"], env=state, capture_output=True, timeout=120, check=True)


def _commands(block: str) -> Iterator[str]:
    """Whole commands: of more than one line, where a line says so or a loop goes on."""
    command = ""
    for line in block.splitlines(keepends=True):
        command += line
        is_open = line.endswith("\\\n") or len(re.findall(r"^\s*for ", command, re.MULTILINE)) > len(
            re.findall(r"^\s*done\b", command, re.MULTILINE)
        )
        if not is_open and command.strip():
            yield command
            command = ""
    assert not command.strip(), f"a command that does not end: {command}"
