"""The level `reduced`: a place without user namespaces, as a switched-off sysctl and as Docker's filter make one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from belljar.keeper import outside
from belljar.settings import Settings

SCRIPT = Path(__file__).parents[2] / "scripts" / "without-namespaces"
BELLJAR = Path(sys.executable).parent / "belljar"

either = pytest.mark.parametrize("kind", ["sysctl", "docker"])


def belljar(kind: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), kind, "--", str(BELLJAR), *arguments]
    env = os.environ | {"BELLJAR_PRELOAD": "{}", "BELLJAR_REQUIRE": "reduced"} | environment
    with tempfile.TemporaryDirectory() as here:  # for what the code makes
        return subprocess.run(command, env=env, cwd=here, capture_output=True, text=True, timeout=90)


@pytest.fixture(scope="module", autouse=True)
def _reachable() -> None:
    """As root guests have uids of their own, and those cannot use a Python that lies in root's home."""
    runtime = Settings().runtime
    for path in (runtime, (runtime / "bin/python").resolve()):
        if os.geteuid() == 0 and (closed := outside.closed_to_others(path)):
            refused = belljar("docker", "run", "-c", "1")
            assert refused.returncode == 125
            assert f"chmod o+x {closed}" in refused.stderr
            pytest.skip(f"{closed} keeps other users from {path}; `make test-as-user` runs these")


def run(kind: str, code: str, *arguments: str) -> dict[str, Any]:
    done = belljar(kind, "run", "--json", "-c", code, *arguments)
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@either
def test_it_has_to_be_asked_for(kind: str) -> None:
    refused = belljar(kind, "run", "-c", "1", BELLJAR_REQUIRE="limited")
    assert refused.returncode == 125
    assert "BELLJAR_REQUIRE=reduced" in refused.stderr
    assert "user.max_user_namespaces" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="guests of an ordinary user have its own uid")
def test_root_has_to_have_the_right_to_see_what_guests_hold() -> None:
    command = ["setpriv", "--bounding-set", "-sys_ptrace", sys.executable, str(SCRIPT), "docker", "--"]
    env = os.environ | {"BELLJAR_PRELOAD": "{}", "BELLJAR_REQUIRE": "reduced"}
    refused = subprocess.run(
        [*command, str(BELLJAR), "run", "-c", "1"], env=env, capture_output=True, text=True, timeout=90
    )
    assert refused.returncode == 125
    assert "--cap-add SYS_PTRACE" in refused.stderr


@either
def test_a_program_that_nobody_may_look_into_ends_its_run(kind: str) -> None:
    code = """
import os, sys, time
with open(os.path.realpath(sys.executable), "rb") as program:
    with open(os.open("hidden", os.O_CREAT | os.O_WRONLY, 0o111), "wb") as file:
        file.write(program.read())
where = {"PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": sys.base_prefix + "/lib"}
os.posix_spawn("hidden", ["python", "-I", "-S", "-c", "import time; time.sleep(20)"], os.environ | where)
time.sleep(2)
"""
    outcome = run(kind, code)["outcome"]
    is_root = os.geteuid() == 0  # it may look into everybody
    assert (outcome["status"], outcome["reason"]) == (
        ("completed", "completed") if is_root else ("crashed", "hidden")
    )


@either
def test_the_answer_says_what_is_weaker(kind: str, tmp_path: Path) -> None:
    document = run(kind, "print(6 * 7)", "-o", str(tmp_path))
    assert document["stdout"] == "42\n"
    assert document["isolation"]["level"] == "reduced"
    named = " ".join(document["isolation"]["missing"])
    for layer in ("mount namespace", "network namespace", "private root"):
        assert layer in named


@either
def test_files_of_the_machine_cannot_be_read_and_sockets_not_be_made(kind: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o644)
    code = f"""
import os, socket
def refused(call, *arguments):
    try:
        call(*arguments)
    except PermissionError:
        return True
    return False
print(refused(open, {str(secret)!r}), refused(open, {str(secret)!r}, "a"), refused(os.listdir, "/proc"),
      refused(os.listdir, {tempfile.gettempdir()!r}), refused(socket.socket, socket.AF_UNIX),
      refused(socket.socket, socket.AF_INET), refused(os.kill, {os.getpid()}, 0))
"""
    assert run(kind, code)["stdout"].split() == ["True"] * 7
    before = secret.stat()
    run(kind, f"import os\ntry:\n    os.chmod({str(secret)!r}, 0)\nexcept OSError:\n    pass")
    assert secret.stat() == before


@either
def test_a_chart_of_files_comes_back_and_nothing_stays_on_disk(kind: str, tmp_path: Path) -> None:
    code = "import os\nos.makedirs('a/b')\nopen('a/b/x.txt', 'w').write('hi')\nos.mkdir('shut', 0)"
    document = run(kind, code, "-o", str(tmp_path))
    assert [file["path"] for file in document["files"]] == ["a/b/x.txt"]
    assert list(Path(tempfile.gettempdir()).glob("belljar-bare-*")) == []


@either
def test_daemons_are_gone_with_their_run(kind: str, tmp_path: Path) -> None:
    beat = "import os, time\nwhile True:\n    open('beat', 'a').write('x')\n    time.sleep(0.01)"
    code = f"""
import os, signal, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in (1, 2, 3, 13, 15):
        signal.signal(number, signal.SIG_IGN)
    exec({beat!r})
time.sleep(1000)
"""
    document = run(kind, code, "--timeout", "1", "-o", str(tmp_path))
    assert document["outcome"]["status"] == "timed_out"
    left = _wardens()
    deadline = time.monotonic() + 10
    while left & _wardens():
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@either
@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("import os; os._exit(137)", "exited", "exit"),
        ("raise MemoryError", "raised", "MemoryError"),
        ("import mmap\nm = [mmap.mmap(-1, 2 ** 24, flags=mmap.MAP_PRIVATE | 0x20) for _ in range(20)]\n"
         "for x in m: x.write(b'x' * 2 ** 24)\nimport time; time.sleep(60)", "out_of_memory", "memory_bytes"),
        ("f = open('big', 'wb')\nfor _ in range(200): f.write(b'x' * 2 ** 20); f.flush()\n"
         "import time; time.sleep(60)", "disk_full", "disk_bytes"),
    ],
)  # fmt: skip
def test_limits(kind: str, code: str, status: str, reason: str) -> None:
    done = belljar(kind, "run", "--json", "--memory", "128", "-c", code, BELLJAR_DISK_BYTES=str(100 * 2**20))
    outcome = json.loads(done.stdout)["outcome"]
    assert (outcome["status"], outcome["reason"]) in {(status, reason), ("raised", "OSError")}
    if status in ("out_of_memory", "disk_full") and outcome["status"] == status:
        assert outcome["limit"]["name"] == reason
        assert outcome["limit"]["peak"] > 0


def _wardens() -> set[str]:
    """Of all keepers: those that stop a session of another test's are gone in a moment."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                title = (entry / "cmdline").read_text()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if title.startswith("belljar warden"):
                found.add(entry.name)
    return found
