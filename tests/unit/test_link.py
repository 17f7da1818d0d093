"""What a keeper says is heard, however its words are cut into pieces."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import anyio
import pytest

from belljar import link, states
from belljar.errors import JailUnavailable
from belljar.frames import Message, encode
from belljar.line import open_line
from belljar.process import KeeperProcess
from belljar.settings import Settings

FACTS = {
    "isolation": {"level": "full", "missing": []},
    "layers": [],
    "python": "3.11.0",
    "packages": {},
    "laps": {},
    "idle_memory": {"way": "none", "detail": "none here"},
}
READY = encode(Message("ready", {}, json.dumps(FACTS).encode()))
BARE = {"name": "bare", "state": "ready", "why": ""}
OWN = {"ml": {"state": "ready", "why": "", "tiers": [BARE], "sessions": 2}}
TIERS = encode(Message("tiers", {}, json.dumps({"tiers": [BARE], "runtimes": OWN}).encode()))


@pytest.mark.parametrize("pieces", [(READY, TIERS), (READY + TIERS,), (TIERS + READY,)])
def test_the_first_words_of_a_keeper_may_come_together(pieces: tuple[bytes, ...], tmp_path: Path) -> None:
    async def hear() -> link.Keeper:
        keeper = link.Keeper(0)
        ours, theirs = socket.socketpair()
        with theirs:
            line = await open_line(ours, 1_000_000, keeper._take, keeper._end)
            for piece in pieces:
                theirs.sendall(piece)
            with anyio.fail_after(20):
                await keeper._configure(line, Settings(state_dir=tmp_path), ahead=True)
                await keeper.warm()
            line.abort()
        return keeper

    keeper = anyio.run(hear)
    assert keeper.description.python == "3.11.0"
    assert [tier.name for tier in keeper.tiers] == ["bare"]
    assert keeper.runtimes == {"ml": states.RuntimeState("ready", "", keeper.tiers, 2)}


async def _start(process: KeeperProcess, settings: Settings) -> None:
    async with link.start(settings, process=process):
        pass


def test_a_process_that_has_ended_at_once_is_no_keeper(tmp_path: Path) -> None:
    with KeeperProcess() as process:
        process.process.kill()
        os.waitid(os.P_PID, process.process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(JailUnavailable, match="ended while it started"):
            anyio.run(_start, process, Settings(state_dir=tmp_path))
