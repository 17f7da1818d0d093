"""The shape in which a result is written into a response. Pure functions from a result to content blocks.

`anthropic` is the official pair of `server_tool_use` and `code_execution_tool_result`. `inline` is the shape
that tutorials teach: one `code_execution_result` block for what was printed and one for each image. Its
blocks carry a top-level `text`, because the official SDK makes a text block of every type that it does not
know and the loops that people write print that block's `text`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

from belljar.errors import InvalidRequest
from belljar.gateway.store import File
from belljar.gateway.tools.code_execution import Failed, Outcome, Ran, image_source

Block = dict[str, Any]
Profile = Literal["anthropic", "inline"]

HEADER = "belljar-profile"
_OFFICIAL_BETA = "code-execution-2025-05-22"

HELD_BACK: dict[Profile, frozenset[str]] = {
    "anthropic": frozenset(),
    # Old stream helpers do not gather a server tool's input; no delta can carry a thinking block's `text`.
    "inline": frozenset({"server_tool_use", "thinking"}),
}
"""Block types that are streamed only once they are complete."""


def choose(header: str | None, setting: str, tool_type: str | None, betas: Iterable[str]) -> Profile:
    """The profile of one request: its header, else the setting, else by who seems to be asking."""
    if header is not None:
        if header not in get_args(Profile):
            raise InvalidRequest(
                f"the header {HEADER} is {header!r}; known are: {', '.join(get_args(Profile))}"
            )
        return "inline" if header == "inline" else "anthropic"
    if setting != "auto":
        return "inline" if setting == "inline" else "anthropic"
    if tool_type == "code_execution_20250522" and _OFFICIAL_BETA not in betas:
        return "inline"
    return "anthropic"


def result_blocks(profile: Profile, use_id: str, outcome: Outcome) -> list[Block]:
    """The blocks that answer the tool use `use_id`."""
    if profile == "inline":
        return _inline(use_id, outcome)
    return [{"type": "code_execution_tool_result", "tool_use_id": use_id, "content": _official(outcome)}]


def _official(outcome: Outcome) -> Block:
    if isinstance(outcome, Failed):
        return {"type": "code_execution_tool_result_error", "error_code": outcome.error_code}
    made = [*outcome.figures, *outcome.files]
    return {
        "type": "code_execution_result",
        "stdout": outcome.result.stdout,
        "stderr": outcome.stderr,
        "return_code": outcome.result.return_code,
        "content": [{"type": "code_execution_output", "file_id": file.id} for file in made],
    }


def _inline(use_id: str, outcome: Outcome) -> list[Block]:
    if isinstance(outcome, Failed):
        return [_inline_text(use_id, f"{outcome.error_code}: {outcome.message}", is_error=True)]
    text = _inline_text(use_id, _printed(outcome), is_error=outcome.is_error)
    if others := [file for file in outcome.files if file.id not in outcome.shown]:
        text["files"] = [file_entry(file) for file in others]
    return [text, *(_inline_image(use_id, image_source(image)) for image in outcome.images)]


def _printed(ran: Ran) -> str:
    """What a person would have seen in a terminal; warnings only where there is nothing else."""
    parts = [ran.result.stdout.rstrip("\n"), *ran.values]
    if ran.is_error or not any(parts):
        parts.append(ran.stderr.rstrip("\n"))
    text = "\n".join(part for part in parts if part)
    return text if text or not ran.is_error else ran.result.outcome.message


def _inline_text(use_id: str, text: str, *, is_error: bool) -> Block:
    return {
        "type": "code_execution_result",
        "tool_use_id": use_id,
        "output": {"type": "text", "text": text},
        "is_error": is_error,
        "text": f"{'Error' if is_error else 'Result'}: {text}",
    }


def _inline_image(use_id: str, source: dict[str, str]) -> Block:
    return {
        "type": "code_execution_result",
        "tool_use_id": use_id,
        "output": {"type": "image", "media_type": source["media_type"], "data": source["data"]},
        "is_error": False,
        "text": "[Chart generated]",
    }


def file_entry(file: File) -> Block:
    return {
        "file_id": file.id,
        "filename": file.filename,
        "mime_type": file.mime_type,
        "size_bytes": file.size_bytes,
    }
