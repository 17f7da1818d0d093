"""The shape in which a result is written into a response. Pure functions from a result to content blocks.

`anthropic` is the official pair of `server_tool_use` and `code_execution_tool_result`. `inline` is the shape
that tutorials teach: one `code_execution_result` block for what was printed and one for each image. Its
blocks carry a top-level `text`, because the official SDK makes a text block of every type that it does not
know and the loops that people write print that block's `text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, get_args

from belljar.errors import InvalidRequest
from belljar.gateway.pictures import image_source
from belljar.gateway.search import citing
from belljar.gateway.search.sealed import seal
from belljar.gateway.store import File
from belljar.gateway.told import edit_text
from belljar.gateway.tools import EDITOR, Edited, Failed, Outcome, Ran, Searched
from belljar.wire.charts import Chart

Block = dict[str, Any]
Profile = Literal["anthropic", "inline"]

HEADER = "belljar-profile"
_OFFICIAL_BETA = "code-execution-2025-05-22"
_SDKS = frozenset({"python", "js"})
_GATHERS_INPUT = (0, 71)
"""From this version on the official SDKs' stream helpers gather a server tool's input; before, they read it off the
block's start alone."""

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


def held_back(profile: Profile, sdk: str | None, version: str | None) -> frozenset[str]:
    """Block types that are streamed only once they are complete, to a client that says who it is."""
    number = re.match(r"(\d+)\.(\d+)", version or "")
    if number and (sdk or "").lower() in _SDKS and (int(number[1]), int(number[2])) < _GATHERS_INPUT:
        return HELD_BACK[profile] | {"server_tool_use"}
    return HELD_BACK[profile]


def result_blocks(profile: Profile, use_id: str, tool_name: str, outcome: Outcome) -> list[Block]:
    """The blocks that answer the use `use_id` of the tool `tool_name`."""
    if profile == "inline":
        return _inline(use_id, outcome)
    content = _official(tool_name, outcome)
    return [{"type": f"{tool_name}_tool_result", "tool_use_id": use_id, "content": content}]


def _official(tool_name: str, outcome: Outcome) -> Block | list[Block]:
    match outcome:
        case Failed():
            error: Block = {"type": f"{tool_name}_tool_result_error", "error_code": outcome.error_code}
            if tool_name == EDITOR:
                error["error_message"] = outcome.message
            elif outcome.error_code == "file_not_found":
                error["error_code"] = "unavailable"
            return error
        case Edited():
            return {"type": f"{tool_name}_{outcome.command}_result", **outcome.fields}
        case Searched():
            return [
                {
                    "type": f"{tool_name}_result",
                    "url": page.url,
                    "title": page.title,
                    "encrypted_content": seal(page.text),
                    "page_age": page.page_age,
                }
                for page in outcome.pages
            ]
        case Ran():
            made = [*outcome.figures, *outcome.files]
            return {
                "type": f"{tool_name}_result",
                "stdout": outcome.stdout,
                "stderr": outcome.stderr,
                "return_code": outcome.return_code,
                "content": [{"type": f"{tool_name}_output", **file_entry(file)} for file in made],
            }


def _inline(use_id: str, outcome: Outcome) -> list[Block]:
    if isinstance(outcome, Failed):
        return [_inline_text(use_id, f"{outcome.error_code}: {outcome.message}", is_error=True)]
    if isinstance(outcome, Edited):
        blocks = [_inline_text(use_id, edit_text(outcome), is_error=False)]
        if outcome.image is not None:
            blocks.append(_inline_image(use_id, image_source(outcome.image)))
        return blocks
    if isinstance(outcome, Searched):
        return [_inline_text(use_id, citing.listed(outcome.pages) or citing.NOTHING, is_error=False)]
    text = _inline_text(use_id, _printed(outcome), is_error=outcome.is_error)
    if others := [file for file in outcome.files if file.id not in outcome.shown]:
        text["files"] = [file_entry(file) for file in others]
    return [text, *(_inline_image(use_id, image_source(i), i.chart) for i in outcome.images)]


def _printed(ran: Ran) -> str:
    """What a person would have seen in a terminal; warnings only where there is nothing else."""
    parts = [ran.stdout.rstrip("\n"), *(ran.values if ran.call is None else ())]
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


def _inline_image(use_id: str, source: dict[str, str], chart: Chart | None = None) -> Block:
    output = {"type": "image", "media_type": source["media_type"], "data": source["data"]}
    if chart is not None:
        output |= {"alt": chart.alt, "chart_id": chart.id or ""}
    return {
        "type": "code_execution_result",
        "tool_use_id": use_id,
        "output": output,
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
