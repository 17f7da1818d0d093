from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Iterator

import jail
import pytest

from belljar import link
from belljar.settings import Settings
from belljar.tiers import DATA_TIERS


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def uids_of_this_process(worker_id: str) -> Iterator[None]:
    """What the kernel counts by uid is counted apart from what the tests beside these do."""
    with pytest.MonkeyPatch.context() as patch:
        if worker_id != "master":
            base = Settings().uid_base + 65536 * (1 + int(worker_id.removeprefix("gw")))
            patch.setenv("BELLJAR_UID_BASE", str(base))
        yield


@pytest.fixture(scope="session", autouse=True)
def no_core_dumps() -> Iterator[None]:
    """Programs crash here on purpose."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.fixture(scope="module")
async def started(anyio_backend: str) -> AsyncIterator[jail.Started]:
    """A keeper for all tests of a file. Where the jail cannot run, every one of them fails here."""
    async with jail.started() as started:
        yield started


@pytest.fixture(scope="module")
async def keeper(started: jail.Started) -> link.Keeper:
    return started.keeper


@pytest.fixture(scope="module")
async def preloaded(anyio_backend: str) -> AsyncIterator[link.Keeper]:
    """A zygote with the libraries in it, as it is in use: what a fork of them breaks would show here."""
    async with jail.started(preload=DATA_TIERS) as here:
        await here.keeper.warm()
        assert all(tier.state == "ready" and not tier.why for tier in here.keeper.tiers)
        yield here.keeper


@pytest.fixture
async def session(keeper: link.Keeper) -> AsyncIterator[jail.Session]:
    """A fresh session with the default limits."""
    async with jail.opened(keeper) as session:
        yield session
