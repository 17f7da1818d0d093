"""Each program of `attacks/` tries one way out, and says ESCAPED where it found one."""

from __future__ import annotations

from pathlib import Path

import pytest
from jail import Started, opened, until

from belljar import link
from belljar.wire.execution import MIB

pytestmark = pytest.mark.anyio

ATTACKS = sorted((Path(__file__).parent / "attacks").glob("*.py"))
_NEVER_ENDS = {"lock_out_the_keeper"}


def test_there_are_attacks() -> None:
    assert len(ATTACKS) >= 25
    for path in ATTACKS:
        text = path.read_text()
        assert text.startswith('"""'), path.name
        assert 'print("tried"' in text, path.name


@pytest.mark.parametrize("path", ATTACKS, ids=lambda path: path.stem)
async def test_no_way_out(started: Started, keeper: link.Keeper, path: Path) -> None:
    before = len(started.processes())
    async with opened(keeper, memory_bytes=512 * MIB, pids=64, disk_bytes=64 * MIB) as session:
        result = await session.run(path.read_text(), timeout=3 if path.stem in _NEVER_ENDS else 30)
        said = result.stdout + result.stderr
        assert "ESCAPED" not in said
        # It went through to its end: a typing error in it would look like a wall.
        assert "tried" in result.stdout, said
        expected = "timed_out" if path.stem in _NEVER_ENDS else "completed"
        assert result.outcome.status == expected, (result.outcome, said)
        for file in result.files:
            assert b"root:" not in await session.content(file)
        again = await session.run("print('alive')")
        assert again.stdout == "alive\n", again
        async with opened(keeper) as other:
            assert await other.says("print('unharmed')") == "unharmed"
    await until(lambda: len(started.processes()) <= before)


async def test_all_at_once(started: Started, keeper: link.Keeper) -> None:
    """In one session, one after the other: what one leaves behind may be what the next one lacked."""
    before = len(started.processes())
    async with opened(keeper, memory_bytes=512 * MIB, disk_bytes=64 * MIB) as session:
        for path in ATTACKS:
            if path.stem not in _NEVER_ENDS | {"planted_links", "shared_memory", "interpreter_state"}:
                result = await session.run(path.read_text(), timeout=30)
                assert "ESCAPED" not in result.stdout + result.stderr, path.stem
    await until(lambda: len(started.processes()) <= before)
