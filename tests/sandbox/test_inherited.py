"""Whoever starts Belljar gives it more than its arguments: signals, limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

BELLJAR = Path(sys.executable).with_name("belljar")
_SIGNALS = {number for number in signal.valid_signals() if number < signal.SIGRTMIN}
_LEFT_ALONE = {signal.SIGKILL, signal.SIGSTOP}


def run(tmp_path: Path, first: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`belljar run` in a process that has done `first`."""
    program = f"import os, resource, signal, sys\n{first}\nos.execv(sys.argv[1], sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", program, str(BELLJAR), "run", "--no-server", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env=os.environ | {"BELLJAR_STATE_DIR": str(tmp_path / ".state")},
    )


def test_signals_that_were_ignored_or_blocked_are_as_usual_in_the_code(tmp_path: Path) -> None:
    numbers = sorted(int(number) for number in _SIGNALS - _LEFT_ALONE)
    first = (
        f"for number in {numbers}: signal.signal(number, signal.SIG_IGN)\n"
        f"signal.pthread_sigmask(signal.SIG_BLOCK, {numbers})"
    )
    code = f"""
import os, signal, subprocess
print([n for n in {numbers} if signal.getsignal(n) == signal.SIG_IGN], signal.pthread_sigmask(0, []))
print(subprocess.run(["sh", "-c", "exit 3"]).returncode, subprocess.run(["sh", "-c", "kill -ALRM $$"]).returncode)
while True: pass
"""
    seen = run(tmp_path, first, "--timeout", "5", "-c", code)
    # Python itself ignores these two.
    assert seen.stdout == f"[{int(signal.SIGPIPE)}, {int(signal.SIGXFSZ)}] set()\n3 -14\n"
    # Nothing of a process that could not wait for its own, and the code heard that its time was up.
    assert seen.stderr.startswith(
        'Traceback (most recent call last):\n  File "<cell 1>", line 5, in <module>\n'
    )
    assert "did not stop" not in seen.stderr
    assert "ChildProcessError" not in seen.stderr


def test_the_usual_limits_are_no_more_than_the_servers_own(tmp_path: Path) -> None:
    first = "for name in ('MEMLOCK', 'SIGPENDING'): resource.setrlimit(getattr(resource, f'RLIMIT_{name}'), (9, 9))"
    code = "from resource import *\nprint(getrlimit(RLIMIT_MEMLOCK), getrlimit(RLIMIT_SIGPENDING))"
    seen = run(tmp_path, first, "-c", code)
    assert (seen.returncode, seen.stdout, seen.stderr) == (0, "(9, 9) (9, 9)\n", "")


@pytest.mark.parametrize(
    ("name", "most", "words"),
    [
        ("NOFILE", 64, "open files is 64 here, and 256 are needed"),
        ("FSIZE", 2**20, "the bytes of a file is 1,048,576 here"),
    ],
)
def test_where_a_limit_is_too_small_for_sessions_it_is_named(
    tmp_path: Path, name: str, most: int, words: str
) -> None:
    seen = run(tmp_path, f"resource.setrlimit(resource.RLIMIT_{name}, ({most}, {most}))", "-c", "1")
    assert (seen.returncode, seen.stdout) == (125, "")
    assert words in seen.stderr
    assert f"Limit{name}=" in seen.stderr
    assert "Traceback" not in seen.stderr
