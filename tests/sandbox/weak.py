"""A box that is weak on purpose, to see that a hostile program can win where nothing stops it.

Each try has a small world of its own (see `weak_world.py`) with a cgroup around it, or with rlimits where we may make
none, and in it the sandbox that everybody writes first (see `weak_runner.py`). It must not harm the machine: what is in
it dies with its pid 1.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import weak_world

from belljar.client.attack import Attack, Evidence, Seen
from belljar.keeper import cgroups
from belljar.records import MIB, Limits

_WORLD = Limits(memory_bytes=1024 * MIB, pids=512, cpus=2)
"""Far beyond what programs are given, and far below what the machine has."""
_DEADLINE_SECONDS = 30
"""Beyond the time that the program may take."""
_names = itertools.count(1)


def missing(attack: Attack) -> str:
    """Why the program cannot be tried here, which is by design."""
    if attack.weak_box == "root" and os.geteuid() != 0:
        return "it needs the machine's own root to succeed, and we are an ordinary user"
    return ""


class WeakBoxes:
    """Where weak boxes are made. A context manager; `attempt` may be called from several threads."""

    def __enter__(self) -> WeakBoxes:
        self._tree = cgroups.find()[0] if os.geteuid() == 0 else None
        return self

    def __exit__(self, *_: object) -> None:
        if self._tree is not None:
            self._tree.close()

    def attempt(self, attack: Attack) -> Evidence:
        """Run the program where nothing stops it."""
        spec = _spec(attack, has_cgroup=self._tree is not None)
        world = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("weak_world.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        )
        with self._cgroup(world.pid), world:
            try:
                deadline = spec["runs"] * spec["timeout_seconds"] + _DEADLINE_SECONDS
                answer, log = world.communicate(json.dumps(spec).encode(), deadline)
            except subprocess.TimeoutExpired:
                world.kill()  # and pid 1 goes with it
                answer, log = world.communicate()
        try:
            return _evidence(json.loads(answer))
        except ValueError:
            text = log.decode(errors="replace")
            if weak_world.BUILT not in text:
                raise RuntimeError(f"the weak box could not be built: {text}") from None
            return Evidence(secret="-", seen=(), harmed=(f"the world has ended: {text[-500:]}",))

    @contextlib.contextmanager
    def _cgroup(self, pid: int) -> Iterator[None]:
        if self._tree is None:
            yield
            return
        cgroup = self._tree.make(f"weak-{next(_names)}", _WORLD)
        cgroup.attach(pid)
        try:
            yield
        finally:
            deadline = time.monotonic() + 20
            while True:
                try:
                    cgroup.remove()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)  # its processes are being taken apart


def _spec(attack: Attack, *, has_cgroup: bool) -> dict[str, Any]:
    is_repeating = attack.succeeds_by == "repeating"
    rounds = [["one", "two"]] if attack.sessions == 2 else [["", ""], [""]] if is_repeating else [[""]]
    # As root of a user namespace these count for it alone.
    rlimits = {} if has_cgroup else {"RLIMIT_NPROC": _WORLD.pids, "RLIMIT_DATA": _WORLD.memory_bytes}
    return {
        "code": attack.code,
        # Who is not after the clock gets more of it: nothing is held back here that could not be had on a busy machine.
        "timeout_seconds": attack.timeout_seconds * (1 if "timed_out" in attack.ends else 3),
        "is_forked": is_repeating or attack.folder == "forks",
        "is_surviving": attack.succeeds_by == "surviving",
        "has_root": attack.weak_box == "root",
        "rounds": rounds,
        "runs": len(rounds),
        "rlimits": rlimits | {"RLIMIT_CORE": 0},
    }


def _evidence(answer: dict[str, Any]) -> Evidence:
    return Evidence(
        secret=answer["secret"],
        seen=tuple(
            Seen(
                status=run["status"],
                stdout=run["stdout"],
                stderr=run["stderr"],
                returned=tuple(base64.b64decode(data) for data in run["returned"]),
            )
            for run in answer["seen"]
        ),
        has_survived=answer["has_survived"],
        harmed=tuple(answer["harmed"]),
    )
