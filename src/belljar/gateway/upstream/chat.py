"""A Messages request in the words of chat completions. Pure.

What chat completions have no place for goes where the model still gets to know it: images in results into a user
message behind them, documents as text, and of the rest a word that it was there.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
from collections.abc import Iterator
from typing import Any

from belljar.errors import InvalidRequest
from belljar.gateway.upstream import Request
from belljar.gateway.upstream.chunks import REASONING_FIELDS, SIGNATURE

Block = dict[str, Any]

_OURS = frozenset(
    {
        *("model", "max_tokens", "messages", "system", "tools", "tool_choice", "stream", "stop_sequences"),
        *("metadata", "thinking", "output_config", "service_tier", "speed", "inference_geo", "cache_control"),
        *("diagnostics", "mcp_servers", "context_management", "fallbacks", "fallback_credit_token"),
        *("compaction", "billing_policy"),
    }
)
"""What is translated, or only the Messages API has; all else travels on: `temperature`, `seed`, a server's own."""
_TEXT_TYPES = ("application/json", "application/xml", "application/yaml", "application/x-yaml")
_EFFORTS = {"xhigh": "high", "max": "high"}
FAILED = "The tool reported an error:\n"
NO_PLACE = "[{what} was attached here, which this model server has no way to be shown.]"


def body(request: Request, limit_name: str = "max_tokens", *, counts: bool = True) -> dict[str, Any]:
    """The request. Raises InvalidRequest for tools that only models of the Messages API know.

    `limit_name` is what the server calls `max_tokens`; with `counts` it is asked to count tokens in the stream.
    """
    made: dict[str, Any] = {name: value for name, value in request.items() if name not in _OURS}
    made |= {"model": request["model"], "messages": messages(request), "stream": True}
    made[limit_name] = max(1, request["max_tokens"])
    if counts:
        made["stream_options"] = {"include_usage": True}
    if request.get("stop_sequences"):
        made["stop"] = request["stop_sequences"]
    if request.get("tools"):
        made["tools"] = [_tool(tool, number) for number, tool in enumerate(request["tools"])]
        choice = request.get("tool_choice") or {}
        if choice.get("type") is not None:
            made["tool_choice"] = _choice(choice)
        if choice.get("disable_parallel_tool_use"):
            made["parallel_tool_calls"] = False
    output = request.get("output_config") or {}
    if effort := output.get("effort"):
        made["reasoning_effort"] = _EFFORTS.get(effort, effort)
    wanted = output.get("format") or {}
    if wanted.get("type") == "json_schema":
        schema = {"name": "answer", "schema": wanted.get("schema"), "strict": True}
        made["response_format"] = {"type": "json_schema", "json_schema": schema}
    return made


def messages(request: Request) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    if system := _text_of(request.get("system")):
        out.append({"role": "system", "content": system})
    ids: dict[str, str] = {}
    numbers = itertools.count(1)
    history = request["messages"]
    prompt = _last_prompt(history)
    for number, message in enumerate(history):
        blocks = _blocks(message["content"])
        match message["role"]:
            case "assistant":
                out += _assistant(blocks, ids, numbers, keeps_reasoning=number > prompt)
            case "system":
                out.append({"role": "system", "content": _text_of(blocks)})
            case _:
                out += _user(blocks, ids)
    return out


def _last_prompt(history: list[dict[str, Any]]) -> int:
    """Where the user last spoke. Reasoning goes back to the server behind it: models want that of one piece of work."""
    for number in range(len(history) - 1, -1, -1):
        blocks = _blocks(history[number]["content"])
        if history[number]["role"] == "user" and not any(b.get("type") == "tool_result" for b in blocks):
            return number
    return -1


def _assistant(
    blocks: list[Block], ids: dict[str, str], numbers: Iterator[int], *, keeps_reasoning: bool
) -> list[dict[str, Any]]:
    """`ids` are those of the calls so far, by what they were in the request; `numbers` are the next calls'.

    One that has the id of an earlier one takes its results from here on.
    """
    texts, calls = [], []
    reasoning: dict[str, str] = {}
    for block in blocks:
        kind = block.get("type")
        if kind == "text":
            texts.append(str(block.get("text") or ""))
        elif kind == "tool_use":
            # Servers differ in the ids that they take. Nine letters and digits suit all of them, Mistral's too.
            ids[str(block.get("id"))] = call_id = f"call{next(numbers):05d}"
            function = {
                "name": block.get("name"),
                "arguments": json.dumps(block.get("input") or {}, ensure_ascii=False),
            }
            calls.append({"id": call_id, "type": "function", "function": function})
        elif kind == "thinking" and keeps_reasoning:
            # Only to a server that has sent such a field: others may refuse it.
            name = str(block.get("signature")).removeprefix(SIGNATURE)
            if name in REASONING_FIELDS:
                reasoning[name] = reasoning.get(name, "") + str(block.get("thinking") or "")
    text = "".join(texts)
    if not text and not calls:
        return []
    message: dict[str, Any] = {"role": "assistant", "content": text, **reasoning}
    return [message | {"tool_calls": calls} if calls else message]


