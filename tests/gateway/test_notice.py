"""What a service manager is told, by a real server and a socket as systemd has one."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from serving import serving

from belljar.gateway import notice


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_a_manager_hears_of_start_and_end(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "notify") if kind == "path" else f"@belljar-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0", 1) if kind == "abstract" else address)
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        with serving(tmp_path / "state", preload={}) as server:
            assert manager.recv(100) == b"READY=1"
            assert server.end() == 0
            assert manager.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "/nowhere/at/all"])
def test_without_a_manager_nothing_happens(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notice.tell("READY=1")
