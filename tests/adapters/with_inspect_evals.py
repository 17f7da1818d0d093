"""Whole evals: a model's tool calls in samples' jails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import inspect_sandbox
import pytest
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageTool, Model, ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import bash
from inspect_ai.util import SandboxEnvironmentSpec

import page


def call(name: str, **arguments: Any) -> ModelOutput:
    return ModelOutput.for_tool_call("mockllm/model", name, arguments)


def scripted(*outputs: ModelOutput) -> Model:
    """A model that says one thing after another, to each sample from the start."""

    def answer(messages: list[Any], *_: Any) -> ModelOutput:
        output = outputs[sum(message.role == "assistant" for message in messages)].model_copy(deep=True)
        output.usage = ModelUsage()  # else they would be counted by a table that is to be downloaded
        return output

    return get_model("mockllm/model", custom_outputs=answer)


def played(task: Task, tmp_path: Path, *outputs: ModelOutput) -> Any:
    [log] = eval(task, model=scripted(*outputs), log_dir=str(tmp_path), display="none", max_samples=2)
    assert log.status == "success", log.error
    return log


def test_an_eval(tmp_path: Path) -> None:
    outputs = [
        call("python", code="from datetime import date\nprint((date(2025, 3, 1) - date(2024, 3, 1)).days)"),
        call("bash", command="pwd; echo $((2 ** 10)); exit 3"),
        ModelOutput.from_content("mockllm/model", "They are 365."),
    ]
    [sample] = played(inspect_sandbox.leap_years(), tmp_path, *outputs).samples
    assert sample.scores["includes"].value == "C"
    first, second = [message for message in sample.messages if isinstance(message, ChatMessageTool)]
    assert first.text == "365\n"
    assert "/files/work\n1024" in second.text


def test_samples_have_files_set_up_and_a_jail_each(tmp_path: Path) -> None:
    samples = [
        Sample(f"Read {n}.", target="done", files={"in/a.txt": f"the {n}"}, setup="cp in/a.txt b.txt")
        for n in "xy"
    ]
    config = inspect_sandbox.BelljarConfig(memory_bytes=256 * 1024 * 1024)
    task = Task(
        dataset=samples,
        solver=[use_tools([bash(timeout=20)]), generate()],
        scorer=includes(),
        sandbox=SandboxEnvironmentSpec("belljar", config),
    )
    outputs = [
        call("bash", command='cat b.txt; test -e /tmp/mine; echo " $?"; touch /tmp/mine'),
        ModelOutput.from_content("mockllm/model", "done"),
    ]
    log = played(task, tmp_path, *outputs)
    seen = [
        message.text
        for one in log.samples
        for message in one.messages
        if isinstance(message, ChatMessageTool)
    ]
    assert seen == ["the x 1\n", "the y 1\n"]


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSPECT_LOG_DIR", str(tmp_path))
    monkeypatch.setenv("INSPECT_DISPLAY", "none")
    model = scripted(
        call("python", code="print(sum(n * n for n in range(10)))"),
        ModelOutput.from_content("mockllm/model", "285"),
    )
    assert page.run("inspect_sandbox", model) == "success\n"