def _user(blocks: list[Block], ids: dict[str, str]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    parts: list[Block] = []
    for block in blocks:
        if block.get("type") != "tool_result":
            parts += _parts(block)
            continue
        call_id = ids.get(str(block.get("tool_use_id")))
        said = [part for inner in _blocks(block.get("content") or "") for part in _parts(inner)]
        text = "\n".join(part["text"] for part in said if part["type"] == "text")
        seen = [part for part in said if part["type"] != "text"]
        if block.get("is_error"):
            text = FAILED + text
        if call_id is None:
            parts.append({"type": "text", "text": f"[The result of a tool:] {text}"})
        else:
            out.append({"role": "tool", "tool_call_id": call_id, "content": text or "(no output)"})
        if seen:
            parts.append({"type": "text", "text": f"[Shown by the tool, in its result {call_id or ''}:]"})
            parts += seen
    if parts:
        out.append({"role": "user", "content": _content(parts)})
    return out


def _content(parts: list[Block]) -> str | list[Block]:
    """A plain string where there is only text: some servers and chat templates take nothing else."""
    if all(part["type"] == "text" for part in parts):
        return "\n\n".join(part["text"] for part in parts)
    return parts


def _parts(block: Block) -> list[Block]:
    """A block of the user's, or of a result, as text and images."""
    source = block.get("source") or {}
    match block.get("type"):
        case "text":
            return [_said(str(block.get("text") or ""))] if block.get("text") else []
        case "image" if source.get("type") == "base64":
            return [_image(f"data:{source.get('media_type')};base64,{source.get('data')}")]
        case "image" if source.get("type") == "url":
            return [_image(str(source.get("url")))]
        case "document":
            return _document(block, source)
        case "search_result":
            title = f"{block.get('title') or ''} ({block.get('source') or ''})"
            return [_said(f"[Search result: {title}]\n{_text_of(block.get('content'))}")]
        case kind:
            return [_said(NO_PLACE.format(what=f"A block of the type {kind!r}"))]


def _document(block: Block, source: dict[str, Any]) -> list[Block]:
    name = str(block.get("title") or "document")
    head = f"[Document: {name}]\n"
    if context := block.get("context"):
        head += f"{context}\n"
    match source.get("type"):
        case "text":
            return [_said(head + str(source.get("data") or ""))]
        case "content":
            inside = [part for inner in _blocks(source.get("content") or "") for part in _parts(inner)]
            return [_said(head), *inside]
        case "url":
            return [_said(f"{head}It is at {source.get('url')}, and was not read.")]
        case "base64" if (text := _decoded(source)) is not None:
            return [_said(head + text)]
        case kind:
            return [_said(head + NO_PLACE.format(what=str(source.get("media_type") or kind)))]


def _decoded(source: dict[str, Any]) -> str | None:
    """The text in base64, where it is text."""
    media_type = str(source.get("media_type") or "")
    if not media_type.startswith("text/") and media_type not in _TEXT_TYPES:
        return None
    try:
        return base64.b64decode(str(source.get("data"))).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _said(text: str) -> Block:
    return {"type": "text", "text": text}


def _image(url: str) -> Block:
    return {"type": "image_url", "image_url": {"url": url}}


def _blocks(content: Any) -> list[Block]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or [])


def _text_of(content: Any) -> str:
    return "\n\n".join(str(block.get("text") or "") for block in _blocks(content) if block.get("text"))


def _tool(tool: dict[str, Any], number: int) -> dict[str, Any]:
    if not isinstance(tool.get("input_schema"), dict):
        raise InvalidRequest(
            f"tools.{number}.type: {tool.get('type')!r} has no `input_schema`: only models that are asked by the "
            "Messages API know it, and this one is asked by chat completions. Leave it out."
        )
    function = {"name": tool.get("name"), "parameters": tool["input_schema"]}
    if tool.get("description"):
        function["description"] = tool["description"]
    if tool.get("strict"):
        function["strict"] = True
    return {"type": "function", "function": function}


def _choice(choice: dict[str, Any]) -> str | dict[str, Any]:
    match choice["type"]:
        case "any":
            return "required"
        case "tool":
            return {"type": "function", "function": {"name": choice.get("name")}}
        case kind:
            return str(kind)
