"""A server whose disk takes no more: what it can do is done, what it cannot is told, and it goes on once there is room.

A limit on the size of files stands for it, which the server's own process gets and its keeper does not: the kernel then
refuses whatever it writes to a file.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from serving import Server, serving

LITTLE = {"preload": {}, "parked": 0}
MAKE = {"code": "open('made.txt', 'w').write('x')\nprint('ran')"}


def take_room(server: Server) -> tuple[int, int]:
    """Returns what to give it back with."""
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    return before


def test_a_full_disk_is_told_and_room_can_be_made(tmp_path: Path) -> None:
    with (
        serving(tmp_path, **LITTLE) as server,
        httpx2.Client(base_url=server.url, timeout=60) as http,
    ):
        upload = {"file": ("a.txt", b"a" * 100_000)}
        sent = http.post("/v1/files", files=upload).json()["id"]
        before = take_room(server)
        ran = http.post("/v1/executions", json=MAKE)
        assert ran.status_code == 200, ran.text
        assert (ran.json()["stdout"], ran.json()["files"]) == ("ran\n", [])
        assert "Not kept, for want of room: made.txt" in ran.json()["stderr"]
        for refused in (http.post("/v1/files", files=upload), http.post("/v1/containers")):
            assert refused.status_code == 503
            assert "The server cannot" in refused.text or "cannot be read or written" in refused.text
            assert str(tmp_path) not in refused.text
        blob = tmp_path / "blobs" / sent
        assert blob.exists()
        assert http.delete(f"/v1/files/{sent}").status_code == 503
        assert not blob.exists()  # so that there would be room for the rest
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)
        assert http.delete(f"/v1/files/{sent}").status_code == 200
        assert http.get("/v1/files").json()["data"] == []
        container = http.post("/v1/containers").json()["id"]
        assert http.post("/v1/executions", json=MAKE | {"container": container}).status_code == 200
        deadline = time.monotonic() + 60
        while http.get("/v1/usage").json()["data"][0]["code_executions"] < 2:  # the first was kept in memory
            assert time.monotonic() < deadline
        assert list((tmp_path / "blobs").glob("*#*")) == []
        take_room(server)
        assert server.end() == 0
    with serving(tmp_path, **LITTLE) as server:
        gone = httpx2.get(f"{server.url}/v1/containers/{container}")
        assert gone.status_code == 404
        assert "the server that ran it ended without putting it away" in gone.text


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_uploads_leave_room_for_what_others_need(tmp_path: Path) -> None:
    """A disk that is really full: one of 8 MB, of which a hundredth stays free."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)], check=True, timeout=60)
    try:
        with (
            serving(tmp_path / "state", **LITTLE) as server,
            httpx2.Client(base_url=server.url, timeout=60) as http,
        ):
            sizes, sent = [1_000_000] * 8 + [60_000] * 20, []
            for size in sizes:
                answer = http.post("/v1/files", files={"file": ("a.bin", bytes(size))})
                if answer.status_code == 200:
                    sent.append(answer.json()["id"])
                else:
                    assert answer.status_code == 503
                    assert "bytes left" in answer.text
            assert 5 < len(sent) < len(sizes)
            assert http.post("/v1/containers").status_code == 200
            ran = http.post("/v1/executions", json=MAKE).json()
            assert "Not kept, for want of room: made.txt" in ran["stderr"]
            for file_id in sent[:2]:
                assert http.delete(f"/v1/files/{file_id}").status_code == 200
            assert http.post("/v1/files", files={"file": ("a.bin", bytes(1_000_000))}).status_code == 200
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True, timeout=60)


def refused(state: Path, prelude: str) -> str:
    """What `belljar serve` says instead of starting; before it `prelude` is run."""
    done = subprocess.run(
        [sys.executable, "-c", f"{prelude}; from belljar.cli import main; main()", "serve", "--port", "0"],
        env=os.environ | {"BELLJAR_STATE_DIR": str(state)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 125
    assert done.stdout == ""
    return done.stderr.splitlines()[-1]


def limited(most_bytes: int) -> str:
    return f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, ({most_bytes}, {most_bytes}))"


def test_a_start_on_a_full_disk_names_the_file_and_what_to_do(tmp_path: Path) -> None:
    for most_bytes, name in ((0, "server/lock"), (1000, "belljar.sqlite3")):
        said = refused(tmp_path, limited(most_bytes))
        assert said.startswith(f"belljar: {tmp_path}/{name}"), said
        assert "df -h" in said
        assert "make room" in said


def test_a_start_without_locks_says_where_the_directory_has_to_be(tmp_path: Path) -> None:
    """As on a file system that has none: the kernel's word for that comes from a filter here."""
    said = refused(
        tmp_path,
        "import errno, pyseccomp as s; f = s.SyscallFilter(s.ALLOW); "
        "f.add_rule(s.ERRNO(errno.ENOLCK), 'flock'); f.load()",
    )
    assert said.startswith(f"belljar: {tmp_path}/server/lock cannot be locked: No locks available. ")
    assert "--state-dir" in said
