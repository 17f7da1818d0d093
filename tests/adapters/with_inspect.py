"""The sandbox by itself: the checks that the package has for whoever writes one, and what they do not ask."""

from __future__ import annotations

from collections.abc import AsyncIterator

import inspect_sandbox
import pytest
from inspect_ai.util import OutputLimitExceededError, SandboxEnvironment, SandboxUserUnsupportedError

# The checks that the package has for whoever writes a sandbox.
from inspect_ai.util._sandbox.self_check import *  # noqa: F403


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[SandboxEnvironment]:
    made = await inspect_sandbox.BelljarSandbox.sample_init("checks", None, {})
    yield made["default"]
    await inspect_sandbox.BelljarSandbox.sample_cleanup("checks", None, made, False)


@pytest.fixture
def sandbox_env(shared: SandboxEnvironment, request: pytest.FixtureRequest) -> SandboxEnvironment:
    if request.node.originalname == "test_exec_as_user":
        request.applymarker(pytest.mark.xfail(raises=SandboxUserUnsupportedError, reason="there is one user"))
    return shared


async def test_too_much_output(sandbox_env: SandboxEnvironment) -> None:
    with pytest.raises(OutputLimitExceededError):
        await sandbox_env.exec(["sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x"], timeout=60)


async def test_more_than_a_usual_run_may_print(sandbox_env: SandboxEnvironment) -> None:
    result = await sandbox_env.exec(["sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x"])
    assert len(result.stdout) == 5_000_000


async def test_missing_commands_and_directories_fail(sandbox_env: SandboxEnvironment) -> None:
    for failing in ({"cmd": ["no-such-command"]}, {"cmd": ["ls"], "cwd": "nowhere"}):
        result = await sandbox_env.exec(**failing)
        assert (result.success, result.returncode) == (False, 127)
        assert "No such file or directory" in result.stderr


async def test_memory_is_a_failed_command(sandbox_env: SandboxEnvironment) -> None:
    result = await sandbox_env.exec(["python3", "-c", "bytearray(8 * 1024 ** 3)"])
    assert not result.success
    assert (await sandbox_env.exec(["echo", "on"])).stdout == "on\n"


async def test_what_does_not_work_says_so(sandbox_env: SandboxEnvironment) -> None:
    with pytest.raises(SandboxUserUnsupportedError, match="the jail's one user"):
        await sandbox_env.exec(["id"], user="root")
    with pytest.raises(NotImplementedError, match="runs nothing between two calls"):
        await sandbox_env.exec_remote(["sleep", "1"])
    with pytest.raises(ValueError, match="BelljarConfig"):
        await inspect_sandbox.BelljarSandbox.sample_init("checks", "compose.yaml", {})
