"""The libraries of the runtime do in the jail what `scripts/collect-syscalls` saw them do outside of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from jail import opened

from belljar import link
from belljar.wire.execution import MIB

pytestmark = pytest.mark.anyio

LIBRARIES = sorted((Path(__file__).parent / "libraries").glob("*.py"))


def test_there_are_programs_for_the_libraries() -> None:
    assert len(LIBRARIES) >= 37


@pytest.mark.parametrize("path", LIBRARIES, ids=lambda path: path.stem)
async def test_a_library_does_not_notice(preloaded: link.Keeper, path: Path) -> None:
    async with opened(preloaded, memory_bytes=1024 * MIB) as session:
        result = await session.run(path.read_text(), timeout=50)
        assert result.outcome.status == "completed", (result.outcome, result.stderr[-2000:])
