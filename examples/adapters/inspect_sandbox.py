"""Belljar as a sandbox of inspect_ai: an eval's tools run their commands in the jail, each sample in one of its own.

    pip install belljar inspect_ai openai
    inspect eval inspect_sandbox.py --model openai/gpt-5-mini

`bash()`, `python()`, files of samples and set-up scripts work. What does not: commands run as the jail's one user, so
`user=` is refused; nothing runs between two calls, so a tool that leaves a process behind (`bash_session()`,
`exec_remote`) is refused too; the jail has no network; and a command ends after an hour, also where none is asked for.
"""

from __future__ import annotations

import json
from typing import Any, Literal, overload

import anyio
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import bash, python
from inspect_ai.util import (
    ExecResult,
    OutputLimitExceededError,
    SandboxEnvironment,
    SandboxEnvironmentLimits,
    SandboxUnavailableError,
    SandboxUserUnsupportedError,
    sandboxenv,
)
from pydantic import BaseModel, ConfigDict

from belljar import AsyncSandbox, Result, errors

LONGEST_SECONDS = 3600
FILE_SECONDS = 120
STAGED = ".inspect-staged"  # in the working directory, for the moment of a call
INSIDE = f"""
import json, os, shutil, subprocess, sys

def _exec(cmd, cwd, env, has_input):
    stdin = open({STAGED!r}, "rb") if has_input else open(os.devnull, "rb")
    if has_input:
        os.unlink({STAGED!r})
    with stdin:
        try:
            code = subprocess.run(cmd, stdin=stdin, cwd=cwd, env={{**os.environ, **env}}).returncode
        except FileNotFoundError as error:
            print(error, file=sys.stderr)
            return 127
    return code if code >= 0 else 128 - code

def _write(path):
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open({STAGED!r}, "rb") as staged, open(path, "wb") as target:
            shutil.copyfileobj(staged, target)
    finally:
        os.unlink({STAGED!r})

def _read(path, most):
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > most:
            return "too large"
        with open(os.path.join(os.environ["OUTPUT_DIR"], {STAGED!r}), "wb") as target:
            shutil.copyfileobj(file, target)
"""
RAISED: dict[str, type[OSError]] = {
    kind.__name__: kind
    for kind in (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
}


class BelljarConfig(BaseModel):
    """`sandbox=SandboxEnvironmentSpec("belljar", BelljarConfig(…))`: the arguments of `belljar.Sandbox`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str | None = None
    runtime: str | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    pids: int | None = None
    cpus: float | None = None


@sandboxenv(name="belljar")
class BelljarSandbox(SandboxEnvironment):
    """One sample's jail."""

    def __init__(self, box: AsyncSandbox) -> None:
        super().__init__()
        self._box = box
        self._turn = anyio.Lock()  # commands of one sample run one after another

    @classmethod
    async def sample_init(
        cls, task_name: str, config: Any, metadata: dict[str, str]
    ) -> dict[str, SandboxEnvironment]:
        if config is not None and not isinstance(config, BelljarConfig):
            raise ValueError(f"the configuration is a BelljarConfig, and not {config!r}")
        output = min(SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE, 64 * 1024 * 1024)
        box = AsyncSandbox(**(config or BelljarConfig()).model_dump(), output_bytes=output)
        return {"default": cls(await box.__aenter__())}

    @classmethod
    async def sample_cleanup(
        cls, task_name: str, config: Any, environments: dict[str, SandboxEnvironment], interrupted: bool
    ) -> None:
        for environment in environments.values():
            await environment.as_type(cls)._box.__aexit__(None, None, None)

    @classmethod
    def config_deserialize(cls, config: dict[str, Any]) -> BaseModel:
        return BelljarConfig(**config)

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        if user is not None:
            raise SandboxUserUnsupportedError(
                f"belljar runs commands as the jail's one user, and not as {user!r}"
            )
        seconds = min(timeout or LONGEST_SECONDS, LONGEST_SECONDS)
        result = await self._run(seconds, "_exec", cmd, cwd, env or {}, input is not None, staged=input)
        if result.value is None:  # a limit ended it, which stderr says last
            stderr = f"{result.stderr}{result.outcome.message}\n"
            return ExecResult(False, result.document.return_code or 1, result.stdout, stderr)
        code = int(result.value)
        return ExecResult(code == 0, code, result.stdout, result.stderr)

    async def write_file(self, file: str, contents: str | bytes) -> None:
        await self._run(FILE_SECONDS, "_write", file, staged=contents)

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...

    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...

    async def read_file(self, file: str, text: bool = True) -> str | bytes:
        most = SandboxEnvironmentLimits.MAX_READ_FILE_SIZE
        async with self._turn:
            result = await self._run_alone(FILE_SECONDS, "_read", file, most)
            if result.value is not None:
                raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_READ_FILE_SIZE_STR, None)
            copies = [made for made in result.files if made.filename == STAGED]
            if not result.ok or not copies:
                raise OSError(f"{file}: {result.text}")
            contents = await self._box.get(copies[-1])
        return contents.decode() if text else contents

    async def exec_remote(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(
            "belljar runs nothing between two calls: use exec, or the tools bash() and python()"
        )

    async def _run(
        self, seconds: float, function: str, *arguments: object, staged: str | bytes | None = None
    ) -> Result:
        async with self._turn:
            return await self._run_alone(seconds, function, *arguments, staged=staged)

    async def _run_alone(
        self, seconds: float, function: str, *arguments: object, staged: str | bytes | None = None
    ) -> Result:
        """Call one of the functions above in the jail; its OSErrors are raised as they are."""
        code = f"{INSIDE}\n{function}(*json.loads({json.dumps(arguments)!r}))"
        try:
            if staged is not None:
                await self._box.put(STAGED, staged)
            result = await self._box.run(code, timeout_seconds=seconds)
        except errors.InvalidRequest as error:
            raise OSError(str(error)) from error
        except errors.BelljarError as error:
            raise SandboxUnavailableError(str(error)) from error
        if result.outcome.status == "timed_out":
            raise TimeoutError(result.outcome.message)
        if result.document.truncated.stdout or result.document.truncated.stderr:
            raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE_STR, result.text)
        if result.error is not None:
            raise RAISED.get(result.error.ename, OSError)(result.error.evalue)
        return result


@task
def leap_years() -> Task:
    """An eval of one question, whose answer is best computed."""
    question = "How many days lie between 1 March 2024 and 1 March 2025? Compute it."
    return Task(
        dataset=[Sample(input=question, target="365")],
        solver=[use_tools([bash(timeout=30), python(timeout=30)]), generate()],
        scorer=includes(),
        sandbox="belljar",
    )
