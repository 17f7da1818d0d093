"""The text editor: look at files and directories, make files, replace a piece of one.

What it says of a file was read where the user's code runs, and is taken for no more than that: `edited` makes of it the
fields of the contract, or an error.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from belljar import orders, results
from belljar.gateway.tools import EDITOR, Edited, Failed, Image, Offer, string_of, unless_broken
from belljar.wire import media

name = EDITOR

_TEXTS = ("command", "path", "file_text", "old_str", "new_str")
_ERRORS = frozenset({"invalid_tool_input", "unavailable", "file_not_found"})
_MAX_LINES = 1_000_000
_NUMBERS = ("num_lines", "start_line", "total_lines")
_NO_NUMBERS = dict.fromkeys(_NUMBERS)
"""What has no lines says so: clients find the fields in every view."""


def definition(offer: Offer) -> dict[str, Any]:
    text = (
        "View, create and edit files in the sandbox, which the shell shares. `view` shows a text, an image, a PDF or "
        "what is in a directory, a text also in part (`view_range`). `create` writes a whole file, over one that is "
        "there. "
        "`str_replace` replaces `old_str`, which has to be in the file exactly once, by `new_str`. "
        "$INPUT_DIR in a path is where attached files are."
    )
    properties = {
        "command": {"type": "string", "enum": ["view", "create", "str_replace"]},
        "path": {"type": "string", "description": "Of the file, or of the directory to view."},
        "view_range": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "For `view`: the first and the last line, from 1; -1 for the end.",
        },
        "file_text": {"type": "string", "description": "For `create`: what the file is to contain."},
        "old_str": {"type": "string", "description": "For `str_replace`: what is to be replaced."},
        "new_str": {"type": "string", "description": "For `str_replace`: what comes in its place."},
    }
    schema = {"type": "object", "properties": properties, "required": ["command", "path"]}
    return {"name": EDITOR, "description": text, "input_schema": schema}


def asked(given: object) -> orders.Edit | Failed:
    for name in ("command", "path"):
        if isinstance(found := string_of(given, name), Failed):
            return found
    assert isinstance(given, dict)
    for name in _TEXTS:
        if isinstance(given.get(name), str) and isinstance(broken := unless_broken(given[name]), Failed):
            return broken
    known = {name: given[name] for name in (*_TEXTS, "view_range") if given.get(name) is not None}
    return orders.Edit(known)


def edited(call: results.CallResult, why: str) -> Edited | Failed:
    """What an edit has come to; `why` it did not end, should it be so."""
    if call.return_code is None:
        return Failed("unavailable", why)
    try:
        said = json.loads(call.body)
        return _edited(said)
    except (ValueError, KeyError, TypeError, RecursionError):
        return Failed("unavailable", "The editor's answer was broken by the code in the session.")


def _edited(said: dict[str, Any]) -> Edited | Failed:
    match said["result"]:
        case "view":
            return _viewed(said)
        case "create":
            return Edited("create", {"is_file_update": bool(said["is_file_update"])})
        case "str_replace":
            numbers = {
                name: _number(said, name) for name in ("old_start", "old_lines", "new_start", "new_lines")
            }
            return Edited("str_replace", {**numbers, "lines": [_plain(line) for line in list(said["lines"])]})
        case _:
            code = said["error_code"]
            return Failed(code if code in _ERRORS else "unavailable", _plain(said["error_message"])[:4000])


def _viewed(said: dict[str, Any]) -> Edited:
    kind, content = said["file_type"], _plain(said["content"])
    if kind == "text":
        numbers = {name: _number(said, name) for name in _NUMBERS}
        return Edited("view", {"file_type": "text", "content": content, **numbers})
    try:
        body = base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error
    found = media.media_type("", body[: media.HEAD_BYTES])
    if found == "application/pdf":
        return Edited("view", {"file_type": "pdf", "content": content, **_NO_NUMBERS}, pdf=body)
    if found not in media.IMAGES:
        raise ValueError("no picture")
    return Edited("view", {"file_type": "image", "content": content, **_NO_NUMBERS}, Image(found, body))


def _number(said: dict[str, Any], name: str) -> int:
    value = said[name]
    if type(value) is not int or not 0 <= value <= _MAX_LINES * 100:
        raise ValueError(name)
    return value


def _plain(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError("no text")
    return text.encode("utf-8", "replace").decode()
