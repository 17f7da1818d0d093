"""Exit codes, as docs/command.md has them."""

from __future__ import annotations

import pytest
from typed import Command

SEGFAULT = "import ctypes; ctypes.string_at(0)"
CAUGHT = """
import contextlib
for name in "ab":
    with contextlib.suppress(OSError):
        open(f"/tmp/{name}", "wb", 0).write(bytes(400 * 2**20))
"""
FULL = "f = open('/tmp/a', 'wb', 0)\nfor _ in range(600): f.write(b'x' * 2**20)"


@pytest.mark.parametrize(
    ("code", "expected", "said"),
    [
        ("pass", 0, ""),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("raise SystemExit(42)", 42, ""),
        ("while True: pass", 124, "stopped after 1 s"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143, ""),
        (SEGFAULT, 139, "belljar: "),
        ("x = []\nwhile True: x.append(b'x' * 10**6)", 137, "memory"),
        (
            FULL,
            1,
            "512 MiB of disk space are used up (peak 512 MiB), and the code raised OSError. BELLJAR_DISK_BYTES",
        ),
        (CAUGHT, 0, "512 MiB of disk space are used up (peak 512 MiB). BELLJAR_DISK_BYTES gives it more.\n"),
        ("import os\nos.write(1, b'')\nfor _ in range(200): print('x' * 10**6)", 1, "output limit"),
    ],
    ids=["done", "raised", "exited", "time", "signal", "crash", "memory", "disk", "caught", "output"],
)
def test_of_programs(warm: Command, code: str, expected: int, said: str) -> None:
    limits = {"while True: pass": ("--timeout", "1"), FULL: (), CAUGHT: ("--memory", "1024")}.get(
        code, ("--memory", "256")
    )
    seen = warm("run", *limits, "-c", code)
    assert seen.returncode == expected, seen.stderr
    assert said in seen.stderr


@pytest.mark.parametrize(
    ("arguments", "expected", "said"),
    [
        (["containers", "list", "--url", "http://127.0.0.1:9"], 3, "is it running"),
        (["containers", "list", "--url", "localhost:8620"], 3, "write http://localhost:8620"),
        (["mcp", "--url", "localhost:8620"], 125, "write http://localhost:8620"),
        (["containers", "show", "container_01"], 4, "for long. `belljar containers list` has those"),
        (["containers", "show", "../x"], 4, "There is no container '../x': that is no id"),
        (["files", "get", ""], 4, "There is no file '': that is no id"),
        (["containers", "delete", "container_01", "container_02"], 4, "container_02"),
        (["files", "get", "file_01"], 4, "file_01"),
        (["files", "delete", "-c", "container_01", "a"], 4, "container_01"),
        (["files", "put", "missing.txt"], 125, "missing.txt cannot be read"),
        (["files", "put", "-"], 125, "--as NAME"),
        (["chart", "container_01", "chart_01"], 4, "container_01"),
        (["containers", "show"], 125, "CONTAINER_ID"),
        (["up", "--idle-minutes", "0"], 125, "--idle-minutes"),
        (["fly"], 125, "No such command 'fly'. `belljar --help` has"),
        (["--fly"], 125, "No such option '--fly'. `belljar --help` has"),
        (["keys", "creat"], 125, "'create'"),
        (["completion", "tcsh"], 125, "tcsh"),
        (["completion"], 125, "Choose from: bash, zsh, fish\n"),
        (["batch", "missing.jsonl"], 125, "missing.jsonl"),
        (["usage", "--since", "yesterday"], 125, "belljar: --since: 'yesterday' is no day"),
        (["usage", "--until", "2026-02-30"], 125, "belljar: --until: '2026-02-30' is no day"),
    ],
)
def test_of_commands(warm: Command, arguments: list[str], expected: int, said: str) -> None:
    seen = warm(*arguments)
    assert (seen.returncode, seen.stdout) == (expected, "")
    assert said in seen.stderr
    assert all(line.startswith("belljar: ") for line in seen.stderr.splitlines())


def test_a_batch_writes_over_no_answers(belljar: Command) -> None:
    (belljar.cwd / "lines").write_text('{"code": "1"}\n')
    (belljar.cwd / "answers").write_text("kept")
    seen = belljar("batch", "lines", "-o", "answers")
    assert (seen.returncode, seen.stderr) == (
        125,
        "belljar: answers is there already, and is not written over: name another with --output\n",
    )
    assert (belljar.cwd / "answers").read_text() == "kept"


def test_where_no_runtimes_were_built_that_is_said(belljar: Command) -> None:
    seen = belljar("runtime", "check")
    assert (seen.returncode, seen.stdout) == (0, "")
    assert seen.stderr.startswith("belljar: no runtimes were built beside the default one")


@pytest.mark.parametrize("command", [[], ["keys"]])
def test_without_a_word_there_is_help(belljar: Command, command: list[str]) -> None:
    seen = belljar(*command)
    assert (seen.returncode, seen.stdout) == (125, "")
    assert seen.stderr.startswith(f"Usage: {' '.join(['belljar', *command])} ")


@pytest.mark.parametrize("command", [["status"], ["containers", "list"], ["files", "list"]])
def test_without_a_server(tmp_path: object, belljar: Command, command: list[str]) -> None:
    seen = belljar(*command)
    assert (seen.returncode, seen.stdout) == (3, "")
    assert "`belljar up` starts one" in seen.stderr
