"""Belljar as the executor of a smolagents `CodeAgent`: the code that the agent writes runs in the jail.

    pip install belljar "smolagents[openai]"
    python smolagents_executor.py gpt-5-mini

Variables, files and imports stay from one step to the next. Tools and the agent's variables (`additional_args`) are
sent into the jail, tools as their source, as with smolagents' other remote executors: so they have no network there,
and an agent cannot have managed agents. What a tool requires has to be installed in the runtime
(`belljar runtime create`). Pass `additional_authorized_imports=["*"]` to the agent: the jail is the fence, and its
prompt then says that every import is allowed.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import PIL.Image
from smolagents import ActionStep, AgentLogger, CodeAgent, LogLevel, Model, OpenAIModel, Tool
from smolagents.local_python_executor import CodeOutput
from smolagents.remote_executors import RemotePythonExecutor
from smolagents.utils import AgentError

from belljar import Sandbox

ANSWER = "final_answer.serialized"
# The answer leaves the jail as a file: an exception's message is cut where it is long.
KEEP_ANSWER = f"""
def _kept(forward):
    def kept(*args, **kwargs):
        try:
            return forward(*args, **kwargs)
        except BaseException as raised:
            if type(raised).__name__ == {RemotePythonExecutor.FINAL_ANSWER_EXCEPTION!r}:
                import os
                with open(os.path.join(os.environ["OUTPUT_DIR"], {ANSWER!r}), "w") as file:
                    file.write(raised.value)
                raised.args = ()
            raise
    return kept
final_answer.forward = _kept(final_answer.forward)
"""
MISSING = """
import importlib.metadata, json
def _is_missing(name):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return True
print(json.dumps([name for name in {names!r} if _is_missing(name)]))
"""


class BelljarExecutor(RemotePythonExecutor):
    """Runs an agent's code in `box`. Give it as `CodeAgent(executor=…)`; the sandbox is its caller's to close."""

    def __init__(self, box: Sandbox, logger: AgentLogger | None = None) -> None:
        super().__init__([], logger or AgentLogger(level=LogLevel.ERROR))
        self.box = box
        self.images: list[Any] = []
        """The charts of the last step: see `show_charts`."""

    def run_code_raise_errors(self, code: str) -> CodeOutput:
        result = self.box.run(code)
        self.images = result.images
        if result.error is not None and result.error.ename == self.FINAL_ANSWER_EXCEPTION:
            kept = [file for file in result.files if file.filename == ANSWER]
            if not kept:
                raise AgentError(
                    "The final answer is not there any more: call final_answer again.", self.logger
                )
            answer = self._deserialize_final_answer(self.box.get(kept[-1]).decode())
            return CodeOutput(output=answer, logs=result.stdout, is_final_answer=True)
        if not result.ok:
            raise AgentError(result.text, self.logger)
        return CodeOutput(output=result.value, logs=result.stdout + result.stderr, is_final_answer=False)

    def send_tools(self, tools: dict[str, Tool]) -> None:
        strangers = [name for name, tool in tools.items() if not isinstance(tool, Tool)]
        if strangers:
            raise ValueError(f"managed agents cannot be sent into the jail: {', '.join(strangers)}")
        super().send_tools(tools)
        if "final_answer" in tools:
            self.run_code_raise_errors(KEEP_ANSWER)

    def install_packages(self, additional_imports: list[str]) -> list[str]:
        """Nothing is installed: raises AgentError for what the runtime lacks."""
        missing = json.loads(self.run_code_raise_errors(MISSING.format(names=additional_imports)).logs)
        if missing:
            raise AgentError(
                f"The runtime lacks {', '.join(missing)}, which a tool requires. Build one that has it: belljar "
                "runtime create NAME --requirements FILE, and give Sandbox(runtime=NAME).",
                self.logger,
            )
        return additional_imports


def show_charts(step: ActionStep, agent: CodeAgent) -> None:
    """Have the model see a step's charts: `CodeAgent(step_callbacks=[show_charts])`, for models that take images."""
    if isinstance(agent.python_executor, BelljarExecutor) and agent.python_executor.images:
        images = agent.python_executor.images
        step.observations_images = [PIL.Image.open(io.BytesIO(image.data)) for image in images]


def main(model: Model, question: str) -> Any:
    """Have an agent answer a question."""
    with Sandbox() as box:
        agent = CodeAgent(
            tools=[],
            model=model,
            executor=BelljarExecutor(box),
            additional_authorized_imports=["*"],
            step_callbacks=[show_charts],
        )
        return agent.run(question)


if __name__ == "__main__":
    print(main(OpenAIModel(sys.argv[1]), "How many days lie between 1 March 2024 and 1 March 2025?"))
