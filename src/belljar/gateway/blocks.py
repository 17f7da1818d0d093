"""The shape of the blocks in a request, as far as Belljar looks into them. Pure.

What a block says, and the types and fields that nobody here knows, are the model server's business and travel on. But
what is looked into has to be what it is taken for, wherever it stands: a request that is broken is refused by its path
before anything is done, and not by an exception half-way, after which a client would send it again.
"""

from __future__ import annotations

from typing import Any

from belljar.errors import InvalidRequest
from belljar.wire.messages import MessageRequest

_OBJECT = "Input should be a valid dictionary"
_STRING = "Input should be a valid string"
_CONTENT = "Input should be a valid string or a list of content blocks"
_USES = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})


def check(request: MessageRequest) -> None:
    """Raises InvalidRequest, naming the path of the first thing that has a wrong shape."""
    _check_content(request.system, "system")
    for number, message in enumerate(request.messages):
        _check_content(message.content, f"messages.{number}.content")
    config = _object(request.model_extra or {}, "output_config", "")
    _string(config, "effort", "output_config.")
    _string(_object(config, "format", "output_config."), "type", "output_config.format.")


def check_id(file_id: str, path: str) -> None:
    """Raises InvalidRequest for half a character, which no file's id has and the store could not be asked for."""
    if not file_id.isascii():
        try:
            file_id.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(f"{path}: {file_id!r} is not valid Unicode") from error


def _check_content(content: object, path: str) -> None:
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise InvalidRequest(f"{path}: {_CONTENT}")
    for number, block in enumerate(content):
        if not isinstance(block, dict):
            raise InvalidRequest(f"{path}.{number}: {_OBJECT}")
        _check_block(block, f"{path}.{number}.")


def _check_block(block: dict[str, Any], path: str) -> None:
    """`path` ends with a dot."""
    kind = _string(block, "type", path)
    _string(block, "id", path)
    _string(block, "tool_use_id", path)
    if kind in _USES:
        _string(block, "name", path)
    match kind:
        case "text":
            _string(block, "text", path)
        case "tool_use":
            _object(block, "input", path)
        case "tool_result":
            _check_content(block.get("content"), f"{path}content")
        case "image" | "document":
            source = _object(block, "source", path)
            _string(source, "type", f"{path}source.")
            _check_file(source, f"{path}source.")
            if kind == "document":
                _check_content(source.get("content"), f"{path}source.content")
        case "search_result":
            _check_content(block.get("content"), f"{path}content")
            _object(block, "citations", path)
        case "container_upload":
            _check_file(block, path)
        case "code_execution_result":
            _object(block, "output", path)


def _check_file(named: dict[str, Any], path: str) -> None:
    file_id = _string(named, "file_id", path)
    if file_id is not None:
        check_id(file_id, f"{path}file_id")


def _string(inside: dict[str, Any], name: str, path: str) -> str | None:
    value = inside.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{path}{name}: {_STRING}")
    return value


def _object(inside: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    """The object, empty where there is none."""
    value = inside.get(name)
    if value is not None and not isinstance(value, dict):
        raise InvalidRequest(f"{path}{name}: {_OBJECT}")
    return value or {}
