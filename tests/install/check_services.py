"""The files of packaging/ by the programs that they are for: nginx and systemd."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import Client

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
sys.path.insert(0, str(ROOT / "tests" / "gateway"))

from serving import serving  # noqa: E402


def program(name: str, package: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found, f"{name} is missing. Install it: sudo apt-get install -y --no-install-recommends {package}"
    return found


def below_a_path() -> str:
    """The location that docs/install.md has for a path of its own."""
    page = (ROOT / "docs" / "install.md").read_text()
    [location] = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    return str(location)


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """nginx, as ordinary user or root, in front of a server; the file is changed in its two addresses only, and has the
    location for a path besides."""
    place = tmp_path_factory.mktemp("nginx")
    with serving(place / "state", preload={}) as server, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        own = (PACKAGING / "nginx.conf").read_text()
        own = own.replace("server 127.0.0.1:8421;", f"server {server.url.removeprefix('http://')};")
        own = own.replace("listen 80;", f"listen 127.0.0.1:{port};")
        own = own.replace("    location / {", f"{below_a_path()}\n    location / {{")
        (place / "belljar.conf").write_text(own)
        temporary = "".join(
            f"{kind}_temp_path {place}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # Its workers are to reach these folders, which are root's here.
        user = "user root;\n" if os.geteuid() == 0 else ""
        whole = f"{user}daemon off; pid {place}/pid; error_log {place}/error.log; events {{}}\n"
        whole += f"http {{ access_log off; {temporary} include {place}/belljar.conf; }}\n"
        (place / "nginx.conf").write_text(whole)
        command = [program("nginx", "nginx-light"), "-p", str(place), "-c", str(place / "nginx.conf")]
        subprocess.run([*command, "-t"], check=True, capture_output=True, timeout=30)
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            for _ in range(600):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None, (place / "error.log").read_text()
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(params=["", "/belljar"], ids=["by itself", "below a path"])
def proxy(nginx: str, request: pytest.FixtureRequest) -> str:
    return f"{nginx}{request.param}"


def test_a_stream_passes_as_it_comes(proxy: str) -> None:
    with httpx2.Client(base_url=proxy, timeout=120) as client:
        container = client.post("/v1/containers", json={}).json()["id"]
        # It ends by itself only at its time limit, so what is heard before was not held back.
        code = "import time\nprint('first', flush=True)\ntime.sleep(300)"
        asked = {"code": code, "container": container, "stream": True, "timeout_seconds": 60}
        with client.stream("POST", "/v1/executions", json=asked) as answer:
            lines = answer.iter_lines()
            assert any("first" in line for line in lines)
            client.delete(f"/v1/containers/{container}")
            assert not any("timed_out" in line for line in lines)


def test_what_is_too_large_is_refused_by_belljar_itself(proxy: str) -> None:
    body = json.dumps({"code": "x" * 33_554_432})
    headers = {"content-type": "application/json"}
    answer = httpx2.post(f"{proxy}/v1/executions", content=body, headers=headers, timeout=120)
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "request_too_large"


def test_uploads_may_be_larger(proxy: str) -> None:
    content = bytes(40_000_000)
    with httpx2.Client(base_url=proxy, timeout=120) as client:
        headers = {"anthropic-beta": "files-api-2025-04-14"}
        made = client.post("/v1/files", files={"file": ("zeros.bin", content)}, headers=headers)
        assert made.status_code == 200, made.text
        assert made.json()["size_bytes"] == len(content)
        container = client.post("/v1/containers", json={}).json()["id"]
        put = client.put(f"/v1/containers/{container}/files/data/zeros.bin", content=content)
        assert put.is_success, put.text
        assert len(client.get(f"/v1/containers/{container}/files/data/zeros.bin").content) == len(content)


def test_the_page_and_its_files_are_there(proxy: str) -> None:
    with httpx2.Client(follow_redirects=True, timeout=60) as client:
        document = client.get(proxy)  # without the slash, too
        assert document.status_code == 200
        files = re.findall(r'(?:src|href)="(page/[^"]+)"', document.text)
        assert len(files) >= 3
        for file in files:
            assert client.get(f"{proxy}/{file}").status_code == 200


def test_mcp_passes(proxy: str) -> None:
    async def ask() -> str:
        async with Client(f"{proxy}/mcp") as client:
            answer = await client.call_tool("run_python", {"code": "6 * 7"})
            return str(answer.structured_content["value"])

    assert anyio.run(ask) == "42"


def test_a_page_of_the_server_itself_may_use_mcp_at_any_port(proxy: str) -> None:
    def status(origin: str) -> int:
        headers = {"host": "192.0.2.7:8443", "origin": origin}
        return httpx2.post(f"{proxy}/mcp", json={}, headers=headers, timeout=60).status_code

    assert status("http://192.0.2.8:8443") == 403
    assert status("http://192.0.2.7:8443") != 403


def test_systemd_knows_all_that_stands_in_the_unit(tmp_path: Path) -> None:
    unit = (PACKAGING / "belljar.service").read_text()
    belljar = Path(sys.executable).with_name("belljar")
    (tmp_path / "belljar.service").write_text(unit.replace("/opt/belljar/bin/belljar", str(belljar)))
    analyze = program("systemd-analyze", "systemd")
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / "belljar.service")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "belljar.service" not in done.stderr, done.stderr


def test_the_unit_lets_pass_what_guests_may_call() -> None:
    from belljar.keeper import syscalls

    analyze = program("systemd-analyze", "systemd")

    def calls(name: str) -> set[str]:
        told = subprocess.run(
            [analyze, "syscall-filter", name], capture_output=True, text=True, check=True, timeout=60
        )
        words = {line.strip() for line in told.stdout.splitlines()[1:] if not line.strip().startswith("#")}
        return {call for word in words - {""} for call in (calls(word) if word.startswith("@") else {word})}

    [line] = re.findall(r"^SystemCallFilter=(.*)$", (PACKAGING / "belljar.service").read_text(), re.MULTILINE)
    passed = {call for word in line.split() for call in (calls(word) if word.startswith("@") else {word})}
    assert {*syscalls.names(syscalls.SEEN), *syscalls.names(syscalls.UNSEEN), *syscalls.BY_ARGUMENT} <= passed
